//! Opening: dispositions, options, names, sharing.

use super::*;

#[test]
fn dispositions_by_what_is_there() {
    let fixture = new();
    for (disposition, missing, existing) in [
        (FILE_SUPERSEDE, Ok(2), Ok(0)),
        (FILE_OPEN, Err(STATUS_OBJECT_NAME_NOT_FOUND), Ok(1)),
        (FILE_CREATE, Ok(2), Err(STATUS_OBJECT_NAME_COLLISION)),
        (FILE_OPEN_IF, Ok(2), Ok(1)),
        (FILE_OVERWRITE, Err(STATUS_OBJECT_NAME_NOT_FOUND), Ok(3)),
        (FILE_OVERWRITE_IF, Ok(2), Ok(3)),
    ] {
        let name = format!(r"\new{disposition}");
        fixture.make(&format!(r"\old{disposition}"), b"data");
        for (name, expected) in [(name, missing), (format!(r"\OLD{disposition}"), existing)] {
            let result = fixture.try_open(&request(&name, disposition, 0));
            assert_eq!(
                result
                    .as_ref()
                    .map(|created| created.information)
                    .map_err(|status| *status),
                expected,
                "{name}"
            );
            if let Ok(created) = result {
                let empty = fixture.volume.size(created.open) == Some(0);
                assert_eq!(empty, expected != Ok(1), "{name}");
                fixture.close(created.open);
            }
        }
    }
    assert_eq!(fixture.status(r"\x", 6, 0), STATUS_INVALID_PARAMETER);
}

