//! Reads `WWW-Authenticate`: what a registry wants before it answers. Pure text.
//!
//! Source: RFC 9110 section 11, <https://distribution.github.io/distribution/spec/auth/token/>.

/// A login that we can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token from a token service.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// Reads all challenges of a header; a token wins over a password.
pub(super) fn read(header: &str) -> Option<Challenge> {
    let mut found = None;
    for (scheme, parameters) in challenges(header) {
        let parameter = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameter("realm")
        {
            return Some(Challenge::Bearer { realm, service: parameter("service") });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// Splits `Scheme key="value", key=value, Scheme …`.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let (word, after) = rest.split_at(end);
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let Some((value, after)) = read_value(value.trim_start()) else { return found };
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                rest = after;
            }
            None => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn is_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<Challenge>) {
        assert_eq!(read(header), expected, "{header}");
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn reads_what_registries_send() {
        check(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            bearer("https://auth.docker.io/token", Some("registry.docker.io")),
        );
        check(r#"Basic realm="Registry Realm""#, Some(Challenge::Basic));
        check(r#"basic, bearer realm=https://a/t"#, bearer("https://a/t", None));
        check(r#"Bearer realm="a\"b""#, bearer("a\"b", None));
    }

    #[test]
    fn what_cannot_be_read_is_no_challenge() {
        for header in ["", "Negotiate", "Bearer service=x", "Bearer realm=\"open", "=", "\"", "ü"] {
            check(header, None);
        }
    }
}
