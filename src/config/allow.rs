//! Accepted findings: which entry of the configuration allows a finding, which are past their day, which
//! are of no use any more. Never asks the clock: the day is given.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::Date;

use super::Config;
use super::globs::{NameGlob, PathGlob};

/// One `[[allow]]`.
#[derive(Debug, Clone)]
pub struct Allow {
    /// A rule, an area, or `*`.
    pub rule: String,
    pub path: Option<PathGlob>,
    /// Over `Kind/name`.
    pub object: Option<NameGlob>,
    pub namespace: Option<NameGlob>,
    pub reason: String,
    /// The last day it holds.
    pub expires: Option<Date>,
    /// Where the entry starts in the configuration file; both count from 1.
    pub line: usize,
    pub column: usize,
}

/// Names an entry of [`Config::allow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllowIndex(pub usize);

/// A finding, as far as allowing it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Allowable<'a> {
    pub rule: &'a str,
    pub area: &'a str,
    /// Relative to the repo, with `/` between its parts.
    pub path: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    /// The namespace the object ends up in, as far as the repo tells.
    pub namespace: Option<&'a str>,
}

impl Allow {
    pub fn matches(&self, finding: &Allowable<'_>) -> bool {
        let rule = self.rule == "*" || self.rule == finding.rule || self.rule == finding.area;
        rule && self.path.as_ref().is_none_or(|glob| glob.matches(finding.path))
            && self
                .namespace
                .as_ref()
                .is_none_or(|glob| finding.namespace.is_some_and(|name| glob.matches(name)))
            && self
                .object
                .as_ref()
                .is_none_or(|glob| glob.matches(&format!("{}/{}", finding.kind, finding.name)))
    }

    pub fn has_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last_day| last_day < today)
    }
}

/// What the entry selects, in the words of the file.
impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`", self.rule)?;
        let path = self.path.as_ref().map(PathGlob::pattern);
        let object = self.object.as_ref().map(NameGlob::pattern);
        let namespace = self.namespace.as_ref().map(NameGlob::pattern);
        for (key, pattern) in [("path", path), ("object", object), ("namespace", namespace)] {
            if let Some(pattern) = pattern {
                write!(f, ", {key} `{pattern}`")?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// The first entry that allows the finding on that day.
    pub fn allows(&self, finding: &Allowable<'_>, today: Date) -> Option<AllowIndex> {
        let valid = |allow: &Allow| !allow.has_expired(today) && allow.matches(finding);
        self.allow.iter().position(valid).map(AllowIndex)
    }

    /// Every entry that speaks of the finding, expired ones too. An entry that no finding ever yields here
    /// is unused.
    pub fn allows_about(&self, finding: &Allowable<'_>) -> impl Iterator<Item = AllowIndex> {
        self.allow.iter().enumerate().filter(|(_, allow)| allow.matches(finding)).map(|(n, _)| AllowIndex(n))
    }

    /// Entries whose last day is over.
    pub fn expired_allows(&self, today: Date) -> impl Iterator<Item = (AllowIndex, &Allow)> {
        self.numbered_allows().filter(move |(_, allow)| allow.has_expired(today))
    }

    /// Entries that are not in `used`: what they allowed is gone.
    pub fn unused_allows(&self, used: &BTreeSet<AllowIndex>) -> impl Iterator<Item = (AllowIndex, &Allow)> {
        self.numbered_allows().filter(|(index, _)| !used.contains(index))
    }

    fn numbered_allows(&self) -> impl Iterator<Item = (AllowIndex, &Allow)> {
        self.allow.iter().enumerate().map(|(n, allow)| (AllowIndex(n), allow))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 3, 1);

    fn finding<'a>(rule: &'a str, path: &'a str, name: &'a str) -> Allowable<'a> {
        Allowable { rule, area: "pod", path, kind: "DaemonSet", name, namespace: Some("monitoring") }
    }

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("caseharden.toml"), &["pod", "host-port", "host-namespaces"]).unwrap()
    }

    #[track_caller]
    fn check(entry: &str, finding: Allowable<'_>, allowed: bool) {
        let config = config(&format!("[[allow]]\nreason = \"r\"\n{entry}\n"));
        assert_eq!(config.allows(&finding, TODAY).is_some(), allowed, "{entry}");
    }

    #[test]
    fn every_given_key_must_match() {
        let exporter = finding("host-port", "infra/node.yaml", "node-exporter");
        check("rule = 'host-port'", exporter, true);
        check("rule = 'pod'", exporter, true);
        check("rule = 'host-namespaces'", exporter, false);
        check("rule = '*'\nobject = 'daemonset/node-*'", exporter, true);
        check("rule = '*'\nobject = 'Deployment/*'", exporter, false);
        check("rule = 'host-port'\npath = 'infra/'", exporter, true);
        check("rule = 'host-port'\npath = 'apps/'", exporter, false);
        check("rule = 'host-port'\nnamespace = 'monitor*'", exporter, true);
        check("rule = 'host-port'\nnamespace = 'monitor*'", Allowable { namespace: None, ..exporter }, false);
    }

    #[test]
    fn an_allow_holds_through_its_last_day() {
        let exporter = finding("host-port", "infra/node.yaml", "node-exporter");
        check("rule = 'host-port'\nexpires = 2026-03-01", exporter, true);
        check("rule = 'host-port'\nexpires = '2026-02-28'", exporter, false);
    }

    #[test]
    fn unused_and_expired_entries_are_found_with_their_line() {
        let config = config(
            "[[allow]]\nrule = 'host-port'\nreason = 'a'\nexpires = 2026-01-31\n\n\
             [[allow]]\nrule = 'host-namespaces'\nobject = 'Pod/x'\nreason = 'b'\n",
        );
        let used: BTreeSet<_> = config.allows_about(&finding("host-port", "a.yaml", "x")).collect();
        let expired: Vec<_> =
            config.expired_allows(TODAY).map(|(index, allow)| (index, allow.line)).collect();
        assert_eq!(expired, [(AllowIndex(0), 1)]);
        let unused: Vec<_> =
            config.unused_allows(&used).map(|(_, allow)| (allow.line, allow.to_string())).collect();
        assert_eq!(unused, [(6, "rule `host-namespaces`, object `Pod/x`".to_owned())]);
    }
}
