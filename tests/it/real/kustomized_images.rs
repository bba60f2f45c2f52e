//! What `kustomize build` makes of pins: `newTag` and `digest` render as `name:tag@digest`, and an overlay's win over
//! the base's.

use std::path::Path;

use super::program;
use crate::corpus;

/// A golden case, a folder to build, and what its image starts with.
const BUILDS: &[(&str, &str, &str)] = &[
    ("overlay-beats-the-base", "prod", "nginx:1.26@sha256:"),
    ("overlay-beats-the-base", "dev", "nginx:1.25@sha256:"),
    ("overlay-that-is-not-locked-keeps-the-base", "prod", "nginx:1.26"),
    ("where-the-kustomization-chooses", "prod", "registry.example.com/shop/web:2.0.0@sha256:"),
    ("kustomization-in-flow", ".", "nginx:1.10@sha256:"),
    ("kustomization-names-another-registry", ".", "registry.example.com/mirror/nginx:1.25"),
    ("patches", ".", "nginx:1.27@sha256:"),
];

#[test]
fn builds_render_the_digests_of_the_last_place_that_names_an_image() {
    let Some(kustomize) = program("CASEHARDEN_KUSTOMIZE") else { return };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/image-not-pinned");
    for (case, folder, image) in BUILDS {
        let repo = corpus::copy(&golden.join(case).join("before"));
        let lock: toml::Table = repo.read("caseharden.lock").parse().unwrap();
        repo.run(&["apply", "--quiet", "--allow-dirty", "--select", "image-not-pinned"]);
        let output = repo.command(&repo.path(), &kustomize.to_string_lossy(), &["build", folder]).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix("image: "));
        let found = line.unwrap_or_else(|| panic!("{case}: {}", String::from_utf8_lossy(&output.stderr)));
        assert!(found.starts_with(image), "{case}/{folder}: {found}");
        if let Some((name, digest)) = found.split_once('@') {
            let entries = lock["image"].as_table().unwrap();
            let known = entries.iter().find(|(reference, _)| reference.ends_with(name)).unwrap();
            assert_eq!(known.1["digest"].as_str(), Some(digest), "{case}/{folder}");
        }
    }
    eprintln!("real: {} builds with pinned images", BUILDS.len());
}
