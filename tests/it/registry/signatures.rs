//! Signatures in a real registry: made by the real cosign in both of its formats, and by openssl in cosign's layout
//! where cosign would not do what an attacker does.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use caseharden::image::Digest;
use serde_json::json;

use super::images::{Image, MANIFEST, Part, Push, index};
use super::real::{manifest, web};
use super::running::{Registry, is_missing, is_missing_go, output, program};
use crate::program::{Folder, Run};

/// A payload and its signature in base64.
type Signed = (Vec<u8>, String);

fn openssl(at: &Path, script: &str) {
    output(Command::new("sh").args(["-ec", script]).current_dir(at));
}

/// Keys `KIND.key` and `KIND.pub` in the folder.
fn keys(at: &Path) {
    openssl(
        at,
        "for k in team stranger; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $k.key; done
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key
         openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
         openssl genpkey -algorithm ED25519 -out ed25519.key
         for k in team stranger p384 rsa ed25519; do openssl pkey -in $k.key -pubout -out $k.pub; done",
    );
}

fn payload(digest: &Digest) -> Vec<u8> {
    let critical = json!({
        "identity": {"docker-reference": "registry.example.com/team/app"},
        "image": {"docker-manifest-digest": digest.as_str()},
        "type": "cosign container image signature",
    });
    json!({"critical": critical, "optional": null}).to_string().into_bytes()
}

fn sign(at: &Path, key: &str, payload: &[u8]) -> String {
    std::fs::write(at.join("payload"), payload).unwrap();
    let how = if key == "ed25519" { "-rawin" } else { "-digest sha256 -rawin" };
    openssl(at, &format!("openssl pkeyutl -sign -inkey {key}.key {how} -in payload -out signature"));
    STANDARD.encode(std::fs::read(at.join("signature")).unwrap())
}

/// Pushes signatures as cosign's first format has them: a manifest whose layers are payloads.
fn push_signatures(push: &Push<'_>, repository: &str, digest: &Digest, signatures: &[Signed]) {
    let config = Part { bytes: b"{}".to_vec(), media_type: "application/vnd.oci.image.config.v1+json" };
    let payloads: Vec<Part> = signatures
        .iter()
        .map(|(payload, _)| Part {
            bytes: payload.clone(),
            media_type: "application/vnd.dev.cosign.simplesigning.v1+json",
        })
        .collect();
    let layers: Vec<_> = payloads
        .iter()
        .zip(signatures)
        .map(|(payload, (_, signature))| {
            let mut layer = payload.descriptor();
            layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signature});
            layer
        })
        .collect();
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": layers});
    let manifest = Part { bytes: manifest.to_string().into_bytes(), media_type: MANIFEST };
    let blobs = [vec![config], payloads].concat();
    push.image(repository, &format!("sha256-{}.sig", digest.hex()), &Image { manifest, blobs });
}

fn verification(folder: &Folder, name: &str) -> toml::Value {
    let lock: toml::Table = folder.read("caseharden.lock").parse().unwrap();
    lock["image"][name].get("verification").cloned().unwrap_or(toml::Value::Boolean(false))
}

