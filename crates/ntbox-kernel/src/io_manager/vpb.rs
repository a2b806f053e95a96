//! Volume parameter blocks: their life and their counts.
//!
//! A storage device has a VPB from its creation; a dismount gives it a new one.
//! The old one stays until the last file on it is closed, and then takes its
//! volume device with it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "VPBs are shared with file systems and filters by pointer"
)]

use super::device;
use crate::nt::{DEVICE_OBJECT, DISPATCH_LEVEL, Kirql, VPB, VPB_MOUNTED, VPB_REMOVE_PENDING};
use crate::pool;
use crate::processor::{irql, points, spin_lock};
use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

const IO_TYPE_VPB: i16 = 10;

static SPIN_LOCK: AtomicUsize = AtomicUsize::new(0);

/// `IoAcquireVpbSpinLock`: returns the IRQL to release it with.
pub fn acquire_vpb_spin_lock() -> Kirql {
    points::point();
    let old = irql::current();
    if old < DISPATCH_LEVEL {
        irql::raise(DISPATCH_LEVEL);
    }
    // SAFETY: the lock is a static of pointer size.
    unsafe { spin_lock::acquire(SPIN_LOCK.as_ptr()) };
    old
}

/// `IoReleaseVpbSpinLock`.
pub fn release_vpb_spin_lock(old: Kirql) {
    // SAFETY: the lock is a static of pointer size.
    unsafe { spin_lock::release(SPIN_LOCK.as_ptr()) };
    if old < irql::current() {
        irql::lower(old);
    }
}

/// The VPB spin lock, held: drivers that hold it find no VPB half changed.
pub(super) struct Vpbs {
    // Given back before `old`'s release, which may deliver APCs.
    orphans: Option<MutexGuard<'static, Orphans>>,
    old: Kirql,
}

impl Vpbs {
    pub(super) fn remove(&mut self, vpb: usize) -> Option<usize> {
        self.orphans.as_mut()?.remove(&vpb)
    }
    pub(super) fn insert(&mut self, vpb: usize, volume: usize) {
        if let Some(orphans) = self.orphans.as_mut() {
            orphans.insert(vpb, volume);
        }
    }
}

impl Drop for Vpbs {
    fn drop(&mut self) {
        self.orphans = None;
        release_vpb_spin_lock(self.old);
    }
}

/// Volume devices of VPBs that were dismounted while files were open on them.
pub(super) type Orphans = HashMap<usize, usize>;

/// In the place of a volume device that went with the last close.
const NO_DEVICE: usize = 0;

/// What the VPB spin lock guards besides the VPBs.
static VPBS: LazyLock<Mutex<Orphans>> = LazyLock::new(Mutex::default);

pub(super) fn vpbs() -> Vpbs {
    let old = acquire_vpb_spin_lock();
    Vpbs {
        orphans: Some(VPBS.lock().unwrap_or_else(PoisonError::into_inner)),
        old,
    }
}

/// A VPB for a storage device: not mounted.
pub(super) fn new_vpb(storage: *mut DEVICE_OBJECT) -> *mut VPB {
    let vpb: *mut VPB = pool::allocate_for_box(size_of::<VPB>()).cast();
    // SAFETY: the block is zeroed, large enough and new.
    unsafe {
        (*vpb).Type = IO_TYPE_VPB;
        (*vpb).Size = size_of::<VPB>() as i16;
        (*vpb).RealDevice = storage;
    }
    vpb
}

/// The storage device is going away: so does its VPB.
///
/// # Safety
/// Nothing else reaches the device any more.
pub(super) unsafe fn delete_vpb(device: *mut DEVICE_OBJECT) {
    // SAFETY: contract; a file system may have stored a VPB in its own device as well.
    unsafe {
        let vpb = (*device).Vpb;
        if !vpb.is_null() && (*vpb).RealDevice == device {
            pool::free_for_box(vpb.cast());
        }
    }
}

pub(super) unsafe fn reference_if_mounted(storage: *mut DEVICE_OBJECT) -> Option<*mut VPB> {
    let _vpbs = vpbs();
    // SAFETY: contract of the caller; VPBs change under the lock.
    unsafe {
        let vpb = (*storage).Vpb;
        let mounted = u32::from((*vpb).Flags) & VPB_MOUNTED != 0;
        mounted.then(|| {
            (*vpb).ReferenceCount += 1;
            vpb
        })
    }
}

