//! Memory descriptor lists: mapped twice, unmapped unmapped, divided wrongly, or forgotten.

use super::Mistake;
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{KeLowerIrql, KfRaiseIrql};
use core::ptr::null_mut;
use wdk_sys::{
    _LOCK_OPERATION, _MEMORY_CACHING_TYPE, _MM_PAGE_PRIORITY, _MODE, DISPATCH_LEVEL,
    IRP_MJ_QUERY_INFORMATION, KIRQL, KPROCESSOR_MODE, MDL, NTSTATUS, PDEVICE_OBJECT, PIRP,
    POOL_FLAG_NON_PAGED, POOL_FLAG_NON_PAGED_EXECUTE, POOL_FLAG_PAGED, PVOID, ntddk,
};

/// `MdlMappingNoExecute`.
const MDL_MAPPING_NO_EXECUTE: i32 = 0x4000_0000;
const TAG: u32 = u32::from_le_bytes(*b"BadL");
const KERNEL: KPROCESSOR_MODE = _MODE::KernelMode as _;
const USER: KPROCESSOR_MODE = _MODE::UserMode as _;
/// Of a whole: it spans three pages at least.
const BYTES: usize = 2 * 4096 + 64;
/// Of a part in the middle.
const PART: u32 = 64;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::MdlMappedByObsoleteRoutine => Some(map_by_obsolete_routine),
        Mistake::MdlMappingMayNotFail => Some(map_or_stop),
        Mistake::MdlMappedTwice => Some(map_twice),
        Mistake::MdlUnmappedUnmapped => Some(unmap_unmapped),
        Mistake::MdlUnmappedPartial => Some(unmap_part),
        Mistake::UserMappingUnmappedElsewhere => Some(unmap_elsewhere),
        Mistake::UserMappingUnmappedAtDispatch => Some(unmap_at_dispatch),
        Mistake::MdlFreedMapped => Some(free_mapped),
        Mistake::MdlBuiltOfPagedPool => Some(build_of_paged_pool),
        Mistake::PartialMdlTooSmall => Some(build_small_part),
        Mistake::PartialMdlOutOfRange => Some(build_outer_part),
        Mistake::LockedPagesLeft => Some(lock_and_forget),
        Mistake::ExecutablePool => Some(allocate_executable),
        Mistake::ExecutableMapping => Some(map_executable),
        _ => None,
    }
}

/// A block with an MDL for it.
struct Whole {
    block: PVOID,
    list: *mut MDL,
}

impl Whole {
    unsafe fn allocate(pool: u64) -> Option<Self> {
        let block = ntddk::ExAllocatePool2(pool, BYTES as u64, TAG);
        if block.is_null() {
            return None;
        }
        let list = ntddk::IoAllocateMdl(block, BYTES as u32, 0, 0, null_mut());
        if list.is_null() {
            ntddk::ExFreePoolWithTag(block, TAG);
            return None;
        }
        Some(Self { block, list })
    }

    unsafe fn locked() -> Option<Self> {
        let whole = Self::allocate(POOL_FLAG_NON_PAGED)?;
        ntddk::MmProbeAndLockPages(whole.list, KERNEL, _LOCK_OPERATION::IoWriteAccess);
        Some(whole)
    }

    unsafe fn free(self) {
        ntddk::IoFreeMdl(self.list);
        ntddk::ExFreePoolWithTag(self.block, TAG);
    }

    unsafe fn unlock_and_free(self) {
        ntddk::MmUnlockPages(self.list);
        self.free();
    }

    /// An MDL for some bytes in the middle.
    unsafe fn part(&self) -> Option<*mut MDL> {
        let part = ntddk::IoAllocateMdl(self.middle(), PART, 0, 0, null_mut());
        if part.is_null() {
            return None;
        }
        ntddk::IoBuildPartialMdl(self.list, part, self.middle(), PART);
        Some(part)
    }

    fn middle(&self) -> PVOID {
        self.block.wrapping_byte_add(BYTES / 2)
    }
}

/// Of a mapping that cannot be executed.
const PRIORITY: i32 = _MM_PAGE_PRIORITY::NormalPagePriority | MDL_MAPPING_NO_EXECUTE;

/// As MmGetSystemAddressForMdlSafe does where there is no mapping.
unsafe fn map(list: *mut MDL, mode: KPROCESSOR_MODE) -> PVOID {
    map_with(list, mode, 0, PRIORITY)
}

#[inline(never)]
unsafe fn map_with(list: *mut MDL, mode: KPROCESSOR_MODE, stop: u32, priority: i32) -> PVOID {
    let cached = _MEMORY_CACHING_TYPE::MmCached;
    ntddk::MmMapLockedPagesSpecifyCache(list, mode, cached, null_mut(), stop, priority)
}

