//! GitHub's workflow commands: annotations of a run. GitHub shows ten of each level for a step; all are in the log.
//!
//! The format: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>; its escapes:
//! <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>.

use std::io::{self, Write};

use super::escaped;
use super::rows::{Format, Row};
use crate::rules::Severity;

pub(super) struct Github;

impl Format for Github {
    const SEPARATOR: &'static str = "";
    const WANTS_FIXES: bool = false;

    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        let command = match row.judged.finding.severity() {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "notice",
        };
        writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(&escaped(row.path)),
            row.judged.line,
            row.column(|text| text.encode_utf16().count()),
            property(row.rule().id),
            data(&row.message()),
        )
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_early() {
        assert_eq!(property("a:b,c%\n::error::x"), "a%3Ab%2Cc%25%0A%3A%3Aerror%3A%3Ax");
        assert_eq!(data("50% of\r\na: b, c"), "50%25 of%0D%0Aa: b, c");
    }
}
