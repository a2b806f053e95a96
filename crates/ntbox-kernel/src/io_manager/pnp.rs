//! The PnP manager, as far as a volume stack sees it: requests about the removal of a storage device.
//!
//! While a volume is mounted, the requests go to the top of its stack, and the file system passes
//! them on to the storage device; otherwise to the top of the storage stack. Each is sent at PASSIVE_LEVEL in a thread of
//! the system, with `IoStatus.Status` set to STATUS_NOT_SUPPORTED, and waited for. The PnP manager counts on the
//! volume meanwhile, as an open file does: its device goes when the file system lets it go, or when that count is given
//! back.
//!
//! From a query on, until the removal is cancelled or the device has come back, nothing is mounted on the device
//! (VPB_REMOVE_PENDING). The storage device itself stays: it is the one that comes back.
//!
//! Source: "Handling an IRP_MN_QUERY_REMOVE_DEVICE Request" and its like, IRP_MJ_PNP of file systems and their filters;
//! the CDFS sample for VPB_REMOVE_PENDING.

#![expect(
    unsafe_code,
    reason = "requests and devices are shared with drivers by pointer"
)]

use super::identity::{self, Identity, Wanted};
use super::{call, counters, device, irp, mount, request, vpb};
use crate::nt::{
    DEVICE_OBJECT, DEVICE_RELATIONS, FILE_OBJECT, IO_STATUS_BLOCK, IRP_MJ_PNP,
    IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_QUERY_DEVICE_RELATIONS, IRP_MN_QUERY_REMOVE_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_START_DEVICE, IRP_MN_SURPRISE_REMOVAL, IrpExt, KEVENT, NTSTATUS,
    STATUS_INVALID_DEVICE_STATE, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    STATUS_PLUGPLAY_QUERY_VETOED, STATUS_SUCCESS, Status, TargetDeviceRelation,
};
use crate::pool;
use crate::processor::{dispatcher, thread, work};
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

/// A code that no request of the PnP manager has: what a driver does with those of later versions of Windows shows here.
pub const UNASSIGNED: u32 = 0x7F;

/// What happens to a storage device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody wants to take it out: may it go?
    Query,
    /// It stays, after all.
    Cancel,
    /// It goes, as was asked for; or all is closed of one that is gone.
    Remove,
    /// It is gone.
    Surprise,
    /// It is there again.
    Arrive,
}

/// Where a device is between being there and being gone; one that is not in the table has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RemovePending,
    SurpriseRemoved,
    Removed,
}

/// The PnP manager does one thing at a time.
static STATES: Mutex<BTreeMap<usize, State>> = Mutex::new(BTreeMap::new());

fn states() -> MutexGuard<'static, BTreeMap<usize, State>> {
    STATES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A storage device, for a thread of the system.
struct Storage(*mut DEVICE_OBJECT);

// SAFETY: a storage device lives as long as the process, and is used by any thread.
unsafe impl Send for Storage {}

/// Does a step, in a thread of the system, and waits for it.
///
/// # Errors (as NTSTATUS)
/// `STATUS_PLUGPLAY_QUERY_VETOED` for a query while something is open that no driver has objected to;
/// `STATUS_INVALID_DEVICE_STATE` for a step that does not follow from the one before, or a removal while something is
/// open; else what the drivers have answered.
///
/// # Safety
/// `storage` is a storage device of `io_manager::storage`. PASSIVE_LEVEL.
pub unsafe fn step(storage: *mut DEVICE_OBJECT, step: Step) -> NTSTATUS {
    let storage = Storage(storage);
    in_system_thread(move || {
        let Storage(storage) = { storage };
        // SAFETY: contract.
        unsafe { take(storage, step) }
    })
}

/// Sends one request of the PnP manager about a storage device, without parameters, and waits for it. Whether it follows
/// from those before is the caller's affair.
///
/// # Safety
/// As [`step`].
pub unsafe fn send(storage: *mut DEVICE_OBJECT, minor: u32) -> NTSTATUS {
    let storage = Storage(storage);
    in_system_thread(move || {
        let Storage(storage) = { storage };
        // SAFETY: contract.
        unsafe { send_here(storage, minor) }
    })
}

