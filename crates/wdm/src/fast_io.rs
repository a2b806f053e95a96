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
//! callbacks stand for them ([`crate::fs_filter`]).
//!
//! Source: "Writing Fast I/O Routines" and FAST_IO_DISPATCH in the DDI reference.

#![expect(
    unsafe_code,
    reason = "the entries are called by the I/O manager, and call the lower driver's"
)]

use crate::device::{self, DeviceUse, FilterDevice, Kind, kind_of};
use crate::driver::Filter;
use crate::irp::raw;
use crate::irql::Passive;
use core::mem::offset_of;
use wdk_sys::{
    BOOLEAN, DEVICE_OBJECT, FALSE, FAST_IO_DISPATCH, FILE_OBJECT, PCOMPRESSED_DATA_INFO,
    PDEVICE_OBJECT, PEPROCESS, PFILE_BASIC_INFORMATION, PFILE_NETWORK_OPEN_INFORMATION,
    PFILE_STANDARD_INFORMATION, PIO_STATUS_BLOCK, PIRP, PLARGE_INTEGER, PMDL, PVOID, ULONG,
};

const NO: BOOLEAN = FALSE as BOOLEAN;

/// The lower device of one fast I/O call, and its driver's table.
struct Below<'d, F: Filter> {
    device: *mut DEVICE_OBJECT,
    table: *const FAST_IO_DISPATCH,
    _entered: DeviceUse<'d, F>,
}

impl<'d, F: Filter> Below<'d, F> {
    /// What lies below `device`; `None` on the control device (F2), or where nothing is or answers.
    ///
    /// # Safety
    /// `device` is a device of this driver that outlives the call `'d`.
    unsafe fn of(device: PDEVICE_OBJECT) -> Option<Self> {
        // SAFETY: contract of the function.
        if unsafe { kind_of(device) } != Kind::Filter {
            return None;
        }
        // SAFETY: a filter device, by its kind.
        let filter = unsafe { FilterDevice::<F>::from_raw(device) };
        let entered = filter.enter();
        if let DeviceUse::Refused = entered {
            return None;
        }
        let device = filter.lower()?.raw();
        // SAFETY: the lower device is alive while this one is attached above it.
        let driver = unsafe { (*device).DriverObject };
        // SAFETY: a driver object lives as long as its devices.
        let table: *const FAST_IO_DISPATCH = unsafe { (*driver).FastIoDispatch };
        (!table.is_null()).then_some(Self {
            device,
            table,
            _entered: entered,
        })
    }

    /// Whether the table reaches to the end of the entry at `offset`.
    fn has(&self, offset: usize) -> bool {
        // SAFETY: every table begins with its size in bytes.
        let bytes = unsafe { (*self.table).SizeOfFastIoDispatch } as usize;
        bytes >= offset + size_of::<Option<unsafe extern "C" fn()>>()
    }
}

/// The lower driver's entry of that name, if it has one.
macro_rules! entry {
    ($below:ident, $entry:ident) => {
        if $below.has(offset_of!(FAST_IO_DISPATCH, $entry)) {
            // SAFETY: the table is long enough to hold the entry.
            unsafe { (*$below.table).$entry }
        } else {
            None
        }
    };
}

/// Defines the entries that pass a call with these arguments to the same entry below.
macro_rules! pass_through {
    ($($name:ident = $entry:ident($($argument:ident: $type:ty),*);)*) => { $(
        #[doc = concat!("`", stringify!($entry), "`.")]
        ///
        /// # Safety
        /// Called by the I/O manager, the cache manager or a driver above with a device of
        /// this driver and the arguments of that entry.
        unsafe extern "C" fn $name<F: Filter>($($argument: $type,)* device: PDEVICE_OBJECT) -> BOOLEAN {
            // SAFETY: contract of the function.
            let Some(below) = (unsafe { Below::<F>::of(device) }) else { return NO };
            match entry!(below, $entry) {
                // SAFETY: the same arguments, for the device of the driver that has the entry.
                Some(routine) => unsafe { routine($($argument,)* below.device) },
                None => NO,
            }
        }
    )* };
}

type File = *mut FILE_OBJECT;

