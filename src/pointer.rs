//! Pointers (RFC 6901) that are kept as text: their tokens, which leads through which, and what is at one.
//!
//! Changes nothing; `json_patch` does.

use serde_json::Value;

/// A key as a reference token.
pub(crate) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// One reference token with `~1` and `~0` read.
pub(crate) fn decoded(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// [`Value::pointer`], which makes two strings of every token on its way; this makes none of most, and is asked for
/// every pod and every finding.
pub(crate) fn look_up<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(value, |value, token| match value {
        Value::Object(map) if token.contains('~') => map.get(&decoded(token)),
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(index(token)?),
        _ => None,
    })
}

/// An index is written without a sign or zeros in front.
fn index(token: &str) -> Option<usize> {
    let is_index =
        token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_index)
}

/// Whether `pointer` is at or below `at`.
pub(crate) fn within(pointer: &str, at: &str) -> bool {
    pointer.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::look_up;

    #[test]
    fn what_is_at_a_pointer_is_what_others_find() {
        let value = json!({"a/b": {"~": [1, {"": null}]}, "": 2, "0": [[3]], "é": "x"});
        for pointer in [
            "",
            "/",
            "/a~1b/~0/0",
            "/a~1b/~0/1/",
            "/a~1b/~0/2",
            "/a~1b/~0/-",
            "/a~1b/~0/01",
            "/a~1b/~0/+1",
            "/0/0/0",
            "/0/00",
            "a",
            "/é",
            "/é/0",
            "/a~1b/~0/",
            "/a~01b",
        ] {
            assert_eq!(look_up(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
