//! Access rights as the types of objects have them.
//!
//! Source: "ACCESS_MASK" in the DDI reference, and the rights of each type in the SDK.

use crate::nt::{NTSTATUS, STATUS_ACCESS_DENIED};

/// What the generic rights stand for, for a type of object.
pub(super) struct Rights {
    /// `GENERIC_READ`.
    pub read: u32,
    /// `GENERIC_WRITE`.
    pub write: u32,
    /// `GENERIC_EXECUTE`.
    pub execute: u32,
    /// `GENERIC_ALL`, and what `MAXIMUM_ALLOWED` gives kernel code.
    pub all: u32,
}

impl Rights {
    /// What kernel code gets that desires this: no descriptor keeps it out.
    pub fn granted(&self, desired: u32) -> u32 {
        let generic = [
            (0x8000_0000, self.read),
            (0x4000_0000, self.write),
            (0x2000_0000, self.execute),
            (0x1000_0000, self.all),
            // MAXIMUM_ALLOWED.
            (0x0200_0000, self.all),
        ];
        let wanted = generic.iter().filter(|(bit, _)| desired & bit != 0);
        wanted.fold(desired & 0x01FF_FFFF, |granted, (_, rights)| {
            granted | rights
        })
    }
}

/// # Errors
/// `STATUS_ACCESS_DENIED`: not all of `needed` was granted.
pub(super) fn has(granted: u32, needed: u32) -> Result<(), NTSTATUS> {
    if granted & needed == needed {
        Ok(())
    } else {
        Err(STATUS_ACCESS_DENIED)
    }
}
