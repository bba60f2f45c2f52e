//! Pointers (RFC 6901) that are kept as text: their tokens, and which leads through which.
//!
//! Looks nothing up; `json_patch::jsonptr` does.

/// A key as a reference token.
pub(crate) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// One reference token with `~1` and `~0` read.
pub(crate) fn decoded(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Whether `pointer` is at or below `at`.
pub(crate) fn within(pointer: &str, at: &str) -> bool {
    pointer.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
