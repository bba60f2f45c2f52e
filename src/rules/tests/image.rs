//! What the rules about images say of references.

use serde_json::json;

use super::{Bench, in_kind};
use crate::pss::{Level, Version};

#[track_caller]
fn check(image: &str, expected: &[&str]) {
    let bench = Bench::new(Level::Restricted, Version::Latest);
    let spec = json!({"containers": [{"name": "a", "image": image}]});
    let findings = bench.findings(&in_kind("Pod", &json!({}), &spec));
    let found: Vec<&str> =
        findings.iter().map(|finding| finding.rule.id).filter(|id| id.starts_with("image-")).collect();
    assert_eq!(found, expected, "{image}");
}

#[test]
fn tags_that_move_are_told_from_digests() {
    check("nginx", &["image-tag-latest", "image-not-pinned"]);
    check("nginx:latest", &["image-tag-latest", "image-not-pinned"]);
    check("localhost:5000/nginx", &["image-tag-latest", "image-not-pinned"]);
    check("nginx:1.27", &["image-not-pinned"]);
    check("nginx@sha256:00", &[]);
    check("nginx:latest@sha256:00", &["image-tag-latest"]);
}

#[test]
fn what_is_filled_in_later_is_reported_and_has_no_tag() {
    for image in ["${IMAGE}", "$(IMAGE):latest", "{{ image }}", "app:${TAG}"] {
        check(image, &["image-not-pinned"]);
    }
    check("", &[]);
}
