//! Runs templates. What cannot be known becomes a term, so that two runs can be compared: where their text is the
//! same, Helm's would be.
//!
//! A condition that does not depend on the change may be another one in the next cluster: both of its ways are
//! looked at, the one not taken in a text of its own.

mod calls;
mod mappings;
mod only;

use std::collections::BTreeMap;
use std::rc::Rc;

use self::mappings::Undo;
pub(super) use self::only::HAS_VERSION;
use self::only::{Only, is_builtin, shortened, word};

use super::parse::{Block, Head, Node, Operand, Pipeline};
use super::value::{Data, TERM_END, TERM_START, Value};

/// More than any chart needs; a chart that needs more is not understood.
const MOST_STEPS: usize = 1_000_000;
const DEEPEST: usize = 60;
/// Stands for a value that is not there.
const MISSING: &str = "missing";
const LONGEST_TEXT: usize = 8 << 20;

pub(super) struct Run<'d> {
    pub(super) defined: &'d BTreeMap<String, Block>,
    /// The text so far.
    pub(super) text: String,
    /// What the ways not taken would have rendered, each with the file it is from.
    pub(super) untaken: Vec<String>,
    /// The file that is rendered.
    pub(super) file_name: String,
    /// Templates and functions that had to do with the change and are not known.
    pub(super) unknown: Vec<String>,
    variables: Vec<(String, Value)>,
    includes: Vec<String>,
    steps: usize,
    /// What to put back where a way is left that is not taken: the mapping, the key, what was there.
    undo: Undo,
    exploring: usize,
    /// Whether something that depends on the change was printed or asked for.
    touched: bool,
    gave_up: bool,
    /// Set where one set of values is followed as Helm would, and nothing else looked at.
    pub(super) only: Option<Only>,
}

impl<'d> Run<'d> {
    pub(super) fn new(defined: &'d BTreeMap<String, Block>) -> Run<'d> {
        Run {
            defined,
            text: String::new(),
            untaken: Vec::new(),
            file_name: String::new(),
            unknown: Vec::new(),
            variables: Vec::new(),
            includes: Vec::new(),
            steps: 0,
            undo: Vec::new(),
            exploring: 0,
            touched: false,
            gave_up: false,
            only: None,
        }
    }

    /// Follows one set of values, as Helm does.
    pub(super) fn concrete(defined: &'d BTreeMap<String, Block>) -> Run<'d> {
        Run { only: Some(Only::default()), ..Run::new(defined) }
    }

    /// Gives the file up that is rendered, with the first reason there was.
    fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.gave_up = true;
        if let Some(only) = &mut self.only {
            only.refused.get_or_insert_with(why);
        }
    }

    /// What was learned of the file since it was begun; the next one starts anew.
    pub(super) fn file_done(&mut self) -> (String, Vec<(usize, usize, usize)>, Option<String>) {
        let text = std::mem::take(&mut self.text);
        let gave_up = std::mem::take(&mut self.gave_up);
        self.steps = 0;
        self.undo.clear();
        let only = self.only.as_mut();
        let (spans, refused) =
            only.map(|only| (std::mem::take(&mut only.spans), only.refused.take())).unwrap_or_default();
        (
            text,
            spans,
            refused.or_else(|| gave_up.then(|| "it does more than can be followed here".to_owned())),
        )
    }

    /// Whether the run came to its end.
    pub(super) fn is_complete(&self) -> bool {
        !self.gave_up
    }

    /// Runs a file's template. What it sets in the values stays for the files behind it.
    pub(super) fn file(&mut self, body: &Block, root: &Value) {
        self.variables = vec![("$".to_owned(), root.clone())];
        self.block(body, root);
    }

    fn block(&mut self, block: &Block, dot: &Value) {
        let outer = self.variables.len();
        for node in block {
            self.steps += 1;
            if self.steps > MOST_STEPS || self.text.len() > LONGEST_TEXT {
                self.gave_up = true;
            }
            if self.gave_up {
                break;
            }
            self.node(node, dot);
        }
        self.variables.truncate(outer);
    }

    fn node(&mut self, node: &Node, dot: &Value) {
        match node {
            Node::Text { text, at } => {
                if let Some(only) = self.only.as_mut().filter(|_| self.includes.is_empty()) {
                    only.spans.push((self.text.len(), *at, text.len()));
                }
                self.text.push_str(text);
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot);
                if pipeline.variables.is_empty() {
                    self.print(&value);
                } else {
                    self.assign(pipeline, value);
                }
            }
            Node::If { condition, then, otherwise } => {
                let outer = self.variables.len();
                let value = self.pipeline(condition, dot);
                self.declare(condition, &value);
                self.choose(&value, (then, dot), (otherwise, dot));
                self.variables.truncate(outer);
            }
            Node::With { value: pipeline, then, otherwise } => {
                let outer = self.variables.len();
                let value = self.pipeline(pipeline, dot);
                self.declare(pipeline, &value);
                self.choose(&value, (then, &value), (otherwise, dot));
                self.variables.truncate(outer);
            }
            Node::Range { value: pipeline, body, otherwise } => {
                let outer = self.variables.len();
                let value = self.pipeline(pipeline, dot);
                self.range(pipeline, &value, body, otherwise, dot);
                self.variables.truncate(outer);
            }
            Node::Template { name, value } => {
                let argument = value.as_ref().map_or_else(Value::null, |value| self.pipeline(value, dot));
                let text = self.include(name, &argument);
                self.print(&text);
            }
            Node::Leave => self.refuse(|| "it leaves a range before its end".to_owned()),
        }
    }

