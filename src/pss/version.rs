//! Policy versions: what a namespace may pin with `pod-security.kubernetes.io/enforce-version`.
//! Knows their grammar and order; which check changes at which version is said by [`super::checks`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The newest minor version whose checks are known here. A newer version is judged as this one, as upstream does.
pub const NEWEST: u32 = 37;

/// A version of the Pod Security Standards. `latest` compares greater than every other.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub enum Version {
    /// `v1.N`.
    Minor(u32),
    /// Follows the cluster's own version.
    Latest,
}

/// A text names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a policy version: must be `latest` or like `v1.{NEWEST}`")]
pub struct InvalidVersion(String);

impl Version {
    /// Reads a namespace label's value: `latest` or `v1.N`, with no leading zero and nothing else around it.
    ///
    /// A minor version that no 32 bits hold is read as the greatest that they do.
    pub fn parse_label(text: &str) -> Result<Self, InvalidVersion> {
        if text == "latest" {
            return Ok(Version::Latest);
        }
        let minor = text.strip_prefix("v1.").filter(|digits| is_number(digits));
        let minor = minor.ok_or_else(|| InvalidVersion(text.to_owned()))?;
        Ok(Version::Minor(minor.parse().unwrap_or(u32::MAX)))
    }

    /// The minor version whose checks apply.
    pub(super) fn known_minor(self) -> u32 {
        match self {
            Version::Minor(minor) => minor.min(NEWEST),
            Version::Latest => NEWEST,
        }
    }
}

fn is_number(digits: &str) -> bool {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain && (digits == "0" || !digits.starts_with('0'))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Minor(minor) => f.pad(&format!("v1.{minor}")),
            Version::Latest => f.pad("latest"),
        }
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Reads a label's value, or the same without its `v`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("1.") {
            return Version::parse_label(&format!("v{text}")).map_err(|_| InvalidVersion(text.to_owned()));
        }
        Version::parse_label(text)
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Version::{self, Latest, Minor};

    #[track_caller]
    fn check(text: &str, label: Option<Version>, config: Option<Version>) {
        assert_eq!(Version::parse_label(text).ok(), label, "as a label");
        assert_eq!(text.parse().ok(), config, "in the configuration");
    }

    #[test]
    fn reads_labels() {
        check("latest", Some(Latest), Some(Latest));
        check("v1.0", Some(Minor(0)), Some(Minor(0)));
        check("v1.37", Some(Minor(37)), Some(Minor(37)));
        check("v1.100", Some(Minor(100)), Some(Minor(100)));
        check("v1.99999999999", Some(Minor(u32::MAX)), Some(Minor(u32::MAX)));
    }

    #[test]
    fn reads_a_bare_version_in_the_configuration_only() {
        check("1.30", None, Some(Minor(30)));
    }

    #[test]
    fn refuses_everything_else() {
        for text in
            ["", "v1", "v1.", "v1.01", "v1.00", "v1.+3", "v1.3 ", "v2.0", "V1.3", "vv1.3", "1.x", "Latest"]
        {
            check(text, None, None);
        }
    }

    #[test]
    fn latest_is_newer_than_any_number() {
        assert!(Minor(9) < Minor(10));
        assert!(Minor(u32::MAX) < Latest);
    }

    #[test]
    fn reads_back_what_it_prints() {
        for version in [Minor(0), Minor(24), Latest] {
            let value = serde_json::to_value(version).unwrap();
            assert_eq!(value, version.to_string());
            assert_eq!(serde_json::from_value::<Version>(value).unwrap(), version);
        }
    }
}
