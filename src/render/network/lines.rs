//! What lies at the other end of a workload's connections, a line for each set of ports.

use std::collections::BTreeMap;

use crate::network_policy::{NAME_LABEL, Namespaces, Outside, PortSet, shown_space};

/// Ends with the same ports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) ends: String,
    pub(super) ports: String,
}

/// What is beyond the known workloads, ends with the same ports together.
pub(super) fn outside(outside: &Outside) -> Vec<Line> {
    let mut by_ports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let spans = outside.addresses.spans();
    let wholes: Vec<&PortSet> =
        spans.iter().filter(|span| span.to_string().starts_with("any ")).map(|span| &span.ports).collect();
    // Both families alike are one word.
    let is_any_address = wholes.len() == 2 && wholes[0] == wholes[1];
    if is_any_address {
        by_ports.entry(wholes[0].to_string()).or_default().push("any address".to_owned());
    } else {
        for span in spans {
            by_ports.entry(span.ports.to_string()).or_default().push(span.to_string());
        }
    }
    if outside.is_up_to_admins {
        by_ports.entry("as admin policies say".to_owned()).or_default().push("other pods".to_owned());
    }
    for pods in outside.pods.iter().filter(|_| !outside.is_up_to_admins) {
        let who = match (pods.pods.as_str(), &pods.namespaces) {
            ("", Namespaces::Any) => "any pod".to_owned(),
            ("", Namespaces::Selected(selector)) => format!("any pod of {}", namespaces(selector)),
            ("", Namespaces::Own(space)) => format!("any pod of {}", shown_space(space)),
            (labels, Namespaces::Any) => format!("pods {labels} of any namespace"),
            (labels, Namespaces::Selected(selector)) => format!("pods {labels} of {}", namespaces(selector)),
            (labels, Namespaces::Own(space)) => format!("pods {labels} of {}", shown_space(space)),
        };
        let mut ports = Vec::new();
        if !pods.ports.is_empty() {
            ports.push(pods.ports.to_string());
        }
        ports.extend(pods.names.iter().map(|(protocol, name)| format!("{} {name}", protocol.as_str())));
        by_ports.entry(ports.join(" ")).or_default().push(who);
    }
    for (end, ports) in &outside.named {
        by_ports.entry(ports.to_string()).or_default().push(end.to_string());
    }
    by_ports.into_iter().map(|(ports, ends)| Line { ends: ends.join(", "), ports }).collect()
}

/// A selector of one namespace by its name is that name.
fn namespaces(selector: &str) -> String {
    let name = selector.strip_prefix(NAME_LABEL).and_then(|rest| rest.strip_prefix('='));
    match name.filter(|name| !name.contains(',')) {
        Some(name) => name.to_owned(),
        None => format!("namespaces {selector}"),
    }
}
