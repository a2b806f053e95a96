//! Registered file systems, and the drivers that want to know of them.
//!
//! One list for each kind of volume. A file system goes to the front, so the
//! newest is asked first; RAW stays behind all others, and low-priority file
//! systems stay directly in front of it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "control devices and notification routines belong to drivers"
)]

use super::{device, legacy_filters, shutdown};
use crate::nt::routines::FsNotification;
use crate::nt::{
    DEVICE_OBJECT, DO_LOW_PRIORITY_FILESYSTEM, DRIVER_OBJECT, FILE_DEVICE_CD_ROM_FILE_SYSTEM,
    FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_DEVICE_TAPE_FILE_SYSTEM,
    FILE_DEVICE_VIRTUAL_DISK, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_DEVICE_ALREADY_ATTACHED,
    STATUS_SUCCESS,
};
use crate::nt::{FILE_DEVICE_CD_ROM, FILE_DEVICE_DISK, FILE_DEVICE_TAPE};
use crate::processor::driver_code::entering;
use crate::processor::points;
use crate::processor::{lifetime, object};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// The queues, in the order in which they are reported to a new listener.
const NETWORK: usize = 0;
const CD_ROM: usize = 1;
const DISK: usize = 2;
const TAPE: usize = 3;

#[derive(Clone, Copy)]
struct Listener {
    driver: usize,
    routine: FsNotification,
}

impl Listener {
    /// The same registration: routines are told apart by their addresses, as in NT.
    fn is(&self, other: &Self) -> bool {
        self.driver == other.driver && self.routine as usize == other.routine as usize
    }
}

struct Lists {
    queues: [Vec<usize>; 4],
    listeners: Vec<Listener>,
}

static LISTS: Mutex<Lists> = Mutex::new(Lists {
    queues: [const { Vec::new() }; 4],
    listeners: Vec::new(),
});

fn lists() -> MutexGuard<'static, Lists> {
    LISTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The I/O database resource: held exclusively by the thread that registers
/// while it notifies, and acquired again by what its listeners call.
struct Database {
    owner: Mutex<Option<(ThreadId, u32)>>,
    released: Condvar,
}

static DATABASE: Database = Database {
    owner: Mutex::new(None),
    released: Condvar::new(),
};

struct Exclusive;

fn exclusive() -> Exclusive {
    let this = std::thread::current().id();
    let mut owner = DATABASE
        .owner
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    loop {
        match &mut *owner {
            None => {
                *owner = Some((this, 1));
                drop(owner);
                points::goes_on();
                return Exclusive;
            }
            Some((thread, depth)) if *thread == this => {
                *depth += 1;
                return Exclusive;
            }
            Some(_) => {
                points::waits();
                owner = DATABASE
                    .released
                    .wait(owner)
                    .unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        let mut owner = DATABASE
            .owner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, depth)) = &mut *owner {
            *depth -= 1;
            if *depth == 0 {
                *owner = None;
                DATABASE.released.notify_one();
            }
        }
    }
}

fn queue_of_file_system(device_type: u32) -> Option<usize> {
    match device_type {
        FILE_DEVICE_DISK_FILE_SYSTEM => Some(DISK),
        FILE_DEVICE_CD_ROM_FILE_SYSTEM => Some(CD_ROM),
        FILE_DEVICE_NETWORK_FILE_SYSTEM => Some(NETWORK),
        FILE_DEVICE_TAPE_FILE_SYSTEM => Some(TAPE),
        _ => None,
    }
}

fn queue_of_storage(device_type: u32) -> Option<usize> {
    match device_type {
        FILE_DEVICE_DISK | FILE_DEVICE_VIRTUAL_DISK => Some(DISK),
        FILE_DEVICE_CD_ROM => Some(CD_ROM),
        FILE_DEVICE_TAPE => Some(TAPE),
        _ => None,
    }
}

/// True for a control device of the RAW file system.
///
/// # Safety
/// `control` is alive.
pub(super) unsafe fn is_raw(control: *mut DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    unsafe { object::name_of((*control).DriverObject.cast()) }.as_deref()
        == Some(super::raw::DRIVER_NAME)
}

/// `IoRegisterFileSystem`: offers volumes to the control device from now on, and
/// tells every listener.
///
/// # Safety
/// `control` is alive and stays so until it is unregistered. PASSIVE_LEVEL.
pub unsafe fn register_file_system(control: *mut DEVICE_OBJECT) {
    let _exclusive = exclusive();
    // SAFETY: contract.
    unsafe {
        device::open(control);
        if let Some(queue) = queue_of_file_system((*control).DeviceType) {
            let raw = is_raw(control);
            let low = (*control).Flags & DO_LOW_PRIORITY_FILESYSTEM != 0;
            let mut lists = lists();
            let first_raw = lists.queues[queue]
                .iter()
                .position(|known| is_raw(*known as *mut DEVICE_OBJECT))
                .unwrap_or(lists.queues[queue].len());
            let at = match (raw, low) {
                (true, _) => lists.queues[queue].len(),
                (false, true) => first_raw,
                (false, false) => 0,
            };
            lists.queues[queue].insert(at, control as usize);
        }
        device::finish_initializing(control);
        notify(control, true);
    }
}

