//! Security descriptors, absolute and self-relative.
//!
//! Source: the `Rtl` security routines in the DDI reference, MS-DTYP 2.4.6.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use super::sid::{ACL_REVISIONS, Bytes, sid, slice, used, valid_sid};
use crate::nt::{
    NTSTATUS, STATUS_BAD_DESCRIPTOR_FORMAT, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_SECURITY_DESCR,
    STATUS_SUCCESS, STATUS_UNKNOWN_REVISION,
};
use crate::processor::irql;
use std::ffi::c_void;
use windows_sys::Win32::Security::{ACL, SECURITY_DESCRIPTOR};

type Descriptor = *mut SECURITY_DESCRIPTOR;

/// `SECURITY_DESCRIPTOR_REVISION`.
const REVISION: u8 = 1;

/// `SECURITY_DESCRIPTOR_CONTROL`.
mod control {
    pub const OWNER_DEFAULTED: u16 = 0x0001;
    pub const GROUP_DEFAULTED: u16 = 0x0002;
    pub const DACL_PRESENT: u16 = 0x0004;
    pub const DACL_DEFAULTED: u16 = 0x0008;
    pub const SACL_PRESENT: u16 = 0x0010;
    pub const SELF_RELATIVE: u16 = 0x8000;
}

/// `RtlCreateSecurityDescriptor`: absolute and empty.
pub unsafe extern "win64" fn create_descriptor(descriptor: Descriptor, revision: u32) -> NTSTATUS {
    irql::require("RtlCreateSecurityDescriptor", 0);
    if revision != u32::from(REVISION) {
        return STATUS_UNKNOWN_REVISION;
    }
    // SAFETY: the driver passes the memory of a descriptor; all fields may be zero.
    unsafe { descriptor.write_bytes(0, 1) };
    // SAFETY: as above.
    unsafe { (*descriptor).Revision = REVISION };
    STATUS_SUCCESS
}

/// The control word of an absolute descriptor, or why it is none.
///
/// # Safety
/// `descriptor` points to a descriptor.
unsafe fn absolute(descriptor: Descriptor) -> Result<u16, NTSTATUS> {
    // SAFETY: contract of the function.
    let (revision, control) = unsafe { ((*descriptor).Revision, (*descriptor).Control) };
    if revision != REVISION {
        return Err(STATUS_UNKNOWN_REVISION);
    }
    if control & control::SELF_RELATIVE != 0 {
        Err(STATUS_INVALID_SECURITY_DESCR)
    } else {
        Ok(control)
    }
}

/// `RtlSetDaclSecurityDescriptor`.
pub unsafe extern "win64" fn set_dacl(
    descriptor: Descriptor,
    present: u8,
    dacl: *mut ACL,
    defaulted: u8,
) -> NTSTATUS {
    irql::require("RtlSetDaclSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let old = match unsafe { absolute(descriptor) } {
        Ok(old) => old & !(control::DACL_PRESENT | control::DACL_DEFAULTED),
        Err(status) => return status,
    };
    let flags = match (present != 0, defaulted != 0) {
        (false, _) => 0,
        (true, false) => control::DACL_PRESENT,
        (true, true) => control::DACL_PRESENT | control::DACL_DEFAULTED,
    };
    // SAFETY: as above.
    unsafe { (*descriptor).Control = old | flags };
    // SAFETY: as above.
    unsafe {
        (*descriptor).Dacl = if present != 0 {
            dacl
        } else {
            std::ptr::null_mut()
        }
    };
    STATUS_SUCCESS
}

/// `RtlSetOwnerSecurityDescriptor`.
pub unsafe extern "win64" fn set_owner(
    descriptor: Descriptor,
    owner: Bytes,
    defaulted: u8,
) -> NTSTATUS {
    irql::require("RtlSetOwnerSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let old = match unsafe { absolute(descriptor) } {
        Ok(old) => old & !control::OWNER_DEFAULTED,
        Err(status) => return status,
    };
    let flag = if defaulted != 0 {
        control::OWNER_DEFAULTED
    } else {
        0
    };
    // SAFETY: as above.
    unsafe { (*descriptor).Control = old | flag };
    // SAFETY: as above.
    unsafe { (*descriptor).Owner = owner.cast() };
    STATUS_SUCCESS
}

