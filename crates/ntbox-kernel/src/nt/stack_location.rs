//! `IO_STACK_LOCATION`, from the DDI reference.
//!
//! The reference marks members of `Parameters` with `POINTER_ALIGNMENT`: on
//! 64-bit Windows they start at a multiple of eight bytes. The metadata behind
//! `windows-sys` ignores that mark, so the whole structure is defined here and
//! the padding is written out.

#![allow(
    non_snake_case,
    non_camel_case_types,
    clippy::allow_attributes,
    reason = "the names are the DDI's"
)]
#![allow(
    missing_docs,
    reason = "each member is documented in the DDI reference of its major function"
)]

use super::metadata::{DEVICE_OBJECT, FILE_OBJECT, HANDLE, UNICODE_STRING, VPB};
use super::routines::CompletionRoutine;
use std::ffi::c_void;

/// One driver's part of a request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IO_STACK_LOCATION {
    pub MajorFunction: u8,
    pub MinorFunction: u8,
    pub Flags: u8,
    pub Control: u8,
    pub Parameters: Parameters,
    pub DeviceObject: *mut DEVICE_OBJECT,
    pub FileObject: *mut FILE_OBJECT,
    pub CompletionRoutine: Option<CompletionRoutine>,
    pub Context: *mut c_void,
}

