//! The program as its users meet it: exit codes, formats, texts, branches, and input that means harm.

mod access;
mod branches;
mod exits;
mod generated;
#[cfg(unix)]
mod hostile;
mod locks;
#[cfg(unix)]
mod proofs;
pub(crate) mod schema;
mod texts;

use crate::program::Folder;

/// A pod as most are written first.
pub(crate) const SOFT: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: registry.example.com/web:1.0
";

/// Nothing is left to find in it.
const HARD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  automountServiceAccountToken: false
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
  - name: web
    image: registry.example.com/web:1.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
";

fn soft() -> Folder {
    Folder::committed(&[("web.yaml", SOFT)])
}

fn hard() -> Folder {
    Folder::committed(&[("web.yaml", HARD)])
}

/// The shop of the README.
pub(crate) fn shop() -> Folder {
    let folder = Folder::new();
    let before = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/shop/before");
    for (path, bytes) in crate::program::tree(&before) {
        folder.write(&path, bytes);
    }
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.commit();
    folder
}
