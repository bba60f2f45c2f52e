//! What real engines make of the policies of `generate admission`: they let the hardened example in and refuse the
//! original, and on pods of every kind they say what the evaluator of the Pod Security Standards says.
//! `tests/real/admission` builds the engines and names them in the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use caseharden::admission::{Group, Requirement, requirements};
use caseharden::config::Config;
use caseharden::model::Model;
use caseharden::pss::{Level, Pod, Version, check, evaluate};
use caseharden::repo::{self, Disk, Root};
use serde_json::{Value, json};

use super::access::Server;
use super::{none_of, program};
use crate::corpus;
use crate::program::{Folder, Run, tree};
use crate::pss::{Dice, random_pod};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The database writes beside its data, and somebody said so.
const CONFIG: &str = "\
[[allow]]
rule = \"root-filesystem-writable\"
object = \"StatefulSet/database\"
reason = \"its socket lies beside its programs\"
";

/// The example of the README with digests for its images, before or after its fixes.
fn shop(hardened: bool) -> Folder {
    let folder = Folder::new();
    for (path, bytes) in tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/shop/before")) {
        folder.write(&path, bytes);
    }
    let images = [
        "registry.example.com/platform/node-agent:3.1.0",
        "registry.example.com/shop/api:2.3.0",
        "registry.example.com/shop/log-shipper:0.4.0",
        "registry.example.com/shop/report:latest",
        "registry.example.com/shop/web:1.8.2",
        "docker.io/library/postgres:16.4",
    ];
    let mut images: Vec<&str> = images.to_vec();
    images.sort_unstable();
    let entry = |image: &&str| {
        format!(
            "\n[image.\"{image}\"]\ndigest = \"{DIGEST}\"\n\
             media-type = \"application/vnd.oci.image.index.v1+json\"\nplatforms = [\"linux/amd64\"]\n\
             signatures = []\n"
        )
    };
    let lock: String = images.iter().map(entry).collect();
    folder.write("caseharden.lock", format!("version = 1\n{lock}"));
    folder.write("caseharden.toml", CONFIG);
    folder.git(&["init", "--quiet", "--template="]);
    if hardened {
        folder.run(&["apply", "--allow-dirty"]).expect_code(0);
    }
    folder
}

/// The workloads of a repo, each in the namespace it lands in.
fn workloads(root: &Path) -> Vec<Value> {
    let root = Root::find(&[root.to_owned()]).unwrap();
    let disk = Disk::new(root.folder.clone());
    let listing = disk.list(&root.wanted);
    let config = Config::default();
    let repo = repo::read(&disk, listing, &config, &|| ());
    let model = Model::new(&repo, &config.workloads);
    let placed = |object: &caseharden::model::Object| {
        let mut value = model.value(object)?;
        value["metadata"]["namespace"] = json!(model.namespaces(object).first()?);
        Some(value)
    };
    model.objects().filter(|object| object.layout.is_some()).filter_map(placed).collect()
}

fn policies(repo: &Folder, engine: &str, more: &[&str]) -> Vec<(PathBuf, String)> {
    let target = tempfile::tempdir().unwrap();
    let output = target.path().to_str().unwrap().to_owned();
    let command = ["generate", "admission", "--engine", engine, "--output", &output];
    repo.run(&[&command, more].concat()).expect_code(0);
    let files = tree(target.path()).into_iter();
    files.map(|(path, bytes)| (PathBuf::from(path), String::from_utf8(bytes).unwrap())).collect()
}

