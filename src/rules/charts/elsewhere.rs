//! Releases whose charts are not in the repo: judged by what the lock file knows of their charts, or by the shape of
//! their values. Without either nothing is said of what they run.

use std::collections::BTreeSet;

use super::{Job, Settings};
use crate::helm::app_template;
use crate::helm::concrete::Renders;
use crate::helm::layered;
use crate::model::Model;
use crate::model::charts::{Afterwards, Gifts, ReleaseElsewhere, ValuesSet, elsewhere};
use crate::rules::{RepoFindings, Rule};

pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    asks: &dyn Fn(&Rule) -> bool,
    gifts: &Gifts<'_>,
    found: &mut RepoFindings,
) {
    for release in elsewhere(model, gifts) {
        if let Err(why) = judge(model, settings, asks, &release, found) {
            found.rendered.unreached.insert(release.place.clone());
            found.rendered.unseen.insert((release.place.clone(), why));
        }
    }
}

fn judge(
    model: &Model<'_>,
    settings: &Settings<'_>,
    asks: &dyn Fn(&Rule) -> bool,
    release: &ReleaseElsewhere,
    found: &mut RepoFindings,
) -> Result<(), String> {
    let set = release.values.as_ref().map_err(Clone::clone)?;
    let all = set.values(&set.own);
    let source = release.source.as_ref();
    let locked = source.ok().and_then(|source| settings.lock.chart(&source.to_string()));
    if let Some(outline) = locked.and_then(|chart| chart.outline(&set.release, &all)) {
        let called = source.map(ToString::to_string).unwrap_or_default();
        let set = ValuesSet { below: layered(&outline.defaults(), &set.below), ..set.clone() };
        return run(model, settings, asks, (outline, &called), set, found);
    }
    if let Some(outline) = app_template::outline(&release.chart, &set.release.name, &all) {
        // Nothing was rendered: a person has to look, and names for patches are not known.
        let afterwards = Ok(Afterwards::Unknown);
        let set = ValuesSet { is_final: false, installer: None, afterwards, ..set.clone() };
        return run(model, settings, asks, (&outline, "the chart app-template"), set, found);
    }
    let source = source.map_err(Clone::clone)?;
    Err(match locked {
        None => format!("its chart {source} is not in this repo: `caseharden lock` fetches it"),
        Some(_) => {
            "its values are not those that its chart was locked with: run `caseharden lock`".to_owned()
        }
    })
}

fn run(
    model: &Model<'_>,
    settings: &Settings<'_>,
    asks: &dyn Fn(&Rule) -> bool,
    (chart, called): (&dyn Renders, &str),
    set: ValuesSet,
    found: &mut RepoFindings,
) -> Result<(), String> {
    let mut job = Job {
        model,
        settings,
        asks,
        source: None,
        called,
        chart,
        defaults: serde_json::Value::Null,
        fixed: Vec::new(),
        reported: BTreeSet::new(),
        varied: BTreeSet::new(),
    };
    let judged = job.judge(&set, found)?;
    job.close(vec![judged], found);
    Ok(())
}
