//! Tests of name resolution.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Nothing is told apart by case.
struct InAnyCase;

impl Lookup for InAnyCase {
    fn tells_case(&self, _: &Directory) -> bool {
        false
    }
    fn long_name(&self, _: &Directory, _: &[u16]) -> Option<(OsString, Vec<u16>)> {
        None
    }
}

fn tree() -> (TempDir, Tree) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("Dir/Sub")).unwrap();
    std::fs::write(root.join("Dir/File.txt"), b"inside").unwrap();
    std::fs::write(folder.path().join("secret"), b"outside").unwrap();
    let tree = Tree::open(&root).unwrap();
    (folder, tree)
}
fn at(tree: &Tree, path: &str) -> Result<Resolved, NTSTATUS> {
    let path: Vec<Vec<u16>> = path
        .split('\\')
        .map(|part| part.encode_utf16().collect())
        .collect();
    tree.resolve(&path, &InAnyCase)
}
fn reads(tree: &Tree, path: &str) -> Result<Vec<u8>, NTSTATUS> {
    let existing = at(tree, path)?
        .existing
        .ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
    let file = existing
        .directory
        .open_file(&existing.name, false)
        .map_err(|error| host_status::of(&error))?;
    let mut bytes = vec![0; 100];
    let count = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn case_is_ignored_and_kept() {
    let (_folder, tree) = tree();
    let found = at(&tree, r"dir\FILE.TXT").unwrap();
    assert_eq!(
        String::from_utf16(&found.components[1]).unwrap(),
        "File.txt"
    );
    assert_eq!(found.existing.unwrap().metadata.size, 6);
    std::fs::write(tree.path.join("Dir/FILE.TXT"), b"exact match first").unwrap();
    assert_eq!(
        at(&tree, r"dir\FILE.TXT")
            .unwrap()
            .existing
            .unwrap()
            .metadata
            .size,
        17
    );
    assert_eq!(
        at(&tree, r"dir\File.txt")
            .unwrap()
            .existing
            .unwrap()
            .metadata
            .size,
        6
    );
    let exact: Vec<Vec<u16>> = vec!["dir".encode_utf16().collect()];
    assert!(tree.resolve(&exact, &Exactly).unwrap().existing.is_none());
}

#[test]
fn what_is_missing_is_told_apart() {
    let (_folder, tree) = tree();
    assert!(at(&tree, r"dir\none").unwrap().existing.is_none());
    assert_eq!(
        at(&tree, r"none\none").unwrap_err(),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
    assert_eq!(
        at(&tree, r"dir\file.txt\none").unwrap_err(),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
}

#[test]
fn no_name_leads_out() {
    let (_folder, tree) = tree();
    for name in [
        r"..\secret",
        r"..",
        r"dir\..\..\secret",
        r".",
        r"dir\.",
        r"../secret",
        r"dir/../../secret",
        r"\..\secret",
        "\u{F02E}\u{F02E}\\secret",
    ] {
        let result = reads(&tree, name);
        assert!(
            matches!(
                result,
                Err(STATUS_OBJECT_NAME_INVALID
                    | STATUS_OBJECT_PATH_NOT_FOUND
                    | STATUS_OBJECT_NAME_NOT_FOUND)
            ),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn links_are_followed_only_inside() {
    let (folder, tree) = tree();
    let root = folder.path().join("root");
    let outside = folder.path();
    symlink("Dir/File.txt", root.join("good")).unwrap();
    symlink("../../root/Dir", root.join("Dir/out-and-in")).unwrap();
    symlink("../Dir/./Sub/../File.txt", root.join("Dir/winding")).unwrap();
    symlink(root.join("Dir"), root.join("absolute")).unwrap();
    symlink(outside.join("secret"), root.join("bad-absolute")).unwrap();
    symlink("../secret", root.join("bad-relative")).unwrap();
    symlink("..", root.join("bad-parent")).unwrap();
    symlink(root.join("../secret"), root.join("bad-disguised")).unwrap();
    symlink("bad-parent", root.join("chain")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    assert_eq!(reads(&tree, "good").unwrap(), b"inside");
    assert_eq!(reads(&tree, r"Dir\winding").unwrap(), b"inside");
    assert_eq!(reads(&tree, r"absolute\file.txt").unwrap(), b"inside");
    for name in [
        "bad-absolute",
        "bad-relative",
        "bad-disguised",
        r"bad-parent\secret",
        r"chain\secret",
        "bad-parent",
        r"Dir\out-and-in\File.txt",
        "loop",
    ] {
        assert_eq!(reads(&tree, name), Err(STATUS_ACCESS_DENIED), "{name}");
    }
    assert_eq!(reads(&tree, "dangling"), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    let listed = tree
        .metadata_of(&[], &tree.root().unwrap(), OsStr::new("good"))
        .unwrap();
    assert_eq!((listed.kind, listed.size), (Kind::File, 6));
    let listed = tree
        .metadata_of(&[], &tree.root().unwrap(), OsStr::new("bad-relative"))
        .unwrap();
    assert_eq!((listed.kind, listed.size), (Kind::Link, 0));
}

#[test]
fn a_root_behind_a_link_is_its_target() {
    let (folder, _) = tree();
    symlink("root", folder.path().join("alias")).unwrap();
    let tree = Tree::open(&folder.path().join("alias")).unwrap();
    assert_eq!(reads(&tree, r"dir\file.txt").unwrap(), b"inside");
}
