//! Extended attributes.

use super::*;
use crate::extended_attributes::EaQuery;
use crate::notify::{Class, change};

/// A list of entries: flags, name, value.
pub fn list(entries: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut list: Vec<u8> = Vec::new();
    let mut last = 0;
    for (flags, name, value) in entries {
        let start = list.len().next_multiple_of(4);
        list.resize(start, 0);
        let next = ((start - last) as u32).to_le_bytes();
        if let Some(field) = list.get_mut(last..last + 4) {
            field.copy_from_slice(&next);
        }
        last = start;
        list.extend([0, 0, 0, 0, *flags, name.len() as u8]);
        list.extend((value.len() as u16).to_le_bytes());
        list.extend(name.bytes().chain([0]).chain(value.iter().copied()));
    }
    list
}

/// A list of names.
fn names(names: &[&str]) -> Vec<u8> {
    let mut list: Vec<u8> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let start = list.len();
        list.extend([0, 0, 0, 0, name.len() as u8]);
        list.extend(name.bytes().chain([0]));
        if place + 1 < names.len() {
            list.resize(list.len().next_multiple_of(4), 0);
            let next = ((list.len() - start) as u32).to_le_bytes();
            list[start..start + 4].copy_from_slice(&next);
        }
    }
    list
}

impl Fixture {
    fn set_ea(&self, open: OpenId, list: &[u8]) -> (NTSTATUS, usize) {
        effects(|effects| self.volume.set_ea(open, list, effects)).0
    }
    fn query_ea(&self, open: OpenId, query: &EaQuery, length: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut bytes = vec![0xEE; length];
        let (status, count) = self.volume.query_ea(open, query, &mut bytes);
        bytes.truncate(count);
        match status {
            STATUS_SUCCESS => Ok(bytes),
            status => Err(status),
        }
    }
    fn all(&self, open: OpenId) -> Result<Vec<u8>, NTSTATUS> {
        let restart = EaQuery {
            restart: true,
            ..Default::default()
        };
        self.query_ea(open, &restart, 0x1_0000)
    }
}

const GOOD: (NTSTATUS, usize) = (STATUS_SUCCESS, 0);

#[test]
fn what_is_set_is_queried_in_upper_case_and_an_empty_value_takes_it_away() {
    let fixture = new();
    fixture.make(r"\f", b"");
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.all(file), Err(STATUS_NO_EAS_ON_FILE));
    let first = list(&[(0, "one", b"1"), (0x80, "Two", &[2; 300])]);
    assert_eq!(fixture.set_ea(file, &first), GOOD);
    let both = list(&[(0, "ONE", b"1"), (0x80, "TWO", &[2; 300])]);
    assert_eq!(fixture.all(file).unwrap(), both);
    let change = list(&[(0, "ONE", b""), (0, "TWO", b"22"), (0, "none", b"")]);
    assert_eq!(fixture.set_ea(file, &change), GOOD);
    let left = list(&[(0, "TWO", b"22")]);
    assert_eq!(fixture.all(file).unwrap(), left);
    // One list for all names of the file, also after a remount.
    let fixture = fixture.remount(false, |_| {});
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.all(file).unwrap(), left);
    assert_eq!(fixture.set_ea(file, &list(&[(0, "two", b"")])), GOOD);
    assert_eq!(fixture.all(file), Err(STATUS_NO_EAS_ON_FILE));
    let volume = fixture.open("", FILE_OPEN, 0);
    assert_eq!(fixture.all(volume), Err(STATUS_INVALID_PARAMETER));
}

#[test]
fn a_query_goes_on_where_the_one_before_ended() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    let entries: [(u8, &str, &[u8]); 3] = [(0, "A", b"1"), (0, "B", b"2"), (0, "C", b"3")];
    fixture.set_ea(file, &list(&entries));
    let go_on = EaQuery::default();
    let single = EaQuery {
        single: true,
        ..go_on.clone()
    };
    let one = |entry| list(&[entry]);
    assert_eq!(fixture.query_ea(file, &single, 100), Ok(one(entries[0])));
    let rest = fixture.query_ea(file, &go_on, 100);
    assert_eq!(rest, Ok(list(&entries[1..])));
    for query in [&go_on, &single] {
        assert_eq!(fixture.query_ea(file, query, 100), Err(STATUS_NO_MORE_EAS));
    }
    assert_eq!(fixture.all(file), Ok(list(&entries)));
    // What does not fit is there for the next one; each handle has its own place.
    let other = fixture.open(r"\f", FILE_OPEN, 0);
    let mut room = [0xEE; 30];
    let reply = fixture.volume.query_ea(other, &go_on, &mut room);
    assert_eq!(reply, (STATUS_BUFFER_OVERFLOW, 23));
    assert_eq!(room[..23], list(&entries[..2]));
    assert_eq!(
        fixture.query_ea(other, &go_on, 10),
        Err(STATUS_BUFFER_TOO_SMALL)
    );
    assert_eq!(fixture.query_ea(other, &go_on, 11), Ok(one(entries[2])));
    for (index, expected) in [
        (0, Err(STATUS_NONEXISTENT_EA_ENTRY)),
        (2, Ok(list(&entries[1..]))),
        (4, Err(STATUS_NO_MORE_EAS)),
        (5, Err(STATUS_NONEXISTENT_EA_ENTRY)),
    ] {
        let from = EaQuery {
            index: Some(index),
            ..Default::default()
        };
        assert_eq!(fixture.query_ea(file, &from, 100), expected, "{index}");
    }
}

