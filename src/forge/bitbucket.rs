//! Bitbucket Cloud: <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/>. It has no labels.

use serde_json::{Value, json};
use ureq::http::Method;

use super::api::{Call, Pull, State, WantedPull, percent, text};

pub(super) fn list(project: &str, branch: Option<&str>, page: usize) -> (String, usize) {
    let which = match branch {
        None => "state=OPEN".to_owned(),
        Some(branch) => {
            let query = format!("source.branch.name=\"{}\"", branch.replace(['"', '\\'], ""));
            format!("state=OPEN&state=MERGED&state=DECLINED&state=SUPERSEDED&q={}", percent(&query))
        }
    };
    (format!("/repositories/{project}/pullrequests?{which}&pagelen=50&page={page}"), 50)
}

/// `None` for one from another repository.
pub(super) fn read(value: &Value, project: &str) -> Option<Pull> {
    if !text(value, "/source/repository/full_name").eq_ignore_ascii_case(project) {
        return None;
    }
    let state = match value["state"].as_str()? {
        "OPEN" => State::Open,
        "MERGED" => State::Merged,
        _ => State::Closed,
    };
    Some(Pull {
        number: value["id"].as_u64()?,
        state,
        branch: text(value, "/source/branch/name"),
        target: text(value, "/destination/branch/name"),
        body: text(value, "/description"),
        address: text(value, "/links/html/href"),
        marker: None,
    })
}

pub(super) fn of(project: &str, number: u64) -> String {
    format!("/repositories/{project}/pullrequests/{number}")
}

pub(super) fn create(project: &str, wanted: &WantedPull<'_>) -> Call {
    let body = json!({
        "title": wanted.title, "description": wanted.body, "draft": wanted.draft,
        "source": {"branch": {"name": wanted.branch}}, "destination": {"branch": {"name": wanted.target}},
        "close_source_branch": true,
    });
    Call::new(Method::POST, format!("/repositories/{project}/pullrequests"), body)
}

pub(super) fn update(project: &str, number: u64, body: &str, target: &str) -> Call {
    let body = json!({"description": body, "destination": {"branch": {"name": target}}});
    Call::new(Method::PUT, of(project, number), body)
}

/// People are known by their UUID, in braces, or by their account's id.
pub(super) fn adorn(project: &str, number: u64, reviewers: &[String]) -> Vec<Call> {
    if reviewers.is_empty() {
        return Vec::new();
    }
    let known = |name: &String| {
        if name.starts_with('{') { json!({"uuid": name}) } else { json!({"account_id": name}) }
    };
    let reviewers: Vec<Value> = reviewers.iter().map(known).collect();
    vec![Call::new(Method::PUT, of(project, number), json!({"reviewers": reviewers}))]
}
