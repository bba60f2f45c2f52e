//! A chart in small: the workloads that it renders with one set of values, and which values come out in them where.
//!
//! What a lock file keeps of a chart that is not in the repo. Good for one set of values only, but for those that the
//! outline knows the place of: others make another outline.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::concrete::{NotRendered, Render, RenderedObject, Renders};
use super::landing::{self, Landing, with_value};
use super::{Release, layered};
use crate::image::Digest;
use crate::pointer::decoded;

/// The workloads of a chart with one set of values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// Of the values that it was made with, without those that it knows the place of.
    pub values: String,
    /// What the release is called that it is of.
    pub release: String,
    /// Where that is installed.
    pub namespace: String,
    /// What rules look at: no environment, probes, labels or annotations.
    pub workloads: Vec<Value>,
    pub knobs: Vec<Knob>,
    /// Templates that were not followed: path and why. What they render is not among the workloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(String, String)>,
}

/// A value and the place where it comes out as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knob {
    pub value: String,
    /// Index of the workload.
    pub workload: usize,
    pub at: String,
    /// What the chart itself says.
    pub default: Value,
    /// A switch beside the fields that has to be on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switched: bool,
}

impl Outline {
    /// The outline of a chart with values of somebody's own over its defaults, as a release. `pod_spec` says what makes
    /// pods, with the pointer of its pod spec.
    ///
    /// # Errors
    /// Why the chart does not render with them, or not as far as workloads go.
    pub fn new(
        chart: &dyn Renders,
        release: &Release,
        defaults: &Value,
        own: &Value,
        pod_spec: &dyn Fn(&Value) -> Option<String>,
    ) -> Result<Outline, NotRendered> {
        let all = layered(defaults, own);
        let render = chart.rendered(&all)?;
        let specs: Vec<Option<String>> =
            render.objects.iter().map(|object| pod_spec(&object.value)).collect();
        let place: Vec<usize> = specs
            .iter()
            .scan(0, |next, spec| {
                let own = *next;
                *next += usize::from(spec.is_some());
                Some(own)
            })
            .collect();
        let mut landings = landing::contexts(chart, &all, &render);
        landings.extend(landing::lists(chart, &all, &render, &["volumes", "volumemounts"]));
        let knobs: Vec<Knob> = landings
            .iter()
            .filter(|landing| specs[landing.object].is_some())
            .filter(|landing| is_verbatim(landing, &all, &render))
            .filter(|landing| may_have_fields(chart, landing))
            .map(|landing| Knob {
                value: landing.values.clone(),
                workload: place[landing.object],
                at: landing.pointer.clone(),
                default: defaults.pointer(&landing.values).cloned().unwrap_or(Value::Null),
                switched: landing.switch.is_some() || all.pointer(&landing.values).is_some_and(has_switch),
            })
            .collect();
        let workloads = render.objects.iter().zip(&specs);
        let workloads =
            workloads.filter_map(|(object, spec)| Some(reduced(&object.value, spec.as_ref()?))).collect();
        let Release { name: release, namespace } = release.clone();
        let refused = render.refused;
        let outline = Outline { values: String::new(), release, namespace, workloads, knobs, refused };
        Ok(Outline { values: outline.fingerprint(own), ..outline })
    }

    /// Whether it is about these values of this release.
    pub fn is_of(&self, release: &Release, own: &Value) -> bool {
        self.release == release.name
            && self.namespace == release.namespace
            && self.values == self.fingerprint(own)
    }

    /// Of values without those of the knobs, and without what is empty then.
    pub(super) fn fingerprint(&self, own: &Value) -> String {
        let mut own = if own.is_null() { Value::Object(Map::new()) } else { own.clone() };
        for knob in &self.knobs {
            remove(&mut own, &knob.value.split('/').skip(1).map(decoded).collect::<Vec<_>>());
        }
        Digest::of(own.to_string().as_bytes()).to_string()
    }

    /// What the chart itself says of the values whose place is known.
    pub fn defaults(&self) -> Value {
        let start = Value::Object(Map::new());
        self.knobs.iter().fold(start, |values, knob| {
            with_value(&values, &knob.value, knob.default.clone()).unwrap_or(values)
        })
    }
}

