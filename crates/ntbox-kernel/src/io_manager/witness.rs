//! A witness of what arrives at devices that another driver lies above, and of how it comes back: the
//! truth that the account of a driver that observes is compared with.
//!
//! The I/O manager tells it of requests and FsFilter operations, the file system of calls of fast I/O. A
//! request in its topmost location was sent to the device directly: no driver above has passed it on, and it is kept apart.
//! Off unless a test asks for it, and told of requests only while requests are checked.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests and devices are read by pointer"
)]

use super::{attachment, file_name};
use crate::nt::irp::control;
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_CLEANUP_COMPLETE, FO_STREAM_FILE, FO_SYNCHRONOUS_IO,
    FO_VOLUME_OPEN, IO_STACK_LOCATION, IRP, IRP_MJ_CREATE, IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK,
    IRP_MN_UNLOCK_SINGLE, IRP_SYNCHRONOUS_API, IrpExt, NTSTATUS, SL_OPEN_TARGET_DIRECTORY,
};
use crate::processor::object;
use crate::processor::{counter, irql, thread, top_level};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A request.
    Request {
        /// Its major function.
        major: u8,
        /// Its minor function.
        minor: u8,
        /// `Irp->Flags`.
        flags: u32,
    },
    /// A call of the entry of the fast I/O table with that name.
    FastIo(&'static str),
    /// The FsFilter operation with that code.
    FsFilter(u8),
}

/// Something that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What.
    pub asked: Asked,
    /// The name of the storage device under the volume that it arrived at; of the device itself where that
    /// is no volume.
    pub device: Arc<str>,
    /// The file object.
    pub file: u64,
    /// What the file system calls the file at that moment; `None` if it does not know it.
    pub name: Option<Box<str>>,
    /// Of a create, by what the file is opened.
    pub opened: Option<Opened>,
    /// It was sent to the device directly.
    pub direct: bool,
    /// The IRQL.
    pub irql: u8,
    /// The thread has a top-level request (`IoGetTopLevelIrp`).
    pub within: bool,
    /// A program has sent it, and waits for it.
    pub waited_for_by_a_program: bool,
    /// The file object is an open file: not cleaned up, no volume, no stream file object.
    pub open_file: bool,
    /// The four words of `Parameters` of a request, with what the first points to in its place where that is
    /// the access of a create or the length of a lock; for fast I/O and FsFilter operations what is told.
    pub parameters: [u64; 4],
    /// The process that runs.
    pub process: u32,
    /// The thread that runs.
    pub thread: u32,
    /// When: a reading of the performance counter.
    pub at: i64,
    /// How it came back; `None` as long as it has not.
    pub back: Option<Return>,
}

/// By what a file is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// `FileName` of its file object; the directory in it, where that is opened (`SL_OPEN_TARGET_DIRECTORY`).
    pub name: Box<str>,
    /// The file object that this is relative to.
    pub related: u64,
    /// What the file system calls that one.
    pub related_name: Option<Box<str>>,
}

/// Asks the file system what it calls a file, by a live file object.
pub type Namer = unsafe fn(*mut FILE_OBJECT) -> Option<Box<str>>;

/// How something came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// When: a reading of the performance counter.
    pub at: i64,
    /// The status.
    pub status: NTSTATUS,
    /// `IoStatus.Information`.
    pub information: u64,
    /// The location was marked pending.
    pub pended: bool,
    /// The IRQL of the completion.
    pub irql: u8,
    /// Fast I/O that was declined.
    pub declined: bool,
}

/// Names an arrival until it comes back.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(usize);

static ON: AtomicBool = AtomicBool::new(false);

static BOOK: Mutex<Book> = Mutex::new(Book {
    first: 0,
    arrivals: Vec::new(),
    below: None,
    names: None,
    namer: None,
});

struct Book {
    /// The ticket of the first arrival in the book.
    first: usize,
    arrivals: Vec<Arrival>,
    /// Requests that have not come back, by their addresses and locations.
    below: Option<HashMap<(usize, i8), Ticket>>,
    /// Names of devices by their addresses: storage devices and control devices of file systems stay.
    names: Option<HashMap<usize, Arc<str>>>,
    /// Who knows names of files.
    namer: Option<Namer>,
}

fn book() -> MutexGuard<'static, Book> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes what arrives from now on.
pub fn begin() {
    drop(take());
    ON.store(true, Ordering::SeqCst);
}

/// As [`begin`], with the names of files as `namer` knows them.
pub fn begin_with_names(namer: Namer) {
    book().namer = Some(namer);
    begin();
}

/// Takes all that has arrived so far, in its order; what comes back after this is not noted.
fn take_all() -> Vec<Arrival> {
    let mut book = book();
    book.below = None;
    book.first += book.arrivals.len();
    std::mem::take(&mut book.arrivals)
}

