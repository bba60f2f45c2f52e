//! Amazon EKS: audit events as the messages of a CloudWatch log group, which holds other logs too.
//!
//! The log: <https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html>. What wraps a message: `events`
//! of `aws logs filter-log-events` (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilteredLogEvent.html>),
//! `logEvents` of a subscription
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>), a time in front of each line
//! of an export to S3.

use serde::Deserialize;

use super::text::Text;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogEvent<'a> {
    #[serde(borrow)]
    pub(super) message: Text<'a>,
}

/// The audit event of a message; `None` for lines of the other logs, which are no JSON or another one.
pub(super) fn event(message: &str) -> Option<&str> {
    (message.starts_with('{') && message.contains("audit.k8s.io/")).then_some(message)
}
