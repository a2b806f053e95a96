//! `FAST_IO_DISPATCH` with its routines in the Windows calling convention.
//!
//! `BOOLEAN` is `u8`: a driver may return any non-zero value for true.

#![allow(
    non_snake_case,
    non_camel_case_types,
    clippy::allow_attributes,
    reason = "the names are the DDI's"
)]
#![allow(missing_docs, reason = "each entry is documented in the DDI reference")]

use super::metadata::{DEVICE_OBJECT, FILE_OBJECT, IO_STATUS_BLOCK, IRP, MDL, NTSTATUS};
use std::ffi::c_void;

type File = *mut FILE_OBJECT;
type Device = *mut DEVICE_OBJECT;
type Iosb = *mut IO_STATUS_BLOCK;
type Offset = *mut i64;

pub type CheckIfPossible =
    unsafe extern "win64" fn(File, Offset, u32, u8, u32, u8, Iosb, Device) -> u8;
pub type ReadWrite =
    unsafe extern "win64" fn(File, Offset, u32, u8, u32, *mut c_void, Iosb, Device) -> u8;
pub type QueryInformation = unsafe extern "win64" fn(File, u8, *mut c_void, Iosb, Device) -> u8;
pub type Lock =
    unsafe extern "win64" fn(File, Offset, Offset, *mut c_void, u32, u8, u8, Iosb, Device) -> u8;
pub type UnlockSingle =
    unsafe extern "win64" fn(File, Offset, Offset, *mut c_void, u32, Iosb, Device) -> u8;
pub type UnlockAll = unsafe extern "win64" fn(File, *mut c_void, Iosb, Device) -> u8;
pub type UnlockAllByKey = unsafe extern "win64" fn(File, *mut c_void, u32, Iosb, Device) -> u8;
pub type DeviceControl =
    unsafe extern "win64" fn(File, u8, *mut c_void, u32, *mut c_void, u32, u32, Iosb, Device) -> u8;
pub type AcquireFile = unsafe extern "win64" fn(File);
pub type DetachDevice = unsafe extern "win64" fn(Device, Device);
pub type AcquireForModWrite =
    unsafe extern "win64" fn(File, Offset, *mut *mut c_void, Device) -> NTSTATUS;
pub type MdlTransfer =
    unsafe extern "win64" fn(File, Offset, u32, u32, *mut *mut MDL, Iosb, Device) -> u8;
pub type MdlReadComplete = unsafe extern "win64" fn(File, *mut MDL, Device) -> u8;
pub type MdlWriteComplete = unsafe extern "win64" fn(File, Offset, *mut MDL, Device) -> u8;
pub type Compressed = unsafe extern "win64" fn(
    File,
    Offset,
    u32,
    u32,
    *mut c_void,
    *mut *mut MDL,
    Iosb,
    *mut c_void,
    u32,
    Device,
) -> u8;
pub type QueryOpen = unsafe extern "win64" fn(*mut IRP, *mut c_void, Device) -> u8;
pub type ReleaseForModWrite = unsafe extern "win64" fn(File, *mut c_void, Device) -> NTSTATUS;
pub type CcFlush = unsafe extern "win64" fn(File, Device) -> NTSTATUS;

/// The fast I/O table of a driver.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FAST_IO_DISPATCH {
    pub SizeOfFastIoDispatch: u32,
    pub FastIoCheckIfPossible: Option<CheckIfPossible>,
    pub FastIoRead: Option<ReadWrite>,
    pub FastIoWrite: Option<ReadWrite>,
    pub FastIoQueryBasicInfo: Option<QueryInformation>,
    pub FastIoQueryStandardInfo: Option<QueryInformation>,
    pub FastIoLock: Option<Lock>,
    pub FastIoUnlockSingle: Option<UnlockSingle>,
    pub FastIoUnlockAll: Option<UnlockAll>,
    pub FastIoUnlockAllByKey: Option<UnlockAllByKey>,
    pub FastIoDeviceControl: Option<DeviceControl>,
    pub AcquireFileForNtCreateSection: Option<AcquireFile>,
    pub ReleaseFileForNtCreateSection: Option<AcquireFile>,
    pub FastIoDetachDevice: Option<DetachDevice>,
    pub FastIoQueryNetworkOpenInfo: Option<QueryInformation>,
    pub AcquireForModWrite: Option<AcquireForModWrite>,
    pub MdlRead: Option<MdlTransfer>,
    pub MdlReadComplete: Option<MdlReadComplete>,
    pub PrepareMdlWrite: Option<MdlTransfer>,
    pub MdlWriteComplete: Option<MdlWriteComplete>,
    pub FastIoReadCompressed: Option<Compressed>,
    pub FastIoWriteCompressed: Option<Compressed>,
    pub MdlReadCompleteCompressed: Option<MdlReadComplete>,
    pub MdlWriteCompleteCompressed: Option<MdlWriteComplete>,
    pub FastIoQueryOpen: Option<QueryOpen>,
    pub ReleaseForModWrite: Option<ReleaseForModWrite>,
    pub AcquireForCcFlush: Option<CcFlush>,
    pub ReleaseForCcFlush: Option<CcFlush>,
}

/// The entries of the table, in its order, behind its size.
pub const ENTRIES: [&str; 27] = [
    "FastIoCheckIfPossible",
    "FastIoRead",
    "FastIoWrite",
    "FastIoQueryBasicInfo",
    "FastIoQueryStandardInfo",
    "FastIoLock",
    "FastIoUnlockSingle",
    "FastIoUnlockAll",
    "FastIoUnlockAllByKey",
    "FastIoDeviceControl",
    "AcquireFileForNtCreateSection",
    "ReleaseFileForNtCreateSection",
    "FastIoDetachDevice",
    "FastIoQueryNetworkOpenInfo",
    "AcquireForModWrite",
    "MdlRead",
    "MdlReadComplete",
    "PrepareMdlWrite",
    "MdlWriteComplete",
    "FastIoReadCompressed",
    "FastIoWriteCompressed",
    "MdlReadCompleteCompressed",
    "MdlWriteCompleteCompressed",
    "FastIoQueryOpen",
    "ReleaseForModWrite",
    "AcquireForCcFlush",
    "ReleaseForCcFlush",
];

const _: () = {
    use std::mem::{offset_of, size_of};
    use windows_sys::Wdk::Foundation::FAST_IO_DISPATCH as Published;
    assert!(size_of::<FAST_IO_DISPATCH>() == size_of::<Published>());
    assert!(
        offset_of!(FAST_IO_DISPATCH, FastIoQueryOpen) == offset_of!(Published, FastIoQueryOpen)
            && offset_of!(FAST_IO_DISPATCH, FastIoDetachDevice)
                == offset_of!(Published, FastIoDetachDevice)
            && offset_of!(FAST_IO_DISPATCH, MdlRead) == offset_of!(Published, MdlRead)
            && offset_of!(FAST_IO_DISPATCH, ReleaseForCcFlush)
                == offset_of!(Published, ReleaseForCcFlush)
    );
};