fn values(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

/// Writes objects and policies side by side, as the command lines of engines want them.
fn laid_out(policies: &[(PathBuf, String)], objects: &[Value]) -> Folder {
    let folder = Folder::new();
    for (path, text) in policies {
        folder.write(&format!("policies/{}", path.display()), text);
    }
    let documents: Vec<String> = objects.iter().map(|object| in_ascii(&object.to_string())).collect();
    folder.write("objects.yaml", documents.join("\n---\n"));
    folder
}

/// JSON that every reader of YAML takes: those of Go refuse some characters that JSON may hold, and surrogates.
fn in_ascii(json: &str) -> String {
    let escaped = |c: char| match u32::from(c) {
        0x20..0x7f | 0x10000.. => c.to_string(),
        code => format!("\\u{code:04x}"),
    };
    json.chars().map(escaped).collect()
}

fn name(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

/// Each workload of the example that is not of a system namespace.
const OF_SHOP: [&str; 4] = ["CronJob/report", "Deployment/api", "Deployment/web", "StatefulSet/database"];

/// What an engine refuses, of policy files and objects.
type Refused<'a> = dyn Fn(&[(PathBuf, String)], &[Value]) -> BTreeSet<String> + 'a;

#[track_caller]
fn check_shop(engine: &str, refused: &Refused<'_>) {
    let after = shop(true);
    for more in [&[][..], &["--enforce"]] {
        let policies = policies(&after, engine, more);
        // What the fixes make is what counts, made or not.
        assert_eq!(policies, self::policies(&shop(false), engine, more), "{engine}");
        let none = refused(&policies, &workloads(&after.path()));
        assert_eq!(none, BTreeSet::new(), "{engine} refuses what is hardened");
        let all: BTreeSet<String> = OF_SHOP.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(refused(&policies, &workloads(&shop(false).path())), all, "{engine} lets the original in");
    }
    eprintln!("real: policies for {engine} refuse the example and take it hardened");
}

/// Asks Gatekeeper's own command line; what each object breaks, by message.
fn gator(
    gator: &Path,
    policies: &[(PathBuf, String)],
    objects: &[Value],
) -> BTreeMap<String, BTreeSet<String>> {
    let folder = laid_out(policies, objects);
    let args = ["test", "-f", "policies", "-f", "objects.yaml", "--output", "json"];
    let run = folder.run_in(&folder.path(), gator.to_str().unwrap(), &args, b"");
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let found: Vec<Value> = serde_json::from_str(&run.stdout).unwrap_or_default();
    let mut broken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for violation in &found {
        let message = violation["msg"].as_str().unwrap();
        assert!(!message.contains("rror"), "{message}");
        broken.entry(name(&violation["violatingObject"])).or_default().insert(message.to_owned());
    }
    broken
}

#[test]
fn gatekeeper_keeps_the_example_hardened() {
    let Some(program) = program("CASEHARDEN_GATOR") else { return };
    check_shop("gatekeeper", &|policies, objects| {
        gator(Path::new(&program), policies, objects).into_keys().collect()
    });
}

#[test]
fn kyverno_keeps_the_example_hardened() {
    let Some(program) = program("CASEHARDEN_KYVERNO") else { return };
    check_shop("kyverno", &|policies, objects| {
        let run = kyverno(Path::new(&program), policies, objects);
        let report =
            &run.stdout[run.stdout.find("apiVersion:").unwrap_or_else(|| panic!("{}", run.stdout))..];
        let report: Value = serde_yaml::from_str(report).unwrap();
        let results = report["results"].as_array().unwrap();
        assert!(results.len() >= objects.len() - 1, "not every object was looked at: {}", run.stdout);
        let failed = results.iter().filter(|result| result["result"] != "pass");
        failed
            .flat_map(|result| result["resources"].as_array().unwrap())
            .map(|object| {
                format!("{}/{}", object["kind"].as_str().unwrap(), object["name"].as_str().unwrap())
            })
            .collect()
    });
}

fn kyverno(program: &Path, policies: &[(PathBuf, String)], objects: &[Value]) -> Run {
    let folder = laid_out(policies, objects);
    let args = ["apply", "policies", "-r", "objects.yaml", "--policy-report", "--remove-color"];
    folder.run_in(&folder.path(), program.to_str().unwrap(), &args, b"")
}

#[test]
fn the_api_server_keeps_the_example_hardened() {
    let Some(program) = program("CASEHARDEN_RBAC_ORACLE") else { return };
    let server = std::sync::Mutex::new(super::access::alone(&program));
    check_shop("vap", &|policies, objects| {
        let mut server = server.lock().unwrap();
        let verdicts = admit(&mut server.0, policies, objects);
        let enforced = policies.iter().any(|(_, text)| text.contains("[Deny, Audit]"));
        let broken = objects.iter().zip(verdicts).filter(|(object, (refused, warnings))| {
            assert!(refused.is_empty() || refused.contains("denied request"), "{}: {refused}", name(object));
            assert!(enforced || refused.is_empty(), "{refused}");
            !refused.is_empty() || warnings.iter().any(|text| text.contains("Validation failed"))
        });
        broken.map(|(object, _)| name(object)).collect()
    });
}

/// Makes the policies, tries each object, and answers with the refusal and the warnings of each.
fn admit(
    server: &mut Server,
    policies: &[(PathBuf, String)],
    objects: &[Value],
) -> Vec<(String, Vec<String>)> {
    let namespaces: BTreeSet<&str> =
        objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
    let namespace =
        |name: &&str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let is_there = |name: &&&str| !["default", "kube-system"].contains(*name);
    let mut made: Vec<Value> = namespaces.iter().filter(is_there).map(namespace).collect();
    made.extend(policies.iter().flat_map(|(_, text)| values(text)));
    let answer = server.ask(&json!({"op": "admit", "objects": made, "try": objects}));
    let verdicts = answer["verdicts"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(verdicts.len(), objects.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    verdicts
        .iter()
        .map(|verdict| {
            (text(&verdict["refused"]), verdict["warnings"].as_array().unwrap().iter().map(text).collect())
        })
        .collect()
}

/// A repo that meets everything, so that its policies ask for everything.
fn meets_all(version: Version) -> Folder {
    let folder = Folder::new();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample", "namespace": "sample"},
        "spec": {
            "serviceAccountName": "sample", "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "sample", "image": format!("registry.example.com/sample:1@{DIGEST}"),
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    folder.write("pod.json", pod.to_string());
    folder.write("caseharden.toml", format!("profile = \"restricted@{version}\"\n"));
    folder.git(&["init", "--quiet", "--template="]);
    folder
}

fn asked(version: Version) -> Vec<Requirement> {
    let all = requirements(Level::Restricted, version).into_iter();
    all.filter(|requirement| requirement.group == Group::PodSecurity && check(requirement.id).is_some())
        .collect()
}

/// A value as the API server would hand it on: nothing that is null.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_null(value)))
            .collect(),
        Value::Array(items) => items.into_iter().filter(|value| !value.is_null()).map(without_null).collect(),
        other => other,
    }
}

#[test]
fn gatekeeper_says_of_random_pods_what_the_evaluator_says() {
    let Some(program) = program("CASEHARDEN_GATOR") else { return };
    let mut dice = Dice::new(8);
    let mut faults = Vec::new();
    for minor in [22, 30, 37] {
        let version = Version::Minor(minor);
        let pods: Vec<Value> = (0..1500)
            .map(|n| {
                let mut pod = without_null(random_pod::pod(&mut dice));
                pod["apiVersion"] = json!("v1");
                pod["kind"] = json!("Pod");
                pod["metadata"]["name"] = json!(format!("pod-{n}"));
                pod["metadata"]["namespace"] = json!("sample");
                pod
            })
            .collect();
        let policies = policies(&meets_all(version), "gatekeeper", &["--select", "pod"]);
        let broken = gator(Path::new(&program), &policies, &pods);
        let asked = asked(version);
        let mut refused = 0;
        for pod in &pods {
            let found = broken.get(&name(pod)).cloned().unwrap_or_default();
            let found: BTreeSet<&str> = asked
                .iter()
                .filter(|one| found.iter().any(|text| text.starts_with(one.message)))
                .map(|one| one.message)
                .collect();
            let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object);
            let violated = evaluate(&Pod::new(annotations, &pod["spec"]), Level::Restricted, version);
            let message = |id: &str| asked.iter().find(|one| one.id == id).map(|one| one.message);
            let expected: BTreeSet<&str> =
                violated.iter().filter_map(|violation| message(violation.check)).collect();
            refused += usize::from(!expected.is_empty());
            if found != expected {
                faults.push(format!("{version}: {found:?} instead of {expected:?}: {pod}"));
            }
        }
        assert!(refused > 100 && refused < pods.len(), "{refused} of {} pods refused", pods.len());
    }
    none_of(&faults);
    eprintln!("real: expressions agree with the evaluator on 4500 random pods at 3 versions");
}

/// Upstream's fixtures of the newest version, in a namespace that the policies are for.
fn fixtures(kind: &str) -> Option<Vec<(String, Value)>> {
    let root = PathBuf::from(std::env::var_os("CASEHARDEN_CORPORA")?).join("../pss/restricted");
    let minor = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("v1.").and_then(|minor| minor.parse::<u32>().ok())
    };
    let folders: Vec<PathBuf> = fs::read_dir(root).ok()?.map(|entry| entry.unwrap().path()).collect();
    let newest = folders.iter().max_by_key(|path| minor(path))?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(newest.join(kind)).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let mut pod: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        pod["metadata"]["namespace"] = json!("sample");
        pod["metadata"]["name"] = json!(pod["metadata"]["name"].as_str().unwrap().replace('_', "-"));
        (path.file_name().unwrap().to_str().unwrap().to_owned(), pod)
    };
    Some(files.into_iter().map(read).collect())
}

