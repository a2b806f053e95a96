//! Named streams: opening them, and what is theirs and what their file's.

use super::*;
use crate::oplocks::Control;
use crate::overlay::Overlay;
use crate::overlays::FOLDER;
use crate::waiting::Effects;

/// Names and sizes of the streams of what is open, in their order.
pub fn streams(fixture: &Fixture, open: OpenId) -> Vec<(String, i64)> {
    let data = fixture.query(open, FileStreamInformation, 4096).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = data.get(at..at + 24) {
        let int = |place: usize| u32::from_le_bytes(head[place..place + 4].try_into().unwrap());
        let name = &data[at + 24..at + 24 + int(4) as usize];
        let units: Vec<u16> = name
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let size = i64::from_le_bytes(head[8..16].try_into().unwrap());
        found.push((String::from_utf16(&units).unwrap(), size));
        assert_eq!(at % 8, 0);
        match int(0) as usize {
            0 => break,
            next => at += next,
        }
    }
    found
}

pub fn in_folder(fixture: &Fixture) -> usize {
    let entries = std::fs::read_dir(fixture.host(FOLDER)).into_iter();
    entries.flatten().count()
}

fn size(fixture: &Fixture, open: OpenId) -> i64 {
    let standard = fixture.query(open, FileStandardInformation, 24).unwrap();
    i64::from_le_bytes(standard[8..16].try_into().unwrap())
}

#[test]
fn a_stream_has_data_of_its_own_and_all_else_of_the_file() {
    let fixture = new();
    fixture.make(r"\f", b"data");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let made = fixture.try_open(&request(r"\F:Stream", FILE_CREATE, 0));
    let made = made.unwrap();
    assert_eq!(made.information, 2);
    let stream = made.open;
    fixture.write(stream, 0, b"other data");
    assert_eq!(fixture.read(stream, 0, 99).unwrap(), b"other data");
    assert_eq!(fixture.read(file, 0, 99).unwrap(), b"data");
    assert_eq!(fixture.name(stream), r"\f:Stream");
    assert_eq!((size(&fixture, file), size(&fixture, stream)), (4, 10));
    let id = |open| fixture.query(open, FileInternalInformation, 8).unwrap();
    assert_eq!(id(file), id(stream));
    fixture.set_attributes(stream, attribute::HIDDEN);
    assert_eq!(fixture.attributes(file), attribute::HIDDEN);
    let expected = [("::$DATA".into(), 4), (":Stream:$DATA".into(), 10)];
    for open in [file, stream] {
        assert_eq!(streams(&fixture, open), expected);
    }
    for name in [r"\f:STREAM", r"\f:stream:$DATA"] {
        let again = fixture.open(name, FILE_OPEN, 0);
        assert_eq!(fixture.read(again, 0, 5).unwrap(), b"other", "{name}");
        fixture.close(again);
    }
    let whole = fixture.open(r"\f::$DATA", FILE_OPEN, 0);
    assert_eq!(fixture.name(whole), r"\f");
    assert_eq!(fixture.read(whole, 0, 99).unwrap(), b"data");
    let of_open = Request {
        related: Some(file),
        ..request(":stream", FILE_OPEN, 0)
    };
    assert_eq!(
        fixture.name(fixture.try_open(&of_open).unwrap().open),
        r"\f:Stream"
    );
    let mut attributes = [0; 100];
    let class = FileFsAttributeInformation;
    fixture.volume.query_volume(file, class, &mut attributes);
    // FILE_NAMED_STREAMS.
    assert_ne!(attributes[2] & 0x4, 0);
}

