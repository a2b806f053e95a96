//! What the checks look at when a driver frees, reuses or initializes a request: how it was made,
//! and whether somebody still has it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests are read in place for reports"
)]

use super::tracker::Asked;
use super::{checks, irp, own_waits, running, stack_memory};
use crate::host::memory::try_read;
use crate::host::pageable;
use crate::nt::{
    APC_LEVEL, DEVICE_OBJECT, DO_BUFFERED_IO, DO_DIRECT_IO, IRP, IRP_ASSOCIATED_IRP,
    IRP_CLOSE_OPERATION, IRP_MJ_READ, IRP_MJ_WRITE, IRP_PAGING_IO,
};
use crate::pe_image::image_at;
use crate::processor::irql;
use crate::verifier::{self, Rule, rules};
use std::ffi::c_void;

/// How a request was made, which decides what its owner may do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Made {
    /// By the box itself, or by `IoAllocateIrp`.
    #[default]
    Allocated,
    /// By `IoAllocateIrp`, with quota charged.
    WithQuota,
    /// By `IoBuildAsynchronousFsdRequest` or `IoMakeAssociatedIrp`.
    Built,
    /// By `IoBuildSynchronousFsdRequest` or `IoBuildDeviceIoControlRequest`: it is in the list of
    /// its thread, and the I/O manager frees it.
    Threaded,
}

fn report(rule: &'static Rule, message: &str, irp: *mut IRP, what: &'static str, site: usize) {
    // SAFETY: the callers' contract: the request is alive.
    let made_at = irp::allocated_by(irp);
    checks::report(
        rule,
        message.to_owned(),
        irp,
        vec![(what, site), ("allocated by", made_at)],
    );
}

/// True if a driver has the request that has not been passed by its completion.
///
/// # Safety
/// `irp` is alive.
unsafe fn is_in_use(irp: *const IRP) -> bool {
    // SAFETY: contract.
    let tracker = unsafe { irp::tracker(irp) };
    // SAFETY: a live request keeps its tracker.
    tracker.is_some_and(|tracker| !unsafe { &*tracker }.lock().holders().is_empty())
}

/// True if the driver at `site` has not made the request.
fn is_foreign(irp: *const IRP, site: usize) -> bool {
    let made_by = image_at(irp::allocated_by(irp));
    image_at(site).is_some_and(|image| made_by.is_none_or(|maker| maker.base() != image.base()))
}

/// `site` sends a request that no driver has yet, with what its location asks for.
///
/// # Safety
/// `irp` is alive, and the caller's.
pub(super) unsafe fn sent(irp: *mut IRP, asked: Asked, site: usize) {
    // SAFETY: contract.
    if unsafe { is_in_use(irp) } {
        // A driver that has skipped its location passes it on.
        return;
    }
    // SAFETY: contract.
    let (made, flags) = unsafe { (irp::made(irp), (*irp).Flags) };
    if asked.invoke != 0 {
        own_waits::sent(irp, asked.own.1, running::depth());
    }
    if made == Some(Made::Built) && asked.invoke == 0 && flags & IRP_ASSOCIATED_IRP == 0 {
        let message = "a request of IoBuildAsynchronousFsdRequest is sent without a completion routine, which has to free it";
        report(&rules::BUILT_WITHOUT_ROUTINE, message, irp, "sent by", site);
    }
    if made != Some(Made::Threaded) {
        return;
    }
    // SAFETY: contract.
    own_waits::sent_with_event(irp, unsafe { (*irp).UserEvent }.addr());
    // Those requests end without an APC.
    let directly = IRP_PAGING_IO | IRP_CLOSE_OPERATION;
    if irql::current() >= APC_LEVEL && flags & directly == 0 {
        let message = "a request in the list of its thread is sent at APC_LEVEL, where that cannot take the APC that ends it";
        report(&rules::SENT_AT_APC_LEVEL, message, irp, "sent by", site);
    }
}

/// True if all of the buffer is there.
fn is_there(buffer: *const c_void, length: u32) -> bool {
    const PAGE: usize = 4096;
    let Some(end) = buffer.addr().checked_add(length as usize) else {
        return false;
    };
    let pages = (buffer.addr() / PAGE * PAGE..end).step_by(PAGE);
    pages.map(|page| page.max(buffer.addr())).all(|address| {
        // What is paged out is there.
        pageable::may_be_out(address) || try_read(address, &mut [0])
    })
}

fn invalid_buffer(
    rule: &'static Rule,
    routine: &str,
    buffer: *const c_void,
    length: u32,
    site: usize,
) {
    checks::report(
        rule,
        format!("{routine} was given {length} bytes at {buffer:p}, which are not there"),
        std::ptr::null_mut(),
        vec![("called by", site)],
    );
}

/// `IoBuildAsynchronousFsdRequest` or its like is called by `site`: false if the buffer, which it copies or locks, is
/// not there.
///
/// # Safety
/// `device` is alive.
pub unsafe fn probe_transfer(
    major: u32,
    device: *mut DEVICE_OBJECT,
    buffer: *const c_void,
    length: u32,
    site: usize,
) -> bool {
    // SAFETY: contract.
    let flags = unsafe { (*device).Flags };
    let looks = match major {
        IRP_MJ_WRITE => flags & (DO_BUFFERED_IO | DO_DIRECT_IO) != 0,
        IRP_MJ_READ => flags & DO_BUFFERED_IO == 0 && flags & DO_DIRECT_IO != 0,
        _ => false,
    };
    if !looks || !verifier::checks() || is_there(buffer, length) {
        return true;
    }
    let routine = "IoBuildAsynchronousFsdRequest or IoBuildSynchronousFsdRequest";
    invalid_buffer(&rules::FSD_BUFFER_INVALID, routine, buffer, length, site);
    false
}

