//! Sets of ports: what a connection may use, as exact ranges for each protocol.
//!
//! Knows the three protocols that a NetworkPolicy can name and nothing of policies. Traffic of other protocols (ICMP)
//! is outside the API: <https://kubernetes.io/docs/concepts/services-networking/network-policies/#network-traffic-filtering>.

use std::fmt;

use crate::connections::Protocol;

/// What a NetworkPolicy can name.
pub const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// Reads a protocol as the API spells it; case matters there.
pub fn protocol(text: &str) -> Option<Protocol> {
    PROTOCOLS.into_iter().find(|protocol| protocol.as_str() == text)
}

const FIRST: u16 = 1;
const LAST: u16 = u16::MAX;

/// Ports by protocol. Ranges are sorted, disjoint and do not touch, so equal sets compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet {
    ranges: [Vec<(u16, u16)>; 3],
}

impl PortSet {
    pub fn none() -> PortSet {
        PortSet::default()
    }

    pub fn all() -> PortSet {
        PortSet { ranges: [vec![(FIRST, LAST)], vec![(FIRST, LAST)], vec![(FIRST, LAST)]] }
    }

    /// All ports of one protocol.
    pub fn of(protocol: Protocol) -> PortSet {
        PortSet::range(protocol, FIRST, LAST)
    }

    pub fn one(protocol: Protocol, port: u16) -> PortSet {
        PortSet::range(protocol, port, port)
    }

    /// The ports from `first` to `last`, both included; port 0 is none.
    pub fn range(protocol: Protocol, first: u16, last: u16) -> PortSet {
        let mut set = PortSet::none();
        if first.max(FIRST) <= last {
            set.ranges[protocol as usize].push((first.max(FIRST), last));
        }
        set
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.iter().all(Vec::is_empty)
    }

    pub fn is_all(&self) -> bool {
        self.ranges.iter().all(|ranges| ranges.as_slice() == [(FIRST, LAST)])
    }

    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        let ranges = &self.ranges[protocol as usize];
        let after = ranges.partition_point(|(first, _)| *first <= port);
        after > 0 && port <= ranges[after - 1].1
    }

    pub fn contains_all(&self, other: &PortSet) -> bool {
        other.without(self).is_empty()
    }

    /// The ranges in the order TCP, UDP, SCTP, each from its first to its last port.
    pub fn ranges(&self) -> impl Iterator<Item = (Protocol, u16, u16)> {
        PROTOCOLS.into_iter().flat_map(|protocol| {
            self.ranges[protocol as usize].iter().map(move |(first, last)| (protocol, *first, *last))
        })
    }

    pub fn add(&mut self, other: &PortSet) {
        for (own, other) in self.ranges.iter_mut().zip(&other.ranges) {
            if !other.is_empty() {
                own.extend(other);
                normalize(own);
            }
        }
    }

    pub fn and(&self, other: &PortSet) -> PortSet {
        let mut both = PortSet::none();
        for (protocol, ranges) in both.ranges.iter_mut().enumerate() {
            for (first, last) in &self.ranges[protocol] {
                let overlaps = other.ranges[protocol].iter().filter_map(|(from, to)| {
                    let (first, last) = (*first.max(from), *last.min(to));
                    (first <= last).then_some((first, last))
                });
                ranges.extend(overlaps);
            }
            ranges.sort_unstable();
        }
        both
    }

    pub fn without(&self, other: &PortSet) -> PortSet {
        let mut rest = PortSet::none();
        for (protocol, ranges) in rest.ranges.iter_mut().enumerate() {
            for (first, last) in &self.ranges[protocol] {
                // Wider than a port, so that the end of the last range has a successor.
                let (mut at, last) = (u32::from(*first), u32::from(*last));
                for (from, to) in &other.ranges[protocol] {
                    let (from, to) = (u32::from(*from), u32::from(*to));
                    if to < at || from > last {
                        continue;
                    }
                    if from > at {
                        ranges.push((at as u16, (from - 1) as u16));
                    }
                    at = to + 1;
                }
                if at <= last {
                    ranges.push((at as u16, last as u16));
                }
            }
        }
        rest
    }
}

fn normalize(ranges: &mut Vec<(u16, u16)>) {
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges.drain(..) {
        match merged.last_mut() {
            Some((_, end)) if u32::from(first) <= u32::from(*end) + 1 => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    *ranges = merged;
}

/// `TCP 80,443-445 UDP` (a protocol alone is all its ports), `any port`, `no port`.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("any port");
        }
        if self.is_empty() {
            return f.write_str("no port");
        }
        let mut parts = Vec::new();
        for protocol in PROTOCOLS {
            let ranges = &self.ranges[protocol as usize];
            if ranges.is_empty() {
                continue;
            }
            let list: Vec<String> = ranges
                .iter()
                .filter(|range| **range != (FIRST, LAST))
                .map(
                    |(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") },
                )
                .collect();
            parts.push(if list.is_empty() {
                protocol.as_str().to_owned()
            } else {
                format!("{} {}", protocol.as_str(), list.join(","))
            });
        }
        f.write_str(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A set with what it holds near its edges, port by port.
    fn sets() -> impl Strategy<Value = PortSet> {
        let edge = prop_oneof![1u16..40, 65_500u16..=65_535];
        proptest::collection::vec((0usize..3, edge.clone(), edge), 0..6).prop_map(|ranges| {
            let mut set = PortSet::none();
            for (protocol, a, b) in ranges {
                set.add(&PortSet::range(PROTOCOLS[protocol], a.min(b), a.max(b)));
            }
            set
        })
    }

    proptest! {
        #[test]
        fn operations_mean_what_they_say_of_each_port(a in sets(), b in sets()) {
            let mut either = a.clone();
            either.add(&b);
            let (both, only) = (a.and(&b), a.without(&b));
            for protocol in PROTOCOLS {
                for port in (0u16..45).chain(65_495..=65_535).chain([30_000]) {
                    let (in_a, in_b) = (a.contains(protocol, port), b.contains(protocol, port));
                    prop_assert_eq!(either.contains(protocol, port), in_a || in_b);
                    prop_assert_eq!(both.contains(protocol, port), in_a && in_b);
                    prop_assert_eq!(only.contains(protocol, port), in_a && !in_b);
                }
            }
            prop_assert_eq!(a.contains_all(&b), b.without(&a).is_empty());
            prop_assert_eq!(only.ranges().count(), {
                let mut again = PortSet::none();
                again.add(&only);
                again.ranges().count()
            });
        }
    }

    #[track_caller]
    fn check(set: PortSet, expected: &str) {
        assert_eq!(set.to_string(), expected);
    }

    #[test]
    fn reads_well() {
        check(PortSet::all(), "any port");
        check(PortSet::none(), "no port");
        check(PortSet::range(Protocol::Tcp, 0, 0), "no port");
        check(PortSet::of(Protocol::Sctp), "SCTP");
        let mut set = PortSet::one(Protocol::Tcp, 443);
        set.add(&PortSet::range(Protocol::Tcp, 444, 446));
        set.add(&PortSet::one(Protocol::Udp, 53));
        set.add(&PortSet::one(Protocol::Tcp, 80));
        check(set, "TCP 80,443-446 UDP 53");
    }
}
