//! Whole texts that are made for the example shop: policies, pipelines, quotas and the report. `UPDATE_GOLDEN=1` rewrites
//! them; review what changed.

use std::path::Path;

use super::schema::conforms;
use super::shop;
use crate::program::Folder;

/// Arguments, by the name of the text.
const TEXTS: &[(&str, &[&str])] = &[
    ("checklist.txt", &["checklist"]),
    ("checklist.md", &["checklist", "--format", "markdown"]),
    ("checklist.json", &["checklist", "--format", "json"]),
    ("admission-vap.txt", &["generate", "admission", "--engine", "vap"]),
    ("admission-kyverno.txt", &["generate", "admission", "--engine", "kyverno", "--enforce"]),
    ("admission-gatekeeper.txt", &["generate", "admission", "--engine", "gatekeeper"]),
    ("admission-policy-controller.txt", &["generate", "admission", "--engine", "policy-controller"]),
    ("pipeline-github.txt", &["generate", "pipeline", "--ci", "github"]),
    ("pipeline-gitlab.txt", &["generate", "pipeline", "--ci", "gitlab", "--scanner", "grype"]),
    ("pipeline-tekton.txt", &["generate", "pipeline", "--ci", "tekton"]),
    ("pipeline-jenkins.txt", &["generate", "pipeline", "--ci", "jenkins", "--scanner", "snyk"]),
    ("fleet-job.txt", &["generate", "fleet", "--for", "job", "--author", AUTHOR]),
    ("fleet-github.txt", &["generate", "fleet", "--for", "github", "--shards", "3", "--author", AUTHOR]),
    ("fleet-gitlab.txt", &["generate", "fleet", "--for", "gitlab", "--author", AUTHOR]),
    ("quota.txt", &["generate", "quota"]),
    ("limits.txt", &["generate", "limits"]),
    ("budgets.txt", &["generate", "budgets"]),
];

const AUTHOR: &str = "Platform <platform@example.com>";

const CONFIG: &str = "
[[signature]]
image = \"registry.example.com/shop/**\"
issuer = \"https://token.actions.githubusercontent.com\"
subject = \"https://github.com/example/*@refs/heads/main\"

[[allow]]
rule = \"root-filesystem-writable\"
object = \"StatefulSet/database\"
reason = \"its socket lies beside its programs\"
";

#[test]
fn texts_are_as_reviewed() {
    let shop = shop();
    shop.write("caseharden.toml", CONFIG);
    for (name, args) in TEXTS {
        let run = shop.run(args).expect_code(0);
        let text = format!("{}{}", run.stdout, run.stderr);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/generate").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: UPDATE_GOLDEN=1 rewrites it");
    }
}

/// What we tell others to do we do ourselves.
#[test]
fn the_job_of_a_fleet_has_nothing_to_be_hardened() {
    let folder = Folder::committed(&[]);
    folder.run(&["generate", "fleet", "--for", "job", "--author", AUTHOR, "--output", "."]).expect_code(0);
    folder.run(&["check", "--select", "pod"]).expect_code(0);
}

#[test]
fn the_checklist_fits_a_page_and_keeps_its_schema() {
    let shop = shop();
    let text = shop.run(&["checklist", "-v"]).expect_code(0).stdout;
    let is_link = |line: &&str| line.trim_start().starts_with("https://");
    for line in text.lines().filter(|line| !is_link(line)) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let schema = shop.run(&["checklist", "--schema"]).expect_code(0).json();
    let report = shop.run(&["checklist", "--format", "json"]).expect_code(0).json();
    conforms(&report, &schema);
    assert_eq!(report["areas"].as_array().unwrap().len(), 10);
}

/// With a key and every kind of proof: what is not known to be signed warns, and is left out where it would refuse.
#[test]
fn unproved_signatures_are_not_enforced() {
    let shop = shop();
    shop.write("caseharden.toml", CONFIG);
    let command = ["generate", "admission", "--engine", "policy-controller"];
    assert!(shop.run(&command).expect_code(0).stdout.contains("mode: warn"));
    let run = shop.run(&[&command[..], &["--enforce"]].concat()).expect_code(2);
    assert!(run.stderr.contains("left out: signatures of registry.example.com/shop/*"), "{}", run.stderr);
}

#[test]
fn nothing_is_asked_for_where_there_is_no_workload() {
    let folder =
        Folder::committed(&[("settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")]);
    for engine in ["vap", "kyverno", "gatekeeper", "policy-controller"] {
        let run = folder.run(&["generate", "admission", "--engine", engine]).expect_code(2);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains("no workload was found"), "{}", run.stderr);
    }
}

/// Whatever stands in a name or a namespace, policies stay what they are.
#[test]
fn names_that_are_no_names_end_no_policy() {
    let pod = |name: &str, namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name:?}\n  namespace: {namespace:?}\nspec:\n  containers:\n  - {{name: a, image: a}}\n"
        )
    };
    let texts = [pod("x') || true || ('", "a"), pod("b", "${ns}"), pod("c", "x\ny: z")];
    let folder = Folder::committed(&[("pods.yaml", &texts.join("---\n"))]);
    folder.write("caseharden.toml", "[[allow]]\nrule = \"pod\"\nobject = \"Pod/*\"\nreason = \"as it is\"\n");
    for engine in ["vap", "kyverno", "gatekeeper"] {
        let run = folder.run(&["generate", "admission", "--engine", engine]).expect_code(0);
        let is_code = |line: &&str| !line.trim_start().starts_with('#');
        assert!(
            !run.stdout.lines().filter(is_code).any(|line| line.contains("|| true ||")),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("kube-system"), "it holds everywhere: {}", run.stdout);
    }
}
