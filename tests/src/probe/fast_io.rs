//! Fast I/O: calls into a driver's table, and a table that notes what it is given.

use crate::machine::Device;
use ntbox::io_manager::irp;
use ntbox::nt::irp::IrpExt;
use ntbox::nt::routines::DriverRoutines;
use ntbox::nt::{
    DEVICE_OBJECT, FAST_IO_DISPATCH, FILE_OBJECT, IO_STATUS_BLOCK, IRP, MDL, NTSTATUS,
};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::{Mutex, PoisonError};

type File = *mut FILE_OBJECT;
type At = *mut DEVICE_OBJECT;
type Block = *mut IO_STATUS_BLOCK;
type Offset = *mut i64;
type Pointer = *mut c_void;
type Mdl = *mut MDL;
type MdlPointer = *mut *mut MDL;

/// Arguments that a noting entry was called with, the device last.
static NOTED: Mutex<Vec<(&'static str, Vec<usize>)>> = Mutex::new(Vec::new());

/// What the noting entries answer: true, in a way that only C's BOOLEAN knows.
pub const ANSWER: u8 = 0x5A;

/// A fast I/O entry that passes its arguments on.
pub struct Entry {
    /// Its name in FAST_IO_DISPATCH.
    pub name: &'static str,
    /// Where it is in the table.
    pub offset: usize,
    call: unsafe fn(&FAST_IO_DISPATCH, At) -> Option<u8>,
    expected: fn() -> Vec<usize>,
    clear: fn(&mut FAST_IO_DISPATCH),
    present: fn(&FAST_IO_DISPATCH) -> bool,
}

/// An argument that is told from all others, of any type.
const fn sample(index: usize) -> usize {
    // Small enough for a BOOLEAN, so that it arrives whole wherever it is passed.
    0x41 + index
}

/// Defines for each entry a noting routine, a call with sample arguments, and the table of them all.
macro_rules! entries {
    ($($entry:ident($($argument:ident: $type:ty),*);)*) => {
        #[expect(non_snake_case, reason = "each routine is named after its entry")]
        mod noting {
            use super::*;
            $(
                /// # Safety
                /// Any arguments: they are not looked at.
                pub(super) unsafe extern "win64" fn $entry($($argument: $type,)* device: At) -> u8 {
                    note(stringify!($entry), vec![$($argument as usize,)* device as usize]);
                    ANSWER
                }
            )*
        }

        /// The entries that a filter passes on with their arguments unchanged.
        pub const ENTRIES: &[Entry] = &[$(Entry {
            name: stringify!($entry),
            offset: offset_of!(FAST_IO_DISPATCH, $entry),
            call: |table, device| {
                let routine = table.$entry?;
                let mut index = 0..;
                // SAFETY: the sample arguments are passed through and not looked at.
                Some(unsafe { routine($(sample(index.next()?) as $type,)* device) })
            },
            expected: || {
                let mut index = 0..;
                let sampled = [$({ let _ = stringify!($argument); sample(index.next().unwrap_or(0)) }),*];
                sampled.to_vec()
            },
            clear: |table| table.$entry = None,
            present: |table| table.$entry.is_some(),
        }),*];

        /// A table in which every one of these entries notes its call.
        #[must_use]
        pub fn noting_table() -> FAST_IO_DISPATCH {
            FAST_IO_DISPATCH {
                SizeOfFastIoDispatch: size_of::<FAST_IO_DISPATCH>() as u32,
                $($entry: Some(noting::$entry),)*
                FastIoQueryOpen: Some(note_query_open),
                ..Default::default()
            }
        }
    };
}

entries! {
    FastIoCheckIfPossible(file: File, offset: Offset, length: u32, wait: u8, key: u32, for_read: u8, result: Block);
    FastIoRead(file: File, offset: Offset, length: u32, wait: u8, key: u32, buffer: Pointer, result: Block);
    FastIoWrite(file: File, offset: Offset, length: u32, wait: u8, key: u32, buffer: Pointer, result: Block);
    FastIoQueryBasicInfo(file: File, wait: u8, buffer: Pointer, result: Block);
    FastIoQueryStandardInfo(file: File, wait: u8, buffer: Pointer, result: Block);
    FastIoLock(file: File, offset: Offset, length: Offset, process: Pointer, key: u32, fail: u8, exclusive: u8,
        result: Block);
    FastIoUnlockSingle(file: File, offset: Offset, length: Offset, process: Pointer, key: u32, result: Block);
    FastIoUnlockAll(file: File, process: Pointer, result: Block);
    FastIoUnlockAllByKey(file: File, process: Pointer, key: u32, result: Block);
    FastIoDeviceControl(file: File, wait: u8, input: Pointer, input_length: u32, output: Pointer,
        output_length: u32, code: u32, result: Block);
    FastIoQueryNetworkOpenInfo(file: File, wait: u8, buffer: Pointer, result: Block);
    MdlRead(file: File, offset: Offset, length: u32, key: u32, chain: MdlPointer, result: Block);
    MdlReadComplete(file: File, chain: Mdl);
    PrepareMdlWrite(file: File, offset: Offset, length: u32, key: u32, chain: MdlPointer, result: Block);
    MdlWriteComplete(file: File, offset: Offset, chain: Mdl);
    FastIoReadCompressed(file: File, offset: Offset, length: u32, key: u32, buffer: Pointer, chain: MdlPointer,
        result: Block, information: Pointer, information_length: u32);
    FastIoWriteCompressed(file: File, offset: Offset, length: u32, key: u32, buffer: Pointer, chain: MdlPointer,
        result: Block, information: Pointer, information_length: u32);
    MdlReadCompleteCompressed(file: File, chain: Mdl);
    MdlWriteCompleteCompressed(file: File, offset: Offset, chain: Mdl);
}

/// `FastIoQueryOpen` of [`noting_table`]: notes the device that the request's location names, and
/// the one of the call.
///
/// # Safety
/// `irp` is alive and has a current location.
unsafe extern "win64" fn note_query_open(irp: *mut IRP, _information: Pointer, device: At) -> u8 {
    // SAFETY: contract.
    let named = unsafe { (*irp.current_location()).DeviceObject };
    note("FastIoQueryOpen", vec![named as usize, device as usize]);
    ANSWER
}

/// Calls `FastIoCheckIfPossible` of `device`'s driver with a status block in which `left` stands from before: the
/// answer.
///
/// # Panics
/// If the driver does not have it.
#[must_use]
pub fn check_if_possible(device: Device, left: NTSTATUS) -> u8 {
    let routine = table_of(device).and_then(|table| table.FastIoCheckIfPossible);
    let Some(routine) = routine else {
        panic!("the driver has no FastIoCheckIfPossible")
    };
    let mut file = FILE_OBJECT::default();
    let mut offset = 0;
    let mut result = IO_STATUS_BLOCK::default();
    result.Anonymous.Status = left;
    result.Information = left as usize;
    let (wait, key, for_read) = (1, 0, 1);
    // SAFETY: all that is pointed to outlives the call, and the device is alive.
    unsafe {
        routine(
            &raw mut file,
            &raw mut offset,
            4096,
            wait,
            key,
            for_read,
            &raw mut result,
            device.raw(),
        )
    }
}

/// Calls `FastIoQueryOpen` of `device`'s driver with a request whose location names `device`: its
/// answer, and the device that the location names afterwards.
///
/// # Panics
/// If the driver does not have it.
#[must_use]
pub fn query_open(device: Device) -> (u8, Device) {
    let routine = table_of(device).and_then(|table| table.FastIoQueryOpen);
    let Some(routine) = routine else {
        panic!("the driver has no FastIoQueryOpen")
    };
    let irp = irp::allocate(device.stack_size());
    // SAFETY: a new request with a location for the device, which is not sent and freed here.
    unsafe {
        irp::advance(irp);
        (*irp.current_location()).DeviceObject = device.raw();
        let answer = routine(irp, std::ptr::null_mut(), device.raw());
        let named = Device::from_raw((*irp.current_location()).DeviceObject);
        irp::free(irp, 0);
        (answer, named)
    }
}

/// What a noting `FastIoQueryOpen` of `device` must have noted.
#[must_use]
pub fn expected_of_query_open(device: Device) -> (&'static str, Vec<usize>) {
    ("FastIoQueryOpen", vec![device.raw() as usize; 2])
}

fn note(entry: &'static str, arguments: Vec<usize>) {
    NOTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((entry, arguments));
}

/// What noting entries were called with since the last call of this function.
#[must_use]
pub fn noted() -> Vec<(&'static str, Vec<usize>)> {
    std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Entry {
    /// Calls the entry of `device`'s driver with sample arguments: its answer, or `None` if the
    /// driver does not have it.
    #[must_use]
    pub fn call(&self, device: Device) -> Option<u8> {
        let table = table_of(device)?;
        // SAFETY: the device is alive, and the driver looks at no other argument.
        unsafe { (self.call)(table, device.raw()) }
    }

    /// What a noting entry at `device` must have noted after [`Entry::call`].
    #[must_use]
    pub fn expected(&self, device: Device) -> (&'static str, Vec<usize>) {
        let mut arguments = (self.expected)();
        arguments.push(device.raw() as usize);
        (self.name, arguments)
    }

    /// Whether a table has it.
    #[must_use]
    pub fn is_in(&self, table: &FAST_IO_DISPATCH) -> bool {
        (self.present)(table)
    }

    /// [`noting_table`] without this entry.
    #[must_use]
    pub fn table_without(&self) -> FAST_IO_DISPATCH {
        let mut table = noting_table();
        (self.clear)(&mut table);
        table
    }
}

/// The fast I/O table of a device's driver.
#[must_use]
pub fn table_of(device: Device) -> Option<&'static FAST_IO_DISPATCH> {
    // SAFETY: the device is alive, and so is its driver.
    let table = unsafe { (*device.driver()).fast_io() };
    // SAFETY: a driver's table lives as long as the driver; scenarios do not unload it meanwhile.
    unsafe { table.as_ref() }
}