/// `IoUnregisterFileSystem`.
///
/// # Safety
/// `control` is alive. PASSIVE_LEVEL.
pub unsafe fn unregister_file_system(control: *mut DEVICE_OBJECT) {
    let _exclusive = exclusive();
    let known = {
        let mut lists = lists();
        let before: usize = lists.queues.iter().map(Vec::len).sum();
        for queue in &mut lists.queues {
            queue.retain(|known| *known != control as usize);
        }
        before != lists.queues.iter().map(Vec::len).sum::<usize>()
    };
    // SAFETY: contract; the open of the registration is given back.
    unsafe {
        notify(control, false);
        if known || queue_of_file_system((*control).DeviceType).is_none() {
            device::close(control);
        }
    }
}

unsafe fn notify(control: *mut DEVICE_OBJECT, active: bool) {
    let listeners = lists().listeners.clone();
    for listener in listeners {
        // SAFETY: a listener unregisters before it is unloaded, which waits for `exclusive`.
        unsafe { entering(listener.routine)(control, u8::from(active)) };
    }
}

/// `IoRegisterFsRegistrationChange`: reports the file systems that are
/// registered (RAW excepted, as NT does), then every change.
///
/// # Errors (as NTSTATUS)
/// `STATUS_DEVICE_ALREADY_ATTACHED` if the driver registered this routine as the last one,
/// `STATUS_ACCESS_DENIED` where filters are blocked ([`legacy_filters`]).
///
/// # Safety
/// `routine` stays callable until it is unregistered. PASSIVE_LEVEL.
pub unsafe fn register_change(driver: *mut DRIVER_OBJECT, routine: FsNotification) -> NTSTATUS {
    if legacy_filters::are_blocked() {
        return STATUS_ACCESS_DENIED;
    }
    let _exclusive = exclusive();
    let listener = Listener {
        driver: driver as usize,
        routine,
    };
    let known: Vec<usize> = {
        let mut lists = lists();
        if lists
            .listeners
            .last()
            .is_some_and(|last| last.is(&listener))
        {
            return STATUS_DEVICE_ALREADY_ATTACHED;
        }
        lists.listeners.push(listener);
        lists.queues.iter().flatten().copied().collect()
    };
    // SAFETY: contract; registered control devices are alive and none is unregistered meanwhile.
    unsafe {
        lifetime::reference(driver.cast());
        for control in known {
            let control = control as *mut DEVICE_OBJECT;
            if !is_raw(control) {
                entering(routine)(control, 1);
            }
        }
    }
    STATUS_SUCCESS
}

/// `IoRegisterFsRegistrationChangeMountAware`. With `synchronize` no mount is
/// under way while the registered file systems are reported: the listener can
/// enumerate their volumes without missing one.
///
/// # Errors (as NTSTATUS)
/// As [`register_change`].
///
/// # Safety
/// As [`register_change`].
pub unsafe fn register_change_mount_aware(
    driver: *mut DRIVER_OBJECT,
    routine: FsNotification,
    synchronize: bool,
) -> NTSTATUS {
    let status = {
        let _no_mounts = synchronize.then(super::mount_gate::hold_off);
        // SAFETY: contract.
        unsafe { register_change(driver, routine) }
    };
    // It listens.
    points::point();
    status
}

/// `IoUnregisterFsRegistrationChange`.
///
/// # Safety
/// `driver` is alive. PASSIVE_LEVEL.
pub unsafe fn unregister_change(driver: *mut DRIVER_OBJECT, routine: FsNotification) {
    let _exclusive = exclusive();
    let listener = Listener {
        driver: driver as usize,
        routine,
    };
    let removed = {
        let mut lists = lists();
        let at = lists.listeners.iter().position(|known| known.is(&listener));
        at.map(|at| lists.listeners.remove(at)).is_some()
    };
    if removed {
        // SAFETY: the reference of the registration.
        unsafe { lifetime::dereference(driver.cast()) };
    }
}

/// True if the driver still listens.
pub(super) fn is_listening(driver: *mut DRIVER_OBJECT) -> bool {
    lists()
        .listeners
        .iter()
        .any(|listener| listener.driver == driver as usize)
}

/// Forgets the driver's listeners; for a driver that was unloaded without unregistering.
pub(super) fn forget(driver: *mut DRIVER_OBJECT) {
    lists()
        .listeners
        .retain(|listener| listener.driver != driver as usize);
}

/// Sends IRP_MJ_SHUTDOWN to every registered device, the last one first, and
/// says how many there were. PASSIVE_LEVEL.
pub fn shut_down() -> usize {
    let devices = shutdown::take();
    for device in devices.iter().rev() {
        // SAFETY: a device is unregistered before it is deleted.
        unsafe { super::file::send_shutdown(*device as *mut DEVICE_OBJECT) };
    }
    devices.len()
}

/// Control devices registered for storage of `device_type`, the one asked first in front.
pub fn file_systems(device_type: u32) -> Vec<*mut DEVICE_OBJECT> {
    let Some(queue) = queue_of_storage(device_type) else {
        return Vec::new();
    };
    lists().queues[queue]
        .iter()
        .map(|control| *control as *mut DEVICE_OBJECT)
        .collect()
}

/// As [`file_systems`], each one referenced, for a mount: who mounts waits for listeners that are being told
/// of a file system (ReactOS, `IopMountVolume`).
pub(super) fn candidates(device_type: u32) -> Vec<*mut DEVICE_OBJECT> {
    let Some(queue) = queue_of_storage(device_type) else {
        return Vec::new();
    };
    let _nobody_is_told = exclusive();
    let lists = lists();
    let queue = &lists.queues[queue];
    queue
        .iter()
        .map(|control| {
            let control = *control as *mut DEVICE_OBJECT;
            // SAFETY: alive while it is in the list, which is locked.
            unsafe { lifetime::reference(control.cast()) };
            control
        })
        .collect()
}
