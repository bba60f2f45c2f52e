//! What a run made of branches and pull requests, as data: for `branch --format json`, and for reports over many repos.
//!
//! Holds what is said of each; decides nothing and speaks to no forge.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{escaped, plural};

/// The version of this format; it is raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// What a run made of one repo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub format: u32,
    /// The commit that the branches stand on.
    pub base: String,
    pub workloads: usize,
    pub findings: usize,
    /// Findings that the branches answer.
    pub fixed: usize,
    pub branches: Vec<Branch>,
    /// Whether something could not be read or done; the rest was.
    pub failed: bool,
}

/// A branch that was made, would be made, or is of no use any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    pub name: String,
    /// The subject of its commit; empty for one that only had to be closed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Files that it changes.
    #[serde(default)]
    pub files: usize,
    /// What became of the branch here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// What became of it on the remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    Created,
    Replaced,
    Unchanged,
    /// A dry run makes none.
    Planned,
}

/// What became of a branch on its remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub outcome: Delivered,
    /// Of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivered {
    Pushed,
    Opened,
    Renewed,
    UpToDate,
    /// It is somebody else's now, or was refused.
    LeftAlone,
    /// A limit is reached: a later run goes on.
    Postponed,
    Closed,
    WouldPush,
    WouldOpen,
    WouldRenew,
    WouldClose,
}

impl Delivery {
    pub fn new(outcome: Delivered) -> Delivery {
        Delivery { outcome, address: None, reason: None }
    }

    /// A pull request, by its address.
    pub fn of_pull(outcome: Delivered, address: &str) -> Delivery {
        Delivery { address: Some(address.to_owned()), ..Delivery::new(outcome) }
    }

    /// What was not done, and why.
    pub fn because(outcome: Delivered, reason: impl Into<String>) -> Delivery {
        Delivery { reason: Some(reason.into()), ..Delivery::new(outcome) }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            Delivered::Pushed => "pushed",
            Delivered::Opened => "opened",
            Delivered::Renewed => "renewed",
            Delivered::UpToDate => "up to date",
            Delivered::LeftAlone => "left alone",
            Delivered::Postponed => "not opened",
            Delivered::Closed => "closed, nothing is left to change",
            Delivered::WouldPush => "would be pushed",
            Delivered::WouldOpen => "would be pushed, with a new pull request",
            Delivered::WouldRenew => "would be compared, and renewed if it differs",
            Delivered::WouldClose => "would be closed, nothing is left to change",
        })?;
        for more in self.reason.iter().chain(&self.address) {
            write!(f, ": {}", escaped(more))?;
        }
        Ok(())
    }
}

impl Record {
    /// One line: what was made, and where it can be reviewed.
    pub fn summary(&self) -> String {
        let made: Vec<&Branch> = self.branches.iter().filter(|branch| branch.made.is_some()).collect();
        if made.is_empty() && self.branches.is_empty() {
            return "nothing to change".to_owned();
        }
        // Branches that divide a run share files; each is merged by itself.
        let files: usize = made.iter().map(|branch| branch.files).sum();
        let mut text = format!("{}, {}", plural(made.len(), "branch"), plural(files, "file"));
        let mut outcomes: Vec<(Delivered, usize)> = Vec::new();
        for delivery in self.branches.iter().filter_map(|branch| branch.delivered.as_ref()) {
            match outcomes.iter_mut().find(|(outcome, _)| *outcome == delivery.outcome) {
                Some((_, n)) => *n += 1,
                None => outcomes.push((delivery.outcome, 1)),
            }
        }
        for (outcome, n) in outcomes {
            text.push_str(&format!(", {n} {}", Delivery::new(outcome)));
        }
        let mut addresses =
            self.branches.iter().filter_map(|branch| branch.delivered.as_ref()?.address.as_deref());
        if let (Some(address), None) = (addresses.next(), addresses.next()) {
            text.push_str(&format!("  {}", escaped(address)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(made: Option<Made>, delivered: Option<Delivery>) -> Branch {
        Branch { name: "caseharden/pod".to_owned(), files: 2, made, delivered, ..Branch::default() }
    }

    #[track_caller]
    fn check(branches: Vec<Branch>, expected: &str) {
        let record = Record { format: FORMAT, branches, ..Record::default() };
        assert_eq!(record.summary(), expected);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn a_line_says_what_was_made_and_where_it_is() {
        check(vec![], "nothing to change");
        check(vec![branch(Some(Made::Created), None)], "1 branch, 2 files");
        let opened = Delivery::of_pull(Delivered::Opened, "https://forge/a/b/pulls/7");
        check(
            vec![branch(Some(Made::Created), Some(opened.clone()))],
            "1 branch, 2 files, 1 opened  https://forge/a/b/pulls/7",
        );
        check(
            vec![
                branch(Some(Made::Created), Some(opened.clone())),
                branch(Some(Made::Unchanged), Some(opened)),
                branch(None, Some(Delivery::new(Delivered::Closed))),
            ],
            "2 branches, 4 files, 2 opened, 1 closed, nothing is left to change",
        );
    }
}
