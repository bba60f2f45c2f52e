//! What Dockerfiles say of the ports of the images they build.
//!
//! <https://docs.docker.com/reference/dockerfile/#expose>. Reads `EXPOSE`, and `ARG` and `ENV` as far as it uses them;
//! knows no images but the stages of its own file.

use std::collections::BTreeMap;

/// Larger ones are not read.
pub(super) const LARGEST: u64 = 256 * 1024;

/// A Dockerfile, stage by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Relative to the root, with `/`.
    pub path: String,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stage {
    name: Option<String>,
    from: String,
    exposed: Vec<Exposed>,
}

/// A port that an image says it listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposed {
    pub port: u16,
    pub udp: bool,
    /// Of the instruction, counted from 1.
    pub line: usize,
}

impl Dockerfile {
    pub(super) fn read(path: String, text: &str) -> Dockerfile {
        let mut stages: Vec<Stage> = Vec::new();
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (line, instruction) in instructions(text) {
            let Some((word, rest)) = instruction.split_once(char::is_whitespace) else { continue };
            let rest = rest.trim();
            match word.to_ascii_uppercase().as_str() {
                "FROM" => {
                    let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                    let from = words.next().unwrap_or_default().to_owned();
                    let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and(words.next());
                    stages.push(Stage { name: name.map(str::to_owned), from, exposed: Vec::new() });
                }
                "ARG" | "ENV" => assign(rest, &mut values),
                "EXPOSE" => {
                    if let Some(stage) = stages.last_mut() {
                        stage.exposed.extend(exposed(&expanded(rest, &values), line));
                    }
                }
                _ => {}
            }
        }
        Dockerfile { path, stages }
    }

    /// The ports of a stage, the last one without a name, and of those it is made from.
    pub fn exposed(&self, target: Option<&str>) -> Vec<Exposed> {
        let named = |name: &str, before: usize| {
            let mut earlier = self.stages[..before].iter();
            earlier.rposition(|stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name)))
        };
        let mut at = match target {
            Some(name) => named(name, self.stages.len()),
            None => self.stages.len().checked_sub(1),
        };
        let mut all = Vec::new();
        while let Some(idx) = at {
            all.extend(self.stages[idx].exposed.iter().cloned());
            at = named(&self.stages[idx].from, idx);
        }
        all.sort();
        all.dedup_by_key(|exposed| (exposed.port, exposed.udp));
        all
    }
}

/// Instructions with the lines they start on, continued lines joined, comments left out.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (line, continues) = match line.strip_suffix('\\') {
            Some(line) => (line.trim_end(), true),
            None => (line, false),
        };
        match found.last_mut().filter(|_| is_open) {
            Some((_, instruction)) => {
                instruction.push(' ');
                instruction.push_str(line);
            }
            None => found.push((idx + 1, line.to_owned())),
        }
        is_open = continues;
    }
    found
}

/// `A=1 B="2"`, `A 1`, `A`.
fn assign(text: &str, values: &mut BTreeMap<String, String>) {
    let unquoted = |text: &str| text.trim_matches(['"', '\'']).to_owned();
    if !text.split_whitespace().next().is_some_and(|word| word.contains('=')) {
        if let Some((key, value)) = text.split_once(char::is_whitespace) {
            values.insert(key.to_owned(), unquoted(value.trim()));
        }
        return;
    }
    for (key, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
        let value = expanded(&unquoted(value), values);
        values.insert(key.to_owned(), value);
    }
}

/// `$A`, `${A}` and `${A:-default}` with their values; what is not known stays.
fn expanded(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, default, length) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((inner, _)) => {
                let (name, default) = inner.split_once(":-").map_or((inner, None), |(n, d)| (n, Some(d)));
                (name, default, inner.len() + 2)
            }
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], None, end)
            }
        };
        match values.get(name).map(String::as_str).or(default) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[at..at + 1 + length]),
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

/// `80`, `53/udp`, `8000-8002/tcp`; what is no number is left out. A long range is no list of servers.
fn exposed(text: &str, line: usize) -> Vec<Exposed> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        let (ports, protocol) = word.trim_matches('"').split_once('/').unwrap_or((word, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { continue };
        if first > 0 && last >= first && last - first < 16 {
            let udp = protocol.eq_ignore_ascii_case("udp");
            found.extend((first..=last).map(|port| Exposed { port, udp, line }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, target: Option<&str>, expected: &[&str]) {
        let file = Dockerfile::read("Dockerfile".to_owned(), text);
        let shown = |exposed: &Exposed| {
            format!("{}/{} {}", exposed.port, if exposed.udp { "udp" } else { "tcp" }, exposed.line)
        };
        assert_eq!(file.exposed(target).iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ports_are_those_of_the_last_stage_and_what_it_is_made_from() {
        let text = "FROM a AS build\nEXPOSE 1\nFROM b AS base\nexpose 80 53/udp\nFROM base\nEXPOSE 443/tcp\n";
        check(text, None, &["53/udp 4", "80/tcp 4", "443/tcp 6"]);
        check(text, Some("build"), &["1/tcp 2"]);
        check(text, Some("other"), &[]);
    }

    #[test]
    fn variables_and_continued_lines_are_read() {
        check(
            "FROM a\nARG P=8080\nENV Q 90\nEXPOSE \\\n  # of old\n  $P ${Q} ${R:-70} $S\n",
            None,
            &["70/tcp 4", "90/tcp 4", "8080/tcp 4"],
        );
        check(
            "FROM a\nEXPOSE 8000-8002\nEXPOSE 1-60000\nEXPOSE 0\n",
            None,
            &["8000/tcp 2", "8001/tcp 2", "8002/tcp 2"],
        );
    }
}
