//! Requests: allocation, reuse, and the prefix in front of each IRP of the box.
//!
//! The prefix holds the request's identity and its [`Tracker`]. A driver may
//! also initialize an IRP in its own memory; that one has no prefix, travels
//! alike and is not checked.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "an IRP is initialized field by field and shared by pointer"
)]

use super::history::{self, Event, EventKind, History};
use super::own_request_checks::{self, Made};
use super::tracker::{Reference, Tracker};
use super::{cancel, checks, own_waits};
use crate::host::address_map::AddressMap;
use crate::io_manager::identity::Identity;
use crate::nt::irp::size_of_irp;
use crate::nt::{APC_LEVEL, FILE_OBJECT, IRP, IRP_ASSOCIATED_IRP, IrpExt, LIST_ENTRY, NTSTATUS};
use crate::processor::{irql, thread};
use crate::{pool, verifier};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

pub use super::stack::{advance, copy_to_next, mark_pending, set_completion_routine, skip};

/// `IO_TYPE_IRP`.
pub const IO_TYPE_IRP: i16 = 6;
/// In `AllocationFlags`: the box allocated it and there is a prefix. NT uses the low bits.
const HAS_PREFIX: u8 = 0x80;

#[repr(C, align(16))]
struct Prefix {
    identity: Identity,
    tracker: *const Tracker,
    /// Of an associated request, as it was made: what the driver has in the IRP may be written over.
    master: *mut IRP,
    /// What is known of that, counted; null without checks.
    of_master: *const Tracker,
    made: Made,
}

const PREFIX: usize = size_of::<Prefix>();
const SHARDS: usize = 64;
type Shard = Mutex<AddressMap<usize>>;

/// Every IRP of the box that is not freed, with the address that allocated it.
static LIVE: LazyLock<[Shard; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::default()));

fn shard(irp: *const IRP) -> MutexGuard<'static, AddressMap<usize>> {
    let hash = (irp as usize >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
    LIVE[hash % SHARDS]
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `irp` is alive.
unsafe fn prefix(irp: *const IRP) -> Option<*mut Prefix> {
    // SAFETY: contract.
    let has_prefix = unsafe { (*irp).AllocationFlags } & HAS_PREFIX != 0;
    has_prefix.then(|| irp.wrapping_byte_sub(PREFIX).cast_mut().cast())
}

/// The request's tracker; `None` without a prefix, or if it was allocated while checks were off.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn tracker(irp: *const IRP) -> Option<*const Tracker> {
    // SAFETY: contract.
    let tracker = unsafe { (*prefix(irp)?).tracker };
    (!tracker.is_null()).then_some(tracker)
}

/// Who has called `IoCompleteRequest` for the request last; 0 if that is not known.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn completed_by(irp: *const IRP) -> usize {
    // SAFETY: contract.
    let tracker = unsafe { tracker(irp) };
    // SAFETY: a live request keeps its tracker.
    tracker.map_or(0, |tracker| unsafe { &*tracker }.lock().completed_at)
}

/// What has happened to the request, if that is recorded.
///
/// # Safety
/// `irp` is alive, and stays so while the history is used.
pub unsafe fn history<'a>(irp: *const IRP) -> Option<&'a History> {
    // SAFETY: contract.
    let tracker = unsafe { tracker(irp) }?;
    // SAFETY: an IRP keeps its tracker, whose history changes through atomics only.
    Some(unsafe { &(*tracker).history })
}

/// Adds to the history of the request, if it has one.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn record(irp: *const IRP, event: Event) {
    // SAFETY: contract.
    if let Some(history) = unsafe { history(irp) } {
        history.record(event);
    }
}

/// `IoAllocateIrp`; null for a stack size below 1.
pub fn allocate(stack_size: i8) -> *mut IRP {
    allocate_at(stack_size, 0)
}

/// As [`allocate`], for the code at `site`.
pub fn allocate_at(stack_size: i8, site: usize) -> *mut IRP {
    if stack_size < 1 {
        return std::ptr::null_mut();
    }
    let bytes = size_of_irp(stack_size);
    let block = pool::allocate_object(PREFIX, bytes, "a request (IRP)");
    let irp: *mut IRP = block.wrapping_byte_add(PREFIX).cast();
    let tracker = if verifier::checks() {
        checks::forget_freed(irp);
        Reference::new(irp, stack_size).into_raw()
    } else {
        std::ptr::null()
    };
    // SAFETY: the block holds prefix and IRP and nobody else has it.
    unsafe {
        block.cast::<Prefix>().write(Prefix {
            identity: Identity::default(),
            tracker,
            master: std::ptr::null_mut(),
            of_master: std::ptr::null(),
            made: Made::default(),
        });
        set_up(irp, bytes as u16, stack_size);
        (*irp).AllocationFlags = HAS_PREFIX;
        if !tracker.is_null() {
            (*tracker).history.record(Event::new(
                EventKind::Allocated,
                std::ptr::null_mut(),
                (*irp).CurrentLocation,
                0,
                site,
            ));
        }
    }
    shard(irp).insert(irp as usize, site);
    irp
}

