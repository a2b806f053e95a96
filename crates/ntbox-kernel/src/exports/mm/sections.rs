//! Sections of files: there are none that outlive a call, as the box maps no file.
//!
//! Source: `MmFlushImageSection`, `MmForceSectionClosed`, `MmCanFileBeTruncated`,
//! `MmDoesFileHaveUserWritableReferences` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::cc::look_at;
use crate::nt::SECTION_OBJECT_POINTERS;
use crate::processor::irql;

/// `MmFlushImageSection`: there is no image section.
pub unsafe extern "win64" fn flush_image(
    pointers: *const SECTION_OBJECT_POINTERS,
    _flush_type: i32,
    caller: usize,
) -> u8 {
    irql::require("MmFlushImageSection", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    1
}

/// `MmForceSectionClosed`: none is open.
pub unsafe extern "win64" fn force_closed(
    pointers: *const SECTION_OBJECT_POINTERS,
    _delay: u8,
    caller: usize,
) -> u8 {
    irql::require("MmForceSectionClosed", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    1
}

/// `MmCanFileBeTruncated`: nobody has mapped what would go.
pub unsafe extern "win64" fn can_be_truncated(
    pointers: *const SECTION_OBJECT_POINTERS,
    _size: *const i64,
    caller: usize,
) -> u8 {
    irql::require("MmCanFileBeTruncated", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    1
}

/// `MmDoesFileHaveUserWritableReferences`: no program writes to a view.
pub unsafe extern "win64" fn user_writable_references(
    pointers: *const SECTION_OBJECT_POINTERS,
    caller: usize,
) -> u32 {
    irql::require("MmDoesFileHaveUserWritableReferences", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{APC_LEVEL, DISPATCH_LEVEL};
    use crate::verifier::capture;

    #[test]
    fn no_file_is_mapped() {
        let pointers = SECTION_OBJECT_POINTERS::default();
        let file = &raw const pointers;
        let all = |level| {
            let (answers, found) = capture(|| {
                let _level = irql::raised_to(level);
                // SAFETY: pointers of this test, here and below.
                let flushed = unsafe { flush_image(file, 0, 0) };
                // SAFETY: as above.
                let closed = unsafe { force_closed(file, 0, 0) };
                // SAFETY: as above.
                let truncated = unsafe { can_be_truncated(file, std::ptr::null(), 0) };
                // SAFETY: as above.
                let writable = unsafe { user_writable_references(file, 0) };
                (flushed, closed, truncated, writable)
            });
            (answers, found.len())
        };
        assert_eq!(all(APC_LEVEL), ((1, 1, 1, 0), 0));
        assert_eq!(all(DISPATCH_LEVEL), ((1, 1, 1, 0), 4));
    }
}
