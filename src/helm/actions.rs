//! Where the actions of a template stand in its text.
//!
//! Knows how actions begin and end, not what they do.

use std::ops::Range;

use super::parse::{action_length, starts_blank};

/// `{{ … }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub range: Range<usize>,
    /// What is between the braces, without the signs that trim and the blanks around.
    pub words: String,
    /// Whether it takes the blanks behind it away.
    pub trims_behind: bool,
}

/// What an action does to the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Opens,
    Else,
    Closes,
    /// A comment, or a value that is only kept.
    Silent,
    /// It may render something.
    Renders,
}

impl Action {
    pub fn role(&self) -> Role {
        match self.words.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default() {
            "if" | "with" | "range" | "define" | "block" => Role::Opens,
            "else" => Role::Else,
            "end" => Role::Closes,
            _ if self.words.starts_with("/*") => Role::Silent,
            _ if self.words.starts_with('$') && self.is_kept() => Role::Silent,
            _ => Role::Renders,
        }
    }

    fn is_kept(&self) -> bool {
        let behind = self.words[1..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let behind = behind.trim_start();
        behind.starts_with(":=") || behind.starts_with("= ")
    }
}

/// The actions of a text, in its order; `None` for one that is no template.
pub fn actions(text: &str) -> Option<Vec<Action>> {
    let mut actions = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        let inside = start + 2;
        let trims = text[inside..].starts_with('-') && starts_blank(&text[inside + 1..]);
        let length = action_length(&text[inside + usize::from(trims)..]).ok()? + usize::from(trims);
        let body = &text[inside + usize::from(trims)..inside + length];
        let trims_behind = body.ends_with('-') && body[..body.len() - 1].ends_with(char::is_whitespace);
        let body = if trims_behind { &body[..body.len() - 1] } else { body };
        at = inside + length + 2;
        actions.push(Action { range: start..at, words: body.trim().to_owned(), trims_behind });
    }
    Some(actions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, Role, bool)]) {
        let actions = actions(text).unwrap();
        let shown: Vec<_> = actions
            .iter()
            .map(|action| (&text[action.range.clone()], &*action.words, action.role(), action.trims_behind))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn actions_are_found_with_what_they_do() {
        check("a: {{ .b }}", &[("{{ .b }}", ".b", Role::Renders, false)]);
        check(
            "{{- with .a -}}x{{- else }}y{{ end }}",
            &[
                ("{{- with .a -}}", "with .a", Role::Opens, true),
                ("{{- else }}", "else", Role::Else, false),
                ("{{ end }}", "end", Role::Closes, false),
            ],
        );
        check("{{/* a }} b */}}", &[("{{/* a }} b */}}", "/* a }} b */", Role::Silent, false)]);
        check("{{- $a := 1 }}", &[("{{- $a := 1 }}", "$a := 1", Role::Silent, false)]);
        check("{{ $a }}", &[("{{ $a }}", "$a", Role::Renders, false)]);
        check("{{ \"}}\" }}", &[("{{ \"}}\" }}", "\"}}\"", Role::Renders, false)]);
        check("{{ include \"x\" . }}", &[("{{ include \"x\" . }}", "include \"x\" .", Role::Renders, false)]);
        assert_eq!(super::actions("{{ if"), None);
    }
}
