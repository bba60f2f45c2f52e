//! Why an image that is named cannot be asked for: it is a hole that some tool fills, or it never leaves this repo.

use std::collections::BTreeSet;

use crate::image::{Reference, ReferenceError};
use crate::model::Image;
use crate::repo::Repo;

/// Why there is nothing to pull.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    #[error("filled in by another tool")]
    Placeholder,
    #[error("built from this repo ({by})")]
    BuiltHere { by: String },
    #[error("`imagePullPolicy: Never`")]
    NeverPulled,
    #[error("replaced by {by} in every build")]
    Overridden { by: String },
    #[error("the chart chooses the tag")]
    ChartTag,
    #[error("the chart names the image")]
    ChartName,
    #[error("{0}")]
    Invalid(ReferenceError),
}

/// Images of Docker Hub that repos often have a folder of the same name for.
const OFFICIAL: &[&str] = &[
    "alpine",
    "busybox",
    "caddy",
    "cassandra",
    "consul",
    "couchdb",
    "debian",
    "elasticsearch",
    "fluentd",
    "golang",
    "grafana",
    "haproxy",
    "httpd",
    "influxdb",
    "jenkins",
    "kibana",
    "kong",
    "logstash",
    "mariadb",
    "memcached",
    "mongo",
    "mysql",
    "nats",
    "neo4j",
    "nginx",
    "node",
    "openjdk",
    "php",
    "postgres",
    "python",
    "rabbitmq",
    "redis",
    "registry",
    "ruby",
    "solr",
    "telegraf",
    "tomcat",
    "traefik",
    "ubuntu",
    "vault",
    "wordpress",
    "zookeeper",
];

/// What the repo says it builds.
#[derive(Debug, Default)]
pub struct Builders {
    /// Images that a build configuration names, with its file.
    artifacts: Vec<(String, String)>,
    /// Names of folders with a Dockerfile.
    folders: BTreeSet<String>,
}

impl Builders {
    pub(in crate::model) fn new(repo: &Repo) -> Builders {
        let mut artifacts = Vec::new();
        for file in &repo.files {
            for document in 0..file.stream.documents() {
                let Some(root) = file.stream.root(document) else { continue };
                let version = root.get("apiVersion").and_then(crate::yaml::Node::as_str);
                let lists: &[&str] = match version.as_deref() {
                    Some(version) if version.starts_with("skaffold/") => &["/build/artifacts"],
                    Some(version) if version.starts_with("kbld.k14s.io/") => &["/sources"],
                    _ => continue,
                };
                let items = lists.iter().filter_map(|list| root.at(list)).flat_map(crate::yaml::Node::items);
                let images = items.filter_map(|item| item.get("image")?.written());
                artifacts.extend(images.map(|image| (image, file.path.clone())));
            }
        }
        let folders = repo
            .dockerfiles
            .iter()
            .filter_map(|file| crate::repo::folder(&file.path).rsplit('/').next())
            .filter(|name| !name.is_empty());
        Builders { artifacts, folders: folders.map(str::to_owned).collect() }
    }

    /// What a reference pulls.
    ///
    /// # Errors
    /// Why nothing is pulled.
    pub fn target(&self, text: &str) -> Result<Reference, Skipped> {
        if text.starts_with("ko://") {
            return Err(Skipped::BuiltHere { by: "ko".to_owned() });
        }
        if is_placeholder(text) {
            return Err(Skipped::Placeholder);
        }
        let image = Image::parse(text).ok_or(Skipped::Invalid(ReferenceError::Shape))?;
        if let Some((_, by)) = self.artifacts.iter().find(|(artifact, _)| artifact == image.name()) {
            return Err(Skipped::BuiltHere { by: by.clone() });
        }
        // A folder `redis` makes `redis` ours, but not `redis:7`.
        let is_bare = !image.name().contains('/') && image.digest.is_none();
        let may_be_ours =
            !OFFICIAL.contains(&image.name()) || matches!(image.tag, None | Some("latest" | "dev" | "local"));
        if is_bare && may_be_ours && self.folders.contains(image.name()) {
            return Err(Skipped::BuiltHere { by: format!("{}/Dockerfile", image.name()) });
        }
        Reference::parse(text).map_err(Skipped::Invalid)
    }
}

fn is_placeholder(text: &str) -> bool {
    let upper = |part: &str| {
        part.len() > 2
            && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit())
    };
    let marks = ["$", "{", "}", "<", ">", "%", "#", "@@", "__"];
    let is_marked = marks.iter().any(|mark| text.contains(mark))
        && (Reference::parse(text).is_err() || text.contains("@@"));
    let lower = text.to_ascii_lowercase();
    let says_so = ["placeholder", "changeme", "change-me", "replace-me", "replaceme"]
        .iter()
        .any(|word| lower.contains(word));
    is_marked
        || says_so
        || upper(text)
        || text.split([':', '/', '@']).any(|part| upper(part) && part.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_told_from_references() {
        for text in [
            "$(params.img)",
            "{{ .Values.x }}",
            "${IMG}",
            "IMAGE_PLACEHOLDER",
            "IMAGE",
            "r.io/a:<version>",
            "app:%VERSION%",
            "#{image}#",
            "__IMAGE__",
            "controller:IMAGE_TAG",
            "image-placeholder",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["nginx", "r.io/a__b:1", "a:RC1", "controller:latest", "x:V1"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
