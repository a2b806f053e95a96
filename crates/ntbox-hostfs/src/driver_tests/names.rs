//! Names that are no text.

use super::*;

/// `FILE_NAMES_INFORMATION` of the one entry that the pattern finds.
fn listed(pattern: &str) -> Vec<u8> {
    let directory = open_with(r"\??\H:\", READ, FILE_OPEN, SYNCHRONOUS).unwrap();
    let found = directory.query_directory(FileNamesInformation, 100, Some(pattern), true, true);
    succeeded(found).data.split_off(12)
}

fn bytes(units: &[u16]) -> Vec<u8> {
    units.iter().copied().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_surrogate_needs_no_partner() {
    let (_alone, _) = turn(Mix::quiet());
    let rest = [0xD83D, u16::from(b'x')];
    let parameters = |disposition, options| {
        CreateParameters::new(r"\??\H:\half ")
            .rest(&rest)
            .access(RIGHTS)
            .disposition(disposition)
            .options(SYNCHRONOUS | options)
    };
    let made = create_file(&parameters(FILE_CREATE, 0));
    assert_eq!(made.outcome.status, STATUS_SUCCESS);
    let half: Vec<u16> = "half ".encode_utf16().chain(rest).collect();
    assert_eq!(listed("half *"), bytes(&half));
    // A rename carries it, by the directory that the I/O manager opens for it.
    let full = [
        &r"\??\H:\other".encode_utf16().collect::<Vec<_>>()[..],
        &rest,
    ]
    .concat();
    let mut information = vec![0; 16];
    information.extend((full.len() as u32 * 2).to_le_bytes());
    information.extend(bytes(&full));
    let file = made.file.expect("it is open");
    succeeded(file.set_information(FileRenameInformation, &information));
    let other: Vec<u16> = "other".encode_utf16().chain(rest).collect();
    assert_eq!(listed("other*"), bytes(&other));
    drop(file);
    let gone = create_file(&parameters(FILE_OPEN, 0));
    assert_eq!(gone.outcome.status, STATUS_OBJECT_NAME_NOT_FOUND);
    let by_other = CreateParameters::new(r"\??\H:\other")
        .rest(&rest)
        .access(RIGHTS)
        .options(SYNCHRONOUS | FILE_DELETE_ON_CLOSE);
    assert_eq!(create_file(&by_other).outcome.status, STATUS_SUCCESS);
}

#[cfg(unix)]
#[test]
fn a_name_that_the_host_has_no_room_for_is_invalid() {
    let (_alone, _) = turn(Mix::quiet());
    for (character, count, status) in [
        ("a", 255, STATUS_SUCCESS),
        ("a", 256, STATUS_OBJECT_NAME_INVALID),
        ("\u{20AC}", 85, STATUS_SUCCESS),
        ("\u{20AC}", 86, STATUS_OBJECT_NAME_INVALID),
        ("\u{1F600}", 127, STATUS_OBJECT_NAME_INVALID),
    ] {
        let name = format!(r"\??\H:\{}", character.repeat(count));
        let made = open_with(
            &name,
            RIGHTS,
            FILE_CREATE,
            SYNCHRONOUS | FILE_DELETE_ON_CLOSE,
        );
        assert_eq!(
            made.err().unwrap_or(STATUS_SUCCESS),
            status,
            "{character} {count}"
        );
    }
}
