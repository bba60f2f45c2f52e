//! Blocks of addresses, and which ports each address may use.
//!
//! IPv4 and IPv6 are two spaces that never meet. Knows nothing of policies.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ports::PortSet;

/// The addresses of one CIDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    v6: bool,
    first: u128,
    last: u128,
    prefix: u8,
}

impl Cidr {
    /// Every IPv4 and every IPv6 address.
    pub const ANY: [Cidr; 2] = [
        Cidr { v6: false, first: 0, last: u32::MAX as u128, prefix: 0 },
        Cidr { v6: true, first: 0, last: u128::MAX, prefix: 0 },
    ];

    /// `10.0.0.0/8`, `2001:db8::/32`. Bits below the prefix are ignored, as the API does.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = text.split_once('/')?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (v6, bits) = bits(parse_address(address)?);
        let width = if v6 { 128 } else { 32 };
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= width)?;
        let host = match width - prefix {
            128 => u128::MAX,
            free => (1u128 << free) - 1,
        };
        Some(Cidr { v6, first: bits & !host, last: bits | host, prefix })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (v6, bits) = bits(address);
        v6 == self.v6 && (self.first..=self.last).contains(&bits)
    }

    /// Whether `other` lies inside and is smaller.
    pub fn is_strictly_around(&self, other: &Cidr) -> bool {
        self.v6 == other.v6
            && self.prefix < other.prefix
            && self.first <= other.first
            && other.last <= self.last
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", address(self.v6, self.first), self.prefix)
    }
}

/// The API server takes `010.1.2.3` for 10.1.2.3 (`ParseIPSloppy` of k8s.io/utils/net).
fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let parts: Vec<u8> = text
        .split('.')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
        .collect::<Option<_>>()?;
    Some(IpAddr::from(<[u8; 4]>::try_from(parts).ok()?))
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

fn address(v6: bool, bits: u128) -> IpAddr {
    if v6 { Ipv6Addr::from_bits(bits).into() } else { Ipv4Addr::from_bits(bits as u32).into() }
}

/// A block with the holes in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    pub cidr: Cidr,
    pub except: Vec<Cidr>,
}

impl Block {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(address) && !self.except.iter().any(|hole| hole.contains(address))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cidr)?;
        for (idx, hole) in self.except.iter().enumerate() {
            write!(f, "{}{hole}", if idx == 0 { " except " } else { ", " })?;
        }
        Ok(())
    }
}

/// Neighbouring addresses with the same ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    v6: bool,
    first: u128,
    last: u128,
    pub ports: PortSet,
}

impl Span {
    pub fn first(&self) -> IpAddr {
        address(self.v6, self.first)
    }

    pub fn last(&self) -> IpAddr {
        address(self.v6, self.last)
    }

    pub fn is_v6(&self) -> bool {
        self.v6
    }

    fn is_whole(&self) -> bool {
        self.first == 0 && self.last == Cidr::ANY[usize::from(self.v6)].last
    }
}

/// `10.0.0.0/8` where it is one block, `10.0.0.0-10.255.0.9` where it is not, words for a whole space.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            return f.write_str(if self.v6 { "any IPv6 address" } else { "any IPv4 address" });
        }
        let size = (self.last - self.first).wrapping_add(1);
        if size.is_power_of_two() && self.first.is_multiple_of(size) {
            let width = if self.v6 { 128 } else { 32 };
            return write!(f, "{}/{}", self.first(), width - size.trailing_zeros());
        }
        write!(f, "{}-{}", self.first(), self.last())
    }
}

/// Which ports each address may use. Kept in a form in which equal maps compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressMap {
    spans: Vec<Span>,
}

