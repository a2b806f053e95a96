//! What the memory manager says of the sections of a file.
//!
//! Source: `MmFlushImageSection`, `MmForceSectionClosed`, `MmCanFileBeTruncated`,
//! `MmDoesFileHaveUserWritableReferences` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::cc::look_at;
use crate::io_manager::sections;
use crate::nt::SECTION_OBJECT_POINTERS;
use crate::processor::irql;
use crate::user::cache;

/// `MmFlushForDelete`; the other reason is `MmFlushForWrite`.
const FLUSH_FOR_DELETE: i32 = 0;

/// `MmFlushImageSection`.
pub unsafe extern "win64" fn flush_image(
    pointers: *const SECTION_OBJECT_POINTERS,
    flush_type: i32,
    caller: usize,
) -> u8 {
    irql::require("MmFlushImageSection", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    let kept = match flush_type {
        FLUSH_FOR_DELETE => sections::is_mapped(pointers.addr()),
        _ => sections::is_run(pointers.addr()),
    };
    (!kept).into()
}

/// `MmForceSectionClosed`: what nobody has mapped, and nobody uses the cache of, is written and closed.
pub unsafe extern "win64" fn force_closed(
    pointers: *const SECTION_OBJECT_POINTERS,
    _delay: u8,
    caller: usize,
) -> u8 {
    irql::require("MmForceSectionClosed", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    let stream = pointers.addr();
    let closed = cache::close(stream).is_ok() && !cache::is_cached(stream);
    (closed && !sections::is_mapped(stream)).into()
}

/// `MmCanFileBeTruncated`.
pub unsafe extern "win64" fn can_be_truncated(
    pointers: *const SECTION_OBJECT_POINTERS,
    size: *const i64,
    caller: usize,
) -> u8 {
    irql::require("MmCanFileBeTruncated", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    // SAFETY: null, or the driver's pointer.
    let size = unsafe { size.as_ref() }.and_then(|size| u64::try_from(*size).ok());
    sections::can_be_truncated(pointers.addr(), size).into()
}

/// `MmDoesFileHaveUserWritableReferences`: of what it counts, views.
pub unsafe extern "win64" fn user_writable_references(
    pointers: *const SECTION_OBJECT_POINTERS,
    caller: usize,
) -> u32 {
    irql::require("MmDoesFileHaveUserWritableReferences", caller);
    // SAFETY: the driver's pointer.
    unsafe { look_at(pointers) };
    sections::writable_views(pointers.addr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io_manager::sections::{Mapping, map};
    use crate::nt::{APC_LEVEL, DISPATCH_LEVEL};
    use crate::verifier::capture;

    /// Flushed for delete and for write, closed, cut to 50 bytes, writable references; and how many findings.
    fn all(file: *const SECTION_OBJECT_POINTERS, level: u8) -> ([u32; 5], usize) {
        let (answers, found) = capture(|| {
            let _level = irql::raised_to(level);
            // SAFETY: pointers of this test, here and below.
            let deleted = unsafe { flush_image(file, FLUSH_FOR_DELETE, 0) };
            // SAFETY: as above.
            let written = unsafe { flush_image(file, 1, 0) };
            // SAFETY: as above.
            let closed = unsafe { force_closed(file, 0, 0) };
            // SAFETY: as above.
            let truncated = unsafe { can_be_truncated(file, &raw const FIFTY, 0) };
            // SAFETY: as above.
            let writable = unsafe { user_writable_references(file, 0) };
            [
                deleted.into(),
                written.into(),
                closed.into(),
                truncated.into(),
                writable,
            ]
        });
        (answers, found.len())
    }

    static FIFTY: i64 = 50;

    #[test]
    fn a_file_is_free_until_it_is_mapped() {
        let mut pointers = SECTION_OBJECT_POINTERS::default();
        let file = &raw mut pointers;
        assert_eq!(all(file, APC_LEVEL), ([1, 1, 1, 1, 0], 0));
        assert_eq!(all(file, DISPATCH_LEVEL), ([1, 1, 1, 1, 0], 5));
        // SAFETY: pointers of this test.
        let view = unsafe { map(file, Mapping::Writable, 100) };
        assert_eq!(all(file, APC_LEVEL), ([0, 1, 0, 0, 1], 0));
        drop(view);
        // SAFETY: pointers of this test.
        let view = unsafe { map(file, Mapping::Image, 10) };
        assert_eq!(all(file, APC_LEVEL), ([0, 0, 0, 0, 0], 0));
        drop(view);
        assert_eq!(all(file, APC_LEVEL), ([1, 1, 1, 1, 0], 0));
    }
}
