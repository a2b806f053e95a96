//! Memory, and stack probes.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::verifier::{rules, violation};

type Bytes = *mut u8;

/// `memcpy`. Compilers copy a value to where it is, too: what overlaps itself whole is no mistake.
pub unsafe extern "win64" fn copy(
    target: Bytes,
    source: *const u8,
    length: usize,
    caller: usize,
) -> Bytes {
    let apart = target.addr().abs_diff(source.addr());
    if apart != 0 && apart < length {
        violation(
            &rules::COPY_OVERLAPS,
            format!(
                "memcpy was called for {length} bytes from {source:p} to {target:p}, which are {apart} bytes apart"
            ),
            &[("called at", caller)],
        );
    }
    // SAFETY: contract.
    unsafe { move_bytes(target, source, length, caller) }
}

/// `memmove`.
pub unsafe extern "win64" fn move_bytes(
    target: Bytes,
    source: *const u8,
    length: usize,
    _caller: usize,
) -> Bytes {
    // SAFETY: the driver passes `length` bytes each; they may overlap.
    unsafe { target.copy_from(source, length) };
    target
}

/// `memset`.
pub unsafe extern "win64" fn set(
    target: Bytes,
    value: i32,
    length: usize,
    _caller: usize,
) -> Bytes {
    // SAFETY: the driver passes `length` bytes.
    unsafe { target.write_bytes(value as u8, length) };
    target
}

/// `memcmp`.
pub unsafe extern "win64" fn compare(
    a: *const u8,
    b: *const u8,
    length: usize,
    _caller: usize,
) -> i32 {
    // SAFETY: the driver passes `length` bytes each.
    let a = unsafe { std::slice::from_raw_parts(a, length) };
    // SAFETY: as above.
    let b = unsafe { std::slice::from_raw_parts(b, length) };
    a.cmp(b) as i32
}

/// `memchr`.
pub unsafe extern "win64" fn find(bytes: Bytes, value: i32, length: usize) -> Bytes {
    // SAFETY: the driver passes `length` bytes.
    let slice = unsafe { std::slice::from_raw_parts(bytes, length) };
    match slice.iter().position(|byte| *byte == value as u8) {
        Some(index) => bytes.wrapping_add(index),
        None => std::ptr::null_mut(),
    }
}

/// `__chkstk`: touches each page of the frame of `rax` bytes that its caller is
/// about to make, and changes no register, as compilers expect.
#[unsafe(naked)]
pub unsafe extern "win64" fn check_stack() {
    core::arch::naked_asm!(
        "push rax",
        "push rcx",
        "lea rcx, [rsp + 24]",
        "2:",
        "cmp rax, 4096",
        "jb 3f",
        "sub rcx, 4096",
        "test byte ptr [rcx], cl",
        "sub rax, 4096",
        "jmp 2b",
        "3:",
        "sub rcx, rax",
        "test byte ptr [rcx], cl",
        "pop rcx",
        "pop rax",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::capture;

    #[test]
    fn memory_routines() {
        let mut bytes = *b"abcdef";
        let at = bytes.as_mut_ptr();
        assert_eq!(
            // SAFETY: inside the array, here and below.
            unsafe { move_bytes(at.wrapping_add(2), at, 4, 0) },
            at.wrapping_add(2)
        );
        assert_eq!(&bytes, b"ababcd");
        // SAFETY: as above.
        assert_eq!(unsafe { find(at, i32::from(b'c'), 6) }, at.wrapping_add(4));
        // SAFETY: as above.
        assert!(unsafe { find(at, i32::from(b'z'), 6) }.is_null());
        // SAFETY: as above.
        assert!(unsafe { compare(b"abd".as_ptr(), b"abc".as_ptr(), 3, 0) } > 0);
        // SAFETY: as above.
        unsafe { set(at, 0x141, 2, 0) };
        assert_eq!(&bytes, b"AAabcd");
    }

    #[test]
    fn what_is_copied_may_overlap_itself_whole_or_not_at_all() {
        let mut bytes = *b"abcdef";
        let at = bytes.as_mut_ptr();
        let reports = |to: usize, length| {
            // SAFETY: inside the array.
            let copied = capture(|| unsafe { copy(at.wrapping_add(to), at, length, 0) });
            let rules: Vec<_> = copied.1.iter().map(|found| found.rule.name).collect();
            rules
        };
        assert!(reports(0, 6).is_empty() && reports(3, 3).is_empty() && reports(1, 0).is_empty());
        assert_eq!(reports(2, 3), [rules::COPY_OVERLAPS.name]);
    }

    #[test]
    fn probing_the_stack_keeps_the_registers() {
        let (rax, rcx, rdx): (u64, u64, u64);
        // SAFETY: the probe touches pages of this stack only and keeps all registers
        // but the flags; the red zone is stepped over.
        unsafe {
            std::arch::asm!(
                "sub rsp, 136",
                "call {probe}",
                "add rsp, 136",
                probe = sym check_stack,
                inout("rax") 20_000_u64 => rax,
                inout("rcx") 11_u64 => rcx,
                inout("rdx") 12_u64 => rdx,
            );
        }
        assert_eq!((rax, rcx, rdx), (20_000, 11, 12));
    }
}
