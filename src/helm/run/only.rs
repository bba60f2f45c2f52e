//! What a run of one set of values knows beyond one that compares: what Helm itself would answer, and the words that
//! stand for what nobody knows.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::helm::value::{Data, TERM_END, TERM_START, Value};
use crate::image::Digest;

/// What a run of one set of values learns.
#[derive(Debug, Default)]
pub(in crate::helm) struct Only {
    /// Pointers of the values that the templates asked for.
    pub(in crate::helm) reads: BTreeSet<Rc<str>>,
    /// Where the text of the file's own lines is: in what was rendered, in the file, and how long.
    pub(in crate::helm) spans: Vec<(usize, usize, usize)>,
    /// Why the file that is rendered cannot be.
    pub(in crate::helm) refused: Option<String>,
    /// Why Helm itself would not render the chart.
    pub(in crate::helm) failed: Option<String>,
}

/// How the method that asks for an API version is known here.
pub(in crate::helm) const HAS_VERSION: &str = "Capabilities.APIVersions.Has";

/// Whether `helm template` takes a cluster to serve an API version, or a kind of one: those of Kubernetes itself
/// (`DefaultVersionSet` in <https://github.com/helm/helm/blob/main/pkg/chart/common/capabilities.go>).
pub(super) fn is_builtin(version: &str) -> bool {
    const GROUPS: &[&str] = &[
        "admissionregistration.k8s.io/v1",
        "apps/v1",
        "authentication.k8s.io/v1",
        "authorization.k8s.io/v1",
        "autoscaling/v1",
        "autoscaling/v2",
        "batch/v1",
        "certificates.k8s.io/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "events.k8s.io/v1",
        "flowcontrol.apiserver.k8s.io/v1",
        "networking.k8s.io/v1",
        "node.k8s.io/v1",
        "policy/v1",
        "rbac.authorization.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "storage.k8s.io/v1",
        "v1",
    ];
    let is_kind = |rest: &str| rest.strip_prefix('/').is_some_and(|kind| !kind.contains('/'));
    GROUPS
        .iter()
        .any(|group| version.strip_prefix(group).is_some_and(|rest| rest.is_empty() || is_kind(rest)))
}

/// As Helm's `required` sees it.
pub(super) fn is_missing(value: &Value) -> bool {
    match &value.data {
        Data::Null => true,
        Data::Text(text) => text.is_empty(),
        _ => false,
    }
}

pub(super) fn shortened(term: &str) -> String {
    let plain: String = term.chars().filter(|c| !matches!(*c, TERM_START | TERM_END)).take(80).collect();
    plain.replace('\n', " ")
}

/// The text with each term as one word of its own, which YAML takes for plain text wherever it stands.
pub(super) fn word(text: &str) -> Cow<'_, str> {
    if !text.contains(TERM_START) {
        return Cow::Borrowed(text);
    }
    let mut words = String::with_capacity(text.len());
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            TERM_START => {
                if depth == 0 {
                    start = at + c.len_utf8();
                }
                depth += 1;
            }
            TERM_END if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    let term = &text[start..at];
                    let is_word = term.len() <= 16 && term.chars().all(|c| c.is_ascii_hexdigit());
                    let hash = Digest::of(term.as_bytes());
                    let name = if is_word { term } else { &hash.hex()[..16] };
                    words.extend([TERM_START].iter());
                    words.push_str(name);
                    words.push(TERM_END);
                }
            }
            c if depth == 0 => words.push(c),
            _ => {}
        }
    }
    Cow::Owned(words)
}
