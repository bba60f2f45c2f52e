//! A wanted change of an object that a HelmRelease's chart renders, said as a patch in its `postRenderers`.
//!
//! Changes of one object share one patch, whichever of them are made.

use json_patch::PatchOperation;
use serde_json::{Value, json};

use super::{Change, add, replace};
use crate::model::strategic_merge::merge_object;
use crate::overlay::{delta, extended, with_body};
use crate::template::RenderedFile;

/// A change of an object that is patched after it was rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// How many `postRenderers` others have: they are not touched.
    pub others: usize,
    /// `patches[].target`.
    pub target: Value,
    /// What the patch starts with: the object it is for.
    pub start: RenderedFile,
    /// The object as it is without the patch.
    pub before: Value,
    /// Of that object.
    pub changes: Vec<Change>,
}

/// Where Flux has them in a HelmRelease.
pub(super) const LIST: &str = "/spec/postRenderers";

impl Patched {
    /// The operation that has the patch make this change too; `None` where it does already, or no patch can say it.
    pub(super) fn operation(&self, release: &Value) -> Option<PatchOperation> {
        let (own, idx) = (format!("{LIST}/{}/kustomize/patches", self.others), self.place(release));
        let text = idx.and_then(|idx| release.pointer(&format!("{own}/{idx}/patch"))?.as_str());
        let said = match text {
            Some(text) => serde_yaml::from_str(text).ok()?,
            None => self.start.value.clone(),
        };
        let mut wanted = self.before.clone();
        merge_object(&mut wanted, &said);
        for change in &self.changes {
            let operations = change.operations(&wanted, "");
            json_patch::patch(&mut wanted, &operations).ok()?;
        }
        let patch = with_body(&self.start.value, delta(&self.before, &wanted)?);
        let new = extended(&self.start, &patch)?;
        if text == Some(new.as_str()) {
            return None;
        }
        if let Some(idx) = idx {
            return Some(replace(&format!("{own}/{idx}/patch"), new.into()));
        }
        let item = json!({ "target": self.target, "patch": new });
        let entry = || json!({ "kustomize": { "patches": [item] } });
        Some(match release.pointer(LIST).and_then(Value::as_array).map(Vec::len) {
            Some(entries) if entries > self.others => add(&format!("{own}/-"), item),
            Some(_) => add(&format!("{LIST}/-"), entry()),
            None => match release.pointer(LIST) {
                Some(_) => replace(LIST, json!([entry()])),
                None => add(LIST, json!([entry()])),
            },
        })
    }

    /// Which of the new patches is for the object.
    fn place(&self, release: &Value) -> Option<usize> {
        let patches = release.pointer(&format!("{LIST}/{}/kustomize/patches", self.others))?.as_array()?;
        patches.iter().position(|patch| patch["target"] == self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, change: Change) -> Change {
        let start = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n");
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}});
        let mut before = value.clone();
        before["spec"] = json!({"template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}});
        Change::Patched(Box::new(Patched {
            others: 0,
            target: json!({"kind": "Deployment", "name": name}),
            start: RenderedFile { text: start, value },
            before,
            changes: vec![change],
        }))
    }

    #[test]
    fn changes_of_one_object_share_a_patch() {
        let first = Change::set("/spec/template/spec/containers/1/securityContext/privileged", false);
        let second = Change::set("/spec/template/spec/hostNetwork", false);
        let mut release = json!({"spec": {"chart": {}}});
        for (name, wanted) in [("web", &first), ("web", &second), ("other", &second), ("web", &first)] {
            let operations = change(name, wanted.clone()).operations(&release, "");
            json_patch::patch(&mut release, &operations).unwrap();
        }
        let patches = &release["spec"]["postRenderers"][0]["kustomize"]["patches"];
        assert_eq!(release["spec"]["postRenderers"].as_array().unwrap().len(), 1);
        assert_eq!(patches.as_array().unwrap().len(), 2);
        assert_eq!(
            patches[0]["patch"],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      hostNetwork: false\n      containers:\n        - name: b\n          securityContext:\n            privileged: false\n"
        );
    }
}