    fn print(&mut self, value: &Value) {
        self.touched |= value.changes_within();
        if self.only.is_some() {
            self.text.push_str(&word(&value.printed()));
        } else {
            self.text.push_str(&value.printed());
        }
    }

    fn declare(&mut self, pipeline: &Pipeline, value: &Value) {
        if let Some(name) = pipeline.variables.first() {
            self.variables.push((name.clone(), value.clone()));
        }
    }

    fn assign(&mut self, pipeline: &Pipeline, value: Value) {
        let Some(name) = pipeline.variables.first() else { return };
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known.filter(|_| !pipeline.declares) {
            Some((_, slot)) => *slot = value,
            None => self.variables.push((name.clone(), value)),
        }
    }

    /// Takes the way that the condition says, and looks at the other one where the condition could change.
    fn choose(&mut self, condition: &Value, then: (&Block, &Value), otherwise: (&Block, &Value)) {
        self.touched |= condition.changing;
        if self.only.is_some() {
            match condition.truth() {
                Some(true) => self.block(then.0, then.1),
                Some(false) => self.block(otherwise.0, otherwise.1),
                None => self.refuse(|| format!("what it does depends on `{}`", shortened(&condition.term()))),
            }
            return;
        }
        let Some(truth) = condition.truth() else {
            // Both ways, with what decides: other conditions make other texts.
            let term = condition.term();
            self.text.push_str(&format!("{TERM_START}if {term}{TERM_END}"));
            let before = self.variables.clone();
            let mark = self.undo.len();
            self.exploring += 1;
            self.block(then.0, then.1);
            let after = std::mem::replace(&mut self.variables, before);
            self.text.push_str(&format!("{TERM_START}else{TERM_END}"));
            let changes_first = self.put_back(mark);
            self.block(otherwise.0, otherwise.1);
            self.text.push_str(&format!("{TERM_START}end{TERM_END}"));
            self.exploring -= 1;
            // What mappings hold behind ways that both change them is not known.
            self.gave_up |= self.put_back(mark) || changes_first;
            for ((_, here), (_, there)) in self.variables.iter_mut().zip(after) {
                if here.term() != there.term() {
                    let changing = here.changing || there.changing || condition.changing;
                    let either = format!("either({term} {} {})", there.term(), here.term());
                    *here = Value::unknown(&either).depending(changing);
                }
            }
            return;
        };
        let (taken, other) = if truth { (then, otherwise) } else { (otherwise, then) };
        if !condition.changing {
            // `with` of a missing value: what would be there is not known.
            let missing = Value::unknown(MISSING);
            let is_missing = !truth && std::ptr::eq(other.1, condition);
            self.explore(other.0, if is_missing { &missing } else { other.1 });
        }
        self.block(taken.0, taken.1);
    }

    /// Looks at a way that is not taken.
    fn explore(&mut self, block: &Block, dot: &Value) {
        if block.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let variables = self.variables.clone();
        let touched = self.touched;
        let mark = self.undo.len();
        self.exploring += 1;
        self.block(block, dot);
        self.exploring -= 1;
        self.put_back(mark);
        (self.variables, self.touched) = (variables, touched);
        let found = std::mem::replace(&mut self.text, text);
        if !found.trim().is_empty() {
            self.untaken.push(format!("{}{}\n{found}", super::compare::FILE, self.file_name));
        }
    }

    /// Takes back what was changed in mappings since a mark; whether there was anything.
    fn put_back(&mut self, mark: usize) -> bool {
        let changed = self.undo.len() > mark;
        while self.undo.len() > mark {
            let Some((map, key, value)) = self.undo.pop() else { break };
            match value {
                Some(value) => map.borrow_mut().insert(key, value),
                None => map.borrow_mut().remove(&key),
            };
        }
        changed
    }

