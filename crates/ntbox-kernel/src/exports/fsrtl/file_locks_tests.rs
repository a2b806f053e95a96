//! File locks of a native driver that hands its lock requests to them.

use super::*;
use crate::exports::test_device;
use crate::io_manager::{call, cancel, complete as completion, irp as requests, stack};
use crate::nt::stack_location::{LockControl, ReadWrite};
use crate::nt::{
    APC_LEVEL, DEVICE_OBJECT, DISPATCH_LEVEL, IRP_MJ_LOCK_CONTROL, IRP_MJ_READ, STATUS_CANCELLED,
    STATUS_FILE_LOCK_CONFLICT, STATUS_LOCK_NOT_GRANTED, STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_RANGE_NOT_LOCKED, STATUS_UNSUCCESSFUL,
};
use crate::verifier::capture;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The lock of the device.
static LOCK: AtomicPtr<FileLock> = AtomicPtr::new(null_mut());
/// The requests that have come back, by their key, and how they ended.
static ENDED: Mutex<Vec<(u32, NTSTATUS)>> = Mutex::new(Vec::new());
/// What the driver's routines were told: of a context, first byte and key, or of a status.
static TOLD: Mutex<Vec<(usize, i64, u32)>> = Mutex::new(Vec::new());

/// The tests share the device.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> Vec<(u32, NTSTATUS)> {
    std::mem::take(&mut *ENDED.lock().expect("no panic"))
}

fn told() -> Vec<(usize, i64, u32)> {
    std::mem::take(&mut *TOLD.lock().expect("no panic"))
}

const CONTEXT: usize = 0x77;

unsafe extern "win64" fn dispatch(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let lock = LOCK.load(Ordering::Acquire);
    // SAFETY: a dispatch routine gets a live request with its location.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let major = unsafe { (*location).MajorFunction };
    if u32::from(major) == IRP_MJ_LOCK_CONTROL {
        // SAFETY: the test's lock, and the request.
        return unsafe { process(lock, irp, std::ptr::without_provenance_mut(CONTEXT), 0) };
    }
    // SAFETY: as above.
    let status = match unsafe { check_read(lock, irp, 0) } {
        0 => STATUS_FILE_LOCK_CONFLICT,
        _ => STATUS_SUCCESS,
    };
    // SAFETY: as above.
    unsafe { completion::finish(irp, status, 0) }
}

/// Notes how a request has ended.
unsafe extern "win64" fn came_back(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    key: *mut c_void,
) -> NTSTATUS {
    // SAFETY: a completion routine gets a live request with a status.
    let block = unsafe { &raw const (*irp).IoStatus };
    // SAFETY: as above.
    let block = unsafe { &*block };
    // SAFETY: both members are integers or pointers.
    let status = unsafe { block.Anonymous.Status };
    ENDED
        .lock()
        .expect("no panic")
        .push((key.addr() as u32, status));
    STATUS_MORE_PROCESSING_REQUIRED
}

/// A request that was sent, and what the dispatch routine has returned.
struct Sent {
    irp: *mut IRP,
    returned: NTSTATUS,
    // What the request refers to.
    _length: Box<i64>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        // SAFETY: it has come back to its completion routine by the end of each test.
        unsafe { requests::free(self.irp, 0) };
    }
}

/// Sends a request for `length` bytes at `offset`, of `key`.
fn send(major: u32, minor: u32, flags: u32, (offset, length): (i64, i64), key: u32) -> Sent {
    static DEVICE: OnceLock<usize> = OnceLock::new();
    let device = *DEVICE.get_or_init(|| {
        let driver = test_device::driver(r"\Driver\FileLockTest", dispatch);
        test_device::device(driver, None).expose_provenance()
    });
    let device: *mut DEVICE_OBJECT = std::ptr::with_exposed_provenance_mut(device);
    let mut length = Box::new(length);
    let irp = requests::allocate_at(2, 0);
    // SAFETY: a new request with two locations.
    unsafe { stack::advance(irp) };
    // SAFETY: as above.
    let location = unsafe { irp.next_location() };
    // SAFETY: as above.
    let location = unsafe { &mut *location };
    location.MajorFunction = major as u8;
    location.MinorFunction = minor as u8;
    location.Flags = flags as u8;
    if major == IRP_MJ_READ {
        location.Parameters.Read = ReadWrite {
            Length: *length as u32,
            Key: key,
            ByteOffset: offset,
            ..Default::default()
        };
    } else {
        location.Parameters.LockControl = LockControl {
            Length: &raw mut *length,
            Key: key,
            ByteOffset: offset,
            ..Default::default()
        };
    }
    let context = std::ptr::without_provenance_mut(key as usize);
    // SAFETY: as above.
    unsafe { stack::set_completion_routine(irp, Some(came_back), context, stack::ALWAYS) };
    // SAFETY: a complete request for the device.
    let returned = unsafe { call::call_driver(device, irp, 0) };
    Sent {
        irp,
        returned,
        _length: length,
    }
}

