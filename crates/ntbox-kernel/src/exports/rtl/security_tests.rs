//! A descriptor built as drivers build one, in both forms.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a row of calls on local structures"
)]

use super::super::sid::*;
use super::*;
use crate::nt::STATUS_ALLOTTED_SPACE_EXCEEDED;

/// S-1-5-32-544, and room to spare.
fn administrators() -> [u8; 16] {
    let mut sid = [0_u8; 16];
    assert_eq!(
        // SAFETY: room for two sub-authorities, here and below.
        unsafe { initialize_sid(sid.as_mut_ptr(), [0, 0, 0, 0, 0, 5].as_ptr(), 2) },
        STATUS_SUCCESS
    );
    for (index, value) in [32_u32, 544].into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { sub_authority_sid(sid.as_mut_ptr(), index as u32).write_unaligned(value) };
    }
    sid
}

#[repr(align(4))]
struct List([u8; 64]);

#[test]
fn identifiers_have_their_published_bytes() {
    let mut sid = administrators();
    assert_eq!(sid, [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
    let mut copy = [0_u8; 16];
    // SAFETY: SIDs, here and below.
    unsafe {
        assert_eq!(length_sid(sid.as_mut_ptr()), 16);
        assert_eq!(length_required_sid(2), 16);
        assert_eq!(
            copy_sid(8, copy.as_mut_ptr(), sid.as_mut_ptr()),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(
            copy_sid(16, copy.as_mut_ptr(), sid.as_mut_ptr()),
            STATUS_SUCCESS
        );
        assert_eq!(equal_sid(copy.as_mut_ptr(), sid.as_mut_ptr()), 1);
        copy[12] = 0;
        assert_eq!(equal_sid(copy.as_mut_ptr(), sid.as_mut_ptr()), 0);
        assert_eq!(*sub_authority_count_sid(sid.as_mut_ptr()), 2);
        assert_eq!(valid_sid(sid.as_mut_ptr()), 1);
        sid[0] = 2;
        assert_eq!(valid_sid(sid.as_mut_ptr()), 0);
    }
}

#[test]
fn a_descriptor_converts_to_the_self_relative_form() {
    let mut sid = administrators();
    let mut list = List([0; 64]);
    let acl: *mut ACL = list.0.as_mut_ptr().cast();
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    let at = &raw mut descriptor;
    // SAFETY: local structures of the sizes named.
    unsafe {
        assert_eq!(create_acl(acl, 40, 2), STATUS_SUCCESS);
        assert_eq!(
            add_access_allowed_ace(acl, 2, 0x1F01FF, sid.as_mut_ptr()),
            STATUS_SUCCESS
        );
        assert_eq!(
            add_access_allowed_ace(acl, 2, 1, sid.as_mut_ptr()),
            STATUS_ALLOTTED_SPACE_EXCEEDED
        );
        assert_eq!((*acl).AceCount, 1);
        assert_eq!(create_descriptor(at, 2), STATUS_UNKNOWN_REVISION);
        assert_eq!(create_descriptor(at, 1), STATUS_SUCCESS);
        assert_eq!(set_dacl(at, 1, acl, 0), STATUS_SUCCESS);
        assert_eq!(set_owner(at, sid.as_mut_ptr(), 0), STATUS_SUCCESS);
        assert_eq!(valid_descriptor(at), 1);
        assert_eq!(length_descriptor(at), 40 + 40 + 16);

        let mut relative = [0_u32; 64];
        let target: Bytes = relative.as_mut_ptr().cast();
        let mut length = 10;
        assert_eq!(
            absolute_to_self_relative(at, target, &raw mut length),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(length, 20 + 16 + 40);
        assert_eq!(
            absolute_to_self_relative(at, target, &raw mut length),
            STATUS_SUCCESS
        );
        let (mut present, mut dacl, mut defaulted) = (0, std::ptr::null_mut(), 7);
        let new: Descriptor = target.cast();
        assert_eq!(valid_descriptor(new), 1);
        assert_eq!(length_descriptor(new), length);
        assert_eq!(
            get_dacl(new, &raw mut present, &raw mut dacl, &raw mut defaulted),
            STATUS_SUCCESS
        );
        assert_eq!((present, defaulted), (1, 0));
        assert_eq!(slice(dacl.cast(), 40), slice(acl.cast(), 40));
        let mut owner = std::ptr::null_mut();
        assert_eq!(
            get_owner(new, &raw mut owner, &raw mut defaulted),
            STATUS_SUCCESS
        );
        assert_eq!(equal_sid(owner, sid.as_mut_ptr()), 1);
        assert_eq!(
            set_dacl(new, 0, std::ptr::null_mut(), 0),
            STATUS_INVALID_SECURITY_DESCR
        );
        // An entry that is larger than the list.
        (*acl).AceCount = 2;
        assert_eq!(valid_descriptor(at), 0);
    }
}

#[test]
fn an_identifier_is_written_out() {
    use crate::exports::se::sid::{LOCAL_SYSTEM, TRUSTED_INSTALLER};
    use crate::nt::UNICODE_STRING;
    let write = |sid: *const crate::exports::se::sid::Sid, room: u16| {
        let mut buffer = vec![0_u16; usize::from(room)];
        let mut string = UNICODE_STRING {
            Length: 0,
            MaximumLength: room * 2,
            Buffer: buffer.as_mut_ptr(),
        };
        // SAFETY: a SID of the box, and a string that says how long its buffer is.
        let status =
            unsafe { super::super::sid::to_string(&raw mut string, sid.cast_mut().cast(), 0, 0) };
        buffer.truncate(usize::from(string.Length) / 2);
        (status, String::from_utf16_lossy(&buffer))
    };
    let system = (crate::nt::STATUS_SUCCESS, "S-1-5-18".to_owned());
    assert_eq!(write(&raw const LOCAL_SYSTEM, 8), system);
    assert_eq!(
        write(&raw const LOCAL_SYSTEM, 7).0,
        crate::nt::STATUS_BUFFER_OVERFLOW
    );
    let (_, long) = write(&raw const TRUSTED_INSTALLER, 80);
    assert_eq!(
        long,
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    );
}
