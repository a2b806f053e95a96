//! What the host cannot hold of files is there again after a dismount, and nowhere to be seen.

use super::*;
use crate::overlays::FOLDER;
use crate::rename::{POSIX_SEMANTICS, REPLACE};
use crate::security::{Descriptor, part};
use ntbox_kernel::nt::reparse::{SYMBOLIC_LINK, leading_to};
use std::path::Path;

const ALL_PARTS: u32 = part::OWNER | part::GROUP | part::DACL;
/// An attribute that no file has by itself.
const HIDDEN: u32 = attribute::HIDDEN;

/// All that FileBasicInformation and the descriptor say.
fn state(fixture: &Fixture, name: &str) -> (Vec<u8>, Vec<u8>) {
    let reads = Request {
        desired: access::FILE_READ,
        ..request(name, FILE_OPEN, 0)
    };
    let open = fixture.try_open(&reads).unwrap().open;
    let basic = fixture.query(open, FileBasicInformation, 40).unwrap();
    let mut security = vec![0; 1000];
    let (status, length) = fixture
        .volume
        .query_security(open, ALL_PARTS, &mut security);
    assert_eq!(status, STATUS_SUCCESS);
    security.truncate(length);
    fixture.close(open);
    (basic, security)
}

/// Creation, access, write and change time, in the past.
fn times() -> Vec<u8> {
    let time = |index: i64| 130_000_000_000_000_000_i64 + index * 10_000_000;
    (0..4).flat_map(|index| time(index).to_le_bytes()).collect()
}

/// Sets every time, attributes, and the owner.
fn give(fixture: &Fixture, name: &str, attributes: u32) {
    let open = fixture.open(name, FILE_OPEN, 0);
    let mut basic = times();
    basic.extend(u64::from(attributes).to_le_bytes());
    assert_eq!(
        fixture.set(open, FileBasicInformation, &basic),
        STATUS_SUCCESS
    );
    let mut security = Descriptor::default_of_files().to_bytes(part::OWNER);
    // The last part of the owner's SID.
    *security.last_chunk_mut().unwrap() = 1000_u32.to_le_bytes();
    let set = effects(|effects| {
        fixture
            .volume
            .set_security(open, part::OWNER, &security, effects)
    });
    assert_eq!(set.0, STATUS_SUCCESS);
    fixture.close(open);
}

fn records(root: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(root.join(FOLDER)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn attributes_of(fixture: &Fixture, name: &str) -> u32 {
    let open = fixture.open(name, FILE_OPEN, 0);
    let attributes = fixture.attributes(open);
    fixture.close(open);
    attributes
}

#[test]
fn attributes_times_and_descriptors_are_equal_after_a_remount() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\d\f", b"x");
    for name in [r"\", r"\d", r"\d\f"] {
        give(&fixture, name, HIDDEN);
    }
    let names = [r"\d\f", r"\d", r"\"];
    let before = names.map(|name| state(&fixture, name));
    assert_ne!(
        before[0].1,
        Descriptor::default_of_files().to_bytes(ALL_PARTS)
    );
    for (name, (basic, _)) in names.iter().zip(&before) {
        assert_eq!(basic[..32], times(), "{name}");
    }
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(names.map(|name| state(&fixture, name)), before);
    let fixture = fixture.remount(true, |_| {});
    assert_eq!(names.map(|name| state(&fixture, name)), before);
}

#[test]
fn nobody_on_the_volume_finds_the_folder() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.set_attributes(file, HIDDEN);
    assert!(fixture.host(FOLDER).is_dir());
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.listing(root), ["f"]);
    for name in [r"\.ntbox", r"\.NtBox", r"\.ntbox\x"] {
        for disposition in [FILE_OPEN, FILE_CREATE, FILE_OPEN_IF, FILE_SUPERSEDE] {
            let status = fixture.status(name, disposition, 0);
            assert_eq!(status, STATUS_OBJECT_NAME_INVALID, "{name} {disposition}");
        }
    }
    for replace in [0, 1] {
        let status = fixture.rename(file, Some(root), ".NTBOX", replace);
        assert_eq!(status, STATUS_OBJECT_NAME_INVALID);
    }
    let record = &records(&fixture.host(""))[0];
    let id = ntbox_kernel::host::file::Directory::open(&fixture.host(FOLDER))
        .and_then(|folder| folder.metadata_of(record.file_name().unwrap()))
        .unwrap();
    let by_id = Request {
        id: Some(id.identity.number),
        ..request("", FILE_OPEN, FILE_OPEN_BY_FILE_ID)
    };
    assert_eq!(
        fixture.try_open(&by_id).unwrap_err(),
        STATUS_INVALID_PARAMETER
    );
    // Elsewhere it is a name as any other.
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\d\.ntbox", b"");
    let directory = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.listing(directory), [".", "..", ".ntbox"]);
}

