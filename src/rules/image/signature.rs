//! What the lock says of the signature of a container's image, in the words of a finding.

use crate::image::Reference;
use crate::lock::{FILE_NAME, Verdict};
use crate::model::{Container, Image};
use crate::rules::Workload;

/// What is known of a signature.
pub(super) enum Evidence {
    /// By a key of the repo, or by whoever where no key is asked for.
    Fine,
    /// There is none that could count.
    Absent { fact: String, keys: String },
    /// Other keys than today's were asked for when it was locked, or none.
    NotChecked { keys: String },
    /// There is one, and it does not count.
    Invalid { fault: String, fact: String, keys: String },
}

/// The image as the manifest writes it, and what is known; `None` where the lock says nothing, or where a
/// kustomization decides what runs instead.
pub(super) fn evidence<'a>(
    workload: &Workload<'_>,
    container: &'a Container<'_>,
) -> Option<(&'a str, Evidence)> {
    let text = container.image()?;
    let locked = workload.locked(container)?;
    let path = &workload.model.file(workload.object).path;
    if !workload.model.builds.image_overrides(path, Image::parse(text)?.name()).settings.is_empty() {
        return None;
    }
    let name = Reference::parse(text).ok()?.name();
    let files = workload.settings.config.signature_keys(&name);
    let keys = files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(" or ");
    let seen = locked.signatures.as_ref();
    let digest = &locked.digest;
    let is_current = |known: &[(String, crate::image::Digest)]| known.iter().map(|(file, _)| file).eq(&files);
    let evidence = match (&locked.verification, seen) {
        // Nobody has to have signed it: any signature will do, and silence of the registry proves nothing.
        _ if files.is_empty() => match seen?.is_empty() {
            true => Evidence::Absent { fact: format!("its registry has no signature of {digest}"), keys },
            false => Evidence::Fine,
        },
        (Some(verification), _) if is_current(&verification.keys) => match &verification.verdict {
            Verdict::Verified(_) => Evidence::Fine,
            Verdict::Invalid(fault) => Evidence::Invalid {
                fault: fault.clone(),
                fact: format!("{FILE_NAME} says so of {digest}"),
                keys,
            },
            Verdict::Absent => {
                let kinds = seen.filter(|kinds| !kinds.is_empty()).map(|kinds| kinds.join(", "));
                let fact = match kinds {
                    Some(kinds) => {
                        format!("its registry has only {kinds} for {digest}, which is not checked")
                    }
                    None => format!("its registry has no signature of {digest}"),
                };
                Evidence::Absent { fact, keys }
            }
        },
        _ => Evidence::NotChecked { keys },
    };
    Some((text, evidence))
}
