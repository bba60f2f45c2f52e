//! Text of manifests inside Markdown: it is shown as it is and means nothing there.
//!
//! Forges give meaning to far more than Markdown does (`@name`, `#12`, `!3`, `:tada:`, hashes, addresses), each in its
//! own way, and all of them leave code alone. So plain words stay words, and everything else becomes a code span.

use super::escaped;

/// A message of ours, which may hold names out of manifests in it.
pub(super) fn message(text: &str) -> String {
    let text = escaped(text);
    let mut shown = String::with_capacity(text.len() + 16);
    // What stands between backticks is code already; a backtick without a second one is a character.
    let mut rest = text.as_ref();
    while let Some((plain, (code, behind))) =
        rest.split_once('`').and_then(|(plain, rest)| Some((plain, rest.split_once('`')?)))
    {
        words(&mut shown, plain);
        push_code(&mut shown, code);
        rest = behind;
    }
    words(&mut shown, rest);
    shown
}

fn words(shown: &mut String, text: &str) {
    for word in text.split_inclusive(' ') {
        let (word, blank) = word.strip_suffix(' ').map_or((word, ""), |word| (word, " "));
        let core = word.trim_start_matches('(').trim_end_matches([',', '.', ';', ':', ')']);
        let start = word.find(core).unwrap_or(0);
        if core.is_empty() || is_word(core) {
            shown.push_str(word);
        } else {
            shown.push_str(&word[..start]);
            push_code(shown, core);
            shown.push_str(&word[start + core.len()..]);
        }
        shown.push_str(blank);
    }
}

/// Two spans that touch would be read as one.
fn push_code(shown: &mut String, text: &str) {
    if shown.ends_with('`') {
        shown.push(' ');
    }
    shown.push_str(&code(text));
}

fn is_word(text: &str) -> bool {
    let parts = |part: &str| !part.is_empty() && part.chars().all(char::is_alphabetic);
    text.len() < 40 && text.split(['-', '\'']).all(parts) || text.len() < 6 && text.parse::<u32>().is_ok()
}

/// A code span, whatever is in it.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = escaped(text);
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A cell of a table: even code ends at a bar there.
pub(super) fn cell(markdown: &str) -> String {
    markdown.replace('|', "\\|").replace('\n', " ")
}

/// A block of code that nothing in it ends.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// Text inside an HTML element, as code.
pub(super) fn html_code(text: &str) -> String {
    format!("<code>{}</code>", html(&escaped(text)))
}

/// Text that is no markup in HTML.
pub(super) fn html(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            char => shown.push(char),
        }
    }
    shown
}

fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(message(text), expected);
    }

    #[test]
    fn plain_words_stay_and_names_become_code() {
        check(
            "container `web` of Deployment/web allows privilege escalation",
            "container `web` of `Deployment/web` allows privilege escalation",
        );
        check("look at it: port 80, non-root (or so).", "look at it: port 80, non-root (or so).");
        check("(Pod/a), see", "(`Pod/a`), see");
    }

    #[test]
    fn nothing_that_a_forge_would_link_is_left() {
        check("Pod/@everyone fixes #12", "`Pod/@everyone` fixes `#12`");
        check("see http://evil.example/x", "see `http://evil.example/x`");
        check("<img src=x> **b** :tada: !3", "`<img` `src=x>` `**b**` `:tada`: `!3`");
        check("deadbeefdeadbeefdeadbeefdeadbeefdeadbeef a", "`deadbeefdeadbeefdeadbeefdeadbeefdeadbeef` a");
        check("a `b @c", "a `` `b `` `@c`");
        check("``` x `a`b", "`  x  ` ``a`b``");
    }

    #[test]
    fn code_is_not_ended_by_what_is_in_it() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(cell(&code("a|b")), "`a\\|b`");
        assert_eq!(fenced("diff", "+ ````\n"), "`````diff\n+ ````\n`````\n");
        assert_eq!(html_code("</code><b>"), "<code>&lt;/code&gt;&lt;b&gt;</code>");
    }

    #[test]
    fn line_breaks_of_names_do_not_break_lines() {
        check("Pod/a\n# x", "`Pod/a\\u{a}#` x");
    }
}
