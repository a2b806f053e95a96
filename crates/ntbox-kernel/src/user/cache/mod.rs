//! The cache manager: what file systems keep in memory of their files.
//!
//! A file is cached from its first cached read or write on, through whatever file object. Its pages are read where they
//! are missing, by paging requests to the top of the stack, in the thread that needs them; what is written to them is
//! written to the file by the lazy writer, by a flush, or with the writing call where that asks for it. The file object
//! that the cache was made with is kept until nobody uses the cache any more and nothing is left to write: its
//! IRP_MJ_CLOSE comes long after its IRP_MJ_CLEANUP then, in a thread of the system.
//!
//! A stream is known by its `SECTION_OBJECT_POINTERS`. The file system says of what sizes its streams are
//! ([`set_size`]), flushes before it goes around the cache ([`flush`]), and tells what it has written around it
//! ([`written_around`]). Nothing is locked while a request is under way.
//!
//! Source: DDI of `CcInitializeCacheMap`, `CcUninitializeCacheMap`, `CcCopyRead`, `CcCopyWrite`, `CcFlushCache`,
//! `CcPurgeCacheSection`, `CcSetFileSizes`; "Cache manager routines" in the DDK guide; FASTFAT and CDFS for who calls
//! them when.

#![expect(
    unsafe_code,
    reason = "file objects are shared with drivers by pointer"
)]

mod copy;
mod pages;
mod writer;

use super::paging::Kept;
use super::request::FileCall;
use crate::io_manager::identity::{self, Choice, Identity, Wanted};
use crate::io_manager::sections;
use crate::nt::cache_callbacks::{Acquire, Release};
use crate::nt::{
    CACHE_MANAGER_CALLBACKS, FILE_OBJECT, HANDLE, KEVENT, NTSTATUS, SECTION_OBJECT_POINTERS,
};
use crate::processor::driver_code::entering;
use crate::processor::{dispatcher, thread};
use pages::{Bytes, Pages};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use copy::{is_here, prepare_write, read, write_to};
pub use writer::{close, flush, wait_for_lazy_writer, writing_of_view};
use writer::{later, write_lazily};

/// Pages of a stream that may be dirty before the lazy writer begins with it.
const MOST_DIRTY: usize = 16;
/// All that a stream can have.
const ALL: Bytes = 0..i64::MAX as u64;

/// What the cache manager keeps of a file object (its private cache map).
struct Private {
    /// Where its last read ended: one that begins there is one of a sequence.
    read_to: u64,
}

/// The routines of the driver that caches a file, as far as it has some.
#[derive(Clone, Copy, Debug)]
pub struct Callbacks {
    /// Called around the writes of the lazy writer, and around what is read ahead.
    pub routines: CACHE_MANAGER_CALLBACKS,
    /// What they are called with.
    pub context: usize,
}

/// The shared cache map of a stream.
struct Map {
    pages: Pages,
    /// Where the stream's pointers are.
    pointers: *mut SECTION_OBJECT_POINTERS,
    /// What its pages are read and written through.
    file: Kept,
    /// The file objects that use it, by address.
    users: BTreeMap<usize, Box<Private>>,
    /// How much of the file is written, as far as the file system knows: it writes the rest itself, or is told.
    told: u64,
    callbacks: Option<Callbacks>,
    /// Events of drivers that wait for the end.
    waiting: Vec<*mut KEVENT>,
    /// The lazy writer has it, or will.
    lazy: bool,
    /// The file is deleted: what is in it is of no use to anybody.
    deleted: bool,
}

// SAFETY: the pointers are looked at under the lock of all maps, and stay as long as the file object that the map keeps.
unsafe impl Send for Map {}

type Maps = BTreeMap<usize, Map>;

/// By the address of the stream's pointers.
static MAPS: Mutex<Maps> = Mutex::new(BTreeMap::new());

fn maps() -> MutexGuard<'static, Maps> {
    MAPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of a stream's pointers, through one of its file objects.
///
/// # Safety
/// `file` is alive.
unsafe fn stream_of(file: *mut FILE_OBJECT) -> usize {
    // SAFETY: contract.
    unsafe { (*file).SectionObjectPointer }.addr()
}

