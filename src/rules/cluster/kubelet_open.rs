//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A kubelet answers requests without asking who it is, or whether they may.
    ///
    /// ## Why
    /// A kubelet runs commands in every container of its node. With anonymous requests, without the webhook that asks the
    /// API server, with `AlwaysAllow`, or through the read-only port, whoever reaches the node gets that, or at least the
    /// list of its pods.
    ///
    /// ## Fix
    /// Sets `authentication.anonymous.enabled: false`, `authentication.webhook.enabled: true`, `authorization.mode: Webhook`
    /// and `readOnlyPort: 0` where a `KubeletConfiguration`, or a flag, says otherwise. What a configuration file does not
    /// say has these values by default.
    ///
    /// ## What could break
    /// Old monitoring that reads port 10255 or port 10250 without a token: give it a service account with `nodes/metrics`.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/>
    /// - <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>
    {
        id: "kubelet-open",
        area: Area::Cluster,
        severity: Severity::Critical,
        pss: None,
        known_as: &[
            ("CIS", "4.2.1, 4.2.2, 4.2.4"),
            ("kubescape", "C-0069, C-0172, C-0173, C-0175"),
            ("checkov", "CKV_K8S_138, CKV_K8S_139, CKV_K8S_141"),
            ("trivy", "KCV-0079, KCV-0080, KCV-0082"),
        ],
        check: Check::Repo,
    }
}

/// Path in the configuration, flag, and the value that is right.
const WANTED: [(&str, &str, &str); 4] = [
    ("/authentication/anonymous/enabled", "anonymous-auth", "false"),
    ("/authentication/webhook/enabled", "authentication-token-webhook", "true"),
    ("/authorization/mode", "authorization-mode", "Webhook"),
    ("/readOnlyPort", "read-only-port", "0"),
];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for part in context.parts.iter().filter(|part| part.is("KubeletConfiguration")) {
        for (pointer, _, right) in WANTED {
            let Some(value) = part.value.pointer(pointer).filter(|value| !value.is_null()) else { continue };
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if written == right {
                continue;
            }
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let wanted: Value = serde_json::from_str(right).unwrap_or_else(|_| json!(right));
            let finding =
                Finding::new(part.pointer(pointer), format!("the kubelet has `{field}: {written}`"))
                    .change(part.wrap(Change::set(pointer, wanted)))
                    .safety(Safety::Review)
                    .note("takes effect with a restart of the kubelet on each node");
            context.place(&RULE, &part.object, finding, found);
        }
    }
    for plane in &context.planes {
        for (_, name, right) in WANTED {
            let Some(flag) = plane.flag(Component::Kubelet, name).filter(|flag| flag.value != right) else {
                continue;
            };
            let message = format!("the kubelets of {} have `--{name}={}`", subject(plane), flag.value);
            let finding = flag_finding(plane, Component::Kubelet, name, right, message, Safety::Review)
                .note("takes effect with a restart of the kubelet on each node");
            context.place(&RULE, &plane.object, finding, found);
        }
    }
}
