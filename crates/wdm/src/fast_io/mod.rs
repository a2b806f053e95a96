//! The fast I/O table: 21 entries that pass the call through unchanged (F1).
//!
//! Each entry looks whether the lower driver has it, and whether the lower
//! driver's table is long enough to say so; otherwise the answer is FALSE, and
//! the I/O manager sends a request instead. On the control device the answer is
//! always FALSE (F2). FastIoDetachDevice goes nowhere: the device below is
//! about to be deleted, so this driver's is taken down (A9).
//!
//! The six obsolete entries that acquire and release for sections, the modified
//! page writer and the cache manager's flush never reach a filter; the FsFilter
//! callbacks stand for them (`crate::fs_filter`).
//!
//! Source: "Writing Fast I/O Routines" and FAST_IO_DISPATCH in the DDI reference.

#![expect(
    clippy::too_many_arguments,
    reason = "a call has the arguments of its entry"
)]
#![expect(
    unsafe_code,
    reason = "the entries are called by the I/O manager, and call the lower driver's"
)]

pub(crate) mod call;

use crate::device::{self, FilterDevice, Kind, kind_of};
use crate::driver::filter::Filter;
use crate::driver::stacks;
use crate::irp::{Came, raw};
use crate::irql::{AtMostApc, Passive};
use crate::slot::{DRIVER, Inside};
use core::mem::offset_of;
use wdk_sys::{
    BOOLEAN, DEVICE_OBJECT, FALSE, FAST_IO_DISPATCH, FILE_OBJECT, PCOMPRESSED_DATA_INFO,
    PDEVICE_OBJECT, PEPROCESS, PFILE_BASIC_INFORMATION, PFILE_NETWORK_OPEN_INFORMATION,
    PFILE_STANDARD_INFORMATION, PIO_STATUS_BLOCK, PIRP, PLARGE_INTEGER, PMDL, PVOID, ULONG,
};

pub use call::FastIoCall;

const NO: BOOLEAN = FALSE as BOOLEAN;

/// The table of the driver of `lower`, which may be null.
///
/// # Safety
/// `lower` is the device below a filter device of this driver, in which a call is.
unsafe fn table_of(lower: *mut DEVICE_OBJECT) -> *const FAST_IO_DISPATCH {
    // SAFETY: the lower device is alive while a call is in the one above it.
    let driver = unsafe { (*lower).DriverObject };
    // SAFETY: a driver object lives as long as its devices.
    unsafe { (*driver).FastIoDispatch }
}

/// Whether a table is there, and reaches to the end of the entry at `offset`. Asked for each call: what lies
/// below may get its table when it is attached to already.
///
/// # Safety
/// `table` is null or the table of a driver.
unsafe fn reaches(table: *const FAST_IO_DISPATCH, offset: usize) -> bool {
    // SAFETY: every table begins with its size in bytes.
    let bytes = unsafe { table.as_ref() }.map_or(0, |table| table.SizeOfFastIoDispatch);
    bytes as usize >= offset + size_of::<Option<unsafe extern "C" fn()>>()
}

/// Enters the driver for a call: `None` if that is over with FALSE, because it is for the control device (F2) or
/// the driver is being unloaded. A driver that stays counts nothing.
///
/// # Safety
/// `device` is a device of this driver that a call has reached.
#[inline(always)]
unsafe fn enter(device: PDEVICE_OBJECT) -> Option<Option<Inside>> {
    // SAFETY: contract of the function.
    match unsafe { kind_of(device) } {
        Kind::Control | Kind::Unfinished => None,
        Kind::Filter => Some(None),
        Kind::CountedFilter => DRIVER.enter().map(Some),
    }
}

/// A call is about to be passed on: what is kept of it if somebody wants to know of it.
#[inline(always)]
fn begins<F: Filter>(
    filter: &FilterDevice<F>,
    call: impl FnOnce() -> FastIoCall,
    level: &mut AtMostApc,
) -> Option<F::FastIo> {
    if !F::observes_fast_io(filter.driver()) {
        return None;
    }
    F::fast_io_begins(filter, call, level)
}

/// The entry of that name of the driver of `$lower`, if it has one.
macro_rules! entry {
    ($lower:ident, $entry:ident) => {{
        // SAFETY: a call is in the device above it.
        let table = unsafe { table_of($lower) };
        // SAFETY: the table of a driver.
        if unsafe { reaches(table, offset_of!(FAST_IO_DISPATCH, $entry)) } {
            // SAFETY: the table is long enough to hold the entry.
            unsafe { (*table).$entry }
        } else {
            None
        }
    }};
}

