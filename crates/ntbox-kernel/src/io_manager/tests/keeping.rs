//! What keeps a device and its driver: guarded completion routines, work items;
//! and what a driver keeps with the I/O manager.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "devices and items are looked at by pointer"
)]

use super::behaviours::propagate;
use super::drivers::{Behaviour, Stack, issue_synchronously, new_driver, originate};
use crate::io_manager::work_item::{self, Routine, WorkItem};
use crate::io_manager::{complete, driver, error_log, file, filter_callbacks, stack, unload_safe};
use crate::nt::fs_filter::Pair;
use crate::nt::{
    DEVICE_OBJECT, FS_FILTER_CALLBACK_DATA, FS_FILTER_CALLBACKS, IO_ERROR_LOG_PACKET,
    IRP_SYNCHRONOUS_API, IrpExt, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_PENDING, STATUS_SUCCESS,
    UNICODE_STRING,
};
use crate::pool;
use crate::processor::work;
use crate::processor::{lifetime, object};
use crate::verifier::capture;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn a_guarded_routine_holds_its_device_until_it_has_returned() {
    let stack = Stack::new(&[Behaviour::Hold]);
    let owner = Stack::new(&[Behaviour::Complete]);
    let own = owner.devices[0];
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    // SAFETY: the request is the test's until it is sent.
    unsafe {
        // The request gets a location of the owner's: it is sent on from there.
        assert_eq!(
            unload_safe::set(own, request.irp, propagate, own.cast(), stack::ALWAYS, 0),
            STATUS_SUCCESS
        );
        assert_eq!(object::pointer_count(own.cast()), 2);
        assert_eq!(unload_safe::outstanding(owner.driver), 1);
        let location = request.irp.next_location();
        let routine = (*location).CompletionRoutine.expect("set");
        assert_ne!(routine as usize, propagate as *const () as usize);
        let reported = unload_safe::routine_to_report(routine, (*location).Context);
        assert_eq!(
            reported, propagate as *const () as usize,
            "reports name the driver's own"
        );
        assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
        complete::complete_request(stack.held(0), 0, 0);
        assert_eq!(owner.extension(0).routines.load(Ordering::Acquire), 1);
        assert_eq!(object::pointer_count(own.cast()), 1);
        assert_eq!(unload_safe::outstanding(owner.driver), 0);
    }
    assert!(request.seen(STATUS_PENDING).signaled);
}

static RAN: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn run(_: *mut DEVICE_OBJECT, context: *mut c_void) {
    RAN.fetch_add(context as u32, Ordering::AcqRel);
}

unsafe extern "win64" fn run_and_free(_: *mut c_void, context: *mut c_void, item: *mut WorkItem) {
    RAN.fetch_add(context as u32, Ordering::AcqRel);
    // SAFETY: an item may be freed by its own routine.
    unsafe { work_item::free(item, 0) };
}

#[test]
fn a_work_item_holds_its_device_while_it_is_queued() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let owner = stack.devices[0];
    // SAFETY: the device is alive; each item is used once at a time.
    unsafe {
        let item = work_item::allocate(owner.cast(), 0);
        work_item::queue(item, Routine::Device(run), std::ptr::dangling_mut(), 0);
        let own = work_item::allocate(stack.driver.cast(), 0);
        work_item::queue(own, Routine::Extended(run_and_free), 10 as *mut c_void, 0);
        while work_item::outstanding(stack.driver) != 0 {
            std::thread::yield_now();
        }
        assert_eq!(RAN.load(Ordering::Acquire), 11);
        work_item::queue(item, Routine::Device(run), 100 as *mut c_void, 0);
        while work_item::outstanding(stack.driver) != 0 {
            std::thread::yield_now();
        }
        assert_eq!(
            RAN.load(Ordering::Acquire),
            111,
            "an item can be queued again"
        );
        while object::pointer_count(owner.cast()) != 1 {
            std::thread::yield_now();
        }
        work_item::free(item, 0);
    }
    work::queue(Box::new(|| {}));
}

#[test]
fn a_driver_has_one_extension_for_each_identification() {
    let owner = new_driver();
    let (one, two) = (
        std::ptr::dangling::<u8>().cast::<c_void>(),
        std::ptr::dangling::<u16>().cast(),
    );
    let block = driver::allocate_extension(owner, one, 32).expect("the first");
    assert_eq!(driver::allocate_extension(owner, one, 32), None);
    assert_eq!(driver::extension(owner, one), block);
    assert!(driver::extension(owner, two).is_null());
    assert!(driver::drivers().contains(&owner));
    // SAFETY: it has no devices.
    unsafe { driver::delete_native(owner) };
    assert!(!driver::drivers().contains(&owner));
}

