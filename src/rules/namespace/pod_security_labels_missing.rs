//! See the rule's own docs below.

use super::*;
use crate::pointer::token;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A namespace does not say which Pod Security level it warns of, audits and enforces.
    ///
    /// ## Why
    /// Without these labels the built-in Pod Security admission lets every pod in, privileged ones too, and
    /// nobody hears of it. Hardened manifests stay hardened only where the cluster refuses the others.
    ///
    /// ## Fix
    /// In stages: `warn` and `audit` at the level asked for, which refuse nothing, and `enforce` at the highest
    /// level that all workloads of the namespace in this repo meet once this run's fixes are in, with the version
    /// pinned. A label that is there is kept. A namespace that hosts Helm releases or operators' resources gets
    /// no `enforce`, because their pods are not in the repo.
    ///
    /// System namespaces get `enforce: baseline` where their workloads meet it, else an explicit
    /// `enforce: privileged` with `warn` and `audit` at baseline. The usual advice "baseline for namespaces that
    /// need host networking" is wrong: baseline itself forbids host namespaces, host paths and host ports.
    ///
    /// ## What could break
    /// `enforce` refuses pods, not their controllers: a Deployment below the level is accepted with a warning and
    /// then has no pods. Workloads of other repos in the same namespace are not seen here: try
    /// `kubectl label --dry-run=server --overwrite ns NAME pod-security.kubernetes.io/enforce=LEVEL` first, which
    /// lists the running pods that would be refused.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/pod-security-admission/>
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/>
    /// - k8s.io/pod-security-admission, `admission/admission.go`
    {
        id: "pod-security-labels-missing",
        area: Area::Namespace,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("CIS", "5.2.1"), ("kubescape", "C-0192")],
        check: Check::Repo,
    }
}

const PREFIX: &str = "pod-security.kubernetes.io/";

pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    members: &Members,
    verdicts: &[WorkloadVerdict],
    found: &mut RepoFindings,
) {
    for (manifest, names) in &members.manifests {
        let Some(value) = model.value(manifest) else { continue };
        let namespaces: Vec<&Namespace> = names.iter().filter_map(|name| members.by_name.get(name)).collect();
        let workloads: BTreeSet<usize> =
            namespaces.iter().flat_map(|namespace| members.workloads(model, namespace)).collect();
        let opaque = namespaces.iter().find_map(|namespace| namespace.opaque.first().map(String::as_str));
        // Where it has several names, the one that needs most decides.
        let system = names.iter().find(|name| settings.config.is_system_namespace(name));
        let subject = Subject {
            name: &manifest.id.name,
            judged_as: system.map_or(&*manifest.id.name, String::as_str),
            present: value["metadata"]["labels"].as_object().cloned().unwrap_or_default(),
            meets: workloads.iter().map(|idx| verdicts[*idx].after).min(),
            opaque,
        };
        let mut findings = Vec::new();
        report_refused(model, &subject, &workloads, verdicts, &mut findings);
        propose(settings, &subject, &mut findings);
        let marker = model.file(manifest).marker;
        for mut finding in findings {
            finding.rule = &RULE;
            if let Some(marker) = marker.filter(|_| !finding.changes.is_empty()) {
                finding.make_manual(format!("not edited: {}", marker.detail()));
            }
            let placed = Placed { object: manifest.clone(), finding, needs_file: None };
            found.place(placed);
        }
    }
}

/// A Namespace manifest with what is known of it.
struct Subject<'m> {
    name: &'m str,
    /// The name that decides whether it hosts node-level software.
    judged_as: &'m str,
    /// Its labels.
    present: Map<String, Value>,
    /// The level that all its workloads meet; nothing when there are none.
    meets: Option<Level>,
    /// Something there that makes pods out of sight.
    opaque: Option<&'m str>,
}

/// An `enforce` label that already refuses workloads of the repo.
fn report_refused(
    model: &Model<'_>,
    subject: &Subject<'_>,
    workloads: &BTreeSet<usize>,
    verdicts: &[WorkloadVerdict],
    findings: &mut Vec<Finding>,
) {
    let name = subject.name;
    let Some(enforced) = subject.present.get(&format!("{PREFIX}enforce")).and_then(Value::as_str) else {
        return;
    };
    let Ok(enforced) = enforced.parse::<Level>() else { return };
    let refused: Vec<String> = workloads
        .iter()
        .filter(|idx| verdicts[**idx].after < enforced)
        .map(|idx| members::subject(model, &verdicts[*idx]))
        .collect();
    if !refused.is_empty() {
        let message =
            format!("Namespace/{name} enforces {enforced} and refuses the pods of {}", refused.join(", "));
        findings.push(Finding::new(label_pointer("enforce"), message));
    }
}

fn propose(settings: &Settings<'_>, subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Subject { name, present, meets, .. } = subject;
    let known = if subject.opaque.is_none() { *meets } else { None };
    let Ok(labels) = settings.templates.namespace_labels(&labels(settings, subject.judged_as, known)) else {
        return;
    };
    // A version speaks of the level beside it: where the level was there before, so is the decision about both.
    let wanted = |mode: &str| -> Vec<Change> {
        let key = format!("{PREFIX}{mode}");
        let version = format!("{key}-version");
        let has_level = present.contains_key(&key);
        labels
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(label, _)| {
                (**label == key && !has_level) || (**label == version && (!has_level || mode == "enforce"))
            })
            .filter(|(label, _)| !present.contains_key(*label))
            .map(|(label, value)| Change::set(format!("/metadata/labels/{}", token(label)), value.clone()))
            .collect()
    };
    let seen: Vec<Change> = [wanted("warn"), wanted("audit")].concat();
    if !seen.is_empty() {
        let message = format!("Namespace/{name} neither warns of nor audits pods below a Pod Security level");
        findings.push(Finding::new(label_pointer("warn"), message).changes(seen).safety(Safety::Safe));
    }
    let enforced = wanted("enforce");
    if !enforced.is_empty() {
        let message = format!("Namespace/{name} enforces no Pod Security level");
        let mut finding =
            Finding::new(label_pointer("enforce"), message).changes(enforced).safety(Safety::Review);
        if let Some(level) = *meets {
            finding = finding.evidence(match level {
                Level::Privileged => "some of its workloads in this repo need more than baseline".to_owned(),
                level => format!("all its workloads in this repo meet {level} after the fixes"),
            });
        }
        findings.push(finding.note("workloads of other repos in this namespace are not seen here"));
    } else if present.get(&format!("{PREFIX}enforce")).is_none() {
        let message = format!("Namespace/{name} enforces no Pod Security level");
        let why = match subject.opaque {
            Some(opaque) => format!("{opaque} makes pods that are not in this repo"),
            None if meets.is_none() => "no workload of this repo is known to run in it".to_owned(),
            None => "some of its workloads meet none".to_owned(),
        };
        findings.push(Finding::new(label_pointer("enforce"), message).note(why));
    }
}

fn label_pointer(mode: &str) -> String {
    format!("/metadata/labels/{}", token(&format!("{PREFIX}{mode}")))
}
