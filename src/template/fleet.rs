//! Fleets spread over machines: what their templates are given, and what must hold of what comes out.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::pipeline::workflow;
use super::{TemplateError, Templates, must_be};
use crate::pss;

const JOB: &str = "fleet/job.yaml";
const GITHUB: &str = "fleet/github.yaml";
const GITLAB: &str = "fleet/gitlab.yaml";

/// Jobs that share a list of repos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFleet {
    /// With its digest.
    pub image: String,
    /// The action that checks out the list, with its commit.
    pub checkout: String,
    /// How many jobs there are.
    pub shards: u32,
    /// Of the commits.
    pub author: String,
    pub email: String,
}

/// Gives git the logins of a file that must not be written to.
const HELPER: &str =
    "!f() { test \"$1\" = get && git credential-store --file /credentials/git-credentials get; }; f";

const ON_GITHUB: &str = "set -eu\n\
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=credential.https://github.com.helper\n\
    export GIT_CONFIG_VALUE_0='!f() { test \"$1\" = get && echo username=x-access-token && echo \"password=$GITHUB_TOKEN\"; }; f'\n\
    caseharden fleet repos.txt --shard \"$SHARD\" --push --pull-request";

const ON_GITLAB: &str = "set -eu\n\
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=\"credential.$CI_SERVER_URL.helper\"\n\
    export GIT_CONFIG_VALUE_0='!f() { test \"$1\" = get && echo username=oauth2 && echo \"password=$GITLAB_TOKEN\"; }; f'\n\
    caseharden fleet repos.txt --shard \"$((CI_NODE_INDEX - 1))/$CI_NODE_TOTAL\" --push --pull-request --report fleet.html";

impl Templates {
    /// An Indexed Job, which the restricted profile takes.
    pub fn fleet_job(&self, wanted: &WantedFleet) -> Result<String, TemplateError> {
        let mut variables = variables(wanted);
        variables["shard"] = json!(format!("$(JOB_COMPLETION_INDEX)/{}", wanted.shards));
        variables["helper"] = json!(HELPER);
        let job = |text: &str| {
            let value = decode::typed::<Job>(text)?;
            must_be(&value, "/spec/completionMode", &json!("Indexed"))?;
            must_be(&value, "/spec/completions", &json!(wanted.shards))?;
            must_be(&value, "/spec/template/spec/containers/0/image", &json!(wanted.image))?;
            let spec = value.pointer("/spec/template/spec").cloned().unwrap_or_default();
            let refused =
                pss::evaluate(&pss::Pod::new(None, &spec), pss::Level::Restricted, pss::Version::Latest);
            match refused.first() {
                Some(refused) => Err(Problem::new(format!(
                    "the restricted profile refuses its pods: {}",
                    refused.message()
                ))),
                None => Ok(value),
            }
        };
        Ok(self.file(JOB, variables, job)?.text)
    }

    /// A workflow of GitHub Actions with a matrix.
    pub fn fleet_workflow(&self, wanted: &WantedFleet) -> Result<String, TemplateError> {
        let mut variables = variables(wanted);
        variables["shards"] = json!((0..wanted.shards).collect::<Vec<_>>());
        variables["shard"] = json!(format!("${{{{ matrix.shard }}}}/{}", wanted.shards));
        variables["token"] = json!("${{ secrets.FLEET_TOKEN }}");
        variables["run"] = json!(ON_GITHUB);
        Ok(self.file(GITHUB, variables, |text| workflow(text, &wanted.checkout))?.text)
    }

    /// A job of GitLab CI that runs many times.
    pub fn fleet_gitlab(&self, wanted: &WantedFleet) -> Result<String, TemplateError> {
        let mut variables = variables(wanted);
        variables["run"] = json!(ON_GITLAB);
        let job = |text: &str| {
            let value = decode::value(text)?;
            must_be(&value, "/caseharden-fleet/parallel", &json!(wanted.shards))?;
            must_be(&value, "/caseharden-fleet/image/name", &json!(wanted.image))?;
            Ok(value)
        };
        Ok(self.file(GITLAB, variables, job)?.text)
    }

    pub(super) fn try_out_fleets(&self) -> Vec<TemplateError> {
        let wanted = WantedFleet {
            image: "a@sha256:0".to_owned(),
            checkout: "owner/action@0123".to_owned(),
            shards: 3,
            author: "A: 'b' #c".to_owned(),
            email: "a@example.com".to_owned(),
        };
        let tried = [self.fleet_job(&wanted), self.fleet_workflow(&wanted), self.fleet_gitlab(&wanted)];
        tried.into_iter().filter_map(Result::err).collect()
    }
}

fn variables(wanted: &WantedFleet) -> Value {
    json!({
        "image": wanted.image, "checkout": wanted.checkout, "count": wanted.shards,
        "author": wanted.author, "email": wanted.email,
    })
}