impl AddressMap {
    /// What the blocks give together.
    pub fn new<'a>(blocks: impl Iterator<Item = (&'a Block, &'a PortSet)>) -> AddressMap {
        let blocks: Vec<(&Block, &PortSet)> = blocks.collect();
        AddressMap::asked(blocks.iter().map(|(block, _)| *block), |address| {
            let mut ports = PortSet::none();
            for (block, of_block) in &blocks {
                if block.contains(address) {
                    ports.add(of_block);
                }
            }
            ports
        })
    }

    /// What each address is said to have, where the answer changes at the edges of `blocks` only.
    pub fn asked<'a>(
        blocks: impl Iterator<Item = &'a Block>,
        ports: impl Fn(IpAddr) -> PortSet,
    ) -> AddressMap {
        let mut cuts: [Vec<u128>; 2] = [vec![0], vec![0]];
        for block in blocks {
            // Each the first address of what follows. Holes may be of another family, and mean nothing then.
            for cidr in std::iter::once(&block.cidr).chain(&block.except) {
                let whole = Cidr::ANY[usize::from(cidr.v6)];
                let cuts = &mut cuts[usize::from(cidr.v6)];
                cuts.push(cidr.first);
                cuts.extend(cidr.last.checked_add(1).filter(|next| *next <= whole.last));
            }
        }
        let mut spans = Vec::new();
        for (whole, mut cuts) in Cidr::ANY.into_iter().zip(cuts) {
            cuts.sort_unstable();
            cuts.dedup();
            for (idx, first) in cuts.iter().enumerate() {
                let last = cuts.get(idx + 1).map_or(whole.last, |next| next - 1);
                let ports = ports(address(whole.v6, *first));
                spans.push(Span { v6: whole.v6, first: *first, last, ports });
            }
        }
        AddressMap::joined(spans)
    }

    fn joined(spans: Vec<Span>) -> AddressMap {
        let mut joined: Vec<Span> = Vec::new();
        for span in spans.into_iter().filter(|span| !span.ports.is_empty()) {
            match joined.last_mut() {
                Some(before)
                    if before.v6 == span.v6
                        && before.last.checked_add(1) == Some(span.first)
                        && before.ports == span.ports =>
                {
                    before.last = span.last;
                }
                _ => joined.push(span),
            }
        }
        AddressMap { spans: joined }
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What is here and not in `other`.
    pub fn without(&self, other: &AddressMap) -> AddressMap {
        let mut rest = Vec::new();
        for span in &self.spans {
            let mut at = Some(span.first);
            for hole in other.spans.iter().filter(|hole| hole.v6 == span.v6) {
                let Some(from) = at else { break };
                if hole.last < from || hole.first > span.last {
                    continue;
                }
                if hole.first > from {
                    rest.push(Span { first: from, last: hole.first - 1, ..span.clone() });
                }
                let (first, last) = (hole.first.max(from), hole.last.min(span.last));
                rest.push(Span { first, last, ports: span.ports.without(&hole.ports), v6: span.v6 });
                at = last.checked_add(1).filter(|next| *next <= span.last);
            }
            if let Some(first) = at {
                rest.push(Span { first, ..span.clone() });
            }
        }
        AddressMap::joined(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connections::Protocol;

    #[test]
    fn cidrs_are_read_as_the_server_reads_them() {
        let shown = |text: &str| Cidr::parse(text).map(|cidr| cidr.to_string());
        assert_eq!(shown("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(shown("0.0.0.0/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(shown("010.0.0.1/32").as_deref(), Some("10.0.0.1/32"));
        assert_eq!(shown("2001:DB8::1/32").as_deref(), Some("2001:db8::/32"));
        assert_eq!(shown("::/0").as_deref(), Some("::/0"));
        for bad in [
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/33",
            "::/129",
            "a/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "1.2.3.256/8",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn families_never_meet() {
        assert!(!Cidr::parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        assert!(!Cidr::parse("::/0").unwrap().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn spans_read_well() {
        let block = |cidr: &str, except: &[&str]| Block {
            cidr: Cidr::parse(cidr).unwrap(),
            except: except.iter().map(|hole| Cidr::parse(hole).unwrap()).collect(),
        };
        let blocks = [block("0.0.0.0/0", &["10.0.0.0/8"]), block("2001:db8::/32", &[]), block("::/0", &[])];
        let ports = [PortSet::one(Protocol::Tcp, 443), PortSet::all(), PortSet::one(Protocol::Tcp, 1)];
        let map = AddressMap::new(blocks.iter().zip(&ports));
        let shown: Vec<String> = map.spans().iter().map(|span| format!("{span}: {}", span.ports)).collect();
        assert_eq!(
            shown,
            [
                "0.0.0.0-9.255.255.255: TCP 443",
                "11.0.0.0-255.255.255.255: TCP 443",
                "::-2001:db7:ffff:ffff:ffff:ffff:ffff:ffff: TCP 1",
                "2001:db8::/32: any port",
                "2001:db9::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff: TCP 1",
            ]
        );
    }

    fn blocks() -> impl Strategy<Value = Vec<(Block, PortSet)>> {
        let cidr = (any::<bool>(), 0u128..8, 0u8..4).prop_map(|(v6, bits, free)| {
            let (at, width) = if v6 { (address(true, bits), 128) } else { (address(false, bits), 32) };
            Cidr::parse(&format!("{at}/{}", width - free)).unwrap()
        });
        let holes = proptest::collection::vec(cidr.clone(), 0..2);
        let block = (cidr, holes, 1u16..4)
            .prop_map(|(cidr, except, port)| (Block { cidr, except }, PortSet::one(Protocol::Tcp, port)));
        proptest::collection::vec(block, 0..5)
    }

    proptest! {
        #[test]
        fn a_map_says_of_each_address_what_its_blocks_say(a in blocks(), b in blocks()) {
            let map = |blocks: &[(Block, PortSet)]| AddressMap::new(blocks.iter().map(|(b, p)| (b, p)));
            let at = |map: &AddressMap, ip: IpAddr| {
                let (v6, bits) = bits(ip);
                let spans = map.spans.iter().filter(|span| span.v6 == v6 && (span.first..=span.last).contains(&bits));
                let found: Vec<PortSet> = spans.map(|span| span.ports.clone()).collect();
                assert!(found.len() <= 1);
                found.into_iter().next().unwrap_or_default()
            };
            let (first, second) = (map(&a), map(&b));
            let rest = first.without(&second);
            for v6 in [false, true] {
                for bits in (0u128..20).chain([Cidr::ANY[usize::from(v6)].last]) {
                    let ip = address(v6, bits);
                    let mut expected = PortSet::none();
                    a.iter().filter(|(block, _)| block.contains(ip)).for_each(|(_, ports)| expected.add(ports));
                    prop_assert_eq!(&at(&first, ip), &expected);
                    prop_assert_eq!(at(&rest, ip), expected.without(&at(&second, ip)));
                }
            }
        }
    }
}
