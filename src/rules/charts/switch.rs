//! Values that keep a chart's own network policies off, found by trying: the chart is rendered with each on, and it
//! counts if policies are all that comes along.

use serde_json::Value;

use super::report::{dotted, lowered};
use super::{Job, changed};
use crate::helm::concrete::{Render, RenderedObject, Renders};
use crate::helm::landing::last;
use crate::model::charts::ValuesSet;
use crate::rules::network::chart_network_policy_off::{self, RULE};
use crate::rules::{Change, Placed, RepoFindings, Safety};

/// Reports the switches of one set of values. What of them is wanted.
pub(super) fn check(
    job: &Job<'_, '_>,
    chart: &dyn Renders,
    (set, around): (&ValuesSet, &ValuesSet),
    before: &Render,
    found: &mut RepoFindings,
) -> Vec<Change> {
    // Of a fetched chart only workloads are known.
    let Some(source) = job.source.filter(|_| (job.asks)(&RULE)) else { return Vec::new() };
    let all = around.values(&set.own);
    let mut wanted: Vec<Change> = Vec::new();
    for switch in before.reads.iter().filter(|read| is_called_so(read) && is_off(&all, read)) {
        let change = Change::set(switch.as_str(), true);
        if wanted.contains(&change) || !chart.allows(switch, &Value::Bool(true)) {
            continue;
        }
        let Some(own) = changed(&set.own, std::slice::from_ref(&change)) else { continue };
        let Ok(after) = chart.rendered(&around.values(&own)) else { continue };
        let Some(policies) = only_policies(before, &after) else { continue };
        let mut finding = chart_network_policy_off::finding(
            &format!("the chart `{}`", source.name),
            &dotted(switch),
            &policies,
        );
        finding.rule = &RULE;
        finding.pointer = if set.is_text { set.outer.clone() } else { format!("{}{switch}", set.outer) };
        let finding = finding
            .change(lowered(set, &change))
            .safety(Safety::Review)
            .evidence("with it on, the chart renders network policies and all else as before");
        let object = set.object.clone();
        found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
        wanted.push(change);
    }
    wanted
}

/// `networkPolicy.enabled`, `networkPolicies.create`, `networkPolicy` itself, `enableNetworkPolicy`.
fn is_called_so(read: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let is_policy = |name: &str| matches!(&*plain(name), "networkpolicy" | "networkpolicies" | "netpol");
    let own = last(read);
    let parent = read.rsplit_once('/').map_or("", |(parent, _)| last(parent));
    let is_switch = matches!(&*plain(own), "enabled" | "enable" | "create" | "install");
    let is_both =
        matches!(&*plain(own), "enablenetworkpolicy" | "networkpolicyenabled" | "createnetworkpolicy");
    is_policy(own) || is_both || is_policy(parent) && is_switch
}

fn is_off(values: &Value, read: &str) -> bool {
    matches!(values.pointer(read), None | Some(Value::Null | Value::Bool(false)))
}

/// The policies that came along, if nothing else did.
fn only_policies<'r>(before: &Render, after: &'r Render) -> Option<Vec<&'r Value>> {
    let is_policy = |object: &&RenderedObject| {
        object.value["kind"] == "NetworkPolicy" && object.value["apiVersion"] == "networking.k8s.io/v1"
    };
    let (mut known, mut policies) = (before.objects.iter().peekable(), Vec::new());
    for object in &after.objects {
        match known.next_if(|known| known.template == object.template && known.value == object.value) {
            Some(_) => {}
            None if is_policy(&object) && object.value["spec"]["podSelector"].is_object() => {
                policies.push(&object.value);
            }
            None => return None,
        }
    }
    let is_whole = known.next().is_none() && after.refused == before.refused;
    (is_whole && !policies.is_empty()).then_some(policies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_known_by_name() {
        for read in
            ["/networkPolicy/enabled", "/web/network-policies/create", "/netpol", "/enableNetworkPolicy"]
        {
            assert!(is_called_so(read), "{read}");
        }
        for read in [
            "/enabled",
            "/networkPolicy/egress/enabled",
            "/networkPolicy/labels",
            "/podDisruptionBudget/enabled",
        ] {
            assert!(!is_called_so(read), "{read}");
        }
    }
}
