//! fsglass: stub entry while the layer is being written.
#![no_std]
extern crate wdk_panic;
use wdk_alloc::WdkAllocator;
#[global_allocator]
static A: WdkAllocator = WdkAllocator;
/// Entry.
#[expect(unsafe_code, reason = "the exported entry point")]
// SAFETY: the name is the image's entry point.
#[unsafe(export_name = "DriverEntry")]
pub extern "system" fn driver_entry(_driver: *mut core::ffi::c_void, _path: *const core::ffi::c_void) -> i32 { 0 }