/// `RtlSetGroupSecurityDescriptor`.
pub unsafe extern "win64" fn set_group(
    descriptor: Descriptor,
    group: Bytes,
    defaulted: u8,
) -> NTSTATUS {
    irql::require("RtlSetGroupSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let old = match unsafe { absolute(descriptor) } {
        Ok(old) => old & !control::GROUP_DEFAULTED,
        Err(status) => return status,
    };
    let flag = if defaulted != 0 {
        control::GROUP_DEFAULTED
    } else {
        0
    };
    // SAFETY: as above.
    unsafe { (*descriptor).Control = old | flag };
    // SAFETY: as above.
    unsafe { (*descriptor).Group = group.cast() };
    STATUS_SUCCESS
}

/// The parts of a descriptor of either form; null where there is none.
struct Parts {
    control: u16,
    owner: Bytes,
    group: Bytes,
    sacl: Bytes,
    dacl: Bytes,
}

/// # Safety
/// `descriptor` points to a descriptor.
unsafe fn parts(descriptor: Descriptor) -> Parts {
    // SAFETY: contract of the function; both forms begin alike.
    let control = unsafe { (*descriptor).Control };
    if control & control::SELF_RELATIVE == 0 {
        // SAFETY: an absolute descriptor.
        let value = unsafe { descriptor.read() };
        return Parts {
            control,
            owner: value.Owner.cast(),
            group: value.Group.cast(),
            sacl: value.Sacl.cast(),
            dacl: value.Dacl.cast(),
        };
    }
    // SAFETY: a self-relative descriptor has four offsets behind its first four bytes.
    let offsets = unsafe {
        descriptor
            .cast::<u8>()
            .add(4)
            .cast::<[u32; 4]>()
            .read_unaligned()
    };
    let [owner, group, sacl, dacl] = offsets.map(|offset| match offset {
        0 => std::ptr::null_mut(),
        _ => descriptor.cast::<u8>().wrapping_add(offset as usize),
    });
    Parts {
        control,
        owner,
        group,
        sacl,
        dacl,
    }
}

