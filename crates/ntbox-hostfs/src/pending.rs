//! Carries a request through: when it is worked on, by whom, and where it is completed.
//!
//! A request that is put off is marked pending before anybody else can see it.
//! Requests that wait (for a lock, a change, or their cancellation) are marked,
//! queued and given their cancel routine under the volume's lock, so that
//! whoever ends them finds all three done.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are passed on by pointer"
)]

use super::adversary;
use super::context::Mounted;
use super::waiting::{Finish, Ticket};
use super::{announced, buffers, context, tally, workers};
use ntbox_kernel::io_manager::identity::{self, Choice};
use ntbox_kernel::io_manager::{call, cancel, complete, device as devices, irp as requests};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, FILE_OBJECT, IRP, IRP_MJ_CREATE, IRP_PAGING_IO, IrpExt,
    NTSTATUS, STATUS_CANCELLED, STATUS_PENDING,
};
use ntbox_kernel::processor::irql;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What working on a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worked {
    /// It is to be completed with this status and information.
    Done(NTSTATUS, usize),
    /// It waits, is marked pending, and somebody else completes it.
    Waits,
    /// It went to another driver, which returned this.
    PassedOn(NTSTATUS),
}

/// Works on a request. It may run in any thread, at PASSIVE_LEVEL or APC_LEVEL.
pub type Work = unsafe fn(*mut DEVICE_OBJECT, *mut IRP) -> Worked;

/// A request on its way to another thread.
#[derive(Clone, Copy)]
struct Sent {
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    work: Work,
}
// SAFETY: a request belongs to whoever holds it; sending hands it over.
unsafe impl Send for Sent {}

impl Sent {
    /// Works on the request. What that leads to, as pages that are read, is of the same call in whatever thread.
    ///
    /// # Safety
    /// The request is the caller's.
    unsafe fn worked(self) -> Worked {
        // SAFETY: contract.
        let identity = unsafe { requests::identity(self.irp) };
        let work = || {
            // SAFETY: contract.
            unsafe { (self.work)(self.device, self.irp) }
        };
        match identity.value {
            // A driver's own, in the call that runs, if one does.
            0 => work(),
            _ => identity::on_behalf_of(identity, work),
        }
    }
    /// Works on the request and completes it here, at `level` at least.
    ///
    /// # Safety
    /// The request is the caller's.
    unsafe fn finish_here(self, level: u8) -> NTSTATUS {
        // SAFETY: contract.
        match unsafe { self.worked() } {
            Worked::Done(status, information) => {
                let _raised = irql::raised_to(level);
                // SAFETY: contract; it does not wait anywhere.
                unsafe { complete::finish(self.irp, status, information) }
            }
            Worked::Waits => STATUS_PENDING,
            Worked::PassedOn(status) => status,
        }
    }
    /// Works on the request and completes it in a DPC.
    ///
    /// # Safety
    /// The request is the caller's, and marked pending.
    unsafe fn finish_in_dpc(self) {
        // SAFETY: contract.
        if let Worked::Done(status, information) = unsafe { self.worked() } {
            workers::queue_dpc(Box::new(move || {
                let sent = self;
                // SAFETY: contract; the DPC owns the request now.
                unsafe { complete::finish(sent.irp, status, information) };
            }));
        }
    }
}

/// Works on `irp` as the adversary chooses; the result of the dispatch routine.
///
/// # Safety
/// The caller is the dispatch routine that owns `irp`.
pub unsafe fn run(device: *mut DEVICE_OBJECT, irp: *mut IRP, work: Work) -> NTSTATUS {
    // SAFETY: contract.
    let location = unsafe { &*irp.current_location() };
    // SAFETY: contract.
    let mut identity = unsafe { requests::identity(irp) };
    if identity.value == 0 {
        identity = identity::of_own_request(location.MajorFunction);
        // SAFETY: contract.
        unsafe { requests::set_identity(irp, identity) };
    }
    // SAFETY: contract.
    let is_paging = unsafe { (*irp).Flags } & IRP_PAGING_IO != 0;
    // A paging request within a call is decided about by itself.
    let minor = location.MinorFunction | u8::from(is_paging) << 7;
    let choice = adversary::choose(identity, location.MajorFunction, minor);
    // SAFETY: contract.
    unsafe { run_as(choice, device, irp, work) }
}

