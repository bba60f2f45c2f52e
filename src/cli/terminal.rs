//! What the terminal can do, and the pager in front of it. Asked only when somebody looks.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Whether the terminal makes links of text (OSC 8), as far as its environment tells.
///
/// There is no way to ask a terminal; these names are those of terminals that do.
pub(super) fn has_links() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, known: &[&str]| std::env::var(name).is_ok_and(|value| known.contains(&&*value));
    match std::env::var("FORCE_HYPERLINK").as_deref() {
        Ok("0") => return false,
        Ok(value) if !value.is_empty() => return true,
        _ => {}
    }
    if !io::stdout().is_terminal() || is("TERM", &["dumb"]) {
        return false;
    }
    let vte = std::env::var("VTE_VERSION").ok().and_then(|version| version.parse().ok());
    vte.is_some_and(|version: u32| version >= 5000)
        || set("KITTY_WINDOW_ID")
        || set("WT_SESSION")
        || set("KONSOLE_VERSION")
        || is("TERM_PROGRAM", &["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby"])
        || is("TERM", &["xterm-kitty", "alacritty", "foot", "xterm-ghostty"])
}

/// Columns of the terminal; enough for two halves where there is none.
pub(super) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    told.or_else(asked).unwrap_or(160)
}

/// A pager that takes what is written, until it is dropped: then it is waited for.
pub(super) struct Pager {
    child: Child,
    stdin: Option<io::BufWriter<ChildStdin>>,
}

impl Pager {
    /// The pager that git would use; `None` where nobody looks, or nobody wants one.
    pub(super) fn start() -> Option<Pager> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let command = command()?;
        let mut pager = Command::new("sh");
        pager.args(["-c", &command]).stdin(Stdio::piped());
        // As git does: leave at once what fits on the screen, keep colours, do not clear.
        for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
            if std::env::var_os(name).is_none() {
                pager.env(name, value);
            }
        }
        let mut child = pager.spawn().ok()?;
        let stdin = child.stdin.take().map(io::BufWriter::new);
        Some(Pager { child, stdin })
    }
}

/// <https://git-scm.com/docs/git-var#Documentation/git-var.txt-GITPAGER>
fn command() -> Option<String> {
    let of_git = || {
        let output = Command::new("git").args(["config", "--get", "core.pager"]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    let variable = |name: &str| std::env::var(name).ok();
    let command = variable("GIT_PAGER").or_else(of_git).or_else(|| variable("PAGER"));
    let command = command.unwrap_or_else(|| "less".to_owned());
    (!command.is_empty() && command != "cat").then_some(command)
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // The end of its input first: it waits for that, and we for it.
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
