//! The configuration of an image: what a container gets that says nothing else.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/config.md>. The environment is not read: it
//! may hold secrets, and no rule needs it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Characters of a text that are kept.
const LONGEST_TEXT: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    pub os: String,
    pub architecture: String,
    pub user: String,
    pub ports: Vec<String>,
    pub volumes: Vec<String>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub working_dir: String,
    /// `org.opencontainers.image.version`.
    pub version: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    config: Option<RawContainer>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawContainer {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl Configuration {
    /// `None` for bytes that are no image configuration (a Helm chart's, a signature's).
    pub fn read(bytes: &[u8]) -> Option<Configuration> {
        let raw: Raw = serde_json::from_slice(bytes).ok()?;
        let container = raw.config.unwrap_or_default();
        let keys = |map: Option<BTreeMap<String, IgnoredAny>>| {
            map.unwrap_or_default().into_keys().map(short).collect()
        };
        let texts = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().map(short).collect();
        Some(Configuration {
            os: short(raw.os),
            architecture: short(raw.architecture),
            user: short(container.user.unwrap_or_default()),
            ports: keys(container.exposed_ports),
            volumes: keys(container.volumes),
            entrypoint: texts(container.entrypoint),
            command: texts(container.cmd),
            working_dir: short(container.working_dir.unwrap_or_default()),
            version: container.labels.unwrap_or_default().remove("org.opencontainers.image.version"),
        })
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes_and_not_the_environment() {
        let text =
            br#"{"os":"linux","architecture":"amd64","config":{"User":"nginx","ExposedPorts":{"80/tcp":{}},
            "Env":["TOKEN=secret"],"Volumes":{"/data":{}},"Entrypoint":["/e"],"Cmd":null,"WorkingDir":"/w",
            "Labels":{"org.opencontainers.image.version":"1.2"}}}"#;
        let configuration = Configuration::read(text).unwrap();
        assert_eq!(configuration.user, "nginx");
        assert_eq!((&*configuration.ports[0], &*configuration.volumes[0]), ("80/tcp", "/data"));
        assert_eq!(configuration.version.as_deref(), Some("1.2"));
        assert!(!format!("{configuration:?}").contains("secret"));
    }

    #[test]
    fn an_image_may_say_nothing() {
        assert_eq!(Configuration::read(b"{}"), Some(Configuration::default()));
        assert_eq!(Configuration::read(br#"{"config":null}"#), Some(Configuration::default()));
        assert_eq!(Configuration::read(b"7"), None);
    }
}
