//! File objects: what a filter takes of them and gives back, and who is to know that they are closed.

use super::{Mistake, is};
use crate::filter::{
    DispatchRoutine, completed, dispatch, enter, fast_io_below, leave, lower, pass_and_wait,
    pass_with,
};
use crate::kernel::{complete_as_is, current_location, fast_mutex, mark_pending, skip_location};
use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::null_mut;
use wdk_sys::{
    _MODE, BOOLEAN, FAST_IO_DISPATCH, GUID, HANDLE, IO_STATUS_BLOCK, IRP, IRP_MJ_CLEANUP,
    IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_QUERY_INFORMATION, IRP_MJ_READ, IRP_MJ_WRITE,
    IRP_MN_COMPLETE, LARGE_INTEGER, NTSTATUS, OBJ_KERNEL_HANDLE, PDEVICE_OBJECT,
    PFILE_NETWORK_OPEN_INFORMATION, PFILE_OBJECT, PIRP, POOL_FLAG_NON_PAGED, STATUS_ACCESS_DENIED,
    STATUS_REPARSE, STATUS_SUCCESS, UNICODE_STRING, ntddk,
};

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    match (mistake, major) {
        (Mistake::CloseNotPassedOn, IRP_MJ_CLEANUP) => Some(answer_cleanup),
        (Mistake::MdlRequestAnswered, IRP_MJ_READ | IRP_MJ_WRITE) => Some(answer_mdl),
        (Mistake::CloseAnswered, IRP_MJ_CLOSE) => Some(answer_close),
        (Mistake::CloseFailedAfterwards, IRP_MJ_CLEANUP) => Some(pass_and_fail),
        (Mistake::FileDereferencedTwice, IRP_MJ_CLEANUP) => Some(give_back_too_many),
        (Mistake::FileNameKept, IRP_MJ_CREATE) => Some(keep_name),
        (Mistake::CachedReadBeyond, IRP_MJ_QUERY_INFORMATION) => Some(read_beyond),
        (Mistake::FileNameInCompletion, IRP_MJ_CREATE) => Some(pass_and_read_name),
        (Mistake::FileNameOfNoPool, IRP_MJ_CREATE) => Some(rename_to_constant),
        (Mistake::TopLevelIrpFollowed | Mistake::TopLevelFlagFollowed, IRP_MJ_READ) => {
            Some(follow_top_level)
        }
        (Mistake::PageFileWaits, IRP_MJ_READ | IRP_MJ_WRITE) => Some(take_mutex),
        (Mistake::VolumeReparsed, IRP_MJ_CREATE) => Some(reparse_volumes),
        (Mistake::ParameterFreedInList, IRP_MJ_CREATE) => Some(free_parameter),
        _ => None,
    }
}

/// Takes pages that are given back for its own.
unsafe extern "C" fn answer_mdl(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if u32::from((*current_location(irp)).MinorFunction) & IRP_MN_COMPLETE == 0 {
        return dispatch(device, irp);
    }
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    (*irp).IoStatus.Information = 0;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: mdl-request-answered
    STATUS_SUCCESS
}

/// FAST_IO_QUERY_OPEN.
type QueryOpen =
    unsafe extern "C" fn(PIRP, PFILE_NETWORK_OPEN_INFORMATION, PDEVICE_OBJECT) -> BOOLEAN;

/// The routine for the fast I/O table: with the mistake, or where it is shown how it is done right.
pub fn query_open(mistake: Mistake, right: bool) -> Option<QueryOpen> {
    match mistake {
        Mistake::StackFileReferenced => Some(query_and_reference),
        _ if right => Some(pass_query_open),
        _ => None,
    }
}

/// Sends the open of a volume elsewhere: a name of its own, for what has none.
unsafe extern "C" fn reparse_volumes(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    if (*file).FileName.Length != 0 || !(*file).RelatedFileObject.is_null() {
        return dispatch(device, irp);
    }
    (*irp).IoStatus.Information = 0;
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_REPARSE;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: volume-reparsed
    STATUS_REPARSE
}

