//! Plain lines: source namespace and workload, target namespace and workload, port, protocol; as JSON or as CSV.

use serde_json::Value;

use super::{FlowEnd, Line, Seen, number, text};
use crate::config::network::canonical_cidr;
use crate::connections::Protocol;

/// Names of the columns, and what else they are called.
const COLUMNS: [&[&str]; 6] = [
    &["src_ns", "source_namespace", "src_namespace"],
    &["src_workload", "src", "source", "source_workload", "src_pod"],
    &["dst_ns", "destination_namespace", "dst_namespace"],
    &["dst_workload", "dst", "destination", "destination_workload", "dst_pod"],
    &["port", "dst_port", "destination_port"],
    &["proto", "protocol"],
];

/// Which column of a CSV file is which.
#[derive(Debug)]
pub(super) struct Header {
    columns: [Option<usize>; 6],
}

impl Default for Header {
    fn default() -> Self {
        Header { columns: std::array::from_fn(Some) }
    }
}

impl Header {
    /// Whether a first line names columns.
    pub(super) fn is_one(line: &str) -> bool {
        cells(line).iter().any(|cell| COLUMNS[4].contains(&cell.to_ascii_lowercase().as_str()))
    }

    pub(super) fn read(line: &str) -> Header {
        let cells: Vec<String> = cells(line).iter().map(|cell| cell.to_ascii_lowercase()).collect();
        Header { columns: COLUMNS.map(|names| cells.iter().position(|cell| names.contains(&cell.as_str()))) }
    }

    pub(super) fn line(&self, line: &str) -> Line {
        let cells = cells(line);
        let cell = |column: usize| {
            let text = self.columns[column].and_then(|idx| cells.get(idx)).map(String::as_str);
            text.filter(|text| !text.is_empty() && *text != "-")
        };
        let Some(port) = cell(4).and_then(|port| port.parse().ok()) else { return Line::Unread };
        seen([cell(0), cell(1), cell(2), cell(3)], port, cell(5))
    }
}

pub(super) fn json(value: &Value) -> Line {
    let field =
        |column: usize| COLUMNS[column].iter().map(|name| &value[*name]).find(|value| !value.is_null());
    let Some(port) = field(4).and_then(number).and_then(|port| u16::try_from(port).ok()) else {
        return Line::Unread;
    };
    let texts: [Option<String>; 4] = std::array::from_fn(|column| field(column).and_then(text));
    let ends = std::array::from_fn(|column| texts[column].as_deref());
    seen(ends, port, field(5).and_then(Value::as_str))
}

fn seen([from_space, from, to_space, to]: [Option<&str>; 4], port: u16, protocol: Option<&str>) -> Line {
    let end = |namespace: Option<&str>, name: &str| {
        let is_address = namespace.is_none() && canonical_cidr(name).is_some();
        let is_host = namespace.is_none() && !is_address && name.contains('.');
        let owned = |is: bool| is.then(|| name.to_owned());
        FlowEnd {
            namespace: namespace.map(str::to_owned),
            workload: owned(!is_address && !is_host),
            address: owned(is_address),
            host: owned(is_host),
            special: None,
        }
    };
    let (Some(from), Some(to)) = (from, to) else { return Line::Unread };
    let protocol = Protocol::read(protocol);
    Line::Seen(Box::new(Seen {
        from: end(from_space, from),
        to: end(to_space, to),
        port,
        protocol,
        count: 1,
    }))
}

/// The cells of a line; quotes keep commas and, doubled, themselves.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells.last_mut().expect("there is a first cell").push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().expect("there is a first cell").push(c),
        }
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}
