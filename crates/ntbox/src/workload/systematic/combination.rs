//! One small program with what is chosen for each of its requests.

use super::super::layout::{Mask, masked};
use super::Request;
use crate::io_manager::identity;
use crate::io_manager::identity::Choice;
use crate::io_manager::pnp::Step;
use crate::nt::*;
use crate::user::access::{DELETE, FILE_LIST_DIRECTORY, READ, SYNCHRONIZE, WRITE};
use crate::user::locks::Range;
use crate::user::outcome::digest;
use crate::user::{
    CreateParameters, File, Mapping, Outcome, PAGE, Pending, View, Writer, create_file,
    plug_and_play,
};
use std::fmt;

/// Bytes of a transfer.
const BLOCK: u32 = 512;

/// Where the locked bytes begin: behind those that are read and written.
const LOCKS: i64 = 1 << 20;

/// What was seen of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The call.
    pub call: &'static str,
    /// Final status.
    pub status: NTSTATUS,
    /// `IoStatus.Information`.
    pub information: u32,
    /// Digest of the data.
    pub data: u32,
    /// The stack returned STATUS_PENDING.
    pub pended: bool,
    /// The event is signaled.
    pub signaled: Option<bool>,
    /// The status block was written.
    pub written: bool,
}

impl Seen {
    fn new(call: &'static str, outcome: &Outcome, mask: Mask) -> Self {
        let data = masked(mask, &outcome.data);
        Self {
            call,
            status: outcome.status,
            information: outcome.information as u32,
            data: if data.is_empty() {
                0
            } else {
                digest(&data) as u32
            },
            // A service that waits for its request does not show it.
            pended: outcome.pended && !outcome.waits,
            signaled: outcome.signaled,
            written: outcome.written,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, information {}, data {:08x}, {}, event {}, status block {}",
            self.call,
            Status(self.status),
            self.information,
            self.data,
            if self.pended { "pended" } else { "at once" },
            match self.signaled {
                Some(true) => "signaled",
                Some(false) => "not signaled",
                None => "none",
            },
            if self.written {
                "written"
            } else {
                "not written"
            }
        )
    }
}

/// Where a thread carries out programs.
pub(super) struct Bench {
    thread: u32,
    volume: String,
    directory: String,
}

impl Bench {
    /// Makes the directory and the file in it; `None` if that fails.
    pub(super) fn make(thread: u32, volume: String, directory: String) -> Option<Self> {
        identity::begin_operation(thread, 0);
        let options = FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT;
        open(
            &directory,
            FILE_OPEN_IF,
            FILE_LIST_DIRECTORY | SYNCHRONIZE,
            options,
        )?;
        let bench = Self {
            thread,
            volume,
            directory,
        };
        let file = bench.file()?;
        let filled = file.write(Some(0), &[5; 8 * BLOCK as usize]);
        filled.is_success().then_some(bench)
    }

    fn file(&self) -> Option<File> {
        let path = format!("{}\\file", self.directory);
        open(&path, FILE_OPEN_IF, READ | WRITE, FILE_NON_DIRECTORY_FILE)
    }

