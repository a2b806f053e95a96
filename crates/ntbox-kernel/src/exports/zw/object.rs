//! Services on any object: closing handles, security.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::{key_life, service};
use crate::exports::handles;
use crate::host::memory::try_read;
use crate::nt::{
    HANDLE, IO_STATUS_BLOCK, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_SECURITY_DESCR, STATUS_NO_SECURITY_ON_OBJECT, STATUS_SUCCESS,
};
use crate::processor::handle;
use crate::processor::object::{self, Kind};
use crate::verifier::rules;
use std::ffi::c_void;

/// `READ_CONTROL`.
const READ_CONTROL: u32 = 0x2_0000;
/// `WRITE_DAC`.
const WRITE_DAC: u32 = 0x4_0000;
/// `WRITE_OWNER`.
const WRITE_OWNER: u32 = 0x8_0000;
/// `DACL_SECURITY_INFORMATION`.
const DACL: u32 = 0x4;
/// `OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION`.
const OWNER_AND_GROUP: u32 = 0x3;

pub(super) unsafe extern "win64" fn close(handle: HANDLE, caller: usize) -> NTSTATUS {
    service("ZwClose", caller, || {
        if key_life::closes(handle, caller) {
            handles::require(&rules::INVALID_KERNEL_HANDLE, "ZwClose", handle, caller);
        }
        let status = crate::user::nt_close(handle);
        if status == STATUS_SUCCESS {
            handle::remember_closed(handle, caller);
        }
        Ok(status)
    })
}

pub(super) unsafe extern "win64" fn set_security(
    handle: HANDLE,
    information: u32,
    descriptor: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    service("ZwSetSecurityObject", caller, || {
        let object = handle::object_of_handle(handle)?;
        let granted = handle::access_of_handle(handle)?;
        let needed = if information & DACL != 0 {
            WRITE_DAC
        } else {
            0
        } | if information & OWNER_AND_GROUP != 0 {
            WRITE_OWNER
        } else {
            0
        };
        if granted & needed != needed {
            return Err(STATUS_ACCESS_DENIED);
        }
        // SAFETY: the handle keeps the object.
        if unsafe { object::kind_of(object) } == Some(Kind::File) {
            let mut iosb = IO_STATUS_BLOCK::default();
            // SAFETY: the driver's descriptor; the block outlives the call, which waits.
            return Ok(unsafe {
                crate::user::nt_set_security_object(handle, &raw mut iosb, information, descriptor)
            });
        }
        let bytes = self_relative(descriptor as usize).ok_or(STATUS_INVALID_SECURITY_DESCR)?;
        // SAFETY: the handle keeps the object.
        unsafe { object::set_security(object, &bytes) };
        Ok(STATUS_SUCCESS)
    })
}

pub(super) unsafe extern "win64" fn query_security(
    handle: HANDLE,
    information: u32,
    descriptor: *mut c_void,
    length: u32,
    needed: *mut u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwQuerySecurityObject", caller, || {
        let object = handle::object_of_handle(handle)?;
        if handle::access_of_handle(handle)? & READ_CONTROL == 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        // SAFETY: the handle keeps the object.
        if unsafe { object::kind_of(object) } == Some(Kind::File) {
            let mut iosb = IO_STATUS_BLOCK::default();
            // SAFETY: the driver's buffer; the block outlives the call, which waits.
            let status = unsafe {
                crate::user::nt_query_security_object(
                    handle,
                    &raw mut iosb,
                    information,
                    descriptor,
                    length,
                )
            };
            // SAFETY: the driver's pointer.
            unsafe { needed.write(iosb.Information as u32) };
            return Ok(status);
        }
        // SAFETY: the handle keeps the object.
        let bytes = unsafe { object::security(object) }.ok_or(STATUS_NO_SECURITY_ON_OBJECT)?;
        // SAFETY: the driver's pointer.
        unsafe { needed.write(bytes.len() as u32) };
        if bytes.len() > length as usize {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
        // SAFETY: the driver's buffer has `length` bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), descriptor.cast(), bytes.len()) };
        Ok(STATUS_SUCCESS)
    })
}

/// `SECURITY_DESCRIPTOR_RELATIVE`: header, then the parts by offset.
const HEADER: usize = 20;
/// `SE_SELF_RELATIVE`.
const SELF_RELATIVE: u16 = 0x8000;
/// `SE_DACL_PRESENT`, `SE_SACL_PRESENT`.
const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
/// `SECURITY_DESCRIPTOR` with pointers, which a driver builds with `RtlCreateSecurityDescriptor`.
const ABSOLUTE_OFFSETS: [usize; 4] = [8, 16, 24, 32];
const RELATIVE_OFFSETS: [usize; 4] = [4, 8, 12, 16];

