//! The reviewed list of imports.

use std::fmt;
use std::str::FromStr;

/// A version of Windows, as the DDI reference names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowsVersion(usize);

/// In the order of their release. Releases of Windows 10 are named by their version.
const VERSIONS: &[&str] = &[
    "Windows 2000",
    "Windows XP",
    "Windows Server 2003",
    "Windows Vista",
    "Windows 7",
    "Windows 8",
    "Windows 8.1",
    "Windows 10",
    "Windows 10 version 1511",
    "Windows 10 version 1607",
    "Windows 10 version 1703",
    "Windows 10 version 1709",
    "Windows 10 version 1803",
    "Windows 10 version 1809",
    "Windows 10 version 1903",
    "Windows 10 version 2004",
    "Windows 11",
];

impl FromStr for WindowsVersion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let place = VERSIONS.iter().position(|name| *name == text);
        place
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no version of Windows; known are {VERSIONS:?}"))
    }
}

impl fmt::Display for WindowsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSIONS.get(self.0).copied().unwrap_or("?"))
    }
}

/// A name that may be imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The export of ntoskrnl.exe.
    pub name: String,
    /// The version that introduced it.
    pub introduced: WindowsVersion,
}

/// The names that may be imported.
#[derive(Debug)]
pub struct ImportList(Vec<Allowed>);

impl ImportList {
    /// The entry of `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Allowed> {
        self.0.iter().find(|allowed| allowed.name == name)
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Allowed] {
        &self.0
    }

    /// The oldest Windows that has all of them.
    #[must_use]
    pub fn oldest_windows(&self) -> Option<WindowsVersion> {
        self.0.iter().map(|allowed| allowed.introduced).max()
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
            list.push(Allowed {
                name: name.to_owned(),
                introduced,
            });
        }
        let folded = |allowed: &Allowed| allowed.name.to_lowercase();
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

#[cfg(test)]
mod tests {
    use super::*;

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