/// The device that a file lies on, as the drivers of its stack say (`TargetDeviceRelation`), referenced.
///
/// # Errors
/// What they have answered.
///
/// # Safety
/// `file` is alive. PASSIVE_LEVEL.
pub unsafe fn target_device(file: *mut FILE_OBJECT) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
    // SAFETY: contract.
    let top = unsafe { super::file::related_device(file) };
    let who = identity::current();
    // SAFETY: the file keeps its stack.
    let answer = unsafe { send_to((top, true), IRP_MN_QUERY_DEVICE_RELATIONS, file, who) };
    // SAFETY: an integer whatever the union holds.
    let status = unsafe { answer.Anonymous.Status };
    let relations = answer.Information as *mut DEVICE_RELATIONS;
    if !Status(status).is_success() || relations.is_null() {
        return Err(status);
    }
    // SAFETY: who answers with success gives a structure of its own away.
    let device = unsafe { (*relations).Objects[0] };
    // SAFETY: as above.
    unsafe { pool::free_either(relations.cast(), 0) };
    Ok(device)
}

/// Runs `body` in a thread of the system, for the call that this thread is in.
fn in_system_thread(body: impl FnOnce() -> NTSTATUS + Send + 'static) -> NTSTATUS {
    let call = identity::current();
    let (tell, told) = mpsc::channel();
    work::queue(Box::new(move || {
        // Whoever asked waits for it.
        let _ = tell.send(identity::on_behalf_of(call, body));
    }));
    told.recv()
        .expect("a system worker does all that it is given")
}

/// # Safety
/// As [`step`].
unsafe fn take(storage: *mut DEVICE_OBJECT, step: Step) -> NTSTATUS {
    let mut states = states();
    let key = storage.addr();
    let state = states.get(&key).copied();
    match (step, state) {
        (Step::Query, None) => {
            // SAFETY: contract.
            let status = unsafe { query(storage) };
            if status == STATUS_SUCCESS {
                states.insert(key, State::RemovePending);
            }
            status
        }
        (Step::Cancel, Some(State::RemovePending)) => {
            states.remove(&key);
            // SAFETY: contract.
            unsafe { cancel(storage) }
        }
        (Step::Surprise, None | Some(State::RemovePending)) => {
            states.insert(key, State::SurpriseRemoved);
            // SAFETY: contract.
            unsafe { mount::keep_off(storage) };
            // SAFETY: contract.
            unsafe { send_here(storage, IRP_MN_SURPRISE_REMOVAL) }
        }
        (Step::Remove, Some(State::RemovePending | State::SurpriseRemoved)) => {
            // SAFETY: contract.
            if unsafe { opens(storage) } != 0 {
                return STATUS_INVALID_DEVICE_STATE;
            }
            states.insert(key, State::Removed);
            // SAFETY: contract.
            unsafe { send_here(storage, IRP_MN_REMOVE_DEVICE) }
        }
        (Step::Arrive, Some(State::SurpriseRemoved | State::Removed)) => {
            states.remove(&key);
            // SAFETY: contract.
            let status = unsafe { send_here(storage, IRP_MN_START_DEVICE) };
            // SAFETY: contract.
            unsafe { vpb::set_remove_pending(storage, false) };
            status
        }
        _ => STATUS_INVALID_DEVICE_STATE,
    }
}

/// # Safety
/// As [`step`].
unsafe fn query(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: contract.
    unsafe { mount::keep_off(storage) };
    // SAFETY: contract.
    let mut status = unsafe { send_here(storage, IRP_MN_QUERY_REMOVE_DEVICE) };
    // SAFETY: contract.
    if status == STATUS_SUCCESS && unsafe { opens(storage) } != 0 {
        status = STATUS_PLUGPLAY_QUERY_VETOED;
    }
    if status != STATUS_SUCCESS {
        // SAFETY: contract.
        unsafe { cancel(storage) };
    }
    status
}

