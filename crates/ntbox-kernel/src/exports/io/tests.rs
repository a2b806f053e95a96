//! Routines on requests and files that are sent down and waited for.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver works on requests by pointer"
)]

use super::*;
use crate::exports::test_device;
use crate::io_manager::{complete, file, irp, namespace, request};
use crate::nt::*;
use crate::pool;
use crate::processor::{dispatcher, irql, lifetime, work};
use crate::verifier::capture;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// The device below the one that forwards, and what it got.
static LOWER: AtomicPtr<DEVICE_OBJECT> = AtomicPtr::new(null_mut());
static MAJORS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// The tests share the devices.
static TURN: Mutex<()> = Mutex::new(());
/// What IoForwardIrpSynchronously has returned.
static FORWARDED: AtomicUsize = AtomicUsize::new(7);

fn majors() -> Vec<u32> {
    std::mem::take(&mut *MAJORS.lock().expect("no panic"))
}

const PATH: &str = r"\folder\file.txt";

/// Forwards at the upper device; at the lower one, pends a flush, tells a name, and completes all else.
unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let lower = LOWER.load(Ordering::Acquire);
    // SAFETY: a dispatch routine gets a live request with its location.
    unsafe {
        if !lower.is_null() && device != lower {
            let sent = synchronous::forward_irp_synchronously(lower, irp, 0);
            FORWARDED.store(usize::from(sent), Ordering::Release);
            let status = if sent == 0 {
                STATUS_INVALID_DEVICE_REQUEST
            } else {
                (*irp).IoStatus.Anonymous.Status
            };
            return complete::finish(irp, status, (*irp).IoStatus.Information);
        }
        let major = u32::from((*irp.current_location()).MajorFunction);
        MAJORS.lock().expect("no panic").push(major);
        match major {
            IRP_MJ_FLUSH_BUFFERS => {
                irp::mark_pending(irp);
                let irp = irp as usize;
                work::queue(Box::new(move || {
                    complete::finish(irp as *mut IRP, STATUS_SUCCESS, 42);
                }));
                STATUS_PENDING
            }
            IRP_MJ_QUERY_INFORMATION => {
                let buffer = (*irp).AssociatedIrp.SystemBuffer;
                let name: Vec<u16> = PATH.encode_utf16().collect();
                buffer.cast::<u32>().write(name.len() as u32 * 2);
                let text: *mut u16 = buffer.cast::<u16>().add(2);
                text.copy_from_nonoverlapping(name.as_ptr(), name.len());
                complete::finish(irp, STATUS_SUCCESS, 4 + name.len() * 2)
            }
            _ => complete::finish(irp, STATUS_SUCCESS, 0),
        }
    }
}

fn new_device(name: Option<&str>) -> *mut DEVICE_OBJECT {
    static DRIVER: OnceLock<usize> = OnceLock::new();
    let driver = *DRIVER
        .get_or_init(|| test_device::driver(r"\Driver\IoTest", dispatch).expose_provenance());
    test_device::device(std::ptr::with_exposed_provenance_mut(driver), name)
}

/// A flush, sent to a device that was made for `locations` of them, and how it ended.
fn flush(top: *mut DEVICE_OBJECT, locations: i8) -> (NTSTATUS, usize) {
    let (mut event, mut block) = (KEVENT::default(), IO_STATUS_BLOCK::default());
    let major = IRP_MJ_FLUSH_BUFFERS as u8;
    // SAFETY: event and block outlive the request, which is waited for.
    unsafe {
        (*top).StackSize = locations;
        dispatcher::initialize_event(&raw mut event, false, false);
        let events = &raw mut event;
        let request = request::build_synchronous_fsd(
            major,
            top,
            null_mut(),
            0,
            null(),
            events,
            &raw mut block,
        );
        let status = crate::io_manager::call::call_driver(top, request, 0);
        if status == STATUS_PENDING {
            dispatcher::wait(&[events.cast()], false, None, false);
        }
        crate::processor::thread::deliver_apcs();
        (status, block.Information)
    }
}

#[test]
fn a_request_is_forwarded_and_waited_for() {
    let _turn = TURN.lock();
    let (lower, upper) = (new_device(None), new_device(None));
    LOWER.store(lower, Ordering::Release);
    let (ended, found) = capture(|| flush(upper, 2));
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        ended,
        (STATUS_SUCCESS, 42),
        "what the lower device said later"
    );
    assert_eq!(FORWARDED.load(Ordering::Acquire), 1);
    assert_eq!(majors(), [IRP_MJ_FLUSH_BUFFERS]);
    // A request without a location for the lower device is not sent.
    assert_eq!(flush(upper, 1).0, STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(FORWARDED.load(Ordering::Acquire), 0);
    assert!(majors().is_empty());
    LOWER.store(null_mut(), Ordering::Release);
}

fn name_of(file: *mut FILE_OBJECT) -> String {
    // SAFETY: a live file.
    unsafe { unicode::to_string(&raw const (*file).FileName) }
}

#[test]
fn the_name_of_a_file_is_replaced_if_it_has_one() {
    let _turn = TURN.lock();
    let device = new_device(None);
    let replace = |file, name: &str| {
        let units: Vec<u16> = name.encode_utf16().collect();
        let bytes = units.len() as u16 * 2;
        // SAFETY: a live file.
        unsafe { files::replace_file_object_name(file, units.as_ptr(), bytes, 0) }
    };
    let name: Vec<u16> = r"\short".encode_utf16().collect();
    // SAFETY: the device is alive; the references are given back.
    unsafe {
        let (named, nameless) = (file::create(device, &name, 0), file::create(device, &[], 0));
        assert_eq!(replace(named, r"\a name that is longer"), STATUS_SUCCESS);
        assert_eq!(name_of(named), r"\a name that is longer");
        assert_eq!(replace(nameless, r"\any"), STATUS_INVALID_PARAMETER);
        let (status, found) = capture(|| {
            let _level = irql::raised_to(APC_LEVEL);
            replace(named, r"\b")
        });
        assert_eq!((status, found.len()), (STATUS_SUCCESS, 1));
        lifetime::dereference(named.cast());
        lifetime::dereference(nameless.cast());
    }
}

#[test]
fn a_file_is_named_by_the_letter_of_its_drive() {
    let _turn = TURN.lock();
    let device = new_device(Some(r"\Device\IoTestDrive"));
    namespace::insert_symbolic_link(r"\??\Q:", r"\Device\IoTestDrive").expect("a free name");
    // SAFETY: the device is alive; the structure is freed as the driver has to.
    unsafe {
        let file = file::create(device, &[], 0);
        file::opened(file);
        let mut information = null_mut();
        let status = names::query_file_dos_device_name(file, &raw mut information, 0);
        assert_eq!(status, STATUS_SUCCESS);
        let name = unicode::to_string(&raw const (*information).Name);
        assert_eq!(name, format!("Q:{PATH}"));
        pool::free(information.cast(), None, 0);
        lifetime::dereference(file.cast());
    }
    majors();
}

#[test]
fn an_open_that_is_cancelled_is_cleaned_up_and_closed_once() {
    let _turn = TURN.lock();
    let device = new_device(None);
    // SAFETY: the device is alive; the reference is given back.
    unsafe {
        let file = file::create(device, &[], 0);
        majors();
        synchronous::cancel_file_open(device, file, 0);
        assert_eq!(majors(), [IRP_MJ_CLEANUP, IRP_MJ_CLOSE]);
        assert_ne!((*file).Flags & FO_FILE_OPEN_CANCELLED, 0);
        lifetime::dereference(file.cast());
        assert!(majors().is_empty());
    }
}
