//! A request that is driven through the stack by hand: the same one again and
//! again, so that what is measured is the way through the drivers and nothing
//! else, or a new one each time, as the I/O manager makes them.

#![expect(unsafe_code, reason = "a request is driven through the stack by hand")]

use super::count::{self, Work};
use super::{Extent, Measured, Stack, measure, measure_switched};
use crate::io_manager::{call, irp};
use crate::nt::irp::{control, size_of_irp};
use crate::nt::routines::DriverRoutines;
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, IO_STATUS_BLOCK, IRP, IRP_MJ_READ, IrpExt, NTSTATUS,
    STATUS_MORE_PROCESSING_REQUIRED,
};
use crate::pe_image::Image;
use crate::processor::driver_code::entering;
use crate::user::access::READ;
use crate::user::{CreateParameters, File, create_file};
use crate::workload::worker::synchronous;
use anyhow::anyhow;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

/// A request of the measurement's own, with one location more than the stack needs: that one
/// is the originator's, as when a driver allocates a request.
struct Driven {
    request: *mut IRP,
    file: *mut FILE_OBJECT,
    devices: Vec<*mut DEVICE_OBJECT>,
}

// SAFETY: the request is this value's alone; the open file keeps itself and its devices.
unsafe impl Send for Driven {}

impl Driven {
    fn new(file: &File) -> anyhow::Result<Self> {
        let stack = Stack::of(file)?;
        let Some(top) = stack.devices.last() else {
            return Err(anyhow!("the file has no device"));
        };
        // SAFETY: the open file keeps its devices.
        let needed = unsafe { (**top).StackSize };
        Ok(Self {
            request: irp::allocate(needed + 1),
            file: stack.file,
            devices: stack.devices,
        })
    }

    /// Once down to `level` of the stack and back.
    fn drive(&mut self, level: usize) {
        let Some(device) = self.devices.get(level) else {
            return;
        };
        // SAFETY: the request is this value's, and not in flight: its completion is stopped.
        unsafe { irp::reuse(self.request, 0, 0) };
        // SAFETY: as above, with a location more than the stack of the device needs.
        unsafe { send(self.request, *device, self.file) };
    }
}

/// # Safety
/// The request is the caller's, not in flight, and has a location more than `device` needs.
unsafe fn send(request: *mut IRP, device: *mut DEVICE_OBJECT, file: *mut FILE_OBJECT) {
    // SAFETY: contract.
    unsafe { irp::advance(request) };
    // SAFETY: there is a location below the originator's own.
    let next = unsafe { request.next_location() };
    // SAFETY: as above; nobody else has the request.
    let location = unsafe { &mut *next };
    location.MajorFunction = IRP_MJ_READ as u8;
    location.FileObject = file;
    location.Parameters.Read = ReadWrite::default();
    let stop: unsafe extern "win64" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS =
        stop;
    // SAFETY: as above; the routine needs no context.
    unsafe { irp::set_completion_routine(request, Some(stop), std::ptr::null_mut(), ALWAYS) };
    // SAFETY: a complete request for a device whose stack fits.
    unsafe { call::call_driver(device, request, 0) };
}

impl Driven {
    /// A read by fast I/O at `level` of the stack, as the I/O manager asks for one: whether it was taken.
    fn read_fast(&mut self, level: usize) -> bool {
        let Some(device) = self.devices.get(level) else {
            return false;
        };
        let (mut offset, mut result) = (0, IO_STATUS_BLOCK::default());
        // SAFETY: the open file keeps its devices.
        let driver = unsafe { (**device).DriverObject };
        // SAFETY: a device keeps its driver.
        let table = unsafe { (*driver).fast_io() };
        // SAFETY: the table of a driver, or none.
        let entry = unsafe { table.as_ref() }.and_then(|table| table.FastIoRead);
        let Some(read) = entry else { return false };
        let (offset, result) = (&raw mut offset, &raw mut result);
        // SAFETY: the open file keeps itself and its devices; what is passed outlives the call.
        unsafe { entering(read)(self.file, offset, 0, 1, 0, null_mut(), result, *device) != 0 }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // SAFETY: not in flight: its completion was stopped each time.
        unsafe { irp::free(self.request, 0) };
    }
}

/// All three invoke flags.
const ALWAYS: u8 =
    control::INVOKE_ON_SUCCESS | control::INVOKE_ON_ERROR | control::INVOKE_ON_CANCEL;

/// The originator takes its request back.
unsafe extern "win64" fn stop(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}

fn open(path: &str) -> anyhow::Result<File> {
    let opened = create_file(
        &CreateParameters::new(path)
            .access(READ)
            .options(synchronous(0)),
    );
    opened
        .file
        .ok_or_else(|| anyhow!("{path}: {}", opened.outcome.status()))
}

