//! `RtlQueryRegistryValues` and its relatives, over the settings of services.
//!
//! Values are `REG_DWORD` or `REG_SZ`, as settings are. Deleting values
//! (`RTL_QUERY_REGISTRY_DELETE`) is refused, because settings stay what they are.
//!
//! Source: `RtlQueryRegistryValues`, `RtlWriteRegistryValue` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::registry_key::{REG_EXPAND_SZ, REG_NONE, REG_SZ, Value, key, text, wide};
use super::strings::terminated;
use super::translate::allocate;
use crate::io_manager::settings;
use crate::nt::{
    NTSTATUS, RTL_QUERY_REGISTRY_DELETE, RTL_QUERY_REGISTRY_DIRECT, RTL_QUERY_REGISTRY_NOVALUE,
    RTL_QUERY_REGISTRY_REQUIRED, RTL_QUERY_REGISTRY_SUBKEY, RTL_QUERY_REGISTRY_TABLE,
    RTL_QUERY_REGISTRY_TOPKEY, RTL_QUERY_REGISTRY_TYPECHECK, RTL_QUERY_REGISTRY_TYPECHECK_SHIFT,
    RTL_REGISTRY_OPTIONAL, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY,
    STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, UNICODE_STRING,
};
use crate::pool::failure;
use crate::processor::driver_code::entering;
use crate::processor::irql;
use std::ffi::c_void;

/// `RTL_QUERY_REGISTRY_ROUTINE`.
type Routine = unsafe extern "win64" fn(
    *const u16,
    u32,
    *const c_void,
    u32,
    *mut c_void,
    *mut c_void,
) -> NTSTATUS;

/// One entry of the driver's table, with what it is called for.
struct Entry<'a> {
    table: &'a RTL_QUERY_REGISTRY_TABLE,
    routine: Option<Routine>,
    name: Option<String>,
    context: *mut c_void,
}

impl Entry<'_> {
    fn has(&self, flag: u32) -> bool {
        self.table.Flags & flag != 0
    }
    /// The value to use when there is none.
    ///
    /// # Safety
    /// The default of the entry is valid.
    unsafe fn default_value(&self) -> Option<Value> {
        let kind = if self.has(RTL_QUERY_REGISTRY_TYPECHECK) {
            self.table.DefaultType & 0xFF
        } else {
            self.table.DefaultType
        };
        if kind == REG_NONE || self.table.DefaultData.is_null() {
            return None;
        }
        let length = match (kind, self.table.DefaultLength) {
            (REG_SZ | REG_EXPAND_SZ, 0) => {
                // SAFETY: contract of the function: a terminated string.
                unsafe { terminated(self.table.DefaultData.cast::<u16>()) }.len() * 2 + 2
            }
            (_, length) => length as usize,
        };
        // SAFETY: contract of the function.
        let data =
            unsafe { std::slice::from_raw_parts(self.table.DefaultData.cast::<u8>(), length) };
        Some(Value {
            kind,
            data: data.to_vec(),
        })
    }
    /// Hands a value to the routine, or stores it.
    ///
    /// # Safety
    /// The entry is valid.
    unsafe fn hand_over(&self, name: &str, value: &Value, caller: usize) -> NTSTATUS {
        if self.has(RTL_QUERY_REGISTRY_DIRECT) {
            let wanted = self.table.DefaultType >> RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
            if self.has(RTL_QUERY_REGISTRY_TYPECHECK) && wanted != value.kind {
                return STATUS_OBJECT_TYPE_MISMATCH;
            }
            // SAFETY: contract of the function.
            return unsafe { store(self.table.EntryContext, value, caller) };
        }
        let Some(routine) = self.routine else {
            return STATUS_SUCCESS;
        };
        let name = wide(name);
        let (data, length) = (value.data.as_ptr().cast(), value.data.len() as u32);
        // SAFETY: the routine and the contexts as the driver gave them.
        unsafe {
            entering(routine)(
                name.as_ptr(),
                value.kind,
                data,
                length,
                self.context,
                self.table.EntryContext,
            )
        }
    }
}

