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

    /// The rule's own page where the package says where its repo is, else the first of the sources that is a page.
    pub fn link(&self) -> Option<String> {
        page_address(env!("CARGO_PKG_REPOSITORY"), self.id).or_else(|| self.first_source())
    }

    fn first_source(&self) -> Option<String> {
        let sources = self.section("Sources");
        let link = sources.split('<').skip(1).find_map(|rest| rest.split_once('>'))?.0;
        link.starts_with("https://").then(|| link.to_owned())
    }
}

/// Where `docs/rules/` is to be read.
fn page_address(repository: &str, id: &str) -> Option<String> {
    (!repository.is_empty()).then(|| format!("{repository}/blob/HEAD/docs/rules/{id}.md"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_leads_to_its_page_or_to_its_first_source() {
        let page = page_address("https://git.example/team/caseharden", "runs-as-root");
        assert_eq!(
            page.as_deref(),
            Some("https://git.example/team/caseharden/blob/HEAD/docs/rules/runs-as-root.md")
        );
        assert_eq!(page_address("", "runs-as-root"), None);
        for rule in all().filter(|rule| rule.section("Sources").contains("<https://")) {
            assert!(rule.link().is_some_and(|link| link.starts_with("https://")), "{}", rule.id);
        }
    }
}
