//! Cancel-safe queues.
//!
//! The driver keeps the queue and its lock; these routines set and take the
//! cancel routine in the right order. `DriverContext[3]` links the request to
//! the queue or to its context, as the DDI reference reserves it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "queue, context and request are reached by the pointers that link them"
)]

use crate::io_manager::{cancel, stack};
use crate::nt::{DEVICE_OBJECT, IRP, IrpExt, Kirql, NTSTATUS, STATUS_SUCCESS};
use crate::processor::driver_code::entering;
use crate::processor::irql;
use std::ffi::c_void;
use std::ptr::null_mut;

/// `IO_TYPE_CSQ_IRP_CONTEXT`, `IO_TYPE_CSQ`, `IO_TYPE_CSQ_EX`.
const TYPE_CONTEXT: u32 = 1;
const TYPE_QUEUE: u32 = 2;
const TYPE_QUEUE_EX: u32 = 3;

type Insert = unsafe extern "win64" fn(*mut Csq, *mut IRP);
type InsertEx = unsafe extern "win64" fn(*mut Csq, *mut IRP, *mut c_void) -> NTSTATUS;
type Remove = unsafe extern "win64" fn(*mut Csq, *mut IRP);
type PeekNext = unsafe extern "win64" fn(*mut Csq, *mut IRP, *mut c_void) -> *mut IRP;
type Acquire = unsafe extern "win64" fn(*mut Csq, *mut Kirql);
type Release = unsafe extern "win64" fn(*mut Csq, Kirql);
type Complete = unsafe extern "win64" fn(*mut Csq, *mut IRP);

/// `IO_CSQ`.
#[repr(C)]
pub struct Csq {
    kind: u32,
    insert: *const c_void,
    remove: Remove,
    peek: PeekNext,
    acquire: Acquire,
    release: Release,
    complete: Complete,
    reserved: *mut c_void,
}

/// `IO_CSQ_IRP_CONTEXT`.
#[repr(C)]
pub struct Context {
    kind: u32,
    irp: *mut IRP,
    csq: *mut Csq,
}

const _: () =
    assert!(size_of::<Csq>() == size_of::<windows_sys::Wdk::System::SystemServices::IO_CSQ>());

/// `IoCsqInitialize` and `IoCsqInitializeEx`, which differ in how a request is inserted.
macro_rules! initializers {
    ($($export:ident = $kind:expr, $insert:ty;)*) => { $(
        /// Makes a queue of these routines.
        pub unsafe extern "win64" fn $export(
            csq: *mut Csq,
            insert: $insert,
            remove: Remove,
            peek: PeekNext,
            acquire: Acquire,
            release: Release,
            complete: Complete,
        ) -> NTSTATUS {
            let queue = Csq {
                kind: $kind,
                insert: insert as *const c_void,
                remove,
                peek,
                acquire,
                release,
                complete,
                reserved: null_mut(),
            };
            // SAFETY: the driver's memory.
            unsafe { csq.write(queue) };
            STATUS_SUCCESS
        }
    )* };
}

initializers! {
    initialize = TYPE_QUEUE, Insert;
    initialize_ex = TYPE_QUEUE_EX, InsertEx;
}

unsafe fn link(irp: *mut IRP, to: *mut c_void) {
    // SAFETY: contract of the callers: the driver's request.
    unsafe { (*irp).Tail.Overlay.Anonymous1.Anonymous.DriverContext[3] = to };
}

unsafe fn linked(irp: *mut IRP) -> *mut c_void {
    // SAFETY: contract of the callers: the driver's request.
    unsafe { (*irp).Tail.Overlay.Anonymous1.Anonymous.DriverContext[3] }
}

/// `IoCsqInsertIrp`.
pub unsafe extern "win64" fn insert_irp(csq: *mut Csq, irp: *mut IRP, context: *mut Context) {
    irql::require("IoCsqInsertIrp", 0);
    // SAFETY: the driver's queue, request and context.
    unsafe { insert_irp_ex(csq, irp, context, null_mut()) };
}