/// Offset and length of a call.
///
/// # Safety
/// `offset` is null or points to an integer.
unsafe fn transfer(offset: PLARGE_INTEGER, length: impl Into<u64>) -> [u64; 2] {
    // SAFETY: contract of the function.
    let Some(offset) = (unsafe { offset.as_ref() }) else {
        return [0, length.into()];
    };
    // SAFETY: a union of integers.
    [unsafe { offset.QuadPart }.cast_unsigned(), length.into()]
}

/// Offset and length of a lock.
///
/// # Safety
/// As [`transfer`], for both.
unsafe fn lock_range(offset: PLARGE_INTEGER, length: PLARGE_INTEGER) -> [u64; 2] {
    // SAFETY: contract of the function.
    let [length, _] = unsafe { transfer(length, 0_u32) };
    // SAFETY: contract of the function.
    unsafe { transfer(offset, length) }
}

/// Neither.
///
/// # Safety
/// None.
const unsafe fn no_numbers() -> [u64; 2] {
    [0, 0]
}

const NO_RESULT: PIO_STATUS_BLOCK = core::ptr::null_mut();

/// Defines the entries that pass a call with these arguments to the same entry below. Each has its place
/// among them, and says where its numbers and its result are.
///
/// What is seldom done with a call is out of line, in functions with the arguments of the entry: the way of
/// almost every call has no frame but for the arguments of the next one.
macro_rules! pass_through {
    ($($name:ident = $entry:ident #$place:literal ($file:ident: $file_type:ty $(, $argument:ident: $type:ty)*)
        numbers $numbers:ident($($number:ident),*) result $result:expr;)*) => { $(
        #[doc = concat!("`", stringify!($entry), "`.")]
        ///
        /// # Safety
        /// Called by the I/O manager, the cache manager or a driver above with a device of
        /// this driver and the arguments of that entry.
        unsafe extern "C" fn $name<F: Filter>(
            $file: $file_type,
            $($argument: $type,)*
            device: PDEVICE_OBJECT,
        ) -> BOOLEAN {
            /// # Safety
            /// As the entry, with the device below.
            #[inline(always)]
            unsafe fn down($file: $file_type, $($argument: $type,)* lower: PDEVICE_OBJECT) -> BOOLEAN {
                match entry!(lower, $entry) {
                    // SAFETY: the same arguments, for the device of the driver that has the entry.
                    Some(routine) => unsafe { routine($file, $($argument,)* lower) },
                    None => NO,
                }
            }

            /// A call that is observed, or one for a device of a driver that may be unloaded, or for the control
            /// device (F2).
            ///
            /// # Safety
            /// As the entry.
            #[cold]
            #[inline(never)]
            unsafe extern "C" fn seldom<F: Filter>(
                $file: $file_type,
                $($argument: $type,)*
                device: PDEVICE_OBJECT,
            ) -> BOOLEAN {
                // SAFETY: contract of the function.
                let Some(_inside) = (unsafe { enter(device) }) else {
                    return NO;
                };
                // SAFETY: contract of the function; a filter device, by its kind.
                let filter = unsafe { FilterDevice::<F>::from_raw(device) };
                // SAFETY: fast I/O is called at or below APC_LEVEL.
                let level = unsafe { AtMostApc::assumed() };
                let call = || FastIoCall {
                    entry: $place,
                    file: $file as u64,
                    // SAFETY: the arguments of the entry.
                    numbers: unsafe { $numbers($($number),*) },
                };
                let observation = begins(filter, call, level);
                // SAFETY: the call is in the device.
                let lower = unsafe { filter.lower() }.raw();
                // SAFETY: contract of the function.
                let answer = unsafe { down($file, $($argument,)* lower) };
                if let Some(observation) = observation {
                    // SAFETY: the status block of the call, if the entry has one.
                    let came = unsafe { Came::of_call(answer != NO, $result) };
                    F::fast_io_ends(filter.driver(), observation, &came, level);
                }
                answer
            }

            // SAFETY: contract of the function.
            if unsafe { kind_of(device) } == Kind::Filter {
                // SAFETY: contract of the function; a filter device, by its kind.
                let filter = unsafe { FilterDevice::<F>::from_raw(device) };
                if !F::observes_fast_io(filter.driver()) {
                    // SAFETY: the call is in the device.
                    let lower = unsafe { filter.lower() }.raw();
                    // SAFETY: contract of the function.
                    return unsafe { down($file, $($argument,)* lower) };
                }
            }
            // SAFETY: contract of the function.
            unsafe { seldom::<F>($file, $($argument,)* device) }
        }
    )* };
}

type File = *mut FILE_OBJECT;

