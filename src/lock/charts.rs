//! Charts: fetched once at the version that the repo names, kept as the outlines of what they render.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::helm::archive;
use crate::helm::outline::Outline;
use crate::helm::{Chart, Release};
use crate::image::{Digest, Reference};
use crate::model::charts::{ReleaseElsewhere, RemoteChart};
use crate::model::{ObjectId, layout, pod_spec_pointer};
use crate::registry::{Client, Failure};
use crate::repo::LIMITS;
use crate::yaml::Stream;

/// A chart as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedChart {
    /// Of the manifest in an OCI registry, of the archive elsewhere.
    pub digest: Digest,
    /// One for each set of values that the repo gives it.
    pub outlines: Vec<Outline>,
}

impl LockedChart {
    /// What it renders with these values as this release.
    pub fn outline(&self, release: &Release, own: &Value) -> Option<&Outline> {
        self.outlines.iter().find(|outline| outline.is_of(release, own))
    }
}

/// What a chart is installed with.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// How a user finds who gives it the values.
    pub place: String,
    pub release: Release,
    /// Without the chart's own.
    pub values: Value,
}

impl Use {
    /// Whether a lock has what the chart renders for it.
    pub fn is_known(&self, locked: &LockedChart) -> bool {
        locked.outline(&self.release, &self.values).is_some()
    }
}

/// The charts that releases name, each once, with what it is installed with.
pub fn wanted(releases: &[ReleaseElsewhere]) -> BTreeMap<RemoteChart, Vec<Use>> {
    let mut wanted: BTreeMap<RemoteChart, Vec<Use>> = BTreeMap::new();
    for elsewhere in releases {
        if let (Ok(source), Ok(set)) = (&elsewhere.source, &elsewhere.values) {
            let (place, release) = (elsewhere.place.clone(), set.release.clone());
            let values = set.values(&set.own);
            wanted.entry(source.clone()).or_default().push(Use { place, release, values });
        }
    }
    wanted
}

/// Fetches a chart and renders it with all the values that it gets. The second part is what could not be rendered: the
/// place of its values, and why.
///
/// # Errors
/// Why it cannot be fetched or read.
pub fn fetch(
    client: &Client,
    chart: &RemoteChart,
    uses: &[Use],
) -> Result<(LockedChart, Vec<(String, String)>), Failure> {
    let (digest, bytes) = archive_of(client, chart)?;
    let charts = archive::charts(&bytes).map_err(|error| Failure::Layer { detail: error.to_string() })?;
    let mut read = Chart::new(&charts[0], &charts);
    let (mut outlines, mut refused): (Vec<Outline>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for Use { place, release, values } in uses {
        read = read.released(release);
        match Outline::new(&read, release, &charts[0].values, values, &pod_spec) {
            Ok(outline) if outlines.contains(&outline) => {}
            Ok(outline) => outlines.push(outline),
            Err(why) => refused.push((place.clone(), why.to_string())),
        }
    }
    outlines
        .sort_by(|a, b| (&a.release, &a.namespace, &a.values).cmp(&(&b.release, &b.namespace, &b.values)));
    Ok((LockedChart { digest, outlines }, refused))
}

/// The pod spec of an object that makes pods.
fn pod_spec(object: &Value) -> Option<String> {
    let text = |key: &str| object[key].as_str();
    let id = ObjectId::named(text("apiVersion")?, text("kind")?, "");
    pod_spec_pointer(&layout(&id, &[])?).map(str::to_owned)
}

fn archive_of(client: &Client, chart: &RemoteChart) -> Result<(Digest, Vec<u8>), Failure> {
    if let Some(name) = chart.url.strip_prefix("oci://") {
        let text = match chart.version.contains(':') {
            true => format!("{name}@{}", chart.version),
            // Tags have no `+`: <https://helm.sh/docs/topics/registries/>.
            false => format!("{name}:{}", chart.version.replace('+', "_")),
        };
        let reference = Reference::parse(&text)
            .map_err(|error| Failure::Unsupported(format!("`{text}` is no name of a chart: {error}")))?;
        return client.chart(&reference);
    }
    let index = client.chart_index(&chart.url)?;
    let (url, announced) = entry(index, chart)?;
    let bytes = client.chart_archive(&chart.url, &url)?;
    let found = Digest::of(&bytes);
    match announced {
        Some(expected) if expected != found => Err(Failure::Mismatch { expected, found }),
        _ => Ok((found, bytes)),
    }
}

/// Where a repository's index has a chart, and the digest that it announces.
fn entry(index: Vec<u8>, chart: &RemoteChart) -> Result<(String, Option<Digest>), Failure> {
    let malformed = || Failure::Malformed { what: "index of charts" };
    let text = String::from_utf8(index).map_err(|_| malformed())?;
    let stream = Stream::parse(text, &LIMITS).map_err(|_| malformed())?;
    let entries = stream.root(0).and_then(|root| root.get("entries")?.get(&chart.name));
    let wanted = chart.version.trim_start_matches('v');
    let versions = entries.into_iter().flat_map(|entries| entries.items());
    let mut versions = versions.filter(|entry| {
        let version = entry.get("version").and_then(|version| version.as_str());
        version.is_some_and(|version| version.trim_start_matches('v') == wanted)
    });
    let missing = || Failure::Unsupported(format!("{} has no {} {}", chart.url, chart.name, chart.version));
    let found = versions.next().ok_or_else(missing)?;
    let url = found.get("urls").and_then(|urls| urls.items().next()?.as_str()).ok_or_else(malformed)?;
    let digest = found.get("digest").and_then(|digest| digest.as_str());
    let digest = digest.and_then(|digest| match digest.contains(':') {
        true => Digest::parse(&digest),
        false => Digest::parse(&format!("sha256:{digest}")),
    });
    Ok((url.into_owned(), digest))
}
