//! What builds make of objects, as `kustomize build` (v5) would.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::Config;
use crate::model::Model;
use crate::repo::Snapshot;

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
                   containers: [{name: web, image: web}]\n";

/// What every way through the builds makes of the first object of `base/web.yaml`.
fn made(files: &[(&str, &str)]) -> Vec<Value> {
    let texts: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let source = Snapshot::new(|path: &str| {
        Ok(texts.get(path).ok_or(std::io::ErrorKind::NotFound)?.clone().into_bytes())
    });
    let listing = source.list(texts.keys().cloned(), &[String::new()]);
    let repo = crate::repo::read(&source, listing, &Config::default(), &|| ());
    let model = Model::new(&repo, &[]);
    let object = model.objects().find(|object| model.file(object).path == "base/web.yaml").unwrap();
    let value = model.value(object).unwrap();
    let ways = model.builds.ways("base/web.yaml");
    ways.iter().map(|way| model.builds.at_end(way, &object.id, &value).into_owned()).collect()
}

#[track_caller]
fn check(files: &[(&str, &str)], pointer: &str, expected: Value) {
    let found: Vec<Value> =
        made(files).iter().map(|made| made.pointer(pointer).cloned().unwrap_or_default()).collect();
    assert_eq!(Value::from(found), expected);
}

const BASE: (&str, &str) = ("base/kustomization.yaml", "resources: [web.yaml]\n");

#[test]
fn names_get_the_prefixes_and_suffixes_of_all_that_take_them() {
    check(
        &[
            ("base/web.yaml", WEB),
            ("base/kustomization.yaml", "resources: [web.yaml]\nnamePrefix: shop-\n"),
            ("dev/kustomization.yaml", "resources: [../base]\nnamePrefix: dev-\nnameSuffix: -v1\n"),
            ("prod/kustomization.yaml", "resources: [../base]\n"),
        ],
        "/metadata/name",
        json!(["dev-shop-web-v1", "shop-web"]),
    );
}

#[test]
fn labels_reach_templates_and_selectors_where_they_are_meant_to() {
    let labels = |text: &str| format!("resources: [../base]\n{text}");
    let check_labels = |text: &str, template: Value, selector: Value| {
        let files = [("base/web.yaml", WEB), BASE, ("o/kustomization.yaml", &labels(text))];
        check(&files, "/metadata/labels", json!([{"a": "b"}]));
        check(&files, "/spec/template/metadata/labels", json!([template]));
        check(&files, "/spec/selector/matchLabels", json!([selector]));
    };
    check_labels("commonLabels: {a: b}\n", json!({"a": "b"}), json!({"a": "b"}));
    check_labels("labels: [{pairs: {a: b}, includeSelectors: true}]\n", json!({"a": "b"}), json!({"a": "b"}));
    check_labels("labels: [{pairs: {a: b}, includeTemplates: true}]\n", json!({"a": "b"}), Value::Null);
    check_labels("labels: [{pairs: {a: b}}]\n", Value::Null, Value::Null);
}

#[test]
fn selectors_of_policies_get_labels_only_where_they_have_some() {
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  \
                  ingress:\n    - from:\n        - podSelector: {matchLabels: {app: x}}\n        - podSelector: \
                  {matchExpressions: [{key: app, operator: In, values: [z]}]}\n";
    let files = [
        ("base/web.yaml", policy),
        BASE,
        ("o/kustomization.yaml", "resources: [../base]\ncommonLabels: {a: b}\n"),
    ];
    check(&files, "/spec/podSelector", json!([{}]));
    check(
        &files,
        "/spec/ingress/0/from",
        json!([[
            {"podSelector": {"matchLabels": {"app": "x", "a": "b"}}},
            {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["z"]}]}},
        ]]),
    );
}

#[test]
fn components_change_what_the_kustomization_that_lists_them_takes() {
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\npatches:\n  - patch: \
                     |\n      kind: Deployment\n      metadata: {name: web}\n      spec: {replicas: 3}\n";
    let files = [
        ("base/web.yaml", WEB),
        BASE,
        ("c/kustomization.yaml", component),
        ("with/kustomization.yaml", "resources: [../base]\ncomponents: [../c]\nnamePrefix: w-\n"),
        ("without/kustomization.yaml", "resources: [../base]\n"),
    ];
    check(&files, "/metadata/name", json!(["w-web-c", "web"]));
    check(&files, "/spec/replicas", json!([3, null]));
}

#[test]
fn patches_are_for_the_names_that_their_targets_match() {
    let overlay = |target: &str| {
        format!(
            "resources: [../base]\nnamePrefix: x-\npatches:\n  - target: {target}\n    patch: '[{{op: add, path: /spec/replicas, value: 2}}]'\n"
        )
    };
    for (target, expected) in [
        ("{kind: Deployment, name: web}", json!(2)),
        ("{kind: Deployment, name: w.*}", json!(2)),
        ("{kind: Deployment, name: api|web}", json!(2)),
        ("{kind: StatefulSet}", Value::Null),
        ("{kind: Deployment, name: we}", Value::Null),
        // Only kustomize's own engine could tell.
        ("{kind: Deployment, name: \"w[a-f]b\"}", Value::Null),
        ("{kind: Deployment, labelSelector: app=web}", Value::Null),
    ] {
        let files = [("base/web.yaml", WEB), BASE, ("o/kustomization.yaml", &overlay(target))];
        check(&files, "/spec/replicas", json!([expected]));
    }
}

#[test]
fn a_base_that_is_taken_twice_goes_two_ways() {
    check(
        &[
            ("base/web.yaml", WEB),
            BASE,
            ("a/kustomization.yaml", "resources: [../base]\nnamePrefix: a-\n"),
            ("b/kustomization.yaml", "resources: [../base]\nnamePrefix: b-\n"),
            ("all/kustomization.yaml", "resources: [../a, ../b]\nnamespace: shop\n"),
        ],
        "/metadata/name",
        json!(["a-web", "b-web"]),
    );
}

#[test]
fn kinds_that_nobody_may_rename_keep_their_names() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let files = [
        ("base/web.yaml", namespace),
        BASE,
        ("o/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
    ];
    check(&files, "/metadata/name", json!(["shop"]));
}
