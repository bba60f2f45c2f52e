//! See the rule's own docs below.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::*;
use crate::rbac::escalation::{Opened, Reach, Way, is_everything, opened};
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// An account can get more rights than it has been given.
    ///
    /// ## Why
    /// Some permissions are worth more than they say: whoever may create pods may run them as any account of the
    /// namespace; whoever may read `nodes/proxy` may run commands in every pod. A break-in does not end at the rights
    /// that are written down.
    ///
    /// ## Fix
    /// Nothing is changed: controllers are made for some of this. The message says what leads where. Take the permission
    /// away, name the objects it is for (`resourceNames` works for `bind`, `impersonate`, `get`, `update`, `patch`,
    /// `delete`), or bind it in one namespace. For `nodes/proxy` there are `nodes/metrics`, `nodes/stats`, `nodes/log`,
    /// and from Kubernetes 1.33 on `nodes/healthz`, `nodes/pods` and `nodes/configz`. Only roles that are bound count;
    /// accounts of system namespaces are passed over.
    ///
    /// ## What could break
    /// What the program does with the permission.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks>
    {
        id: "escalation-path",
        area: Area::Rbac,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "5.1.4, 5.1.8, 5.1.9, 5.1.10, 5.1.11, 5.1.12, 5.1.13"),
            ("kube-linter", "access-to-create-pods"),
            ("kubescape", "C-0188, C-0191, C-0065, C-0002, C-0063, C-0278, C-0279, C-0280, C-0281, C-0282"),
            ("checkov", "CKV_K8S_155, CKV_K8S_156, CKV_K8S_157, CKV_K8S_158"),
            ("trivy", "KSV-0043, KSV-0047, KSV-0048, KSV-0050, KSV-0053, KSV-0054, KSV-0114"),
        ],
        check: Check::Repo,
    }
}

/// A way, with the rule that opens it widest, and the others.
struct Path {
    at: usize,
    opened: Opened,
    /// Resources and names by the verbs they have.
    permissions: BTreeMap<(Vec<String>, Vec<String>), BTreeSet<&'static str>>,
}

