//! The block in a pull request's body by which it is known again, whatever people make of its title.

use serde::{Deserialize, Serialize};

const OPENS: &str = "<!-- caseharden: ";
const CLOSES: &str = " -->";
/// Bitbucket shows comments of HTML; a reference that nothing uses is not shown anywhere.
const OPENS_REFERENCE: &str = "[caseharden]: # '";
const CLOSES_REFERENCE: &str = "'";

/// What a pull request of ours says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub version: u32,
    pub branch: String,
    /// Runs with another one leave it alone.
    pub scope: String,
    /// What the branch pointed to when the body was written.
    pub commit: String,
    /// Closed by us: there was nothing left to change.
    #[serde(default)]
    pub done: bool,
}

impl Marker {
    /// A line for the end of a body.
    pub fn line(&self, hides_comments: bool) -> String {
        let text = serde_json::to_string(self).expect("names and numbers are JSON");
        // Nothing in it ends a comment, a reference or an attribute.
        let text = text
            .replace('-', "\\u002d")
            .replace('>', "\\u003e")
            .replace('<', "\\u003c")
            .replace('\'', "\\u0027");
        match hides_comments {
            true => format!("{OPENS}{text}{CLOSES}"),
            false => format!("{OPENS_REFERENCE}{text}{CLOSES_REFERENCE}"),
        }
    }

    /// The last marker of a body.
    pub fn find(body: &str) -> Option<Marker> {
        body.lines().rev().find_map(|line| {
            let line = line.trim();
            let comment = line.strip_prefix(OPENS).and_then(|rest| rest.strip_suffix(CLOSES));
            let reference = || line.strip_prefix(OPENS_REFERENCE)?.strip_suffix(CLOSES_REFERENCE);
            serde_json::from_str(comment.or_else(reference)?).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_again_and_holds_no_markup() {
        let marker = Marker {
            version: 1,
            branch: "a--><b>'\"\\/c".to_owned(),
            scope: "run".to_owned(),
            commit: "0".repeat(40),
            done: false,
        };
        for hides_comments in [true, false] {
            let line = marker.line(hides_comments);
            assert_eq!(Marker::find(&format!("Body\n\n{line}\r\n")).as_ref(), Some(&marker));
            assert_eq!(line.matches("-->").count(), usize::from(hides_comments), "{line}");
        }
        assert_eq!(Marker::find("<!-- caseharden: {} -->\n<!-- caseharden: -->"), None);
    }
}