/// # Safety
/// `irp` points to `bytes` writable bytes that nobody else uses.
unsafe fn set_up(irp: *mut IRP, bytes: u16, stack_size: i8) {
    // SAFETY: contract.
    unsafe {
        std::ptr::write_bytes(irp.cast::<u8>(), 0, usize::from(bytes));
        (*irp).Type = IO_TYPE_IRP;
        (*irp).Size = bytes;
        (*irp).StackCount = stack_size;
        (*irp).CurrentLocation = stack_size + 1;
        irp.set_current_location(irp.location(stack_size + 1));
        let entry: *mut LIST_ENTRY = &raw mut (*irp).ThreadListEntry;
        (*entry).Flink = entry;
        (*entry).Blink = entry;
    }
}

/// `IoInitializeIrp`, for memory of the driver's own. `site` is the caller's return address.
///
/// # Safety
/// `irp` points to `bytes` writable bytes that nobody else uses.
pub unsafe fn initialize(irp: *mut IRP, bytes: u16, stack_size: i8, site: usize) {
    let ours = shard(irp).contains_key(&(irp as usize));
    if ours {
        // SAFETY: it is in the list of live requests.
        unsafe { own_request_checks::initialized(irp, site) };
    }
    checks::forget_freed(irp);
    // SAFETY: contract.
    unsafe {
        set_up(irp, bytes, stack_size);
        if ours {
            (*irp).AllocationFlags = HAS_PREFIX;
            restart(irp);
        }
    }
}

/// `IoReuseIrp`. `site` is the caller's return address.
///
/// # Safety
/// `irp` is alive, the caller allocated it, and it is not in flight.
pub unsafe fn reuse(irp: *mut IRP, status: NTSTATUS, site: usize) {
    // SAFETY: contract.
    unsafe {
        own_request_checks::reused(irp, site);
        let flags = (*irp).AllocationFlags;
        set_up(irp, (*irp).Size, (*irp).StackCount);
        (*irp).AllocationFlags = flags;
        (*irp).IoStatus.Anonymous.Status = status;
        restart(irp);
    }
}

/// # Safety
/// `irp` is alive.
unsafe fn restart(irp: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        if let Some(tracker) = tracker(irp) {
            (*tracker).lock().restart();
        }
        record(
            irp,
            Event::new(
                EventKind::Allocated,
                std::ptr::null_mut(),
                (*irp).CurrentLocation,
                0,
                0,
            ),
        );
    }
}

/// `IoFreeIrp`. `site` is the caller's return address, 0 for the box itself.
///
/// # Safety
/// `irp` is alive and the caller's to free.
pub unsafe fn free(irp: *mut IRP, site: usize) {
    if let Some(completed) = checks::freed_by(irp).filter(|_| verifier::checks()) {
        checks::report(
            &verifier::rules::BAD_FREE,
            format!("the request {irp:p} is freed twice"),
            std::ptr::null_mut(),
            vec![("freed again by", site), ("completed by", completed)],
        );
        return;
    }
    // SAFETY: contract.
    let Some(prefix) = (unsafe { prefix(irp) }) else {
        // Memory of the driver's own: IoFreeIrp is not for it.
        checks::report(
            &verifier::rules::BAD_FREE,
            "IoFreeIrp was called for a request that IoAllocateIrp did not return".into(),
            irp,
            vec![("freed by", site)],
        );
        return;
    };
    // SAFETY: contract.
    unsafe { own_request_checks::freed(irp, site) };
    own_waits::gone(irp);
    shard(irp).remove(&(irp as usize));
    // SAFETY: contract.
    let of_master = unsafe { (*prefix).of_master };
    if !of_master.is_null() {
        // SAFETY: the count of `associate`.
        drop(unsafe { Reference::from_raw(of_master) });
    }
    let mut freed_at = site;
    // SAFETY: contract; the tracker's own count comes from `into_raw`.
    unsafe {
        let pointer = (*prefix).tracker;
        if !pointer.is_null() {
            let tracker = Reference::from_raw(pointer);
            tracker.history.record(Event::new(
                EventKind::Freed,
                std::ptr::null_mut(),
                (*irp).CurrentLocation,
                0,
                site,
            ));
            let mut inner = tracker.lock();
            inner.irp = std::ptr::null_mut();
            checks::remember_freed(irp, inner.completed_at);
            if site == 0 {
                // The box frees what a driver completed: that call is the one to name.
                freed_at = inner.completed_at;
            }
            drop(inner);
            history::retire(irp, &tracker.history);
        }
        pool::free_for_box_at(prefix.cast(), freed_at);
    }
}

/// Tells the request's originator apart; see `io_manager::identity`.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn set_identity(irp: *mut IRP, identity: Identity) {
    // SAFETY: contract.
    unsafe {
        if let Some(prefix) = prefix(irp) {
            (*prefix).identity = identity;
        }
    }
}

/// Identity of the request; zero without a prefix.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn identity(irp: *const IRP) -> Identity {
    // SAFETY: contract.
    unsafe { prefix(irp).map_or_else(Identity::default, |prefix| (*prefix).identity) }
}

