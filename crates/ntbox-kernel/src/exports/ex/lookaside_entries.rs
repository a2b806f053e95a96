//! Entries of lookaside lists of `ExInitializeLookasideListEx`, each with its list.
//!
//! The routine that frees an entry is told the list that it is given to, which must be the one that it came from. That
//! of an older list is not; nothing is said of entries of those, nor where a driver has routines of its own.
//!
//! Source: DDI of `ExFreeToLookasideListEx`.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::pool;
use crate::exports::table::{raising, thunk};
use crate::host::address_map::AddressMap;
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Lists, by the addresses of their entries.
fn entries() -> MutexGuard<'static, AddressMap<usize>> {
    static ENTRIES: LazyLock<Mutex<AddressMap<usize>>> = LazyLock::new(Mutex::default);
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a list calls for an entry, and to free one.
pub(super) fn routines() -> [usize; 2] {
    [
        raising!(4, allocate).expose_provenance(),
        thunk!(2, free).expose_provenance(),
    ]
}

/// `LookasideListAllocateEx`.
unsafe extern "win64" fn allocate(
    kind: u32,
    bytes: usize,
    tag: u32,
    list: *mut c_void,
    caller: usize,
) -> *mut c_void {
    // SAFETY: as the driver's call of the routine.
    let entry = unsafe { pool::allocate_pool_with_tag(kind, bytes, tag, caller) };
    if !entry.is_null() {
        entries().insert(entry.addr(), list.addr());
    }
    entry
}

/// `LookasideListFreeEx`.
unsafe extern "win64" fn free(entry: *mut c_void, list: *mut c_void, caller: usize) {
    let from = entries().remove(&entry.addr());
    if from != Some(list.addr()) {
        let from = match from {
            Some(from) => format!("came from the lookaside list {from:#x}"),
            None => "came from no lookaside list of ExInitializeLookasideListEx".to_owned(),
        };
        violation(
            &rules::LOOKASIDE_OTHER_LIST,
            format!("the entry {entry:p} is given to the lookaside list {list:p}, and {from}"),
            &[("given back at", caller)],
        );
    }
    // SAFETY: as the driver's call of the routine.
    unsafe { pool::free_pool(entry, caller) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::capture;

    #[test]
    fn an_entry_goes_back_to_its_list() {
        let list = |number| std::ptr::without_provenance_mut::<c_void>(number);
        let (own, another) = (list(0x1000), list(0x2000));
        // From a list, and from none.
        for (from, to, expected) in [
            (Some(own), own, None),
            (Some(own), another, Some("0x1000")),
            (None, own, Some("came from no lookaside list")),
        ] {
            let ((), found) = capture(|| {
                let entry = match from {
                    // SAFETY: the pool's own routine, as a list calls it.
                    Some(from) => unsafe { allocate(512, 64, 1, from, 0) },
                    // SAFETY: as above.
                    None => unsafe { pool::allocate_pool_with_tag(512, 64, 1, 0) },
                };
                // SAFETY: allocated above.
                unsafe { free(entry, to, 0) };
            });
            let told = found.first().map(|found| found.message.as_str());
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                assert!(told.contains(expected), "{told}");
                assert_eq!(found[0].rule, &rules::LOOKASIDE_OTHER_LIST);
            }
        }
    }
}
