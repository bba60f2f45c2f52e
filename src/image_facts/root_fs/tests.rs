//! Layers on layers.

use super::super::tar::tests::{header, padded, pax_record};
use super::super::{Configuration, Facts};
use super::*;

fn file(path: &str, mode: u32, body: &[u8]) -> Vec<u8> {
    [header(path, b'0', mode, 0, body.len(), ""), padded(body)].concat()
}

fn dir(path: &str, mode: u32, uid: u32) -> Vec<u8> {
    header(path, b'5', mode, uid, 0, "")
}

fn link(path: &str, flag: u8, target: &str) -> Vec<u8> {
    header(path, flag, 0o777, 0, 0, target)
}

fn with_capability(path: &str, data: &[u8]) -> Vec<u8> {
    let record = pax_record("SCHILY.xattr.security.capability", data);
    [header("x", b'x', 0, 0, record.len(), ""), padded(&record), file(path, 0o755, b"elf")].concat()
}

fn layered(layers: &[&[Vec<u8>]]) -> RootFs {
    layers.iter().fold(RootFs::default(), |root_fs, entries| {
        root_fs.with_layer(&mut entries.concat().as_slice(), 1 << 20).unwrap()
    })
}

#[track_caller]
fn check(layers: &[&[Vec<u8>]], setuid: &[&str]) {
    assert_eq!(layered(layers).setuid(), setuid);
}

const PASSWD: &[u8] = b"root:x:0:0::/:\napp:x:1000:1000::/:\n";

#[test]
fn a_whiteout_hides_what_is_below_and_not_what_its_own_layer_brings() {
    let base = &[file("bin/su", 0o4755, b""), file("opt/a/x", 0o4755, b""), file("opt/b/y", 0o2755, b"")];
    check(&[base], &["/bin/su", "/opt/a/x", "/opt/b/y"]);
    check(&[base, &[file("bin/.wh.su", 0, b"")]], &["/opt/a/x", "/opt/b/y"]);
    check(&[base, &[file(".wh.opt", 0, b"")]], &["/bin/su"]);
    check(&[base, &[file("opt/a/.wh..wh..opq", 0, b"")]], &["/bin/su", "/opt/b/y"]);
    // In either order.
    let again = file("opt/a/z", 0o4755, b"");
    check(&[base, &[file("opt/.wh.a", 0, b""), again.clone()]], &["/bin/su", "/opt/a/z", "/opt/b/y"]);
    check(&[base, &[again, file("opt/.wh.a", 0, b"")]], &["/bin/su", "/opt/a/z", "/opt/b/y"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let base = &[file("./bin/su", 0o4755, b"")];
    check(&[base, &[file("/bin/su", 0o755, b"")]], &[]);
    check(&[base, &[link("bin", b'2', "usr/bin")]], &[]);
    check(&[&[file("a", 0o4755, b""), file("a", 0o755, b"")]], &[]);
    check(&[base, &[dir("bin", 0o755, 0)]], &["/bin/su"]);
    check(&[base, &[file("../bin/su", 0o755, b"")]], &["/bin/su"]);
}

#[test]
fn hard_links_share_what_their_target_may() {
    check(&[&[file("bin/su", 0o4755, b""), link("bin/other", b'1', "bin/su")]], &["/bin/other", "/bin/su"]);
    check(
        &[&[file("bin/su", 0o4755, b"")], &[link("bin/other", b'1', "/bin/su")]],
        &["/bin/other", "/bin/su"],
    );
}

#[test]
fn a_link_at_the_top_leads_later_layers() {
    let base = &[link("bin", b'2', "usr/bin"), file("usr/bin/su", 0o4755, b"")];
    check(&[base, &[file("bin/su", 0o755, b"")]], &[]);
    assert_eq!(layered(&[base, &[file("bin/sh", 0o755, b"")]]).shell().as_deref(), Some("/usr/bin/sh"));
}

#[test]
fn accounts_come_from_the_last_file_and_never_through_a_link() {
    let resolve = |layers: &[&[Vec<u8>]]| layered(layers).accounts().resolve("app");
    let base = &[file("etc/passwd", 0o644, PASSWD)];
    assert_eq!(resolve(&[base]), (Some(1000), Some(1000)));
    assert_eq!(resolve(&[base, &[file("etc/passwd", 0o644, b"app:x:7:8::/:\n")]]), (Some(7), Some(8)));
    assert_eq!(resolve(&[base, &[link("etc/passwd", b'2', "/etc/shadow")]]), (None, None));
    assert_eq!(resolve(&[base, &[file("etc/.wh.passwd", 0, b"")]]), (None, None));
}

#[test]
fn facts_say_what_hardening_would_meet() {
    let raw_net = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let root_fs = layered(&[&[
        file("etc/passwd", 0o644, PASSWD),
        with_capability("bin/ping", &raw_net),
        dir("var/cache/app", 0o755, 1000),
        dir("var/cache/app/sub", 0o755, 1000),
        dir("srv/other", 0o755, 77),
        dir("srv/all", 0o777, 0),
        dir("tmp", 0o1777, 0),
        file("bin/busybox", 0o755, b""),
    ]]);
    let configuration = Configuration {
        user: "app".to_owned(),
        ports: vec!["80/tcp".to_owned()],
        ..Configuration::default()
    };
    let facts = Facts::new(&configuration, &root_fs, "linux/amd64".to_owned());
    assert_eq!((facts.uid, facts.gid, facts.has_numeric_user()), (Some(1000), Some(1000), false));
    assert_eq!(facts.file_capabilities, ["/bin/ping cap_net_raw"]);
    let writable: Vec<(&str, Option<u32>)> =
        facts.writable.iter().map(|w| (w.path.as_str(), w.owner)).collect();
    assert_eq!(writable, [("/srv/all", None), ("/var/cache/app", Some(1000))]);
    assert_eq!(facts.shell.as_deref(), Some("/bin/busybox"));
    assert_eq!(facts.low_ports().collect::<Vec<_>>(), [80]);
}

#[test]
fn lists_are_bounded_and_what_is_left_out_is_counted() {
    let many: Vec<Vec<u8>> = (0..40).map(|n| file(&format!("bin/s{n:02}"), 0o4755, b"")).collect();
    let facts = Facts::new(&Configuration::default(), &layered(&[&many]), String::new());
    assert_eq!((facts.setuid.len(), facts.unlisted), (super::super::MOST_LISTED, 8));
}

#[test]
fn a_layer_larger_than_allowed_is_an_error() {
    let layer = file("big", 0o644, &vec![0; 8192]);
    let error = RootFs::default().with_layer(&mut layer.as_slice(), 4096).unwrap_err();
    assert_eq!(error.to_string(), "more than 4096 bytes unpacked");
}