/// True if a volume is mounted on the storage device.
///
/// # Safety
/// `storage` is alive.
pub unsafe fn is_mounted(storage: *mut DEVICE_OBJECT) -> bool {
    let _vpbs = vpbs();
    // SAFETY: contract; VPBs change under the lock.
    unsafe { !(*storage).Vpb.is_null() && u32::from((*(*storage).Vpb).Flags) & VPB_MOUNTED != 0 }
}

/// Whether a file system may be mounted on the storage device, or not (`VPB_REMOVE_PENDING`).
///
/// # Safety
/// `storage` is alive, and has a VPB.
pub(super) unsafe fn set_remove_pending(storage: *mut DEVICE_OBJECT, pending: bool) {
    let _vpbs = vpbs();
    // SAFETY: contract; VPBs change under the lock.
    let vpb = unsafe { &mut *(*storage).Vpb };
    match pending {
        true => vpb.Flags |= VPB_REMOVE_PENDING as u16,
        false => vpb.Flags &= !(VPB_REMOVE_PENDING as u16),
    }
}

/// What [`set_remove_pending`] has said last.
///
/// # Safety
/// As there.
pub(super) unsafe fn is_remove_pending(storage: *mut DEVICE_OBJECT) -> bool {
    let _vpbs = vpbs();
    // SAFETY: contract; VPBs change under the lock.
    let flags = unsafe { (*(*storage).Vpb).Flags };
    u32::from(flags) & VPB_REMOVE_PENDING != 0
}

/// Counts an open file on the VPB.
///
/// # Safety
/// `vpb` is alive and stays so because something else counts on it already.
pub unsafe fn reference_vpb(vpb: *mut VPB) {
    let _vpbs = vpbs();
    // SAFETY: contract.
    unsafe { (*vpb).ReferenceCount += 1 };
}

/// Counts a closed file; the last one on a dismounted volume deletes its volume device.
///
/// # Safety
/// The caller owns a count. PASSIVE_LEVEL.
pub unsafe fn dereference_vpb(vpb: *mut VPB) {
    let orphan = {
        let mut vpbs = vpbs();
        // SAFETY: contract.
        let left = unsafe {
            (*vpb).ReferenceCount -= 1;
            (*vpb).ReferenceCount
        };
        if left == 0 {
            vpbs.remove(vpb as usize)
        } else {
            None
        }
    };
    if let Some(volume) = orphan {
        // SAFETY: the volume has left its storage device and nothing has it open.
        unsafe { delete_volume(vpb, volume as *mut DEVICE_OBJECT) };
    }
}

/// A file system is closing a file on a dismounted volume: if it is the last one, the volume
/// device goes now, before the request completes, and every filter above it is told to detach.
///
/// # Safety
/// The file counts on `vpb` until its close has completed. PASSIVE_LEVEL.
pub unsafe fn close_last(vpb: *mut VPB) {
    let orphan = {
        let mut vpbs = vpbs();
        // SAFETY: contract.
        let last = unsafe { (*vpb).ReferenceCount } == 1;
        let orphan = last.then(|| vpbs.remove(vpb as usize)).flatten();
        if orphan.is_some() {
            // The VPB itself stays until the count is given back.
            vpbs.insert(vpb as usize, NO_DEVICE);
        }
        orphan
    };
    if let Some(volume) = orphan.filter(|volume| *volume != NO_DEVICE) {
        // SAFETY: as in `dereference_vpb`.
        unsafe { delete_device(volume as *mut DEVICE_OBJECT) };
    }
}

pub(super) unsafe fn delete_volume(vpb: *mut VPB, volume: *mut DEVICE_OBJECT) {
    // SAFETY: contract of the callers: both are alive and unreachable for new opens.
    unsafe {
        if volume as usize != NO_DEVICE {
            delete_device(volume);
        }
        pool::free_for_box(vpb.cast());
    }
}

unsafe fn delete_device(volume: *mut DEVICE_OBJECT) {
    // SAFETY: contract of the callers: the device is alive and unreachable for new opens.
    unsafe {
        (*(*volume).DeviceObjectExtension).Vpb = std::ptr::null_mut();
        device::delete(volume, 0);
    }
}
