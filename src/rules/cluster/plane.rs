//! The view that all rules about control planes share: which flags its components get, whoever writes them how.
//!
//! A [`Plane`] is one place that configures components. Reading one is a dialect's business (one file each, data for the
//! most part); reading, setting and replacing a flag, and getting a file to where the API server sees it, are the same
//! for all rules. Knows no rule.

mod eksctl;
mod kind;
mod kops;
mod kubeadm;
mod rancher;
mod static_pod;
mod talos;

use serde_json::{Value, json};

use crate::config::{Config, KubernetesVersion};
use crate::model::Object;
use crate::pointer::token;
use crate::rules::Change;

/// What a flag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubelet,
}

impl Component {
    pub(super) fn binary(self) -> &'static str {
        match self {
            Component::ApiServer => "kube-apiserver",
            Component::ControllerManager => "kube-controller-manager",
            Component::Scheduler => "kube-scheduler",
            Component::Kubelet => "kubelet",
        }
    }
}

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Kubeadm,
    StaticPod,
    K3s,
    Rke2,
    Kops,
    Kind,
    Talos,
    Eksctl,
}

/// One flag as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    /// Without dashes.
    pub(super) name: String,
    pub(super) value: String,
    /// Where it is: its value, or the item or entry it is a part of.
    pub(super) pointer: String,
}

/// How the flags of a component are written down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    /// `name: value`
    Map,
    /// `- {name: …, value: …}`
    Pairs,
    /// `- --name=value`, with what stands in front of the name
    Words(&'static str),
    /// Fields of their own: flag, field, and whether it is a number, a truth value, a list or a text
    Fields(&'static [(&'static str, &'static str, FieldType)]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Text,
    Truth,
    Number,
    List,
}

/// The flags of one component.
#[derive(Debug, Clone)]
pub(super) struct FlagList {
    pub(super) component: Component,
    pub(super) pointer: String,
    pub(super) style: Style,
    pub(super) flags: Vec<Flag>,
}

/// How a file of the host gets to where the API server sees it.
#[derive(Debug, Clone)]
pub(super) enum Mounts {
    /// It sees the files of its host.
    Host,
    /// Items of `extraVolumes` in this list, and of `extraMounts` of nodes where these are containers.
    Kubeadm { volumes: String, nodes: Vec<String> },
    /// Volumes of a pod, and mounts of its container.
    Pod { container: String },
    /// The text itself is an item of this list.
    Assets { list: String },
    /// There is none.
    Nowhere,
}

/// One place that configures components of a control plane.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    /// Where findings go.
    pub(super) object: Object,
    pub(super) dialect: Dialect,
    pub(super) version: KubernetesVersion,
    /// The string of the object that holds all of it, where it is YAML in a string.
    pub(super) inside: Option<String>,
    pub(super) value: Value,
    pub(super) lists: Vec<FlagList>,
    pub(super) mounts: Mounts,
    /// Of the host; ends with `/`. Configuration goes there.
    pub(super) directory: &'static str,
    /// Of the host; ends with `/`. Logs go there.
    pub(super) log_directory: &'static str,
    /// What the distribution sets when nobody else does.
    pub(super) defaults: &'static [(&'static str, &'static str)],
    /// How a change of it takes effect.
    pub(super) roll_out: &'static str,
}

/// A change that makes a file visible to the API server.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Where the API server finds the file.
    pub(super) path: String,
    pub(super) changes: Vec<Change>,
    /// The file has to be in the repo, and on each host.
    pub(super) is_new_file: bool,
}

/// The planes of a document. `inside` is set where it is the text of a string.
pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Vec<Plane> {
    let api_version = value["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, value["kind"].as_str().unwrap_or_default()) {
        ("kubeadm.k8s.io", _) => kubeadm::read(object, value, config).into_iter().collect(),
        ("kind.x-k8s.io", "Cluster") => kind::read(object, value, config),
        ("kops.k8s.io", "Cluster") => vec![kops::read(object, value, config)],
        ("eksctl.io", "ClusterConfig") => vec![eksctl::read(object, value, config)],
        ("", "Pod") => static_pod::read(object, value, config).into_iter().collect(),
        // Items of a list may leave out what they are.
        _ if !object.pointer.is_empty() && api_version.is_empty() => Vec::new(),
        ("", "") if api_version.is_empty() && value.get("cluster").is_some() => {
            talos::read(object, value, config).into_iter().collect()
        }
        ("", "") if api_version.is_empty() => vec![rancher::read(object, value, config)],
        _ => Vec::new(),
    }
}

