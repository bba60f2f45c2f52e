//! Secrets that the real kubeseal and sops encrypt for the program come out again as they were, and nothing of what is
//! said or written on the way has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::program;
use crate::program::{Folder, Run};

/// Everything that a Secret may be. A namespace called `n` is a trap for programs that read YAML as kubeseal does.
const MANIFESTS: [(&str, &str); 3] = [
    (
        "all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings   # stays\n  namespace: n\ndata: {mode: fast}\n---\n# Of the database team.\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: \"n\"\n  labels: {app: shop}\n  annotations: {team: \"yes\"}\ntype: kubernetes.io/basic-auth\ndata:\n  username: c2hvcA==\n  password: b2xkLXZhbHVl\nstringData:\n  password: canary-one\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: n}\nspec: {ports: [{port: 80}]}\n",
    ),
    (
        "alone.yaml",
        "# Alone in its file.\napiVersion: v1\nkind: Secret\nmetadata:\n  name: binary\n  namespace: \"n\"\nimmutable: true\ndata:\n  key: //79/A==\n  \"on\": Y2FuYXJ5LXR3bw==\n",
    ),
    (
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- all.yaml\n- alone.yaml\n",
    ),
];

/// The data that these Secrets have in a cluster.
fn wanted() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("db", json!({"username": "c2hvcA==", "password": "Y2FuYXJ5LW9uZQ=="})),
        ("binary", json!({"key": "//79/A==", "on": "Y2FuYXJ5LXR3bw=="})),
    ])
}

const CANARIES: [&str; 4] = ["canary-one", "canary-two", "Y2FuYXJ5LW9uZQ==", "Y2FuYXJ5LXR3bw=="];

struct Bench {
    tools: PathBuf,
    folder: Folder,
}

impl Bench {
    fn new(tools: PathBuf, config: &str, more: &[(&str, &str)]) -> Bench {
        let files: Vec<(&str, &str)> =
            MANIFESTS.iter().chain(more).copied().chain([("caseharden.toml", config)]).collect();
        Bench { tools, folder: Folder::committed(&files) }
    }

    /// Runs the program with these tools in `PATH`.
    fn run(&self, args: &[&str]) -> Run {
        let mut command = self.folder.command(&self.folder.path(), env!("CARGO_BIN_EXE_caseharden"), args);
        command.env("PATH", with_path(&self.tools));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// What is shown and written has no value, and other documents stay as they were.
    fn apply(&self) {
        let shown =
            [&["check", "-v"][..], &["check", "--format", "json"], &["diff"], &["apply", "-v"]].map(|args| {
                let run = self.run(args);
                format!("{}{}", run.stdout, run.stderr)
            });
        let written = self.folder.tree();
        let written = written.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        for text in written.chain(shown) {
            assert!(!CANARIES.iter().any(|canary| text.contains(canary)), "{text}");
        }
        let all = self.folder.read("all.yaml");
        assert!(
            all.starts_with("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings   # stays\n"),
            "{all}"
        );
        assert!(all.ends_with("---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: n}\nspec: {ports: [{port: 80}]}\n"), "{all}");
        let again = self.run(&["diff", "--select", "secret-in-plain-manifest"]);
        assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    }
}

fn with_path(tools: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([tools.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The data of a Secret as another program prints it.
#[track_caller]
fn decrypted(text: &str) -> (String, Value, Value) {
    let secret: Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(secret["kind"], "Secret", "{secret}");
    (secret["metadata"]["name"].as_str().unwrap().to_owned(), secret["data"].clone(), secret)
}

#[test]
fn kubeseal_seals_what_it_unseals_to_the_same_secret() {
    let Some(tools) = program("CASEHARDEN_SECRET_TOOLS") else { return };
    let tools = PathBuf::from(tools);
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let keys = tempfile::tempdir().unwrap();
        let (key, certificate) = (keys.path().join("key.pem"), keys.path().join("seal.pem"));
        output(
            Command::new("openssl")
                .args([
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout",
                ])
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        );
        let config =
            format!("[secrets]\nstore = 'sealed-secrets'\ncertificate = 'seal.pem'\nscope = '{scope}'\n");
        let bench = Bench::new(
            tools.clone(),
            &config,
            &[("seal.pem", &std::fs::read_to_string(&certificate).unwrap())],
        );
        bench.apply();
        for (name, data) in wanted() {
            let file = if name == "db" { "all.yaml" } else { "alone.yaml" };
            let text = bench.folder.read(file);
            let sealed = text.split("---\n").find(|document| document.contains("SealedSecret")).unwrap();
            let at = keys.path().join("sealed.yaml");
            std::fs::write(&at, sealed).unwrap();
            let mut unseal = Command::new(tools.join("kubeseal"));
            unseal
                .args(["--recovery-unseal", "--recovery-private-key"])
                .arg(&key)
                .stdin(std::fs::File::open(&at).unwrap());
            let (found, found_data, secret) = decrypted(&output(&mut unseal));
            assert_eq!((found.as_str(), &found_data), (name, &data), "{scope}");
            if name == "db" {
                assert_eq!(secret["type"], "kubernetes.io/basic-auth");
                assert_eq!(secret["metadata"]["labels"]["app"], "shop");
                assert_eq!(secret["metadata"]["annotations"]["team"], "yes");
            } else {
                assert_eq!(secret["immutable"], true);
            }
        }
    }
    eprintln!("real: secrets: kubeseal unseals what it sealed in 3 scopes");
}

#[test]
fn sops_encrypts_what_it_decrypts_to_the_same_secret() {
    let Some(tools) = program("CASEHARDEN_SECRET_TOOLS") else { return };
    let tools = PathBuf::from(tools);
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("age.key");
    output(Command::new(tools.join("age-keygen")).arg("-o").arg(&key));
    let recipient = output(Command::new(tools.join("age-keygen")).arg("-y").arg(&key));
    let config = format!("[secrets]\nstore = 'sops'\nage = ['{}']\n", recipient.trim());
    let bench = Bench::new(tools.clone(), &config, &[]);
    bench.apply();
    assert!(!bench.folder.read("all.yaml").contains("Secret"), "its Secret has a file of its own");
    assert!(bench.folder.read("kustomization.yaml").ends_with("- alone.yaml\n- db.sops.yaml\n"));
    for (name, data) in wanted() {
        let file = bench.folder.path().join(if name == "db" { "db.sops.yaml" } else { "alone.yaml" });
        let mut decrypt = Command::new(tools.join("sops"));
        let decrypted =
            decrypted(&output(decrypt.arg("--decrypt").arg(&file).env("SOPS_AGE_KEY_FILE", &key)));
        assert_eq!((decrypted.0.as_str(), &decrypted.1), (name, &data));
    }
    eprintln!("real: secrets: sops decrypts what it encrypted, comments in front included");
}

#[test]
fn what_the_programs_refuse_is_reported_and_nothing_is_changed() {
    let Some(tools) = program("CASEHARDEN_SECRET_TOOLS") else { return };
    let config = "[secrets]\nstore = 'sealed-secrets'\ncertificate = 'seal.pem'\n";
    let bench = Bench::new(PathBuf::from(tools), config, &[("seal.pem", "no certificate\n")]);
    let before = bench.folder.tree();
    let run = bench.run(&["diff", "--select", "secret-in-plain-manifest", "--show-secrets"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    bench.run(&["apply", "--select", "secret-in-plain-manifest"]);
    assert_eq!(bench.folder.tree(), before);
    eprintln!("real: secrets: a certificate that is none changes nothing");
}
