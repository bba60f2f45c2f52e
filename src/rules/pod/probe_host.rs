//! See the rule's own docs below.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::model::{Container, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A probe or lifecycle handler names the host it calls.
    ///
    /// ## Why
    /// The kubelet makes these calls from the node. A `host` sends it anywhere the node can reach, with the answer
    /// visible in the pod's status: to services on the node's loopback, to cloud metadata, to other networks.
    /// Without it the kubelet calls the pod's own address.
    ///
    /// ## Fix
    /// Removes `host`. A name that was meant as a virtual host of an HTTP server becomes the `Host` header instead.
    /// On pods that share the network of their node a loopback address is left to a person: it is their own.
    /// Baseline asks for this from version 1.34 on.
    ///
    /// ## What could break
    /// A probe of something else than the pod itself, or of a process that listens on loopback only.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `hostProbesAndHostLifecycle`: k8s.io/pod-security-admission, `policy/check_hostProbesAndhostLifecycle.go`
    /// - KEP-4940: <https://github.com/kubernetes/enhancements/issues/4940>
    {
        id: "probe-host",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "hostProbesAndHostLifecycle")),
        known_as: &[],
        check: Check::Workload(check),
    }
}

const HANDLERS: [&str; 5] =
    ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    if workload.settings.version < pss::Version::Minor(34) {
        return;
    }
    for pod in &workload.pods {
        for container in &pod.containers {
            for handler in HANDLERS {
                let Some(handlers) = container.value.pointer(handler).and_then(Value::as_object) else {
                    continue;
                };
                for action in ["httpGet", "tcpSocket"] {
                    let Some(value) = handlers.get(action) else { continue };
                    if let Some(host) = value["host"].as_str().filter(|host| !host.is_empty()) {
                        let at = format!("{handler}/{action}");
                        findings.push(finding(workload, pod, container, &at, value, host));
                    }
                }
            }
        }
    }
}

fn finding(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    at: &str,
    action: &Value,
    host: &str,
) -> Finding {
    let pointer = format!("{}{at}/host", container.pointer);
    let handler = at.split('/').nth_back(1).unwrap_or_default();
    let message = format!("`{handler}` of {} calls the host `{host}`", workload.container(container));
    let finding = Finding::new(pointer.clone(), message).container(container);
    if pod.spec["hostNetwork"] == true && is_loopback(host) {
        return finding.note("the pod shares the network of its node: let the process listen on the node's address, or probe with `exec`");
    }
    let finding = finding.change(Change::remove(pointer)).safety(Safety::Review);
    if is_loopback(host) {
        return finding
            .note("the kubelet called the node's loopback: the process must listen on the pod's address");
    }
    if at.ends_with("httpGet") && is_virtual_host(host) && !has_host_header(action) {
        let headers = format!("{}{at}/httpHeaders", container.pointer);
        return finding
            .change(Change::append(headers, json!({"name": "Host", "value": host})))
            .note(format!("`{host}` looks like a virtual host: it moves to the `Host` header, and the pod itself is called"));
    }
    finding.note("the kubelet will call the pod itself: find out whether it was meant to call something else")
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_virtual_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
        && host.contains(|c: char| c.is_ascii_alphabetic())
        && !host.contains([':', '$', '{'])
}

fn has_host_header(action: &Value) -> bool {
    let headers = action["httpHeaders"].as_array().into_iter().flatten();
    headers.filter_map(|header| header["name"].as_str()).any(|name| name.eq_ignore_ascii_case("host"))
}
