//! Events by handle and by name, and waiting for what a handle leads to.
//!
//! The name of an event goes with its last handle.
//!
//! Source: `ZwCreateEvent`, `ZwOpenEvent`, `ZwSetEvent`, `ZwWaitForSingleObject`, `IoCreateNotificationEvent` in the
//! DDI reference.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::rights::{self, Rights};
use super::{Attributes, OPEN_IF, service};
use crate::exports::ke::objects;
use crate::io_manager::namespace;
use crate::nt::{
    FILE_OBJECT, HANDLE, KEVENT, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_EXISTS,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::pool;
use crate::processor::object::{self, Kind, Procedures};
use crate::processor::{dispatcher, handle, irql, lifetime};
use std::ffi::c_void;
use std::ptr::null_mut;

/// Rights of events.
const EVENT: Rights = Rights {
    read: 0x2_0001,
    write: 0x2_0002,
    execute: 0x12_0000,
    all: 0x1F_0003,
};
/// `EVENT_MODIFY_STATE`.
const MODIFY_STATE: u32 = 0x2;
/// `SYNCHRONIZE`.
const SYNCHRONIZE: u32 = 0x10_0000;

static PROCEDURES: Procedures = Procedures {
    closed: Some(last_handle_closed),
    left: None,
    delete: |_| (),
};

/// Without a handle an event has no name.
unsafe fn last_handle_closed(event: *mut c_void) {
    // SAFETY: a live object.
    if let Some(name) = unsafe { object::name_of(event) } {
        // Whoever takes it away twice finds none.
        let _ = namespace::remove(&name);
    }
}

/// The event behind a handle that was granted `access`.
fn by_handle(handle: HANDLE, access: u32) -> Result<*mut KEVENT, NTSTATUS> {
    let object = handle::object_of_handle(handle)?;
    // SAFETY: the handle keeps the object.
    if unsafe { object::kind_of(object) } != Some(Kind::Event) {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    rights::has(handle::access_of_handle(handle)?, access)?;
    Ok(object.cast())
}

/// The event of a name, referenced.
fn by_name(name: &str) -> Result<*mut c_void, NTSTATUS> {
    let (found, _) = namespace::lookup(name)?;
    // SAFETY: referenced by the look-up.
    if unsafe { object::kind_of(found) } == Some(Kind::Event) {
        return Ok(found);
    }
    // SAFETY: the look-up's reference.
    unsafe { lifetime::dereference(found) };
    Err(STATUS_OBJECT_TYPE_MISMATCH)
}

/// A new event, of that name if it has one, with a reference of the caller.
fn new(name: &str, notification: bool, signaled: bool) -> Result<*mut c_void, NTSTATUS> {
    let event = object::create_with(Kind::Event, size_of::<KEVENT>(), Some(&PROCEDURES));
    // SAFETY: a new object of this size, not yet known to anybody.
    unsafe { dispatcher::initialize_event(event.cast(), notification, signaled) };
    if name.is_empty() {
        return Ok(event);
    }
    // SAFETY: a live object.
    match unsafe { namespace::insert(name, event) } {
        Ok(()) => Ok(event),
        Err(status) => {
            // SAFETY: the creation's reference.
            unsafe { lifetime::dereference(event) };
            Err(status)
        }
    }
}

/// A handle of an event, which takes over the caller's reference.
///
/// # Safety
/// `event` is a live event, `opened` writable.
unsafe fn give(event: *mut c_void, access: u32, kernel: bool, opened: *mut HANDLE) {
    // SAFETY: contract.
    let value = unsafe { handle::open_handle(event, EVENT.granted(access), kernel) };
    // SAFETY: contract; the handle keeps the event.
    unsafe { lifetime::dereference(event) };
    // SAFETY: contract.
    unsafe { opened.write(value) };
}

/// `ZwCreateEvent`. `kind` is an `EVENT_TYPE`: 0 is a notification event.
pub(super) unsafe extern "win64" fn create(
    opened: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    kind: i32,
    signaled: u8,
    caller: usize,
) -> NTSTATUS {
    service("ZwCreateEvent", caller, || {
        if !matches!(kind, 0 | 1) {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read_or_none(attributes) }?;
        if pool::failure::should_fail(caller) {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        let (event, status) = match new(&attributes.name, kind == 0, signaled != 0) {
            Ok(event) => (event, STATUS_SUCCESS),
            Err(STATUS_OBJECT_NAME_COLLISION) if attributes.flags & OPEN_IF != 0 => {
                (by_name(&attributes.name)?, STATUS_OBJECT_NAME_EXISTS)
            }
            Err(status) => return Err(status),
        };
        // SAFETY: a referenced event and the driver's pointer.
        unsafe { give(event, access, attributes.is_kernel_handle(), opened) };
        Ok(status)
    })
}

/// `ZwOpenEvent`.
pub(super) unsafe extern "win64" fn open(
    opened: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenEvent", caller, || {
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read(attributes) }?;
        let event = by_name(&attributes.name)?;
        // SAFETY: a referenced event and the driver's pointer.
        unsafe { give(event, access, attributes.is_kernel_handle(), opened) };
        Ok(STATUS_SUCCESS)
    })
}

