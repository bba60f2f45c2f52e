//! Azure Kubernetes Service: resource logs of the categories `kube-audit` and `kube-audit-admin`, whose `properties.log`
//! is the audit event as text. A storage account has one record a line, Event Hubs a list of them in `records`.
//!
//! <https://learn.microsoft.com/en-us/azure/aks/monitor-aks-reference#resource-logs>,
//! <https://learn.microsoft.com/en-us/azure/azure-monitor/platform/resource-logs-schema>. `kube-audit-admin` lacks all
//! requests with `get` and `list`: <https://learn.microsoft.com/en-us/azure/azure-monitor/reference/tables/aksauditadmin>.

use serde::Deserialize;

use super::text::Text;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Properties<'a> {
    #[serde(borrow)]
    log: Text<'a>,
}

/// The audit event of a record; `None` for those of other categories.
pub(super) fn event<'r>(category: &str, properties: &'r Properties<'_>) -> Option<&'r str> {
    matches!(category, "kube-audit" | "kube-audit-admin").then_some(&*properties.log)
}
