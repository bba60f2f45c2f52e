//! What a policy of another API than the core one comes to, and how its fields are read.
//!
//! The schemas of those APIs are not checked: a field that is not known here is named, and what it stands in counts as
//! possible, never as certain.

use serde_json::Value;

use super::address::{Block, Cidr};
use super::policy::{Direction, LineOf, Order, Peer, Rule, Subject};

/// What one object says, as the evaluator takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DialectSpec {
    pub(super) parts: Vec<Part>,
    /// What is not judged of it: pointers, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// Rules that are asked together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) order: Order,
    pub(super) subject: Subject,
    pub(super) ingress: Option<Vec<Rule>>,
    pub(super) egress: Option<Vec<Rule>>,
    pub(super) keeps_open: Vec<Direction>,
}

/// Reads the rules of one object.
pub(super) struct Reader<'a> {
    pub(super) line_of: LineOf<'a>,
    pub(super) left_out: Vec<(String, String)>,
}

impl Reader<'_> {
    /// Somebody whom a field means and nothing here can tell.
    pub(super) fn unknown(&mut self, at: &str, what: impl Into<String>) -> Peer {
        let what = what.into();
        self.left_out.push((at.to_owned(), what.clone()));
        Peer::Unknown(what)
    }

    /// The fields of a mapping that are none of those.
    pub(super) fn other_fields<'v>(value: &'v Value, known: &[&str]) -> Vec<&'v str> {
        let fields = value.as_object().into_iter().flatten();
        let is_said =
            |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        fields
            .filter(|(key, value)| !known.contains(&key.as_str()) && is_said(value))
            .map(|(key, _)| key.as_str())
            .collect()
    }
}

/// The items of a list with their pointers; none where there is no list.
pub(super) fn items<'v>(value: &'v Value, at: &str) -> impl Iterator<Item = (&'v Value, String)> {
    let at = at.to_owned();
    value.as_array().into_iter().flatten().enumerate().map(move |(idx, item)| (item, format!("{at}/{idx}")))
}

/// A block; an address alone is one of its own.
pub(super) fn cidr(value: &Value) -> Option<Cidr> {
    let text = value.as_str()?;
    Cidr::parse(text)
        .or_else(|| Cidr::parse(&format!("{text}/{}", if text.contains(':') { 128 } else { 32 })))
}

/// All addresses but some.
pub(super) fn any_address(except: &[Cidr]) -> [Block; 2] {
    Cidr::ANY.map(|cidr| Block { cidr, except: except.to_vec() })
}
