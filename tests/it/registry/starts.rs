//! Does it still start? Images made here are locked, their pods hardened as `apply` does it, and then really run: by
//! crun, with users, capabilities, `no_new_privs`, the read-only root and volumes translated as the kubelet and a
//! container runtime do it. The kernel's answer is real; what is not translated is the seccomp profile.
//!
//! Sources of the translation: kubernetes/kubernetes pkg/kubelet/kuberuntime/security_context.go, and containerd
//! internal/cri/server/container_create_linux.go.

#![cfg(unix)]

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::images::{Push, directory, file, image, tar, with_attribute};
use super::running::{PROGRAMS, Registry, are_missing, is_missing, output, program};
use crate::program::Folder;

/// What containerd grants unless told otherwise: `defaultUnixCaps` in pkg/oci/spec.go.
const DEFAULT_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:101:102::/:/bin/sh\n";

/// `cap_net_bind_service+ep`.
const BIND: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An image, as pushed and as it lies on a disk.
struct Made {
    container: Value,
    layer: Vec<u8>,
    root_fs: tempfile::TempDir,
}

/// A web server: a shell script that writes where servers write, serves, and asks itself.
fn made(container: Value, script: &str, more: &[Vec<u8>]) -> Made {
    let busybox = std::fs::read(program("busybox").unwrap()).unwrap();
    let script = format!("#!/bin/busybox sh\nset -e\n{script}\n");
    let mut entries = vec![
        directory("bin", 0o755, 0),
        file("bin/busybox", 0o755, &busybox),
        file("etc/passwd", 0o644, PASSWD),
        file("entry", 0o755, script.as_bytes()),
        directory("var/cache/web", 0o755, 0),
        directory("var/run", 0o755, 0),
        directory("data", 0o755, 0),
        directory("tmp", 0o777, 0),
        directory("proc", 0o755, 0),
        directory("dev", 0o755, 0),
    ];
    entries.extend_from_slice(more);
    let layer = tar(&entries);
    let root_fs = tempfile::tempdir().unwrap();
    let archive = root_fs.path().join("layer.tar");
    std::fs::write(&archive, &layer).unwrap();
    let to = root_fs.path().join("root");
    std::fs::create_dir(&to).unwrap();
    output(
        Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--same-owner", "-xpf"])
            .arg(&archive)
            .arg("-C")
            .arg(&to),
    );
    Made { container, layer, root_fs }
}

const SERVE: &str = "busybox=/bin/busybox
echo x > /tmp/x
$busybox mkdir -p /tmp/www; echo hello > /tmp/www/index.html
$busybox httpd -p 127.0.0.1:$PORT -h /tmp/www
echo \"$($busybox wget -q -O - http://127.0.0.1:$PORT/) from user $($busybox id -u)\"";

/// Pushes the image, hardens a pod that runs it, and gives the pod.
fn hardened(registry: &Registry, name: &str, made: &Made, pod: &str) -> Value {
    let origin = format!("http://{}", registry.host);
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    push.image(name, "1", &image("amd64", made.container.clone(), std::slice::from_ref(&made.layer)));
    let folder = Folder::committed(&[]);
    folder.write("pod.yaml", pod.replace("$IMAGE", &format!("{}/{name}:1", registry.host)));
    folder.run(&["lock"]).expect_code(0);
    folder.run(&["apply", "--allow-dirty", "--select", "pod"]).expect_code(0);
    let text = folder.read("pod.yaml");
    let pod: Value = serde_yaml::from_str(&text).unwrap();
    let container = &pod["spec"]["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], false, "{text}");
    assert_eq!(container["readOnlyRootFilesystem"], true, "{text}");
    assert_eq!(container["capabilities"]["drop"], json!(["ALL"]), "{text}");
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true, "{text}");
    pod
}

