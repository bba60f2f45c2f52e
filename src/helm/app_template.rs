//! The chart `app-template` of bjw-s, whose values are pods in all but name: an outline straight from its values.
//!
//! Known by name and shape together. What its values say of a container or a pod comes out as it is: a container's own
//! option wins over its controller's default, a controller's over that of all pods
//! (<https://bjw-s-labs.github.io/helm-charts/docs/common-library/>; `getOption` of its library's templates).

use serde_json::{Map, Value, json};

use super::landing::with_value;
use super::outline::{Knob, Outline};
use crate::pointer::token;

/// The outline that values of the chart give; `None` for values of another shape, or that merge defaults in ways that
/// are not followed.
pub fn outline(chart: &str, release: &str, values: &Value) -> Option<Outline> {
    if chart != "app-template" || merges(values) {
        return None;
    }
    let controllers = values["controllers"].as_object().filter(|map| !map.is_empty())?;
    let mut outline = Outline { release: release.to_owned(), ..Outline::default() };
    for (name, controller) in controllers.iter().filter(|(_, controller)| controller["enabled"] != false) {
        let full = if controllers.len() == 1 { release.to_owned() } else { format!("{release}-{name}") };
        workload(&mut outline, values, &format!("/controllers/{}", token(name)), controller, &full)?;
    }
    outline.values = outline.fingerprint(values);
    Some(outline)
}

fn merges(values: &Value) -> bool {
    let is_merge = |value: &Value, key: &str| value[key] == "merge";
    let controllers = values["controllers"].as_object();
    is_merge(values, "defaultPodOptionsStrategy")
        || controllers.is_some_and(|all| {
            all.values().any(|controller| is_merge(controller, "defaultContainerOptionsStrategy"))
        })
}

fn workload(outline: &mut Outline, values: &Value, at: &str, controller: &Value, name: &str) -> Option<()> {
    let kind = controller.get("type").map_or(Some("deployment"), Value::as_str)?;
    let (api_version, kind, spec) = match kind {
        "deployment" => ("apps/v1", "Deployment", "/spec/template/spec"),
        "daemonset" => ("apps/v1", "DaemonSet", "/spec/template/spec"),
        "statefulset" => ("apps/v1", "StatefulSet", "/spec/template/spec"),
        "cronjob" => ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template/spec"),
        "job" => ("batch/v1", "Job", "/spec/template/spec"),
        _ => return None,
    };
    let workload = outline.workloads.len();
    let mut pod = Map::new();
    for list in ["initContainers", "containers"] {
        let mut containers = Vec::new();
        for (name, container) in controller[list].as_object().into_iter().flatten() {
            if container["enabled"] == false {
                continue;
            }
            let own = format!("{at}/{list}/{}/securityContext", token(name));
            let shared = format!("{at}/defaultContainerOptions/securityContext");
            let place = format!("{spec}/{list}/{}/securityContext", containers.len());
            let value = first_set(values, &[&own, &shared]).unwrap_or(own);
            outline.knobs.push(knob(value, workload, place));
            containers.push(self::container(name, container)?);
        }
        if !containers.is_empty() {
            pod.insert(list.to_owned(), containers.into());
        }
    }
    pod.get("containers")?;
    let option = |key: &str| {
        let (own, shared) = (format!("{at}/pod/{key}"), format!("/defaultPodOptions/{key}"));
        first_set(values, &[&own, &shared]).unwrap_or(shared)
    };
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if let Some(value) = values.pointer(&option(key)).filter(|value| value.is_boolean()) {
            pod.insert(key.to_owned(), value.clone());
        }
    }
    for key in ["securityContext", "automountServiceAccountToken"] {
        outline.knobs.push(knob(option(key), workload, format!("{spec}/{key}")));
    }
    let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } });
    outline.workloads.push(with_value(&object, spec, Value::Object(pod))?);
    Some(())
}

/// The first of the values that is there, as the chart looks for them.
fn first_set(values: &Value, pointers: &[&str]) -> Option<String> {
    let is_set = |pointer: &&&str| match values.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    pointers.iter().find(is_set).map(|pointer| (*pointer).to_owned())
}

fn knob(value: String, workload: usize, at: String) -> Knob {
    Knob { value, workload, at, default: Value::Null, switched: false }
}

/// A container as the chart makes it, as far as rules look.
fn container(name: &str, values: &Value) -> Option<Value> {
    let image = &values["image"];
    let image = match (image.as_str(), image["repository"].as_str()) {
        (Some(image), _) => image.to_owned(),
        (None, Some(repository)) => match &image["tag"] {
            Value::String(tag) => format!("{repository}:{tag}"),
            Value::Null => repository.to_owned(),
            tag => format!("{repository}:{tag}"),
        },
        (None, None) => return None,
    };
    let mut container = Map::new();
    container.insert("name".to_owned(), name.into());
    container.insert("image".to_owned(), image.into());
    for key in ["command", "args"] {
        let value = match &values[key] {
            Value::String(text) => json!([text]),
            value => value.clone(),
        };
        if value.is_array() {
            container.insert(key.to_owned(), value);
        }
    }
    if let Some(policy) = values["restartPolicy"].as_str() {
        container.insert("restartPolicy".to_owned(), policy.into());
    }
    Some(container.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::concrete::Renders as _;

    #[test]
    fn values_of_containers_and_pods_come_out_where_they_belong() {
        let values = json!({
            "defaultPodOptions": { "securityContext": { "runAsUser": 7 } },
            "controllers": {
                "a": { "containers": { "app": {
                    "image": { "repository": "r.io/a", "tag": "1" },
                    "securityContext": { "privileged": true },
                } } },
                "b": { "type": "cronjob", "pod": { "securityContext": { "fsGroup": 1 } }, "containers": {
                    "app": { "image": { "repository": "r.io/b", "tag": 2 } },
                } },
            },
        });
        let outline = outline("app-template", "web", &values).unwrap();
        let objects = outline.rendered(&values).unwrap().objects;
        let a = &objects[0].value["spec"]["template"]["spec"];
        assert_eq!(a["containers"][0]["securityContext"], json!({ "privileged": true }));
        assert_eq!(a["securityContext"], json!({ "runAsUser": 7 }));
        let b = &objects[1].value["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(b["containers"][0]["image"], "r.io/b:2");
        assert_eq!(b["securityContext"], json!({ "fsGroup": 1 }));
    }

    #[test]
    fn neither_the_name_nor_the_shape_alone_will_do() {
        let values = json!({ "controllers": { "a": { "containers": { "app": { "image": { "repository": "r.io/a" } } } } } });
        assert!(outline("other", "web", &values).is_none());
        assert!(outline("app-template", "web", &json!({ "image": "x" })).is_none());
        assert!(outline("app-template", "web", &json!({ "controllers": { "a": {} } })).is_none());
    }
}