fn lock(flags: u32, range: (i64, i64), key: u32) -> Sent {
    send(IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK, flags, range, key)
}

fn unlock(minor: u32, range: (i64, i64), key: u32) -> NTSTATUS {
    send(IRP_MJ_LOCK_CONTROL, minor, 0, range, key).returned
}

/// Runs `test` on a new lock, which it leaves uninitialized.
fn with_lock(
    complete: Option<CompleteLock>,
    unlock: Option<Unlock>,
    test: impl FnOnce(*mut FileLock),
) {
    let _turn = turn();
    let mut memory = FileLock::new(None, None);
    let lock = &raw mut memory;
    LOCK.store(lock, Ordering::Release);
    let ((), found) = capture(|| {
        // SAFETY: a local variable.
        unsafe { initialize(lock, complete, unlock, 0) };
        test(lock);
        // SAFETY: as above.
        unsafe { uninitialize(lock, 0) };
    });
    assert!(found.is_empty(), "{found:?}");
    ended();
    told();
}

#[test]
fn a_request_waits_until_its_range_is_free() {
    with_lock(None, None, |_| {
        let first = lock(SL_EXCLUSIVE_LOCK, (0, 10), 1);
        assert_eq!(
            (first.returned, ended()),
            (STATUS_SUCCESS, vec![(1, STATUS_SUCCESS)])
        );
        let second = lock(0, (5, 1), 2);
        assert_eq!((second.returned, ended()), (STATUS_PENDING, vec![]));
        let third = lock(SL_FAIL_IMMEDIATELY, (5, 1), 3);
        assert_eq!(third.returned, STATUS_LOCK_NOT_GRANTED);
        let read = |key| send(IRP_MJ_READ, 0, 0, (9, 1), key).returned;
        assert_eq!(
            [read(1), read(2)],
            [STATUS_SUCCESS, STATUS_FILE_LOCK_CONFLICT]
        );
        ended();
        assert_eq!(
            unlock(IRP_MN_UNLOCK_SINGLE, (0, 9), 1),
            STATUS_RANGE_NOT_LOCKED
        );
        assert_eq!(ended(), [(1, STATUS_RANGE_NOT_LOCKED)]);
        assert_eq!(unlock(IRP_MN_UNLOCK_SINGLE, (0, 10), 1), STATUS_SUCCESS);
        assert_eq!(ended(), [(1, STATUS_SUCCESS), (2, STATUS_SUCCESS)]);
        assert_eq!(read(1), STATUS_SUCCESS);
        assert_eq!(unlock(99, (0, 10), 1), STATUS_INVALID_DEVICE_REQUEST);
    });
}

#[test]
fn a_request_that_waits_is_cancelled_or_ended() {
    with_lock(None, None, |lock_at| {
        let first = lock(SL_EXCLUSIVE_LOCK, (0, 10), 1);
        let (cancels, stays) = (lock(0, (0, 1), 2), lock(0, (1, 1), 3));
        assert_eq!([cancels.returned, stays.returned], [STATUS_PENDING; 2]);
        ended();
        // SAFETY: the request is alive until it is dropped.
        assert!(unsafe { cancel::cancel(cancels.irp, 0) });
        assert_eq!(ended(), [(2, STATUS_CANCELLED)]);
        // SAFETY: the test's lock.
        unsafe { uninitialize(lock_at, 0) };
        assert_eq!(ended(), [(3, STATUS_CANCELLED)]);
        // It can be used again, and nothing is left of what was.
        // SAFETY: as above.
        unsafe { initialize(lock_at, None, None, 0) };
        assert_eq!(lock(SL_EXCLUSIVE_LOCK, (0, 10), 9).returned, STATUS_SUCCESS);
        drop((first, cancels, stays));
    });
}

/// The routines of a driver: this one completes the request, and takes the lock of key 4 back.
unsafe extern "win64" fn completes(context: *mut c_void, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the request of the driver.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let location = unsafe { &*location };
    // SAFETY: a lock request.
    let parameters = unsafe { location.Parameters.LockControl };
    TOLD.lock()
        .expect("no panic")
        .push((context.addr(), parameters.ByteOffset, parameters.Key));
    // SAFETY: as above.
    let block = unsafe { &raw const (*irp).IoStatus };
    // SAFETY: as above.
    let block = unsafe { &*block };
    // SAFETY: both members are integers or pointers.
    let status = unsafe { block.Anonymous.Status };
    let status = if parameters.Key == 4 {
        STATUS_UNSUCCESSFUL
    } else {
        status
    };
    // SAFETY: as above.
    unsafe { completion::finish(irp, status, 0) }
}

unsafe extern "win64" fn unlocks(context: *mut c_void, gone: *mut FILE_LOCK_INFO) {
    // SAFETY: what the routine is promised.
    let gone = unsafe { gone.read() };
    TOLD.lock()
        .expect("no panic")
        .push((context.addr(), gone.EndingByte, gone.Key));
}

