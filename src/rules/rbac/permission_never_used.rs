//! See the rule's own docs below.

mod evidence;
mod minimal;
mod needs;
mod rebind;
mod scoped_roles;

use self::evidence::{Judge, Verdict};
use self::needs::Needs;
use super::*;
use crate::rules::{Area, Check, NewFile, Severity};

crate::rules::rule! {
    /// An account has permissions that an audit log shows no use of.
    ///
    /// ## Why
    /// What nobody uses helps only whoever takes the account over.
    ///
    /// ## Fix
    /// Needs an audit log (`--audit-log`); without one this rule is silent. Leaves in a role what the accounts bound to it
    /// were seen to do, and what the role allowed already: never more. A ClusterRole that is bound once in the whole
    /// cluster, and used in a few namespaces only, becomes a Role there, as far as it goes. An account that has a
    /// role of Kubernetes or one that others share gets one of its own.
    ///
    /// Names become `resourceNames` only where every request named its object, there are at most five names, each was asked
    /// for more than once, none looks generated, and the account does not list them; never for `create` and
    /// `deletecollection`, which no name can limit. Denied requests are not counted as use, unless `--audit-denied` is
    /// given. `--audit-informers` keeps `get`, `list` and `watch` together where one of the last two was used.
    ///
    /// What shows in no log stays where a role names it: `escalate`, `bind`, `approve`, `sign`, `use`, finalizers; and what
    /// is rare by its nature: writing events, leases, token and access reviews.
    ///
    /// ## What could break
    /// Whatever happens less often than the log is long: monthly jobs, upgrades, failovers. A log whose policy leaves
    /// requests out shows less than there was.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>
    /// - <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>
    {
        id: "permission-never-used",
        area: Area::Rbac,
        severity: Severity::Medium,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let Some(evidence) = context.settings.audit else { return };
    let judge = Judge { context, evidence };
    let mut apart: Vec<&BindingObject> = Vec::new();
    let mut judged: BTreeSet<Key> = BTreeSet::new();
    for (idx, role) in context.access.roles.iter().enumerate() {
        let bindings: Vec<&BindingObject> = context.access.bindings_of(idx).collect();
        if is_part_of_another(context, role) || is_owned_elsewhere(role).is_some() {
            apart.extend(bindings);
        } else if !bindings.is_empty() && of_role(&judge, role, &bindings, found) {
            judged.extend(bindings.iter().map(|binding| &binding.object).chain([&role.object]).map(key));
        }
    }
    apart.extend(
        context.access.bindings.iter().filter(|binding| matches!(binding.role, RoleSource::BuiltIn(_))),
    );
    for binding in apart {
        of_binding(&judge, binding, found);
    }
    decide_alone(&judged, found);
}

/// Whether an aggregated role takes its rules in.
fn is_part_of_another(context: &Context<'_>, role: &RoleObject) -> bool {
    let selectors = context.policy.roles().filter_map(|other| other.aggregates.as_ref()).flatten();
    is_aggregated(role)
        || role.is_cluster_wide() && selectors.into_iter().any(|selector| selector.selects(&role.labels))
}

/// A role of the repo that its bindings alone decide about. Returns whether the log tells what is used of it.
fn of_role(
    judge: &Judge<'_>,
    role: &RoleObject,
    bindings: &[&BindingObject],
    found: &mut RepoFindings,
) -> bool {
    let (mut needs, silent) = match needs_of_role(judge, role, bindings) {
        Ok(Some(told)) => told,
        Ok(None) => return false,
        Err(finding) => {
            judge.context.place(&RULE, &role.object, judge.dated(*finding), found);
            return false;
        }
    };
    let kept = needs.keep_unseen(&role.rules);
    needs.settle_names(&role.rules);
    needs.fold();
    if scoped_roles::convert(judge, role, bindings, &needs, &kept, found) {
        return true;
    }
    let (joined, known) = (needs.joined(), &judge.context.access.resources);
    let wanted = minimal::all(&role.rules, &joined, known);
    if wanted == role.rules {
        return true;
    }
    let who = named(bindings.iter().flat_map(|binding| binding.bound()));
    let message = format!(
        "{} gives {who} more than the {} that used it {}",
        role_name(role),
        requests(needs.n_requests),
        judge.period()
    );
    let scopes = scopes(bindings);
    let before: Vec<_> = scopes.iter().flat_map(|scope| scoped(scope, &role.rules)).collect();
    let after: Vec<_> = scopes.iter().flat_map(|scope| scoped(scope, &wanted)).collect();
    let mut finding = Finding::new("/rules", message)
        .changes(minimal::changes(&role.rules, &joined, known))
        .safety(Safety::Review);
    finding = judge.explained(finding, &needs, &kept, &who, &before, &after);
    if !silent.is_empty() {
        finding =
            finding.note(format!("{} made no request at all: check that the log covers it", listed(&silent)));
    }
    judge.context.place(&RULE, &role.object, finding, found);
    true
}

/// What the bindings of a role used of it, and who of them made no request; nothing for what belongs to Kubernetes.
/// Fails with what to report when nothing was used, or when it cannot be told.
fn needs_of_role(
    judge: &Judge<'_>,
    role: &RoleObject,
    bindings: &[&BindingObject],
) -> Result<Option<(Needs, Vec<String>)>, Box<Finding>> {
    let manual = |message: String, reason: String| {
        let mut finding = Finding::new("/rules", message);
        finding.make_manual(reason);
        Box::new(finding)
    };
    let mut needs = Needs::default();
    let mut silent = Vec::new();
    for binding in bindings {
        match judge.needs(binding, &role.rules, &mut needs) {
            Verdict::Judged { silent: more } => silent.extend(more),
            Verdict::Nobody => silent.extend(binding.bound().iter().map(ToString::to_string)),
            Verdict::PassedOver => return Ok(None),
            Verdict::Manual(reason) => {
                return Err(manual(format!("what of {} is used cannot be told", role_name(role)), reason));
            }
        }
    }
    if needs.places.is_empty() {
        let who = named(bindings.iter().flat_map(|binding| binding.bound()));
        let message = format!("{} gives {who} rights that nobody used {}", role_name(role), judge.period());
        return Err(manual(message, "if the log covers the cluster they run in: unbind it".to_owned()));
    }
    Ok(Some((needs, silent)))
}

/// A binding to a role that is not to be edited.
fn of_binding(judge: &Judge<'_>, binding: &BindingObject, found: &mut RepoFindings) {
    let rules = judge.context.access.rules_of(binding, judge.context.policy).to_vec();
    if rules.is_empty() {
        return;
    }
    let mut needs = Needs::default();
    let who = named(binding.bound());
    let what = format!("{}/{}", binding.role_kind, binding.role_name);
    match judge.needs(binding, &rules, &mut needs) {
        Verdict::Judged { .. } => {}
        // Groups and people are bound to such roles on purpose.
        Verdict::PassedOver | Verdict::Manual(_) => return,
        Verdict::Nobody => {
            let message = format!(
                "{} gives {who} the rights of {what}, but there was no request {}",
                binding_name(binding),
                judge.period()
            );
            let mut finding = Finding::new("/roleRef/name", message);
            finding.make_manual("if the log covers the cluster it runs in: delete the binding");
            return judge.context.place(&RULE, &binding.object, judge.dated(finding), found);
        }
    }
    if needs.places.is_empty() {
        let message = format!(
            "{} gives {who} the rights of {what}, of which none was used {}",
            binding_name(binding),
            judge.period()
        );
        let mut finding = Finding::new("/roleRef/name", message);
        finding.make_manual("delete the binding");
        return judge.context.place(&RULE, &binding.object, judge.dated(finding), found);
    }
    let kept = needs.keep_unseen(&rules);
    needs.settle_names(&rules);
    needs.fold();
    rebind::to_own_roles(judge, binding, &rules, &needs, &kept, found);
}

fn requests(count: u64) -> String {
    match count {
        // A watch that went on beyond the log's end.
        0 | 1 => "one request".to_owned(),
        count => format!("{} requests", grouped(count)),
    }
}

/// `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn scopes(bindings: &[&BindingObject]) -> BTreeSet<Scope> {
    let of = |binding: &BindingObject| -> Vec<Scope> {
        if binding.is_cluster_wide() {
            vec![Scope::Cluster]
        } else {
            binding.places.iter().cloned().map(Scope::Namespace).collect()
        }
    };
    bindings.iter().flat_map(|binding| of(binding)).collect()
}

