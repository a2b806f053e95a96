//! Registry keys.
//!
//! A key object holds the path it was opened with ([`named`]); what the key contains is in
//! `io_manager::settings`. Values are `REG_DWORD` and `REG_SZ`, the two kinds
//! that a service's settings have; setting another one fails with
//! `STATUS_NOT_SUPPORTED`.

#![expect(unsafe_code, reason = "drivers pass raw pointers")]

use super::key_information::{Answer, NAME, REG_DWORD, REG_SZ, key_information, value_information};
use super::rights::Rights;
use super::{Attributes, key_life, named, passes, service, text_of};
use crate::io_manager::driver::SettingValue;
use crate::io_manager::settings;
use crate::nt::{
    DRIVER_OBJECT, HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INVALID_PARAMETER,
    STATUS_KEY_DELETED, STATUS_NO_MORE_ENTRIES, STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS, UNICODE_STRING, unicode,
};
use crate::processor::object::Kind;
use std::ffi::c_void;

const KEY_QUERY_VALUE: u32 = 0x01;
const KEY_SET_VALUE: u32 = 0x02;
const KEY_ENUMERATE_SUB_KEYS: u32 = 0x08;
/// Rights of keys.
const KEY: Rights = Rights {
    read: 0x2_0019,
    write: 0x2_0006,
    execute: 0x2_0019,
    all: 0xF_003F,
};
const DELETE: u32 = 0x1_0000;

const REG_EXPAND_SZ: u32 = 2;
const REG_CREATED_NEW_KEY: u32 = 1;
const REG_OPENED_EXISTING_KEY: u32 = 2;

/// The path of the key behind a handle that was granted `access`.
fn path_of(handle: HANDLE, access: u32) -> Result<String, NTSTATUS> {
    let path = named::text_of(handle, Kind::Key, access)?;
    if settings::key_exists(&path) {
        Ok(path)
    } else {
        Err(STATUS_KEY_DELETED)
    }
}

/// The full path that attributes name.
fn path_named(attributes: &Attributes) -> Result<String, NTSTATUS> {
    let name = attributes.name.trim_end_matches('\\');
    if attributes.root.is_null() {
        return Ok(name.to_owned());
    }
    let root = path_of(attributes.root, 0)?;
    Ok(if name.is_empty() {
        root
    } else {
        format!("{root}\\{name}")
    })
}

unsafe fn open_key(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
) -> Result<NTSTATUS, NTSTATUS> {
    // SAFETY: the driver's attributes.
    let attributes = unsafe { Attributes::read(attributes) }?;
    let path = path_named(&attributes)?;
    // SAFETY: the driver's pointer.
    unsafe { open_existing(handle, &path, access, attributes.is_kernel_handle()) }
}

/// Gives the driver a handle of the key with that path.
///
/// # Safety
/// `handle` is a place for it.
unsafe fn open_existing(
    handle: *mut HANDLE,
    path: &str,
    access: u32,
    kernel: bool,
) -> Result<NTSTATUS, NTSTATUS> {
    if !settings::key_exists(path) {
        return Err(STATUS_OBJECT_NAME_NOT_FOUND);
    }
    // SAFETY: contract of the function.
    unsafe { give_handle(handle, path, access, kernel, false) };
    Ok(STATUS_SUCCESS)
}

unsafe fn give_handle(
    handle: *mut HANDLE,
    path: &str,
    access: u32,
    kernel: bool,
    is_created: bool,
) {
    let new = named::open(Kind::Key, path, KEY.granted(access), kernel);
    key_life::begins(new, is_created);
    // SAFETY: contract of the function.
    unsafe { handle.write(new) };
}

pub(super) unsafe extern "win64" fn open(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: the driver's pointers.
    service("ZwOpenKey", caller, || unsafe {
        open_key(handle, access, attributes)
    })
}

pub(super) unsafe extern "win64" fn open_ex(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    _options: u32,
    caller: usize,
) -> NTSTATUS {
    // Backup semantics and links mean nothing here.
    // SAFETY: the driver's pointers.
    service("ZwOpenKeyEx", caller, || unsafe {
        open_key(handle, access, attributes)
    })
}

