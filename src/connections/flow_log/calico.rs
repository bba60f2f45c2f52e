//! Calico's flow logs: <https://docs.tigera.io/calico-enterprise/latest/observability/elastic/flow/datatypes>.

use serde_json::Value;

use super::{FlowEnd, Line, Seen, Special, number, text};
use crate::connections::Protocol;

pub(super) fn line(value: &Value) -> Line {
    if value["action"].as_str().is_some_and(|action| action.eq_ignore_ascii_case("deny")) {
        return Line::Passed;
    }
    let protocol = match value["proto"].as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("tcp" | "6") => Protocol::Tcp,
        Some("udp" | "17") => Protocol::Udp,
        Some("sctp" | "132") => Protocol::Sctp,
        Some(_) => return Line::Passed,
        None => return Line::Unread,
    };
    let Some(port) = number(&value["dest_port"]).and_then(|port| u16::try_from(port).ok()) else {
        return Line::Unread;
    };
    let count = number(&value["num_flows"]).unwrap_or(1).max(1);
    let mut to = end(value, "dest");
    to.host = value["dest_domains"].as_array().and_then(|names| names.first()).and_then(text);
    Line::Seen(Box::new(Seen { from: end(value, "source"), to, port, protocol, count }))
}

/// Names are those of pods, or of what makes them with a `*` at the end.
fn end(value: &Value, side: &str) -> FlowEnd {
    let field = |name: &str| text(&value[format!("{side}_{name}")]);
    let is_pod = field("type").is_none_or(|kind| kind == "wep");
    let name = field("name_aggr").or_else(|| field("name"));
    let name = name.map(|name| name.trim_end_matches('*').trim_end_matches('-').to_owned());
    let special = (field("type").as_deref() == Some("hep")).then_some(Special::Node);
    if is_pod {
        return FlowEnd { namespace: field("namespace"), workload: name, special, ..FlowEnd::default() };
    }
    FlowEnd { address: field("ip"), special, ..FlowEnd::default() }
}
