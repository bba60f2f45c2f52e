//! Values of charts that templates put into Secrets: what is written there by default is a secret of every installation.

use std::collections::BTreeSet;

use serde_json::Value;

use super::secret_in_plain_manifest::RULE;
use crate::model::Model;
use crate::pointer;
use crate::repo::Chart;
use crate::rules::{Finding, RepoFindings};
use crate::secret::literal;
use crate::yaml::Pointer;

pub(super) fn check(model: &Model<'_>, found: &mut RepoFindings) {
    for chart in &model.repo().charts {
        let path = if chart.folder.is_empty() {
            "values.yaml".to_owned()
        } else {
            format!("{}/values.yaml", chart.folder)
        };
        let file = model.repo().file(&path);
        if file.is_some_and(|file| file.marker.is_some() || file.context_only) {
            continue;
        }
        for keys in put_into_secrets(chart) {
            let Some((value, last)) = lookup(&chart.values, &keys).zip(keys.last()) else { continue };
            let Some(what) = value.as_str().and_then(|text| literal(last, text)) else { continue };
            let at: String = keys.iter().map(|key| format!("/{}", pointer::token(key))).collect();
            let range = file.and_then(|file| file.stream.locate(0, Pointer::parse(&at).ok()?));
            let line = file.zip(range).map_or(1, |(file, range)| file.stream.position(range.start).line);
            let message =
                format!("value `{}`, which the chart puts into a Secret, holds {what}", keys.join("."));
            let mut finding = Finding::new(at, message)
                .note("leave the default empty, and have whoever installs the chart name a Secret or give the value");
            finding.rule = &RULE;
            found.in_templates.push((path.clone(), line, finding));
        }
    }
}

/// The values that templates with a Secret name.
fn put_into_secrets(chart: &Chart) -> BTreeSet<Vec<String>> {
    let secrets = chart
        .templates
        .iter()
        .filter(|template| !template.context_only && template.text.contains("kind: Secret"));
    let named = secrets.flat_map(|template| template.text.split(".Values.").skip(1));
    named
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
                .unwrap_or(rest.len());
            rest[..end].trim_end_matches('.').split('.').map(str::to_owned).collect()
        })
        .collect()
}

fn lookup<'v>(values: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(values, |value, key| value.get(key))
}
