//! Patterns over repo paths, object names and image names. Knows strings, not files or objects.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

/// A pattern over paths of the repo, with the meaning it has in a `.gitignore`: without an inner `/` it
/// matches at any depth, and whatever it matches, everything below is matched too.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct PathGlob {
    pattern: String,
    itself: GlobMatcher,
    below: GlobMatcher,
}

/// A pattern over a name (`Kind/name`, a namespace): `*` matches any run of characters. Case is ignored, as
/// kubectl does for kinds.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct NameGlob {
    pattern: String,
    matcher: GlobMatcher,
}

impl std::fmt::Display for NameGlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pattern)
    }
}

/// A pattern over image names without tag and digest. `*` stays within one part of the name, `**/` matches
/// any registry and folder; `docker.io/library/` may be left out on both sides.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ImageGlob {
    pattern: String,
    matcher: GlobMatcher,
}

impl PathGlob {
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// `path` is relative to the repo, with `/` between its parts.
    pub fn matches(&self, path: &str) -> bool {
        self.itself.is_match(path) || self.below.is_match(path)
    }
}

impl NameGlob {
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    pub fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }
}

impl ImageGlob {
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    pub fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(familiar(name))
    }
}

impl TryFrom<String> for PathGlob {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        if let Some(rest) = pattern.strip_prefix('!') {
            return Err(format!("`!{rest}`: a pattern cannot be negated here"));
        }
        let trimmed = pattern.strip_prefix("./").unwrap_or(&pattern).trim_end_matches('/');
        if trimmed.split('/').any(|part| part == "..") {
            return Err(format!("`{}` leaves the repo", pattern.escape_debug()));
        }
        let anchored = match trimmed.strip_prefix('/') {
            Some(from_root) => from_root.to_owned(),
            None if trimmed.contains('/') => trimmed.to_owned(),
            None => format!("**/{trimmed}"),
        };
        if trimmed.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        let compile = |glob: &str| GlobBuilder::new(glob).literal_separator(true).build();
        let itself = compile(&anchored).map_err(describe)?.compile_matcher();
        let below = compile(&format!("{anchored}/**")).map_err(describe)?.compile_matcher();
        Ok(PathGlob { pattern, itself, below })
    }
}

impl TryFrom<String> for NameGlob {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        let glob = GlobBuilder::new(&pattern).case_insensitive(true).build().map_err(describe)?;
        Ok(NameGlob { matcher: glob.compile_matcher(), pattern })
    }
}

impl TryFrom<String> for ImageGlob {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        let last = pattern.rsplit('/').next().unwrap_or_default();
        if pattern.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        if last.contains([':', '@']) {
            return Err(format!("`{}`: write the image without tag and digest", pattern.escape_debug()));
        }
        let glob = GlobBuilder::new(familiar(&pattern)).literal_separator(true).build().map_err(describe)?;
        Ok(ImageGlob { matcher: glob.compile_matcher(), pattern })
    }
}

/// The short form of an image name on Docker Hub: what `docker.io/library/nginx` and `nginx` have in common.
pub(crate) fn familiar(name: &str) -> &str {
    let hub = ["docker.io/", "index.docker.io/"].iter().find_map(|host| name.strip_prefix(host));
    let rest = hub.unwrap_or(name);
    rest.strip_prefix("library/").unwrap_or(rest)
}

fn describe(error: globset::Error) -> String {
    let glob = error.glob().unwrap_or_default();
    // The pattern shown is the user's, without what we put around it.
    let glob = glob.strip_prefix("**/").unwrap_or(glob);
    format!("`{}` is not a pattern: {}", glob.escape_debug(), error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_path(pattern: &str, matching: &[&str], other: &[&str]) {
        let glob = PathGlob::try_from(pattern.to_owned()).unwrap();
        for path in matching {
            assert!(glob.matches(path), "`{pattern}` should match `{path}`");
        }
        for path in other {
            assert!(!glob.matches(path), "`{pattern}` should not match `{path}`");
        }
    }

    #[test]
    fn path_patterns_mean_what_they_mean_in_gitignore() {
        check_path("vendor", &["vendor", "a/vendor/b.yaml", "vendor/x/y.yaml"], &["vendored/a.yaml"]);
        check_path("vendor/", &["vendor/a.yaml"], &["vendors/a.yaml"]);
        check_path("/apps", &["apps/web/a.yaml"], &["team/apps/a.yaml"]);
        check_path("apps/*.yaml", &["apps/a.yaml"], &["apps/web/a.yaml", "x/apps/a.yaml"]);
        check_path("*.gen.yaml", &["a.gen.yaml", "b/c.gen.yaml"], &["gen.yaml"]);
        check_path("apps/**/test", &["apps/test/a.yaml", "apps/x/y/test/a.yaml"], &["apps/testing/a"]);
    }

    #[test]
    fn bad_patterns_are_explained() {
        let error = |pattern: &str| PathGlob::try_from(pattern.to_owned()).unwrap_err();
        assert_eq!(error("a[b"), "`a[b` is not a pattern: unclosed character class; missing ']'");
        assert_eq!(error("../other"), "`../other` leaves the repo");
        assert_eq!(error("!keep"), "`!keep`: a pattern cannot be negated here");
        assert_eq!(error("/"), "an empty pattern matches nothing");
        assert_eq!(
            ImageGlob::try_from("nginx:1.27".to_owned()).unwrap_err(),
            "`nginx:1.27`: write the image without tag and digest"
        );
    }

    #[test]
    fn image_patterns_see_through_docker_hub_names() {
        let glob = ImageGlob::try_from("docker.io/library/nginx".to_owned()).unwrap();
        assert!(glob.matches("nginx") && glob.matches("index.docker.io/library/nginx"));
        assert!(!glob.matches("example.com/nginx"));
        let glob = ImageGlob::try_from("localhost:5000/*".to_owned()).unwrap();
        assert!(glob.matches("localhost:5000/web") && !glob.matches("localhost:5000/team/web"));
    }
}
