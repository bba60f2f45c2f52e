//! See the rule's own docs below.

use super::*;
use crate::rbac::subject::{ACCOUNTS, ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED};
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A binding gives rights to everybody, or to people without any credentials.
    ///
    /// ## Why
    /// `system:anonymous` and `system:unauthenticated` are whoever reaches the API server. `system:authenticated` is
    /// every user and every pod; `system:serviceaccounts` is every pod, now and later. `system:masters` has everything
    /// without a binding, and keeps it when the binding is long gone.
    ///
    /// ## Fix
    /// Takes `system:anonymous`, `system:unauthenticated` and `system:masters` out of the subjects; a binding that then
    /// has none gives nothing and can be deleted. Bindings to the other groups are reported: bind the accounts that need
    /// it. What every server binds to everybody (discovery, version, health) is passed over.
    ///
    /// ## What could break
    /// Clients without credentials: probes of load balancers, `kubeadm join`, dashboards that rely on it.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#hardening>
    {
        id: "everyone-bound",
        area: Area::Rbac,
        severity: Severity::Critical,
        pss: None,
        known_as: &[
            ("CIS", "5.1.7"),
            ("kubescape", "C-0262, C-0265, C-0246"),
            ("trivy", "KSV-0122, KSV-01011, KSV-0123"),
            ("gatekeeper", "disallowanonymous"),
        ],
        check: Check::Repo,
    }
}

/// What every server gives to everybody, and kubeadm's way for new nodes to find the cluster.
const HARMLESS: [&str; 5] = [
    "system:basic-user",
    "system:discovery",
    "system:public-info-viewer",
    "system:service-account-issuer-discovery",
    "kubeadm:bootstrap-signer-clusterinfo",
];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let bindings = &context.access.bindings;
    for binding in bindings.iter().filter(|binding| !HARMLESS.contains(&binding.role_name.as_str())) {
        let gone: Vec<usize> = binding
            .subjects
            .iter()
            .filter(|subject| is_nobody(&subject.kind, &subject.name))
            .map(|subject| subject.index)
            .collect();
        if !gone.is_empty() {
            let finding = removal(context, binding, &gone);
            context.place(&RULE, &binding.object, finding, found);
        }
        for subject in &binding.subjects {
            if let Some(whom) = everybody(&subject.kind, &subject.name) {
                let finding = report(context, binding, subject.index, &subject.name, &whom);
                context.place(&RULE, &binding.object, finding, found);
            }
        }
    }
}

/// Subjects that no binding should name.
fn is_nobody(kind: &str, name: &str) -> bool {
    match kind {
        "User" => name == ANONYMOUS,
        "Group" => name == UNAUTHENTICATED || name == MASTERS,
        _ => false,
    }
}

/// Whom a group of everybody stands for.
fn everybody(kind: &str, name: &str) -> Option<String> {
    match (kind, name.strip_prefix(ACCOUNTS)) {
        ("Group", _) if name == AUTHENTICATED => Some("every user and every pod of the cluster".to_owned()),
        ("Group", Some("")) => Some("every pod of the cluster".to_owned()),
        ("Group", Some(rest)) => Some(format!("every pod of namespace {}", rest.trim_start_matches(':'))),
        _ => None,
    }
}

fn removal(context: &Context<'_>, binding: &BindingObject, gone: &[usize]) -> Finding {
    let names: Vec<String> = binding
        .subjects
        .iter()
        .filter(|subject| gone.contains(&subject.index))
        .map(|subject| format!("{} {}", subject.kind, subject.name))
        .collect();
    let message = format!("{} gives {} to {}", binding_name(binding), what(binding), listed(&names));
    let mut finding = Finding::new(format!("/subjects/{}", gone[0]), message);
    if gone.len() == binding.subjects.len() {
        finding = finding
            .change(Change::set("/subjects", serde_json::json!([])))
            .note("the binding gives nothing any more: delete it when nothing else needs the object");
    } else {
        // From the end, so that no removal moves what is still to go.
        finding =
            finding.changes(gone.iter().rev().map(|index| Change::remove(format!("/subjects/{index}"))));
    }
    let rules = context.access.rules_of(binding, context.policy);
    let scope = match binding.places.first() {
        Some(place) => Scope::Namespace(place.clone()),
        None => Scope::Cluster,
    };
    let only_masters = names.iter().all(|name| name.ends_with(MASTERS));
    if only_masters {
        // Members of the group bypass RBAC: <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>.
        return finding.severe(Severity::Medium).safety(Safety::Safe).evidence(
            "system:masters may do everything without any binding, so nobody loses anything by this",
        );
    }
    let losses = context.losses(&scoped(&scope, rules), &[]);
    with_losses(finding.safety(Safety::Review), &names.join(", "), &losses)
}

fn report(context: &Context<'_>, binding: &BindingObject, index: usize, name: &str, whom: &str) -> Finding {
    let message = format!("{} gives {} to {whom} (Group {name})", binding_name(binding), what(binding));
    let mut finding = Finding::new(format!("/subjects/{index}/name"), message)
        .note("bind the accounts that need it instead, and take the group out afterwards");
    if name.starts_with("system:serviceaccounts:") {
        finding = finding.severe(Severity::Medium);
    }
    let rules = context.access.rules_of(binding, context.policy);
    let reads_only = |rule: &PolicyRule| {
        rule.verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str()))
            && !rule.has_resource("secrets", "")
    };
    if !rules.is_empty() && rules.iter().all(reads_only) {
        finding = finding.severe(Severity::Medium);
    }
    finding
}

fn what(binding: &BindingObject) -> String {
    format!("the rights of {}/{}", binding.role_kind, binding.role_name)
}
