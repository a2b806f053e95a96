//! What is known of an object by its handle.
//!
//! Source: `ZwQueryObject`, OBJECT_INFORMATION_CLASS, PUBLIC_OBJECT_BASIC_INFORMATION in the DDI reference. The classes
//! that the headers do not have are refused.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::{KERNEL_HANDLE, passes, service};
use crate::exports::handles;
use crate::nt::{
    HANDLE, NTSTATUS, STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_INFO_CLASS, STATUS_SUCCESS,
    UNICODE_STRING,
};
use crate::processor::{handle, lifetime, object};
use crate::verifier::rules;
use std::ffi::c_void;

/// `PUBLIC_OBJECT_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Basic {
    attributes: u32,
    granted_access: u32,
    handle_count: u32,
    pointer_count: u32,
    reserved: [u32; 10],
}

/// `PUBLIC_OBJECT_TYPE_INFORMATION`: the name lies behind it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Type {
    name: UNICODE_STRING,
    reserved: [u32; 22],
}

/// `OBJECT_INFORMATION_CLASS`.
const BASIC: i32 = 0;
const TYPE: i32 = 2;

/// The object of a handle, kept until this goes.
struct Kept(*mut c_void);

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: it was referenced for this.
        unsafe { lifetime::dereference(self.0) };
    }
}

/// `ZwQueryObject`.
pub(super) unsafe extern "win64" fn query(
    handle: HANDLE,
    class: i32,
    buffer: *mut c_void,
    length: u32,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    const DDI: &str = "ZwQueryObject";
    passes(DDI, &[buffer.addr(), returned.addr()], caller);
    service(DDI, caller, || {
        handles::require(&rules::INVALID_KERNEL_HANDLE, DDI, handle, caller);
        let (body, granted_access) = handle::reference_by_handle(handle)?;
        let object = Kept(body);
        let needed = match class {
            BASIC => size_of::<Basic>(),
            // SAFETY: it is kept.
            TYPE => size_of::<Type>() + (unsafe { type_name(&object) }.len() + 1) * 2,
            _ => return Err(STATUS_INVALID_INFO_CLASS),
        };
        if !returned.is_null() {
            // SAFETY: the driver's pointer.
            unsafe { returned.write(needed as u32) };
        }
        if (length as usize) < needed {
            return Err(STATUS_INFO_LENGTH_MISMATCH);
        }
        if class == TYPE {
            // SAFETY: the driver's buffer, which is long enough.
            unsafe { write_type(&object, buffer) };
            return Ok(STATUS_SUCCESS);
        }
        let basic = Basic {
            attributes: if handle::is_kernel_handle(handle) {
                KERNEL_HANDLE
            } else {
                0
            },
            granted_access,
            // SAFETY: it is kept.
            handle_count: unsafe { object::handle_count(body) } as u32,
            // SAFETY: as above; the reference of this call is not counted.
            pointer_count: unsafe { object::pointer_count(body) } as u32 - 1,
            reserved: [0; 10],
        };
        // SAFETY: the driver's buffer, which is long enough.
        unsafe { buffer.cast::<Basic>().write(basic) };
        Ok(STATUS_SUCCESS)
    })
}

/// # Safety
/// The object is alive.
unsafe fn type_name(object: &Kept) -> Vec<u16> {
    // SAFETY: contract.
    let kind = unsafe { object::kind_of(object.0) };
    let name = kind.map_or("", object::Kind::type_name);
    name.encode_utf16().collect()
}

/// # Safety
/// The object is alive; there is room for it and its terminated name.
unsafe fn write_type(object: &Kept, buffer: *mut c_void) {
    // SAFETY: contract.
    let mut name = unsafe { type_name(object) };
    let bytes = (name.len() * 2) as u16;
    name.push(0);
    let text = buffer.cast::<Type>().wrapping_add(1).cast::<u16>();
    // SAFETY: contract.
    unsafe { text.copy_from(name.as_ptr(), name.len()) };
    let value = Type {
        name: UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes + 2,
            Buffer: text,
        },
        reserved: [0; 22],
    };
    // SAFETY: contract.
    unsafe { buffer.cast::<Type>().write(value) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::STATUS_INVALID_HANDLE;
    use crate::nt::unicode;
    use crate::processor::object::Kind;
    use std::ptr::null_mut;

    #[test]
    fn an_object_is_known_by_its_handle() {
        crate::processor::thread::current();
        let body = object::create(Kind::Event, 64);
        // SAFETY: a live object.
        let open = unsafe { handle::open_handle(body, 0x1F_0003, true) };
        let mut room = [0_u64; 24];
        let buffer: *mut c_void = room.as_mut_ptr().cast();
        let mut needed = 0;
        // SAFETY: the buffer has `length` bytes at most.
        let mut query = |handle, class, length| unsafe {
            super::query(handle, class, buffer, length, &raw mut needed, 0)
        };
        assert_eq!(query(open, BASIC, 55), STATUS_INFO_LENGTH_MISMATCH);
        assert_eq!(query(open, BASIC, 56), STATUS_SUCCESS);
        // SAFETY: it was written.
        let basic = unsafe { buffer.cast::<Basic>().read() };
        let expected = Basic {
            attributes: KERNEL_HANDLE,
            granted_access: 0x1F_0003,
            handle_count: 1,
            pointer_count: 2,
            reserved: [0; 10],
        };
        assert_eq!(basic, expected);
        assert_eq!(query(open, TYPE, 115), STATUS_INFO_LENGTH_MISMATCH);
        assert_eq!(query(open, TYPE, 116), STATUS_SUCCESS);
        // SAFETY: as above.
        assert_eq!(unsafe { unicode::to_string(buffer.cast()) }, "Event");
        assert_eq!(query(open, 1, 192), STATUS_INVALID_INFO_CLASS);
        assert_eq!(query(null_mut(), BASIC, 56), STATUS_INVALID_HANDLE);
        assert_eq!(needed, 116);
        handle::close_handle(open);
        // SAFETY: the reference that it was made with.
        unsafe { lifetime::dereference(body) };
    }
}
