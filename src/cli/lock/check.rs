//! `lock --check`: what differs between the lock, the registries and the repo. Writes nothing.

use std::collections::BTreeSet;
use std::io::Write;

use super::Run;
use crate::cli::{Outcome, say};
use crate::config;
use crate::image::Reference;
use crate::lock::{Contradiction, Lock, Wanted, signatures};
use crate::registry::Content;
use crate::render::{escaped, plural};

impl Run<'_> {
    pub(super) fn check(&self, lock: &Lock, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let (wanted, contradictions) = self.wanted(lock);
        let (known, missing): (Vec<&Wanted>, Vec<&Wanted>) =
            wanted.iter().partition(|wanted| lock.get(&wanted.reference).is_some());
        let mut differences = 0;
        for wanted in missing {
            differences += 1;
            writeln!(out, "{}: not locked", wanted.reference)?;
        }
        for Contradiction { reference, locked } in &contradictions {
            differences += 1;
            writeln!(out, "{}: {reference} contradicts the lock, which has {locked}", self.place(reference))?;
        }
        let used: BTreeSet<&Reference> = wanted.iter().map(|wanted| &wanted.reference).collect();
        for (reference, _) in lock.iter().filter(|(reference, _)| self.whole && !used.contains(reference)) {
            differences += 1;
            writeln!(out, "{reference}: locked, but nothing uses it")?;
        }
        let (differing, mut failed) = self.check_signatures(lock, &known, out)?;
        differences += differing;
        // What is named by its digest cannot move.
        let tags: Vec<&Reference> = known
            .iter()
            .map(|wanted| &wanted.reference)
            .filter(|reference| reference.digest().is_none())
            .collect();
        let answers = self.each(&tags, &|reference| self.client.resolve(reference));
        for (reference, answer) in tags.iter().zip(answers) {
            let locked = &lock.get(reference).expect("only locked references were asked for").digest;
            match answer {
                Ok(resolved) if resolved.digest == *locked => {}
                Ok(resolved) => {
                    differences += 1;
                    let note = if self.is_child(reference, &resolved.digest, locked) {
                        ", of which the lock has one platform only"
                    } else {
                        ""
                    };
                    writeln!(
                        out,
                        "{reference}: the tag has moved from {locked} to {}{note}",
                        resolved.digest
                    )?;
                }
                Err(failure) => {
                    failed += 1;
                    self.say_failure(reference, &failure);
                }
            }
        }
        let (of_charts, failed_charts) = self.check_charts(lock, out)?;
        differences += of_charts;
        failed += failed_charts;
        if !self.global.quiet {
            say(&format!(
                "{} checked, {}\n",
                plural(known.len(), "image"),
                plural(differences, "difference")
            ));
            self.say_skipped();
        }
        Ok(match (failed, differences) {
            (0, 0) => Outcome::Done,
            (0, _) => Outcome::Found,
            _ => Outcome::Failed,
        })
    }

    /// Checks the signatures of locked images again: what a lock says of them is only as good as who wrote it. Returns
    /// how many differ, and about how many the registry did not answer.
    fn check_signatures(
        &self,
        lock: &Lock,
        known: &[&Wanted],
        out: &mut dyn Write,
    ) -> anyhow::Result<(usize, usize)> {
        let (mut differing, mut failed) = (0, 0);
        let entry = |reference: &Reference| lock.get(reference).expect("what is known is in the lock");
        let (current, stale): (Vec<&Wanted>, Vec<&Wanted>) = known
            .iter()
            .partition(|wanted| self.is_verified_as_asked(&wanted.reference, entry(&wanted.reference)));
        for wanted in stale {
            differing += 1;
            let reference = &wanted.reference;
            writeln!(
                out,
                "{reference}: locked before its signature was checked by the keys of {}",
                config::FILE_NAME
            )?;
        }
        let signed: Vec<&Reference> = current
            .iter()
            .map(|wanted| &wanted.reference)
            .filter(|reference| entry(reference).verification.is_some())
            .collect();
        let answers = self.each(&signed, &|reference| {
            let mut now = entry(reference).clone();
            signatures::look(&self.client, reference, &mut now, &self.keys_of(reference)).map(|()| now)
        });
        for (reference, answer) in signed.iter().zip(answers) {
            match answer.map(|now| now.verification) {
                Ok(now) => {
                    let verdicts = entry(reference).verification.iter().zip(&now);
                    for (locked, now) in verdicts.filter(|(locked, now)| locked.verdict != now.verdict) {
                        differing += 1;
                        let (locked, now) = (locked.verdict.to_string(), now.verdict.to_string());
                        writeln!(
                            out,
                            "{reference}: the lock says {}, its registry {}",
                            escaped(&locked),
                            escaped(&now)
                        )?;
                    }
                }
                Err(failure) => {
                    failed += 1;
                    self.say_failure(reference, &failure);
                }
            }
        }
        Ok((differing, failed))
    }

    /// Whether a tag's index holds the locked digest as one of its platforms: pinned so, other nodes cannot run it.
    fn is_child(
        &self,
        reference: &Reference,
        index: &crate::image::Digest,
        locked: &crate::image::Digest,
    ) -> bool {
        match self.client.manifest(reference, index).map(|manifest| manifest.content) {
            Ok(Content::Index(index)) => index.images().any(|(_, child)| child.digest == *locked),
            _ => false,
        }
    }
}
