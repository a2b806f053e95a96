//! What never comes to its end, or ends who runs it: for the check that somebody is told who is at fault. Chosen
//! by the registry value `Stuck`.

use crate::filter::{DispatchRoutine, dispatch, enter};
use crate::kernel::{current_location, initialize_event, mark_pending, start_thread, wait_for};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::{
    ERESOURCE, IRP_MJ_CLOSE, IRP_MJ_READ, KEVENT, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID,
    STATUS_PENDING, ntddk,
};

/// Where it stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// DriverEntry runs in a circle.
    EntryRuns,
    /// DriverEntry waits for what nobody signals.
    EntryWaits,
    /// DriverEntry has the processor stall, in a call by a jump.
    EntryStalls,
    /// DriverEntry waits for a lock that a thread of the driver does not give back.
    EntryLockedOut,
    /// DriverUnload runs in a circle.
    UnloadRuns,
    /// A dispatch routine waits for what nobody signals.
    ReadWaits,
    /// A request is kept, and never completed.
    ReadKept,
    /// A close writes over what the I/O manager keeps in the file object, which no rule sees.
    CloseScribbles,
}

/// The one that DriverUnload has to ask for, as a number behind [`Stuck::EntryRuns`].
static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);

impl Stuck {
    /// By the value of the setting.
    pub fn by_name(is: impl Fn(&str) -> bool) -> Option<Self> {
        let names = [
            ("entry-runs", Self::EntryRuns),
            ("entry-waits", Self::EntryWaits),
            ("entry-stalls", Self::EntryStalls),
            ("entry-locked-out", Self::EntryLockedOut),
            ("unload-runs", Self::UnloadRuns),
            ("read-waits", Self::ReadWaits),
            ("read-kept", Self::ReadKept),
            ("close-scribbles", Self::CloseScribbles),
        ];
        names
            .into_iter()
            .find(|(name, _)| is(name))
            .map(|(_, stuck)| stuck)
    }

    /// The dispatch routine that stays, for the major function it is done with.
    pub fn routine(self, major: u32) -> Option<DispatchRoutine> {
        match (self, major) {
            (Self::ReadWaits, IRP_MJ_READ) => Some(read_waits),
            (Self::ReadKept, IRP_MJ_READ) => Some(read_kept),
            (Self::CloseScribbles, IRP_MJ_CLOSE) => Some(close_scribbles),
            _ => None,
        }
    }
}

/// In DriverEntry.
pub unsafe fn at_entry(stuck: Stuck) {
    CHOSEN.store(stuck as u32, Ordering::Relaxed);
    match stuck {
        Stuck::EntryRuns => run_in_a_circle(),
        Stuck::EntryWaits => wait_for_nobody(),
        Stuck::EntryStalls => stall(),
        Stuck::EntryLockedOut => wait_for_lock(),
        _ => (),
    }
}

/// In DriverUnload.
pub fn at_unload() {
    if CHOSEN.load(Ordering::Relaxed) == Stuck::UnloadRuns as u32 {
        run_in_a_circle();
    }
}

#[inline(never)]
fn run_in_a_circle() {
    loop {
        core::hint::spin_loop();
    }
}

/// For longer than anybody has patience.
#[inline(never)]
unsafe fn stall() {
    ntddk::KeStallExecutionProcessor(u32::MAX);
}

#[inline(never)]
unsafe fn wait_for_nobody() {
    let mut event = MaybeUninit::<KEVENT>::uninit();
    initialize_event(event.as_mut_ptr());
    wait_for(event.as_mut_ptr());
}

// SAFETY: structures of integers and pointers, initialized before they are used.
static mut RESOURCE: ERESOURCE = unsafe { core::mem::zeroed() };
// SAFETY: as above.
static mut TAKEN: KEVENT = unsafe { core::mem::zeroed() };

#[inline(never)]
unsafe fn wait_for_lock() {
    initialize_event(&raw mut TAKEN);
    let _ = ntddk::ExInitializeResourceLite(&raw mut RESOURCE);
    let handle = start_thread(keep_lock);
    if !handle.is_null() {
        let _ = ntddk::ZwClose(handle);
        wait_for(&raw mut TAKEN);
        acquire();
        stay();
    }
}

/// Keeps a call in front of it from being the last one of its function, which would be a jump.
fn stay() {
    core::hint::black_box(());
}

#[inline(never)]
unsafe fn acquire() {
    ntddk::KeEnterCriticalRegion();
    let acquired = ntddk::ExAcquireResourceExclusiveLite(&raw mut RESOURCE, 1);
    core::hint::black_box(acquired);
}

/// KSTART_ROUTINE.
unsafe extern "C" fn keep_lock(_context: PVOID) {
    acquire();
    ntddk::KeSetEvent(&raw mut TAKEN, 0, 0);
    wait_for_nobody();
    stay();
}

unsafe extern "C" fn read_waits(_device: PDEVICE_OBJECT, _irp: PIRP) -> NTSTATUS {
    enter();
    wait_for_nobody();
    STATUS_PENDING
}

unsafe extern "C" fn read_kept(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    mark_pending(irp);
    STATUS_PENDING
}

/// The reference to the volume is given back when the close has returned, and no driver is on the stack then.
unsafe extern "C" fn close_scribbles(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    (*file).Vpb = core::ptr::without_provenance_mut(0x4141_4141_4140);
    dispatch(device, irp)
}
