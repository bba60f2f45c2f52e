//! What is wrong with a template: which one, where, and what to do. Knows how tera words its errors.

use std::fmt;

use crate::suggestion;

/// A template that cannot be used. Line and column count from 1 and are places in the template; columns count
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct TemplateError {
    /// Path of an override, else the name of the built-in template (or the folder that holds the overrides).
    pub template: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub message: String,
    /// The next step, when one can be named.
    pub help: Option<String>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)?;
        for place in [self.line, self.column].into_iter().map_while(|place| place) {
            write!(f, ":{place}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl TemplateError {
    pub(crate) fn new(template: impl Into<String>, message: impl Into<String>) -> Self {
        let (template, message) = (template.into(), message.into());
        TemplateError { template, line: None, column: None, message, help: None }
    }

    pub(crate) fn at(self, line: usize, column: Option<usize>) -> Self {
        TemplateError { line: Some(line), column, ..self }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        TemplateError { help: Some(help.into()), ..self }
    }

    /// From tera's error about the template `name`, or about another one that it names.
    pub(crate) fn from_tera(name: &str, error: &tera::Error) -> Self {
        let report = match error.kind() {
            tera::ErrorKind::SyntaxError(report) | tera::ErrorKind::RenderingError(report) => report,
            tera::ErrorKind::Msg(text) => return from_report(name, text),
            other => return TemplateError::new(name, lower_first(&other.to_string())),
        };
        let span = report.span();
        worded(report.filename(), report.message()).at(span.start_line, Some(span.start_col + 1))
    }
}

/// Errors that tera finds in several templates at once come as text: `error: …` and `--> file:line:column`.
fn from_report(name: &str, text: &str) -> TemplateError {
    let parse = || {
        let mut lines = text.lines();
        let message = lines.next()?.strip_prefix("error: ")?;
        let mut place = lines.next()?.trim_start().strip_prefix("--> ")?.rsplitn(3, ':');
        let (column, line, file) = (place.next()?, place.next()?, place.next()?);
        Some(worded(file, message).at(line.parse().ok()?, column.parse().ok()))
    };
    parse().unwrap_or_else(|| TemplateError::new(name, lower_first(text)))
}

/// tera appends what there is instead: ``Variable `x` is not defined. Available variables: a, b``.
fn worded(file: &str, message: &str) -> TemplateError {
    let (problem, available) = match message.split_once(". Available ") {
        Some((problem, rest)) => (problem, rest.split_once(": ").map(|(_, names)| names)),
        None => (message, None),
    };
    let error = TemplateError::new(file, lower_first(problem.trim_end_matches('.')));
    let Some(available) = available else { return error };
    let missing = problem.split('`').nth(1).unwrap_or_default();
    match suggestion::nearest(missing, available.split(", ")) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error.with_help(format!("there are: {available}")),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}
