//! Functions and lines from a PDB.

use super::source::{Frame, Source};
use pdb_addr2line::pdb::PDB;
use pdb_addr2line::{Context, ContextPdbData, TypeFormatterFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

struct Lines(Context<'static, 'static>);

/// A PDB that has been opened, and the identity of the images that it belongs to.
type Opened = (PathBuf, [u8; 16], &'static Mutex<dyn Source>);

/// A driver that is loaded a thousand times is one file, whose lines are megabytes.
static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

/// The PDB at `path`, opened once for all images of this identity.
pub(super) fn opened(path: &Path, identity: [u8; 16]) -> Option<&'static Mutex<dyn Source>> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = opened
        .iter()
        .find(|(of, known, _)| of == path && *known == identity);
    if let Some((.., lines)) = before {
        return Some(lines);
    }
    let lines: &'static Mutex<dyn Source> = Box::leak(Box::new(Mutex::new(open(path, identity)?)));
    opened.push((path.to_owned(), identity, lines));
    Some(lines)
}

/// Reads the whole PDB; what it borrows is leaked, as images are.
fn open(path: &Path, identity: [u8; 16]) -> Option<Lines> {
    let mut pdb = PDB::open(File::open(path).ok()?).ok()?;
    let found = pdb.pdb_information().ok()?.guid.to_bytes_le();
    if identity != found {
        return None;
    }
    let data = Box::leak(Box::new(ContextPdbData::try_from_pdb(pdb).ok()?));
    let flags = TypeFormatterFlags::default() | TypeFormatterFlags::NO_ARGUMENTS;
    data.make_context_with_formatter_flags(flags)
        .ok()
        .map(Lines)
}

impl Source for Lines {
    fn begins_function(&self, rva: u32) -> bool {
        let found = self.0.find_function(rva).ok().flatten();
        found.is_some_and(|found| found.start_rva == rva)
    }
    fn frames(&self, rva: u32) -> Option<Vec<Frame>> {
        let frames = self.0.find_frames(rva).ok()??.frames.into_iter();
        Some(
            frames
                .map(|frame| Frame {
                    function: frame.function,
                    file: frame.file.map(|file| file.into_owned()),
                    line: frame.line,
                    begin: None,
                })
                .collect(),
        )
    }
}
