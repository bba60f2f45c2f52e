//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};
use crate::template::AnonymousPaths;

crate::rules::rule! {
    /// The API server answers requests without credentials.
    ///
    /// ## Why
    /// By default everybody who reaches the port is `system:anonymous`, and one careless binding to it, or to
    /// `system:unauthenticated`, is open to the whole network.
    ///
    /// ## Fix
    /// `--anonymous-auth=false` is what checklists ask for, and right where probes of the API server carry credentials:
    /// k3s, RKE2, kOps and Talos, which set it by themselves; there only an explicit `true` is taken back. kubeadm, kind and
    /// static pods probe `/livez` and `/readyz` without credentials, and `kubeadm join` with a token reads one ConfigMap
    /// without: the bare flag gets the API server restarted for ever. From 1.32 on they get a structured
    /// `AuthenticationConfiguration` instead, which allows anonymous requests to just these paths. It excludes
    /// `--anonymous-auth`, which is replaced. Older versions have neither way: the finding is reported only.
    ///
    /// Scanners look for the flag alone and go on complaining (CIS 1.2.1): the file is the equivalent control.
    ///
    /// ## What could break
    /// Clients without credentials: load balancers that probe other paths, dashboards, `kubeadm join` from other repos.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-authenticator-configuration>
    /// - <https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4633-anonymous-auth-configurable-endpoints>
    /// - <https://github.com/kubernetes/kubeadm/issues/798>
    {
        id: "anonymous-requests-allowed",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[("CIS", "1.2.1"), ("kubescape", "C-0113"), ("checkov", "CKV_K8S_68"), ("trivy", "KCV-0001")],
        check: Check::Repo,
    }
}

/// Anonymous requests can be limited to paths without a feature gate:
/// <https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/>, `AnonymousAuthConfigurableEndpoints`.
const PATHS_FROM: u16 = 32;
const CONFIG_FILE: &str = "authentication-config.yaml";

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in context.planes.iter().filter(|plane| plane.runs(server)) {
        if plane.effective(server, "authentication-config").is_some()
            || plane.effective(server, "anonymous-auth") == Some("false")
        {
            continue;
        }
        let message = format!("the API server of {} answers anonymous requests", subject(plane));
        let probes_without_credentials =
            matches!(plane.dialect, Dialect::Kubeadm | Dialect::Kind | Dialect::StaticPod);
        let finding = Finding::new(plane.pointer(server, "anonymous-auth"), message.clone());
        if !probes_without_credentials {
            let set = plane.set(server, "anonymous-auth", "false");
            let finding = finding.changes(set).safety(Safety::Review).evidence(
                "its distribution probes the API server with credentials, so nothing needs anonymous requests",
            );
            context.place_on(&RULE, plane, finding, found);
        } else if plane.version.minor < PATHS_FROM {
            let finding = finding
                .note(format!(
                    "1.{} cannot limit anonymous requests to paths (1.{PATHS_FROM} can), and `--anonymous-auth=false` \
                     fails the kubelet's probes of the API server, which have no credentials",
                    plane.version.minor
                ))
                .note("until then keep `system:anonymous` and `system:unauthenticated` out of all bindings");
            context.place(&RULE, &plane.object, finding, found);
        } else {
            limit_to_paths(context, plane, finding, found);
        }
    }
    for part in context.parts.iter().filter(|part| part.is("AuthenticationConfiguration")) {
        check_configuration(context, part, found);
    }
}

fn limit_to_paths(context: &Context<'_>, plane: &Plane, finding: Finding, found: &mut RepoFindings) {
    let joins = joins_with_token(context, plane);
    let paths = AnonymousPaths { version: plane.version, joins };
    let Ok(rendered) = context.settings.templates.authentication_config(&paths) else { return };
    let mut finding = finding
        .safety(Safety::Review)
        .evidence("its probes of /livez and /readyz have no credentials: `--anonymous-auth=false` would fail them")
        .note("scanners that look for `--anonymous-auth=false` go on complaining: this is the equivalent control");
    if joins {
        finding = finding.note(
            "`kubeadm join` with a token reads the ConfigMap cluster-info without credentials: take its path out of the \
             file when nodes join another way",
        );
    }
    let wanted = WantedFile {
        flag: "authentication-config",
        instead_of: Some("anonymous-auth"),
        name: CONFIG_FILE,
        text: &rendered.text,
    };
    context.place_with_file(&RULE, plane, finding, &wanted, found);
}

/// Whether nodes may join with a token. Without a JoinConfiguration that says otherwise kubeadm's do.
fn joins_with_token(context: &Context<'_>, plane: &Plane) -> bool {
    if plane.dialect == Dialect::Kind {
        return true;
    }
    let mut joining = context
        .planes
        .iter()
        .filter(|other| other.value["kind"].as_str() == Some("JoinConfiguration"))
        .peekable();
    if joining.peek().is_none() {
        let tokens = plane.flag(Component::ApiServer, "enable-bootstrap-token-auth");
        return plane.dialect == Dialect::Kubeadm || tokens.is_some_and(|flag| flag.value == "true");
    }
    joining.any(|other| other.value.pointer("/discovery/file").is_none())
}

/// A structured configuration that leaves anonymous requests as they are by default.
fn check_configuration(context: &Context<'_>, part: &Part, found: &mut RepoFindings) {
    let anonymous = &part.value["anonymous"];
    let is_open = match anonymous {
        Value::Object(_) => {
            anonymous["enabled"].as_bool() == Some(true)
                && anonymous["conditions"].as_array().is_none_or(Vec::is_empty)
        }
        _ => true,
    };
    let written_version = part.value["apiVersion"].as_str().unwrap_or_default();
    if !is_open || written_version.ends_with("v1alpha1") {
        return;
    }
    let message = "the AuthenticationConfiguration allows anonymous requests to all paths".to_owned();
    let wanted = json!({
        "enabled": true,
        "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
    });
    let mut finding = Finding::new(part.pointer("/anonymous"), message)
        .change(part.wrap(Change::set("/anonymous", wanted)))
        .safety(Safety::Review)
        .note("`--anonymous-auth` must not be set beside it: the API server does not start with both")
        .note("`kubeadm join` with a token needs /api/v1/namespaces/kube-public/configmaps/cluster-info as well");
    if anonymous.is_null() {
        finding = finding.evidence("without `anonymous` in the file the flag decides, whose default is true");
    }
    context.place(&RULE, &part.object, finding, found);
}
