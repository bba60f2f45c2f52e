//! See the rule's own docs below.

use serde_json::Value;

use crate::model::{Container, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container takes a port of its node.
    ///
    /// ## Why
    /// A host port is open on every address of the node, past Services, load balancers and, with many network
    /// plugins, NetworkPolicies. It also ties the pod to nodes where the port is free.
    ///
    /// ## Fix
    /// Removes `hostPort` (and the `hostIP` that goes with it). A pod on the network of its node is left to a
    /// person: there the port is the node's with or without the field.
    ///
    /// ## What could break
    /// Clients that call the node's address. A Service (`NodePort`, `LoadBalancer`) or an ingress has to take over.
    /// Ingress controllers and node agents are often meant to be reached that way.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `hostPorts`: k8s.io/pod-security-admission, `policy/check_hostPorts.go`
    /// - Configuration best practices: <https://kubernetes.io/docs/concepts/configuration/overview/#services>
    {
        id: "host-port",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "hostPorts")),
        known_as: &[
            ("CIS", "5.2.12"),
            ("kubescape", "C-0044"),
            ("polaris", "hostPortSet"),
            ("checkov", "CKV_K8S_26"),
            ("trivy", "KSV-0024"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in &workload.pods {
        for container in &pod.containers {
            let ports = container.value["ports"].as_array().into_iter().flatten().enumerate();
            for (idx, port) in ports {
                if let Some(host_port) = taken(&port["hostPort"]) {
                    findings.push(finding(workload, pod, container, idx, port, &host_port));
                }
            }
        }
    }
}

/// The port as it is written; 0 is the same as none. Other types than numbers are refused by the API server.
fn taken(host_port: &Value) -> Option<String> {
    host_port.as_f64().filter(|port| *port != 0.0).map(|_| host_port.to_string())
}

fn finding(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    idx: usize,
    port: &Value,
    host_port: &str,
) -> Finding {
    let at = format!("{}/ports/{idx}", container.pointer);
    let pointer = format!("{at}/hostPort");
    let message = format!("{} takes port {host_port} of its node", workload.container(container));
    let finding = Finding::new(pointer.clone(), message).container(container);
    if pod.spec["hostNetwork"] == true {
        return finding.note("the pod is on the network of its node: decide on `hostNetwork` first");
    }
    let finding = finding
        .change(Change::remove(pointer))
        .safety(Safety::Review)
        .note("whoever calls the node on this port needs a Service or a load balancer instead");
    if port["hostIP"].is_null() { finding } else { finding.change(Change::remove(format!("{at}/hostIP"))) }
}