/// Copies a security descriptor of either form into the self-relative one.
/// None if it is none.
pub fn self_relative(descriptor: usize) -> Option<Vec<u8>> {
    let mut start = [0_u8; 4];
    if !try_read(descriptor, &mut start) || start[0] != 1 {
        return None;
    }
    let control = u16::from_le_bytes([start[2], start[3]]);
    let relative = control & SELF_RELATIVE != 0;
    // Owner, group, SACL, DACL: the order of the fields.
    let mut parts = [None, None, None, None];
    for (index, part) in parts.iter_mut().enumerate() {
        let present = match index {
            2 => control & SACL_PRESENT != 0,
            3 => control & DACL_PRESENT != 0,
            _ => true,
        };
        let address = if relative {
            match read_u32(descriptor + RELATIVE_OFFSETS[index])? {
                0 => 0,
                offset => descriptor + offset as usize,
            }
        } else {
            crate::host::memory::try_read_usize(descriptor + ABSOLUTE_OFFSETS[index])?
        };
        if present && address != 0 {
            *part = Some(if index < 2 {
                read_sid(address)?
            } else {
                read_acl(address)?
            });
        }
    }
    let mut bytes = vec![0; HEADER];
    bytes[0] = 1;
    bytes[1] = start[1];
    bytes[2..4].copy_from_slice(&(control | SELF_RELATIVE).to_le_bytes());
    for (part, field) in parts.into_iter().zip(RELATIVE_OFFSETS) {
        let Some(part) = part else { continue };
        let offset = (bytes.len() as u32).to_le_bytes();
        bytes[field..field + 4].copy_from_slice(&offset);
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    Some(bytes)
}

fn read_u32(address: usize) -> Option<u32> {
    let mut bytes = [0; 4];
    try_read(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
}

/// A SID: revision, count of its parts, authority, parts of four bytes.
fn read_sid(address: usize) -> Option<Vec<u8>> {
    let mut start = [0; 2];
    if !try_read(address, &mut start) || start[0] != 1 || start[1] > 15 {
        return None;
    }
    read_bytes(address, 8 + 4 * usize::from(start[1]))
}

/// An ACL: revision, padding, its size in bytes, …
fn read_acl(address: usize) -> Option<Vec<u8>> {
    let start = read_u32(address)?.to_le_bytes();
    let bytes = usize::from(u16::from_le_bytes([start[2], start[3]]));
    if !(2..=4).contains(&start[0]) || bytes < 8 {
        return None;
    }
    read_bytes(address, bytes)
}

fn read_bytes(address: usize, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    try_read(address, &mut bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-1-5-18, LocalSystem.
    const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    /// An ACL without entries.
    const EMPTY_ACL: [u8; 8] = [2, 0, 8, 0, 0, 0, 0, 0];

    #[test]
    fn an_absolute_descriptor_becomes_self_relative() {
        let mut absolute = [0_usize; 5];
        absolute[0] = 1 | usize::from(DACL_PRESENT) << 16;
        absolute[1] = SYSTEM.as_ptr() as usize;
        absolute[4] = EMPTY_ACL.as_ptr() as usize;
        let relative = self_relative(absolute.as_ptr() as usize).unwrap();
        assert_eq!(relative.len(), HEADER + SYSTEM.len() + EMPTY_ACL.len());
        assert_eq!(&relative[..4], &[1, 0, 0x04, 0x80]);
        assert_eq!(
            &relative[4..20],
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0]
        );
        assert_eq!(&relative[20..32], &SYSTEM);
        assert_eq!(&relative[32..], &EMPTY_ACL);
        // A self-relative one is copied as it is.
        assert_eq!(self_relative(relative.as_ptr() as usize), Some(relative));
    }

    #[test]
    fn what_is_no_descriptor_is_refused() {
        assert_eq!(self_relative(0x10), None);
        let wrong_revision = [2_usize, 0, 0, 0, 0];
        assert_eq!(self_relative(wrong_revision.as_ptr() as usize), None);
        let mut wrong_owner = [1_usize, 0, 0, 0, 0];
        wrong_owner[1] = 0x10;
        assert_eq!(self_relative(wrong_owner.as_ptr() as usize), None);
    }
}
