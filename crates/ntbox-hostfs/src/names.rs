//! Names: how the host's and NT's differ, and how a path is taken apart.
//!
//! A host name shows on the volume unchanged where NT allows it. Characters
//! that NT forbids (`"*:<>?|\` and controls) and bytes that are not UTF-8 show
//! as U+F000 plus the character or byte, a private-use range, as other systems
//! do that share folders with Windows. A surrogate without its partner, which
//! NT does not mind, is three bytes on a host whose names are bytes (WTF-8). A
//! character of that range in a host name is shown as its bytes, as if they were
//! no text; on a host whose names are units such a name is hidden. So every name
//! that a program sees can be opened, and none can reach another file than the
//! one it was listed for.
//!
//! On such a host a name may be too long though it has no more than 255 units:
//! it has room for 255 bytes, and the units may have 510 different ones. No rule
//! that looks at the name alone can hold them, so they are refused.
//!
//! A colon in the last component begins the name of a stream (`file:stream:$DATA`, [MS-FSCC]
//! "Pathname"). Short names are [another matter](super::short_names).

use ntbox_kernel::host::file::{os_string_of_units, units_of_os_str};
use ntbox_kernel::nt::case::upcase;
use ntbox_kernel::nt::{NTSTATUS, STATUS_OBJECT_NAME_INVALID};
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};

/// Most code units that a component may have (`MaximumComponentNameLength`).
pub const MAXIMUM_COMPONENT: usize = 255;

/// First character of the private-use range that stands for forbidden ones.
const MAPPED: u16 = 0xF000;

/// The character `\`.
pub const BACKSLASH: u16 = b'\\' as u16;

/// The character in front of a stream's name.
pub const COLON: u16 = b':' as u16;

