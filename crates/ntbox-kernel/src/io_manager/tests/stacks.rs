//! Device objects: creation, attaching, detaching, deletion, references.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "devices are looked at by pointer"
)]

use super::drivers::{Behaviour, Stack, new_driver};
use crate::io_manager::{device, device_checks, driver, lookup, namespace};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DO_DEVICE_HAS_NAME, DO_DEVICE_INITIALIZING, FAST_IO_DISPATCH,
    FILE_DEVICE_CD_ROM_FILE_SYSTEM, FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_UNKNOWN,
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS,
};
use crate::nt::{FILE_DEVICE_CD_ROM, FILE_DEVICE_DISK, FILE_DEVICE_TAPE};
use crate::processor::{lifetime, object};
use crate::verifier::{capture, rules};
use std::ptr::null_mut;
use std::sync::Mutex;

#[test]
fn creation_has_the_documented_side_effects() {
    let driver = new_driver();
    // SAFETY: the devices are the test's and deleted by it.
    unsafe {
        for (device_type, sector, has_vpb) in [
            (FILE_DEVICE_UNKNOWN, 0, false),
            (FILE_DEVICE_DISK, 512, true),
            (FILE_DEVICE_DISK_FILE_SYSTEM, 512, false),
            (FILE_DEVICE_CD_ROM, 2048, true),
            (FILE_DEVICE_CD_ROM_FILE_SYSTEM, 2048, false),
            (FILE_DEVICE_TAPE, 0, true),
        ] {
            let created = device::create(driver, 24, None, device_type, 0, false).expect("no name");
            let object = &*created;
            assert_eq!(
                (object.Type, object.StackSize, object.ReferenceCount),
                (3, 1, 0)
            );
            assert_eq!(object.Size, 0x150 + 24);
            assert_eq!(object.Flags, DO_DEVICE_INITIALIZING);
            assert_eq!(
                (object.SectorSize, object.Vpb.is_null()),
                (sector, !has_vpb)
            );
            assert_eq!(object.DeviceExtension.addr(), created.addr() + 0x150);
            assert_eq!(object.DeviceExtension.addr() % 16, 0);
            assert_eq!(
                std::slice::from_raw_parts(object.DeviceExtension.cast::<u8>(), 24),
                [0; 24]
            );
            assert_eq!((*object.DeviceObjectExtension).DeviceObject, created);
            if has_vpb {
                assert_eq!((*object.Vpb).RealDevice, created);
                assert_eq!(((*object.Vpb).Flags, (*object.Vpb).Type), (0, 10));
            }
            assert_eq!(device::devices_of(driver), [created]);
            device::delete(created, 0);
            assert!(device::devices_of(driver).is_empty());
        }
        let bare = device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, false).expect("no name");
        assert!((*bare).DeviceExtension.is_null());
        let newer = device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, true).expect("no name");
        assert_eq!(
            device::devices_of(driver),
            [newer, bare],
            "the newest comes first"
        );
        device::delete(bare, 0);
        assert_eq!(device::devices_of(driver), [newer]);
        device::delete(newer, 0);
        driver::delete_native(driver);
    }
}

#[test]
fn names_collide_and_go_with_their_device() {
    let driver = new_driver();
    let name = Some(r"\Device\StacksNamed");
    // SAFETY: as above.
    unsafe {
        let named =
            device::create(driver, 0, name, FILE_DEVICE_UNKNOWN, 0, false).expect("a free name");
        assert_ne!((*named).Flags & DO_DEVICE_HAS_NAME, 0);
        let again = device::create(driver, 0, name, FILE_DEVICE_UNKNOWN, 0, false);
        assert_eq!(again, Err(STATUS_OBJECT_NAME_COLLISION));
        assert_eq!(device::devices_of(driver), [named]);
        assert!(device::describe(named).contains("StacksNamed"));
        device::delete(named, 0);
        assert!(namespace::lookup(r"\Device\StacksNamed").is_err());
        driver::delete_native(driver);
    }
}

