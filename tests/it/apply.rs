//! Files survive kills, full disks and missing permissions.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caseharden::apply::{WriteError, write};

use crate::isolated::{this_test, wrapped};

const OLD: &[u8] = b"kind: Pod\n";
const NEW: &[u8] = b"kind: Pod\nspec: {}\n";

fn put(root: &Path, path: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, OLD).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn replace(root: &Path, path: &str) -> Result<(), WriteError> {
    write(root, Path::new(path), NEW, Some(OLD))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn keeps_mode_and_gives_new_files_the_umask() {
    let root = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o644, 0o755, 0o640] {
        put(root.path(), "pod.yaml", mode);
        replace(root.path(), "pod.yaml").unwrap();
        assert_eq!(fs::metadata(root.path().join("pod.yaml")).unwrap().mode() & 0o7777, mode);
    }
    write(root.path(), Path::new("a/new.yaml"), NEW, None).unwrap();
    fs::write(root.path().join("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().mode();
    assert_eq!(mode("a/new.yaml"), mode("plain"));
}

#[test]
fn keeps_the_owner_when_root_writes() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "pod.yaml", 0o644);
    let path = root.path().join("pod.yaml");
    if std::os::unix::fs::chown(&path, Some(12345), Some(23456)).is_err() {
        return eprintln!("skipped: only root gives files away");
    }
    replace(root.path(), "pod.yaml").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid()), (12345, 23456));
    assert_eq!(fs::read(&path).unwrap(), NEW);
}

#[test]
fn a_read_only_file_is_refused_even_to_root() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "pod.yaml", 0o444);
    let error = replace(root.path(), "pod.yaml").unwrap_err();
    assert_eq!(error.to_string(), "pod.yaml: read-only");
    assert!(error.help().unwrap().contains("chmod"));
    assert_eq!(fs::read(root.path().join("pod.yaml")).unwrap(), OLD);
    assert_eq!(names(root.path()), ["pod.yaml"]);
}

#[test]
fn writes_through_symlinks_that_stay_inside() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "base/pod.yaml", 0o644);
    symlink("base/pod.yaml", root.path().join("link.yaml")).unwrap();
    symlink("base", root.path().join("dir")).unwrap();
    replace(root.path(), "link.yaml").unwrap();
    assert!(fs::symlink_metadata(root.path().join("link.yaml")).unwrap().is_symlink());
    assert_eq!(fs::read(root.path().join("base/pod.yaml")).unwrap(), NEW);
    write(root.path(), Path::new("dir/sub/new.yaml"), NEW, None).unwrap();
    assert_eq!(fs::read(root.path().join("base/sub/new.yaml")).unwrap(), NEW);
}

#[test]
fn never_follows_symlinks_out() {
    let outer = tempfile::tempdir().unwrap();
    put(outer.path(), "outside/pod.yaml", 0o644);
    put(outer.path(), "repo/.git/pod.yaml", 0o644);
    let root = outer.path().join("repo");
    symlink("../outside/pod.yaml", root.join("link.yaml")).unwrap();
    symlink("../outside", root.join("dir")).unwrap();
    symlink(".git", root.join("config")).unwrap();
    symlink("nowhere", root.join("dangling.yaml")).unwrap();
    for path in ["link.yaml", "dir/pod.yaml", "config/pod.yaml"] {
        let error = replace(&root, path).unwrap_err();
        assert!(matches!(error, WriteError::LeadsOut { .. }), "{path}: {error}");
    }
    for path in ["dir/new.yaml", "dir/sub/new.yaml", "config/new.yaml"] {
        let error = write(&root, Path::new(path), NEW, None).unwrap_err();
        assert!(matches!(error, WriteError::LeadsOut { .. }), "{path}: {error}");
    }
    let error = write(&root, Path::new("dangling.yaml"), NEW, None).unwrap_err();
    assert!(matches!(error, WriteError::Exists(_)));
    assert_eq!(fs::read(outer.path().join("outside/pod.yaml")).unwrap(), OLD);
    assert_eq!(names(&outer.path().join("outside")), ["pod.yaml"]);
    assert_eq!(names(&root.join(".git")), ["pod.yaml"]);
}

#[test]
fn without_permission_the_rest_is_still_written() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    let ran = wrapped(&nobody, place.path(), |root| {
        put(root, "closed/pod.yaml", 0o644);
        put(root, "open/pod.yaml", 0o644);
        put(root, "open/unreadable.yaml", 0o200);
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o555)).unwrap();

        let error = replace(root, "closed/pod.yaml").unwrap_err();
        assert!(matches!(&error, WriteError::Io(e) if e.source.kind() == io::ErrorKind::PermissionDenied));
        assert_eq!(error.to_string(), "closed/pod.yaml");
        write(root, Path::new("closed/new.yaml"), NEW, None).unwrap_err();
        replace(root, "open/unreadable.yaml").unwrap_err();
        replace(root, "open/pod.yaml").unwrap();
        assert_eq!(fs::read(root.join("closed/pod.yaml")).unwrap(), OLD);
        assert_eq!(names(&root.join("closed")), ["pod.yaml"]);
        assert_eq!(names(&root.join("open")), ["pod.yaml", "unreadable.yaml"]);
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o755)).unwrap();
    });
    if !ran {
        eprintln!("skipped: `setpriv` may not change the user here");
    }
}

