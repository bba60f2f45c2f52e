//! See the rule's own docs below.

use super::volume;
use super::writable_directories::{Directory, Names, missing_directories, open_directories};
use crate::model::{Container, Pod};
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};
use crate::template::{TemplateError, WritableDirectory};

crate::rules::rule! {
    /// A container can write to its root file system.
    ///
    /// ## Why
    /// What breaks into a process likes to leave tools and changed programs behind. On a read-only root file system it
    /// cannot, and a container stays what its image is. The Pod Security Standards do not ask for this, at no level:
    /// a namespace that enforces restricted accepts a writable root file system.
    ///
    /// ## Fix
    /// Sets `readOnlyRootFilesystem: true`, and mounts an `emptyDir` of its own for the container at `/tmp` and at the
    /// paths that the configuration gives for its image (`[[writable-path]]`), and at the volumes that the image declares
    /// (`caseharden.lock`), never on top of an existing mount.
    /// Privileged containers are left out: they can mount it writable again. A container that sets the field to
    /// `false` itself is left to a person.
    ///
    /// ## What could break
    /// Images that write elsewhere: caches, PID files, generated configuration. They fail with `Read-only file system`;
    /// add their directories to the configuration. An `emptyDir` hides what the image has in the directory, counts
    /// against the pod's ephemeral storage, and is gone with the pod.
    ///
    /// ## Sources
    /// - SecurityContext: <https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#securitycontext-v1-core>
    /// - NSA/CISA Kubernetes Hardening Guide, immutable container file systems
    /// - What the standard asks for instead: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    {
        id: "root-filesystem-writable",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: None,
        known_as: &[
            ("CIS", "5.6.3"),
            ("NSA", "1.1"),
            ("kube-linter", "no-read-only-root-fs"),
            ("kubescape", "C-0017"),
            ("polaris", "notReadOnlyRootFilesystem"),
            ("checkov", "CKV_K8S_22"),
            ("trivy", "KSV-0014"),
            ("kubeaudit", "ReadOnlyRootFilesystemNil, ReadOnlyRootFilesystemFalse"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    if workload.wanted("readOnlyRootFilesystem") != Some(&true.into()) {
        return;
    }
    let is_writable = |container: &Container<'_>| {
        container.security_context("readOnlyRootFilesystem") != Some(&true.into())
            && !container.is_privileged()
    };
    let mut names = Names::new(workload);
    for pod in workload.linux() {
        let writable: Vec<_> = pod
            .containers
            .iter()
            .filter(|container| is_writable(container))
            .map(|container| (container, missing_directories(workload, pod, container)))
            .collect();
        let n_with_tmp =
            writable.iter().filter(|(_, directories)| directories.iter().any(Directory::is_tmp)).count();
        names.start_pod(n_with_tmp == 1 && !workload.names_apart);
        for (container, directories) in writable {
            findings.push(finding(workload, pod, container, &directories, &mut names));
        }
    }
}

fn finding(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    directories: &[Directory<'_>],
    names: &mut Names,
) -> Finding {
    let pointer = format!("{}/securityContext/readOnlyRootFilesystem", container.pointer);
    let message = format!("{} can write to its root file system", workload.container(container));
    let mut finding = Finding::new(pointer.clone(), message)
        .container(container)
        .change(Change::set(pointer, true))
        .safety(Safety::Review);
    for directory in directories {
        match mount(workload, pod, container, directory, names) {
            Ok(changes) => finding = finding.changes(changes),
            Err(error) => {
                finding.make_manual(format!("the template of the volume cannot be rendered: {error}"));
                return finding;
            }
        }
    }
    if !directories.is_empty() && !pod.fields.volumes {
        finding
            .make_manual(format!("{} has no field for the volumes it would need", workload.object.id.kind));
        return finding;
    }
    if container.security_context("readOnlyRootFilesystem").is_some() {
        finding.make_manual("it is set to `false` on purpose: find out what the container writes");
        return finding;
    }
    let open = open_directories(workload, pod, container, directories);
    if !open.is_empty() {
        let open = open.join(", ");
        finding = finding
            .note(format!("its image has directories that others than root may write to: {open}; give those it does write to a volume"));
    }
    finding.note(written_paths(container, directories))
}

fn mount(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    directory: &Directory<'_>,
    names: &mut Names,
) -> Result<[Change; 2], TemplateError> {
    let list = format!("{}/volumes", pod.pointer);
    let render = |name: &str| {
        let size_limit = workload.settings.config.tmp_size.as_deref();
        workload.settings.templates.writable_volume(&WritableDirectory {
            name,
            path: directory.path,
            size_limit,
        })
    };
    let name = names.choose(&list, container.name, directory, |name| Ok(render(name)?.volume))?;
    let rendered = render(&name)?;
    Ok([
        Change::append(list, rendered.volume),
        Change::append(format!("{}/volumeMounts", container.pointer), rendered.mount),
    ])
}

fn written_paths(container: &Container<'_>, directories: &[Directory<'_>]) -> String {
    let added: Vec<String> = directories.iter().map(|directory| format!("`{}`", directory.path)).collect();
    let mounted = volume::mounts(container).filter(|(_, mount)| mount["readOnly"] != true).count();
    match (added.is_empty(), mounted) {
        (false, 0) => {
            format!("only {} stays writable: find out whether the image writes elsewhere", added.join(", "))
        }
        (false, _) => {
            format!(
                "only {} and its own mounts stay writable: find out whether the image writes elsewhere",
                added.join(", ")
            )
        }
        (true, 0) => "nothing stays writable: find out whether the image writes anywhere".to_owned(),
        (true, _) => {
            "only its own mounts stay writable: find out whether the image writes elsewhere".to_owned()
        }
    }
}
