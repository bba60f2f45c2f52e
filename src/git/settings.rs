//! The configuration as the user's `git` sees it.

use std::collections::BTreeMap;

use super::GitError;
use super::program::Program;

/// All settings that apply to a repository; the last value of a key wins.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<String, Option<String>>,
}

impl Settings {
    /// Asks the `git` program, as libgit2 knows neither `GIT_CONFIG_GLOBAL` nor every `includeIf`; asks
    /// libgit2 when there is no program.
    pub(super) fn load(program: &Program, git_dir: &std::path::Path) -> Result<Self, GitError> {
        match program.local(["config", "--list", "-z"]).read(&[]) {
            Ok(listing) => Ok(Self::parse(&listing)),
            Err(GitError::NoProgram { .. }) => {
                Self::of_library(git_dir).map_err(GitError::library("read git's configuration"))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads `git config --list -z`: `key LF value NUL`, without the line feed when there is no value.
    fn parse(listing: &[u8]) -> Self {
        let text = String::from_utf8_lossy(listing);
        let pairs = text.split_terminator('\0').map(|entry| match entry.split_once('\n') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (entry.to_owned(), None),
        });
        Self { values: pairs.collect() }
    }

    fn of_library(git_dir: &std::path::Path) -> Result<Self, git2::Error> {
        let mut values = BTreeMap::new();
        let config = git2::Repository::open(git_dir)?.config()?;
        let mut entries = config.entries(None)?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if let Ok(name) = entry.name() {
                values.insert(name.to_owned(), entry.value().ok().map(str::to_owned));
            }
        }
        Ok(Self { values })
    }

    #[cfg(test)]
    pub(super) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self {
            values: pairs.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
        }
    }

    /// Returns the value of a key whose section and name are in lower case.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_deref()
    }

    /// Returns whether a key is set to what git takes for true. A key without a value is.
    pub(super) fn is_true(&self, key: &str) -> bool {
        match self.values.get(key) {
            None => false,
            Some(None) => true,
            Some(Some(value)) => matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_a_lone_key_is_true() {
        let settings = Settings::parse(b"user.name\nA\0commit.gpgsign\0user.name\nB\nC\0core.bare\nFalse\0");
        assert_eq!(settings.text("user.name"), Some("B\nC"));
        assert!(settings.is_true("commit.gpgsign"));
        assert!(!settings.is_true("core.bare"));
        assert!(!settings.is_true("tag.gpgsign"));
    }
}
