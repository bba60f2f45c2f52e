//! Who a commit is by: the environment first, then the configuration, as git does it.
//!
//! Unlike git, never guesses an address from the host's name.

use super::GitError;
use super::settings::Settings;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) author: Person,
    pub(super) committer: Person,
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Finds author and committer.
pub(super) fn identity(settings: &Settings, environment: Environment<'_>) -> Result<Identity, GitError> {
    Ok(Identity {
        author: person("GIT_AUTHOR", "author", settings, environment)?,
        committer: person("GIT_COMMITTER", "committer", settings, environment)?,
    })
}

fn person(
    prefix: &str,
    section: &str,
    settings: &Settings,
    environment: Environment<'_>,
) -> Result<Person, GitError> {
    let find = |part: &str| {
        let variable = format!("{prefix}_{}", part.to_ascii_uppercase());
        environment(&variable)
            .or_else(|| settings.text(&format!("{section}.{part}")).map(str::to_owned))
            .or_else(|| settings.text(&format!("user.{part}")).map(str::to_owned))
            .and_then(|text| clean(&text))
    };
    let name = find("name").ok_or(GitError::NoIdentity { missing: "user.name" })?;
    let email = find("email")
        .or_else(|| environment("EMAIL").and_then(|text| clean(&text)))
        .ok_or(GitError::NoIdentity { missing: "user.email" })?;
    Ok(Person { name, email })
}

/// Leaves out what would break the header line, as git does; `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !matches!(c, '<' | '>' | '\n' | '\r' | '\0')).collect();
    let kept = kept.trim_matches(|c: char| c <= ' ' || ".,:;\"\\'".contains(c));
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listing: &[(&str, &str)], environment: &[(&str, &str)], author: Result<&str, &str>) {
        let settings = Settings::from_pairs(listing);
        let find = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let found = identity(&settings, &find)
            .map(|who| format!("{} <{}>", who.author.name, who.author.email))
            .map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), author);
    }

    const USER: &[(&str, &str)] = &[("user.name", "Ann"), ("user.email", "ann@example.org")];

    #[test]
    fn environment_goes_before_configuration() {
        check(USER, &[], Ok("Ann <ann@example.org>"));
        check(USER, &[("GIT_AUTHOR_NAME", "Bob"), ("EMAIL", "no")], Ok("Bob <ann@example.org>"));
        check(&[USER, &[("author.email", "a@b")]].concat(), &[], Ok("Ann <a@b>"));
        check(&[("user.name", "A <b>\n.")], &[("EMAIL", "<x@y>")], Ok("A b <x@y>"));
    }

    #[test]
    fn names_what_is_missing() {
        check(&[], &[], Err("git does not know who you are: no user.name"));
        check(&[("user.name", "Ann")], &[], Err("git does not know who you are: no user.email"));
        check(&[("user.name", " <> ")], &[], Err("git does not know who you are: no user.name"));
    }
}
