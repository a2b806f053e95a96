//! The dispatch and completion routines that run, by thread, innermost last.
//!
//! Some rules are about what a routine does while it runs: which event it sets,
//! what it waits for, when it gives the request to a worker. The routines of the
//! kernel that it calls ask here which request they are called for.
//!
//! An event is taken for one that a dispatch routine waits for when it is the
//! context of the completion routine and lies on the stack of a dispatch routine
//! that has not returned, or lies there without being the context. An event
//! anywhere else may wake anybody, and nothing is concluded from it.

#![expect(
    unsafe_code,
    reason = "a running routine keeps its request's tracker; contexts are read with a check"
)]

use super::tracker::{Inner, Tracker};
use super::{checks, own_waits};
use crate::host::memory::try_read_usize;
use crate::nt::irp::control;
use crate::nt::{
    IO_STACK_LOCATION, IRP, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_PNP,
    IrpExt,
};
use crate::pe_image::{self, Image, crossing};
use crate::processor::{self, dispatcher, thread};
use crate::verifier::rules;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What kind of request it is, as far as a rule of its own applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None does.
    Plain,
    /// A directory change notification.
    Notify,
    /// A request for an oplock, or an acknowledgement.
    Oplock,
    /// The storage device is gone.
    SurpriseRemoval,
}

const IRP_MN_USER_FS_REQUEST: u8 = 0;
const IRP_MN_NOTIFY_CHANGE_DIRECTORY: u8 = 2;
const IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX: u8 = 3;
const IRP_MN_SURPRISE_REMOVAL: u8 = 0x17;
/// Bytes of a worker's context that are searched for the request.
const CONTEXT: usize = 64;

impl Kind {
    /// Of the request that this location asks for.
    pub fn of(location: &IO_STACK_LOCATION) -> Self {
        match (u32::from(location.MajorFunction), location.MinorFunction) {
            (
                IRP_MJ_DIRECTORY_CONTROL,
                IRP_MN_NOTIFY_CHANGE_DIRECTORY | IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX,
            ) => Self::Notify,
            (IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_USER_FS_REQUEST) => {
                // SAFETY: the major function says which member of the union is set.
                let code = unsafe { location.Parameters.FileSystemControl.ControlCode };
                if is_oplock(code) {
                    Self::Oplock
                } else {
                    Self::Plain
                }
            }
            (IRP_MJ_PNP, IRP_MN_SURPRISE_REMOVAL) => Self::SurpriseRemoval,
            _ => Self::Plain,
        }
    }
}

fn is_oplock(code: u32) -> bool {
    use windows_sys::Win32::System::Ioctl::{
        FSCTL_OPBATCH_ACK_CLOSE_PENDING, FSCTL_OPLOCK_BREAK_ACK_NO_2,
        FSCTL_OPLOCK_BREAK_ACKNOWLEDGE, FSCTL_OPLOCK_BREAK_NOTIFY, FSCTL_REQUEST_BATCH_OPLOCK,
        FSCTL_REQUEST_FILTER_OPLOCK, FSCTL_REQUEST_OPLOCK, FSCTL_REQUEST_OPLOCK_LEVEL_1,
        FSCTL_REQUEST_OPLOCK_LEVEL_2,
    };
    matches!(
        code,
        FSCTL_REQUEST_OPLOCK
            | FSCTL_REQUEST_OPLOCK_LEVEL_1
            | FSCTL_REQUEST_OPLOCK_LEVEL_2
            | FSCTL_REQUEST_BATCH_OPLOCK
            | FSCTL_REQUEST_FILTER_OPLOCK
            | FSCTL_OPLOCK_BREAK_ACKNOWLEDGE
            | FSCTL_OPLOCK_BREAK_ACK_NO_2
            | FSCTL_OPLOCK_BREAK_NOTIFY
            | FSCTL_OPBATCH_ACK_CLOSE_PENDING
    )
}

struct Frame {
    tracker: *const Tracker,
    irp: *mut IRP,
    /// The location of the driver whose routine it is.
    number: i8,
    routine: usize,
    what: What,
}

// SAFETY: its pointers are followed by the thread that the frame is of alone.
unsafe impl Send for Frame {}

