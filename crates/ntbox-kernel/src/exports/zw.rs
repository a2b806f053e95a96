//! `Zw…`: system services as kernel code calls them.
//!
//! Registry keys are those of `io_manager::settings`; files go through
//! [`crate::user`], the same services that programs of the box use, with the
//! previous mode set to kernel. Every routine must be called at
//! `PASSIVE_LEVEL`.
//!
//! An APC routine of a driver is called in its thread, at `PASSIVE_LEVEL`, as
//! soon as that takes normal kernel APCs.
//!
//! Source: the DDI reference of `wdm.h` and `ntifs.h`.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

mod buffer;
pub(super) mod event;
mod file;
mod key;
mod key_information;
mod key_life;
mod link;
mod named;
mod object;
mod open;
mod process;
mod query_object;
mod rights;
mod token;

use buffer::Buffer;
pub(super) use key::open_driver_registry_key;
pub(super) use object::self_relative;

#[cfg(test)]
mod tests;

use crate::io_manager::program_memory;
use crate::nt::unicode;
use crate::nt::{HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INVALID_PARAMETER, UNICODE_STRING};
use crate::pool::failure;
use crate::processor::{irql, thread};
use crate::verifier::{rules, violation};

super::table! {
    caller(1) "ZwClose" => object::close,
    caller(3) "ZwSetSecurityObject" => object::set_security,
    caller(5) "ZwQuerySecurityObject" => object::query_security,

    caller(5) "ZwQueryObject" => query_object::query,

    caller(3) "ZwOpenSymbolicLinkObject" => link::open,
    caller(3) "ZwQuerySymbolicLinkObject" => link::query,

    caller(4) "ZwOpenProcess" => process::open,
    caller(5) "ZwQueryInformationProcess" => process::query,
    caller(3) "ZwOpenProcessToken" => token::open_process,
    caller(4) "ZwOpenProcessTokenEx" => token::open_process_ex,
    caller(4) "ZwOpenThreadToken" => token::open_thread,
    caller(5) "ZwOpenThreadTokenEx" => token::open_thread_ex,
    caller(5) "ZwQueryInformationToken" => token::query,

    caller(5) "ZwCreateEvent" => event::create,
    caller(3) "ZwOpenEvent" => event::open,
    caller(2) "ZwSetEvent" => event::set,
    caller(3) "ZwWaitForSingleObject" => event::wait,

    caller(3) "ZwOpenKey" => key::open,
    caller(4) "ZwOpenKeyEx" => key::open_ex,
    caller(7) "ZwCreateKey" => key::create,
    caller(1) "ZwDeleteKey" => key::delete,
    caller(1) "ZwFlushKey" => key::flush,
    caller(5) "ZwQueryKey" => key::query,
    caller(6) "ZwEnumerateKey" => key::enumerate,
    caller(6) "ZwQueryValueKey" => key::query_value,
    caller(6) "ZwEnumerateValueKey" => key::enumerate_value,
    caller(2) "ZwDeleteValueKey" => key::delete_value,
    caller(6) "ZwSetValueKey" => key::set_value,

    caller(11) "ZwCreateFile" => open::create,
    caller(6) "ZwOpenFile" => open::open,
    caller(1) "ZwDeleteFile" => open::delete,
    caller(9) "ZwReadFile" => file::read,
    caller(9) "ZwWriteFile" => file::write,
    caller(2) "ZwFlushBuffersFile" => file::flush,
    caller(5) "ZwQueryInformationFile" => file::query_information,
    caller(5) "ZwSetInformationFile" => file::set_information,
    caller(5) "ZwQueryVolumeInformationFile" => file::query_volume_information,
    caller(5) "ZwSetVolumeInformationFile" => file::set_volume_information,
    caller(11) "ZwQueryDirectoryFile" => file::query_directory,
    caller(9) "ZwNotifyChangeDirectoryFile" => file::notify_change_directory,
    caller(10) "ZwDeviceIoControlFile" => file::device_control,
    caller(10) "ZwFsControlFile" => file::fs_control,
    caller(10) "ZwLockFile" => file::lock,
    caller(5) "ZwUnlockFile" => file::unlock,
    caller(2) "ZwQueryFullAttributesFile" => open::query_full_attributes,
}

