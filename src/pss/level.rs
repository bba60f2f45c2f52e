//! The levels of the Pod Security Standards. Knows their names and their order only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A level of the Pod Security Standards. A stricter one compares greater.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything is allowed.
    Privileged,
    /// Forbids what is known to lead from a pod to its node.
    Baseline,
    /// Demands today's hardening practice as well.
    Restricted,
}

/// A text names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: must be one of privileged, baseline, restricted")]
pub struct InvalidLevel(String);

impl Level {
    /// All levels, the least strict first.
    pub const ALL: [Level; 3] = [Level::Privileged, Level::Baseline, Level::Restricted];

    /// The level's name as namespace labels and `--level` options spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = InvalidLevel;

    /// Reads exactly what a namespace label may hold: no other case, no blanks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Level::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or_else(|| InvalidLevel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn reads_back_what_it_prints() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
    }

    #[test]
    fn refuses_other_spellings() {
        for text in ["", "Baseline", "restricted ", "default"] {
            assert!(text.parse::<Level>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn stricter_is_greater() {
        assert!(Level::ALL.is_sorted());
    }
}
