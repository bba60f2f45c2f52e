//! See the rule's own docs below.

use super::*;
use crate::rbac::access::{AccountUser, DEFAULT_ACCOUNT};
use crate::rules::{Area, Check, NewFile, Severity};

crate::rules::rule! {
    /// A binding gives rights to the `default` account of a namespace.
    ///
    /// ## Why
    /// Every pod that names no account of its own runs as `default`: each of them gets the rights, now and later, and
    /// nobody can tell which one needs them.
    ///
    /// ## Fix
    /// Where one workload of the repo runs as that account: adds an account of its own, has the workload run as it, and
    /// points the binding there. All of it or nothing. Reported only when several workloads run as the account (who needs
    /// the rights is not written anywhere), when none does, or when the account carries pull secrets or a cloud identity.
    ///
    /// ## What could break
    /// Pods that are not in this repo and rely on the rights of `default`. The workload's pods are replaced.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts>
    {
        id: "default-account-bound",
        area: Area::Rbac,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "5.1.5"),
            ("kube-linter", "default-service-account"),
            ("kubescape", "C-0189, C-0225"),
            ("checkov", "CKV_K8S_42"),
        ],
        check: Check::Repo,
    }
}

/// A binding's subject that is the `default` account.
struct Bound<'a> {
    binding: &'a BindingObject,
    index: usize,
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let accounts: BTreeSet<&Subject> =
        context.access.bindings.iter().flat_map(BindingObject::bound).filter(|s| is_default(s)).collect();
    for account in accounts {
        let bound: Vec<Bound<'_>> = context
            .access
            .bindings
            .iter()
            .flat_map(|binding| binding.subjects.iter().map(move |subject| (binding, subject)))
            .filter(|(_, subject)| subject.is.iter().any(|(_, is)| is == account))
            .map(|(binding, subject)| Bound { binding, index: subject.index })
            .collect();
        match plan(context, account, &bound) {
            Ok(user) => repoint(context, account, &bound, user, found),
            Err(reason) => {
                for Bound { binding, index } in bound {
                    let mut finding = finding(account, binding, index);
                    finding.make_manual(reason.clone());
                    context.place(&RULE, &binding.object, finding, found);
                }
            }
        }
    }
}

fn is_default(subject: &Subject) -> bool {
    matches!(subject, Subject::ServiceAccount { name, .. } if name == DEFAULT_ACCOUNT)
}

fn finding(account: &Subject, binding: &BindingObject, index: usize) -> Finding {
    let message = format!(
        "{} gives the rights of {}/{} to {account}, which every pod without an account of its own runs as",
        binding_name(binding),
        binding.role_kind,
        binding.role_name
    );
    Finding::new(format!("/subjects/{index}/name"), message)
}

/// The one workload that the rights are for, or why none can be told.
fn plan<'a>(
    context: &'a Context<'_>,
    account: &'a Subject,
    bound: &[Bound<'_>],
) -> Result<&'a AccountUser, String> {
    let Subject::ServiceAccount { namespace, .. } = account else {
        return Err("it is no service account".to_owned());
    };
    let users: Vec<&AccountUser> = context.access.users_of(account).collect();
    let user = match users.as_slice() {
        [] => return Err("no workload of the repo runs as it: find out whose rights these are".to_owned()),
        [user] => *user,
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|user| format!("{}/{}", user.object.id.kind, user.object.id.name))
                .collect();
            return Err(format!(
                "{} run as it: give an account of its own to the one that calls the API",
                listed(&names)
            ));
        }
    };
    let carried = context
        .access
        .accounts
        .iter()
        .find(|object| *object.object.id.name == *DEFAULT_ACCOUNT && object.places.contains(namespace))
        .and_then(|object| object.carries);
    if let Some(what) = carried {
        return Err(format!("the account carries {what}, which one of its own would lack"));
    }
    if user.pod_spec.is_none() {
        return Err("how its pods get an account of their own is for its operator to say".to_owned());
    }
    if user.namespaces.len() > 1 || user.object.id.name.ends_with('*') {
        return Err("the workload lands in several namespaces".to_owned());
    }
    let name = &user.object.id.name;
    if context.access.is_defined(namespace, name) {
        return Err(format!("there is an account called {name} already: check whether it is the one to use"));
    }
    if bound.iter().any(|bound| bound.binding.subjects[bound_at(bound)].kind != "ServiceAccount") {
        return Err("the binding names the account as a user".to_owned());
    }
    let mut patches =
        context.model.builds.patches_on(&context.model.file(&user.object).path, &user.object.id);
    if let Some(patch) = patches.next() {
        return Err(format!("a patch changes the workload: {}", patch.path));
    }
    let edited = bound.iter().map(|bound| &bound.binding.object).chain([&user.object]);
    let against = edited.filter_map(|object| context.reason_against_edits(object)).next();
    match against.or_else(|| context.reason_against_listing(&user.object)) {
        Some(reason) => Err(reason),
        None => Ok(user),
    }
}

fn bound_at(bound: &Bound<'_>) -> usize {
    let subjects = &bound.binding.subjects;
    subjects.iter().position(|subject| subject.index == bound.index).unwrap_or_default()
}

/// Gives the workload an account of its own and points the bindings there.
fn repoint(
    context: &Context<'_>,
    account: &Subject,
    bound: &[Bound<'_>],
    user: &AccountUser,
    found: &mut RepoFindings,
) {
    let name = &*user.object.id.name;
    let fix = format!("default-account-bound {account} {name}");
    let own_namespace = user.object.id.namespace.as_deref();
    let rendered = context.settings.templates.service_account(own_namespace, name);
    let path = context.new_path(&user.object, name, found);
    let (Ok(rendered), Some(path)) = (rendered, path) else { return };
    for Bound { binding, index } in bound {
        let finding = finding(account, binding, *index)
            .change(Change::set(format!("/subjects/{index}/name"), name))
            .safety(Safety::Review)
            .evidence(format!("{} of the repo is the only one that runs as it", user_name(user)))
            .note("no pod outside of this repo may need the rights")
            .note(format!("{account} can no longer: anything that {} gave it", binding_name(binding)))
            .together(&fix);
        context.place(&RULE, &binding.object, finding, found);
    }
    let pointer = format!("{}/serviceAccountName", user.pod_spec.as_deref().unwrap_or_default());
    let message = format!("{} runs as {account}, which rights are bound to", user_name(user));
    let workload = Finding::new(pointer.clone(), message)
        .change(Change::set(pointer, name))
        .safety(Safety::Review)
        .together(&fix);
    context.place(&RULE, &user.object, workload, found);
    let message = format!("{} has no account of its own", user_name(user));
    let mut finding = Finding::new("", message).safety(Safety::Review).together(&fix);
    finding.rule = &RULE;
    finding.new_files.push(NewFile { path: path.clone(), text: rendered.text });
    found.new_files.push(Placed { object: user.object.clone(), finding, needs_file: None });
    context.list_new_file(&user.object, &path, &RULE, &fix, found);
}

fn user_name(user: &AccountUser) -> String {
    format!("{}/{}", user.object.id.kind, user.object.id.name)
}
