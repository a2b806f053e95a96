//! Hard links.

use super::*;
use crate::notify::{Class, change};
use crate::rename::{IGNORE_READONLY, POSIX_SEMANTICS, REPLACE};

/// Number of links, whether deletion is pending, and the two numbers of `FileStandardLinkInformation`.
fn counts(fixture: &Fixture, open: OpenId) -> (u8, bool, u8, u8) {
    let standard = fixture.query(open, FileStandardInformation, 24).unwrap();
    let links = fixture
        .query(open, FileStandardLinkInformation, 12)
        .unwrap();
    assert_eq!(links[8], standard[20]);
    (standard[16], standard[20] != 0, links[0], links[4])
}

/// The names of a file, with the id of the directory of each.
fn names(fixture: &Fixture, open: OpenId) -> Vec<(u64, String)> {
    let bytes = fixture.query(open, FileHardLinkInformation, 512).unwrap();
    let int = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut found = Vec::new();
    let mut at = 8;
    loop {
        let parent = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap());
        let name = &bytes[at + 20..at + 20 + 2 * int(at + 16)];
        let units: Vec<u16> = name
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        found.push((parent, String::from_utf16(&units).unwrap()));
        if int(at) == 0 {
            break;
        }
        at += int(at);
    }
    assert_eq!((int(0), int(4)), (bytes.len(), found.len()));
    found
}

fn id(fixture: &Fixture, open: OpenId) -> u64 {
    let id = fixture.query(open, FileInternalInformation, 8).unwrap();
    u64::from_le_bytes(id.try_into().unwrap())
}

#[test]
fn links_share_everything_but_their_names() {
    let fixture = new();
    fixture.make(r"\a", b"x");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    assert_eq!(fixture.link(a, None, "b", 0), STATUS_SUCCESS);
    assert_eq!(fixture.link(a, None, "b", 0), STATUS_OBJECT_NAME_COLLISION);
    let b = fixture.open(r"\b", FILE_OPEN, 0);
    assert_eq!(id(&fixture, a), id(&fixture, b));
    fixture.set_attributes(b, attribute::HIDDEN);
    assert_eq!(fixture.attributes(a), attribute::HIDDEN);
    fixture.lock(a, 0, true, None);
    assert_eq!(fixture.read(b, 0, 1), Err(STATUS_FILE_LOCK_CONFLICT));
    fixture.set(b, FileDispositionInformation, &[1]);
    assert_eq!(fixture.link(b, None, "c", 0), STATUS_ACCESS_DENIED);
    assert_eq!(fixture.status(r"\a", FILE_OPEN, 0), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\b", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    assert_eq!(counts(&fixture, a), (1, false, 1, 2));
    assert_eq!(counts(&fixture, b), (1, true, 1, 2));
    fixture.close(b);
    assert_eq!(counts(&fixture, a), (1, false, 1, 1));
    assert!(fixture.host("a").exists() && !fixture.host("b").exists());
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.link(root, None, "x", 0), STATUS_FILE_IS_A_DIRECTORY);
    assert_eq!(fixture.link(a, None, "x:y", 0), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.link(a, Some(a), "x", 0), STATUS_NOT_A_DIRECTORY);
}

#[test]
fn all_names_of_a_file_are_told() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\a", b"x");
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let (above, below) = (id(&fixture, root), id(&fixture, d));
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    assert_eq!(names(&fixture, a), [(above, "a".to_owned())]);
    assert_eq!(fixture.link(a, Some(d), "second", 0), STATUS_SUCCESS);
    assert_eq!(fixture.link(a, None, "z", 0), STATUS_SUCCESS);
    let all = [(above, "a"), (above, "z"), (below, "second")];
    let all = all.map(|(parent, name)| (parent, name.to_owned()));
    assert_eq!(names(&fixture, a), all);
    let second = fixture.open(r"\d\SECOND", FILE_OPEN, 0);
    assert_eq!(fixture.name(second), r"\d\second");
    assert_eq!(names(&fixture, second), all);
    assert_eq!(counts(&fixture, second), (3, false, 3, 3));
    assert_eq!(names(&fixture, d), [(above, "d".to_owned())]);
}

