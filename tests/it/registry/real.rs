//! A real registry on loopback: Debian's docker-registry, with skopeo's opinion on every digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::images::{Image, Push, directory, file, image, index, tar, with_attribute};
use super::running::{AUTHORIZATION, CANARY, Registry, certificate, is_missing};
use crate::program::Folder;

pub(crate) const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:101:102::/:/sbin/nologin\n";
const RAW_NET: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A web server's image: named user, low port, a volume, special files, and a whiteout over one of them.
pub(crate) fn web(architecture: &str) -> Image {
    let base = tar(&[
        file("etc/passwd", 0o644, PASSWD),
        file("bin/sh", 0o755, b""),
        file("bin/su", 0o4755, b""),
        file("bin/mount", 0o4755, b""),
        with_attribute("bin/ping", &RAW_NET, b"elf"),
    ]);
    let top = tar(&[file("bin/.wh.mount", 0, b""), directory("var/cache/web", 0o755, 101)]);
    let container = json!({
        "User": "web", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
        "Entrypoint": ["/entry"], "Env": [format!("SECRET={CANARY}")],
    });
    image(architecture, container, &[base, top])
}

pub(crate) fn manifest(images: &[String]) -> String {
    let pod = |(n, image): (usize, &String)| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}}}\nspec: {{containers: [{{name: c, image: '{image}'}}]}}\n"
        )
    };
    images.iter().enumerate().map(pod).collect()
}

pub(crate) fn home(folder: &Folder, host: &str, password: &str) {
    let login = json!({"auths": {host: {"username": "reader", "password": password}}});
    folder.write("../home/.docker/config.json", login.to_string());
}