#[test]
fn those_asked_for_by_name_come_in_that_order() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.set_ea(file, &list(&[(0x80, "A", b"1"), (0, "B", b"2")]));
    let by_name = |asked: &[&str]| EaQuery {
        names: names(asked),
        ..Default::default()
    };
    let asked = fixture.query_ea(file, &by_name(&["b", "no", "A", "B"]), 100);
    let expected = list(&[(0, "B", b"2"), (0, "NO", b""), (0x80, "A", b"1")]);
    assert_eq!(asked, Ok(expected));
    let wrong = fixture.query_ea(file, &by_name(&["a", "b:c"]), 100);
    assert_eq!(wrong, Err(STATUS_INVALID_EA_NAME));
    let broken = EaQuery {
        names: vec![0; 3],
        ..Default::default()
    };
    assert_eq!(
        fixture.query_ea(file, &broken, 100),
        Err(STATUS_EA_LIST_INCONSISTENT)
    );
}

#[test]
fn a_list_with_something_wrong_changes_nothing() {
    let fixture = new();
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    let before = list(&[(0, "KEPT", b"1")]);
    fixture.set_ea(file, &before);
    // The second entry begins at twelve.
    for (second, status) in [
        ((0, "a*b", b"2"), STATUS_INVALID_EA_NAME),
        ((0, "", b"2"), STATUS_INVALID_EA_NAME),
        ((1, "AB", b"2"), STATUS_INVALID_EA_NAME),
    ] {
        let wrong = list(&[(0, "NEW", b""), (second.0, second.1, second.2)]);
        assert_eq!(fixture.set_ea(file, &wrong), (status, 12), "{second:?}");
    }
    let cut = &before[..before.len() - 1];
    assert_eq!(fixture.set_ea(file, cut), (STATUS_EA_LIST_INCONSISTENT, 0));
    // 65,531 bytes and no more: five beside name and value of each.
    let most = vec![7; 0x1_0000 - 5 - (5 + 4 + 1) - (5 + 1)];
    let more = [most.as_slice(), &[7]].concat();
    let large = fixture.set_ea(file, &list(&[(0, "L", &more)]));
    assert_eq!(large, (STATUS_EA_TOO_LARGE, 0));
    assert_eq!(fixture.all(file).unwrap(), before);
    assert_eq!(fixture.set_ea(file, &list(&[(0, "L", &most)])), GOOD);
    let size = fixture.query(file, FileEaInformation, 4).unwrap();
    assert_eq!(size, 65_535_u32.to_le_bytes());
    let fixture = fixture.remount(true, |_| {});
    let reads = Request {
        desired: access::FILE_READ,
        ..request(r"\f", FILE_OPEN, 0)
    };
    let file = fixture.try_open(&reads).unwrap().open;
    assert_eq!(
        fixture.set_ea(file, &before),
        (STATUS_MEDIA_WRITE_PROTECTED, 0)
    );
    let size = fixture.query(file, FileEaInformation, 4).unwrap();
    assert_eq!(size, 65_535_u32.to_le_bytes());
}

