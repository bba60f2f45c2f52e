//! What a run wants of one object as one RFC 6902 patch that checks what it is applied to.
//!
//! A patch counts the items of lists and replaces what is there without a word. So the name of every item on its way,
//! and every value that it replaces or removes, is tested first; a secret is not, because a test would show it.

use std::collections::BTreeSet;

use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, TestOperation};
use serde_json::Value;

use super::{Fate, FileReport, shows_secret};
use crate::model::ObjectId;

/// A patch for one object.
#[derive(Debug)]
pub struct ObjectPatch {
    pub object: ObjectId,
    pub line: usize,
    pub operations: Vec<PatchOperation>,
}

impl FileReport<'_> {
    /// A patch for each object of the file that changes, in the order of their first finding. Fixes of several parts
    /// are left out: no patch makes new files.
    pub fn object_patches(&self) -> Vec<ObjectPatch> {
        let secrets = self.secrets();
        // A part of a fix that also needs a new file would be wrong without it.
        let planned = || {
            self.findings.iter().filter(|judged| {
                judged.fate == Fate::Planned && judged.part_of.is_empty() && judged.finding.whole.is_none()
            })
        };
        let mut done = BTreeSet::new();
        let mut patches = Vec::new();
        for first in planned() {
            let of_it = (first.document, &first.prefix);
            let Some(object) = self.object(first).filter(|_| done.insert(of_it)) else { continue };
            let mut builder = Builder::new(object, &secrets);
            let mut of_object: Vec<_> =
                planned().filter(|judged| (judged.document, &judged.prefix) == of_it).collect();
            of_object.sort_by_key(|judged| judged.turn);
            for judged in of_object {
                for change in &judged.finding.changes {
                    let operations = change.operations(&builder.value, "");
                    operations.into_iter().for_each(|operation| builder.push(operation));
                }
            }
            if let Some(operations) = builder.finish() {
                patches.push(ObjectPatch { object: first.object.clone(), line: first.line, operations });
            }
        }
        patches
    }
}

struct Builder<'a> {
    value: Value,
    tested: BTreeSet<String>,
    operations: Vec<PatchOperation>,
    secrets: &'a [String],
    /// How many operations change something.
    n_changes: usize,
}

impl<'a> Builder<'a> {
    fn new(object: &Value, secrets: &'a [String]) -> Builder<'a> {
        let value = object.clone();
        let mut builder =
            Builder { value, tested: BTreeSet::new(), operations: Vec::new(), secrets, n_changes: 0 };
        for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
            builder.test(pointer);
        }
        builder
    }

    fn finish(self) -> Option<Vec<PatchOperation>> {
        (self.n_changes > 0).then_some(self.operations)
    }

    fn push(&mut self, operation: PatchOperation) {
        let path = operation.path().to_string();
        self.test_names(&path);
        if matches!(operation, PatchOperation::Replace(_) | PatchOperation::Remove(_)) {
            self.test(&path);
        }
        // What comes later is worked out on what this one leaves.
        if json_patch::patch(&mut self.value, std::slice::from_ref(&operation)).is_ok() {
            if matches!(operation, PatchOperation::Remove(_)) {
                // The items behind a removed one have moved.
                self.tested.clear();
            }
            self.tested.insert(path);
            self.operations.push(operation);
            self.n_changes += 1;
        }
    }

    /// Tests the name of every list item that the path leads through.
    fn test_names(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for end in ends {
            let at = &path[..end];
            let is_index = at.rsplit('/').next().is_some_and(|token| token.parse::<usize>().is_ok());
            if is_index {
                self.test(&format!("{at}/name"));
            }
        }
    }

    /// Tests a value, once, if it is there and no secret. What an operation of this patch has put there needs no test.
    fn test(&mut self, pointer: &str) {
        let Some(value) = self.value.pointer(pointer) else { return };
        if shows_secret(value, self.secrets) || !self.tested.insert(pointer.to_owned()) {
            return;
        }
        let path = PointerBuf::parse(pointer).expect("a pointer that has just led somewhere");
        self.operations.push(PatchOperation::Test(TestOperation { path, value: value.clone() }));
    }
}