#[test]
fn streams_are_equal_after_a_remount_and_for_every_name_of_the_file() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\f", b"");
    let large = vec![7; 300_000];
    for (name, data) in [
        (r"\f:one", b"1".as_slice()),
        (r"\f:two *?", &large),
        (r"\d:of a directory", b"3"),
        (r"\:of the root", b"4"),
    ] {
        fixture.make(name, data);
    }
    let check = |fixture: &Fixture, file: &str| {
        let open = fixture.open(file, FILE_OPEN, 0);
        let expected = [
            ("::$DATA".into(), 0),
            (":one:$DATA".into(), 1),
            (":two *?:$DATA".into(), 300_000),
        ];
        assert_eq!(streams(fixture, open), expected);
        fixture.close(open);
        let two = fixture.open(&format!("{file}:TWO *?"), FILE_OPEN, 0);
        assert_eq!(fixture.read(two, 0, 400_000).unwrap(), large);
        fixture.close(two);
        for (name, data) in [(r"\d:of a directory", b"3"), (r"\:of the root", b"4")] {
            let open = fixture.open(name, FILE_OPEN, 0);
            assert_eq!(fixture.read(open, 0, 9).unwrap(), data);
            assert_eq!(streams(fixture, open).len(), 1, "a directory has no data");
            let attributes = fixture.attributes(open);
            assert_eq!(attributes & attribute::DIRECTORY, 0, "but a stream of it");
            let standard = fixture.query(open, FileStandardInformation, 24).unwrap();
            assert_eq!(standard[21], 0, "nor is it a directory");
            fixture.close(open);
        }
    };
    check(&fixture, r"\f");
    let fixture = fixture.remount(false, |_| {});
    check(&fixture, r"\f");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    let target = Target {
        directory: None,
        name: wide("second"),
        flags: 0,
    };
    effects(|effects| fixture.volume.link(file, &target, effects));
    let stream = fixture.open(r"\f:one", FILE_OPEN, 0);
    assert_eq!(fixture.rename(file, Some(d), "g", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(stream), r"\d\g:one");
    fixture.close(file);
    fixture.close(stream);
    let fixture = fixture.remount(false, |_| {});
    check(&fixture, r"\d\g");
    check(&fixture, r"\second");
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(fixture.listing(root), ["d", "second"]);
}

#[test]
fn dispositions_by_what_is_there_of_file_and_stream() {
    let missing = Err(STATUS_OBJECT_NAME_NOT_FOUND);
    let there = Err(STATUS_OBJECT_NAME_COLLISION);
    for (disposition, no_file, no_stream, stream) in [
        (FILE_SUPERSEDE, Ok(2), Ok(2), Ok(0)),
        (FILE_OPEN, missing, missing, Ok(1)),
        (FILE_CREATE, Ok(2), Ok(2), there),
        (FILE_OPEN_IF, Ok(2), Ok(2), Ok(1)),
        (FILE_OVERWRITE, missing, missing, Ok(3)),
        (FILE_OVERWRITE_IF, Ok(2), Ok(2), Ok(3)),
    ] {
        let fixture = new();
        fixture.make(r"\f", b"kept");
        fixture.make(r"\g", b"");
        fixture.make(r"\g:s", b"data");
        for (name, expected) in [
            (r"\none:s", no_file),
            (r"\f:s", no_stream),
            (r"\g:s", stream),
        ] {
            let result = fixture.try_open(&request(name, disposition, 0));
            let seen = result.as_ref().map(|made| made.information);
            assert_eq!(
                seen.map_err(|status| *status),
                expected,
                "{name} {disposition}"
            );
            if let Ok(made) = result {
                let empty = expected != Ok(1);
                assert_eq!(fixture.volume.size(made.open) == Some(0), empty);
                fixture.close(made.open);
            }
        }
        assert_eq!(fixture.host("none").exists(), no_file.is_ok());
        assert_eq!(std::fs::read(fixture.host("f")).unwrap(), b"kept");
    }
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\f", b"");
    for (name, disposition, options, status) in [
        (
            r"\f:s",
            FILE_CREATE,
            FILE_DIRECTORY_FILE,
            STATUS_NOT_A_DIRECTORY,
        ),
        (r"\d::$DATA", FILE_OPEN, 0, STATUS_FILE_IS_A_DIRECTORY),
        (
            r"\d:s",
            FILE_CREATE,
            FILE_NON_DIRECTORY_FILE,
            STATUS_SUCCESS,
        ),
        (r"\f:", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d:t\", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\f:s\", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\f:s\x", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\f:s:$BITMAP", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\none\f:s", FILE_CREATE, 0, STATUS_OBJECT_PATH_NOT_FOUND),
    ] {
        assert_eq!(fixture.status(name, disposition, options), status, "{name}");
    }
    let target = Request {
        open_target_directory: true,
        ..request(r"\f:new", FILE_OPEN, 0)
    };
    assert_eq!(
        fixture.try_open(&target).unwrap_err(),
        STATUS_OBJECT_NAME_INVALID
    );
}

