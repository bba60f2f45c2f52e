//! See the rule's own docs below.

use serde_json::Value;

use super::volume;
use crate::model::Pod;
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod mounts a directory of its node.
    ///
    /// ## Why
    /// Whoever writes to the node's files owns the node, and most of what can be read there (credentials of the
    /// kubelet, logs and volumes of other pods) is not the pod's either. The socket of a container runtime is worth as
    /// much as root on the node. Baseline forbids `hostPath` even where it is mounted read-only.
    ///
    /// ## Fix
    /// Replace it by a `configMap`, an `emptyDir`, a PersistentVolumeClaim or a CSI driver; only a person can. Where
    /// reading plainly is enough (`/proc`, `/sys`, `/usr`, most of `/etc`, logs) `readOnly: true` is proposed for the
    /// mounts as a first step: the pod stays below baseline.
    ///
    /// ## What could break
    /// Node agents that really manage the node; with `readOnly`, programs that keep state beside what they read, such as
    /// the position files of log collectors.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `hostPathVolumes`: k8s.io/pod-security-admission, `policy/check_hostPathVolumes.go`
    /// - hostPath: <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>
    {
        id: "host-path-volume",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Baseline, "hostPathVolumes")),
        known_as: &[
            ("CIS", "5.2.11"),
            ("kube-linter", "sensitive-host-mounts, writable-host-mount, docker-sock"),
            ("kubescape", "C-0048, C-0045, C-0074"),
            ("polaris", "hostPathSet"),
            ("checkov", "CKV_K8S_27"),
            ("trivy", "KSV-0023, KSV-0006"),
            ("kubeaudit", "SensitivePathsMounted"),
        ],
        check: Check::Workload(check),
    }
}

const RUNTIME_SOCKETS: [&str; 5] =
    ["docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock", "podman.sock"];

/// Directories that programs read and do not write.
const READ_ONLY: [&str; 9] = [
    "/proc",
    "/sys",
    "/etc",
    "/usr",
    "/lib/modules",
    "/boot",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/journal",
];

/// Parts of them that node agents do write.
const WRITTEN: [&str; 12] = [
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/kernel",
    "/etc/cni",
    "/etc/containerd",
    "/etc/crio",
    "/etc/docker",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/systemd",
    "/usr/libexec/kubernetes",
    "/usr/local",
];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in &workload.pods {
        for (idx, value) in volume::all(pod) {
            if !volume::has_source(value, "hostPath") {
                continue;
            }
            let place = volume::pointer(workload, pod, idx);
            let finding = finding(workload, pod, &format!("{place}/hostPath"), value);
            let same = |other: &Finding| other.message == finding.message && other.pointer == finding.pointer;
            match findings.iter_mut().find(|other| same(other)) {
                // Pods of one object may share its volumes, and each mounts them in its own containers.
                Some(other) if finding.safety == Safety::Review => {
                    other.safety = Safety::Review;
                    other.changes.extend(finding.changes);
                }
                Some(_) => {}
                None => findings.push(finding),
            }
        }
    }
}

fn finding(workload: &Workload<'_>, pod: &Pod<'_>, pointer: &str, value: &Value) -> Finding {
    let path = value["hostPath"]["path"].as_str().unwrap_or_default();
    let subject = volume::named(workload, value);
    if is_runtime_socket(path) {
        let message = format!(
            "{subject} is the node's container runtime (`{path}`): critical, whoever reaches it is root on the node"
        );
        return Finding::new(pointer, message)
            .note("an API of Kubernetes, or a builder without a runtime socket, replaces it in most cases");
    }
    let message = format!("{subject} is `{path}` of the node, which baseline forbids even read-only");
    let finding = Finding::new(pointer, message);
    let changes = read_only_mounts(pod, value, path);
    if changes.is_empty() {
        return finding
            .note("find out whether a configMap, an emptyDir, a claim or a CSI driver can replace it");
    }
    let finding = finding.changes(changes).safety(Safety::Review).note(
        "mounting it read-only is a first step: the pod stays below baseline until the volume is replaced",
    );
    if path.starts_with("/var/log") {
        return finding.note("a log collector that keeps its positions there must put them elsewhere");
    }
    finding
}

fn is_runtime_socket(path: &str) -> bool {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    RUNTIME_SOCKETS.contains(&name)
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn reading_suffices(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    (path == "/var/log" || READ_ONLY.iter().any(|parent| is_below(path, parent)))
        && !WRITTEN.iter().any(|parent| is_below(path, parent))
        && !path.contains("..")
}

/// `readOnly: true` for the mounts of the volume that lack it.
fn read_only_mounts(pod: &Pod<'_>, value: &Value, path: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    if !reading_suffices(path) {
        return changes;
    }
    for container in
        pod.containers.iter().filter(|container| !container.is_privileged() && !container.is_merged())
    {
        for (idx, mount) in volume::mounts(container) {
            let two_way = mount["mountPropagation"] == "Bidirectional";
            if mount["name"] == value["name"]
                && mount["readOnly"] != true
                && !two_way
                && !keeps_positions(container.name)
            {
                changes.push(Change::set(format!("{}/volumeMounts/{idx}/readOnly", container.pointer), true));
            }
        }
    }
    changes
}

/// Collectors that keep position files in the directory of the logs unless told otherwise.
fn keeps_positions(container: &str) -> bool {
    ["fluentd", "fluent-bit", "fluentbit", "td-agent"].iter().any(|collector| container.contains(collector))
}
