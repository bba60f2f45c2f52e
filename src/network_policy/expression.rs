//! Calico's selectors: expressions over labels.
//!
//! Grammar and meaning: <https://docs.tigera.io/calico/latest/reference/resources/networkpolicy#selectors>. A label that
//! is not there meets `!=` and `not in`. Knows nothing of what the labels are of.

use super::selector::{Part, Selector};

/// What an expression selects; empty text selects everything.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Selector, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    if tokens.is_empty() {
        return Ok(Selector::default());
    }
    let selector = parser.any()?;
    match parser.tokens.get(parser.at) {
        None => Ok(selector),
        Some(token) => Err(format!("{token:?} is one too many")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: &[&str] = &["&&", "||", "==", "!=", "!", "(", ")", "{", "}", ","];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if matches!(first, '\'' | '"') {
            let end = rest[1..].find(first).ok_or("a quote is not closed")?;
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else {
            let in_word = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
            let end = rest.find(|c: char| !in_word(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("`{first}` is no part of a selector"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
}

/// Deeper ones are nobody's; parsing goes down one call for each.
const DEEPEST: usize = 200;

impl Parser<'_> {
    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.takes(&Token::Sign(sign))
    }

    fn word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(format!("`{sign}` is missing")) }
    }

    fn any(&mut self) -> Result<Selector, String> {
        let open = self.tokens[..self.at].iter().filter(|token| matches!(token, Token::Sign("(" | "!")));
        if open.count() > DEEPEST {
            return Err("it is nested too deep".to_owned());
        }
        let mut selector = self.all()?;
        while self.sign("||") {
            selector = selector.or(self.all()?);
        }
        Ok(selector)
    }

    fn all(&mut self) -> Result<Selector, String> {
        let mut selector = self.one()?;
        while self.sign("&&") {
            selector = selector.and(self.one()?);
        }
        Ok(selector)
    }

    fn one(&mut self) -> Result<Selector, String> {
        let mut is_negated = false;
        while self.sign("!") {
            is_negated = !is_negated;
        }
        let selector = if self.sign("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else {
            self.term()?
        };
        Ok(if is_negated { selector.not() } else { selector })
    }

    fn term(&mut self) -> Result<Selector, String> {
        let Some(Token::Word(key)) = self.tokens.get(self.at).cloned() else {
            return Err("a label's key is missing".to_owned());
        };
        self.at += 1;
        if self.sign("(") {
            let selector = match key.as_str() {
                "all" => Selector::default(),
                // What is in no namespace: no pod.
                "global" => Selector::none(),
                "has" => match self.tokens.get(self.at).cloned() {
                    Some(Token::Word(key)) => {
                        self.at += 1;
                        Selector::has(&key)
                    }
                    _ => return Err("`has` needs a label's key".to_owned()),
                },
                _ => return Err(format!("there is no `{key}()`")),
            };
            self.expect(")")?;
            return Ok(selector);
        }
        if self.sign("==") {
            return Ok(Selector::is_in(&key, [self.text()?]));
        }
        if self.sign("!=") {
            return Ok(Selector::is_in(&key, [self.text()?]).not());
        }
        if self.word("contains") {
            return Ok(Selector::has_text(&key, Part::Anywhere, self.text()?));
        }
        for (word, part) in [("starts", Part::Start), ("ends", Part::End)] {
            if self.word(word) {
                let _ = self.word("with");
                return Ok(Selector::has_text(&key, part, self.text()?));
            }
        }
        let is_negated = self.word("not");
        if !self.word("in") {
            return Err(format!("nothing is asked of `{key}`"));
        }
        self.expect("{")?;
        let mut values = Vec::new();
        while !self.sign("}") {
            values.push(self.text()?);
            if !self.sign(",") {
                self.expect("}")?;
                break;
            }
        }
        let selector = Selector::is_in(&key, values);
        Ok(if is_negated { selector.not() } else { selector })
    }

    fn text(&mut self) -> Result<String, String> {
        let Some(Token::Text(text)) = self.tokens.get(self.at) else {
            return Err("a value in quotes is missing".to_owned());
        };
        self.at += 1;
        Ok(text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network_policy::selector::Labels;

    /// `labels` as `a=1,b=2`.
    #[track_caller]
    fn check(expression: &str, labels: &str, expected: bool) {
        let labels: Labels = labels
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let selector = parse(expression).unwrap();
        assert_eq!(selector.matches(&labels), expected, "{expression} read as {selector}");
        assert_eq!(selector.clone().not().matches(&labels), !expected, "not {selector}");
        assert_eq!(selector.matches_known(&labels, |_| true), Some(expected));
    }

    #[test]
    fn comparisons_mean_what_calico_says() {
        check("app == 'web'", "app=web", true);
        check("app == \"web\"", "app=db", false);
        check("app != 'web'", "", true);
        check("app != 'web'", "app=web", false);
        check("app in {'a', 'b'}", "app=b", true);
        check("app in { 'a' , 'b' }", "", false);
        check("app not in {'a','b'}", "", true);
        check("app not in {'a','b'}", "app=a", false);
        check("has(k8s.io/app-name_x)", "k8s.io/app-name_x=", true);
        check("!has(app)", "app=1", false);
        check("app contains 'e'", "app=web", true);
        check("app starts with 'we'", "app=web", true);
        check("app ends with 'we'", "app=web", false);
    }

    #[test]
    fn expressions_bind_as_in_other_languages() {
        check("all()", "", true);
        check("", "a=1", true);
        check("global()", "a=1", false);
        check("a == '1' || b == '2' && c == '3'", "a=1", true);
        check("(a == '1' || b == '2') && c == '3'", "a=1", false);
        check("(a == '1' || b == '2') && c == '3'", "b=2,c=3", true);
        check("!(a == '1' && b == '2')", "a=1", true);
        check("!(a == '1' || (b == '2' && has(c)))", "b=2", true);
        check("!(a == '1' || (b == '2' && has(c)))", "b=2,c=", false);
        check("!all()", "a=1", false);
        check("all() || a == '1'", "", true);
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for bad in [
            "app",
            "app ==",
            "app == web",
            "== 'a'",
            "(has(a)",
            "has(a) has(b)",
            "app == 'a",
            "nope()",
            "a ~ 'b'",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("{}has(a){}", "(".repeat(5000), ")".repeat(5000))).is_err());
    }

    #[test]
    fn labels_that_are_not_known_leave_alternatives_open() {
        let selector = parse("a == '1' || b == '2'").unwrap();
        let labels: Labels = [("a".to_owned(), "2".to_owned())].into();
        assert_eq!(selector.matches_known(&labels, |key| key == "a"), None);
        assert_eq!(selector.matches_known(&labels, |_| true), Some(false));
        assert_eq!(selector.to_string(), "(a=1 or b=2)");
    }
}
