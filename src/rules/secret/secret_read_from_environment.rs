//! See the rule's own docs below.

use serde_json::Value;

use crate::image::Reference;
use crate::model::{Container, Layout, Pod};
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A program gets a secret as an environment variable.
    ///
    /// ## Why
    /// Child processes inherit the environment, crash reports and debug pages print it, and it keeps the value it had when
    /// the container started: a secret that is replaced arrives only with the next pod. A mounted file has none of this.
    ///
    /// ## Fix
    /// For images whose documentation says that they read `NAME_FILE`: mounts the key as a file and names it there. Every
    /// other program has to learn to read a file first: reported only.
    ///
    /// ## What could break
    /// The program, if it is another than its image's name says, or if it looks at the variable in other places (a
    /// script in front of it, a probe, a sidecar). A user that is not root must be able to read the file.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/secrets-good-practices/>
    /// - `_FILE` of official images: <https://hub.docker.com/_/postgres>, <https://hub.docker.com/_/mysql>,
    ///   <https://hub.docker.com/_/mariadb>, <https://hub.docker.com/_/mongo>
    {
        id: "secret-read-from-environment",
        area: Area::Secret,
        severity: Severity::Low,
        pss: None,
        known_as: &[
            ("CIS", "5.4.1"),
            ("kube-linter", "read-secret-from-env-var"),
            ("kubescape", "C-0207"),
            ("checkov", "CKV_K8S_35"),
        ],
        check: Check::Workload(check),
    }
}

/// Official images and the variables that they read from a file whose name ends in `_FILE` too.
const READ_FILES: &[(&str, &[&str])] = &[
    ("postgres", &["POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS"]),
    ("mysql", &["MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "MYSQL_USER", "MYSQL_DATABASE", "MYSQL_ROOT_HOST"]),
    (
        "mariadb",
        &[
            "MARIADB_ROOT_PASSWORD",
            "MARIADB_PASSWORD",
            "MARIADB_USER",
            "MARIADB_DATABASE",
            "MYSQL_ROOT_PASSWORD",
            "MYSQL_PASSWORD",
        ],
    ),
    ("mongo", &["MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"]),
];

/// Where files of secrets are put; the kubelet mounts tokens elsewhere below the same folder.
const FOLDER: &str = "/run/secrets/caseharden";

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in &workload.pods {
        for container in &pod.containers {
            judge(workload, pod, container, findings);
        }
    }
}

fn judge(workload: &Workload<'_>, pod: &Pod<'_>, container: &Container<'_>, findings: &mut Vec<Finding>) {
    let variables = container.value["env"].as_array().into_iter().flatten().enumerate();
    let read: Vec<Variable<'_>> =
        variables.filter_map(|(index, value)| Variable::read(index, value)).collect();
    let sources = container.value["envFrom"].as_array().into_iter().flatten();
    let from: Vec<&str> = sources.filter_map(|source| source["secretRef"]["name"].as_str()).collect();
    let Some(first) = read
        .first()
        .map(|v| format!("/env/{}", v.index))
        .or_else(|| (!from.is_empty()).then(|| "/envFrom".to_owned()))
    else {
        return;
    };
    let mut others = Vec::new();
    for variable in &read {
        match fix(workload, pod, container, variable) {
            Some(finding) => findings.push(finding),
            None => others.push(format!("`{}`", variable.name)),
        }
    }
    others.extend(from.iter().map(|name| format!("all of Secret/{name}")));
    if others.is_empty() {
        return;
    }
    let message = format!(
        "{} gets secrets as environment variables: {}",
        workload.container(container),
        super::listed(&others)
    );
    let finding = Finding::new(format!("{}{first}", container.pointer), message)
        .container(container)
        .note("mount the Secret as files once the program reads them there");
    findings.push(finding);
}

/// A variable that comes from a key of a Secret.
struct Variable<'v> {
    index: usize,
    name: &'v str,
    secret: &'v str,
    key: &'v str,
    is_optional: bool,
}

impl<'v> Variable<'v> {
    fn read(index: usize, value: &'v Value) -> Option<Variable<'v>> {
        let reference = &value["valueFrom"]["secretKeyRef"];
        let (name, secret, key) =
            (value["name"].as_str()?, reference["name"].as_str()?, reference["key"].as_str()?);
        Some(Variable { index, name, secret, key, is_optional: reference["optional"] == true })
    }
}

/// Mounts the key and names the file, where the image is known to read it.
fn fix(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    variable: &Variable<'_>,
) -> Option<Finding> {
    let image = Reference::parse(container.image()?).ok()?;
    let name = image.name();
    let familiar = crate::config::familiar(&name);
    let (_, names) = READ_FILES.iter().find(|(known, _)| *known == familiar)?;
    let is_plain = matches!(workload.object.layout, Some(Layout::PodSpec { .. })) && !container.is_merged();
    // Another command would not read the file, and other fields may use the variable.
    let replaces_command = ["command", "args"]
        .iter()
        .any(|list| container.value[*list].as_array().is_some_and(|items| !items.is_empty()));
    let is_used_again =
        ["command", "args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "env"]
            .iter()
            .any(|field| mentions(&container.value[*field], variable.name));
    if !names.contains(&variable.name)
        || !is_plain
        || replaces_command
        || is_used_again
        || variable.is_optional
    {
        return None;
    }
    let volume = volume_name(variable.name);
    let is_taken =
        pod.spec["volumes"].as_array().into_iter().flatten().any(|known| known["name"] == volume.as_str());
    let folder = format!("{FOLDER}/{volume}");
    let rendered =
        workload.settings.templates.file_volume(&volume, variable.secret, variable.key, &folder).ok()?;
    if is_taken {
        return None;
    }
    let entry = format!("{}/env/{}", container.pointer, variable.index);
    let message =
        format!("{} gets `{}` as an environment variable", workload.container(container), variable.name);
    let finding = Finding::new(entry.clone(), message)
        .container(container)
        .change(Change::set(format!("{entry}/name"), format!("{}_FILE", variable.name)))
        .change(Change::remove(format!("{entry}/valueFrom")))
        .change(Change::set(format!("{entry}/value"), format!("{folder}/{}", variable.key)))
        .change(Change::append(format!("{}/volumes", pod.pointer), rendered.volume))
        .change(Change::append(format!("{}/volumeMounts", container.pointer), rendered.mount))
        .safety(Safety::Review)
        .note("nothing but the image's own start script may need the variable")
        .evidence(format!("the image `{familiar}` reads `{}_FILE`", variable.name));
    Some(finding)
}

/// Whether some text refers to a variable: by the kubelet's `$(NAME)`, or in a shell.
fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => [format!("$({name})"), format!("${{{name}"), format!("${name}")]
            .iter()
            .any(|form| text.contains(form)),
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        Value::Object(map) => map.values().any(|item| mentions(item, name)),
        _ => false,
    }
}

fn volume_name(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}
