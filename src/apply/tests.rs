use super::*;

const OLD: &[u8] = b"kind: Pod\n";
const NEW: &[u8] = b"kind: Pod\nspec: {}\n";

/// Makes a repo with `pod.yaml` in it, writes `path`, and compares the outcome's text.
#[track_caller]
fn check(path: &str, expected: Option<&[u8]>, outcome: &str) {
    let root = repo();
    let result = write(root.path(), Path::new(path), NEW, expected);
    let text = result.map_or_else(|error| error.to_string(), |()| "written".to_owned());
    assert_eq!(text, outcome);
    assert_eq!(temporaries(root.path()), 0);
}

fn repo() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("pod.yaml"), OLD).unwrap();
    fs::create_dir(root.path().join(".git")).unwrap();
    root
}

fn temporaries(directory: &Path) -> usize {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(TEMPORARY_PREFIX)).count()
}

#[test]
fn replaces_only_what_it_expected_to_find() {
    check("pod.yaml", Some(OLD), "written");
    check("pod.yaml", Some(NEW), "pod.yaml: changed since it was read");
    check("pod.yaml", None, "pod.yaml: already exists");
    check("none.yaml", Some(OLD), "none.yaml");
    check(".git", Some(OLD), ".git: not a path of a file inside the repo");
}

#[test]
fn creates_directories_above_a_new_file() {
    check("a/b/new.yaml", None, "written");
    check("pod.yaml/new.yaml", None, "pod.yaml/new.yaml");
}

#[test]
fn refuses_paths_that_are_not_inside() {
    for path in ["", "/etc/passwd", "../x.yaml", "a/../../x.yaml", ".git/config", "sub/.GIT/config", "."] {
        check(path, None, &format!("{path}: not a path of a file inside the repo"));
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let root = repo();
    let full = |file: &mut File| {
        file.write_all(&NEW[..5])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    };
    let error = write_with(root.path(), Path::new("pod.yaml"), Some(OLD), &full).unwrap_err();
    assert!(matches!(&error, WriteError::Io(inner) if inner.source.kind() == io::ErrorKind::StorageFull));
    assert_eq!(fs::read(root.path().join("pod.yaml")).unwrap(), OLD);

    write_with(root.path(), Path::new("a/b/new.yaml"), None, &full).unwrap_err();
    assert!(!root.path().join("a").exists(), "directories made for nothing are removed");
    assert_eq!(temporaries(root.path()), 0);
}

#[test]
fn a_change_while_writing_is_noticed() {
    let root = repo();
    let target = root.path().join("pod.yaml");
    let meddle = |file: &mut File| {
        fs::write(&target, "somebody: else\n")?;
        file.write_all(NEW)
    };
    let error = write_with(root.path(), Path::new("pod.yaml"), Some(OLD), &meddle).unwrap_err();
    assert!(matches!(error, WriteError::Changed(_)));
    assert_eq!(fs::read(&target).unwrap(), b"somebody: else\n");
    assert_eq!(temporaries(root.path()), 0);
}

#[test]
fn a_new_file_never_replaces_one_that_appears_meanwhile() {
    let root = repo();
    let meddle = |file: &mut File| {
        fs::write(root.path().join("new.yaml"), "somebody: else\n")?;
        file.write_all(NEW)
    };
    let error = write_with(root.path(), Path::new("new.yaml"), None, &meddle).unwrap_err();
    assert!(matches!(error, WriteError::Exists(_)));
    assert_eq!(fs::read(root.path().join("new.yaml")).unwrap(), b"somebody: else\n");
}

#[test]
fn sweeps_dead_temporaries_and_spares_living_ones_and_strangers() {
    let root = repo();
    let living = temporary_in(root.path(), None).unwrap();
    fs::write(root.path().join(".caseharden-dead.tmp"), "half").unwrap();
    fs::write(root.path().join(".caseharden-notes.md"), "theirs").unwrap();
    stale::sweep(root.path());
    assert!(living.path().exists());
    assert!(!root.path().join(".caseharden-dead.tmp").exists());
    assert!(root.path().join(".caseharden-notes.md").exists());
}