#[test]
fn attaching_builds_the_stack_upwards() {
    let stack = Stack::new(&[
        Behaviour::Complete,
        Behaviour::Propagate,
        Behaviour::Propagate,
    ]);
    let [bottom, middle, top] = stack.devices[..] else {
        panic!("three devices")
    };
    // SAFETY: the stack is alive.
    unsafe {
        assert_eq!(
            [(*bottom).StackSize, (*middle).StackSize, (*top).StackSize],
            [1, 2, 3]
        );
        assert_eq!((*top).SectorSize, 512);
        assert_eq!(
            [
                (*bottom).AttachedDevice,
                (*middle).AttachedDevice,
                (*top).AttachedDevice
            ],
            [middle, top, null_mut()]
        );
        assert_eq!(
            [
                device::lower(bottom),
                device::lower(middle),
                device::lower(top)
            ],
            [null_mut(), bottom, middle]
        );
        assert_eq!(
            [stack.extension(1).lower, stack.extension(2).lower],
            [bottom, middle]
        );
        for any in [bottom, middle, top] {
            assert_eq!(device::top_of_stack(any), top);
            assert_eq!(device::attachment_base(any), bottom);
        }
        for (found, expected) in [
            (device::reference_top_of_stack(bottom), top),
            (device::reference_lower(top), middle),
            (device::reference_attachment_base(top), bottom),
        ] {
            assert_eq!(found, expected);
            assert_eq!(object::pointer_count(found.cast()), 2);
            lifetime::dereference(found.cast());
        }
        assert!(device::reference_lower(bottom).is_null());
    }
}

#[test]
fn an_initializing_device_cannot_be_attached_to() {
    let driver = new_driver();
    // SAFETY: the devices are the test's and deleted by it.
    unsafe {
        let target =
            device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, false).expect("no name");
        let source =
            device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, false).expect("no name");
        let mut attached = source;
        let status = device::attach_to_stack_safe(source, target, &raw mut attached);
        assert_eq!((status, attached), (STATUS_NO_SUCH_DEVICE, null_mut()));
        assert_eq!((*source).StackSize, 1);
        device::finish_initializing(target);
        assert_eq!(
            device::attach_to_stack_safe(source, target, &raw mut attached),
            STATUS_SUCCESS
        );
        // The flag of the attached device itself is its driver's to clear, where it has attached it.
        device_checks::created(source, 0x1000);
        device_checks::attached(source, 0x2000);
        let (_, violations) = capture(|| device::check_initializing(driver));
        assert_eq!(violations[0].rule, &rules::INITIALIZING_FLAG_LEFT);
        let sites = [("attached by", 0x2000), ("created by", 0x1000)];
        assert_eq!(violations[0].sites, sites);
        device::finish_initializing(source);
        let (_, violations) = capture(|| device::check_initializing(driver));
        assert!(violations.is_empty());
        device::detach(target, 0);
        device::delete(source, 0);
        device::delete(target, 0);
        driver::delete_native(driver);
    }
}

#[test]
fn a_device_being_deleted_cannot_be_attached_to() {
    let driver = new_driver();
    // SAFETY: as above; the reference keeps the deleted device.
    unsafe {
        let target =
            device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, false).expect("no name");
        let source =
            device::create(driver, 0, None, FILE_DEVICE_UNKNOWN, 0, false).expect("no name");
        device::finish_initializing(target);
        lifetime::reference(target.cast());
        device::delete(target, 0);
        let mut attached = source;
        assert_eq!(
            device::attach_to_stack_safe(source, target, &raw mut attached),
            STATUS_NO_SUCH_DEVICE
        );
        lifetime::dereference(target.cast());
        device::delete(source, 0);
        driver::delete_native(driver);
    }
}

