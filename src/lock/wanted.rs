//! Which entries a lock needs for the references of a repo, and which references contradict it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Lock;
use crate::image::{Digest, Reference};

/// An entry that the lock should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The key of the entry.
    pub reference: Reference,
    /// The digest that the repo pins it to, when it agrees on one: what runs today is what gets locked.
    pub pinned: Option<Digest>,
}

/// A reference with another digest than the lock has for its tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contradiction {
    pub reference: Reference,
    pub locked: Digest,
}

/// The entries that these references need.
///
/// A tag has one entry, whether the repo pins it or not, so that one run gives every file the same digest. Where
/// the repo pins a tag to another digest than the lock's, that content gets an entry of its own as well.
pub fn wanted<'a>(
    references: impl IntoIterator<Item = &'a Reference>,
    lock: &Lock,
) -> (Vec<Wanted>, Vec<Contradiction>) {
    let mut pins: BTreeMap<Reference, BTreeSet<Digest>> = BTreeMap::new();
    let mut wanted: BTreeMap<Reference, Option<Digest>> = BTreeMap::new();
    for reference in references {
        match (reference.tagged(), reference.digest()) {
            (Some(tagged), digest) => pins.entry(tagged).or_default().extend(digest.cloned()),
            (None, _) => {
                wanted.insert(reference.clone(), reference.digest().cloned());
            }
        }
    }
    let mut contradictions = Vec::new();
    for (tagged, digests) in pins {
        let single = digests.first().filter(|_| digests.len() == 1).cloned();
        let known = lock.get(&tagged).map(|locked| locked.digest.clone());
        let agreed = known.as_ref().or(single.as_ref());
        for digest in digests.iter().filter(|digest| Some(*digest) != agreed) {
            let reference = tagged.with_digest(digest.clone());
            wanted.insert(reference.clone(), Some(digest.clone()));
            contradictions.extend(known.clone().map(|locked| Contradiction { reference, locked }));
        }
        wanted.insert(tagged, single.filter(|_| known.is_none()));
    }
    contradictions.sort();
    (wanted.into_iter().map(|(reference, pinned)| Wanted { reference, pinned }).collect(), contradictions)
}