#[test]
fn the_api_server_judges_upstreams_fixtures_as_they_are_meant() {
    let Some(program) = program("CASEHARDEN_RBAC_ORACLE") else { return };
    let (Some(pass), Some(fail)) = (fixtures("pass"), fixtures("fail")) else {
        eprintln!("skipped: no fixtures beside $CASEHARDEN_CORPORA");
        return;
    };
    let mut server = super::access::alone(&program);
    // Fixtures have writable roots: only the standards are asked.
    let rules: BTreeSet<&str> =
        asked(Version::Latest).into_iter().flat_map(|requirement| requirement.rules).collect();
    let select = rules.into_iter().collect::<Vec<_>>().join(",");
    let policies = policies(&meets_all(Version::Latest), "vap", &["--enforce", "--select", &select]);
    let mut faults = Vec::new();
    for (fixtures, refuses) in [(&pass, false), (&fail, true)] {
        assert!(!fixtures.is_empty());
        let pods: Vec<Value> = fixtures.iter().map(|(_, pod)| pod.clone()).collect();
        for ((file, _), (refused, _)) in fixtures.iter().zip(admit(&mut server.0, &policies, &pods)) {
            // What is invalid anyway is refused before any policy is asked.
            let is_invalid = refuses && refused.contains("`hostUsers` must be false");
            if refuses != refused.contains("caseharden-pod-security") && !is_invalid {
                faults.push(format!("{file}: {refused}"));
            }
        }
    }
    none_of(&faults);
    eprintln!("real: the API server judges {} fixtures as they are meant", pass.len() + fail.len());
}

