//! Keys and security as a driver reads and writes them.

#![expect(unsafe_code, reason = "services are called as a driver calls them")]

use super::*;
use crate::io_manager::driver::SettingValue;
use crate::io_manager::settings;
use crate::nt;
use crate::nt::unicode::OwnedUnicodeString;
use crate::verifier::capture;
use std::ffi::c_void;

const ROOT: &str = r"\Registry\Machine\System\CurrentControlSet\Services";
const READ: u32 = 0x2_0019;
const ALL: u32 = 0xF_003F;

fn attributes(
    name: &OwnedUnicodeString,
    unicode: &mut nt::UNICODE_STRING,
    root: HANDLE,
) -> OBJECT_ATTRIBUTES {
    *unicode = name.as_unicode();
    OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: root,
        ObjectName: unicode,
        Attributes: CASE_INSENSITIVE | KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::default()
    }
}

/// Calls `f` with attributes of that name, of a kernel handle.
pub(super) fn with_name<R>(path: &str, f: impl FnOnce(*const OBJECT_ATTRIBUTES) -> R) -> R {
    let name = OwnedUnicodeString::new(path);
    let mut unicode = name.as_unicode();
    let attributes = attributes(&name, &mut unicode, std::ptr::null_mut());
    f(&raw const attributes)
}

/// The handle that `open` writes, if it succeeds.
pub(super) fn handle_of(open: impl FnOnce(*mut HANDLE) -> NTSTATUS) -> Result<HANDLE, NTSTATUS> {
    let mut handle = std::ptr::null_mut();
    match open(&raw mut handle) {
        nt::STATUS_SUCCESS => Ok(handle),
        status => Err(status),
    }
}

fn open(path: &str, access: u32, root: HANDLE) -> Result<HANDLE, NTSTATUS> {
    let name = OwnedUnicodeString::new(path);
    let mut unicode = name.as_unicode();
    let attributes = attributes(&name, &mut unicode, root);
    // SAFETY: all pointers are to locals.
    handle_of(|handle| unsafe { key::open(handle, access, &raw const attributes, 0) })
}

pub(super) fn close(handle: HANDLE) -> NTSTATUS {
    // SAFETY: any value may be passed.
    unsafe { object::close(handle, 0) }
}

