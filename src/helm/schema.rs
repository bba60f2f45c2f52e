//! Whether a chart's `values.schema.json` lets a value be: as much of JSON Schema as charts use. What is not understood
//! is not let through.
//!
//! Helm checks all values of a chart against it before it renders: <https://helm.sh/docs/topics/charts/#schema-files>.

use serde_json::Value;

use crate::pointer::decoded;

/// Deeper than schemas refer to themselves.
const DEEPEST: usize = 40;

/// Whether the schema allows the value at a pointer of the values.
pub fn allows(schema: &Value, pointer: &str, value: &Value) -> bool {
    let path: Vec<String> = pointer.split('/').skip(1).map(decoded).collect();
    at(schema, schema, &path, value, 0)
}

fn at(root: &Value, schema: &Value, path: &[String], value: &Value, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    let schema = match schema {
        Value::Bool(allowed) => return *allowed,
        Value::Object(map) => map,
        _ => return false,
    };
    let inner = |schema: &Value, path: &[String]| at(root, schema, path, value, depth + 1);
    if let Some(reference) = schema.get("$ref") {
        let target = reference.as_str().and_then(|text| root.pointer(text.strip_prefix('#')?));
        if !target.is_some_and(|target| inner(target, path)) {
            return false;
        }
    }
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    if list("allOf").is_some_and(|all| !all.iter().all(|schema| inner(schema, path)))
        || ["anyOf", "oneOf"]
            .iter()
            .any(|key| list(key).is_some_and(|any| !any.iter().any(|schema| inner(schema, path))))
        || ["not", "if", "dependentSchemas", "patternProperties", "propertyNames"]
            .iter()
            .any(|key| schema.contains_key(*key))
    {
        return false;
    }
    let Some((first, rest)) = path.split_first() else {
        return is_right(schema, value) && inside(root, schema, value, depth);
    };
    let container = if first.parse::<usize>().is_ok() { "array" } else { "object" };
    if !(is_type(schema, container) || container == "array" && is_type(schema, "object")) {
        return false;
    }
    match schema.get("properties").and_then(|known| known.get(first)) {
        Some(property) => inner(property, rest),
        None => match (schema.get("additionalProperties"), schema.get("items")) {
            (_, Some(items)) if container == "array" => inner(items, rest),
            (Some(others), _) => inner(others, rest),
            (None, _) => true,
        },
    }
}

/// What is in a mapping or a list.
fn inside(root: &Value, schema: &serde_json::Map<String, Value>, value: &Value, depth: usize) -> bool {
    let schema = Value::Object(schema.clone());
    match value {
        Value::Object(map) => {
            map.iter().all(|(key, value)| at(root, &schema, std::slice::from_ref(key), value, depth + 1))
        }
        Value::Array(items) => items
            .iter()
            .all(|item| schema.get("items").is_none_or(|items| at(root, items, &[], item, depth + 1))),
        _ => true,
    }
}

fn is_right(schema: &serde_json::Map<String, Value>, value: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = is_type(schema, kind) || kind == "integer" && is_type(schema, "number");
    let is_one = schema.get("enum").and_then(Value::as_array).is_none_or(|all| all.contains(value));
    let is_it = schema.get("const").is_none_or(|only| only == value);
    let is_bounded = ["pattern", "format", "maxItems", "maxProperties", "maximum", "contains"]
        .iter()
        .any(|key| schema.contains_key(*key));
    is_kind && is_one && is_it && !is_bounded
}

fn is_type(schema: &serde_json::Map<String, Value>, kind: &str) -> bool {
    match schema.get("type") {
        None => true,
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(any)) => any.iter().any(|one| one == kind),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pointer: &str, value: Value, expected: bool) {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "open": { "type": "object" },
                "strict": { "$ref": "#/definitions/context" },
                "list": { "type": "array", "items": { "type": "object", "properties": { "name": { "type": "string" } } } },
                "odd": { "patternProperties": { "^a": {} } },
            },
            "definitions": { "context": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": { "runAsNonRoot": { "type": "boolean" }, "runAsUser": { "type": "integer" } },
            } },
        });
        assert_eq!(allows(&schema, pointer, &value), expected, "{pointer}: {value}");
    }

    #[test]
    fn values_fit_where_the_schema_says_so() {
        check("/open/anything/below", json!(true), true);
        check("/strict/runAsNonRoot", json!(true), true);
        check("/strict/runAsNonRoot", json!("true"), false);
        check("/strict/seccompProfile/type", json!("RuntimeDefault"), false);
        check("/strict", json!({ "runAsUser": 7 }), true);
        check("/strict", json!({ "other": 7 }), false);
        check("/new", json!({}), false);
        check("/list", json!([{ "name": "tmp", "emptyDir": {} }]), true);
        check("/list", json!([{ "name": 7 }]), false);
        check("/odd/a", json!(1), false);
    }
}