/// `ZwSetEvent`.
pub(super) unsafe extern "win64" fn set(
    handle: HANDLE,
    previous: *mut i32,
    caller: usize,
) -> NTSTATUS {
    service("ZwSetEvent", caller, || {
        let event = by_handle(handle, MODIFY_STATE)?;
        // SAFETY: the handle keeps the event.
        let before = unsafe { objects::set_event(event, 0, 0, caller) };
        if !previous.is_null() {
            // SAFETY: the driver's pointer.
            unsafe { previous.write(before) };
        }
        Ok(STATUS_SUCCESS)
    })
}

/// `ZwWaitForSingleObject`: of a file, for the event in it.
pub(super) unsafe extern "win64" fn wait(
    handle: HANDLE,
    alertable: u8,
    timeout: *const i64,
    caller: usize,
) -> NTSTATUS {
    service("ZwWaitForSingleObject", caller, || {
        let (object, granted) = handle::reference_by_handle(handle)?;
        // SAFETY: referenced.
        let awaited = match unsafe { object::kind_of(object) } {
            Some(Kind::Event | Kind::Process | Kind::Thread) => Ok(object),
            Some(Kind::File) => {
                Ok(object.wrapping_byte_add(std::mem::offset_of!(FILE_OBJECT, Event)))
            }
            _ => Err(STATUS_OBJECT_TYPE_MISMATCH),
        };
        let waited = rights::has(granted, SYNCHRONIZE)
            .and(awaited)
            .map(|awaited| {
                // SAFETY: a dispatcher object that the reference keeps, and the driver's timeout.
                unsafe {
                    objects::wait_for_single_object(awaited, 0, 0, alertable, timeout, caller)
                }
            });
        // SAFETY: referenced above.
        unsafe { lifetime::dereference(object) };
        waited
    })
}

/// The event of the name, made if there is none, and a kernel handle of it; null if it cannot be had.
///
/// # Safety
/// `name` is the driver's string, `opened` writable.
unsafe fn create_or_open(
    ddi: &'static str,
    name: *const UNICODE_STRING,
    opened: *mut HANDLE,
    notification: bool,
    caller: usize,
) -> *mut KEVENT {
    irql::require(ddi, caller);
    if pool::failure::should_fail(caller) {
        return null_mut();
    }
    // SAFETY: contract.
    let name = unsafe { unicode::to_string(name) };
    let event = match new(&name, notification, true) {
        Err(STATUS_OBJECT_NAME_COLLISION) => by_name(&name),
        made => made,
    };
    let Ok(event) = event else {
        return null_mut();
    };
    // SAFETY: a referenced event, and contract.
    unsafe { give(event, EVENT.all, true, opened) };
    event.cast()
}

/// `IoCreateNotificationEvent`.
pub(in crate::exports) unsafe extern "win64" fn create_notification(
    name: *const UNICODE_STRING,
    opened: *mut HANDLE,
    caller: usize,
) -> *mut KEVENT {
    // SAFETY: the driver's string and pointer.
    unsafe { create_or_open("IoCreateNotificationEvent", name, opened, true, caller) }
}

/// `IoCreateSynchronizationEvent`.
pub(in crate::exports) unsafe extern "win64" fn create_synchronization(
    name: *const UNICODE_STRING,
    opened: *mut HANDLE,
    caller: usize,
) -> *mut KEVENT {
    // SAFETY: the driver's string and pointer.
    unsafe { create_or_open("IoCreateSynchronizationEvent", name, opened, false, caller) }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
