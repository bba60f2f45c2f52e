//! A wanted change of an object that a chart renders, said as a patch where the chart is installed.
//!
//! Changes of one object share one patch, whichever of them are made.

use json_patch::PatchOperation;
use serde_json::{Value, json};

use super::{Change, add, replace};
use crate::model::charts::PatchPlace;
use crate::model::strategic_merge::merge_object;
use crate::overlay::{delta, extended, with_body};
use crate::template::RenderedFile;

/// A change of an object that is patched after it was rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// Behind the patches of others: they are not touched.
    pub place: PatchPlace,
    /// `patches[].target`.
    pub target: Value,
    /// What the patch starts with: the object it is for.
    pub start: RenderedFile,
    /// The object as it is without the patch.
    pub before: Value,
    /// Of that object.
    pub changes: Vec<Change>,
}

impl Patched {
    /// The operation that has the patch make this change too; `None` where it does already, or no patch can say it.
    pub(super) fn operation(&self, object: &Value) -> Option<PatchOperation> {
        let (own, idx) = (self.own_list(), self.own_place(object));
        let text = idx.and_then(|idx| object.pointer(&format!("{own}/{idx}/patch"))?.as_str());
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
        if object.pointer(&own).is_some_and(Value::is_array) {
            return Some(add(&format!("{own}/-"), item));
        }
        let list = self.place.list();
        let entry = match self.place {
            PatchPlace::PostRenderers(_) => json!({ "kustomize": { "patches": [item] } }),
            PatchPlace::Patches(_) => item,
        };
        Some(match object.pointer(list) {
            Some(Value::Array(_)) => add(&format!("{list}/-"), entry),
            Some(_) => replace(list, json!([entry])),
            None => add(list, json!([entry])),
        })
    }

    /// The list of patches that the new ones share.
    fn own_list(&self) -> String {
        match self.place {
            PatchPlace::PostRenderers(others) => format!("{}/{others}/kustomize/patches", self.place.list()),
            PatchPlace::Patches(_) => self.place.list().to_owned(),
        }
    }

    /// Which of the new patches is for the object.
    fn own_place(&self, object: &Value) -> Option<usize> {
        let patches = object.pointer(&self.own_list())?.as_array()?;
        let others = match self.place {
            PatchPlace::PostRenderers(_) => 0,
            PatchPlace::Patches(others) => others,
        };
        let is_new = |(_, patch): &(usize, &Value)| patch["target"] == self.target;
        patches.iter().enumerate().skip(others).find(is_new).map(|(idx, _)| idx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(place: PatchPlace, name: &str, change: Change) -> Change {
        let start = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n");
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}});
        let mut before = value.clone();
        before["spec"] = json!({"template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}});
        Change::Patched(Box::new(Patched {
            place,
            target: json!({"kind": "Deployment", "name": name}),
            start: RenderedFile { text: start, value },
            before,
            changes: vec![change],
        }))
    }

    fn patched(mut object: Value, place: PatchPlace) -> Value {
        let first = Change::set("/spec/template/spec/containers/1/securityContext/privileged", false);
        let second = Change::set("/spec/template/spec/hostNetwork", false);
        for (name, wanted) in [("web", &first), ("web", &second), ("other", &second), ("web", &first)] {
            let operations = change(place, name, wanted.clone()).operations(&object, "");
            json_patch::patch(&mut object, &operations).unwrap();
        }
        object
    }

    #[test]
    fn changes_of_one_object_share_a_patch() {
        let flux = PatchPlace::PostRenderers(0);
        let release = patched(json!({"spec": {"chart": {}}}), flux);
        assert_eq!(release["spec"]["postRenderers"].as_array().unwrap().len(), 1);
        let patches = &release["spec"]["postRenderers"][0]["kustomize"]["patches"];
        assert_eq!(patches.as_array().unwrap().len(), 2);
        assert_eq!(
            patches[0]["patch"],
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      hostNetwork: false\n      containers:\n        - name: b\n          securityContext:\n            privileged: false\n"
        );
    }

    #[test]
    fn patches_of_others_stay_as_they_are() {
        let other = json!({"target": {"kind": "Deployment", "name": "web"}, "path": "web.yaml"});
        let kustomization = patched(json!({"patches": [other]}), PatchPlace::Patches(1));
        let patches = kustomization["patches"].as_array().unwrap();
        assert_eq!((patches.len(), &patches[0]), (3, &other));
        assert_eq!(
            patched(json!({"patches": null}), PatchPlace::Patches(0))["patches"].as_array().unwrap().len(),
            2
        );
    }
}