/// Makes `irp` an associated request of `master`.
///
/// # Safety
/// `irp` is alive and the caller's.
pub unsafe fn associate(irp: *mut IRP, master: *mut IRP) {
    // SAFETY: contract.
    unsafe {
        (*irp).Flags |= IRP_ASSOCIATED_IRP;
        (*irp).AssociatedIrp.MasterIrp = master;
        if let Some(prefix) = prefix(irp) {
            (*prefix).master = master;
            if let Some(tracker) = tracker(master) {
                (*prefix).of_master = Reference::another(tracker, |_| ()).0.into_raw();
            }
        }
    }
}

/// Who has completed the master of an associated request, if that has been completed.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn master_completed_by(irp: *const IRP) -> Option<usize> {
    // SAFETY: contract.
    let of_master = unsafe { (*prefix(irp)?).of_master };
    // SAFETY: counted by the request.
    let inner = unsafe { of_master.as_ref() }?.lock();
    let completed = inner.irp.is_null() || inner.is_being_completed() || inner.is_finished();
    completed.then_some(inner.completed_at)
}

/// The master that an associated request was made for; null if the box did not make it.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn master(irp: *const IRP) -> *mut IRP {
    // SAFETY: contract.
    unsafe { prefix(irp).map_or(std::ptr::null_mut(), |prefix| (*prefix).master) }
}

/// Says how the request was made, where that was not by [`allocate`] alone.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn set_made(irp: *mut IRP, made: Made) {
    // SAFETY: contract.
    if let Some(prefix) = unsafe { prefix(irp) } {
        // SAFETY: the prefix lives with its request.
        unsafe { (*prefix).made = made };
    }
}

/// How the request was made; `None` without a prefix.
///
/// # Safety
/// `irp` is alive.
pub unsafe fn made(irp: *const IRP) -> Option<Made> {
    // SAFETY: contract.
    let prefix = unsafe { prefix(irp) }?;
    // SAFETY: the prefix lives with its request.
    Some(unsafe { (*prefix).made })
}

/// Calls `visit` with every live IRP of the box and the address that allocated
/// it. The request cannot be freed during its visit, and `visit` frees none.
pub fn for_each_live(mut visit: impl FnMut(*mut IRP, usize)) {
    for shard in LIVE.iter() {
        for (irp, site) in shard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            visit(*irp as *mut IRP, *site);
        }
    }
}

/// Who allocated the request; 0 if the box did.
pub fn allocated_by(irp: *const IRP) -> usize {
    shard(irp).get(&(irp as usize)).copied().unwrap_or(0)
}

/// `site` has had the request built, which [`allocate`] does not know.
pub fn set_allocator(irp: *const IRP, site: usize) {
    if !irp.is_null() {
        shard(irp).insert(irp as usize, site);
    }
}

/// Requests in flight.
pub fn live() -> usize {
    LIVE.iter()
        .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
        .sum()
}

/// Cancels the requests for `file` that this thread has issued (`NtCancelIoFile`):
/// how many had not been completed. At APC_LEVEL, because their second stage is
/// an APC of this thread and cannot free them then.
///
/// # Safety
/// `file` is alive. Called below `DISPATCH_LEVEL`.
pub unsafe fn cancel_requests_of_this_thread(file: *mut FILE_OBJECT) -> usize {
    let old = irql::current();
    if old < APC_LEVEL {
        irql::raise(APC_LEVEL);
    }
    let this = thread::current().object();
    let mut found = Vec::new();
    for_each_live(|irp, _| {
        // SAFETY: alive during the visit.
        let ours = unsafe { irp.thread() == this && irp.original_file_object() == file };
        if ours {
            found.push(irp);
        }
    });
    for irp in &found {
        // SAFETY: its second stage needs this thread below APC_LEVEL.
        unsafe { cancel::cancel(*irp, 0) };
    }
    if old < APC_LEVEL {
        irql::lower(old);
    }
    found.len()
}

/// Cancels the requests for `file` of every thread (`NtCancelIoFileEx`): each
/// thread cancels its own in an APC.
///
/// # Safety
/// `file` is alive, and stays so until the threads have run their APCs (each
/// request for it holds a reference).
pub unsafe fn cancel_requests(file: *mut FILE_OBJECT) -> usize {
    let mut threads = Vec::new();
    let mut found = 0;
    for_each_live(|irp, _| {
        // SAFETY: alive during the visit.
        let (owner, ours) = unsafe { (irp.thread(), irp.original_file_object() == file) };
        if ours && !owner.is_null() {
            found += 1;
            if !threads.contains(&owner) {
                threads.push(owner);
            }
        }
    });
    for owner in threads {
        if owner == thread::current().object() {
            // SAFETY: contract.
            unsafe { cancel_requests_of_this_thread(file) };
        } else if let Some(owner) = thread::from_object(owner) {
            let file = file as usize;
            thread::queue_apc(
                owner,
                thread::ApcSort::Special,
                Box::new(move || {
                    // SAFETY: only compared with the file of live requests.
                    unsafe { cancel_requests_of_this_thread(file as *mut FILE_OBJECT) };
                }),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests;
