//! Which Windows introduced the kernel routines that an image imports: no older one loads it.
//!
//! `kit/lib/introduced.txt` has routines since Windows 7 that a file-system filter may call. Of one that is
//! not there nothing is known here: an image may need a newer Windows than [`needed`] says, not an older.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use object::Object;
use object::read::pe::PeFile64;

/// A version of Windows, as the DDI reference names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowsVersion(usize);

/// In the order of their release, with major and minor version and, where several have the same, the
/// build. Releases of Windows 10 are named by their version.
const VERSIONS: &[(&str, (u32, u32, u32))] = &[
    ("Windows 2000", (5, 0, 0)),
    ("Windows XP", (5, 1, 0)),
    ("Windows Server 2003", (5, 2, 0)),
    ("Windows Vista", (6, 0, 0)),
    ("Windows 7", (6, 1, 0)),
    ("Windows 8", (6, 2, 0)),
    ("Windows 8.1", (6, 3, 0)),
    ("Windows 10", (10, 0, 0)),
    ("Windows 10 version 1511", (10, 0, 10_586)),
    ("Windows 10 version 1607", (10, 0, 14_393)),
    ("Windows 10 version 1703", (10, 0, 15_063)),
    ("Windows 10 version 1709", (10, 0, 16_299)),
    ("Windows 10 version 1803", (10, 0, 17_134)),
    ("Windows 10 version 1809", (10, 0, 17_763)),
    ("Windows 10 version 1903", (10, 0, 18_362)),
    ("Windows 10 version 2004", (10, 0, 19_041)),
    ("Windows 10 version 20H2", (10, 0, 19_042)),
    ("Windows 11", (10, 0, 22_000)),
    ("Windows 11 version 22H2", (10, 0, 22_621)),
];

impl WindowsVersion {
    /// Its major and minor version and its build, as in an INF's decoration; without a build, 0.
    #[must_use]
    pub fn numbers(self) -> (u32, u32, u32) {
        VERSIONS
            .get(self.0)
            .map_or((0, 0, 0), |(_, numbers)| *numbers)
    }

    /// What a section of an INF for it and what follows is decorated with, as in `10.0...19041`.
    #[must_use]
    pub fn decoration(self) -> String {
        match self.numbers() {
            (major, minor, 0) => format!("{major}.{minor}"),
            (major, minor, build) => format!("{major}.{minor}...{build}"),
        }
    }
}

impl FromStr for WindowsVersion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let place = VERSIONS.iter().position(|(name, _)| *name == text);
        place.map(Self).ok_or_else(|| {
            let known: Vec<_> = VERSIONS.iter().map(|(name, _)| name).collect();
            format!("{text:?} is no version of Windows; known are {known:?}")
        })
    }
}

impl fmt::Display for WindowsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSIONS.get(self.0).map_or("?", |(name, _)| name))
    }
}

/// A routine that can be imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Routine {
    /// The export of ntoskrnl.exe.
    pub name: String,
    /// The version that introduced it.
    pub introduced: WindowsVersion,
}

/// Routines that can be imported.
#[derive(Debug)]
pub struct ImportList(Vec<Routine>);

impl ImportList {
    /// The entry of `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Routine> {
        self.0.iter().find(|routine| routine.name == name)
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Routine] {
        &self.0
    }

    /// The oldest Windows that has all of them.
    #[must_use]
    pub fn oldest_windows(&self) -> Option<WindowsVersion> {
        self.0.iter().map(|routine| routine.introduced).max()
    }
}

impl FromStr for ImportList {
    type Err = String;
    /// One entry a line, the name and the version separated by blanks; `#` begins a comment.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut list = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, version) = line.split_once(char::is_whitespace).ok_or_else(|| {
                format!("line {number}: expected a name and a version of Windows")
            })?;
            let introduced = version
                .trim()
                .parse()
                .map_err(|error| format!("line {number}: {error}"))?;
            list.push(Routine {
                name: name.to_owned(),
                introduced,
            });
        }
        let folded = |routine: &Routine| routine.name.to_lowercase();
        match list
            .windows(2)
            .find(|pair| folded(&pair[0]) >= folded(&pair[1]))
        {
            Some(pair) => Err(format!(
                "{} does not come before {}",
                pair[0].name, pair[1].name
            )),
            None => Ok(Self(list)),
        }
    }
}

/// The routines whose introduction is known here.
pub static KNOWN: LazyLock<ImportList> = LazyLock::new(|| {
    let list = include_str!("../kit/lib/introduced.txt").parse();
    list.unwrap_or_else(|error| panic!("kit/lib/introduced.txt: {error}"))
});

/// Of the routines that an image imports, the one that the fewest versions of Windows have.
///
/// # Errors
/// When it is not a PE32+ image.
pub fn needed(image: &[u8]) -> Result<Option<&'static Routine>> {
    let file = PeFile64::parse(image).context("not a PE32+ image")?;
    let mut newest = None::<&Routine>;
    for import in file.imports()? {
        let name = import?.name();
        let name = name.name().and_then(|name| std::str::from_utf8(name).ok());
        let Some(known) = name.and_then(|name| KNOWN.find(name)) else {
            continue;
        };
        if newest.is_none_or(|newest| newest.introduced < known.introduced) {
            newest = Some(known);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_their_order() {
        assert!(VERSIONS.is_sorted_by_key(|(_, numbers)| *numbers));
        let pool = KNOWN
            .find("ExAllocatePool2")
            .map(|routine| routine.introduced.numbers());
        assert_eq!(pool, Some((10, 0, 19_041)));
        assert!(KNOWN.find("IoCreateDevice").is_none());
        assert!(needed(b"MZ").is_err());
    }

    #[test]
    fn a_list_tells_the_oldest_windows() {
        let list: ImportList =
            "# names\nIoA  Windows XP\n\nIoB Windows 10 version 2004\nIoC\tWindows 2000\n"
                .parse()
                .expect("a good list");
        assert_eq!(list.entries().len(), 3);
        assert_eq!(
            list.oldest_windows().expect("not empty").to_string(),
            "Windows 10 version 2004"
        );
        assert!(list.find("IoA").is_some() && list.find("ioa").is_none());
    }

    #[test]
    fn a_bad_list_is_refused_by_line() {
        let refused = |text: &str| text.parse::<ImportList>().expect_err("a bad list");
        assert!(refused("IoA Windows XP\nIoB").starts_with("line 2"));
        assert!(refused("IoA Windows 12").contains("\"Windows 12\" is no version"));
        assert!(refused("IoB Windows XP\nIoA Windows XP").contains("IoB does not come before IoA"));
        assert!(refused("IoA Windows XP\nIoA Windows XP").contains("IoA does not come before IoA"));
    }
}
