//! Requests of this driver's own: allocated here, freed in their completion routine (C8 c).
//!
//! The routine notes the answer, frees the request and wakes the thread that
//! waits; STATUS_MORE_PROCESSING_REQUIRED keeps the I/O manager from touching
//! what is gone. There is no stack location of this driver in such a request,
//! so nothing is propagated. It is of the thread that asks (O4).
//!
//! Wraps `IoAllocateIrp` and `IoFreeIrp`.

#![expect(unsafe_code, reason = "the IRP is the I/O manager's structure")]

use super::completed::ReturnedIrp;
use super::file_object::FileObject;
use super::major::Major;
use super::raw::{self, Context};
use super::request::Irp;
use crate::device::{DeviceObject, FilterDevice};
use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irql::Passive;
use crate::pool::NonPagedSlice;
use crate::slot::DRIVER;
use crate::status::Status;
use crate::sync::Event;
use crate::unicode::UnicodeStr;
use wdk_sys::{
    FILE_INFORMATION_CLASS, IO_STACK_LOCATION, IRP_MJ_DEVICE_CONTROL, IRP_MJ_QUERY_INFORMATION,
    IRP_SYNCHRONOUS_API, NTSTATUS, PDEVICE_OBJECT, PETHREAD, PIRP, ntddk,
};

/// A control code of METHOD_BUFFERED that takes no input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Question(u32);

impl Question {
    /// IOCTL_DISK_IS_WRITABLE: STATUS_MEDIA_WRITE_PROTECTED where it is not.
    pub const IS_WRITABLE: Self = Self(0x0007_0024);
}

/// What the completion routine leaves for the thread that waits, in that thread's frame.
struct Answer {
    done: Event,
    status: Status,
}

/// Asks the stack of a storage device a question that has no answer but its status, and waits. For a driver that
/// runs: the answer wakes the thread before its completion routine has returned, for which DriverUnload waits and a
/// DriverEntry that fails does not (A12).
///
/// Errors: that status; STATUS_INSUFFICIENT_RESOURCES if the request was not sent, and
/// STATUS_INVALID_DEVICE_REQUEST for another device: a file system looks at the file object of each request,
/// and this one has none.
///
/// Rests on IoAllocateIrp: "The IoAllocateIrp routine allocates an IRP, given the number of I/O stack locations
/// for each driver layered under the caller, and, optionally, for the caller."
/// Rests on IoFreeIrp: "The IoFreeIrp routine releases a caller-allocated IRP from the caller's IoCompletion
/// routine."
///
#[doc = example!("own.rs")]
pub fn ask<F: Keeps>(
    _driver: &Driver<F>,
    device: &DeviceObject,
    question: Question,
    level: &mut Passive,
) -> Result<(), Status> {
    if !device.is_storage() {
        return Err(Status::INVALID_DEVICE_REQUEST);
    }
    let top = device.top_of_stack(level);
    let prepare = |_irp: PIRP, location: *mut IO_STACK_LOCATION| {
        // SAFETY: the location of a new request.
        unsafe { (*location).MajorFunction = IRP_MJ_DEVICE_CONTROL as u8 };
        // SAFETY: as above; only the place is computed.
        let parameters = unsafe { &raw mut (*location).Parameters.DeviceIoControl };
        // SAFETY: the member of this major function; the buffer lengths are zero in a new request.
        unsafe { (*parameters).IoControlCode = question.0 };
    };
    send(&top, prepare, level).into_result()
}

impl<F: Keeps> Irp<'_, F> {
    /// Asks the file system below what the file of this request is called (FileNameInformation): a path
    /// from the root of its volume. At a moment when the file system may be asked
    /// ([`super::is_within_file_system`]).
    ///
    /// Errors: the status of the file system; STATUS_INSUFFICIENT_RESOURCES if it was not asked, and
    /// STATUS_INVALID_DEVICE_REQUEST if there is no file that is open: in a create, a close, and
    /// requests for a volume.
    pub fn ask_name(&self, level: &mut Passive) -> Result<NonPagedSlice<u16>, Status> {
        // SAFETY: invariant of the type.
        let file = match unsafe { raw::major(self.raw) } {
            Major::CREATE | Major::CREATE_NAMED_PIPE | Major::CREATE_MAILSLOT | Major::CLOSE => {
                None
            }
            // SAFETY: invariant of the type.
            _ => unsafe { FileObject::of(self.raw) },
        };
        let file = file.ok_or(Status::INVALID_DEVICE_REQUEST)?;
        ask_name(self.lower(), &file, level)
    }
}

