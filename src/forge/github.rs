//! GitHub: <https://docs.github.com/rest/pulls/pulls>.

use serde_json::{Value, json};
use ureq::http::Method;

use super::api::{Call, Pull, State, WantedPull, percent, text};

pub(super) fn list(project: &str, branch: Option<&str>, page: usize) -> (String, usize) {
    let owner = project.split('/').next().unwrap_or_default();
    let which = match branch {
        None => "state=open".to_owned(),
        Some(branch) => format!("state=all&head={}:{}", percent(owner), percent(branch)),
    };
    (format!("/repos/{project}/pulls?{which}&per_page=100&page={page}"), 100)
}

/// `None` for one from another repository.
pub(super) fn read(value: &Value, project: &str) -> Option<Pull> {
    if !text(value, "/head/repo/full_name").eq_ignore_ascii_case(project) {
        return None;
    }
    let state = match value["state"].as_str()? {
        "open" => State::Open,
        _ if value["merged_at"].is_string() => State::Merged,
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

pub(super) fn create(project: &str, wanted: &WantedPull<'_>) -> Call {
    let body = json!({
        "title": wanted.title, "head": wanted.branch, "base": wanted.target, "body": wanted.body,
        "draft": wanted.draft, "maintainer_can_modify": true,
    });
    Call::new(Method::POST, format!("/repos/{project}/pulls"), body)
}

pub(super) fn update(project: &str, number: u64, body: &str, target: &str) -> Call {
    Call::new(Method::PATCH, of(project, number), json!({"body": body, "base": target}))
}

/// A reviewer with a slash is a team.
pub(super) fn adorn(project: &str, number: u64, labels: &[String], reviewers: &[String]) -> Vec<Call> {
    let mut calls = Vec::new();
    if !labels.is_empty() {
        let path = format!("/repos/{project}/issues/{number}/labels");
        calls.push(Call::new(Method::POST, path, json!({"labels": labels})));
    }
    if !reviewers.is_empty() {
        let (teams, people): (Vec<&String>, Vec<&String>) =
            reviewers.iter().partition(|name| name.contains('/'));
        let teams: Vec<&str> = teams.iter().filter_map(|team| team.rsplit('/').next()).collect();
        let body = json!({"reviewers": people, "team_reviewers": teams});
        calls.push(Call::new(Method::POST, format!("{}/requested_reviewers", of(project, number)), body));
    }
    calls
}
