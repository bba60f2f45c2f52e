//! Charts that the repo names and does not have: fetched once, kept as what they render.

use std::io::Write;

use super::super::say;
use super::Run;
use crate::lock::Lock;
use crate::lock::charts::{fetch, wanted};
use crate::render::{escaped, plural};

/// What became of the charts of a run.
#[derive(Default)]
pub(super) struct Charts {
    added: usize,
    moved: usize,
    pub(super) failed: usize,
}

impl Run<'_> {
    /// Fetches what the lock does not know, or what it knows with other values.
    pub(super) fn lock_charts(
        &self,
        old: &Lock,
        new: &mut Lock,
        out: &mut dyn Write,
    ) -> anyhow::Result<Charts> {
        let wanted = wanted(self.releases);
        let all_again = self.args.update.as_ref().is_some_and(|names| names.iter().all(String::is_empty));
        let asked: Vec<_> = wanted
            .iter()
            .filter(|(chart, uses)| {
                let known = old.chart(&chart.to_string());
                all_again || known.is_none_or(|known| uses.iter().any(|one| !one.is_known(known)))
            })
            .collect();
        let answers = self.each(&asked, &|(chart, uses)| fetch(&self.client, chart, uses));
        let mut charts = Charts::default();
        for ((chart, uses), answer) in asked.iter().zip(answers) {
            let name = chart.to_string();
            match answer {
                Ok((locked, refused)) => {
                    for (place, why) in refused {
                        say(&format!("warning: {}: {name}: {}\n", escaped(&place), escaped(&why)));
                    }
                    match old.chart(&name) {
                        None => charts.added += 1,
                        Some(before) if before.digest != locked.digest => {
                            charts.moved += 1;
                            writeln!(out, "{name}: {} -> {}", before.digest, locked.digest)?;
                        }
                        Some(_) => {}
                    }
                    new.insert_chart(name, locked);
                }
                Err(failure) => {
                    charts.failed += 1;
                    let place = uses.first().map_or("", |one| one.place.as_str());
                    let shown = failure.to_string();
                    say(&format!("error: {}: {}: {}\n", escaped(place), escaped(&name), escaped(&shown)));
                    if let Some(help) = failure.help() {
                        say(&format!("  help: {help}\n"));
                    }
                }
            }
        }
        if self.whole {
            new.retain_charts(|name| wanted.keys().any(|chart| chart.to_string() == name));
        }
        if self.global.verbose {
            for release in self.releases {
                if let Some(why) = release.source.as_ref().err().or(release.values.as_ref().err()) {
                    say(&format!("skipped: {}: {}\n", escaped(&release.place), escaped(why)));
                }
            }
        }
        Ok(charts)
    }
}

impl Run<'_> {
    /// What differs between the lock and the charts that the repo names; how many differences there are, and how many
    /// charts could not be asked for.
    pub(super) fn check_charts(&self, lock: &Lock, out: &mut dyn Write) -> anyhow::Result<(usize, usize)> {
        let wanted: Vec<_> = wanted(self.releases).into_iter().collect();
        let (mut differing, mut failed) = (0, 0);
        let answers = self.each(&wanted, &|(chart, uses)| match lock.chart(&chart.to_string()) {
            Some(_) => fetch(&self.client, chart, uses).map(Some),
            None => Ok(None),
        });
        for ((chart, uses), answer) in wanted.iter().zip(answers) {
            let name = chart.to_string();
            let difference = match (lock.chart(&name), answer) {
                (None, _) => Some("not locked".to_owned()),
                (Some(known), Ok(Some((found, _)))) if known.digest != found.digest => {
                    Some(format!("the chart has moved from {} to {}", known.digest, found.digest))
                }
                (Some(known), Ok(_)) => {
                    let other = uses.iter().find(|one| !one.is_known(known));
                    other.map(|other| format!("not locked with the values of {}", other.place))
                }
                (Some(_), Err(failure)) => {
                    failed += 1;
                    say(&format!("error: {}: {}\n", escaped(&name), escaped(&failure.to_string())));
                    None
                }
            };
            if let Some(difference) = difference {
                differing += 1;
                writeln!(out, "{name}: {difference}")?;
            }
        }
        Ok((differing, failed))
    }
}

impl Charts {
    pub(super) fn say(&self, locked: usize) {
        let Charts { added, moved, failed } = self;
        if locked + failed == 0 {
            return;
        }
        let mut summary = format!("{} locked: {added} new, {moved} moved", plural(locked, "chart"));
        if *failed > 0 {
            summary.push_str(&format!(", {failed} failed"));
        }
        say(&format!("{summary}\n"));
    }
}
