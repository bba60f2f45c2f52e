//! Every `{{ hole }}` of a template must be a whole YAML scalar (a value, an item or a key). Then the quoting
//! of what fills it is enough: in the middle of other text, or inside quotes, no quoting could be right.
//!
//! Looks at the template's text before it is ever rendered. Knows tera's delimiters and the little of YAML
//! that says where a scalar starts; what it cannot follow it refuses.

/// Why a hole is refused, and the byte at which it starts in the template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MisplacedHole {
    pub(crate) offset: usize,
    pub(crate) reason: &'static str,
}

const INSIDE_QUOTES: &str = "a hole stands inside quotes; leave them out, what fills it is quoted by itself";
const INSIDE_TEXT: &str = "a hole must be a whole value; join text inside the hole: `{{ \"text-\" ~ name }}`";

/// Finds the first hole that is not a whole scalar. Text inside an `if` is taken to be there.
pub(crate) fn check(source: &str) -> Result<(), MisplacedHole> {
    let mut position = Position::default();
    let tokens = tokens(source);
    for (n, token) in tokens.iter().enumerate() {
        match *token {
            Token::Char(c) => position.advance(c, tokens.get(n + 1)),
            Token::Hole(offset) => {
                let next = tokens.get(n + 1);
                position.fill(next).map_err(|reason| MisplacedHole { offset, reason })?;
            }
        }
    }
    Ok(())
}

/// The template without its tags and comments, and without the blanks that a `-` at their edges takes away.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = source;
    while let Some(start) = ["{{", "{%", "{#"].into_iter().filter_map(|open| rest.find(open)).min() {
        tokens.extend(rest[..start].chars().map(Token::Char));
        let offset = source.len() - rest.len() + start;
        let (open, body) = rest[start..].split_at(2);
        let (inner, after) = match open {
            "{#" => body.split_once("#}").unwrap_or((body, "")),
            "{%" => split_code(body, "%}"),
            _ => split_code(body, "}}"),
        };
        if inner.starts_with('-') {
            while tokens.last().is_some_and(Token::is_blank) {
                tokens.pop();
            }
        }
        if open == "{{" {
            tokens.push(Token::Hole(offset));
        }
        rest = if inner.ends_with('-') { after.trim_start() } else { after };
    }
    tokens.extend(rest.chars().map(Token::Char));
    tokens
}

