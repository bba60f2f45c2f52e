//! The ten areas and their items: data, and what can be seen of an item without a rule.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Status;
use crate::model::Model;
use crate::rules::Settings;

pub(super) struct Area {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Areas of rules whose items are here, unless another item names the rule.
    pub(super) rule_areas: &'static [&'static str],
    pub(super) items: &'static [Item],
}

pub(super) struct Item {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) rules: &'static [&'static str],
    /// What objects of the repo tell.
    pub(super) look: Option<fn(&Shown) -> Seen>,
    /// What to do while it is not satisfied.
    pub(super) next: Option<&'static str>,
    pub(super) caution: Option<&'static str>,
    pub(super) links: &'static [&'static str],
}

pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) next: Option<String>,
}

const NONE: Item = Item { id: "", title: "", rules: &[], look: None, next: None, caution: None, links: &[] };

/// Something that no manifest shows.
const fn outside(id: &'static str, title: &'static str, next: &'static str) -> Item {
    Item { id, title, next: Some(next), ..NONE }
}

const fn by_rules(id: &'static str, title: &'static str, rules: &'static [&'static str]) -> Item {
    Item { id, title, rules, ..NONE }
}

pub(super) const AREAS: &[Area] = &[
    Area {
        id: "api-access",
        title: "API access: rights, audit log, authentication",
        rule_areas: &["rbac"],
        items: &[
            Item {
                links: &["https://kubernetes.io/docs/concepts/security/rbac-good-practices/"],
                ..by_rules(
                    "no-broad-rights",
                    "No account is administrator; no role grants everything",
                    &["cluster-admin-bound", "role-grants-wildcard", "escalation-path"],
                )
            },
            by_rules(
                "no-shared-rights",
                "Nothing is granted to everybody or to default accounts",
                &["everyone-bound", "default-account-bound"],
            ),
            by_rules(
                "rights-in-namespaces",
                "Rights end at the namespace they are needed in",
                &["cluster-role-binding-could-be-role-binding", "cluster-role-only-used-in-namespace"],
            ),
            Item {
                next: Some(
                    "an audit log of the cluster shows what is used: `caseharden diff --audit-log FILE`",
                ),
                look: Some(rights_in_use),
                ..by_rules(
                    "rights-in-use",
                    "Accounts may do no more than they do",
                    &["permission-never-used"],
                )
            },
            Item {
                caution: Some(
                    "Checklists ask for RequestResponse on Secrets: that writes their values into the log. Metadata \
                     is enough to know who read which (CIS 3.2.2).",
                ),
                next: Some("`caseharden generate apiserver` writes a policy and the flags"),
                links: &["https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/"],
                ..by_rules(
                    "audit-log",
                    "The API server writes an audit log that shows who changed what",
                    &[
                        "audit-log-off",
                        "audit-policy-too-thin",
                        "audit-log-kept-too-short",
                        "audit-log-not-shipped",
                    ],
                )
            },
            Item {
                caution: Some(
                    "Checklists ask for --anonymous-auth=false: with kubeadm that kills the probes of the API server \
                     and token joins. Structured authentication leaves anonymous health checks alone (1.34).",
                ),
                next: Some("`caseharden generate apiserver` writes an AuthenticationConfiguration"),
                links: &["https://kubernetes.io/docs/reference/access-authn-authz/authentication/"],
                ..by_rules(
                    "no-anonymous",
                    "Anonymous requests reach health checks at most",
                    &["anonymous-requests-allowed"],
                )
            },
            by_rules(
                "short-lived-credentials",
                "Credentials end by themselves: no static tokens",
                &["long-lived-token-secret", "static-credentials-file"],
            ),
            by_rules(
                "no-loose-ends",
                "Roles and bindings mean what they say, and name what exists",
                &[
                    "dangling-role-ref",
                    "dangling-subject",
                    "role-unused",
                    "resource-names-without-effect",
                    "rbac-api-removed",
                ],
            ),
        ],
    },
    Area {
        id: "network",
        title: "Network",
        rule_areas: &["network"],
        items: &[
            Item {
                links: &["https://kubernetes.io/docs/concepts/services-networking/network-policies/"],
                ..by_rules(
                    "default-deny",
                    "Every namespace denies what nothing needs",
                    &["namespace-open-to-network"],
                )
            },
            by_rules(
                "narrow-allows",
                "Allowed connections name pods and ports",
                &["network-policy-too-wide", "pod-labels-shared"],
            ),
            Item {
                next: Some("flow logs explain connections: `caseharden diff --flow-log FILE`"),
                ..by_rules("egress-explained", "Every way out is explained", &["egress-unexplained"])
            },
            by_rules(
                "node-network-known",
                "No pod is out of reach of policies on its node's network",
                &["host-network-unprotected"],
            ),
            by_rules(
                "charts-policies-on",
                "Charts' own network policies are on",
                &["chart-network-policy-off"],
            ),
            outside(
                "network-plugin-enforces",
                "The network plugin enforces policies in both directions",
                "`caseharden network probe` makes Jobs that try connections in a staging cluster",
            ),
        ],
    },
    Area {
        id: "pod-security",
        title: "Pod security",
        rule_areas: &["pod", "namespace"],
        items: &[
            Item {
                links: &["https://kubernetes.io/docs/concepts/security/pod-security-standards/"],
                ..by_rules(
                    "apart-from-node",
                    "Pods share nothing of their node",
                    &[
                        "privileged-container",
                        "host-namespaces",
                        "host-path-volume",
                        "host-port",
                        "probe-host",
                        "windows-host-process",
                    ],
                )
            },
            by_rules("not-root", "Containers run as a user other than root", &["runs-as-root"]),
            by_rules(
                "few-privileges",
                "Containers drop capabilities and gain no privileges",
                &["capability-added", "privilege-escalation-allowed", "capabilities-not-dropped"],
            ),
            by_rules(
                "kernel-confinement",
                "seccomp, AppArmor and SELinux confine containers",
                &[
                    "seccomp-unconfined",
                    "seccomp-not-set",
                    "apparmor-unconfined",
                    "selinux-options",
                    "proc-mount-unmasked",
                    "unsafe-sysctls",
                ],
            ),
            Item {
                caution: Some(
                    "Checklists count this as part of the restricted level: no check of Pod Security Admission reads \
                     the field. Only an admission policy keeps it.",
                ),
                next: Some("containers that write need volumes where they do: `[[writable-path]]`"),
                ..by_rules("read-only-root", "Root file systems are read-only", &["root-filesystem-writable"])
            },
            by_rules(
                "no-unneeded-token",
                "Pods carry no API token that they do not need",
                &["service-account-token-mounted"],
            ),
            by_rules(
                "rest-of-the-standard",
                "Pods keep to the rest of the standard, and to the team's own",
                &["restricted-volume-types", "windows-os-unset", "standard-not-met"],
            ),
            Item {
                links: &["https://kubernetes.io/docs/concepts/security/pod-security-admission/"],
                ..by_rules(
                    "levels-enforced",
                    "Namespaces enforce the level that their pods meet; warn and audit come first",
                    &["pod-security-labels-missing", "namespace-undefined", "pod-security-defaults-missing"],
                )
            },
            Item {
                caution: Some(
                    "Checklists give system namespaces the baseline level, and host networking with it: baseline \
                     forbids that. Enforce privileged there, warn at baseline, and record each exception.",
                ),
                ..by_rules(
                    "system-exceptions",
                    "System workloads that need more are recorded one by one",
                    &["exception-not-recorded"],
                )
            },
        ],
    },
    Area {
        id: "images",
        title: "Images",
        rule_areas: &["image"],
        items: &[
            Item {
                next: Some("`caseharden lock` asks the registries for digests"),
                ..by_rules(
                    "pinned",
                    "Images are pinned by digest, none is the latest",
                    &["image-tag-latest", "image-not-pinned", "image-digest-of-one-platform"],
                )
            },
            Item {
                look: Some(signed),
                next: Some(
                    "`caseharden generate pipeline` signs what is pushed; `[[signature]]` says who may sign",
                ),
                ..by_rules(
                    "signed",
                    "Images are signed by those who may",
                    &["image-signature-invalid", "image-not-signed"],
                )
            },
            Item {
                caution: Some(
                    "A scanner is a dependency too: tags of a widely used scanner action were moved to malicious \
                     commits in 2026. Pin actions by full commit SHA, scanner images by digest.",
                ),
                ..outside(
                    "scanned",
                    "Images are scanned on change, failing on critical and high, and rescanned on a schedule",
                    "`caseharden generate pipeline --ci github --scanner trivy`",
                )
            },
        ],
    },
    Area {
        id: "secrets",
        title: "Secrets",
        rule_areas: &["secret"],
        items: &[
            by_rules(
                "none-in-git",
                "No secret value is in the repo",
                &[
                    "secret-in-plain-manifest",
                    "secret-in-env-literal",
                    "secret-in-config-map",
                    "secret-in-arguments",
                ],
            ),
            by_rules("few-readers", "Few accounts can read secrets", &["secrets-readable-in-bulk"]),
            Item {
                next: Some("`caseharden generate apiserver` writes an EncryptionConfiguration"),
                links: &["https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/"],
                ..by_rules(
                    "encrypted-at-rest",
                    "Secrets are encrypted in etcd",
                    &["encryption-at-rest-off", "encryption-key-in-repo"],
                )
            },
            outside(
                "rotated",
                "Secrets are rotated, above all those that were ever in git",
                "the store that issues them shows when; git history keeps every old value",
            ),
        ],
    },
    Area {
        id: "runtime",
        title: "Runtime security",
        rule_areas: &[],
        items: &[
            outside(
                "runtime-detection",
                "Something watches what containers do (Falco, Tetragon, Tracee)",
                "it runs privileged on every node: record it as an exception",
            ),
            outside(
                "sandboxed",
                "Untrusted code runs in a sandbox of its own (RuntimeClass with gVisor or Kata)",
                "nodes need the runtime first",
            ),
        ],
    },
    Area {
        id: "control-plane",
        title: "Control plane and nodes",
        rule_areas: &["cluster"],
        items: &[
            outside(
                "node-files",
                "Files of nodes and etcd belong to root and to nobody else",
                "run kube-bench on the nodes",
            ),
            outside(
                "versions",
                "All components are in support and get their patches",
                "compare `kubectl version` and node images",
            ),
        ],
    },
    Area {
        id: "admission",
        title: "Admission and supply chain: keeping it hardened",
        rule_areas: &["allow"],
        items: &[
            Item {
                look: Some(admission),
                caution: Some(
                    "Gatekeeper verifies no signatures by itself: that takes Kyverno, policy-controller or an \
                     external provider.",
                ),
                ..Item {
                    id: "admission-policies",
                    title: "Admission policies refuse what would undo the hardening",
                    ..NONE
                }
            },
            by_rules(
                "exceptions-owned",
                "Every exception has a reason and an end",
                &["allow-without-reason", "allow-expired", "allow-unmatched"],
            ),
            outside(
                "gate",
                "Changes pass this check before they are merged",
                "`caseharden generate pipeline` has it as a step",
            ),
        ],
    },
    Area {
        id: "resources",
        title: "Resources and availability",
        rule_areas: &[],
        items: &[
            Item {
                look: Some(requests),
                ..Item { id: "requests", title: "Containers say what they need (requests)", ..NONE }
            },
            Item {
                look: Some(quotas),
                ..Item { id: "quotas", title: "Namespaces have a ResourceQuota and a LimitRange", ..NONE }
            },
            Item {
                look: Some(budgets),
                ..Item {
                    id: "disruption-budgets",
                    title: "Workloads with replicas survive the drain of a node",
                    ..NONE
                }
            },
        ],
    },
    Area {
        id: "operations",
        title: "Monitoring, backup, upgrades",
        rule_areas: &[],
        items: &[
            outside(
                "alerts",
                "Alerts tell of refused pods, failed audit writes and denied requests",
                "metrics of the API server have all three",
            ),
            outside(
                "backup",
                "etcd and volumes are backed up, and a restore was tried",
                "a backup counts when it was restored",
            ),
            outside(
                "upgrade-path",
                "Manifests use no API that the next versions remove",
                "`kubectl convert`, and the deprecation metrics of the API server",
            ),
        ],
    },
];

