//! What a policy asks of a pod template, in CEL: the checks of the Pod Security Standards and what this program asks
//! for beyond them. Knows no engine; the words are those that ValidatingAdmissionPolicy, Kyverno's ValidatingPolicy and
//! Gatekeeper's K8sNativeValidation share.
//!
//! Each expression must say what the evaluator in [`crate::pss`] says: the tests against real engines hold them to
//! each other. Language and libraries: <https://kubernetes.io/docs/reference/using-api/cel/>.

use crate::pss::{self, Level, Version};

/// Something that a policy asks of every object that makes pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Upstream's id for a Pod Security check, else one of ours.
    pub id: &'static str,
    pub group: Group,
    /// What the user of the cluster is told.
    pub message: &'static str,
    /// True when the object is in order.
    pub expression: String,
    /// The rules of this program that ask for the same.
    pub rules: Vec<&'static str>,
    /// The requirement that asks for less, and is not needed beside this one.
    pub(super) overrides: Option<&'static str>,
}

/// The policy that a requirement goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    PodSecurity,
    Images,
    ServiceAccounts,
    Namespaces,
}

impl Group {
    pub const ALL: [Group; 4] =
        [Group::PodSecurity, Group::Images, Group::ServiceAccounts, Group::Namespaces];

    /// Part of the names of policies and files.
    pub fn id(self) -> &'static str {
        match self {
            Group::PodSecurity => "pod-security",
            Group::Images => "images",
            Group::ServiceAccounts => "service-accounts",
            Group::Namespaces => "namespaces",
        }
    }

    /// What the policy is for, in one line.
    pub fn purpose(self) -> &'static str {
        match self {
            Group::PodSecurity => "Pods stay within the Pod Security checks that this repo meets.",
            Group::Images => "Images are named by what they are, not by a tag that can move.",
            Group::ServiceAccounts => "Pods get no token of an account that was not made for them.",
            Group::Namespaces => "Nothing runs in the namespace that everything lands in by mistake.",
        }
    }
}

/// Group, version, and kinds with the names of their resources.
pub(super) type KindsOfGroup = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Kinds that make pods, by API group: what the policies are asked about.
pub const KINDS: &[KindsOfGroup] = &[
    ("", "v1", &[("Pod", "pods"), ("ReplicationController", "replicationcontrollers")]),
    (
        "apps",
        "v1",
        &[
            ("Deployment", "deployments"),
            ("StatefulSet", "statefulsets"),
            ("DaemonSet", "daemonsets"),
            ("ReplicaSet", "replicasets"),
        ],
    ),
    ("batch", "v1", &[("Job", "jobs"), ("CronJob", "cronjobs")]),
];

/// A name for a part of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub expression: &'static str,
}

/// In the order in which they build on each other.
const VARIABLES: &[Variable] = &[
    Variable {
        name: "template",
        expression: "object.kind == 'Pod' ? object :\n\
                     object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template :\n\
                     object.spec.template",
    },
    Variable { name: "spec", expression: "variables.template.spec" },
    Variable {
        name: "containers",
        expression: "variables.spec.?containers.orValue([]) +\n\
                     variables.spec.?initContainers.orValue([]) +\n\
                     variables.spec.?ephemeralContainers.orValue([])",
    },
    Variable {
        name: "contexts",
        expression: "[variables.spec.?securityContext.orValue({})] +\n\
                     variables.containers.map(c, c.?securityContext.orValue({}))",
    },
    Variable { name: "volumes", expression: "variables.spec.?volumes.orValue([])" },
    Variable { name: "annotations", expression: "variables.template.?metadata.?annotations.orValue({})" },
    Variable { name: "windows", expression: "variables.spec.?os.?name.orValue('') == 'windows'" },
    Variable {
        name: "workload",
        expression: "object.metadata.?namespace.orValue('') + '/' +\n\
                     object.metadata.?name.orValue(object.metadata.?generateName.orValue(''))",
    },
];

