//! Directories that have to stay writable under a read-only root file system, and names for their volumes.
//!
//! Knows mounts and names, nothing of how a volume is rendered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::volume;
use crate::model::{Container, Image, Pod};
use crate::rules::Workload;

const TMP: &str = "/tmp";

/// The longest DNS label, which a volume's name has to be.
const LONGEST_NAME: usize = 63;

/// A directory that needs a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directory<'a> {
    pub(super) path: &'a str,
}

impl Directory<'_> {
    pub(super) fn is_tmp(&self) -> bool {
        self.path == TMP
    }
}

/// `/tmp`, the paths configured for the image and the volumes it declares, without those that a mount of the
/// container serves.
pub(super) fn missing_directories<'a>(
    workload: &Workload<'a>,
    pod: &Pod<'_>,
    container: &Container<'_>,
) -> Vec<Directory<'a>> {
    let image = container.image().and_then(Image::parse);
    let configured = image.map_or(Vec::new(), |image| workload.settings.config.writable_paths(image.name()));
    let mut directories: Vec<Directory<'a>> = Vec::new();
    let declared = workload.facts(container).into_iter().flat_map(|facts| &facts.volumes).map(String::as_str);
    for path in [TMP].into_iter().chain(configured).chain(declared) {
        let path = trimmed(path);
        let known = directories.iter().any(|directory| directory.path == path);
        if !known && !is_served(pod, container, path) {
            directories.push(Directory { path });
        }
    }
    directories
}

/// Directories of the image that its user could write to until now, beyond those that get a volume: `/app (user 1000)`.
/// Whether it does, nobody knows; and what is in them would be hidden by a volume.
pub(super) fn open_directories(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    given: &[Directory<'_>],
) -> Vec<String> {
    let Some(facts) = workload.facts(container) else { return Vec::new() };
    let open = facts.writable.iter().filter(|directory| {
        let path = trimmed(&directory.path);
        let is_given = given.iter().any(|given| {
            path == given.path || path.strip_prefix(given.path).is_some_and(|rest| rest.starts_with('/'))
        });
        !is_given && !is_served(pod, container, path)
    });
    open.map(|directory| match directory.owner {
        Some(owner) => format!("{} (user {owner})", directory.path),
        None => format!("{} (everybody)", directory.path),
    })
    .collect()
}

fn trimmed(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    }
}

/// Whether a mount is at the path already, or a writable one above it.
fn is_served(pod: &Pod<'_>, container: &Container<'_>, path: &str) -> bool {
    let devices = container.value["volumeDevices"].as_array().into_iter().flatten();
    let mut devices = devices.filter_map(|device| device["devicePath"].as_str());
    devices.any(|device| trimmed(device) == path)
        || volume::mounts(container).any(|(_, mount)| {
            let Some(at) = mount["mountPath"].as_str().map(trimmed) else { return false };
            let above = path.strip_prefix(at).is_some_and(|rest| rest.starts_with('/') || at == "/");
            at == path || above && is_writable(pod, mount)
        })
}

fn is_writable(pod: &Pod<'_>, mount: &Value) -> bool {
    // The kubelet mounts these read-only.
    const READ_ONLY: [&str; 5] = ["configMap", "secret", "downwardAPI", "projected", "image"];
    let source = volume::all(pod).map(|(_, value)| value).find(|value| value["name"] == mount["name"]);
    let read_only =
        source.is_some_and(|source| READ_ONLY.iter().any(|kind| volume::has_source(source, kind)));
    mount["readOnly"] != true && !read_only
}

/// Names for added volumes, unique in every pod of the workload.
pub(super) struct Names {
    existing: BTreeSet<String>,
    /// Names that were given, with the list each is in and the volume.
    given: BTreeMap<String, (String, Value)>,
    /// Names that were given in the current pod.
    of_pod: BTreeSet<String>,
    /// Whether one container of the current pod alone gets a `/tmp`.
    one_tmp: bool,
}