#[derive(Clone, Copy)]
enum What {
    Dispatch {
        kind: Kind,
        /// Who gave the request to a worker before it was marked pending.
        queued: usize,
    },
    Completion {
        /// What kind of request it is.
        kind: Kind,
        /// `SL_PENDING_RETURNED` was set at the driver's location when the routine was entered.
        marked: bool,
        /// It has signalled the event of the dispatch routine.
        signalled: bool,
        /// Which sending of a driver's own request it runs for ([`own_waits::number`]).
        sending: u64,
    },
}

/// The frames of one thread. Only [`inside`] looks at those of another one.
type Frames = Arc<Mutex<Vec<Frame>>>;

/// Those of all threads that have called a driver.
static ALL: Mutex<Vec<Weak<Mutex<Vec<Frame>>>>> = Mutex::new(Vec::new());

thread_local! {
    static FRAMES: Frames = {
        let frames = Frames::default();
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|frames| frames.strong_count() > 0);
        all.push(Arc::downgrade(&frames));
        frames
    };
}

fn own<R>(look: impl FnOnce(&mut Vec<Frame>) -> R) -> R {
    FRAMES.with(|frames| look(&mut frames.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn push(frame: Frame) {
    own(|frames| frames.push(frame));
}

fn pop() -> Option<What> {
    own(Vec::pop).map(|frame| frame.what)
}

/// Gives the innermost frame to `look`, if there is one.
fn innermost<R>(look: impl FnOnce(&mut Frame) -> Option<R>) -> Option<R> {
    own(|frames| look(frames.last_mut()?))
}

/// The routines of `image` that any thread is in, and what they are.
pub fn inside(image: &Image) -> Vec<(&'static str, usize)> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut found = Vec::new();
    for frames in all.iter().filter_map(Weak::upgrade) {
        let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
        let of_image = frames.iter().filter(|frame| image.contains(frame.routine));
        found.extend(of_image.map(|frame| match frame.what {
            What::Dispatch { .. } => ("its dispatch routine", frame.routine),
            What::Completion { .. } => ("its completion routine", frame.routine),
        }));
    }
    found
}

/// A dispatch routine is entered with location `number`.
pub fn dispatch_entered(
    tracker: *const Tracker,
    irp: *mut IRP,
    number: i8,
    routine: usize,
    kind: Kind,
) {
    push(Frame {
        tracker,
        irp,
        number,
        routine,
        what: What::Dispatch { kind, queued: 0 },
    });
}

/// It has returned: who has given the unmarked request to a worker, or 0.
pub fn dispatch_left() -> usize {
    match pop() {
        Some(What::Dispatch { queued, .. }) => queued,
        _ => 0,
    }
}

/// The location with which the innermost routine was entered, if that is a dispatch routine for the request.
pub fn dispatched_at(irp: *const IRP) -> Option<i8> {
    innermost(|frame| {
        let dispatches = matches!(frame.what, What::Dispatch { .. });
        (dispatches && std::ptr::eq(frame.irp, irp)).then_some(frame.number)
    })
}

/// True if the innermost routine is a dispatch routine that was entered for the request.
pub fn is_in_dispatch_of(irp: *const IRP) -> bool {
    dispatched(irp).is_some()
}

/// The tracker of the request, if the innermost routine is a dispatch routine that was entered
/// for it. It is kept until that routine has returned.
pub fn dispatched(irp: *const IRP) -> Option<*const Tracker> {
    innermost(|frame| {
        let dispatches = matches!(frame.what, What::Dispatch { .. });
        (dispatches && std::ptr::eq(frame.irp, irp)).then_some(frame.tracker)
    })
}

/// How many routines run in this thread, each called from the one before.
pub fn depth() -> usize {
    own(|frames| frames.len())
}

/// The request for which the innermost routine runs, or null.
pub fn request() -> *mut IRP {
    innermost(|frame| Some(frame.irp)).unwrap_or(std::ptr::null_mut())
}

/// The request for which the innermost routine runs, if that is a dispatch routine.
pub fn request_of_dispatch() -> Option<*mut IRP> {
    innermost(|frame| matches!(frame.what, What::Dispatch { .. }).then_some(frame.irp))
}

/// The routine that runs for IRP_MN_SURPRISE_REMOVAL, if it is the innermost, and of the driver at `site`.
pub fn in_surprise_removal(site: usize) -> Option<usize> {
    let image = pe_image::image_at(site)?;
    innermost(|frame| {
        let (What::Dispatch { kind, .. } | What::Completion { kind, .. }) = frame.what;
        let is_its = kind == Kind::SurpriseRemoval && image.contains(frame.routine);
        is_its.then_some(frame.routine)
    })
}

/// The completion routine of the driver at location `number` is entered.
pub fn completion_entered(
    tracker: *const Tracker,
    irp: *mut IRP,
    number: i8,
    routine: usize,
    (kind, marked): (Kind, bool),
) {
    push(Frame {
        tracker,
        irp,
        number,
        routine,
        what: What::Completion {
            kind,
            marked,
            signalled: false,
            sending: own_waits::number(irp),
        },
    });
}

/// It has returned. `stopped`: with STATUS_MORE_PROCESSING_REQUIRED, so that the dispatch
/// routine must be woken if it waits.
pub fn completion_left(
    tracker: &Tracker,
    irp: *mut IRP,
    number: i8,
    routine: usize,
    stopped: bool,
) {
    let (signalled, sending) = match pop() {
        Some(What::Completion {
            signalled, sending, ..
        }) => (signalled, sending),
        _ => (false, 0),
    };
    let is_senders = tracker.lock().is_senders(number);
    if is_senders
        && let Some((event, caller)) = own_waits::completed(sending, routine, stopped)
        && !is_signalled(event)
    {
        return never_woken(irp, caller, routine);
    }
    if signalled || !stopped {
        return;
    }
    let waits = {
        let mut inner = tracker.lock();
        inner.set_unsignalled(number, routine);
        let waits = inner
            .running(number, 0)
            .map_or((0, 0), |holder| holder.waits);
        // While the tracker is locked the waiting routine keeps its event.
        if waits.0 == 0 || is_signalled(waits.0) {
            return;
        }
        waits.1
    };
    never_woken(irp, waits, routine);
}

/// Reports the routine that waits, at `waits`, for an event that its completion
/// routine `routine` has not signalled, unless somebody else can still do that.
fn never_woken(irp: *mut IRP, waits: usize, routine: usize) {
    let Some(image) = pe_image::image_at(routine) else {
        return;
    };
    let code = image.base()..image.base() + image.size();
    if !processor::outstanding(&code).is_empty() {
        return;
    }
    checks::report(
        &rules::EVENT_NOT_SIGNALLED,
        "a routine waits for an event that the completion routine of its request did not signal"
            .into(),
        irp,
        vec![("completion routine", routine), ("waits at", waits)],
    );
}

fn is_signalled(event: usize) -> bool {
    // SAFETY: its owner waits for it, or is about to.
    unsafe { dispatcher::read_state_event(event as *mut _) != 0 }
}

/// The upper end of the stack of a routine that is about to be entered: on the kernel stack of this thread if it
/// is a driver's, else below `host`, where the box is.
pub fn stack_of(routine: usize, host: usize) -> usize {
    if crossing::HAS_KERNEL_STACKS && pe_image::may_be_code(routine) {
        crossing::stack().end
    } else {
        host
    }
}

/// The driver at `caller` is about to signal `event`.
pub fn event_is_set(event: usize, caller: usize) {
    own_waits::settled(event);
    if own_waits::is_of_request(event) {
        checks::report(
            &rules::EVENT_OF_REQUEST_SET,
            "the event of a request that is in the list of its thread is signalled by a driver"
                .into(),
            std::ptr::null_mut(),
            vec![("signalled by", caller)],
        );
    }
    let marked = innermost(|frame| {
        let What::Completion {
            marked, signalled, ..
        } = &mut frame.what
        else {
            return None;
        };
        // SAFETY: the completion that calls the routine keeps the tracker.
        let mut inner = unsafe { &*frame.tracker }.lock();
        let holder = inner.running(frame.number, 0)?;
        if !holder.has(event) {
            return None;
        }
        *signalled = true;
        let by_routine = !*marked && is_marked(&inner, frame.number);
        by_routine.then_some((frame.irp, frame.routine))
    });
    if let Some((irp, routine)) = marked {
        checks::report(
            &rules::MARKED_AND_SIGNALLED,
            "a completion routine marked the request pending and signals the event that its dispatch \
             routine waits for"
                .into(),
            irp,
            vec![("signalled by", caller), ("completion routine", routine)],
        );
    }
}

fn is_marked(inner: &Inner, number: i8) -> bool {
    if inner.irp.is_null() {
        return false;
    }
    // SAFETY: not freed, and cannot be while the tracker is locked.
    let location = unsafe { inner.irp.location(number) };
    // SAFETY: a location of a live request.
    unsafe { (*location).Control & control::PENDING_RETURNED != 0 }
}

/// The driver at `caller` is about to wait for `event` without an end. The answer is to be
/// given to [`wait_ended`].
pub fn wait_begins(event: usize, caller: usize) -> bool {
    if let Some(routine) = own_waits::wait_begins(event, caller) {
        if routine != 0 && !is_signalled(event) {
            never_woken(std::ptr::null_mut(), caller, routine);
        }
        return true;
    }
    let found = innermost(|frame| {
        let What::Dispatch { kind, .. } = frame.what else {
            return None;
        };
        // SAFETY: the call of the dispatch routine keeps the tracker.
        let mut inner = unsafe { &*frame.tracker }.lock();
        let below = inner
            .holders()
            .last()
            .is_some_and(|last| last.number < frame.number);
        let here = thread::current().id();
        let unsignalled = inner.unsignalled(frame.number);
        let holder = inner.running(frame.number, here)?;
        if !holder.has(event) {
            return None;
        }
        holder.waits = (event, caller);
        Some((kind, below, unsignalled, frame.irp, frame.routine))
    });
    let Some((kind, below, unsignalled, irp, dispatch)) = found else {
        return false;
    };
    if below && kind == Kind::Notify && !is_signalled(event) {
        checks::report(
            &rules::NOTIFY_MADE_SYNCHRONOUS,
            "a dispatch routine waits for a directory change notification, which may never complete"
                .into(),
            irp,
            vec![("waits at", caller), ("dispatch routine", dispatch)],
        );
    }
    if !below && unsignalled != 0 && !is_signalled(event) {
        never_woken(irp, caller, unsignalled);
    }
    true
}

/// The wait for `event` that [`wait_begins`] noted has ended.
pub fn wait_ended(event: usize) {
    own_waits::wait_ended(event);
    let _: Option<()> = innermost(|frame| {
        // SAFETY: as in `wait_begins`, whose routine still runs.
        let mut inner = unsafe { &*frame.tracker }.lock();
        inner.running(frame.number, thread::current().id())?.waits = (0, 0);
        None
    });
}

/// The driver at `caller` gives `context` to a worker, or links the entry at that address into a list.
pub fn is_queued(context: usize, caller: usize) {
    let _: Option<()> = innermost(|frame| {
        let What::Dispatch { queued, .. } = &mut frame.what else {
            return None;
        };
        // SAFETY: the call of the dispatch routine keeps the tracker.
        let unmarked = unsafe { &*frame.tracker }
            .lock()
            .is_unmarked_at(frame.number);
        if *queued == 0 && unmarked && leads_to(context, frame.irp as usize) {
            *queued = caller;
        }
        None
    });
}

/// The request for which the innermost routine runs, a dispatch routine that has marked it pending, if `context` leads
/// to it.
pub fn marked_and_led_to(context: usize) -> Option<*mut IRP> {
    innermost(|frame| {
        let dispatches = matches!(frame.what, What::Dispatch { .. });
        if !dispatches || !leads_to(context, frame.irp as usize) {
            return None;
        }
        // SAFETY: the call of the dispatch routine keeps the tracker.
        let inner = unsafe { &*frame.tracker }.lock();
        (inner.is_at(frame.number) && is_marked(&inner, frame.number)).then_some(frame.irp)
    })
}

/// True if `context` is the request, lies in it, or is memory that begins with a pointer to it.
fn leads_to(context: usize, irp: usize) -> bool {
    let request = irp..irp + size_of::<IRP>();
    request.contains(&context)
        || (0..CONTEXT / size_of::<usize>())
            .map_while(|word| try_read_usize(context + word * size_of::<usize>()))
            .any(|word| word == irp)
}
