//! Random pods judged by upstream's own code: `$CASEHARDEN_PSA_ORACLE` names a program that reads manifests and
//! prints the evaluator's verdict on each, one line of JSON a pod.
//!
//! `CASEHARDEN_PSA_PODS` (3000) says how many pods, `CASEHARDEN_PSA_SEED` (1) which ones.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use caseharden::pss::{Level, NEWEST, Pod, Version, allows, evaluate, highest_level};
use serde::Deserialize;
use serde_json::Value;

use super::dice::Dice;
use super::random_pod;

#[derive(Deserialize)]
struct Line {
    schema: String,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    psa: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    level: Level,
    version: Version,
    allowed: bool,
    #[serde(default)]
    checks: Vec<Refusal>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Refusal {
    reason: String,
    detail: String,
}

#[test]
fn agrees_with_upstream_on_random_pods() {
    let Some(oracle) = std::env::var_os("CASEHARDEN_PSA_ORACLE") else {
        eprintln!("skipped: CASEHARDEN_PSA_ORACLE is not set");
        return;
    };
    let (n_pods, seed) = (setting("CASEHARDEN_PSA_PODS", 3000), setting("CASEHARDEN_PSA_SEED", 1));
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut n_verdicts, mut n_refusals, mut n_allowed) = (0, 0, 0);
    let pods: Vec<Value> = (0..n_pods).map(|_| random_pod::pod(&mut dice)).collect();
    for batch in pods.chunks(1000) {
        let answers = ask(Path::new(&oracle), batch, &folder.path().join("pods.yaml"));
        assert_eq!(answers.len(), batch.len(), "one answer a pod");
        for (pod, answer) in batch.iter().zip(&answers) {
            assert!(["ok", "strict-error"].contains(&&*answer.schema), "{pod}: {:?}", answer.errors);
            assert_eq!(answer.psa.len(), 2 * (NEWEST as usize + 2), "a verdict for each level and version");
            compare(pod, answer);
            n_verdicts += answer.psa.len();
            n_allowed += answer.psa.iter().filter(|verdict| verdict.allowed).count();
            n_refusals += answer.psa.iter().map(|verdict| verdict.checks.len()).sum::<usize>();
        }
    }
    eprintln!(
        "{n_pods} pods, {n_verdicts} verdicts ({n_allowed} allowed), {n_refusals} refusals: all the same"
    );
    assert!(0 < n_allowed && n_allowed < n_verdicts, "the pods are too much alike");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// The oracle's answers, in the order of the pods.
fn ask(oracle: &Path, pods: &[Value], file: &Path) -> Vec<Line> {
    let mut stream = String::new();
    for pod in pods {
        writeln!(stream, "---\n{}", json_as_yaml(pod)).expect("a string takes everything");
    }
    fs::write(file, stream).expect("the temporary folder is writable");
    let minors = (0..=NEWEST).map(Version::Minor);
    let versions: Vec<String> = minors.chain([Version::Latest]).map(|version| version.to_string()).collect();
    let output = Command::new(oracle)
        .args(["-versions", &versions.join(","), "-levels", "baseline,restricted"])
        .arg(file)
        .stderr(Stdio::inherit())
        .output()
        .expect("the oracle can be started");
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("the oracle prints JSON")).collect()
}

/// JSON that YAML reads as the same: characters that YAML folds or forbids are escaped.
fn json_as_yaml(value: &Value) -> String {
    let mut yaml = String::new();
    for character in value.to_string().chars() {
        match u32::from(character) {
            code @ 0x7f..=0xffff => write!(yaml, "\\u{code:04x}").expect("a string takes everything"),
            _ => yaml.push(character),
        }
    }
    yaml
}

fn compare(object: &Value, answer: &Line) {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let pod = Pod::new(annotations, &object["spec"]);
    for verdict in &answer.psa {
        let (level, version) = (verdict.level, verdict.version);
        let violations = evaluate(&pod, level, version);
        let context = || format!("{level} {version}\n{}", serde_yaml::to_string(object).unwrap_or_default());
        let found: Vec<Refusal> = violations
            .iter()
            .map(|violation| Refusal {
                reason: violation.reason.to_owned(),
                detail: violation.detail.clone(),
            })
            .collect();
        assert_eq!(found, verdict.checks, "{}", context());
        assert_eq!(allows(&pod, level, version), verdict.allowed, "{}", context());
        if level == Level::Restricted && verdict.allowed {
            assert_eq!(highest_level(&pod, version), level, "{}", context());
        }
        for field in violations.iter().flat_map(|violation| &violation.fields) {
            let parent = field.tokens().next().map(|token| token.decoded().into_owned());
            let known = ["metadata", "securityContext", "volumes", "hostNetwork", "hostPID", "hostIPC"];
            let lists = ["initContainers", "containers", "ephemeralContainers"];
            let parent = parent.unwrap_or_default();
            assert!(known.contains(&&*parent) || lists.contains(&&*parent), "{field} in {}", context());
        }
    }
}
