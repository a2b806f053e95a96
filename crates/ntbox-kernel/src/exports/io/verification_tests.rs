//! What is kept of threads for media that may have changed, and messages to the user.

use super::*;
use crate::exports::test_device;
use crate::io_manager::{irp as requests, stack};
use crate::nt::unicode::OwnedUnicodeString;
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, STATUS_IO_DEVICE_ERROR, STATUS_MORE_PROCESSING_REQUIRED,
};
use crate::verifier::capture;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As a thread that nobody has asked anything.
fn as_new_thread<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(f).join().expect("no panic")
}

unsafe extern "win64" fn dispatch(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine gets a live request.
    let block = unsafe { &mut (*irp).IoStatus };
    block.Anonymous.Status = STATUS_IO_DEVICE_ERROR;
    block.Information = 42;
    // SAFETY: as above.
    unsafe { raise_hard_error(irp, null_mut(), null_mut(), 0) };
    STATUS_IO_DEVICE_ERROR
}

#[test]
fn a_device_to_verify_is_a_threads() {
    as_new_thread(|| {
        let me = thread::current().object();
        let device: *mut DEVICE_OBJECT = std::ptr::without_provenance_mut(0x1000);
        let other: *mut DEVICE_OBJECT = std::ptr::without_provenance_mut(0x2000);
        // SAFETY: devices are compared only, here and below.
        let asked = || unsafe { get_device_to_verify(me, 0) }.addr();
        assert_eq!(asked(), 0);
        // SAFETY: as above.
        unsafe { set_device_to_verify(me, device, 0) };
        assert_eq!(asked(), 0x1000);
        let irp = requests::allocate(1);
        // SAFETY: a new request.
        unsafe { irp.set_thread(me) };
        // SAFETY: as above.
        unsafe { set_hard_error_or_verify_device(irp, other, 0) };
        // SAFETY: as above.
        unsafe { requests::free(irp, 0) };
        assert_eq!(asked(), 0x2000);
        let of_another = as_new_thread(|| {
            // SAFETY: as above.
            unsafe { get_device_to_verify(thread::current().object(), 0) }.addr()
        });
        assert_eq!(of_another, 0);
    });
}

#[test]
fn a_thread_that_is_silent_raises_no_message() {
    as_new_thread(|| {
        let me = thread::current().object();
        let text = OwnedUnicodeString::new("disk");
        let text = text.as_unicode();
        let raise = |thread| {
            // SAFETY: a string of this test.
            unsafe {
                raise_informational_hard_error(STATUS_IO_DEVICE_ERROR, &raw const text, thread, 0)
            }
        };
        // SAFETY: no pointers.
        let set = |enable| unsafe { set_thread_hard_error_mode(enable, 0) };
        assert_eq!([set(1), raise(me)], [1, 1]);
        assert_eq!([set(0), raise(me), raise(null_mut())], [1, 0, 1]);
        assert_eq!([set(1), raise(me)], [0, 1]);
        let ((), found) = capture(|| {
            for level in [APC_LEVEL, DISPATCH_LEVEL] {
                let _level = irql::raised_to(level);
                raise(me);
            }
        });
        assert_eq!(found.len(), 1);
    });
}

/// Status and information of the request as it came back.
static CAME_BACK: AtomicUsize = AtomicUsize::new(0);

unsafe extern "win64" fn came_back(
    _: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    _: *mut c_void,
) -> NTSTATUS {
    // SAFETY: a completion routine gets a live request with a status.
    let block = unsafe { &raw const (*irp).IoStatus };
    // SAFETY: as above.
    let block = unsafe { &*block };
    // SAFETY: both members are integers or pointers.
    let status = unsafe { block.Anonymous.Status };
    // SAFETY: as above.
    let information = unsafe { (*irp).IoStatus.Information };
    CAME_BACK.store(
        information << 32 | status as u32 as usize,
        Ordering::Release,
    );
    STATUS_MORE_PROCESSING_REQUIRED
}

#[test]
fn a_request_whose_error_is_raised_is_completed_without_data() {
    let driver = test_device::driver(r"\Driver\HardErrorTest", dispatch);
    let device = test_device::device(driver, None);
    let irp = requests::allocate(2);
    // SAFETY: a new request with two locations.
    unsafe { stack::advance(irp) };
    // SAFETY: as above.
    unsafe { stack::set_completion_routine(irp, Some(came_back), null_mut(), stack::ALWAYS) };
    // SAFETY: a complete request for the device.
    let status = unsafe { crate::io_manager::call::call_driver(device, irp, 0) };
    assert_eq!(status, STATUS_IO_DEVICE_ERROR);
    assert_eq!(
        CAME_BACK.load(Ordering::Acquire),
        STATUS_IO_DEVICE_ERROR as u32 as usize
    );
    // SAFETY: it has come back.
    unsafe { requests::free(irp, 0) };
}