/// `IoOpenDriverRegistryKey`, for the parameters of a service. There are no keys for states that outlive a
/// restart.
pub unsafe extern "win64" fn open_driver_registry_key(
    driver: *mut DRIVER_OBJECT,
    key: i32,
    access: u32,
    flags: u32,
    handle: *mut HANDLE,
    caller: usize,
) -> NTSTATUS {
    /// `DriverRegKeyParameters`.
    const PARAMETERS: i32 = 0;
    service("IoOpenDriverRegistryKey", caller, || {
        if key != PARAMETERS || flags != 0 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the driver's own object.
        let extension = unsafe { (*driver).DriverExtension };
        // SAFETY: each driver object has an extension; only the place is computed.
        let service = unsafe { &raw const (*extension).ServiceKeyName };
        // SAFETY: it names the driver's service.
        let service = unsafe { unicode::to_string(service) };
        let path = format!(r"{}\Parameters", settings::service_path(&service));
        // SAFETY: the driver's pointer.
        unsafe { open_existing(handle, &path, access, true) }
    })
}

pub(super) unsafe extern "win64" fn create(
    handle: *mut HANDLE,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    _title_index: u32,
    _class: *const UNICODE_STRING,
    _options: u32,
    disposition: *mut u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwCreateKey", caller, || {
        // SAFETY: the driver's attributes.
        let attributes = unsafe { Attributes::read(attributes) }?;
        let path = path_named(&attributes)?;
        // One level at a time: the key above must be there.
        let above = path.rsplit_once('\\').map_or("", |(above, _)| above);
        if !settings::key_exists(above) {
            return Err(STATUS_OBJECT_NAME_NOT_FOUND);
        }
        let existed = settings::key_exists(&path);
        settings::create_key(&path);
        let kernel = attributes.is_kernel_handle();
        // SAFETY: the driver's pointer.
        unsafe { give_handle(handle, &path, access, kernel, true) };
        if !disposition.is_null() {
            let done = if existed {
                REG_OPENED_EXISTING_KEY
            } else {
                REG_CREATED_NEW_KEY
            };
            // SAFETY: the driver's pointer.
            unsafe { disposition.write(done) };
        }
        Ok(STATUS_SUCCESS)
    })
}

pub(super) unsafe extern "win64" fn delete(handle: HANDLE, caller: usize) -> NTSTATUS {
    service("ZwDeleteKey", caller, || {
        key_life::may(handle, "ZwDeleteKey", caller);
        let path = path_of(handle, DELETE)?;
        // A key with keys below it stays.
        if !settings::subkeys(&path).is_empty() {
            return Err(crate::nt::STATUS_CANNOT_DELETE);
        }
        settings::delete_key(&path);
        key_life::is_deleted(handle, caller);
        Ok(STATUS_SUCCESS)
    })
}

pub(super) unsafe extern "win64" fn flush(handle: HANDLE, caller: usize) -> NTSTATUS {
    // Settings are in memory alone; that the handle is a key's is all there is to check.
    service("ZwFlushKey", caller, || {
        key_life::may(handle, "ZwFlushKey", caller);
        path_of(handle, 0).map(|_| STATUS_SUCCESS)
    })
}

/// Buffer, its length, and where the length of an answer goes.
type Room = (*mut c_void, u32, *mut u32);

/// A service that gives an answer.
///
/// # Safety
/// The room is the driver's.
unsafe fn answering(
    name: &'static str,
    handle: HANDLE,
    caller: usize,
    (buffer, length, result): Room,
    answer: impl FnOnce() -> Result<Answer, NTSTATUS>,
) -> NTSTATUS {
    passes(name, &[buffer.addr(), result.addr()], caller);
    service(name, caller, || {
        key_life::may(handle, name, caller);
        let answer = answer()?;
        // SAFETY: contract of the function.
        Ok(unsafe { answer.give(buffer, length, result) })
    })
}

pub(super) unsafe extern "win64" fn query(
    handle: HANDLE,
    class: i32,
    buffer: *mut c_void,
    length: u32,
    result: *mut u32,
    caller: usize,
) -> NTSTATUS {
    let answer = || {
        let path = path_of(handle, if class == NAME { 0 } else { KEY_QUERY_VALUE })?;
        key_information(&path, class)
    };
    let room = (buffer, length, result);
    // SAFETY: the driver's buffer and pointer.
    unsafe { answering("ZwQueryKey", handle, caller, room, answer) }
}

