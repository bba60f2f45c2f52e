//! What a repo asks of caseharden: `caseharden.toml`, valid.
//!
//! Data only: nothing in it runs a program, names a path outside the repo or reads the environment. Text
//! becomes a [`Config`] in one step, [`Config::parse`], that reports all mistakes at once. Knows the names of
//! rules and areas only as strings it is given. Never asks the clock.

mod allow;
mod globs;
pub(crate) mod mistake;
pub(crate) mod network;
mod profile;
mod raw;
mod reading;
mod registries;
mod secrets;
mod system_namespaces;
mod validate;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use json_patch::jsonptr::PointerBuf;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::pipeline::Pins;
use crate::pss;

pub use allow::{Allow, AllowIndex, Allowable};
pub(crate) use globs::familiar;
pub use globs::{ImageGlob, NameGlob, PathGlob};
pub use jiff::civil::Date;
pub use mistake::Mistake;
pub use network::{Dialect, Mode, Network, PodPeer};
pub use profile::{KubernetesVersion, Profile};
pub use registries::Registries;
pub use secrets::{ExternalStore, Provider, Scope, Secrets, Store, StoreKind, Vault};
pub use system_namespaces::SystemNamespaces;

/// Name of the configuration file.
pub const FILE_NAME: &str = "caseharden.toml";

/// Larger than any configuration: a bound on what is read.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The configuration of a run. [`Default`] is what holds without a file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: Option<PathBuf>,
    pub target_version: KubernetesVersion,
    pub distribution: Distribution,
    pub profile: Profile,
    pub level: Level,
    /// Rules or areas; empty means all.
    pub select: Vec<String>,
    /// Rules or areas; wins over `select`.
    pub ignore: Vec<String>,
    pub exclude: Vec<PathGlob>,
    pub generated: Vec<PathGlob>,
    pub include_generated: bool,
    /// Bytes.
    pub max_file_size: u64,
    /// Only what was asked for; [`Config::enforce_version`] has the default.
    pub enforce_version: Option<pss::Version>,
    /// Relative to the repo.
    pub exceptions_file: String,
    /// A plain file name.
    pub namespace_file: String,
    /// File name of roles, bindings and service accounts that have to be added, beside what they are for.
    pub rbac_file: String,
    /// A Kubernetes quantity.
    pub tmp_size: Option<String>,
    pub system_namespaces: SystemNamespaces,
    pub workloads: Vec<CustomWorkload>,
    pub image_fields: Vec<ImageFields>,
    pub writable_paths: Vec<WritablePaths>,
    pub signatures: Vec<SignedBy>,
    pub registries: Registries,
    pub network: Network,
    pub resources: Resources,
    /// What pipelines are made of.
    pub pipeline: Pins,
    pub secrets: Secrets,
    pub cluster: Cluster,
    pub allow: Vec<Allow>,
}

/// What a cluster is made of, as far as fixes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    Kubeadm,
    K3s,
    Rke2,
    Kops,
    Kind,
    Talos,
    Eks,
    Gke,
    Aks,
    Openshift,
    #[default]
    Generic,
}

/// The least trusted changes that are proposed, least trusted first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Right in general; may change how a workload behaves
    #[default]
    Review,
    /// Cannot change what runs
    Safe,
}

/// How control planes are configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Whether audit logs hold the bodies of requests about Secrets and tokens.
    pub audit_secret_bodies: bool,
    /// Where audit logs are sent to: a URL without credentials.
    pub audit_webhook: Option<String>,
    pub encryption: Encryption,
    /// `unix://` and the path of a socket.
    pub kms_endpoint: String,
}

/// What encrypts Secrets at rest, where the distribution has no switch for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Nothing is changed.
    #[default]
    Report,
    Kms,
    Secretbox,
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster {
            audit_secret_bodies: false,
            audit_webhook: None,
            encryption: Encryption::default(),
            kms_endpoint: "unix:///var/run/kmsplugin/socket.sock".to_owned(),
        }
    }
}

/// A custom resource that embeds a pod spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomWorkload {
    /// Without version; empty for the core group.
    pub group: String,
    pub kind: String,
    pub pod_spec: PointerBuf,
}

/// Fields of a custom resource that name images for the containers its operator makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFields {
    /// Without version; empty for the core group.
    pub group: String,
    pub kind: String,
    /// Pointers in which `*` stands for every item of a list.
    pub paths: Vec<String>,
}

/// Directories that some images write to.
#[derive(Debug, Clone)]
pub struct WritablePaths {
    pub image: ImageGlob,
    /// Absolute paths in the container.
    pub paths: Vec<String>,
}

/// Who has to have signed some images.
#[derive(Debug, Clone)]
pub struct SignedBy {
    pub image: ImageGlob,
    /// Files of public keys, relative to the repo.
    pub keys: Vec<String>,
    /// Who signs without a key. `caseharden lock` cannot check it; admission policies can.
    pub keyless: Option<Identity>,
}

/// Whom a certificate names: signing without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// URL of who knows the subject, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// `*` is any run of characters.
    pub subject: String,
}

/// What quotas are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// What is added to the sums, in percent.
    pub headroom: u16,
    /// How many nodes run a pod of a DaemonSet.
    pub nodes: u16,
}

impl Default for Resources {
    fn default() -> Self {
        Resources { headroom: 50, nodes: 3 }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}", Lines(.0))]
    Invalid(Vec<Mistake>),
}