/// Stores a value where `RTL_QUERY_REGISTRY_DIRECT` says.
///
/// # Safety
/// `target` is a string for a string, else room for the data.
unsafe fn store(target: *mut c_void, value: &Value, caller: usize) -> NTSTATUS {
    if !matches!(value.kind, REG_SZ | REG_EXPAND_SZ) {
        if value.data.len() > size_of::<u32>() {
            // Larger data has a layout of its own, which settings never need.
            return STATUS_NOT_SUPPORTED;
        }
        // SAFETY: contract of the function.
        unsafe {
            target
                .cast::<u8>()
                .copy_from(value.data.as_ptr(), value.data.len())
        };
        return STATUS_SUCCESS;
    }
    // SAFETY: contract of the function.
    let string = unsafe { &mut *target.cast::<UNICODE_STRING>() };
    let Ok(bytes) = u16::try_from(value.data.len()) else {
        return STATUS_BUFFER_TOO_SMALL;
    };
    if string.Buffer.is_null() {
        let buffer = allocate(usize::from(bytes), caller);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        (string.Buffer, string.MaximumLength) = (buffer.cast(), bytes);
    } else if string.MaximumLength < bytes {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: the buffer holds `MaximumLength` bytes.
    unsafe {
        string
            .Buffer
            .cast::<u8>()
            .copy_from(value.data.as_ptr(), usize::from(bytes))
    };
    string.Length = bytes.saturating_sub(2);
    STATUS_SUCCESS
}

/// Does what one entry asks for, in `key`.
///
/// # Safety
/// The entry is valid.
unsafe fn query(entry: &Entry<'_>, key: &str, caller: usize) -> NTSTATUS {
    let missing = if entry.has(RTL_QUERY_REGISTRY_REQUIRED) {
        STATUS_OBJECT_NAME_NOT_FOUND
    } else {
        STATUS_SUCCESS
    };
    if entry.has(RTL_QUERY_REGISTRY_DELETE) {
        return STATUS_NOT_SUPPORTED;
    }
    if entry.has(RTL_QUERY_REGISTRY_NOVALUE) {
        let Some(routine) = entry.routine else {
            return STATUS_SUCCESS;
        };
        let none = std::ptr::null();
        // SAFETY: the routine and the contexts as the driver gave them.
        return unsafe {
            entering(routine)(
                std::ptr::null(),
                REG_NONE,
                none,
                0,
                entry.context,
                entry.table.EntryContext,
            )
        };
    }
    let named = entry
        .name
        .as_ref()
        .filter(|_| !entry.has(RTL_QUERY_REGISTRY_SUBKEY));
    if let Some(name) = named {
        let value = settings::get(key, name).map(|value| Value::of(&value));
        // SAFETY: contract of the function.
        let value = value
            .or_else(|| unsafe { entry.default_value() }.filter(|_| missing == STATUS_SUCCESS));
        let Some(value) = value else { return missing };
        // SAFETY: contract of the function.
        return unsafe { entry.hand_over(name, &value, caller) };
    }
    let values = settings::values(key);
    if values.is_empty() {
        return missing;
    }
    for (name, value) in values {
        // SAFETY: contract of the function.
        let status = unsafe { entry.hand_over(&name, &Value::of(&value), caller) };
        if status < 0 {
            return status;
        }
    }
    STATUS_SUCCESS
}

/// `RtlQueryRegistryValues`.
pub unsafe extern "win64" fn query_values(
    relative_to: u32,
    path: *const u16,
    table: *mut RTL_QUERY_REGISTRY_TABLE,
    context: *mut c_void,
    _environment: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlQueryRegistryValues", caller);
    if let Some(status) = failure::refuses(failure::Kind::Registry) {
        return status;
    }
    // SAFETY: the driver passes a path or a handle.
    let top = match unsafe { key(relative_to, path) } {
        Ok(top) if settings::key_exists(&top) => top,
        Ok(_) if relative_to & RTL_REGISTRY_OPTIONAL != 0 => return STATUS_SUCCESS,
        Ok(_) => return STATUS_OBJECT_NAME_NOT_FOUND,
        Err(status) => return status,
    };
    let mut current = top.clone();
    let mut next = table;
    loop {
        // SAFETY: the driver passes a table that ends with an entry of zeros.
        let table = unsafe { &*next };
        next = next.wrapping_add(1);
        // SAFETY: the slot holds null or a routine of this convention.
        let routine = unsafe {
            (&raw const table.QueryRoutine)
                .cast::<Option<Routine>>()
                .read()
        };
        if routine.is_none()
            && table.Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_DIRECT) == 0
        {
            return STATUS_SUCCESS;
        }
        // SAFETY: a terminated string or null.
        let name = unsafe { text(table.Name) };
        let entry = Entry {
            table,
            routine,
            name,
            context,
        };
        let direct = entry.has(RTL_QUERY_REGISTRY_DIRECT);
        if direct
            && (entry.name.is_none() || routine.is_some() || entry.has(RTL_QUERY_REGISTRY_SUBKEY))
        {
            return STATUS_INVALID_PARAMETER;
        }
        if entry.has(RTL_QUERY_REGISTRY_TOPKEY | RTL_QUERY_REGISTRY_SUBKEY) {
            current.clone_from(&top);
        }
        if entry.has(RTL_QUERY_REGISTRY_SUBKEY) {
            let Some(name) = &entry.name else {
                return STATUS_INVALID_PARAMETER;
            };
            current = format!(r"{top}\{name}");
            if !settings::key_exists(&current) {
                if entry.has(RTL_QUERY_REGISTRY_REQUIRED) {
                    return STATUS_OBJECT_NAME_NOT_FOUND;
                }
                continue;
            }
            if routine.is_none() {
                continue;
            }
        }
        // SAFETY: the entry is the driver's.
        let status = unsafe { query(&entry, &current, caller) };
        if status < 0 {
            return status;
        }
    }
}

