//! What a filter can meet, and how far the box has it: `coverage.tsv`, beside the crate's manifest.
//!
//! `ntbox check` holds a driver's requests against it, and `docs/ntbox-coverage.md` is made of it. The states of
//! information classes and controls are asked of the file system by a test.

use ntbox_hostfs::asked::Asked;
use std::fmt;
use std::sync::OnceLock;

const DATA: &str = include_str!("../coverage.tsv");

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A request, by major and minor function.
    Request,
    /// A class of directory listings.
    List,
    /// A class of IRP_MJ_QUERY_INFORMATION.
    QueryFile,
    /// A class of IRP_MJ_SET_INFORMATION.
    SetFile,
    /// A class of IRP_MJ_QUERY_VOLUME_INFORMATION.
    QueryVolume,
    /// A class of IRP_MJ_SET_VOLUME_INFORMATION.
    SetVolume,
    /// A file-system control.
    Control,
    /// A flag of a request.
    IrpFlag,
    /// An option of a create.
    CreateOption,
}

/// All kinds, with what they are called in the data and in a heading.
pub const KINDS: [(Kind, &str, &str); 9] = [
    (Kind::Request, "request", "Requests"),
    (Kind::List, "list", "Directory listings"),
    (Kind::QueryFile, "query-file", "File information, queried"),
    (Kind::SetFile, "set-file", "File information, set"),
    (
        Kind::QueryVolume,
        "query-volume",
        "Volume information, queried",
    ),
    (Kind::SetVolume, "set-volume", "Volume information, set"),
    (Kind::Control, "control", "File-system controls"),
    (Kind::IrpFlag, "irp-flag", "Flags of requests"),
    (Kind::CreateOption, "create-option", "Options of a create"),
];

/// How far the box has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As on Windows, as far as the page of the model says.
    Modelled,
    /// Refused, as by a file system that does not have it.
    Refused,
    /// Nobody sends it, or it means nothing.
    Absent,
}

impl State {
    const ALL: [Self; 3] = [Self::Modelled, Self::Refused, Self::Absent];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modelled => "modelled",
            Self::Refused => "refused",
            Self::Absent => "absent",
        })
    }
}

/// The data with the `states` that were found of some rows, and all else as it is.
pub fn with_states(states: &[(Kind, u32, State)]) -> String {
    let lines = DATA.lines().map(|line| {
        let found = parse(line).and_then(|row| {
            let same = |found: &&(Kind, u32, State)| (found.0, found.1) == (row.kind, row.number);
            states.iter().find(same)
        });
        let Some((.., state)) = found else {
            return line.to_owned() + "\n";
        };
        let mut fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        if let Some(field) = fields.get_mut(3) {
            *field = state.to_string();
        }
        fields.join("\t") + "\n"
    });
    lines.collect()
}

/// Something that a filter can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub kind: Kind,
    /// Its number; of a request, the major function in the second byte and the minor one in the first.
    pub number: u32,
    /// Its published name.
    pub name: &'static str,
    /// How far the box has it.
    pub state: State,
    /// The page that says what it is.
    pub source: &'static str,
}

/// A line of the data; none for one that is not well formed.
fn parse(line: &'static str) -> Option<Row> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().filter(|field| !field.is_empty());
    let (kind, number, name, state, source) = (field()?, field()?, field()?, field()?, field()?);
    let (kind, ..) = KINDS.iter().find(|(_, word, _)| *word == kind)?;
    let number = match number.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    Some(Row {
        kind: *kind,
        number: number.ok()?,
        name,
        state: State::ALL
            .into_iter()
            .find(|named| named.to_string() == state)?,
        source,
    })
}

/// All rows, in the order of the file.
pub fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let lines = DATA.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(parse).collect()
    })
}

/// The row of a number.
pub fn of(kind: Kind, number: u32) -> Option<&'static Row> {
    rows()
        .iter()
        .find(|row| (row.kind, row.number) == (kind, number))
}