struct Lines<'a>(&'a [Mistake]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            path: None,
            target_version: KubernetesVersion { minor: 37 },
            distribution: Distribution::default(),
            profile: Profile { level: pss::Level::Restricted, version: pss::Version::Latest },
            level: Level::default(),
            select: Vec::new(),
            ignore: Vec::new(),
            exclude: Vec::new(),
            generated: Vec::new(),
            include_generated: false,
            max_file_size: 16 * 1024 * 1024,
            enforce_version: None,
            exceptions_file: "pod-security-exceptions.yaml".to_owned(),
            namespace_file: "namespace.yaml".to_owned(),
            rbac_file: "rbac.yaml".to_owned(),
            tmp_size: None,
            system_namespaces: SystemNamespaces::default(),
            workloads: Vec::new(),
            image_fields: Vec::new(),
            writable_paths: Vec::new(),
            signatures: Vec::new(),
            registries: Registries::default(),
            network: Network::default(),
            resources: Resources::default(),
            pipeline: Pins::default(),
            secrets: Secrets::default(),
            cluster: Cluster::default(),
            allow: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a configuration from its text. `path` is how mistakes name the file; `known` are the ids of all
    /// rules and areas.
    ///
    /// # Errors
    /// All mistakes of the text, in its order.
    pub fn parse(text: &str, path: &Path, known: &[&str]) -> Result<Config, Vec<Mistake>> {
        let mut mistakes = mistake::Mistakes::new(text, path);
        let raw = reading::read(text, &mut mistakes);
        let config = validate::validate(raw, known, &mut mistakes);
        match mistakes.into_sorted() {
            none if none.is_empty() => Ok(Config { path: Some(path.to_owned()), ..config }),
            mistakes => Err(mistakes),
        }
    }

    /// Reads the configuration file at `path`; see [`Config::parse`].
    pub fn load(path: &Path, known: &[&str]) -> Result<Config, ConfigError> {
        let text =
            read_bounded(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Config::parse(&text, path, known).map_err(ConfigError::Invalid)
    }

    /// The version written to the `enforce-version` label: the configured one, else the target version's.
    pub fn enforce_version(&self) -> pss::Version {
        self.enforce_version.unwrap_or(pss::Version::Minor(u32::from(self.target_version.minor)))
    }

    pub fn is_excluded(&self, path: &str) -> bool {
        self.exclude.iter().any(|glob| glob.matches(path))
    }

    /// Whether the configuration says that the file is generated or vendored.
    pub fn is_generated(&self, path: &str) -> bool {
        self.generated.iter().any(|glob| glob.matches(path))
    }

    pub fn is_system_namespace(&self, namespace: &str) -> bool {
        self.system_namespaces.contains(namespace, self.distribution)
    }

    /// Directories an image (name without tag and digest) writes to, each once: those of the file in its order,
    /// then those known of widely used images.
    pub fn writable_paths(&self, image: &str) -> Vec<&str> {
        let matching = self.writable_paths.iter().filter(|entry| entry.image.matches(image));
        let configured = matching.flat_map(|entry| &entry.paths).map(String::as_str);
        let mut paths: Vec<&str> = Vec::new();
        for path in configured.chain(known_writable_paths(image).iter().copied()) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// Files of the public keys one of which has to have signed an image (name without tag and digest), sorted.
    /// Empty when nobody has to.
    pub fn signature_keys(&self, image: &str) -> Vec<&str> {
        let matching = self.signatures.iter().filter(|entry| entry.image.matches(image));
        let keys: BTreeSet<&str> = matching.flat_map(|entry| &entry.keys).map(String::as_str).collect();
        keys.into_iter().collect()
    }

    /// Whether a rule of an area takes part.
    pub fn is_selected(&self, rule: &str, area: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == rule || name == area);
        (self.select.is_empty() || named(&self.select)) && !named(&self.ignore)
    }
}

impl Distribution {
    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubeadm => "kubeadm",
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
            Self::Kops => "kops",
            Self::Kind => "kind",
            Self::Talos => "talos",
            Self::Eks => "eks",
            Self::Gke => "gke",
            Self::Aks => "aks",
            Self::Openshift => "openshift",
            Self::Generic => "generic",
        }
    }
}

/// Directories that official images write to at run time and that hold nothing else: their PID files, sockets
/// and caches. Data directories are left out: they belong on a volume that somebody chose.
fn known_writable_paths(image: &str) -> &'static [&'static str] {
    match familiar(image) {
        // "Running nginx in read-only mode": <https://hub.docker.com/_/nginx>
        "nginx" => &["/var/cache/nginx", "/var/run"],
        "postgres" => &["/var/run/postgresql"],
        "mysql" => &["/var/run/mysqld"],
        "mariadb" => &["/run/mysqld"],
        "httpd" => &["/usr/local/apache2/logs"],
        _ => &[],
    }
}

/// Finds the configuration file of a repo: in `start` (an absolute path), else in the nearest folder above
/// it up to the root of its git checkout.
///
/// Outside a git checkout only `start` is looked at. A home directory above `start` is passed over: what lies
/// there was not written for this repo.
pub fn find(start: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let above = start.ancestors().position(|folder| folder.join(".git").exists()).unwrap_or(0);
    start
        .ancestors()
        .take(above + 1)
        .filter(|folder| *folder == start || Some(*folder) != home)
        .map(|folder| folder.join(FILE_NAME))
        .find(|file| file.is_file())
}

/// The JSON Schema of `caseharden.toml`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::RawConfig).to_value()
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