const TAG: u32 = u32::from_le_bytes(*b"BadF");
static PARAMETER: GUID = GUID {
    Data1: 0x8f3a_52c1,
    Data2: 0x6d0e,
    Data3: 0x4b19,
    Data4: [0x9a, 0x77, 0x2c, 0x5d, 0x11, 0x08, 0xe4, 0x36],
};

/// Makes a parameter and a list, which nobody gets.
unsafe extern "C" fn free_parameter(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let (mut list, mut parameter) = (null_mut(), null_mut());
    let (kind, bytes, into) = (&raw const PARAMETER, 16, &raw mut parameter);
    let made = ntddk::FsRtlAllocateExtraCreateParameter(kind, bytes, 0, None, TAG, into);
    if made == STATUS_SUCCESS {
        if ntddk::FsRtlAllocateExtraCreateParameterList(0, &raw mut list) == STATUS_SUCCESS {
            let _ = ntddk::FsRtlInsertExtraCreateParameter(list, parameter);
        }
        ntddk::FsRtlFreeExtraCreateParameter(parameter); // MISTAKE: parameter-freed-in-list
    }
    dispatch(device, irp)
}

/// A correct filter uses files, too: each of these is undone. In a request that has one, at PASSIVE_LEVEL.
pub unsafe fn use_file(irp: PIRP) {
    let file = (*current_location(irp)).FileObject;
    use_reference(file);
    use_handle(file);
    use_top_level_irp(irp);
    use_names(file);
}

/// A correct filter looks at none of them now.
unsafe fn use_names(file: PFILE_OBJECT) {
    let related = (*file).RelatedFileObject;
    if is(Mistake::RelatedFileUsed) && !related.is_null() {
        (&raw const (*related).Flags).read_volatile(); // MISTAKE: related-file-used
    }
    let name = (*file).FileName.Buffer;
    if is(Mistake::FileNameUsed) && !name.is_null() {
        name.read_volatile(); // MISTAKE: file-name-used
    }
}

unsafe fn use_reference(file: PFILE_OBJECT) {
    ntddk::ObfReferenceObject(file.cast()); // MISTAKE: file-reference-left
    if !is(Mistake::FileReferenceLeft) {
        ntddk::ObfDereferenceObject(file.cast());
    }
}

unsafe fn use_handle(file: PFILE_OBJECT) {
    let kernel = _MODE::KernelMode as _;
    let (mut handle, attributes): (HANDLE, _) = (null_mut(), OBJ_KERNEL_HANDLE);
    let (no_state, no_type, out) = (null_mut(), null_mut(), &raw mut handle);
    let opened =
        ntddk::ObOpenObjectByPointer(file.cast(), attributes, no_state, 0, no_type, kernel, out); // MISTAKE: handle-left
    if opened == STATUS_SUCCESS && !is(Mistake::HandleLeft) {
        let _ = ntddk::ZwClose(handle);
    }
}

unsafe fn use_top_level_irp(irp: PIRP) {
    let before = ntddk::IoGetTopLevelIrp();
    ntddk::IoSetTopLevelIrp(irp); // MISTAKE: top-level-irp-left
    if !is(Mistake::TopLevelIrpLeft) {
        ntddk::IoSetTopLevelIrp(before);
    }
}

/// The create is waited for, and its name looked at again where it was.
unsafe extern "C" fn keep_name(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let name = (*(*current_location(irp)).FileObject).FileName.Buffer;
    let status = pass_and_wait(device, irp);
    if status == STATUS_SUCCESS && !name.is_null() {
        name.read_volatile(); // MISTAKE: file-name-kept
    }
    complete_as_is(irp);
    leave();
    status
}

