//! A file system of the test's own: it notes what arrives and answers as told.
//!
//! Its control device is registered like any file system's, so the filter
//! attaches above it. [`Request::send`] sends a request to the top of that
//! stack as its originator; what the probe below was given is in [`Probe::seen`].

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver and the originator of requests work on IRPs by pointer"
)]

pub mod fast_io;
mod held;
mod originator;

pub use originator::{Reply, Request, Sent, within_a_file_system};

use crate::machine::Device;
use ntbox::io_manager::filter_callbacks::{self, Operation};
use ntbox::io_manager::{attachment, cancel, complete, device, driver, irp};
use ntbox::nt::irp::IrpExt;
use ntbox::nt::routines::DriverRoutines;
use ntbox::nt::{
    DEVICE_OBJECT, DISPATCH_LEVEL, FAST_IO_DISPATCH, FILE_DEVICE_DISK_FILE_SYSTEM,
    FILE_DEVICE_SECURE_OPEN, FILE_OBJECT, FO_DIRECT_DEVICE_OPEN, IRP, Kirql, MAJOR_FUNCTION_COUNT,
    NTSTATUS, STATUS_PENDING, STATUS_SUCCESS,
};
use ntbox::processor::{irql, thread, work};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the probe completes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In its dispatch routine.
    Now,
    /// In its dispatch routine, at DISPATCH_LEVEL.
    AtDispatch,
    /// STATUS_PENDING; later, on a worker thread.
    Later,
    /// STATUS_PENDING; later, in a DPC.
    LaterAtDispatch,
    /// STATUS_PENDING, but before that is returned another thread has completed it.
    BeforeReturn,
    /// STATUS_PENDING; when it is cancelled.
    WhenCancelled,
    /// As [`How::BeforeReturn`], but the dispatch routine stays inside until [`Probe::let_return`].
    Stays,
    /// STATUS_PENDING; in the thread that calls [`Probe::complete_held`].
    Held,
}

impl How {
    /// All that end without more being done.
    pub const BY_ITSELF: [Self; 5] = [
        Self::Now,
        Self::AtDispatch,
        Self::Later,
        Self::LaterAtDispatch,
        Self::BeforeReturn,
    ];

    /// Whether the probe returns STATUS_PENDING.
    #[must_use]
    pub fn pends(self) -> bool {
        !matches!(self, Self::Now | Self::AtDispatch)
    }
}

/// What the probe answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When and where.
    pub how: How,
    /// Final status.
    pub status: NTSTATUS,
    /// `IoStatus.Information`.
    pub information: usize,
}

/// What the probe was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The major function.
    pub major: u8,
    /// The minor function.
    pub minor: u8,
    /// `SL_*` flags.
    pub flags: u8,
    /// The parameters, whatever they mean.
    pub parameters: [usize; 4],
    /// The file object.
    pub file_object: usize,
    /// `IRP_*` flags.
    pub irp_flags: u32,
    /// Whether it is of the thread that sent it (`Tail.Overlay.Thread`).
    pub is_of_this_thread: bool,
    /// The level it arrived at.
    pub irql: Kirql,
    /// `SL_INVOKE_*` and other control flags of the probe's location.
    pub control: u8,
    /// The completion routine that the driver above has set.
    pub completion_routine: usize,
    /// Whether no device was attached above the probe's at that moment.
    pub alone: bool,
}

struct State {
    answer: Answer,
    seen: Vec<Seen>,
}

static STATE: Mutex<State> = Mutex::new(State {
    answer: Answer {
        how: How::Now,
        status: STATUS_SUCCESS,
        information: 0,
    },
    seen: Vec::new(),
});

/// Who is told of what is acquired slowly.
static ACQUIRES: Mutex<Option<mpsc::Sender<()>>> = Mutex::new(None);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The probe. There is one in a process.
#[derive(Clone, Copy)]
pub struct Probe {
    control: Device,
}

impl Probe {
    /// Creates its driver, and registers its control device as a disk file system.
    ///
    /// # Panics
    /// If there is one already.
    #[must_use]
    pub fn register() -> Self {
        Self::register_as(FILE_DEVICE_DISK_FILE_SYSTEM)
    }

