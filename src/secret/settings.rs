//! Secrets among settings: in the arguments of a command, and in the lines of a configuration file.
//!
//! Returns names and places, nothing of a value.

use super::text::{Token, is_secret_name, is_secret_value, known_token};

/// An argument that holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretArgument<'a> {
    /// Its place in the list.
    pub index: usize,
    /// The option or variable it is for, if it has a name.
    pub name: Option<&'a str>,
    pub what: &'static str,
}

/// The arguments of a command that hold secrets: `--password=x`, `--password x`, `PASSWORD=x`, and tokens that are known
/// by their form anywhere.
pub fn argument<'a>(arguments: &[&'a str]) -> Vec<SecretArgument<'a>> {
    let mut found = Vec::new();
    for (index, argument) in arguments.iter().copied().enumerate() {
        if let Some(token) = argument.lines().find_map(|line| tokens(line).find_map(known_token)) {
            found.push(SecretArgument { index, name: None, what: token.described() });
            continue;
        }
        let before = index.checked_sub(1).map(|before| arguments[before]);
        let (name, value) = match (argument.split_once('='), before) {
            (Some((name, value)), _) => (name, value),
            (None, Some(name)) if name.starts_with("--") && !argument.starts_with('-') => (name, argument),
            _ => continue,
        };
        let bare = name.trim_start_matches('-');
        let is_name =
            !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if is_name && is_secret_name(bare) && is_secret_value(value) && !is_object_name(value) {
            found.push(SecretArgument { index, name: Some(name), what: "what its name calls a secret" });
        }
    }
    found
}

/// Options called `--secret` or `--token` often take the name of an object: words with dashes, or namespace and name.
fn is_object_name(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || matches!(c, '-' | '/' | '.');
    value.contains(['-', '/', '.']) && value.chars().all(is_part)
}

/// The pieces of a line that may be tokens.
fn tokens(line: &str) -> impl Iterator<Item = &str> {
    let pieces =
        line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ';' | '`' | '(' | ')'));
    std::iter::once(line).chain(pieces.filter(|piece| piece.len() >= 12))
}

/// A line of a file that holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretLine<'a> {
    /// Counted from 0.
    pub line: usize,
    pub name: Option<&'a str>,
    pub what: &'static str,
}

/// The lines of a file's text that hold secrets: settings (`name = value`, `name: value`) with names that promise one, and
/// tokens that are known by their form. Comments hold none.
pub fn file_content(text: &str) -> Vec<SecretLine<'_>> {
    let mut found = Vec::new();
    for (line, written) in text.lines().enumerate() {
        let trimmed = written.trim();
        if trimmed.starts_with(['#', ';'])
            || trimmed.starts_with("//")
            || trimmed.starts_with("--") && !trimmed.starts_with("-----")
        {
            continue;
        }
        if trimmed.starts_with("-----BEGIN ") && trimmed.contains("PRIVATE KEY-----") {
            found.push(SecretLine { line, name: None, what: Token::Key.described() });
        } else if let Some(token) = tokens(trimmed).find_map(known_token) {
            found.push(SecretLine { line, name: None, what: token.described() });
        } else if let Some(name) = setting(trimmed) {
            found.push(SecretLine { line, name: Some(name), what: "what its name calls a secret" });
        }
    }
    found
}

/// The name of a setting whose value is a secret.
fn setting(line: &str) -> Option<&str> {
    let at = line.find(['=', ':'])?;
    let name =
        line[..at].trim().trim_start_matches("export ").trim_start_matches("- ").trim_matches(['"', '\'']);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let value = line[at + 1..].trim().trim_end_matches([',', ';']).trim();
    let is_quoted = value.len() >= 2
        && (value.starts_with('"') && value.ends_with('"')
            || value.starts_with('\'') && value.ends_with('\''));
    let bare = if is_quoted { &value[1..value.len() - 1] } else { value };
    // Without quotes it may be code: a call, a field, an expression.
    let is_code = |c: char| {
        c.is_whitespace()
            || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '|' | ',' | '"' | '\'' | '*')
    };
    let is_literal = is_quoted && !bare.contains(['{', '}', ' ']) || !is_quoted && !bare.contains(is_code);
    (is_name
        && is_literal
        && is_secret_name(name)
        && is_secret_value(bare)
        && !is_object_name(bare)
        && !is_default_or_type(bare))
    .then_some(name)
}

/// Names of types and fields stand where programs describe settings.
fn is_default_or_type(value: &str) -> bool {
    [
        "string",
        "str",
        "bytes",
        "password",
        "token",
        "secret",
        "required",
        "optional",
        "env",
        "file",
        "token_file",
    ]
    .contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_arguments(arguments: &[&str], expected: &[usize]) {
        let found: Vec<usize> = argument(arguments).iter().map(|argument| argument.index).collect();
        assert_eq!(found, expected, "{arguments:?}");
    }

    #[test]
    fn options_hold_secrets_and_names_of_objects() {
        check_arguments(&["--password=hunter2", "--user", "app"], &[0]);
        check_arguments(&["--db-password", "hunter2"], &[1]);
        check_arguments(&["-api.token=a8f5f167f44f4964"], &[0]);
        check_arguments(&["PGPASSWORD=hunter2", "psql"], &[0]);
        check_arguments(&["--dsn", "postgres://app:hunter2@db/app"], &[1]);
        check_arguments(&["-c", "curl https://u:hunter2@host/ && true"], &[1]);
        check_arguments(&["--token-file=/run/token", "--password=$(PASSWORD)", "--token", "--verbose"], &[]);
        check_arguments(&["--secret=shop/tls-cert", "--tls-secret", "web-tls", "--secret-name=db"], &[]);
    }

    #[track_caller]
    fn check_file(text: &str, expected: &[usize]) {
        let found: Vec<usize> = file_content(text).iter().map(|line| line.line).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn files_hold_secrets_in_settings_and_known_forms() {
        check_file("db.user=app\ndb.password=hunter2\n", &[1]);
        check_file("auth:\n  password: \"hunter2\"\n  token: ${TOKEN}\n", &[1]);
        check_file("{\n  \"apiKey\": \"a8f5f167f44f\",\n  \"user\": \"x\"\n}", &[1]);
        check_file("url = amqp://guest:guest@mq/\n", &[0]);
        check_file("# password=hunter2\npassword = os.Getenv(\"X\")\nsecret: { name: x }\n", &[]);
        check_file("password=\ntoken: true\npassword: string\nsecret: db-credentials\n", &[]);
    }
}