impl Renders for Outline {
    fn rendered(&self, values: &Value) -> Result<Render, NotRendered> {
        let mut objects = self.workloads.clone();
        for knob in &self.knobs {
            let Some(object) = objects.get_mut(knob.workload) else { continue };
            let value = values.pointer(&knob.value).cloned().unwrap_or(Value::Null);
            let placed = match value {
                Value::Null => continue,
                Value::Object(mut map) => {
                    if knob.switched && map.get("enabled") != Some(&Value::Bool(true)) {
                        continue;
                    }
                    if knob.switched {
                        map.remove("enabled");
                    }
                    if map.is_empty() {
                        continue;
                    }
                    Value::Object(map)
                }
                Value::Array(items) => {
                    let mut all =
                        object.pointer(&knob.at).and_then(Value::as_array).cloned().unwrap_or_default();
                    let new: Vec<Value> = items.into_iter().filter(|item| !all.contains(item)).collect();
                    all.extend(new);
                    if all.is_empty() {
                        continue;
                    }
                    Value::Array(all)
                }
                value => value,
            };
            if let Some(changed) = with_value(object, &knob.at, placed) {
                *object = changed;
            }
        }
        let objects = objects.into_iter().enumerate();
        Ok(Render {
            objects: objects.map(|(idx, value)| RenderedObject::alone(idx, value)).collect(),
            reads: self.knobs.iter().map(|knob| knob.value.clone()).collect(),
            refused: self.refused.clone(),
        })
    }
}

fn has_switch(value: &Value) -> bool {
    value.get("enabled").is_some_and(Value::is_boolean)
}

/// Whether the chart's schema lets fields into a security context that it does not have yet.
fn may_have_fields(chart: &dyn Renders, landing: &Landing) -> bool {
    let is_context = landing.pointer.ends_with("/securityContext");
    let profile = format!("{}/seccompProfile", landing.values);
    !is_context || chart.allows(&profile, &json!({ "type": "RuntimeDefault" }))
}

/// Whether a mapping is all that is at its place; lists may have others' items around theirs.
fn is_verbatim(landing: &Landing, values: &Value, render: &Render) -> bool {
    let there = render.objects[landing.object].value.pointer(&landing.pointer);
    match values.pointer(&landing.values) {
        None | Some(Value::Null) => there.is_none_or(|there| there.is_null() || there.is_array()),
        Some(Value::Object(map)) => {
            let mut map = map.clone();
            let is_on = map.remove("enabled").is_none_or(|on| on == true);
            let there = there.and_then(Value::as_object);
            if is_on { there.map_or(map.is_empty(), |there| *there == map) } else { there.is_none() }
        }
        Some(Value::Array(items)) => {
            let there = there.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            items.iter().all(|item| there.contains(item))
        }
        Some(_) => false,
    }
}

/// On objects that Helm runs by itself at some point of a release: <https://helm.sh/docs/topics/charts_hooks/>.
pub const HOOK: &str = "helm.sh/hook";

/// What rules about workloads look at.
fn reduced(object: &Value, spec: &str) -> Value {
    let metadata = &object["metadata"];
    let mut reduced = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": { "name": metadata["name"] },
    });
    if metadata["namespace"].is_string() {
        reduced["metadata"]["namespace"] = metadata["namespace"].clone();
    }
    if metadata["annotations"][HOOK].is_string() {
        reduced["metadata"]["annotations"] = json!({ HOOK: metadata["annotations"][HOOK] });
    }
    let mut pod = object.pointer(spec).cloned().unwrap_or(Value::Null);
    for list in ["initContainers", "containers"] {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(map) = container.as_object_mut() {
                for key in ["env", "envFrom", "resources", "livenessProbe", "readinessProbe", "startupProbe"]
                {
                    map.remove(key);
                }
            }
        }
    }
    if let Some(map) = pod.as_object_mut() {
        for key in ["affinity", "tolerations", "topologySpreadConstraints", "imagePullSecrets"] {
            map.remove(key);
        }
    }
    with_value(&reduced, spec, pod).unwrap_or(reduced)
}

fn remove(value: &mut Value, path: &[String]) {
    let (Some(map), Some((first, rest))) = (value.as_object_mut(), path.split_first()) else { return };
    if rest.is_empty() {
        map.remove(first);
    } else if let Some(inner) = map.get_mut(first) {
        remove(inner, rest);
        if inner.as_object().is_some_and(Map::is_empty) {
            map.remove(first);
        }
    }
}