    /// As [`Probe::register`], with a control device of that name.
    ///
    /// # Panics
    /// If there is one already.
    #[must_use]
    pub fn register_named(name: &str) -> Self {
        Self::with_control_device(name, FILE_DEVICE_DISK_FILE_SYSTEM)
    }

    /// As [`Probe::register`], with a control device of that FILE_DEVICE_* type.
    ///
    /// # Panics
    /// If there is one already.
    #[must_use]
    pub fn register_as(device_type: u32) -> Self {
        Self::with_control_device(r"\Probe", device_type)
    }

    fn with_control_device(name: &str, device_type: u32) -> Self {
        let probe = Self::create(name, device_type);
        // SAFETY: a new device, which lives as long as the process.
        unsafe { device::finish_initializing(probe.control.raw()) };
        probe.control.register_file_system();
        probe
    }

    /// No file system, but another filter above that device: it answers in the place of what is below.
    ///
    /// # Panics
    /// As [`Probe::register`], and if nothing can be attached there.
    #[must_use]
    pub fn attach_to(device: Device) -> Self {
        let probe = Self::create(r"\Probe", device.device_type());
        let mut below = std::ptr::null_mut();
        // SAFETY: a new device, which lives as long as the process, like what it is attached to.
        let status = unsafe {
            attachment::attach_to_stack_safe(probe.control.raw(), device.raw(), &raw mut below)
        };
        assert_eq!(status, STATUS_SUCCESS, "{device:?}");
        // SAFETY: as above.
        unsafe { device::finish_initializing(probe.control.raw()) };
        probe
    }

    fn create(name: &str, device_type: u32) -> Self {
        let driver = driver::create_native(r"\FileSystem\Probe", |driver| {
            for major in 0..MAJOR_FUNCTION_COUNT {
                driver.set_dispatch(major as u8, dispatch);
            }
        });
        // As a redirector has it.
        let characteristics = FILE_DEVICE_SECURE_OPEN;
        // SAFETY: the driver lives as long as the process.
        let created =
            unsafe { device::create(driver, 0, Some(name), device_type, characteristics, false) };
        let Ok(control) = created else {
            panic!("there is a probe already")
        };
        // SAFETY: a new device, which lives as long as the process.
        let control = unsafe { Device::from_raw(control) };
        Self { control }
    }

    /// Its control device: the bottom of the stack.
    #[must_use]
    pub fn device(self) -> Device {
        self.control
    }

    /// Unregisters the file system: filters are told to let go (A4).
    pub fn unregister(self) {
        self.control.unregister_file_system();
    }

    /// Registers the file system again.
    pub fn register_again(self) {
        self.control.register_file_system();
    }

    /// Sets its fast I/O table; it is kept for ever.
    pub fn set_fast_io(self, table: Option<FAST_IO_DISPATCH>) {
        let table = table.map_or(std::ptr::null(), |table| {
            std::ptr::from_ref(Box::leak(Box::new(table)))
        });
        // SAFETY: the probe's own driver object; no fast I/O call is under way.
        unsafe { (*self.control.driver()).set_fast_io(table) }
    }

    /// What it answers from now on.
    pub fn answer(self, how: How, status: NTSTATUS, information: usize) {
        state().answer = Answer {
            how,
            status,
            information,
        };
    }

    /// Asks the stack of a file on the probe's device about a section, as the memory manager does: returns when
    /// the probe, which `arrives` is told of, has acquired it, after [`Probe::let_return`].
    pub fn acquire_slowly(self, arrives: mpsc::Sender<()>) -> NTSTATUS {
        *ACQUIRES.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrives);
        self.set_fast_io(Some(FAST_IO_DISPATCH {
            SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
            AcquireFileForNtCreateSection: Some(acquire_slowly),
            ..Default::default()
        }));
        // SAFETY: integers and pointers, which may be zero.
        let mut file: FILE_OBJECT = unsafe { std::mem::zeroed() };
        file.DeviceObject = self.control.raw();
        file.Flags = FO_DIRECT_DEVICE_OPEN;
        let operation = Operation::AcquireForSection {
            section_type: 1,
            page_protection: 2,
        };
        // SAFETY: the file and the device outlive the call.
        unsafe { filter_callbacks::invoke(&raw mut file, operation) }
    }

    /// Dispatch routines that stay inside ([`How::Stays`]) return, and what is acquired slowly is acquired.
    pub fn let_return(self) {
        held::let_return();
    }

    /// From now on they stay again.
    pub fn keep(self) {
        held::keep_inside();
    }

    /// Waits for a request that is held ([`How::Held`]), and completes it. Threads that take turns
    /// ([`ntbox::processor::turns`]) do so here.
    pub fn complete_held(self) {
        held::take().complete();
    }

    /// What it was given since the last call, in order.
    #[must_use]
    pub fn seen(self) -> Vec<Seen> {
        std::mem::take(&mut state().seen)
    }
}

