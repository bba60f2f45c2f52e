use serde_json::{Value, json};

use super::*;

fn event(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods/web-0?x=y", "verb": "get",
        "user": {"username": "system:serviceaccount:shop:web", "groups": ["system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-03-01T10:00:00.000000Z", "stageTimestamp": "2026-03-01T10:00:01.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    });
    change(&mut event);
    event
}

fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    reading.add("audit.log", text.as_bytes()).unwrap();
    reading
}

/// A line for each permission: `verb group resource subresource namespace: count names`.
fn shown(uses: &usage::Uses) -> Vec<String> {
    let mut lines: Vec<String> = uses
        .iter()
        .map(|(permission, used)| {
            let what = match permission {
                Permission::Resource { verb, group, resource, subresource, namespace } => {
                    format!("{verb} {group}/{resource}/{subresource} {namespace}")
                }
                Permission::Path { verb, path } => format!("{verb} {path}"),
            };
            let names = match &used.names {
                Names::Few(names) => names.keys().cloned().collect::<Vec<_>>().join(","),
                Names::Any => "*".to_owned(),
            };
            format!("{what}: {} {names}{}", used.count, if used.unnamed { " unnamed" } else { "" })
        })
        .collect();
    lines.sort();
    lines
}

#[track_caller]
fn check(events: &[Value], used: &[&str], denied: &[&str]) {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    let reading = read(&text);
    assert_eq!(reading.faults, Vec::<String>::new());
    let account = reading.usage.of("system:serviceaccount:shop:web").expect("the account is in the log");
    assert_eq!(shown(&account.used), used);
    assert_eq!(shown(&account.denied), denied);
}

#[test]
fn only_the_last_stage_counts() {
    let stages = ["RequestReceived", "ResponseStarted", "ResponseComplete"];
    let events = stages.map(|stage| event(|event| event["stage"] = stage.into()));
    check(&events, &["get /pods/ shop: 1 web-0"], &[]);
}

#[test]
fn a_watch_that_goes_on_is_used() {
    let watch = event(|event| {
        event["stage"] = "ResponseStarted".into();
        event["verb"] = "watch".into();
        event["objectRef"] = json!({"resource": "pods", "namespace": "shop"});
    });
    check(&[watch], &["watch /pods/ shop: 0  unnamed"], &[]);
}

#[test]
fn denied_requests_are_kept_apart() {
    let forbidden = event(|event| {
        event["annotations"]["authorization.k8s.io/decision"] = "forbid".into();
        event["responseStatus"]["code"] = 403.into();
    });
    check(&[forbidden], &[], &["get /pods/ shop: 1 web-0"]);
    let without_annotation = event(|event| {
        event["annotations"] = Value::Null;
        event["responseStatus"]["code"] = 403.into();
    });
    check(&[without_annotation], &[], &["get /pods/ shop: 1 web-0"]);
    // What admission refuses was authorized.
    let refused = event(|event| event["responseStatus"]["code"] = 403.into());
    check(&[refused], &["get /pods/ shop: 1 web-0"], &[]);
}

#[test]
fn who_is_acted_as_is_who_is_authorized() {
    let mut acted = event(|event| {
        event["impersonatedUser"] = event["user"].clone();
        event["user"] = json!({"username": "jane"});
    });
    check(std::slice::from_ref(&acted), &["get /pods/ shop: 1 web-0"], &[]);
    let jane = |events: &Value| shown(&read(&events.to_string()).usage.of("jane").unwrap().used);
    assert_eq!(jane(&acted), ["impersonate /serviceaccounts/ shop: 1 web"]);
    acted["impersonatedUser"] = json!({"username": "joe", "groups": ["devs", "system:authenticated"]});
    assert_eq!(jane(&acted), ["impersonate /groups/ : 1 devs", "impersonate /users/ : 1 joe"]);
}

#[test]
fn a_patch_that_creates_needs_create_too() {
    let apply = event(|event| {
        event["verb"] = "patch".into();
        event["responseStatus"]["code"] = 201.into();
    });
    check(&[apply], &["create /pods/ shop: 1 web-0", "patch /pods/ shop: 1 web-0"], &[]);
}

#[test]
fn paths_have_no_query() {
    let path = event(|event| {
        event.as_object_mut().unwrap().remove("objectRef");
        event["requestURI"] = "/healthz?verbose".into();
    });
    check(&[path], &["get /healthz: 1  unnamed"], &[]);
}

#[test]
fn many_names_become_any() {
    let named = |n: usize| event(|event| event["objectRef"]["name"] = format!("web-{n}").into());
    let events: Vec<Value> = (0..=usage::MOST_NAMES).map(named).collect();
    check(&events, &["get /pods/ shop: 17 *"], &[]);
}

#[test]
fn the_period_is_from_the_first_to_the_last() {
    let early = event(|event| event["stageTimestamp"] = "2026-02-01T00:00:00Z".into());
    let usage = read(&format!("{}\n{early}\n", event(|_| {}))).usage;
    assert_eq!(usage.first, Some("2026-02-01T00:00:00Z".parse().unwrap()));
    assert_eq!(usage.last, Some("2026-03-01T10:00:01Z".parse().unwrap()));
    assert!(usage.has_reads);
}

#[test]
fn broken_lines_are_counted_and_named() {
    let good = event(|_| {}).to_string();
    let reading = read(&format!(
        "{good}\n{}\nnonsense\n{{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}}\n{good}\n",
        &good[..40]
    ));
    assert_eq!((reading.usage.n_requests, reading.n_faults), (2, 3));
    let lines: Vec<&str> = reading.faults.iter().map(|fault| &fault[..12]).collect();
    assert_eq!(lines, ["audit.log:2:", "audit.log:3:", "audit.log:4:"]);
}

/// What two events come to, one for each of two pods, however they are wrapped.
#[track_caller]
fn check_wrapped(text: &[u8], others: u64) {
    let mut reading = Reading::default();
    reading.add("audit.log", text).unwrap();
    assert_eq!((reading.faults.clone(), reading.n_others), (Vec::new(), others));
    let account = reading.usage.of("system:serviceaccount:shop:web").expect("the account is in the log");
    assert_eq!(shown(&account.used), ["get /pods/ shop: 2 web-0,web-1"]);
    assert_eq!(shown(&account.denied), ["get /pods/ shop: 1 web-2"]);
}

fn three() -> [Value; 3] {
    let mut events = [0, 1, 2].map(|n| event(|event| event["objectRef"]["name"] = format!("web-{n}").into()));
    events[2]["annotations"]["authorization.k8s.io/decision"] = "forbid".into();
    events
}

#[test]
fn lists_arrays_and_gzip_are_read() {
    let list =
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": three()});
    check_wrapped(list.to_string().as_bytes(), 0);
    check_wrapped(format!("{list:#}").as_bytes(), 0);
    check_wrapped(format!("{:#}", json!(three())).as_bytes(), 0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut packed, list.to_string().as_bytes()).unwrap();
    check_wrapped(&packed.finish().unwrap(), 0);
}

#[test]
fn cloudwatch_is_read() {
    let messages = three().map(|event| json!({"timestamp": 1, "message": event.to_string()}));
    let with_other = |key: &str| {
        let mut entries = messages.to_vec();
        entries.push(json!({"timestamp": 2, "message": "time=\"2026\" level=info msg=\"access granted\""}));
        json!({key: entries, "nextToken": "x"})
    };
    check_wrapped(format!("{:#}", with_other("events")).as_bytes(), 1);
    check_wrapped(with_other("logEvents").to_string().as_bytes(), 1);
    let lines = three().map(|event| format!("2026-03-01T10:00:01.000Z {event}\n")).concat();
    check_wrapped(lines.as_bytes(), 0);
}

#[test]
fn azure_is_read() {
    let records = three()
        .map(|event| json!({"category": "kube-audit", "properties": {"log": event.to_string(), "pod": "p"}}));
    let other = json!({"category": "kube-scheduler", "properties": {"log": "x"}});
    let lines = records.iter().chain([&other]).map(|record| format!("{record}\n")).collect::<String>();
    check_wrapped(lines.as_bytes(), 1);
    check_wrapped(json!({"records": records}).to_string().as_bytes(), 0);
    check_wrapped(format!("{:#}", json!({"records": records})).as_bytes(), 0);
}

#[test]
fn google_is_read() {
    let entry = |n: usize, code: i64| {
        json!({
            "insertId": "x", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access",
            "receiveTimestamp": "2026-03-01T10:00:01Z",
            "protoPayload": {
                "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
                "methodName": "io.k8s.core.v1.pods.get",
                "resourceName": format!("core/v1/namespaces/shop/pods/web-{n}"),
                "authenticationInfo": {"principalEmail": "system:serviceaccount:shop:web"},
                "authorizationInfo": [{"granted": code == 0, "permission": "io.k8s.core.v1.pods.get"}],
                "status": {"code": code},
            },
        })
    };
    let other = json!({"protoPayload": {"serviceName": "container.googleapis.com", "methodName": "x"}});
    let entries = json!([entry(0, 0), entry(1, 0), entry(2, 7), other]);
    check_wrapped(format!("{entries:#}").as_bytes(), 1);
    let lines: String = entries.as_array().unwrap().iter().map(|entry| format!("{entry}\n")).collect();
    check_wrapped(lines.as_bytes(), 1);
}

#[test]
fn memory_does_not_grow_with_what_is_asked_for() {
    let paths = (0..25_000).map(|n| {
        event(|event| {
            event.as_object_mut().unwrap().remove("objectRef");
            event["requestURI"] = format!("/{n}").into();
        })
    });
    let text: String = paths.map(|event| format!("{event}\n")).collect();
    let reading = read(&text);
    let account = reading.usage.of("system:serviceaccount:shop:web").unwrap();
    assert!(account.overflows);
    assert_eq!(account.used.iter().count(), 20_000);
}
