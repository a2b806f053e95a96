//! Memory descriptor lists.
//!
//! Every thread of the box sees the same addresses, so a system address is the
//! address itself. Locking pages keeps pageable ones from being paged out.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "an MDL is a structure in pool memory that drivers read through inline functions"
)]

use crate::host::pageable;
use crate::nt::{IRP, MDL};
use crate::pe_image::Image;
use crate::pool::{self, active};
use crate::verifier::rules;
use std::ffi::c_void;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// `MDL_MAPPED_TO_SYSTEM_VA`.
pub const MAPPED_TO_SYSTEM_VA: i16 = 0x0001;
/// `MDL_PAGES_LOCKED`.
pub const PAGES_LOCKED: i16 = 0x0002;
/// `MDL_SOURCE_IS_NONPAGED_POOL`.
pub const SOURCE_IS_NONPAGED_POOL: i16 = 0x0004;
/// `MDL_PARTIAL`.
pub const PARTIAL: i16 = 0x0010;
/// `MDL_PARTIAL_HAS_BEEN_MAPPED`: its mapping is its own.
pub const PARTIAL_HAS_BEEN_MAPPED: i16 = 0x0020;
/// `MDL_MAPPING_CAN_FAIL`.
pub const MAPPING_CAN_FAIL: i16 = 0x2000;

/// One whose pages are locked.
static LOCKED: active::Kind = active::Kind {
    what: "MDL",
    begun: "locked",
    freed: Some(&rules::LOCKED_MDL_FREED),
    twice: None,
    missing: None,
    forget: |_| {},
};
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");

fn pages(address: usize, length: usize) -> usize {
    (address % PAGE + length).div_ceil(PAGE)
}

/// `MmSizeOfMdl`: the header and one page number for each page it spans.
pub fn size_of_mdl(address: *const c_void, length: usize) -> usize {
    size_of::<MDL>() + pages(address as usize, length) * size_of::<usize>()
}

/// `IoAllocateMdl`, for the box itself.
///
/// # Safety
/// `irp` is null or alive.
pub unsafe fn allocate(
    address: *mut c_void,
    length: u32,
    secondary: bool,
    irp: *mut IRP,
) -> *mut MDL {
    let mdl = pool::allocate_for_box(size_of_mdl(address, length as usize)).cast();
    // SAFETY: the block is large enough and nobody else has it; contract.
    unsafe { set_up(mdl, address, length, secondary, irp) };
    mdl
}

/// `IoAllocateMdl`, for the driver at `site`; null when the pool fails.
///
/// # Safety
/// `irp` is null or alive.
pub unsafe fn allocate_for_driver(
    address: *mut c_void,
    length: u32,
    secondary: bool,
    irp: *mut IRP,
    site: usize,
) -> *mut MDL {
    let mdl: *mut MDL = pool::allocate(
        pool::Kind::NonPaged,
        size_of_mdl(address, length as usize),
        TAG,
        site,
    )
    .cast();
    if !mdl.is_null() {
        // SAFETY: as in `allocate`.
        unsafe { set_up(mdl, address, length, secondary, irp) };
    }
    mdl
}

/// # Safety
/// `mdl` points to enough writable memory; `irp` is null or alive.
unsafe fn set_up(mdl: *mut MDL, address: *mut c_void, length: u32, secondary: bool, irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        initialize(mdl, address, length);
        if irp.is_null() {
            return;
        }
        if !secondary {
            (*irp).MdlAddress = mdl;
            return;
        }
        let mut last = &raw mut (*irp).MdlAddress;
        while !(*last).is_null() {
            last = &raw mut (**last).Next;
        }
        *last = mdl;
    }
}

/// `MmInitializeMdl`.
///
/// # Safety
/// `mdl` points to [`size_of_mdl`] writable bytes.
pub unsafe fn initialize(mdl: *mut MDL, address: *mut c_void, length: u32) {
    let offset = address as usize % PAGE;
    let size = size_of_mdl(address, length as usize);
    // SAFETY: contract.
    unsafe {
        std::ptr::write_bytes(mdl.cast::<u8>(), 0, size);
        (*mdl).Size = size as i16;
        (*mdl).StartVa = address.wrapping_byte_sub(offset);
        (*mdl).ByteOffset = offset as u32;
        (*mdl).ByteCount = length;
    }
}