/// Whether NT forbids `unit` in a component.
pub fn is_forbidden(unit: u16) -> bool {
    unit < 0x20 || u8::try_from(unit).is_ok_and(|unit| br#""*/:<>?\|"#.contains(&unit))
}

/// Whether `unit` is a wildcard of directory queries (`FsRtlIsUnicodeCharacterWild`).
pub fn is_wild(unit: u16) -> bool {
    u8::try_from(unit).is_ok_and(|unit| br#""*<>?"#.contains(&unit))
}

/// Whether `unit` stands for a forbidden character or a byte that is not UTF-8.
fn is_stand_in(unit: u16) -> bool {
    unit.checked_sub(MAPPED).is_some_and(|low| {
        low < 0x100 && (low >= 0x80 || (low != 0 && low != u16::from(b'/') && is_forbidden(low)))
    })
}

/// Whether two names differ at most in case.
pub fn equal(a: &[u16], b: &[u16]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a == b || upcase(*a) == upcase(*b))
}

/// The order of a directory: by upper-case form, then by the name itself.
pub fn order(a: &[u16], b: &[u16]) -> Ordering {
    a.iter()
        .map(|unit| upcase(*unit))
        .cmp(b.iter().map(|unit| upcase(*unit)))
        .then_with(|| a.cmp(b))
}

/// The volume's name for a host name; `None` if it is hidden.
pub fn to_nt(name: &OsStr) -> Option<Vec<u16>> {
    let mut units = Vec::new();
    for unit in units_of_os_str(name) {
        match unit {
            Ok(unit) if is_stand_in(unit) => units.extend(bytes_of_stand_in(unit)?),
            Ok(unit) if is_forbidden(unit) => units.push(MAPPED + unit),
            Ok(unit) => units.push(unit),
            Err(byte) => units.push(MAPPED + u16::from(byte)),
        }
    }
    (!units.is_empty() && units.len() <= MAXIMUM_COMPONENT).then_some(units)
}

/// What shows a stand-in that the host's name itself has: its bytes, each as one that is no text. `None` on a host
/// whose names are not bytes.
fn bytes_of_stand_in(unit: u16) -> Option<impl Iterator<Item = u16>> {
    let character = char::from_u32(unit.into()).filter(|_| cfg!(unix))?;
    let mut bytes = [0; 4];
    let length = character.encode_utf8(&mut bytes).len();
    Some(
        bytes
            .into_iter()
            .take(length)
            .map(|byte| MAPPED + u16::from(byte)),
    )
}

/// The host name for a component on the volume.
///
/// # Errors
/// `STATUS_OBJECT_NAME_INVALID`: empty, too long for NT, `.` or `..`, a forbidden
/// character, or a name the volume does not show as itself. What is too long for the host
/// alone, the host says.
pub fn to_host(component: &[u16]) -> Result<OsString, NTSTATUS> {
    let dots = component.iter().all(|unit| *unit == u16::from(b'.')) && component.len() <= 2;
    if dots
        || component.len() > MAXIMUM_COMPONENT
        || component.iter().any(|unit| is_forbidden(*unit))
    {
        return Err(STATUS_OBJECT_NAME_INVALID);
    }
    let units: Vec<Result<u16, u8>> = component
        .iter()
        .map(|unit| match unit.checked_sub(MAPPED) {
            Some(low) if is_stand_in(*unit) => match u8::try_from(low) {
                Ok(byte) if byte >= 0x80 => Err(byte),
                _ => Ok(low),
            },
            _ => Ok(*unit),
        })
        .collect();
    os_string_of_units(&units)
        .filter(|name| to_nt(name).is_some_and(|shown| shown == component))
        .ok_or(STATUS_OBJECT_NAME_INVALID)
}

/// The file and the stream that a component names. Of the types of streams, that of data is known alone.
///
/// # Errors
/// `STATUS_OBJECT_NAME_INVALID`.
pub fn split_stream(component: &[u16]) -> Result<(&[u16], Option<Vec<u16>>), NTSTATUS> {
    let mut parts = component.split(|unit| *unit == COLON);
    let file = parts.next().unwrap_or_default();
    let Some(stream) = parts.next() else {
        return Ok((file, None));
    };
    let data: Vec<u16> = "$DATA".encode_utf16().collect();
    let is_good = match parts.next() {
        None => !stream.is_empty(),
        Some(kind) => equal(kind, &data),
    };
    let fits = stream.len() <= MAXIMUM_COMPONENT && !stream.contains(&0);
    match is_good && fits && parts.next().is_none() {
        true => Ok((file, Some(stream.to_vec()))),
        false => Err(STATUS_OBJECT_NAME_INVALID),
    }
}

/// `:stream` behind the last of `path`, as a name of it has it.
pub fn with_stream(mut path: Vec<Vec<u16>>, stream: &[u16]) -> Vec<Vec<u16>> {
    if let Some(last) = path.last_mut() {
        last.push(COLON);
        last.extend_from_slice(stream);
    }
    path
}

/// A path taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path {
    /// Its components, none empty.
    pub components: Vec<Vec<u16>>,
    /// It ended with a backslash: only a directory can be meant.
    pub trailing_backslash: bool,
    /// The stream that is meant; an empty name is the one without (`::$DATA`).
    pub stream: Option<Vec<u16>>,
}

