//! The second stage of completion: what the originator of a request gets.
//!
//! The first stage runs wherever the lowest driver completes; the second needs
//! the originator's thread, because it writes to its memory. A request goes one
//! of these ways (`IopfCompleteRequest`, `IopCompleteRequest`):
//!
//! - associated: counts down its master, which is completed with the last one;
//! - paging or close: status block and event directly, at whatever IRQL;
//! - IRP_DEFER_IO_COMPLETION and not pending: left to the originator, which
//!   calls [`finish_synchronously`] when its `IoCallDriver` returns;
//! - everything else: a special kernel APC to `Tail.Overlay.Thread`.
//!
//! A request that has an APC routine then has that queued, as a normal kernel APC or one of a program; otherwise it
//! leaves a packet at the completion port of its file. An error that did not pend leaves neither.
//!
//! A request that failed without having been pending leaves its originator's
//! status block and event alone: the error is `IoCallDriver`'s return value.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the request is the I/O manager's from here on"
)]

use super::{checks, completion_port, ecp, irp, mdl, own_request_checks, reparse, stack_memory};
use crate::nt::routines::ApcRoutine;
use crate::nt::{
    APC_LEVEL, DISPATCH_LEVEL, FILE_OBJECT, FO_SKIP_SET_EVENT, FO_SYNCHRONOUS_IO, IO_STATUS_BLOCK,
    IRP, IRP_ASSOCIATED_IRP, IRP_BUFFERED_IO, IRP_CLOSE_OPERATION, IRP_CREATE_OPERATION,
    IRP_DEALLOCATE_BUFFER, IRP_DEFER_IO_COMPLETION, IRP_INPUT_OPERATION, IRP_OB_QUERY_NAME,
    IRP_PAGING_IO, IRP_SYNCHRONOUS_API, IRP_SYNCHRONOUS_PAGING_IO, IrpExt, MDL, NTSTATUS,
    STATUS_VERIFY_REQUIRED, Status,
};
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::lifetime;
use crate::processor::{dispatcher, irql, thread};
use crate::verifier::{self, rules};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};

/// # Safety
/// `irp` has been completed past its top location.
pub(super) unsafe fn begin(irp: *mut IRP, boost: i8) {
    // SAFETY: contract; nobody else has the request.
    unsafe {
        let flags = (*irp).Flags;
        if flags & IRP_ASSOCIATED_IRP != 0 {
            finish_associated(irp, boost);
            return;
        }
        let auxiliary = &mut (*irp).Tail.Overlay.AuxiliaryBuffer;
        if !reparse::keeps_buffer(irp) && !auxiliary.is_null() {
            let auxiliary = std::mem::replace(auxiliary, std::ptr::null_mut());
            pool::free_either(auxiliary.cast(), irp::completed_by(irp));
        }
        if flags & (IRP_PAGING_IO | IRP_CLOSE_OPERATION) != 0 {
            finish_directly(irp, flags);
            return;
        }
        let mut list = (*irp).MdlAddress;
        while !list.is_null() {
            mdl::unlock_pages(list);
            list = (*list).Next;
        }
        if flags & IRP_DEFER_IO_COMPLETION != 0 && !(*irp).PendingReturned {
            return;
        }
        let owner = irp.thread();
        let Some(owner) = thread::from_object(owner) else {
            checks::report(
                &rules::OWN_REQUEST_NOT_STOPPED,
                "a request without an originating thread was completed past its top location"
                    .into(),
                irp,
                vec![("allocated by", super::irp::allocated_by(irp))],
            );
            return;
        };
        own_request_checks::finished(irp);
        let here = thread::current();
        if std::ptr::eq(here, owner) && !thread::all_apcs_disabled() {
            // An APC to the running thread is delivered at once.
            let _level = irql::raised_to(APC_LEVEL);
            finish(irp);
        } else {
            let irp = irp as usize;
            thread::queue_apc(
                owner,
                thread::ApcSort::Special,
                Box::new(move || {
                    // SAFETY: the request waits for this APC and nobody else has it.
                    finish(irp as *mut IRP);
                }),
            );
        }
    }
}

/// The second stage on the originator's own thread, for a request with
/// IRP_DEFER_IO_COMPLETION whose `IoCallDriver` did not return STATUS_PENDING.
/// Frees the request; its status, which is another one than the driver's where a create cannot go on at a reparse point.
///
/// # Safety
/// `irp` was completed, was not pending, and is the caller's again.
pub unsafe fn finish_synchronously(irp: *mut IRP) -> NTSTATUS {
    let _level = irql::raised_to(APC_LEVEL);
    // SAFETY: contract.
    unsafe { finish(irp) }
}