/// `PrivateCacheMap`, which drivers may look at meanwhile.
///
/// # Safety
/// `file` is alive as long as what is returned is used.
pub unsafe fn private_map<'a>(file: *mut FILE_OBJECT) -> &'a AtomicPtr<c_void> {
    // SAFETY: contract.
    let field = unsafe { &raw mut (*file).PrivateCacheMap };
    // SAFETY: contract; the cache manager alone writes it, atomically.
    unsafe { AtomicPtr::from_ptr(field) }
}

/// `CcInitializeCacheMap`: `file` uses the cache of its stream, which has `size` bytes, from now on. The routines are
/// kept of the first that does.
///
/// # Safety
/// `file` is alive, and has the pointers of its stream, which stay until its IRP_MJ_CLOSE. No other thread changes the
/// size of the stream.
pub unsafe fn initialize(file: *mut FILE_OBJECT, size: u64, callbacks: Option<Callbacks>) {
    // SAFETY: contract.
    let private = unsafe { private_map(file) };
    let mut maps = maps();
    if !private.load(Ordering::Relaxed).is_null() {
        return;
    }
    // SAFETY: contract.
    let pointers = unsafe { (*file).SectionObjectPointer };
    let map = maps.entry(pointers.addr()).or_insert_with(|| {
        // SAFETY: of a stream whose file object is kept as long as the map is there.
        unsafe { sections::cache(pointers, true) };
        Map {
            pages: Pages::new(size),
            pointers,
            // SAFETY: contract.
            file: unsafe { Kept::new(file) },
            users: BTreeMap::new(),
            told: size,
            callbacks,
            waiting: Vec::new(),
            lazy: false,
            deleted: false,
        }
    });
    let own = Box::new(Private { read_to: 0 });
    let shown: *const Private = &raw const *own;
    private.store(shown.cast_mut().cast(), Ordering::Relaxed);
    map.users.insert(file.addr(), own);
}

/// `CcUninitializeCacheMap`: `file` does not use the cache any more. If nobody does, what is left to write is written by
/// the lazy writer, or given up, if the file is `deleted` and nobody has mapped it.
///
/// # Safety
/// `file` is alive. Its file system holds no lock: IRP_MJ_CLOSE of the file object that the cache was made with may
/// follow.
pub unsafe fn uninitialize(file: *mut FILE_OBJECT, deleted: bool) {
    // SAFETY: contract.
    let private = unsafe { private_map(file) };
    // SAFETY: contract.
    let stream = unsafe { stream_of(file) };
    let mut maps = maps();
    private.store(null_mut(), Ordering::Relaxed);
    let Some(map) = maps.get_mut(&stream) else {
        return;
    };
    map.users.remove(&file.addr());
    map.deleted |= deleted && !sections::is_mapped(stream);
    if map.users.is_empty() && map.deleted {
        map.pages.set_size(0);
    }
    end_or_write(maps, stream);
}

/// Ends the cache of a stream if nobody uses it, or leaves it to the lazy writer.
fn end_or_write(mut maps: MutexGuard<'_, Maps>, stream: usize) {
    let Some(map) = maps.get_mut(&stream) else {
        return;
    };
    let (used, dirty) = (!map.users.is_empty(), map.pages.is_dirty(&ALL));
    if !map.lazy && dirty && (!used || map.pages.dirty() >= MOST_DIRTY) {
        map.lazy = true;
        later(move || write_lazily(stream));
    }
    if used || dirty {
        return;
    }
    let ended = maps.remove(&stream);
    if let Some(map) = &ended {
        // SAFETY: the map keeps a file object of the stream.
        unsafe { sections::cache(map.pointers, false) };
    }
    drop(maps);
    let waiting = ended.map(|map| map.waiting);
    // Its file object may be closed now.
    for event in waiting.unwrap_or_default() {
        // SAFETY: contract of `tell_end`.
        unsafe { dispatcher::set_event(event) };
    }
}

/// Has `event` signaled when the stream is not cached any more, which may be now.
///
/// # Safety
/// The event stays until then.
pub unsafe fn tell_end(stream: usize, event: Option<*mut KEVENT>) {
    let Some(event) = event else { return };
    if let Some(map) = maps().get_mut(&stream) {
        map.waiting.push(event);
        return;
    }
    // SAFETY: contract.
    unsafe { dispatcher::set_event(event) };
}

