//! Shared access to a file, counted by who opens it for what.
//!
//! The caller keeps the counts, and others away from them.
//!
//! Source: `IoCheckShareAccess`, `IoSetShareAccess`, `IoUpdateShareAccess`, `IoRemoveShareAccess` in the DDI
//! reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{FILE_OBJECT, NTSTATUS, SHARE_ACCESS, STATUS_SHARING_VIOLATION, STATUS_SUCCESS};
use crate::processor::irql;

/// `FILE_EXECUTE | FILE_READ_DATA`, `FILE_WRITE_DATA | FILE_APPEND_DATA`, `DELETE`.
const READS: u32 = 0x21;
const WRITES: u32 = 0x06;
const DELETES: u32 = 0x1_0000;
/// `FILE_SHARE_READ`, `FILE_SHARE_WRITE`, `FILE_SHARE_DELETE`.
const SHARES: [u32; 3] = [1, 2, 4];

/// Notes in the file object what it was opened for.
fn note(file: &mut FILE_OBJECT, desired: u32, shared: u32) {
    file.ReadAccess = desired & READS != 0;
    file.WriteAccess = desired & WRITES != 0;
    file.DeleteAccess = desired & DELETES != 0;
    let opens = file.ReadAccess || file.WriteAccess || file.DeleteAccess;
    let [reads, writes, deletes] = SHARES.map(|share| opens && shared & share != 0);
    file.SharedRead = reads;
    file.SharedWrite = writes;
    file.SharedDelete = deletes;
}

/// An open that asks for none of the three is not counted.
fn counts(file: &FILE_OBJECT) -> bool {
    file.ReadAccess || file.WriteAccess || file.DeleteAccess
}

/// Counts an open, or with `by` of the other sign its end.
fn count(file: &FILE_OBJECT, access: &mut SHARE_ACCESS, by: i32) {
    if !counts(file) {
        return;
    }
    let add = |count: &mut u32, has: bool| *count = count.wrapping_add_signed(by * i32::from(has));
    add(&mut access.OpenCount, true);
    add(&mut access.Readers, file.ReadAccess);
    add(&mut access.Writers, file.WriteAccess);
    add(&mut access.Deleters, file.DeleteAccess);
    add(&mut access.SharedRead, file.SharedRead);
    add(&mut access.SharedWrite, file.SharedWrite);
    add(&mut access.SharedDelete, file.SharedDelete);
}

/// `IoCheckShareAccess`: each kind of access must be shared by all who have it open, and the other way round.
pub unsafe extern "win64" fn check(
    desired: u32,
    shared: u32,
    file: *mut FILE_OBJECT,
    access: *mut SHARE_ACCESS,
    update: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("IoCheckShareAccess", caller);
    // SAFETY: the driver's file.
    let file = unsafe { &mut *file };
    // SAFETY: the driver's counts.
    let access = unsafe { &mut *access };
    note(file, desired, shared);
    let kinds = [
        (
            file.ReadAccess,
            access.SharedRead,
            file.SharedRead,
            access.Readers,
        ),
        (
            file.WriteAccess,
            access.SharedWrite,
            file.SharedWrite,
            access.Writers,
        ),
        (
            file.DeleteAccess,
            access.SharedDelete,
            file.SharedDelete,
            access.Deleters,
        ),
    ];
    let opens = access.OpenCount;
    let violates = kinds
        .into_iter()
        .any(|(wants, shared, shares, users)| wants && shared < opens || !shares && users != 0);
    if counts(file) && violates {
        return STATUS_SHARING_VIOLATION;
    }
    if update != 0 {
        count(file, access, 1);
    }
    STATUS_SUCCESS
}

/// `IoSetShareAccess`: the first open.
pub unsafe extern "win64" fn set(
    desired: u32,
    shared: u32,
    file: *mut FILE_OBJECT,
    access: *mut SHARE_ACCESS,
    caller: usize,
) {
    irql::require("IoSetShareAccess", caller);
    // SAFETY: the driver's file.
    let file = unsafe { &mut *file };
    // SAFETY: the driver's counts.
    let access = unsafe { &mut *access };
    *access = SHARE_ACCESS::default();
    note(file, desired, shared);
    count(file, access, 1);
}

/// `IoUpdateShareAccess`: an open that was checked.
pub unsafe extern "win64" fn update(
    file: *mut FILE_OBJECT,
    access: *mut SHARE_ACCESS,
    caller: usize,
) {
    irql::require("IoUpdateShareAccess", caller);
    // SAFETY: the driver's file.
    let file = unsafe { &*file };
    // SAFETY: the driver's counts.
    count(file, unsafe { &mut *access }, 1);
}

/// `IoRemoveShareAccess`: the open ends.
pub unsafe extern "win64" fn remove(
    file: *mut FILE_OBJECT,
    access: *mut SHARE_ACCESS,
    caller: usize,
) {
    irql::require("IoRemoveShareAccess", caller);
    // SAFETY: the driver's file.
    let file = unsafe { &*file };
    // SAFETY: the driver's counts.
    count(file, unsafe { &mut *access }, -1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::APC_LEVEL;
    use crate::verifier::capture;

    const READ: u32 = 0x1;
    const WRITE: u32 = 0x2;
    /// `FILE_READ_ATTRIBUTES`.
    const ATTRIBUTES: u32 = 0x80;

    #[test]
    fn who_does_not_share_keeps_others_out() {
        // SAFETY: zero is valid for structures of integers and pointers.
        let (mut first, mut second): (FILE_OBJECT, FILE_OBJECT) = unsafe { std::mem::zeroed() };
        let mut access = SHARE_ACCESS {
            OpenCount: 7,
            ..SHARE_ACCESS::default()
        };
        let (one, two, counts) = (&raw mut first, &raw mut second, &raw mut access);
        // SAFETY: files and counts of this test, here and below.
        unsafe { set(READ, SHARES[0], one, counts, 0) };
        let open = |desired, shared, update| {
            // SAFETY: as above.
            unsafe { check(desired, shared, two, counts, update, 0) }
        };
        assert_eq!(
            open(WRITE, 7, 0),
            STATUS_SHARING_VIOLATION,
            "the first shares reading only"
        );
        assert_eq!(
            open(READ, 6, 0),
            STATUS_SHARING_VIOLATION,
            "the first reads"
        );
        assert_eq!(open(ATTRIBUTES, 0, 1), STATUS_SUCCESS, "not counted");
        assert_eq!(open(READ, 7, 1), STATUS_SUCCESS);
        // SAFETY: as above.
        unsafe { remove(one, counts, 0) };
        assert_eq!(
            (access.OpenCount, access.Readers, access.SharedWrite),
            (1, 1, 1)
        );
        // SAFETY: as above.
        let again = unsafe { check(WRITE, 7, one, counts, 0, 0) };
        assert_eq!(again, STATUS_SUCCESS, "who is left shares writing");
        // SAFETY: as above.
        unsafe { update(one, counts, 0) };
        assert_eq!((access.OpenCount, access.Writers), (2, 1));
        let ((), found) = capture(|| {
            let _level = irql::raised_to(APC_LEVEL);
            // SAFETY: as above.
            unsafe { remove(one, counts, 0) };
        });
        assert_eq!((access.Writers, found.len()), (0, 1));
    }
}