/// The rows that say how far the box has a request that has arrived at the file system: of the request itself, and of
/// what it asks for. One that is not known is given by its kind and number.
pub fn of_request(asked: &Asked) -> Vec<Result<&'static Row, (Kind, u32)>> {
    let Asked {
        major, minor, code, ..
    } = *asked;
    let request = u32::from(major) << 8 | u32::from(minor);
    let found = |kind, number| of(kind, number).ok_or((kind, number));
    let mut rows = vec![found(Kind::Request, request)];
    let kind = match (major, minor) {
        (0x05, _) => Some(Kind::QueryFile),
        (0x06, _) => Some(Kind::SetFile),
        (0x0A, _) => Some(Kind::QueryVolume),
        (0x0B, _) => Some(Kind::SetVolume),
        (0x0C, 1) => Some(Kind::List),
        (0x0D, 0 | 4) => Some(Kind::Control),
        _ => None,
    };
    rows.extend(kind.map(|kind| found(kind, code)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::major_name;
    use std::collections::HashSet;

    #[test]
    fn each_line_is_a_row_of_its_own() {
        let lines = DATA.lines().filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            assert!(parse(line).is_some(), "{line}");
        }
        let numbers: HashSet<_> = rows().iter().map(|row| (row.kind, row.number)).collect();
        assert_eq!(numbers.len(), lines.count());
        for kind in KINDS {
            assert!(rows().iter().any(|row| row.kind == kind.0), "{kind:?}");
        }
    }

    #[test]
    fn lines_that_say_nothing_are_none() {
        for line in [
            "",
            "request",
            "request\t0x0100\tX\tmodelled",
            "x\t1\tX\tmodelled\ty",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
        assert_eq!(parse("list\tx\tX\tmodelled\ty"), None);
        assert_eq!(parse("list\t1\tX\tperhaps\ty"), None);
    }

    #[test]
    fn requests_have_the_names_of_their_major_functions() {
        for major in 0..crate::nt::MAJOR_FUNCTION_COUNT as u8 {
            let of_major =
                |row: &&Row| row.kind == Kind::Request && row.number >> 8 == u32::from(major);
            let names: Vec<_> = rows()
                .iter()
                .filter(of_major)
                .map(|row| row.name.split('/').next())
                .collect();
            assert!(!names.is_empty(), "{major}");
            let name = Some(major_name(major));
            assert!(names.iter().all(|named| *named == name), "{names:?}");
        }
    }

    #[test]
    fn a_request_is_covered_with_what_it_asks_for() {
        let names = |major, minor, code| -> Vec<_> {
            let asked = Asked {
                major,
                minor,
                code,
                own: false,
            };
            let rows = of_request(&asked).into_iter();
            rows.map(|row| row.expect("known").name).collect()
        };
        for (major, minor, code, name) in [
            (0x05, 0, 4, "FileBasicInformation"),
            (0x06, 0, 10, "FileRenameInformation"),
            (0x0A, 0, 1, "FileFsVolumeInformation"),
            (0x0B, 0, 2, "FileFsLabelInformation"),
            (0x0C, 1, 1, "FileDirectoryInformation"),
            (0x0D, 0, 0x0009_0018, "FSCTL_LOCK_VOLUME"),
            (0x0D, 4, 0x0009_0018, "FSCTL_LOCK_VOLUME"),
        ] {
            assert_eq!(names(major, minor, code)[1..], [name], "{major:#x}");
        }
        assert_eq!(names(0x0C, 2, 0).len(), 1, "a notification has no class");
        assert_eq!(names(0x0D, 1, 0).len(), 1, "a mount has no code");
        let unknown = Asked {
            major: 5,
            minor: 0,
            code: 999,
            own: false,
        };
        assert_eq!(of_request(&unknown)[1], Err((Kind::QueryFile, 999)));
    }
}