/// What the repo has, as far as items ask for it.
pub(super) struct Shown {
    workloads: usize,
    containers: usize,
    without_requests: usize,
    kinds: BTreeMap<String, usize>,
    /// Namespaces with workloads.
    used: BTreeSet<String>,
    /// Namespaces with objects of a kind.
    namespaced: BTreeSet<(String, String)>,
    /// Workloads with replicas, and those that a disruption budget selects.
    replicated: usize,
    budgeted: usize,
    /// Images whose signatures were looked at.
    looked_at: usize,
    has_audit_log: bool,
}

impl Shown {
    pub(super) fn of(model: &Model<'_>, settings: &Settings<'_>) -> Shown {
        let mut shown = Shown {
            workloads: 0,
            containers: 0,
            without_requests: 0,
            kinds: BTreeMap::new(),
            used: BTreeSet::new(),
            namespaced: BTreeSet::new(),
            replicated: 0,
            budgeted: 0,
            looked_at: settings.lock.iter().filter(|(_, locked)| locked.signatures.is_some()).count(),
            has_audit_log: settings.audit.is_some(),
        };
        let availability = crate::availability::Availability::of(model);
        shown.replicated = availability.replicated().count();
        shown.budgeted = availability.replicated().filter(|workload| workload.budget.is_some()).count();
        for object in model.objects() {
            *shown.kinds.entry(object.id.kind.to_string()).or_default() += 1;
            for namespace in model.namespaces(object) {
                if object.layout.is_some() {
                    shown.used.insert(namespace.clone());
                }
                shown.namespaced.insert((object.id.kind.to_string(), namespace));
            }
            let (Some(layout), Some(value)) = (&object.layout, model.value(object)) else { continue };
            shown.workloads += 1;
            for pod in crate::model::pods(layout, &value) {
                for container in &pod.containers {
                    let requests = container.value.pointer("/resources/requests");
                    let limits = container.value.pointer("/resources/limits");
                    let has = |map: Option<&Value>, key: &str| map.is_some_and(|map| map.get(key).is_some());
                    // A limit without a request is the request too.
                    let says = |key: &str| has(requests, key) || has(limits, key);
                    shown.containers += 1;
                    shown.without_requests += usize::from(!says("cpu") || !says("memory"));
                }
            }
        }
        shown
    }