/// `MmGetMdlVirtualAddress`.
///
/// # Safety
/// `mdl` is alive.
pub unsafe fn virtual_address(mdl: *const MDL) -> *mut c_void {
    // SAFETY: contract.
    unsafe { (*mdl).StartVa.wrapping_byte_add((*mdl).ByteOffset as usize) }
}

/// Where the numbers of the pages lie, behind the header.
fn numbers(mdl: *mut MDL) -> *mut usize {
    mdl.wrapping_add(1).cast()
}

/// Tells a list that has no address of its own which pages it describes.
///
/// # Safety
/// `mdl` is alive, with room for the numbers of its pages.
pub unsafe fn number_pages(mdl: *mut MDL, address: usize) {
    // SAFETY: contract.
    let count = pages(0, unsafe { (*mdl).ByteCount } as usize);
    for index in 0..count {
        // SAFETY: contract.
        unsafe { numbers(mdl).add(index).write(address / PAGE + index) };
    }
}

/// No memory lies below: a list that begins there has no address, as those of pages alone have none.
const FIRST_ADDRESS: usize = 1 << 32;

/// The address of what a list describes: that of its buffer, or where its pages are.
///
/// # Safety
/// `mdl` is alive.
pub unsafe fn system_address(mdl: *mut MDL) -> *mut c_void {
    // SAFETY: contract.
    let address = unsafe { virtual_address(mdl) };
    if address.addr() >= FIRST_ADDRESS {
        return address;
    }
    // SAFETY: contract: there is room for a number, as there is for one page at least.
    match unsafe { ((*mdl).Size as usize > size_of::<MDL>()).then(|| *numbers(mdl)) } {
        // SAFETY: contract.
        Some(page) if page != 0 => unsafe {
            let offset = (*mdl).ByteOffset as usize;
            std::ptr::with_exposed_provenance_mut(page * PAGE + offset)
        },
        _ => address,
    }
}

/// The addresses of `first` and those behind it.
///
/// # Safety
/// They are alive while this is used.
pub unsafe fn lists(first: *mut MDL) -> impl Iterator<Item = usize> {
    // SAFETY: contract.
    let next = |list: &*mut MDL| unsafe { list.as_ref() }.map(|list| list.Next);
    std::iter::successors(Some(first), next)
        .take_while(|list| !list.is_null())
        .map(|list| list.addr())
}

/// `MmProbeAndLockPages`.
///
/// # Safety
/// `mdl` is alive.
pub unsafe fn lock_pages(mdl: *mut MDL) {
    // SAFETY: contract.
    let (address, length) = unsafe { (virtual_address(mdl), (*mdl).ByteCount) };
    pageable::pin(address.addr(), length as usize);
    // SAFETY: contract.
    unsafe { (*mdl).MdlFlags |= PAGES_LOCKED };
}

/// The pages were locked for a driver, by its call that returns to `site`.
pub fn locked_for(mdl: *const MDL, site: usize) {
    LOCKED.begin(mdl.addr(), site);
}

/// The I/O manager has made a list for the driver's call that returns to `site`, which is to unlock its pages and to
/// free it.
///
/// # Safety
/// `mdl` is alive, and came from [`allocate`].
pub unsafe fn give_to_driver(mdl: *mut MDL, site: usize) {
    // SAFETY: contract.
    let (address, length) = unsafe { (virtual_address(mdl), (*mdl).ByteCount) };
    let bytes = size_of_mdl(address, length as usize);
    pool::give_to_driver(mdl.cast(), bytes, TAG, site);
    locked_for(mdl, site);
}

/// `MmUnlockPages`; nothing for a list whose pages are not locked.
///
/// # Safety
/// `mdl` is alive.
pub unsafe fn unlock_pages(mdl: *mut MDL) {
    LOCKED.end(mdl.addr());
    // SAFETY: contract.
    unsafe {
        if (*mdl).MdlFlags & PAGES_LOCKED != 0 {
            pageable::unpin(virtual_address(mdl).addr(), (*mdl).ByteCount as usize);
        }
        (*mdl).MdlFlags &= !(PAGES_LOCKED | MAPPED_TO_SYSTEM_VA);
    }
}

/// The MDLs that code of the image has locked, with the call that did.
pub(super) fn locked_by(image: &Image) -> Vec<(usize, usize)> {
    LOCKED.begun_by(image)
}

