//! Pipelines of CI systems: what their templates are given, and what must hold of what comes out.

use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::{TemplateError, Templates};

const GITHUB: &str = "pipeline/github.yaml";
const GITHUB_SIGN: &str = "pipeline/github-sign.yaml";
const GITLAB: &str = "pipeline/gitlab.yaml";
const TEKTON: &str = "pipeline/tekton.yaml";
const JENKINS: &str = "pipeline/Jenkinsfile";

/// What the steps of a pipeline run, and on what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedPipeline {
    /// The action that checks the repo out, with its commit.
    pub checkout: String,
    /// Images with their digests.
    pub caseharden: String,
    pub scanner: String,
    pub cosign: String,
    /// Whether the scanner needs a token.
    pub token: bool,
    /// Whether cosign signs with a key.
    pub key: bool,
    /// Shell.
    pub check: String,
    pub scan: String,
    pub sign: String,
}

const LOG_IN: &str = "set -eu\n\
                      printf '%s' \"$TOKEN\" |\n  \
                      docker login \"${IMAGE%%/*}\" --username \"$GITHUB_ACTOR\" --password-stdin";

impl Templates {
    /// Workflows of GitHub Actions: of changes, and of what was pushed.
    pub fn github_workflows(&self, wanted: &WantedPipeline) -> Result<[String; 2], TemplateError> {
        let mut changes = variables(wanted);
        changes["group"] = json!("caseharden-${{ github.ref }}");
        changes["token"] = json!(wanted.token.then_some("${{ secrets.SNYK_TOKEN }}"));
        let mut pushed = variables(wanted);
        pushed["image"] = json!("${{ inputs.image }}");
        pushed["login"] = json!("${{ github.token }}");
        pushed["log_in"] = json!(LOG_IN);
        pushed["key"] = json!(wanted.key.then_some("${{ secrets.COSIGN_PRIVATE_KEY }}"));
        pushed["password"] = json!("${{ secrets.COSIGN_PASSWORD }}");
        Ok([
            self.file(GITHUB, changes, |text| workflow(text, &wanted.checkout))?.text,
            self.file(GITHUB_SIGN, pushed, |text| workflow(text, &wanted.checkout))?.text,
        ])
    }

    /// Jobs for GitLab CI.
    pub fn gitlab_jobs(&self, wanted: &WantedPipeline) -> Result<String, TemplateError> {
        let jobs = |text: &str| {
            let value = decode::value(text)?;
            for (name, job) in value.as_object().into_iter().flatten() {
                let image = job.pointer("/image/name").and_then(Value::as_str).unwrap_or_default();
                if !image.contains("@sha256:") {
                    return Err(Problem::new(format!("job `{name}` must run an image by its digest")));
                }
            }
            Ok(value)
        };
        Ok(self.file(GITLAB, variables(wanted), jobs)?.text)
    }

    /// Tasks and a Pipeline of Tekton, a document each.
    pub fn tekton_tasks(&self, wanted: &WantedPipeline) -> Result<String, TemplateError> {
        let text = self.render(TEKTON, &variables(wanted))?;
        for document in text.split("\n---\n") {
            self.decoded(TEKTON, document, task)?;
        }
        Ok(text)
    }

    /// A Jenkinsfile.
    pub fn jenkinsfile(&self, wanted: &WantedPipeline) -> Result<String, TemplateError> {
        // Groovy reads backslashes itself.
        let escaped = |script: &str| script.replace('\\', "\\\\");
        let variables = variables(&WantedPipeline {
            check: escaped(&wanted.check),
            scan: escaped(&wanted.scan),
            sign: escaped(&wanted.sign),
            ..wanted.clone()
        });
        self.render(JENKINS, &variables)
    }

    /// Renders all of them, with and without what may be missing.
    pub(super) fn try_out_pipelines(&self) -> Vec<TemplateError> {
        let one = WantedPipeline {
            checkout: "owner/action@0123".to_owned(),
            caseharden: "a@sha256:0".to_owned(),
            scanner: "b@sha256:0".to_owned(),
            cosign: "c@sha256:0".to_owned(),
            token: true,
            key: true,
            check: "a 'b'".to_owned(),
            scan: "a: \"b\"\n# c".to_owned(),
            sign: "true".to_owned(),
        };
        let least = WantedPipeline { token: false, key: false, ..one.clone() };
        let mut errors = Vec::new();
        for wanted in [one, least] {
            errors.extend(self.github_workflows(&wanted).err());
            errors.extend(self.gitlab_jobs(&wanted).err());
            errors.extend(self.tekton_tasks(&wanted).err());
            errors.extend(self.jenkinsfile(&wanted).err());
        }
        errors
    }
}

fn variables(wanted: &WantedPipeline) -> Value {
    json!({
        "checkout": wanted.checkout, "caseharden": wanted.caseharden, "scanner": wanted.scanner,
        "cosign": wanted.cosign, "token": wanted.token, "key": wanted.key,
        "check": wanted.check, "scan": wanted.scan, "sign": wanted.sign,
    })
}

/// Least permissions, one pinned action, and no expression in a script: it would be part of the program.
pub(super) fn workflow(text: &str, checkout: &str) -> Result<Value, Problem> {
    let value = decode::value(text)?;
    if value.get("permissions") != Some(&json!({})) {
        return Err(Problem::new("`permissions` must be {}, and each job say its own"));
    }
    for (name, job) in value["jobs"].as_object().into_iter().flatten() {
        if !job["permissions"].is_object() {
            return Err(Problem::new(format!("job `{name}` must say its `permissions`")));
        }
        for step in job["steps"].as_array().into_iter().flatten() {
            if step["run"].as_str().is_some_and(|run| run.contains("${{")) {
                return Err(Problem::new(format!(
                    "a script of job `{name}` has an expression in it: use `env`"
                )));
            }
            if let Some(action) = step["uses"].as_str().filter(|action| *action != checkout) {
                let pin = action.split_once('@').map_or("", |(_, pin)| pin);
                if pin.len() != 40 || !pin.chars().all(|c| c.is_ascii_hexdigit()) {
                    return Err(Problem::new(format!("`{action}` must be pinned by its full commit")));
                }
            }
        }
    }
    Ok(value)
}

fn task(text: &str) -> Result<Value, Problem> {
    let value = decode::value(text)?;
    super::must_be(&value, "/apiVersion", &json!("tekton.dev/v1"))?;
    for step in value.pointer("/spec/steps").and_then(Value::as_array).into_iter().flatten() {
        if step["script"].as_str().is_none_or(|script| script.contains("$(params")) {
            return Err(Problem::new("parameters reach a script through `env` only"));
        }
        if !step["image"].as_str().is_some_and(|image| image.contains("@sha256:")) {
            return Err(Problem::new("a step must run an image by its digest"));
        }
    }
    Ok(value)
}