    fn range(&mut self, pipeline: &Pipeline, value: &Value, body: &Block, otherwise: &Block, dot: &Value) {
        self.touched |= value.changing;
        let entries: Vec<(Value, Value)> = match &value.data {
            Data::List(items) => {
                let items = items.iter().enumerate();
                items.map(|(idx, item)| (Value::new(Data::Int(idx as i64)), item.clone())).collect()
            }
            Data::Map(entries) => {
                let entries = entries.borrow();
                entries.iter().map(|(key, value)| (Value::text(key.as_str()), value.clone())).collect()
            }
            Data::Int(count) => (0..(*count).clamp(0, 1000))
                .map(|idx| (Value::new(Data::Int(idx)), Value::new(Data::Int(idx))))
                .collect(),
            Data::Null => Vec::new(),
            _ if self.only.is_some() => {
                self.refuse(|| format!("it ranges over `{}`", shortened(&value.term())));
                return;
            }
            _ => {
                let term = value.term();
                self.text.push_str(&format!("{TERM_START}range {term}{TERM_END}"));
                let key = Value::unknown(&format!("key({term})")).depending(value.changing);
                let item = Value::unknown(&format!("item({term})")).depending(value.changing);
                self.turn(pipeline, key, item, body);
                self.text.push_str(&format!("{TERM_START}end{TERM_END}"));
                return;
            }
        };
        if entries.is_empty() {
            if !value.changing && self.only.is_none() {
                let item = Value::unknown("item(missing)");
                let name = Value::unknown("key(missing)");
                let outer = self.variables.len();
                self.bind(pipeline, name, item.clone());
                self.explore(body, &item);
                self.variables.truncate(outer);
            }
            self.block(otherwise, dot);
            return;
        }
        for (key, item) in entries {
            if self.gave_up {
                return;
            }
            self.turn(pipeline, key, item.depending(value.changing), body);
        }
    }

    fn turn(&mut self, pipeline: &Pipeline, key: Value, item: Value, body: &Block) {
        let outer = self.variables.len();
        self.bind(pipeline, key, item.clone());
        self.block(body, &item);
        self.variables.truncate(outer);
    }

    fn bind(&mut self, pipeline: &Pipeline, key: Value, item: Value) {
        match pipeline.variables.as_slice() {
            [name] => self.variables.push((name.clone(), item)),
            [first, second] => {
                self.variables.push((first.clone(), key));
                self.variables.push((second.clone(), item));
            }
            _ => {}
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Value {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, piped, dot));
        }
        piped.unwrap_or_else(Value::null)
    }

    fn command(&mut self, command: &[Operand], piped: Option<Value>, dot: &Value) -> Value {
        let Some((head, rest)) = command.split_first() else { return Value::null() };
        if let Head::Function(name) = &head.head {
            let mut arguments: Vec<Value> = rest.iter().map(|operand| self.operand(operand, dot)).collect();
            arguments.extend(piped);
            return fields(self.call(name, &arguments), &head.fields);
        }
        let value = self.operand(head, dot);
        if rest.is_empty() && piped.is_none() {
            return value;
        }
        // A method, such as `.Capabilities.APIVersions.Has "v1"`.
        let mut arguments: Vec<Value> = rest.iter().map(|operand| self.operand(operand, dot)).collect();
        arguments.extend(piped);
        arguments.insert(0, value);
        if self.only.is_some()
            && let [method, version] = arguments.as_slice()
            && matches!(&method.data, Data::Unknown(term) if &**term == HAS_VERSION)
            && let Some(version) = version.as_text()
        {
            return Value::bool(is_builtin(version));
        }
        term("method", &arguments)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Value {
        let value = match &operand.head {
            Head::Dot => dot.clone(),
            Head::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map_or_else(|| Value::unknown(name), |(_, value)| value.clone())
            }
            Head::Function(name) => self.call(name, &[]),
            Head::Text(text) => Value::text(text.as_str()),
            Head::Number(number) => number_value(number),
            Head::Bool(value) => Value::bool(*value),
            Head::Nil => Value::null(),
            Head::Parens(inner) => self.pipeline(inner, dot),
        };
        let value = fields(value, &operand.fields);
        if let (Some(only), Some(origin)) = (&mut self.only, &value.origin) {
            only.reads.insert(Rc::clone(origin));
        }
        value
    }
}

/// A value that nothing more is known of than what it is made from.
pub(super) fn term(name: &str, arguments: &[Value]) -> Value {
    let terms: Vec<String> = arguments.iter().map(Value::term).collect();
    let changing = arguments.iter().any(Value::changes_within);
    Value::unknown(&format!("{name}({})", terms.join(" "))).depending(changing)
}

fn fields(value: Value, names: &[String]) -> Value {
    names.iter().fold(value, |value, name| value.field(name))
}

fn number_value(text: &str) -> Value {
    let number = text.parse().map(Data::Int).or_else(|_| text.parse().map(Data::Float));
    number.map_or_else(|_| Value::unknown(text), Value::new)
}