const SIGNED: &str = "
[[signature]]
image = \"registry.example.com/shop/**\"
keys = [\"keys/release.pub\"]
[[signature]]
image = \"docker.io/library/*\"
issuer = \"https://token.actions.githubusercontent.com\"
subject = \"https://github.com/example/*@refs/heads/main\"
";

fn signed_shop() -> Folder {
    let folder = shop(false);
    folder.write("keys/release.pub", KEY);
    folder.write("caseharden.toml", SIGNED);
    folder
}

/// A public key on P-256, made for this test.
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH6NSB3cFVvshHqo4HP+Fg08Chhyg
w1qFfqX0RBBIGjslMq+g754YPPVtGOryitxxSK8vlh6qFMrhg3Fbn/9qow==
-----END PUBLIC KEY-----
";

#[test]
fn policy_controller_takes_its_policies() {
    let Some(program) = program("CASEHARDEN_POLICY_CONTROLLER") else { return };
    let files = policies(&signed_shop(), "policy-controller", &[]);
    assert_eq!(files.len(), 2);
    let complaints = |text: &str| {
        let mut child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    for (path, text) in &files {
        assert_eq!(complaints(text), "", "{}", path.display());
        assert!(
            complaints(&text.replace("mode: warn", "mode: shout")).contains("mode"),
            "nothing is checked"
        );
    }
    eprintln!("real: policy-controller takes {} policies", files.len());
}

/// No registry is there: that the policy asks for one says that Kyverno has read it and found the images.
#[test]
fn kyverno_reads_image_policies() {
    let Some(program) = program("CASEHARDEN_KYVERNO") else { return };
    let files: Vec<_> = policies(&signed_shop(), "kyverno", &["--select", "image"])
        .into_iter()
        .filter(|(path, _)| path.starts_with("signatures-1.yaml") || path.starts_with("signatures-2.yaml"))
        .collect();
    assert_eq!(files.len(), 2);
    let pod = |image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"},
            "spec": {"containers": [{"name": "c", "image": image}]},
        })
    };
    for (image, passes) in [("127.0.0.1:9/other:1", true), ("registry.example.com/shop/web:1", false)] {
        let run = kyverno(Path::new(&program), &files, &[pod(image)]);
        let has_error = run.stdout.contains("result: error") || run.stdout.contains("result: fail");
        assert_eq!(has_error, !passes, "{image}: {}{}", run.stdout, run.stderr);
    }
    eprintln!("real: kyverno reads image policies");
}

