//! Versions and the profile asked for, parsed. Knows how they are written, not what a profile demands.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::pss::{self, Level, Version};

/// A Kubernetes minor version of major 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KubernetesVersion {
    pub minor: u16,
}

/// What rules ask for: a level, and the version of the standard it is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Profile {
    pub level: Level,
    pub version: Version,
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

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (level, version) = text.split_once('@').unwrap_or((text, "latest"));
        let level = level.parse().map_err(|error: pss::InvalidLevel| error.to_string())?;
        let version = version.parse().map_err(|error: pss::InvalidVersion| error.to_string())?;
        Ok(Profile { level, version })
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
from_string!(KubernetesVersion, Profile);

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
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
        check("strict", "`strict` is not a level: must be one of privileged, baseline, restricted");
        check("baseline@1.030", "`1.030` is not a policy version: must be `latest` or like `v1.37`");
        check("baseline@", "`` is not a policy version: must be `latest` or like `v1.37`");
        check("baseline@v2.1", "`v2.1` is not a policy version: must be `latest` or like `v1.37`");
    }

    #[test]
    fn a_patch_version_is_not_a_minor_version() {
        assert!("1.37.2".parse::<KubernetesVersion>().is_err());
        assert_eq!("v1.37".parse(), Ok(KubernetesVersion { minor: 37 }));
    }
}
