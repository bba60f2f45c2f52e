//! What became of many repos: one page for a browser, and the same as data.
//!
//! The page needs no script and asks for nothing: what repos and forges say is text in it, never markup.

use serde_json::json;

use super::branches::{Branch, Record};
use super::plural;
use crate::fleet::{Entry, Status};

const STYLE: &str = include_str!("../../templates/report/fleet.css");

/// A stable object: the sums, and each repo as the journal knows it.
pub fn data(entries: &[&Entry]) -> String {
    let sums = Sums::of(entries);
    let object = json!({
        "format": 1,
        "repos": entries.len(),
        "done": sums.done,
        "partial": sums.partial,
        "failed": sums.failed,
        "branches": sums.branches,
        "pullRequests": sums.pull_requests,
        "findings": sums.findings,
        "fixed": sums.fixed,
        "entries": entries,
    });
    format!("{object:#}\n")
}

/// A page that stands for itself.
pub fn page(entries: &[&Entry]) -> String {
    let sums = Sums::of(entries);
    let mut ordered: Vec<&&Entry> = entries.iter().collect();
    // What needs somebody comes first.
    ordered.sort_by(|a, b| b.status.cmp(&a.status).then_with(|| a.repo.cmp(&b.repo)));
    let mut rows = String::new();
    for entry in ordered {
        rows.push_str(&row(entry));
    }
    let cells = [
        (sums.done, "done"),
        (sums.partial, "in part"),
        (sums.failed, "failed"),
        (sums.branches, "branches"),
        (sums.pull_requests, "pull requests"),
        (sums.fixed, "findings fixed"),
        (sums.findings - sums.fixed, "findings left"),
    ];
    let cells: String =
        cells.iter().map(|(n, what)| format!("<li><strong>{n}</strong> {what}</li>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Hardening of {repos}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Hardening of {repos}</h1>\n<ul class=\"sums\">\n{cells}</ul>\n\
         <table>\n<thead><tr><th scope=\"col\">Repo</th><th scope=\"col\">Outcome</th><th scope=\"col\">Findings</th>\
         <th scope=\"col\">Fixed</th><th scope=\"col\">Branches</th><th scope=\"col\">Time</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</body>\n</html>\n",
        repos = plural(entries.len(), "repo"),
    )
}

#[derive(Default)]
struct Sums {
    done: usize,
    partial: usize,
    failed: usize,
    branches: usize,
    pull_requests: usize,
    findings: usize,
    fixed: usize,
}

impl Sums {
    fn of(entries: &[&Entry]) -> Sums {
        let mut sums = Sums::default();
        for entry in entries {
            match entry.status {
                Status::Done => sums.done += 1,
                Status::Partial => sums.partial += 1,
                Status::Failed => sums.failed += 1,
            }
            let Some(record) = &entry.record else { continue };
            sums.findings += record.findings;
            sums.fixed += record.fixed;
            sums.branches += record.branches.iter().filter(|branch| branch.made.is_some()).count();
            sums.pull_requests += record.branches.iter().filter(|branch| address(branch).is_some()).count();
        }
        sums
    }
}

fn address(branch: &Branch) -> Option<&str> {
    branch.delivered.as_ref()?.address.as_deref()
}

fn row(entry: &Entry) -> String {
    let (class, word) = match entry.status {
        Status::Done => ("done", "done"),
        Status::Partial => ("partial", "in part"),
        Status::Failed => ("failed", "failed"),
    };
    let empty = Record::default();
    let record = entry.record.as_ref().unwrap_or(&empty);
    let mut outcome = format!("<span class=\"{class}\">{word}</span>");
    for problem in &entry.problems {
        outcome.push_str(&format!("<br><code>{}</code>", text(problem)));
    }
    if let Some(help) = &entry.help {
        outcome.push_str(&format!("<br>{}", text(help)));
    }
    let branches: Vec<String> = record.branches.iter().map(branch).collect();
    format!(
        "<tr><th scope=\"row\">{}</th><td>{outcome}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1} s</td></tr>\n",
        text(&entry.repo),
        record.findings,
        record.fixed,
        branches.join("<br>"),
        entry.milliseconds as f64 / 1000.0,
    )
}

fn branch(branch: &Branch) -> String {
    let name = text(&branch.name);
    // Only what a browser opens as a page is a link.
    let link =
        address(branch).filter(|address| address.starts_with("https://") || address.starts_with("http://"));
    let name = match link {
        Some(address) => format!("<a href=\"{}\">{name}</a>", text(address)),
        None => name,
    };
    let what = branch.delivered.as_ref().map_or(String::new(), |delivery| {
        let said = super::branches::Delivery { address: None, ..delivery.clone() };
        format!(" {}", text(&said.to_string()))
    });
    format!("{name}: {}{what}", plural(branch.files, "file"))
}

/// Text for a page: nothing in it is markup, and no control character reaches the reader.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in super::escaped(raw).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::branches::{Delivered, Delivery, Made};

    fn entry(repo: &str, status: Status) -> Entry {
        let address = "javascript:alert(1)//\"><img src=x>";
        let delivered = Some(Delivery::of_pull(Delivered::Opened, address));
        let branch = Branch {
            name: "<b>".to_owned(),
            made: Some(Made::Created),
            files: 3,
            delivered,
            ..Branch::default()
        };
        let record = Record { findings: 5, fixed: 4, branches: vec![branch], ..Record::default() };
        Entry {
            repo: repo.to_owned(),
            status,
            ended: 0,
            milliseconds: 1500,
            record: Some(record),
            problems: vec!["<script>alert(1)</script>".to_owned()],
            help: None,
        }
    }

    #[test]
    fn what_repos_say_is_text_and_what_failed_comes_first() {
        let (done, failed) = (entry("a\"><script>", Status::Done), entry("z", Status::Failed));
        let page = page(&[&done, &failed]);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(!page.contains("href="), "{page}");
        assert!(page.find(">z<").unwrap() < page.find(">a&quot;").unwrap(), "{page}");
        assert!(page.contains("<strong>2</strong> findings left"), "{page}");
    }

    #[test]
    fn data_sums_up_and_lists() {
        let entry = entry("a", Status::Partial);
        let value: serde_json::Value = serde_json::from_str(&data(&[&entry])).unwrap();
        assert_eq!(
            (&value["partial"], &value["fixed"], &value["pullRequests"]),
            (&json!(1), &json!(4), &json!(1))
        );
        assert_eq!(value["entries"][0]["repo"], "a");
    }
}