impl Path {
    /// `create, patch on jobs, pods; get on pods/exec called a`.
    fn permission(&self) -> String {
        let of_verbs = self.permissions.iter().map(|((verbs, names), resources)| {
            let resources: Vec<&str> = resources.iter().copied().collect();
            let called = if names.is_empty() { String::new() } else { format!(" called {}", listed(names)) };
            format!("{} on {}{called}", verbs.join(", "), resources.join(", "))
        });
        of_verbs.collect::<Vec<_>>().join("; ")
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let roles = context.access.roles.par_iter().enumerate();
    let of_roles: Vec<Vec<Finding>> = roles.map(|(idx, role)| of_role(context, idx, role)).collect();
    for (role, findings) in context.access.roles.iter().zip(of_roles) {
        for finding in findings {
            context.place(&RULE, &role.object, finding, found);
        }
    }
    of_built_in(context, found);
}

fn of_role(context: &Context<'_>, idx: usize, role: &RoleObject) -> Vec<Finding> {
    let holders = context.holders(idx);
    let Some((scope, _)) = holders.first() else { return Vec::new() };
    // Cluster-wide comes first, and tells the most.
    let rules = match role.aggregates {
        Some(_) => context
            .access
            .bindings_of(idx)
            .next()
            .map(|binding| context.access.rules_of(binding, context.policy)),
        None => Some(role.rules.as_slice()),
    };
    let mut paths = paths(rules.unwrap_or_default(), scope);
    paths.retain(|path| !is_own_token(path, &holders));
    let pointer = |at: usize| if role.aggregates.is_some() { String::new() } else { format!("/rules/{at}") };
    findings(paths, &role_name(role), scope, &holders, &pointer)
}

/// Bindings of roles that every server has.
fn of_built_in(context: &Context<'_>, found: &mut RepoFindings) {
    for binding in &context.access.bindings {
        let is_told_elsewhere = binding.role_name == "cluster-admin";
        if !matches!(binding.role, RoleSource::BuiltIn(_)) || is_told_elsewhere {
            continue;
        }
        let holders: BTreeSet<(Scope, &Subject)> = binding
            .subjects
            .iter()
            .flat_map(|subject| &subject.is)
            .filter(|(_, subject)| !context.is_system(subject))
            .map(|(place, subject)| {
                let cluster = binding.is_cluster_wide();
                (if cluster { Scope::Cluster } else { Scope::Namespace(place.clone()) }, subject)
            })
            .collect();
        let Some((scope, _)) = holders.first() else { continue };
        let role = format!("{}/{}", binding.role_kind, binding.role_name);
        let rules = context.access.rules_of(binding, context.policy);
        // What a built-in role opens is known: the widest way says enough about the binding.
        let mut paths = paths(rules, scope);
        paths.retain(|path| path.opened.reach >= Reach::Some);
        paths.iter_mut().for_each(|path| path.at = 0);
        let pointer = |_: usize| "/roleRef/name".to_owned();
        if let Some(finding) = joined(paths, &role, scope, &holders, &pointer) {
            context.place(&RULE, &binding.object, finding, found);
        }
    }
}

/// One rule that opens more ways than these is told once: it is the rule that is too wide.
const MOST_WAYS_OF_A_RULE: usize = 3;

/// A finding for each way, or for each rule that opens many.
fn findings(
    paths: Vec<Path>,
    role: &str,
    scope: &Scope,
    holders: &BTreeSet<(Scope, &Subject)>,
    pointer: &dyn Fn(usize) -> String,
) -> Vec<Finding> {
    let mut by_rule: BTreeMap<usize, Vec<Path>> = BTreeMap::new();
    for path in paths {
        by_rule.entry(path.at).or_default().push(path);
    }
    let mut findings = Vec::new();
    for paths in by_rule.into_values() {
        if paths.len() > MOST_WAYS_OF_A_RULE {
            findings.extend(joined(paths, role, scope, holders, pointer));
        } else {
            let each = paths.iter().map(|path| finding(path, pointer(path.at), role, scope, holders));
            findings.extend(each);
        }
    }
    findings
}

/// The widest way, with the others as notes.
fn joined(
    paths: Vec<Path>,
    role: &str,
    scope: &Scope,
    holders: &BTreeSet<(Scope, &Subject)>,
    pointer: &dyn Fn(usize) -> String,
) -> Option<Finding> {
    let widest =
        paths.iter().enumerate().max_by_key(|(idx, path)| (path.opened.reach, std::cmp::Reverse(*idx)));
    let (first, widest) = widest?;
    let mut finding = finding(widest, pointer(widest.at), role, scope, holders);
    for (_, path) in paths.iter().enumerate().filter(|(idx, _)| *idx != first) {
        finding = finding.note(format!("it can also {}: {}", path.opened.way.leads_to, path.permission()));
    }
    Some(finding)
}

/// A program may ask for tokens of the account it runs as: it has them anyway.
fn is_own_token(path: &Path, holders: &BTreeSet<(Scope, &Subject)>) -> bool {
    let owns = |(scope, subject): &(Scope, &Subject)| match subject {
        Subject::ServiceAccount { namespace, name } => {
            *scope == Scope::Namespace(namespace.clone()) && path.opened.names.iter().all(|own| own == name)
        }
        _ => false,
    };
    path.opened.resources == ["serviceaccounts/token"]
        && !path.opened.names.is_empty()
        && holders.iter().all(owns)
}

/// The ways that rules open, each once.
fn paths(rules: &[PolicyRule], scope: &Scope) -> Vec<Path> {
    // In the order of the list of ways, which is that of its addresses.
    let mut by_way: BTreeMap<*const Way, Path> = BTreeMap::new();
    // A rule that allows everything is told as that.
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| !is_everything(rule)) {
        for opened in opened(rule, scope) {
            let path = by_way.entry(std::ptr::from_ref(opened.way)).or_insert_with(|| Path {
                at,
                opened: opened.clone(),
                permissions: BTreeMap::new(),
            });
            let verbs = (opened.verbs.clone(), opened.names.clone());
            path.permissions.entry(verbs).or_default().extend(&opened.resources);
            if opened.reach > path.opened.reach {
                (path.at, path.opened) = (at, opened);
            }
        }
    }
    by_way.into_values().collect()
}

fn finding(
    path: &Path,
    pointer: String,
    role: &str,
    scope: &Scope,
    holders: &BTreeSet<(Scope, &Subject)>,
) -> Finding {
    let message = format!(
        "{role} lets {} {} ({} {})",
        named(holders.iter().map(|(_, subject)| *subject)),
        path.opened.way.leads_to,
        path.permission(),
        in_scope(scope),
    );
    Finding::new(pointer, message).severe(match path.opened.reach {
        Reach::Everything => Severity::Critical,
        Reach::Much => Severity::High,
        Reach::Some => Severity::Medium,
        Reach::Little => Severity::Low,
    })
}