impl FlagList {
    pub(super) fn read(
        value: &Value,
        component: Component,
        pointer: impl Into<String>,
        style: Style,
    ) -> FlagList {
        let pointer = pointer.into();
        let flags = match (value.pointer(&pointer), style) {
            (Some(Value::Object(map)), Style::Map) => map
                .iter()
                .map(|(name, value)| flag(name, value, format!("{pointer}/{}", token(name))))
                .collect(),
            (Some(Value::Array(items)), Style::Pairs) => items
                .iter()
                .enumerate()
                .filter_map(|(idx, item)| {
                    Some(flag(item["name"].as_str()?, &item["value"], format!("{pointer}/{idx}/value")))
                })
                .collect(),
            (Some(Value::Array(items)), Style::Words(dashes)) => words(items, &pointer, dashes),
            (Some(Value::String(word)), Style::Words(dashes)) => words(&[json!(word)], &pointer, dashes)
                .into_iter()
                .map(|flag| Flag { pointer: pointer.clone(), ..flag })
                .collect(),
            (Some(fields @ Value::Object(_)), Style::Fields(known)) => known
                .iter()
                .filter_map(|(name, field, _)| {
                    Some(flag(
                        name,
                        fields.get(field).filter(|value| !value.is_null())?,
                        format!("{pointer}/{field}"),
                    ))
                })
                .collect(),
            _ => Vec::new(),
        };
        FlagList { component, pointer, style, flags }
    }
}

fn flag(name: &str, value: &Value, pointer: String) -> Flag {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Flag { name: name.to_owned(), value, pointer }
}

/// `--name=value`, `--name value` and `--name`, which means true.
fn words(items: &[Value], pointer: &str, dashes: &str) -> Vec<Flag> {
    let mut flags = Vec::new();
    let texts: Vec<&str> = items.iter().map(|item| item.as_str().unwrap_or_default()).collect();
    for (idx, text) in texts.iter().enumerate() {
        let Some(text) = text.strip_prefix(dashes) else { continue };
        let text = text.trim_start_matches('-');
        let at = format!("{pointer}/{idx}");
        let found = match text.split_once('=') {
            Some((name, value)) => Flag { name: name.to_owned(), value: value.to_owned(), pointer: at },
            None => match texts.get(idx + 1).filter(|next| !dashes.is_empty() && !next.starts_with('-')) {
                Some(next) => Flag {
                    name: text.to_owned(),
                    value: (*next).to_owned(),
                    pointer: format!("{pointer}/{}", idx + 1),
                },
                None => Flag { name: text.to_owned(), value: "true".to_owned(), pointer: at },
            },
        };
        flags.push(found);
    }
    flags
}

impl Plane {
    /// Whether flags of the component are set here.
    pub(super) fn runs(&self, component: Component) -> bool {
        self.list(component).is_some()
    }

    fn list(&self, component: Component) -> Option<&FlagList> {
        self.lists.iter().find(|list| list.component == component)
    }

    /// The flag as it is written; the last one counts.
    pub(super) fn flag(&self, component: Component, name: &str) -> Option<&Flag> {
        self.list(component)?.flags.iter().rfind(|flag| flag.name == name)
    }

