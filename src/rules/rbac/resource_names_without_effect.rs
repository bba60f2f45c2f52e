//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A rule limits verbs by name that name no object.
    ///
    /// ## Why
    /// A request to create has no name yet when it is judged, and `deletecollection` never has one: with
    /// `resourceNames` the rule allows neither. `list` and `watch` are allowed only to clients that ask with the field
    /// selector `metadata.name=`. People then find the program broken and give it everything.
    ///
    /// ## Fix
    /// Nothing is changed: what is meant would be more than the rule allows today. Keep the names for `get`, `update`,
    /// `patch` and `delete`, and decide about a second rule without names for the rest: it is about all objects of the
    /// kind.
    ///
    /// ## What could break
    /// Nothing.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>
    {
        id: "resource-names-without-effect",
        area: Area::Rbac,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for role in context.access.roles.iter().filter(|role| role.aggregates.is_none()) {
        for (at, rule) in role.rules.iter().enumerate().filter(|(_, rule)| !rule.resource_names.is_empty()) {
            // The name of a subresource's object is in the request: `create` on `pods/exec` has one.
            let plain: Vec<String> =
                rule.resources.iter().filter(|name| !name.contains('/')).cloned().collect();
            let has = |verb: &&str| rule.verbs.iter().any(|own| own == verb);
            let never: Vec<&str> = ["create", "deletecollection"].into_iter().filter(has).collect();
            let sometimes: Vec<&str> = ["list", "watch"].into_iter().filter(has).collect();
            if plain.is_empty() || never.is_empty() && sometimes.is_empty() {
                continue;
            }
            let verbs = [never.clone(), sometimes.clone()].concat().join(", ");
            let message = format!(
                "{} limits {verbs} on {} to names they do not have",
                role_name(role),
                plain.join(", ")
            );
            let mut finding = Finding::new(format!("/rules/{at}/resourceNames"), message);
            if !never.is_empty() {
                finding = finding.note(format!(
                    "{} by this rule is always refused; a rule without names would allow it for all {}",
                    never.join(", "),
                    plain.join(", ")
                ));
            }
            if !sometimes.is_empty() {
                finding = finding.note(format!("{} works only with the field selector metadata.name=; a rule without names would show all {}", sometimes.join(", "), plain.join(", ")));
            }
            context.place(&RULE, &role.object, finding, found);
        }
    }
}