/// What the runtime would run, or why the kubelet does not let it.
fn bundle(made: &Made, pod: &Value, port_start: u32, at: &Path) -> Result<Value, String> {
    let of_pod = &pod["spec"]["securityContext"];
    let container = &pod["spec"]["containers"][0];
    let context = &container["securityContext"];
    let field = |name: &str| if context[name].is_null() { &of_pod[name] } else { &context[name] };
    let user = made.container["User"].as_str().unwrap_or("0");
    let uid = match (field("runAsUser").as_u64(), user.parse::<u64>()) {
        (Some(uid), _) | (None, Ok(uid)) => uid,
        (None, Err(_)) => return Err("image has non-numeric user".to_owned()),
    };
    if field("runAsNonRoot") == true && uid == 0 {
        return Err("container has runAsNonRoot and image will run as root".to_owned());
    }
    let names = |list: &str| -> Vec<String> {
        let list = context["capabilities"][list].as_array().into_iter().flatten();
        list.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let (drop, add) = (names("drop"), names("add"));
    let kept = DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned());
    let kept = kept.filter(|name| !drop.contains(name) && !drop.contains(&"ALL".to_owned()));
    let bounding: Vec<String> = kept.chain(add).map(|name| format!("CAP_{name}")).collect();
    // No ambient capabilities: what is not root has none until a file gives it some.
    let effective = if uid == 0 { bounding.clone() } else { Vec::new() };
    let group = of_pod["fsGroup"].as_u64().map(|group| u32::try_from(group).unwrap());
    let mut mounts = vec![json!({"destination": "/proc", "type": "proc", "source": "proc"})];
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let source = volume(pod, mount["name"].as_str().unwrap(), group, at);
        mounts.push(json!({"destination": mount["mountPath"], "type": "bind", "source": source, "options": ["rbind", "rw"]}));
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": {"path": made.root_fs.path().join("root"), "readonly": context["readOnlyRootFilesystem"]},
        "mounts": mounts,
        "process": {
            "terminal": false, "cwd": "/", "args": made.container["Entrypoint"],
            "env": ["PATH=/bin", format!("PORT={}", made.container["Labels"]["port"].as_str().unwrap_or("8080"))],
            "user": {
                "uid": uid, "gid": field("runAsGroup").as_u64().unwrap_or(0),
                "additionalGids": group.into_iter().collect::<Vec<_>>(),
            },
            "capabilities": {"bounding": bounding, "effective": effective, "permitted": effective, "inheritable": []},
            "noNewPrivileges": context["allowPrivilegeEscalation"] == false,
        },
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "mount"}],
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": port_start.to_string()},
        },
    }))
}