#[test]
fn directories_and_files_are_told_apart() {
    let fixture = new();
    assert_eq!(
        fixture.status(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE),
        STATUS_SUCCESS
    );
    fixture.make(r"\d\f", b"");
    for (name, disposition, options, expected) in [
        (
            r"\d",
            FILE_OPEN,
            FILE_NON_DIRECTORY_FILE,
            STATUS_FILE_IS_A_DIRECTORY,
        ),
        (
            r"\d\f",
            FILE_OPEN,
            FILE_DIRECTORY_FILE,
            STATUS_NOT_A_DIRECTORY,
        ),
        (
            r"\d\f",
            FILE_CREATE,
            FILE_DIRECTORY_FILE,
            STATUS_OBJECT_NAME_COLLISION,
        ),
        (r"\d\f\", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\", FILE_OPEN, 0, STATUS_SUCCESS),
        (r"\d\new\", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\new\", FILE_CREATE, FILE_DIRECTORY_FILE, STATUS_SUCCESS),
        (r"\d", FILE_OVERWRITE_IF, 0, STATUS_OBJECT_NAME_COLLISION),
        (
            r"\d",
            FILE_SUPERSEDE,
            FILE_DIRECTORY_FILE,
            STATUS_INVALID_PARAMETER,
        ),
        (
            r"\d",
            FILE_OPEN,
            FILE_DIRECTORY_FILE | FILE_NON_DIRECTORY_FILE,
            STATUS_INVALID_PARAMETER,
        ),
        (r"\d\f\g", FILE_OPEN, 0, STATUS_OBJECT_PATH_NOT_FOUND),
        (r"\none\g", FILE_CREATE, 0, STATUS_OBJECT_PATH_NOT_FOUND),
        (r"\d\f:stream", FILE_OPEN, 0, STATUS_OBJECT_NAME_NOT_FOUND),
        (r"\d:s\f", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\*", FILE_OPEN, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\d\..\x", FILE_CREATE, 0, STATUS_OBJECT_NAME_INVALID),
        (r"\", FILE_OPEN, 0, STATUS_SUCCESS),
        (r"\", FILE_CREATE, 0, STATUS_OBJECT_NAME_COLLISION),
        (
            r"\",
            FILE_OPEN,
            FILE_NON_DIRECTORY_FILE,
            STATUS_FILE_IS_A_DIRECTORY,
        ),
        (r"", FILE_OPEN, FILE_DIRECTORY_FILE, STATUS_NOT_A_DIRECTORY),
        (r"", FILE_CREATE, 0, STATUS_ACCESS_DENIED),
    ] {
        assert_eq!(
            fixture.status(name, disposition, options),
            expected,
            "{name} {disposition} {options:x}"
        );
    }
}

/// By what FileInternalInformation says, open or not, wherever it lies and whatever it is called by now.
#[test]
fn a_file_opened_by_its_id_gets_names_and_loses_none() {
    let fixture = new();
    fixture.make(r"\a", b"");
    let a = fixture.open(r"\a", FILE_OPEN, 0);
    let id = fixture.query(a, FileInternalInformation, 8).unwrap();
    fixture.close(a);
    let by_id = Request {
        id: Some(u64::from_le_bytes(id.try_into().unwrap())),
        ..request("", FILE_OPEN, FILE_OPEN_BY_FILE_ID | FILE_DELETE_ON_CLOSE)
    };
    let file = fixture.try_open(&by_id).unwrap().open;
    assert_eq!(fixture.link(file, None, "b", 0), STATUS_SUCCESS);
    assert_eq!(fixture.rename(file, None, "c", 0), STATUS_INVALID_PARAMETER);
    let delete = [
        (FileDispositionInformation, &[1][..]),
        (FileDispositionInformationEx, &[1, 0, 0, 0]),
    ];
    for (class, buffer) in delete {
        assert_eq!(fixture.set(file, class, buffer), STATUS_INVALID_PARAMETER);
    }
    fixture.close(file);
    assert!(fixture.host("a").exists() && fixture.host("b").exists());
}

#[test]
fn files_are_opened_by_their_id() {
    let fixture = new();
    fixture.close(fixture.open(r"\Dir", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\Dir\File", b"data");
    let id_of = |open| {
        let mut id = [0; 8];
        let answer = fixture
            .volume
            .query_information(open, FileInternalInformation, 0, &mut id);
        assert_eq!(answer.0, STATUS_SUCCESS);
        u64::from_le_bytes(id)
    };
    let by_id = |id, options| {
        fixture.try_open(&Request {
            id: Some(id),
            ..request("", FILE_OPEN, FILE_OPEN_BY_FILE_ID | options)
        })
    };
    let file = fixture.open(r"\dir\FILE", FILE_OPEN, 0);
    let id = id_of(file);
    let second = by_id(id, 0).unwrap();
    assert_eq!(fixture.name(second.open), r"\Dir\File");
    assert_eq!(fixture.read(second.open, 0, 9).unwrap(), b"data");
    fixture.close(second.open);
    fixture.close(file);
    // Nobody has it open: the tree is searched.
    std::fs::rename(
        fixture.folder.path().join("root/Dir/File"),
        fixture.folder.path().join("root/Dir/Moved"),
    )
    .unwrap();
    let found = by_id(id, 0).unwrap().open;
    assert_eq!(fixture.name(found), r"\Dir\Moved");
    fixture.close(found);
    for (path, expected) in [(r"\Dir", r"\Dir"), (r"\", r"\")] {
        let directory = fixture.open(path, FILE_OPEN, FILE_DIRECTORY_FILE);
        let id = id_of(directory);
        fixture.close(directory);
        let again = by_id(id, FILE_DIRECTORY_FILE).unwrap().open;
        assert_eq!(fixture.name(again), expected);
        fixture.close(again);
    }
    let refused = by_id(u64::MAX, 0).map(|created| created.open);
    assert_eq!(refused, Err(STATUS_INVALID_PARAMETER));
    assert_eq!(
        by_id(id, FILE_DIRECTORY_FILE).map(|created| created.open),
        Err(STATUS_NOT_A_DIRECTORY)
    );
}

#[test]
fn names_are_relative_to_an_open() {
    let fixture = new();
    fixture.close(fixture.open(r"\Dir", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\Dir\File", b"x");
    let directory = fixture.open(r"\dir", FILE_OPEN, 0);
    let relative = |name: &str, related| Request {
        related: Some(related),
        ..request(name, FILE_OPEN, 0)
    };
    let file = fixture.try_open(&relative("FILE", directory)).unwrap().open;
    assert_eq!(fixture.name(file), r"\Dir\File");
    let again = fixture.try_open(&relative("", file)).unwrap().open;
    assert_eq!(fixture.name(again), r"\Dir\File");
    assert_eq!(
        fixture.try_open(&relative("x", file)).unwrap_err(),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
    assert_eq!(
        fixture
            .try_open(&relative(r"\File", directory))
            .unwrap_err(),
        STATUS_OBJECT_NAME_INVALID
    );
    assert_eq!(
        fixture.try_open(&relative("..", directory)).unwrap_err(),
        STATUS_OBJECT_NAME_INVALID
    );
    let volume = fixture.try_open(&request("", FILE_OPEN, 0)).unwrap();
    assert_eq!(volume.opened, Opened::Volume);
    assert_eq!(
        fixture.try_open(&relative("", volume.open)).unwrap().opened,
        Opened::Volume
    );
    assert_eq!(
        fixture.try_open(&relative("Dir", volume.open)).unwrap_err(),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
}

#[test]
fn sharing_spans_all_names_and_opens() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let only = |desired, share| Request {
        desired,
        share,
        ..request(r"\F", FILE_OPEN, 0)
    };
    let reader = fixture.try_open(&only(access::READ_DATA, 1)).unwrap().open;
    assert_eq!(
        fixture.try_open(&only(access::WRITE_DATA, 7)).unwrap_err(),
        STATUS_SHARING_VIOLATION
    );
    assert_eq!(
        fixture.try_open(&only(access::READ_DATA, 0)).unwrap_err(),
        STATUS_SHARING_VIOLATION
    );
    assert!(fixture.try_open(&only(access::READ_ATTRIBUTES, 0)).is_ok());
    // An overwrite writes, whatever access it asks for.
    let overwrite = Request {
        desired: access::READ_ATTRIBUTES,
        ..request(r"\f", FILE_OVERWRITE, 0)
    };
    assert_eq!(
        fixture.try_open(&overwrite).unwrap_err(),
        STATUS_SHARING_VIOLATION
    );
    fixture.close(reader);
    assert!(fixture.try_open(&only(access::WRITE_DATA, 0)).is_ok());
}

#[test]
fn a_target_directory_is_opened_for_a_rename() {
    let fixture = new();
    fixture.close(fixture.open(r"\Dir", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\Dir\there", b"");
    for (name, information) in [(r"\dir\there", 4), (r"\dir\missing", 5)] {
        let request = Request {
            open_target_directory: true,
            ..request(name, FILE_OPEN, 0)
        };
        let created = fixture.try_open(&request).unwrap();
        assert_eq!(
            (created.opened, created.information),
            (Opened::Directory, information)
        );
        assert_eq!(created.last_component, name.len() - 5);
        assert_eq!(fixture.name(created.open), r"\Dir");
        fixture.close(created.open);
    }
    let bad = Request {
        open_target_directory: true,
        ..request(r"\none\x", FILE_OPEN, 0)
    };
    assert_eq!(
        fixture.try_open(&bad).unwrap_err(),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
}

#[test]
fn a_read_only_volume_changes_nothing() {
    let fixture = new();
    fixture.make(r"\f", b"x");
    let description = Description {
        read_only: true,
        ..fixture.volume.description.clone()
    };
    let root = fixture.folder.path().join("root");
    let Fixture { volume, folder } = fixture;
    drop(volume);
    let fixture = Fixture {
        volume: Volume::open(&root, description).unwrap(),
        folder,
    };
    let read = |name, disposition, desired| {
        fixture
            .try_open(&Request {
                desired,
                ..request(name, disposition, 0)
            })
            .map(|created| created.open)
    };
    assert_eq!(
        read(r"\f", FILE_OPEN, access::WRITE_DATA),
        Err(STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        read(r"\f", FILE_OPEN, access::DELETE),
        Err(STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        read(r"\f", FILE_OVERWRITE_IF, access::READ_DATA),
        Err(STATUS_MEDIA_WRITE_PROTECTED)
    );
    assert_eq!(
        read(r"\new", FILE_OPEN_IF, access::READ_DATA),
        Err(STATUS_MEDIA_WRITE_PROTECTED)
    );
    assert_eq!(
        read(r"\f", FILE_CREATE, access::READ_DATA),
        Err(STATUS_OBJECT_NAME_COLLISION)
    );
    let open = read(r"\f", FILE_OPEN_IF, access::MAXIMUM_ALLOWED).unwrap();
    assert_eq!(fixture.read(open, 0, 9).unwrap(), b"x");
    assert_eq!(
        fixture.write(open, 0, b"y"),
        (STATUS_MEDIA_WRITE_PROTECTED, 0)
    );
    assert_eq!(
        fixture.set_attributes(open, attribute::HIDDEN),
        STATUS_MEDIA_WRITE_PROTECTED
    );
    assert_eq!(
        fixture.rename(open, None, "g", 0),
        STATUS_MEDIA_WRITE_PROTECTED
    );
    let volume = fixture.try_open(&request("", FILE_OPEN, 0)).unwrap().open;
    assert_eq!(
        fixture
            .volume
            .set_volume(volume, FileFsLabelInformation, &[0; 4]),
        STATUS_MEDIA_WRITE_PROTECTED
    );
}

#[cfg(unix)]
#[test]
fn links_of_the_host_stay_inside() {
    use std::os::unix::fs::symlink;
    let fixture = new();
    std::fs::write(fixture.folder.path().join("secret"), b"secret").unwrap();
    fixture.make(r"\f", b"inside");
    symlink("f", fixture.host("good")).unwrap();
    symlink("../secret", fixture.host("bad")).unwrap();
    symlink("..", fixture.host("up")).unwrap();
    let good = fixture.open(r"\good", FILE_OPEN, 0);
    assert_eq!(fixture.read(good, 0, 9).unwrap(), b"inside");
    for (name, disposition) in [
        (r"\bad", FILE_OPEN),
        (r"\bad", FILE_OVERWRITE_IF),
        (r"\up\secret", FILE_OPEN),
        (r"\up\new", FILE_CREATE),
    ] {
        assert_eq!(
            fixture.status(name, disposition, 0),
            STATUS_ACCESS_DENIED,
            "{name}"
        );
    }
    // Deleting by the link's name removes the link.
    fixture.set(good, FileDispositionInformation, &[1]);
    fixture.close(good);
    assert!(fixture.host("f").exists() && fixture.host("good").symlink_metadata().is_err());
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.rename(f, None, "bad", 1), STATUS_ACCESS_DENIED);
    assert_eq!(
        std::fs::read(fixture.folder.path().join("secret")).unwrap(),
        b"secret"
    );
}