pass_through! {
    // A file system that answers TRUE leaves the status block as it is: what lies there is of its sender's stack (O2).
    check_if_possible = FastIoCheckIfPossible #0 (file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN,
        key: ULONG, check_for_read: BOOLEAN, result: PIO_STATUS_BLOCK)
        numbers transfer(offset, length) result NO_RESULT;
    read = FastIoRead #1 (file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN, key: ULONG,
        buffer: PVOID, result: PIO_STATUS_BLOCK) numbers transfer(offset, length) result result;
    write = FastIoWrite #2 (file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN, key: ULONG,
        buffer: PVOID, result: PIO_STATUS_BLOCK) numbers transfer(offset, length) result result;
    query_basic_info = FastIoQueryBasicInfo #3 (file: File, wait: BOOLEAN, buffer: PFILE_BASIC_INFORMATION,
        result: PIO_STATUS_BLOCK) numbers no_numbers() result result;
    query_standard_info = FastIoQueryStandardInfo #4 (file: File, wait: BOOLEAN,
        buffer: PFILE_STANDARD_INFORMATION, result: PIO_STATUS_BLOCK) numbers no_numbers() result result;
    lock = FastIoLock #5 (file: File, offset: PLARGE_INTEGER, length: PLARGE_INTEGER, process: PEPROCESS,
        key: ULONG, fail_immediately: BOOLEAN, exclusive: BOOLEAN, result: PIO_STATUS_BLOCK)
        numbers lock_range(offset, length) result result;
    unlock_single = FastIoUnlockSingle #6 (file: File, offset: PLARGE_INTEGER, length: PLARGE_INTEGER,
        process: PEPROCESS, key: ULONG, result: PIO_STATUS_BLOCK)
        numbers lock_range(offset, length) result result;
    unlock_all = FastIoUnlockAll #7 (file: File, process: PEPROCESS, result: PIO_STATUS_BLOCK)
        numbers no_numbers() result result;
    unlock_all_by_key = FastIoUnlockAllByKey #8 (file: File, process: PVOID, key: ULONG,
        result: PIO_STATUS_BLOCK) numbers no_numbers() result result;
    device_control = FastIoDeviceControl #9 (file: File, wait: BOOLEAN, input: PVOID, input_length: ULONG,
        output: PVOID, output_length: ULONG, code: ULONG, result: PIO_STATUS_BLOCK)
        numbers control(code, output_length) result result;
    query_network_open_info = FastIoQueryNetworkOpenInfo #10 (file: File, wait: BOOLEAN,
        buffer: PFILE_NETWORK_OPEN_INFORMATION, result: PIO_STATUS_BLOCK)
        numbers no_numbers() result result;
    mdl_read = MdlRead #11 (file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG, chain: *mut PMDL,
        result: PIO_STATUS_BLOCK) numbers transfer(offset, length) result result;
    mdl_read_complete = MdlReadComplete #12 (file: File, chain: PMDL)
        numbers no_numbers() result NO_RESULT;
    prepare_mdl_write = PrepareMdlWrite #13 (file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        chain: *mut PMDL, result: PIO_STATUS_BLOCK) numbers transfer(offset, length) result result;
    mdl_write_complete = MdlWriteComplete #14 (file: File, offset: PLARGE_INTEGER, chain: PMDL)
        numbers no_numbers() result NO_RESULT;
    read_compressed = FastIoReadCompressed #15 (file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        buffer: PVOID, chain: *mut PMDL, result: PIO_STATUS_BLOCK, information: PCOMPRESSED_DATA_INFO,
        information_length: ULONG) numbers transfer(offset, length) result result;
    write_compressed = FastIoWriteCompressed #16 (file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        buffer: PVOID, chain: *mut PMDL, result: PIO_STATUS_BLOCK, information: PCOMPRESSED_DATA_INFO,
        information_length: ULONG) numbers transfer(offset, length) result result;
    mdl_read_complete_compressed = MdlReadCompleteCompressed #17 (file: File, chain: PMDL)
        numbers no_numbers() result NO_RESULT;
    mdl_write_complete_compressed = MdlWriteCompleteCompressed #18 (file: File, offset: PLARGE_INTEGER,
        chain: PMDL) numbers no_numbers() result NO_RESULT;
}

/// Code and output length of a control.
///
/// # Safety
/// None.
unsafe fn control(code: ULONG, length: ULONG) -> [u64; 2] {
    [code.into(), length.into()]
}