#[cfg(unix)]
#[test]
fn links_of_the_host_do_not_lead_to_the_folder() {
    use std::os::unix::fs::symlink;
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\f", b"");
    give(&fixture, r"\f", HIDDEN);
    symlink("..", fixture.host("d/up")).unwrap();
    symlink("../.ntbox", fixture.host("d/there")).unwrap();
    let up = fixture.open(r"\d\up", FILE_OPEN, 0);
    assert_eq!(fixture.listing(up), [".", "..", "d", "f"]);
    let status = fixture.status(r"\d\up\.ntbox", FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_INVALID);
    assert_eq!(
        fixture.status(r"\d\there", FILE_OPEN, 0),
        STATUS_ACCESS_DENIED
    );
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(
        fixture.rename(file, Some(up), ".ntbox", 0),
        STATUS_OBJECT_NAME_INVALID
    );
}

#[test]
fn the_folder_is_there_only_while_a_file_has_something_in_it() {
    let fixture = new();
    let folder = fixture.host(FOLDER);
    fixture.make(r"\f", b"x");
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.close(fixture.open(r"\f", FILE_OVERWRITE, 0));
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.rename(file, None, "g", 0);
    assert!(!folder.exists(), "plain files have nothing there");
    fixture.close(file);
    give(&fixture, r"\g", HIDDEN);
    give(&fixture, r"\d", HIDDEN);
    assert_eq!(records(&fixture.host("")).len(), 2);
    for (name, left) in [(r"\g", 1), (r"\d", 0)] {
        fixture.close(fixture.open(name, FILE_OPEN, FILE_DELETE_ON_CLOSE));
        assert_eq!(records(&fixture.host("")).len(), left);
    }
    assert!(!folder.exists());
    // What is as every new file has it needs no record any more.
    let made = Request {
        attributes: attribute::TEMPORARY,
        ..request(r"\h", FILE_CREATE, 0)
    };
    let made = fixture.try_open(&made).unwrap().open;
    assert_eq!(records(&fixture.host("")).len(), 1);
    fixture.close(made);
    let written = || std::fs::metadata(fixture.host("")).unwrap().modified();
    let before = written().unwrap();
    fixture.close(fixture.open(r"\h", FILE_SUPERSEDE, 0));
    assert!(!folder.exists());
    assert_eq!(written().unwrap(), before, "the root's last write");
}

