//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// Namespaces without labels are held to no Pod Security level.
    ///
    /// ## Why
    /// Pod Security Admission judges by labels of the namespace. One that nobody labelled, `default` to begin with, admits
    /// privileged pods.
    ///
    /// ## Fix
    /// Adds a configuration of the admission plugin (template `cluster/admission-config.yaml`) that enforces `baseline` and
    /// warns about and audits the level of the profile where a namespace has no labels of its own; system namespaces are
    /// exempt. And the flag and the mount for it; for Talos the field, for RKE2 its own key. The file has all settings of
    /// the plugin: a configuration that is there already is judged by nobody and left alone.
    ///
    /// ## What could break
    /// Pods that baseline forbids, in namespaces without labels: label those first (`caseharden check --select namespace`).
    /// Namespaces that are exempt by name are not judged at all, whatever their labels say.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/>
    {
        id: "pod-security-defaults-missing",
        area: Area::Cluster,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("CIS", "5.2.1"), ("kubescape", "C-0192")],
        check: Check::Repo,
    }
}

const SERVER: Component = Component::ApiServer;
const CONFIG_FILE: &str = "admission-config.yaml";
const RKE2_KEY: &str = "pod-security-admission-config-file";
/// Since then the configuration is `pod-security.admission.config.k8s.io/v1`.
const SERVED_FROM: u16 = 25;

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for plane in context.planes.iter().filter(|plane| plane.runs(SERVER)) {
        let own_key = plane.dialect == Dialect::Rke2
            && (plane.value.get(RKE2_KEY).is_some()
                // https://docs.rke2.io/security/hardening_guide: the profile brings a configuration of its own.
                || plane.value["profile"].as_str().is_some_and(|profile| profile.starts_with("cis")));
        // Talos has a default of its own: baseline, except for kube-system.
        let has_default = plane.dialect == Dialect::Talos;
        if own_key
            || has_default
            || plane.effective(SERVER, "admission-control-config-file").is_some()
            || plane.version.minor < SERVED_FROM
        {
            continue;
        }
        let config = context.settings.config;
        let Ok(rendered) = context.settings.templates.admission_config(config) else { return };
        let flag = "admission-control-config-file";
        let message =
            format!("the API server of {} holds namespaces without labels to no level", subject(plane));
        let finding = Finding::new(plane.pointer(SERVER, flag), message)
            .safety(Safety::Review)
            .note("pods that baseline forbids are refused in namespaces without labels: label those first");
        let wanted = WantedFile {
            flag: if plane.dialect == Dialect::Rke2 { RKE2_KEY } else { flag },
            instead_of: None,
            name: CONFIG_FILE,
            text: &rendered.text,
        };
        if plane.dialect == Dialect::Rke2 {
            let mut own = plane.clone();
            let key = plane::Style::Fields(&[(RKE2_KEY, RKE2_KEY, plane::FieldType::Text)]);
            own.lists = vec![plane::FlagList::read(&plane.value, SERVER, "", key)];
            context.place_with_file(&RULE, &own, finding, &wanted, found);
        } else {
            context.place_with_file(&RULE, plane, finding, &wanted, found);
        }
    }
    for plane in context.planes.iter().filter(|plane| plane.dialect == Dialect::Talos) {
        check_talos(context, plane, found);
    }
}

/// Talos: a configuration that takes the place of its default and enforces less.
fn check_talos(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    const PLUGINS: &str = "/cluster/apiServer/admissionControl";
    let plugins = plane.value.pointer(PLUGINS).and_then(Value::as_array).into_iter().flatten();
    for (idx, plugin) in
        plugins.enumerate().filter(|(_, plugin)| plugin["name"].as_str() == Some("PodSecurity"))
    {
        let enforced = plugin.pointer("/configuration/defaults/enforce").and_then(Value::as_str);
        if plugin.get("$patch").is_some() || enforced != Some("privileged") {
            continue;
        }
        let pointer = format!("{PLUGINS}/{idx}/configuration/defaults/enforce");
        let message = format!("{} holds namespaces without labels to no level", subject(plane));
        let finding = Finding::new(pointer.clone(), message)
            .change(Change::set(pointer, json!("baseline")))
            .safety(Safety::Review);
        context.place_on(&RULE, plane, finding, found);
    }
}
