//! What a pipeline runs to keep a repo as it was hardened: the shell of each step, and what it runs on, pinned.
//!
//! Knows scanners, cosign and `caseharden.lock`; nothing of a CI's own language, templates or files.

use std::collections::BTreeMap;

/// A scanner of images for known vulnerabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scanner {
    /// <https://trivy.dev>
    Trivy,
    /// <https://github.com/anchore/grype>
    Grype,
    /// <https://docs.snyk.io>; needs a token
    Snyk,
}

impl Scanner {
    /// Its image, without digest; `shell` asks for the variant that brings one.
    pub fn image(self, shell: bool) -> &'static str {
        match (self, shell) {
            (Scanner::Trivy, _) => "ghcr.io/aquasecurity/trivy",
            (Scanner::Grype, false) => "docker.io/anchore/grype",
            (Scanner::Grype, true) => "docker.io/anchore/grype:debug",
            (Scanner::Snyk, _) => "docker.io/snyk/snyk:linux",
        }
    }

    /// Whether it asks for a token, in `SNYK_TOKEN`.
    pub fn needs_token(self) -> bool {
        self == Scanner::Snyk
    }

    /// The program and its options; `docker` leaves out what is the image's entrypoint anyway.
    fn command(self, docker: bool) -> String {
        let (program, options) = match self {
            Scanner::Trivy => (
                "trivy",
                "image --quiet --scanners vuln --severity CRITICAL,HIGH --ignore-unfixed --exit-code 1",
            ),
            Scanner::Grype => ("/grype", "--quiet --only-fixed --fail-on high"),
            Scanner::Snyk => ("snyk", "container test --severity-threshold=high"),
        };
        let is_entrypoint = docker && self != Scanner::Snyk;
        if is_entrypoint { options.to_owned() } else { format!("{program} {options}") }
    }
}

/// Scans every image of `caseharden.lock` and fails when one has a known critical or high vulnerability with a fix.
/// What stands in the lock comes from whoever proposes a change: only what can be a reference is taken.
pub fn scan(scanner: Scanner, docker: bool) -> String {
    let token = if scanner.needs_token() { "--env SNYK_TOKEN " } else { "" };
    let command = scanner.command(docker);
    let run = if docker { format!("docker run --rm {token}\"$SCANNER\" {command}") } else { command };
    [
        "set -eu",
        "awk -F'\"' '/^\\[image\\.\"/ { name = $2 }",
        "  /^digest = \"/ { print (name ~ /@/ ? name : name \"@\" $2) }' caseharden.lock |",
        "  grep -E '^[a-z0-9][A-Za-z0-9._:/@-]*$' > /tmp/images.txt ||",
        "  { echo 'caseharden.lock names no image: run `caseharden lock` and commit it' >&2; exit 1; }",
        "failed=0",
        "while read -r image; do",
        "  echo \"== $image\"",
        &format!("  {run} \"$image\" < /dev/null || failed=1"),
        "done < /tmp/images.txt",
        "exit \"$failed\"",
    ]
    .join("\n")
}

/// Refuses what is no digest, then signs it.
pub fn sign(key: bool, docker: bool) -> String {
    let (key, env) = match key {
        true => (" --key env://COSIGN_PRIVATE_KEY", "--env COSIGN_PRIVATE_KEY --env COSIGN_PASSWORD"),
        false => ("", "--env ACTIONS_ID_TOKEN_REQUEST_URL --env ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    };
    let run = match docker {
        true => format!(
            "docker run --rm --user \"$(id -u):$(id -g)\" {env} \\\n  \
             --volume \"$HOME/.docker:/docker:ro\" --env DOCKER_CONFIG=/docker \"$COSIGN\" sign --yes{key} \"$IMAGE\""
        ),
        false => format!("cosign sign --yes{key} \"$IMAGE\""),
    };
    format!(
        "set -eu\n\
         case \"$IMAGE\" in\n  \
           -* | *[!A-Za-z0-9._:/@-]*) echo 'not an image' >&2; exit 1 ;;\n  \
           *@sha256:*) ;;\n  \
           *) echo 'sign a digest: a tag can move before it is signed' >&2; exit 1 ;;\n\
         esac\n\
         {run}"
    )
}

/// The gate: findings fail it.
pub fn check(docker: bool) -> String {
    match docker {
        true => "docker run --rm --user \"$(id -u):$(id -g)\" --network none \\\n  \
                 --volume \"$PWD:/repo:ro\" --workdir /repo \"$CASEHARDEN\" caseharden check"
            .to_owned(),
        false => "caseharden check".to_owned(),
    }
}

/// Commits of actions and digests of images, as the configuration has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// The image that has this program, with its digest.
    pub image: Option<String>,
    /// `owner/action` → commit.
    pub actions: BTreeMap<String, String>,
    /// Name → digest.
    pub images: BTreeMap<String, String>,
}

/// What is pinned, and what somebody has to fill in.
#[derive(Debug, Default)]
pub struct Filled<'p> {
    pins: Option<&'p Pins>,
    /// What is still to be replaced, each once.
    pub missing: Vec<String>,
}

impl<'p> Filled<'p> {
    pub fn new(pins: &'p Pins) -> Filled<'p> {
        Filled { pins: Some(pins), missing: Vec::new() }
    }

    pub fn action(&mut self, name: &str) -> String {
        let pin = self.pins.and_then(|pins| pins.actions.get(name));
        match pin {
            Some(commit) => format!("{name}@{commit}"),
            None => self.lacking(
                format!("{name}@REPLACE-WITH-COMMIT-SHA"),
                format!("`{name}` under [pipeline.actions]"),
            ),
        }
    }

    pub fn image(&mut self, name: &str) -> String {
        let pin = self.pins.and_then(|pins| pins.images.get(name));
        match pin {
            Some(digest) => format!("{name}@{digest}"),
            None => self.lacking(
                format!("{name}@sha256:REPLACE-WITH-DIGEST"),
                format!("`{name}` under [pipeline.images]"),
            ),
        }
    }

    pub fn caseharden(&mut self) -> String {
        match self.pins.and_then(|pins| pins.image.clone()) {
            Some(image) => image,
            None => self.lacking(
                "REPLACE-WITH-REGISTRY/caseharden@sha256:REPLACE-WITH-DIGEST".to_owned(),
                "`image` (one that has caseharden) under [pipeline]".to_owned(),
            ),
        }
    }

    fn lacking(&mut self, text: String, what: String) -> String {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_pinned_is_named_once() {
        let pins =
            Pins { images: BTreeMap::from([("a".to_owned(), "sha256:1".to_owned())]), ..Pins::default() };
        let mut filled = Filled::new(&pins);
        assert_eq!(filled.image("a"), "a@sha256:1");
        for _ in 0..2 {
            assert!(filled.image("b").contains("REPLACE"));
        }
        assert_eq!(filled.missing, ["`b` under [pipeline.images]"]);
    }

    /// Names and digests come from the repo and from callers: nothing of them is ever part of the script.
    #[test]
    fn scripts_hold_no_value() {
        for scanner in [Scanner::Trivy, Scanner::Grype, Scanner::Snyk] {
            for docker in [false, true] {
                let script = scan(scanner, docker);
                assert!(script.contains("\"$image\"") && !script.contains("${{"), "{script}");
            }
        }
        assert!(sign(true, true).contains("\"$IMAGE\""));
    }
}