unsafe extern "C" fn map_by_obsolete_routine(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        ntddk::MmMapLockedPages(whole.list, KERNEL); // MISTAKE: mdl-mapped-by-obsolete-routine
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn map_or_stop(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let _ = map_with(whole.list, KERNEL, 1, PRIORITY); // MISTAKE: mdl-mapping-may-not-fail
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn map_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let _ = map(whole.list, KERNEL);
        let _ = map_with(whole.list, KERNEL, 0, PRIORITY); // MISTAKE: mdl-mapped-twice
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn unmap_unmapped(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let address = map(whole.list, KERNEL);
        if !address.is_null() {
            ntddk::MmUnmapLockedPages(address, whole.list);
            ntddk::MmUnmapLockedPages(address, whole.list); // MISTAKE: mdl-unmapped-unmapped
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn unmap_part(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let _ = map(whole.list, KERNEL);
        if let Some(part) = whole.part() {
            ntddk::MmUnmapLockedPages(whole.middle(), part); // MISTAKE: mdl-unmapped-partial
            ntddk::IoFreeMdl(part);
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn unmap_elsewhere(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        if !map(whole.list, USER).is_null() {
            ntddk::MmUnmapLockedPages(whole.middle(), whole.list); // MISTAKE: user-mapping-unmapped-elsewhere
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn unmap_at_dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let address = map(whole.list, USER);
        if !address.is_null() {
            let before = KfRaiseIrql(DISPATCH_LEVEL as KIRQL);
            ntddk::MmUnmapLockedPages(address, whole.list); // MISTAKE: user-mapping-unmapped-at-dispatch
            KeLowerIrql(before);
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn free_mapped(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        if map(whole.list, KERNEL).is_null() {
            ntddk::MmUnlockPages(whole.list);
        }
        ntddk::IoFreeMdl(whole.list); // MISTAKE: mdl-freed-mapped
        ntddk::ExFreePoolWithTag(whole.block, TAG);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn build_of_paged_pool(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::allocate(POOL_FLAG_PAGED) {
        ntddk::MmBuildMdlForNonPagedPool(whole.list); // MISTAKE: mdl-built-of-paged-pool
        whole.free();
    }
    dispatch(device, irp)
}

/// The target is allocated for the first bytes of the part.
unsafe extern "C" fn build_small_part(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let part = ntddk::IoAllocateMdl(whole.block, PART, 0, 0, null_mut());
        if !part.is_null() {
            ntddk::IoBuildPartialMdl(whole.list, part, whole.block, 0); // MISTAKE: partial-mdl-too-small
            ntddk::IoFreeMdl(part);
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

/// The length is that of the whole, and not of what is left.
unsafe extern "C" fn build_outer_part(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let part = ntddk::IoAllocateMdl(whole.middle(), BYTES as u32, 0, 0, null_mut());
        if !part.is_null() {
            ntddk::IoBuildPartialMdl(whole.list, part, whole.middle(), BYTES as u32); // MISTAKE: partial-mdl-out-of-range
            ntddk::IoFreeMdl(part);
        }
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

unsafe extern "C" fn lock_and_forget(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::allocate(POOL_FLAG_PAGED) {
        ntddk::MmProbeAndLockPages(whole.list, KERNEL, _LOCK_OPERATION::IoWriteAccess); // MISTAKE: locked-pages-left
    }
    dispatch(device, irp)
}

unsafe extern "C" fn allocate_executable(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED_EXECUTE, 64, TAG); // MISTAKE: executable-pool
    if !block.is_null() {
        ntddk::ExFreePoolWithTag(block, TAG);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn map_executable(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        let priority = _MM_PAGE_PRIORITY::NormalPagePriority;
        let _ = map_with(whole.list, KERNEL, 0, priority); // MISTAKE: executable-mapping
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}

/// Everything that is done wrong here, done right.
pub unsafe extern "C" fn right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(whole) = Whole::locked() {
        // A part of what is not mapped has a mapping of its own, which IoFreeMdl takes back.
        if let Some(part) = whole.part() {
            let _ = map(part, KERNEL);
            ntddk::IoFreeMdl(part);
        }
        if let Some(part) = whole.part() {
            let address = map(part, KERNEL);
            if !address.is_null() {
                ntddk::MmUnmapLockedPages(address, part);
            }
            ntddk::IoFreeMdl(part);
        }
        let address = map(whole.list, USER);
        if !address.is_null() {
            ntddk::MmUnmapLockedPages(address, whole.list);
        }
        let address = map(whole.list, KERNEL);
        if !address.is_null() {
            ntddk::MmUnmapLockedPages(address, whole.list);
        }
        // MmUnlockPages takes the mapping back; a part shares that of the whole.
        let _ = map(whole.list, KERNEL);
        if let Some(part) = whole.part() {
            ntddk::IoFreeMdl(part);
        }
        whole.unlock_and_free();
    }
    if let Some(whole) = Whole::allocate(POOL_FLAG_NON_PAGED) {
        ntddk::MmBuildMdlForNonPagedPool(whole.list);
        if let Some(part) = whole.part() {
            ntddk::IoFreeMdl(part);
        }
        whole.free();
    }
    if let Some(whole) = Whole::allocate(POOL_FLAG_PAGED) {
        ntddk::MmProbeAndLockPages(whole.list, KERNEL, _LOCK_OPERATION::IoWriteAccess);
        whole.unlock_and_free();
    }
    dispatch(device, irp)
}
