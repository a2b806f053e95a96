//! The import libraries of the kernel.
//!
//! mingw-w64's libraries know which names ntoskrnl.exe, hal.dll and wmilib.sys
//! export, in a form that GNU's linker prefers. The names are read from them,
//! those they lack are added from `kit/lib`, and lld-link makes libraries of the
//! usual kind, so that an image has one import table for each module and no
//! ordinal hints of some old version of Windows.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use object::read::archive::ArchiveFile;

use crate::files;
use crate::layout::Layout;
use crate::process;
use crate::processor::Processor;

/// A library to make.
struct Library {
    /// The name the linker asks for, without `.lib`.
    name: &'static str,
    /// The module the names are imported from.
    module: &'static str,
    /// Names that mingw-w64 does not know, a line each; `;` starts a comment.
    additions: &'static str,
}

/// The libraries that wdk-sys names.
const LIBRARIES: [Library; 3] = [
    Library {
        name: "ntoskrnl",
        module: "ntoskrnl.exe",
        additions: include_str!("../kit/lib/ntoskrnl.def"),
    },
    Library {
        name: "hal",
        module: "HAL.dll",
        additions: "",
    },
    Library {
        name: "wmilib",
        module: "WMILIB.SYS",
        additions: "",
    },
];

/// Libraries of routines that MSVC's code calls and rustc's does not: checks of stack cookies, and
/// on ARM64 the helpers of its compiler.
const EMPTY: [&str; 2] = ["BufferOverflowFastFailK.lib", "arm64rt.lib"];

/// An archive without members.
const EMPTY_ARCHIVE: &str = "!<arch>\n";

/// Makes the libraries for a processor from those below `mingw`, with the given lld-link.
///
/// The names are those that mingw-w64 knows for x64, whatever the processor.
///
/// # Errors
/// When a library cannot be read or lld-link fails.
pub fn prepare(layout: &Layout, processor: Processor, mingw: &Path, linker: &Path) -> Result<()> {
    let directory = layout.libraries(processor);
    for name in EMPTY {
        files::write_if_changed(&directory.join(name), EMPTY_ARCHIVE)?;
    }
    for library in LIBRARIES {
        let source = mingw.join("lib").join(format!("lib{}.a", library.name));
        let archive = files::read(&source)?;
        let names = exports(&archive)
            .with_context(|| format!("cannot read the names in {}", source.display()))?;
        let definition = definition(&library, names);

        let definition_path = directory.join(format!("{}.def", library.name));
        let library_path = directory.join(format!("{}.lib", library.name));
        if !files::write_if_changed(&definition_path, definition)? && library_path.exists() {
            continue;
        }
        let mut command = Command::new(linker);
        command
            .arg("/lib")
            .arg(format!("/machine:{}", processor.machine()))
            .arg(format!("/def:{}", definition_path.display()))
            .arg(format!("/out:{}", library_path.display()));
        process::run(&mut command)
            .with_context(|| format!("cannot make {}", library_path.display()))?;
    }
    Ok(())
}

/// An exported name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Export {
    name: String,
    /// A variable, not a function.
    data: bool,
}

/// The names an import library of GNU's kind gives access to.
///
/// Each has a pointer, `__imp_NAME`; a function has a `NAME` to call as well.
fn exports(archive: &[u8]) -> Result<BTreeSet<Export>> {
    let archive = ArchiveFile::parse(archive)?;
    let mut symbols = BTreeSet::new();
    for symbol in archive.symbols()?.into_iter().flatten() {
        symbols.insert(String::from_utf8(symbol?.name().to_vec())?);
    }
    let pointers = symbols
        .iter()
        .filter_map(|symbol| symbol.strip_prefix("__imp_"));
    Ok(pointers
        .map(|name| Export {
            name: name.to_owned(),
            data: !symbols.contains(name),
        })
        .collect())
}

/// The module definition file lld-link makes the library from.
fn definition(library: &Library, mut exports: BTreeSet<Export>) -> String {
    for line in library.additions.lines() {
        let name = line.split(';').next().unwrap_or_default().trim();
        if !name.is_empty() {
            exports.insert(Export {
                name: name.to_owned(),
                data: false,
            });
        }
    }
    let mut text = format!("LIBRARY {}\nEXPORTS\n", library.module);
    for export in exports {
        let kind = if export.data { " DATA" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{kind}", export.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of GNU's kind with nothing but a symbol table.
    fn archive(symbols: &[&str]) -> Vec<u8> {
        let count = u32::try_from(symbols.len()).unwrap();
        let mut table = count.to_be_bytes().to_vec();
        for _ in symbols {
            table.extend(0_u32.to_be_bytes());
        }
        for symbol in symbols {
            table.extend(symbol.as_bytes());
            table.push(0);
        }
        let mut archive = b"!<arch>\n".to_vec();
        let header = format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            "/",
            0,
            0,
            0,
            0,
            table.len()
        );
        archive.extend(header.as_bytes());
        archive.extend(table);
        archive
    }

    fn library(additions: &'static str) -> Library {
        Library {
            name: "ntoskrnl",
            module: "ntoskrnl.exe",
            additions,
        }
    }

    #[test]
    fn functions_and_variables_are_told_apart() {
        let archive = archive(&[
            "IofCallDriver",
            "__imp_IofCallDriver",
            "__imp_IoFileObjectType",
            "_head",
        ]);
        let text = definition(&library(""), exports(&archive).unwrap());
        assert_eq!(
            text,
            "LIBRARY ntoskrnl.exe\nEXPORTS\nIoFileObjectType DATA\nIofCallDriver\n"
        );
    }

    #[test]
    fn additions_join_the_list_and_comments_do_not() {
        let text = definition(
            &library("; why\nExAllocatePool2 ; since\n\n"),
            BTreeSet::new(),
        );
        assert_eq!(text, "LIBRARY ntoskrnl.exe\nEXPORTS\nExAllocatePool2\n");
    }

    #[test]
    fn something_that_is_no_archive_is_refused() {
        assert!(exports(b"not an archive").is_err());
    }
}
