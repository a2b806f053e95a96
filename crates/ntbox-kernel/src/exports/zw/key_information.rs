//! What the registry tells of keys and values, in the layouts of its
//! information classes.

#![expect(unsafe_code, reason = "answers are copied to the driver's buffer")]

use crate::io_manager::driver::SettingValue;
use crate::io_manager::settings;
use crate::nt::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
};
use std::ffi::c_void;

pub(super) const REG_SZ: u32 = 1;
pub(super) const REG_DWORD: u32 = 4;

/// A structure that ends in a part of variable length.
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// Bytes in front of the variable part.
    fixed: usize,
}

impl Answer {
    /// Copies as much as fits, as every query of the registry does: nothing if
    /// not even the fixed part fits.
    ///
    /// # Safety
    /// `buffer` has `length` bytes; `result` is valid.
    pub(super) unsafe fn give(
        &self,
        buffer: *mut c_void,
        length: u32,
        result: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: contract of the function.
        unsafe { result.write(self.bytes.len() as u32) };
        if (length as usize) < self.fixed {
            return STATUS_BUFFER_TOO_SMALL;
        }
        let fits = self.bytes.len().min(length as usize);
        // SAFETY: contract of the function.
        unsafe { std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), buffer.cast(), fits) };
        if fits < self.bytes.len() {
            STATUS_BUFFER_OVERFLOW
        } else {
            STATUS_SUCCESS
        }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn join(numbers: &[u32], rest: &[&[u8]]) -> Answer {
    let mut bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let fixed = bytes.len();
    rest.iter().for_each(|part| bytes.extend(*part));
    Answer { bytes, fixed }
}

/// Type and bytes of a value as the registry stores them.
fn encode(value: &SettingValue) -> (u32, Vec<u8>) {
    match value {
        SettingValue::Dword(number) => (REG_DWORD, number.to_le_bytes().to_vec()),
        SettingValue::Text(text) => (REG_SZ, [utf16(text), vec![0, 0]].concat()),
    }
}

/// `KEY_VALUE_INFORMATION_CLASS`: basic, full, partial, and the two that align
/// the data to eight bytes.
pub(super) fn value_information(
    name: &str,
    value: &SettingValue,
    class: i32,
) -> Result<Answer, NTSTATUS> {
    let (kind, data) = encode(value);
    let name = utf16(name);
    let (name_bytes, data_bytes) = (name.len() as u32, data.len() as u32);
    let full = |alignment: usize| {
        const FIXED: usize = 20;
        let offset = (FIXED + name.len()).next_multiple_of(alignment);
        let padding = vec![0; offset - FIXED - name.len()];
        join(
            &[0, kind, offset as u32, data_bytes, name_bytes],
            &[&name, &padding, &data],
        )
    };
    match class {
        0 => Ok(join(&[0, kind, name_bytes], &[&name])),
        1 => Ok(full(4)),
        2 => Ok(join(&[0, kind, data_bytes], &[&data])),
        3 => Ok(full(8)),
        4 => Ok(join(&[kind, data_bytes], &[&data])),
        _ => Err(STATUS_INVALID_PARAMETER),
    }
}

/// `KeyNameInformation`.
pub(super) const NAME: i32 = 3;

/// `KEY_INFORMATION_CLASS`: basic, node, full, name. Keys have no class and no
/// time of their last change.
pub(super) fn key_information(path: &str, class: i32) -> Result<Answer, NTSTATUS> {
    const NO_CLASS: u32 = u32::MAX;
    let name = utf16(path.rsplit('\\').next().unwrap_or_default());
    let name_bytes = name.len() as u32;
    let longest = |texts: &[String]| {
        texts
            .iter()
            .map(|text| utf16(text).len())
            .max()
            .unwrap_or(0) as u32
    };
    match class {
        0 => Ok(join(&[0, 0, 0, name_bytes], &[&name])),
        1 => Ok(join(&[0, 0, 0, NO_CLASS, 0, name_bytes], &[&name])),
        2 => {
            let below = settings::subkeys(path);
            let (names, data): (Vec<String>, Vec<usize>) = settings::values(path)
                .into_iter()
                .map(|(name, value)| (name, encode(&value).1.len()))
                .unzip();
            let largest = data.iter().copied().max().unwrap_or(0) as u32;
            let (keys, values) = (below.len() as u32, names.len() as u32);
            Ok(join(
                &[
                    0,
                    0,
                    0,
                    NO_CLASS,
                    0,
                    keys,
                    longest(&below),
                    0,
                    values,
                    longest(&names),
                    largest,
                ],
                &[],
            ))
        }
        NAME => {
            let path = utf16(path);
            Ok(join(&[path.len() as u32], &[&path]))
        }
        _ => Err(STATUS_INVALID_PARAMETER),
    }
}
