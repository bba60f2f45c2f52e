//! Calls of functions that need the run itself: named templates, texts that are templates, failures.

use std::collections::BTreeMap;

use super::mappings::mutate;
use super::only::is_missing;
use super::{DEEPEST, MISSING, Run, term};
use crate::helm::functions;
use crate::helm::parse::{self, Block};
use crate::helm::value::{Data, TERM_START, Value};

impl Run<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[Value]) -> Value {
        self.steps += 1;
        match (name, arguments) {
            ("include", [template, argument]) => match template.as_text().cloned() {
                Some(template) => self.include(&template, argument),
                None => term(name, arguments),
            },
            ("tpl", [text, context]) => self.tpl(text, context),
            (
                "set" | "unset" | "merge" | "mergeOverwrite" | "mustMerge" | "mustMergeOverwrite",
                [target, ..],
            ) => {
                match &target.data {
                    Data::Map(map) => {
                        let done = mutate(name, map, &arguments[1..], &mut self.undo);
                        // What the mapping holds from here on is not known otherwise.
                        if done.is_none() {
                            self.refuse(|| format!("what `{name}` makes of a mapping is not known"));
                        }
                        if self.exploring == 0 {
                            self.undo.clear();
                        }
                        target.clone()
                    }
                    _ => term(name, arguments),
                }
            }
            ("fail", [message]) if self.only.is_some() => self.fail(&message.printed()),
            ("required", [message, value]) if self.only.is_some() && is_missing(value) => {
                self.fail(&message.printed())
            }
            ("lookup", _) if self.only.is_some() => Value::map(BTreeMap::new()),
            _ => functions::call(name, arguments).unwrap_or_else(|| {
                let value = term(name, arguments);
                if value.changing {
                    self.unknown.push(name.to_owned());
                }
                value
            }),
        }
    }

    /// The text of a named template.
    pub(super) fn include(&mut self, name: &str, argument: &Value) -> Value {
        let is_again = self.includes.iter().any(|open| open == name);
        let body = self.defined.get(name).filter(|_| self.includes.len() < DEEPEST);
        let body = body.filter(|_| self.exploring == 0 || !is_again);
        let Some(body) = body else {
            if self.only.is_some() {
                let is_known = self.defined.contains_key(name);
                self.refuse(|| match is_known {
                    true => format!("the named template `{name}` calls itself too often"),
                    false => format!("the named template `{name}` is not in this repo"),
                });
            }
            if argument.changes_within() && !self.defined.contains_key(name) {
                self.unknown.push(name.to_owned());
            }
            return term("include", &[Value::text(name), argument.clone()]);
        };
        self.includes.push(name.to_owned());
        let value = self.apart(body, argument);
        self.includes.pop();
        value
    }

    /// Helm stops here.
    fn fail(&mut self, message: &str) -> Value {
        self.gave_up = true;
        if let Some(only) = &mut self.only {
            only.failed.get_or_insert_with(|| message.to_owned());
        }
        Value::null()
    }

    fn tpl(&mut self, text: &Value, context: &Value) -> Value {
        let Some(template) = text.as_text().filter(|template| !template.contains(TERM_START)) else {
            // What values that nobody has given would say is not the chart's matter.
            let is_missing = text.printed().contains(MISSING);
            let context = if is_missing { Value::null() } else { context.clone() };
            return term("tpl", &[text.clone(), context]);
        };
        if !template.contains("{{") {
            return text.clone();
        }
        match parse::parse(template) {
            Ok(parsed) if parsed.defined.is_empty() && self.includes.len() < DEEPEST => {
                self.includes.push("tpl".to_owned());
                let value = self.apart(&parsed.body, context).depending(text.changing);
                self.includes.pop();
                value
            }
            _ => term("tpl", &[text.clone(), context.clone()]),
        }
    }

    /// Runs a block with variables of its own; its text.
    fn apart(&mut self, body: &Block, dot: &Value) -> Value {
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let text = std::mem::take(&mut self.text);
        let touched = std::mem::take(&mut self.touched);
        self.block(body, dot);
        let found = std::mem::replace(&mut self.text, text);
        let value = Value::text(found).depending(self.touched);
        self.touched |= touched;
        self.variables = outer;
        value
    }
}
