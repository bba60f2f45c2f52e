//! What an image needs, read from the image itself: its user, ports, volumes, accounts, and the files that a
//! hardened container would treat differently.
//!
//! Takes streams and gives a small value; unpacks nothing to disk and knows no registry, no lock and no rules.
//! An image is what a stranger made: every length is bounded, and every path is only compared, never opened.

mod accounts;
pub mod cache;
mod capability;
mod configuration;
mod decode;
mod root_fs;
mod tar;

use serde::{Deserialize, Serialize};

use crate::model::Image;

pub use self::accounts::Account;
pub use self::configuration::Configuration;
pub use self::root_fs::RootFs;

/// Most entries of any list; what is beyond is counted.
pub const MOST_LISTED: usize = 32;

/// Facts of one platform's image. Small enough to be reviewed in a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Facts {
    /// The platform they were read from, like `linux/amd64`.
    pub platform: String,
    /// `USER` as written; empty means root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// What the user is by the image's own `/etc/passwd`; absent when a name is not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Primary group by the user's `:group`, else by `/etc/passwd`, else 0, as runtimes do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// `EXPOSE`, like `80/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// A shell's path, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Accounts that the image adds to those of its distribution; never root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// Programs with the setuid or setgid bit: `allowPrivilegeEscalation: false` takes it away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setuid: Vec<String>,
    /// Programs with file capabilities, like `/bin/ping cap_net_raw`: the same takes them away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_capabilities: Vec<String>,
    /// Directories that somebody else than root can write to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<Writable>,
    /// How many entries the lists above leave out.
    #[serde(skip_serializing_if = "is_zero")]
    pub unlisted: usize,
}

/// A directory below which an unprivileged user can write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Writable {
    pub path: String,
    /// The uid that owns it; absent when everybody may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Facts {
    /// Whether the image runs as root when nothing else is said. `None` when its user's name is not in its own
    /// `/etc/passwd`.
    pub fn runs_as_root(&self) -> Option<bool> {
        self.uid.map(|uid| uid == 0)
    }

    /// Whether the user is written as a number: only then can the kubelet tell that it is not root
    /// (`runAsNonRoot` in pkg/kubelet/kuberuntime/security_context.go of Kubernetes).
    pub fn has_numeric_user(&self) -> bool {
        let user = self.user.split(':').next().unwrap_or_default();
        !user.is_empty() && user.parse::<u32>().is_ok()
    }

    /// The account that an image which starts as root brings for its job: the one named like the image, else the
    /// only one.
    pub fn unprivileged_account(&self, image: &str) -> Option<&Account> {
        let name = Image::parse(image).map_or("", |image| image.name());
        let last = name.rsplit('/').next().unwrap_or_default();
        let named = self.accounts.iter().find(|account| last.contains(account.name.as_str()));
        named.or(match self.accounts.as_slice() {
            [account] => Some(account),
            _ => None,
        })
    }

    /// Exposed ports below 1024.
    pub fn low_ports(&self) -> impl Iterator<Item = u16> {
        let number = |port: &String| port.split('/').next().and_then(|number| number.parse::<u16>().ok());
        self.ports.iter().filter_map(number).filter(|port| (1..1024).contains(port))
    }

    /// Puts together what the configuration and the layers say.
    pub fn new(configuration: &Configuration, root_fs: &RootFs, platform: String) -> Facts {
        let (uid, gid) = root_fs.accounts().resolve(&configuration.user);
        let mut facts = Facts { platform, user: configuration.user.clone(), uid, gid, ..Facts::default() };
        facts.working_dir.clone_from(&configuration.working_dir);
        facts.shell = root_fs.shell();
        let accounts = root_fs.accounts().added();
        let mut owners: Vec<u32> = accounts.iter().map(|account| account.uid).collect();
        owners.extend(uid.filter(|uid| *uid != 0));
        facts.ports = facts.bounded(configuration.ports.clone());
        facts.volumes = facts.bounded(configuration.volumes.clone());
        facts.entrypoint = facts.bounded(configuration.entrypoint.clone());
        facts.command = facts.bounded(configuration.command.clone());
        facts.accounts = facts.bounded(accounts);
        facts.setuid = facts.bounded(root_fs.setuid());
        facts.file_capabilities = facts.bounded(root_fs.file_capabilities());
        facts.writable = facts.bounded(root_fs.writable(&owners));
        facts
    }

    fn bounded<T>(&mut self, mut list: Vec<T>) -> Vec<T> {
        self.unlisted += list.len().saturating_sub(MOST_LISTED);
        list.truncate(MOST_LISTED);
        list
    }
}

/// Goes through the files of a tar archive, compressed or not: path, size, body.
///
/// # Errors
/// The archive cannot be read, or `visit` says so.
pub(crate) fn archive_entries(
    archive: &mut dyn std::io::Read,
    visit: &mut dyn FnMut(&str, u64, &mut dyn std::io::Read) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let plain = decode::decoded(archive)?;
    tar::entries(plain, &mut |entry, body| match entry.kind {
        tar::Kind::File => visit(&entry.path, entry.size, body),
        _ => Ok(()),
    })
}
