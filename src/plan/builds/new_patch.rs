//! New patches beside kustomizations: their names, and who lists them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::{Object, ObjectId, Stage};
use crate::overlay;
use crate::plan::{Judged, Planner};
use crate::repo::folder;
use crate::rules::{Change, Finding, NewFile, Placed, RepoFindings, Safety, Severity};
use crate::template::PatchedObject;

/// A patch that a kustomization is to get.
#[derive(Debug)]
pub(in crate::plan) struct WantedPatch {
    /// The path of the kustomization.
    kustomization: String,
    object: Object,
    /// What the patched object is called in the build.
    name: String,
    namespace: Option<String>,
    /// Why: each of them planned.
    judged: Vec<Judged>,
    text: String,
    target: Option<Value>,
}

impl WantedPatch {
    /// # Errors
    /// Gives the findings back with the reason why there is no patch.
    pub(super) fn new(
        planner: &Planner<'_>,
        object: &Object,
        stage: &Stage,
        before: &Value,
        after: &Value,
        judged: Vec<Judged>,
    ) -> Result<WantedPatch, (String, Vec<Judged>)> {
        if stage.name.is_empty() || stage.name.ends_with('*') {
            return Err(("no patch can name an object without a name of its own".to_owned(), judged));
        }
        let patched = PatchedObject {
            api_version: &object.id.api_version,
            kind: &object.id.kind,
            name: &stage.name,
            namespace: stage.namespace.as_deref(),
        };
        match overlay::patch(planner.settings.templates, &patched, before, after) {
            Ok(patch) => Ok(WantedPatch {
                kustomization: planner.model.builds.passed(stage).path.clone(),
                object: object.clone(),
                name: stage.name.clone(),
                namespace: stage.namespace.clone(),
                judged,
                text: patch.text,
                target: patch.target,
            }),
            Err(error) => Err((error.to_string(), judged)),
        }
    }

    /// Whether two builds want a patch of one kustomization that both use: it can have only one for an object.
    pub(super) fn is_same(&self, other: &WantedPatch) -> bool {
        self.kustomization == other.kustomization
            && self.name == other.name
            && self.namespace == other.namespace
    }

    /// A free path in the folder of the kustomization.
    fn path(&self, taken: &mut BTreeSet<String>) -> String {
        let folder = folder(&self.kustomization);
        let stem = overlay::file_stem("harden", &self.object.id.kind, &self.name);
        overlay::free_path(folder, &stem, self.namespace.as_deref(), taken)
    }
}

/// Adds the new patches and the lines that list them.
pub(in crate::plan) fn place_patches(
    planner: &Planner<'_>,
    patches: Vec<WantedPatch>,
    found: &mut RepoFindings,
) {
    let repo = planner.model.repo();
    let mut taken: BTreeSet<String> = repo.files.iter().map(|file| file.path.clone()).collect();
    taken.extend(repo.skipped.iter().map(|skip| skip.path.clone()));
    for patch in patches {
        let path = patch.path(&mut taken);
        let Some(file) = repo.files.iter().position(|file| file.path == patch.kustomization) else {
            continue;
        };
        let mut entry = Map::new();
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        entry.insert("path".to_owned(), json!(name));
        entry.extend(patch.target.clone().map(|target| ("target".to_owned(), target)));
        let safety = patch.judged.iter().map(|judged| judged.finding.safety).min();
        let mut listing = Finding::new("/patches", format!("{} does not list {name}", patch.kustomization))
            .change(Change::append("/patches", Value::Object(entry)))
            .safety(safety.unwrap_or(Safety::Review))
            .severe(Severity::Low);
        if let Some(first) = patch.judged.first() {
            listing.rule = first.finding.rule;
        }
        let id = ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &patch.kustomization);
        let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
        let placed = Placed { object, finding: listing, needs_file: Some(path.clone()) };
        found.by_file.entry(file).or_default().push(placed);
        // All of them have the file: whoever shows them shows it once.
        for judged in patch.judged {
            let mut finding = judged.finding;
            finding.changes.clear();
            finding.new_files.push(NewFile { path: path.clone(), text: patch.text.clone() });
            found.new_files.push(Placed { object: patch.object.clone(), finding, needs_file: None });
        }
    }
}
