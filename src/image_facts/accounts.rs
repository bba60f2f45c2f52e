//! `/etc/passwd` and `/etc/group` of an image: who a `USER` is. Text in, numbers out.

use serde::{Deserialize, Serialize};

/// An account of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Default)]
pub(super) struct Accounts {
    users: Vec<Account>,
    groups: Vec<(String, u32)>,
}

/// Accounts that Debian, Alpine, Fedora and BusyBox give every system; `www-data` is not among them because web
/// servers and PHP images are meant to run as it.
const STOCK: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "backup",
    "list",
    "irc",
    "gnats",
    "nobody",
    "_apt",
    "adm",
    "shutdown",
    "halt",
    "operator",
    "ftp",
    "postmaster",
    "cron",
    "sshd",
    "at",
    "squid",
    "xfs",
    "cyrus",
    "vpopmail",
    "ntp",
    "smmsp",
    "guest",
    "svn",
    "dbus",
    "tss",
    "utmp",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
    "systemd-coredump",
    "systemd-oom",
    "messagebus",
    "libuuid",
    "syslog",
];

impl Accounts {
    pub(super) fn read(passwd: &[u8], group: &[u8]) -> Accounts {
        let mut accounts = Accounts::default();
        for line in String::from_utf8_lossy(passwd).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(_), Some(uid), Some(gid)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                accounts.users.push(Account { name: name.to_owned(), uid, gid });
            }
        }
        for line in String::from_utf8_lossy(group).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(_), Some(gid)) = (fields.next(), fields.next(), fields.next())
                && let Ok(gid) = gid.parse()
            {
                accounts.groups.push((name.to_owned(), gid));
            }
        }
        accounts
    }

    /// uid and gid of a `USER`: `name`, `uid`, `name:group`, `uid:gid`, or empty for root. What is no number and
    /// in no file has none.
    pub(super) fn resolve(&self, user: &str) -> (Option<u32>, Option<u32>) {
        let (user, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
        let number = user.parse::<u32>().ok();
        let account = match number {
            // A name wins over a number, as runtimes look it up (opencontainers/runc libcontainer/user).
            Some(uid) => self.named(user).or_else(|| self.users.iter().find(|account| account.uid == uid)),
            None if user.is_empty() => self.users.iter().find(|account| account.uid == 0),
            None => self.named(user),
        };
        let uid = match account {
            Some(account) => Some(account.uid),
            None if user.is_empty() => Some(0),
            None => number,
        };
        let gid = match group.filter(|group| !group.is_empty()) {
            Some(group) => self.group(group),
            None => uid.map(|_| account.map_or(0, |account| account.gid)),
        };
        (uid, gid)
    }

    fn named(&self, name: &str) -> Option<&Account> {
        self.users.iter().find(|account| account.name == name)
    }

    fn group(&self, group: &str) -> Option<u32> {
        let named = self.groups.iter().find(|(name, _)| name == group).map(|(_, gid)| *gid);
        named.or_else(|| group.parse().ok())
    }

    /// Accounts that the image's makers added.
    pub(super) fn added(&self) -> Vec<Account> {
        let is_added = |account: &&Account| {
            account.uid != 0 && !STOCK.contains(&account.name.as_str()) && account.name.len() <= 64
        };
        let mut added: Vec<Account> = self.users.iter().filter(is_added).cloned().collect();
        added.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
        added.dedup();
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102::/:/sbin/nologin\nbroken\n42:x:7:8::/:\nnobody:x:65534:65534::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:500:nginx\n";

    #[track_caller]
    fn check(user: &str, uid: Option<u32>, gid: Option<u32>) {
        assert_eq!(Accounts::read(PASSWD, GROUP).resolve(user), (uid, gid), "{user}");
    }

    #[test]
    fn users_are_names_or_numbers_with_or_without_a_group() {
        check("", Some(0), Some(0));
        check("root", Some(0), Some(0));
        check("nginx", Some(101), Some(102));
        check("101", Some(101), Some(102));
        check("5000", Some(5000), Some(0));
        check("nginx:web", Some(101), Some(500));
        check("nginx:7", Some(101), Some(7));
        check("1000:1000", Some(1000), Some(1000));
        check("42", Some(7), Some(8));
    }

    #[test]
    fn names_that_are_not_in_the_image_have_no_number() {
        check("app", None, None);
        check("nginx:nogroup", Some(101), None);
    }

    #[test]
    fn only_added_accounts_are_listed() {
        let names: Vec<String> =
            Accounts::read(PASSWD, GROUP).added().into_iter().map(|account| account.name).collect();
        assert_eq!(names, ["42", "nginx"]);
    }
}
