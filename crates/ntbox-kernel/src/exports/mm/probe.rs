//! `ProbeForRead` and `ProbeForWrite`: whether memory that a program passes is a program's.
//!
//! Source: their pages. What is surely the kernel's is refused ([`program_memory::is_kernels`]).

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::{PAGE, USER_PROBE_ADDRESS};
use crate::host::memory;
use crate::io_manager::program_memory;
use crate::nt::{NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT};
use crate::processor::exception::{self, Touch};
use crate::processor::irql;
use std::ffi::c_void;

/// What a probe raises.
fn refused(address: usize, length: usize, alignment: u32) -> Option<NTSTATUS> {
    if length == 0 {
        return None;
    }
    if !address.is_multiple_of(alignment.max(1) as usize) {
        return Some(STATUS_DATATYPE_MISALIGNMENT);
    }
    let last = address.checked_add(length - 1);
    let is_programs = last.is_some_and(|last| {
        last < USER_PROBE_ADDRESS && ![address, last].into_iter().any(program_memory::is_kernels)
    });
    (!is_programs).then_some(STATUS_ACCESS_VIOLATION)
}

/// `ProbeForRead`.
pub(super) unsafe extern "win64" fn for_read(
    address: *const c_void,
    length: usize,
    alignment: u32,
    caller: usize,
) {
    irql::require("ProbeForRead", caller);
    if let Some(status) = refused(address.addr(), length, alignment) {
        exception::raise("ProbeForRead", status);
    }
}

/// `ProbeForWrite`: also writes a byte of each page back.
pub(super) unsafe extern "win64" fn for_write(
    address: *mut c_void,
    length: usize,
    alignment: u32,
    caller: usize,
) {
    irql::require("ProbeForWrite", caller);
    if let Some(status) = refused(address.addr(), length, alignment) {
        return exception::raise("ProbeForWrite", status);
    }
    let start = address.addr();
    for page in (start & !(PAGE - 1)..start + length).step_by(PAGE) {
        let byte = address.cast::<u8>().with_addr(page.max(start));
        if !memory::try_read(byte.addr(), &mut [0]) {
            let (address, writes) = (byte.addr(), true);
            return exception::raise_memory(Touch { address, writes });
        }
        // SAFETY: readable; where it cannot be written, the fault names this routine.
        unsafe { byte.write_volatile(byte.read_volatile()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{self, Kind};

    #[test]
    fn memory_of_the_kernel_is_refused_and_that_of_programs_is_not() {
        let block = pool::allocate(Kind::NonPaged, 64, 1, 0);
        let kernel = block.addr();
        let program = [0_u64; 8];
        let start = program.as_ptr().addr();
        let _known = program_memory::know(start, 64);
        let (violation, misaligned) = (STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT);
        assert_eq!(refused(kernel, 8, 1), Some(violation));
        assert_eq!(
            refused(kernel - 0x4000_0000_0000, usize::MAX, 1),
            Some(violation)
        );
        assert_eq!(refused(start + 1, 8, 4), Some(misaligned));
        assert_eq!(refused(start, 64, 8), None);
        // Nothing is looked at.
        assert_eq!(refused(kernel + 1, 0, 4), None);
        // SAFETY: allocated above.
        unsafe { pool::free(block, None, 0) };
    }
}
