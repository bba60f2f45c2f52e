//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// An admission plugin that limits what nodes or pods may do is not on, or one that admits everything is.
    ///
    /// ## Why
    /// Without `NodeRestriction` a kubelet, or whoever has its key, may label and taint other nodes and change their pods.
    /// `ServiceAccount`, `NamespaceLifecycle` and `PodSecurity` are on by default; turned off, pods get no account, objects
    /// appear in namespaces that are being deleted, and no pod is held to its namespace's level. `AlwaysAdmit` is no check.
    ///
    /// ## Fix
    /// Adds `NodeRestriction` to the plugins that are named, takes `AlwaysAdmit` out, and takes those that must stay on out
    /// of `--disable-admission-plugins`. kubeadm, k3s, RKE2, kOps and Talos turn `NodeRestriction` on by themselves unless
    /// the list is given without it. `DenyServiceExternalIPs`, `AlwaysPullImages` and `EventRateLimit` (CIS 1.2.3, 1.2.9,
    /// 1.2.11) change how clusters are used and are not asked for.
    ///
    /// ## What could break
    /// Kubelets with other credentials than `system:node:NAME`; software that changes labels of other nodes with them.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>
    {
        id: "admission-plugin-missing",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "1.2.10, 1.2.12, 1.2.13, 1.2.14"),
            ("kubescape", "C-0122, C-0124, C-0125, C-0126, C-0127"),
            ("checkov", "CKV_K8S_79, CKV_K8S_82, CKV_K8S_83, CKV_K8S_85"),
            ("trivy", "KCV-0011, KCV-0014, KCV-0015, KCV-0016"),
        ],
        check: Check::Repo,
    }
}

const ENABLED: &str = "enable-admission-plugins";
const DISABLED: &str = "disable-admission-plugins";
const MUST_STAY: [&str; 4] = ["ServiceAccount", "NamespaceLifecycle", "NodeRestriction", "PodSecurity"];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in context.planes.iter().filter(|plane| plane.runs(server)) {
        let split = |text: &str| -> Vec<String> {
            text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let enabled = split(plane.effective(server, ENABLED).unwrap_or_default());
        let mut wanted: Vec<String> = enabled.iter().filter(|name| *name != "AlwaysAdmit").cloned().collect();
        let lacks = !wanted.iter().any(|name| name == "NodeRestriction");
        if lacks {
            wanted.push("NodeRestriction".to_owned());
        }
        if wanted != enabled {
            let what =
                if lacks { "runs without NodeRestriction" } else { "admits everything with AlwaysAdmit" };
            let message = format!("the API server of {} {what}", subject(plane));
            let finding = flag_finding(plane, server, ENABLED, &wanted.join(","), message, Safety::Review);
            context.place_on(&RULE, plane, finding, found);
        }
        let Some(flag) = plane.flag(server, DISABLED) else { continue };
        let disabled = split(&flag.value);
        let (off, rest): (Vec<_>, Vec<_>) =
            disabled.into_iter().partition(|name| MUST_STAY.contains(&&**name));
        if !off.is_empty() {
            let message = format!("the API server of {} runs without {}", subject(plane), off.join(", "));
            let finding = match rest.is_empty() {
                true => Finding::new(plane.pointer(server, DISABLED), message)
                    .note(format!("take `--{DISABLED}` out")),
                false => flag_finding(plane, server, DISABLED, &rest.join(","), message, Safety::Review),
            };
            context.place_on(&RULE, plane, finding, found);
        }
    }
}
