//! A credential helper as a real program in `PATH`, asked by the whole program, and its secret in no output.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::images::Push;
use super::real::{home, manifest, web};
use super::running::{AUTHORIZATION, CANARY, Registry, is_missing};
use crate::program::{Folder, tree};

/// The protocol: the server's name on standard input, the login as JSON on standard output.
const HELPER: &str = r#"#!/bin/sh
[ "$1" = get ] || exit 3
server=$(cat)
echo "$server" >> "$HOME/asked"
case "$server" in
$KNOWN) echo '{"ServerURL": "x", "Username": "reader", "Secret": "$SECRET"}' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"#;

/// Runs caseharden with the helper in its path.
fn run(folder: &Folder, args: &[&str]) -> (i32, String) {
    let bin = folder.path().join("../home/bin");
    let path = std::env::join_paths(
        std::iter::once(bin).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut command: Command = folder.command(&folder.path(), env!("CARGO_BIN_EXE_caseharden"), args);
    let output = command.env("PATH", path).env("RUST_BACKTRACE", "full").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn a_helper_gives_the_login_of_its_host_once_and_no_output_shows_it() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(true);
    let (host, origin) = (registry.host.clone(), format!("https://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: Some(AUTHORIZATION) };
    for name in ["a", "b", "c"] {
        push.image(name, "1", &web("amd64"));
    }
    let folder = Folder::committed(&[]);
    let names = ["a:1", "b:1", "c:1"].map(|name| format!("{host}/{name}"));
    folder.write("pods.yaml", manifest(&names));
    std::fs::copy(registry.place.path().join("ca.pem"), folder.path().join("ca.pem")).unwrap();
    folder.write("caseharden.toml", format!("[registries]\nca = {{ '{host}' = 'ca.pem' }}\n"));
    let program = HELPER.replace("$KNOWN", &host).replace("$SECRET", CANARY);
    folder.write("../home/bin/docker-credential-test", program);
    let helper = folder.path().join("../home/bin/docker-credential-test");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut shown = String::new();
    for logins in [json!({"credHelpers": {&host: "test"}}), json!({"credsStore": "test"})] {
        folder.write("../home/.docker/config.json", logins.to_string());
        std::fs::remove_file(folder.path().join("../home/asked")).ok();
        let (code, text) = run(&folder, &["lock", "-v", "--update"]);
        assert_eq!(code, 0, "{text}");
        let asked = std::fs::read_to_string(folder.path().join("../home/asked")).unwrap();
        assert_eq!(asked, format!("{host}\n"), "once for three images");
        shown.push_str(&text);
    }
    // It knows nothing, fails, talks nonsense, or is not there.
    for (program, expected) in [
        (HELPER.replace("$KNOWN", "other").replace("$SECRET", CANARY), "there is no login for it"),
        (
            format!("#!/bin/sh\necho {CANARY} >&2; echo {CANARY}; exit 9\n"),
            "`docker-credential-test get` failed",
        ),
        (format!("#!/bin/sh\necho {CANARY}\n"), "did not answer with a login"),
    ] {
        std::fs::write(&helper, program).unwrap();
        let (code, text) = run(&folder, &["lock", "-v", "--update"]);
        assert!(code == 2 && text.contains(expected), "{expected}: {text}");
        shown.push_str(&text);
    }
    std::fs::remove_file(&helper).unwrap();
    let (code, text) = run(&folder, &["lock", "--update"]);
    assert!(code == 2 && text.contains("`docker-credential-test`: "), "{text}");

    // Every command, with a login that is right, one that is wrong and a file that is broken.
    let broken = json!({"auths": {&host: {"auth": [CANARY]}}}).to_string();
    for login in [Some(CANARY), Some("wrong-canary-7f3a9c"), None] {
        match login {
            Some(password) => home(&folder, &host, password),
            None => folder.write("../home/.docker/config.json", &broken),
        }
        for args in [
            &["lock", "-v", "--update"][..],
            &["lock", "-v", "--check"],
            &["check", "-v"],
            &["check", "--format", "json"],
            &["diff", "-v"],
            &["apply", "-v", "--allow-dirty"],
        ] {
            shown.push_str(&run(&folder, args).1);
        }
    }
    for (path, bytes) in tree(&folder.path().join("..")) {
        if !path.ends_with("config.json") && !path.contains(".git/") {
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    assert!(!shown.contains("canary") && !shown.contains("cmVhZGVy"), "a secret is shown");
}