/// Takes what has arrived so far, in its order, without what was sent directly; what comes back after this is
/// not noted.
pub fn take() -> Vec<Arrival> {
    let mut arrivals = take_all();
    arrivals.retain(|arrival| !arrival.direct);
    arrivals
}

/// Takes what has arrived, and notes nothing more.
pub fn end() -> Vec<Arrival> {
    let mut arrivals = end_with_direct();
    arrivals.retain(|arrival| !arrival.direct);
    arrivals
}

/// As [`end`], with what was sent directly.
pub fn end_with_direct() -> Vec<Arrival> {
    ON.store(false, Ordering::SeqCst);
    let arrivals = take_all();
    book().namer = None;
    arrivals
}

impl Book {
    fn add(&mut self, arrival: Arrival) -> Ticket {
        self.arrivals.push(arrival);
        Ticket(self.first + self.arrivals.len() - 1)
    }

    fn come_back(&mut self, Ticket(number): Ticket, back: Return) {
        let place = number.checked_sub(self.first);
        if let Some(arrival) = place.and_then(|place| self.arrivals.get_mut(place)) {
            arrival.back = Some(back);
        }
    }

    /// # Safety
    /// `device` is alive.
    unsafe fn name(&mut self, device: *mut DEVICE_OBJECT) -> Arc<str> {
        // SAFETY: contract; a volume device keeps its VPB, and that its storage device.
        let named = unsafe {
            let vpb = (*(*device).DeviceObjectExtension).Vpb;
            if vpb.is_null() || (*vpb).RealDevice.is_null() {
                device
            } else {
                (*vpb).RealDevice
            }
        };
        let names = self.names.get_or_insert_default();
        let name = names.entry(named as usize).or_insert_with(|| {
            // SAFETY: alive, as the device above it.
            let name = unsafe { object::name_of(named.cast()) };
            name.unwrap_or_default().into()
        });
        Arc::clone(name)
    }
}

/// # Safety
/// `device` is alive.
unsafe fn is_below(device: *mut DEVICE_OBJECT) -> bool {
    // SAFETY: contract.
    !unsafe { attachment::attached(device) }.is_null()
}

/// What the file system calls a file.
///
/// # Safety
/// `file` is null, or alive.
unsafe fn called(file: *mut FILE_OBJECT) -> Option<Box<str>> {
    let namer = book().namer?;
    // SAFETY: contract.
    (!file.is_null()).then(|| unsafe { namer(file) }).flatten()
}

/// # Safety
/// `file` is null, or alive.
unsafe fn arrival(asked: Asked, file: *mut FILE_OBJECT) -> Arrival {
    let thread = thread::current();
    // SAFETY: contract.
    let flags = unsafe { file.as_ref() }.map_or(0, |file| file.Flags);
    Arrival {
        asked,
        device: Arc::default(),
        file: file as u64,
        // SAFETY: contract.
        name: unsafe { called(file) },
        opened: None,
        direct: false,
        irql: irql::current(),
        within: !top_level::current().is_null(),
        waited_for_by_a_program: false,
        open_file: flags & (FO_CLEANUP_COMPLETE | FO_STREAM_FILE | FO_VOLUME_OPEN) == 0,
        parameters: [0; 4],
        process: thread.owner().id(),
        thread: thread.id(),
        at: counter::performance_counter(),
        back: None,
    }
}

/// A request is about to enter the dispatch routine of `device`'s driver with location `number`.
///
/// # Safety
/// `device` and `irp` are alive, and the location is filled in.
pub(super) unsafe fn request_arrives(device: *mut DEVICE_OBJECT, irp: *mut IRP, number: i8) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: contract.
    unsafe {
        if !is_below(device) {
            return;
        }
        let location = &*irp.location(number);
        let asked = Asked::Request {
            major: location.MajorFunction,
            minor: location.MinorFunction,
            flags: (*irp).Flags,
        };
        // The file system has locks of its own: it is asked before the book is opened.
        let file = location.FileObject.as_ref().map_or(0, |file| file.Flags);
        let waited_for = file & FO_SYNCHRONOUS_IO != 0 || (*irp).Flags & IRP_SYNCHRONOUS_API != 0;
        let waited_for_by_a_program = (*irp).RequestorMode != 0 && waited_for;
        let arrival = Arrival {
            waited_for_by_a_program,
            opened: opened(location),
            parameters: parameters(location),
            direct: number >= (*irp).StackCount,
            ..arrival(asked, location.FileObject)
        };
        let mut book = book();
        let below = book.below.get_or_insert_default();
        // A driver that skips its location sends the request on in the same one.
        if below.contains_key(&(irp as usize, number)) {
            return;
        }
        let device = book.name(device);
        let arrival = Arrival { device, ..arrival };
        let ticket = book.add(arrival);
        let below = book.below.get_or_insert_default();
        below.insert((irp as usize, number), ticket);
    }
}