    /// Carries out a program; what it shows, in the order of its requests.
    pub(super) fn carry_out(&mut self, program: &[Request], choices: &[Choice]) -> Vec<Seen> {
        identity::begin_operation(self.thread, 1);
        let has = |wanted: &[Request]| program.iter().any(|request| wanted.contains(request));
        let on_file = [
            Request::Lock,
            Request::Read,
            Request::ReadBeyond,
            Request::Write,
            Request::Control,
            Request::Query,
            Request::Oplock,
            Request::PageIn,
            Request::PageOut,
            Request::QueryRemove,
        ];
        let file = has(&on_file).then(|| self.file()).flatten();
        let directory = has(&[Request::Notify])
            .then(|| {
                open(
                    &self.directory,
                    FILE_OPEN,
                    FILE_LIST_DIRECTORY | SYNCHRONIZE,
                    FILE_DIRECTORY_FILE,
                )
            })
            .flatten();
        let mut seen = Vec::with_capacity(program.len() + 4);
        let holder = has(&[Request::Lock]).then(|| self.file()).flatten();
        if let Some(holder) = &holder {
            holder.lock(locked(0, 4), true, true);
        }
        let view = match &file {
            Some(file) if has(&[Request::PageIn, Request::PageOut]) => {
                let (outcome, view) = file.map(Mapping::Writable);
                seen.push(Seen::new("map", &outcome, Mask::None));
                view
            }
            _ => None,
        };

        let mut started: Vec<(&'static str, Pending<'_>)> = Vec::new();
        let mut created = Vec::new();
        for (place, (request, choice)) in program.iter().zip(choices).enumerate() {
            let offset = Some(place as i64 * i64::from(BLOCK));
            if *request == Request::Create {
                let path = format!("{}\\{place}", self.directory);
                let options = FILE_NON_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE;
                let parameters = CreateParameters::new(&path)
                    .disposition(FILE_CREATE)
                    .access(READ | DELETE)
                    .options(options);
                identity::script_next(*choice);
                let opened = create_file(&parameters);
                seen.push(Seen::new("create", &opened.outcome, Mask::None));
                created.extend(opened.file);
                continue;
            }
            let handle = if *request == Request::Notify {
                &directory
            } else {
                &file
            };
            let Some(handle) = handle else { continue };
            identity::script_next(*choice);
            if let Some((call, outcome)) = self.waited_for(*request, handle, view.as_ref()) {
                seen.push(Seen::new(call, &outcome, Mask::None));
                continue;
            }
            let (call, mut pending) = match request {
                Request::Notify => ("notify", handle.start_notify(1, false, 256)),
                Request::Lock => ("lock", handle.start_lock(locked(place, 1), false, true)),
                Request::Read => ("read", handle.start_read(offset, BLOCK)),
                Request::ReadBeyond => ("read beyond", handle.start_read(Some(2 * LOCKS), BLOCK)),
                Request::Write => ("write", handle.start_write(offset, &[5; BLOCK as usize])),
                Request::Control => (
                    "control",
                    handle.start_fs_control(FSCTL_GET_COMPRESSION, &[], 2),
                ),
                Request::Oplock => (
                    "oplock",
                    handle.start_fs_control(FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0),
                ),
                _ => continue,
            };
            if *choice == Choice::HeldUntilCancelled {
                pending.cancel();
            }
            started.push((call, pending));
        }
        for file in created {
            seen.push(Seen::new("close", &file.close(), Mask::None));
        }
        // The locks are free now.
        drop(holder);
        for (call, mut pending) in started {
            if ["notify", "oplock"].contains(&call) {
                // Unless something was created, or it was refused: then it has ended, or does so in a moment.
                pending.cancel();
            }
            seen.push(Seen::new(call, &pending.wait(), Mask::None));
        }
        drop(view);
        for handle in [file, directory].into_iter().flatten() {
            seen.push(Seen::new("close", &handle.close(), Mask::None));
        }
        seen
    }

    /// A request that its thread waits for; none if it is not one of these.
    fn waited_for(
        &self,
        request: Request,
        file: &File,
        view: Option<&View>,
    ) -> Option<(&'static str, Outcome)> {
        match request {
            Request::Query => Some(("query", file.query_information(FileNameInformation, 8))),
            Request::PageIn => Some(("page in", view?.page_in(0))),
            Request::PageOut => {
                let outcome = view?.page_out(0, &[5; PAGE], Writer::Program);
                Some(("page out", outcome))
            }
            Request::QueryRemove => {
                Some(("query remove", plug_and_play(&self.volume, Step::Query)))
            }
            _ => None,
        }
    }
}

fn locked(place: usize, count: i64) -> Range {
    Range {
        offset: LOCKS + place as i64,
        length: count,
        key: 0,
    }
}

fn open(path: &str, disposition: u32, access: u32, options: u32) -> Option<File> {
    let parameters = CreateParameters::new(path)
        .disposition(disposition)
        .access(access)
        .options(options);
    create_file(&parameters).file
}