/// What the two rules say, as `rule: message`.
fn findings(folder: &Folder) -> Vec<String> {
    let args =
        ["check", "--format", "json", "--select", "image-not-signed", "--select", "image-signature-invalid"];
    let run: Run = folder.run(&args);
    let json = run.json();
    let shown = |finding: &serde_json::Value| {
        format!("{}: {}", finding["rule"].as_str().unwrap(), finding["message"].as_str().unwrap())
    };
    json["findings"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn what_openssl_signed_counts_by_the_right_key_for_the_right_image_only() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    let (host, origin) = (registry.host.clone(), format!("http://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    let at = registry.place.path();
    keys(at);
    let image = web("amd64");
    let all = index(&[("amd64", &image)]);
    let digest = all.digest();
    let good = payload(&digest);
    let other = Digest::of(b"another image");
    let cases: Vec<(&str, Vec<Signed>)> = vec![
        ("team", vec![(good.clone(), sign(at, "team", &good))]),
        ("p384", vec![(good.clone(), sign(at, "p384", &good))]),
        ("rsa", vec![(good.clone(), sign(at, "rsa", &good))]),
        ("ed25519", vec![(good.clone(), sign(at, "ed25519", &good))]),
        (
            "second",
            vec![(good.clone(), sign(at, "stranger", &good)), (good.clone(), sign(at, "team", &good))],
        ),
        ("stranger", vec![(good.clone(), sign(at, "stranger", &good))]),
        ("tampered", vec![(good.clone(), sign(at, "team", &payload(&other)))]),
        ("moved", vec![(payload(&other), sign(at, "team", &payload(&other)))]),
        ("none", Vec::new()),
    ];
    let names: Vec<String> = cases.iter().map(|(name, _)| format!("{host}/{name}:1")).collect();
    for (name, signatures) in &cases {
        push.image(name, "child", &image);
        push.manifest(name, "1", &all);
        if !signatures.is_empty() {
            push_signatures(&push, name, &digest, signatures);
        }
    }
    let folder = Folder::committed(&[]);
    folder.write("pods.yaml", manifest(&names));
    // Without keys: whether there are any.
    folder.run(&["lock"]).expect_code(0);
    let lock = folder.read("caseharden.lock");
    assert_eq!(lock.matches("signatures = [\"cosign\"]").count(), 8, "{lock}");
    assert!(!lock.contains("verification"), "{lock}");
    let not_signed = format!(
        "image-not-signed: container `c` of Pod/p8 runs `{host}/none:1`, which is not signed: its registry has no signature of {digest}"
    );
    assert_eq!(findings(&folder), [not_signed]);

    // With keys, what is locked keeps its digests and is checked.
    for key in ["team", "p384", "rsa", "ed25519"] {
        folder.write(&format!("keys/{key}.pub"), std::fs::read(at.join(format!("{key}.pub"))).unwrap());
    }
    folder.write(
        "caseharden.toml",
        format!("[[signature]]\nimage = '{host}/*'\nkeys = ['keys/team.pub', 'keys/p384.pub', 'keys/rsa.pub', 'keys/ed25519.pub']\n"),
    );
    assert!(findings(&folder).iter().all(|finding| finding.contains("whose signature was not checked")));
    let stale = folder.run(&["lock", "--check"]).expect_code(1);
    assert!(stale.stdout.contains("locked before its signature was checked"), "{}", stale.stdout);
    let run = folder.run(&["lock"]).expect_code(0);
    assert!(run.stderr.contains("0 new, 0 moved"), "{}", run.stderr);
    assert!(run.stderr.contains("its signature does not count"), "{}", run.stderr);
    let by = |name: &str| {
        let found = verification(&folder, &format!("{host}/{name}:1"));
        let text = |key: &str| found.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        text("signed-by").or_else(|| text("fault"))
    };
    for (name, expected) in [
        ("team", Some("keys/team.pub".to_owned())),
        ("p384", Some("keys/p384.pub".to_owned())),
        ("rsa", Some("keys/rsa.pub".to_owned())),
        ("ed25519", Some("keys/ed25519.pub".to_owned())),
        ("second", Some("keys/team.pub".to_owned())),
        ("stranger", Some("none of the keys made it, or what it signs was changed".to_owned())),
        ("tampered", Some("none of the keys made it, or what it signs was changed".to_owned())),
        ("moved", Some(format!("keys/team.pub signed another image, {other}"))),
        ("none", None),
    ] {
        assert_eq!(by(name), expected, "{name}");
    }
    let found = findings(&folder);
    let invalid = found.iter().filter(|finding| finding.starts_with("image-signature-invalid: ")).count();
    assert_eq!((invalid, found.len()), (3, 4), "{found:#?}");
    folder.run(&["lock", "--check"]).expect_code(0);
    let lock = folder.read("caseharden.lock");
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock"), lock);

    // Who writes the lock by hand is found out.
    let forged = lock.replace(
        "verification.fault = \"none of the keys made it, or what it signs was changed\"",
        "verification.signed-by = \"keys/team.pub\"",
    );
    folder.write("caseharden.lock", &forged);
    let check = folder.run(&["lock", "--check"]).expect_code(1);
    assert_eq!(
        check.stdout.matches("the lock says signed by keys/team.pub, its registry a signature that").count(),
        2
    );

    // Another key under the same name is another key.
    std::fs::copy(at.join("stranger.pub"), folder.path().join("keys/team.pub")).unwrap();
    folder.run(&["lock"]).expect_code(0);
    let by = |name: &str| verification(&folder, &format!("{host}/{name}:1")).get("signed-by").is_some();
    assert!(by("stranger") && !by("team") && by("second"));
    // A key that is none stops before anything is asked.
    folder.write("keys/team.pub", "-----BEGIN PRIVATE KEY-----\n");
    let refused = folder.run(&["lock"]).expect_code(2);
    assert!(refused.stderr.contains("keys/team.pub: a private key"), "{}", refused.stderr);
}

fn cosign(at: &Path, args: &[&str]) {
    let mut command = Command::new(program("cosign").unwrap());
    command.args(args).current_dir(at).env("COSIGN_PASSWORD", "").env("HOME", at);
    output(&mut command);
}

#[test]
fn what_cosign_signed_counts_in_both_of_its_formats() {
    if is_missing_go(&["cosign", "crane"]) {
        return;
    }
    for registry in [Registry::start(false), Registry::start_crane()] {
        let (host, origin) = (registry.host.clone(), format!("http://{}", registry.host));
        let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
        let at = registry.place.path();
        let image = web("amd64");
        let all = index(&[("amd64", &image)]);
        for name in ["old", "new", "provenance", "none"] {
            push.image(name, "child", &image);
            push.manifest(name, "1", &all);
        }
        cosign(at, &["generate-key-pair"]);
        let common = [
            "--key",
            "cosign.key",
            "--yes",
            "--allow-http-registry",
            "--tlog-upload=false",
            "--use-signing-config=false",
        ];
        for (name, format) in [("old", "--new-bundle-format=false"), ("new", "--new-bundle-format=true")] {
            let target = format!("{host}/{name}@{}", all.digest());
            cosign(at, &[&["sign", format], &common[..], &[&target]].concat());
        }
        // Provenance is a bundle too, by the same key, and no signature.
        std::fs::write(at.join("predicate"), r#"{"buildDefinition": {}, "runDetails": {}}"#).unwrap();
        let target = format!("{host}/provenance@{}", all.digest());
        cosign(
            at,
            &[
                &["attest", "--new-bundle-format=true", "--type=slsaprovenance1", "--predicate=predicate"],
                &common[..],
                &[&target],
            ]
            .concat(),
        );

        let folder = Folder::committed(&[]);
        let names = ["old", "new", "provenance", "none"].map(|name| format!("{host}/{name}:1"));
        folder.write("pods.yaml", manifest(&names));
        std::fs::copy(at.join("cosign.pub"), folder.path().join("cosign.pub")).unwrap();
        folder
            .write("caseharden.toml", format!("[[signature]]\nimage = '{host}/*'\nkeys = ['cosign.pub']\n"));
        folder.run(&["lock"]).expect_code(0);
        let lock: toml::Table = folder.read("caseharden.lock").parse().unwrap();
        for (name, kinds) in
            [("old", &["cosign"][..]), ("new", &["sigstore-bundle"]), ("provenance", &[]), ("none", &[])]
        {
            let entry = &lock["image"][&format!("{host}/{name}:1")];
            assert_eq!(entry["signatures"], toml::Value::try_from(kinds).unwrap(), "{name} at {host}");
            let signed_by = entry["verification"].get("signed-by").and_then(toml::Value::as_str);
            assert_eq!(signed_by, (!kinds.is_empty()).then_some("cosign.pub"), "{name} at {host}");
        }
        assert_eq!(findings(&folder).len(), 2, "{:?}", findings(&folder));
    }
}
