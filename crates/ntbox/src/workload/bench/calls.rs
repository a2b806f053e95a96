//! What programs call, as a whole: the call, the request, the host file.

use super::{Extent, Measured, Stack, measure};
use crate::nt::{
    FILE_NO_INTERMEDIATE_BUFFERING, FILE_NON_DIRECTORY_FILE, FILE_OPEN_IF, FileAllInformation,
    FileStandardInformation, Status,
};
use crate::user::access::{READ, WRITE};
use crate::user::cache;
use crate::user::{CreateParameters, File, Mapping, PAGE, View, Writer, create_file};
use crate::workload::worker::synchronous;
use anyhow::Context;

/// Bytes of a read or a write.
const BYTES: u32 = 4096;

/// What a thread does its calls with: a cached and a noncached open of the file at each level, and a view.
struct Files {
    /// What the cache of the file is known by.
    stream: usize,
    cached: Vec<File>,
    direct: Vec<File>,
    mapped: Vec<View>,
}

fn parameters(path: &str, options: u32) -> CreateParameters<'_> {
    CreateParameters::new(path)
        .access(READ | WRITE)
        .disposition(FILE_OPEN_IF)
        .options(synchronous(options | FILE_NON_DIRECTORY_FILE))
}

fn open(path: &str, parameters: &CreateParameters<'_>) -> anyhow::Result<File> {
    let opened = create_file(parameters);
    opened
        .file
        .with_context(|| format!("{path}: {}", opened.outcome.status()))
}

fn open_at_each_level(path: &str, stack: &Stack, options: u32) -> anyhow::Result<Vec<File>> {
    let at = |device: &_| open(path, &parameters(path, options).device_hint(*device));
    stack.devices.iter().map(at).collect()
}

/// What a call does at a level of the stack.
type Call = fn(&Files, usize);

/// The calls, each with what it is.
const CALLS: [(&str, Call); 9] = [
    (
        "NtReadFile 4096 bytes, cached (fast I/O)",
        |files, level| {
            drop(files.cached[level].read(Some(0), BYTES));
        },
    ),
    (
        "NtReadFile 4096 bytes, missed in the cache (fast I/O, paging IRP)",
        |files, level| {
            cache::purge(files.stream, None);
            drop(files.cached[level].read(Some(0), BYTES));
        },
    ),
    ("NtReadFile 4096 bytes, noncached (IRP)", |files, level| {
        drop(files.direct[level].read(Some(0), BYTES))
    }),
    ("NtWriteFile 4096 bytes, noncached (IRP)", |files, level| {
        drop(files.direct[level].write(Some(0), &[0x5A; BYTES as usize]))
    }),
    (
        "NtQueryInformationFile standard (fast I/O)",
        |files, level| drop(files.cached[level].query_information(FileStandardInformation, 24)),
    ),
    ("NtQueryInformationFile all (IRP)", |files, level| {
        drop(files.cached[level].query_information(FileAllInformation, 512))
    }),
    ("page of a view, read (paging IRP)", |files, level| {
        drop(files.mapped[level].page_in(0))
    }),
    ("page of a view, flushed (paging IRP)", |files, level| {
        drop(files.mapped[level].page_out(0, &[0x5A; PAGE], Writer::Program))
    }),
    (
        "NtWriteFile 4096 bytes, cached, and flushed (2 IRPs)",
        |files, level| {
            drop(files.cached[level].write(Some(0), &[0x5A; BYTES as usize]));
            drop(files.cached[level].flush());
        },
    ),
];

/// The time that each call takes at each level. `path` is created on a volume of hostfs.
///
/// # Errors
/// The file cannot be opened.
pub fn calls(path: &str, extent: Extent) -> anyhow::Result<Vec<Measured>> {
    let top = open(path, &parameters(path, 0))?;
    let stack = Stack::of(&top)?;
    let levels = stack.devices.len();
    let written = top.write(Some(0), &[0x5A; BYTES as usize]);
    anyhow::ensure!(written.is_success(), "{path}: {}", written.status());
    let prepare = || {
        let cached = open_at_each_level(path, &stack, 0)?;
        let map = |file: &File| {
            let (outcome, view) = file.map(Mapping::Writable);
            view.with_context(|| format!("{path} is not mapped: {}", outcome.status()))
        };
        let files = Files {
            stream: cache::of_handle(cached[0].handle())
                .map_err(|status| anyhow::anyhow!("{path}: {}", Status(status)))?,
            mapped: cached.iter().map(map).collect::<anyhow::Result<_>>()?,
            cached,
            direct: open_at_each_level(path, &stack, FILE_NO_INTERMEDIATE_BUFFERING)?,
        };
        // The first read of a handle sets its cache up: no later one does.
        for file in &files.cached {
            file.read(Some(0), 16);
        }
        Ok(files)
    };
    let mut measured = Vec::new();
    for (what, call) in CALLS {
        measured.push(measure(
            what,
            extent,
            levels,
            prepare,
            |files, level, count| {
                for _ in 0..count {
                    call(files, level);
                }
            },
        )?);
    }
    let devices: Vec<usize> = stack
        .devices
        .iter()
        .map(|device| *device as usize)
        .collect();
    measured.push(measure(
        "NtCreateFile and NtClose (3 IRPs)",
        extent,
        levels,
        || Ok(()),
        |(), level, count| {
            let hint = devices[level] as *mut _;
            for _ in 0..count {
                drop(create_file(&parameters(path, 0).device_hint(hint)));
            }
        },
    )?);
    Ok(measured)
}
