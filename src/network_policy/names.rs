//! What workloads are called when they are shown, and which of them a user means.

use std::collections::BTreeMap;

use super::cluster::{Cluster, Workload};
use crate::connections::Space;
use crate::repo::folder;

/// A name for each workload, no two alike.
#[derive(Debug, Clone)]
pub struct Names {
    names: Vec<String>,
    /// Without the namespace.
    short: Vec<String>,
}

/// Short names of kinds, as kubectl has them.
const SHORT: &[(&str, &str)] = &[
    ("cj", "cronjob"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("po", "pod"),
    ("rc", "replicationcontroller"),
    ("rs", "replicaset"),
    ("sts", "statefulset"),
];

impl Names {
    /// As short as it can be: `web`; `shop/web` when there are several namespaces; with the kind, then with the file,
    /// when two would be alike.
    pub fn new(cluster: &Cluster) -> Names {
        let workloads = &cluster.workloads;
        let forms: [&dyn Fn(&Workload) -> String; 4] = [
            &|workload| workload.name.clone(),
            &|workload| format!("{}/{}", workload.kind, workload.name),
            &|workload| format!("{}/{} ({})", workload.kind, workload.name, workload.place.path),
            &|workload| format!("{}/{} ({})", workload.kind, workload.name, workload.place),
        ];
        let mut short: Vec<String> = workloads.iter().map(forms[0]).collect();
        for form in &forms[1..] {
            let spaces = workloads.iter().map(|workload| shown_space(&workload.space));
            let alike = alike(spaces.zip(&short).map(|(space, name)| (space, name.clone())));
            for ((name, workload), is_alike) in short.iter_mut().zip(workloads).zip(alike) {
                if is_alike {
                    *name = form(workload);
                }
            }
        }
        let is_one_space =
            workloads.windows(2).all(|pair| shown_space(&pair[0].space) == shown_space(&pair[1].space));
        let full = |(name, workload): (&String, &Workload)| match is_one_space {
            true => name.clone(),
            false => format!("{}/{name}", shown_space(&workload.space)),
        };
        Names { names: short.iter().zip(workloads).map(full).collect(), short }
    }

    /// What a workload is called beside one of its own namespace.
    pub fn beside(&self, cluster: &Cluster, other: usize, workload: usize) -> &str {
        let is_near = cluster.workloads[other].space == cluster.workloads[workload].space;
        if is_near { &self.short[workload] } else { &self.names[workload] }
    }

    pub fn of(&self, workload: usize) -> &str {
        &self.names[workload]
    }

    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The workloads that a text means: a shown name, or `[NAMESPACE/][KIND/]NAME`.
    pub fn find(&self, cluster: &Cluster, text: &str) -> Vec<usize> {
        let exact: Vec<usize> = (0..self.names.len()).filter(|idx| self.names[*idx] == text).collect();
        if !exact.is_empty() {
            return exact;
        }
        let Some((before, name)) =
            text.rsplit_once('/').map_or(Some((None, text)), |(b, n)| Some((Some(b), n)))
        else {
            return Vec::new();
        };
        let fits = |workload: &Workload| {
            workload.name == name
                && before.is_none_or(|before| {
                    let space = shown_space(&workload.space);
                    let of_kind = |text: &str| is_kind(text, &workload.kind);
                    before == space
                        || of_kind(before)
                        || before.rsplit_once('/').is_some_and(|(of, kind)| of == space && of_kind(kind))
                })
        };
        (0..cluster.workloads.len()).filter(|idx| fits(&cluster.workloads[*idx])).collect()
    }
}

/// Whether each has its like among the others.
fn alike(keys: impl Iterator<Item = (String, String)>) -> Vec<bool> {
    let keys: Vec<(String, String)> = keys.collect();
    let mut count: BTreeMap<&(String, String), usize> = BTreeMap::new();
    keys.iter().for_each(|key| *count.entry(key).or_default() += 1);
    keys.iter().map(|key| count[key] > 1).collect()
}

fn is_kind(text: &str, kind: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let long = SHORT.iter().find(|(short, _)| *short == text).map_or(text.as_str(), |(_, long)| long);
    let kind = kind.to_ascii_lowercase();
    long == kind || long.strip_suffix('s') == Some(&kind)
}

/// A namespace's name; the folder in brackets where nothing names it.
pub fn shown_space(space: &Space) -> String {
    match space {
        Space::Named(name) => name.clone(),
        Space::Unnamed(at) => {
            let at = if crate::repo::is_kustomization_name(at) { folder(at) } else { at };
            format!("[{}]", if at.is_empty() { "." } else { at })
        }
    }
}

/// What [`shown_space`] makes this text.
pub fn named_space(text: &str) -> Space {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(at) => Space::Unnamed(if at == "." { String::new() } else { at.to_owned() }),
        None => Space::Named(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Place;
    use super::*;

    fn workload(space: &str, kind: &str, name: &str, path: &str) -> Workload {
        Workload {
            kind: kind.to_owned(),
            name: name.to_owned(),
            space: match space.strip_prefix('@') {
                Some(at) => Space::Unnamed(at.to_owned()),
                None => Space::Named(space.to_owned()),
            },
            labels: BTreeMap::new(),
            ports: Vec::new(),
            host_network: false,
            place: Place { path: path.to_owned(), line: 1 },
        }
    }

    fn cluster(workloads: &[(&str, &str, &str, &str)]) -> Cluster {
        let workloads = workloads.iter().map(|(s, k, n, p)| workload(s, k, n, p)).collect();
        Cluster { workloads, ..Cluster::default() }
    }

    #[track_caller]
    fn check(workloads: &[(&str, &str, &str, &str)], expected: &[&str]) {
        assert_eq!(Names::new(&cluster(workloads)).names, expected);
    }

    #[test]
    fn names_are_no_longer_than_they_must_be() {
        check(&[("shop", "Deployment", "web", "a"), ("shop", "Deployment", "db", "b")], &["web", "db"]);
        check(
            &[("shop", "Deployment", "web", "a"), ("lab", "Deployment", "web", "b")],
            &["shop/web", "lab/web"],
        );
        check(
            &[("s", "Deployment", "web", "a"), ("s", "CronJob", "web", "b")],
            &["Deployment/web", "CronJob/web"],
        );
        check(
            &[("s", "Pod", "web", "a"), ("s", "Pod", "web", "b"), ("s", "Job", "db", "c")],
            &["Pod/web (a)", "Pod/web (b)", "db"],
        );
        check(
            &[("@apps/kustomization.yaml", "Pod", "a", "x"), ("@", "Pod", "a", "y")],
            &["[apps]/a", "[.]/a"],
        );
    }

    #[test]
    fn a_user_may_leave_out_what_is_clear() {
        let cluster = cluster(&[
            ("shop", "Deployment", "web", "a"),
            ("shop", "CronJob", "web", "b"),
            ("lab", "Deployment", "web", "c"),
        ]);
        let names = Names::new(&cluster);
        let find = |text: &str| names.find(&cluster, text);
        assert_eq!(find("web"), [0, 1, 2]);
        assert_eq!(find("lab/web"), [2]);
        assert_eq!(find("cj/web"), [1]);
        assert_eq!(find("shop/deployments/web"), [0]);
        assert_eq!(find("Deployment/web"), [0, 2]);
        assert!(find("db").is_empty() && find("prod/web").is_empty());
    }
}