/// The variables that some expressions use, directly or through each other.
pub fn variables<'e>(expressions: impl Iterator<Item = &'e str>) -> Vec<Variable> {
    let mut texts: Vec<&str> = expressions.collect();
    let mut used: Vec<Variable> = Vec::new();
    for variable in VARIABLES.iter().rev() {
        let mention = format!("variables.{}", variable.name);
        if texts.iter().any(|text| mentions(text, &mention)) {
            texts.push(variable.expression);
            used.push(*variable);
        }
    }
    used.reverse();
    used
}

fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let next = text[at + name.len()..].chars().next();
        next.is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

/// Everything that can be asked at a level and version, the standards' checks first.
pub fn requirements(level: Level, version: Version) -> Vec<Requirement> {
    let checks = pss::checks().iter().filter(|check| check.level <= level);
    let mut all: Vec<Requirement> = checks.filter_map(|check| of_check(check, version)).collect();
    all.extend(beyond_the_standards());
    all
}

fn of_check(check: &'static pss::Check, version: Version) -> Option<Requirement> {
    let since = check.revision(version)?.since;
    let (message, expression) = in_words_and_cel(check.id, since)?;
    let same = |rule: &&crate::rules::Rule| rule.pss.is_some_and(|(_, id)| asks_the_same(id, check.id));
    let mut rules: Vec<&crate::rules::Rule> = crate::rules::all().filter(same).collect();
    // The rule that is about just this first: users are pointed to it.
    rules.sort_by_key(|rule| rule.pss.is_none_or(|(_, id)| id != check.id));
    Some(Requirement {
        id: check.id,
        group: Group::PodSecurity,
        message,
        expression,
        rules: rules.into_iter().map(|rule| rule.id).collect(),
        overrides: check.overrides,
    })
}

/// Rules name one check for what the standards spread over two.
fn asks_the_same(of_rule: &str, check: &str) -> bool {
    of_rule == check
        || matches!(
            (of_rule, check),
            ("runAsNonRoot", "runAsUser")
                | ("procMount", "procMount_restricted")
                | ("hostPathVolumes", "restrictedVolumes")
                | ("capabilities_baseline", "capabilities_restricted")
                | ("seccompProfile_baseline", "seccompProfile_restricted")
        )
}

const DEFAULT_CAPABILITIES: &str = "['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD',\n \
                                    'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT']";

const PROC_MOUNT: &str =
    "variables.containers.all(c, c.?securityContext.?procMount.orValue('Default') == 'Default')";

const SECCOMP_TYPES: &str = "variables.contexts.all(s,\n  \
                             !has(s.seccompProfile) || s.seccompProfile.?type.orValue('') in ['RuntimeDefault', 'Localhost'])";