/// Real repos: whatever is generated of them is taken, and refuses nothing of what it was made from.
#[test]
fn gatekeeper_lets_hardened_repos_in() {
    let Some(program) = program("CASEHARDEN_GATOR") else { return };
    let mut n_objects = 0;
    let mut faults = Vec::new();
    for repo in corpus::repos().unwrap_or_default() {
        let folder = corpus::copy(&repo);
        let target = tempfile::tempdir().unwrap();
        let output = target.path().to_str().unwrap().to_owned();
        let command = ["generate", "admission", "--engine", "gatekeeper", "--output", &output];
        let run = folder.run(&command);
        if run.stderr.contains("nothing that a policy could ask for") {
            continue;
        }
        let files: Vec<(PathBuf, String)> = tree(target.path())
            .into_iter()
            .map(|(path, bytes)| (PathBuf::from(path), String::from_utf8(bytes).unwrap()))
            .collect();
        folder.run(&["apply", "--allow-dirty"]);
        let mut objects: Vec<Value> = workloads(&folder.path()).into_iter().map(without_null).collect();
        // Namesakes of different folders are one object to the engine.
        for (n, object) in objects.iter_mut().enumerate() {
            object["metadata"]["name"] = json!(format!("n{n}"));
        }
        objects.retain(|object| {
            let known = ["v1", "apps/v1", "batch/v1"];
            object["apiVersion"].as_str().is_some_and(|version| known.contains(&version))
        });
        n_objects += objects.len();
        for (object, messages) in gator(Path::new(&program), &files, &objects) {
            faults.push(format!("{}: {object}: {messages:?}", corpus::name(&repo)));
        }
    }
    eprintln!("real: gatekeeper lets {n_objects} hardened workloads in");
    none_of(&faults);
}

#[test]
fn actionlint_finds_nothing_in_workflows() {
    let Some(program) = program("CASEHARDEN_ACTIONLINT") else { return };
    for (config, scanner) in [("", "trivy"), ("", "snyk"), (SIGNED, "grype")] {
        let folder = Folder::new();
        folder.git(&["init", "--quiet", "--template="]);
        folder.write("keys/release.pub", KEY);
        folder.write("caseharden.toml", config);
        let command = ["generate", "pipeline", "--ci", "github", "--scanner", scanner, "--output", "."];
        folder.run(&command).expect_code(0);
        let files = [".github/workflows/caseharden.yaml", ".github/workflows/caseharden-sign.yaml"];
        let lint = |files: &[&str]| {
            folder.run_in(
                &folder.path(),
                program.to_str().unwrap(),
                &[&["-shellcheck="], files].concat(),
                b"",
            )
        };
        lint(&files).expect_code(0);
        folder.write(files[0], folder.read(files[0]).replace("runs-on", "runs-in"));
        lint(&files).expect_code(1);
    }
    eprintln!("real: actionlint finds nothing in 3 pairs of workflows");
}
