//! What a pod spec tells about where its program works with the API, and which secrets it knows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::Pod;

/// Adds the names of the Secrets that a pod spec refers to.
pub(super) fn secrets(spec: &Value, names: &mut BTreeSet<String>) {
    match spec {
        Value::Object(map) => {
            for (key, value) in map {
                let name = match key.as_str() {
                    "secretKeyRef" | "secretRef" => value["name"].as_str(),
                    "secret" => value["secretName"].as_str().or_else(|| value["name"].as_str()),
                    _ => None,
                };
                names.extend(name.map(str::to_owned));
                secrets(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets(item, names)),
        _ => {}
    }
}

/// Variables and flags that say which namespaces a program watches.
const WATCHED: [&str; 8] = [
    "WATCH_NAMESPACE",
    "WATCHED_NAMESPACE",
    "WATCH_NAMESPACES",
    "OPERATOR_WATCH_NAMESPACE",
    "watch-namespace",
    "watch-namespaces",
    "namespaced",
    "namespace",
];

/// Parts of names of images whose programs look after the whole cluster unless they are told otherwise.
const CLUSTER_WIDE: [&str; 22] = [
    "operator",
    "controller",
    "prometheus",
    "kube-state-metrics",
    "metrics-server",
    "ingress",
    "traefik",
    "contour",
    "external-dns",
    "external-secrets",
    "reloader",
    "dashboard",
    "autoscaler",
    "descheduler",
    "cert-manager",
    "argocd",
    "velero",
    "kyverno",
    "gatekeeper",
    "opentelemetry",
    "fluent",
    "promtail",
];

/// What says that the program keeps to its own namespace.
pub(super) fn stays_home(pod: &Pod<'_>, home: &[String]) -> Option<String> {
    let is_own = |value: &str| home.iter().any(|home| home == value);
    pod.containers.iter().find_map(|container| {
        let own_by_field: Vec<&str> = variables(&container.value)
            .filter(|(_, variable)| variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace")
            .map(|(name, _)| name)
            .collect();
        let by_variable = variables(&container.value).find(|(name, variable)| {
            WATCHED.contains(name)
                && (own_by_field.contains(name) || variable["value"].as_str().is_some_and(is_own))
        });
        if let Some((name, _)) = by_variable {
            return Some(format!("it sets `{name}` to its own namespace"));
        }
        flags(&container.value).find_map(|(flag, value)| {
            let own_variable = value.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
            let is_home = is_own(value)
                || own_variable.is_some_and(|name| own_by_field.contains(&name))
                || flag == "namespaced" && matches!(value, "" | "true");
            (WATCHED.contains(&flag) && is_home).then(|| format!("it is called with `--{flag}={value}`"))
        })
    })
}

/// What says that the program works in all namespaces.
pub(super) fn roams(pod: &Pod<'_>, home: &[String]) -> Option<String> {
    pod.containers.iter().find_map(|container| {
        let by_variable = variables(&container.value).find(|(name, variable)| {
            WATCHED.contains(name)
                && variable["valueFrom"].is_null()
                && variable["value"].as_str().unwrap_or_default().is_empty()
        });
        if let Some((name, _)) = by_variable {
            return Some(format!("`{name}` is empty, which stands for all namespaces"));
        }
        let scripts = words(&container.value).flat_map(|word| word.split_whitespace().collect::<Vec<_>>());
        let tokens: Vec<&str> = scripts.collect();
        let all = |token: &&&str| {
            **token == "-A"
                || token.starts_with("--all-namespaces")
                || token.starts_with("--watch-all-namespaces")
        };
        if let Some(flag) = tokens.iter().find(all) {
            return Some(format!("it is called with `{flag}`"));
        }
        if let Some(other) = other_namespace(&tokens, home) {
            return Some(format!("it works in namespace {other}"));
        }
        let image = container.image().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        let part = CLUSTER_WIDE.into_iter().find(|part| last.contains(part))?;
        Some(format!("it runs an image that usually works in all namespaces ({part})"))
    })
}

/// A namespace that a command names and that is not the pod's own: `kubectl -n other`, `--namespace=other`.
fn other_namespace<'t>(tokens: &[&'t str], home: &[String]) -> Option<&'t str> {
    let behind =
        tokens.windows(2).filter(|pair| ["-n", "--namespace"].contains(&pair[0])).map(|pair| pair[1]);
    let inside = tokens.iter().filter_map(|token| token.strip_prefix("--namespace="));
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    behind
        .chain(inside)
        .find(|name| is_name(name) && !name.starts_with('-') && !home.iter().any(|own| own == name))
}

fn variables(container: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let variables = container["env"].as_array().into_iter().flatten();
    variables.filter_map(|variable| Some((variable["name"].as_str()?, variable)))
}

fn words(container: &Value) -> impl Iterator<Item = &str> {
    let lists = ["command", "args"].into_iter().filter_map(|key| container[key].as_array());
    lists.flatten().filter_map(Value::as_str)
}

/// `--flag=value`; the value of `--flag` alone is empty.
fn flags(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    words(container).filter_map(|word| {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        Some(flag.split_once('=').unwrap_or((flag, "")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, expected: Option<&str>) {
        let tokens: Vec<&str> = command.split_whitespace().collect();
        assert_eq!(other_namespace(&tokens, &["app".to_owned()]), expected, "{command}");
    }

    #[test]
    fn commands_name_the_namespaces_they_work_in() {
        check("oc create secret tls x -n openshift-ingress", Some("openshift-ingress"));
        check("kubectl --namespace=other get pods", Some("other"));
        check("kubectl -n app get pods", None);
        check("kubectl -n $NAMESPACE get pods", None);
        check("sort -n file.txt", None);
        check("[ -n -v ]", None);
    }
}
