//! Identifiers that are given out once.
//!
//! Source: `ExUuidCreate` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{NTSTATUS, STATUS_SUCCESS};
use crate::processor::irql;
use std::sync::atomic::{AtomicU32, Ordering};
use windows_sys::core::GUID;

/// `ExUuidCreate`: of the form that goes by a time (version 1) and names no machine. They count, so that a run can
/// be repeated.
pub unsafe extern "win64" fn create(uuid: *mut GUID, caller: usize) -> NTSTATUS {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    irql::require("ExUuidCreate", caller);
    let value = GUID {
        data1: NEXT.fetch_add(1, Ordering::Relaxed),
        data2: 0,
        data3: 0x1000,
        // A variant of RFC 4122, and a node address of the kind that no card has (its lowest bit of the first byte).
        data4: [0x80, 0, 1, b'n', b't', b'b', b'o', b'x'],
    };
    // SAFETY: the driver's pointer.
    unsafe { uuid.write(value) };
    STATUS_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::APC_LEVEL;
    use crate::verifier::capture;

    #[test]
    fn no_identifier_is_given_out_twice() {
        let new = || {
            let mut uuid = GUID::default();
            // SAFETY: a local variable.
            let status = unsafe { create(&raw mut uuid, 0) };
            (status, uuid)
        };
        let (one, two) = (new(), new());
        assert_eq!((one.0, two.0), (STATUS_SUCCESS, STATUS_SUCCESS));
        assert_ne!(one.1.data1, two.1.data1);
        assert_eq!(
            (one.1.data3 >> 12, one.1.data4[0] >> 6),
            (1, 2),
            "version and variant"
        );
        let (_, found) = capture(|| {
            let _level = irql::raised_to(APC_LEVEL);
            new()
        });
        assert_eq!(found.len(), 1);
    }
}