    fn count(&self, kinds: &[&str]) -> usize {
        kinds.iter().filter_map(|kind| self.kinds.get(*kind)).sum()
    }

    /// Whether rules of an area had something to look at.
    pub(super) fn is_about(&self, area: &str) -> bool {
        match area {
            "rbac" => self.count(&["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]) > 0,
            "secret" => self.workloads + self.count(&["Secret", "ConfigMap"]) > 0,
            // Files of a cluster's own configuration are no objects of the API.
            "cluster" => {
                self.count(&[
                    "ClusterConfiguration",
                    "InitConfiguration",
                    "KubeletConfiguration",
                    "Cluster",
                    "ClusterConfig",
                    "EncryptionConfiguration",
                    "AdmissionConfiguration",
                    "AuthenticationConfiguration",
                ]) > 0
            }
            _ => self.workloads > 0,
        }
    }
}

fn outside_of_repo() -> Seen {
    Seen { status: Status::OutsideManifests, next: None }
}

fn rights_in_use(shown: &Shown) -> Seen {
    match shown.has_audit_log {
        true => Seen { status: Status::Satisfied, next: None },
        false if shown.is_about("rbac") => Seen { status: Status::NeedsEvidence, next: None },
        false => outside_of_repo(),
    }
}

/// Without a lock nothing is found because nothing was looked at.
fn signed(shown: &Shown) -> Seen {
    match (shown.looked_at, shown.workloads) {
        (0, 0) => outside_of_repo(),
        (0, _) => Seen {
            status: Status::NeedsEvidence,
            next: Some("nobody has looked: `caseharden lock` asks the registries for signatures".to_owned()),
        },
        _ => Seen { status: Status::Satisfied, next: None },
    }
}

fn admission(shown: &Shown) -> Seen {
    let policies = shown.count(&[
        "ValidatingAdmissionPolicy",
        "ValidatingPolicy",
        "ImageValidatingPolicy",
        "ClusterPolicy",
        "ConstraintTemplate",
        "ClusterImagePolicy",
    ]);
    match (policies, shown.workloads) {
        (0, 0) => outside_of_repo(),
        (0, _) => Seen {
            status: Status::FixableNow,
            next: Some("`caseharden generate admission --engine vap` writes what the repo meets".to_owned()),
        },
        (n, _) => Seen { status: Status::Satisfied, next: Some(format!("{n} in the repo")) },
    }
}

fn requests(shown: &Shown) -> Seen {
    match (shown.without_requests, shown.containers) {
        (_, 0) => outside_of_repo(),
        (0, _) => Seen { status: Status::Satisfied, next: None },
        (n, all) => Seen {
            status: Status::NeedsEvidence,
            next: Some(format!(
                "{n} of {all} containers do not; measure (VPA, metrics) before writing numbers"
            )),
        },
    }
}

fn quotas(shown: &Shown) -> Seen {
    if shown.used.is_empty() {
        return outside_of_repo();
    }
    let lacks = |namespace: &&String| {
        let has = |kind: &str| shown.namespaced.contains(&(kind.to_owned(), (*namespace).clone()));
        !has("ResourceQuota") || !has("LimitRange")
    };
    match shown.used.iter().filter(lacks).count() {
        0 => Seen { status: Status::Satisfied, next: None },
        n => Seen {
            status: Status::FixableNow,
            next: Some(format!(
                "{n} of {} namespaces do not: `caseharden generate quota`, `caseharden generate limits`",
                shown.used.len()
            )),
        },
    }
}

fn budgets(shown: &Shown) -> Seen {
    match (shown.replicated, shown.replicated - shown.budgeted) {
        (0, _) => outside_of_repo(),
        (_, 0) => Seen { status: Status::Satisfied, next: None },
        (all, n) => Seen {
            status: Status::FixableNow,
            next: Some(format!("{n} of {all} have no PodDisruptionBudget: `caseharden generate budgets`")),
        },
    }
}
