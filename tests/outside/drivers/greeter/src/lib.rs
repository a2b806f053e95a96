//! Says hello when it is loaded and goodbye when it is unloaded, and exports a function.

#![no_std]

extern crate alloc;
extern crate wdk_panic;

use alloc::string::String;

use wdk::println;
use wdk_alloc::WdkAllocator;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, STATUS_SUCCESS, ULONG};

#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

const CONFIGURATION: &str = if cfg!(from_configuration) {
    "as configured"
} else {
    "by default"
};

/// Called by the system when the driver is loaded.
// SAFETY: this is the name that the system's loader knows; nothing else here has it.
#[unsafe(export_name = "DriverEntry")]
pub extern "system" fn driver_entry(driver: &mut DRIVER_OBJECT, _: PCUNICODE_STRING) -> NTSTATUS {
    driver.DriverUnload = Some(unload);
    let mut greeting = String::from(words::GREETING);
    greeting.push_str(concat!(", I am ", env!("ORIGIN"), ", "));
    println!("{greeting}{CONFIGURATION}");
    STATUS_SUCCESS
}

extern "C" fn unload(_: *mut DRIVER_OBJECT) {
    println!("Goodbye");
}

/// The number of greetings that this driver knows, for other drivers.
// SAFETY: nothing else here has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Greet() -> ULONG {
    1
}

/// Does nothing, in too many words.
#[cfg(feature = "careless")]
pub fn careless() {
    return;
}
