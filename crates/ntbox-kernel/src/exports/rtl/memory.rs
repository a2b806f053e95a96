//! Memory and byte order.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use std::ffi::c_void;

/// `RtlCompareMemory`: bytes that are equal from the start.
pub unsafe extern "win64" fn compare(
    a: *const c_void,
    b: *const c_void,
    length: usize,
    _caller: usize,
) -> usize {
    // SAFETY: the driver passes `length` bytes each.
    let a = unsafe { std::slice::from_raw_parts(a.cast::<u8>(), length) };
    // SAFETY: as above.
    let b = unsafe { std::slice::from_raw_parts(b.cast::<u8>(), length) };
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// `RtlZeroMemory`.
pub unsafe extern "win64" fn zero(target: *mut c_void, length: usize, caller: usize) {
    // SAFETY: contract.
    unsafe { fill(target, length, 0, caller) };
}

/// `RtlFillMemory`.
pub unsafe extern "win64" fn fill(target: *mut c_void, length: usize, value: u8, _caller: usize) {
    // SAFETY: the driver passes `length` bytes.
    unsafe { target.cast::<u8>().write_bytes(value, length) };
}

/// `RtlCopyMemory`, `RtlMoveMemory`: the two are one routine in NT.
pub unsafe extern "win64" fn copy(
    target: *mut c_void,
    source: *const c_void,
    length: usize,
    _caller: usize,
) {
    // SAFETY: the driver passes `length` bytes each; they may overlap.
    unsafe { target.cast::<u8>().copy_from(source.cast(), length) };
}

/// `RtlUshortByteSwap`.
pub unsafe extern "win64" fn swap_16(value: u16) -> u16 {
    value.swap_bytes()
}

/// `RtlUlongByteSwap`.
pub unsafe extern "win64" fn swap_32(value: u32) -> u32 {
    value.swap_bytes()
}

/// `RtlUlonglongByteSwap`.
pub unsafe extern "win64" fn swap_64(value: u64) -> u64 {
    value.swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparing_counts_equal_bytes() {
        let (a, b) = (*b"abcdef", *b"abcxef");
        assert_eq!(
            // SAFETY: six bytes each, here and below.
            unsafe { compare(a.as_ptr().cast(), b.as_ptr().cast(), 6, 0) },
            3
        );
        assert_eq!(
            // SAFETY: as above.
            unsafe { compare(a.as_ptr().cast(), a.as_ptr().cast(), 6, 0) },
            6
        );
    }

    #[test]
    fn copying_may_overlap() {
        let mut bytes = *b"abcdef";
        let at: *mut c_void = bytes.as_mut_ptr().cast();
        // SAFETY: inside the array.
        unsafe { copy(at.wrapping_byte_add(1), at, 5, 0) };
        assert_eq!(&bytes, b"aabcde");
        // SAFETY: as above.
        unsafe { fill(at, 2, b'x', 0) };
        // SAFETY: as above.
        unsafe { zero(at.wrapping_byte_add(5), 1, 0) };
        assert_eq!(&bytes, b"xxbcd\0");
    }
}
