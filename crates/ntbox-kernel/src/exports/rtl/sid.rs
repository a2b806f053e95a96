//! Security identifiers and access control lists.
//!
//! The structures are read and written by offset, as their lengths vary.
//!
//! Source: the `Rtl` security routines in the DDI reference, MS-DTYP 2.4.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

use crate::nt::{
    NTSTATUS, STATUS_ALLOTTED_SPACE_EXCEEDED, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_ACL, STATUS_INVALID_PARAMETER, STATUS_INVALID_SID, STATUS_NO_MEMORY,
    STATUS_REVISION_MISMATCH, STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::irql;
use windows_sys::Win32::Security::ACL;

/// A SID or an ACL, by its first byte.
pub(super) type Bytes = *mut u8;

/// `SID_MAX_SUB_AUTHORITIES`.
const MOST_SUB_AUTHORITIES: u8 = 15;
/// `SID_REVISION`, `ACCESS_ALLOWED_ACE_TYPE`.
const REVISION: u8 = 1;
const ACCESS_ALLOWED: u8 = 0;
/// `ACL_REVISION` and `ACL_REVISION_DS`.
pub(super) const ACL_REVISIONS: std::ops::RangeInclusive<u32> = 2..=4;
const ACL_HEADER: usize = size_of::<ACL>();
/// Bytes of an allowed ACE in front of its SID.
const ACE_HEADER: usize = 8;

/// Bytes of a SID with so many sub-authorities.
const fn sid_bytes(sub_authorities: u8) -> usize {
    8 + 4 * sub_authorities as usize
}

/// The bytes of a SID, an ACL or part of one.
///
/// # Safety
/// `length` bytes at `at` are readable.
pub(super) unsafe fn slice<'a>(at: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: contract of the function.
    unsafe { std::slice::from_raw_parts(at, length) }
}

/// `RtlLengthRequiredSid`.
pub unsafe extern "win64" fn length_required_sid(sub_authorities: u32) -> u32 {
    irql::require("RtlLengthRequiredSid", 0);
    8 + 4 * sub_authorities
}

/// `RtlLengthSid`.
pub unsafe extern "win64" fn length_sid(sid: Bytes) -> u32 {
    irql::require("RtlLengthSid", 0);
    // SAFETY: the driver passes a SID; the second byte is the count.
    sid_bytes(unsafe { sid.add(1).read() }) as u32
}

/// `RtlValidSid`.
pub unsafe extern "win64" fn valid_sid(sid: Bytes) -> u8 {
    irql::require("RtlValidSid", 0);
    if sid.is_null() {
        return 0;
    }
    // SAFETY: the driver passes a SID.
    let header = unsafe { slice(sid, 2) };
    u8::from(header[0] & 0xF == REVISION && header[1] <= MOST_SUB_AUTHORITIES)
}

/// # Safety
/// `sid` points to a SID.
pub(super) unsafe fn sid<'a>(sid: *const u8) -> &'a [u8] {
    // SAFETY: contract of the function.
    let count = unsafe { sid.add(1).read() };
    // SAFETY: as above.
    unsafe { slice(sid, sid_bytes(count)) }
}

/// `S-1-5-18`.
fn text(sid: &[u8]) -> String {
    let authority = sid[2..8]
        .iter()
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let parts = sid[8..].chunks_exact(4);
    let parts = parts.map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
    parts.fold(format!("S-{}-{authority}", sid[0]), |text, part| {
        format!("{text}-{part}")
    })
}

/// `RtlConvertSidToUnicodeString`: `RtlFreeUnicodeString` frees a buffer that it allocates.
pub unsafe extern "win64" fn to_string(
    string: *mut UNICODE_STRING,
    source: Bytes,
    allocates: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlConvertSidToUnicodeString", caller);
    // SAFETY: the driver passes a SID.
    if unsafe { valid_sid(source) } == 0 {
        return STATUS_INVALID_SID;
    }
    // SAFETY: as above.
    let units: Vec<u16> = text(unsafe { sid(source) }).encode_utf16().collect();
    let bytes = size_of_val(units.as_slice()) as u16;
    // SAFETY: the driver's string.
    let string = unsafe { &mut *string };
    if allocates != 0 {
        string.Buffer = super::translate::allocate(usize::from(bytes) + 2, caller).cast();
        if string.Buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        string.MaximumLength = bytes + 2;
    } else if string.MaximumLength < bytes {
        return STATUS_BUFFER_OVERFLOW;
    }
    // SAFETY: the buffer has room.
    unsafe {
        string
            .Buffer
            .copy_from_nonoverlapping(units.as_ptr(), units.len())
    };
    string.Length = bytes;
    if string.MaximumLength > bytes + 1 {
        // SAFETY: as above.
        unsafe { string.Buffer.add(units.len()).write(0) };
    }
    STATUS_SUCCESS
}

/// `RtlEqualSid`.
pub unsafe extern "win64" fn equal_sid(a: Bytes, b: Bytes) -> u8 {
    // SAFETY: the driver passes SIDs.
    u8::from(unsafe { sid(a) == sid(b) })
}