/// How many bytes a cached stream has.
pub fn size_of(stream: usize) -> Option<u64> {
    maps().get(&stream).map(|map| map.pages.size())
}

/// `CcPurgeCacheSection`: what the cache has of `bytes`, dirty or not, is given up. False if some of it is being written.
pub fn purge(stream: usize, bytes: Option<Bytes>) -> bool {
    let bytes = bytes.unwrap_or(ALL);
    maps().get_mut(&stream).is_none_or(|map| {
        map.pages.take_away(&bytes);
        !map.pages.is_being_written(&bytes)
    })
}

/// `CcSetFileSizes`: the stream has `size` bytes now. What lies behind them is gone, and zero if it grows.
pub fn set_size(stream: usize, size: u64) {
    if let Some(map) = maps().get_mut(&stream) {
        map.pages.set_size(size);
        map.told = map.told.min(size);
    }
}

/// `data` was written to the file, at `offset`, by who did not use the cache.
pub fn written_around(stream: usize, offset: u64, data: &[u8]) {
    if let Some(map) = maps().get_mut(&stream) {
        map.pages.written_around(offset, data);
        map.told = map.told.max(offset + data.len() as u64);
    }
}

/// `bytes` were made zero in the file, by who did not use the cache.
pub fn zeroed_around(stream: usize, bytes: &Bytes) {
    if let Some(map) = maps().get_mut(&stream) {
        map.pages.zeroed_around(bytes);
    }
}

/// Whether `bytes` of the stream are being written from the cache.
pub fn is_being_written(stream: usize, bytes: &Bytes) -> bool {
    let maps = maps();
    maps.get(&stream)
        .is_some_and(|map| map.pages.is_taken(bytes))
}

/// Whether something has to be written of a file whose file object `is_meant`.
pub fn is_any_dirty(is_meant: impl Fn(*mut FILE_OBJECT) -> bool) -> bool {
    let maps = maps();
    let is_dirty = |map: &Map| map.pages.is_dirty(&ALL) && is_meant(map.file.file());
    maps.values().any(is_dirty)
}

/// Calls `look` with the file object that the stream's pages are read and written through, which is kept meanwhile.
pub fn with_file_of<R>(stream: usize, look: impl FnOnce(*mut FILE_OBJECT) -> R) -> Option<R> {
    maps().get(&stream).map(|map| look(map.file.file()))
}

/// The stream of an open file.
///
/// # Errors
/// Those of the handle.
pub fn of_handle(handle: HANDLE) -> Result<usize, NTSTATUS> {
    let call = FileCall::on(handle, 0)?;
    // SAFETY: the call keeps its file.
    Ok(unsafe { stream_of(call.file()) })
}

/// Does something on behalf of the driver that has the stream, between what it acquires and releases for that; `None` if it
/// refuses.
fn between<R>(
    stream: usize,
    pair: impl Fn(&CACHE_MANAGER_CALLBACKS) -> (Option<Acquire>, Option<Release>),
    body: impl FnOnce() -> R,
) -> Option<R> {
    let callbacks = maps().get(&stream).and_then(|map| map.callbacks);
    let Some(Callbacks { routines, context }) = callbacks else {
        return Some(body());
    };
    let (acquire, release) = pair(&routines);
    let context: *mut c_void = std::ptr::with_exposed_provenance_mut(context);
    // SAFETY: the driver's routine, called as it has asked for.
    if acquire.is_some_and(|acquire| unsafe { entering(acquire)(context, 1) } == 0) {
        return None;
    }
    let result = body();
    if let Some(release) = release {
        // SAFETY: as above.
        unsafe { entering(release)(context) };
    }
    Some(result)
}

/// Whether the stream is cached.
pub fn is_cached(stream: usize) -> bool {
    maps().contains_key(&stream)
}

/// A paging request of a call is what its other requests are, but that nobody cancels it or lets it fail.
fn paging_of(Identity { value, wanted }: Identity) -> Identity {
    Identity {
        value,
        wanted: Wanted {
            script: wanted.script.filter(Choice::works),
            ..Wanted::default()
        },
    }
}

/// Sends paging requests for the call that runs. What that comes to is not told by them.
fn of_this_call<R>(body: impl FnOnce() -> R) -> R {
    let paging = paging_of(identity::current());
    identity::on_behalf_of(paging, || thread::from_kernel_mode(body))
}
