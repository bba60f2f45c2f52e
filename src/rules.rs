//! Rules: what is not hardened, and the values that would be.
//!
//! A rule is data and one pure function from the model to findings. Rules see no bytes, paths, clock, network
//! or environment. Adding one: its file under `rules/<area>/`, and a line in that area's list.

mod change;
mod charts;
mod cluster;
mod docs;
mod finding;
mod hold_back;
mod image;
mod namespace;
mod network;
mod notice;
mod placement;
mod pod;
mod rbac;
mod secret;
mod settings;
mod workload;

use rayon::prelude::*;

use crate::model::Model;
use crate::pss;

pub use self::change::Change;
pub use self::charts::Rendered;
pub use self::charts::slot::Slot;
pub use self::charts::templates::{Slots, Template, applied};
pub use self::docs::{markdown_table, page};
pub use self::finding::{Finding, NewFile, Whole};
pub(crate) use self::namespace::EXCEPTION_NOT_RECORDED;
pub use self::namespace::{NamespaceVerdict, Placed, RepoFindings, WorkloadVerdict};
pub(crate) use self::notice::{ALLOW_EXPIRED, ALLOW_UNMATCHED, ALLOW_WITHOUT_REASON};
pub use self::secret::secrets_to_seal;
pub use self::settings::{Settings, Standard};
pub use self::workload::Workload;

/// A rule: what a user reads about it, and how it finds its problem.
#[derive(Debug)]
pub struct Rule {
    /// Names the problem, in kebab-case; reads well behind "allow".
    pub id: &'static str,
    pub area: Area,
    pub severity: Severity,
    /// The Pod Security check that sees the same problem, and the level it belongs to.
    pub pss: Option<(pss::Level, &'static str)>,
    /// What benchmarks and other tools call it: `("CIS", "5.2.6")`.
    pub known_as: &'static [(&'static str, &'static str)],
    pub check: Check,
    /// Markdown: a summary line, then `## Why`, `## Fix`, `## What could break`, `## Sources`.
    pub docs: &'static str,
}

/// How a rule is asked.
#[derive(Debug)]
pub enum Check {
    /// For each object that makes pods.
    Workload(fn(&Workload<'_>, &mut Vec<Finding>)),
    /// Once: [`check_repo`], or [`check_namespaces`] when all workloads are judged.
    Repo,
    /// Raised while findings are allowed, not by looking at objects.
    Notice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    Pod,
    Image,
    Namespace,
    Network,
    Rbac,
    Secret,
    Cluster,
    Allow,
}

impl Area {
    pub const ALL: &'static [Area] = &[
        Area::Pod,
        Area::Image,
        Area::Namespace,
        Area::Network,
        Area::Rbac,
        Area::Secret,
        Area::Cluster,
        Area::Allow,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Area::Pod => "pod",
            Area::Image => "image",
            Area::Namespace => "namespace",
            Area::Network => "network",
            Area::Rbac => "rbac",
            Area::Secret => "secret",
            Area::Cluster => "cluster",
            Area::Allow => "allow",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub fn id(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// How far a fix can be trusted, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Safety {
    /// Reported only.
    Manual,
    /// Right in general; may change how this workload behaves.
    Review,
    /// The running behaviour cannot change.
    Safe,
}

impl Safety {
    pub fn id(self) -> &'static str {
        match self {
            Safety::Manual => "manual",
            Safety::Review => "review",
            Safety::Safe => "safe",
        }
    }
}

impl Rule {
    /// The first line of the docs, without its dot.
    pub fn summary(&self) -> &'static str {
        self.docs.lines().next().unwrap_or_default().trim().trim_end_matches('.')
    }
}

/// Every rule, by area.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let areas = [
        pod::RULES,
        image::RULES,
        namespace::RULES,
        network::RULES,
        rbac::RULES,
        secret::RULES,
        cluster::RULES,
        notice::RULES,
    ];
    areas.into_iter().flatten().copied()
}

pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// What the rules find in one workload, in the order of the rules. `selected` says which rules are asked.
pub fn check_workload(workload: &Workload<'_>, selected: &dyn Fn(&Rule) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in all() {
        if let Check::Workload(check) = rule.check
            && selected(rule)
        {
            let start = findings.len();
            check(workload, &mut findings);
            for finding in &mut findings[start..] {
                finding.rule = rule;
            }
        }
    }
    hold_back::hold_back(workload, &mut findings);
    findings
}

/// What the rules find in the repo as a whole.
pub fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &(dyn Fn(&Rule) -> bool + Sync),
) -> RepoFindings {
    type Area = fn(&Model<'_>, &Settings<'_>, &(dyn Fn(&Rule) -> bool + Sync), &mut RepoFindings);
    let areas: [Area; 6] = [
        |model, settings, selected, found| image::check_repo(model, settings, selected, found),
        charts::check,
        |model, settings, selected, found| network::check(model, settings, selected, found),
        |model, settings, selected, found| rbac::check_repo(model, settings, selected, found),
        |model, settings, selected, found| secret::check_repo(model, settings, selected, found),
        |model, settings, selected, found| cluster::check_repo(model, settings, selected, found),
    ];
    let of_areas: Vec<RepoFindings> = areas
        .into_par_iter()
        .map(|check| {
            let mut found = RepoFindings::default();
            check(model, settings, selected, &mut found);
            found
        })
        .collect();
    let mut found = RepoFindings::default();
    of_areas.into_iter().for_each(|of_area| found.append(of_area));
    found.in_templates.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    found
}

/// What the rules find in namespaces, given the levels that their workloads meet.
pub fn check_namespaces(
    model: &Model<'_>,
    settings: &Settings<'_>,
    verdicts: &[WorkloadVerdict],
    selected: &dyn Fn(&Rule) -> bool,
) -> RepoFindings {
    namespace::check(model, settings, verdicts, selected)
}

/// Writes a rule's docs once: they are its rustdoc, `explain`, and its page.
macro_rules! rule {
    ($(#[doc = $line:literal])+ { $($field:tt)* }) => {
        $(#[doc = $line])+
        pub(crate) const RULE: crate::rules::Rule =
            crate::rules::Rule { docs: concat!($($line, "\n"),+), $($field)* };
    };
}
use rule;

#[cfg(test)]
mod tests;
