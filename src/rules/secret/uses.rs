//! Which objects of a repo refer to a Secret, and how.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Model, Object};
use crate::secret::is_secret_object;

/// A reference to a Secret.
#[derive(Debug, Clone)]
pub(super) struct Use {
    pub(super) object: Object,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Environment,
    Volume,
    PullSecret,
    Tls,
    Other,
}

impl How {
    fn noun(self) -> &'static str {
        match self {
            How::Environment => "environment",
            How::Volume => "volume",
            How::PullSecret => "pull secret",
            How::Tls => "TLS",
            How::Other => "reference",
        }
    }
}

/// All references of a repo, by the name of the Secret.
#[derive(Debug, Default)]
pub(super) struct Uses {
    by_name: BTreeMap<String, Vec<Use>>,
}

impl Uses {
    pub(super) fn of(model: &Model<'_>) -> Uses {
        let mut uses = Uses::default();
        for object in model.objects().filter(|object| !is_secret_object(&object.id)) {
            let Some(value) = model.value(object) else { continue };
            let mut found = Vec::new();
            walk(&value, "", &mut found);
            found.sort_unstable();
            found.dedup();
            for (name, how) in found {
                uses.by_name.entry(name.to_owned()).or_default().push(Use { object: object.clone(), how });
            }
        }
        uses
    }

    /// The references to a Secret of some namespaces. What has no known namespace may mean it.
    pub(super) fn of_secret<'u>(
        &'u self,
        model: &'u Model<'_>,
        name: &str,
        namespaces: &'u [String],
    ) -> impl Iterator<Item = &'u Use> {
        self.by_name.get(name).into_iter().flatten().filter(move |user| {
            let places = model.namespaces(&user.object);
            places.is_empty()
                || namespaces.is_empty()
                || places.iter().any(|place| namespaces.contains(place))
        })
    }
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} ({})", self.object.id.kind, self.object.id.name, self.how.noun())
    }
}

/// Fields of Kubernetes' own types and those that most custom resources copied from them.
fn walk<'v>(value: &'v Value, parent: &str, found: &mut Vec<(&'v str, How)>) {
    match value {
        Value::Array(items) => {
            for item in items {
                if let (true, Some(name)) = (matches!(parent, "imagePullSecrets"), item["name"].as_str()) {
                    found.push((name, How::PullSecret));
                }
                walk(item, parent, found);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner) {
                    ("secretKeyRef" | "secretRef", inner) => {
                        found.extend(inner["name"].as_str().map(|name| (name, How::Environment)));
                    }
                    ("secretName", Value::String(name)) if parent == "tls" => found.push((name, How::Tls)),
                    ("secretName", Value::String(name)) if parent == "secret" => {
                        found.push((name, How::Volume))
                    }
                    ("secret", inner) if inner["name"].is_string() => {
                        found.extend(inner["name"].as_str().map(|name| (name, How::Volume)));
                    }
                    ("secretName" | "existingSecret" | "credentialsSecret", Value::String(name)) => {
                        found.push((name, How::Other));
                    }
                    _ => {}
                }
                walk(inner, key, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_refer_to_a_secret_counts() {
        let value = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{
                "env": [{"valueFrom": {"secretKeyRef": {"name": "env", "key": "a"}}}],
                "envFrom": [{"secretRef": {"name": "from"}}],
            }],
            "volumes": [{"secret": {"secretName": "volume"}}, {"projected": {"sources": [{"secret": {"name": "projected"}}]}}],
            "tls": [{"secretName": "tls"}],
            "certificate": {"secretName": "other"},
        });
        let mut found = Vec::new();
        walk(&value, "", &mut found);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("env", How::Environment),
                ("from", How::Environment),
                ("other", How::Other),
                ("projected", How::Volume),
                ("pull", How::PullSecret),
                ("tls", How::Tls),
                ("volume", How::Volume),
            ]
        );
    }
}
