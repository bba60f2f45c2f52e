//! Which requirements every workload of the repo meets, which ones somebody made an exception from, and which ones
//! would refuse what the repo deploys today.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Exception, Group, Requirement, requirements};
use crate::model::{Container, Image, Model, Object, ObjectId, Pod};
use crate::pss::{self, Level};
use crate::rules::{Settings, Workload};

/// What a repo may be held to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// In the order of the requirements.
    pub kept: Vec<Kept>,
    pub left_out: Vec<LeftOut>,
    pub scope: Scope,
    /// Workloads of system namespaces: the policies leave these alone.
    pub system: Vec<String>,
    /// Objects whose pods an operator makes: what these look like is not known.
    pub unseen: Vec<String>,
    /// How many workloads were judged.
    pub workloads: usize,
}

/// A requirement that all workloads meet, but for the exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub requirement: Requirement,
    /// Ordered, each once.
    pub exceptions: Vec<Exception>,
}

/// A requirement that a policy cannot ask for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub requirement: Requirement,
    pub reason: String,
}

/// Where the policies hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The namespaces of the repo's workloads, without system namespaces.
    pub namespaces: Vec<String>,
    /// Namespaces to leave alone, where some workload does not say where it goes: then all others are meant.
    pub all_but: Option<Vec<String>>,
}

