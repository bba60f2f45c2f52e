//! A finding: what is wrong where, how sure the fix is, and the changes that make it.

use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, RemoveOperation, ReplaceOperation};

use super::{Change, Rule, Safety, Severity};
use crate::model::Container;
use crate::template::RenderedFile;

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
    /// What becomes of the whole object, instead of changes to its fields.
    pub whole: Option<Whole>,
    pub new_files: Vec<NewFile>,
    /// Names the fix that this one is a part of: all its parts are made, or none.
    pub together: Option<String>,
    /// A diff would show a secret along with one of the fix's parts.
    pub hidden: bool,
    /// Another part of its fix says it all: this one is made with it, and not shown.
    pub is_silent: bool,
}

/// What becomes of an object as a whole. It must be a document of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Whole {
    /// Another object takes its place.
    Replaced(RenderedFile),
    /// Another one is applied in its place, which is made only when somebody wants to see it: what it will be is
    /// settled, not its text.
    ReplacedLater,
    /// It is taken out: what takes its place is elsewhere.
    Removed,
}

impl Whole {
    /// The same as RFC 6902, from the object.
    pub fn operations(&self) -> Vec<PatchOperation> {
        let path = PointerBuf::new();
        match self {
            Whole::Replaced(file) => {
                vec![PatchOperation::Replace(ReplaceOperation { path, value: file.value.clone() })]
            }
            Whole::ReplacedLater => Vec::new(),
            Whole::Removed => vec![PatchOperation::Remove(RemoveOperation { path })],
        }
    }
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
            whole: None,
            new_files: Vec::new(),
            together: None,
            hidden: false,
            is_silent: false,
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

    /// Whether something of its object would be changed.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.whole.is_some()
    }

    /// Says what becomes of the whole object.
    pub fn whole(mut self, whole: Whole) -> Finding {
        self.whole = Some(whole);
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
        self.whole = None;
        self.new_files.clear();
        self.notes.push(why.into());
    }
}