/// # Safety
/// As [`begin`].
unsafe fn finish_associated(irp: *mut IRP, boost: i8) {
    // SAFETY: contract; the master waits for its associated requests.
    unsafe {
        let master = master_of(irp);
        if let Some(completer) = irp::master_completed_by(irp) {
            checks::report(
                &rules::MASTER_COMPLETED,
                "an associated request completes, and its master, of which the I/O manager would count it, was completed \
                 before"
                    .to_owned(),
                irp,
                vec![("made by", irp::allocated_by(irp)), ("the master completed by", completer)],
            );
            free_mdls(irp);
            irp::free(irp, 0);
            return;
        }
        let count = AtomicI32::from_ptr(&raw mut (*master).AssociatedIrp.IrpCount);
        let before = count.fetch_sub(1, Ordering::AcqRel);
        if before <= 0 && verifier::checks() {
            checks::report(
                &rules::MASTER_COUNT,
                format!(
                    "an associated request completes, and AssociatedIrp.IrpCount of its master is {before}"
                ),
                irp,
                vec![("made by", irp::allocated_by(irp))],
            );
        }
        free_mdls(irp);
        irp::free(irp, 0);
        if before == 1 {
            super::complete::complete_request(master, boost, 0);
        }
    }
}

/// The master of an associated request: the one that it was made for, whatever the IRP says by now.
///
/// # Safety
/// As [`begin`].
unsafe fn master_of(irp: *mut IRP) -> *mut IRP {
    // SAFETY: contract; the member is a pointer whatever was stored.
    let (made_for, says) = unsafe { (irp::master(irp), (*irp).AssociatedIrp.MasterIrp) };
    if made_for.is_null() || made_for == says {
        return says;
    }
    checks::report(
        &rules::MASTER_OVERWRITTEN,
        format!(
            "AssociatedIrp.MasterIrp is {says:p} when the associated request completes, and was {made_for:p}"
        ),
        irp,
        vec![("made by", irp::allocated_by(irp))],
    );
    made_for
}

/// # Safety
/// As [`begin`].
unsafe fn finish_directly(irp: *mut IRP, flags: u32) {
    // SAFETY: contract; status block and event are nonpaged and the originator waits for them.
    unsafe {
        if flags & (IRP_SYNCHRONOUS_PAGING_IO | IRP_CLOSE_OPERATION) != 0 {
            // The originator of a close frees its request itself.
            let ours = flags & (IRP_SYNCHRONOUS_PAGING_IO | IRP_PAGING_IO) != 0;
            let iosb = (*irp).Anonymous.UserIosb;
            let event = (*irp).UserEvent;
            let status = (*irp).IoStatus;
            if ours {
                irp::free(irp, 0);
            }
            if !iosb.is_null() {
                *iosb = status;
            }
            if !event.is_null() {
                dispatcher::set_event(event);
            }
        } else {
            // Asynchronous paging I/O: NT hands it to the modified page writer's APC.
            let iosb = (*irp).Anonymous.UserIosb;
            if !iosb.is_null() {
                *iosb = (*irp).IoStatus;
            }
            let event = (*irp).UserEvent;
            free_mdls(irp);
            irp::free(irp, 0);
            if !event.is_null() {
                dispatcher::set_event(event);
            }
        }
    }
}

