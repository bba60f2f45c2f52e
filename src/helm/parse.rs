//! Go templates as text: actions, pipelines, blocks. Grammar: <https://pkg.go.dev/text/template>.
//!
//! Knows no function and evaluates nothing.

mod pieces;

use std::collections::BTreeMap;

use self::pieces::{Piece, Token, pieces};
pub(super) use self::pieces::{action_length, starts_blank};

/// A list of nodes, run one after the other.
pub(super) type Block = Vec<Node>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text {
        text: String,
        /// Its first byte in the file.
        at: usize,
    },
    Action(Pipeline),
    If {
        condition: Pipeline,
        then: Block,
        otherwise: Block,
    },
    With {
        value: Pipeline,
        then: Block,
        otherwise: Block,
    },
    Range {
        value: Pipeline,
        body: Block,
        otherwise: Block,
    },
    Template {
        name: String,
        value: Option<Pipeline>,
    },
    /// `break` and `continue`: how often a range runs is not known from here on.
    Leave,
}

/// Commands joined by `|`, whose result may go into variables.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pipeline {
    /// With their `$`.
    pub(super) variables: Vec<String>,
    /// `:=` rather than `=`.
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) head: Head,
    /// `.a.b` behind it.
    pub(super) fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Head {
    Dot,
    /// With its `$`.
    Variable(String),
    Function(String),
    Text(String),
    Number(String),
    Bool(bool),
    Nil,
    Parens(Box<Pipeline>),
}

/// A file of templates: what it renders, and what it defines for others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) body: Block,
    pub(super) defined: BTreeMap<String, Block>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(&'static str);

/// Deeper than any chart nests its blocks and parentheses.
const DEEPEST: usize = 100;

pub(super) fn parse(text: &str) -> Result<Parsed, Malformed> {
    let mut parser = Parser { pieces: pieces(text)?, at: 0, defined: BTreeMap::new(), depth: 0 };
    let (body, end) = parser.block()?;
    match end {
        Stop::Text => Ok(Parsed { body, defined: parser.defined }),
        _ => Err(Malformed("an `end` without its beginning")),
    }
}

enum Stop {
    Text,
    End,
    Else(Vec<Token>),
}

struct Parser {
    pieces: Vec<Piece>,
    at: usize,
    defined: BTreeMap<String, Block>,
    depth: usize,
}

impl Parser {
    /// Nodes up to the `end`, the `else` or the end of the text.
    fn block(&mut self) -> Result<(Block, Stop), Malformed> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Malformed("blocks nested too deeply"));
        }
        let mut block = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.get_mut(self.at) else { break Stop::Text };
            self.at += 1;
            let action = match piece {
                Piece::Text(text, at) => {
                    block.push(Node::Text { text: std::mem::take(text), at: *at });
                    continue;
                }
                Piece::Action(tokens) => std::mem::take(tokens),
            };
            let (first, rest) = match action.split_first() {
                Some((Token::Word(word), rest)) => (word.as_str(), rest),
                _ => ("", action.as_slice()),
            };
            match first {
                "end" => break Stop::End,
                "else" => break Stop::Else(rest.to_vec()),
                "define" => {
                    let name = name(rest)?;
                    let (body, _) = self.closed()?;
                    self.defined.insert(name, body);
                }
                "block" => {
                    let name = name(rest)?;
                    let (body, _) = self.closed()?;
                    self.defined.entry(name.clone()).or_insert(body);
                    block.push(Node::Template { name, value: argument(&rest[1..])? });
                }
                "template" => {
                    block.push(Node::Template { name: name(rest)?, value: argument(&rest[1..])? });
                }
                "if" | "with" | "range" => block.push(self.choice(first, rest)?),
                "break" | "continue" if rest.is_empty() => block.push(Node::Leave),
                _ => block.push(Node::Action(pipeline(&action)?)),
            }
        };
        self.depth -= 1;
        Ok((block, end))
    }

    /// A block up to its `end`, with what is behind an `else`.
    fn closed(&mut self) -> Result<(Block, Block), Malformed> {
        let (body, end) = self.block()?;
        match end {
            Stop::End => Ok((body, Vec::new())),
            Stop::Text => Err(Malformed("a block without its `end`")),
            Stop::Else(tokens) => match tokens.split_first() {
                None => {
                    let (otherwise, end) = self.block()?;
                    match end {
                        Stop::End => Ok((body, otherwise)),
                        _ => Err(Malformed("a block without its `end`")),
                    }
                }
                Some((Token::Word(word), rest)) if word == "if" || word == "with" => {
                    let inner = self.choice(&word.clone(), rest)?;
                    Ok((body, vec![inner]))
                }
                Some(_) => Err(Malformed("an `else` with something behind it")),
            },
        }
    }

    fn choice(&mut self, word: &str, rest: &[Token]) -> Result<Node, Malformed> {
        let value = pipeline(rest)?;
        let (then, otherwise) = self.closed()?;
        Ok(match word {
            "if" => Node::If { condition: value, then, otherwise },
            "with" => Node::With { value, then, otherwise },
            _ => Node::Range { value, body: then, otherwise },
        })
    }
}