/// What somebody allowed: rule and object, with the place of the finding.
pub type Allowed = BTreeMap<(&'static str, String, ObjectId), String>;

/// Namespaces that every cluster has for its own software.
const OF_EVERY_CLUSTER: [&str; 3] = ["kube-node-lease", "kube-public", "kube-system"];

/// Judges all workloads that `takes` says.
pub fn judge(
    model: &Model<'_>,
    settings: &Settings<'_>,
    allowed: &Allowed,
    takes: &dyn Fn(&Object) -> bool,
    asks: &dyn Fn(&Requirement) -> bool,
) -> Judgement {
    let asked = requirements(settings.level, settings.version).into_iter().filter(|one| asks(one));
    let mut asked: Vec<Asked> = asked
        .map(|requirement| Asked { requirement, exceptions: BTreeSet::new(), broken_by: Vec::new() })
        .collect();
    let mut judgement = Judgement::default();
    let mut namespaces = BTreeSet::new();
    let (mut system, mut homeless) = (BTreeSet::new(), false);
    for object in model.objects().filter(|object| object.layout.is_some() && takes(object)) {
        let Some(value) = model.value(object) else { continue };
        let Some(workload) = Workload::new(settings, model, object, &value) else { continue };
        let is_system = |name: &String| settings.config.is_system_namespace(name);
        let (of_system, own): (Vec<String>, Vec<String>) =
            workload.namespaces.iter().cloned().partition(is_system);
        system.extend(of_system.iter().cloned());
        if own.is_empty() && !of_system.is_empty() {
            judgement.system.push(object.id.to_string());
            continue;
        }
        if workload.pods.iter().any(|pod| !pod.has_containers) {
            judgement.unseen.push(object.id.to_string());
            continue;
        }
        judgement.workloads += 1;
        // `${NAME}` and the like are filled in later: what they stand for is not known.
        let known = own.iter().filter(|name| is_label(name));
        namespaces.extend(known.cloned());
        homeless |= own.is_empty() || !own.iter().all(|name| is_label(name));
        Judging { model, settings, allowed, object, workload: &workload, namespaces: &own, value: &value }
            .judge(&mut asked);
    }
    judgement.scope.namespaces = namespaces.into_iter().collect();
    if homeless {
        system.extend(OF_EVERY_CLUSTER.map(str::to_owned));
        judgement.scope.all_but = Some(system.into_iter().collect());
    }
    // Of no workload everything would be true.
    if judgement.workloads > 0 {
        settle(asked, &mut judgement);
    }
    judgement
}

/// Whether a cluster takes it as the name of a namespace (RFC 1123).
fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() < 64
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

struct Asked {
    requirement: Requirement,
    exceptions: BTreeSet<Exception>,
    broken_by: Vec<String>,
}

/// Keeps what nothing breaks, without what another requirement asks for as well.
fn settle(asked: Vec<Asked>, judgement: &mut Judgement) {
    for one in asked {
        if one.broken_by.is_empty() {
            judgement.kept.push(Kept {
                requirement: one.requirement,
                exceptions: one.exceptions.into_iter().collect(),
            });
        } else {
            let reason = reason(&one);
            judgement.left_out.push(LeftOut { requirement: one.requirement, reason });
        }
    }
    // One that has exceptions leaves something for the other to ask.
    let whole = judgement.kept.iter().filter(|kept| kept.exceptions.is_empty());
    let implied: Vec<&str> = whole.filter_map(|kept| kept.requirement.overrides).collect();
    judgement.kept.retain(|kept| !implied.contains(&kept.requirement.id));
}

fn reason(one: &Asked) -> String {
    let fix = match one.requirement.rules.first() {
        Some(rule) => format!("; `caseharden explain {rule}` says how"),
        None => String::new(),
    };
    match one.broken_by.as_slice() {
        [only] => format!("{only} does not meet it{fix}"),
        [first, second] => format!("{first} and {second} do not meet it{fix}"),
        [first, rest @ ..] => format!("{first} and {} more workloads do not meet it{fix}", rest.len()),
        [] => String::new(),
    }
}

struct Judging<'j, 'm> {
    model: &'j Model<'m>,
    settings: &'j Settings<'j>,
    allowed: &'j Allowed,
    object: &'j Object,
    workload: &'j Workload<'j>,
    namespaces: &'j [String],
    value: &'j Value,
}

impl Judging<'_, '_> {
    fn judge(&self, asked: &mut [Asked]) {
        let patched: Vec<Value> =
            self.workload.patches.iter().map(|patch| patch.applied(self.value)).collect();
        let variants: Vec<&Value> = std::iter::once(self.value).chain(&patched).collect();
        let layout = self.object.layout.as_ref();
        let pods: Vec<Pod<'_>> = variants
            .into_iter()
            .flat_map(|value| layout.map(|layout| crate::model::pods(layout, value)).unwrap_or_default())
            .collect();
        let violated: BTreeSet<&str> = pods.iter().flat_map(|pod| self.violated(pod)).collect();
        for one in asked {
            let breaks = match one.requirement.group {
                Group::PodSecurity if pss::check(one.requirement.id).is_some() => {
                    violated.contains(one.requirement.id)
                }
                _ => self.breaks(&one.requirement, &pods),
            };
            if !breaks {
                continue;
            }
            match self.allowed_at(&one.requirement) {
                Some(place) => {
                    one.exceptions.insert(self.exception(place));
                }
                None => one.broken_by.push(self.subject()),
            }
        }
    }

    /// The checks that a pod does not pass. A level leaves out what a stricter check of it asks for too.
    fn violated(&self, pod: &Pod<'_>) -> impl Iterator<Item = &'static str> {
        let at = |level| pss::evaluate(&pod.judged(), level, self.settings.version);
        let all = [at(Level::Baseline), at(Level::Restricted)].concat();
        all.into_iter().map(|violation| violation.check)
    }

    fn breaks(&self, requirement: &Requirement, pods: &[Pod<'_>]) -> bool {
        let any = |breaks: &dyn Fn(&Pod<'_>) -> bool| pods.iter().any(breaks);
        let is_writable = |container: &Container<'_>| {
            container.security_context("readOnlyRootFilesystem") != Some(&Value::Bool(true))
        };
        match requirement.id {
            "readOnlyRootFilesystem" => any(&|pod| !pod.windows && pod.containers.iter().any(is_writable)),
            "imageDigests" => any(&|pod| self.images(pod).any(|image| !self.is_pinned(&image))),
            "defaultAccountToken" => any(&|pod| {
                pod.service_account() == "default" && pod.spec["automountServiceAccountToken"] != false
            }),
            "ownAccount" => any(&|pod| pod.service_account() == "default"),
            "defaultNamespace" => {
                self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == "default")
            }
            // A requirement that nobody here can judge is never met.
            _ => true,
        }
    }

    fn images<'p>(&self, pod: &'p Pod<'_>) -> impl Iterator<Item = Cow<'p, str>> {
        let of_containers =
            pod.containers.iter().map(|container| container.image().unwrap_or_default().into());
        let volumes = pod.spec["volumes"].as_array().into_iter().flatten();
        let of_volumes = volumes
            .filter_map(|volume| volume.get("image"))
            .map(|image| image["reference"].as_str().unwrap_or_default().into());
        of_containers.chain(of_volumes)
    }

    /// Whether every build runs the image by its digest.
    fn is_pinned(&self, text: &str) -> bool {
        let Some(image) = Image::parse(text) else { return false };
        let own = image.digest.is_some();
        let overrides = self.model.builds.image_overrides(&self.model.file(self.object).path, image.name());
        let keeps = |(_, set): &(&str, &crate::repo::ImageSetting)| {
            set.digest.is_some() || own && set.new_tag.is_none()
        };
        (own || overrides.always) && overrides.settings.iter().all(keeps)
    }

    fn allowed_at(&self, requirement: &Requirement) -> Option<String> {
        let path = &self.model.file(self.object).path;
        let id = &self.object.id;
        let at = |rule: &&'static str| self.allowed.get(&(*rule, path.clone(), id.clone())).cloned();
        requirement.rules.iter().find_map(at)
    }

    fn exception(&self, place: String) -> Exception {
        let id = &self.object.id;
        Exception {
            namespaces: self.namespaces.to_vec(),
            kind: id.kind.to_string(),
            name: id.name.to_string(),
            place,
        }
    }

    fn subject(&self) -> String {
        let id = &self.object.id;
        match self.namespaces {
            [] => format!("{}/{}", id.kind, id.name),
            names => format!("{}/{} in {}", id.kind, id.name, names.join(", ")),
        }
    }
}
