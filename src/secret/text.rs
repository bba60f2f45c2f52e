//! Tells secrets from other text by the name of a variable and the shape of its value.
//!
//! Prefers silence to a false alarm. Returns nothing of a value but where it is.

/// The kind of secret a value is by its shape alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `scheme://user:password@host`.
    UserInfo,
    /// A PEM block.
    Key,
    /// A prefix that some service gives its tokens.
    Service,
    Jwt,
}

/// Words that make a name one of a secret when it ends with them, as parts between underscores.
const SECRET_ENDS: [&[&str]; 20] = [
    &["password"],
    &["passwd"],
    &["passphrase"],
    &["pwd"],
    &["pass"],
    &["secret"],
    &["token"],
    &["apikey"],
    &["api", "key"],
    &["secretkey"],
    &["secret", "key"],
    &["private", "key"],
    &["access", "key"],
    &["encryption", "key"],
    &["signing", "key"],
    &["auth", "key"],
    &["account", "key"],
    &["secret", "key", "base"],
    &["credential"],
    &["credentials"],
];

/// Names that end so and hold none: a public part, or a working directory.
const NO_SECRETS: [&str; 5] = ["PWD", "OLDPWD", "PUBLIC_TOKEN", "CSRF_TOKEN", "PUBLISHABLE_KEY"];

/// Whether the name of a variable says that its value is secret.
pub fn is_secret_name(name: &str) -> bool {
    if NO_SECRETS.contains(&name) {
        return false;
    }
    let words = words(name);
    SECRET_ENDS.iter().any(|end| words.len() >= end.len() && words[words.len() - end.len()..].iter().eq(end.iter()))
        // `DBPASSWORD`, `MYSQLROOTPASSWORD`.
        || words.last().is_some_and(|last| ["password", "passwd"].iter().any(|end| last.ends_with(end)))
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are the same words.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut open = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            open = false;
            continue;
        }
        let starts = !open || c.is_ascii_uppercase() && was_lower;
        if starts {
            words.push(String::new());
        }
        words.last_mut().expect("a word was started").push(c.to_ascii_lowercase());
        (open, was_lower) = (true, c.is_ascii_lowercase());
    }
    words
}

/// Whether a value may be the secret its variable's name promises, as opposed to a reference or a setting.
pub fn is_secret_value(value: &str) -> bool {
    let value = value.trim();
    let is_setting = value.len() < 3
        || ["true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined"]
            .contains(&value.to_ascii_lowercase().as_str())
        || value.parse::<f64>().is_ok_and(|_| value.len() <= 5);
    !(is_setting || is_reference(value) || is_placeholder(value) || is_path(value) || value.contains("://"))
}

/// Filled in by the kubelet, a shell, a template engine, an init program or a secret store.
pub(super) fn is_reference(value: &str) -> bool {
    const STORES: [&str; 12] = [
        "vault:",
        "secret:",
        "secret/",
        "ref+",
        "arn:",
        "file:",
        "env:",
        "op:",
        "ssm:",
        "sops:",
        "projects/",
        "AQICAH",
    ];
    ["$(", "${", "{{", "<%", "$"].iter().any(|start| value.starts_with(start))
        || value.contains("$(") && value.contains(')')
        || value.contains("${")
        || STORES.iter().any(|store| value.starts_with(store))
}

/// Text that asks the reader to put the value there, or that names the object which has it.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_bracketed = |open: char, close: char| lower.starts_with(open) && lower.ends_with(close);
    is_bracketed('<', '>')
        || is_bracketed('[', ']')
        || is_bracketed('%', '%')
        || ["replace", "todo", "fixme", "placeholder", "redacted", "your-", "your_", "insert", "change_me_"]
            .iter()
            .any(|word| lower.starts_with(word))
        || ["-secret", "-secrets", "-credentials"].iter().any(|end| value.ends_with(end))
        || value.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        || lower.chars().all(|c| matches!(c, '*' | 'x' | '.' | '-'))
}

fn is_path(value: &str) -> bool {
    const FILES: [&str; 8] = [".pem", ".key", ".crt", ".json", ".txt", ".yaml", ".yml", ".jks"];
    value.starts_with('/') && !value[1..].starts_with('/') && !value.ends_with('=')
        || value.starts_with("./")
        || value.starts_with("~/")
        || FILES.iter().any(|end| value.ends_with(end))
}

/// Tokens with a form of their own, whatever the variable is called.
pub fn known_token(value: &str) -> Option<Token> {
    if value.contains('-') && value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----") {
        return Some(Token::Key);
    }
    if has_password_in_url(value) {
        return Some(Token::UserInfo);
    }
    if is_jwt(value) {
        return Some(Token::Jwt);
    }
    is_service_token(value).then_some(Token::Service)
}

