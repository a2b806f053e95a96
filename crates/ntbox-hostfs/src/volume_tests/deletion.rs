//! Deletion, renames and links.

use super::*;

#[test]
fn deletion_waits_for_the_last_handle() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let one = fixture.open(r"\f", FILE_OPEN, 0);
    let two = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(
        fixture.set(one, FileDispositionInformation, &[1]),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    assert_eq!(fixture.status(r"\f", FILE_CREATE, 0), STATUS_DELETE_PENDING);
    let standard = fixture.query(two, FileStandardInformation, 24).unwrap();
    assert_eq!((standard[16], standard[20]), (0, 1));
    fixture.close(one);
    assert!(fixture.host("f").exists());
    assert_eq!(fixture.read(two, 0, 1).unwrap(), b"x");
    assert_eq!(
        fixture.set(two, FileDispositionInformation, &[0]),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
    fixture.set(two, FileDispositionInformation, &[1]);
    effects(|effects| fixture.volume.cleanup(two, effects));
    assert!(!fixture.host("f").exists());
    // The file object may still be referenced: another file takes the name meanwhile.
    fixture.make(r"\f", b"new");
    fixture.volume.close(two);
    assert_eq!(
        fixture
            .read(fixture.open(r"\f", FILE_OPEN, 0), 0, 9)
            .unwrap(),
        b"new"
    );
}

#[test]
fn delete_on_close_and_posix_deletion() {
    let fixture = new();
    let open = fixture.open(r"\t", FILE_CREATE, FILE_DELETE_ON_CLOSE);
    let other = fixture.open(r"\t", FILE_OPEN, 0);
    fixture.close(open);
    assert_eq!(fixture.status(r"\t", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    fixture.close(other);
    assert!(!fixture.host("t").exists());
    fixture.make(r"\p", b"kept");
    let one = fixture.open(r"\p", FILE_OPEN, 0);
    let two = fixture.open(r"\p", FILE_OPEN, 0);
    assert_eq!(
        fixture.set(one, FileDispositionInformationEx, &3_u32.to_le_bytes()),
        STATUS_SUCCESS
    );
    fixture.close(one);
    assert!(!fixture.host("p").exists());
    assert_eq!(fixture.read(two, 0, 9).unwrap(), b"kept");
    assert_eq!(fixture.status(r"\p", FILE_CREATE, 0), STATUS_SUCCESS);
    fixture.close(two);
    assert!(fixture.host("p").exists());
}

#[test]
fn what_cannot_be_deleted() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        fixture.set(root, FileDispositionInformation, &[1]),
        STATUS_CANNOT_DELETE
    );
    let directory = fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE);
    fixture.make(r"\d\f", b"");
    assert_eq!(
        fixture.set(directory, FileDispositionInformation, &[1]),
        STATUS_DIRECTORY_NOT_EMPTY
    );
    let file = fixture.open(r"\d\f", FILE_OPEN, 0);
    fixture.set_attributes(file, attribute::READONLY);
    assert_eq!(
        fixture.set(file, FileDispositionInformation, &[1]),
        STATUS_CANNOT_DELETE
    );
    let delete = Request {
        desired: access::DELETE,
        ..request(r"\d\f", FILE_OPEN, FILE_DELETE_ON_CLOSE)
    };
    assert_eq!(fixture.try_open(&delete).unwrap_err(), STATUS_CANNOT_DELETE);
    assert_eq!(
        fixture.set(file, FileDispositionInformationEx, &0x11_u32.to_le_bytes()),
        STATUS_SUCCESS
    );
    fixture.close(file);
    assert_eq!(
        fixture.set(directory, FileDispositionInformation, &[1]),
        STATUS_SUCCESS
    );
    assert_eq!(
        fixture.status(r"\d\new", FILE_CREATE, 0),
        STATUS_DELETE_PENDING
    );
    // Something came meanwhile on the host: the directory stays.
    std::fs::write(fixture.host("d/late"), b"").unwrap();
    fixture.close(directory);
    assert_eq!(fixture.status(r"\d\late", FILE_OPEN, 0), STATUS_SUCCESS);
    assert_eq!(
        fixture.set(root, FileDispositionInformation, &[]),
        STATUS_INFO_LENGTH_MISMATCH
    );
}

