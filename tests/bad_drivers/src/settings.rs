//! The registry value `Parameters\Mistake`: REG_SZ, the name of a mistake, or REG_DWORD, its number.

use crate::kernel::unicode_literal;
use crate::mistakes::Mistake;
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_READ, NTSTATUS, OBJ_CASE_INSENSITIVE,
    OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PUNICODE_STRING, REG_DWORD, REG_SZ,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS, UNICODE_STRING, ntddk,
};

/// KEY_VALUE_PARTIAL_INFORMATION with room for the longest name.
#[repr(C)]
struct Value {
    title_index: u32,
    kind: u32,
    bytes: u32,
    data: [u16; 64],
}

/// The mistake to make; [`Mistake::None`] without the value. A value that names no mistake
/// refuses the start: a misspelt one must not look like a driver that was found correct.
pub unsafe fn mistake(registry_path: PUNICODE_STRING) -> Result<Mistake, NTSTATUS> {
    let mut service: HANDLE = core::ptr::null_mut();
    let mut parameters: HANDLE = core::ptr::null_mut();
    if open(core::ptr::null_mut(), registry_path, &raw mut service) != STATUS_SUCCESS {
        return Ok(Mistake::None);
    }
    let mut name = unicode_literal!("Parameters");
    let status = open(service, &raw mut name, &raw mut parameters);
    let _ = ntddk::ZwClose(service);
    if status != STATUS_SUCCESS {
        return Ok(Mistake::None);
    }
    let mut value = Value {
        title_index: 0,
        kind: 0,
        bytes: 0,
        data: [0; 64],
    };
    let mut length = 0;
    let mut name = unicode_literal!("Mistake");
    let status = ntddk::ZwQueryValueKey(
        parameters,
        &raw mut name,
        _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
        (&raw mut value).cast(),
        size_of::<Value>() as u32,
        &raw mut length,
    );
    let _ = ntddk::ZwClose(parameters);
    if status != STATUS_SUCCESS {
        return Ok(Mistake::None);
    }
    understand(&value).ok_or(STATUS_INVALID_PARAMETER)
}

fn understand(value: &Value) -> Option<Mistake> {
    match value.kind {
        REG_DWORD if value.bytes == 4 => {
            let [low, high, ..] = value.data;
            Mistake::by_number(u32::from(low) | u32::from(high) << 16)
        }
        REG_SZ => {
            let text = value.data.get(..value.bytes as usize / 2)?;
            Mistake::by_name(text.strip_suffix(&[0]).unwrap_or(text))
        }
        _ => None,
    }
}

unsafe fn open(parent: HANDLE, name: *mut UNICODE_STRING, key: *mut HANDLE) -> NTSTATUS {
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: parent,
        ObjectName: name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: core::ptr::null_mut(),
        SecurityQualityOfService: core::ptr::null_mut(),
    };
    ntddk::ZwOpenKey(key, KEY_READ, &raw mut attributes)
}
