//! The objects of a document: its own, or the items of a `List`.
//!
//! Knows apiVersion, kind, namespace and name; nothing of what a kind contains.

use std::fmt;

use crate::yaml::{Kind, Node};

/// What names an object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    pub api_version: Box<str>,
    pub kind: Box<str>,
    /// As written in the object, not what a build makes of it.
    pub namespace: Option<Box<str>>,
    /// `metadata.name`, or `metadata.generateName` with a `*` behind it; empty when there is none.
    pub name: Box<str>,
}

impl ObjectId {
    pub fn named(api_version: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId { api_version: api_version.into(), kind: kind.into(), namespace: None, name: name.into() }
    }

    /// Stands where a finding is about no object.
    pub fn unknown() -> ObjectId {
        ObjectId::named("", "", "")
    }

    /// The API group: empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// Lists the objects of a document with the pointer of each (empty for the document itself).
pub(super) fn objects(root: Node<'_>) -> Vec<(String, ObjectId)> {
    let mut found = Vec::new();
    collect(root, String::new(), None, &mut found);
    found
}

fn collect(
    node: Node<'_>,
    pointer: String,
    inherited: Option<(&str, &str)>,
    found: &mut Vec<(String, ObjectId)>,
) {
    if node.kind() != Kind::Mapping {
        return;
    }
    let text = |key| node.get(key).and_then(Node::as_str);
    let (api_version, kind) = match (text("apiVersion"), text("kind"), inherited) {
        (Some(api_version), Some(kind), _) => (api_version, kind),
        (_, _, Some((api_version, kind))) => (api_version.into(), kind.into()),
        _ => return,
    };
    if let Some(list) = list_key(&api_version, &kind)
        && let Some(items) = node.get(list).filter(|items| items.kind() == Kind::Sequence)
    {
        // The items of a typed list, as `kubectl get -o yaml` of old and the API itself write it, may leave these out.
        let item_kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        for (idx, item) in items.items().enumerate() {
            let inherited = item_kind.map(|kind| (&*api_version, kind));
            collect(item, format!("{pointer}/{list}/{idx}"), inherited, found);
        }
        return;
    }
    let metadata = node.get("metadata");
    let of_metadata = |key| metadata.and_then(|metadata| metadata.get(key)).and_then(Node::as_str);
    let name = match (of_metadata("name"), of_metadata("generateName")) {
        (Some(name), _) => name.into_owned(),
        (None, Some(prefix)) => format!("{prefix}*"),
        (None, None) => String::new(),
    };
    let id = ObjectId {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: of_metadata("namespace").filter(|name| !name.is_empty()).map(Into::into),
        name: name.into(),
    };
    found.push((pointer, id));
}

fn list_key(api_version: &str, kind: &str) -> Option<&'static str> {
    match kind {
        "Template" if api_version.starts_with("template.openshift.io/") => Some("objects"),
        _ if kind.ends_with("List") => Some("items"),
        _ => None,
    }
}