/// # Safety
/// As [`step`].
unsafe fn cancel(storage: *mut DEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: contract.
    let status = unsafe { send_here(storage, IRP_MN_CANCEL_REMOVE_DEVICE) };
    // SAFETY: contract.
    unsafe { vpb::set_remove_pending(storage, false) };
    status
}

/// How many files are open on the device, or on the volumes that were mounted on it.
///
/// # Safety
/// As [`step`].
unsafe fn opens(storage: *mut DEVICE_OBJECT) -> i32 {
    // SAFETY: contract.
    let count = unsafe { &raw mut (*storage).ReferenceCount };
    // SAFETY: contract; the count is changed atomically.
    unsafe { AtomicI32::from_ptr(count) }.load(Ordering::Acquire)
}

/// # Safety
/// As [`step`]; in a thread of the system.
unsafe fn send_here(storage: *mut DEVICE_OBJECT, minor: u32) -> NTSTATUS {
    // SAFETY: contract: a storage device has a VPB.
    let mounted = unsafe { vpb::reference_if_mounted(storage) };
    let base = match mounted {
        // SAFETY: counted: a VPB that is mounted has its volume device.
        Some(vpb) => unsafe { (*vpb).DeviceObject },
        None => storage,
    };
    // SAFETY: the VPB, or the process, keeps the device.
    let top = unsafe { device::top_of_stack(base) };
    let call = identity::current();
    let who = Identity {
        value: call.value,
        // Nobody cancels it or holds it, and nobody fails it but a script.
        wanted: Wanted {
            script: call.wanted.script,
            ..Wanted::default()
        },
    };
    // SAFETY: as above.
    let answer = unsafe { send_to((top, mounted.is_some()), minor, null_mut(), who) };
    if let Some(vpb) = mounted {
        // SAFETY: the count is this function's.
        unsafe { mount::dereference_vpb(vpb) };
    }
    // SAFETY: an integer whatever the union holds.
    unsafe { answer.Anonymous.Status }
}

/// Sends a request of the PnP manager to `top`, of a volume or of a storage device, and waits for it.
///
/// # Safety
/// `top` is alive until the request has been passed on to who may delete it; `file` is null, or alive.
unsafe fn send_to(
    (top, is_volume): (*mut DEVICE_OBJECT, bool),
    minor: u32,
    file: *mut FILE_OBJECT,
    who: Identity,
) -> IO_STATUS_BLOCK {
    let mut event = KEVENT::default();
    let mut block = IO_STATUS_BLOCK::default();
    let (waits, answer) = (&raw mut event, &raw mut block);
    // SAFETY: memory of this function, which waits for the request.
    unsafe { dispatcher::initialize_event(waits, false, false) };
    let (major, none) = (IRP_MJ_PNP as u8, null_mut());
    // SAFETY: contract; event and status block outlive the request.
    let request = unsafe {
        request::build_synchronous_fsd(major, top, none, 0, std::ptr::null(), waits, answer)
    };
    // SAFETY: a new request.
    unsafe { irp::set_identity(request, who) };
    // SAFETY: as above.
    let header = unsafe { &mut *request };
    header.IoStatus.Anonymous.Status = STATUS_NOT_SUPPORTED;
    // SAFETY: a new request has a location for each device.
    let location = unsafe { request.next_location() };
    // SAFETY: as above.
    let location = unsafe { &mut *location };
    location.MinorFunction = minor as u8;
    location.FileObject = file;
    if minor == IRP_MN_QUERY_DEVICE_RELATIONS {
        location.Parameters.QueryDeviceRelations.Type = TargetDeviceRelation;
    }
    // SAFETY: a complete request for this stack.
    let status = unsafe { call::call_driver(top, request, 0) };
    // What goes to a volume's stack is counted, as everything else that does.
    if is_volume {
        counters::irp(major, status);
    }
    if status == STATUS_PENDING {
        // SAFETY: the event is alive.
        unsafe { dispatcher::wait(&[waits.cast()], false, None, false) };
    } else {
        thread::deliver_apcs();
        // What ends with an error at once leaves the block alone.
        block.Anonymous.Status = status;
    }
    block
}
