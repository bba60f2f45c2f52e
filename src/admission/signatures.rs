//! Which images have to be signed by whom, as far as the configuration says so, and what is known of their signatures.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, SignedBy};
use crate::image::Reference;
use crate::lock::{Lock, Verdict};

/// Images that have to be signed by one of some signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedImages {
    /// As admission engines write patterns: `*` is any run of characters, the registry is never left out.
    pub globs: Vec<String>,
    pub signers: Vec<Signer>,
    /// Why a policy must not refuse the others yet: signatures that are missing or were never looked at.
    pub unproved: Vec<String>,
}

/// One who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the private key; the file has the public one.
    Key { file: String },
    /// Somebody known to an issuer of identities. `*` in the subject is any run of characters.
    Keyless { issuer: String, subject: String },
}

impl Signer {
    /// The subject as a regular expression, where it is a pattern.
    pub fn subject_expression(subject: &str) -> Option<String> {
        if !subject.contains('*') {
            return None;
        }
        let parts = subject.split('*').map(|part| part.chars().map(escaped).collect::<String>());
        Some(format!("^{}$", parts.collect::<Vec<_>>().join(".*")))
    }
}

fn escaped(c: char) -> String {
    if c.is_alphanumeric() || matches!(c, '/' | ':' | '@' | '-' | '_') {
        c.to_string()
    } else {
        format!("[{c}]")
    }
}

/// What the configuration asks of the images of a repo; nothing where it says nothing, or no image of the repo is meant.
///
/// Where an image is meant by several entries, the signers of all count, and engines ask every policy that matches: then
/// each policy names its images instead of a pattern.
pub fn signed_images(config: &Config, lock: &Lock, images: &[Reference]) -> Vec<SignedImages> {
    let mut groups: BTreeMap<Vec<usize>, Vec<&Reference>> = BTreeMap::new();
    for image in images {
        let entries = config.signatures.iter().enumerate();
        let meant: Vec<usize> =
            entries.filter(|(_, entry)| entry.image.matches(&image.name())).map(|(n, _)| n).collect();
        if !meant.is_empty() {
            groups.entry(meant).or_default().push(image);
        }
    }
    let overlap = groups.keys().any(|entries| entries.len() > 1);
    let of_group = |(entries, images): (Vec<usize>, Vec<&Reference>)| {
        let entries: Vec<&SignedBy> = entries.into_iter().map(|n| &config.signatures[n]).collect();
        let names: BTreeSet<String> = images.iter().map(|image| image.name()).collect();
        let exactly = |name: &String| [format!("{name}:*"), format!("{name}@*")];
        SignedImages {
            globs: match overlap {
                true => names.iter().flat_map(exactly).collect(),
                false => entries.iter().flat_map(|entry| globs(entry.image.pattern())).collect(),
            },
            signers: entries.iter().flat_map(|entry| signers(entry)).collect(),
            unproved: images.into_iter().filter_map(|image| unproved(&entries, lock, image)).collect(),
        }
    };
    groups.into_iter().map(of_group).collect()
}

fn signers(entry: &SignedBy) -> impl Iterator<Item = Signer> {
    let keys = entry.keys.iter().map(|file| Signer::Key { file: file.clone() });
    let keyless = entry.keyless.iter().map(|identity| Signer::Keyless {
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
    });
    keys.chain(keyless)
}

/// Why nothing says that an image would be let in.
fn unproved(entries: &[&SignedBy], lock: &Lock, image: &Reference) -> Option<String> {
    if entries.iter().all(|entry| entry.keys.is_empty()) {
        return Some(format!("{image}: `caseharden lock` checks keys only"));
    }
    match lock.find(image).and_then(|locked| locked.verification.as_ref()).map(|found| &found.verdict) {
        Some(Verdict::Verified(_)) => None,
        Some(verdict @ (Verdict::Invalid(_) | Verdict::Absent)) => Some(format!("{image}: {verdict}")),
        None => Some(format!("{image}: not in caseharden.lock, or never checked")),
    }
}

/// A pattern of the configuration as engines read it. Docker Hub may be left out there, and not here.
fn globs(pattern: &str) -> Vec<String> {
    let flat = pattern.replace("**/", "*").replace("**", "*");
    let first = pattern.split('/').next().unwrap_or_default();
    let names_registry = first.contains(['.', ':', '*']) || first == "localhost";
    match pattern.contains('/') {
        _ if first == "*" && !pattern.contains('/') => vec!["*".to_owned()],
        true if names_registry => vec![end(&flat)],
        true => vec![format!("docker.io/{}", end(&flat))],
        false => vec![format!("docker.io/library/{}", end(&flat))],
    }
}

/// Tags and digests stand behind what the configuration's patterns are over.
fn end(glob: &str) -> String {
    if glob.ends_with('*') { glob.to_owned() } else { format!("{glob}*") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        assert_eq!(globs(pattern), [expected]);
    }

    #[test]
    fn patterns_name_their_registry() {
        check("registry.example.com/**", "registry.example.com/*");
        check("registry.example.com/shop/web", "registry.example.com/shop/web*");
        check("**/web", "*web*");
        check("team/web", "docker.io/team/web*");
        check("nginx", "docker.io/library/nginx*");
    }

    #[test]
    fn a_subject_with_a_star_is_a_pattern_and_nothing_else_is() {
        assert_eq!(Signer::subject_expression("ci@example.com"), None);
        assert_eq!(
            Signer::subject_expression("https://example.com/shop/*@refs/tags/v1.*").as_deref(),
            Some("^https://example[.]com/shop/.*@refs/tags/v1[.].*$")
        );
    }
}