#[test]
fn renames_in_and_between_directories() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\a", b"1");
    fixture.make(r"\d\b", b"2");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, None, "A2", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\A2");
    assert_eq!(fixture.rename(a, None, "a2", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\a2");
    assert!(fixture.host("a2").exists());
    assert_eq!(
        fixture.rename(a, Some(d), "B", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    let b = fixture.open(r"\d\b", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, Some(d), "B", 1), STATUS_ACCESS_DENIED);
    fixture.close(b);
    assert_eq!(fixture.rename(a, Some(d), "B", 1), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\d\B");
    assert_eq!(std::fs::read(fixture.host("d/B")).unwrap(), b"1");
    // As the host lists them: one that ignores case finds it as "b" as well.
    let names = std::fs::read_dir(fixture.host("d")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["B"]);
    assert_eq!(
        fixture.rename(a, None, "x:y", 0),
        STATUS_OBJECT_NAME_INVALID
    );
    assert_eq!(
        fixture.rename(a, None, r"d\x", 0),
        STATUS_OBJECT_NAME_INVALID
    );
    assert_eq!(fixture.rename(a, None, "..", 0), STATUS_OBJECT_NAME_INVALID);
    assert_eq!(fixture.rename(a, Some(a), "x", 0), STATUS_NOT_A_DIRECTORY);
}

#[test]
fn directories_are_renamed_only_when_nothing_below_is_open() {
    let fixture = new();
    for name in [r"\d", r"\d\sub", r"\e"] {
        fixture.close(fixture.open(name, FILE_CREATE, FILE_DIRECTORY_FILE));
    }
    fixture.make(r"\d\sub\f", b"");
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let f = fixture.open(r"\d\sub\f", FILE_OPEN, 0);
    assert_eq!(fixture.rename(d, None, "new", 0), STATUS_ACCESS_DENIED);
    effects(|effects| fixture.volume.cleanup(f, effects));
    assert_eq!(fixture.rename(d, None, "new", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(f), r"\new\sub\f");
    assert_eq!(fixture.rename(d, None, "e", 1), STATUS_ACCESS_DENIED);
    let sub = fixture.open(r"\new\sub", FILE_OPEN, 0);
    assert_eq!(
        fixture.rename(d, Some(sub), "below", 0),
        STATUS_ACCESS_DENIED
    );
    assert_eq!(fixture.status(r"\NEW\SUB\F", FILE_OPEN, 0), STATUS_SUCCESS);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.rename(root, None, "x", 0), STATUS_INVALID_PARAMETER);
}

/// Who has opened a file by names that differ in case gives it a name that does.
#[test]
fn case_counts_in_a_rename_where_it_did_in_the_create() {
    let fixture = new();
    fixture.make(r"\a", b"1");
    fixture.make(r"\B", b"2");
    let open = |case_sensitive| {
        let request = Request {
            case_sensitive,
            ..request(r"\a", FILE_OPEN, 0)
        };
        fixture.try_open(&request).unwrap().open
    };
    let insensitive = open(false);
    let collides = fixture.rename(insensitive, None, "b", 0);
    assert_eq!(collides, STATUS_OBJECT_NAME_COLLISION);
    fixture.close(insensitive);
    let sensitive = open(true);
    assert_eq!(fixture.link(sensitive, None, "A", 0), STATUS_SUCCESS);
    assert_eq!(fixture.rename(sensitive, None, "b", 0), STATUS_SUCCESS);
    let there: Vec<_> = ["a", "A", "b", "B"]
        .map(|name| std::fs::read(fixture.host(name)).ok())
        .into();
    let data = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(there, [None, data("1"), data("1"), data("2")]);
}