/// Status, needed length, and the bytes that were written.
fn query(handle: HANDLE, name: &str, class: i32, room: usize) -> (NTSTATUS, usize, Vec<u8>) {
    let name = OwnedUnicodeString::new(name);
    let unicode = name.as_unicode();
    let mut buffer = vec![0xEE_u8; room];
    let mut needed = 0;
    // SAFETY: the buffer has `room` bytes.
    let status = unsafe {
        key::query_value(
            handle,
            &raw const unicode,
            class,
            buffer.as_mut_ptr().cast(),
            room as u32,
            &raw mut needed,
            0,
        )
    };
    (status, needed as usize, buffer)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn a_key_is_opened_whatever_the_case_and_below_another() {
    settings::create_key(&format!(r"{ROOT}\ZwOpen\Parameters"));
    let service = open(&format!(r"{ROOT}\zwopen"), READ, std::ptr::null_mut()).unwrap();
    let parameters = open("parameters", READ, service).unwrap();
    assert_eq!(
        open("Missing", READ, service),
        Err(nt::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert_eq!(close(parameters), nt::STATUS_SUCCESS);
    let (status, found) = capture(|| close(parameters));
    assert_eq!(status, nt::STATUS_INVALID_HANDLE);
    assert_eq!(found[0].rule, &rules::KEY_ENDED);
    assert_eq!(close(service), nt::STATUS_SUCCESS);
}

/// A driver finds its parameters without knowing where they are.
#[test]
fn parameters_are_those_of_the_drivers_service() {
    let name = OwnedUnicodeString::new("ZwParameters");
    let mut extension = nt::DRIVER_EXTENSION {
        ServiceKeyName: name.as_unicode(),
        ..nt::DRIVER_EXTENSION::default()
    };
    let mut driver = nt::DRIVER_OBJECT {
        DriverExtension: &raw mut extension,
        ..nt::DRIVER_OBJECT::default()
    };
    let mut open = |key, flags| {
        let mut handle = std::ptr::null_mut();
        let driver = &raw mut driver;
        // SAFETY: a driver object with an extension, and a place for the handle.
        let status =
            unsafe { open_driver_registry_key(driver, key, READ, flags, &raw mut handle, 0) };
        (status, handle)
    };
    assert_eq!(open(0, 0).0, nt::STATUS_OBJECT_NAME_NOT_FOUND);
    let path = format!(r"{ROOT}\ZwParameters\Parameters");
    settings::set(&path, "Number", SettingValue::Dword(7));
    let (status, handle) = open(0, 0);
    assert_eq!(status, nt::STATUS_SUCCESS);
    let (status, _, value) = query(handle, "Number", 2, 64);
    assert_eq!((status, u32_at(&value, 12)), (nt::STATUS_SUCCESS, 7));
    assert_eq!(close(handle), nt::STATUS_SUCCESS);
    for (key, flags) in [(1, 0), (0, 1)] {
        assert_eq!(open(key, flags).0, nt::STATUS_INVALID_PARAMETER);
    }
}

#[test]
fn attributes_of_another_size_are_refused() {
    let attributes = OBJECT_ATTRIBUTES {
        Length: 7,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle = std::ptr::null_mut();
    // SAFETY: all pointers are to locals.
    let status = unsafe { key::open(&raw mut handle, READ, &raw const attributes, 0) };
    assert_eq!(status, nt::STATUS_INVALID_PARAMETER);
}

#[test]
fn partial_information_is_type_length_and_data() {
    let path = format!(r"{ROOT}\ZwPartial");
    settings::set(&path, "Number", SettingValue::Dword(0x0102_0304));
    settings::set(&path, "Text", SettingValue::Text("ab".into()));
    let key = open(&path, READ, std::ptr::null_mut()).unwrap();
    let (status, needed, bytes) = query(key, "number", 2, 16);
    assert_eq!((status, needed), (nt::STATUS_SUCCESS, 16));
    assert_eq!(
        (u32_at(&bytes, 0), u32_at(&bytes, 4), u32_at(&bytes, 8)),
        (0, 4, 4)
    );
    assert_eq!(u32_at(&bytes, 12), 0x0102_0304);
    let (status, needed, bytes) = query(key, "Text", 2, 64);
    assert_eq!((status, needed), (nt::STATUS_SUCCESS, 12 + 6));
    assert_eq!(
        (u32_at(&bytes, 4), u32_at(&bytes, 8), &bytes[12..18]),
        (1, 6, &b"a\0b\0\0\0"[..])
    );
    assert_eq!(
        query(key, "Missing", 2, 64).0,
        nt::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(query(key, "Text", 99, 64).0, nt::STATUS_INVALID_PARAMETER);
    close(key);
}

#[test]
fn a_short_buffer_gets_what_fits_or_nothing() {
    let path = format!(r"{ROOT}\ZwShort");
    settings::set(&path, "Number", SettingValue::Dword(0x0102_0304));
    let key = open(&path, READ, std::ptr::null_mut()).unwrap();
    let (status, needed, bytes) = query(key, "Number", 2, 14);
    assert_eq!((status, needed), (nt::STATUS_BUFFER_OVERFLOW, 16));
    assert_eq!(&bytes[12..], &[4, 3]);
    let (status, needed, bytes) = query(key, "Number", 2, 11);
    assert_eq!((status, needed), (nt::STATUS_BUFFER_TOO_SMALL, 16));
    assert_eq!(bytes, [0xEE; 11]);
    close(key);
}

#[test]
fn full_information_aligns_its_data() {
    let path = format!(r"{ROOT}\ZwFull");
    settings::set(&path, "Odd", SettingValue::Dword(9));
    let key = open(&path, READ, std::ptr::null_mut()).unwrap();
    for (class, offset) in [(1, 28), (3, 32)] {
        let (status, needed, bytes) = query(key, "Odd", class, 64);
        assert_eq!((status, needed), (nt::STATUS_SUCCESS, offset + 4));
        assert_eq!(
            (
                u32_at(&bytes, 8) as usize,
                u32_at(&bytes, 12),
                u32_at(&bytes, 16)
            ),
            (offset, 4, 6)
        );
        assert_eq!(
            (&bytes[20..26], u32_at(&bytes, offset)),
            (&b"O\0d\0d\0"[..], 9)
        );
    }
    close(key);
}

#[test]
fn values_are_set_enumerated_and_need_the_right() {
    let path = format!(r"{ROOT}\ZwSet");
    settings::create_key(&path);
    let name = OwnedUnicodeString::new("New");
    let unicode = name.as_unicode();
    let set = |key: HANDLE, kind: u32, data: &[u8]| {
        let bytes: *const c_void = data.as_ptr().cast();
        // SAFETY: the data has that many bytes.
        unsafe {
            key::set_value(
                key,
                &raw const unicode,
                0,
                kind,
                bytes,
                data.len() as u32,
                0,
            )
        }
    };
    // SAFETY: a name of this test.
    let delete = |key: HANDLE| unsafe { key::delete_value(key, &raw const unicode, 0) };
    let reader = open(&path, READ, std::ptr::null_mut()).unwrap();
    assert_eq!(delete(reader), nt::STATUS_ACCESS_DENIED);
    assert_eq!(set(reader, 4, &[1, 0, 0, 0]), nt::STATUS_ACCESS_DENIED);
    let writer = open(&path, ALL, std::ptr::null_mut()).unwrap();
    assert_eq!(set(writer, 4, &[1, 0, 0, 0]), nt::STATUS_SUCCESS);
    assert_eq!(settings::get(&path, "New"), Some(SettingValue::Dword(1)));
    assert_eq!(set(writer, 4, &[1, 0]), nt::STATUS_INVALID_PARAMETER);
    assert_eq!(set(writer, 1, b"x\0\0\0"), nt::STATUS_SUCCESS);
    assert_eq!(
        settings::get(&path, "New"),
        Some(SettingValue::Text("x".into()))
    );
    assert_eq!(set(writer, 3, b"x"), nt::STATUS_NOT_SUPPORTED);
    let mut buffer = [0_u8; 32];
    let mut needed = 0;
    let mut enumerate = |index| {
        let to: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has 32 bytes.
        unsafe { key::enumerate_value(writer, index, 0, to, 32, &raw mut needed, 0) }
    };
    assert_eq!(enumerate(0), nt::STATUS_SUCCESS);
    assert_eq!(enumerate(1), nt::STATUS_NO_MORE_ENTRIES);
    assert_eq!(
        (u32_at(&buffer, 8), &buffer[12..18]),
        (6, &b"N\0e\0w\0"[..])
    );
    assert_eq!(
        [delete(writer), delete(writer)],
        [nt::STATUS_SUCCESS, nt::STATUS_OBJECT_NAME_NOT_FOUND]
    );
    assert_eq!(settings::get(&path, "New"), None);
    close(reader);
    close(writer);
}

#[test]
fn keys_are_created_one_level_at_a_time_and_deleted() {
    settings::create_key(ROOT);
    let new = |path: &str| {
        let name = OwnedUnicodeString::new(path);
        let mut unicode = name.as_unicode();
        let attributes = attributes(&name, &mut unicode, std::ptr::null_mut());
        let (mut handle, mut disposition) = (std::ptr::null_mut(), 0);
        // SAFETY: all pointers are to locals.
        let status = unsafe {
            key::create(
                &raw mut handle,
                ALL,
                &raw const attributes,
                0,
                std::ptr::null(),
                0,
                &raw mut disposition,
                0,
            )
        };
        (status, handle, disposition)
    };
    let deep = new(&format!(r"{ROOT}\ZwCreate\Below"));
    assert_eq!(deep.0, nt::STATUS_OBJECT_NAME_NOT_FOUND);
    let (status, key, disposition) = new(&format!(r"{ROOT}\ZwCreate"));
    assert_eq!((status, disposition), (nt::STATUS_SUCCESS, 1));
    let (status, below, disposition) = new(&format!(r"{ROOT}\zwcreate\Below"));
    assert_eq!((status, disposition), (nt::STATUS_SUCCESS, 1));
    assert_eq!(new(&format!(r"{ROOT}\ZwCreate")).2, 2);
    // SAFETY: any handle may be passed.
    let delete = |key: HANDLE| unsafe { key::delete(key, 0) };
    assert_eq!(delete(key), nt::STATUS_CANNOT_DELETE);
    assert_eq!(delete(below), nt::STATUS_SUCCESS);
    // SAFETY: any handle may be passed.
    let (status, found) = capture(|| unsafe { key::flush(below, 0) });
    assert_eq!(status, nt::STATUS_KEY_DELETED);
    assert_eq!(found[0].rule, &rules::CREATED_KEY_ENDED);
    assert_eq!(delete(key), nt::STATUS_SUCCESS);
    close(key);
    close(below);
}

#[test]
fn a_key_tells_its_name_and_how_much_is_in_it() {
    let path = format!(r"{ROOT}\ZwTells");
    settings::set(&path, "Value", SettingValue::Dword(1));
    settings::create_key(&format!(r"{path}\Longer"));
    let key = open(&path, READ, std::ptr::null_mut()).unwrap();
    let mut buffer = [0_u8; 256];
    let to: *mut c_void = buffer.as_mut_ptr().cast();
    let mut needed = 0;
    // SAFETY: the buffer has 256 bytes.
    let status = unsafe { key::query(key, 2, to, 256, &raw mut needed, 0) };
    assert_eq!((status, needed), (nt::STATUS_SUCCESS, 44));
    let fields: Vec<u32> = (0..11).map(|index| u32_at(&buffer, 4 * index)).collect();
    assert_eq!(&fields[5..], &[1, 12, 0, 1, 10, 4]);
    // SAFETY: the buffer has 256 bytes.
    let status = unsafe { key::enumerate(key, 0, 0, to, 256, &raw mut needed, 0) };
    assert_eq!((status, needed), (nt::STATUS_SUCCESS, 28));
    assert_eq!(
        (u32_at(&buffer, 12), &buffer[16..28]),
        (12, &b"L\0o\0n\0g\0e\0r\0"[..])
    );
    // SAFETY: the buffer has 256 bytes.
    let status = unsafe { key::enumerate(key, 1, 0, to, 256, &raw mut needed, 0) };
    assert_eq!(status, nt::STATUS_NO_MORE_ENTRIES);
    close(key);
}

#[test]
fn services_are_called_at_passive_level() {
    let (status, recorded) = crate::verifier::capture(|| {
        let raised = irql::raised_to(nt::DISPATCH_LEVEL);
        let status = close(std::ptr::null_mut());
        drop(raised);
        status
    });
    assert_eq!(status, nt::STATUS_INVALID_HANDLE);
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert!(recorded[0].message.contains("ZwClose"), "{recorded:?}");
}