#[test]
fn a_read_only_file_takes_no_stream_and_a_read_only_volume_shows_them() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\f:s", b"data");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.set_attributes(file, attribute::READONLY);
    fixture.close(file);
    let read = |name, disposition| Request {
        desired: access::FILE_READ,
        ..request(name, disposition, 0)
    };
    let status = |request: &Request| fixture.try_open(request).map(|made| made.information);
    assert_eq!(status(&read(r"\f:s", FILE_OPEN)), Ok(1));
    let refused = Err(STATUS_ACCESS_DENIED);
    assert_eq!(status(&read(r"\f:t", FILE_CREATE)), refused);
    assert_eq!(status(&read(r"\f:s", FILE_OVERWRITE)), refused);
    assert_eq!(status(&request(r"\f:s", FILE_OPEN, 0)), refused);
    let new = Request {
        attributes: attribute::READONLY,
        ..request(r"\new:s", FILE_CREATE, 0)
    };
    assert_eq!(status(&new), Ok(2));
    let fixture = fixture.remount(true, |_| {});
    let open = |name, disposition| fixture.try_open(&read(name, disposition));
    let stream = open(r"\f:s", FILE_OPEN).unwrap().open;
    assert_eq!(fixture.read(stream, 0, 9).unwrap(), b"data");
    assert_eq!(streams(&fixture, stream).len(), 2);
    let protected = STATUS_MEDIA_WRITE_PROTECTED;
    assert_eq!(open(r"\f:t", FILE_CREATE).unwrap_err(), protected);
    assert_eq!(open(r"\f:s", FILE_OVERWRITE).unwrap_err(), protected);
}

#[test]
fn sharing_locks_and_oplocks_are_of_each_stream() {
    let fixture = new();
    fixture.make(r"\f", b"0123456789");
    fixture.make(r"\f:s", b"0123456789");
    let alone = |name, access| Request {
        desired: access,
        share: 0,
        ..request(name, FILE_OPEN, 0)
    };
    let reads = access::READ_DATA;
    let file = fixture.try_open(&alone(r"\f", reads)).unwrap().open;
    let stream = fixture.try_open(&alone(r"\f:s", reads)).unwrap().open;
    let status = |request: &Request| {
        fixture
            .try_open(request)
            .map(|made| fixture.close(made.open))
    };
    for name in [r"\f", r"\f:s"] {
        let again = status(&alone(name, reads));
        assert_eq!(again.unwrap_err(), STATUS_SHARING_VIOLATION, "{name}");
    }
    fixture.lock(file, 0, true, None);
    assert!(fixture.read(stream, 0, 1).is_ok());
    fixture.close(file);
    // Who wants to delete the file wants to delete its streams.
    let deletes = Request {
        desired: access::DELETE,
        ..request(r"\f", FILE_OPEN, 0)
    };
    assert_eq!(status(&deletes).unwrap_err(), STATUS_SHARING_VIOLATION);
    let overwrite = request(r"\f", FILE_OVERWRITE, 0);
    assert_eq!(status(&overwrite).unwrap_err(), STATUS_SHARING_VIOLATION);
    fixture.close(stream);
    assert!(status(&deletes).is_ok());
    // An oplock of the stream is none of the file's, and breaks by an open of the stream alone.
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    let control = Control::of(code::FSCTL_REQUEST_BATCH_OPLOCK, &[], 0);
    let control = control.unwrap().unwrap();
    let (asked, _) = effects(|effects| {
        let volume = &fixture.volume;
        volume.oplock(stream, control, false, Ticket(5), &|| true, effects)
    });
    assert_eq!(asked, Outcome::Waiting);
    let open = |name| {
        let arm = || true;
        let mut effects = Effects::new(&|_| true).of_request(Ticket(6), &arm);
        let opened = fixture
            .volume
            .create(&request(name, FILE_OPEN, 0), &mut effects);
        (opened.map(|made| made.open), effects.into_finished().len())
    };
    let (file, broken) = open(r"\f");
    assert_eq!((file.is_ok(), broken), (true, 0));
    let (waits, broken) = open(r"\f:S");
    assert_eq!((waits, broken), (Err(STATUS_PENDING), 1));
}

