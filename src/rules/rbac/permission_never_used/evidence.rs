//! What a log says about the accounts of a binding, and how findings tell of it.

use std::collections::BTreeSet;

use super::needs::Needs;
use super::{
    BindingObject, Context, Finding, PolicyRule, Scope, Subject, grouped, named, requests, with_losses,
};
use crate::audit_log::Evidence;
use crate::rbac::Request;
use crate::rbac::difference::Scoped;
use crate::rbac::escalation::is_everything;

pub(super) struct Judge<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) evidence: &'a Evidence,
}

/// Whether the log tells what a binding's subjects need.
pub(super) enum Verdict {
    /// It does; some of them made no request.
    Judged {
        silent: Vec<String>,
    },
    /// None of them made any.
    Nobody,
    /// Nothing to say: they belong to Kubernetes.
    PassedOver,
    Manual(String),
}

impl Judge<'_> {
    /// Adds what the subjects of a binding used of the rules that it gives them.
    pub(super) fn needs(&self, binding: &BindingObject, rules: &[PolicyRule], needs: &mut Needs) -> Verdict {
        let usage = &self.evidence.usage;
        if !usage.has_reads {
            return Verdict::Manual(
                "the log has no request that reads: exports of administrators' activity leave those out"
                    .to_owned(),
            );
        }
        let mut silent = Vec::new();
        let mut is_anybody_there = false;
        for (place, subject) in binding.subjects.iter().flat_map(|subject| &subject.is) {
            if self.context.is_system(subject) {
                return Verdict::PassedOver;
            }
            let Some(user) = user(subject) else {
                return Verdict::Manual(format!("{subject} is more than one user"));
            };
            let Some(account) = usage.of(&user) else {
                if usage.overflows {
                    return Verdict::Manual("the log has more users than are kept apart".to_owned());
                }
                silent.push(subject.to_string());
                continue;
            };
            if account.overflows {
                return Verdict::Manual(format!("{subject} did more different things than are kept apart"));
            }
            is_anybody_there = true;
            let scope =
                if binding.is_cluster_wide() { Scope::Cluster } else { Scope::Namespace(place.clone()) };
            let identity = subject.identity();
            let has_anyway = |request: &Request| self.has_anyway(&identity, request);
            let denied = account.denied.iter().filter(|_| self.evidence.include_denied);
            for entry in account.used.iter().chain(denied) {
                needs.add(rules, &scope, entry, self.evidence.informers, &has_anyway);
            }
        }
        silent.dedup();
        if is_anybody_there { Verdict::Judged { silent } } else { Verdict::Nobody }
    }

    /// Whether a server's own bindings allow a request: discovery, questions about oneself.
    fn has_anyway(&self, identity: &crate::rbac::Identity, request: &Request) -> bool {
        let of_repo =
            |name: &str| self.context.access.bindings.iter().any(|binding| *binding.object.id.name == *name);
        self.context.policy.grants(identity).any(|grant| {
            grant.binding.scope().covers(request.namespace())
                && grant.rule.allows(request)
                && !of_repo(&grant.binding.name)
        })
    }

    /// `from 2026-02-01 to 2026-03-01`.
    pub(super) fn period(&self) -> String {
        let usage = &self.evidence.usage;
        match (usage.first, usage.last) {
            (Some(first), Some(last)) => {
                let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
                let (first, last) = (day(first), day(last));
                if first == last { format!("on {first}") } else { format!("from {first} to {last}") }
            }
            _ => "in the audit log".to_owned(),
        }
    }

    /// Adds what the log covers.
    pub(super) fn dated(&self, finding: Finding) -> Finding {
        let usage = &self.evidence.usage;
        let users = match usage.n_accounts() {
            1 => "one user".to_owned(),
            n_accounts => format!("{} users", grouped(n_accounts as u64)),
        };
        let mut fact =
            format!("the audit log has {} of {users} {}", requests(usage.n_requests), self.period());
        if self.evidence.n_faults > 0 {
            let lines = if self.evidence.n_faults == 1 { "line" } else { "lines" };
            fact.push_str(&format!("; {} {lines} of it could not be read", grouped(self.evidence.n_faults)));
        }
        finding.evidence(fact)
    }

    /// Adds on what a fix rests, and what it takes away.
    pub(super) fn explained(
        &self,
        finding: Finding,
        needs: &Needs,
        kept: &BTreeSet<String>,
        who: &str,
        before: &[Scoped<'_>],
        after: &[Scoped<'_>],
    ) -> Finding {
        let mut finding = self.dated(finding);
        for binding in &needs.through {
            finding = finding.evidence(format!("the log names {binding} as what allowed it"));
        }
        let usage = &self.evidence.usage;
        let days =
            usage.first.zip(usage.last).map_or(0, |(first, last)| last.duration_since(first).as_hours() / 24);
        finding = finding.note(format!(
            "{} of log may not show all that happens: jobs, upgrades, failovers",
            if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
        ));
        for what in kept {
            finding = finding.note(format!("kept without being seen: {what}"));
        }
        if before.iter().any(|(_, rule)| is_everything(rule)) {
            return finding.note(format!("{who} can no longer: anything but what the new rules say"));
        }
        with_losses(finding, who, &self.context.losses(before, after))
    }

    pub(super) fn who(&self, binding: &BindingObject) -> String {
        named(binding.bound())
    }
}

/// The name in the log; none for a group.
fn user(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Group(_) => None,
        subject => Some(subject.identity().user),
    }
}