fn name(tokens: &[Token]) -> Result<String, Malformed> {
    match tokens.first() {
        Some(Token::Text(name)) => Ok(name.clone()),
        _ => Err(Malformed("a template without a name")),
    }
}

fn argument(tokens: &[Token]) -> Result<Option<Pipeline>, Malformed> {
    if tokens.is_empty() { Ok(None) } else { pipeline(tokens).map(Some) }
}

fn pipeline(tokens: &[Token]) -> Result<Pipeline, Malformed> {
    let (pipeline, rest) = inner_pipeline(tokens, 0)?;
    if rest.is_empty() { Ok(pipeline) } else { Err(Malformed("a parenthesis too many")) }
}

/// A pipeline up to the parenthesis that closes it, and what is behind.
fn inner_pipeline(mut tokens: &[Token], depth: usize) -> Result<(Pipeline, &[Token]), Malformed> {
    if depth > DEEPEST {
        return Err(Malformed("parentheses nested too deeply"));
    }
    let mut pipeline = Pipeline::default();
    match tokens {
        [Token::Variable(name), sign @ (Token::Declare | Token::Assign), rest @ ..] => {
            pipeline.variables = vec![name.clone()];
            pipeline.declares = *sign == Token::Declare;
            tokens = rest;
        }
        [Token::Variable(key), Token::Comma, Token::Variable(value), sign, rest @ ..]
            if matches!(sign, Token::Declare | Token::Assign) =>
        {
            pipeline.variables = vec![key.clone(), value.clone()];
            pipeline.declares = *sign == Token::Declare;
            tokens = rest;
        }
        _ => {}
    }
    let mut command: Vec<Operand> = Vec::new();
    while let Some((token, rest)) = tokens.split_first() {
        tokens = rest;
        let plain = |head| Operand { head, fields: Vec::new() };
        match token {
            Token::Pipe => {
                if command.is_empty() {
                    return Err(Malformed("a pipe without a command"));
                }
                pipeline.commands.push(std::mem::take(&mut command));
            }
            Token::Close => break,
            Token::Open => {
                let (inner, rest) = inner_pipeline(tokens, depth + 1)?;
                tokens = rest;
                command.push(plain(Head::Parens(Box::new(inner))));
            }
            Token::Attached(fields) => match command.last_mut() {
                Some(operand) => operand.fields.extend(fields.iter().cloned()),
                None => return Err(Malformed("a field of nothing")),
            },
            Token::Fields(fields) => command.push(Operand { head: Head::Dot, fields: fields.clone() }),
            Token::Variable(name) => command.push(plain(Head::Variable(name.clone()))),
            Token::Text(text) => command.push(plain(Head::Text(text.clone()))),
            Token::Number(number) => command.push(plain(Head::Number(number.clone()))),
            Token::Word(word) => command.push(plain(match word.as_str() {
                "true" => Head::Bool(true),
                "false" => Head::Bool(false),
                "nil" => Head::Nil,
                _ => Head::Function(word.clone()),
            })),
            Token::Comma | Token::Declare | Token::Assign => {
                return Err(Malformed("a sign where a value should be"));
            }
        }
    }
    if command.is_empty() {
        return Err(Malformed("an action without a value"));
    }
    pipeline.commands.push(command);
    Ok((pipeline, tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn texts(text: &str, expected: &[&str]) {
        let body = parse(text).unwrap().body;
        let found: Vec<&str> = body
            .iter()
            .filter_map(|node| match node {
                Node::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn dashes_take_the_blanks_beside_them() {
        texts("a \n{{- .x -}}\n b", &["a", "b"]);
        texts("a {{ .x }} b", &["a ", " b"]);
        texts("a {{-1}} b", &["a ", " b"]);
        texts("a {{- /* }} */ -}} b", &["a", "b"]);
        texts("a {{ \"}}\" }} b", &["a ", " b"]);
    }

    #[test]
    fn fields_belong_to_what_they_touch() {
        let parsed = parse("{{ (index .a 0).b.c | f .d $x.e }}").unwrap();
        let Node::Action(pipeline) = &parsed.body[0] else { panic!() };
        assert_eq!(pipeline.commands.len(), 2);
        assert_eq!(pipeline.commands[0][0].fields, ["b", "c"]);
        assert_eq!(pipeline.commands[1][1].fields, ["d"]);
        assert_eq!(pipeline.commands[1][2].fields, ["e"]);
    }

    #[test]
    fn else_if_nests() {
        let parsed = parse("{{ if .a }}1{{ else if .b }}2{{ else }}3{{ end }}").unwrap();
        let Node::If { otherwise, .. } = &parsed.body[0] else { panic!() };
        assert!(matches!(&otherwise[0], Node::If { otherwise, .. } if otherwise.len() == 1));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "{{ .a",
            "{{ if .a }}",
            "{{ end }}",
            "{{ }}",
            "{{ \"a }}",
            "{{ | a }}",
            "{{ a := b }}",
            "{{ ! }}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = "{{ if .a }}".repeat(10_000) + &"{{ end }}".repeat(10_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("{{{{ {} }}}}", "(".repeat(10_000))).is_err());
    }
}
