//! GitLab: <https://docs.gitlab.com/api/merge_requests/>.

use serde_json::{Value, json};
use ureq::http::Method;

use super::api::{Call, Pull, State, WantedPull, percent, text};

fn all(project: &str) -> String {
    format!("/projects/{}/merge_requests", percent(project))
}

pub(super) fn list(project: &str, branch: Option<&str>, page: usize) -> (String, usize) {
    let which = match branch {
        None => "state=opened".to_owned(),
        Some(branch) => format!("state=all&source_branch={}", percent(branch)),
    };
    (format!("{}?{which}&per_page=100&page={page}", all(project)), 100)
}

/// `None` for one from another project.
pub(super) fn read(value: &Value) -> Option<Pull> {
    if value["source_project_id"] != value["target_project_id"] {
        return None;
    }
    let state = match value["state"].as_str()? {
        "merged" => State::Merged,
        "closed" => State::Closed,
        _ => State::Open,
    };
    Some(Pull {
        number: value["iid"].as_u64()?,
        state,
        branch: text(value, "/source_branch"),
        target: text(value, "/target_branch"),
        body: text(value, "/description"),
        address: text(value, "/web_url"),
        marker: None,
    })
}

pub(super) fn of(project: &str, number: u64) -> String {
    format!("{}/{number}", all(project))
}

pub(super) fn create(project: &str, wanted: &WantedPull<'_>) -> Call {
    let title = if wanted.draft { format!("Draft: {}", wanted.title) } else { wanted.title.to_owned() };
    let body = json!({
        "source_branch": wanted.branch, "target_branch": wanted.target, "title": title,
        "description": wanted.body, "remove_source_branch": true,
    });
    Call::new(Method::POST, all(project), body)
}

pub(super) fn update(project: &str, number: u64, body: &str, target: &str) -> Call {
    Call::new(Method::PUT, of(project, number), json!({"description": body, "target_branch": target}))
}

pub(super) fn user(name: &str) -> String {
    format!("/users?username={}", percent(name))
}

pub(super) fn adorn(project: &str, number: u64, labels: &[String], reviewers: &[u64]) -> Vec<Call> {
    let mut body = json!({});
    if !labels.is_empty() {
        body["add_labels"] = json!(labels.join(","));
    }
    if !reviewers.is_empty() {
        body["reviewer_ids"] = json!(reviewers);
    }
    match body.as_object().is_some_and(|body| body.is_empty()) {
        true => Vec::new(),
        false => vec![Call::new(Method::PUT, of(project, number), body)],
    }
}