/// Prefix, least and greatest length of what follows: the forms that secret scanners agree on.
const SERVICE_TOKENS: [(&str, usize, usize); 16] = [
    ("ghp_", 36, 36),
    ("gho_", 36, 36),
    ("ghu_", 36, 36),
    ("ghs_", 36, 36),
    ("ghr_", 36, 76),
    ("github_pat_", 60, 100),
    ("glpat-", 20, 64),
    ("xoxb-", 20, 120),
    ("xoxp-", 20, 120),
    ("xoxa-", 20, 120),
    ("AKIA", 16, 16),
    ("ASIA", 16, 16),
    ("sk_live_", 20, 120),
    ("npm_", 36, 36),
    ("hvs.", 24, 200),
    ("dckr_pat_", 20, 60),
];

fn is_service_token(value: &str) -> bool {
    // Few texts start as one of them does.
    value.starts_with(['g', 'x', 'A', 's', 'n', 'h', 'd'])
        && SERVICE_TOKENS.iter().any(|(prefix, least, most)| {
        value.strip_prefix(prefix).is_some_and(|rest| {
            let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (*least..=*most).contains(&rest.len())
                && rest.chars().all(is_token)
                // `AKIAIOSFODNN7EXAMPLE` is the documentation's.
                && !rest.ends_with("EXAMPLE")
                && (!prefix.starts_with('A') || rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
        })
    })
}

fn is_jwt(value: &str) -> bool {
    let is_part = |part: &str| {
        part.len() >= 10 && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    value.starts_with("eyJ") && value.split('.').count() == 3 && value.split('.').all(is_part)
}

fn has_password_in_url(value: &str) -> bool {
    value.contains('@')
        && value.match_indices("://").any(|(at, _)| {
            let has_scheme = value[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &value[at + 3..];
            let authority = rest.split(['/', '?', '#', ' ', '"', '\'']).next().unwrap_or_default();
            let password =
                authority.rsplit_once('@').and_then(|(user_info, _)| Some(user_info.split_once(':')?.1));
            has_scheme && password.is_some_and(is_secret_value)
        })
}

impl Token {
    /// How messages call it.
    pub fn described(self) -> &'static str {
        match self {
            Token::UserInfo => "a URL with a password",
            Token::Key => "a private key",
            Token::Service => "the token of a known service",
            Token::Jwt => "a signed token (JWT)",
        }
    }
}

/// What a value with a name is, if it is a secret: by its own form, by its name, or because it is random and its name
/// speaks of keys.
pub fn literal(name: &str, value: &str) -> Option<&'static str> {
    match known_token(value) {
        Some(token) => Some(token.described()),
        None if is_secret_name(name) && is_secret_value(value) => Some("what its name calls a secret"),
        None if is_vague_name(name) && is_random(value) => {
            Some("random text under a name that speaks of keys")
        }
        None => None,
    }
}

/// Last words of names that hold secrets or identifiers, as the value tells.
const VAGUE_ENDS: [&str; 6] = ["key", "salt", "auth", "seed", "cookie", "passcode"];

fn is_vague_name(name: &str) -> bool {
    let words = words(name);
    // Names of objects in a bucket or a table.
    if words.iter().any(|word| {
        ["s3", "bucket", "cache", "partition", "sort", "primary", "object"].contains(&word.as_str())
    }) {
        return false;
    }
    let is_public =
        words.iter().any(|word| ["public", "publishable", "site", "client", "id"].contains(&word.as_str()));
    !is_public && words.last().is_some_and(|last| VAGUE_ENDS.contains(&last.as_str()))
}

/// Bits for each character above which a text of letters and digits is no word of any language. Hexadecimal text
/// has 4 at most, and 3.3 and more from 20 characters on.
const RANDOM_BITS: f64 = 3.3;

/// Whether a text looks drawn by lot: long, of letters and digits, few of them often.
fn is_random(value: &str) -> bool {
    let value = value.trim();
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let is_uuid = value.len() == 36 && value.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    (20..=512).contains(&value.len())
        && value.chars().all(is_token)
        && digits * 10 >= value.len()
        && value.chars().any(|c| c.is_ascii_alphabetic())
        && !is_uuid
        && !is_path(value)
        && !is_placeholder(value)
        && bits_per_character(value) >= RANDOM_BITS
}

/// Shannon's entropy of the characters.
fn bits_per_character(text: &str) -> f64 {
    let mut counts = [0u32; 128];
    text.bytes().filter(u8::is_ascii).for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(counts.iter().sum::<u32>());
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|p| -p * p.log2())
        .sum()
}