impl Path {
    /// It as a name, with its stream.
    pub fn name(&self) -> Vec<u16> {
        let mut name = join(&self.components);
        if self.trailing_backslash {
            name.push(BACKSLASH);
        }
        if let Some(stream) = &self.stream {
            let kind = if stream.is_empty() { "::$DATA" } else { ":" };
            name.extend(kind.encode_utf16());
            name.extend_from_slice(stream);
        }
        name
    }
    /// Takes an absolute path apart. Two leading backslashes count as one (programs
    /// write them, and file systems tolerate it); nothing else may be empty.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_INVALID`.
    pub fn absolute(name: &[u16]) -> Result<Self, NTSTATUS> {
        let rest = name
            .strip_prefix(&[BACKSLASH])
            .ok_or(STATUS_OBJECT_NAME_INVALID)?;
        let rest = rest.strip_prefix(&[BACKSLASH]).unwrap_or(rest);
        Self::relative(rest)
    }
    /// Takes a path apart that does not start with a backslash.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_INVALID`.
    pub fn relative(name: &[u16]) -> Result<Self, NTSTATUS> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        let (name, trailing_backslash) = match name.strip_suffix(&[BACKSLASH]) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let mut components: Vec<Vec<u16>> = name
            .split(|unit| *unit == BACKSLASH)
            .map(<[u16]>::to_vec)
            .collect();
        if components.iter().any(Vec::is_empty) {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        let last = components.pop().unwrap_or_default();
        let (file, stream) = split_stream(&last)?;
        match file {
            // Of the root, or of the file that the name is relative to.
            [] if components.is_empty() => {}
            [] => return Err(STATUS_OBJECT_NAME_INVALID),
            file => components.push(file.to_vec()),
        }
        Ok(Self {
            components,
            trailing_backslash,
            stream,
        })
    }
}