/// Wants to see what a file has in the cache, and asks for more than it has at all.
unsafe extern "C" fn read_beyond(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    if !(*file).PrivateCacheMap.is_null() {
        let (mut offset, mut block) = (LARGE_INTEGER::default(), IO_STATUS_BLOCK::default());
        offset.QuadPart = 1 << 40;
        let (mut byte, at, out) = (0u8, &raw mut offset, &raw mut block);
        let _ = ntddk::CcCopyRead(file, at, 1, 1, (&raw mut byte).cast(), out); // MISTAKE: cached-read-beyond
    }
    dispatch(device, irp)
}

/// The create's completion routine takes the name that was there before.
unsafe extern "C" fn pass_and_read_name(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, name_after_create, null_mut());
    leave();
    status
}

unsafe extern "C" fn name_after_create(
    _device: PDEVICE_OBJECT,
    irp: PIRP,
    _context: *mut c_void,
) -> NTSTATUS {
    if (*irp).PendingReturned != 0 {
        mark_pending(irp);
    }
    let name = (*(*current_location(irp)).FileObject).FileName.Buffer;
    if (*irp).IoStatus.__bindgen_anon_1.Status == STATUS_SUCCESS && !name.is_null() {
        name.read_volatile(); // MISTAKE: file-name-in-completion
    }
    leave();
    STATUS_SUCCESS
}

/// What is called `\aside` where another file was meant.
unsafe extern "C" fn rename_to_constant(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    if (*file).FileName.Length != 0 && (*file).RelatedFileObject.is_null() {
        // The old name is freed, as whoever replaces it has to.
        ntddk::ExFreePool((*file).FileName.Buffer.cast());
        (*file).FileName = ASIDE;
    }
    enter();
    skip_location(irp);
    let status = ntddk::IofCallDriver(lower(device), irp); // MISTAKE: file-name-of-no-pool
    leave();
    status
}

/// RTL_CONSTANT_STRING.
const ASIDE: UNICODE_STRING = UNICODE_STRING {
    Length: size_of_val(&ASIDE_UNITS) as u16,
    MaximumLength: size_of_val(&ASIDE_UNITS) as u16,
    Buffer: (&raw const ASIDE_UNITS).cast_mut().cast(),
};
static ASIDE_UNITS: [u16; 6] = [
    b'\\' as u16,
    b'a' as u16,
    b's' as u16,
    b'i' as u16,
    b'd' as u16,
    b'e' as u16,
];

/// What the name is replaced by is a block of the pool, which the system frees; what it was is freed here.
unsafe fn put_in_block(file: PFILE_OBJECT) {
    let name = &mut (*file).FileName;
    if name.Length == 0 {
        return;
    }
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, name.Length.into(), TAG);
    if block.is_null() {
        return;
    }
    let bytes = usize::from(name.Length);
    core::ptr::copy_nonoverlapping(name.Buffer.cast::<u8>(), block.cast(), bytes);
    ntddk::ExFreePool(name.Buffer.cast());
    name.Buffer = block.cast();
    name.MaximumLength = name.Length;
}

/// The right way: name and directory are looked at before the request is passed on, and again where the file system has
/// not opened it; the name is replaced by a block.
pub unsafe extern "C" fn create_right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let file = (*current_location(irp)).FileObject;
    let related = (*file).RelatedFileObject;
    if !related.is_null() {
        (&raw const (*related).Flags).read_volatile();
    }
    read_name(file);
    put_in_block(file);
    let status = pass_and_wait(device, irp);
    if status < 0 {
        read_name(file);
    }
    complete_as_is(irp);
    leave();
    status
}

unsafe fn read_name(file: PFILE_OBJECT) {
    let name = (*file).FileName;
    if name.Length != 0 {
        name.Buffer.read_volatile();
    }
}

