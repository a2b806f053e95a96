//! Writing what is dirty in the cache: lazily, in a flush, and beside the views of a stream.

#![expect(
    unsafe_code,
    reason = "file objects are shared with drivers by pointer"
)]

use super::super::paging::{Kept, PAGE, Pages, Writer, advance_valid_data};
use super::super::request::status_of;
use super::pages::{Bytes, Run};
use super::{ALL, Maps, between, end_or_write, maps, of_this_call};
use crate::io_manager::identity::{self, Identity, Wanted};
use crate::nt::{CACHE_MANAGER_CALLBACKS, NTSTATUS};
use crate::processor::{points, work};
use std::sync::{Condvar, PoisonError, mpsc};

/// How often the lazy writer tries to write something, before it is lost.
const ATTEMPTS: u32 = 3;

/// Pages that were being written are not any more.
static WRITTEN: Condvar = Condvar::new();

/// Does something in a thread of the cache manager, whose requests are then those of the call that has led to it.
pub(super) fn later(body: impl FnOnce() + Send + 'static) {
    let call = Identity {
        value: identity::current().value,
        wanted: Wanted::default(),
    };
    work::queue_lazily(Box::new(move || identity::on_behalf_of(call, body)));
}

/// Waits until somebody has written pages, if somebody is writing some of `bytes`.
fn waited_for_others(stream: usize, bytes: &Bytes) -> bool {
    let mut maps = maps();
    let is_being_written = |maps: &Maps| {
        let map = maps.get(&stream);
        map.is_some_and(|map| map.pages.is_being_written(bytes))
    };
    let waits = is_being_written(&maps);
    while is_being_written(&maps) {
        points::waits();
        maps = WRITTEN.wait(maps).unwrap_or_else(PoisonError::into_inner);
    }
    drop(maps);
    if waits {
        points::goes_on();
    }
    waits
}

/// The lazy writer writes what is dirty.
pub(super) fn write_lazily(stream: usize) {
    let mut attempts = 0;
    loop {
        while let Some((run, file)) = take(stream, &ALL) {
            let pair = |routines: &CACHE_MANAGER_CALLBACKS| {
                (routines.AcquireForLazyWrite, routines.ReleaseFromLazyWrite)
            };
            let status = between(stream, pair, || write(&run, &file, Writer::LazyWriter));
            let Some(status) = status else {
                // Its driver is busy with the file: another time.
                give_back(stream, &run, false);
                drop(file);
                return later(move || write_lazily(stream));
            };
            let written = status >= 0;
            attempts = if written { 0 } else { attempts + 1 };
            // What cannot be written is lost, as Windows says in an event then.
            let lost = attempts == ATTEMPTS;
            let more = give_back(stream, &run, written || lost);
            if let Some(length) = more.filter(|_| written) {
                // What it did not take it will not take later.
                // SAFETY: it is kept.
                let _ = of_this_call(|| unsafe { advance_valid_data(file.file(), length) });
            }
            if lost {
                attempts = 0;
            }
        }
        if !waited_for_others(stream, &ALL) {
            break;
        }
    }
    let mut maps = maps();
    if let Some(map) = maps.get_mut(&stream) {
        map.lazy = false;
    }
    end_or_write(maps, stream);
}

/// Takes what is dirty within `bytes`, with a file object to write it through.
fn take(stream: usize, bytes: &Bytes) -> Option<(Run, Kept)> {
    let mut maps = maps();
    let map = maps.get_mut(&stream)?;
    let run = map.pages.take_dirty(bytes)?;
    // SAFETY: the map keeps it.
    Some((run, unsafe { Kept::new(map.file.file()) }))
}

/// What was taken is written, or is not. How much of the file is written then, if that is more than the file system was
/// told so far.
fn give_back(stream: usize, run: &Run, success: bool) -> Option<u64> {
    let more = maps().get_mut(&stream).and_then(|map| {
        map.pages.written(run, success);
        let end = map.pages.size().min(run.offset + run.bytes.len() as u64);
        let is_more = success && end > map.told;
        is_more.then(|| {
            map.told = end;
            end
        })
    });
    WRITTEN.notify_all();
    more
}

/// Writes pages that were taken.
fn write(run: &Run, file: &Kept, writer: Writer) -> NTSTATUS {
    let offset = run.offset.cast_signed();
    // SAFETY: the caller keeps the file as long as the request lasts.
    let mut pages = unsafe { Pages::new(file.file(), run.bytes.clone(), offset) };
    let written = of_this_call(|| pages.write(writer));
    written.map_or_else(|status| status, |block| status_of(&block))
}

/// `CcFlushCache`: writes what is dirty within `bytes` (all that there is, if none is given), through the file object
/// that the cache was made with, and waits for who is writing it.
///
/// # Errors
/// The first status that a paging request has failed with.
pub fn flush(stream: usize, bytes: Option<Bytes>) -> Result<(), NTSTATUS> {
    let bytes = bytes.unwrap_or(ALL);
    loop {
        while let Some((run, file)) = take(stream, &bytes) {
            let status = write(&run, &file, Writer::FileSystem);
            give_back(stream, &run, status >= 0);
            if status < 0 {
                return Err(status);
            }
        }
        if !waited_for_others(stream, &bytes) {
            return Ok(());
        }
    }
}

/// `CcWaitForCurrentLazyWriterActivity`: waits until the lazy writer has done what it has been given so far, with the closes
/// that follow from it. Not from its own thread. Where items are held back, their holder is that thread: nobody waits.
pub fn wait_for_lazy_writer() {
    if work::are_held() {
        return;
    }
    let (tell, told) = mpsc::channel();
    work::queue_lazily(Box::new(move || {
        // Whoever asked waits for it.
        let _ = tell.send(());
    }));
    // An error means that it was not carried out: there is nothing to wait for.
    let _ = told.recv();
}

/// Writes all of the stream, and ends its cache if nobody uses it.
///
/// # Errors
/// As [`flush`].
pub fn close(stream: usize) -> Result<(), NTSTATUS> {
    let flushed = flush(stream, None);
    end_or_write(maps(), stream);
    flushed
}

/// Has `write` write a page of a view, which is the page that the cache has, if it has it: who has it there sees what
/// was written, and nobody else writes it meanwhile.
pub fn writing_of_view<R>(
    stream: usize,
    offset: u64,
    page: &[u8; PAGE],
    write: impl FnOnce() -> (R, bool),
) -> R {
    let run = loop {
        match maps().get_mut(&stream) {
            None => break None,
            Some(map) => {
                if let Some(run) = map.pages.show(offset, page) {
                    break Some(run);
                }
            }
        }
        waited_for_others(stream, &(offset..offset + PAGE as u64));
    };
    let (result, success) = write();
    if let Some(run) = run {
        give_back(stream, &run, success);
        end_or_write(maps(), stream);
    }
    result
}