/// `RtlGetDaclSecurityDescriptor`.
pub unsafe extern "win64" fn get_dacl(
    descriptor: Descriptor,
    present: *mut u8,
    dacl: *mut *mut c_void,
    defaulted: *mut u8,
) -> NTSTATUS {
    irql::require("RtlGetDaclSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let parts = unsafe { parts(descriptor) };
    let is_present = parts.control & control::DACL_PRESENT != 0;
    // SAFETY: the driver passes three variables.
    unsafe { present.write(u8::from(is_present)) };
    if is_present {
        // SAFETY: as above.
        unsafe { dacl.write(parts.dacl.cast()) };
        // SAFETY: as above.
        unsafe { defaulted.write(u8::from(parts.control & control::DACL_DEFAULTED != 0)) };
    }
    STATUS_SUCCESS
}

/// `RtlGetOwnerSecurityDescriptor`.
pub unsafe extern "win64" fn get_owner(
    descriptor: Descriptor,
    owner: *mut Bytes,
    defaulted: *mut u8,
) -> NTSTATUS {
    irql::require("RtlGetOwnerSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let parts = unsafe { parts(descriptor) };
    // SAFETY: the driver passes two variables.
    unsafe { owner.write(parts.owner) };
    // SAFETY: as above.
    unsafe { defaulted.write(u8::from(parts.control & control::OWNER_DEFAULTED != 0)) };
    STATUS_SUCCESS
}

/// `RtlGetGroupSecurityDescriptor`.
pub unsafe extern "win64" fn get_group(
    descriptor: Descriptor,
    group: *mut Bytes,
    defaulted: *mut u8,
) -> NTSTATUS {
    irql::require("RtlGetGroupSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let parts = unsafe { parts(descriptor) };
    // SAFETY: the driver passes two variables.
    unsafe { group.write(parts.group) };
    // SAFETY: as above.
    unsafe { defaulted.write(u8::from(parts.control & control::GROUP_DEFAULTED != 0)) };
    STATUS_SUCCESS
}

/// The bytes of each part: owner, group, SACL, DACL; empty where there is none.
///
/// # Safety
/// The parts are those of a valid descriptor.
unsafe fn part_bytes<'a>(parts: &Parts) -> [&'a [u8]; 4] {
    let acl = |acl: Bytes, flag: u16| {
        if acl.is_null() || parts.control & flag == 0 {
            return &[][..];
        }
        // SAFETY: contract of the function.
        let size = unsafe { (*acl.cast::<ACL>()).AclSize };
        // SAFETY: as above.
        unsafe { slice(acl, usize::from(size)) }
    };
    let identifier = |at: Bytes| {
        if at.is_null() {
            &[][..]
        } else {
            // SAFETY: contract of the function.
            unsafe { sid(at) }
        }
    };
    [
        identifier(parts.owner),
        identifier(parts.group),
        acl(parts.sacl, control::SACL_PRESENT),
        acl(parts.dacl, control::DACL_PRESENT),
    ]
}

/// Bytes of a self-relative descriptor in front of its parts.
const RELATIVE_HEADER: usize = 20;

/// `RtlLengthSecurityDescriptor`: bytes of the descriptor and all its parts.
pub unsafe extern "win64" fn length_descriptor(descriptor: Descriptor) -> u32 {
    irql::require("RtlLengthSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    let parts = unsafe { parts(descriptor) };
    let header = if parts.control & control::SELF_RELATIVE == 0 {
        size_of::<SECURITY_DESCRIPTOR>()
    } else {
        RELATIVE_HEADER
    };
    // SAFETY: as above.
    let bytes: usize = unsafe { part_bytes(&parts) }
        .iter()
        .map(|part| part.len().next_multiple_of(4))
        .sum();
    (header + bytes) as u32
}

/// `RtlValidSecurityDescriptor`.
pub unsafe extern "win64" fn valid_descriptor(descriptor: Descriptor) -> u8 {
    irql::require("RtlValidSecurityDescriptor", 0);
    // SAFETY: the driver passes a descriptor.
    if descriptor.is_null() || unsafe { (*descriptor).Revision } != REVISION {
        return 0;
    }
    // SAFETY: as above.
    let parts = unsafe { parts(descriptor) };
    let identifiers = [parts.owner, parts.group];
    // SAFETY: as above.
    let identifiers_valid = identifiers
        .iter()
        .all(|at| at.is_null() || unsafe { valid_sid(*at) } != 0);
    let lists = [
        (parts.sacl, control::SACL_PRESENT),
        (parts.dacl, control::DACL_PRESENT),
    ];
    let lists_valid = lists.iter().all(|(list, flag)| {
        if list.is_null() || parts.control & flag == 0 {
            return true;
        }
        // SAFETY: as above.
        let revision = unsafe { (*list.cast::<ACL>()).AclRevision };
        // SAFETY: as above.
        ACL_REVISIONS.contains(&u32::from(revision)) && unsafe { used(list.cast()) }.is_some()
    });
    u8::from(identifiers_valid && lists_valid)
}

/// `RtlAbsoluteToSelfRelativeSD`.
pub unsafe extern "win64" fn absolute_to_self_relative(
    descriptor: Descriptor,
    target: Bytes,
    length: *mut u32,
) -> NTSTATUS {
    irql::require("RtlAbsoluteToSelfRelativeSD", 0);
    // SAFETY: the driver passes a descriptor.
    let parts = unsafe { parts(descriptor) };
    if parts.control & control::SELF_RELATIVE != 0 {
        return STATUS_BAD_DESCRIPTOR_FORMAT;
    }
    // SAFETY: as above.
    let bytes = relative(parts.control, unsafe { part_bytes(&parts) });
    // SAFETY: the driver passes the length of the target.
    let room = unsafe { length.read() } as usize;
    // SAFETY: as above.
    unsafe { length.write(bytes.len() as u32) };
    if room < bytes.len() {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: as above.
    unsafe { target.copy_from(bytes.as_ptr(), bytes.len()) };
    STATUS_SUCCESS
}

/// A self-relative descriptor of these parts: owner, group, SACL, DACL.
fn relative(control: u16, parts: [&[u8]; 4]) -> Vec<u8> {
    let mut bytes = vec![0_u8; RELATIVE_HEADER];
    bytes[0] = REVISION;
    bytes[2..4].copy_from_slice(&(control | control::SELF_RELATIVE).to_le_bytes());
    for (index, part) in parts
        .into_iter()
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
    {
        let offset = bytes.len() as u32;
        bytes[4 + index * 4..8 + index * 4].copy_from_slice(&offset.to_le_bytes());
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
