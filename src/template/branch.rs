//! What commits and pull requests say.

use serde_json::{Value, json};

use super::{TemplateError, Templates};

const BODY: &str = "branch/body.md";
const LABELS: &str = "branch/labels.txt";
const MESSAGE: &str = "branch/message.txt";
const TITLE: &str = "branch/title.txt";

/// What a commit is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedCommit {
    /// What the built-in template says.
    pub title: String,
    /// How the changes are divided, as `--per` takes it.
    pub per: String,
    /// What tells this branch from the others; empty when there is one only.
    pub key: String,
    pub rules: Vec<String>,
    pub files: usize,
    pub findings: usize,
    /// For each rule: why, the objects, what to check.
    pub details: String,
}

impl Templates {
    /// The subject, an empty line, and the body of a commit.
    ///
    /// # Errors
    /// A template that does not render, or a subject of more or less than one line.
    pub fn commit_message(&self, wanted: &WantedCommit) -> Result<String, TemplateError> {
        let variables = variables(wanted);
        let title = self.render(TITLE, &variables)?;
        let title = title.trim();
        if title.is_empty() || title.contains('\n') {
            return Err(TemplateError::new(TITLE, "must render one line"));
        }
        Ok(format!("{title}\n\n{}", self.render(MESSAGE, &variables)?.trim_start()))
    }

    /// The body of a pull request; `summary` is Markdown.
    ///
    /// # Errors
    /// A template that does not render.
    pub fn pull_request_body(&self, wanted: &WantedCommit, summary: &str) -> Result<String, TemplateError> {
        let mut variables = variables(wanted);
        variables["summary"] = json!(summary);
        self.render(BODY, &variables)
    }

    /// The labels of a pull request.
    ///
    /// # Errors
    /// A template that does not render.
    pub fn pull_request_labels(
        &self,
        wanted: &WantedCommit,
        labels: &[String],
    ) -> Result<Vec<String>, TemplateError> {
        let mut variables = variables(wanted);
        variables["labels"] = json!(labels);
        let text = self.render(LABELS, &variables)?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Renders all of them, with much and with little to say.
    pub(super) fn try_out_commits(&self) -> Vec<TemplateError> {
        let least =
            WantedCommit { title: "Harden".to_owned(), per: "run".to_owned(), ..WantedCommit::default() };
        let most = WantedCommit {
            key: "pod".to_owned(),
            rules: vec!["runs-as-root".to_owned()],
            files: 2,
            findings: 3,
            details: "runs-as-root: may run as root.\n  - Deployment/web (web.yaml)".to_owned(),
            ..least.clone()
        };
        let try_out = |wanted: &WantedCommit| {
            self.commit_message(wanted)?;
            self.pull_request_body(wanted, "## Summary")?;
            self.pull_request_labels(wanted, &["sample".to_owned()]).map(drop)
        };
        [least, most].iter().filter_map(|wanted| try_out(wanted).err()).collect()
    }
}

fn variables(wanted: &WantedCommit) -> Value {
    json!({
        "title": wanted.title, "per": wanted.per, "key": wanted.key, "rules": wanted.rules,
        "files": wanted.files, "findings": wanted.findings, "details": wanted.details,
    })
}