/// Completion goes past location `number`, whose `control` flags those are.
///
/// # Safety
/// `irp` is the caller's, who completes it.
pub(super) unsafe fn request_comes_back(irp: *mut IRP, number: i8, control: u8) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    let mut book = book();
    let below = book.below.get_or_insert_default();
    let Some(ticket) = below.remove(&(irp as usize, number)) else {
        return;
    };
    // SAFETY: contract; an integer whatever the union holds.
    let (status, information) = unsafe {
        (
            (*irp).IoStatus.Anonymous.Status,
            (*irp).IoStatus.Information,
        )
    };
    book.come_back(
        ticket,
        Return {
            at: counter::performance_counter(),
            status,
            information: information as u64,
            pended: control & control::PENDING_RETURNED != 0,
            irql: irql::current(),
            declined: false,
        },
    );
}

/// The entry of that name was called for `device`, if anybody wants to know.
///
/// # Safety
/// `device` is alive, and so is `file` unless it is null.
pub unsafe fn fast_io_arrives(
    entry: &'static str,
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
    parameters: [u64; 4],
) -> Option<Ticket> {
    // SAFETY: contract.
    unsafe { call_arrives(Asked::FastIo(entry), device, file, parameters) }
}

/// The FsFilter operation with that code has come to `device`, if anybody wants to know.
///
/// # Safety
/// As [`fast_io_arrives`].
pub(super) unsafe fn filter_operation_arrives(
    code: u8,
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
    parameters: [u64; 4],
) -> Option<Ticket> {
    // SAFETY: contract.
    unsafe { call_arrives(Asked::FsFilter(code), device, file, parameters) }
}

/// # Safety
/// As [`fast_io_arrives`].
unsafe fn call_arrives(
    asked: Asked,
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
    parameters: [u64; 4],
) -> Option<Ticket> {
    // SAFETY: contract.
    if !ON.load(Ordering::Relaxed) || !unsafe { is_below(device) } {
        return None;
    }
    // SAFETY: contract.
    let arrival = unsafe { arrival(asked, file) };
    let mut book = book();
    // SAFETY: contract.
    let device = unsafe { book.name(device) };
    Some(book.add(Arrival {
        device,
        parameters,
        ..arrival
    }))
}

/// A call of fast I/O or an FsFilter operation returns; `None`: it was declined.
pub fn fast_io_returns(ticket: Option<Ticket>, result: Option<(NTSTATUS, usize)>) {
    let Some(ticket) = ticket else { return };
    let (status, information) = result.unwrap_or_default();
    let back = Return {
        at: counter::performance_counter(),
        status,
        information: information as u64,
        pended: false,
        irql: irql::current(),
        declined: result.is_none(),
    };
    book().come_back(ticket, back);
}

/// # Safety
/// The location of a live request, filled in.
unsafe fn parameters(location: &IO_STACK_LOCATION) -> [u64; 4] {
    // SAFETY: contract; the members begin at the words of this one, and the function code selects those
    // that are followed.
    unsafe {
        let others = location.Parameters.Others;
        let mut words = [
            others.Argument1 as u64,
            others.Argument2 as u64,
            others.Argument3 as u64,
            others.Argument4 as u64,
        ];
        match (
            u32::from(location.MajorFunction),
            u32::from(location.MinorFunction),
        ) {
            (IRP_MJ_CREATE, _) => {
                let context = location.Parameters.Create.SecurityContext.as_ref();
                words[0] = context.map_or(0, |context| context.DesiredAccess.into());
            }
            (IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK | IRP_MN_UNLOCK_SINGLE) => {
                let length = location.Parameters.LockControl.Length.as_ref();
                words[0] = length.map_or(0, |length| length.cast_unsigned());
            }
            _ => {}
        }
        words
    }
}

/// # Safety
/// The location of a live request, filled in.
unsafe fn opened(location: &IO_STACK_LOCATION) -> Option<Opened> {
    if u32::from(location.MajorFunction) != IRP_MJ_CREATE {
        return None;
    }
    // SAFETY: contract; a create carries its file object.
    let file = unsafe { location.FileObject.as_ref() }?;
    // SAFETY: contract.
    let mut name = unsafe { file_name::of(location.FileObject) };
    if u32::from(location.Flags) & SL_OPEN_TARGET_DIRECTORY != 0 {
        let last = name.rfind('\\').map(|last| last.max(1));
        name.truncate(last.unwrap_or(0));
    }
    Some(Opened {
        name: name.into(),
        related: file.RelatedFileObject as u64,
        // SAFETY: the create keeps the file object that it is relative to.
        related_name: unsafe { called(file.RelatedFileObject) },
    })
}