#[test]
fn the_drivers_routines_complete_requests_and_learn_of_locks_that_go() {
    with_lock(Some(completes), Some(unlocks), |lock_at| {
        assert_eq!(lock(SL_EXCLUSIVE_LOCK, (0, 10), 1).returned, STATUS_SUCCESS);
        assert_eq!(told(), [(CONTEXT, 0, 1)]);
        let refused = lock(SL_EXCLUSIVE_LOCK, (20, 10), 4);
        assert_eq!(refused.returned, STATUS_UNSUCCESSFUL);
        // Nobody holds what the routine refused.
        assert_eq!(
            lock(SL_FAIL_IMMEDIATELY, (20, 10), 5).returned,
            STATUS_SUCCESS
        );
        told();
        let context = std::ptr::without_provenance_mut(3);
        // SAFETY: the test's lock, and nobody's file and process.
        let status = unsafe { unlock_all(lock_at, null_mut(), null_mut(), context, 0) };
        assert_eq!(
            (status, told()),
            (STATUS_SUCCESS, vec![(3, 9, 1), (3, 29, 5)])
        );
    });
}

/// A lock without a request: what the routine returned, and the status.
fn fast(lock: *mut FileLock, range: (i64, i64), key: u32, at_once: u8) -> (u8, NTSTATUS) {
    let mut block = IO_STATUS_BLOCK::default();
    block.Anonymous.Status = 7;
    let (offset, length) = range;
    // SAFETY: the test's lock and local variables.
    let done = unsafe {
        private_lock(
            lock,
            null_mut(),
            &raw const offset,
            &raw const length,
            null_mut(),
            key,
            at_once,
            1,
            &raw mut block,
            null_mut(),
            null_mut(),
            1,
        )
    };
    // SAFETY: integers.
    (done, unsafe { block.Anonymous.Status })
}

#[test]
fn locks_without_requests_are_had_at_once_or_not_at_all() {
    with_lock(None, None, |lock| {
        assert_eq!(fast(lock, (0, 10), 1, 0), (1, STATUS_SUCCESS));
        assert_eq!(fast(lock, (0, 10), 2, 0), (0, 7), "a request would wait");
        assert_eq!(fast(lock, (0, 10), 2, 1), (1, STATUS_LOCK_NOT_GRANTED));
        assert_eq!(
            fast(lock, (-1, 10), 2, 1).1,
            crate::nt::STATUS_INVALID_LOCK_RANGE
        );
        assert_eq!(fast(lock, (40, 2), 2, 0), (1, STATUS_SUCCESS));
        let all = |restart| {
            // SAFETY: the test's lock.
            let next = unsafe { get_next(lock, restart, 0) };
            // SAFETY: what it returned last stays until the next call.
            unsafe { next.as_ref() }.map(|found| (found.StartingByte, found.Key))
        };
        assert_eq!(
            [all(1), all(0), all(0)],
            [Some((0, 1)), Some((40, 2)), None]
        );
        let (offset, length) = (40, 2);
        let back = |key| {
            let (offset, length) = (&raw const offset, &raw const length);
            // SAFETY: the test's lock and local variables.
            unsafe {
                unlock_single(
                    lock,
                    null_mut(),
                    offset,
                    length,
                    null_mut(),
                    key,
                    null_mut(),
                    1,
                    0,
                )
            }
        };
        assert_eq!(
            [back(1), back(2)],
            [STATUS_RANGE_NOT_LOCKED, STATUS_SUCCESS]
        );
        let may = |key| {
            let (offset, length) = (5, 1);
            let (offset, length) = (&raw const offset, &raw const length);
            // SAFETY: as above.
            unsafe { fast_check_write(lock, offset, length, key, null_mut(), null_mut(), 0) }
        };
        assert_eq!([may(1), may(2)], [1, 0]);
        // SAFETY: as above.
        let all =
            |key| unsafe { unlock_all_by_key(lock, null_mut(), null_mut(), key, null_mut(), 0) };
        assert_eq!((all(2), may(2)), (STATUS_SUCCESS, 0));
        assert_eq!((all(1), may(2)), (STATUS_SUCCESS, 1));
    });
}

#[test]
fn a_lock_holds_memory_from_its_first_range_to_its_end() {
    let _turn = turn();
    // SAFETY: no routines; the lock is freed below.
    let lock = unsafe { allocate(None, None, 0) };
    // SAFETY: the lock is alive, here and below.
    let block = || unsafe { (*lock).information.addr() };
    assert_eq!(block(), 0);
    assert_eq!(fast(lock, (0, 1), 1, 0).0, 1);
    let information = block();
    assert!(pool::block_at(information).is_some());
    // SAFETY: as above.
    unsafe { free(lock, 0) };
    assert!(pool::block_at(information).is_none() && pool::block_at(lock.addr()).is_none());
    let mut memory = FileLock::new(None, None);
    let ((), found) = capture(|| {
        for level in [APC_LEVEL, DISPATCH_LEVEL] {
            let _level = irql::raised_to(level);
            // SAFETY: a local variable.
            unsafe { initialize(&raw mut memory, None, None, 0) };
        }
    });
    assert_eq!(found.len(), 1);
}
