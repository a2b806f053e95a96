//! Directories in which names are told apart by case.

use super::*;
use crate::rename::REPLACE;

const SENSITIVE: [u8; 4] = [1, 0, 0, 0];
const NOT: [u8; 4] = [0; 4];

impl Fixture {
    fn case_flags(&self, name: &str) -> Vec<u8> {
        let open = self.open(name, FILE_OPEN, 0);
        let flags = self.query(open, FileCaseSensitiveInformation, 4).unwrap();
        self.close(open);
        flags
    }
    fn set_case(&self, name: &str, flags: [u8; 4]) -> NTSTATUS {
        let open = self.open(name, FILE_OPEN, 0);
        let status = self.set(open, FileCaseSensitiveInformation, &flags);
        self.close(open);
        status
    }
    /// With a case-sensitive directory `d`.
    fn with_sensitive() -> Self {
        let fixture = new();
        fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
        assert_eq!(fixture.set_case(r"\d", SENSITIVE), STATUS_SUCCESS);
        fixture
    }
    fn contents(&self, name: &str) -> Vec<u8> {
        let open = self.open(name, FILE_OPEN, 0);
        let data = self.read(open, 0, 10).unwrap_or_default();
        self.close(open);
        data
    }
}

#[test]
fn names_in_it_are_told_apart() {
    let fixture = Fixture::with_sensitive();
    fixture.make(r"\d\cs1", b"small");
    for disposition in [FILE_OPEN, FILE_OVERWRITE] {
        let status = fixture.status(r"\d\CS1", disposition, 0);
        assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
    }
    fixture.make(r"\d\CS1", b"large");
    assert_eq!(fixture.contents(r"\d\cs1"), b"small");
    // The directory itself lies in one that tells nothing apart.
    assert_eq!(fixture.contents(r"\D\CS1"), b"large");
    let state = |name| {
        let request = request(name, FILE_OPEN, 0);
        fixture.volume.state_at(&request).map(|state| state.size)
    };
    assert_eq!(state(r"\d\Cs1"), Err(STATUS_OBJECT_NAME_NOT_FOUND));
    // A stream's name is found in any case.
    fixture.make(r"\d\cs1:stream", b"of it");
    assert_eq!(fixture.contents(r"\d\cs1:STREAM"), b"of it");
    let status = fixture.status(r"\d\Cs1:stream", FILE_OPEN, 0);
    assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
}

#[test]
fn patterns_match_in_their_case() {
    let fixture = Fixture::with_sensitive();
    fixture.make(r"\d\abc", b"");
    fixture.make(r"\d\ABD", b"");
    let matched = |pattern: &str| {
        let open = fixture.open(r"\d", FILE_OPEN, 0);
        let query = Query {
            class: FileNamesInformation,
            pattern: Some(wide(pattern)),
            ..Default::default()
        };
        let mut bytes = vec![0; 512];
        let (status, count) = fixture.volume.query_directory(open, &query, &mut bytes);
        fixture.close(open);
        match status {
            STATUS_SUCCESS => Ok(listing::names(&bytes[..count])),
            status => Err(status),
        }
    };
    assert_eq!(matched("a*"), Ok(vec!["abc".to_owned()]));
    assert_eq!(matched("ABD"), Ok(vec!["ABD".to_owned()]));
    assert_eq!(matched("abd"), Err(STATUS_NO_SUCH_FILE));
    assert_eq!(fixture.set_case(r"\d", NOT), STATUS_SUCCESS);
    assert_eq!(matched("a*").map(|found| found.len()), Ok(2));
    assert_eq!(matched("abd"), Ok(vec!["ABD".to_owned()]));
}

#[test]
fn renames_and_links_mean_the_name_as_it_is_written() {
    let fixture = Fixture::with_sensitive();
    fixture.make(r"\d\one", b"1");
    fixture.make(r"\d\two", b"2");
    let one = fixture.open(r"\d\one", FILE_OPEN, 0);
    assert_eq!(fixture.rename(one, None, "TWO", 0), STATUS_SUCCESS);
    assert_eq!(fixture.name(one), r"\d\TWO");
    assert_eq!(
        fixture.rename(one, None, "two", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    assert_eq!(fixture.link(one, None, "Two", 0), STATUS_SUCCESS);
    assert_eq!(
        fixture.link(one, None, "two", 0),
        STATUS_OBJECT_NAME_COLLISION
    );
    assert_eq!(fixture.contents(r"\d\two"), b"2");
    assert_eq!(fixture.rename(one, None, "two", REPLACE), STATUS_SUCCESS);
    assert_eq!(fixture.contents(r"\d\two"), b"1");
    fixture.close(one);
    let d = fixture.open(r"\d", FILE_OPEN, 0);
    assert_eq!(fixture.listing(d), [".", "..", "Two", "two"]);
    // In another directory the same names are one.
    fixture.make(r"\file", b"");
    let two = fixture.open(r"\d\two", FILE_OPEN, 0);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let status = fixture.rename(two, Some(root), "FILE", 0);
    assert_eq!(status, STATUS_OBJECT_NAME_COLLISION);
}

#[test]
fn it_is_inherited_kept_and_taken_away() {
    let fixture = Fixture::with_sensitive();
    fixture.close(fixture.open(r"\d\sub", FILE_CREATE, FILE_DIRECTORY_FILE));
    fixture.make(r"\d\file", b"");
    let fixture = fixture.remount(false, |_| {});
    for name in [r"\d", r"\d\sub"] {
        assert_eq!(fixture.case_flags(name), SENSITIVE, "{name}");
    }
    for name in [r"\", r"\d\file"] {
        assert_eq!(fixture.case_flags(name), NOT, "{name}");
    }
    assert_eq!(
        fixture.status(r"\d\FILE", FILE_OPEN, 0),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    // It may have entries when it is set, and two in two cases when it is not taken away.
    for flags in [NOT, SENSITIVE] {
        assert_eq!(fixture.set_case(r"\d", flags), STATUS_SUCCESS);
    }
    fixture.make(r"\d\FILE", b"");
    fixture.make(r"\d\more", b"");
    assert_eq!(
        fixture.set_case(r"\d", NOT),
        STATUS_CASE_DIFFERING_NAMES_IN_DIR
    );
    fixture.close(fixture.open(r"\d\FILE", FILE_OPEN, FILE_DELETE_ON_CLOSE));
    assert_eq!(fixture.set_case(r"\d", NOT), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\d\FILE", FILE_OPEN, 0), STATUS_SUCCESS);
    // A directory that is made then is as all others, and one that was made before is not.
    fixture.close(fixture.open(r"\d\new", FILE_CREATE, FILE_DIRECTORY_FILE));
    assert_eq!(fixture.case_flags(r"\d\new"), NOT);
    assert_eq!(fixture.case_flags(r"\d\sub"), SENSITIVE);
}

#[test]
fn only_directories_have_it() {
    let fixture = Fixture::with_sensitive();
    fixture.make(r"\f", b"");
    for name in [r"\f", ""] {
        let open = fixture.open(name, FILE_OPEN, 0);
        let status = fixture.set(open, FileCaseSensitiveInformation, &SENSITIVE);
        assert_eq!(status, STATUS_INVALID_PARAMETER, "{name}");
    }
    assert_eq!(
        fixture.set_case(r"\d", [2, 0, 0, 0]),
        STATUS_INVALID_PARAMETER
    );
    let open = fixture.open(r"\d", FILE_OPEN, 0);
    let short = fixture.set(open, FileCaseSensitiveInformation, &[1]);
    assert_eq!(short, STATUS_INFO_LENGTH_MISMATCH);
}
