//! Reading values of a registry key.
//!
//! Wraps `IoOpenDriverRegistryKey` (Windows 10, version 1803), `ZwOpenKey`, `ZwQueryValueKey` and `ZwClose`.

#![expect(unsafe_code, reason = "the Zw routines fill raw buffers")]

use crate::irql::Passive;
use crate::status::Status;
use crate::unicode::UnicodeStr;
use core::marker::PhantomData;
use wdk_sys::{
    _DRIVER_REGKEY_TYPE, _KEY_VALUE_INFORMATION_CLASS, DRIVER_OBJECT, HANDLE, KEY_READ,
    KEY_VALUE_PARTIAL_INFORMATION, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    REG_DWORD, ntddk,
};

/// An open key; closed when dropped. That needs PASSIVE_LEVEL, as all that is done with it does, so the
/// key keeps the level at which it was opened for as long as it lives.
pub struct Key<'l> {
    handle: HANDLE,
    level: PhantomData<&'l mut Passive>,
}

impl<'l> Key<'l> {
    /// # Safety
    /// The handle is of an open key, and is given up.
    const unsafe fn adopt(handle: HANDLE, _level: &'l mut Passive) -> Self {
        Self {
            handle,
            level: PhantomData,
        }
    }

    /// Opens the key of that full name for reading.
    ///
    /// Errors: STATUS_OBJECT_NAME_NOT_FOUND and the others of ZwOpenKey.
    ///
    /// Rests on ZwOpenKey: "The ZwOpenKey routine opens an existing registry key."
    pub fn open(name: UnicodeStr<'_>, level: &'l mut Passive) -> Result<Self, Status> {
        let mut name = name.as_raw();
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: core::ptr::null_mut(),
            ObjectName: &raw mut name,
            Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
            SecurityDescriptor: core::ptr::null_mut(),
            SecurityQualityOfService: core::ptr::null_mut(),
        };
        let mut handle = core::ptr::null_mut();
        // SAFETY: all three outlive the call; the token proves PASSIVE_LEVEL.
        Status(unsafe { ntddk::ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes) })
            .into_result()?;
        // SAFETY: opened in the line above.
        Ok(unsafe { Self::adopt(handle, level) })
    }

    /// Opens the key with the parameters of a driver for reading.
    ///
    /// Errors: those of IoOpenDriverRegistryKey, such as STATUS_OBJECT_NAME_NOT_FOUND.
    ///
    /// # Safety
    /// The driver object is the caller's, in a system thread.
    pub(crate) unsafe fn parameters(
        driver: *mut DRIVER_OBJECT,
        level: &'l mut Passive,
    ) -> Result<Self, Status> {
        let mut handle = core::ptr::null_mut();
        // SAFETY: contract of the function; a place for the handle.
        Status(unsafe {
            ntddk::IoOpenDriverRegistryKey(
                driver,
                _DRIVER_REGKEY_TYPE::DriverRegKeyParameters,
                KEY_READ,
                0,
                &raw mut handle,
            )
        })
        .into_result()?;
        // SAFETY: opened in the line above.
        Ok(unsafe { Self::adopt(handle, level) })
    }

    /// The REG_DWORD value `name`.
    ///
    /// Errors: STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH if it is no REG_DWORD.
    ///
    /// Rests on ZwQueryValueKey: "The ZwQueryValueKey routine returns a value entry for a registry key."
    pub fn dword(&self, name: UnicodeStr<'_>) -> Result<u32, Status> {
        /// KEY_VALUE_PARTIAL_INFORMATION with room for a value of four bytes.
        #[repr(C)]
        union Buffer {
            information: KEY_VALUE_PARTIAL_INFORMATION,
            words: [u32; 4],
        }
        let mut buffer = Buffer { words: [0; 4] };
        let mut name = name.as_raw();
        let mut length = 0;
        // SAFETY: name, buffer and length outlive the call, and the size is the buffer's; the level is that
        // at which the key was opened.
        let status = Status(unsafe {
            ntddk::ZwQueryValueKey(
                self.handle,
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

impl Drop for Key<'_> {
    fn drop(&mut self) {
        // SAFETY: opened before it was adopted, closed once, at the level at which it was opened. Its own
        // failure would mean a bad handle.
        let _always_success = unsafe { ntddk::ZwClose(self.handle) };
    }
}
