//! Which classes of IRP_MJ_SET_INFORMATION are what.

#![expect(non_upper_case_globals, reason = "the DDI's information classes are matched by name")]

use crate::nt::{
    FileLinkInformation, FileLinkInformationEx, FilePositionInformation, FileRenameInformation,
    FileRenameInformationEx,
};

/// What a class sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The position, which is the file object's.
    Position,
    /// A name: a new one beside, or instead of, the old.
    Name {
        /// Beside.
        link: bool,
        /// The buffer starts with flags (the Ex classes).
        extended: bool,
    },
    /// Anything else.
    Other,
}

/// What `class` sets.
pub fn of(class: i32) -> Setting {
    match class {
        FilePositionInformation => Setting::Position,
        FileRenameInformation => Setting::Name { link: false, extended: false },
        FileRenameInformationEx => Setting::Name { link: false, extended: true },
        FileLinkInformation => Setting::Name { link: true, extended: false },
        FileLinkInformationEx => Setting::Name { link: true, extended: true },
        _ => Setting::Other,
    }
}