/// A request that the file system may be the reason of.
unsafe extern "C" fn follow_top_level(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let top = ntddk::IoGetTopLevelIrp();
    let is_flag = top.addr() <= FLAGS_END;
    if !top.is_null() && is_flag == is(Mistake::TopLevelFlagFollowed) {
        if is_flag {
            // No request lies there: a byte can be read at any address.
            let mode = top
                .cast::<u8>()
                .wrapping_add(offset_of!(IRP, RequestorMode));
            core::hint::black_box(*mode); // MISTAKE: top-level-flag-followed
        } else {
            (&raw const (*top).MdlAddress).read_volatile(); // MISTAKE: top-level-irp-followed
        }
    }
    dispatch(device, irp)
}

/// FSRTL_MAX_TOP_LEVEL_IRP_FLAG.
const FLAGS_END: usize = 0xFFFF;

/// Whoever needs the page may have the mutex.
unsafe extern "C" fn take_mutex(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut mutex = fast_mutex();
    ntddk::ExAcquireFastMutex(&raw mut mutex); // MISTAKE: page-file-waits
    ntddk::ExReleaseFastMutex(&raw mut mutex);
    dispatch(device, irp)
}

/// The right way: the top-level IRP is compared, and not looked into; a mutex is taken for what is no page file.
pub unsafe extern "C" fn read_right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let is_within = !ntddk::IoGetTopLevelIrp().is_null();
    core::hint::black_box(is_within);
    if ntddk::FsRtlIsPagingFile((*current_location(irp)).FileObject) == 0 {
        return take_mutex(device, irp);
    }
    dispatch(device, irp)
}

/// The file object is kept for the time of the call below, as if it were one of the object manager's.
unsafe extern "C" fn query_and_reference(
    irp: PIRP,
    information: PFILE_NETWORK_OPEN_INFORMATION,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    let file = (*current_location(irp)).FileObject;
    ntddk::ObfReferenceObject(file.cast()); // MISTAKE: stack-file-referenced
    let answered = pass_query_open(irp, information, device);
    ntddk::ObfDereferenceObject(file.cast());
    answered
}

/// The device below finds itself in the request's location, which is not sent.
unsafe extern "C" fn pass_query_open(
    irp: PIRP,
    information: PFILE_NETWORK_OPEN_INFORMATION,
    device: PDEVICE_OBJECT,
) -> BOOLEAN {
    let below = lower(device);
    let table = fast_io_below(below, offset_of!(FAST_IO_DISPATCH, FastIoQueryOpen));
    let Some(query) = table.as_ref().and_then(|table| table.FastIoQueryOpen) else {
        return 0;
    };
    let location = current_location(irp);
    (*location).DeviceObject = below;
    let answered = query(irp, information, below);
    (*location).DeviceObject = device;
    answered
}

/// Takes the file for its own, as if it had opened it.
unsafe extern "C" fn answer_cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.Information = 0;
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    ntddk::IofCompleteRequest(irp, 0); // MISTAKE: close-not-passed-on
    STATUS_SUCCESS
}

/// `IO_DISK_INCREMENT`: as a disk, of which the request knows nothing.
const BOOST: i8 = 1;

unsafe extern "C" fn answer_close(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    (*irp).IoStatus.Information = 0;
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_SUCCESS;
    ntddk::IofCompleteRequest(irp, BOOST); // MISTAKE: close-answered
    STATUS_SUCCESS
}

unsafe extern "C" fn pass_and_fail(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    enter();
    let status = pass_with(device, irp, fail_afterwards, null_mut());
    leave();
    status
}

/// Lets nobody close what was closed already.
unsafe extern "C" fn fail_afterwards(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    context: *mut c_void,
) -> NTSTATUS {
    (*irp).IoStatus.__bindgen_anon_1.Status = STATUS_ACCESS_DENIED;
    completed(device, irp, context)
}

/// Gives back the reference of whoever has the file open.
unsafe extern "C" fn give_back_too_many(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let file = (*current_location(irp)).FileObject;
    ntddk::ObfDereferenceObject(file.cast()); // MISTAKE: file-dereferenced-twice
    dispatch(device, irp)
}