/// A request that another thread completes.
struct Outstanding(*mut IRP, Answer);

// SAFETY: a request that was marked pending may be completed on any thread.
unsafe impl Send for Outstanding {}

impl Outstanding {
    fn complete(self) {
        let Self(irp, answer) = self;
        // SAFETY: the request is the probe's until this call.
        unsafe { complete::finish(irp, answer.status, answer.information) };
    }
}

/// `AcquireFileForNtCreateSection` of [`Probe::acquire_slowly`].
///
/// # Safety
/// Any file: it is not looked at.
unsafe extern "win64" fn acquire_slowly(_file: *mut FILE_OBJECT) {
    let arrives = ACQUIRES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(arrives) = arrives {
        let _test_lives = arrives.send(());
    }
    held::stay();
}

/// DRIVER_DISPATCH of the probe.
///
/// # Safety
/// As any dispatch routine.
unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract.
    let seen = unsafe { look_at(device, irp) };
    let answer = {
        let mut state = state();
        state.seen.push(seen);
        state.answer
    };
    if answer.how.pends() {
        // SAFETY: the request is the probe's.
        unsafe { irp::mark_pending(irp) };
    }
    let outstanding = Outstanding(irp, answer);
    match answer.how {
        How::Now => outstanding.complete(),
        How::AtDispatch => {
            let _raised = irql::raised_to(DISPATCH_LEVEL);
            outstanding.complete();
        }
        How::Later => work::queue(Box::new(move || outstanding.complete())),
        How::LaterAtDispatch => work::queue_dpc(Box::new(move || outstanding.complete())),
        How::BeforeReturn | How::Stays => {
            let (done, wait) = mpsc::channel();
            work::queue(Box::new(move || {
                outstanding.complete();
                let _waiter_is_there = done.send(());
            }));
            let _sender_lived = wait.recv();
            if answer.how == How::Stays {
                held::stay();
            }
        }
        How::Held => held::keep(outstanding),
        // SAFETY: the request is the probe's.
        How::WhenCancelled => unsafe { hold(device, irp) },
    }
    if answer.how.pends() {
        STATUS_PENDING
    } else {
        answer.status
    }
}

/// # Safety
/// The caller owns `irp`, which was sent to `device`.
unsafe fn look_at(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> Seen {
    // SAFETY: contract.
    unsafe {
        let location = &*irp.current_location();
        let others = location.Parameters.Others;
        Seen {
            major: location.MajorFunction,
            minor: location.MinorFunction,
            flags: location.Flags,
            parameters: [
                others.Argument1,
                others.Argument2,
                others.Argument3,
                others.Argument4,
            ]
            .map(|argument| argument as usize),
            file_object: location.FileObject as usize,
            irp_flags: (*irp).Flags,
            is_of_this_thread: irp.thread() == thread::current().object(),
            irql: irql::current(),
            control: location.Control,
            completion_routine: location
                .CompletionRoutine
                .map_or(0, |routine| routine as usize),
            alone: device::attached(device).is_null(),
        }
    }
}

/// Leaves the request to its cancel routine; at once, if it is cancelled already.
///
/// # Safety
/// The caller owns `irp` and does not touch it afterwards.
unsafe fn hold(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    let old = cancel::acquire_cancel_spin_lock(0);
    // SAFETY: contract; the lock keeps IoCancelIrp away.
    unsafe {
        if (*irp).Cancel {
            (*irp).CancelIrql = old;
            cancelled(device, irp);
        } else {
            irp.set_cancel_routine(Some(cancelled));
            cancel::release_cancel_spin_lock(old);
        }
    }
}

/// DRIVER_CANCEL of the probe.
///
/// # Safety
/// As any cancel routine.
unsafe extern "win64" fn cancelled(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: contract.
    unsafe { cancel::release_and_complete(irp) }
}
