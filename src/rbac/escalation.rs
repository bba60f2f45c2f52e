//! Permissions that lead to more than they say, each with the way.
//!
//! Sources: <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks>; the verbs of
//! the authorizer: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>;
//! `get` on `nodes/proxy` is enough to run commands: <https://github.com/kubernetes/kubernetes/issues/119640>.

use super::policy::Scope;
use super::rule::{ALL, PolicyRule, Request};

/// How far a way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Somewhat further, or only with something else.
    Little,
    /// To the rights of other accounts in its scope, or through single named objects.
    Some,
    /// To the data or the rights of much of the cluster.
    Much,
    /// To everything.
    Everything,
}

/// A way from some permissions to more.
#[derive(Debug)]
pub struct Way {
    pub verbs: &'static [&'static str],
    /// Group and resource: any of them is enough.
    pub on: &'static [(&'static str, &'static str)],
    /// Reads on behind "can": what somebody with the permission does with it.
    pub leads_to: &'static str,
    /// When it holds in the whole cluster.
    pub reach: Reach,
    /// When it holds in one namespace, or for named objects only.
    pub narrow: Reach,
}

/// A way that a rule opens.
#[derive(Debug, Clone)]
pub struct Opened {
    pub way: &'static Way,
    pub verbs: Vec<String>,
    pub resources: Vec<&'static str>,
    /// Objects that it is limited to.
    pub names: Vec<String>,
    pub reach: Reach,
}

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const WRITE: &[&str] = &["create", "update", "patch"];

/// What makes pods for whoever creates or changes it.
const WORKLOADS: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
];

/// Every way that is known.
pub const WAYS: &[Way] = &[
    Way {
        verbs: &["escalate"],
        on: &[(RBAC, "clusterroles"), (RBAC, "roles")],
        leads_to: "write any permission into a role that it has",
        reach: Reach::Everything,
        narrow: Reach::Much,
    },
    Way {
        verbs: &["bind"],
        on: &[(RBAC, "clusterroles"), (RBAC, "roles")],
        leads_to: "bind roles with more rights than its own to itself",
        reach: Reach::Everything,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["impersonate"],
        on: &[
            ("", "users"),
            ("", "groups"),
            ("", "serviceaccounts"),
            ("authentication.k8s.io", "uids"),
            ("authentication.k8s.io", "userextras"),
        ],
        leads_to: "act as somebody else, with all their rights",
        reach: Reach::Everything,
        narrow: Reach::Some,
    },
    Way {
        verbs: &[ALL],
        on: &[("", "nodes/proxy")],
        leads_to: "talk to the kubelet of every node and run commands in every pod on it, past admission and audit; `get` is enough",
        reach: Reach::Everything,
        narrow: Reach::Much,
    },
    Way {
        verbs: &["create"],
        on: &[("", "serviceaccounts/token")],
        leads_to: "take a token of another account and act with its rights",
        reach: Reach::Everything,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["create", "get"],
        on: &[("", "pods/exec"), ("", "pods/attach")],
        leads_to: "run commands in running pods, with the secrets and the rights of their accounts",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["update", "patch"],
        on: &[("", "pods/ephemeralcontainers")],
        leads_to: "put a container of its own into running pods, with the rights of their accounts",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["create", "get"],
        on: &[("", "pods/portforward"), ("", "pods/proxy"), ("", "services/proxy")],
        leads_to: "reach ports of pods that nothing else can, past network policies",
        reach: Reach::Some,
        narrow: Reach::Little,
    },
    Way {
        verbs: &["update", "patch"],
        on: &[("certificates.k8s.io", "certificatesigningrequests/approval")],
        leads_to: "approve a client certificate for any user, given `approve` on the signer",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["approve", "sign"],
        on: &[("certificates.k8s.io", "signers")],
        leads_to: "have client certificates issued for any user",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: WRITE,
        on: &[
            (ADMISSION, "mutatingwebhookconfigurations"),
            (ADMISSION, "mutatingadmissionpolicies"),
            (ADMISSION, "mutatingadmissionpolicybindings"),
        ],
        leads_to: "change every object that anybody writes, pods of the control plane among them",
        reach: Reach::Everything,
        narrow: Reach::Some,
    },
    Way {
        verbs: WRITE,
        on: &[(ADMISSION, "validatingwebhookconfigurations")],
        leads_to: "have every object that anybody writes sent to itself, secrets among them, and switch checks off",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["create", "update", "patch", "delete"],
        on: &[(ADMISSION, "validatingadmissionpolicies"), (ADMISSION, "validatingadmissionpolicybindings")],
        leads_to: "switch off the policies that objects are checked by",
        reach: Reach::Some,
        narrow: Reach::Little,
    },
    Way {
        verbs: WRITE,
        on: &[("apiregistration.k8s.io", "apiservices")],
        leads_to: "take over a group of the API and see the requests to it",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["create"],
        on: &[("", "persistentvolumes")],
        leads_to: "make a volume of any folder of a node and read or write it from a pod",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["update", "patch"],
        on: &[("", "namespaces")],
        leads_to: "take the Pod Security labels off a namespace",
        reach: Reach::Some,
        narrow: Reach::Little,
    },
    Way {
        verbs: WRITE,
        on: WORKLOADS,
        leads_to: "run pods of its own making: as any account of their namespace, with any secret of it mounted",
        reach: Reach::Much,
        narrow: Reach::Some,
    },
    Way {
        verbs: &["create"],
        on: &[("authentication.k8s.io", "tokenreviews")],
        leads_to: "find out whose token a stolen one is, and whether it still works",
        reach: Reach::Little,
        narrow: Reach::Little,
    },
];