/// `IoCsqInsertIrpEx`: marks the request pending, inserts it and makes it
/// cancelable; one that is cancelled already is completed at once.
pub unsafe extern "win64" fn insert_irp_ex(
    csq: *mut Csq,
    irp: *mut IRP,
    context: *mut Context,
    insert_context: *mut c_void,
) -> NTSTATUS {
    irql::require("IoCsqInsertIrpEx", 0);
    // SAFETY: the driver's queue, request and context, under the driver's lock.
    unsafe {
        if context.is_null() {
            link(irp, csq.cast());
        } else {
            link(irp, context.cast());
            context.write(Context {
                kind: TYPE_CONTEXT,
                irp,
                csq,
            });
        }
        let mut level: Kirql = 0;
        entering((*csq).acquire)(csq, &raw mut level);
        if (*csq).kind == TYPE_QUEUE_EX {
            let insert = std::mem::transmute::<*const c_void, InsertEx>((*csq).insert);
            let status = entering(insert)(csq, irp, insert_context);
            if status < 0 {
                entering((*csq).release)(csq, level);
                return status;
            }
        } else {
            let insert = std::mem::transmute::<*const c_void, Insert>((*csq).insert);
            entering(insert)(csq, irp);
        }
        stack::mark_pending(irp);
        irp.set_cancel_routine(Some(cancel_routine));
        // Cancelled before the routine was set, and nobody else has taken it since.
        if (*irp).Cancel && irp.set_cancel_routine(None).is_some() {
            entering((*csq).remove)(csq, irp);
            if !context.is_null() {
                (*context).irp = null_mut();
            }
            entering((*csq).release)(csq, level);
            entering((*csq).complete)(csq, irp);
        } else {
            entering((*csq).release)(csq, level);
        }
    }
    STATUS_SUCCESS
}

/// `IoCsqRemoveNextIrp`.
pub unsafe extern "win64" fn remove_next_irp(csq: *mut Csq, peek_context: *mut c_void) -> *mut IRP {
    irql::require("IoCsqRemoveNextIrp", 0);
    // SAFETY: the driver's queue, under the driver's lock.
    unsafe {
        let mut level: Kirql = 0;
        entering((*csq).acquire)(csq, &raw mut level);
        let mut irp = entering((*csq).peek)(csq, null_mut(), peek_context);
        while !irp.is_null() {
            // Without a cancel routine it is being cancelled: the next one, then.
            if irp.set_cancel_routine(None).is_none() {
                irp = entering((*csq).peek)(csq, irp, peek_context);
                continue;
            }
            entering((*csq).remove)(csq, irp);
            let to = linked(irp);
            if to != csq.cast() {
                (*to.cast::<Context>()).irp = null_mut();
            }
            link(irp, null_mut());
            break;
        }
        entering((*csq).release)(csq, level);
        irp
    }
}

/// `IoCsqRemoveIrp`.
pub unsafe extern "win64" fn remove_irp(csq: *mut Csq, context: *mut Context) -> *mut IRP {
    irql::require("IoCsqRemoveIrp", 0);
    // SAFETY: the driver's queue and context, under the driver's lock.
    unsafe {
        let mut level: Kirql = 0;
        entering((*csq).acquire)(csq, &raw mut level);
        let mut irp = (*context).irp;
        if !irp.is_null() {
            if irp.set_cancel_routine(None).is_some() {
                entering((*csq).remove)(csq, irp);
                (*context).irp = null_mut();
                link(irp, null_mut());
            } else {
                irp = null_mut();
            }
        }
        entering((*csq).release)(csq, level);
        irp
    }
}

/// The cancel routine of every queued request.
unsafe extern "win64" fn cancel_routine(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a cancel routine owns its request, which is linked to its queue.
    unsafe {
        cancel::release_cancel_spin_lock((*irp).CancelIrql);
        let to = linked(irp);
        let is_context = *to.cast::<u32>() == TYPE_CONTEXT;
        let csq = if is_context {
            (*to.cast::<Context>()).csq
        } else {
            to.cast::<Csq>()
        };
        let mut level: Kirql = 0;
        entering((*csq).acquire)(csq, &raw mut level);
        entering((*csq).remove)(csq, irp);
        if is_context {
            (*to.cast::<Context>()).irp = null_mut();
        }
        entering((*csq).release)(csq, level);
        entering((*csq).complete)(csq, irp);
    }
}
