//! Short names.

use super::*;
use crate::rename::{POSIX_SEMANTICS, REPLACE};

fn name_information(name: &str) -> Vec<u8> {
    let units = wide(name);
    let mut bytes = ((units.len() * 2) as u32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.resize(bytes.len().max(8), 0);
    bytes
}

fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

impl Fixture {
    fn set_short(&self, open: OpenId, name: &str) -> NTSTATUS {
        self.set(open, FileShortNameInformation, &name_information(name))
    }
    fn queried_name(&self, open: OpenId, class: i32) -> Result<String, NTSTATUS> {
        let bytes = self.query(open, class, 200)?;
        Ok(text(&bytes[4..]))
    }
    fn short(&self, open: OpenId) -> Result<String, NTSTATUS> {
        self.queried_name(open, FileAlternateNameInformation)
    }
    /// The names that `open` has by its two classes.
    fn names(&self, open: OpenId) -> [String; 2] {
        let classes = [FileNameInformation, FileNormalizedNameInformation];
        classes.map(|class| self.queried_name(open, class).unwrap())
    }
    /// What one query of a directory tells.
    fn listed(
        &self,
        directory: &str,
        class: i32,
        pattern: Option<&str>,
    ) -> Result<Vec<u8>, NTSTATUS> {
        let open = self.open(directory, FILE_OPEN, 0);
        let query = Query {
            class,
            pattern: pattern.map(wide),
            ..Default::default()
        };
        let mut bytes = vec![0xEE; 1000];
        let (status, count) = self.volume.query_directory(open, &query, &mut bytes);
        self.close(open);
        bytes.truncate(count);
        match status {
            STATUS_SUCCESS => Ok(bytes),
            status => Err(status),
        }
    }
    /// With `\long directory\long file.text`, whose short names are `LONGDI~1` and `LONGFI~1.TEX`.
    fn with_short() -> Self {
        let fixture = new();
        let directory = fixture.open(r"\long directory", FILE_CREATE, FILE_DIRECTORY_FILE);
        assert_eq!(fixture.short(directory), Err(STATUS_OBJECT_NAME_NOT_FOUND));
        assert_eq!(fixture.set_short(directory, "longdi~1"), STATUS_SUCCESS);
        fixture.close(directory);
        let file = fixture.open(r"\longdi~1\long file.text", FILE_CREATE, 0);
        fixture.write(file, 0, b"long");
        assert_eq!(fixture.set_short(file, "LONGFI~1.TEX"), STATUS_SUCCESS);
        assert_eq!(fixture.short(file).as_deref(), Ok("LONGFI~1.TEX"));
        fixture.close(file);
        fixture
    }
}

const SHORT: &str = r"\LongDi~1\longfi~1.tex";
const LONG: &str = r"\long directory\long file.text";

#[test]
fn files_are_opened_by_them_and_told_so() {
    let fixture = Fixture::with_short();
    let by_short = fixture.open(SHORT, FILE_OPEN, 0);
    assert_eq!(fixture.read(by_short, 0, 9).unwrap(), b"long");
    assert_eq!(fixture.names(by_short), [r"\LONGDI~1\LONGFI~1.TEX", LONG]);
    let by_long = fixture.open(LONG, FILE_OPEN, 0);
    assert_eq!(fixture.names(by_long), [LONG, LONG]);
    let half = fixture.open(r"\long directory\LONGFI~1.TEX", FILE_OPEN, 0);
    assert_eq!(fixture.names(half), [r"\long directory\LONGFI~1.TEX", LONG]);
    // What is relative to a directory that was opened so, or is a stream of such a file, begins as that does.
    let directory = fixture.open(r"\LONGDI~1", FILE_OPEN, 0);
    let relative = Request {
        related: Some(directory),
        ..request("long file.text:s", FILE_OPEN_IF, 0)
    };
    let relative = fixture.try_open(&relative).unwrap().open;
    let expected = [
        r"\LONGDI~1\long file.text:s",
        r"\long directory\long file.text:s",
    ];
    assert_eq!(fixture.names(relative), expected);
    let state = fixture.volume.state_at(&request(SHORT, FILE_OPEN, 0));
    assert_eq!(state.unwrap().size, 4);
    // It is a name like any other: nothing else gets it.
    assert_eq!(
        fixture.status(SHORT, FILE_CREATE, 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    let other = fixture.open(r"\long directory\other", FILE_CREATE, 0);
    assert_eq!(
        fixture.rename(other, None, "LONGFI~1.TEX", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    assert_eq!(
        fixture.link(other, None, "longfi~1.tex", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    for taken in ["LONGFI~1.TEX", "OTHER"] {
        assert_eq!(
            fixture.set_short(other, taken),
            STATUS_OBJECT_NAME_COLLISION,
            "{taken}"
        );
    }
    // In another directory it is none.
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        fixture.status(r"\LONGFI~1.TEX", FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(
        fixture.link(other, Some(root), "LONGFI~1.TEX", 0),
        STATUS_SUCCESS
    );
}

#[test]
fn listings_have_them() {
    let fixture = Fixture::with_short();
    fixture.make(r"\long directory\plain", b"");
    for (class, length_at, name_at) in [
        (FileBothDirectoryInformation, 68, 94),
        (FileIdBothDirectoryInformation, 68, 104),
        (FileIdExtdBothDirectoryInformation, 88, 114),
    ] {
        for (pattern, short) in [
            ("long*", "LONGFI~1.TEX"),
            ("plain", ""),
            ("*~1.tex", "LONGFI~1.TEX"),
        ] {
            let listed = fixture.listed(r"\long directory", class, Some(pattern));
            let entry = listed.unwrap();
            let length = usize::from(entry[length_at]);
            let room = &entry[length_at + 2..length_at + 26];
            assert_eq!(text(&room[..length]), short, "{pattern}");
            assert!(room[length..].iter().all(|byte| *byte == 0));
            let long = if short.is_empty() {
                "plain"
            } else {
                "long file.text"
            };
            assert_eq!(text(&entry[name_at..]), long);
        }
    }
}

#[test]
fn they_go_with_the_name_that_they_are_beside() {
    let fixture = Fixture::with_short();
    let open = fixture.open(SHORT, FILE_OPEN, 0);
    // One of its directory stays, whatever that is called.
    assert_eq!(fixture.rename(open, None, "renamed", 0), STATUS_SUCCESS);
    assert_eq!(fixture.short(open), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    assert_eq!(fixture.name(open), r"\LONGDI~1\renamed");
    assert_eq!(
        fixture.rename(open, None, "long file.text", 0),
        STATUS_SUCCESS
    );
    assert_eq!(
        fixture.status(SHORT, FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    // Another name of the file does not have it.
    assert_eq!(fixture.set_short(open, "S~1"), STATUS_SUCCESS);
    assert_eq!(fixture.link(open, None, "another", 0), STATUS_SUCCESS);
    let another = fixture.open(r"\LONGDI~1\another", FILE_OPEN, 0);
    assert_eq!(fixture.short(another), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    // It goes with its own, though the file stays.
    let by_short = fixture.open(r"\LONGDI~1\S~1", FILE_OPEN, 0);
    assert_eq!(fixture.name(by_short), r"\LONGDI~1\S~1");
    fixture.set(by_short, FileDispositionInformation, &[1]);
    fixture.close(open);
    let (_, _) = effects(|effects| fixture.volume.cleanup(by_short, effects));
    // What is gone is called what it was.
    assert_eq!(fixture.name(by_short), r"\LONGDI~1\S~1");
    fixture.volume.close(by_short);
    let status = fixture.status(r"\LONGDI~1\S~1", FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
    assert_eq!(
        fixture.rename(another, None, "long file.text", 0),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.short(another), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    // And with what is replaced, though that is open.
    assert_eq!(fixture.set_short(another, "S~2"), STATUS_SUCCESS);
    let new = fixture.open(r"\LONGDI~1\new", FILE_CREATE, 0);
    let flags = REPLACE | POSIX_SEMANTICS;
    assert_eq!(fixture.rename(new, None, "s~2", flags), STATUS_SUCCESS);
    assert_eq!(fixture.name(new), r"\LONGDI~1\s~2");
    assert_eq!(fixture.short(another), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    let status = fixture.status(r"\LONGDI~1\long file.text", FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
    // Who was opened by one is called by the long name when it is taken away.
    assert_eq!(fixture.set_short(new, "S~3"), STATUS_SUCCESS);
    let by_short = fixture.open(r"\LONGDI~1\S~3", FILE_OPEN, 0);
    assert_eq!(fixture.set_short(new, ""), STATUS_SUCCESS);
    assert_eq!(fixture.set_short(new, ""), STATUS_SUCCESS);
    assert_eq!(fixture.name(by_short), r"\LONGDI~1\s~2");
}

#[test]
fn who_moves_to_another_directory_has_those_of_the_old_way_no_more() {
    let fixture = Fixture::with_short();
    for name in [r"\other", r"\other\deep"] {
        fixture.close(fixture.open(name, FILE_CREATE, FILE_DIRECTORY_FILE));
    }
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let deep = fixture.open(r"\other\deep", FILE_OPEN, 0);
    let file = fixture.open(SHORT, FILE_OPEN, 0);
    assert_eq!(fixture.rename(file, Some(root), "x", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(file), r"\x");
    fixture.close(file);
    fixture.close(fixture.open(r"\LONGDI~1\y", FILE_CREATE, 0));
    let file = fixture.open(r"\LONGDI~1\y", FILE_OPEN, 0);
    assert_eq!(fixture.rename(file, Some(deep), "y", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(file), r"\other\deep\y");
    fixture.close(file);
    // What lies below a directory that moves keeps what it has below that; so does what has no handle any more.
    let below = fixture.open(r"\LONGDI~1\below", FILE_CREATE, FILE_DIRECTORY_FILE);
    assert_eq!(fixture.set_short(below, "B~1"), STATUS_SUCCESS);
    fixture.close(below);
    let below = fixture.open(r"\LONGDI~1\B~1", FILE_OPEN, 0);
    let (_, _) = effects(|effects| fixture.volume.cleanup(below, effects));
    let directory = fixture.open(r"\LONGDI~1", FILE_OPEN, 0);
    assert_eq!(
        fixture.rename(directory, Some(deep), "d", 0),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.name(directory), r"\other\deep\d");
    assert_eq!(fixture.name(below), r"\other\deep\d\B~1");
    assert_eq!(
        fixture.rename(directory, Some(root), "d", 0),
        STATUS_SUCCESS
    );
    assert_eq!(fixture.name(below), r"\d\B~1");
}

#[test]
fn an_open_by_id_has_none_of_what_it_is_relative_to() {
    let fixture = Fixture::with_short();
    let file = fixture.open(LONG, FILE_OPEN, 0);
    let id = fixture.query(file, FileInternalInformation, 8).unwrap();
    let directory = fixture.open(r"\LONGDI~1", FILE_OPEN, 0);
    let by_id = Request {
        related: Some(directory),
        id: Some(u64::from_le_bytes(id.try_into().unwrap())),
        ..request("", FILE_OPEN, 0)
    };
    let by_id = fixture.try_open(&by_id).unwrap().open;
    assert_eq!(fixture.name(by_id), LONG);
}

#[test]
fn one_name_of_a_file_has_one() {
    let fixture = Fixture::with_short();
    let file = fixture.open(SHORT, FILE_OPEN, 0);
    assert_eq!(fixture.link(file, None, "another", 0), STATUS_SUCCESS);
    let another = fixture.open(r"\LONGDI~1\another", FILE_OPEN, 0);
    assert_eq!(fixture.set_short(another, "S~1"), STATUS_SUCCESS);
    assert_eq!(fixture.short(file), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    assert_eq!(fixture.name(file), r"\LONGDI~1\long file.text");
    let status = fixture.status(SHORT, FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
    // Nothing of the old one is looked at any more.
    let directory = fixture.open(r"\LONGDI~1", FILE_OPEN, 0);
    let number = fixture.query(directory, FileInternalInformation, 8);
    let number = u64::from_le_bytes(number.unwrap().try_into().unwrap());
    let known = || {
        let state = fixture.volume.state();
        let names = state.overlays.short_names(number);
        let names: Vec<_> = names
            .map(|name| String::from_utf16_lossy(&name.short))
            .collect();
        names
    };
    assert_eq!(known(), ["S~1"]);
    let other = fixture.open(r"\LONGDI~1\other", FILE_CREATE, 0);
    assert_eq!(fixture.set_short(other, "S~10"), STATUS_SUCCESS);
    assert_eq!(known(), ["S~1", "S~10"]);
    let called = wide("S~1");
    let state = fixture.volume.state();
    assert_eq!(state.overlays.named_shortly(number, &called).count(), 1);
    drop(state);
    for file in [file, another] {
        fixture.set(file, FileDispositionInformation, &[1]);
        fixture.close(file);
    }
    assert_eq!(known(), ["S~10"]);
}

#[test]
fn they_are_in_upper_case_where_case_is_told_apart() {
    let fixture = Fixture::with_short();
    let directory = fixture.open(r"\LONGDI~1", FILE_OPEN, 0);
    let sensitive = fixture.set(directory, FileCaseSensitiveInformation, &[1, 0, 0, 0]);
    assert_eq!(sensitive, STATUS_SUCCESS);
    let upper = r"\longdi~1\LONGFI~1.TEX";
    assert_eq!(fixture.status(upper, FILE_OPEN, 0), STATUS_SUCCESS);
    let status = fixture.status(r"\LONGDI~1\longfi~1.tex", FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
    fixture.make(r"\LONGDI~1\longfi~1.tex", b"other");
    let told_apart = Request {
        case_sensitive: true,
        ..request(r"\longdi~1\LONGFI~1.TEX", FILE_OPEN, 0)
    };
    let status = fixture.try_open(&told_apart).err();
    assert_eq!(status, Some(STATUS_OBJECT_PATH_NOT_FOUND));
    for (pattern, found) in [("LONGFI~*", "long file.text"), ("longfi~*", "longfi~1.tex")] {
        let entry = fixture.listed(r"\LONGDI~1", FileNamesInformation, Some(pattern));
        assert_eq!(entry.map(|entry| text(&entry[12..])).as_deref(), Ok(found));
    }
}

/// A record that the host has made old: another file is called so, or a link to this one.
#[cfg(unix)]
#[test]
fn another_entry_of_that_name_does_not_have_it() {
    use std::os::unix::fs::symlink;
    for is_link in [false, true] {
        let fixture = Fixture::with_short().remount(false, |root| {
            let old = root.join("long directory/long file.text");
            std::fs::rename(&old, root.join("moved")).unwrap();
            match is_link {
                true => symlink("../moved", old).unwrap(),
                false => std::fs::write(old, b"new").unwrap(),
            }
        });
        let listed = |pattern| {
            let class = FileBothDirectoryInformation;
            fixture.listed(r"\LONGDI~1", class, Some(pattern))
        };
        assert_eq!(listed("LONGFI~1*"), Err(STATUS_NO_SUCH_FILE), "{is_link}");
        assert_eq!(listed("long*").map(|entry| entry[68]), Ok(0), "{is_link}");
        let status = fixture.status(SHORT, FILE_OPEN, 0);
        assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
        // It is free for another one.
        let new = fixture.open(r"\LONGDI~1\n", FILE_CREATE, 0);
        assert_eq!(fixture.set_short(new, "LONGFI~1.TEX"), STATUS_SUCCESS);
        fixture.close(new);
        assert_eq!(fixture.status(SHORT, FILE_OPEN, 0), STATUS_SUCCESS);
        assert_eq!(listed("LONGFI~1*").map(|entry| entry[68]), Ok(24));
    }
}

/// What a link of the host leads to has its own name.
#[cfg(unix)]
#[test]
fn no_link_of_the_host_has_one() {
    let fixture = Fixture::with_short();
    std::os::unix::fs::symlink("long file.text", fixture.host("long directory/l")).unwrap();
    let link = fixture.open(r"\LONGDI~1\l", FILE_OPEN, 0);
    assert_eq!(fixture.set_short(link, "L~1"), STATUS_INVALID_PARAMETER);
    assert_eq!(fixture.status(SHORT, FILE_OPEN, 0), STATUS_SUCCESS);
}

#[test]
fn they_are_kept() {
    let fixture = Fixture::with_short().remount(false, |_| {});
    let open = fixture.open(SHORT, FILE_OPEN, 0);
    assert_eq!(fixture.names(open), [r"\LONGDI~1\LONGFI~1.TEX", LONG]);
    fixture.close(open);
    // Who changes the host's names takes them away.
    let fixture = fixture.remount(false, |root| {
        let directory = root.join("long directory");
        let (old, new) = (directory.join("long file.text"), directory.join("x"));
        std::fs::rename(old, new).unwrap();
    });
    assert_eq!(
        fixture.status(SHORT, FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
}

#[test]
fn who_may_not_is_refused() {
    let fixture = Fixture::with_short();
    let file = fixture.open(SHORT, FILE_OPEN, 0);
    for bad in ["TOOLONGNAME", "A B", "A.B.C", r"\A", "\u{E9}"] {
        assert_eq!(
            fixture.set_short(file, bad),
            STATUS_INVALID_PARAMETER,
            "{bad}"
        );
    }
    let set = |bytes: &[u8]| fixture.set(file, FileShortNameInformation, bytes);
    assert_eq!(set(&[0; 7]), STATUS_INFO_LENGTH_MISMATCH);
    assert_eq!(set(&[20, 0, 0, 0, 65, 0, 0, 0]), STATUS_INVALID_PARAMETER);
    let status = |request: Request| {
        let open = fixture.try_open(&request).unwrap().open;
        let status = fixture.set_short(open, "NEW");
        fixture.close(open);
        status
    };
    let reads = Request {
        desired: access::READ_DATA,
        ..request(LONG, FILE_OPEN, 0)
    };
    assert_eq!(status(reads), STATUS_ACCESS_DENIED);
    let told_apart = Request {
        case_sensitive: true,
        ..request(LONG, FILE_OPEN, 0)
    };
    assert_eq!(status(told_apart), STATUS_INVALID_PARAMETER);
    // Something is open below.
    let directory = || request(r"\LONGDI~1", FILE_OPEN, 0);
    assert_eq!(status(directory()), STATUS_ACCESS_DENIED);
    let stream = fixture.open(r"\f:s", FILE_CREATE, 0);
    assert_eq!(fixture.set_short(stream, "NEW"), STATUS_INVALID_PARAMETER);
    for name in [r"\", ""] {
        assert_eq!(
            status(request(name, FILE_OPEN, 0)),
            STATUS_INVALID_PARAMETER,
            "{name}"
        );
    }
    fixture.set(file, FileDispositionInformation, &[1]);
    assert_eq!(fixture.set_short(file, "NEW"), STATUS_ACCESS_DENIED);
    fixture.close(file);
    assert_eq!(status(directory()), STATUS_SUCCESS);
}