#[test]
fn the_error_log_keeps_what_was_written() {
    let owner = Stack::new(&[Behaviour::Complete]);
    // SAFETY: the packet has the bytes that are written.
    unsafe {
        let text: Vec<u16> = "one\0two\0".encode_utf16().collect();
        let header = std::mem::offset_of!(IO_ERROR_LOG_PACKET, DumpData);
        let packet = error_log::allocate(owner.devices[0].cast(), (header + 4 + 16) as u8, 0);
        let log: *mut IO_ERROR_LOG_PACKET = packet.cast();
        (*log).ErrorCode = 0x4004_0001;
        (*log).UniqueErrorValue = 4711;
        (*log).DumpDataSize = 4;
        (*log).DumpData = [0x0403_0201];
        (*log).NumberOfStrings = 2;
        (*log).StringOffset = (header + 4) as u16;
        std::ptr::copy_nonoverlapping(
            text.as_ptr(),
            packet.byte_add(header + 4).cast(),
            text.len(),
        );
        error_log::write(packet, 0);
        for (bytes, refused) in [(47, true), (48, false), (240, false), (241, true)] {
            let (packet, reported) =
                capture(|| error_log::allocate(owner.devices[0].cast(), bytes, 0));
            assert_eq!((packet.is_null(), reported.len() == 1), (refused, refused));
            if !packet.is_null() {
                error_log::free(packet, 0);
            }
        }
    }
    let entry = error_log::entries()
        .into_iter()
        .find(|entry| entry.unique_value == 4711)
        .expect("written");
    assert_eq!(
        (entry.strings, entry.dump),
        (vec!["one".to_owned(), "two".to_owned()], vec![1, 2, 3, 4])
    );
}

static ORDER: std::sync::Mutex<Vec<(u8, usize)>> = std::sync::Mutex::new(Vec::new());

unsafe extern "win64" fn before(
    data: *mut FS_FILTER_CALLBACK_DATA,
    context: *mut *mut c_void,
) -> NTSTATUS {
    // SAFETY: the caller's structure.
    unsafe {
        ORDER
            .lock()
            .expect("no panic")
            .push((0, (*data).DeviceObject as usize));
        *context = (*data).DeviceObject.cast();
        super::drivers::extension((*data).DeviceObject).status
    }
}

unsafe extern "win64" fn after(
    data: *mut FS_FILTER_CALLBACK_DATA,
    status: NTSTATUS,
    context: *mut c_void,
) {
    // SAFETY: the caller's structure.
    unsafe { assert_eq!(context, (*data).DeviceObject.cast()) };
    let outcome = if status == STATUS_SUCCESS { 1 } else { 2 };
    ORDER
        .lock()
        .expect("no panic")
        .push((outcome, context as usize));
}

#[test]
fn filter_callbacks_nest_and_may_refuse() {
    use crate::io_manager::filter_callbacks::Operation;
    let stack = Stack::new(&[
        Behaviour::Complete,
        Behaviour::Propagate,
        Behaviour::Propagate,
    ]);
    let [bottom, middle, top] = [0, 1, 2].map(|index| stack.devices[index] as usize);
    let pair = Pair {
        Pre: Some(before),
        Post: Some(after),
    };
    let callbacks = FS_FILTER_CALLBACKS {
        SizeOfFsFilterCallbacks: size_of::<FS_FILTER_CALLBACKS>() as u32,
        AcquireForSectionSynchronization: pair,
        ReleaseForSectionSynchronization: pair,
        ..Default::default()
    };
    let acquire = Operation::AcquireForSection {
        section_type: 1,
        page_protection: 4,
    };
    let forced = Operation::AcquireForSection {
        section_type: 0,
        page_protection: 0,
    };
    // SAFETY: the devices outlive the file, which is never opened.
    unsafe {
        assert_eq!(
            filter_callbacks::register(stack.driver, &raw const callbacks),
            STATUS_SUCCESS
        );
        let opened = file::create(stack.devices[0], &[], 0);
        let run = |operation| {
            ORDER.lock().expect("no panic").clear();
            let status = filter_callbacks::invoke(opened, operation);
            (status, ORDER.lock().expect("no panic").clone())
        };
        let nested = vec![
            (0, top),
            (0, middle),
            (0, bottom),
            (1, bottom),
            (1, middle),
            (1, top),
        ];
        assert_eq!(run(acquire), (STATUS_SUCCESS, nested.clone()));
        stack.extension(1).status = STATUS_ACCESS_DENIED;
        assert_eq!(
            run(acquire),
            (STATUS_ACCESS_DENIED, vec![(0, top), (0, middle), (2, top)])
        );
        assert_eq!(
            run(forced),
            (STATUS_SUCCESS, nested.clone()),
            "this type cannot be refused"
        );
        assert_eq!(run(Operation::ReleaseForSection), (STATUS_SUCCESS, nested));
        filter_callbacks::forget(stack.driver);
        lifetime::dereference(opened.cast());
        assert_eq!((*stack.devices[0]).ReferenceCount, 0);
    }
    stack.extension(1).status = STATUS_SUCCESS;
    assert_eq!(issue_synchronously(stack.top()).returned, STATUS_SUCCESS);
}

#[test]
fn the_name_of_a_file_has_no_terminator_and_may_be_replaced() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let name: Vec<u16> = r"\dir\file.txt".encode_utf16().collect();
    // SAFETY: the file is never opened, and its name is this test's.
    let (replacement, found) = capture(|| unsafe {
        let opened = file::create(stack.devices[0], &name, 0);
        let string = &raw mut (*opened).FileName;
        assert_eq!((*string).MaximumLength, (*string).Length);
        assert_ne!((*string).Buffer.add(name.len()).read(), 0);
        pool::free((*string).Buffer.cast(), None, 1);
        let replacement = pool::allocate(pool::Kind::NonPaged, 4, 1, 1);
        *string = UNICODE_STRING {
            Length: 4,
            MaximumLength: 4,
            Buffer: replacement.cast(),
        };
        lifetime::dereference(opened.cast());
        replacement as usize
    });
    assert!(found.is_empty(), "{found:?}");
    assert!(pool::block_at(replacement).is_none());
}
