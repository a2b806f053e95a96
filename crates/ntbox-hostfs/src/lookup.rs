//! How one open looks names up, as far as the host does not say it.

use super::names;
use super::resolve::Lookup;
use super::volume::State;
use ntbox_kernel::host::file::Directory;
use ntbox_kernel::nt::case::upcase;
use std::ffi::OsString;

/// How one open looks names up.
pub(super) struct Looking<'a> {
    state: &'a State,
    /// It tells all names apart by case.
    case_sensitive: bool,
}

impl State {
    /// How an open looks names up; one that is `case_sensitive` tells all apart by case.
    pub(super) fn lookup(&self, case_sensitive: bool) -> Looking<'_> {
        Looking {
            state: self,
            case_sensitive,
        }
    }
}

impl Lookup for Looking<'_> {
    fn tells_case(&self, directory: &Directory) -> bool {
        let metadata = || directory.metadata();
        self.case_sensitive || metadata().is_ok_and(|directory| self.state.tells_case(&directory))
    }

    fn long_name(&self, directory: &Directory, short: &[u16]) -> Option<(OsString, Vec<u16>)> {
        let parent = directory.metadata().ok()?.identity.number;
        // They are kept in upper case.
        let upper: Vec<u16> = short.iter().map(|unit| upcase(*unit)).collect();
        if upper != short && self.tells_case(directory) {
            return None;
        }
        let mut all = self.state.overlays.named_shortly(parent, &upper);
        all.find_map(|name| {
            let host = names::to_host(&name.long).ok()?;
            let there = directory.metadata_of(&host).ok()?;
            let kept = self.state.short_name(&there, parent, &name.long)?;
            Some((host, kept.to_vec()))
        })
    }
}