pub(super) unsafe extern "win64" fn enumerate(
    handle: HANDLE,
    index: u32,
    class: i32,
    buffer: *mut c_void,
    length: u32,
    result: *mut u32,
    caller: usize,
) -> NTSTATUS {
    let answer = || {
        let path = path_of(handle, KEY_ENUMERATE_SUB_KEYS)?;
        let below = settings::subkeys(&path);
        let name = below.get(index as usize).ok_or(STATUS_NO_MORE_ENTRIES)?;
        key_information(&format!("{path}\\{name}"), class)
    };
    let room = (buffer, length, result);
    // SAFETY: the driver's buffer and pointer.
    unsafe { answering("ZwEnumerateKey", handle, caller, room, answer) }
}

pub(super) unsafe extern "win64" fn query_value(
    handle: HANDLE,
    name: *const UNICODE_STRING,
    class: i32,
    buffer: *mut c_void,
    length: u32,
    result: *mut u32,
    caller: usize,
) -> NTSTATUS {
    let answer = || {
        let path = path_of(handle, KEY_QUERY_VALUE)?;
        // SAFETY: the driver's string.
        let name = unsafe { text_of(name) };
        let value = settings::get(&path, &name).ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        value_information(&name, &value, class)
    };
    let room = (buffer, length, result);
    // SAFETY: the driver's buffer and pointer.
    unsafe { answering("ZwQueryValueKey", handle, caller, room, answer) }
}

pub(super) unsafe extern "win64" fn enumerate_value(
    handle: HANDLE,
    index: u32,
    class: i32,
    buffer: *mut c_void,
    length: u32,
    result: *mut u32,
    caller: usize,
) -> NTSTATUS {
    let answer = || {
        let path = path_of(handle, KEY_QUERY_VALUE)?;
        let values = settings::values(&path);
        let (name, value) = values.get(index as usize).ok_or(STATUS_NO_MORE_ENTRIES)?;
        value_information(name, value, class)
    };
    let room = (buffer, length, result);
    // SAFETY: the driver's buffer and pointer.
    unsafe { answering("ZwEnumerateValueKey", handle, caller, room, answer) }
}

pub(super) unsafe extern "win64" fn delete_value(
    handle: HANDLE,
    name: *const UNICODE_STRING,
    caller: usize,
) -> NTSTATUS {
    service("ZwDeleteValueKey", caller, || {
        key_life::may(handle, "ZwDeleteValueKey", caller);
        let path = path_of(handle, KEY_SET_VALUE)?;
        // SAFETY: the driver's string.
        let name = unsafe { text_of(name) };
        if settings::delete_value(&path, &name) {
            Ok(STATUS_SUCCESS)
        } else {
            Err(STATUS_OBJECT_NAME_NOT_FOUND)
        }
    })
}

pub(super) unsafe extern "win64" fn set_value(
    handle: HANDLE,
    name: *const UNICODE_STRING,
    _title_index: u32,
    kind: u32,
    data: *const c_void,
    bytes: u32,
    caller: usize,
) -> NTSTATUS {
    service("ZwSetValueKey", caller, || {
        key_life::may(handle, "ZwSetValueKey", caller);
        passes("ZwSetValueKey", &[data.addr()], caller);
        let path = path_of(handle, KEY_SET_VALUE)?;
        // SAFETY: the driver's string.
        let name = unsafe { text_of(name) };
        let data: &[u8] = if data.is_null() || bytes == 0 {
            &[]
        } else {
            // SAFETY: the driver's data has `bytes` bytes.
            unsafe { std::slice::from_raw_parts(data.cast(), bytes as usize) }
        };
        let value = match (kind, data.first_chunk()) {
            (REG_DWORD, Some(number)) if bytes == 4 => {
                SettingValue::Dword(u32::from_le_bytes(*number))
            }
            (REG_DWORD, _) => return Err(STATUS_INVALID_PARAMETER),
            (REG_SZ | REG_EXPAND_SZ, _) => {
                let units = data
                    .chunks_exact(2)
                    .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                let text: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
                SettingValue::Text(String::from_utf16_lossy(&text))
            }
            _ => return Err(STATUS_NOT_SUPPORTED),
        };
        settings::set(&path, &name, value);
        Ok(STATUS_SUCCESS)
    })
}