/// As [`run`], with the choice made.
///
/// # Safety
/// As [`run`].
pub unsafe fn run_as(
    choice: Choice,
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    work: Work,
) -> NTSTATUS {
    let sent = Sent { device, irp, work };
    let put_off = || {
        // SAFETY: contract.
        unsafe { buffers::lock_user_buffer(irp) };
        // SAFETY: contract; marked before anybody else gets it.
        unsafe { requests::mark_pending(irp) };
    };
    match choice {
        // SAFETY: contract.
        Choice::Now => unsafe { sent.finish_here(0) },
        // SAFETY: contract.
        Choice::AtDispatch => unsafe { sent.finish_here(DISPATCH_LEVEL) },
        Choice::Pend => {
            put_off();
            workers::queue_job(Box::new(move || {
                let sent = sent;
                // SAFETY: the worker owns the request now.
                unsafe { sent.finish_here(0) };
            }));
            STATUS_PENDING
        }
        Choice::PendAtDispatch => {
            put_off();
            workers::queue_job(Box::new(move || {
                let sent = sent;
                // SAFETY: the worker owns the request now, which is marked.
                unsafe { sent.finish_in_dpc() };
            }));
            STATUS_PENDING
        }
        // A worker that waited for another one could wait for ever.
        Choice::OtherThreadBeforeReturn | Choice::OtherThreadAtDispatchBeforeReturn
            if workers::is_worker() =>
        {
            // SAFETY: contract.
            unsafe { run_as(Choice::Pend, device, irp, work) }
        }
        Choice::OtherThreadBeforeReturn | Choice::OtherThreadAtDispatchBeforeReturn => {
            let level = if choice == Choice::OtherThreadBeforeReturn {
                0
            } else {
                DISPATCH_LEVEL
            };
            put_off();
            workers::run_elsewhere(Box::new(move || {
                let sent = sent;
                // SAFETY: the worker owns the request now.
                unsafe { sent.finish_here(level) };
            }));
            STATUS_PENDING
        }
        // SAFETY: contract.
        Choice::Fail(status) => unsafe { complete::finish(irp, status, 0) },
        // SAFETY: contract.
        Choice::HeldUntilCancelled => unsafe { hold(irp) },
    }
}

/// How a request goes on whose turn has come.
struct Turn {
    /// Works on it again.
    work: Work,
    /// The volume of a create, whose file object does not lead there yet.
    create_on: Option<&'static Mounted>,
}

/// Requests that wait for their turn.
static TURNS: LazyLock<Mutex<HashMap<usize, Turn>>> = LazyLock::new(Mutex::default);

fn turns() -> MutexGuard<'static, HashMap<usize, Turn>> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a request wait until something is out of its way; `work` works on it again then. Called under the lock
/// of the volume it is for, which is `create_on` for a create.
///
/// # Safety
/// As [`wait`].
pub unsafe fn wait_for_turn(
    irp: *mut IRP,
    work: Work,
    create_on: Option<&'static Mounted>,
) -> bool {
    turns().insert(irp as usize, Turn { work, create_on });
    // SAFETY: contract.
    let waits = unsafe { wait(irp) };
    if !waits {
        turns().remove(&(irp as usize));
    }
    waits
}

/// Requests that are held, with their file objects.
static HELD: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

fn held() -> MutexGuard<'static, HashMap<usize, usize>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pends the request until somebody cancels it.
unsafe fn hold(irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract of the callers: the dispatch routine owns the request.
    unsafe { requests::mark_pending(irp) };
    // SAFETY: as above.
    let file = unsafe { (*irp.current_location()).FileObject };
    // SAFETY: as above.
    let identity = unsafe { requests::identity(irp) };
    let mut held = held();
    held.insert(irp as usize, file as usize);
    // SAFETY: as above.
    if !unsafe { arm(irp, cancel_held) } {
        held.remove(&(irp as usize));
        drop(held);
        // SAFETY: as above; the cancel routine was not called and will not be.
        unsafe { complete::finish(irp, STATUS_CANCELLED, 0) };
    }
    announced::waits(identity);
    STATUS_PENDING
}

/// Sends the request on to the storage stack, with this location skipped.
///
/// # Safety
/// `irp` is the dispatch routine's, `storage` a storage device.
pub unsafe fn pass_down(storage: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract.
    let top = unsafe { devices::top_of_stack(storage) };
    // SAFETY: contract.
    unsafe { requests::skip(irp) };
    // SAFETY: contract.
    unsafe { call::call_driver(top, irp, 0) }
}

/// Gives a queued request its cancel routine; false if it was cancelled before.
///
/// # Safety
/// `irp` is the caller's, marked pending, and in a queue where `routine` looks for it.
unsafe fn arm(irp: *mut IRP, routine: ntbox_kernel::nt::routines::CancelRoutine) -> bool {
    // SAFETY: contract.
    unsafe { irp.set_cancel_routine(Some(routine)) };
    // SAFETY: contract; whoever cancels sets the flag before it takes the routine.
    let cancelled = unsafe { (&raw const (*irp).Cancel).read_volatile() };
    // The routine is taken back, unless whoever cancels has it already and will call it.
    // SAFETY: contract.
    !cancelled || unsafe { irp.set_cancel_routine(None) }.is_none()
}

/// Makes a request wait for a lock or a change; called under the volume's lock.
///
/// # Safety
/// As [`arm`], but for the mark.
pub unsafe fn wait(irp: *mut IRP) -> bool {
    // SAFETY: contract.
    unsafe { requests::mark_pending(irp) };
    // SAFETY: contract.
    let identity = unsafe { requests::identity(irp) };
    // SAFETY: contract.
    let waits = unsafe { arm(irp, cancel_waiting) };
    if waits {
        // SAFETY: contract.
        tally::count_waiting(unsafe { (*irp.current_location()).MajorFunction });
        announced::waits(identity);
    }
    waits
}