/// `FastIoQueryOpen`: carries a request whose stack location names the device that handles it,
/// so the lower device stands there during the call below.
///
/// # Safety
/// As for the other entries, with an IRP_MJ_CREATE request that is not sent.
unsafe extern "C" fn query_open<F: Filter>(
    irp: PIRP,
    information: PFILE_NETWORK_OPEN_INFORMATION,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    // SAFETY: contract of the function.
    let Some(_inside) = (unsafe { enter(device) }) else {
        return NO;
    };
    // SAFETY: a filter device, by its kind.
    let filter = unsafe { FilterDevice::<F>::from_raw(device) };
    // SAFETY: contract of the function.
    let location = unsafe { raw::current_location(irp) };
    // SAFETY: fast I/O is called at or below APC_LEVEL.
    let level = unsafe { AtMostApc::assumed() };
    let call = || FastIoCall {
        entry: 19,
        // SAFETY: the location is this driver's for the time of the call.
        file: unsafe { (*location).FileObject } as u64,
        numbers: [0, 0],
    };
    let observation = begins(filter, call, level);
    // SAFETY: the call is in the device.
    let lower = unsafe { filter.lower() }.raw();
    // SAFETY: the location is this driver's for the time of the call.
    unsafe { (*location).DeviceObject = lower };
    let answered = match entry!(lower, FastIoQueryOpen) {
        // SAFETY: the same arguments, for the device of the driver that has the entry.
        Some(routine) => unsafe { routine(irp, information, lower) },
        None => NO,
    };
    // SAFETY: as above; put back for the caller, whatever the answer.
    unsafe { (*location).DeviceObject = device };
    if let Some(observation) = observation {
        // SAFETY: there is no status block.
        let came = unsafe { Came::of_call(answered != NO, NO_RESULT) };
        F::fast_io_ends(filter.driver(), observation, &came, level);
    }
    answered
}

/// `FastIoDetachDevice`: the device below is being deleted. Detach, then delete, in that order,
/// only here and at unload (A9).
///
/// # Safety
/// Called by the I/O manager at PASSIVE_LEVEL with a device of this driver and the device below
/// it. No request is in either but the one whose handling deletes the device below.
unsafe extern "C" fn detach_device<F: Filter>(source: PDEVICE_OBJECT, _target: PDEVICE_OBJECT) {
    // SAFETY: contract of the function.
    let Some(_inside) = (unsafe { enter(source) }) else {
        // DriverUnload, where it has begun, has detached the device, and deletes it.
        return;
    };
    // SAFETY: contract of the function.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: a filter device, by its kind.
    let device = unsafe { FilterDevice::<F>::from_raw(source) };
    device.driver().attach_lock().with(&mut level, |(), level| {
        // Detached already: DriverUnload was first and deletes it.
        if device.is_attached() {
            // SAFETY: attached, under the attach lock; the target is alive until this returns.
            unsafe { stacks::detach(device, level) };
            // SAFETY: detached above; what is still inside is the close with which the device
            // below goes, and this call.
            unsafe { device::delete::<F>(source) };
        }
    });
}

/// The table for the driver object. It lives as long as the image.
pub(crate) fn table<F: Filter>() -> *mut FAST_IO_DISPATCH {
    /// Holds the table of `F` in constant memory.
    struct Holder<F>(core::marker::PhantomData<F>);
    impl<F: Filter> Holder<F> {
        const TABLE: &'static FAST_IO_DISPATCH = &FAST_IO_DISPATCH {
            SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
            FastIoCheckIfPossible: Some(check_if_possible::<F>),
            FastIoRead: Some(read::<F>),
            FastIoWrite: Some(write::<F>),
            FastIoQueryBasicInfo: Some(query_basic_info::<F>),
            FastIoQueryStandardInfo: Some(query_standard_info::<F>),
            FastIoLock: Some(lock::<F>),
            FastIoUnlockSingle: Some(unlock_single::<F>),
            FastIoUnlockAll: Some(unlock_all::<F>),
            FastIoUnlockAllByKey: Some(unlock_all_by_key::<F>),
            FastIoDeviceControl: Some(device_control::<F>),
            AcquireFileForNtCreateSection: None,
            ReleaseFileForNtCreateSection: None,
            FastIoDetachDevice: Some(detach_device::<F>),
            FastIoQueryNetworkOpenInfo: Some(query_network_open_info::<F>),
            AcquireForModWrite: None,
            MdlRead: Some(mdl_read::<F>),
            MdlReadComplete: Some(mdl_read_complete::<F>),
            PrepareMdlWrite: Some(prepare_mdl_write::<F>),
            MdlWriteComplete: Some(mdl_write_complete::<F>),
            FastIoReadCompressed: Some(read_compressed::<F>),
            FastIoWriteCompressed: Some(write_compressed::<F>),
            MdlReadCompleteCompressed: Some(mdl_read_complete_compressed::<F>),
            MdlWriteCompleteCompressed: Some(mdl_write_complete_compressed::<F>),
            FastIoQueryOpen: Some(query_open::<F>),
            ReleaseForModWrite: None,
            AcquireForCcFlush: None,
            ReleaseForCcFlush: None,
        };
    }
    // The I/O manager only reads it.
    core::ptr::from_ref(Holder::<F>::TABLE).cast_mut()
}
