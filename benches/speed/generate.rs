//! Makes repos to measure with: as many files as asked for, the same ones every time, in the mix that real
//! repos of manifests have: by number a fifth workloads, the rest services, configuration, builds, charts and
//! pipelines; by bytes a fifth workloads and two fifths definitions of custom resources, which are few and long.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

macro_rules! templates {
    ($($name:ident = $file:literal;)+) => {
        $(const $name: &str = include_str!(concat!("templates/", $file));)+
        const ALL: &[&str] = &[$($name),+];
    };
}

templates! {
    BASE_KUSTOMIZATION = "base-kustomization.yaml";
    CHART = "chart.yaml";
    CHART_DEPLOYMENT = "chart-deployment.yaml";
    CONFIG_MAP = "configmap.yaml";
    CRON_JOB = "cronjob.yaml";
    DAEMON_SET = "daemonset.yaml";
    DASHBOARD = "dashboard.json";
    DEPLOYMENT = "deployment.yaml";
    DEPLOYMENT_HARDENED = "deployment-hardened.yaml";
    DEPLOYMENT_LARGE = "deployment-large.yaml";
    EXTERNAL_SECRET = "secret-store.yaml";
    INGRESS = "ingress.yaml";
    JOB = "object.json";
    MONITOR = "monitor.yaml";
    NAMESPACE = "namespace.yaml";
    OVERLAY_KUSTOMIZATION = "overlay-kustomization.yaml";
    RBAC = "rbac.yaml";
    REPLICAS = "replicas.yaml";
    SERVICE = "service.yaml";
    STATEFUL_SET = "statefulset.yaml";
    VALUES = "values.yaml";
    WORKFLOW = "workflow.yaml";
}

/// Apps that share a team, a folder and a namespace.
const TEAM: usize = 20;

/// Raised when what [`App::files`] chooses changes, so that old repos are made anew.
const EDITION: u32 = 2;

/// The folder of a repo with `count` YAML and JSON files, made unless it is there already.
pub(crate) fn repo(count: usize) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("speed-{count}"));
    let stamp = stamp(count);
    let stamp_file = folder.join(".git/made-for-benchmarks");
    if fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    // With it, the folder is a repo of its own, whatever the repo around it ignores.
    fs::create_dir_all(folder.join(".git"))?;
    fs::write(folder.join(".gitignore"), "*.log\n/build/\n")?;
    let mut left = count;
    for number in 0.. {
        for (path, text) in (App { number }).files() {
            if left == 0 {
                fs::write(stamp_file, stamp)?;
                return Ok(folder);
            }
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("every file is in a folder of the repo"))?;
            fs::write(path, text)?;
            left -= 1;
        }
    }
    unreachable!("there is always another app")
}

fn stamp(count: usize) -> String {
    let mut hasher = DefaultHasher::new();
    (EDITION, count, ALL).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// One app of the repo, everything about it decided by its number.
struct App {
    number: usize,
}

impl App {
    fn files(&self) -> Vec<(String, String)> {
        let number = self.number;
        let team = format!("team-{:03}", number / TEAM);
        let app = format!("app-{number:04}");
        let at = format!("{team}/{app}");
        let every = |step: usize, from: usize| number % step == from;
        let deployment = match number % 10 {
            1..=3 => DEPLOYMENT_HARDENED,
            4..=6 => DEPLOYMENT_LARGE,
            _ => DEPLOYMENT,
        };
        let chosen = [
            (number.is_multiple_of(TEAM), format!("{team}/namespace.yaml"), NAMESPACE),
            (true, format!("{at}/base/deployment.yaml"), deployment),
            (true, format!("{at}/base/service.yaml"), SERVICE),
            (true, format!("{at}/base/configmap.yaml"), CONFIG_MAP),
            (true, format!("{at}/base/monitor.yaml"), MONITOR),
            (true, format!("{at}/base/kustomization.yaml"), BASE_KUSTOMIZATION),
            (true, format!("{at}/prod/kustomization.yaml"), OVERLAY_KUSTOMIZATION),
            (true, format!("{at}/prod/replicas.yaml"), REPLICAS),
            (true, format!("{at}/ingress.yaml"), INGRESS),
            (true, format!("{at}/external-secret.yaml"), EXTERNAL_SECRET),
            (every(2, 0), format!("{at}/rbac.yaml"), RBAC),
            (every(2, 1), format!("{at}/report.yaml"), CRON_JOB),
            (every(3, 0), format!("{at}/store.yaml"), STATEFUL_SET),
            (every(3, 1), format!("{at}/seed.json"), JOB),
            (every(25, 7), format!("{at}/agent.yaml"), DAEMON_SET),
            (every(2, 0), format!("{at}/dashboard.json"), DASHBOARD),
            (every(2, 1), format!(".github/workflows/{app}.yaml"), WORKFLOW),
            (every(3, 2), format!("{at}/values.yaml"), VALUES),
            (every(10, 8), format!("{at}/chart/Chart.yaml"), CHART),
            (every(10, 8), format!("{at}/chart/values.yaml"), VALUES),
            (every(10, 8), format!("{at}/chart/templates/deployment.yaml"), CHART_DEPLOYMENT),
        ];
        let count = (number % 28 + 1).to_string();
        let fill = |template: &str| {
            template.replace("${app}", &app).replace("${team}", &team).replace("${count}", &count)
        };
        let mut files: Vec<(String, String)> = chosen
            .into_iter()
            .filter(|(wanted, ..)| *wanted)
            .map(|(_, path, template)| (path, fill(template)))
            .collect();
        if every(4, 2) {
            files.push((format!("{at}/worker.yaml"), fill(&worker())));
        }
        if every(11, 5) {
            files.push((format!("{at}/definition.yaml"), fill(&resource_definition(number))));
        }
        if every(40, 11) {
            files.push((format!("{at}/lookup.yaml"), fill(&large_config_map(number))));
        }
        files
    }
}

/// A Deployment and the Service in front of it, in one file.
fn worker() -> String {
    format!("{DEPLOYMENT}---\n{SERVICE}").replace("${app}", "${app}-worker")
}

/// A table kept in a ConfigMap, 30 to 200 KB.
fn large_config_map(number: usize) -> String {
    let mut text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${app}-lookup\ndata:\n  table.csv: |\n"
            .to_owned();
    for line in 0..1_000 + number % 7 * 800 {
        text.push_str(&format!("    {line:06},article-{},{}.99\n", line * 7 % 10_007, line % 90));
    }
    text
}

/// A CustomResourceDefinition with its schema, 30 to 90 KB.
fn resource_definition(number: usize) -> String {
    let mut text = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ${app}s.${team}.example.com
spec:
  group: ${team}.example.com
  names: {kind: Widget, plural: ${app}s}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
"
    .to_owned();
    for field in 0..60 + number % 7 * 20 {
        text.push_str(&format!(
            "            \
setting{field}:
              description: |-
                Says how the widget treats part {field} of what it is given.
                It is read once, when the widget starts.
              type: object
              properties:
                enabled:
                  description: Whether the part is looked at.
                  type: boolean
                  default: {}
                limit:
                  type: integer
                  format: int32
                  minimum: {field}
              required:
                - enabled
",
            field % 2 == 0
        ));
    }
    text
}