#[test]
fn the_size_is_told_everywhere() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    let file = fixture.open(r"\d\f", FILE_CREATE, 0);
    let size = |open| fixture.query(open, FileEaInformation, 4).unwrap();
    assert_eq!(size(file), [0; 4]);
    fixture.set_ea(file, &list(&[(0, "AB", b"123")]));
    // Four in front, and flags, two lengths, the name with its end, and the value.
    let expected = [4 + 4 + 3 + 3, 0, 0, 0];
    assert_eq!(size(file), expected);
    let all = fixture.query(file, FileAllInformation, 200).unwrap();
    assert_eq!(all[72..76], expected);
    let directory = fixture.open(r"\d", FILE_OPEN, 0);
    for class in [
        FileFullDirectoryInformation,
        FileBothDirectoryInformation,
        FileIdFullDirectoryInformation,
        FileIdBothDirectoryInformation,
        FileIdExtdDirectoryInformation,
        FileIdExtdBothDirectoryInformation,
    ] {
        let query = Query {
            class,
            restart: true,
            index: Some(2),
            ..Default::default()
        };
        let mut entry = [0; 200];
        let reply = fixture
            .volume
            .query_directory(directory, &query, &mut entry);
        assert_eq!(reply.0, STATUS_SUCCESS);
        assert_eq!(entry[64..68], expected, "class {class}");
    }
    let mut attributes = [0; 100];
    let class = FileFsAttributeInformation;
    fixture.volume.query_volume(file, class, &mut attributes);
    // FILE_SUPPORTS_EXTENDED_ATTRIBUTES.
    assert_ne!(attributes[2] & 0x80, 0);
}

#[test]
fn a_change_is_told_and_moves_the_change_time() {
    let fixture = new();
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let file = fixture.open(r"\f", FILE_CREATE, 0);
    let mut basic = [0; 40];
    basic[24..32].copy_from_slice(&1_000_000_i64.to_le_bytes());
    basic[32..36].copy_from_slice(&attribute::NORMAL.to_le_bytes());
    fixture.set(file, FileBasicInformation, &basic);
    let changed = || fixture.query(file, FileBasicInformation, 40).unwrap()[24..32].to_vec();
    assert_eq!(changed(), 1_000_000_i64.to_le_bytes());
    let waiting = fixture.volume.notify(
        root,
        (change::EA, false),
        Class::Plain,
        100,
        Ticket(1),
        &|| true,
    );
    assert_eq!(waiting, Outcome::Waiting);
    let (reply, finished) = effects(|effects| {
        let list = list(&[(0, "A", b"1")]);
        fixture.volume.set_ea(file, &list, effects)
    });
    assert_eq!((reply, finished.len()), (GOOD, 1));
    // FILE_ACTION_MODIFIED of "f".
    assert_eq!((finished[0].data[4], finished[0].data[12]), (3, b'f'));
    assert_ne!(changed(), 1_000_000_i64.to_le_bytes());
    assert_eq!(fixture.attributes(file), attribute::ARCHIVE);
}

#[test]
fn a_create_brings_them_and_one_without_knowledge_is_refused() {
    let fixture = new();
    let needed = list(&[(0x80, "NEED", b"1")]);
    let with = |name, disposition, options, list: &[u8]| Request {
        extended_attributes: list.to_vec(),
        ..request(name, disposition, options)
    };
    let status = |request: &Request| match fixture.try_open(request) {
        Ok(created) => {
            fixture.close(created.open);
            STATUS_SUCCESS
        }
        Err(status) => status,
    };
    let create = |options, list: &[u8]| status(&with(r"\f", FILE_CREATE, options, list));
    let wrong = list(&[(0, "a*", b"1")]);
    assert_eq!(create(0, &wrong), STATUS_INVALID_EA_NAME);
    assert_eq!(create(0, &wrong[..5]), STATUS_EA_LIST_INCONSISTENT);
    let none = FILE_NO_EA_KNOWLEDGE;
    assert_eq!(create(none, &needed), STATUS_ACCESS_DENIED);
    assert!(!fixture.host("f").exists());
    assert_eq!(create(0, &needed), STATUS_SUCCESS);
    let file = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.all(file), Ok(needed.clone()));
    assert_eq!(fixture.status(r"\f", FILE_OPEN, none), STATUS_ACCESS_DENIED);
    // An open brings nothing; what makes the file anew takes away what was there.
    let other = list(&[(0, "OTHER", b"2")]);
    assert_eq!(status(&with(r"\f", FILE_OPEN, 0, &other)), STATUS_SUCCESS);
    assert_eq!(fixture.all(file), Ok(needed));
    let overwrite = with(r"\f", FILE_OVERWRITE, 0, &wrong);
    assert_eq!(status(&overwrite), STATUS_INVALID_EA_NAME);
    let overwrite = with(r"\f", FILE_OVERWRITE, 0, &other);
    assert_eq!(status(&overwrite), STATUS_SUCCESS);
    assert_eq!(fixture.all(file), Ok(other));
    assert_eq!(fixture.status(r"\f", FILE_OPEN, none), STATUS_SUCCESS);
    assert_eq!(fixture.status(r"\f", FILE_SUPERSEDE, 0), STATUS_SUCCESS);
    assert_eq!(fixture.all(file), Err(STATUS_NO_EAS_ON_FILE));
    let directory = with(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE, &wrong);
    assert_eq!(status(&directory), STATUS_INVALID_EA_NAME);
}
