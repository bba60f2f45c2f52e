//! Flows that were seen on a network, read from logs line by line.
//!
//! Knows the formats, not the repo: Hubble (`hubble observe -o json`), Calico's flow logs, and plain JSON lines or CSV.
//! A line that is none of them is counted, never fatal. Flows that were denied are left out.

mod calico;
mod hubble;
mod plain;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use serde_json::Value;

use super::Protocol;

/// No line of a flow log is longer. Bytes.
const LONGEST_LINE: u64 = 1024 * 1024;

/// All flows of a run's logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flows {
    /// Each different flow once, in the order it was first seen.
    pub list: Vec<Flow>,
    /// Lines that no format reads, and the first of them: log and line.
    pub unread: usize,
    pub first_unread: Option<(String, usize)>,
}

/// A connection that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Of an end outside the cluster.
    pub address: Option<String>,
    /// The name that DNS gave for the address.
    pub host: Option<String>,
    pub special: Option<Special>,
}

/// An end that is no pod of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    ApiServer,
    /// A node: the kubelet's probes among others.
    Node,
}

/// What one line says.
struct Seen {
    from: FlowEnd,
    to: FlowEnd,
    port: u16,
    protocol: Protocol,
    count: u64,
}

/// What became of a line.
enum Line {
    Seen(Box<Seen>),
    /// A flow that was denied, an answer, or no connection at all.
    Passed,
    Unread,
}

type Key = (FlowEnd, FlowEnd, u16, Protocol);

/// Reads logs one after the other; memory grows with the different flows, not with the lines.
#[derive(Default)]
pub struct FlowReader {
    flows: Flows,
    known: HashMap<Key, usize>,
}

impl FlowReader {
    /// Reads a log. `path` is how evidence names it.
    ///
    /// # Errors
    /// Reading fails.
    pub fn read(&mut self, path: &str, mut log: impl BufRead) -> io::Result<()> {
        let mut header: Option<plain::Header> = None;
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            if (&mut log).take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let line = if text.starts_with('{') {
                serde_json::from_str::<Value>(text).map_or(Line::Unread, |value| json(&value))
            } else if header.is_none() && plain::Header::is_one(text) {
                header = Some(plain::Header::read(text));
                Line::Passed
            } else {
                header.get_or_insert_default().line(text)
            };
            match line {
                Line::Seen(seen) => self.add(path, number, *seen),
                Line::Passed => {}
                Line::Unread => {
                    self.flows.unread += 1;
                    self.flows.first_unread.get_or_insert_with(|| (path.to_owned(), number));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &str, line: usize, seen: Seen) {
        let Seen { from, to, port, protocol, count } = seen;
        let key = (from.clone(), to.clone(), port, protocol);
        if let Some(idx) = self.known.get(&key) {
            self.flows.list[*idx].count += count;
            return;
        }
        self.known.insert(key, self.flows.list.len());
        self.flows.list.push(Flow { from, to, port, protocol, path: path.to_owned(), line, count });
    }

    pub fn finish(self) -> Flows {
        self.flows
    }
}

fn json(value: &Value) -> Line {
    let flow = value.get("flow").unwrap_or(value);
    if flow.get("l4").is_some() || flow.get("verdict").is_some() {
        return hubble::line(flow);
    }
    if value.get("dest_port").is_some() || value.get("dest_namespace").is_some() {
        return calico::line(value);
    }
    plain::json(value)
}

impl Flows {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && *text != "-").map(str::to_owned)
}

/// Numbers are written as strings by some exporters.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}
