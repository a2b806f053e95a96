//! A native driver whose devices each behave in one way.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "native drivers work on requests by pointer"
)]

use super::behaviours::dispatch;
use crate::io_manager::{call, complete, device, driver, irp};
use crate::nt::routines::DriverRoutines;
use crate::nt::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_DISK_FILE_SYSTEM, IO_STATUS_BLOCK, IRP,
    IRP_DEFER_IO_COMPLETION, IRP_MJ_READ, IRP_SYNCHRONOUS_API, IrpExt, KEVENT,
    MAJOR_FUNCTION_COUNT, NTSTATUS, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::{dispatcher, thread};
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
    ReturnInCriticalRegion,
    CompleteAsPending,
    CompleteUnderSpinLock,
    CompleteWithCancelRoutine,
    Forget,
    NotPropagating,
    LoseLowerStatus,
    RoutineRaises,
    RoutineLeavesGuardedRegion,
    RoutineReturnsNonsense,
    ForwardAtDispatch,
    CompleteAndContinue,
    KeepCancelLock,
    /// A filter that completes, as by a driver's call, what it should pass on.
    Answer,
    SkipAndSetRoutine,
    ContextOnStack,
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
    let name = format!(
        r"\Driver\TestDriver{}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
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
                let created =
                    device::create(driver, bytes, None, FILE_DEVICE_DISK_FILE_SYSTEM, 0, false);
                let device = created.expect("no name to collide");
                (*device)
                    .DeviceExtension
                    .cast::<Extension>()
                    .write(Extension {
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
                    assert_eq!(
                        device::attach_to_stack_safe(device, *below, lower),
                        STATUS_SUCCESS
                    );
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
    #[expect(
        clippy::mut_from_ref,
        reason = "the extension is memory of the device, which one test drives"
    )]
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
        // As many as any test says were read.
        (*request.next_location()).Parameters.Read.Length = 4096;
        Originated {
            irp: request,
            event,
            iosb,
        }
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
