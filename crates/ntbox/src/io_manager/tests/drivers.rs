//! A native driver whose devices each behave in one way.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "native drivers work on requests by pointer"
)]

use crate::io_manager::stack::ALWAYS;
use crate::io_manager::{call, cancel, complete, device, driver, irp, stack};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, DRIVER_OBJECT, FILE_DEVICE_DISK_FILE_SYSTEM, IO_STATUS_BLOCK, IRP,
    IRP_DEFER_IO_COMPLETION, IRP_MJ_READ, IRP_SYNCHRONOUS_API, IrpExt, KEVENT, MAJOR_FUNCTION_COUNT, NTSTATUS,
    STATUS_CANCELLED, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::{dispatcher, irql, spin_lock, thread, work};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// What a device does with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    // The lowest device, right.
    Complete,
    CompleteAtDispatch,
    MarkAndComplete,
    Pend,
    PendAtDispatch,
    OtherThreadMarked,
    OtherThreadUnmarked,
    /// Marked and kept until the test or a cancel completes it.
    Hold,
    HoldUntilCancelled,
    // A filter, right.
    Skip,
    Copy,
    Propagate,
    Wait,
    PendAndForward,
    StopAndResumeLater,
    CompleteInRoutine,
    OwnRequest,
    // Wrong ones.
    CompleteTwice,
    KeepUnmarked,
    MarkAndReturnSuccess,
    ReturnRaised,
    CompleteAsPending,
    CompleteUnderSpinLock,
    CompleteWithCancelRoutine,
    Forget,
    NotPropagating,
    LoseLowerStatus,
    RoutineRaises,
    RoutineReturnsNonsense,
    ForwardAtDispatch,
    CompleteAndContinue,
    KeepCancelLock,
}

/// Behaviours of a lowest device that complete every request.
pub const LOWEST: [Behaviour; 7] = [
    Behaviour::Complete,
    Behaviour::CompleteAtDispatch,
    Behaviour::MarkAndComplete,
    Behaviour::Pend,
    Behaviour::PendAtDispatch,
    Behaviour::OtherThreadMarked,
    Behaviour::OtherThreadUnmarked,
];

/// Behaviours of right filters.
pub const FILTERS: [Behaviour; 8] = [
    Behaviour::Skip,
    Behaviour::Copy,
    Behaviour::Propagate,
    Behaviour::Wait,
    Behaviour::PendAndForward,
    Behaviour::StopAndResumeLater,
    Behaviour::CompleteInRoutine,
    Behaviour::OwnRequest,
];

/// Device extension of the test driver.
#[repr(C)]
pub struct Extension {
    pub behaviour: Behaviour,
    pub lower: *mut DEVICE_OBJECT,
    pub status: NTSTATUS,
    pub information: usize,
    pub held: AtomicPtr<IRP>,
    pub seen: AtomicU32,
    pub routines: AtomicU32,
}

/// # Safety
/// `device` is one of the test driver's.
pub unsafe fn extension<'a>(device: *mut DEVICE_OBJECT) -> &'a mut Extension {
    // SAFETY: contract.
    unsafe { &mut *(*device).DeviceExtension.cast() }
}

/// A test driver, with a name of its own.
pub fn new_driver() -> *mut DRIVER_OBJECT {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(r"\Driver\TestDriver{}", NEXT.fetch_add(1, Ordering::Relaxed));
    driver::create_native(&name, |driver| {
        for major in 0..MAJOR_FUNCTION_COUNT {
            driver.set_dispatch(major as u8, dispatch);
        }
    })
}

/// A stack of test devices, lowest first.
pub struct Stack {
    pub driver: *mut DRIVER_OBJECT,
    pub devices: Vec<*mut DEVICE_OBJECT>,
}

// SAFETY: the tests share devices between threads as drivers do.
unsafe impl Send for Stack {}
// SAFETY: as above.
unsafe impl Sync for Stack {}

