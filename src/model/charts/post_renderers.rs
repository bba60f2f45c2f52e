//! What a HelmRelease has Flux make of its chart's objects before they are applied: `postRenderers`.
//!
//! Sources: <https://fluxcd.io/flux/components/helm/helmreleases/#post-renderers>; objects that are hooks of Helm do not
//! go through them (`renderResources` in <https://github.com/helm/helm/blob/v3.18.6/pkg/action/action.go>).

use serde_json::Value;

use crate::helm::outline::HOOK;
use crate::model::Patch;
use crate::repo::PatchTarget;

/// The patches of a release, in their order.
#[derive(Debug, Clone, Default)]
pub struct PostRenderers {
    patches: Vec<Patch>,
    /// How many `postRenderers` there are.
    pub count: usize,
    /// Whether what is there for `helm test` runs too.
    runs_tests: bool,
}

impl PostRenderers {
    /// # Errors
    /// What of them is not followed here.
    pub(super) fn read(release: &Value) -> Result<PostRenderers, String> {
        let list = release["spec"]["postRenderers"].as_array().map_or(&[][..], Vec::as_slice);
        let mut patches = Vec::new();
        for kustomize in list.iter().map(|entry| &entry["kustomize"]) {
            let Some(fields) = kustomize.as_object() else {
                return Err("its postRenderers are not followed here".to_owned());
            };
            let is_followed = |key: &str| matches!(key, "patches" | "patchesStrategicMerge");
            if let Some(other) = fields.keys().find(|key| !is_followed(key)) {
                return Err(format!("the `{other}` of its postRenderers are not followed here"));
            }
            let items = |key: &str| kustomize[key].as_array().into_iter().flatten();
            patches.extend(
                items("patchesStrategicMerge")
                    .map(|patch| Patch::rendered_later(PatchTarget::default(), patch.clone())),
            );
            for item in items("patches") {
                let value = item["patch"].as_str().and_then(super::given::parsed);
                let Some(value) = value.filter(|value| value.is_object() || value.is_array()) else {
                    return Err("a patch of its postRenderers cannot be read".to_owned());
                };
                let target = PatchTarget::read(&item["target"]);
                if target.labels.is_some() || target.annotations.is_some() {
                    return Err(
                        "its postRenderers pick objects by labels, which are not known here".to_owned()
                    );
                }
                patches.push(Patch::rendered_later(target, value));
            }
        }
        let runs_tests = release["spec"]["test"]["enable"] == true;
        Ok(PostRenderers { patches, count: list.len(), runs_tests })
    }

    /// An object of the chart as it is applied; null when it is not: a patch deletes it, or it is for `helm test`.
    pub fn applied(&self, object: &Value) -> Value {
        if !self.runs_tests && is_for_tests(object) {
            return Value::Null;
        }
        if is_hook(object) {
            return object.clone();
        }
        let picked = |object: &Value, patch: &Patch| match patch.picks_alone(object) {
            true => patch.applied(object),
            false => object.clone(),
        };
        self.patches.iter().fold(object.clone(), |object, patch| picked(&object, patch))
    }
}

/// Whether Helm runs it by itself at some point of a release.
pub(super) fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"][HOOK].is_string()
}

/// <https://helm.sh/docs/topics/chart_tests/>
pub(super) fn is_for_tests(object: &Value) -> bool {
    let hooks = object["metadata"]["annotations"][HOOK].as_str();
    hooks.is_some_and(|hooks| hooks.split(',').all(|hook| matches!(hook.trim(), "test" | "test-success")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(post_renderers: Value) -> Value {
        json!({"kind": "HelmRelease", "spec": {"postRenderers": post_renderers}})
    }

    fn object() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}})
    }

    #[track_caller]
    fn check(post_renderers: Value, expected: Value) {
        let read = PostRenderers::read(&release(post_renderers)).unwrap();
        assert_eq!(read.applied(&object())["spec"], expected);
    }

    #[test]
    fn patches_are_applied_to_what_they_pick() {
        let merge = "kind: Deployment\nmetadata: {name: any}\nspec: {replicas: 2}\n";
        let patches =
            |target: Value| json!([{"kustomize": {"patches": [{"target": target, "patch": merge}]}}]);
        check(patches(json!({"kind": "Deployment", "name": "web"})), json!({"replicas": 2}));
        check(patches(json!({"kind": "Deployment"})), json!({"replicas": 2}));
        check(patches(json!({"kind": "Deployment", "name": "other"})), json!({"replicas": 1}));
        let steps = "- {op: add, path: /spec/paused, value: true}\n";
        check(
            json!([{"kustomize": {"patches": [{"target": {"kind": "Deployment"}, "patch": steps}]}}]),
            json!({"replicas": 1, "paused": true}),
        );
        let mut own = object();
        own["spec"] = json!({"replicas": 3});
        check(json!([{"kustomize": {"patchesStrategicMerge": [own]}}]), json!({"replicas": 3}));
        check(json!([]), json!({"replicas": 1}));
    }

    #[test]
    fn hooks_do_not_go_through_them() {
        let patch = "spec: {replicas: 2}\n";
        let renderers =
            json!([{"kustomize": {"patches": [{"target": {"kind": "Deployment"}, "patch": patch}]}}]);
        let mut hook = object();
        hook["metadata"]["annotations"] = json!({HOOK: "pre-install"});
        assert_eq!(PostRenderers::read(&release(renderers)).unwrap().applied(&hook), hook);
    }

    #[test]
    fn tests_run_only_if_asked() {
        let mut pod = object();
        pod["metadata"]["annotations"] = json!({HOOK: "test"});
        let mut asking = release(json!([]));
        asking["spec"]["test"] = json!({"enable": true});
        assert_eq!(PostRenderers::read(&release(json!([]))).unwrap().applied(&pod), Value::Null);
        assert_eq!(PostRenderers::read(&asking).unwrap().applied(&pod), pod);
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let read = |post_renderers: Value| PostRenderers::read(&release(post_renderers)).map(|_| ());
        let images = json!([{"kustomize": {"images": [{"name": "a", "newTag": "2"}]}}]);
        assert_eq!(read(images), Err("the `images` of its postRenderers are not followed here".to_owned()));
        assert!(read(json!([{"other": {}}])).is_err());
        assert!(read(json!([{"kustomize": {"patches": [{"patch": "{{"}]}}])).is_err());
    }
}