impl Names {
    pub(super) fn new(workload: &Workload<'_>) -> Names {
        let mut existing = BTreeSet::new();
        for pod in &workload.pods {
            let volumes = volume::all(pod).filter_map(|(_, value)| value["name"].as_str());
            // Mounts may name volumes that are defined elsewhere: claim templates, a Tekton workspace, a patch.
            let mounts = pod
                .containers
                .iter()
                .flat_map(volume::mounts)
                .filter_map(|(_, mount)| mount["name"].as_str());
            existing.extend(volumes.chain(mounts).map(str::to_owned));
        }
        Names { existing, given: BTreeMap::new(), of_pod: BTreeSet::new(), one_tmp: false }
    }

    pub(super) fn start_pod(&mut self, one_tmp: bool) {
        self.of_pod.clear();
        self.one_tmp = one_tmp;
    }

    /// Chooses the name of a directory's volume in `list`. Pods of one object that share a list share equal volumes:
    /// each pod still gets an `emptyDir` of its own. Containers of a pod never do.
    pub(super) fn choose<E>(
        &mut self,
        list: &str,
        container: &str,
        directory: &Directory<'_>,
        volume: impl Fn(&str) -> Result<Value, E>,
    ) -> Result<String, E> {
        let base = label(directory.path);
        let candidates = self.one_tmp.then(|| base.clone()).filter(|_| directory.is_tmp());
        let plain = (!directory.is_tmp()).then(|| base.clone());
        let own = format!("{base}-{}", label(container));
        let numbered = (2..).map(|n| format!("{own}-{n}"));
        let all = candidates.into_iter().chain(plain).chain([own.clone()]).map(|name| shortened(&name, ""));
        for name in all.chain(numbered.map(|name| shortened(&own, &name[own.len()..]))) {
            if self.existing.contains(&name) || self.of_pod.contains(&name) {
                continue;
            }
            let value = volume(&name)?;
            match self.given.get(&name) {
                Some((other_list, other)) if other_list != list || *other != value => continue,
                _ => {}
            }
            self.given.insert(name.clone(), (list.to_owned(), value));
            self.of_pod.insert(name.clone());
            return Ok(name);
        }
        unreachable!("numbers do not end")
    }
}

/// A path or a name as a DNS label.
fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => label.push(c),
            _ if label.is_empty() || label.ends_with('-') => {}
            _ => label.push('-'),
        }
    }
    let label = label.trim_end_matches('-');
    if label.is_empty() { "volume".to_owned() } else { label.to_owned() }
}

fn shortened(name: &str, suffix: &str) -> String {
    let room = LONGEST_NAME - suffix.len();
    let cut = name.get(..room).unwrap_or(name).trim_end_matches('-');
    format!("{cut}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(label(text), expected);
    }

    #[test]
    fn paths_become_labels() {
        check("/tmp", "tmp");
        check("/var/cache/nginx", "var-cache-nginx");
        check("/var//lib/My_App/.cache", "var-lib-my-app-cache");
        check("/", "volume");
        check("{{x}}", "x");
    }

    #[test]
    fn names_stay_within_a_label() {
        let long = "x".repeat(80);
        assert_eq!(shortened(&long, "").len(), 63);
        assert_eq!(shortened(&long, "-12").len(), 63);
        assert!(shortened(&long, "-12").ends_with("x-12"));
    }

    #[test]
    fn containers_of_a_pod_never_share_a_volume_and_pods_of_an_object_may() {
        let existing = BTreeSet::from(["tmp".to_owned()]);
        let mut names = Names { existing, given: BTreeMap::new(), of_pod: BTreeSet::new(), one_tmp: false };
        let volume = |name: &str| Ok::<_, ()>(Value::from(name));
        let tmp = Directory { path: "/tmp" };
        names.start_pod(true);
        assert_eq!(names.choose("/spec/volumes", "web", &tmp, volume), Ok("tmp-web".to_owned()));
        assert_eq!(names.choose("/spec/volumes", "web", &tmp, volume), Ok("tmp-web-2".to_owned()));
        names.start_pod(true);
        assert_eq!(names.choose("/spec/volumes", "web", &tmp, volume), Ok("tmp-web".to_owned()));
        names.start_pod(true);
        assert_eq!(
            names.choose("/other/volumes", "web", &tmp, volume),
            Ok("tmp-web-2".to_owned()).map(|_: String| "tmp-web-3".to_owned())
        );
    }
}