#[test]
fn a_link_replaces_what_a_rename_would() {
    let fixture = new();
    for name in [r"\a", r"\b", r"\readonly"] {
        fixture.make(name, name.as_bytes());
    }
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    let readonly = fixture.open(r"\readonly", FILE_OPEN, 0);
    fixture.set_attributes(readonly, attribute::READONLY);
    fixture.close(readonly);
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let link = |name: &str, flags| fixture.link(a, None, name, flags);
    assert_eq!(link("d", REPLACE), STATUS_ACCESS_DENIED);
    assert_eq!(link("readonly", REPLACE), STATUS_ACCESS_DENIED);
    assert_eq!(link("readonly", REPLACE | IGNORE_READONLY), STATUS_SUCCESS);
    let b = fixture.open(r"\b", FILE_OPEN, 0);
    assert_eq!(link("b", REPLACE), STATUS_ACCESS_DENIED);
    fixture.close(b);
    assert_eq!(link("B", REPLACE), STATUS_SUCCESS);
    assert_eq!(counts(&fixture, a), (3, false, 3, 3));
    assert_eq!(std::fs::read(fixture.host("B")).unwrap(), br"\a");
    // A name that it has already is no other one, and takes the case that is asked for.
    assert_eq!(link("readonly", REPLACE), STATUS_SUCCESS);
    assert_eq!(link("a", 0), STATUS_OBJECT_NAME_COLLISION);
    assert_eq!(link("a", REPLACE), STATUS_SUCCESS);
    assert_eq!(link("A", REPLACE), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\A");
    assert_eq!(counts(&fixture, a), (3, false, 3, 3));
}

#[test]
fn posix_semantics_replace_a_file_that_is_open() {
    let fixture = new();
    for replacing in [Fixture::link, Fixture::rename] {
        fixture.make(r"\new", b"new");
        fixture.make(r"\old", b"old");
        let new = fixture.open(r"\new", FILE_OPEN, 0);
        let unshared = Request {
            share: SHARE_ALL & !4,
            ..request(r"\old", FILE_OPEN, 0)
        };
        let old = fixture.try_open(&unshared).unwrap().open;
        let flags = REPLACE | POSIX_SEMANTICS;
        assert_eq!(
            replacing(&fixture, new, None, "old", flags),
            STATUS_SHARING_VIOLATION
        );
        fixture.close(old);
        let old = fixture.open(r"\old", FILE_OPEN, 0);
        assert_eq!(
            replacing(&fixture, new, None, "old", REPLACE),
            STATUS_ACCESS_DENIED
        );
        assert_eq!(replacing(&fixture, new, None, "old", flags), STATUS_SUCCESS);
        // Who has the old file goes on, and the name is the new file's.
        assert_eq!(fixture.read(old, 0, 3), Ok(b"old".to_vec()));
        assert_eq!(fixture.write(old, 0, b"old!").0, STATUS_SUCCESS);
        let standard = fixture.query(old, FileStandardInformation, 24).unwrap();
        assert_eq!((standard[16], standard[20]), (0, 1));
        assert_eq!(
            fixture.set(old, FileDispositionInformation, &[0]),
            STATUS_FILE_DELETED
        );
        let other = fixture.open(r"\old", FILE_OPEN, 0);
        assert_eq!(fixture.read(other, 0, 3), Ok(b"new".to_vec()));
        for open in [other, old, new] {
            fixture.close(open);
        }
        for name in [r"\old", r"\new"] {
            fixture.status(name, FILE_OPEN, FILE_DELETE_ON_CLOSE);
        }
        assert_eq!(std::fs::read_dir(fixture.host("")).unwrap().count(), 0);
    }
}

#[test]
fn a_new_name_is_reported_where_it_comes() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\a", b"");
    fixture.make(r"\d\b", b"");
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let watch = |ticket: usize| {
        let volume = &fixture.volume;
        volume.notify(
            d,
            (change::FILE_NAME, false),
            Class::Plain,
            200,
            Ticket(ticket),
            &|| true,
        )
    };
    assert_eq!(watch(1), Outcome::Waiting);
    let target = |name: &str| Target {
        directory: Some(d),
        name: wide(name),
        flags: REPLACE,
    };
    let (_, finished) = effects(|effects| fixture.volume.link(a, &target("c"), effects));
    // FILE_ACTION_ADDED, two bytes of a name.
    assert_eq!(finished[0].data[4..14], [1, 0, 0, 0, 2, 0, 0, 0, b'c', 0]);
    assert_eq!(watch(2), Outcome::Waiting);
    let (_, finished) = effects(|effects| fixture.volume.link(a, &target("b"), effects));
    assert_eq!(finished[0].data[4..14], [2, 0, 0, 0, 2, 0, 0, 0, b'b', 0]);
}

#[test]
fn a_file_that_replaces_its_own_other_name_keeps_that_one() {
    let fixture = new();
    fixture.make(r"\a", b"x");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    assert_eq!(fixture.link(a, None, "b", 0), STATUS_SUCCESS);
    let flags = REPLACE | POSIX_SEMANTICS;
    assert_eq!(fixture.rename(a, None, "b", flags), STATUS_SUCCESS);
    assert!(!fixture.host("a").exists() && fixture.host("b").exists());
    assert_eq!(fixture.name(a), r"\b");
    assert_eq!(counts(&fixture, a), (1, false, 1, 1));
    fixture.close(a);
    assert_eq!(fixture.status(r"\b", FILE_OPEN, 0), STATUS_SUCCESS);
}

#[test]
fn what_cannot_be_replaced_by_a_link_stays() {
    let fixture = new();
    fixture.make(r"\a", b"a");
    fixture.make(r"\b", b"b");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    // Gone behind the volume's back: the host makes no link of it.
    std::fs::remove_file(fixture.host("a")).unwrap();
    assert_ne!(fixture.link(a, None, "b", REPLACE), STATUS_SUCCESS);
    assert_eq!(std::fs::read(fixture.host("b")).unwrap(), b"b");
}
