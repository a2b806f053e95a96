//! The originator of requests: allocates, sends, takes them back when they complete.

use crate::machine::{Device, Kept};
use ntbox::exports::io::set_top_level_irp;
use ntbox::io_manager::{call, cancel, irp};
use ntbox::nt::irp::IrpExt;
use ntbox::nt::{
    DEVICE_OBJECT, FILE_OBJECT, IRP, Kirql, NTSTATUS, PASSIVE_LEVEL,
    STATUS_MORE_PROCESSING_REQUIRED,
};
use ntbox::processor::irql;
use ntbox::processor::thread::Regions;
use std::ffi::c_void;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// A request to send.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The major function.
    pub major: u8,
    /// The minor function.
    pub minor: u8,
    /// `SL_*` flags.
    pub flags: u8,
    /// The parameters, whatever they mean.
    pub parameters: [usize; 4],
    /// The file object; it is passed on and not looked at.
    pub file_object: usize,
    /// `IRP_*` flags.
    pub irp_flags: u32,
    /// The level to send it at.
    pub irql: Kirql,
    /// A program has sent it (UserMode).
    pub by_a_program: bool,
}

impl Request {
    /// A request with that major function and nothing else.
    #[must_use]
    pub fn new(major: u8) -> Self {
        let parameters = [0; 4];
        Self {
            major,
            minor: 0,
            flags: 0,
            parameters,
            file_object: 0,
            irp_flags: 0,
            irql: PASSIVE_LEVEL,
            by_a_program: false,
        }
    }

    /// Sends it to `device` and waits for its completion.
    ///
    /// # Panics
    /// If it does not complete.
    #[must_use]
    pub fn send(self, device: Device) -> Reply {
        self.start(device).wait()
    }

    /// As [`Request::send`], as an originator does that nobody waits for: its completion routine
    /// frees the request, whoever still looks at it.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn send_and_free(self, device: Device) -> Reply {
        self.start_with(device, true, None).wait()
    }

    /// Sends it to `device`; it may be outstanding.
    #[must_use]
    pub fn start(self, device: Device) -> Sent {
        self.start_with(device, false, None)
    }

    /// As [`Request::send`], and lets go of the device when the request completes, as the I/O manager lets go of a file:
    /// nothing keeps the device while the dispatch routine returns. The thread comes to `stay` then, and once more before
    /// it goes on.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn send_to(self, device: Kept, stay: Arc<Barrier>) -> Reply {
        let target = device.device();
        self.start_with(target, false, Some((device, stay))).wait()
    }

    fn start_with(self, device: Device, frees: bool, keeps: Option<(Kept, Arc<Barrier>)>) -> Sent {
        let irp = irp::allocate(device.stack_size());
        assert!(!irp.is_null(), "there is memory for a request");
        let (sender, receiver) = mpsc::channel();
        let context = Box::into_raw(Box::new(Context {
            sender,
            frees,
            keeps,
        }));
        // SAFETY: the request is new, and has a location for the device.
        unsafe {
            (*irp).Flags = self.irp_flags;
            (*irp).RequestorMode = self.by_a_program.into();
            let next = &mut *irp.next_location();
            next.MajorFunction = self.major;
            next.MinorFunction = self.minor;
            next.Flags = self.flags;
            next.FileObject = self.file_object as *mut FILE_OBJECT;
            let [one, two, three, four] = self.parameters.map(|parameter| parameter as *mut c_void);
            next.Parameters.Others.Argument1 = one;
            next.Parameters.Others.Argument2 = two;
            next.Parameters.Others.Argument3 = three;
            next.Parameters.Others.Argument4 = four;
            irp::set_completion_routine(irp, Some(completed), context.cast(), ALWAYS);
        }
        let _level = irql::raised_to(self.irql);
        let regions = Regions::current();
        // SAFETY: as above; the device is alive.
        let returned = unsafe { call::call_driver(device.raw(), irp, 0) };
        let entered = irql::current();
        assert_eq!(
            entered, self.irql,
            "the dispatch routine came back at another IRQL"
        );
        assert_eq!(
            Regions::current(),
            regions,
            "the dispatch routine did not leave its critical regions"
        );
        Sent {
            irp,
            returned,
            receiver,
            frees,
        }
    }
}

/// Success, error, cancel.
const ALWAYS: u8 = 0x40 | 0x80 | 0x20;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the top driver's dispatch routine returned.
    pub returned: NTSTATUS,
    /// The final status.
    pub status: NTSTATUS,
    /// `IoStatus.Information`.
    pub information: usize,
    /// Whether the top driver's location was marked pending.
    pub pending_returned: bool,
    /// The level at which the originator's completion routine was called.
    pub irql: Kirql,
}

/// A request that was sent. It belongs to the drivers until it has completed.
pub struct Sent {
    irp: *mut IRP,
    returned: NTSTATUS,
    receiver: Receiver<Reply>,
    frees: bool,
}

/// What the originator's completion routine is given.
struct Context {
    sender: Sender<Reply>,
    /// Whether it frees the request.
    frees: bool,
    /// What it lets go of, and where the thread stays then.
    keeps: Option<(Kept, Arc<Barrier>)>,
}

impl Sent {
    /// What the dispatch routine returned.
    #[must_use]
    pub fn returned(&self) -> NTSTATUS {
        self.returned
    }

    /// Cancels it (IoCancelIrp): whether a driver had a cancel routine for it.
    #[must_use]
    pub fn cancel(&self) -> bool {
        // SAFETY: only the originator frees the request, in `wait`.
        unsafe { cancel::cancel(self.irp, 0) }
    }

    /// Waits for its completion and frees it.
    ///
    /// # Panics
    /// If it does not complete within ten seconds.
    #[must_use]
    pub fn wait(self) -> Reply {
        let reply = self.receiver.recv_timeout(Duration::from_secs(10));
        let reply =
            reply.unwrap_or_else(|_| panic!("the request was not completed within ten seconds"));
        if !self.frees {
            // SAFETY: the originator's completion routine stopped completion: the request is ours.
            unsafe { irp::free(self.irp, 0) };
        }
        Reply {
            returned: self.returned,
            ..reply
        }
    }
}

/// IO_COMPLETION_ROUTINE of the originator: takes the request back.
///
/// # Safety
/// As any completion routine, with a boxed [`Context`].
unsafe extern "win64" fn completed(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: contract; the request is the originator's from here on.
    let (reply, context) = unsafe {
        let reply = Reply {
            returned: 0,
            status: (*irp).IoStatus.Anonymous.Status,
            information: (*irp).IoStatus.Information,
            pending_returned: (*irp).PendingReturned,
            irql: irql::current(),
        };
        (reply, Box::from_raw(context.cast::<Context>()))
    };
    if context.frees {
        // SAFETY: as above; completion stops here.
        unsafe { irp::free(irp, 0) };
    }
    let Context { sender, keeps, .. } = *context;
    let _originator_waits = sender.send(reply);
    if let Some((device, stay)) = keeps {
        drop(device);
        stay.wait();
        stay.wait();
    }
    STATUS_MORE_PROCESSING_REQUIRED
}

/// Calls `body` in a thread that is inside a file system (IoSetTopLevelIrp).
pub fn within_a_file_system(body: impl FnOnce()) {
    let request = irp::allocate(1);
    // SAFETY: a value of the thread, which nobody looks behind.
    unsafe { set_top_level_irp(request, 0) };
    body();
    // SAFETY: as above.
    unsafe { set_top_level_irp(std::ptr::null_mut(), 0) };
    // SAFETY: allocated above, and never sent.
    unsafe { irp::free(request, 0) };
}