/// `RtlCheckRegistryKey`.
pub unsafe extern "win64" fn check_key(
    relative_to: u32,
    path: *const u16,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlCheckRegistryKey", caller);
    if let Some(status) = failure::refuses(failure::Kind::Registry) {
        return status;
    }
    // SAFETY: the driver passes a path or a handle.
    match unsafe { key(relative_to, path) } {
        Ok(path) if settings::key_exists(&path) => STATUS_SUCCESS,
        Ok(_) => STATUS_OBJECT_NAME_NOT_FOUND,
        Err(status) => status,
    }
}

/// `RtlCreateRegistryKey`.
pub unsafe extern "win64" fn create_key(
    relative_to: u32,
    path: *const u16,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlCreateRegistryKey", caller);
    // SAFETY: the driver passes a path or a handle.
    match unsafe { key(relative_to, path) } {
        Ok(path) => {
            settings::create_key(&path);
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// `RtlWriteRegistryValue`, for the types that settings have.
pub unsafe extern "win64" fn write_value(
    relative_to: u32,
    path: *const u16,
    name: *const u16,
    kind: u32,
    data: *const c_void,
    length: u32,
    caller: usize,
) -> NTSTATUS {
    irql::require("RtlWriteRegistryValue", caller);
    // SAFETY: the driver passes a path or a handle.
    let path = match unsafe { key(relative_to, path) } {
        Ok(path) => path,
        Err(status) => return status,
    };
    // SAFETY: the driver passes a terminated string.
    let Some(name) = (unsafe { text(name) }) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: the driver passes `length` bytes.
    let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) };
    match (Value {
        kind,
        data: data.to_vec(),
    })
    .setting()
    {
        Some(value) => {
            settings::set(&path, &name, value);
            STATUS_SUCCESS
        }
        None => STATUS_NOT_SUPPORTED,
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
