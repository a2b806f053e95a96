//! A file lock: what a `FILE_LOCK` stands for, and the requests that wait for it.

#![expect(unsafe_code, reason = "locks and requests are reached by pointer")]

use crate::exports::io::requests::get_requestor_process;
use crate::io_manager::byte_locks::{self, Asked, Lock, Owner, Range};
use crate::io_manager::{cancel, complete, stack};
use crate::nt::{
    DEVICE_OBJECT, FILE_LOCK, FILE_LOCK_INFO, IRP, IrpExt, NTSTATUS, STATUS_CANCELLED,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::pool;
use crate::processor::driver_code::entering;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// `PCOMPLETE_LOCK_IRP_ROUTINE`.
pub type CompleteLock = unsafe extern "win64" fn(*mut c_void, *mut IRP) -> NTSTATUS;
/// `PUNLOCK_ROUTINE`.
pub type Unlock = unsafe extern "win64" fn(*mut c_void, *mut FILE_LOCK_INFO);

/// `FILE_LOCK`, its routines in the calling convention of drivers.
#[repr(C)]
pub struct FileLock {
    complete: Option<CompleteLock>,
    unlock: Option<Unlock>,
    /// There are locks.
    fast_io_is_questionable: bool,
    /// The block of the pool, null before the first lock.
    pub(super) information: *mut c_void,
    last_returned: FILE_LOCK_INFO,
    /// The number of the next one that is returned.
    next_returned: usize,
    requests_in_progress: i32,
}

const _: () = assert!(size_of::<FileLock>() == size_of::<FILE_LOCK>());

pub(super) const TAG: u32 = u32::from_le_bytes(*b"FSfl");

/// A request that waits for its range.
#[derive(Clone, Copy, PartialEq)]
pub struct Waiting {
    irp: usize,
    lock: usize,
    context: usize,
}

pub(super) type Table = byte_locks::Table<Waiting>;

/// The locks by the block of their `FILE_LOCK`.
static TABLES: LazyLock<Mutex<HashMap<usize, Table>>> = LazyLock::new(Mutex::default);

fn tables() -> MutexGuard<'static, HashMap<usize, Table>> {
    TABLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at the locks of `lock`, which are none before the first.
///
/// # Safety
/// `lock` is an initialized lock.
pub(super) unsafe fn with<R>(lock: *mut FileLock, f: impl FnOnce(&mut Table) -> R) -> R {
    // SAFETY: contract.
    let lock = unsafe { &mut *lock };
    let mut tables = tables();
    match tables.get_mut(&lock.information.addr()) {
        Some(table) => {
            let result = f(table);
            lock.fast_io_is_questionable = !table.is_empty();
            result
        }
        None => f(&mut Table::default()),
    }
}

/// Makes the block of `lock`, if it has none; false without memory.
///
/// # Safety
/// `lock` is an initialized lock.
pub(super) unsafe fn prepare(lock: *mut FileLock, caller: usize) -> bool {
    // SAFETY: contract.
    let lock = unsafe { &mut *lock };
    if lock.information.is_null() {
        lock.information = pool::allocate(pool::Kind::NonPaged, 16, TAG, caller);
        if lock.information.is_null() {
            return false;
        }
        tables().insert(lock.information.addr(), Table::default());
    }
    true
}

/// Tells the driver that a lock was given back.
///
/// # Safety
/// `lock` is an initialized lock.
unsafe fn unlocked(lock: *mut FileLock, context: *mut c_void, gone: &Lock) {
    // SAFETY: contract.
    if let Some(unlock) = unsafe { (*lock).unlock } {
        let mut information = information_of(gone);
        // SAFETY: the driver's routine and what it was promised.
        unsafe { entering(unlock)(context, &raw mut information) };
    }
}

pub(super) fn information_of(lock: &Lock) -> FILE_LOCK_INFO {
    let Range { offset, length } = lock.range;
    FILE_LOCK_INFO {
        StartingByte: offset as i64,
        Length: length as i64,
        ExclusiveLock: lock.exclusive,
        Key: lock.owner.key,
        FileObject: std::ptr::with_exposed_provenance_mut(lock.owner.file as usize),
        ProcessId: std::ptr::with_exposed_provenance_mut(lock.owner.process),
        EndingByte: offset.wrapping_add(length).wrapping_sub(1) as i64,
    }
}

/// Completes a lock request, by the driver's routine if it has one.
///
/// # Safety
/// The request is a driver's that was given up to the lock.
pub(super) unsafe fn complete(
    lock: *mut FileLock,
    irp: *mut IRP,
    status: NTSTATUS,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: contract: the request is the caller's.
    let request = unsafe { &mut *irp };
    request.IoStatus.Anonymous.Status = status;
    // SAFETY: contract.
    if let Some(routine) = unsafe { (*lock).complete } {
        // SAFETY: the driver's routine completes the request.
        return unsafe { entering(routine)(context, irp) };
    }
    // SAFETY: contract.
    unsafe { complete::complete_request(irp, 0, caller) };
    status
}

/// Grants what can be granted now, and completes the requests.
///
/// # Safety
/// `lock` is an initialized lock.
pub(super) unsafe fn grant(lock: *mut FileLock, caller: usize) {
    let mut granted = Vec::new();
    let take = |table: &mut Table| {
        table.grant(|waiting| {
            let claimed = claim(waiting);
            granted.extend(claimed.then_some(waiting));
            claimed
        });
    };
    // SAFETY: contract.
    unsafe { with(lock, take) };
    for Waiting { irp, context, .. } in granted {
        let irp = std::ptr::with_exposed_provenance_mut(irp);
        // SAFETY: a claimed request is not completed by anybody else.
        let owned = unsafe { asked_of(irp) };
        let context = std::ptr::with_exposed_provenance_mut(context);
        // SAFETY: as above.
        let status = unsafe { complete(lock, irp, STATUS_SUCCESS, context, caller) };
        if status < 0 {
            // SAFETY: contract.
            unsafe { with(lock, |table| table.unlock_single(owned.0, owned.1)) };
        }
    }
}

/// Takes a waiting request from its cancel routine; false if that has been called.
fn claim(waiting: Waiting) -> bool {
    let irp: *mut IRP = std::ptr::with_exposed_provenance_mut(waiting.irp);
    // SAFETY: a request in the queue is alive.
    unsafe { irp.set_cancel_routine(None) }.is_some()
}

/// The cancel routine of a request that waits.
unsafe extern "win64" fn cancelled(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the request whose routine this is, with the cancel spin lock held.
    cancel::release_cancel_spin_lock(unsafe { (*irp).CancelIrql });
    let found = tables().values_mut().find_map(|table| {
        let waiting = table.waiting().find(|waiting| waiting.irp == irp.addr())?;
        table.remove_waiting(waiting);
        Some(waiting)
    });
    if let Some(Waiting { lock, context, .. }) = found {
        let (lock, context) = (
            std::ptr::with_exposed_provenance_mut(lock),
            std::ptr::with_exposed_provenance_mut(context),
        );
        // SAFETY: a cancel routine owns its request.
        unsafe { complete(lock, irp, STATUS_CANCELLED, context, 0) };
    }
}

/// Whose lock a request is for, and where. An offset or length of a program is any number.
///
/// # Safety
/// `irp` is a lock request of the driver.
pub(super) unsafe fn asked_of(irp: *mut IRP) -> (Owner, Range) {
    // SAFETY: contract.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    // SAFETY: the parameters of a lock request.
    let parameters = unsafe { location.Parameters.LockControl };
    let length = if parameters.Length.is_null() {
        0
    } else {
        // SAFETY: the length of a lock request lies with it.
        unsafe { parameters.Length.read() }
    };
    let owner = Owner {
        file: location.FileObject.expose_provenance() as u64,
        // SAFETY: contract.
        process: unsafe { get_requestor_process(irp) }.expose_provenance(),
        key: parameters.Key,
    };
    let range = Range {
        offset: parameters.ByteOffset as u64,
        length: length as u64,
    };
    (owner, range)
}

/// A request for a lock: granted or refused and completed, or left to wait.
///
/// # Safety
/// The driver's lock and request.
pub(super) unsafe fn ask(
    lock: *mut FileLock,
    irp: *mut IRP,
    asked: Lock,
    at_once: bool,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: contract, here and below.
    let finish = |status| unsafe { complete(lock, irp, status, context, caller) };
    if let Err(status) = Range::new(asked.range.offset, asked.range.length) {
        return finish(status);
    }
    // SAFETY: as above.
    if !unsafe { prepare(lock, caller) } {
        return finish(STATUS_INSUFFICIENT_RESOURCES);
    }
    let waiting = Waiting {
        irp: irp.expose_provenance(),
        lock: lock.expose_provenance(),
        context: context.expose_provenance(),
    };
    let place = |table: &mut Table| {
        let answer = table.lock(asked, (!at_once).then_some(waiting));
        if answer == Asked::Queued {
            // SAFETY: as above; who grants or cancels it finds it queued.
            unsafe { stack::mark_pending(irp) };
            // SAFETY: as above.
            unsafe { irp.set_cancel_routine(Some(cancelled)) };
        }
        answer
    };
    // SAFETY: as above.
    match unsafe { with(lock, place) } {
        Asked::Granted => {
            let status = finish(STATUS_SUCCESS);
            if status < 0 {
                // SAFETY: as above.
                unsafe { with(lock, |table| table.unlock_single(asked.owner, asked.range)) };
            }
            status
        }
        Asked::Refused(status) => finish(status),
        Asked::Queued => {
            // Cancelled before the routine was set, and nobody else has taken it since.
            // SAFETY: queued, and completed by nobody before its routine is taken.
            if unsafe { (*irp).Cancel } && claim(waiting) {
                // SAFETY: as above.
                unsafe { with(lock, |table| table.remove_waiting(waiting)) };
                finish(STATUS_CANCELLED);
            }
            STATUS_PENDING
        }
    }
}

/// Gives back the lock of a range, or all of a file object in a process, of one key if given.
///
/// # Safety
/// The driver's lock.
pub(super) unsafe fn give_back(
    lock: *mut FileLock,
    owner: Owner,
    range: Option<Range>,
    key: Option<u32>,
    context: *mut c_void,
) -> NTSTATUS {
    let take = |table: &mut Table| {
        let before = table.held().to_vec();
        let status = match range {
            Some(range) => table.unlock_single(owner, range),
            None => table.unlock_all(owner.file, owner.process, key),
        };
        let mut kept = table.held().to_vec();
        let is_gone = |held: &Lock| match kept.iter().position(|other| other == held) {
            Some(index) => {
                kept.remove(index);
                false
            }
            None => true,
        };
        let gone: Vec<Lock> = before.into_iter().filter(is_gone).collect();
        (status, gone)
    };
    // SAFETY: contract.
    let (status, gone) = unsafe { with(lock, take) };
    for held in &gone {
        // SAFETY: contract.
        unsafe { unlocked(lock, context, held) };
    }
    status
}

impl FileLock {
    /// A lock without locks.
    pub fn new(complete: Option<CompleteLock>, unlock: Option<Unlock>) -> Self {
        Self {
            complete,
            unlock,
            fast_io_is_questionable: false,
            information: null_mut(),
            last_returned: FILE_LOCK_INFO::default(),
            next_returned: 0,
            requests_in_progress: 0,
        }
    }

    /// The next of its locks, or the first; null behind the last. Where it is lies in the lock.
    ///
    /// # Safety
    /// `lock` is an initialized lock.
    pub(super) unsafe fn next(lock: *mut Self, restart: bool) -> *mut FILE_LOCK_INFO {
        // SAFETY: contract, here and below.
        let before = unsafe { (*lock).next_returned };
        let index = if restart { 0 } else { before };
        // SAFETY: as above.
        let Some(found) = (unsafe { with(lock, |table| table.held().get(index).copied()) }) else {
            return null_mut();
        };
        // SAFETY: as above.
        unsafe { (*lock).next_returned = index + 1 };
        // SAFETY: as above.
        unsafe { (*lock).last_returned = information_of(&found) };
        // SAFETY: as above.
        unsafe { &raw mut (*lock).last_returned }
    }
}

/// Ends a lock: what waits is completed, what is held is forgotten.
///
/// # Safety
/// `lock` is an initialized lock.
pub(super) unsafe fn end(lock: *mut FileLock, caller: usize) {
    // SAFETY: contract.
    let information = unsafe { std::mem::replace(&mut (*lock).information, null_mut()) };
    if information.is_null() {
        return;
    }
    let table = tables().remove(&information.addr()).unwrap_or_default();
    for waiting in table.waiting().filter(|waiting| claim(*waiting)) {
        let irp = std::ptr::with_exposed_provenance_mut(waiting.irp);
        let context = std::ptr::with_exposed_provenance_mut(waiting.context);
        // SAFETY: a claimed request.
        unsafe { complete(lock, irp, STATUS_CANCELLED, context, caller) };
    }
    // SAFETY: the block of this lock, which has it no more.
    unsafe { pool::free(information, None, caller) };
}