/// The parameters, by major function.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Parameters {
    pub Create: Create,
    pub Read: ReadWrite,
    pub Write: ReadWrite,
    pub QueryDirectory: QueryDirectory,
    pub NotifyDirectory: NotifyDirectory,
    pub NotifyDirectoryEx: NotifyDirectoryEx,
    pub QueryFile: QueryFile,
    pub SetFile: SetFile,
    pub QueryEa: QueryEa,
    pub SetEa: SetEa,
    pub QueryQuota: QueryQuota,
    pub SetQuota: SetQuota,
    pub QueryVolume: QueryVolume,
    pub SetVolume: QueryVolume,
    pub FileSystemControl: Control,
    pub DeviceIoControl: Control,
    pub LockControl: LockControl,
    pub QuerySecurity: QuerySecurity,
    pub SetSecurity: SetSecurity,
    pub MountVolume: MountVolume,
    pub VerifyVolume: MountVolume,
    pub Power: Power,
    pub QueryDeviceRelations: QueryDeviceRelations,
    pub Others: Others,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Create {
    pub SecurityContext: *mut super::metadata::IO_SECURITY_CONTEXT,
    /// Disposition in the high byte, create options below.
    pub Options: u32,
    pub(crate) _pad1: u32,
    pub FileAttributes: u16,
    pub ShareAccess: u16,
    pub(crate) _pad2: u32,
    pub EaLength: u32,
    pub(crate) _pad3: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ReadWrite {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub Key: u32,
    pub(crate) _pad2: u32,
    pub ByteOffset: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryDirectory {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub FileName: *mut UNICODE_STRING,
    pub FileInformationClass: i32,
    pub(crate) _pad2: u32,
    pub FileIndex: u32,
    pub(crate) _pad3: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct NotifyDirectory {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub CompletionFilter: u32,
    pub(crate) _pad2: u32,
}

/// It begins as [`NotifyDirectory`] does.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NotifyDirectoryEx {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub CompletionFilter: u32,
    pub(crate) _pad2: u32,
    pub DirectoryNotifyInformationClass: i32,
    pub(crate) _pad3: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryFile {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub FileInformationClass: i32,
    pub(crate) _pad2: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetFile {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub FileInformationClass: i32,
    pub(crate) _pad2: u32,
    pub FileObject: *mut FILE_OBJECT,
    pub Tail: SetFileTail,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union SetFileTail {
    pub Rename: SetFileRename,
    pub ClusterCount: u32,
    pub DeleteHandle: HANDLE,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetFileRename {
    pub ReplaceIfExists: u8,
    pub AdvanceOnly: u8,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryEa {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub EaList: *mut c_void,
    pub EaListLength: u32,
    pub(crate) _pad2: u32,
    pub EaIndex: u32,
    pub(crate) _pad3: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetEa {
    pub Length: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryQuota {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub StartSid: *mut c_void,
    pub SidList: *mut c_void,
    pub SidListLength: u32,
    pub(crate) _pad2: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetQuota {
    pub Length: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryVolume {
    pub Length: u32,
    pub(crate) _pad1: u32,
    pub FsInformationClass: i32,
    pub(crate) _pad2: u32,
}

/// `DeviceIoControl` and `FileSystemControl`, which have one layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Control {
    pub OutputBufferLength: u32,
    pub(crate) _pad1: u32,
    pub InputBufferLength: u32,
    pub(crate) _pad2: u32,
    pub ControlCode: u32,
    pub(crate) _pad3: u32,
    pub Type3InputBuffer: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct LockControl {
    pub Length: *mut i64,
    pub Key: u32,
    pub(crate) _pad1: u32,
    pub ByteOffset: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QuerySecurity {
    pub SecurityInformation: u32,
    pub(crate) _pad1: u32,
    pub Length: u32,
    pub(crate) _pad2: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetSecurity {
    pub SecurityInformation: u32,
    pub(crate) _pad1: u32,
    pub SecurityDescriptor: *mut c_void,
}

/// `MountVolume` and `VerifyVolume`, which have one layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MountVolume {
    pub Vpb: *mut VPB,
    pub DeviceObject: *mut DEVICE_OBJECT,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Power {
    /// For `IRP_MN_WAIT_WAKE`, which has nothing else, the state.
    pub SystemContext: u32,
    pub(crate) _pad1: u32,
    pub Type: i32,
    pub(crate) _pad2: u32,
    pub State: i32,
    pub(crate) _pad3: u32,
    pub ShutdownType: i32,
    pub(crate) _pad4: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryDeviceRelations {
    pub Type: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Others {
    pub Argument1: *mut c_void,
    pub Argument2: *mut c_void,
    pub Argument3: *mut c_void,
    pub Argument4: *mut c_void,
}

macro_rules! plain {
    ($($name:ident)*) => { $(
        impl Default for $name {
            fn default() -> Self {
                // SAFETY: integers and nullable pointers only; all-zero is a valid value.
                #[expect(unsafe_code, reason = "padding fields make a derived Default unreadable")]
                unsafe { std::mem::zeroed() }
            }
        }
    )* };
}
plain! { IO_STACK_LOCATION Parameters Create ReadWrite QueryDirectory NotifyDirectory
NotifyDirectoryEx QueryFile SetFile QueryEa QueryQuota QueryVolume Control LockControl QuerySecurity SetSecurity MountVolume Power Others }

const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<IO_STACK_LOCATION>() == 72);
    assert!(offset_of!(IO_STACK_LOCATION, Parameters) == 8);
    assert!(offset_of!(IO_STACK_LOCATION, DeviceObject) == 40);
    assert!(offset_of!(Create, FileAttributes) == 16 && offset_of!(Create, EaLength) == 24);
    assert!(offset_of!(ReadWrite, Key) == 8 && offset_of!(ReadWrite, ByteOffset) == 16);
    assert!(offset_of!(Control, ControlCode) == 16 && offset_of!(Control, Type3InputBuffer) == 24);
    assert!(offset_of!(Power, State) == 16 && offset_of!(Power, ShutdownType) == 24);
    assert!(offset_of!(QueryFile, FileInformationClass) == 8);
    assert!(offset_of!(NotifyDirectoryEx, CompletionFilter) == 8);
    assert!(offset_of!(NotifyDirectoryEx, DirectoryNotifyInformationClass) == 16);
    assert!(offset_of!(QueryQuota, SidList) == 16 && offset_of!(QueryQuota, SidListLength) == 24);
    assert!(offset_of!(SetFile, FileObject) == 16 && offset_of!(SetFile, Tail) == 24);
};
