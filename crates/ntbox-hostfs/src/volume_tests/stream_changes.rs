//! Named streams that are deleted, replaced and renamed, and who is told.

use super::streams::{in_folder, streams};
use super::*;
use crate::notify::{Class, change};
use crate::overlays::FOLDER;
use crate::rename::{POSIX_SEMANTICS, REPLACE};
use crate::waiting::Met;
use ntbox_kernel::nt::reparse::{SYMBOLIC_LINK, leading_to};

fn going(fixture: &Fixture, open: OpenId) -> (u8, u8) {
    let standard = fixture.query(open, FileStandardInformation, 24).unwrap();
    (standard[16], standard[20])
}

#[test]
fn a_stream_is_deleted_with_its_last_handle() {
    let fixture = new();
    fixture.make(r"\f", b"data");
    for (place, name) in [r"\f:a", r"\f:b", r"\f:c"].into_iter().enumerate() {
        fixture.make(name, &vec![0; place]);
    }
    assert_eq!(in_folder(&fixture), 4);
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let a = fixture.open(r"\f:a", FILE_OPEN, 0);
    let also = fixture.open(r"\f:a", FILE_OPEN, 0);
    fixture.set(a, FileDispositionInformation, &[1]);
    // Going, of a file that has its name still.
    assert_eq!(going(&fixture, also), (1, 1));
    assert_eq!(going(&fixture, file), (1, 0));
    fixture.close(a);
    for disposition in [FILE_OPEN, FILE_OPEN_IF, FILE_SUPERSEDE] {
        let status = fixture.status(r"\f:a", disposition, 0);
        assert_eq!(status, STATUS_DELETE_PENDING);
    }
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_SUCCESS);
    fixture.close(also);
    assert_eq!(
        fixture.status(r"\f:a", FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    fixture.close(fixture.open(r"\f:c", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    let expected = [("::$DATA".into(), 4), (":b:$DATA".into(), 1)];
    assert_eq!(streams(&fixture, file), expected);
    assert_eq!(in_folder(&fixture), 2);
    // Its number is used again.
    fixture.make(r"\f:d", b"12");
    assert_eq!(streams(&fixture, file)[2], (":d:$DATA".into(), 2));
    let fixture = fixture.remount(false, |_| {});
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(streams(&fixture, file).len(), 3);
    // What is in a directory keeps nobody from deleting a stream of it.
    for name in [r"\:s", r"\d:s"] {
        fixture.status(r"\d", FILE_OPEN_IF, FILE_DIRECTORY_FILE);
        fixture.status(r"\d\f", FILE_OPEN_IF, 0);
        let stream = fixture.open(name, FILE_CREATE, 0);
        let deleted = fixture.set(stream, FileDispositionInformation, &[1]);
        assert_eq!(deleted, STATUS_SUCCESS, "{name}");
        fixture.close(stream);
        let status = fixture.status(name, FILE_OPEN, 0);
        assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND, "{name}");
        let status = fixture.status(name, FILE_CREATE, FILE_DELETE_ON_CLOSE);
        assert_eq!(status, STATUS_SUCCESS, "{name}");
        let status = fixture.status(name, FILE_CREATE, FILE_DELETE_ON_CLOSE);
        assert_eq!(status, STATUS_SUCCESS, "{name}");
    }
}

#[test]
fn a_file_takes_its_streams_along_when_it_goes() {
    let fixture = new();
    fixture.make(r"\f", b"data");
    fixture.make(r"\f:s", b"x");
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.set(file, FileDispositionInformation, &[1]);
    fixture.close(file);
    // The stream's handle keeps the file, which nobody may open any more.
    assert!(fixture.host("f").exists());
    assert_eq!(fixture.status(r"\f:s", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    assert_eq!(fixture.status(r"\f", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    assert_eq!(fixture.read(stream, 0, 9).unwrap(), b"x");
    fixture.close(stream);
    assert!(!fixture.host("f").exists() && !fixture.host(FOLDER).exists());
    assert!(fixture.volume.state().files.is_empty());
    // What is replaced as well.
    for name in [r"\a", r"\b", r"\a:s", r"\b:t"] {
        fixture.make(name, b"x");
    }
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let stream = fixture.open(r"\b:t", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, None, "b", 1), STATUS_ACCESS_DENIED);
    fixture.close(stream);
    assert_eq!(fixture.rename(a, None, "b", 1), STATUS_SUCCESS);
    assert_eq!(streams(&fixture, a)[1..], [(":s:$DATA".into(), 1)]);
    assert_eq!(in_folder(&fixture), 2);
}

#[test]
fn a_file_that_is_made_anew_has_none_of_its_streams() {
    let fixture = new();
    for disposition in [FILE_SUPERSEDE, FILE_OVERWRITE, FILE_OVERWRITE_IF] {
        fixture.make(r"\f", b"data");
        fixture.make(r"\f:s", b"x");
        fixture.make(r"\f:open", b"y");
        let open = fixture.open(r"\f:open", FILE_OPEN, 0);
        let file = fixture.open(r"\f", disposition, 0);
        // One that is open goes with its last handle.
        assert_eq!(fixture.read(open, 0, 9).unwrap(), b"y");
        assert_eq!(streams(&fixture, file)[1..], [(":open:$DATA".into(), 1)]);
        assert_eq!(
            fixture.status(r"\f:open", FILE_OPEN, 0),
            STATUS_DELETE_PENDING
        );
        fixture.close(open);
        assert_eq!(streams(&fixture, file).len(), 1);
        fixture.set(file, FileDispositionInformation, &[1]);
        fixture.close(file);
    }
}

#[test]
fn streams_are_renamed_within_their_file() {
    let fixture = new();
    fixture.make(r"\f", b"");
    for name in ["a", "b"] {
        fixture.make(&format!(r"\f:{name}"), name.as_bytes());
    }
    let a = fixture.open(r"\f:a", FILE_OPEN, 0);
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    for (target, directory) in [
        ("new", None),
        (":new", Some(root)),
        ("f:new", None),
        (":", None),
        ("::$DATA", None),
        (":a:b:c", None),
    ] {
        let status = fixture.rename(a, directory, target, 0);
        assert_eq!(status, STATUS_INVALID_PARAMETER, "{target}");
    }
    assert_eq!(
        fixture.rename(file, None, ":new", 0),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(fixture.rename(a, None, ":New:$DATA", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(a), r"\f:New");
    assert_eq!(fixture.rename(a, None, ":new", 0), STATUS_SUCCESS);
    assert_eq!(
        fixture.rename(a, None, ":B", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    let b = fixture.open(r"\f:b", FILE_OPEN, 0);
    assert_eq!(fixture.rename(a, None, ":B", 1), STATUS_ACCESS_DENIED);
    fixture.close(b);
    assert_eq!(fixture.rename(a, None, ":B", 1), STATUS_SUCCESS);
    assert_eq!(in_folder(&fixture), 2);
    let fixture = fixture.remount(false, |_| {});
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(streams(&fixture, file)[1..], [(":B:$DATA".into(), 1)]);
    let b = fixture.open(r"\f:b", FILE_OPEN, 0);
    assert_eq!(fixture.read(b, 0, 9).unwrap(), b"a");
}

#[test]
fn changes_of_streams_are_told() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    fixture.make(r"\f", b"");
    let filter = change::STREAM_NAME | change::STREAM_SIZE | change::STREAM_WRITE;
    let watch = |ticket| {
        let volume = &fixture.volume;
        let waits = volume.notify(
            root,
            (filter, false),
            Class::Plain,
            200,
            Ticket(ticket),
            &|| true,
        );
        assert_eq!(waits, Outcome::Waiting);
    };
    // Action and name of the only record.
    let told = |finished: &[Finish]| {
        let data = &finished.first().expect("a request is completed").data;
        let name: Vec<u16> = data[12..]
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        (data[4], String::from_utf16(&name).unwrap())
    };
    watch(1);
    let (made, finished) = effects(|effects| {
        fixture
            .volume
            .create(&request(r"\f:s", FILE_CREATE, 0), effects)
    });
    assert_eq!(told(&finished), (6, "f:s".into()));
    let stream = made.unwrap().open;
    watch(2);
    fixture.write(stream, 0, b"x");
    assert_eq!(told(&fixture.close(stream)), (8, "f:s".into()));
    watch(3);
    let (made, finished) = effects(|effects| {
        fixture
            .volume
            .create(&request(r"\f:s", FILE_OVERWRITE, 0), effects)
    });
    assert_eq!(told(&finished), (8, "f:s".into()));
    let stream = made.unwrap().open;
    watch(4);
    let (_, finished) = effects(|effects| {
        let size = 9_i64.to_le_bytes();
        let class = FileEndOfFileInformation;
        fixture
            .volume
            .set_information(stream, class, false, &size, effects)
    });
    assert_eq!(told(&finished), (8, "f:s".into()));
    watch(5);
    fixture.set(stream, FileDispositionInformation, &[1]);
    assert_eq!(told(&fixture.close(stream)), (7, "f:s".into()));
}

#[test]
fn a_stream_of_a_reparse_point_is_on_the_way_of_its_name() {
    let fixture = new();
    fixture.make(r"\f:s", b"of the stream");
    let itself = FILE_OPEN_REPARSE_POINT;
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    let data = leading_to(SYMBOLIC_LINK, &wide("to"), true);
    assert_eq!(fixture.set_point(stream, &data), STATUS_SUCCESS);
    assert_eq!(fixture.point(stream, 100), (STATUS_SUCCESS, data.clone()));
    let both = attribute::ARCHIVE | attribute::REPARSE_POINT;
    assert_eq!(fixture.tag(stream), (both, SYMBOLIC_LINK));
    fixture.close(stream);
    for (name, told, unparsed) in [
        (r"\f:s", r"\f:s", 2),
        (r"\f:s:$data", r"\f:s", 2),
        (r"\f::$DATA", r"\f::$DATA", 7),
    ] {
        let met = Met {
            data: data.clone(),
            name: wide(told),
            unparsed,
        };
        assert_eq!(fixture.meets(&request(name, FILE_OPEN_IF, 0)), Some(met));
    }
    let fixture = fixture.remount(false, |_| {});
    let stream = fixture.open(r"\f:s", FILE_OPEN, itself);
    assert_eq!(fixture.read(stream, 0, 99).unwrap(), b"of the stream");
    assert_eq!(fixture.point(stream, 100).0, STATUS_SUCCESS);
}

#[test]
fn links_are_the_files_also_through_its_streams() {
    let fixture = new();
    fixture.make(r"\f:s", b"of the stream");
    fixture.make(r"\old:s", b"old");
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    assert_eq!(fixture.link(stream, None, "g", 0), STATUS_SUCCESS);
    let names = fixture.query(stream, FileHardLinkInformation, 200).unwrap();
    assert_eq!(names[4], 2);
    let other = fixture.open(r"\g:s", FILE_OPEN, 0);
    assert_eq!(fixture.read(other, 0, 99).unwrap(), b"of the stream");
    assert_eq!(fixture.link(stream, None, "F", REPLACE), STATUS_SUCCESS);
    assert_eq!(fixture.name(stream), r"\F:s");
    // Who has a stream of what is replaced open has a say, and goes on using it.
    let unshared = Request {
        share: SHARE_ALL & !4,
        ..request(r"\old:s", FILE_OPEN, 0)
    };
    let flags = REPLACE | POSIX_SEMANTICS;
    let link = |flags| fixture.link(stream, None, "old", flags);
    let old = fixture.try_open(&unshared).unwrap().open;
    assert_eq!(link(flags), STATUS_SHARING_VIOLATION);
    fixture.close(old);
    let old = fixture.open(r"\old:s", FILE_OPEN, 0);
    assert_eq!(link(REPLACE), STATUS_ACCESS_DENIED);
    assert_eq!(link(flags), STATUS_SUCCESS);
    assert_eq!(fixture.read(old, 0, 99).unwrap(), b"old");
    assert_eq!(streams(&fixture, old)[1], (":s:$DATA".into(), 3));
    assert_eq!(in_folder(&fixture), 4);
    fixture.close(old);
    assert_eq!(in_folder(&fixture), 2);
    let new = fixture.open(r"\old:s", FILE_OPEN, 0);
    assert_eq!(fixture.read(new, 0, 99).unwrap(), b"of the stream");
    let of_root = fixture.open(r"\:s", FILE_CREATE, 0);
    let linked = fixture.link(of_root, None, "n", 0);
    assert_eq!(linked, STATUS_FILE_IS_A_DIRECTORY);
}
