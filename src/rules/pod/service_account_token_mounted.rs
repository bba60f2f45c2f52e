//! See the rule's own docs below.

use serde_json::Value;

use super::volume;
use crate::model::{Container, Image, Pod};
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod carries a token for the Kubernetes API that nothing in the repo gives rights to.
    ///
    /// ## Why
    /// The token of the service account is mounted into every container unless that is switched off. Whoever breaks in
    /// can talk to the API server with it: with the rights of every authenticated account at least, and with those that
    /// somebody binds to the account later.
    ///
    /// ## Fix
    /// Sets `automountServiceAccountToken: false` on the pod, which wins over the service account. Accounts that a binding
    /// of the repo names are left alone; a pod with a sign that it calls the API is reported only. The Pod Security
    /// Standards do not look at this.
    ///
    /// ## What could break
    /// Programs that call the API or that prove who they are with the token (Vault's Kubernetes login, for one), with
    /// rights that are bound elsewhere.
    ///
    /// ## Sources
    /// - Service accounts: <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting>
    /// - RBAC good practices: <https://kubernetes.io/docs/concepts/security/rbac-good-practices/>
    {
        id: "service-account-token-mounted",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: None,
        known_as: &[
            ("CIS", "5.1.5, 5.1.6"),
            ("NSA", "1.11"),
            ("kubescape", "C-0034, C-0190, C-0261"),
            ("polaris", "automountServiceAccountToken"),
            ("checkov", "CKV_K8S_38"),
            ("trivy", "KSV-0036"),
            ("kubeaudit", "AutomountServiceAccountTokenTrueAndDefaultSA"),
        ],
        check: Check::Workload(check),
    }
}

const FIELD: &str = "automountServiceAccountToken";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    let accounts = &workload.model.accounts;
    for pod in workload.pods.iter().filter(|pod| pod.fields.automount && pod.has_containers) {
        let account = pod.service_account();
        let of_pod = pod.spec[FIELD].as_bool();
        let of_account = accounts.automount(&workload.namespaces, account);
        let is_mounted = of_pod.or(of_account).unwrap_or(true);
        if !is_mounted || accounts.is_bound(&workload.namespaces, account) {
            continue;
        }
        findings.push(finding(workload, pod, account, of_pod.is_some()));
    }
}

fn finding(workload: &Workload<'_>, pod: &Pod<'_>, account: &str, on_purpose: bool) -> Finding {
    let pointer = format!("{}/{FIELD}", pod.pointer);
    let message = format!("{} mounts a token of the service account `{account}`", workload.subject(pod));
    let mut finding = Finding::new(pointer.clone(), message)
        .change(Change::set(pointer, false))
        .safety(Safety::Review)
        .evidence(format!("no binding in the repo names the service account `{account}`"));
    if on_purpose {
        finding.make_manual(format!("`{FIELD}: true` is set on purpose: find out what it is for"));
    } else if let Some(sign) = sign_of_use(pod) {
        finding.make_manual(format!("it seems to call the API: {sign}"));
    } else {
        finding = finding.note("find out whether a program in it calls the Kubernetes API, with rights bound outside of this repo");
    }
    finding
}

/// What shows that a pod calls the API server, or logs in somewhere with the token.
fn sign_of_use(pod: &Pod<'_>) -> Option<String> {
    let annotations = pod.annotations.into_iter().flatten();
    for (key, value) in annotations {
        if key == "vault.hashicorp.com/agent-inject" && value == "true" {
            return Some("Vault's agent logs in with the token".to_owned());
        }
    }
    for (_, value) in volume::all(pod) {
        let sources = value["projected"]["sources"].as_array().into_iter().flatten();
        if sources.into_iter().any(|source| source["serviceAccountToken"].is_object()) {
            return Some(format!(
                "volume `{}` projects a token by hand",
                value["name"].as_str().unwrap_or_default()
            ));
        }
    }
    pod.containers.iter().find_map(|container| {
        let sign = sign_of_container(container)?;
        Some(format!("{} `{}` {sign}", container.role.noun(), container.name))
    })
}

fn sign_of_container(container: &Container<'_>) -> Option<String> {
    if volume::mounts(container)
        .any(|(_, mount)| mount["mountPath"].as_str().is_some_and(|at| at.starts_with(TOKEN_PATH)))
    {
        return Some(format!("mounts something at {TOKEN_PATH}"));
    }
    let variables = container.value["env"].as_array().into_iter().flatten();
    let mut variables = variables.filter_map(|variable| variable["name"].as_str());
    if let Some(name) = variables.find(|name| is_client_variable(name)) {
        return Some(format!("sets `{name}`"));
    }
    if let Some(word) = command_words(container).find_map(client_word) {
        return Some(format!("is called with `{word}`"));
    }
    let image = container.image()?;
    let name = Image::parse(image).map_or(image, |image| image.name());
    let client = client_image(name)?;
    Some(format!("runs an image that usually does ({client})"))
}

