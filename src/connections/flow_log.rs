//! Flows that were seen on a network, as plain values. Knows nothing of where a log came from.

use super::Protocol;

/// All flows of a run's logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flows {
    /// Each different flow once, in the order it was first seen.
    pub list: Vec<Flow>,
}

/// A connection that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    pub from: FlowEnd,
    pub to: FlowEnd,
    /// On the side that took the connection.
    pub port: u16,
    pub protocol: Protocol,
    /// The log.
    pub path: String,
    /// Where it was seen first, counted from 1.
    pub line: usize,
    pub count: u64,
}

/// One end of a flow, as far as the log tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FlowEnd {
    pub namespace: Option<String>,
    /// The workload, or the pod where the log does not name workloads.
    pub workload: Option<String>,
    pub address: Option<String>,
    /// Names that DNS gave for the address.
    pub names: Vec<String>,
}

impl Flows {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
