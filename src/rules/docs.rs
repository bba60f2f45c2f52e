//! What a user reads about rules: a page each, and a table of all.

use super::{Rule, all};

/// The page of a rule, in Markdown: what `explain` prints.
pub fn page(rule: &Rule) -> String {
    let mut page = format!("# {}\n\n{}\n", rule.id, unindented(rule.docs).trim_end());
    page.push_str("\n## At a glance\n");
    page.push_str(&format!("- area: {}\n- severity: {}\n", rule.area.id(), rule.severity.id()));
    if let Some((level, check)) = rule.pss {
        page.push_str(&format!("- Pod Security Standards: {level}, check `{check}`\n"));
    }
    for (tool, ids) in rule.known_as {
        page.push_str(&format!("- {tool}: {ids}\n"));
    }
    page.push_str(&format!("\nTo allow it for one object: `# caseharden: allow {} -- reason`\n", rule.id));
    page
}

impl Rule {
    /// A part of the docs, in Markdown, without its heading.
    pub fn section(&self, heading: &str) -> String {
        let docs = unindented(self.docs);
        let mut parts = docs.split("\n## ");
        let found = parts.find_map(|part| part.strip_prefix(heading)?.strip_prefix('\n'));
        found.unwrap_or_default().trim().to_owned()
    }

    /// The first of the sources that is a page.
    pub fn link(&self) -> Option<String> {
        let sources = self.section("Sources");
        let link = sources.split('<').skip(1).find_map(|rest| rest.split_once('>'))?.0;
        link.starts_with("https://").then(|| link.to_owned())
    }
}

/// All rules as a Markdown table.
pub fn markdown_table() -> String {
    let mut table = "| rule | area | severity | |\n|---|---|---|---|\n".to_owned();
    for rule in all() {
        let (area, severity) = (rule.area.id(), rule.severity.id());
        table.push_str(&format!("| `{}` | {area} | {severity} | {} |\n", rule.id, rule.summary()));
    }
    table
}

/// Doc comments keep the blank behind their slashes.
fn unindented(docs: &str) -> String {
    docs.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}