/// Bytes of a part that is built with `length`: 0 means up to the end of `source`. None if it is not inside.
///
/// # Safety
/// `source` is alive.
pub unsafe fn bytes_of_part(source: *const MDL, address: usize, length: u32) -> Option<u32> {
    // SAFETY: contract.
    let (start, bytes) = unsafe { (virtual_address(source).addr(), (*source).ByteCount) };
    let skipped = u32::try_from(address.checked_sub(start)?).ok()?;
    let left = bytes.checked_sub(skipped)?;
    match length {
        0 => Some(left),
        length => (length <= left).then_some(length),
    }
}

/// `IoBuildPartialMdl`: `length` 0 means up to the end of `source`.
///
/// # Safety
/// Both lists are alive and `target` is large enough for the part.
pub unsafe fn build_partial(source: *mut MDL, target: *mut MDL, address: *mut c_void, length: u32) {
    // SAFETY: contract.
    unsafe {
        let start = virtual_address(source) as usize;
        let skipped = (address as usize).wrapping_sub(start) as u32;
        let length = if length == 0 {
            (*source).ByteCount.wrapping_sub(skipped)
        } else {
            length
        };
        let offset = address as usize % PAGE;
        (*target).StartVa = address.wrapping_byte_sub(offset);
        (*target).ByteOffset = offset as u32;
        (*target).ByteCount = length;
        (*target).Process = (*source).Process;
        (*target).MdlFlags |= PARTIAL;
        if start < FIRST_ADDRESS && (*source).MdlFlags & PAGES_LOCKED != 0 {
            let whole = system_address(source);
            if whole.addr() != start {
                let skipped = (address.addr() / PAGE).saturating_sub(start / PAGE);
                number_pages(target, whole.addr() + skipped * PAGE);
            }
        }
        if (*source).MdlFlags & SOURCE_IS_NONPAGED_POOL != 0 {
            (*target).MdlFlags |= SOURCE_IS_NONPAGED_POOL;
            (*target).MappedSystemVa = address;
        } else if (*source).MdlFlags & MAPPED_TO_SYSTEM_VA != 0 {
            (*target).MdlFlags |= MAPPED_TO_SYSTEM_VA;
            (*target).MappedSystemVa = (*source).MappedSystemVa.wrapping_byte_add(skipped as usize);
        }
    }
}

/// `IoFreeMdl`, on behalf of the call that returns to `site`, or of the one that this thread is in.
///
/// # Safety
/// `mdl` came from an allocation of this module and is nobody else's.
pub unsafe fn free(mdl: *mut MDL, site: usize) {
    // SAFETY: contract.
    unsafe { pool::free_either(mdl.cast(), site) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io_manager::irp;

    #[test]
    fn a_list_spans_the_pages_of_its_buffer() {
        let address = (3 * PAGE + 100) as *mut c_void;
        // SAFETY: the buffer is described, never touched; the lists are freed here.
        unsafe {
            let request = irp::allocate(1);
            let first = allocate(address, PAGE as u32, false, request);
            let second = allocate(address, 1, true, request);
            assert_eq!((*request).MdlAddress, first);
            assert_eq!((*first).Next, second);
            assert_eq!(
                ((*first).ByteOffset, (*first).ByteCount),
                (100, PAGE as u32)
            );
            assert_eq!((*first).Size as usize, size_of::<MDL>() + 2 * 8);
            assert_eq!((*second).Size as usize, size_of::<MDL>() + 8);
            assert_eq!(virtual_address(first), address);
            lock_pages(first);
            assert_eq!((*first).MdlFlags, PAGES_LOCKED);
            unlock_pages(first);
            build_partial(first, second, address.wrapping_byte_add(200), 0);
            assert_eq!((*second).ByteCount, PAGE as u32 - 200);
            assert_eq!(virtual_address(second), address.wrapping_byte_add(200));
            let part = |offset: usize, length| {
                bytes_of_part(first, address.addr().wrapping_add(offset), length)
            };
            assert_eq!(part(200, 0), Some(PAGE as u32 - 200));
            assert_eq!(part(200, PAGE as u32 - 200), Some(PAGE as u32 - 200));
            assert_eq!(part(200, PAGE as u32 - 199), None);
            assert_eq!((part(PAGE + 1, 0), part(usize::MAX, 1)), (None, None));
            (*request).MdlAddress = std::ptr::null_mut();
            free(first, 0);
            free(second, 0);
            irp::free(request, 0);
        }
    }
}