/// Defaults that everybody knows, written to be replaced.
pub(super) fn is_default(value: &str) -> bool {
    let plain: String = value.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    [
        "changeme",
        "changeit",
        "changethis",
        "replaceme",
        "setme",
        "fillme",
        "yourpassword",
        "yoursecret",
        "yourtoken",
    ]
    .iter()
    .any(|known| plain.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(names: &[&str], expected: bool) {
        for name in names {
            assert_eq!(is_secret_name(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_secrets_are_known_by_their_last_words() {
        check_names(
            &[
                "PASSWORD",
                "DB_PASSWORD",
                "MYSQL_ROOT_PASSWORD",
                "PGPASSWORD",
                "dbPassword",
                "db-password",
                "API_KEY",
                "APIKEY",
                "STRIPE_API_KEY",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_ACCESS_KEY",
                "GITHUB_TOKEN",
                "CLIENT_SECRET",
                "SECRET_KEY_BASE",
                "JWT_PRIVATE_KEY",
                "SERVICE_CREDENTIALS",
                "SMTP_PASS",
                "JWT_SECRET",
            ],
            true,
        );
    }

    #[test]
    fn names_that_only_speak_of_secrets_are_not_theirs() {
        check_names(
            &[
                "PASSWORD_FILE",
                "SECRET_NAME",
                "TOKEN_TTL",
                "TOKEN_ENABLED",
                "TOKEN_URL",
                "AUTH_TOKEN_HEADER",
                "PWD",
                "OLDPWD",
                "MAX_TOKENS",
                "API_KEY_ID",
                "KEY",
                "PUBLIC_KEY",
                "CACHE_KEY",
                "COMPASS",
                "BYPASS",
                "SECRETS_PATH",
                "PASSWORD_RESET_URL",
                "TOKENIZER",
                "",
            ],
            false,
        );
    }

    #[track_caller]
    fn check_values(values: &[&str], expected: bool) {
        for value in values {
            assert_eq!(is_secret_value(value), expected, "{value}");
        }
    }

    #[test]
    fn references_settings_and_placeholders_are_no_secrets() {
        check_values(
            &[
                "",
                "1",
                "8080",
                "true",
                "None",
                "$(DB_PASSWORD)",
                "${DB_PASSWORD}",
                "$DB_PASSWORD",
                "{{ .Values.x }}",
                "/run/secrets/db",
                "./token",
                "key.pem",
                "https://id.example.com/token",
                "vault:secret/data/db#password",
                "<your token>",
                "REPLACE_ME",
                "********",
                "xxxxx",
                "GOOGLE_API_KEY_VAL",
                "SECRET",
                "shop-secret",
                "[token]",
            ],
            false,
        );
        check_values(
            &["hunter2", "changeme", "p@ssw0rd", "123456", "9f86d081884c7d65", "postgres", "//8xFQ=="],
            true,
        );
    }

    #[test]
    fn random_text_needs_only_a_vague_name() {
        let random = "9f86d081884c7d659a2feaa0c55ad015";
        for (name, value, expected) in [
            ("ENCRYPTION", random, false),
            ("APP_KEY", random, true),
            ("PASSWORD_SALT", "q3Vt7xLw9Zc2Rk8Hn5Bd4Fy1", true),
            ("PUBLIC_KEY", random, false),
            ("CACHE_KEY", "users-by-name-and-region-v2", false),
            ("PARTITION_KEY", "123e4567-e89b-12d3-a456-426614174000", false),
            ("S3_KEY", "backups/2024/01/01/database", false),
            ("TRACKING_ID", random, false),
        ] {
            assert_eq!(literal(name, value).is_some(), expected, "{name}");
        }
    }

    #[track_caller]
    fn check_token(value: &str, expected: Option<Token>) {
        assert_eq!(known_token(value), expected, "{value}");
    }

    #[test]
    fn known_forms_need_no_name() {
        check_token("postgres://app:hunter2@db:5432/app", Some(Token::UserInfo));
        check_token("a,amqp://guest:guest@mq//b", Some(Token::UserInfo));
        check_token("postgres://app:$(PASSWORD)@db/app", None);
        check_token("postgres://app@db/app", None);
        check_token("http://host:80/a@b", None);
        check_token("https://example.com/?q=a:b@c", None);
        check_token(&["-----BEGIN RSA PRIVATE", " KEY-----\nMII"].concat(), Some(Token::Key));
        check_token("-----BEGIN CERTIFICATE-----", None);
        check_token(&format!("ghp_{}", "a".repeat(36)), Some(Token::Service));
        check_token("ghp_short", None);
        check_token(&format!("AKIA{}", "A1".repeat(8)), Some(Token::Service));
        check_token("AKIAIOSFODNN7EXAMPLE", None);
        check_token("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbU", Some(Token::Jwt));
        check_token("eyJ", None);
        check_token("akia", None);
    }
}