#[test]
fn digests_and_facts_from_a_registry_with_tls_and_logins() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(true);
    let (host, origin) = (registry.host.as_str(), format!("https://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: Some(AUTHORIZATION) };
    let (amd64, arm64) = (web("amd64"), web("arm64"));
    push.image("team/web", "amd64", &amd64);
    push.image("team/web", "arm64", &arm64);
    let both = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    for tag in ["1.2.3", "latest"] {
        push.manifest("team/web", tag, &both);
    }
    push.image("team/single", "1", &web("amd64"));
    push.manifest("team/web", &format!("sha256-{}.sig", both.digest().hex()), &amd64.manifest);

    let folder = Folder::committed(&[]);
    let names = ["team/web:1.2.3", "team/web", "team/single:1"].map(|name| format!("{host}/{name}"));
    folder.write("pods.yaml", manifest(&names));
    std::fs::copy(registry.place.path().join("ca.pem"), folder.path().join("ca.pem")).unwrap();
    folder.write("caseharden.toml", format!("[registries]\nca = {{ '{host}' = 'ca.pem' }}\n"));
    home(&folder, host, CANARY);
    let first = folder.run(&["lock", "-v"]).expect_code(0);
    let lock = folder.read("caseharden.lock");
    let parsed: toml::Table = lock.parse().unwrap();
    for (name, tag) in [("team/web:1.2.3", "1.2.3"), ("team/web:latest", "latest"), ("team/single:1", "1")] {
        let entry = &parsed["image"][&format!("{host}/{name}")];
        assert_eq!(entry["digest"].as_str().unwrap(), registry.skopeo(name), "{tag}");
        assert_eq!(entry["facts"]["user"].as_str(), Some("web"));
        assert_eq!(
            (entry["facts"]["uid"].as_integer(), entry["facts"]["gid"].as_integer()),
            (Some(101), Some(102))
        );
        assert_eq!(entry["facts"]["setuid"], toml::Value::try_from(["/bin/su"]).unwrap());
        assert_eq!(
            entry["facts"]["file-capabilities"],
            toml::Value::try_from(["/bin/ping cap_net_raw"]).unwrap()
        );
        assert_eq!(entry["facts"]["ports"], toml::Value::try_from(["80/tcp"]).unwrap());
        assert_eq!(entry["facts"]["volumes"], toml::Value::try_from(["/data"]).unwrap());
        assert_eq!(entry["facts"]["writable"][0]["path"].as_str(), Some("/var/cache/web"));
        assert_eq!(entry["facts"]["shell"].as_str(), Some("/bin/sh"));
    }
    let entry = |name: &str| &parsed["image"][&format!("{host}/{name}")];
    assert_eq!(entry("team/web:1.2.3")["digest"].as_str(), Some(both.digest().as_str()));
    assert_eq!(
        entry("team/web:1.2.3")["platforms"],
        toml::Value::try_from(["linux/amd64", "linux/arm64"]).unwrap()
    );
    assert_eq!(entry("team/web:1.2.3")["signatures"], toml::Value::try_from(["cosign"]).unwrap());
    assert_eq!(entry("team/single:1")["signatures"], toml::Value::Array(Vec::new()));
    assert_eq!(entry("team/web:latest")["version-tag"].as_str(), Some("1.2.3"));

    // Stable, and nothing to complain about.
    let again = folder.run(&["lock"]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock"), lock);
    folder.run(&["lock", "--update"]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock"), lock);
    folder.run(&["lock", "--check"]).expect_code(0);

    // A tag moves: seen by --check, kept by lock, taken by --update.
    push.manifest("team/web", "1.2.3", &amd64.manifest);
    let check = folder.run(&["lock", "--check"]).expect_code(1);
    assert!(check.stdout.contains("team/web:1.2.3: the tag has moved from"), "{}", check.stdout);
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock"), lock);
    folder.run(&["lock", "--update", &format!("{host}/team/single")]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock"), lock);
    let update = folder.run(&["lock", "--update", &format!("{host}/team/web:1.2.3")]).expect_code(0);
    assert!(update.stdout.contains(&format!("-> {}", amd64.manifest.digest())), "{}", update.stdout);

    // The wrong login fails each image, by the name of its file.
    home(&folder, host, "wrong-canary");
    let failed = folder.run(&["lock", "--update"]).expect_code(2);
    assert!(failed.stderr.contains("home/.docker/config.json is not accepted"), "{}", failed.stderr);
    // Another authority: nothing is trusted.
    certificate(&folder.path());
    let untrusted = folder.run(&["lock", "--update"]).expect_code(2);
    assert!(untrusted.stderr.contains("certificate"), "{}", untrusted.stderr);
    let mut shown = String::new();
    for run in [&first, &again, &check, &update, &failed, &untrusted] {
        let _ = write!(shown, "{}{}", run.stdout, run.stderr);
    }
    for (_, bytes) in folder.tree() {
        shown.push_str(&String::from_utf8_lossy(&bytes));
    }
    for (path, bytes) in crate::program::tree(&folder.path().join("../home")) {
        if !path.contains("config.json") {
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    assert!(!shown.contains("canary") && !shown.contains("cmVhZGVy"), "a secret is shown");
}

#[test]
fn one_image_that_fails_does_not_stop_the_others() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    let (host, origin) = (registry.host.as_str(), format!("http://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    push.image("a", "1", &web("amd64"));
    push.image("b", "1", &web("arm64"));
    let folder = Folder::committed(&[("Dockerfile", "")]);
    let names =
        [format!("{host}/a:1"), format!("{host}/none:1"), format!("{host}/b:1"), "${IMAGE}".to_owned()];
    folder.write("pods.yaml", manifest(&names));
    let run = folder.run(&["lock"]).expect_code(2);
    assert!(
        run.stderr.contains(&format!("error: pods.yaml:10: {host}/none:1: {host} has no such image (404)")),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("2 images locked: 2 new, 0 moved, 1 failed"), "{}", run.stderr);
    assert!(run.stderr.contains("1 reference without an image to pull"), "{}", run.stderr);
    let lock = folder.read("caseharden.lock");
    assert_eq!(lock.matches("[image.").count(), 2);
    folder.run(&["lock", "--offline"]).expect_code(2);
    // Nothing uses it any more.
    folder.write("pods.yaml", manifest(&names[..1]));
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(folder.read("caseharden.lock").matches("[image.").count(), 1);
    // A broken lock stops before anything is asked.
    folder.write("caseharden.lock", format!("{lock}<<<<<<< ours\n"));
    let run = folder.run(&["lock"]).expect_code(2);
    assert!(run.stderr.contains("conflict marker of an unfinished merge"), "{}", run.stderr);
}

#[test]
fn update_takes_a_list_of_images_repeated_or_not() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    let (host, origin) = (registry.host.as_str(), format!("http://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    let names: Vec<String> = ["a", "b", "c", "d"].map(|name| format!("{host}/{name}:1")).into();
    let move_all = |architecture: &str| {
        for name in ["a", "b", "c", "d"] {
            push.image(name, "1", &web(architecture));
        }
    };
    move_all("amd64");
    let folder = Folder::committed(&[]);
    folder.write("apps/pods.yaml", manifest(&names));
    folder.run(&["lock"]).expect_code(0);
    let moved = |args: &[&str], architecture: &str| {
        move_all(architecture);
        let run = folder.run(&[&["lock"], args].concat()).expect_code(0);
        let lines = run.stdout.lines().filter(|line| line.contains(" -> "));
        lines.map(|line| line.replace(&format!("{host}/"), "")[..1].to_owned()).collect::<String>()
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|n: usize| names[n].as_str());
    assert_eq!(moved(&["--update", a, b], "arm64"), "ab");
    assert_eq!(moved(&["--update", c, "--update", d], "arm64"), "cd");
    assert_eq!(moved(&["apps", "--update", &format!("{a},{c}")], "riscv64"), "ac");
    assert_eq!(moved(&["--update", b, "--", "apps"], "riscv64"), "b");
    assert_eq!(moved(&["--update"], "s390x"), "abcd");
    let bare = format!("{host}/a");
    assert_eq!(moved(&["--update", &bare], "ppc64le"), "a");
    let unknown = folder.run(&["lock", "--update", a, "apps"]).expect_code(2);
    assert!(
        unknown.stderr.contains("`--update apps`: nothing in the repo uses this image"),
        "{}",
        unknown.stderr
    );
    assert!(unknown.stderr.contains("paths go in front of `--update`"), "{}", unknown.stderr);
}

#[test]
fn users_and_digests_of_one_platform_are_told() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    let (host, origin) = (registry.host.as_str(), format!("http://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    let (amd64, arm64) = (web("amd64"), image("arm64", json!({"User": "0"}), &[tar(&[])]));
    push.image("web", "amd64", &amd64);
    push.image("web", "arm64", &arm64);
    let both = index(&[("amd64", &amd64), ("arm64", &arm64)]);
    push.manifest("web", "1", &both);
    let folder = Folder::committed(&[]);
    let pinned = format!("{host}/web:1@{}", arm64.manifest.digest());
    folder.write("pods.yaml", manifest(std::slice::from_ref(&pinned)));
    let run = folder.run(&["lock"]).expect_code(0);
    let told = format!(
        "warning: pods.yaml:5: {host}/web:1: {} is one platform only of what the tag has, {}",
        arm64.manifest.digest(),
        both.digest()
    );
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    let check = folder.run(&["check", "--select", "image-digest-of-one-platform"]).expect_code(1);
    assert!(
        check.stdout.contains("is pinned to linux/arm64, one platform of its tag's index"),
        "{}",
        check.stdout
    );
    let check = folder.run(&["lock", "--check"]).expect_code(1);
    assert!(check.stdout.contains("of which the lock has one platform only"), "{}", check.stdout);

    folder.write("pods.yaml", manifest(&[format!("{host}/web:1@{}", both.digest())]));
    std::fs::remove_file(folder.path().join("caseharden.lock")).unwrap();
    folder.run(&["lock"]).expect_code(0);
    let lock: toml::Table = folder.read("caseharden.lock").parse().unwrap();
    let entry = &lock["image"][&format!("{host}/web:1")];
    assert!(entry.get("index").is_none());
    let users =
        toml::Value::try_from([BTreeMap::from([("platform", "linux/arm64"), ("user", "0")])]).unwrap();
    assert_eq!(entry["other-users"], users);
}

/// The lock, the authority and the login come together for a repo of which there is no checkout.
#[test]
fn a_fleet_locks_what_it_has_only_as_commits() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(true);
    let (host, origin) = (registry.host.as_str(), format!("https://{}", registry.host));
    let push = Push { agent: registry.agent(), origin: &origin, authorization: Some(AUTHORIZATION) };
    push.image("team/web", "1.2.3", &web("amd64"));

    let folder = Folder::new();
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.write("pods.yaml", manifest(&[format!("{host}/team/web:1.2.3")]));
    std::fs::copy(registry.place.path().join("ca.pem"), folder.path().join("ca.pem")).unwrap();
    folder.write("caseharden.toml", format!("[registries]\nca = {{ '{host}' = 'ca.pem' }}\n"));
    folder.commit();
    home(&folder, host, CANARY);
    let bare = folder.path().join("../bare.git");
    let bare = bare.to_str().unwrap();
    folder.git(&["clone", "--quiet", "--bare", ".", bare]);
    let list = folder.path().join("../list");
    std::fs::write(&list, bare).unwrap();

    let work = folder.path().join("../work");
    let args = ["fleet", list.to_str().unwrap(), "--work", work.to_str().unwrap(), "--lock", "--push"];
    let run = folder.run(&[&args[..], &["--select", "image"]].concat()).expect_code(0);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(CANARY));
    let show = |path: &str| folder.git(&["-C", bare, "show", &format!("caseharden/harden:{path}")]);
    let digest = registry.skopeo("team/web:1.2.3");
    assert!(show("pods.yaml").contains(&format!("{host}/team/web:1.2.3@{digest}")), "{}", show("pods.yaml"));
    assert!(show("caseharden.lock").contains(&digest));
    assert_eq!(folder.git(&["-C", bare, "log", "--format=%s", "main"]).lines().count(), 1);

    let made =
        folder.run(&["branch", "--lock", "--format", "json", "--select", "image"]).expect_code(0).json();
    assert_eq!(
        (&made["branches"][0]["made"], &made["branches"][0]["name"]),
        (&json!("created"), &json!("caseharden/harden"))
    );
    let files = folder.git(&["diff", "--name-only", "main", "caseharden/harden"]);
    assert_eq!(files.lines().collect::<Vec<_>>(), ["caseharden.lock", "pods.yaml"]);
    assert!(!folder.path().join("caseharden.lock").exists(), "the checkout stays as it is");
}