/// # Safety
/// `irp` was completed past its top and is nobody else's. Runs on its thread at APC_LEVEL.
unsafe fn finish(irp: *mut IRP) -> NTSTATUS {
    debug_assert!(irql::current() < DISPATCH_LEVEL);
    // SAFETY: contract.
    unsafe {
        let file = irp.original_file_object();
        let flags = (*irp).Flags;
        if flags & IRP_CREATE_OPERATION != 0 {
            reparse::follow(irp);
        }
        let status = (*irp).IoStatus;
        let code = status.Anonymous.Status;
        if flags & IRP_BUFFERED_IO != 0 {
            let buffer = (*irp).AssociatedIrp.SystemBuffer;
            if flags & IRP_INPUT_OPERATION != 0
                && code != STATUS_VERIFY_REQUIRED
                && !Status(code).is_error()
                && !(*irp).UserBuffer.is_null()
                && status.Information != 0
            {
                std::ptr::copy_nonoverlapping(
                    buffer.cast::<u8>(),
                    (*irp).UserBuffer.cast::<u8>(),
                    status.Information,
                );
            }
            if flags & IRP_DEALLOCATE_BUFFER != 0 && !buffer.is_null() {
                pool::free_either(buffer, irp::completed_by(irp));
            }
        }
        (*irp).Flags &= !(IRP_DEALLOCATE_BUFFER | IRP_BUFFERED_IO);
        free_mdls(irp);

        let pending = (*irp).PendingReturned;
        let synchronous = flags & IRP_SYNCHRONOUS_API != 0
            || (!file.is_null() && (*file).Flags & FO_SYNCHRONOUS_IO != 0);
        let gone = stack_memory::completes(irp, || irp::allocated_by(irp));
        let event = (*irp).UserEvent;
        let iosb = match gone.status_block {
            true => std::ptr::null_mut(),
            false => (*irp).Anonymous.UserIosb,
        };
        let mut signal = std::ptr::null_mut();
        let mut signal_file = false;
        let mut ending = None;
        if !Status(code).is_error() || (pending && !synchronous) {
            if !iosb.is_null() {
                *iosb = status;
            }
            if !event.is_null() {
                signal = event;
                signal_file = !file.is_null()
                    && (*file).Flags & FO_SYNCHRONOUS_IO != 0
                    && flags & IRP_OB_QUERY_NAME == 0;
            } else {
                signal_file =
                    !file.is_null() && (synchronous || (*file).Flags & FO_SKIP_SET_EVENT == 0);
            }
            ending = Some(Ending::of(irp));
        } else if pending {
            if flags & IRP_SYNCHRONOUS_API != 0 {
                if !iosb.is_null() {
                    *iosb = status;
                }
                signal = event;
                signal_file = event.is_null() && !file.is_null();
            } else {
                signal_file = !file.is_null();
            }
        }
        if flags & IRP_CREATE_OPERATION != 0 {
            ecp::create_ended(irp);
        }
        irp::free(irp, 0);
        if signal_file {
            (*file).FinalStatus = code;
            dispatcher::set_event(&raw mut (*file).Event);
        }
        if !signal.is_null() && !gone.event {
            dispatcher::set_event(signal);
        }
        if let Some(ending) = ending {
            ending.comes(file, status, !pending && !Status(code).is_error());
        }
        // A create has no reference of its own: the handle is not there yet.
        if !file.is_null() && flags & IRP_CREATE_OPERATION == 0 {
            lifetime::dereference(file.cast());
        }
        code
    }
}

/// What a request ends with besides its event: a routine of its sender, or a packet at the port of its file.
struct Ending {
    routine: usize,
    context: *mut c_void,
    block: *mut IO_STATUS_BLOCK,
    mode: i8,
}

impl Ending {
    /// # Safety
    /// As [`finish`].
    unsafe fn of(irp: *mut IRP) -> Self {
        // SAFETY: contract; the members are addresses, whatever was stored.
        unsafe {
            let (routine, context) = match (*irp).Flags & IRP_CREATE_OPERATION {
                0 => irp.user_apc(),
                // There it is the size to allocate.
                _ => (0, std::ptr::null_mut()),
            };
            Self {
                routine,
                context,
                block: (*irp).Anonymous.UserIosb,
                mode: (*irp).RequestorMode,
            }
        }
    }

    /// Of a request of this thread, and of `file`, which has ended with `status`.
    ///
    /// # Safety
    /// `file` is null or alive, and the routine is one.
    unsafe fn comes(
        self,
        file: *mut FILE_OBJECT,
        status: IO_STATUS_BLOCK,
        succeeded_at_once: bool,
    ) {
        let Self {
            routine,
            context,
            block,
            mode,
        } = self;
        if routine == 0 {
            // SAFETY: contract.
            unsafe { completion_port::request_ended(file, context, status, succeeded_at_once) };
            return;
        }
        // SAFETY: contract: what the sender gave as PIO_APC_ROUTINE.
        let routine: ApcRoutine = unsafe { std::mem::transmute(routine) };
        let (context, block) = (context.expose_provenance(), block.expose_provenance());
        let sort = match mode {
            0 => thread::ApcSort::Normal,
            _ => thread::ApcSort::User,
        };
        let call = move || {
            let context = std::ptr::with_exposed_provenance_mut(context);
            let block = std::ptr::with_exposed_provenance_mut(block);
            // SAFETY: the sender's routine, with what it has asked for.
            unsafe { entering(routine)(context, block, 0) };
        };
        thread::queue_apc(thread::current(), sort, Box::new(call));
    }
}

/// # Safety
/// As [`begin`].
unsafe fn free_mdls(irp: *mut IRP) {
    // SAFETY: contract; the list belongs to the request.
    unsafe {
        let mut list: *mut MDL = std::mem::replace(&mut (*irp).MdlAddress, std::ptr::null_mut());
        while !list.is_null() {
            let next = (*list).Next;
            mdl::unlock_pages(list);
            mdl::free(list, irp::completed_by(irp));
            list = next;
        }
    }
}
