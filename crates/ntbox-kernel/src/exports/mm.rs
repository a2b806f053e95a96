//! `Mm`: memory descriptor lists, paging, probing.
//!
//! Memory of the box is always resident and mapped at one address for everybody:
//! locking and mapping change flags, which are checked. There is no border between
//! user and system addresses, so a probe refuses what is known for the kernel's ([`probe`]); a mapping into a
//! program is one by what the driver says.
//!
//! Left out: physical addresses, making sections, contiguous and noncached memory.
//!
//! Source: "Using MDLs" in the kernel architecture guide; bug checks 0xC4/70, 76,
//! 7A, 7C, 7D, 7F, 81, 82, B0 to B9 and 140.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "called by drivers in the Windows convention"
)]

mod pages;
mod probe;
mod sections;

use crate::host::{memory, pageable};
use crate::io_manager::mdl::{
    self, MAPPED_TO_SYSTEM_VA, MAPPING_CAN_FAIL, PAGES_LOCKED, PARTIAL, PARTIAL_HAS_BEEN_MAPPED,
    SOURCE_IS_NONPAGED_POOL,
};
use crate::io_manager::program_memory;
use crate::nt::unicode;
use crate::nt::{APC_LEVEL, DISPATCH_LEVEL, MDL, STATUS_ACCESS_VIOLATION, UNICODE_STRING};
use crate::pe_image;
use crate::pool::{self, Kind, active};
use crate::processor::exception;
use crate::processor::irql;
use crate::verifier::{Rule, rules, violation};
use std::ffi::c_void;

super::table! {
    caller(1) "MmGetSystemRoutineAddress" => get_system_routine_address,
    "MmIsAddressValid" => is_address_valid,
    raises(3) "MmProbeAndLockPages" => probe_and_lock_pages,
    caller(1) "MmUnlockPages" => unlock_pages,
    caller(1) "MmBuildMdlForNonPagedPool" => build_mdl_for_non_paged_pool,
    caller(2) "MmMapLockedPages" => map_locked_pages,
    caller(6) "MmMapLockedPagesSpecifyCache" => map_locked_pages_specify_cache,
    caller(2) "MmUnmapLockedPages" => unmap_locked_pages,
    caller(4) "MmAllocatePagesForMdl" => pages::allocate_pages,
    caller(6) "MmAllocatePagesForMdlEx" => pages::allocate_pages_ex,
    caller(1) "MmFreePagesFromMdl" => pages::free_pages,
    "MmSizeOfMdl" => size_of_mdl,
    caller(1) "MmLockPagableDataSection" => lock_section,
    caller(1) "MmLockPagableSectionByHandle" => lock_section_by_handle,
    caller(1) "MmUnlockPagableImageSection" => lock_section_by_handle,
    caller(1) "MmPageEntireDriver" => lock_section,
    caller(1) "MmResetDriverPaging" => lock_section_by_handle,
    "MmIsThisAnNtAsSystem" => is_server,
    "MmQuerySystemSize" => query_system_size,
    caller(2) "MmFlushImageSection" => sections::flush_image,
    caller(2) "MmForceSectionClosed" => sections::force_closed,
    caller(2) "MmCanFileBeTruncated" => sections::can_be_truncated,
    caller(1) "MmDoesFileHaveUserWritableReferences" => sections::user_writable_references,
    data "MmUserProbeAddress" => USER_PROBE_ADDRESS,
    data "MmHighestUserAddress" => HIGHEST_USER_ADDRESS,
    data "MmSystemRangeStart" => SYSTEM_RANGE_START,
    raises(3) "ProbeForRead" => probe::for_read,
    raises(3) "ProbeForWrite" => probe::for_write,
}

/// `MmUserProbeAddress`, `MmHighestUserAddress`, `MmSystemRangeStart` of x64.
static USER_PROBE_ADDRESS: usize = 0x7FFF_FFFF_0000;
static HIGHEST_USER_ADDRESS: usize = 0x7FFF_FFFE_FFFF;
static SYSTEM_RANGE_START: usize = 0xFFFF_8000_0000_0000;

const PAGE: usize = 4096;

/// `MmGetSystemRoutineAddress`: null if the box does not have the routine.
unsafe extern "win64" fn get_system_routine_address(
    name: *const UNICODE_STRING,
    caller: usize,
) -> *mut c_void {
    irql::require("MmGetSystemRoutineAddress", caller);
    // SAFETY: the driver passes a string.
    let name = unsafe { unicode::to_string(name) };
    let address =
        super::resolve("ntoskrnl.exe", &name).or_else(|| super::resolve("hal.dll", &name));
    std::ptr::with_exposed_provenance_mut(address.unwrap_or(0))
}

