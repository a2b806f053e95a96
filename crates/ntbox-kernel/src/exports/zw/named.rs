//! Objects of which all there is to know is a text: keys, which are a path, and symbolic links, which lead to one.

#![expect(unsafe_code, reason = "bodies of objects are reached by pointer")]

use crate::nt::{HANDLE, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_OBJECT_TYPE_MISMATCH};
use crate::processor::object::{self, Kind};
use crate::processor::{handle, lifetime};
use std::ffi::c_void;

/// Makes an object of `kind` for `text`. Its body is the length, then UTF-8.
fn new_object(kind: Kind, text: &str) -> *mut c_void {
    let body = object::create(kind, size_of::<usize>() + text.len());
    // SAFETY: the body is as large as asked for, and new.
    unsafe { body.cast::<usize>().write(text.len()) };
    let bytes = body.wrapping_byte_add(size_of::<usize>()).cast::<u8>();
    // SAFETY: as above.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), bytes, text.len()) };
    body
}

/// A handle with `access` of a new object of `kind` for `text`.
pub(super) fn open(kind: Kind, text: &str, access: u32, kernel: bool) -> HANDLE {
    let object = new_object(kind, text);
    // SAFETY: a new object.
    let value = unsafe { handle::open_handle(object, access, kernel) };
    // SAFETY: the handle keeps it; the creation's reference goes.
    unsafe { lifetime::dereference(object) };
    value
}

/// The text of the object of `kind` behind a handle that was granted `access`.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`, `STATUS_ACCESS_DENIED`.
pub(super) fn text_of(handle: HANDLE, kind: Kind, access: u32) -> Result<String, NTSTATUS> {
    let body = handle::object_of_handle(handle)?;
    // SAFETY: the handle keeps the object.
    if unsafe { object::kind_of(body) } != Some(kind) {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    if handle::access_of_handle(handle)? & access != access {
        return Err(STATUS_ACCESS_DENIED);
    }
    // SAFETY: made by `new_object`.
    let length = unsafe { body.cast::<usize>().read() };
    let text = body.wrapping_byte_add(size_of::<usize>()).cast::<u8>();
    // SAFETY: as above.
    let text = unsafe { std::slice::from_raw_parts(text, length) };
    Ok(String::from_utf8_lossy(text).into_owned())
}
