//! Devices found by name.
//!
//! Wraps `IoGetDeviceObjectPointer`.

#![expect(unsafe_code, reason = "the DDI returns a referenced file object")]

use crate::device::DeviceObject;
use crate::irql::Passive;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use wdk_sys::{FILE_READ_ATTRIBUTES, ntddk};

/// Calls `body` with the device called `name`, which an open file keeps for that time.
///
/// Errors: STATUS_OBJECT_NAME_NOT_FOUND and the others of the DDI; what `body` returns.
///
/// Rests on IoGetDeviceObjectPointer: "The IoGetDeviceObjectPointer routine returns a pointer to the top object
/// in the named device object's stack and a pointer to the corresponding file object, if the requested access
/// to the objects can be granted."
/// Rests on ObfDereferenceObject: "The ObDereferenceObject routine decrements the given object's reference
/// count and performs retention checks."
pub fn with<R>(
    name: UnicodeStr<'_>,
    level: &mut Passive,
    body: impl FnOnce(&DeviceObject, &mut Passive) -> Result<R, Status>,
) -> Result<R, Status> {
    let mut name = name.as_raw();
    let mut file = core::ptr::null_mut();
    let mut device = core::ptr::null_mut();
    // SAFETY: the name and the places for the results are valid; PASSIVE_LEVEL by the token.
    Status(unsafe {
        ntddk::IoGetDeviceObjectPointer(
            &raw mut name,
            FILE_READ_ATTRIBUTES,
            &raw mut file,
            &raw mut device,
        )
    })
    .into_result()?;
    // SAFETY: the file object, referenced until below, keeps the device.
    let result = body(unsafe { DeviceObject::from_raw(device) }, level);
    // SAFETY: the DDI referenced the file object, not the device.
    unsafe { ntddk::ObfDereferenceObject(file.cast()) };
    result
}
