//! Symbolic links of the object namespace.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::rights::Rights;
use super::{Attributes, named, service};
use crate::io_manager::namespace;
use crate::nt::{
    HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_BUFFER_TOO_SMALL, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, UNICODE_STRING,
};
use crate::processor::lifetime;
use crate::processor::object::Kind;

/// `SYMBOLIC_LINK_QUERY`.
const QUERY: u32 = 0x1;
/// Rights of symbolic links.
const LINK: Rights = Rights {
    read: 0x2_0000 | QUERY,
    write: 0x2_0000,
    execute: 0x2_0000 | QUERY,
    all: 0xF_0000 | QUERY,
};

/// `ZwOpenSymbolicLinkObject`.
pub(super) unsafe extern "win64" fn open(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    caller: usize,
) -> NTSTATUS {
    service("ZwOpenSymbolicLinkObject", caller, || {
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read(attributes) }?;
        if !attributes.root.is_null() {
            // No handle of a directory is given out.
            return Err(STATUS_OBJECT_TYPE_MISMATCH);
        }
        let Some(target) = namespace::link_target(&attributes.name) else {
            let (object, _) = namespace::lookup(&attributes.name)?;
            // SAFETY: the lookup's reference.
            unsafe { lifetime::dereference(object) };
            return Err(STATUS_OBJECT_TYPE_MISMATCH);
        };
        let kernel = attributes.is_kernel_handle();
        let opened = named::open(Kind::SymbolicLink, &target, LINK.granted(access), kernel);
        // SAFETY: the driver's pointer.
        unsafe { handle.write(opened) };
        Ok(STATUS_SUCCESS)
    })
}

/// `ZwQuerySymbolicLinkObject`: the target, and how much room it takes with a terminator.
pub(super) unsafe extern "win64" fn query(
    handle: HANDLE,
    target: *mut UNICODE_STRING,
    returned: *mut u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwQuerySymbolicLinkObject", caller, || {
        let text = named::text_of(handle, Kind::SymbolicLink, QUERY)?;
        let units: Vec<u16> = text.encode_utf16().collect();
        let bytes = size_of_val(units.as_slice()) as u16;
        // Who asks for the length is told that of a terminated string.
        // SAFETY: null or the driver's pointer.
        let needed = unsafe { returned.as_mut() }.map_or(bytes, |returned| {
            *returned = u32::from(bytes) + 2;
            bytes + 2
        });
        // SAFETY: the driver's string.
        let target = unsafe { &mut *target };
        if target.MaximumLength < needed {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
        // SAFETY: the driver's buffer has room.
        unsafe {
            target
                .Buffer
                .copy_from_nonoverlapping(units.as_ptr(), units.len())
        };
        target.Length = bytes;
        if needed > bytes {
            // SAFETY: as above.
            unsafe { target.Buffer.wrapping_add(units.len()).write(0) };
        }
        Ok(STATUS_SUCCESS)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{handle_of, with_name};
    use super::*;
    use crate::nt::{
        APC_LEVEL, STATUS_ACCESS_DENIED, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
    };
    use crate::processor::{handle, irql};
    use crate::verifier::capture;

    fn open_link(path: &str, access: u32) -> Result<HANDLE, NTSTATUS> {
        with_name(path, |attributes| {
            // SAFETY: all pointers are to locals.
            handle_of(|link| unsafe { open(link, access, attributes, 0) })
        })
    }

    /// Status, what it says that it needs, and the target.
    fn ask(link: HANDLE, room: u16) -> (NTSTATUS, u32, String) {
        let mut buffer = vec![u16::from(b'~'); usize::from(room)];
        let mut target = UNICODE_STRING {
            Length: 0,
            MaximumLength: room * 2,
            Buffer: buffer.as_mut_ptr(),
        };
        let mut needed = 0;
        // SAFETY: the string says how long its buffer is.
        let status = unsafe { query(link, &raw mut target, &raw mut needed, 0) };
        buffer.truncate(usize::from(target.Length) / 2);
        (status, needed, String::from_utf16_lossy(&buffer))
    }

    #[test]
    fn a_link_is_opened_and_says_where_it_leads() {
        let target = r"\Device\HarddiskVolume77";
        namespace::insert_symbolic_link(r"\??\ZwLink:", target).expect("a free name");
        let link = open_link(r"\DosDevices\ZwLink:", 0x8000_0000).expect("there");
        let (length, needed) = (target.len() as u16, target.len() as u32 * 2 + 2);
        assert_eq!(
            ask(link, length + 1),
            (STATUS_SUCCESS, needed, target.to_owned())
        );
        assert_eq!(
            ask(link, length),
            (STATUS_BUFFER_TOO_SMALL, needed, String::new())
        );
        assert_eq!(handle::close_handle(link), STATUS_SUCCESS);

        let blind = open_link(r"\??\ZwLink:", 0x2_0000).expect("there");
        assert_eq!(ask(blind, 80).0, STATUS_ACCESS_DENIED);
        assert_eq!(handle::close_handle(blind), STATUS_SUCCESS);
        assert_eq!(
            open_link(r"\Device", QUERY),
            Err(STATUS_OBJECT_TYPE_MISMATCH)
        );
        assert_eq!(
            open_link(r"\??\ZwNone:", QUERY),
            Err(STATUS_OBJECT_NAME_NOT_FOUND)
        );
        assert_eq!(
            open_link(r"\None\ZwLink:", QUERY),
            Err(STATUS_OBJECT_PATH_NOT_FOUND)
        );
        let ((), found) = capture(|| {
            let _level = irql::raised_to(APC_LEVEL);
            let opened = open_link(r"\??\ZwLink:", QUERY).expect("there");
            handle::close_handle(opened);
        });
        assert_eq!(found[0].rule.name, "IrqlTooHigh");
        namespace::remove_symbolic_link(r"\??\ZwLink:").expect("there");
    }
}
