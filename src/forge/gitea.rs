//! Gitea and Forgejo: <https://docs.gitea.com/api/> (repository, pulls).

use serde_json::{Value, json};
use ureq::http::Method;

use super::api::{Call, Pull, State, WantedPull, text};

/// The API cannot ask for a branch: all are read.
pub(super) fn list(project: &str, branch: Option<&str>, page: usize) -> (String, usize) {
    let state = if branch.is_some() { "all" } else { "open" };
    // Servers may have a smaller limit than is asked for, but by default none below this.
    (format!("/repos/{project}/pulls?state={state}&sort=newest&limit=30&page={page}"), 30)
}

/// `None` for one from another repository.
pub(super) fn read(value: &Value, project: &str) -> Option<Pull> {
    if !text(value, "/head/repo/full_name").eq_ignore_ascii_case(project) {
        return None;
    }
    let state = match value["state"].as_str()? {
        "open" => State::Open,
        _ if value["merged"] == json!(true) => State::Merged,
        _ => State::Closed,
    };
    Some(Pull {
        number: value["number"].as_u64()?,
        state,
        branch: text(value, "/head/ref"),
        target: text(value, "/base/ref"),
        body: text(value, "/body"),
        address: text(value, "/html_url"),
        marker: None,
    })
}

pub(super) fn of(project: &str, number: u64) -> String {
    format!("/repos/{project}/pulls/{number}")
}

/// A draft is one whose title says so.
pub(super) fn create(project: &str, wanted: &WantedPull<'_>) -> Call {
    let title = if wanted.draft { format!("WIP: {}", wanted.title) } else { wanted.title.to_owned() };
    let body = json!({"title": title, "head": wanted.branch, "base": wanted.target, "body": wanted.body});
    Call::new(Method::POST, format!("/repos/{project}/pulls"), body)
}

pub(super) fn update(project: &str, number: u64, body: &str, target: &str) -> Call {
    Call::new(Method::PATCH, of(project, number), json!({"body": body, "base": target}))
}

pub(super) fn adorn(project: &str, number: u64, labels: &[String], reviewers: &[String]) -> Vec<Call> {
    let mut calls = Vec::new();
    if !labels.is_empty() {
        let path = format!("/repos/{project}/issues/{number}/labels");
        calls.push(Call::new(Method::POST, path, json!({"labels": labels})));
    }
    if !reviewers.is_empty() {
        let body = json!({"reviewers": reviewers});
        calls.push(Call::new(Method::POST, format!("{}/requested_reviewers", of(project, number)), body));
    }
    calls
}