/// The time that one synchronous request takes at each level. `path` is opened on a volume whose
/// file system completes at once.
///
/// # Errors
/// The file cannot be opened.
pub fn pass_through(path: &str, extent: Extent) -> anyhow::Result<Measured> {
    let file = open(path)?;
    let levels = Stack::of(&file)?.devices.len();
    measure(
        "request driven by hand (IRP)",
        extent,
        levels,
        || Driven::new(&file),
        |driven, level, count| {
            for _ in 0..count {
                driven.drive(level);
            }
        },
    )
}

/// The time that such a request takes on the bare stack, and through all drivers in each of `modes`, which
/// `switch` brings about; 0 is the bare stack. No mode lasts for more than `slice` requests of a thread at a time.
/// With it goes how many requests there were in each mode, those that nobody measured included.
///
/// # Errors
/// As [`pass_through`].
pub fn in_modes(
    path: &str,
    extent: Extent,
    slice: u64,
    modes: usize,
    switch: impl Fn(usize) + Sync,
) -> anyhow::Result<(Measured, u64)> {
    let driven_in_first = AtomicU64::new(0);
    let file = open(path)?;
    let top = Stack::of(&file)?.devices.len() - 1;
    let measured = measure_switched(
        "request driven by hand (IRP)",
        extent,
        slice,
        modes + 1,
        || Driven::new(&file),
        &switch,
        |driven, mode, count| {
            let level = if mode == 0 { 0 } else { top };
            if mode == 1 {
                driven_in_first.fetch_add(count, Ordering::Relaxed);
            }
            for _ in 0..count {
                driven.drive(level);
            }
        },
    )?;
    // Before the file is closed, which is nothing that was measured.
    switch(0);
    Ok((measured, driven_in_first.into_inner()))
}

/// The time that a read by fast I/O takes at each level, called as the I/O manager does. `path` as for
/// [`pass_through`].
///
/// # Errors
/// As [`pass_through`].
pub fn fast_io(path: &str, extent: Extent) -> anyhow::Result<Measured> {
    let file = open(path)?;
    let levels = Stack::of(&file)?.devices.len();
    measure(
        "read driven by hand (fast I/O)",
        extent,
        levels,
        || Driven::new(&file),
        |driven, level, count| {
            for _ in 0..count {
                driven.read_fast(level);
            }
        },
    )
}

/// The time of one request at each level that is allocated for it and freed behind it: what the
/// verifier adds shows here. `path` as for [`pass_through`].
///
/// # Errors
/// As [`pass_through`].
pub fn new_requests(path: &str, extent: Extent) -> anyhow::Result<Measured> {
    let file = open(path)?;
    let levels = Stack::of(&file)?.devices.len();
    measure(
        "request allocated, driven by hand, freed (IRP)",
        extent,
        levels,
        || {
            let stack = Stack::of(&file)?;
            Ok((
                stack.file as usize,
                stack
                    .devices
                    .iter()
                    .map(|device| *device as usize)
                    .collect(),
            ))
        },
        |(file, devices): &mut (usize, Vec<usize>), level, count| {
            let (file, device) = (
                *file as *mut FILE_OBJECT,
                devices[level] as *mut DEVICE_OBJECT,
            );
            // SAFETY: the open file keeps its devices.
            let locations = unsafe { (*device).StackSize } + 1;
            for _ in 0..count {
                let request = irp::allocate(locations);
                // SAFETY: new, and with a location more than the device needs.
                unsafe { send(request, device, file) };
                // SAFETY: not in flight: its completion was stopped.
                unsafe { irp::free(request, 0) };
            }
        },
    )
}

/// What each driver does for one such request, the uppermost driver first.
///
/// # Errors
/// As [`pass_through`], and on hosts that cannot single-step.
pub fn work(path: &str) -> anyhow::Result<Vec<(&'static Image, Work)>> {
    let file = open(path)?;
    let mut driven = Driven::new(&file)?;
    let top = driven.devices.len() - 1;
    // The first request of a driver may set something up.
    driven.drive(top);
    let start = driven.request as usize;
    // SAFETY: the request is alive.
    let end = start + size_of_irp(unsafe { (*driven.request).StackCount });
    count::of_each_driver(&(start..end), || driven.drive(top))
}

/// What each driver does for a read by fast I/O, the uppermost driver first.
///
/// # Errors
/// As [`work`], and if the read is not taken.
pub fn fast_io_work(path: &str) -> anyhow::Result<Vec<(&'static Image, Work)>> {
    let file = open(path)?;
    let mut driven = Driven::new(&file)?;
    let top = driven.devices.len() - 1;
    let mut taken = driven.read_fast(top);
    let work = count::of_each_driver(&(0..0), || taken &= driven.read_fast(top))?;
    anyhow::ensure!(taken, "a driver of the stack takes no read by fast I/O");
    Ok(work)
}
