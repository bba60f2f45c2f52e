//! See the rule's own docs below.

use serde_json::{Value, json};

use super::volume;
use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A pod mounts storage that only an administrator should choose.
    ///
    /// ## Why
    /// Volumes such as `nfs`, `iscsi` or `azureFile` in a pod make the node's kernel a client of any server the author
    /// names, with credentials and mount options of their choice. Through a PersistentVolumeClaim an administrator
    /// decides that.
    ///
    /// ## Fix
    /// Move the definition to a PersistentVolume and mount it by claim. Only a person can: the volume and its claim are
    /// objects of their own. A volume without any source is no problem: the API server makes an `emptyDir` of it. Volumes
    /// of type `hostPath` have a rule of their own.
    ///
    /// ## What could break
    /// Nothing, once the claim is bound to the same storage.
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Check `restrictedVolumes`: k8s.io/pod-security-admission, `policy/check_restrictedVolumes.go`
    /// - The default source: kubernetes/kubernetes, `pkg/apis/core/v1/defaults.go`, `SetDefaults_Volume`
    {
        id: "restricted-volume-types",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Restricted, "restrictedVolumes")),
        known_as: &[("trivy", "KSV-0028, KSV-0121")],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    if workload.settings.level < pss::Level::Restricted {
        return;
    }
    for pod in &workload.pods {
        for (idx, value) in volume::all(pod) {
            if volume::has_source(value, "hostPath") || is_allowed(value, workload.settings.version) {
                continue;
            }
            let finding = finding(workload, &volume::pointer(workload, pod, idx), value);
            // Pods of one object may share its volumes.
            if !findings
                .iter()
                .any(|other| other.message == finding.message && other.pointer == finding.pointer)
            {
                findings.push(finding);
            }
        }
    }
}

/// The evaluator's own verdict: it has the list.
fn is_allowed(value: &Value, version: pss::Version) -> bool {
    let spec = json!({ "volumes": [value] });
    pss::allows(&pss::Pod::new(None, &spec).with_default_volumes(), pss::Level::Restricted, version)
}

fn finding(workload: &Workload<'_>, place: &str, value: &Value) -> Finding {
    let sources = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
    let source =
        sources.into_iter().find(|(_, source)| source.is_object()).map_or("unknown", |(source, _)| source);
    let message = format!("{} is of type `{source}`", volume::named(workload, value));
    Finding::new(format!("{place}/{source}"), message)
        .note("move it to a PersistentVolume and mount that by claim")
}