/// What a check says, given the version its revision began with. `None` where no text is known: annotations that
/// clusters with such policies no longer read.
fn in_words_and_cel(id: &str, since: u32) -> Option<(&'static str, String)> {
    let unless_windows =
        |text: &str| if since >= 25 { format!("variables.windows ||\n{text}") } else { text.to_owned() };
    let in_user_namespace = |text: &str| {
        let relaxed = format!("variables.spec.?hostUsers.orValue(true) == false ||\n({text})");
        if since >= 35 { relaxed } else { text.to_owned() }
    };
    Some(match id {
        "appArmorProfile" => (
            "AppArmor must not be switched off",
            "variables.contexts.all(s,\n  \
               !has(s.appArmorProfile) || s.appArmorProfile.?type.orValue('') in ['RuntimeDefault', 'Localhost']) &&\n\
             variables.annotations.all(key,\n  \
               !key.startsWith('container.apparmor.security.beta.kubernetes.io/') ||\n  \
               variables.annotations[key] in ['', 'runtime/default'] ||\n  \
               variables.annotations[key].startsWith('localhost/'))"
                .to_owned(),
        ),
        "capabilities_baseline" => (
            "containers must not add capabilities beyond the default ones",
            format!(
                "variables.containers.all(c,\n  \
                   c.?securityContext.?capabilities.?add.orValue([]).all(a, a in\n{DEFAULT_CAPABILITIES}))"
            ),
        ),
        "hostNamespaces" => (
            "pods must not share the network, processes or IPC of their node",
            "!variables.spec.?hostNetwork.orValue(false) &&\n\
             !variables.spec.?hostPID.orValue(false) &&\n\
             !variables.spec.?hostIPC.orValue(false)"
                .to_owned(),
        ),
        "hostPathVolumes" => (
            "pods must not mount directories of their node",
            "variables.volumes.all(v, !has(v.hostPath))".to_owned(),
        ),
        "hostPorts" => (
            "containers must not take ports of their node",
            "variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))"
                .to_owned(),
        ),
        "hostProbesAndHostLifecycle" => (
            "probes and lifecycle handlers must not name a host",
            "variables.containers.all(c,\n  \
               [c.?livenessProbe, c.?readinessProbe, c.?startupProbe,\n   \
                c.?lifecycle.?postStart, c.?lifecycle.?preStop].all(h,\n    \
                 h.?httpGet.?host.orValue('') == '' && h.?tcpSocket.?host.orValue('') == ''))"
                .to_owned(),
        ),
        "privileged" => (
            "containers must not be privileged",
            "variables.containers.all(c, !c.?securityContext.?privileged.orValue(false))".to_owned(),
        ),
        "procMount" => ("containers must keep the masked /proc", in_user_namespace(PROC_MOUNT)),
        "procMount_restricted" => ("containers must keep the masked /proc", PROC_MOUNT.to_owned()),
        "seLinuxOptions" => {
            let engine = if since >= 31 { ", 'container_engine_t'" } else { "" };
            (
                "SELinux options must keep the container policy",
                format!(
                    "variables.contexts.all(s,\n  \
                       s.?seLinuxOptions.?type.orValue('') in\n    \
                         ['', 'container_t', 'container_init_t', 'container_kvm_t'{engine}] &&\n  \
                       s.?seLinuxOptions.?user.orValue('') == '' && s.?seLinuxOptions.?role.orValue('') == '')"
                ),
            )
        }
        "seccompProfile_baseline" if since >= 19 => {
            ("seccomp must not be switched off", SECCOMP_TYPES.to_owned())
        }
        "sysctls" => (
            "pods must not set kernel parameters outside the safe set",
            format!(
                "variables.spec.?securityContext.?sysctls.orValue([]).all(s, s.?name.orValue('') in [\n  {}])",
                pss::safe_sysctls(since).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",\n  ")
            ),
        ),
        "windowsHostProcess" => (
            "Windows pods must not run as processes of their node",
            "variables.contexts.all(s, !s.?windowsOptions.?hostProcess.orValue(false))".to_owned(),
        ),
        "allowPrivilegeEscalation" => (
            "containers must set allowPrivilegeEscalation: false",
            unless_windows(
                "variables.containers.all(c, c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false)",
            ),
        ),
        "capabilities_restricted" => (
            "containers must drop ALL capabilities, and may add only NET_BIND_SERVICE",
            unless_windows(
                "variables.containers.all(c,\n  \
                   'ALL' in c.?securityContext.?capabilities.?drop.orValue([]) &&\n  \
                   c.?securityContext.?capabilities.?add.orValue([]).all(a, a == 'NET_BIND_SERVICE'))",
            ),
        ),
        "restrictedVolumes" => {
            ("pods must not mount storage that only an administrator should choose", volumes())
        }
        "runAsNonRoot" => (
            "pods must run as a user other than root: runAsNonRoot: true",
            in_user_namespace(
                "variables.spec.?securityContext.?runAsNonRoot.orValue(true) &&\n\
                 variables.containers.all(c, c.?securityContext.?runAsNonRoot.orValue(\n  \
                   variables.spec.?securityContext.?runAsNonRoot.orValue(false)))",
            ),
        ),
        "runAsUser" => (
            "pods must not ask for user 0",
            in_user_namespace("variables.contexts.all(s, s.?runAsUser.orValue(1) != 0)"),
        ),
        "seccompProfile_restricted" => (
            "pods must set a seccomp profile: RuntimeDefault or Localhost",
            unless_windows(&format!(
                "({SECCOMP_TYPES} &&\n\
                  (variables.spec.?securityContext.?seccompProfile.hasValue() ||\n  \
                    variables.containers.all(c, c.?securityContext.?seccompProfile.hasValue())))"
            )),
        ),
        _ => return None,
    })
}

