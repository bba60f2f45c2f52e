//! Formats that other programs read: what they say is held against the files themselves, and nothing that a manifest
//! contains gets out of the place it is shown in.

mod components;
#[cfg(target_os = "linux")]
mod interactive;
#[cfg(unix)]
mod nasty;
mod patches;
mod rows;
mod texts;

use serde_json::Value;

use crate::program::Folder;

/// What a format shows, whatever the exit code.
fn shown(folder: &Folder, args: &[&str]) -> String {
    let run = folder.run(args);
    assert!(run.code <= 1, "{args:?}: {}", run.stderr);
    run.stdout
}

fn json(folder: &Folder, args: &[&str]) -> Value {
    let text = shown(folder, args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

const DEPLOYMENT: &str = "\
# Serves the shop; see the runbook. ü
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      automountServiceAccountToken: false
      containers:
        - name: web  # 😀
          image: registry.example.com/web:1.0
          env:
            - name: DB_PASSWORD
              value: hunter2-Zq81xvv
          ports: [{containerPort: 8080}]
          imagePullPolicy: Always
          securityContext: {allowPrivilegeEscalation: true, readOnlyRootFilesystem: true}
        - name: logs
          image: registry.example.com/logs:1.0
          securityContext:
            allowPrivilegeEscalation: false
            privileged: true
---
apiVersion: v1
kind: Pod
metadata:
  name: tool
spec:
  securityContext: {runAsNonRoot: true}
  containers:
    - {name: tool, image: \"registry.example.com/tool:1.0\"}
";

/// Some findings of every kind: with a fix and without, of one edit and of several, in two documents.
fn small() -> Folder {
    Folder::committed(&[("apps/web app.yaml", DEPLOYMENT)])
}

const POD_RULES: &str = "--select=runs-as-root,seccomp-not-set,capabilities-not-dropped,root-filesystem-writable,\
privilege-escalation-allowed,secret-in-env-literal,privileged-container";