/// `MmIsAddressValid`.
unsafe extern "win64" fn is_address_valid(address: *const c_void) -> u8 {
    irql::require("MmIsAddressValid", 0);
    u8::from(memory::try_read(address.addr(), &mut [0]))
}

fn flags(list: *const MDL) -> i16 {
    // SAFETY: the callers pass the driver's list.
    unsafe { (*list).MdlFlags }
}

fn wrong_state(ddi: &str, list: *const MDL, what: &str, caller: usize) {
    wrong(&rules::MDL_STATE, ddi, list, what, caller);
}

#[cold]
fn wrong(rule: &'static Rule, ddi: &str, list: *const MDL, what: &str, caller: usize) {
    violation(
        rule,
        format!(
            "{ddi}: MDL {list:p} with flags 0x{:04X} {what}",
            flags(list)
        ),
        &[("called at", caller)],
    );
}

/// `MmProbeAndLockPages`. Raises for a range that is not readable, or not in this mode.
unsafe extern "win64" fn probe_and_lock_pages(
    list: *mut MDL,
    mode: i8,
    _operation: i32,
    caller: usize,
) {
    // SAFETY: the driver passes a list.
    let start = unsafe { mdl::virtual_address(list) }.addr();
    let maximum = match pool::block_at(start) {
        Some((Kind::Paged, _)) => APC_LEVEL,
        _ => DISPATCH_LEVEL,
    };
    irql::require_at_most("MmProbeAndLockPages", maximum, caller);
    if flags(list) & (PAGES_LOCKED | MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL | PARTIAL) != 0 {
        wrong_state(
            "MmProbeAndLockPages",
            list,
            "is locked or describes nonpaged pool already",
            caller,
        );
    }
    // SAFETY: as above.
    let length = unsafe { (*list).ByteCount } as usize;
    let mut pages = (start & !(PAGE - 1)..start + length).step_by(PAGE);
    let is_kernels = mode != 0 && program_memory::is_kernels(start);
    if is_kernels || !pages.all(|page| memory::try_read(page.max(start), &mut [0])) {
        return exception::raise("MmProbeAndLockPages", STATUS_ACCESS_VIOLATION);
    }
    // SAFETY: as above.
    unsafe { mdl::lock_pages(list) };
    mdl::locked_for(list, caller);
}

/// `MmUnlockPages`.
unsafe extern "win64" fn unlock_pages(list: *mut MDL, caller: usize) {
    irql::require("MmUnlockPages", caller);
    if flags(list) & PAGES_LOCKED == 0 {
        let what = if flags(list) & SOURCE_IS_NONPAGED_POOL != 0 {
            "describes nonpaged pool, which is never unlocked"
        } else {
            "is not locked"
        };
        wrong_state("MmUnlockPages", list, what, caller);
        return;
    }
    if pages::is_with_its_pages(list) {
        let what = "has pages of MmAllocatePagesForMdl, which are freed and never unlocked";
        return wrong_state("MmUnlockPages", list, what, caller);
    }
    // SAFETY: the driver passes a list.
    unsafe { mdl::unlock_pages(list) };
}

/// `MmBuildMdlForNonPagedPool`.
unsafe extern "win64" fn build_mdl_for_non_paged_pool(list: *mut MDL, caller: usize) {
    irql::require("MmBuildMdlForNonPagedPool", caller);
    // SAFETY: the driver passes a list.
    let address = unsafe { mdl::virtual_address(list) };
    let paged = matches!(pool::block_at(address.addr()), Some((Kind::Paged, _)));
    if paged || pageable::may_be_out(address.addr()) {
        wrong(
            &rules::MDL_PAGEABLE,
            "MmBuildMdlForNonPagedPool",
            list,
            "describes pageable memory",
            caller,
        );
    }
    if flags(list) & (PAGES_LOCKED | MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL | PARTIAL) != 0 {
        let what = "was built or locked already";
        wrong_state("MmBuildMdlForNonPagedPool", list, what, caller);
    }
    // SAFETY: as above.
    unsafe { (*list).MappedSystemVa = address };
    // SAFETY: as above.
    unsafe { (*list).MdlFlags |= SOURCE_IS_NONPAGED_POOL };
}

