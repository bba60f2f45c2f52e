//! See the rule's own docs below.

use serde_json::Value;

use super::place;
use crate::model::{Model, Object, ObjectId};
use crate::rules::{Area, Change, Check, Finding, RepoFindings, Safety, Settings, Severity};

crate::rules::rule! {
    /// A Secret or ConfigMap that never changes can be changed.
    ///
    /// ## Why
    /// Whoever may update it changes what programs do without a new version of anything. The kubelet watches it all the
    /// time, too.
    ///
    /// ## Fix
    /// Sets `immutable: true` on objects whose names carry a version or a hash, and has kustomize do so for those it
    /// generates with a hash: other contents then come under another name anyway. With `[secrets] immutable = true` in the
    /// configuration, on all that nothing in the repo updates.
    ///
    /// ## What could break
    /// `kubectl apply` of other contents under the same name: it is refused until the object is deleted, and an object
    /// stays immutable until then. Programs that write to their own ConfigMap.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/configuration/secret/#secret-immutable>
    /// - <https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable>
    /// - `generatorOptions`: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/generatoroptions/>
    {
        id: "configuration-not-immutable",
        area: Area::Secret,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(model: &Model<'_>, settings: &Settings<'_>, found: &mut RepoFindings) {
    let of_all = settings.config.secrets.immutable;
    for object in model.objects().filter(|object| is_configuration(&object.id)) {
        let has_version = is_versioned(&object.id.name);
        if !has_version && !of_all {
            continue;
        }
        let Some(value) = model.value(object) else { continue };
        if value["immutable"] == true
            || value["type"] == "kubernetes.io/service-account-token"
            || is_empty(&value)
        {
            continue;
        }
        judge(model, object, &value, has_version, found);
    }
    generators(model, found);
}

fn is_configuration(id: &ObjectId) -> bool {
    &*id.api_version == "v1" && matches!(&*id.kind, "Secret" | "ConfigMap")
}

fn is_empty(value: &Value) -> bool {
    ["data", "stringData", "binaryData"]
        .iter()
        .all(|field| value[*field].as_object().is_none_or(|map| map.is_empty()))
}

fn judge(model: &Model<'_>, object: &Object, value: &Value, has_version: bool, found: &mut RepoFindings) {
    let (kind, name) = (&object.id.kind, &object.id.name);
    let message = format!("{kind}/{name} can be changed in place");
    let mut finding = Finding::new("/metadata/name", message)
        .change(Change::set("/immutable", true))
        .safety(Safety::Review)
        .note("other contents need another name from then on: under this one they are refused");
    if has_version {
        finding = finding.evidence("its name carries a version");
    }
    if let Some(reason) = updated_by(model, object, value) {
        finding.make_manual(reason);
    }
    place(model, &RULE, object, finding, found);
}

/// What updates an object, if something does.
fn updated_by(model: &Model<'_>, object: &Object, value: &Value) -> Option<String> {
    let file = model.file(object);
    if let Some(marker) = file.marker {
        return Some(format!("not edited: {}", marker.detail()));
    }
    if let Some(patch) = model.builds.patches_on(&file.path, &object.id).next() {
        return Some(format!("a patch changes it: {}", patch.path));
    }
    let annotations = value["metadata"]["annotations"].as_object().into_iter().flat_map(|map| map.keys());
    let writer = annotations.into_iter().find(|key| {
        ["leader", "inject", "reflector", "replicator", "cert-manager.io", "reloader"]
            .iter()
            .any(|word| key.contains(word))
    });
    if let Some(key) = writer {
        return Some(format!("something writes to it, says its annotation `{key}`"));
    }
    value["metadata"]["ownerReferences"]
        .is_array()
        .then(|| "it belongs to another object, which may update it".to_owned())
}

/// Whether a name ends in a version (`-v3`, `-2024-05-01`) or in a hash, as kustomize and others write them.
fn is_versioned(name: &str) -> bool {
    let Some((_, last)) = name.rsplit_once('-') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = last.bytes().filter(u8::is_ascii_digit).count();
    let is_hash = (8..=40).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && digits >= 2
        && last.len() - digits >= 2;
    last.strip_prefix('v').is_some_and(is_number) || is_hash
}

/// Generators whose objects get a hash of their contents.
fn generators(model: &Model<'_>, found: &mut RepoFindings) {
    for (file, source) in model.repo().files.iter().enumerate() {
        if !model.builds.is_kustomization(&source.path) || source.context_only {
            continue;
        }
        let Some(value) = source.stream.root(0).and_then(|root| root.value().ok()) else { continue };
        let is_kept = |options: &Value| options["disableNameSuffixHash"] == true;
        let generators = ["configMapGenerator", "secretGenerator"].into_iter();
        let generators: Vec<&Value> =
            generators.flat_map(|key| value[key].as_array().into_iter().flatten()).collect();
        let options = &value["generatorOptions"];
        // What adds to an object of elsewhere has the name and options of that one.
        let is_own =
            |generator: &&Value| generator["behavior"].as_str().is_none_or(|behavior| behavior == "create");
        if generators.is_empty()
            || is_kept(options)
            || !options["immutable"].is_null()
            || !generators.iter().all(is_own)
            || generators.iter().any(|generator| {
                is_kept(&generator["options"]) || !generator["options"]["immutable"].is_null()
            })
        {
            continue;
        }
        let id = ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &source.path);
        let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
        let mut finding = Finding::new("/generatorOptions", "what it generates can be changed in place")
            .change(Change::set("/generatorOptions/immutable", true))
            .safety(Safety::Review)
            .evidence("every object that it generates has a hash of its contents in its name");
        if let Some(marker) = source.marker {
            finding.make_manual(format!("not edited: {}", marker.detail()));
        }
        place(model, &RULE, &object, finding, found);
    }
}

#[cfg(test)]
mod tests {
    use super::is_versioned;

    #[test]
    fn versions_and_hashes_end_names() {
        for name in ["app-config-v3", "db-7f8g2h9k4m", "web-5d4c8b7f6"] {
            assert!(is_versioned(name), "{name}");
        }
        for name in
            ["app-config", "db", "kube-root-ca.crt", "app-development", "web-v", "config-2", "ip-10001000"]
        {
            assert!(!is_versioned(name), "{name}");
        }
    }
}
