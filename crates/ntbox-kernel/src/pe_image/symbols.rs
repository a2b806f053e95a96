//! Functions and lines of an image: from a PDB, from the DWARF in it, or names alone.
//!
//! The first that there is of: a file that was named for the purpose ([`add`]), the PDB beside the
//! image, the image's own DWARF, and its table of symbols with what it exports. They are opened at
//! the first question: a run without a report needs none. A file that was made for another build
//! (its identity differs from the one in the image) is not used, for wrong lines are worse than none.

mod dwarf;
mod names;
mod own;
mod pdb;
mod source;

use super::layout::Identity;
use object::read::pe::PeFile64;
pub use own::describe as describe_own;
use source::{Frame, Source};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

type Sources = Vec<&'static Mutex<dyn Source>>;

/// The symbols of one image.
pub(super) struct Symbols {
    image: PathBuf,
    identity: Identity,
    /// Folders that names of source files are given relative to.
    roots: Vec<PathBuf>,
    /// The best first.
    sources: OnceLock<Sources>,
}

/// Files that were named as symbols, with whether they belong to an image that was loaded.
static ADDED: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());

/// Has the symbols of images looked for in `file` first: a PDB, or an image with DWARF or a table of
/// symbols, as it was before it was stripped. To be called before they are loaded.
pub fn add(file: &Path) {
    added().push((file.to_owned(), false));
}

/// The files of [`add`] that belong to no image that has been loaded.
pub fn unused() -> Vec<PathBuf> {
    let added = added();
    let unused = added.iter().filter(|(_, used)| !used);
    unused.map(|(file, _)| file.clone()).collect()
}