/// One whose pages are mapped into the program.
static USER_MAPPING: active::Kind = active::Kind {
    what: "MDL",
    begun: "mapped into a program",
    freed: Some(&rules::MDL_FREED_MAPPED),
    twice: None,
    missing: None,
    forget: |_| {},
};

/// `MdlMappingNoExecute`, in a priority.
const NO_EXECUTE: u32 = 0x4000_0000;

/// How pages are mapped.
#[derive(Clone, Copy)]
struct Mapping {
    mode: i8,
    may_fail: bool,
    executable: bool,
}

/// What the mapping routines do: the address is the one everybody uses.
///
/// # Safety
/// `list` points to an MDL.
unsafe fn map(ddi: &'static str, list: *mut MDL, how: Mapping, caller: usize) -> *mut c_void {
    let Mapping { mode, .. } = how;
    let maximum = if mode == 0 { DISPATCH_LEVEL } else { APC_LEVEL };
    irql::require_at_most(ddi, maximum, caller);
    if flags(list) & (PAGES_LOCKED | SOURCE_IS_NONPAGED_POOL | PARTIAL) == 0 {
        wrong_state(ddi, list, "is neither locked nor of nonpaged pool", caller);
    }
    // SAFETY: contract of the function.
    let address = unsafe { mdl::system_address(list) };
    if mode != 0 {
        USER_MAPPING.begin(list.addr(), caller);
        return address;
    }
    if how.executable {
        let what = "is mapped so that it can be executed";
        wrong(&rules::EXECUTABLE_MAPPING, ddi, list, what, caller);
    }
    if !how.may_fail && flags(list) & MAPPING_CAN_FAIL == 0 {
        let what = "is mapped so that the system stops where that fails";
        wrong(&rules::MDL_MAY_NOT_FAIL, ddi, list, what, caller);
    }
    if flags(list) & MAPPED_TO_SYSTEM_VA != 0 {
        wrong(
            &rules::MDL_MAPPED_TWICE,
            ddi,
            list,
            "is mapped already",
            caller,
        );
    }
    let own = match flags(list) & PARTIAL {
        0 => MAPPED_TO_SYSTEM_VA,
        _ => MAPPED_TO_SYSTEM_VA | PARTIAL_HAS_BEEN_MAPPED,
    };
    // SAFETY: contract of the function.
    unsafe { (*list).MappedSystemVa = address };
    // SAFETY: contract of the function.
    unsafe { (*list).MdlFlags |= own };
    address
}

/// `MmMapLockedPages`.
unsafe extern "win64" fn map_locked_pages(list: *mut MDL, mode: i8, caller: usize) -> *mut c_void {
    let how = Mapping {
        mode,
        may_fail: false,
        executable: true,
    };
    // SAFETY: the driver passes a list.
    unsafe { map("MmMapLockedPages", list, how, caller) }
}

/// `MmMapLockedPagesSpecifyCache`. A requested address is not given.
unsafe extern "win64" fn map_locked_pages_specify_cache(
    list: *mut MDL,
    mode: i8,
    _cache: i32,
    _requested: *mut c_void,
    bug_check_on_failure: u32,
    priority: u32,
    caller: usize,
) -> *mut c_void {
    if bug_check_on_failure == 0 && crate::pool::failure::should_fail(caller) {
        return std::ptr::null_mut();
    }
    let how = Mapping {
        mode,
        may_fail: bug_check_on_failure == 0,
        executable: priority & NO_EXECUTE == 0,
    };
    // SAFETY: the driver passes a list.
    unsafe { map("MmMapLockedPagesSpecifyCache", list, how, caller) }
}

/// `MmUnmapLockedPages`.
unsafe extern "win64" fn unmap_locked_pages(base: *mut c_void, list: *mut MDL, caller: usize) {
    let ddi = "MmUnmapLockedPages";
    irql::require(ddi, caller);
    if USER_MAPPING.end(list.addr()) {
        irql::require_at_most(ddi, APC_LEVEL, caller);
        // SAFETY: the driver passes a list.
        if base != unsafe { mdl::system_address(list) } {
            let what = format!("is mapped into the program elsewhere than at {base:p}");
            wrong(&rules::MDL_USER_MAPPING, ddi, list, &what, caller);
        }
        return;
    }
    let what = if flags(list) & MAPPED_TO_SYSTEM_VA == 0 {
        Some("is not mapped")
    } else if flags(list) & (PARTIAL | PARTIAL_HAS_BEEN_MAPPED) == PARTIAL {
        Some("has no mapping of its own, but that of the whole")
    } else {
        None
    };
    if let Some(what) = what {
        wrong(&rules::MDL_NOT_MAPPED, ddi, list, what, caller);
    }
    // SAFETY: the driver passes a list.
    unsafe { (*list).MdlFlags &= !(MAPPED_TO_SYSTEM_VA | PARTIAL_HAS_BEEN_MAPPED) };
}

