//! The names of `wdk_sys` that the documentation needs, for docs.rs.
//!
//! `wdk-sys` makes its bindings from the WDK when it is built, and its build script does not compile
//! on Linux, which docs.rs runs on. Under `cfg(docsrs)` this module stands in its place. Rustdoc
//! does not look into the bodies of functions: structures are declared without their members, and
//! routines not at all. The numbers are those that rustdoc prints.
//!
//! A name that is missing here ends the documentation in `./dev lint`.

#![expect(
    missing_docs,
    non_camel_case_types,
    dead_code,
    reason = "names of the WDK, of which most are used in bodies only"
)]

/// Structures whose members the documentation does not show.
macro_rules! opaque {
    ($($name:ident)*) => { $(#[derive(Clone, Copy)] pub struct $name { _members: [u8; 0] })* };
}

/// Constants by their type.
macro_rules! constants {
    ($type:ty: $($name:ident = $value:expr;)*) => { $(pub const $name: $type = $value;)* };
}

/// Routines are called in bodies only.
pub mod ntddk {}

opaque! {
    DEVICE_OBJECT
    DRIVER_OBJECT
    EVENT_FILTER_DESCRIPTOR
    EX_RUNDOWN_REF
    FAST_IO_DISPATCH
    FILE_OBJECT
    FS_FILTER_CALLBACKS
    FS_FILTER_CALLBACK_DATA
    IO_ERROR_LOG_PACKET
    IO_STACK_LOCATION
    KEVENT
    KEY_VALUE_PARTIAL_INFORMATION
    LARGE_INTEGER
    MDL
    OBJECT_ATTRIBUTES
    OBJECT_NAME_INFORMATION
    UNICODE_STRING
    COMPRESSED_DATA_INFO EPROCESS ETHREAD FILE_BASIC_INFORMATION FILE_NETWORK_OPEN_INFORMATION
    FILE_STANDARD_INFORMATION IO_STATUS_BLOCK IO_WORKITEM IRP
}

pub type BOOLEAN = UCHAR;
pub type HANDLE = PVOID;
pub type KSPIN_LOCK = ULONG_PTR;
pub type NTSTATUS = LONG;
pub type PCOMPRESSED_DATA_INFO = *mut COMPRESSED_DATA_INFO;
pub type PDEVICE_OBJECT = *mut DEVICE_OBJECT;
pub type PEPROCESS = *mut EPROCESS;
pub type PETHREAD = *mut ETHREAD;
pub type PFILE_BASIC_INFORMATION = *mut FILE_BASIC_INFORMATION;
pub type PFILE_NETWORK_OPEN_INFORMATION = *mut FILE_NETWORK_OPEN_INFORMATION;
pub type PFILE_STANDARD_INFORMATION = *mut FILE_STANDARD_INFORMATION;
pub type PFS_FILTER_CALLBACK_DATA = *mut FS_FILTER_CALLBACK_DATA;
pub type PIO_STATUS_BLOCK = *mut IO_STATUS_BLOCK;
pub type PIO_WORKITEM = *mut IO_WORKITEM;
pub type PIRP = *mut IRP;
pub type PLARGE_INTEGER = *mut LARGE_INTEGER;
pub type PMDL = *mut MDL;
pub type PVOID = *mut core::ffi::c_void;
pub type REGHANDLE = ULONGLONG;
pub type ULONG = u32;
pub type FILE_INFORMATION_CLASS = i32;
pub type UCHAR = u8;
pub type LONG = i32;
pub type ULONG_PTR = u64;
pub type ULONGLONG = u64;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct GUID {
    pub Data1: ULONG,
    pub Data2: u16,
    pub Data3: u16,
    pub Data4: [u8; 8],
}

pub mod _DRIVER_REGKEY_TYPE {}
pub mod _EVENT_INFO_CLASS {}
pub mod _EVENT_TYPE {}
pub mod _KEY_VALUE_INFORMATION_CLASS {}
pub mod _KWAIT_REASON {}
pub mod _MEMORY_CACHING_TYPE {}
pub mod _MM_PAGE_PRIORITY {}
pub mod _MODE {}
pub mod _WORK_QUEUE_TYPE {}

constants! { u32:
    ALL_PROCESSOR_GROUPS = 0xFFFF;
    DACL_SECURITY_INFORMATION = 4;
    DISPATCH_LEVEL = 2;
    DO_BUFFERED_IO = 4;
    DO_DEVICE_INITIALIZING = 0x80;
    DO_DIRECT_IO = 0x10;
    DO_SUPPORTS_TRANSACTIONS = 0x40000;
    ERROR_LOG_LIMIT_SIZE = 0xF0;
    FALSE = 0;
    FILE_DEVICE_CD_ROM = 2;
    FILE_DEVICE_CD_ROM_FILE_SYSTEM = 3;
    FILE_DEVICE_DFS = 6;
    FILE_DEVICE_DFS_FILE_SYSTEM = 0x35;
    FILE_DEVICE_DFS_VOLUME = 0x36;
    FILE_DEVICE_DISK = 7;
    FILE_DEVICE_DISK_FILE_SYSTEM = 8;
    FILE_DEVICE_FILE_SYSTEM = 9;
    FILE_DEVICE_MAILSLOT = 0xC;
    FILE_DEVICE_MULTI_UNC_PROVIDER = 0x10;
    FILE_DEVICE_NAMED_PIPE = 0x11;
    FILE_DEVICE_NETWORK_FILE_SYSTEM = 0x14;
    FILE_DEVICE_SECURE_OPEN = 0x100;
    FILE_DEVICE_TAPE = 0x1F;
    FILE_DEVICE_TAPE_FILE_SYSTEM = 0x20;
    FILE_DEVICE_UNKNOWN = 0x22;
    FILE_DEVICE_VIRTUAL_DISK = 0x24;
    FILE_READ_ATTRIBUTES = 0x80;
    FO_CLEANUP_COMPLETE = 0x4000;
    FO_STREAM_FILE = 0x100;
    FO_SYNCHRONOUS_IO = 2;
    FO_VOLUME_OPEN = 0x400000;
    IO_NO_INCREMENT = 0;
    IRP_MJ_CLEANUP = 0x12;
    IRP_MJ_CLOSE = 2;
    IRP_MJ_CREATE = 0;
    IRP_MJ_CREATE_MAILSLOT = 0x13;
    IRP_MJ_CREATE_NAMED_PIPE = 1;
    IRP_MJ_DEVICE_CONTROL = 0xE;
    IRP_MJ_DIRECTORY_CONTROL = 0xC;
    IRP_MJ_FILE_SYSTEM_CONTROL = 0xD;
    IRP_MJ_FLUSH_BUFFERS = 9;
    IRP_MJ_LOCK_CONTROL = 0x11;
    IRP_MJ_PNP = 0x1B;
    IRP_MJ_POWER = 0x16;
    IRP_MJ_QUERY_INFORMATION = 5;
    IRP_MJ_QUERY_VOLUME_INFORMATION = 0xA;
    IRP_MJ_READ = 3;
    IRP_MJ_SET_INFORMATION = 6;
    IRP_MJ_SET_VOLUME_INFORMATION = 0xB;
    IRP_MJ_WRITE = 4;
    IRP_MN_LOAD_FILE_SYSTEM = 3;
    IRP_MN_LOCK = 1;
    IRP_MN_MOUNT_VOLUME = 1;
    IRP_MN_NOTIFY_CHANGE_DIRECTORY = 2;
    IRP_MN_UNLOCK_SINGLE = 2;
    IRP_MN_USER_FS_REQUEST = 0;
    IRP_MN_VERIFY_VOLUME = 2;
    IRP_PAGING_IO = 2;
    IRP_SYNCHRONOUS_API = 4;
    KEY_READ = 0x20019;
    MDL_MAPPED_TO_SYSTEM_VA = 1;
    MDL_SOURCE_IS_NONPAGED_POOL = 4;
    METHOD_BUFFERED = 0;
    METHOD_OUT_DIRECT = 2;
    OBJ_CASE_INSENSITIVE = 0x40;
    OBJ_KERNEL_HANDLE = 0x200;
    PASSIVE_LEVEL = 0;
    REG_DWORD = 4;
    SL_INVOKE_ON_CANCEL = 0x20;
    SL_INVOKE_ON_ERROR = 0x80;
    SL_INVOKE_ON_SUCCESS = 0x40;
    SL_OPEN_TARGET_DIRECTORY = 4;
    SL_PENDING_RETURNED = 1;
    WRITE_DAC = 0x40000;
}

constants! { u64:
    POOL_FLAG_NON_PAGED = 0x40;
}

constants! { NTSTATUS:
    STATUS_BUFFER_OVERFLOW = 0x80000005_u32.cast_signed();
    STATUS_BUFFER_TOO_SMALL = 0xC0000023_u32.cast_signed();
    STATUS_CANCELLED = 0xC0000120_u32.cast_signed();
    STATUS_DELETE_PENDING = 0xC0000056_u32.cast_signed();
    STATUS_DEVICE_BUSY = 0x80000011_u32.cast_signed();
    STATUS_IMAGE_ALREADY_LOADED = 0xC000010E_u32.cast_signed();
    STATUS_INFO_LENGTH_MISMATCH = 0xC0000004_u32.cast_signed();
    STATUS_INSUFFICIENT_RESOURCES = 0xC000009A_u32.cast_signed();
    STATUS_INVALID_DEVICE_REQUEST = 0xC0000010_u32.cast_signed();
    STATUS_INVALID_DEVICE_STATE = 0xC0000184_u32.cast_signed();
    STATUS_INVALID_PARAMETER = 0xC000000D_u32.cast_signed();
    STATUS_MEDIA_WRITE_PROTECTED = 0xC00000A2_u32.cast_signed();
    STATUS_MORE_PROCESSING_REQUIRED = 0xC0000016_u32.cast_signed();
    STATUS_NAME_TOO_LONG = 0xC0000106_u32.cast_signed();
    STATUS_NOT_FOUND = 0xC0000225_u32.cast_signed();
    STATUS_NO_SUCH_DEVICE = 0xC000000E_u32.cast_signed();
    STATUS_OBJECT_NAME_COLLISION = 0xC0000035_u32.cast_signed();
    STATUS_OBJECT_NAME_NOT_FOUND = 0xC0000034_u32.cast_signed();
    STATUS_OBJECT_TYPE_MISMATCH = 0xC0000024_u32.cast_signed();
    STATUS_PENDING = 0x103_u32.cast_signed();
    STATUS_REPARSE = 0x104_u32.cast_signed();
    STATUS_REVISION_MISMATCH = 0xC0000059_u32.cast_signed();
    STATUS_SUCCESS = 0x0_u32.cast_signed();
    STATUS_TOO_MANY_SESSIONS = 0xC00000CE_u32.cast_signed();
}
