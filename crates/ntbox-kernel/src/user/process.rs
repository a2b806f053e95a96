//! Processes of programs: created, run and ended, while drivers are told of it.
//!
//! A process begins in a thread of the one that creates it, and ends in its own last thread; so do its threads. Image
//! notify routines are called in the new process, before its program runs. All of them are called at PASSIVE_LEVEL
//! inside a critical region. DDI: `PCREATE_PROCESS_NOTIFY_ROUTINE(_EX)`, `PCREATE_THREAD_NOTIFY_ROUTINE`,
//! `PLOAD_IMAGE_NOTIFY_ROUTINE`.
//!
//! The object of a process goes with its last reference, of which the system has one until it has ended.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "routines of drivers are called by address, with structures that they know"
)]

use crate::io_manager::{checks, file_name, identity, program_memory};
use crate::nt::unicode::OwnedUnicodeString;
use crate::nt::{FILE_OBJECT, HANDLE, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};
use crate::nt::{PASSIVE_LEVEL, UNICODE_STRING};
use crate::pool;
use crate::processor::driver_code::entering;
use crate::processor::notify::{Occasion, each};
use crate::processor::process::{self, Process};
use crate::processor::thread::{self, Regions, enter_critical_region, leave_critical_region};
use crate::processor::{handle, irql, lifetime, object};
use crate::verifier::rules;
use std::ffi::c_void;
use std::ptr::null_mut;

type ProcessRoutine = unsafe extern "win64" fn(HANDLE, HANDLE, u8);
type ProcessRoutineEx = unsafe extern "win64" fn(*mut c_void, HANDLE, *mut CreateInfo);
type ThreadRoutine = unsafe extern "win64" fn(HANDLE, HANDLE, u8);
type ImageRoutine = unsafe extern "win64" fn(*const UNICODE_STRING, HANDLE, *mut ImageInfo);

/// `PS_CREATE_NOTIFY_INFO`.
#[repr(C)]
struct CreateInfo {
    size: usize,
    /// Bit 0: `FileOpenNameAvailable`.
    flags: u32,
    parent: HANDLE,
    creating_process: HANDLE,
    creating_thread: HANDLE,
    file: *mut FILE_OBJECT,
    image_file_name: *const UNICODE_STRING,
    command_line: *const UNICODE_STRING,
    creation_status: NTSTATUS,
}

/// `IMAGE_INFO`.
#[repr(C)]
struct ImageInfo {
    /// Bits 0 to 7: `ImageAddressingMode`; bit 10: `ExtendedInfoPresent`.
    properties: u32,
    base: *mut c_void,
    selector: u32,
    size: usize,
    section: u32,
}

/// `IMAGE_INFO_EX`.
#[repr(C)]
struct ExtendedImageInfo {
    size: usize,
    info: ImageInfo,
    file: *mut FILE_OBJECT,
}

/// `IMAGE_ADDRESSING_MODE_32BIT`, which all images have, and `ExtendedInfoPresent`.
const IMAGE_PROPERTIES: u32 = 3 | 1 << 10;
/// Bytes of the image of a program: its header, of which there is no more than the signature.
const IMAGE_BYTES: usize = 4096;

fn id(value: u32) -> HANDLE {
    std::ptr::without_provenance_mut(value as usize)
}

/// Calls a routine of a driver, and reports what it changes of the thread.
fn call(which: &'static str, routine: usize, call: impl FnOnce()) {
    enter_critical_region();
    let regions = Regions::current();
    call();
    let level = irql::current();
    if level != PASSIVE_LEVEL {
        checks::report(
            &rules::IRQL_CHANGED_BY_COMPLETION,
            format!("the {which} was called at IRQL 0 and returned at IRQL {level}"),
            null_mut(),
            vec![(which, routine)],
        );
        irql::restore(PASSIVE_LEVEL);
    }
    checks::same_regions(regions, which, routine, null_mut());
    leave_critical_region();
}

/// What it is called with, of a registered routine.
///
/// # Safety
/// `routine` was registered as one of this type.
unsafe fn routine<F: Copy>(routine: usize) -> F {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    // SAFETY: contract: a pointer to a function.
    let function = unsafe { std::mem::transmute_copy::<usize, F>(&routine) };
    entering(function)
}

/// What is created.
struct New {
    process: &'static Process,
    parent: u32,
    file: *mut FILE_OBJECT,
    /// As the program has it.
    name: OwnedUnicodeString,
    /// With the device.
    full_name: OwnedUnicodeString,
}

// SAFETY: the file object is referenced, and the process lives as long as its object.
unsafe impl Send for New {}

impl New {
    /// The process begins, in the thread that creates it.
    fn tell_begin(&self) -> NTSTATUS {
        let name = self.name.as_unicode();
        let mut info = CreateInfo {
            size: size_of::<CreateInfo>(),
            flags: 1,
            parent: id(self.parent),
            creating_process: id(self.parent),
            creating_thread: id(thread::current().id()),
            file: self.file,
            image_file_name: &raw const name,
            command_line: &raw const name,
            creation_status: STATUS_SUCCESS,
        };
        self.tell_old(true);
        each(Occasion::ProcessEx, |address| {
            // SAFETY: a routine of the driver that registered it, with its documented arguments.
            call("process notify routine", address, || unsafe {
                let routine: ProcessRoutineEx = routine(address);
                routine(self.process.object(), id(self.process.id()), &raw mut info);
            });
        });
        info.creation_status
    }