/// `MmSizeOfMdl`.
unsafe extern "win64" fn size_of_mdl(address: *const c_void, length: usize) -> usize {
    mdl::size_of_mdl(address, length)
}

/// `MmLockPagableDataSection`, `MmPageEntireDriver`: the base of the image, which
/// serves as the handle. Images are never paged.
unsafe extern "win64" fn lock_section(address: *const c_void, caller: usize) -> *mut c_void {
    irql::require("MmLockPagableDataSection", caller);
    let base = pe_image::image_at(address.addr()).map_or(0, |image| image.base());
    std::ptr::with_exposed_provenance_mut(base)
}

/// `MmLockPagableSectionByHandle`, `MmUnlockPagableImageSection`, `MmResetDriverPaging`:
/// images are never paged.
unsafe extern "win64" fn lock_section_by_handle(_handle: *mut c_void, caller: usize) {
    irql::require("MmLockPagableSectionByHandle", caller);
}

/// `MmIsThisAnNtAsSystem`: this is a workstation.
unsafe extern "win64" fn is_server() -> u8 {
    0
}

/// `MmQuerySystemSize`: `MmLargeSystem`.
unsafe extern "win64" fn query_system_size() -> i32 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::unicode::OwnedUnicodeString;
    use crate::verifier::capture;

    #[test]
    fn routines_are_found_by_name() {
        let find = |name: &str| {
            let name = OwnedUnicodeString::new(name);
            // SAFETY: a valid string.
            unsafe { get_system_routine_address(&name.as_unicode(), 0) }.addr()
        };
        assert_eq!(
            Some(find("KeSetEvent")),
            crate::exports::resolve("ntoskrnl.exe", "KeSetEvent")
        );
        assert_eq!(find("KeNoSuchRoutine"), 0);
    }

    #[test]
    fn addresses_are_valid_or_not() {
        let value = 5_u32;
        // SAFETY: any address may be asked for.
        let valid =
            |address: usize| unsafe { is_address_valid(std::ptr::without_provenance(address)) };
        assert_eq!(valid((&raw const value).addr()), 1);
        assert_eq!(valid(8), 0);
        assert_eq!(valid(SYSTEM_RANGE_START), 0);
    }

    #[test]
    fn a_list_is_locked_mapped_and_unlocked_in_order() {
        let mut buffer = vec![0_u8; 10_000];
        let address: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: no request.
        let list = unsafe { mdl::allocate(address, 10_000, false, std::ptr::null_mut()) };
        let ((), found) = capture(|| {
            // SAFETY: a live list, here and below.
            unsafe { probe_and_lock_pages(list, 0, 0, 0) };
            assert_eq!(
                // SAFETY: as above.
                unsafe {
                    map_locked_pages_specify_cache(
                        list,
                        0,
                        1,
                        std::ptr::null_mut(),
                        0,
                        NO_EXECUTE | 16,
                        0,
                    )
                },
                address
            );
            // SAFETY: as above.
            unsafe { unlock_pages(list, 0) };
        });
        assert!(found.is_empty(), "{found:?}");
        let ((), found) = capture(|| {
            // SAFETY: as above.
            unsafe { unlock_pages(list, 0) };
            // SAFETY: as above.
            unsafe { map_locked_pages(list, 0, 0) };
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
        let expected = [
            "MdlState",
            "MdlState",
            "CodeIntegrityMapping",
            "MdlMappingMayNotFail",
        ];
        assert_eq!(names, expected);
        assert!(
            found[0].message.contains("is not locked"),
            "{}",
            found[0].message
        );
    }

    #[test]
    fn paged_pool_is_no_nonpaged_pool() {
        let block = pool::allocate(Kind::Paged, 64, 1, 0);
        // SAFETY: no request.
        let list = unsafe { mdl::allocate(block, 64, false, std::ptr::null_mut()) };
        // SAFETY: a live list.
        let ((), found) = capture(|| unsafe { build_mdl_for_non_paged_pool(list, 0) });
        assert_eq!(found[0].rule, &rules::MDL_PAGEABLE);
        // SAFETY: allocated above.
        unsafe { pool::free(block, None, 0) };
    }
}
