//! A finding: what is wrong where, how sure the fix is, and the changes that make it.

use super::{Change, Rule, Safety, Severity};
use crate::model::Container;

/// One problem in one object.
#[derive(Debug, Clone)]
pub struct Finding {
    pub rule: &'static Rule,
    pub safety: Safety,
    /// Where it is not that of the rule.
    pub own_severity: Option<Severity>,
    /// One line that names the object and the container.
    pub message: String,
    /// Where it is, from the object. May not exist yet: then the nearest part that does is shown.
    pub pointer: String,
    pub container: Option<String>,
    /// What to look at before merging, beyond what the rule says in general.
    pub notes: Vec<String>,
    /// Facts the verdict rests on.
    pub evidence: Vec<String>,
    pub changes: Vec<Change>,
    pub new_files: Vec<NewFile>,
    /// Names the fix that this one is a part of: all its parts are made, or none.
    pub together: Option<String>,
    /// Whether the text it points to is a secret, which nothing but the file itself may show.
    pub is_secret: bool,
}

/// A file to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Finding {
    /// A finding without a fix; [`Finding::change`] makes it more.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            rule: &super::notice::UNSET,
            safety: Safety::Manual,
            own_severity: None,
            message: message.into(),
            pointer: pointer.into(),
            container: None,
            notes: Vec::new(),
            evidence: Vec::new(),
            changes: Vec::new(),
            new_files: Vec::new(),
            together: None,
            is_secret: false,
        }
    }

    pub fn severity(&self) -> Severity {
        self.own_severity.unwrap_or(self.rule.severity)
    }

    pub fn container(mut self, container: &Container<'_>) -> Finding {
        self.container = Some(container.name.to_owned());
        self
    }

    /// Adds a change. How far it can be trusted must be said with [`Finding::safety`].
    pub fn change(mut self, change: Change) -> Finding {
        self.changes.push(change);
        self
    }

    pub fn changes(mut self, changes: impl IntoIterator<Item = Change>) -> Finding {
        self.changes.extend(changes);
        self
    }

    pub fn safety(mut self, safety: Safety) -> Finding {
        self.safety = safety;
        self
    }

    pub fn severe(mut self, severity: Severity) -> Finding {
        self.own_severity = Some(severity);
        self
    }

    /// Keeps the text it points to out of everything that is shown.
    pub fn secret(mut self) -> Finding {
        self.is_secret = true;
        self
    }

    /// Makes it a part of a fix that has others.
    pub fn together(mut self, fix: impl Into<String>) -> Finding {
        self.together = Some(fix.into());
        self
    }

    /// Adds a note, once: containers of a pod often share one.
    pub fn note(mut self, note: impl Into<String>) -> Finding {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self
    }

    pub fn evidence(mut self, fact: impl Into<String>) -> Finding {
        self.evidence.push(fact.into());
        self
    }

    /// Takes the fix away and says why a person has to look.
    pub fn make_manual(&mut self, why: impl Into<String>) {
        self.safety = Safety::Manual;
        self.changes.clear();
        self.new_files.clear();
        self.notes.push(why.into());
    }
}