    /// What the component gets, from here or from its distribution.
    pub(super) fn effective(&self, component: Component, name: &str) -> Option<&str> {
        if let Some(flag) = self.flag(component, name) {
            return Some(&flag.value);
        }
        let key = format!("{} {name}", component.binary());
        self.defaults.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    /// Where findings about a flag point to.
    pub(super) fn pointer(&self, component: Component, name: &str) -> String {
        let inner = match self.flag(component, name) {
            Some(flag) => flag.pointer.clone(),
            None => self.list(component).map(|list| list.pointer.clone()).unwrap_or_default(),
        };
        self.outer(inner)
    }

    /// A pointer into the value, as one into the object.
    pub(super) fn outer(&self, pointer: String) -> String {
        self.inside.clone().unwrap_or(pointer)
    }

    /// The change that gives the component the flag; none where the dialect has no place for it.
    pub(super) fn set(&self, component: Component, name: &str, value: &str) -> Option<Change> {
        let list = self.list(component)?;
        let change = match (self.flag(component, name), list.style) {
            (_, Style::Map) => Change::set(format!("{}/{}", list.pointer, token(name)), value),
            (_, Style::Fields(known)) => {
                let (_, field, of_type) = known.iter().find(|(flag, ..)| *flag == name)?;
                Change::set(format!("{}/{field}", list.pointer), typed(value, *of_type))
            }
            (Some(flag), Style::Pairs) => Change::set(flag.pointer.clone(), value),
            (None, Style::Pairs) => {
                Change::append(list.pointer.clone(), json!({"name": name, "value": value}))
            }
            (Some(flag), Style::Words(dashes)) => match self.value.pointer(&flag.pointer) {
                Some(Value::String(text)) if *text == flag.value => Change::set(flag.pointer.clone(), value),
                _ => Change::set(flag.pointer.clone(), format!("{dashes}{name}={value}")),
            },
            // One word that is no list: a second one would need it to be.
            (None, Style::Words(_)) if self.value.pointer(&list.pointer).is_some_and(Value::is_string) => {
                return None;
            }
            (None, Style::Words(dashes)) => {
                Change::append(list.pointer.clone(), format!("{dashes}{name}={value}"))
            }
        };
        Some(self.wrap(change))
    }

    /// The changes that put one flag in the place of another that must not be there with it.
    pub(super) fn replace(
        &self,
        component: Component,
        old: &str,
        name: &str,
        value: &str,
    ) -> Option<Vec<Change>> {
        let Some(flag) = self.flag(component, old) else {
            return Some(vec![self.set(component, name, value)?]);
        };
        match self.list(component)?.style {
            Style::Map | Style::Fields(_) => {
                Some(vec![self.wrap(Change::remove(flag.pointer.clone())), self.set(component, name, value)?])
            }
            Style::Pairs => {
                let item = flag.pointer.strip_suffix("/value")?;
                Some(vec![self.wrap(Change::set(item, json!({"name": name, "value": value})))])
            }
            Style::Words(dashes) => {
                Some(vec![self.wrap(Change::set(flag.pointer.clone(), format!("{dashes}{name}={value}")))])
            }
        }
    }

    pub(super) fn wrap(&self, change: Change) -> Change {
        match &self.inside {
            Some(text) => change.inside(text.clone()),
            None => change,
        }
    }

    /// Makes the file `name` with this text one that the API server reads; none where that cannot be written here.
    pub(super) fn deliver(&self, name: &str, text: &str, repo_path: &str) -> Option<Delivery> {
        let path = format!("{}{name}", self.directory);
        let stem = name.split('.').next().unwrap_or(name);
        let changes = match &self.mounts {
            Mounts::Nowhere => return None,
            Mounts::Host => Vec::new(),
            Mounts::Kubeadm { nodes, .. } => {
                let relative = repo_path.rsplit('/').next().unwrap_or(repo_path);
                let on_nodes = nodes.iter().map(|node| {
                    let mount =
                        json!({"hostPath": format!("./{relative}"), "containerPath": path, "readOnly": true});
                    Change::append(format!("{node}/extraMounts"), mount)
                });
                on_nodes.chain(self.mount(stem, &path, &path, true, "File")).collect()
            }
            Mounts::Pod { .. } => self.mount(stem, &path, &path, true, "File"),
            Mounts::Assets { list } => {
                // v1alpha2 knows both names of the role.
                let known = self.value.pointer(list).map(Value::to_string).unwrap_or_default();
                let role = if known.contains("\"Master\"") { "Master" } else { "ControlPlane" };
                let asset = json!({"name": stem, "path": path, "roles": [role], "content": text});
                vec![self.wrap(Change::append(list.clone(), asset))]
            }
        };
        let is_new_file = !matches!(self.mounts, Mounts::Assets { .. });
        Some(Delivery { path, changes, is_new_file })
    }

    /// Makes a path of the host one of the API server's, unless it is already.
    pub(super) fn mount(
        &self,
        name: &str,
        host_path: &str,
        path: &str,
        read_only: bool,
        path_type: &str,
    ) -> Vec<Change> {
        let covered = |mounts: Option<&Value>| {
            mounts.and_then(Value::as_array).into_iter().flatten().any(|mount| {
                let folder = mount["mountPath"].as_str().unwrap_or_default().trim_end_matches('/');
                let rest = path.strip_prefix(folder).filter(|_| !folder.is_empty());
                let writable = mount["readOnly"].as_bool() != Some(true);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && (read_only || writable)
            })
        };
        match &self.mounts {
            Mounts::Kubeadm { volumes, .. } if !covered(self.value.pointer(volumes)) => {
                let mut volume = json!({"name": name, "hostPath": host_path, "mountPath": path});
                if read_only {
                    volume["readOnly"] = json!(true);
                }
                volume["pathType"] = json!(path_type);
                vec![self.wrap(Change::append(volumes.clone(), volume))]
            }
            Mounts::Pod { container } => {
                let mounts = format!("{container}/volumeMounts");
                if covered(self.value.pointer(&mounts)) {
                    return Vec::new();
                }
                let mut mount = json!({"mountPath": path, "name": name});
                if read_only {
                    mount["readOnly"] = json!(true);
                }
                let volume = json!({"hostPath": {"path": host_path, "type": path_type}, "name": name});
                vec![
                    self.wrap(Change::append(mounts, mount)),
                    self.wrap(Change::append("/spec/volumes", volume)),
                ]
            }
            _ => Vec::new(),
        }
    }
}

fn typed(value: &str, of_type: FieldType) -> Value {
    match of_type {
        FieldType::Text => json!(value),
        FieldType::Truth => json!(value == "true"),
        FieldType::Number => value.parse::<i64>().map_or_else(|_| json!(value), Value::from),
        FieldType::List => json!(value.split(',').collect::<Vec<_>>()),
    }
}

/// The minor version in `v1.31.2` or an image's tag.
pub(super) fn version(text: &str) -> Option<KubernetesVersion> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let minor = text.strip_prefix("1.")?;
    let digits = minor.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(KubernetesVersion { minor: digits.parse().ok()? })
}