impl<F: Keeps> ReturnedIrp<'_, F> {
    /// As [`Irp::ask_name`], of the file that this IRP_MJ_CREATE has opened.
    ///
    /// Errors: as there; STATUS_INVALID_DEVICE_REQUEST for another request, and for one that has opened
    /// nothing.
    pub fn ask_opened_name(&self, level: &mut Passive) -> Result<NonPagedSlice<u16>, Status> {
        let status = self.came().status;
        // SAFETY: the request is this driver's again.
        let file = match unsafe { raw::major(self.raw()) } {
            Major::CREATE if status.is_success() && status != Status::REPARSE => {
                // SAFETY: as above.
                unsafe { FileObject::of(self.raw()) }
            }
            _ => None,
        };
        let file = file.ok_or(Status::INVALID_DEVICE_REQUEST)?;
        // SAFETY: a volume device stays while one of its files is open, and so does the filter device
        // above it (A9).
        let device = unsafe { FilterDevice::<F>::from_raw(self.device()) };
        // SAFETY: as above.
        let lower = unsafe { device.lower() };
        ask_name(lower, &file, level)
    }
}

/// [`Irp::ask_name`] of an open file on `lower`.
fn ask_name(
    lower: &DeviceObject,
    file: &FileObject<'_>,
    level: &mut Passive,
) -> Result<NonPagedSlice<u16>, Status> {
    /// Code units with which it is tried first; few names are longer.
    const TRIED: usize = 260;
    let mut room = TRIED;
    loop {
        // A length in bytes, and as many code units.
        let mut buffer = NonPagedSlice::<u32>::try_zeroed(1 + room.div_ceil(2))?;
        let bytes = size_of_val(&*buffer) as u32;
        let place: *mut u32 = buffer.as_mut_ptr();
        let prepare = |irp: PIRP, location: *mut IO_STACK_LOCATION| {
            // SAFETY: the location of a new request.
            unsafe { (*location).MajorFunction = IRP_MJ_QUERY_INFORMATION as u8 };
            // SAFETY: as above.
            unsafe { (*location).FileObject = file.raw() };
            // SAFETY: as above; only the place is computed.
            let parameters = unsafe { &raw mut (*location).Parameters.QueryFile };
            // SAFETY: the member of this major function.
            unsafe { (*parameters).Length = bytes };
            // SAFETY: as above.
            unsafe { (*parameters).FileInformationClass = FILE_NAME_INFORMATION };
            // SAFETY: a new request; only the place is computed.
            let system_buffer = unsafe { &raw mut (*irp).AssociatedIrp.SystemBuffer };
            // SAFETY: as above; the buffer outlives the request.
            unsafe { system_buffer.write(place.cast()) };
            // SAFETY: as above; only the place is computed.
            let overlay = unsafe { &raw mut (*irp).Tail.Overlay };
            // SAFETY: as above.
            unsafe { (*overlay).OriginalFileObject = file.raw() };
        };
        let status = send(lower, prepare, level);
        // SAFETY: the file system has written it, or it is zero.
        let bytes = unsafe { place.read_volatile() } as usize;
        let units = bytes / size_of::<u16>();
        if status == Status::BUFFER_OVERFLOW && units > room {
            room = units.min(UnicodeStr::MAXIMUM_LENGTH);
            if room == units {
                continue;
            }
        }
        status.into_result()?;
        // SAFETY: behind the length.
        let name: *const u16 = unsafe { place.add(1) }.cast_const().cast();
        return NonPagedSlice::try_from_fn(units.min(room), |at| {
            // SAFETY: within the buffer, which has room for so many.
            let unit = unsafe { name.add(at) };
            // SAFETY: as above; the file system has written it, or it is zero.
            Ok(unsafe { unit.read_volatile() })
        });
    }
}