pass_through! {
    check_if_possible = FastIoCheckIfPossible(file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN,
        key: ULONG, check_for_read: BOOLEAN, result: PIO_STATUS_BLOCK);
    read = FastIoRead(file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN, key: ULONG, buffer: PVOID,
        result: PIO_STATUS_BLOCK);
    write = FastIoWrite(file: File, offset: PLARGE_INTEGER, length: ULONG, wait: BOOLEAN, key: ULONG, buffer: PVOID,
        result: PIO_STATUS_BLOCK);
    query_basic_info = FastIoQueryBasicInfo(file: File, wait: BOOLEAN, buffer: PFILE_BASIC_INFORMATION,
        result: PIO_STATUS_BLOCK);
    query_standard_info = FastIoQueryStandardInfo(file: File, wait: BOOLEAN, buffer: PFILE_STANDARD_INFORMATION,
        result: PIO_STATUS_BLOCK);
    lock = FastIoLock(file: File, offset: PLARGE_INTEGER, length: PLARGE_INTEGER, process: PEPROCESS, key: ULONG,
        fail_immediately: BOOLEAN, exclusive: BOOLEAN, result: PIO_STATUS_BLOCK);
    unlock_single = FastIoUnlockSingle(file: File, offset: PLARGE_INTEGER, length: PLARGE_INTEGER,
        process: PEPROCESS, key: ULONG, result: PIO_STATUS_BLOCK);
    unlock_all = FastIoUnlockAll(file: File, process: PEPROCESS, result: PIO_STATUS_BLOCK);
    unlock_all_by_key = FastIoUnlockAllByKey(file: File, process: PVOID, key: ULONG, result: PIO_STATUS_BLOCK);
    device_control = FastIoDeviceControl(file: File, wait: BOOLEAN, input: PVOID, input_length: ULONG,
        output: PVOID, output_length: ULONG, code: ULONG, result: PIO_STATUS_BLOCK);
    query_network_open_info = FastIoQueryNetworkOpenInfo(file: File, wait: BOOLEAN,
        buffer: PFILE_NETWORK_OPEN_INFORMATION, result: PIO_STATUS_BLOCK);
    mdl_read = MdlRead(file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG, chain: *mut PMDL,
        result: PIO_STATUS_BLOCK);
    mdl_read_complete = MdlReadComplete(file: File, chain: PMDL);
    prepare_mdl_write = PrepareMdlWrite(file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        chain: *mut PMDL, result: PIO_STATUS_BLOCK);
    mdl_write_complete = MdlWriteComplete(file: File, offset: PLARGE_INTEGER, chain: PMDL);
    read_compressed = FastIoReadCompressed(file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        buffer: PVOID, chain: *mut PMDL, result: PIO_STATUS_BLOCK, information: PCOMPRESSED_DATA_INFO,
        information_length: ULONG);
    write_compressed = FastIoWriteCompressed(file: File, offset: PLARGE_INTEGER, length: ULONG, key: ULONG,
        buffer: PVOID, chain: *mut PMDL, result: PIO_STATUS_BLOCK, information: PCOMPRESSED_DATA_INFO,
        information_length: ULONG);
    mdl_read_complete_compressed = MdlReadCompleteCompressed(file: File, chain: PMDL);
    mdl_write_complete_compressed = MdlWriteCompleteCompressed(file: File, offset: PLARGE_INTEGER, chain: PMDL);
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
    let Some(below) = (unsafe { Below::<F>::of(device) }) else {
        return NO;
    };
    let Some(routine) = entry!(below, FastIoQueryOpen) else {
        return NO;
    };
    // SAFETY: contract of the function.
    let location = unsafe { raw::current_location(irp) };
    // SAFETY: the location is this driver's for the time of the call.
    unsafe { (*location).DeviceObject = below.device };
    // SAFETY: the same arguments, for the device of the driver that has the entry.
    let answered = unsafe { routine(irp, information, below.device) };
    // SAFETY: as above; put back for the caller, whatever the answer.
    unsafe { (*location).DeviceObject = device };
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
    if unsafe { kind_of(source) } != Kind::Filter {
        return;
    }
    // SAFETY: contract of the function.
    let mut level = unsafe { Passive::assume() };
    // SAFETY: a filter device, by its kind.
    let device = unsafe { FilterDevice::<F>::from_raw(source) };
    let entered = device.enter();
    if let DeviceUse::Refused = entered {
        // DriverUnload has detached the device, and deletes it.
        return;
    }
    device.driver().attach_lock().with(&mut level, |(), level| {
        // Detached already: DriverUnload was first and deletes it.
        if device.is_attached() {
            // SAFETY: attached, under the attach lock; the target is alive until this returns.
            unsafe { device::detach(device, level) };
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