#[test]
fn the_size_of_a_stream_is_set_and_its_data_is_the_files_last_write() {
    let fixture = new();
    fixture.make(r"\f", b"data");
    let stream = fixture.open(r"\f:s", FILE_CREATE, 0);
    let old = [
        &[0; 16],
        1_000_000_000_i64.to_le_bytes().as_slice(),
        &[0; 16],
    ]
    .concat();
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let written = || fixture.query(file, FileBasicInformation, 40).unwrap()[16..24].to_vec();
    let age = || fixture.set(file, FileBasicInformation, &old);
    let end = |size: i64| fixture.set(stream, FileEndOfFileInformation, &size.to_le_bytes());
    age();
    let aged = written();
    assert_eq!(end(5000), STATUS_SUCCESS);
    assert_ne!(written(), aged);
    age();
    fixture.write(stream, 0, b"x");
    assert_ne!(written(), aged);
    assert_eq!((size(&fixture, file), size(&fixture, stream)), (4, 5000));
    let reserve = 10_000_i64.to_le_bytes();
    fixture.set(stream, FileAllocationInformation, &reserve);
    let allocation = |open| {
        let standard = fixture.query(open, FileStandardInformation, 24).unwrap();
        i64::from_le_bytes(standard[..8].try_into().unwrap())
    };
    assert_eq!((allocation(file), allocation(stream)), (4096, 12_288));
    // Who has frozen the time of his handle leaves it as it is.
    age();
    let frozen = [&[0; 16], (-1_i64).to_le_bytes().as_slice(), &[0; 16]].concat();
    fixture.set(stream, FileBasicInformation, &frozen);
    fixture.write(stream, 0, b"x");
    assert_eq!(written(), aged);
}

#[test]
fn an_enumeration_ends_where_the_buffer_does() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\f:s", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let query = |length| {
        let mut room = vec![0xEE; length];
        let class = FileStreamInformation;
        fixture.volume.query_information(file, class, 0, &mut room)
    };
    // 24 bytes and seven units, then at a multiple of eight 24 and eight.
    let whole = 40 + 24 + 16;
    assert_eq!(query(whole), (STATUS_SUCCESS, whole));
    assert_eq!(query(whole - 1), (STATUS_BUFFER_OVERFLOW, 38));
    assert_eq!(query(40), (STATUS_BUFFER_OVERFLOW, 38));
    assert_eq!(query(33), (STATUS_BUFFER_OVERFLOW, 32));
    assert_eq!(query(31), (STATUS_INFO_LENGTH_MISMATCH, 0));
}