/// `IoBuildDeviceIoControlRequest` is called by `site`: false if a buffer that it copies or locks is not there.
pub fn probe_control(
    code: u32,
    input: (*const c_void, u32),
    output: (*const c_void, u32),
    site: usize,
) -> bool {
    // METHOD_BUFFERED copies the input, METHOD_NEITHER looks at nothing, the direct ones lock the output.
    let looked_at = match code & 3 {
        0 => [Some(input), None],
        3 => [None, None],
        _ => [Some(input), Some(output)],
    };
    if !verifier::checks() {
        return true;
    }
    for (buffer, length) in looked_at.into_iter().flatten() {
        if !buffer.is_null() && !is_there(buffer, length) {
            let routine = "IoBuildDeviceIoControlRequest";
            invalid_buffer(
                &rules::CONTROL_BUFFER_INVALID,
                routine,
                buffer,
                length,
                site,
            );
            return false;
        }
    }
    true
}

/// `IoFreeIrp` is called by `site`, 0 for the box itself.
///
/// # Safety
/// `irp` is alive and was allocated by the box.
pub(super) unsafe fn freed(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    stack_memory::freed(irp);
    // SAFETY: contract.
    let made = unsafe { irp::made(irp) };
    if is_foreign(irp, site) {
        let message = "IoFreeIrp was called for a request that the driver has not made";
        report(&rules::FREED_FOREIGN, message, irp, "freed by", site);
    } else if made == Some(Made::Threaded) {
        let message = "IoFreeIrp was called for a request that is in the list of its thread";
        report(
            &rules::THREADED_REQUEST_FREED,
            message,
            irp,
            "freed by",
            site,
        );
    // SAFETY: contract.
    } else if unsafe { is_in_use(irp) } {
        let message = "IoFreeIrp was called for a request that a driver still has";
        report(&rules::FREED_IN_USE, message, irp, "freed by", site);
    }
}

/// The I/O manager is about to finish a request for its thread, as it does with its own and those in the list of a
/// thread: it frees the request, and gives back a reference to its file object.
///
/// # Safety
/// `irp` was completed past its top, and is alive.
pub(super) unsafe fn finished(irp: *mut IRP) {
    if !verifier::checks() {
        return;
    }
    let made_at = irp::allocated_by(irp);
    // SAFETY: contract.
    let is_drivers = match unsafe { irp::made(irp) } {
        Some(Made::Allocated | Made::WithQuota) => made_at != 0,
        made => made == Some(Made::Built),
    };
    if !is_drivers {
        return;
    }
    // SAFETY: contract.
    let (tracker, top) = unsafe { (irp::tracker(irp), (*irp).StackCount) };
    // SAFETY: a live request keeps its tracker.
    let sent_by = tracker.map_or(0, |tracker| unsafe { &*tracker }.lock().sent_by(top));
    if sent_by == 0 {
        // Never sent, which is reported where it is completed.
        return;
    }
    checks::report(
        &rules::OWN_REQUEST_OF_THREAD,
        "a driver's own request, with a thread set, was completed past its top location".to_owned(),
        irp,
        vec![("allocated by", made_at), ("sent by", sent_by)],
    );
}

/// `IoReuseIrp` is called by `site`.
///
/// # Safety
/// `irp` is alive.
pub(super) unsafe fn reused(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    // SAFETY: contract.
    let (made, in_use) = unsafe { (irp::made(irp), is_in_use(irp)) };
    if is_foreign(irp, site) {
        let message = "IoReuseIrp was called for a request that the driver has not made";
        report(&rules::REUSED_FOREIGN, message, irp, "reused by", site);
    } else if in_use {
        let message = "IoReuseIrp was called for a request that a driver still has";
        report(&rules::REUSED_IN_USE, message, irp, "reused by", site);
    } else if matches!(made, Some(Made::Built | Made::Threaded)) {
        let message = "IoReuseIrp was called for a request that was not made by IoAllocateIrp";
        report(&rules::REUSED_BUILT, message, irp, "reused by", site);
    }
}

/// `IoInitializeIrp` is called by `site` for memory that is a live request of the box.
///
/// # Safety
/// `irp` is alive and was allocated by the box.
pub(super) unsafe fn initialized(irp: *mut IRP, site: usize) {
    if site == 0 || !verifier::checks() {
        return;
    }
    // SAFETY: contract.
    let (made, in_use) = unsafe { (irp::made(irp), is_in_use(irp)) };
    let (rule, message) = match made {
        _ if in_use => (
            &rules::REUSED_IN_USE,
            "IoInitializeIrp was called for a request that a driver still has",
        ),
        Some(Made::WithQuota) => (
            &rules::INITIALIZED_WITH_QUOTA,
            "IoInitializeIrp was called for a request of IoAllocateIrp that quota was charged for",
        ),
        _ => (
            &rules::INITIALIZED_ALLOCATED,
            "IoInitializeIrp was called for a request of IoAllocateIrp",
        ),
    };
    report(rule, message, irp, "initialized by", site);
}
