//! One JSON value of a log, by whichever way it was exported. Knows shapes; what an event means is [`super::event`]'s.

use serde::Deserialize;

use super::text::Text;
use super::usage::Usage;
use super::{aks, eks, event, gke};

/// Wrappers within wrappers: Event Hubs around AKS around an event, and one to spare.
const DEEPEST: usize = 4;

/// All shapes at once: which fields are there tells which one it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    stage: Text<'a>,
    #[serde(borrow)]
    verb: Text<'a>,
    #[serde(borrow, rename = "requestURI")]
    request_uri: Text<'a>,
    #[serde(borrow)]
    user: Option<event::User<'a>>,
    #[serde(borrow)]
    impersonated_user: Option<event::User<'a>>,
    #[serde(borrow)]
    object_ref: Option<event::ObjectReference<'a>>,
    response_status: Option<event::Status>,
    #[serde(borrow)]
    annotations: Option<event::Annotations<'a>>,
    #[serde(borrow)]
    request_received_timestamp: Text<'a>,
    #[serde(borrow)]
    stage_timestamp: Text<'a>,
    #[serde(borrow)]
    items: Option<Vec<Record<'a>>>,

    #[serde(borrow)]
    proto_payload: Option<gke::Payload<'a>>,
    #[serde(borrow)]
    labels: Option<event::Annotations<'a>>,
    #[serde(borrow)]
    receive_timestamp: Text<'a>,

    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    events: Option<Vec<eks::LogEvent<'a>>>,
    #[serde(borrow)]
    log_events: Option<Vec<eks::LogEvent<'a>>>,

    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    properties: Option<aks::Properties<'a>>,
    #[serde(borrow)]
    records: Option<Vec<Record<'a>>>,
}

/// Adds what a value tells to the sum. Returns how many of its entries are no audit events.
pub(super) fn read(bytes: &[u8], usage: &mut Usage) -> Result<u64, String> {
    read_nested(bytes, usage, DEEPEST)
}

fn read_nested(bytes: &[u8], usage: &mut Usage, depth: usize) -> Result<u64, String> {
    if depth == 0 {
        return Err("wrapped too deeply".to_owned());
    }
    let record: Record<'_> =
        serde_json::from_slice(bytes).map_err(|error| format!("not an audit event: {error}"))?;
    add(record, usage, depth)
}

fn add(record: Record<'_>, usage: &mut Usage, depth: usize) -> Result<u64, String> {
    if let Some(items) = record.items.or(record.records) {
        return items.into_iter().map(|item| add(item, usage, depth)).sum();
    }
    if let Some(entries) = record.events.or(record.log_events) {
        return entries.iter().map(|entry| wrapped(eks::event(&entry.message), usage, depth)).sum();
    }
    if let Some(properties) = &record.properties {
        return wrapped(aks::event(&record.category, properties), usage, depth);
    }
    if let Some(payload) = &record.proto_payload {
        let event = gke::event(payload, record.labels.as_ref(), &record.receive_timestamp);
        return Ok(event.map_or(1, |event| {
            event.add_to(usage);
            0
        }));
    }
    if let Some(message) = record.message.as_ref().filter(|_| record.verb.is_empty()) {
        return wrapped(eks::event(message), usage, depth);
    }
    if !record.api_version.starts_with("audit.k8s.io/") || &*record.kind != "Event" {
        return Err(
            "not an audit event: neither an Event of audit.k8s.io nor an export that is known".to_owned()
        );
    }
    let event = event::Event {
        stage: record.stage,
        verb: record.verb,
        request_uri: record.request_uri,
        user: record.user.unwrap_or_default(),
        impersonated_user: record.impersonated_user,
        object_ref: record.object_ref,
        code: record.response_status.and_then(|status| status.code),
        annotations: record.annotations.unwrap_or_default(),
        at: if record.stage_timestamp.is_empty() {
            record.request_received_timestamp
        } else {
            record.stage_timestamp
        },
    };
    event.add_to(usage);
    Ok(0)
}

/// An event that is text in another value; without one it is an entry of another log.
fn wrapped(event: Option<&str>, usage: &mut Usage, depth: usize) -> Result<u64, String> {
    event.map_or(Ok(1), |event| read_nested(event.as_bytes(), usage, depth - 1))
}