#[test]
fn links_share_it_and_renames_take_it_along() {
    let fixture = new();
    for (name, attributes) in [(r"\a", HIDDEN), (r"\b", attribute::SYSTEM)] {
        fixture.make(name, b"");
        give(&fixture, name, attributes);
    }
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    assert_eq!(fixture.link(a, None, "a2", 0), STATUS_SUCCESS);
    fixture.close(a);
    fixture.close(fixture.open(r"\a", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(attributes_of(&fixture, r"\a2"), HIDDEN);
    let a = fixture.open(r"\a2", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, None, "b", 1), STATUS_SUCCESS);
    fixture.close(a);
    let fixture = fixture.remount(false, |root| assert_eq!(records(root).len(), 1));
    assert_eq!(
        attributes_of(&fixture, r"\b"),
        HIDDEN | attribute::ARCHIVE,
        "that of the file that was renamed, not of the replaced one"
    );
}

#[test]
fn reparse_points_are_there_after_a_remount() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    let directory = fixture.open(r"\d", FILE_OPEN, 0);
    let data = leading_to(SYMBOLIC_LINK, &wide("to"), true);
    for open in [file, directory] {
        assert_eq!(fixture.set_point(open, &data), STATUS_SUCCESS);
        fixture.close(open);
    }
    let fixture = fixture.remount(false, |root| assert_eq!(records(root).len(), 2));
    for name in [r"\f", r"\d", r"\d\x"] {
        assert_eq!(fixture.status(name, FILE_OPEN, 0), STATUS_REPARSE, "{name}");
    }
    let itself = FILE_OPEN_REPARSE_POINT;
    let file = fixture.open(r"\f", FILE_OPEN, itself);
    assert_eq!(fixture.point(file, 100), (STATUS_SUCCESS, data));
    fixture.close(file);
    // Overwriting ends it, and takes it from the record.
    fixture.close(fixture.open(r"\f", FILE_OVERWRITE, itself));
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
    fixture.close(fixture.open(r"\d", FILE_OPEN, FILE_DELETE_ON_CLOSE | itself));
    fixture.close(fixture.open(r"\f", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    assert!(!fixture.host(FOLDER).exists());
}

#[test]
fn what_is_replaced_while_it_is_open_has_it_until_its_last_close() {
    let fixture = new();
    for replacing in [Fixture::link, Fixture::rename] {
        fixture.make(r"\new", b"");
        fixture.make(r"\old", b"");
        give(&fixture, r"\old", HIDDEN);
        let new = fixture.open(r"\new", FILE_OPEN, 0);
        let old = fixture.open(r"\old", FILE_OPEN, 0);
        let flags = REPLACE | POSIX_SEMANTICS;
        assert_eq!(replacing(&fixture, new, None, "old", flags), STATUS_SUCCESS);
        assert_eq!(fixture.attributes(old), HIDDEN);
        assert_eq!(fixture.attributes(new), attribute::ARCHIVE);
        fixture.set_attributes(old, attribute::SYSTEM);
        assert_eq!(fixture.attributes(old), attribute::SYSTEM);
        fixture.close(old);
        assert!(!fixture.host(FOLDER).exists());
        fixture.close(new);
        for name in [r"\old", r"\new"] {
            fixture.status(name, FILE_OPEN, FILE_DELETE_ON_CLOSE);
        }
    }
}

#[test]
fn a_name_in_another_case_takes_nothing_away() {
    let fixture = new();
    fixture.make(r"\f", b"");
    give(&fixture, r"\f", HIDDEN);
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.rename(file, None, "F", 0), STATUS_SUCCESS);
    fixture.close(file);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(attributes_of(&fixture, r"\F"), HIDDEN | attribute::ARCHIVE);
}

#[test]
fn a_rename_that_fails_takes_nothing_from_what_it_would_replace() {
    let fixture = new();
    fixture.make(r"\a", b"");
    fixture.make(r"\b", b"");
    give(&fixture, r"\b", HIDDEN);
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    // Gone behind the volume's back: the host refuses the rename.
    std::fs::remove_file(fixture.host("a")).unwrap();
    assert_ne!(fixture.rename(a, None, "b", 1), STATUS_SUCCESS);
    fixture.close(a);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(attributes_of(&fixture, r"\b"), HIDDEN);
}

/// A host's link to a file is another entry, and not the file.
#[cfg(unix)]
#[test]
fn what_is_deleted_as_a_link_of_the_host_leaves_the_file_what_it_has() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\g", b"");
    give(&fixture, r"\f", HIDDEN);
    for name in ["deleted", "replaced"] {
        std::os::unix::fs::symlink("f", fixture.host(name)).unwrap();
    }
    fixture.close(fixture.open(r"\deleted", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    let g = fixture.open(r"\g", FILE_OPEN, 0);
    let renamed = fixture.rename(g, None, "replaced", 1);
    assert_eq!(renamed, STATUS_SUCCESS);
    fixture.close(g);
    assert!(fixture.host("deleted").symlink_metadata().is_err());
    assert_eq!(attributes_of(&fixture, r"\f"), HIDDEN);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(attributes_of(&fixture, r"\f"), HIDDEN);
}

#[test]
fn what_can_be_kept_no_more_does_not_come_back_as_it_was() {
    let fixture = new();
    fixture.make(r"\f", b"");
    give(&fixture, r"\f", HIDDEN);
    let record = records(fixture.host("").as_path())[0].clone();
    std::fs::create_dir(record.with_extension("new")).unwrap();
    give(&fixture, r"\f", attribute::SYSTEM);
    let fixture = fixture.remount(false, |_| {
        std::fs::remove_dir(record.with_extension("new")).unwrap();
    });
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::ARCHIVE);
}

#[test]
fn a_file_with_a_number_that_was_used_before_has_nothing_of_it() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\g", b"");
    give(&fixture, r"\f", HIDDEN);
    let plain = state(&fixture, r"\g").1;
    let fixture = fixture.remount(false, |root| {
        let record = &records(root)[0];
        let mut bytes = std::fs::read(record).unwrap();
        // When the file was born.
        bytes[12] ^= 1;
        std::fs::write(record, bytes).unwrap();
    });
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::ARCHIVE);
    assert_eq!(state(&fixture, r"\f").1, plain);
    give(&fixture, r"\f", attribute::SYSTEM);
    let fixture = fixture.remount(false, |root| assert_eq!(records(root).len(), 1));
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::SYSTEM);
}

#[test]
fn who_died_on_the_way_leaves_the_old_state() {
    let fixture = new();
    fixture.make(r"\f", b"");
    give(&fixture, r"\f", HIDDEN);
    let new_name = |record: &Path| record.with_extension("new");
    let fixture = fixture.remount(false, |root| {
        let record = &records(root)[0];
        std::fs::write(new_name(record), b"NTBX").unwrap();
    });
    assert_eq!(attributes_of(&fixture, r"\f"), HIDDEN);
    give(&fixture, r"\f", attribute::SYSTEM);
    let fixture = fixture.remount(false, |root| assert_eq!(records(root).len(), 1));
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::SYSTEM);
    // A record that is not whole is none.
    let fixture = fixture.remount(false, |root| {
        let record = &records(root)[0];
        let bytes = std::fs::read(record).unwrap();
        std::fs::write(record, &bytes[..bytes.len() - 1]).unwrap();
    });
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::ARCHIVE);
}

#[test]
fn a_host_that_refuses_has_it_in_memory() {
    let fixture = new();
    std::fs::write(fixture.host(FOLDER), b"somebody's").unwrap();
    fixture.make(r"\f", b"");
    give(&fixture, r"\f", HIDDEN);
    assert_eq!(attributes_of(&fixture, r"\f"), HIDDEN);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.listing(root), ["f"]);
    fixture.close(fixture.open(r"\f", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    fixture.make(r"\f", b"");
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::ARCHIVE);
    give(&fixture, r"\f", HIDDEN);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(attributes_of(&fixture, r"\f"), attribute::ARCHIVE);
    let theirs = std::fs::read(fixture.host(FOLDER)).unwrap();
    assert_eq!(theirs, b"somebody's");
}