/// The ways that a rule opens in a scope.
pub fn opened(rule: &PolicyRule, scope: &Scope) -> Vec<Opened> {
    WAYS.iter().filter_map(|way| way.opened_by(rule, scope)).collect()
}

/// Whether the rule allows everything in its scope: then no single way is worth telling.
pub fn is_everything(rule: &PolicyRule) -> bool {
    let all = |list: &[String]| list.iter().any(|item| item == ALL);
    all(&rule.verbs) && all(&rule.api_groups) && all(&rule.resources) && rule.resource_names.is_empty()
}

impl Way {
    fn opened_by(&'static self, rule: &PolicyRule, scope: &Scope) -> Option<Opened> {
        let has = |(group, resource): &&(&'static str, &'static str)| {
            self.verbs_in(rule, group, resource).next().is_some()
        };
        let resources: Vec<&'static str> =
            self.on.iter().filter(has).map(|(_, resource)| *resource).collect();
        let verbs = self.on.iter().flat_map(|(group, resource)| self.verbs_in(rule, group, resource));
        let mut verbs: Vec<String> = verbs.map(str::to_owned).collect();
        verbs.sort_unstable();
        verbs.dedup();
        if resources.is_empty() {
            return None;
        }
        let names = rule.resource_names.clone();
        let reach = if *scope == Scope::Cluster && names.is_empty() { self.reach } else { self.narrow };
        Some(Opened { way: self, verbs, resources, names, reach })
    }

    /// The verbs of the way that the rule has for a resource; where any verb will do, those of the rule.
    fn verbs_in<'r>(
        &'static self,
        rule: &'r PolicyRule,
        group: &'r str,
        resource: &'r str,
    ) -> impl Iterator<Item = &'r str> {
        let any = self.verbs == [ALL];
        let candidates: Vec<&'r str> =
            if any { rule.verbs.iter().map(String::as_str).collect() } else { self.verbs.to_vec() };
        let name = rule.resource_names.first().map_or("", String::as_str);
        candidates.into_iter().filter(move |verb| {
            // Creating names no object yet: a rule with names does not allow it.
            let names_object = *verb != "create" || resource.contains('/');
            let request = Request::resource(verb, group, resource, "");
            rule.allows(&if names_object { request.named(name) } else { request })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(rule: serde_json::Value, scope: Scope, expected: &[(&str, Reach)]) {
        let rule: PolicyRule = serde_json::from_value(rule).unwrap();
        let opened = opened(&rule, &scope);
        let found: Vec<(String, Reach)> = opened
            .iter()
            .map(|o| (format!("{} on {}", o.verbs.join(", "), o.resources.join(", ")), o.reach))
            .collect();
        let expected: Vec<(String, Reach)> =
            expected.iter().map(|(permission, reach)| ((*permission).to_owned(), *reach)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn reading_the_proxy_of_nodes_is_everything() {
        let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["nodes/proxy"]});
        check(rule, Scope::Cluster, &[("get on nodes/proxy", Reach::Everything)]);
        check(
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["nodes/metrics"]}),
            Scope::Cluster,
            &[],
        );
    }

    #[test]
    fn binding_named_roles_reaches_less() {
        let rule = |names: serde_json::Value| json!({"verbs": ["bind"], "apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": names});
        check(rule(json!([])), Scope::Cluster, &[("bind on clusterroles", Reach::Everything)]);
        check(rule(json!(["edit"])), Scope::Cluster, &[("bind on clusterroles", Reach::Some)]);
    }

    #[test]
    fn websocket_clients_get_what_others_create() {
        let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec"]});
        check(rule, Scope::Namespace("a".to_owned()), &[("get on pods/exec", Reach::Some)]);
    }

    #[test]
    fn wildcards_open_what_they_cover() {
        let rule = json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]});
        check(
            rule,
            Scope::Cluster,
            &[("create, patch, update on daemonsets, deployments, replicasets, statefulsets", Reach::Much)],
        );
        let exec = json!({"verbs": ["create"], "apiGroups": [""], "resources": ["*/exec"]});
        check(exec, Scope::Cluster, &[("create on pods/exec", Reach::Much)]);
    }

    #[test]
    fn a_name_keeps_creation_out() {
        let rule = json!({"verbs": ["create"], "apiGroups": [""], "resources": ["persistentvolumes"], "resourceNames": ["a"]});
        check(rule, Scope::Cluster, &[]);
        let token = json!({"verbs": ["create"], "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["a"]});
        check(token, Scope::Cluster, &[("create on serviceaccounts/token", Reach::Some)]);
    }
}
