use super::*;
use crate::rules::charts::templates::{Template, applied};

const CONTAINER: &str = "spec:\n  containers:\n    - name: {{ .Chart.Name }}\n      image: a\n      {{- with .Values.web.resources }}\n      resources:\n        {{- toYaml . | nindent 8 }}\n      {{- end }}\n    - name: b\n";

/// The text with a key of the first container set; `None` where it is not understood.
fn with(text: &str, key: &str, wanted: &Value, name: Option<&str>) -> Option<String> {
    let skeleton = Skeleton::new(text)?;
    let (mut slot, sibling) = of_item(&skeleton, text.find("- ").unwrap(), key)?;
    let goal = match name {
        Some(name) => {
            slot.taken(&sibling?, name);
            json!({ "0": true })
        }
        None => json!({ "0": if wanted.is_null() { json!({}) } else { json!({ key: wanted }) } }),
    };
    let template = Template { slots: vec![&slot] };
    let value = template.value(text)?;
    Some(applied(text, &template.edits(text, &value, &goal)?))
}

#[track_caller]
fn check(text: &str, key: &str, wanted: Value, expected: Option<&str>) {
    assert_eq!(with(text, key, &wanted, None).as_deref(), expected);
}

#[test]
fn a_key_comes_behind_the_first_line_of_its_container() {
    let lines = "      securityContext:\n        runAsNonRoot: true\n";
    let at = CONTAINER.find("      image").unwrap();
    let expected = format!("{}{lines}{}", &CONTAINER[..at], &CONTAINER[at..]);
    check(CONTAINER, "securityContext", json!({ "runAsNonRoot": true }), Some(&expected));
    let (text, expected) = (CONTAINER.replace('\n', "\r\n"), expected.replace('\n', "\r\n"));
    check(&text, "securityContext", json!({ "runAsNonRoot": true }), Some(&expected));
}

#[test]
fn other_keys_come_behind_the_last_line_of_their_container() {
    let at = CONTAINER.find("    - name: b").unwrap();
    let expected = format!("{}      tty: false\n{}", &CONTAINER[..at], &CONTAINER[at..]);
    check(CONTAINER, "tty", json!(false), Some(&expected));
    check("- name: a\n  image: b", "tty", json!(false), Some("- name: a\n  image: b\n  tty: false"));
}

#[test]
fn a_value_is_taken_in_the_words_of_the_one_beside_it() {
    let lines = "      {{- with .Values.web.securityContext }}\n      securityContext:\n        {{- toYaml . | nindent 8 }}\n      {{- end }}\n";
    let at = CONTAINER.find("      image").unwrap();
    let expected = format!("{}{lines}{}", &CONTAINER[..at], &CONTAINER[at..]);
    let new = with(CONTAINER, "securityContext", &Value::Null, Some("securityContext"));
    assert_eq!(new.as_deref(), Some(&*expected));
    for text in [
        "- name: a\n  resources:\n    {{- toYaml .Values.limits | nindent 4 }}\n",
        "- name: a\n  resources:\n    {{- include \"x\" . | nindent 4 }}\n",
        "- name: a\n  {{- if .Values.on }}\n  resources: {{- toYaml .Values.resources | nindent 4 }}\n  {{- end }}\n",
    ] {
        assert_eq!(with(text, "securityContext", &Value::Null, Some("securityContext")), None, "{text}");
    }
}

#[test]
fn what_is_written_out_is_changed_and_all_else_of_it_stays() {
    let text = "- name: a\n  securityContext:\n    # Why.\n    runAsUser: {{ .Values.uid }} # who\n    privileged: true\n  tty: true\n";
    check(
        text,
        "securityContext",
        json!({ "runAsUser": "x".repeat("{{ .Values.uid }}".len()), "privileged": false }),
        Some(&text.replace("privileged: true", "privileged: false")),
    );
    check(text, "securityContext", json!({ "privileged": true, "runAsUser": 7 }), None);
    check(text, "tty", Value::Null, Some(&text.replace("  tty: true\n", "")));
}

#[test]
fn a_mapping_that_may_get_the_key_from_elsewhere_is_left_alone() {
    for lines in [
        "  {{- toYaml .Values.more | nindent 2 }}\n",
        "  {{- include \"more\" . }}\n",
        "  {{- if .Values.a }}\n  securityContext:\n    privileged: true\n  {{- end }}\n  {{- if .Values.b }}\n  securityContext: {}\n  {{- end }}\n",
        "  securityContext:\n    {{- toYaml .Values.a | nindent 4 }}\n",
        "  securityContext:\n    {{- if .Values.a }}\n    privileged: true\n    {{- end }}\n    runAsUser: 1\n",
        "  {{ .Values.key }}: 1\n",
        "  {{ if .Values.a }}securityContext: {}{{ end }}\n",
    ] {
        let text = format!("- name: a\n{lines}");
        check(&text, "securityContext", json!({ "runAsNonRoot": true }), None);
    }
    check("- {name: a}\n", "securityContext", json!({}), None);
    check("- name: {{ if .a }}b\n  {{ end }}\n", "securityContext", json!({}), None);
}
