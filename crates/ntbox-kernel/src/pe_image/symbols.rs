//! Functions and lines of an image, from the PDB beside it.
//!
//! The PDB is opened at the first question: a run without a report needs none.
//! One that was made for another build (its identity differs from the one in
//! the image) is not used, for wrong lines are worse than none.

use pdb_addr2line::pdb::PDB;
use pdb_addr2line::{Context, ContextPdbData, Frame, TypeFormatterFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

type Lines = Context<'static, 'static>;

/// The symbols of one image.
pub(super) struct Symbols {
    pdb: PathBuf,
    guid: Option<[u8; 16]>,
    /// Folders that names of source files are given relative to.
    roots: Vec<PathBuf>,
    lines: OnceLock<Option<&'static Mutex<Lines>>>,
}

/// A PDB that has been opened, and the identity of the images that it belongs to.
type Opened = (PathBuf, [u8; 16], &'static Mutex<Lines>);

/// A driver that is loaded a thousand times is one file, whose lines are megabytes.
static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

impl Symbols {
    /// For the image at `path`, which names a PDB with this identity.
    pub(super) fn new(path: &Path, guid: Option<[u8; 16]>) -> Self {
        let image = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut roots: Vec<PathBuf> = image
            .ancestors()
            .filter(|folder| folder.join("Cargo.toml").exists())
            .map(Path::to_owned)
            .chain(std::env::current_dir().ok())
            .collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.as_os_str().len()));
        Self {
            pdb: path.with_extension("pdb"),
            guid,
            roots,
            lines: OnceLock::new(),
        }
    }

    /// Opens the PDB now.
    pub(super) fn prepare(&self) {
        self.lines.get_or_init(|| opened(&self.pdb, self.guid));
    }

    fn lines(&self) -> Option<MutexGuard<'_, Lines>> {
        self.prepare();
        let lines = self.lines.get()?.as_ref()?;
        // A panic while another thread read symbols leaves nothing half-done that is read here.
        Some(lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if a function begins at `rva`.
    pub(super) fn begins_function(&self, rva: usize) -> bool {
        let function = |lines: &Lines| lines.find_function(u32::try_from(rva).ok()?).ok()?;
        self.lines()
            .and_then(|lines| function(&lines))
            .is_some_and(|found| found.start_rva as usize == rva)
    }

    /// True if the code at `rva` is the language's own and not inlined into the driver's.
    pub(super) fn is_library(&self, rva: usize) -> bool {
        let Some(lines) = self.lines() else {
            return false;
        };
        let found = u32::try_from(rva)
            .ok()
            .and_then(|rva| lines.find_frames(rva).ok()?);
        found.is_some_and(|found| {
            found
                .frames
                .iter()
                .all(|frame| frame.file.as_deref().is_some_and(is_library))
        })
    }

    /// `function (file:line)` of the code at `rva`.
    pub(super) fn find(&self, rva: usize) -> Option<String> {
        let lines = self.lines()?;
        let found = lines.find_frames(u32::try_from(rva).ok()?).ok()??;
        // Of functions inlined into each other, the innermost one that is not the
        // language's own tells where the driver went wrong.
        let of_driver = |file: Option<&str>| file.is_none_or(|file| !is_library(file));
        let frame = found
            .frames
            .iter()
            .find(|frame| of_driver(frame.file.as_deref()))
            .or(found.frames.first())?;
        let mut text = self.describe(frame)?;
        // A routine of another crate that was inlined into the driver's own code is told
        // together with that code.
        let own = |frame: &&Frame<'_>| {
            frame
                .function
                .as_deref()
                .is_some_and(|name| self.is_own(name))
        };
        if !own(&frame)
            && let Some(own) = found
                .frames
                .iter()
                .find(own)
                .and_then(|frame| self.describe(frame))
        {
            text += &format!(", for {own}");
        }
        Some(text)
    }

    fn describe(&self, frame: &Frame<'_>) -> Option<String> {
        let function = readable(frame.function.as_deref()?);
        Some(match (frame.file.as_deref(), frame.line) {
            (Some(file), Some(line)) => format!("{function} ({}:{line})", self.shorten(file)),
            (Some(file), None) => format!("{function} ({})", self.shorten(file)),
            _ => function,
        })
    }

    /// True if the function belongs to the crate that the image is named after.
    fn is_own(&self, function: &str) -> bool {
        let name = self
            .pdb
            .file_stem()
            .map(|stem| stem.to_string_lossy().replace('-', "_"));
        name.is_some_and(|name| {
            function
                .strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with("::"))
        })
    }

    fn shorten(&self, file: &str) -> String {
        shorten(file, &self.roots)
    }
}