#[test]
fn anothers_file_that_is_not_writable_is_refused() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    if !place.path().join("pod.yaml").exists() && std::env::var_os("CASEHARDEN_TEST_HOME").is_none() {
        put(place.path(), "pod.yaml", 0o644);
    }
    let ran = wrapped(&nobody, place.path(), |root| {
        // The directory would let us replace it, the file's own bits do not.
        let error = replace(root, "pod.yaml").unwrap_err();
        assert!(matches!(error, WriteError::ReadOnly(_)), "{error}");
        assert_eq!(names(root), ["pod.yaml"]);
    });
    if !ran {
        eprintln!("skipped: `setpriv` may not change the user here");
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let private_mounts = ["unshare", "--user", "--map-root-user", "--mount"];
    let as_root = ["unshare", "--mount"];
    let body = |root: &Path| {
        let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        assert!(Command::new("mount").args(mount).arg(root).status().unwrap().success());
        put(root, "pod.yaml", 0o644);
        put(root, "small.yaml", 0o644);
        let huge = vec![b'#'; 1 << 20];
        let error = write(root, Path::new("pod.yaml"), &huge, Some(OLD)).unwrap_err();
        assert!(
            matches!(&error, WriteError::Io(e) if e.source.kind() == io::ErrorKind::StorageFull),
            "{error:?}"
        );
        write(root, Path::new("deep/down/new.yaml"), &huge, None).unwrap_err();
        assert_eq!(fs::read(root.join("pod.yaml")).unwrap(), OLD);
        assert_eq!(names(root), ["pod.yaml", "small.yaml"]);
        replace(root, "small.yaml").unwrap();
        assert_eq!(fs::read(root.join("small.yaml")).unwrap(), NEW);
    };
    if !wrapped(&as_root, place.path(), body) && !wrapped(&private_mounts, place.path(), body) {
        eprintln!("skipped: `unshare` may not mount here");
    }
}

const KILLS: u32 = 250;
const FILES: usize = 4;

/// A text that shows at every line which version it is, and long enough to be written in several pieces.
fn version(number: usize) -> Vec<u8> {
    format!("version: {number}\n").repeat(40_000).into_bytes()
}

#[test]
fn a_kill_leaves_every_file_old_or_new() {
    fn write_until_killed(root: &Path) {
        let versions = [version(1), version(2)];
        for round in 0.. {
            for file in 0..FILES {
                let path = format!("{file}.yaml");
                let now = fs::read(root.join(&path)).unwrap();
                let next = &versions[usize::from(now == versions[0])];
                write(root, Path::new(&path), next, Some(&now)).unwrap();
            }
            write(root, Path::new(&format!("new-{}-{round}.yaml", std::process::id())), &versions[0], None)
                .unwrap();
            println!("round");
        }
    }
    if let Some(root) = std::env::var_os("CASEHARDEN_TEST_HOME") {
        return write_until_killed(Path::new(&root));
    }
    let root = tempfile::tempdir().unwrap();
    let versions = [version(1), version(2)];
    for file in 0..FILES {
        fs::write(root.path().join(format!("{file}.yaml")), &versions[0]).unwrap();
    }
    let mut mid_write = 0;
    for kill in 0..KILLS {
        let here = || ();
        let mut child =
            child_of(&here, root.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = lines.by_ref().find(|line| line.as_ref().is_ok_and(|line| line.contains("round")));
        assert!(started.is_some(), "the child writes");
        // Spread over a round by a fixed step, coprime to its length in practice.
        let moment = Instant::now() + Duration::from_micros(u64::from(kill) * 7919 % 6000);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        mid_write += usize::from(names(root.path()).iter().any(|name| name.ends_with(".tmp")));
        inspect(root.path(), &versions);
    }
    assert!(mid_write > 0, "no kill has hit the middle of a write: this proves nothing");
    write(root.path(), Path::new("last.yaml"), NEW, None).unwrap();
    assert!(names(root.path()).iter().all(|name| !name.ends_with(".tmp")), "the next run cleans up");
}

fn child_of<F>(_: &F, root: &Path) -> Command {
    this_test::<F>(root, &[])
}

/// Every manifest is one of `versions` from end to end; files that were made are removed again.
fn inspect(root: &Path, versions: &[Vec<u8>]) {
    for name in names(root) {
        if !name.ends_with(".yaml") {
            assert!(name.starts_with(".caseharden-") && name.ends_with(".tmp"), "{name}");
            continue;
        }
        let contents = fs::read(root.join(&name)).unwrap();
        assert!(versions.contains(&contents), "{name} is torn: {} bytes", contents.len());
        if name.starts_with("new-") {
            fs::remove_file(root.join(&name)).unwrap();
        }
    }
}
