//! A small file system for Wine, and the kernel routines for filters that Wine lacks.
//!
//! Wine's kernel has devices, requests and drivers, but nothing of what belongs to file systems.
//! This driver brings both halves: a file system with two volumes that a program can open, and,
//! exported under the kernel's own names, the routines that a filter needs and Wine only has as
//! stubs. The filter under test is the shipped image with those imports bound to this one.
//!
//! Where Windows has its I/O manager mount and dismount, a program asks the control device for it.
//!
//! | module | holds |
//! |---|---|
//! | [`exports`] | the routines that Wine lacks |
//! | [`devices`] | the devices of this driver, and which request goes where |
//! | [`volume`] | what a volume does with a request |
//! | [`answer`] | when it completes it |
//! | [`mount`] | mounting and dismounting |
//! | [`control`] | the requests of the control device |
//! | [`kernel`] | the inline routines of `wdm.h` |
//! | [`spin`] | a lock |

#![no_std]
#![expect(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    reason = "stands for the kernel and for a driver written in C; every function is raw"
)]

extern crate wdk_panic;

mod answer;
mod control;
mod devices;
mod exports;
mod kernel;
mod mount;
mod spin;
mod volume;

use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PUNICODE_STRING};

/// The entry point of the image.
///
/// # Safety
/// Called once by the I/O manager, at PASSIVE_LEVEL, with the driver's own object.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    _registry_path: PUNICODE_STRING,
) -> NTSTATUS {
    for routine in &mut (*driver).MajorFunction {
        *routine = Some(devices::dispatch);
    }
    (*driver).DriverUnload = Some(driver_unload);
    devices::create(driver)
}

/// DriverUnload. The programs that test stop every filter and close every handle before.
///
/// # Safety
/// Called once by the I/O manager, at PASSIVE_LEVEL.
unsafe extern "C" fn driver_unload(driver: *mut DRIVER_OBJECT) {
    devices::delete(driver);
}