/// The PDB at `path`, opened once for all images of this identity. One without an identity may belong
/// to another file each time.
fn opened(path: &Path, guid: Option<[u8; 16]>) -> Option<&'static Mutex<Lines>> {
    let read = || Some(&*Box::leak(Box::new(Mutex::new(open(path, guid)?))));
    let Some(guid) = guid else { return read() };
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = opened
        .iter()
        .find(|(of, identity, _)| of == path && *identity == guid);
    if let Some((.., lines)) = before {
        return Some(lines);
    }
    let lines = read()?;
    opened.push((path.to_owned(), guid, lines));
    Some(lines)
}

/// Reads the whole PDB; what it borrows is leaked, as images are.
fn open(path: &Path, guid: Option<[u8; 16]>) -> Option<Lines> {
    let mut pdb = PDB::open(File::open(path).ok()?).ok()?;
    let identity = pdb.pdb_information().ok()?.guid;
    if guid.is_some_and(|guid| guid != identity.to_bytes_le()) {
        return None;
    }
    let data = Box::leak(Box::new(ContextPdbData::try_from_pdb(pdb).ok()?));
    let flags = TypeFormatterFlags::default() | TypeFormatterFlags::NO_ARGUMENTS;
    data.make_context_with_formatter_flags(flags).ok()
}

/// A function's name without its generic arguments, which can be longer than
/// everything else in a report.
fn readable(name: &str) -> String {
    let name = rustc_demangle::try_demangle(name)
        .map_or_else(|_| name.to_owned(), |name| format!("{name:#}"));
    // The type in front of `::` is what names an implementation: `<T as Trait>::f`.
    if name.starts_with('<') || name.contains("operator") {
        return name;
    }
    let mut depth = 0_usize;
    let mut short = String::new();
    for character in name.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => short.push(character),
            _ => {}
        }
    }
    short
}

/// True for the source files of the language's own libraries.
fn is_library(file: &str) -> bool {
    let file = file.replace('\\', "/");
    file.contains("/rustc/")
        || ["core", "alloc", "std"]
            .iter()
            .any(|name| file.contains(&format!("/library/{name}/")))
}

/// A source file as somebody in the repository names it: relative to the
/// nearest of `roots`, crates of a registry from their own folder on.
fn shorten(file: &str, roots: &[PathBuf]) -> String {
    let file = file.replace('\\', "/");
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        return rest
            .split_once('/')
            .map_or(rest, |(_, rest)| rest)
            .to_owned();
    }
    for root in roots {
        let root = root.to_string_lossy().replace('\\', "/");
        if let Some(rest) = file
            .strip_prefix(&root)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            // A workspace that a build tool mirrored below `target` has the same folders.
            return rest
                .rsplit_once("/workspace/")
                .map_or(rest, |(_, rest)| rest)
                .to_owned();
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_relative_to_the_workspace() {
        let roots = [PathBuf::from("/home/x/glass"), PathBuf::from("/home/x")];
        assert_eq!(
            shorten("/home/x/glass/src/volumes.rs", &roots),
            "src/volumes.rs"
        );
        assert_eq!(shorten("/home/x/other/lib.rs", &roots), "other/lib.rs");
        assert_eq!(
            shorten("/home/x/glass/target/kit/workspace/src/lib.rs", &roots),
            "src/lib.rs"
        );
        assert_eq!(
            shorten(r"C:\w\src\lib.rs", &[PathBuf::from(r"C:\w")]),
            "src/lib.rs"
        );
        assert_eq!(
            shorten(
                "/root/.cargo/registry/src/index-1/wdk-0.5.0/src/x.rs",
                &roots
            ),
            "wdk-0.5.0/src/x.rs"
        );
        assert_eq!(shorten("/elsewhere/a.c", &roots), "/elsewhere/a.c");
    }

    #[test]
    fn names_are_told_without_generic_arguments() {
        assert_eq!(
            readable("wdm::Mutex<tuple$<> >::with<u8,a::b>"),
            "wdm::Mutex::with"
        );
        assert_eq!(readable("fsglass::mount::attach"), "fsglass::mount::attach");
        assert_eq!(
            readable("_ZN7fsglass5mount6attach17h0123456789abcdefE"),
            "fsglass::mount::attach"
        );
        assert_eq!(
            readable("_RNvNtC7fsglass5mount6attach"),
            "fsglass::mount::attach"
        );
        assert_eq!(readable("<a::B as c::D>::e"), "<a::B as c::D>::e");
    }

    #[test]
    fn the_language_is_told_from_the_driver() {
        assert!(is_library("/rustc/0123/library/core/src/ptr/mod.rs"));
        assert!(is_library(r"C:\rust\library\alloc\src\boxed.rs"));
        assert!(!is_library("/home/x/glass/src/library/core.rs"));
    }
}
