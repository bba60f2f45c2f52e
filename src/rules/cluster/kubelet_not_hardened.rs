//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A kubelet's configuration leaves out hardening that costs nothing to most nodes.
    ///
    /// ## Why
    /// Certificates that do not change are good for years once stolen. Without `seccompDefault` containers that ask for
    /// nothing may make every system call. A kubelet that changes kernel settings by itself hides that they are wrong.
    ///
    /// ## Fix
    /// In a `KubeletConfiguration`: `rotateCertificates: true`, `protectKernelDefaults: true`, `seccompDefault: true` (from
    /// 1.27 on), `tlsMinVersion` of at least 1.2, and `makeIPTablesUtilChains: true` where it was turned off. Not asked for:
    /// `serverTLSBootstrap`, which needs somebody who approves the requests.
    ///
    /// ## What could break
    /// `protectKernelDefaults`: a kubelet does not start on nodes whose sysctls (`vm.overcommit_memory=1`,
    /// `vm.panic_on_oom=0`, `kernel.panic=10`, `kernel.panic_on_oops=1`, `kernel.keys.root_maxkeys=1000000`,
    /// `kernel.keys.root_maxbytes=25000000`) are not as it needs them: set them first. `seccompDefault`: programs that make
    /// system calls outside the runtime's profile (io_uring, some debuggers, old JVM profilers).
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>
    /// - <https://kubernetes.io/docs/tutorials/security/seccomp/#enable-the-use-of-runtimedefault-as-the-default-seccomp-profile-for-all-workloads>
    {
        id: "kubelet-not-hardened",
        area: Area::Cluster,
        severity: Severity::Medium,
        pss: None,
        known_as: &[
            ("CIS", "4.2.6, 4.2.10, 4.2.11, 4.2.12, 4.2.14"),
            ("kubescape", "C-0177, C-0178, C-0181, C-0182, C-0183"),
            ("checkov", "CKV_K8S_144, CKV_K8S_145, CKV_K8S_149"),
            ("trivy", "KCV-0083, KCV-0084, KCV-0090"),
        ],
        check: Check::Repo,
    }
}

/// Field, value, the version it is stable since, and whether a field that is not there has another value.
const WANTED: [(&str, bool, u16, bool); 4] = [
    ("rotateCertificates", true, 19, true),
    ("protectKernelDefaults", true, 1, true),
    ("seccompDefault", true, 27, true),
    ("makeIPTablesUtilChains", true, 1, false),
];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let target = context.settings.config.target_version;
    for part in context.parts.iter().filter(|part| part.is("KubeletConfiguration")) {
        for (field, right, since, is_off_by_default) in WANTED {
            let written = part.value.get(field).and_then(Value::as_bool);
            // kubeadm fills this in: cmd/kubeadm/app/componentconfigs/kubelet.go.
            let by_kubeadm =
                field == "rotateCertificates" && written.is_none() && beside_kubeadm(context, part);
            let is_right = written.map_or(!is_off_by_default || by_kubeadm, |written| written == right);
            if is_right || target.minor < since {
                continue;
            }
            let pointer = format!("/{field}");
            let mut finding =
                Finding::new(part.pointer(&pointer), format!("the kubelet lacks `{field}: {right}`"))
                    .change(part.wrap(Change::set(pointer, json!(right))))
                    .safety(Safety::Review)
                    .note("takes effect with a restart of the kubelet on each node");
            if field == "protectKernelDefaults" {
                finding = finding.note(
                    "set the sysctls first on each node, or the kubelet does not start: `caseharden explain \
                     kubelet-not-hardened` lists them",
                );
            }
            context.place(&RULE, &part.object, finding, found);
        }
        let minimum = part.value["tlsMinVersion"].as_str();
        if let Some(old) = minimum.filter(|version| matches!(*version, "VersionTLS10" | "VersionTLS11")) {
            let finding = Finding::new(part.pointer("/tlsMinVersion"), format!("the kubelet accepts {old}"))
                .change(part.wrap(Change::set("/tlsMinVersion", "VersionTLS12")))
                .safety(Safety::Review);
            context.place(&RULE, &part.object, finding, found);
        }
    }
}

/// Whether kubeadm hands the configuration out: it is in a file or string next to kubeadm's own.
fn beside_kubeadm(context: &Context<'_>, part: &Part) -> bool {
    context.planes.iter().any(|plane| {
        plane.object.file == part.object.file && matches!(plane.dialect, Dialect::Kubeadm | Dialect::Kind)
    })
}