fn volumes() -> String {
    let sources: Vec<String> = pss::ALLOWED_VOLUMES.iter().map(|source| format!("has(v.{source})")).collect();
    format!("variables.volumes.all(v,\n  {})", sources.join(" ||\n  "))
}

fn beyond_the_standards() -> [Requirement; 5] {
    let one = |id, group, message, expression: &str, rules: &[&'static str]| Requirement {
        id,
        group,
        message,
        expression: expression.to_owned(),
        rules: rules.to_vec(),
        overrides: None,
    };
    [
        one(
            "readOnlyRootFilesystem",
            Group::PodSecurity,
            "containers must set readOnlyRootFilesystem: true",
            "variables.windows ||\n\
             variables.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))",
            &["root-filesystem-writable"],
        ),
        one(
            "imageDigests",
            Group::Images,
            "images must be named by digest: name:tag@sha256:...",
            "variables.containers.all(c, c.image.matches('@sha256:[0-9a-f]{64}$')) &&\n\
             variables.spec.?volumes.orValue([]).all(v,\n  \
               !has(v.image) || v.image.?reference.orValue('').matches('@sha256:[0-9a-f]{64}$'))",
            &["image-not-pinned"],
        ),
        one(
            "defaultAccountToken",
            Group::ServiceAccounts,
            "pods that run as the account `default` must set automountServiceAccountToken: false",
            "variables.spec.?serviceAccountName.orValue('default') != 'default' ||\n\
             variables.spec.?automountServiceAccountToken.orValue(true) == false",
            &["service-account-token-mounted"],
        ),
        Requirement {
            overrides: Some("defaultAccountToken"),
            ..one(
                "ownAccount",
                Group::ServiceAccounts,
                "pods must run as an account of their own, not as `default`",
                "!(variables.spec.?serviceAccountName.orValue('default') in ['', 'default'])",
                &[],
            )
        },
        one(
            "defaultNamespace",
            Group::Namespaces,
            "nothing may run in the namespace `default`",
            "object.metadata.?namespace.orValue('default') != 'default'",
            &[],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_of_the_newest_standards_has_an_expression() {
        for check in pss::checks() {
            let latest = requirements(Level::Restricted, Version::Latest);
            assert!(latest.iter().any(|requirement| requirement.id == check.id), "{}", check.id);
        }
    }

    #[test]
    fn every_requirement_of_a_pod_names_a_rule_that_exists() {
        for requirement in requirements(Level::Restricted, Version::Latest) {
            let known = |id: &&str| crate::rules::find(id).is_some();
            assert!(requirement.rules.iter().all(known), "{}", requirement.id);
            let of_no_rule = ["defaultNamespace", "ownAccount"].contains(&requirement.id);
            assert_eq!(requirement.rules.is_empty(), of_no_rule, "{}", requirement.id);
        }
    }

    #[test]
    fn variables_come_with_what_they_build_on_and_nothing_else() {
        let names = |text: &str| {
            let used = variables(std::iter::once(text));
            used.iter().map(|variable| variable.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("true"), "");
        assert_eq!(names("variables.contexts.all(s, true)"), "template spec containers contexts");
        assert_eq!(names("variables.workloads"), "");
    }

    #[test]
    fn older_versions_do_not_know_what_came_later() {
        let at = |minor: u32, id: &str| {
            let all = requirements(Level::Restricted, Version::Minor(minor));
            all.into_iter().find(|requirement| requirement.id == id).map(|requirement| requirement.expression)
        };
        assert_eq!(at(33, "hostProbesAndHostLifecycle"), None);
        assert!(!at(34, "runAsNonRoot").unwrap().contains("hostUsers"));
        assert!(at(35, "runAsNonRoot").unwrap().contains("hostUsers"));
        assert!(!at(26, "sysctls").unwrap().contains("ip_local_reserved_ports"));
        assert!(at(27, "sysctls").unwrap().contains("ip_local_reserved_ports"));
    }
}
