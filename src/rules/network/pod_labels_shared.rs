//! See the rule's own docs below.

use super::needs::selector;
use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The labels that select a workload's pods select those of another one too.
    ///
    /// ## Why
    /// A policy for one of them is a policy for both, and so is a Service: each gets what only the other needs.
    ///
    /// ## Fix
    /// Nothing is changed: selectors of workloads cannot be changed in place. Give each workload a label of its own in
    /// its selector and pod template.
    ///
    /// ## What could break
    /// Nothing: reported only.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector>
    {
        id: "pod-labels-shared",
        area: Area::Network,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("kube-linter", "mismatching-selector")],
        check: Check::Repo,
    }
}

pub(super) fn check(view: &View<'_>, found: &mut RepoFindings) {
    let mut by_label: HashMap<(&Space, &str, &str), Vec<MemberId>> = HashMap::new();
    for (id, member) in view.connections.members() {
        for (key, value) in &member.labels {
            by_label.entry((&member.space, key, value)).or_default().push(id);
        }
    }
    let mut said: BTreeSet<(usize, usize, String)> = BTreeSet::new();
    for (_, member) in view.connections.members() {
        let labels = selector(view, member);
        if labels.is_empty() || view.is_left_alone(&member.space) {
            continue;
        }
        let rarest = labels
            .iter()
            .filter_map(|(key, value)| by_label.get(&(&member.space, key.as_str(), value.as_str())))
            .min_by_key(|list| list.len());
        let shares = |other: &&MemberId| {
            let other = view.member(**other);
            // Two files may describe one workload.
            let is_same = other.id.kind == member.id.kind && other.id.name == member.id.name;
            !is_same && labels.iter().all(|(key, value)| other.labels.get(key) == Some(value))
        };
        let Some(other) = rarest.into_iter().flatten().find(shares) else { continue };
        let object = view.object(member);
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let message = format!(
            "{} selects the pods of {} too: {}",
            member.subject(),
            view.member(*other).subject(),
            shown.join(", ")
        );
        if said.insert((member.file, member.object, message.clone())) {
            let finding = Finding::new("/spec/selector", message);
            found.place(placed(&RULE, object, finding));
        }
    }
}