/// Takes a waiting request from its cancel routine; false if that has been called.
pub fn claim(ticket: Ticket) -> bool {
    let irp = ticket.0 as *mut IRP;
    // SAFETY: a ticket in a queue is a live request.
    unsafe { irp.set_cancel_routine(None) }.is_some()
}

unsafe extern "win64" fn cancel_held(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a cancel routine's request is alive.
    cancel::release_cancel_spin_lock(unsafe { (*irp).CancelIrql });
    if held().remove(&(irp as usize)).is_some() {
        // SAFETY: found in the queue, so it is this routine's.
        unsafe { complete_cancelled(irp) };
    }
}

unsafe extern "win64" fn cancel_waiting(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a cancel routine's request is alive, and stays so: it is still queued.
    cancel::release_cancel_spin_lock(unsafe { (*irp).CancelIrql });
    // SAFETY: as above.
    let file = unsafe { (*irp.current_location()).FileObject };
    let ticket = Ticket(irp as usize);
    let create_on = turns().remove(&ticket.0).and_then(|turn| turn.create_on);
    let found = match create_on {
        Some(mounted) => mounted.volume.remove_waiting_create(ticket),
        // SAFETY: the request holds a reference to its file object.
        None => unsafe { context::of_file(file) }
            .is_some_and(|(mounted, open)| mounted.volume.remove_waiting(open, ticket)),
    };
    if found {
        // SAFETY: found in the queue, so it is this routine's.
        unsafe { complete_cancelled(irp) };
    }
}

unsafe fn complete_cancelled(irp: *mut IRP) {
    // SAFETY: contract of the callers: the request is theirs.
    tally::count_cancelled(unsafe { (*irp.current_location()).MajorFunction });
    // SAFETY: as above.
    unsafe { complete::finish(irp, STATUS_CANCELLED, 0) };
}

/// Ends the held requests of a file object at its cleanup.
pub fn release_held(file: *mut FILE_OBJECT) {
    let ended: Vec<usize> = {
        let mut held = held();
        let of_file = held
            .iter()
            .filter(|(_, of)| **of == file as usize)
            .map(|(irp, _)| *irp);
        let claimed: Vec<usize> = of_file.filter(|irp| claim(Ticket(*irp))).collect();
        for irp in &claimed {
            held.remove(irp);
        }
        claimed
    };
    for irp in ended {
        // SAFETY: claimed, so it is the caller's.
        unsafe { complete::finish(irp as *mut IRP, STATUS_CANCELLED, 0) };
    }
}

/// Works on a request again that has waited for its turn.
///
/// # Safety
/// The request is the caller's, and marked pending.
unsafe fn work_again(irp: *mut IRP, work: Work) {
    // SAFETY: contract.
    let location = unsafe { &*irp.current_location() };
    let device = location.DeviceObject;
    let sent = Sent { device, irp, work };
    // SAFETY: contract.
    let identity = unsafe { requests::identity(irp) };
    let choice = adversary::choose_after_waiting(identity, location.MajorFunction);
    let create = u32::from(location.MajorFunction) == IRP_MJ_CREATE;
    workers::queue_job(Box::new(move || {
        let sent = sent;
        match choice {
            // SAFETY: the worker owns the request now, which is marked.
            Choice::PendAtDispatch if !create => unsafe { sent.finish_in_dpc() },
            // SAFETY: as above.
            Choice::AtDispatch if !create => drop(unsafe { sent.finish_here(DISPATCH_LEVEL) }),
            // SAFETY: as above.
            _ => drop(unsafe { sent.finish_here(0) }),
        }
    }));
}

/// Completes requests that have waited. With `here`, in this thread.
pub fn finish_waiting(finished: Vec<Finish>, here: bool) {
    for finish in finished {
        let irp = finish.ticket.0 as *mut IRP;
        if finish.again {
            // Whoever waits for its turn has said how it goes on.
            if let Some(turn) = turns().remove(&finish.ticket.0) {
                // SAFETY: claimed, so it is the caller's.
                unsafe { work_again(irp, turn.work) };
            }
            continue;
        }
        // SAFETY: claimed, so it is the caller's.
        let copied = unsafe { buffers::copy_out(irp, &finish.data) };
        let information = finish.information.unwrap_or(copied);
        // SAFETY: as above.
        let major = unsafe { (*irp.current_location()).MajorFunction };
        // SAFETY: as above.
        let identity = unsafe { requests::identity(irp) };
        let choice = match adversary::choose_after_waiting(identity, major) {
            Choice::Pend | Choice::PendAtDispatch if here => Choice::Now,
            choice => choice,
        };
        let (status, irp) = (finish.status, finish.ticket);
        let complete = move || {
            // SAFETY: whoever runs this owns the request.
            unsafe { complete::finish(irp.0 as *mut IRP, status, information) };
        };
        match choice {
            Choice::AtDispatch => {
                let _raised = irql::raised_to(DISPATCH_LEVEL);
                complete();
            }
            Choice::Pend => workers::queue_job(Box::new(complete)),
            Choice::PendAtDispatch => workers::queue_dpc(Box::new(complete)),
            _ => complete(),
        }
    }
}