/// The path of `components` as a name: `\` or `\a\b`.
pub fn join(components: &[Vec<u16>]) -> Vec<u16> {
    let mut name = Vec::new();
    for component in components {
        name.push(BACKSLASH);
        name.extend_from_slice(component);
    }
    if name.is_empty() {
        name.push(BACKSLASH);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn ordinary_names_are_themselves() {
        for name in [
            "a",
            "README.md",
            "grüße",
            "名前",
            "a b",
            ".hidden",
            "trailing.",
            "😀",
            "...",
        ] {
            assert_eq!(to_nt(OsStr::new(name)), Some(wide(name)));
            assert_eq!(to_host(&wide(name)), Ok(name.into()));
        }
    }

    #[test]
    fn forbidden_characters_are_mapped_and_come_back() {
        for name in [
            "a:b",
            "what?",
            "<x>",
            r"back\slash",
            "tab\there",
            "star*",
            "\"q\"",
            "a|b",
        ] {
            let shown = to_nt(OsStr::new(name)).unwrap();
            assert!(!shown.iter().any(|unit| is_forbidden(*unit)), "{name}");
            assert_eq!(to_host(&shown), Ok(name.into()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_text_are_mapped_and_come_back() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"caf\xE9.txt");
        let shown = to_nt(name).unwrap();
        assert_eq!(shown[3], 0xF0E9);
        assert_eq!(to_host(&shown), Ok(name.into()));
        // Bytes that are text when put together would be another name.
        assert!(to_host(&[0xF0C3, 0xF0A9]).is_err());
        // A host name that already uses the range is shown by its bytes rather than confused.
        let shown = [0x61, 0xF0EF, 0xF080, 0xF0BA, 0x62];
        assert_eq!(to_nt(OsStr::new("a\u{F03A}b")).as_deref(), Some(&shown[..]));
        assert_eq!(to_host(&shown), Ok("a\u{F03A}b".into()));
        assert_eq!(to_nt(OsStr::new("a\u{F041}b")), Some(wide("a\u{F041}b")));
    }

    #[test]
    fn surrogates_need_no_partner() {
        for name in [
            &[0xD800][..],
            &[0xDC00, 0x61],
            &[0xDC00, 0xD800],
            &[0xD800, 0xD83D, 0xDE00],
            &[0xD83D, 0xDE00, 0xDC00],
            &[0xD800, 0xE9],
        ] {
            let host = to_host(name).unwrap();
            assert_eq!(to_nt(&host).as_deref(), Some(name), "{name:x?}");
        }
        let pair = to_host(&[0xD83D, 0xDE00]);
        assert_eq!(pair, Ok("\u{1F600}".into()));
    }

    #[cfg(unix)]
    #[test]
    fn two_halves_of_a_character_are_not_the_character() {
        use std::os::unix::ffi::OsStrExt;
        let halves = OsStr::from_bytes(b"\xED\xA0\xBD\xED\xB8\x80");
        let shown = to_nt(halves).unwrap();
        assert_eq!(shown, [0xF0ED, 0xF0A0, 0xF0BD, 0xF0ED, 0xF0B8, 0xF080]);
        assert_eq!(to_host(&shown), Ok(halves.to_owned()));
        let half = OsStr::from_bytes(b"\xED\xA0\xBD");
        assert_eq!(to_nt(half), Some(vec![0xD83D]));
        // Its bytes one by one would be another name of the same file.
        assert!(to_host(&[0xF0ED, 0xF0A0, 0xF0BD]).is_err());
    }

    #[test]
    fn names_that_lead_elsewhere_are_invalid() {
        for name in ["", ".", "..", "a/b", "a:b", "a*", "x\\y", "a\0b"] {
            assert_eq!(
                to_host(&wide(name)),
                Err(STATUS_OBJECT_NAME_INVALID),
                "{name:?}"
            );
        }
        assert!(to_host(&[0x61; 256]).is_err());
        // U+F02F would stand for a slash, which no host name holds.
        assert_eq!(to_host(&[0xF02F]), Ok("\u{F02F}".into()));
        assert_eq!(
            to_host(&wide("\u{F02E}\u{F02E}")),
            Ok("\u{F02E}\u{F02E}".into())
        );
    }

    #[test]
    fn upper_case_is_one_unit_and_stays_out_of_ascii() {
        assert_eq!(upcase(u16::from(b'a')), u16::from(b'A'));
        assert_eq!(upcase(0xE9), 0xC9);
        assert_eq!(upcase(0xDF), 0xDF);
        assert_eq!(upcase(0x131), 0x131);
        assert_eq!(upcase(0x17F), 0x17F);
        assert!(equal(&wide("Straße.TXT"), &wide("STRAßE.txt")));
        assert!(!equal(&wide("a"), &wide("ab")));
        assert_eq!(order(&wide("b"), &wide("C")), Ordering::Less);
    }

    #[test]
    fn paths_come_apart() {
        let path = Path::absolute(&wide(r"\a\b c\")).unwrap();
        assert_eq!(path.components, [wide("a"), wide("b c")]);
        assert!(path.trailing_backslash);
        assert_eq!(Path::absolute(&wide(r"\")).unwrap(), Path::default());
        assert_eq!(
            Path::absolute(&wide(r"\\a")).unwrap().components,
            [wide("a")]
        );
        for bad in [r"a", r"\a\\b", r"\\\a", r"\a\\"] {
            assert_eq!(
                Path::absolute(&wide(bad)),
                Err(STATUS_OBJECT_NAME_INVALID),
                "{bad}"
            );
        }
        for (name, file, stream) in [
            (r"\d\f:s", r"\d\f", "s"),
            (r"\f:s:$data", r"\f", "s"),
            (r"\f::$DATA", r"\f", ""),
            (r"\:s*", r"\", "s*"),
        ] {
            let path = Path::absolute(&wide(name)).unwrap();
            assert_eq!(join(&path.components), wide(file), "{name}");
            assert_eq!(path.stream, Some(wide(stream)), "{name}");
        }
        let long = format!(r"\f:{}", "s".repeat(256));
        for bad in [
            r"\f:",
            r"\f::",
            r"\f:s:",
            r"\f:s:$I30",
            r"\f:s:$DATA:",
            r"\d\:s",
            &long,
        ] {
            let path = Path::absolute(&wide(bad));
            assert_eq!(path, Err(STATUS_OBJECT_NAME_INVALID), "{bad}");
        }
        assert_eq!(join(&path.components), wide(r"\a\b c"));
        assert_eq!(join(&[]), wide(r"\"));
    }
}
