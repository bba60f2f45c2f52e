//! See the rule's own docs below.

use crate::rules::{Area, Check, Finding, Severity, Workload};
use crate::secret::argument;

crate::rules::rule! {
    /// A command line holds a secret as plain text.
    ///
    /// ## Why
    /// Whoever can read the repo, or the workload in the cluster, has the secret; so has every program on the node that
    /// lists processes.
    ///
    /// ## Fix
    /// Replace the secret first: it has been seen. Then have the program read it from a file or an environment variable
    /// that comes from a Secret; `$(NAME)` in an argument stands for a variable of the container. Nothing is changed by the
    /// tool, and the value is never printed.
    ///
    /// ## What could break
    /// The program, until the Secret exists in the namespace.
    ///
    /// ## Sources
    /// - Secrets good practices: <https://kubernetes.io/docs/concepts/security/secrets-good-practices/>
    /// - Variables in arguments: <https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/>
    {
        id: "secret-in-arguments",
        area: Area::Secret,
        severity: Severity::Critical,
        pss: None,
        known_as: &[],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        for list in ["command", "args"] {
            let items = container.value[list].as_array().into_iter().flatten();
            let items: Vec<&str> = items.map(|item| item.as_str().unwrap_or_default()).collect();
            for found in argument(&items) {
                let of = workload.container(container);
                let message = match found.name {
                    Some(name) => format!("argument `{name}` of {of} holds {}", found.what),
                    None => format!("an argument of {of} holds {}", found.what),
                };
                let pointer = format!("{}/{list}/{}", container.pointer, found.index);
                let note =
                    "replace the secret where it comes from: its old value stays in the history of the repo";
                findings.push(Finding::new(pointer, message).container(container).note(note));
            }
        }
    }
}
