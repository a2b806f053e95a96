//! File systems and those who listen for them.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "control devices are looked at by pointer"
)]

use super::drivers::new_driver;
use crate::io_manager::{device, raw, registration};
use crate::nt::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DO_LOW_PRIORITY_FILESYSTEM,
    FILE_DEVICE_TAPE_FILE_SYSTEM, STATUS_DEVICE_ALREADY_ATTACHED, STATUS_SUCCESS,
};
use std::sync::Mutex;

/// What the listener was told of, of this test's devices: device and whether it came.
static TOLD: Mutex<Vec<(usize, bool)>> = Mutex::new(Vec::new());

unsafe extern "win64" fn listen(control: *mut DEVICE_OBJECT, active: u8) {
    TOLD.lock()
        .expect("no panic")
        .push((control as usize, active != 0));
}

unsafe extern "win64" fn also(_: *mut DEVICE_OBJECT, _: u8) {}

#[test]
fn listeners_hear_of_existing_and_new_file_systems_and_the_newest_is_asked_first() {
    raw::start();
    let driver = new_driver();
    // Tape, because no other test registers a file system for it.
    let queue = || registration::file_systems(crate::nt::FILE_DEVICE_TAPE);
    let told = |about: &[*mut DEVICE_OBJECT]| {
        let told = std::mem::take(&mut *TOLD.lock().expect("no panic"));
        let mine =
            |(control, _): &(usize, bool)| about.iter().any(|device| *device as usize == *control);
        told.into_iter().filter(mine).collect::<Vec<_>>()
    };
    // SAFETY: the devices are the test's; unregistered before they are deleted.
    unsafe {
        let new = || {
            device::create(driver, 0, None, FILE_DEVICE_TAPE_FILE_SYSTEM, 0, false)
                .expect("no name")
        };
        let (old, young, low) = (new(), new(), new());
        let [raw] = queue()[..] else {
            panic!("RAW alone")
        };
        registration::register_file_system(old);
        assert_eq!((*old).Flags & DO_DEVICE_INITIALIZING, 0);
        assert_eq!((*old).ReferenceCount, 1);
        assert_eq!(
            registration::register_change(driver, listen),
            STATUS_SUCCESS
        );
        assert_eq!(
            told(&[old, raw]),
            [(old as usize, true)],
            "RAW is not reported"
        );
        assert_eq!(
            registration::register_change(driver, listen),
            STATUS_DEVICE_ALREADY_ATTACHED
        );
        assert_eq!(registration::register_change(driver, also), STATUS_SUCCESS);
        registration::register_file_system(young);
        (*low).Flags |= DO_LOW_PRIORITY_FILESYSTEM;
        registration::register_file_system(low);
        assert_eq!(queue(), [young, old, low, raw]);
        assert_eq!(
            told(&[old, young, low]),
            [(young as usize, true), (low as usize, true)]
        );
        registration::unregister_file_system(old);
        assert_eq!(told(&[old, young, low]), [(old as usize, false)]);
        assert_eq!((*old).ReferenceCount, 0);
        registration::unregister_change(driver, listen);
        registration::unregister_change(driver, also);
        registration::unregister_file_system(young);
        registration::unregister_file_system(low);
        assert_eq!(told(&[old, young, low]), []);
        assert_eq!(queue(), [raw]);
        for device in [old, young, low] {
            device::delete(device, 0);
        }
        crate::io_manager::driver::delete_native(driver);
    }
}

#[test]
fn a_listener_may_register_from_inside_its_notification() {
    static DRIVER: Mutex<usize> = Mutex::new(0);
    unsafe extern "win64" fn nested(control: *mut DEVICE_OBJECT, active: u8) {
        let driver = *DRIVER.lock().expect("no panic") as *mut crate::nt::DRIVER_OBJECT;
        // SAFETY: the driver is alive; the resource is recursive.
        unsafe {
            if active != 0 && (*control).DriverObject == driver {
                registration::register_change(driver, also);
            }
        }
    }
    let driver = new_driver();
    *DRIVER.lock().expect("no panic") = driver as usize;
    // SAFETY: as above.
    unsafe {
        assert_eq!(
            registration::register_change(driver, nested),
            STATUS_SUCCESS
        );
        // A type without a queue is announced all the same.
        let odd = device::create(driver, 0, None, crate::nt::FILE_DEVICE_UNKNOWN, 0, false)
            .expect("no name");
        registration::register_file_system(odd);
        registration::unregister_file_system(odd);
        registration::unregister_change(driver, also);
        registration::unregister_change(driver, nested);
        device::delete(odd, 0);
        crate::io_manager::driver::delete_native(driver);
    }
}
