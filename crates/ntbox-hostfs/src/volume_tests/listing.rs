//! Directory queries.

use super::*;

/// Names of a listing, entry by entry as the records chain them.
pub fn names(data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let word = |offset: usize| {
            u32::from_le_bytes(data[at + offset..at + offset + 4].try_into().unwrap()) as usize
        };
        assert_eq!(at % 8, 0);
        let name: Vec<u16> = data[at + 12..at + 12 + word(8)]
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        found.push(String::from_utf16(&name).unwrap());
        match word(0) {
            0 => return found,
            next => at += next,
        }
    }
}

fn list(
    fixture: &Fixture,
    open: OpenId,
    query: &Query,
    length: usize,
) -> Result<Vec<String>, NTSTATUS> {
    let mut bytes = vec![0; length];
    let (status, count) = fixture.volume.query_directory(open, query, &mut bytes);
    if status == STATUS_SUCCESS {
        Ok(names(&bytes[..count]))
    } else {
        Err(status)
    }
}

#[test]
fn directories_are_listed_in_order_and_parts() {
    let fixture = new();
    fixture.close(fixture.open(r"\d", FILE_CREATE, FILE_DIRECTORY_FILE));
    for name in ["b.txt", "A", "c", "B2.TXT"] {
        fixture.make(&format!(r"\d\{name}"), b"");
    }
    // A name that only the host has; Windows has none of those.
    let (name, mapped) = if cfg!(windows) {
        ("xy", "xy")
    } else {
        ("x:y", "x\u{F03A}y")
    };
    std::fs::write(fixture.host("d").join(name), b"").unwrap();
    let open = fixture.open(r"\d", FILE_OPEN, 0);
    let query = Query {
        class: FileNamesInformation,
        ..Default::default()
    };
    assert_eq!(
        list(&fixture, open, &query, 1000).unwrap(),
        [".", "..", "A", "b.txt", "B2.TXT", "c", mapped]
    );
    assert_eq!(
        list(&fixture, open, &query, 1000),
        Err(STATUS_NO_MORE_FILES)
    );
    let single = Query {
        restart: true,
        single: true,
        ..query.clone()
    };
    assert_eq!(list(&fixture, open, &single, 1000).unwrap(), ["."]);
    assert_eq!(
        list(
            &fixture,
            open,
            &Query {
                single: true,
                ..query.clone()
            },
            1000
        )
        .unwrap(),
        [".."]
    );
    // Each record takes 16 to 24 bytes: the room decides how many come.
    assert_eq!(list(&fixture, open, &query, 40).unwrap(), ["A", "b.txt"]);
    assert_eq!(
        list(
            &fixture,
            open,
            &Query {
                index: Some(5),
                ..query.clone()
            },
            1000
        )
        .unwrap(),
        ["c", mapped]
    );
    assert_eq!(
        list(&fixture, open, &query, 15),
        Err(STATUS_INFO_LENGTH_MISMATCH)
    );
    assert_eq!(
        list(
            &fixture,
            open,
            &Query {
                class: 999,
                ..query.clone()
            },
            100
        ),
        Err(STATUS_INVALID_INFO_CLASS)
    );
    let root = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(list(&fixture, root, &query, 1000).unwrap(), ["d"]);
    let file = fixture.open(r"\d\a", FILE_OPEN, 0);
    assert_eq!(
        list(&fixture, file, &query, 1000),
        Err(STATUS_INVALID_PARAMETER)
    );
}

#[test]
fn the_pattern_of_the_first_query_counts() {
    let fixture = new();
    for name in ["one.txt", "two.TXT", "three.c"] {
        fixture.make(&format!(r"\{name}"), b"");
    }
    let query = |pattern: &str, restart| Query {
        class: FileNamesInformation,
        pattern: Some(wide(pattern)),
        restart,
        ..Default::default()
    };
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        list(&fixture, open, &query("*.txt", false), 500).unwrap(),
        ["one.txt", "two.TXT"]
    );
    assert_eq!(
        list(&fixture, open, &query("*", true), 500).unwrap(),
        ["one.txt", "two.TXT"]
    );
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        list(&fixture, open, &query("THREE.C", false), 500).unwrap(),
        ["three.c"]
    );
    let open = fixture.open(r"\", FILE_OPEN, 0);
    assert_eq!(
        list(&fixture, open, &query("none", false), 500),
        Err(STATUS_NO_SUCH_FILE)
    );
    assert_eq!(
        list(&fixture, open, &query("none", false), 500),
        Err(STATUS_NO_MORE_FILES)
    );
}

#[test]
fn a_name_too_long_for_the_buffer_is_cut_once() {
    let fixture = new();
    fixture.make(r"\a_rather_long_name", b"");
    fixture.make(r"\b", b"");
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let query = Query {
        class: FileNamesInformation,
        ..Default::default()
    };
    let mut bytes = [0; 17];
    assert_eq!(
        fixture.volume.query_directory(open, &query, &mut bytes),
        (STATUS_BUFFER_OVERFLOW, 16)
    );
    assert_eq!((bytes[8], &bytes[12..]), (36, &b"a\0_\0\0"[..]));
    assert_eq!(list(&fixture, open, &query, 17).unwrap(), ["b"]);
}

#[test]
fn entries_that_go_are_passed_over() {
    let fixture = new();
    for name in [r"\a", r"\b", r"\c"] {
        fixture.make(name, b"");
    }
    let open = fixture.open(r"\", FILE_OPEN, 0);
    let query = Query {
        class: FileNamesInformation,
        single: true,
        ..Default::default()
    };
    assert_eq!(list(&fixture, open, &query, 100).unwrap(), ["a"]);
    std::fs::remove_file(fixture.host("b")).unwrap();
    assert_eq!(list(&fixture, open, &query, 100).unwrap(), ["c"]);
}
