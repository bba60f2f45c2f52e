//! The templates' texts: those compiled in, those of a team that replace them, and writing them out. Knows
//! names and files; parses and renders nothing.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::TemplateError;
use crate::suggestion;

/// Larger than any template: a bound on what is read.
const LARGEST_FILE: u64 = 1024 * 1024;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/", $name)))),+]
    };
}

/// Every template there is, by name.
const BUILT_IN: &[(&str, &str)] = built_in![
    "admission/cluster-image-policy.yaml",
    "admission/gatekeeper-constraint.yaml",
    "admission/gatekeeper-template.yaml",
    "admission/kyverno-image-policy.yaml",
    "admission/kyverno-policy.yaml",
    "admission/validating-admission-policy-binding.yaml",
    "admission/validating-admission-policy.yaml",
    "branch/body.md",
    "branch/labels.txt",
    "branch/message.txt",
    "branch/title.txt",
    "caseharden.toml",
    "cluster/admission-config.yaml",
    "cluster/audit-policy.yaml",
    "cluster/audit-webhook.yaml",
    "cluster/authentication-config.yaml",
    "cluster/encryption-config.yaml",
    "cluster/for-eks.yaml",
    "cluster/for-k3s.yaml",
    "cluster/for-kind.yaml",
    "cluster/for-kops.yaml",
    "cluster/for-kubeadm.yaml",
    "cluster/for-rke2.yaml",
    "cluster/for-static-pod.yaml",
    "cluster/for-talos.yaml",
    "container-security-context.yaml",
    "fleet/github.yaml",
    "fleet/gitlab.yaml",
    "fleet/job.yaml",
    "namespace-labels.yaml",
    "namespace.yaml",
    "network/calico-policy.yaml",
    "network/cilium-policy.yaml",
    "network/policy.yaml",
    "network/probe.yaml",
    "overlay/component.yaml",
    "overlay/patch.yaml",
    "overlay/steps.yaml",
    "overlay/wrapper.yaml",
    "pipeline/Jenkinsfile",
    "pipeline/github-sign.yaml",
    "pipeline/github.yaml",
    "pipeline/gitlab.yaml",
    "pipeline/tekton.yaml",
    "pod-security-context.yaml",
    "pod-security-exceptions.yaml",
    "rbac/role-binding.yaml",
    "rbac/role.yaml",
    "rbac/service-account.yaml",
    "rbac/token-volume.yaml",
    "secrets/csi-volume.yaml",
    "secrets/external-secret.yaml",
    "secrets/file-volume.yaml",
    "secrets/sealed-secret.yaml",
    "secrets/secret-provider-class.yaml",
    "secrets/secret-store.yaml",
    "resources/disruption-budget.yaml",
    "resources/limit-range.yaml",
    "resources/resource-quota.yaml",
    "writable-volume.yaml",
];

/// The text of a template and where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// The file that replaces the built-in text.
    pub(crate) path: Option<PathBuf>,
}

/// What became of one file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub path: PathBuf,
    /// False when the file was there already with that text.
    pub written: bool,
}

/// Why templates were not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Nothing was written.
    #[error("would overwrite {}", names(.0))]
    Different(Vec<PathBuf>),
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

impl Source {
    /// How errors name it.
    pub(crate) fn origin(&self) -> String {
        self.path.as_ref().map_or_else(|| self.name.to_owned(), |path| path.display().to_string())
    }
}

pub(crate) fn built_in() -> Vec<Source> {
    BUILT_IN.iter().map(|(name, text)| Source { name, text: (*text).to_owned(), path: None }).collect()
}

/// The built-in templates with those of `dir` in place of their namesakes. Files whose name starts with a dot
/// are passed over.
pub(crate) fn with_overrides(dir: &Path) -> Result<Vec<Source>, Vec<TemplateError>> {
    let mut sources = built_in();
    let mut errors = Vec::new();
    let unreadable = |path: &Path, error: &io::Error| {
        TemplateError::new(path.display().to_string(), format!("cannot be read: {error}"))
    };
    let mut files = listed(dir, "").map_err(|error| vec![unreadable(dir, &error)])?;
    files.sort();
    for name in files {
        let path = dir.join(&name);
        let Some(source) = sources.iter_mut().find(|source| source.name == name) else {
            errors.push(unknown(&path, &name));
            continue;
        };
        match read(&path) {
            Ok(text) => (source.text, source.path) = (text, Some(path)),
            Err(error) => errors.push(unreadable(&path, &error)),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(errors) }
}

/// Names of the files of a folder, and of those in folders that templates have.
fn listed(dir: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let full = format!("{prefix}{name}");
        if name.starts_with('.') {
            continue;
        }
        let folder = format!("{full}/");
        if entry.path().is_dir() && BUILT_IN.iter().any(|(known, _)| known.starts_with(&folder)) {
            names.extend(listed(&entry.path(), &folder)?);
        } else {
            names.push(full);
        }
    }
    Ok(names)
}

fn unknown(path: &Path, name: &str) -> TemplateError {
    let known = || BUILT_IN.iter().map(|(name, _)| *name);
    let help = match suggestion::nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
    };
    TemplateError::new(path.display().to_string(), "there is no template of that name").with_help(help)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    // What is rendered has plain line breaks; the file it goes into decides what becomes of them.
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// Writes the templates into `dir`, all or (if a file there differs and `overwrite` is not set) none.
pub(crate) fn export(sources: &[Source], dir: &Path, overwrite: bool) -> Result<Vec<Exported>, ExportError> {
    let mut planned = Vec::new();
    for source in sources {
        let path = dir.join(source.name);
        let same = match std::fs::read(&path) {
            Ok(bytes) => Some(bytes == source.text.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ExportError::Io { path, source }),
        };
        planned.push((source, path, same));
    }
    let different: Vec<PathBuf> =
        planned.iter().filter(|(_, _, same)| *same == Some(false)).map(|(_, path, _)| path.clone()).collect();
    if !overwrite && !different.is_empty() {
        return Err(ExportError::Different(different));
    }
    std::fs::create_dir_all(dir).map_err(|source| ExportError::Io { path: dir.to_owned(), source })?;
    let mut exported = Vec::new();
    for (source, path, same) in planned {
        let written = same != Some(true);
        if written {
            let folder = path.parent().unwrap_or(dir);
            std::fs::create_dir_all(folder)
                .map_err(|source| ExportError::Io { path: folder.to_owned(), source })?;
            replace(folder, &path, &source.text)
                .map_err(|source| ExportError::Io { path: path.clone(), source })?;
        }
        exported.push(Exported { path, written });
    }
    Ok(exported)
}

/// A file is the old one or the new one, whatever happens in between.
fn replace(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    // A temporary file is private by default; these are ordinary files, as the umask allows.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