    /// Routines that are told of both.
    fn tell_old(&self, begins: bool) {
        each(Occasion::Process, |address| {
            // SAFETY: as above.
            call("process notify routine", address, || unsafe {
                let routine: ProcessRoutine = routine(address);
                routine(id(self.parent), id(self.process.id()), begins.into());
            });
        });
    }

    /// The process ends, in its last thread.
    fn tell_end(&self) {
        self.tell_old(false);
        each(Occasion::ProcessEx, |address| {
            // SAFETY: as above.
            call("process notify routine", address, || unsafe {
                let routine: ProcessRoutineEx = routine(address);
                routine(self.process.object(), id(self.process.id()), null_mut());
            });
        });
    }

    fn tell_thread(&self, thread: u32, begins: bool) {
        each(Occasion::Thread, |address| {
            // SAFETY: as above.
            call("thread notify routine", address, || unsafe {
                let routine: ThreadRoutine = routine(address);
                routine(id(self.process.id()), id(thread), begins.into());
            });
        });
    }

    /// The image of the program is mapped, in the new process.
    fn tell_image(&self) {
        let base = pool::allocate_for_box_as(IMAGE_BYTES, "the image of a program");
        let _known = program_memory::know(base.addr(), IMAGE_BYTES);
        // SAFETY: new, and large enough.
        unsafe { base.cast::<[u8; 2]>().write(*b"MZ") };
        let name = self.full_name.as_unicode();
        let mut info = ExtendedImageInfo {
            size: size_of::<ExtendedImageInfo>(),
            info: ImageInfo {
                properties: IMAGE_PROPERTIES,
                base,
                selector: 0,
                size: IMAGE_BYTES,
                section: 0,
            },
            file: self.file,
        };
        each(Occasion::Image, |address| {
            // SAFETY: as above.
            call("image notify routine", address, || unsafe {
                let routine: ImageRoutine = routine(address);
                routine(&raw const name, id(self.process.id()), &raw mut info.info);
            });
        });
        // SAFETY: allocated above; the image is unmapped, as far as drivers may know.
        unsafe { pool::free_for_box(base) };
    }
}

/// Creates a process of the program in the open file `image`, which is called `name`; it does `body` and ends.
///
/// # Errors
/// What a driver refuses it with, and `STATUS_INSUFFICIENT_RESOURCES` if the host has no more threads.
pub fn run<R: Send + 'static>(
    image: HANDLE,
    name: &str,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, NTSTATUS> {
    let file: *mut FILE_OBJECT = handle::object_of_handle(image)?.cast();
    // SAFETY: an open handle's object is alive.
    unsafe { lifetime::reference(file.cast()) };
    let short = name.rsplit('\\').next().unwrap_or(name);
    let process = process::create(short);
    let new = New {
        process,
        parent: thread::current().owner().id(),
        file,
        name: OwnedUnicodeString::new(name),
        // SAFETY: referenced above.
        full_name: OwnedUnicodeString::new(&unsafe { full_name(file) }),
    };
    let result = match new.tell_begin() {
        status if status < 0 => Err(status),
        _ => run_in(new, body),
    };
    process.end();
    // SAFETY: the reference of the creation.
    unsafe { lifetime::dereference(process.object()) };
    // SAFETY: referenced above.
    unsafe { lifetime::dereference(file.cast()) };
    result
}

/// The only thread of a new process.
fn run_in<R: Send + 'static>(
    new: New,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, NTSTATUS> {
    let place = identity::place();
    let process = new.process;
    let (tell, told) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<New>();
    let started = thread::start("a program's process", process, move || {
        // An error of either channel means that the creator is gone, which waits for this thread.
        let _ = tell.send((thread::current().id(), None));
        let Ok(new) = may_go.recv() else { return };
        identity::continue_from(place);
        new.tell_image();
        let result = body();
        let here = thread::current().id();
        new.tell_thread(here, false);
        new.tell_end();
        let _ = tell.send((here, Some((result, identity::place()))));
    });
    let Ok(started) = started else {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    };
    let mut result = Err(STATUS_INSUFFICIENT_RESOURCES);
    if let Ok((thread, _)) = told.recv() {
        new.tell_thread(thread, true);
        let _ = go.send(new);
        if let Ok((_, Some((value, place)))) = told.recv() {
            identity::continue_from(place);
            result = Ok(value);
        }
    }
    // A panic of it has been reported by its own thread.
    let _ = started.join();
    result
}

/// The name of the file with that of its device.
///
/// # Safety
/// `file` is alive.
unsafe fn full_name(file: *mut FILE_OBJECT) -> String {
    // SAFETY: contract.
    let device = unsafe { (*file).DeviceObject };
    // SAFETY: a file object keeps its device.
    let device = unsafe { object::name_of(device.cast()) }.unwrap_or_default();
    // SAFETY: contract.
    device + &unsafe { file_name::of(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_laid_out_as_drivers_know_them() {
        assert_eq!(size_of::<CreateInfo>(), 0x48);
        assert_eq!(std::mem::offset_of!(CreateInfo, file), 0x28);
        assert_eq!(std::mem::offset_of!(CreateInfo, creation_status), 0x40);
        assert_eq!(size_of::<ImageInfo>(), 0x28);
        assert_eq!(std::mem::offset_of!(ExtendedImageInfo, info), 8);
    }
}
