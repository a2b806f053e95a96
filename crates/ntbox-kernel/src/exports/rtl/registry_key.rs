//! Keys and values of the registry, as `Rtl` routines name them.

#![expect(unsafe_code, reason = "names are the driver's")]

use super::strings::terminated;
use crate::io_manager::driver::SettingValue;
use crate::nt::{
    NTSTATUS, RTL_REGISTRY_ABSOLUTE, RTL_REGISTRY_CONTROL, RTL_REGISTRY_DEVICEMAP,
    RTL_REGISTRY_HANDLE, RTL_REGISTRY_OPTIONAL, RTL_REGISTRY_SERVICES, RTL_REGISTRY_WINDOWS_NT,
    STATUS_INVALID_PARAMETER,
};
use crate::processor::{handle, object};

pub(super) const REG_NONE: u32 = 0;
pub(super) const REG_SZ: u32 = 1;
pub(super) const REG_EXPAND_SZ: u32 = 2;
pub(super) const REG_DWORD: u32 = 4;

/// A value as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) kind: u32,
    pub(super) data: Vec<u8>,
}

impl Value {
    pub(super) fn of(value: &SettingValue) -> Self {
        match value {
            SettingValue::Dword(number) => Self {
                kind: REG_DWORD,
                data: number.to_le_bytes().to_vec(),
            },
            SettingValue::Text(text) => Self {
                kind: REG_SZ,
                data: wide(text).into_iter().flat_map(u16::to_le_bytes).collect(),
            },
        }
    }
    pub(super) fn setting(&self) -> Option<SettingValue> {
        match self.kind {
            REG_DWORD => Some(SettingValue::Dword(u32::from_le_bytes(
                self.data.as_slice().try_into().ok()?,
            ))),
            REG_SZ | REG_EXPAND_SZ => {
                let units: Vec<u16> = self
                    .data
                    .chunks_exact(2)
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                let end = units
                    .iter()
                    .position(|unit| *unit == 0)
                    .unwrap_or(units.len());
                Some(SettingValue::Text(String::from_utf16_lossy(&units[..end])))
            }
            _ => None,
        }
    }
}

/// Terminated UTF-16.
pub(super) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// # Safety
/// `text` is null or a terminated string.
pub(super) unsafe fn text(text: *const u16) -> Option<String> {
    // SAFETY: contract of the function.
    (!text.is_null()).then(|| String::from_utf16_lossy(unsafe { terminated(text) }))
}

/// The full path of a key.
///
/// # Safety
/// `path` is null, a terminated string, or a handle where `relative_to` says so.
pub(super) unsafe fn key(relative_to: u32, path: *const u16) -> Result<String, NTSTATUS> {
    if relative_to & RTL_REGISTRY_HANDLE != 0 {
        let object = handle::object_of_handle(path.cast_mut().cast())?;
        // SAFETY: a handle keeps its object alive.
        return unsafe { object::name_of(object) }.ok_or(STATUS_INVALID_PARAMETER);
    }
    const CURRENT: &str = r"\Registry\Machine\System\CurrentControlSet";
    let base = match relative_to & !RTL_REGISTRY_OPTIONAL {
        RTL_REGISTRY_ABSOLUTE => String::new(),
        RTL_REGISTRY_SERVICES => format!(r"{CURRENT}\Services"),
        RTL_REGISTRY_CONTROL => format!(r"{CURRENT}\Control"),
        RTL_REGISTRY_WINDOWS_NT => {
            r"\Registry\Machine\Software\Microsoft\Windows NT\CurrentVersion".to_owned()
        }
        RTL_REGISTRY_DEVICEMAP => r"\Registry\Machine\Hardware\DeviceMap".to_owned(),
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    // SAFETY: contract of the function.
    match unsafe { text(path) } {
        Some(path) if base.is_empty() => Ok(path),
        Some(path) => Ok(format!(r"{base}\{path}")),
        None if base.is_empty() => Err(STATUS_INVALID_PARAMETER),
        None => Ok(base),
    }
}