/// Tells objects apart.
type Key = (usize, usize, String);

fn key(object: &Object) -> Key {
    (object.file, object.document, object.pointer.to_string())
}

/// Rules that guess what an account needs: a log knows.
const GUESSING: [&str; 4] = [
    "role-grants-wildcard",
    "cluster-role-only-used-in-namespace",
    "cluster-role-binding-could-be-role-binding",
    "secrets-readable-in-bulk",
];

/// Takes back what other rules want of objects that this one changes, and what they guess of those it has judged.
fn decide_alone(judged: &BTreeSet<Key>, found: &mut RepoFindings) {
    let changed: BTreeSet<Key> = found
        .by_file
        .values()
        .flatten()
        .filter(|placed| placed.finding.rule.id == RULE.id && !placed.finding.changes.is_empty())
        .map(|placed| key(&placed.object))
        .collect();
    let is_overruled = |placed: &Placed| {
        let rule = placed.finding.rule;
        let of = key(&placed.object);
        rule.area == Area::Rbac
            && rule.id != RULE.id
            && !placed.finding.changes.is_empty()
            && (changed.contains(&of) || judged.contains(&of) && GUESSING.contains(&rule.id))
    };
    let overruled = found.by_file.values().flatten().filter(|placed| is_overruled(placed));
    let fixes: BTreeSet<String> = overruled.filter_map(|placed| placed.finding.together.clone()).collect();
    for placed in found.by_file.values_mut().flatten().chain(&mut found.new_files) {
        let is_part = placed.finding.together.as_ref().is_some_and(|fix| fixes.contains(fix));
        if is_part || is_overruled(placed) {
            placed.finding.together = None;
            placed.finding.make_manual(format!("the audit log decides: see `{}`", RULE.id));
        }
    }
}
