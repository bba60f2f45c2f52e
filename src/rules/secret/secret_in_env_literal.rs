//! See the rule's own docs below.

use crate::model::Container;
use crate::rules::{Area, Check, Finding, Severity, Workload};
use crate::secret::literal;

crate::rules::rule! {
    /// An environment variable holds a secret as plain text.
    ///
    /// ## Why
    /// Whoever can read the repo, or the workload in the cluster, has the secret. It stays in the history of the repo, in
    /// the audit log and in etcd, and every child process and crash report inherits it.
    ///
    /// ## Fix
    /// Replace the secret first: it has been seen. Then refer to a Secret (`valueFrom.secretKeyRef`, better a mounted
    /// file) that does not come from the repo in plain text: an external secret store, a sealed or SOPS-encrypted Secret.
    /// Nothing is changed by the tool, and the value is never printed.
    ///
    /// ## What could break
    /// The program, until the Secret exists in the namespace.
    ///
    /// ## Sources
    /// - Secrets good practices: <https://kubernetes.io/docs/concepts/security/secrets-good-practices/>
    /// - Defining environment variables with secret data: <https://kubernetes.io/docs/tasks/inject-data-application/distribute-credentials-secure/>
    {
        id: "secret-in-env-literal",
        area: Area::Secret,
        severity: Severity::Critical,
        pss: None,
        known_as: &[("kube-linter", "env-var-secret"), ("kubescape", "C-0012"), ("polaris", "sensitiveContainerEnvVar")],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        let variables = container.value["env"].as_array().into_iter().flatten().enumerate();
        for (idx, variable) in variables {
            let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) else {
                continue;
            };
            let Some(what) = literal(name, value) else { continue };
            findings.push(finding(workload, container, idx, name, what));
        }
    }
}

fn finding(
    workload: &Workload<'_>,
    container: &Container<'_>,
    idx: usize,
    name: &str,
    what: &str,
) -> Finding {
    let pointer = format!("{}/env/{idx}/value", container.pointer);
    let message = format!("variable `{name}` of {} holds {what}", workload.container(container));
    Finding::new(pointer, message)
        .container(container)
        .note("replace the secret where it comes from: its old value stays in the history of the repo")
}
