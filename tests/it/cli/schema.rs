//! `check --format json` keeps the promise of its schema. The validator knows the words that the schema uses
//! and refuses any other, so that none goes unchecked.

use serde_json::Value;

use super::shop;
use crate::program::Folder;

fn validate(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Ok(()) };
    for (word, rule) in words {
        let holds = match word.as_str() {
            "$schema"
            | "title"
            | "description"
            | "format"
            | "$defs"
            | "minimum"
            | "maximum"
            | "additionalProperties" => true,
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                validate(value, root.pointer(target).unwrap(), root, at)?;
                true
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                types.iter().any(|name| is_a(value, name.as_str().unwrap()))
            }
            "required" => {
                rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        validate(value, rule, root, &format!("{at}/{key}"))?;
                    }
                }
                let known = rule.as_object().unwrap();
                value.as_object().unwrap().keys().all(|key| known.contains_key(key))
            }
            "items" => {
                for (idx, value) in value.as_array().into_iter().flatten().enumerate() {
                    validate(value, rule, root, &format!("{at}/{idx}"))?;
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| validate(value, rule, root, at).is_ok()),
            "pattern" => {
                let pattern = rule.as_str().unwrap();
                let choices = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$"));
                choices
                    .unwrap_or_else(|| panic!("the test does not know {pattern}"))
                    .split('|')
                    .any(|choice| value == choice)
            }
            _ => panic!("the test does not know `{word}` of JSON Schema"),
        };
        if !holds {
            return Err(format!("{at}: `{word}` does not hold for {value}"));
        }
    }
    Ok(())
}

/// Fails where a value is not as its schema says.
#[track_caller]
pub(crate) fn conforms(value: &Value, schema: &Value) {
    validate(value, schema, schema, "").unwrap();
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("the test does not know the type `{name}`"),
    }
}

#[track_caller]
fn check(folder: &Folder) -> Value {
    let schema = folder.run(&["check", "--schema"]).expect_code(0).json();
    let report = folder.run(&["check", "--format", "json"]).json();
    validate(&report, &schema, &schema, "").unwrap();
    report
}

#[test]
fn the_output_is_as_its_schema_says() {
    let folder = shop();
    folder.write("bad.yaml", "apiVersion: v1\nkind: Pod\n  bad: [\n");
    folder.write("caseharden.toml", "[[allow]]\nrule = \"host-port\"\nreason = \"was needed once\"\n");
    let report = check(&folder);
    for list in ["findings", "workloads", "namespaces", "skipped"] {
        assert!(!report[list].as_array().unwrap().is_empty(), "{list} is empty");
    }
    check(&super::hard());
}

#[test]
fn the_validator_tells_a_wrong_report() {
    let folder = shop();
    let schema = folder.run(&["check", "--schema"]).json();
    let mut report = folder.run(&["check", "--format", "json"]).json();
    report["findings"][0]["line"] = "7".into();
    assert!(validate(&report, &schema, &schema, "").is_err());
}

#[test]
fn the_fields_say_what_is_promised() {
    let report = check(&shop());
    let finding = |rule: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["rule"] == rule).unwrap().clone()
    };
    let seccomp = finding("seccomp-not-set");
    assert_eq!(seccomp["path"], "base/api.yaml");
    assert_eq!(seccomp["object"]["kind"], "Deployment");
    assert_eq!(seccomp["safety"], "safe");
    assert_eq!(seccomp["changes"][0]["op"], "add");
    assert_eq!(finding("image-not-pinned")["changes"], Value::Null);
    assert_eq!(finding("namespace-undefined")["new_files"][0]["path"], "batch/namespace.yaml");
    let shop = report["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|namespace| namespace["name"] == "shop")
        .unwrap();
    assert_eq!((&shop["enforceable"], &shop["after_fixes"]), (&"baseline".into(), &"restricted".into()));
    assert_eq!(report["skipped"][0]["reason"], "partial-object");
}
