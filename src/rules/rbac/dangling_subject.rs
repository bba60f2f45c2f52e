//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A binding names an account that does not exist, or nobody at all.
    ///
    /// ## Why
    /// It gives nothing to anybody today. Whoever makes an account of that name later has its rights.
    ///
    /// ## Fix
    /// Nothing is changed: the account may be misspelt, gone, or made by something that is not in this repo. Accounts of
    /// namespaces that the repo puts no account into are taken for somebody else's and passed over.
    ///
    /// ## What could break
    /// Nothing.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review>
    {
        id: "dangling-subject",
        area: Area::Rbac,
        severity: Severity::Low,
        pss: None,
        known_as: &[("kube-linter", "non-existent-service-account"), ("kubescape", "C-0307")],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let known: BTreeSet<&String> =
        context.access.accounts.iter().flat_map(|account| &account.places).collect();
    for binding in &context.access.bindings {
        if binding.subjects.is_empty() {
            let message = format!("{} gives its rights to nobody", binding_name(binding));
            let finding =
                Finding::new("/subjects", message).note("delete it when nothing else needs the object");
            context.place(&RULE, &binding.object, finding, found);
        }
        for subject in &binding.subjects {
            let missing = subject.is.iter().find_map(|(_, is)| match is {
                Subject::ServiceAccount { namespace, name } => {
                    let missing = known.contains(namespace) && !context.access.is_defined(namespace, name);
                    missing.then_some((namespace, name))
                }
                _ => None,
            });
            let Some((namespace, name)) = missing else { continue };
            let message = format!(
                "{} names ServiceAccount {namespace}/{name}, which no manifest defines",
                binding_name(binding)
            );
            let mut finding = Finding::new(format!("/subjects/{}", subject.index), message);
            let elsewhere = context.access.accounts.iter().find(|account| *account.object.id.name == **name);
            finding = match elsewhere {
                Some(account) => {
                    finding.note(format!("there is one of that name in {}", listed(&account.places)))
                }
                None => finding.note("if something outside of this repo makes it, this is as it should be"),
            };
            context.place(&RULE, &binding.object, finding, found);
        }
    }
}