/// `RtlCopySid`.
pub unsafe extern "win64" fn copy_sid(room: u32, target: Bytes, source: Bytes) -> NTSTATUS {
    irql::require("RtlCopySid", 0);
    // SAFETY: the driver passes a SID.
    let source = unsafe { sid(source) };
    if source.len() > room as usize {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: the driver passes `room` bytes.
    unsafe { target.copy_from(source.as_ptr(), source.len()) };
    STATUS_SUCCESS
}

/// `RtlInitializeSid`.
pub unsafe extern "win64" fn initialize_sid(
    target: Bytes,
    authority: *const u8,
    sub_authorities: u8,
) -> NTSTATUS {
    irql::require("RtlInitializeSid", 0);
    if sub_authorities > MOST_SUB_AUTHORITIES {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the driver passes memory for that many sub-authorities.
    unsafe { target.cast::<[u8; 2]>().write([REVISION, sub_authorities]) };
    // SAFETY: as above; the authority has six bytes.
    unsafe { target.add(2).copy_from(authority, 6) };
    STATUS_SUCCESS
}

/// `RtlSubAuthoritySid`: where sub-authority `index` lies.
pub unsafe extern "win64" fn sub_authority_sid(sid: Bytes, index: u32) -> *mut u32 {
    irql::require("RtlSubAuthoritySid", 0);
    sid.wrapping_add(sid_bytes(0))
        .cast::<u32>()
        .wrapping_add(index as usize)
}

/// `RtlSubAuthorityCountSid`: where the count lies.
pub unsafe extern "win64" fn sub_authority_count_sid(sid: Bytes) -> *mut u8 {
    sid.wrapping_add(1)
}

/// `RtlCreateAcl`.
pub unsafe extern "win64" fn create_acl(acl: *mut ACL, length: u32, revision: u32) -> NTSTATUS {
    irql::require("RtlCreateAcl", 0);
    if (length as usize) < ACL_HEADER {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if !ACL_REVISIONS.contains(&revision) || length > 0xFFFF {
        return STATUS_INVALID_PARAMETER;
    }
    let value = ACL {
        AclRevision: revision as u8,
        Sbz1: 0,
        AclSize: (length & !3) as u16,
        AceCount: 0,
        Sbz2: 0,
    };
    // SAFETY: the driver passes `length` bytes.
    unsafe { acl.write(value) };
    STATUS_SUCCESS
}

/// Offset of the first free byte; `None` if the entries do not fit the list.
///
/// # Safety
/// `acl` points to an ACL of `AclSize` bytes.
pub(super) unsafe fn used(acl: *const ACL) -> Option<usize> {
    // SAFETY: contract of the function.
    let header = unsafe { acl.read() };
    // SAFETY: contract of the function.
    let bytes = unsafe { slice(acl.cast(), usize::from(header.AclSize)) };
    (0..header.AceCount).try_fold(ACL_HEADER, |offset, _| {
        let size = bytes.get(offset + 2..offset + 4)?;
        let size = usize::from(u16::from_le_bytes([size[0], size[1]]));
        let end = offset + size;
        (size >= ACE_HEADER && end <= bytes.len()).then_some(end)
    })
}

/// `RtlAddAccessAllowedAce`.
pub unsafe extern "win64" fn add_access_allowed_ace(
    acl: *mut ACL,
    revision: u32,
    mask: u32,
    sid: Bytes,
) -> NTSTATUS {
    irql::require("RtlAddAccessAllowedAce", 0);
    // SAFETY: as for the routine with flags.
    unsafe { add_access_allowed_ace_ex(acl, revision, 0, mask, sid) }
}

/// `RtlAddAccessAllowedAceEx`.
pub unsafe extern "win64" fn add_access_allowed_ace_ex(
    acl: *mut ACL,
    revision: u32,
    flags: u32,
    mask: u32,
    trustee: Bytes,
) -> NTSTATUS {
    irql::require("RtlAddAccessAllowedAceEx", 0);
    // SAFETY: the driver passes a SID.
    if unsafe { valid_sid(trustee) } == 0 {
        return STATUS_INVALID_SID;
    }
    // SAFETY: the driver passes an ACL.
    let header = unsafe { acl.read() };
    if !ACL_REVISIONS.contains(&revision) || !ACL_REVISIONS.contains(&u32::from(header.AclRevision))
    {
        return STATUS_REVISION_MISMATCH;
    }
    // SAFETY: as above.
    let Some(offset) = (unsafe { used(acl) }) else {
        return STATUS_INVALID_ACL;
    };
    // SAFETY: as above.
    let trustee = unsafe { sid(trustee) };
    let size = ACE_HEADER + trustee.len();
    if offset + size > usize::from(header.AclSize) {
        return STATUS_ALLOTTED_SPACE_EXCEEDED;
    }
    let mut ace = vec![ACCESS_ALLOWED, flags as u8];
    ace.extend((size as u16).to_le_bytes());
    ace.extend(mask.to_le_bytes());
    ace.extend(trustee);
    // SAFETY: the entry fits the list.
    unsafe { acl.cast::<u8>().add(offset).copy_from(ace.as_ptr(), size) };
    // SAFETY: as above.
    unsafe { (*acl).AceCount += 1 };
    // SAFETY: as above.
    unsafe { (*acl).AclRevision = header.AclRevision.max(revision as u8) };
    STATUS_SUCCESS
}