#[test]
fn an_enumerated_list_is_referenced_and_says_how_long_it_should_be() {
    let stack = Stack::new(&[
        Behaviour::Complete,
        Behaviour::Propagate,
        Behaviour::Propagate,
    ]);
    let mut list = [null_mut(); 3];
    let mut actual = 0;
    // SAFETY: the list has the bytes that are passed.
    unsafe {
        let enumerate = |list: *mut *mut DEVICE_OBJECT, bytes, actual: &mut u32| {
            lookup::enumerate_devices(stack.driver, list, bytes, actual)
        };
        assert_eq!(
            enumerate(null_mut(), 0, &mut actual),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(actual, 3);
        assert_eq!(
            enumerate(list.as_mut_ptr(), 16, &mut actual),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!((actual, list[2]), (3, null_mut()));
        for device in &list[..2] {
            assert_eq!(object::pointer_count((*device).cast()), 2);
            lifetime::dereference((*device).cast());
        }
        assert_eq!(
            enumerate(list.as_mut_ptr(), 24, &mut actual),
            STATUS_SUCCESS
        );
        assert_eq!(
            list,
            [stack.devices[2], stack.devices[1], stack.devices[0]],
            "newest first"
        );
        for device in list {
            lifetime::dereference(device.cast());
        }
        assert_eq!(
            lookup::disk_device(stack.devices[0]),
            Err(STATUS_INVALID_PARAMETER)
        );
    }
}

#[test]
fn wrong_deletes_and_detaches_are_caught() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
    let [bottom, top] = stack.devices[..] else {
        panic!("two devices")
    };
    // SAFETY: the stack is alive; `top` is kept by the reference.
    unsafe {
        lifetime::reference(top.cast());
        let (_, violations) = capture(|| device::delete(top, 0));
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].rule, &rules::DELETED_WHILE_ATTACHED);
        let (_, violations) = capture(|| device::delete(top, 0));
        assert_eq!(violations[0].rule, &rules::DELETED_TWICE);
        let (_, violations) = capture(|| device::detach(bottom, 0));
        assert_eq!(violations[0].rule, &rules::DETACHED_TWICE);
        lifetime::dereference(top.cast());
        device::delete(bottom, 0);
        driver::delete_native(stack.driver);
    }
    std::mem::forget(stack);
}

/// Devices that FastIoDetachDevice was called for, with those they were attached to.
static DETACHED: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

unsafe extern "win64" fn detach_device(source: *mut DEVICE_OBJECT, target: *mut DEVICE_OBJECT) {
    DETACHED
        .lock()
        .expect("no panic")
        .push((source as usize, target as usize));
    // SAFETY: what FastIoDetachDevice of a filter does.
    unsafe {
        device::detach(target, 0);
        device::delete(source, 0);
    }
}

#[test]
fn deleting_the_bottom_detaches_everything_above_in_order() {
    static TABLE: FAST_IO_DISPATCH = {
        // SAFETY: null entries are None.
        let mut table: FAST_IO_DISPATCH = unsafe { std::mem::zeroed() };
        table.SizeOfFastIoDispatch = size_of::<FAST_IO_DISPATCH>() as u32;
        table.FastIoDetachDevice = Some(detach_device);
        table
    };
    let stack = Stack::new(&[
        Behaviour::Complete,
        Behaviour::Propagate,
        Behaviour::Propagate,
    ]);
    let [bottom, middle, top] = stack.devices[..] else {
        panic!("three devices")
    };
    // SAFETY: the stack is alive; no request is in flight.
    unsafe {
        (*stack.driver).set_fast_io(&raw const TABLE);
        let (_, violations) = capture(|| device::delete(bottom, 0));
        assert!(violations.is_empty(), "{violations:?}");
        let detached = std::mem::take(&mut *DETACHED.lock().expect("no panic"));
        assert_eq!(
            detached,
            [
                (middle as usize, bottom as usize),
                (top as usize, middle as usize)
            ]
        );
        assert!(device::devices_of(stack.driver).is_empty());
        driver::delete_native(stack.driver);
    }
    std::mem::forget(stack);
}

#[test]
fn a_filter_that_does_not_detach_is_caught() {
    let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
    let [bottom, top] = stack.devices[..] else {
        panic!("two devices")
    };
    // SAFETY: the stack is alive; no request is in flight.
    unsafe {
        let (_, violations) = capture(|| device::delete(bottom, 0));
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].rule, &rules::DELETED_WHILE_ATTACHED);
        assert!(
            device::lower(top).is_null(),
            "the box takes it off to go on"
        );
        device::delete(top, 0);
        driver::delete_native(stack.driver);
    }
    std::mem::forget(stack);
}