/// Splits at the end of a tag; an end inside a string literal is not one.
fn split_code<'a>(body: &'a str, end: &str) -> (&'a str, &'a str) {
    let mut quote = None;
    for (at, c) in body.char_indices() {
        match quote {
            None if body[at..].starts_with(end) => return (&body[..at], &body[at + end.len()..]),
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
    }
    (body, "")
}

#[derive(Clone, Copy)]
enum Token {
    Char(char),
    /// The byte at which the hole starts.
    Hole(usize),
}

impl Token {
    fn is_blank(&self) -> bool {
        matches!(self, Token::Char(c) if c.is_whitespace())
    }
}

/// Where in YAML the text has arrived.
struct Position {
    inside: Inside,
    /// A scalar may start at the next character.
    at_start: bool,
    /// The last character was a `-`, `?` or `:` that is an indicator if a blank follows.
    after_indicator: bool,
    after_blank: bool,
    flow_depth: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Structure,
    Comment,
    /// With whether the next character is escaped.
    Quotes(char, bool),
}

impl Default for Position {
    fn default() -> Self {
        let inside = Inside::Structure;
        Position { inside, at_start: true, after_indicator: false, after_blank: true, flow_depth: 0 }
    }
}

impl Position {
    fn advance(&mut self, c: char, next: Option<&Token>) {
        match self.inside {
            Inside::Structure => self.advance_structure(c),
            Inside::Comment if c != '\n' => {}
            Inside::Comment => *self = Position { flow_depth: self.flow_depth, ..Position::default() },
            Inside::Quotes(quote, true) => self.inside = Inside::Quotes(quote, false),
            Inside::Quotes('"', false) if c == '\\' => self.inside = Inside::Quotes('"', true),
            Inside::Quotes('\'', false) if c == '\'' && matches!(next, Some(Token::Char('\''))) => {
                self.inside = Inside::Quotes('\'', true);
            }
            Inside::Quotes(quote, false) if c == quote => self.inside = Inside::Structure,
            Inside::Quotes(..) => {}
        }
    }

    fn advance_structure(&mut self, c: char) {
        let (mut at_start, mut after_indicator) = (false, false);
        match c {
            '\n' => at_start = true,
            ' ' | '\t' | '\r' => at_start = self.at_start || self.after_indicator,
            '#' if self.after_blank => self.inside = Inside::Comment,
            '"' | '\'' if self.at_start => self.inside = Inside::Quotes(c, false),
            '[' | '{' if self.at_start => (self.flow_depth, at_start) = (self.flow_depth + 1, true),
            ']' | '}' => self.flow_depth = self.flow_depth.saturating_sub(1),
            ',' => at_start = self.flow_depth > 0,
            '-' | '?' => after_indicator = self.at_start,
            ':' => after_indicator = true,
            _ => {}
        }
        (self.at_start, self.after_indicator, self.after_blank) =
            (at_start, after_indicator, c.is_whitespace());
    }

    /// A hole takes the place of a scalar here, and `next` follows it.
    fn fill(&mut self, next: Option<&Token>) -> Result<(), &'static str> {
        match self.inside {
            Inside::Comment => return Ok(()),
            Inside::Quotes(..) => return Err(INSIDE_QUOTES),
            Inside::Structure => {}
        }
        let ends = match next {
            None => true,
            Some(Token::Char(c)) => c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':'),
            // Two holes side by side: branches of an `if`, or the second one is refused by itself.
            Some(Token::Hole(_)) => true,
        };
        if !self.at_start || !ends {
            return Err(INSIDE_TEXT);
        }
        (self.at_start, self.after_indicator, self.after_blank) = (false, false, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_each(templates: &[&str], expected: Result<(), &'static str>) {
        for template in templates {
            assert_eq!(check(template).map_err(|hole| hole.reason), expected, "{template}");
        }
    }

    #[test]
    fn whole_values_items_and_keys_are_holes() {
        check_each(
            &[
                "{{ a }}",
                "k: {{ a }}",
                "k: {{ a }} # why",
                "- {{ a }}\n- {{ b }}",
                "- - {{ a }}",
                "k:\n  {{ a }}: {{ b }}",
                "k: [{{ a }}, {{ b }}]",
                "k: {x: {{ a }}, {{ b }}: 1}",
                "k: 'it''s'\nl: {{ a }}",
                "k: \"\\\"\"\nl: {{ a }}",
                "k: it's\nl: {{ a }}",
                "# about {{ a }}\nk: {{ b }}",
                "k: {% if x %}{{ a }}{% else %}\n  {{ b }}{% endif %}",
                "{# it's \"odd -#}\n k: {{ a }}",
                "k: {{ \"}}\" ~ a }}",
                "k:\r\n  - {{ a }}\r\n",
            ],
            Ok(()),
        );
    }

    #[test]
    fn holes_in_quotes_are_refused() {
        check_each(
            &[
                "k: \"{{ a }}\"",
                "k: '{{ a }}'",
                "k: 'it''s: {{ a }}'",
                "k: \"\\\": {{ a }}\"",
                "k: '\n  {{ a }}'",
            ],
            Err(INSIDE_QUOTES),
        );
    }

    #[test]
    fn holes_in_other_text_are_refused() {
        check_each(
            &[
                "k: app-{{ a }}",
                "k: app {{ a }}",
                "k: {{ a }}-app",
                "k: {{ a }}{{ b }}",
                "k:{{ a }}",
                "k: {{- a }}",
                "k: app-\n{%- if x %}{{ a }}{% endif %}",
                "k: x, {{ a }}",
                "k: x- {{ a }}",
                "k: !!str {{ a }}",
                "k: http://{{ a }}",
                "-{{ a }}",
            ],
            Err(INSIDE_TEXT),
        );
    }

    #[test]
    fn the_place_is_that_of_the_hole() {
        assert_eq!(check("# é\nk: x{{ a }}").unwrap_err().offset, 9);
    }
}
