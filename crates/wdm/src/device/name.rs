//! Names of system objects.
//!
//! Wraps `ObQueryNameString`.

#![expect(unsafe_code, reason = "the DDI fills a raw buffer")]

use crate::irql::Passive;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use core::ffi::c_void;
use wdk_sys::{OBJECT_NAME_INFORMATION, ntddk};

/// Room for a name of some 240 characters; a longer one is not one that a policy asks for.
#[repr(C, align(8))]
pub struct NameBuffer([u8; 512]);

impl NameBuffer {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; 512])
    }

    /// The name of an object; `None` if it has none or it does not fit.
    ///
    /// # Safety
    /// `object` is a live system object.
    pub(crate) unsafe fn query(
        &mut self,
        object: *mut c_void,
        _level: &mut Passive,
    ) -> Option<UnicodeStr<'_>> {
        let information: *mut OBJECT_NAME_INFORMATION = (&raw mut *self).cast();
        let mut length = 0;
        // SAFETY: contract of the function; a buffer of the stated size, a place for the length.
        let status = unsafe {
            ntddk::ObQueryNameString(
                object,
                information,
                size_of::<Self>() as u32,
                &raw mut length,
            )
        };
        Status(status).into_result().ok()?;
        // SAFETY: on success the buffer, which is aligned for it, begins with that structure.
        let name = unsafe { &raw const (*information).Name };
        // SAFETY: its string lies in the buffer, which is borrowed as long.
        let name = unsafe { UnicodeStr::from_raw(name) };
        (!name.units().is_empty()).then_some(name)
    }
}

impl Default for NameBuffer {
    fn default() -> Self {
        Self::new()
    }
}