fn is_client_variable(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["KUBECONFIG", "WATCH_NAMESPACE", "OPERATOR_NAME", "K8S_NAMESPACE_WATCH", "IN_CLUSTER"];
    NAMES.contains(&name)
        || name.starts_with("KUBERNETES_")
        || ["LEADER_ELECT", "LEADERELECT"].iter().any(|part| name.contains(part))
}

fn command_words<'a>(container: &'a Container<'_>) -> impl Iterator<Item = &'a str> {
    ["command", "args"]
        .into_iter()
        .filter_map(|key| container.value[key].as_array())
        .flatten()
        .filter_map(Value::as_str)
}

/// The part of a command that only clients of the API use.
fn client_word(text: &str) -> Option<&'static str> {
    const PARTS: [&str; 12] = [
        "--kubeconfig",
        "in-cluster",
        "incluster",
        "leader-elect",
        "--kube-api",
        "--kubernetes",
        "--apiserver",
        "--master",
        "kubernetes.default",
        "kubernetes.io/serviceaccount",
        "KUBERNETES_SERVICE_HOST",
        "k8s://",
    ];
    const PROGRAMS: [&str; 5] = ["kubectl", "helm", "oc", "istioctl", "argocd"];
    let is_break = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
    PARTS
        .into_iter()
        .find(|part| text.contains(part))
        .or_else(|| PROGRAMS.into_iter().find(|program| text.split(is_break).any(|word| word == *program)))
}

/// Parts of image names of programs that watch or change objects, are leaders by lease, find their peers through the
/// API, or log in with the token.
const CLIENTS: [&str; 56] = [
    "kubectl",
    "k8s",
    "kube",
    "operator",
    "controller",
    "helm",
    "prometheus",
    "thanos",
    "grafana-agent",
    "alloy",
    "traefik",
    "ingress",
    "contour",
    "kong",
    "cert-manager",
    "external-dns",
    "external-secrets",
    "argo",
    "flux",
    "vault",
    "consul",
    "linkerd",
    "istio",
    "cilium",
    "calico",
    "coredns",
    "dashboard",
    "metrics-server",
    "autoscaler",
    "scheduler",
    "provisioner",
    "csi",
    "attacher",
    "snapshotter",
    "resizer",
    "reloader",
    "keda",
    "knative",
    "tekton",
    "spark",
    "flink",
    "jenkins",
    "gitlab-runner",
    "actions-runner",
    "airflow",
    "jupyterhub",
    "datadog",
    "newrelic",
    "fluentd",
    "fluent-bit",
    "promtail",
    "vector",
    "filebeat",
    "telegraf",
    "opentelemetry-collector",
    "spilo",
];

fn client_image(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    // The registry and the team tell nothing: `gcr.io/kubernetes-team/shop`.
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains("exporter") && !last.contains("kube") {
        return None;
    }
    CLIENTS.into_iter().find(|client| match *client {
        // Whole words of what else is part of many others.
        "csi" | "argo" | "kong" | "vector" | "flux" | "spark" | "k8s" | "alloy" | "scheduler" => {
            last.split(['-', '_', '.']).any(|word| word == *client || word.strip_suffix("cd") == Some(client))
        }
        client => last.contains(client),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_image(name: &str, expected: Option<&str>) {
        assert_eq!(client_image(name), expected, "{name}");
    }

    #[test]
    fn images_of_clients_are_known_by_their_last_part() {
        check_image("bitnami/kubectl", Some("kubectl"));
        check_image("quay.io/prometheus/prometheus", Some("prometheus"));
        check_image("registry.k8s.io/kube-state-metrics/kube-state-metrics", Some("kube"));
        check_image("registry.k8s.io/pause", None);
        check_image("quay.io/argoproj/argocd", Some("argo"));
        check_image("quay.io/prometheuscommunity/postgres-exporter", None);
        check_image("nginx", None);
        check_image("example.com/kubernetes/shop", None);
        check_image("cargo", None);
    }

    #[track_caller]
    fn check_word(text: &str, expected: Option<&str>) {
        assert_eq!(client_word(text), expected, "{text}");
    }

    #[test]
    fn commands_of_clients_are_known_by_word() {
        check_word("--leader-elect=true", Some("leader-elect"));
        check_word("set -e; kubectl get pods", Some("kubectl"));
        check_word("/usr/bin/helm", Some("helm"));
        check_word("overhelm", None);
        check_word("doc", None);
        check_word("--port=80", None);
    }
}
