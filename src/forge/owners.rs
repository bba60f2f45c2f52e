//! CODEOWNERS: who owns a path. GitHub's form, and GitLab's with its sections.
//!
//! Sources: <https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>,
//! <https://docs.gitlab.com/user/project/codeowners/reference/>. Gitea's file of the same name holds regular expressions
//! and is not read as this one. Opens nothing.

use std::collections::BTreeSet;

/// The owners of the paths of a repo.
#[derive(Debug, Default)]
pub struct CodeOwners {
    /// Without a heading there is one section.
    sections: Vec<Section>,
}

#[derive(Debug, Default)]
struct Section {
    name: String,
    /// Of lines that name nobody.
    owners: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    pattern: Pattern,
    owners: Vec<String>,
    /// GitLab's `!pattern`: its section has nothing to say about these paths.
    excludes: bool,
}

/// A pattern in the parts between its slashes.
#[derive(Debug)]
struct Pattern {
    parts: Vec<String>,
    /// Begins at the root of the repo, not anywhere.
    anchored: bool,
    /// Ends with a slash: a folder, never a file.
    folder: bool,
}

impl CodeOwners {
    /// Where the file may be, in the order in which the first one counts.
    pub const PLACES: [&'static str; 4] =
        [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];

    /// Reads the file. Lines that are no pattern are passed over, as forges do.
    pub fn parse(text: &str) -> CodeOwners {
        let mut sections = vec![Section::default()];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, owners)) = heading(line) {
                // Sections of one name are one section.
                let known = sections.iter().position(|section| section.name.eq_ignore_ascii_case(&name));
                let section = match known {
                    Some(at) => sections.remove(at),
                    None => Section { name, ..Section::default() },
                };
                sections.push(Section {
                    owners: if owners.is_empty() { section.owners } else { owners },
                    ..section
                });
                continue;
            }
            let mut words = words(line).into_iter();
            let Some(pattern) = words.next() else { continue };
            let owners = words.take_while(|word| !word.starts_with('#')).collect();
            let (excludes, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest.to_owned()),
                None => (false, pattern),
            };
            let line = Line { pattern: Pattern::new(&pattern), owners, excludes };
            sections.last_mut().expect("there is a section from the start").lines.push(line);
        }
        CodeOwners { sections }
    }

    /// Everybody who owns a path, in the order of their names; nobody for most paths of most repos. In each section the
    /// last line that matches decides.
    pub fn of(&self, path: &str) -> Vec<String> {
        let parts: Vec<&str> = path.split('/').collect();
        let mut owners = BTreeSet::new();
        for section in &self.sections {
            if section.lines.iter().any(|line| line.excludes && line.pattern.matches(&parts)) {
                continue;
            }
            let Some(line) = section.lines.iter().rev().find(|line| line.pattern.matches(&parts)) else {
                continue;
            };
            let named = if line.owners.is_empty() { &section.owners } else { &line.owners };
            owners.extend(named.iter().cloned());
        }
        owners.into_iter().collect()
    }
}

/// Reads `[Name]`, `^[Name][2] @owner`: a section of GitLab. GitHub knows no pattern with a bracket in front.
fn heading(line: &str) -> Option<(String, Vec<String>)> {
    let rest = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let (name, rest) = rest.split_once(']')?;
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    Some((name.trim().to_owned(), words(rest)))
}

/// Words; a space behind a backslash belongs to its word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' if chars.peek().is_some_and(|next| matches!(next, ' ' | '#' | '\\')) => {
                word.extend(chars.next())
            }
            char if char.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            char => word.push(char),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let folder = text.ends_with('/');
        let inner = text.trim_end_matches('/');
        let anchored = inner.contains('/');
        let parts = inner.trim_start_matches('/').split('/').filter(|part| !part.is_empty());
        let mut parts: Vec<String> = parts.map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "**") {
            // Everything in a folder, not the folder.
            parts.push("*".to_owned());
        }
        Pattern { parts, anchored, folder }
    }

    /// Whether it matches a file, or a folder that the file is in. Unlike in a `.gitignore`, a star at the end of a path
    /// (`docs/*`) means files only.
    fn matches(&self, path: &[&str]) -> bool {
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        if parts.is_empty() {
            // `/`: everything in the root.
            return true;
        }
        let ends_open = matches!(parts[..], [.., before, "*"] if before != "**") && !self.folder;
        let starts = if self.anchored { 0..1 } else { 0..path.len() };
        starts.into_iter().any(|start| {
            let path = &path[start..];
            let is_file = !self.folder && matches_parts(&parts, path);
            let is_in_folder = !ends_open && (1..path.len()).any(|end| matches_parts(&parts, &path[..end]));
            is_file || is_in_folder
        })
    }
}

fn matches_parts(pattern: &[&str], path: &[&str]) -> bool {
    glob(pattern, path, |part| *part == "**", |part, name| matches_name(part, name))
}

fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    glob(&pattern, &name, |char| *char == '*', |char, other| *char == '?' || char == other)
}

/// Whether a pattern whose stars are any run of things is that of a subject. Only the last star is ever tried again, so
/// the time is bounded by the product of both lengths.
fn glob<P, S>(
    pattern: &[P],
    subject: &[S],
    is_star: impl Fn(&P) -> bool,
    is_same: impl Fn(&P, &S) -> bool,
) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < subject.len() {
        match pattern.get(at) {
            Some(part) if is_star(part) => {
                star = Some((at, seen));
                at += 1;
            }
            Some(part) if is_same(part, &subject[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: &[(&str, &str)]) {
        let owners = CodeOwners::parse(file);
        for (path, owner) in expected {
            assert_eq!(owners.of(path).join(" "), *owner, "{path}");
        }
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        let file = "# all\n*  @all\n*.yaml @yaml # who else\n/build/logs/ @doctocat\ndocs/* docs@example.com\n\
                    apps/ @octocat\n/docs/ @root\n**/logs @logs\n/apps/github\nwith\\ space.txt @space\n";
        check(
            file,
            &[
                ("a/b", "@all"),
                ("a/b.yaml", "@yaml"),
                ("build/logs/x", "@logs"),
                ("x/apps/y/z", "@octocat"),
                ("docs/a/b", "@root"),
                ("deep/logs/x.yaml", "@logs"),
                ("apps/github/x", ""),
                ("x/with space.txt", "@space"),
            ],
        );
        check("docs/* @x", &[("docs/a", "@x"), ("docs/a/b", ""), ("x/docs/a", "")]);
        check("/a/**/z @x\n/b/** @y", &[("a/z", "@x"), ("a/b/c/z", "@x"), ("b/c/d", "@y"), ("b", "")]);
        check("a*b?c @x", &[("a12b3c", "@x"), ("d/abbc/e", "@x"), ("ab", "")]);
    }

    #[test]
    fn sections_of_gitlab_each_have_their_say() {
        let file = "* @all\n[Docs] @writers\n*.md\nREADME.md @lead\n^[Ops][2] @ops\ndeploy/\n!deploy/dev/\n\
                    [docs]\nguide/ @guides\n";
        check(
            file,
            &[
                ("x", "@all"),
                ("a/x.md", "@all @writers"),
                ("README.md", "@all @lead"),
                ("deploy/prod/x.yaml", "@all @ops"),
                ("deploy/dev/x.yaml", "@all"),
                ("guide/x", "@all @guides"),
            ],
        );
    }

    #[test]
    fn a_hostile_pattern_costs_no_time() {
        let pattern = "*a".repeat(2000);
        let name = "a".repeat(4000) + "b";
        check(&format!("{pattern} @x"), &[(name.as_str(), "")]);
    }
}