/// Which services are made to fail, and as what.
fn failing(name: &str) -> Option<failure::Kind> {
    match name {
        "ZwCreateFile" | "ZwOpenFile" | "ZwQueryFullAttributesFile" => Some(failure::Kind::Open),
        "ZwOpenKey"
        | "ZwOpenKeyEx"
        | "IoOpenDriverRegistryKey"
        | "ZwQueryKey"
        | "ZwEnumerateKey"
        | "ZwQueryValueKey"
        | "ZwEnumerateValueKey" => Some(failure::Kind::Registry),
        _ => None,
    }
}

/// Runs a service for a driver that returns to `caller`: checks the IRQL and
/// sets the previous mode, as the `Zw` entry does.
fn service(
    name: &'static str,
    caller: usize,
    run: impl FnOnce() -> Result<NTSTATUS, NTSTATUS>,
) -> NTSTATUS {
    irql::require(name, caller);
    if let Some(status) = failing(name).and_then(failure::refuses) {
        return status;
    }
    thread::from_kernel_mode(run).unwrap_or_else(|status| status)
}

/// Reports those of the addresses that a driver gives the service `name` which are a program's.
fn passes(name: &str, addresses: &[usize], caller: usize) {
    for address in addresses {
        if program_memory::contains(*address) {
            violation(
                &rules::ZW_USER_ADDRESS,
                format!("{name} was given 0x{address:x}, which is memory of a program"),
                &[("called at", caller)],
            );
        }
    }
}

/// The text of a string that a driver passes; one that is malformed is reported.
///
/// # Safety
/// `string` is null or points to one.
unsafe fn text_of(string: *const UNICODE_STRING) -> String {
    // SAFETY: contract of the function.
    if let Some(string) = unsafe { string.as_ref() } {
        let UNICODE_STRING {
            Length: length,
            MaximumLength: maximum,
            Buffer: buffer,
        } = *string;
        if length % 2 != 0 || length > maximum || buffer.is_null() && length != 0 {
            violation(
                &rules::MALFORMED_STRING,
                format!("a string has {length} bytes of at most {maximum} at {buffer:p}"),
                &[],
            );
        }
    }
    // SAFETY: contract of the function.
    unsafe { unicode::to_string(string) }
}

/// The readable parts of an `OBJECT_ATTRIBUTES`.
#[derive(Default)]
struct Attributes {
    root: HANDLE,
    name: String,
    flags: u32,
}

/// `OBJ_CASE_INSENSITIVE`.
const CASE_INSENSITIVE: u32 = 0x40;
/// `OBJ_OPENIF`.
const OPEN_IF: u32 = 0x80;
/// `OBJ_KERNEL_HANDLE`.
const KERNEL_HANDLE: u32 = 0x200;

impl Attributes {
    /// # Safety
    /// `attributes`, if not null, points to valid attributes.
    unsafe fn read(attributes: *const OBJECT_ATTRIBUTES) -> Result<Self, NTSTATUS> {
        // SAFETY: contract of the function.
        let attributes = unsafe { attributes.as_ref() }.ok_or(STATUS_INVALID_PARAMETER)?;
        if attributes.Length as usize != size_of::<OBJECT_ATTRIBUTES>() {
            return Err(STATUS_INVALID_PARAMETER);
        }
        Ok(Self {
            root: attributes.RootDirectory,
            // SAFETY: valid attributes have a valid name, or none.
            name: unsafe { text_of(attributes.ObjectName) },
            flags: attributes.Attributes,
        })
    }

    /// Those of an object that may do without.
    ///
    /// # Safety
    /// As [`Self::read`].
    unsafe fn read_or_none(attributes: *const OBJECT_ATTRIBUTES) -> Result<Self, NTSTATUS> {
        if attributes.is_null() {
            return Ok(Self::default());
        }
        // SAFETY: contract of the function.
        unsafe { Self::read(attributes) }
    }

    fn is_kernel_handle(&self) -> bool {
        self.flags & KERNEL_HANDLE != 0
    }

    fn is_case_sensitive(&self) -> bool {
        self.flags & CASE_INSENSITIVE == 0
    }
}