impl Stack {
    pub fn new(behaviours: &[Behaviour]) -> Self {
        let driver = new_driver();
        let mut devices: Vec<*mut DEVICE_OBJECT> = Vec::new();
        for behaviour in behaviours {
            // SAFETY: the driver is alive; each device is new.
            unsafe {
                let bytes = size_of::<Extension>() as u32;
                let created = device::create(driver, bytes, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false);
                let device = created.expect("no name to collide");
                (*device).DeviceExtension.cast::<Extension>().write(Extension {
                    behaviour: *behaviour,
                    lower: null_mut(),
                    status: STATUS_SUCCESS,
                    information: 0,
                    held: AtomicPtr::new(null_mut()),
                    seen: AtomicU32::new(0),
                    routines: AtomicU32::new(0),
                });
                if let Some(below) = devices.first() {
                    let lower = &raw mut extension(device).lower;
                    assert_eq!(device::attach_to_stack_safe(device, *below, lower), STATUS_SUCCESS);
                }
                device::finish_initializing(device);
                devices.push(device);
            }
        }
        Self { driver, devices }
    }
    pub fn top(&self) -> *mut DEVICE_OBJECT {
        self.devices[self.devices.len() - 1]
    }
    pub fn extension(&self, index: usize) -> &mut Extension {
        // SAFETY: a device of the test driver.
        unsafe { extension(self.devices[index]) }
    }
    /// The request that device `index` holds.
    pub fn held(&self, index: usize) -> *mut IRP {
        self.extension(index).held.load(Ordering::Acquire)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for device in self.devices.iter().rev() {
            // SAFETY: no request is in flight; the devices are detached from the top down.
            unsafe {
                let below = device::lower(*device);
                if !below.is_null() {
                    device::detach(below, 0);
                }
                device::delete(*device, 0);
            }
        }
        // SAFETY: its devices are deleted.
        unsafe { driver::delete_native(self.driver) };
    }
}

/// What the originator of a request sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub returned: NTSTATUS,
    /// Status block: status and information; `None` if it was not written.
    pub block: Option<(NTSTATUS, usize)>,
    pub signaled: bool,
}

impl Seen {
    /// The outcome as a program takes it.
    pub fn status(&self) -> NTSTATUS {
        match self.block {
            Some((status, _)) if self.returned == STATUS_PENDING => status,
            _ => self.returned,
        }
    }
}

const UNWRITTEN: NTSTATUS = -1;

/// A request with its event and status block.
pub struct Originated {
    pub irp: *mut IRP,
    event: Box<KEVENT>,
    iosb: Box<IO_STATUS_BLOCK>,
}

pub fn originate(top: *mut DEVICE_OBJECT, flags: u32) -> Originated {
    // SAFETY: the device is alive; event and block live in boxes that the result owns.
    unsafe {
        let mut event: Box<KEVENT> = Box::new(std::mem::zeroed());
        let mut iosb: Box<IO_STATUS_BLOCK> = Box::new(std::mem::zeroed());
        iosb.Anonymous.Status = UNWRITTEN;
        dispatcher::initialize_event(&raw mut *event, true, false);
        let request = irp::allocate((*top).StackSize);
        request.set_thread(thread::current().object());
        (*request).Flags = flags;
        (*request).UserEvent = &raw mut *event;
        (*request).Anonymous.UserIosb = &raw mut *iosb;
        (*request.next_location()).MajorFunction = IRP_MJ_READ as u8;
        Originated { irp: request, event, iosb }
    }
}

impl Originated {
    /// Sends it; `site` is what the checks take for the caller.
    pub fn send(&mut self, top: *mut DEVICE_OBJECT, site: usize) -> NTSTATUS {
        // SAFETY: a complete request for this stack.
        unsafe {
            let deferred = (*self.irp).Flags & IRP_DEFER_IO_COMPLETION != 0;
            let returned = call::call_driver(top, self.irp, site);
            if deferred && returned != STATUS_PENDING {
                complete::finish_synchronously(self.irp);
            }
            thread::deliver_apcs();
            returned
        }
    }
    pub fn wait(&mut self) {
        // SAFETY: the event is alive.
        unsafe { dispatcher::wait(&[(&raw mut *self.event).cast()], false, None, false) };
    }
    pub fn seen(&mut self, returned: NTSTATUS) -> Seen {
        // SAFETY: event and block are alive.
        unsafe {
            let status = self.iosb.Anonymous.Status;
            Seen {
                returned,
                block: (status != UNWRITTEN).then_some((status, self.iosb.Information)),
                signaled: dispatcher::read_state_event(&raw mut *self.event) != 0,
            }
        }
    }
}

/// Sends a read and waits if it is pending.
pub fn issue(top: *mut DEVICE_OBJECT, flags: u32) -> Seen {
    let mut request = originate(top, flags);
    let returned = request.send(top, 0);
    if returned == STATUS_PENDING {
        request.wait();
    }
    request.seen(returned)
}

/// [`issue`] as a synchronous service does.
pub fn issue_synchronously(top: *mut DEVICE_OBJECT) -> Seen {
    issue(top, IRP_SYNCHRONOUS_API)
}

unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine owns its request; the device is the test driver's.
    unsafe {
        let own = extension(device);
        own.seen.fetch_add(1, Ordering::AcqRel);
        (*irp).IoStatus.Anonymous.Status = own.status;
        (*irp).IoStatus.Information = own.information;
        if own.lower.is_null() { lowest(own, irp) } else { filter(own, device, irp) }
    }
}

