//! Hubble's flows: <https://docs.cilium.io/en/stable/_api/v1/flow/README/>.

use serde_json::Value;

use super::{FlowEnd, Line, Seen, Special, number, text};
use crate::connections::Protocol;

pub(super) fn line(flow: &Value) -> Line {
    let denied = matches!(flow["verdict"].as_str(), Some("DROPPED" | "ERROR"));
    if denied || flow["is_reply"] == true || flow["reply"] == true {
        return Line::Passed;
    }
    let protocols = [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
    let found = protocols.into_iter().find(|(name, _)| flow["l4"].get(name).is_some());
    // ICMP, and events of higher layers, which their connection has as well.
    let Some((name, protocol)) = found else { return Line::Passed };
    let port = number(&flow["l4"][name]["destination_port"]).and_then(|port| u16::try_from(port).ok());
    let Some(port) = port else { return Line::Unread };
    let mut to = end(&flow["destination"], &flow["IP"]["destination"]);
    if to.namespace.is_none() {
        to.host = flow["destination_names"].as_array().and_then(|names| names.first()).and_then(text);
    }
    let from = end(&flow["source"], &flow["IP"]["source"]);
    Line::Seen(Box::new(Seen { from, to, port, protocol, count: 1 }))
}

fn end(value: &Value, address: &Value) -> FlowEnd {
    let labels = || value["labels"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let special = if labels().any(|label| label == "reserved:kube-apiserver") {
        Some(Special::ApiServer)
    } else if labels()
        .any(|label| matches!(label, "reserved:host" | "reserved:remote-node" | "reserved:health"))
    {
        Some(Special::Node)
    } else {
        None
    };
    let workload =
        value["workloads"].as_array().and_then(|list| list.first()).and_then(|first| text(&first["name"]));
    let namespace = text(&value["namespace"]);
    let address = if namespace.is_none() { text(address) } else { None };
    FlowEnd {
        workload: workload.or_else(|| text(&value["pod_name"])),
        namespace,
        address,
        host: None,
        special,
    }
}