// SAFETY: the routine that ntoskrnl.exe exports; the bindings lack it, because the header has it inline.
unsafe extern "C" {
    fn PsGetCurrentThread() -> PETHREAD;
}

/// FileNameInformation.
const FILE_NAME_INFORMATION: FILE_INFORMATION_CLASS = 9;

/// Sends a request that `prepare` fills in to `device`, waits, and frees it: its status;
/// STATUS_INSUFFICIENT_RESOURCES if it was not sent.
fn send(
    device: &DeviceObject,
    prepare: impl FnOnce(PIRP, *mut IO_STACK_LOCATION),
    level: &mut Passive,
) -> Status {
    // SAFETY: no precondition but the level.
    let irp = unsafe { ntddk::IoAllocateIrp(device.stack_size(), 0) };
    if irp.is_null() {
        return Status::INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the request is new; only the place is computed.
    let flags = unsafe { &raw mut (*irp).Flags };
    // A file system may as well use the thread that waits here.
    // SAFETY: as above.
    unsafe { flags.write(IRP_SYNCHRONOUS_API) };
    // SAFETY: the request is new; only the place is computed.
    let overlay = unsafe { &raw mut (*irp).Tail.Overlay };
    // SAFETY: no precondition.
    let thread = unsafe { PsGetCurrentThread() };
    // Drivers look whose request it is. Of one without a thread, IoGetRequestorProcess returns NULL, for
    // which not all of them are prepared.
    // SAFETY: as above.
    unsafe { (*overlay).Thread = thread };
    // SAFETY: the request is new, and has a location for the topmost device.
    let location = unsafe { raw::next_location(irp) };
    prepare(irp, location);
    let mut answer = Answer {
        done: Event::uninitialized(),
        status: Status::PENDING,
    };
    // SAFETY: the answer stays in this frame, which outlives the request.
    unsafe { answer.done.initialize(false, false) };
    let context = Context::new((&raw mut answer).cast());
    // SAFETY: `answered` takes the answer, which outlives the wait below.
    unsafe { raw::set_completion_routine(irp, answered, context) };
    DRIVER.will_wake();
    // SAFETY: the device is alive during the call; the routine takes the request back.
    let _status = unsafe { ntddk::IofCallDriver(device.raw(), irp) };
    // SAFETY: initialized above.
    unsafe { answer.done.wait(level) };
    // SAFETY: written by the routine before it signalled the event, and by nobody since.
    unsafe { (&raw const answer.status).read_volatile() }
}

/// The completion routine of this driver's own requests: the request is freed here, so completion
/// stops (C8 c).
///
/// # Safety
/// An IO_COMPLETION_ROUTINE of a request from [`ask`], whose context is its [`Answer`].
unsafe extern "C" fn answered(_no_device: PDEVICE_OBJECT, irp: PIRP, context: Context) -> NTSTATUS {
    // SAFETY: contract of the function.
    let answer: *mut Answer = unsafe { context.assume_init() }.cast();
    // SAFETY: contract of the function; the request is this driver's again.
    let status = unsafe { raw::status(irp) };
    // SAFETY: the waiter's frame stays until the event is set.
    let place = unsafe { &raw mut (*answer).status };
    // SAFETY: as above; the waiter reads it after the event.
    unsafe { place.write(status) };
    // SAFETY: allocated by `ask`, freed once, here.
    unsafe { ntddk::IoFreeIrp(irp) };
    // SAFETY: as above.
    let done = unsafe { &raw const (*answer).done };
    // SAFETY: initialized; the waiter may leave its frame from here on.
    unsafe { Event::set(done) };
    // The last thing: the waiter may have left the driver by now (A12).
    DRIVER.has_woken();
    Status::MORE_PROCESSING_REQUIRED.0
}