#[test]
fn a_host_that_refuses_has_no_streams() {
    let fixture = new();
    std::fs::write(fixture.host(FOLDER), b"somebody's").unwrap();
    fixture.make(r"\f", b"");
    assert_ne!(fixture.status(r"\f:s", FILE_CREATE, 0), STATUS_SUCCESS);
    // Nor a file that would be made for one.
    assert_ne!(fixture.status(r"\new:s", FILE_CREATE, 0), STATUS_SUCCESS);
    assert!(!fixture.host("new").exists());
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(streams(&fixture, file).len(), 1);
    assert_eq!(
        fixture.status(r"\f:s", FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
}

#[test]
fn a_record_that_cannot_be_written_keeps_the_streams() {
    let fixture = new();
    fixture.make(r"\f:s", b"data");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let id = fixture.query(file, FileInternalInformation, 8).unwrap();
    let number = u64::from_le_bytes(id.try_into().unwrap());
    let in_the_way = fixture.host(FOLDER).join(format!("{number:016x}.new"));
    std::fs::create_dir(&in_the_way).unwrap();
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    assert_ne!(fixture.rename(stream, None, ":t", 0), STATUS_SUCCESS);
    let deleted = fixture.set(stream, FileDispositionInformation, &[1]);
    assert_eq!(deleted, STATUS_SUCCESS);
    fixture.close(stream);
    fixture.close(file);
    std::fs::remove_dir(in_the_way).unwrap();
    let fixture = fixture.remount(false, |_| {});
    let stream = fixture.open(r"\f:s", FILE_OPEN, 0);
    assert_eq!(fixture.read(stream, 0, 10), Ok(b"data".to_vec()));
}

/// What is longer than a record that is read would be gone with the next mount.
#[test]
fn there_are_no_more_streams_than_a_record_holds() {
    let fixture = new();
    fixture.make(r"\f:s", b"data");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    {
        let mut state = fixture.volume.state();
        let metadata = state.whole_of(file).unwrap().metadata().unwrap().unwrap();
        // As much as so many names would have.
        let most = vec![0; (1 << 20) - 200];
        let grow = |overlay: &mut Overlay| overlay.security = Some(most);
        state.overlays.change(&metadata, grow);
    }
    let long = format!(r"\f:{:0>250}", "");
    assert_eq!(fixture.status(&long, FILE_CREATE, 0), STATUS_DISK_FULL);
    assert_eq!(streams(&fixture, file).len(), 2);
    fixture.close(file);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(fixture.status(r"\f:s", FILE_OPEN, 0), STATUS_SUCCESS);
    assert_eq!(
        fixture.status(&long, FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
}

#[test]
fn a_stream_without_data_is_none() {
    let fixture = new();
    fixture.make(r"\f:s", b"data");
    let fixture = fixture.remount(false, |root| {
        for entry in std::fs::read_dir(root.join(FOLDER)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some() {
                std::fs::remove_file(path).unwrap();
            }
        }
    });
    let opened = fixture.status(r"\f:s", FILE_OPEN, 0);
    assert_eq!(opened, STATUS_OBJECT_NAME_NOT_FOUND);
    assert_eq!(fixture.status(r"\f:s", FILE_CREATE, 0), STATUS_SUCCESS);
}

#[test]
fn a_record_that_cannot_be_written_makes_no_stream() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\other:s", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    let id = fixture.query(file, FileInternalInformation, 8).unwrap();
    let number = u64::from_le_bytes(id.try_into().unwrap());
    // What stands where the record is written first is no file.
    let in_the_way = fixture.host(FOLDER).join(format!("{number:016x}.new"));
    std::fs::create_dir(in_the_way).unwrap();
    let before = in_folder(&fixture);
    assert_ne!(fixture.status(r"\f:s", FILE_CREATE, 0), STATUS_SUCCESS);
    assert_eq!(streams(&fixture, file).len(), 1);
    assert_eq!(in_folder(&fixture), before);
}

#[test]
fn data_that_nobody_names_is_not_found_and_makes_room() {
    let fixture = new();
    fixture.make(r"\f", b"");
    fixture.make(r"\f:s", b"data");
    // Who died before the record was written has left this.
    let left = std::fs::read_dir(fixture.host(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some())
        .unwrap();
    let next = left.with_extension("2");
    let fixture = fixture.remount(false, |_| std::fs::write(next, b"left over").unwrap());
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(streams(&fixture, file).len(), 2);
    fixture.make(r"\f:t", b"new");
    assert_eq!(streams(&fixture, file)[2], (":t:$DATA".into(), 3));
    // Of what is named and not there, nothing is told.
    std::fs::remove_file(left).unwrap();
    assert_eq!(streams(&fixture, file)[1..], [(":t:$DATA".into(), 3)]);
    assert_eq!(
        fixture.status(r"\f:s", FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
}