fn added() -> MutexGuard<'static, Vec<(PathBuf, bool)>> {
    ADDED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Symbols {
    /// For the image at `path`.
    pub(super) fn new(path: &Path, identity: Identity) -> Self {
        let image = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut roots: Vec<PathBuf> = image
            .ancestors()
            .filter(|folder| folder.join("Cargo.toml").exists())
            .map(Path::to_owned)
            .chain(std::env::current_dir().ok())
            .collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.as_os_str().len()));
        let symbols = Self {
            image: path.to_owned(),
            identity,
            roots,
            sources: OnceLock::new(),
        };
        // Who has named a file is told at once if it belongs to no image.
        if !added().is_empty() {
            symbols.prepare();
        }
        symbols
    }

    /// Opens what there is now.
    pub(super) fn prepare(&self) {
        self.sources();
    }

    fn sources(&self) -> &Sources {
        self.sources.get_or_init(|| {
            let mut sources = Sources::new();
            for (file, used) in &mut *added() {
                let found = self.named(file);
                *used |= !found.is_empty();
                sources.extend(found);
            }
            sources.extend(self.pdb(&self.image.with_extension("pdb")));
            sources.extend(in_image(&self.image, &self.identity));
            sources
        })
    }

    /// What a file that was named has for this very image.
    fn named(&self, file: &Path) -> Sources {
        match self.pdb(file) {
            Some(pdb) => vec![pdb],
            None => in_image(file, &self.identity),
        }
    }

    /// A PDB, if it is the one that the image names. To one that names none, any could be beside it.
    fn pdb(&self, file: &Path) -> Option<&'static Mutex<dyn Source>> {
        pdb::opened(file, self.identity.pdb?)
    }

    /// True if a function begins at `rva`.
    pub(super) fn begins_function(&self, rva: usize) -> bool {
        u32::try_from(rva).is_ok_and(|rva| {
            let begins = |source: &&'static Mutex<dyn Source>| lock(source).begins_function(rva);
            self.sources().iter().any(begins)
        })
    }

    fn frames(&self, rva: usize) -> Option<Vec<Frame>> {
        let rva = u32::try_from(rva).ok()?;
        self.sources()
            .iter()
            .find_map(|source| lock(source).frames(rva))
    }

    /// True if the code at `rva` is the language's own and not inlined into the driver's.
    pub(super) fn is_library(&self, rva: usize) -> bool {
        let of_library = |frame: &Frame| frame.file.as_deref().is_some_and(is_library);
        self.frames(rva)
            .is_some_and(|frames| frames.iter().all(of_library))
    }

    /// `function (file:line)` of the code at `rva`, or `function+0x12` where no more is known: that is
    /// counted from `at`, of which `rva` may be the call in front.
    pub(super) fn find(&self, rva: usize, at: usize) -> Option<String> {
        let frames = self.frames(rva)?;
        // Of functions inlined into each other, the innermost one that is not the
        // language's own tells where the driver went wrong.
        let of_driver = |frame: &&Frame| !frame.file.as_deref().is_some_and(is_library);
        let frame = frames.iter().find(of_driver).or(frames.first())?;
        let mut text = self.describe(frame)?;
        if let Some(begin) = frame.begin.filter(|begin| *begin as usize != at) {
            text += &format!("+0x{:x}", at - begin as usize);
        }
        // A routine of another crate that was inlined into the driver's own code is told
        // together with that code.
        let own = |frame: &&Frame| {
            frame
                .function
                .as_deref()
                .is_some_and(|name| self.is_own(name))
        };
        if !own(&frame)
            && let Some(own) = frames
                .iter()
                .find(own)
                .and_then(|frame| self.describe(frame))
        {
            text += &format!(", for {own}");
        }
        Some(text)
    }

    fn describe(&self, frame: &Frame) -> Option<String> {
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
            .image
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

fn lock(source: &&'static Mutex<dyn Source>) -> MutexGuard<'static, dyn Source> {
    // A panic while another thread read symbols leaves nothing half-done that is read here.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the image at `path` has, if it is of this identity.
fn in_image(path: &Path, identity: &Identity) -> Sources {
    let mut sources = Sources::new();
    let Ok(file) = std::fs::read(path) else {
        return sources;
    };
    let image = PeFile64::parse(&*file).ok();
    let Some(image) = image.filter(|image| Identity::of(image) == *identity) else {
        return sources;
    };
    if let Some(lines) = dwarf::read(&image) {
        sources.push(Box::leak(Box::new(Mutex::new(lines))));
    }
    if let Some(names) = names::read(&image) {
        sources.push(Box::leak(Box::new(Mutex::new(names))));
    }
    sources
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

/// True for the source files of the language's own libraries, and for the headers of the system's kit and of
/// compilers: what these inline is the driver's call, and not where it went wrong.
fn is_library(file: &str) -> bool {
    let file = file.replace('\\', "/").to_lowercase();
    let is_header = [".h", ".inl"].iter().any(|end| file.ends_with(end));
    file.contains("/rustc/")
        || ["core", "alloc", "std"]
            .iter()
            .any(|name| file.contains(&format!("/library/{name}/")))
        || is_header && HEADERS.iter().any(|folder| file.contains(folder))
}

/// Folders of headers: of the Windows kits and those laid out as they are, of mingw-w64, and of compilers.
const HEADERS: [&str; 10] = [
    "/windows kits/",
    "/winddk/",
    "/vc/tools/",
    "/wdk/include/",
    "/include/km/",
    "/include/shared/",
    "/include/ddk/",
    "mingw32/",
    "/lib/gcc/",
    "/lib/clang/",
];

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

    #[test]
    fn what_headers_inline_is_told_from_the_driver() {
        for header in [
            r"C:\Program Files (x86)\Windows Kits\10\Include\10.0.26100.0\km\wdm.h",
            r"C:\WinDDK\7600.16385.1\inc\ddk\wdm.h",
            "/x/target/kit/wdk/Include/10.0.26100.0/km/wdm.h",
            "/usr/share/mingw-w64/include/ddk/wdm.h",
            "/usr/lib/gcc/x86_64-w64-mingw32/12-win32/include/xmmintrin.h",
        ] {
            assert!(is_library(header), "{header}");
        }
        // A driver's own headers, and its source beside a kit.
        for own in [
            r"C:\filter\include\queue.h",
            "/x/wdk/include/filter.c",
            "/x/ddk.c",
        ] {
            assert!(!is_library(own), "{own}");
        }
    }
}
