//! Rules about namespaces: which Pod Security level they enforce, given what all their workloads meet.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::charts::Rendered;
use super::charts::templates::Slots;
use super::{Change, Finding, NewFile, Rule, Safety, Settings};
use crate::config::Profile;
use crate::model::{Model, Object};
use crate::pss::{self, Level};
use crate::repo::folder;
use crate::template::AdmissionLabels;

mod exception_not_recorded;
mod members;
mod namespace_undefined;
mod pod_security_labels_missing;

pub(crate) use self::exception_not_recorded::RULE as EXCEPTION_NOT_RECORDED;
pub(super) use self::members::hidden_pods;
use self::members::{Members, Namespace};

pub(super) const RULES: &[&Rule] =
    &[&pod_security_labels_missing::RULE, &namespace_undefined::RULE, &exception_not_recorded::RULE];

/// The level a workload meets now, and after the fixes of the run.
#[derive(Debug, Clone)]
pub struct WorkloadVerdict {
    pub file: usize,
    /// Its place among the objects of the file.
    pub object: usize,
    pub namespaces: Vec<String>,
    pub before: Level,
    pub after: Level,
    /// For workloads of system namespaces: what they need beyond baseline.
    pub needs: Vec<pss::Violation>,
}

/// What a namespace could enforce.
#[derive(Debug, Clone)]
pub struct NamespaceVerdict {
    pub name: String,
    pub workloads: usize,
    pub enforceable: Level,
    pub after_fixes: Level,
    /// Workloads that keep it from the level the profile asks for, after the fixes.
    pub blocking: Vec<String>,
}

/// A finding with the object it is about.
#[derive(Debug, Clone)]
pub struct Placed {
    pub object: Object,
    pub finding: Finding,
    /// Only wanted along with this new file.
    pub needs_file: Option<String>,
}

/// What the rules find in the repo as a whole.
#[derive(Debug, Default)]
pub struct RepoFindings {
    /// By index of the file.
    pub by_file: BTreeMap<usize, Vec<Placed>>,
    /// Findings whose fix is a new file.
    pub new_files: Vec<Placed>,
    /// What is in templates of charts: path, line, finding. There is no object to place them in.
    pub in_templates: Vec<(String, usize, Finding)>,
    /// The places in templates that findings are about, by index of the file.
    pub slots: Slots,
    pub namespaces: Vec<NamespaceVerdict>,
    /// What became of workloads that charts render.
    pub rendered: Rendered,
}

impl RepoFindings {
    /// Files a finding under its object's file.
    pub fn place(&mut self, placed: Placed) {
        let list = self.by_file.entry(placed.object.file).or_default();
        // Most files have one or two.
        if list.len() < 4 {
            list.reserve_exact(1);
        }
        list.push(placed);
    }

    /// Adds what was found elsewhere.
    pub fn append(&mut self, other: RepoFindings) {
        let RepoFindings { by_file, new_files, in_templates, slots, namespaces, rendered } = other;
        for (file, list) in by_file {
            match self.by_file.entry(file) {
                Entry::Vacant(entry) => drop(entry.insert(list)),
                Entry::Occupied(mut entry) => entry.get_mut().extend(list),
            }
        }
        self.new_files.extend(new_files);
        self.in_templates.extend(in_templates);
        self.slots.extend(slots);
        self.namespaces.extend(namespaces);
        self.rendered.add(rendered);
    }
}

/// Asks the rules about namespaces.
pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    verdicts: &[WorkloadVerdict],
    selected: &dyn Fn(&Rule) -> bool,
) -> RepoFindings {
    let members = Members::new(model, verdicts);
    let mut found =
        RepoFindings { namespaces: members.verdicts(model, settings, verdicts), ..RepoFindings::default() };
    if selected(&pod_security_labels_missing::RULE) {
        pod_security_labels_missing::check(model, settings, &members, verdicts, &mut found);
    }
    if selected(&namespace_undefined::RULE) {
        namespace_undefined::check(model, settings, &members, verdicts, &mut found);
    }
    found
}

/// The labels that a namespace should have, given the level its workloads meet.
fn labels(settings: &Settings<'_>, name: &str, meets: Option<Level>) -> AdmissionLabels {
    let system = settings.config.is_system_namespace(name);
    let target = if system { Level::Baseline } else { settings.level };
    let enforce = match meets {
        // Nothing is known of its pods: a system namespace says so, an application's waits for evidence.
        None if system => Some(Level::Privileged),
        None | Some(Level::Privileged) if !system => None,
        Some(level) => Some(level.min(target)),
        None => None,
    };
    let profile = |level| Profile { level, version: settings.config.enforce_version() };
    AdmissionLabels {
        enforce: enforce.map(profile),
        warn: Some(profile(target)),
        audit: Some(profile(target)),
    }
}
