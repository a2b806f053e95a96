//! Reading values of a registry key.
//!
//! Wraps `ZwOpenKey`, `ZwQueryValueKey` and `ZwClose`.

#![expect(unsafe_code, reason = "the Zw routines fill raw buffers")]

use crate::irql::Passive;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_READ, KEY_VALUE_PARTIAL_INFORMATION,
    OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, REG_DWORD, ntddk,
};

/// An open key; closed when dropped.
pub struct Key(HANDLE);

impl Key {
    /// Opens the key `name`, absolute or below `parent`, for reading.
    ///
    /// Errors: STATUS_OBJECT_NAME_NOT_FOUND and the others of ZwOpenKey.
    pub fn open(
        parent: Option<&Key>,
        name: UnicodeStr<'_>,
        _level: &mut Passive,
    ) -> Result<Self, Status> {
        let mut name = name.as_raw();
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: parent.map_or(core::ptr::null_mut(), |key| key.0),
            ObjectName: &raw mut name,
            Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
            SecurityDescriptor: core::ptr::null_mut(),
            SecurityQualityOfService: core::ptr::null_mut(),
        };
        let mut handle = core::ptr::null_mut();
        // SAFETY: all three outlive the call; the token proves PASSIVE_LEVEL.
        Status(unsafe { ntddk::ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes) })
            .into_result()?;
        Ok(Self(handle))
    }

    /// The REG_DWORD value `name`.
    ///
    /// Errors: STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH if it is no REG_DWORD.
    pub fn dword(&self, name: UnicodeStr<'_>, _level: &mut Passive) -> Result<u32, Status> {
        /// KEY_VALUE_PARTIAL_INFORMATION with room for a value of four bytes.
        #[repr(C)]
        union Buffer {
            information: KEY_VALUE_PARTIAL_INFORMATION,
            words: [u32; 4],
        }
        let mut buffer = Buffer { words: [0; 4] };
        let mut name = name.as_raw();
        let mut length = 0;
        // SAFETY: name, buffer and length outlive the call, and the size is the buffer's.
        let status = Status(unsafe {
            ntddk::ZwQueryValueKey(
                self.0,
                &raw mut name,
                _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                (&raw mut buffer).cast(),
                size_of::<Buffer>() as u32,
                &raw mut length,
            )
        });
        if status == Status(wdk_sys::STATUS_BUFFER_OVERFLOW) {
            return Err(Status::OBJECT_TYPE_MISMATCH);
        }
        status.into_result()?;
        // SAFETY: every word was initialized. TitleIndex, Type, DataLength, Data.
        let [_, kind, bytes, value] = unsafe { buffer.words };
        if kind == REG_DWORD && bytes == 4 {
            Ok(value)
        } else {
            Err(Status::OBJECT_TYPE_MISMATCH)
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once. Its own failure would mean a bad handle.
        let _always_success = unsafe { ntddk::ZwClose(self.0) };
    }
}
