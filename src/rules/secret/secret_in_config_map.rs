//! See the rule's own docs below.

use super::place;
use crate::model::Model;
use crate::pointer;
use crate::rules::{Area, Check, Finding, RepoFindings, Severity};
use crate::secret::{file_content, literal};

crate::rules::rule! {
    /// A ConfigMap holds a secret as plain text.
    ///
    /// ## Why
    /// ConfigMaps are for everybody: roles that may read them are given freely, encryption at rest often leaves them out,
    /// and tools print them.
    ///
    /// ## Fix
    /// Replace the secret first: it has been seen. Then put it into a Secret that does not come from the repo in plain text;
    /// a projected volume has files of a ConfigMap and of a Secret in one folder. Nothing is changed by the tool, and the
    /// value is never printed.
    ///
    /// ## What could break
    /// The program, until it reads the value from its new place.
    ///
    /// ## Sources
    /// - ConfigMaps are not for confidential data: <https://kubernetes.io/docs/concepts/configuration/configmap/>
    /// - Projected volumes: <https://kubernetes.io/docs/concepts/storage/projected-volumes/>
    {
        id: "secret-in-config-map",
        area: Area::Secret,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("kubescape", "C-0012"),
            ("polaris", "sensitiveConfigmapContent"),
            ("trivy", "KSV-01010, KSV-0109"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(model: &Model<'_>, found: &mut RepoFindings) {
    for object in
        model.objects().filter(|object| &*object.id.kind == "ConfigMap" && &*object.id.api_version == "v1")
    {
        let Some(value) = model.value(object) else { continue };
        for (key, text) in value["data"].as_object().into_iter().flatten() {
            let Some(text) = text.as_str() else { continue };
            let Some(what) = secret_in(key, text) else { continue };
            let message = format!("key `{key}` of ConfigMap/{} holds {what}", object.id.name);
            let finding = Finding::new(format!("/data/{}", pointer::token(key)), message).note(
                "replace the secret where it comes from: its old value stays in the history of the repo",
            );
            place(model, &RULE, object, finding, found);
        }
    }
}

/// What is secret in a value: all of it, or lines of a file.
fn secret_in(key: &str, text: &str) -> Option<String> {
    if !text.trim().contains('\n') {
        return literal(key, text).map(str::to_owned);
    }
    let lines = file_content(text);
    let first = lines.first()?;
    let more =
        if lines.len() > 1 { format!(", and {} more lines like it", lines.len() - 1) } else { String::new() };
    Some(match first.name {
        Some(name) => format!("{} on line {} (`{name}`){more}", first.what, first.line + 1),
        None => format!("{} on line {}{more}", first.what, first.line + 1),
    })
}
