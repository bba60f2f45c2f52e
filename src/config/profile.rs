//! Versions and the profile asked for, parsed. Knows how they are written, not what a profile demands.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A Kubernetes minor version of major 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KubernetesVersion {
    pub minor: u16,
}

/// A level of the Pod Security Standards, least strict first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodSecurityLevel {
    Privileged,
    Baseline,
    Restricted,
}

/// A version of the Pod Security Standards, as the `*-version` labels of a namespace spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum PolicyVersion {
    Minor(KubernetesVersion),
    Latest,
}

/// What rules ask for: a level, and the version of the standard it is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Profile {
    pub level: PodSecurityLevel,
    pub version: PolicyVersion,
}

impl FromStr for KubernetesVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.");
        minor
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|digits| *digits == "0" || !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .map(|minor| KubernetesVersion { minor })
            .ok_or_else(|| format!("`{}` is not a Kubernetes minor version like `1.37`", text.escape_debug()))
    }
}

impl FromStr for PodSecurityLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Privileged, Self::Baseline, Self::Restricted]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| {
                format!("`{}` is not a level: privileged, baseline or restricted", text.escape_debug())
            })
    }
}

impl FromStr for PolicyVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            _ => text
                .parse()
                .map(Self::Minor)
                .map_err(|_| format!("`{}` is neither `latest` nor like `v1.37`", text.escape_debug())),
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (level, version) = text.split_once('@').unwrap_or((text, "latest"));
        Ok(Profile { level: level.parse()?, version: version.parse()? })
    }
}

macro_rules! from_string {
    ($($type:ty),+) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )+};
}
from_string!(KubernetesVersion, PolicyVersion, Profile);

impl PodSecurityLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

impl fmt::Display for PodSecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(version) => write!(f, "v{version}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.level, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match text.parse::<Profile>() {
            Ok(profile) => profile.to_string(),
            Err(message) => message,
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_profile_is_a_level_and_perhaps_a_version() {
        check("restricted@latest", "restricted@latest");
        check("baseline", "baseline@latest");
        check("privileged@v1.24", "privileged@v1.24");
        check("baseline@1.30", "baseline@v1.30");
        check("strict", "`strict` is not a level: privileged, baseline or restricted");
        check("baseline@1.030", "`1.030` is neither `latest` nor like `v1.37`");
        check("baseline@", "`` is neither `latest` nor like `v1.37`");
        check("baseline@v2.1", "`v2.1` is neither `latest` nor like `v1.37`");
    }

    #[test]
    fn a_patch_version_is_not_a_minor_version() {
        assert!("1.37.2".parse::<KubernetesVersion>().is_err());
        assert_eq!("v1.37".parse(), Ok(KubernetesVersion { minor: 37 }));
    }
}
