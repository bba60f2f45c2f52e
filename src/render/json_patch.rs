//! JSON Patch (RFC 6902), one object a line: which object, and the patch for it.
//!
//! `kubectl patch --type=json` and kustomize take the patch as it is. New objects are no patch of anything and are left
//! out, and so is what is of use only along with them.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::text;
use super::{Created, Ending, Renderer};
use crate::model::ObjectId;
use crate::plan::{FileReport, Judged};

/// One line of the output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchLine {
    pub path: String,
    /// Of the first finding.
    pub line: usize,
    pub object: PatchedObject,
    pub patch: Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchedObject {
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

pub(super) struct JsonPatch;

impl From<&ObjectId> for PatchedObject {
    fn from(id: &ObjectId) -> PatchedObject {
        PatchedObject {
            api_version: id.api_version.to_string(),
            kind: id.kind.to_string(),
            namespace: id.namespace.as_deref().map(str::to_owned),
            name: id.name.to_string(),
        }
    }
}

impl Renderer for JsonPatch {
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        if report.after.is_none() {
            return Ok(());
        }
        for patch in report.object_patches() {
            let line = PatchLine {
                path: report.path.to_owned(),
                line: patch.line,
                object: PatchedObject::from(&patch.object),
                patch: serde_json::to_value(&patch.operations)?,
            };
            writeln!(out, "{}", text(&line)?)?;
        }
        Ok(())
    }

    fn created(&self, _: &mut dyn Write, _: &str, _: &[Judged], _: &[Created<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn end(&self, _: &mut dyn Write, _: &Ending<'_>) -> io::Result<()> {
        Ok(())
    }
}