fn elsewhere(irp: *mut IRP) {
    let irp = irp as usize;
    let thread = thread::spawn_system("completer", move || {
        // SAFETY: the dispatch routine has given the request to this thread.
        unsafe { complete::complete_request(irp as *mut IRP, 0, 0) };
    });
    thread.join().expect("completion does not panic");
}

unsafe fn lowest(own: &mut Extension, irp: *mut IRP) -> NTSTATUS {
    let status = own.status;
    let later = irp as usize;
    // SAFETY: contract of the caller: the request is this device's.
    unsafe {
        match own.behaviour {
            Behaviour::CompleteAtDispatch => {
                let _level = irql::raised_to(DISPATCH_LEVEL);
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::MarkAndComplete => {
                stack::mark_pending(irp);
                complete::complete_request(irp, 0, 0);
                STATUS_PENDING
            }
            Behaviour::Pend => {
                stack::mark_pending(irp);
                work::queue(Box::new(move || complete::complete_request(later as *mut IRP, 0, 0)));
                STATUS_PENDING
            }
            Behaviour::PendAtDispatch => {
                stack::mark_pending(irp);
                work::queue_dpc(Box::new(move || complete::complete_request(later as *mut IRP, 0, 0)));
                STATUS_PENDING
            }
            Behaviour::OtherThreadMarked => {
                stack::mark_pending(irp);
                elsewhere(irp);
                STATUS_PENDING
            }
            Behaviour::OtherThreadUnmarked => {
                elsewhere(irp);
                status
            }
            Behaviour::Hold => {
                stack::mark_pending(irp);
                own.held.store(irp, Ordering::Release);
                STATUS_PENDING
            }
            Behaviour::HoldUntilCancelled => {
                stack::mark_pending(irp);
                irp.set_cancel_routine(Some(cancel_held));
                if (*irp).Cancel && irp.set_cancel_routine(None).is_some() {
                    complete::finish(irp, STATUS_CANCELLED, 0);
                }
                STATUS_PENDING
            }
            Behaviour::KeepCancelLock => {
                stack::mark_pending(irp);
                irp.set_cancel_routine(Some(cancel_without_release));
                STATUS_PENDING
            }
            Behaviour::CompleteTwice => {
                complete::complete_request(irp, 0, 1);
                complete::complete_request(irp, 0, 2);
                status
            }
            Behaviour::KeepUnmarked => {
                own.held.store(irp, Ordering::Release);
                STATUS_PENDING
            }
            Behaviour::MarkAndReturnSuccess => {
                stack::mark_pending(irp);
                complete::complete_request(irp, 0, 0);
                STATUS_SUCCESS
            }
            Behaviour::ReturnRaised => {
                complete::complete_request(irp, 0, 0);
                irql::raise(DISPATCH_LEVEL);
                status
            }
            Behaviour::CompleteAsPending => complete::finish(irp, STATUS_PENDING, 0),
            Behaviour::CompleteUnderSpinLock => {
                let mut lock = 0_usize;
                let old = irql::raise(DISPATCH_LEVEL);
                spin_lock::acquire(&raw mut lock);
                complete::complete_request(irp, 0, 0);
                spin_lock::release(&raw mut lock);
                irql::lower(old);
                status
            }
            Behaviour::CompleteWithCancelRoutine => {
                irp.set_cancel_routine(Some(cancel_held));
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::Forget => {
                own.held.store(irp, Ordering::Release);
                status
            }
            _ => {
                complete::complete_request(irp, 0, 0);
                status
            }
        }
    }
}

unsafe extern "win64" fn cancel_held(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: a cancel routine owns its request and holds the cancel spin lock.
    unsafe { cancel::release_and_complete(irp) };
}

unsafe extern "win64" fn cancel_without_release(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the device of the request's current location is the test driver's.
    unsafe { extension(device) }.held.store(irp, Ordering::Release);
}

unsafe fn filter(own: &mut Extension, device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let lower = own.lower;
    let context: *mut c_void = device.cast();
    let pass = |routine: crate::nt::routines::CompletionRoutine, context: *mut c_void| {
        // SAFETY: contract of the caller: the request is this device's.
        unsafe {
            stack::copy_to_next(irp);
            stack::set_completion_routine(irp, Some(routine), context, ALWAYS);
            call::call_driver(lower, irp, 0)
        }
    };
    // SAFETY: contract of the caller: the request is this device's.
    unsafe {
        match own.behaviour {
            Behaviour::Skip => {
                stack::skip(irp);
                call::call_driver(lower, irp, 0)
            }
            Behaviour::Copy => {
                stack::copy_to_next(irp);
                call::call_driver(lower, irp, 0)
            }
            Behaviour::Wait => {
                let mut event: KEVENT = std::mem::zeroed();
                dispatcher::initialize_event(&raw mut event, true, false);
                if pass(signal, (&raw mut event).cast()) == STATUS_PENDING {
                    dispatcher::wait(&[(&raw mut event).cast()], false, None, false);
                }
                let status = (*irp).IoStatus.Anonymous.Status;
                complete::complete_request(irp, 0, 0);
                status
            }
            Behaviour::PendAndForward => {
                stack::mark_pending(irp);
                let (irp, lower, context) = (irp as usize, lower as usize, context as usize);
                work::queue(Box::new(move || {
                    let irp = irp as *mut IRP;
                    stack::copy_to_next(irp);
                    stack::set_completion_routine(irp, Some(marked_already), context as *mut c_void, ALWAYS);
                    call::call_driver(lower as *mut DEVICE_OBJECT, irp, 0);
                }));
                STATUS_PENDING
            }
            Behaviour::StopAndResumeLater => {
                stack::mark_pending(irp);
                pass(resume_later, context);
                STATUS_PENDING
            }
            Behaviour::CompleteInRoutine => {
                stack::mark_pending(irp);
                pass(complete_and_stop, context);
                STATUS_PENDING
            }
            Behaviour::OwnRequest => {
                stack::mark_pending(irp);
                let request = irp::allocate((*lower).StackSize);
                let location = request.next_location();
                (*location).MajorFunction = (*irp.current_location()).MajorFunction;
                stack::set_completion_routine(request, Some(own_completed), irp.cast(), ALWAYS);
                call::call_driver(lower, request, 0);
                STATUS_PENDING
            }
            Behaviour::NotPropagating => pass(marked_already, context),
            Behaviour::LoseLowerStatus => {
                pass(propagate, context);
                STATUS_SUCCESS
            }
            Behaviour::RoutineRaises => pass(raise, context),
            Behaviour::RoutineReturnsNonsense => pass(nonsense, context),
            Behaviour::CompleteAndContinue => pass(complete_and_continue, context),
            Behaviour::ForwardAtDispatch => {
                let _level = irql::raised_to(DISPATCH_LEVEL);
                pass(propagate, context)
            }
            _ => pass(propagate, context),
        }
    }
}

fn count(context: *mut c_void) {
    // SAFETY: the context of these routines is their device.
    unsafe { extension(context.cast()) }.routines.fetch_add(1, Ordering::AcqRel);
}

pub unsafe extern "win64" fn propagate(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    count(context);
    // SAFETY: a completion routine owns its request.
    unsafe {
        if (*irp).PendingReturned {
            stack::mark_pending(irp);
        }
    }
    STATUS_SUCCESS
}

unsafe extern "win64" fn marked_already(_: *mut DEVICE_OBJECT, _: *mut IRP, context: *mut c_void) -> NTSTATUS {
    count(context);
    STATUS_SUCCESS
}

pub unsafe extern "win64" fn signal(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: the context is the waiting routine's event.
    unsafe {
        if (*irp).PendingReturned {
            dispatcher::set_event(context.cast());
        }
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn resume_later(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    count(context);
    let irp = irp as usize;
    work::queue(Box::new(move || {
        // SAFETY: completion was stopped for this.
        unsafe { complete::complete_request(irp as *mut IRP, 0, 0) };
    }));
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn complete_and_stop(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    count(context);
    // SAFETY: a completion routine owns its request, and stops the completion it is in.
    unsafe { complete::complete_request(irp, 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn complete_and_continue(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    count(context);
    // SAFETY: wrong on purpose: the checks stop what would follow.
    unsafe {
        propagate(null_mut(), irp, context);
        complete::complete_request(irp, 0, 0);
    }
    STATUS_SUCCESS
}

unsafe extern "win64" fn own_completed(_: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: the context is the request that this one stands for.
    unsafe {
        let original: *mut IRP = context.cast();
        (*original).IoStatus = (*irp).IoStatus;
        irp::free(irp, 0);
        complete::complete_request(original, 0, 0);
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

unsafe extern "win64" fn raise(device: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    irql::raise(DISPATCH_LEVEL);
    // SAFETY: as `propagate`.
    unsafe { propagate(device, irp, context) }
}

unsafe extern "win64" fn nonsense(device: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: as `propagate`.
    unsafe { propagate(device, irp, context) };
    STATUS_PENDING
}