/// A volume on the node: everybody's for an `emptyDir`, root's for a new claim, until there is an `fsGroup`.
fn volume(pod: &Value, name: &str, group: Option<u32>, at: &Path) -> PathBuf {
    let source =
        pod["spec"]["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name).unwrap();
    let folder = at.join(format!("volume-{name}"));
    std::fs::create_dir(&folder).unwrap();
    let mode = if source.get("emptyDir").is_some() { 0o777 } else { 0o755 };
    if let Some(group) = group {
        chown(&folder, Some(0), Some(group)).unwrap();
    }
    let mode = if group.is_some() { mode | 0o2070 } else { mode };
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    folder
}

/// What the container printed, when it ended well.
fn run(made: &Made, pod: &Value, port_start: u32) -> Result<String, String> {
    let place = tempfile::tempdir().unwrap();
    let bundle = bundle(made, pod, port_start, place.path())?;
    std::fs::write(place.path().join("config.json"), bundle.to_string()).unwrap();
    // A mount namespace of its own, in which crun finds the cgroups of one version.
    let script = "mount -t cgroup2 cgroup2 /sys/fs/cgroup 2> /dev/null || true
        exec crun --root \"$1/state\" --cgroup-manager=disabled run --bundle \"$1\" \"case-$$\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text.trim().to_owned()) } else { Err(text.trim().to_owned()) }
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: $IMAGE
";

fn cannot_run() -> bool {
    if is_missing() || are_missing(&["crun", "busybox", "unshare"], "apt-get install crun busybox-static") {
        return true;
    }
    let may_run =
        Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status().unwrap().success();
    assert!(may_run || std::env::var_os(PROGRAMS).is_none(), "containers cannot be run: be root");
    if !may_run {
        writeln!(std::io::stderr(), "skipped: containers cannot be run: be root").ok();
    }
    !may_run
}

#[test]
fn an_image_with_a_named_user_starts_hardened() {
    if cannot_run() {
        return;
    }
    let registry = Registry::start(false);
    let made = made(json!({"User": "web", "Entrypoint": ["/entry"], "Labels": {"port": "8080"}}), SERVE, &[]);
    let pod = hardened(&registry, "named", &made, POD);
    assert_eq!(run(&made, &pod, 1024), Ok("hello from user 101".to_owned()));
    // What the fix is for: the kubelet takes numbers only.
    let mut without = pod.clone();
    without["spec"]["containers"][0]["securityContext"].as_object_mut().unwrap().remove("runAsUser");
    assert_eq!(run(&made, &without, 1024), Err("image has non-numeric user".to_owned()));
}

#[test]
fn a_web_server_that_was_root_starts_as_its_account_where_it_may_bind_its_port() {
    if cannot_run() {
        return;
    }
    let registry = Registry::start(false);
    let script = format!("echo $$ > /var/run/web.pid\n/bin/busybox mkdir -p /var/cache/web/body\n{SERVE}");
    let container = json!({
        "Entrypoint": ["/entry"], "ExposedPorts": {"80/tcp": {}}, "Labels": {"port": "80"},
        "Volumes": {"/var/cache/web": {}, "/var/run": {}},
    });
    let made = made(container, &script, &[]);
    let pod = hardened(&registry, "web", &made, POD);
    assert_eq!(run(&made, &pod, 0), Ok("hello from user 101".to_owned()), "as on containerd 2");
    let refused = run(&made, &pod, 1024).unwrap_err();
    assert!(refused.contains("Permission denied"), "as on containerd 1: {refused}");
    // Its own directories are what the image declares: without the volumes it dies.
    let mut without = pod.clone();
    without["spec"]["containers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| mount["mountPath"] == "/tmp");
    let dead = run(&made, &without, 0).unwrap_err();
    assert!(dead.contains("Read-only file system"), "{dead}");
}

#[test]
fn a_database_that_was_root_can_write_to_its_new_volume() {
    if cannot_run() {
        return;
    }
    let registry = Registry::start(false);
    let script = format!("echo 1 > /data/file\n{SERVE}");
    let made = made(json!({"Entrypoint": ["/entry"], "Volumes": {"/data": {}}}), &script, &[]);
    let pod = format!(
        "{POD}    volumeMounts:\n    - name: data\n      mountPath: /data\n  volumes:\n  - name: data\n    persistentVolumeClaim:\n      claimName: data\n"
    );
    let pod = hardened(&registry, "database", &made, &pod);
    assert_eq!(pod["spec"]["securityContext"]["fsGroup"], 102);
    assert_eq!(run(&made, &pod, 1024), Ok("hello from user 101".to_owned()));
    let mut without = pod.clone();
    without["spec"]["securityContext"].as_object_mut().unwrap().remove("fsGroup");
    let dead = run(&made, &without, 1024).unwrap_err();
    assert!(dead.contains("/data/file: Permission denied"), "{dead}");
}

#[test]
fn a_program_that_carries_a_capability_starts_because_it_is_kept() {
    if cannot_run() {
        return;
    }
    let registry = Registry::start(false);
    let busybox = std::fs::read(program("busybox").unwrap()).unwrap();
    let server = with_attribute("bin/server", &BIND, &busybox);
    let container = json!({"User": "65532", "Entrypoint": ["/entry"], "ExposedPorts": {"80/tcp": {}}});
    // BusyBox goes by the name it is called by.
    let made = made(container, "exec -a busybox /bin/server id -u", &[server]);
    let pod = hardened(&registry, "capable", &made, POD);
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"],
        json!(["NET_BIND_SERVICE"])
    );
    assert_eq!(run(&made, &pod, 1024), Ok("65532".to_owned()));
    let mut without = pod.clone();
    without["spec"]["containers"][0]["securityContext"]["capabilities"]
        .as_object_mut()
        .unwrap()
        .remove("add");
    let refused = run(&made, &without, 1024).unwrap_err();
    assert!(refused.contains("Operation not permitted"), "{refused}");
}
