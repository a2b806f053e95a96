//! Handles and objects that are used after their end, and names that are none.

use super::threads::queue_work_once;
use super::{Mistake, is};
use crate::filter::{DispatchRoutine, dispatch};
use crate::kernel::{current_location, unicode_literal};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wdk_sys::{
    _CREATE_FILE_TYPE, _KEY_VALUE_INFORMATION_CLASS, _MODE, FILE_OPEN, FILE_READ_ATTRIBUTES,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, HANDLE, IO_DRIVER_CREATE_CONTEXT,
    IO_OPEN_TARGET_DIRECTORY, IO_STATUS_BLOCK, IRP_MJ_QUERY_INFORMATION, KEY_ALL_ACCESS, KEY_READ,
    KPROCESSOR_MODE, NTSTATUS, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    OBJECT_NAME_INFORMATION, PDEVICE_OBJECT, PIRP, POBJECT_TYPE, POOL_FLAG_NON_PAGED, PVOID,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, UNICODE_STRING, ntddk,
};

const TAG: u32 = u32::from_le_bytes(*b"BadH");
/// What was read, so that it is.
static DEVICE_FLAGS: AtomicU32 = AtomicU32::new(0);
const KERNEL: KPROCESSOR_MODE = _MODE::KernelMode as _;
const USER: KPROCESSOR_MODE = _MODE::UserMode as _;

pub(super) fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major != IRP_MJ_QUERY_INFORMATION {
        return None;
    }
    match mistake {
        Mistake::ClosedHandleReferenced => Some(refer_after_close),
        Mistake::HandleClosedTwice => Some(close_twice),
        Mistake::KernelHandleAsUser => Some(queue_user_reference),
        Mistake::MalformedString => Some(open_by_characters),
        Mistake::KeyUsedAfterClose => Some(query_after_close),
        Mistake::KeyClosedTwice => Some(close_key_twice),
        Mistake::CreatedKeyUsedAfterDelete => Some(query_after_delete),
        Mistake::ObjectDereferencedAfterLast => Some(dereference_after_last),
        Mistake::OpenFailureUnchecked => Some(open_unchecked),
        Mistake::NameFailureUnchecked => Some(name_unchecked),
        Mistake::KeyFailureUnchecked => Some(open_key_unchecked),
        Mistake::BlockReferencedAsObject => Some(reference_block),
        _ => None,
    }
}

fn service() -> UNICODE_STRING {
    unicode_literal!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\bad_drivers")
}

/// In DriverEntry: a link is made, by which programs find the driver, and the key of the service is looked at.
pub unsafe fn at_entry() {
    let (mut link, mut target) = (link(), unicode_literal!("\\Device\\BadDrivers"));
    let made = ntddk::IoCreateSymbolicLink(&raw mut link, &raw mut target); // MISTAKE: symbolic-link-left
    // Another copy of the driver may have it.
    LINKED.store(made == STATUS_SUCCESS, Ordering::Relaxed);
    let mut name = service();
    let mut attributes = attributes(&mut name);
    // DriverEntry runs in the system's process, so that the handle is the system's all the same.
    attributes.Attributes = OBJ_CASE_INSENSITIVE;
    let mut key = null_mut();
    let opened = ntddk::ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes); // MISTAKE: entry-handle-left
    if opened == STATUS_SUCCESS && !is(Mistake::EntryHandleLeft) {
        let _ = ntddk::ZwClose(key);
    }
    if is(Mistake::EntryTerminates) {
        let _ = ntddk::PsTerminateSystemThread(STATUS_SUCCESS); // MISTAKE: entry-terminates
    }
}

/// In DriverUnload.
pub unsafe fn at_unload() {
    if LINKED.load(Ordering::Relaxed) && !is(Mistake::SymbolicLinkLeft) {
        let mut link = link();
        let _ = ntddk::IoDeleteSymbolicLink(&raw mut link);
    }
}

/// The link was made.
static LINKED: AtomicBool = AtomicBool::new(false);

fn link() -> UNICODE_STRING {
    unicode_literal!("\\DosDevices\\BadDrivers")
}

fn attributes(name: &mut UNICODE_STRING) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: null_mut(),
        ObjectName: name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: null_mut(),
        SecurityQualityOfService: null_mut(),
    }
}

/// The key of the driver's service.
unsafe fn open_key() -> Option<HANDLE> {
    let mut name = service();
    let mut attributes = attributes(&mut name);
    let mut key = null_mut();
    let status = ntddk::ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes);
    (status == STATUS_SUCCESS).then_some(key)
}

/// A key below that of the driver's service.
unsafe fn create_key() -> Option<HANDLE> {
    let mut name = unicode_literal!(
        "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\bad_drivers\\Temporary"
    );
    let mut attributes = attributes(&mut name);
    let mut key = null_mut();
    let status = ntddk::ZwCreateKey(
        &raw mut key,
        KEY_ALL_ACCESS,
        &raw mut attributes,
        0,
        null_mut(),
        0,
        null_mut(),
    );
    (status == STATUS_SUCCESS).then_some(key)
}

/// Asks for a value that there need not be.
#[inline(never)]
unsafe fn query(key: HANDLE) {
    let mut name = unicode_literal!("Start");
    let mut room = [0_u64; 8];
    let mut length = 0;
    let class = _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;
    let (value, bytes) = (room.as_mut_ptr().cast(), size_of_val(&room) as u32);
    let _ = ntddk::ZwQueryValueKey(key, &raw mut name, class, value, bytes, &raw mut length);
}

unsafe fn refer(handle: HANDLE, mode: KPROCESSOR_MODE) -> Option<PVOID> {
    let mut object = null_mut();
    let out = &raw mut object;
    let status = ntddk::ObReferenceObjectByHandle(handle, 0, null_mut(), mode, out, null_mut());
    (status == STATUS_SUCCESS).then_some(object)
}

/// A kernel handle of the file that the request is for.
unsafe fn open_file(irp: PIRP) -> Option<HANDLE> {
    let file = (*current_location(irp)).FileObject;
    let mut handle = null_mut();
    let status = ntddk::ObOpenObjectByPointer(
        file.cast(),
        OBJ_KERNEL_HANDLE,
        null_mut(),
        0,
        null_mut(),
        KERNEL,
        &raw mut handle,
    );
    (status == STATUS_SUCCESS).then_some(handle)
}

unsafe extern "C" fn refer_after_close(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(handle) = open_file(irp) {
        let _ = ntddk::ZwClose(handle);
        let mut object = null_mut();
        let (out, any) = (&raw mut object, null_mut());
        let _ = ntddk::ObReferenceObjectByHandle(handle, 0, any, KERNEL, out, null_mut()); // MISTAKE: closed-handle-referenced
    }
    dispatch(device, irp)
}

unsafe extern "C" fn close_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(handle) = open_file(irp) {
        let _ = ntddk::ZwClose(handle);
        let _ = ntddk::ZwClose(handle); // MISTAKE: handle-closed-twice
    }
    dispatch(device, irp)
}

unsafe extern "C" fn queue_user_reference(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    queue_work_once(refer_as_user);
    dispatch(device, irp)
}

/// `WORKER_THREAD_ROUTINE`.
unsafe extern "C" fn refer_as_user(_context: PVOID) {
    if let Some(key) = open_key() {
        let mut object = null_mut();
        let (out, any) = (&raw mut object, null_mut());
        let found = ntddk::ObReferenceObjectByHandle(key, 0, any, USER, out, null_mut()); // MISTAKE: kernel-handle-as-user
        if found == STATUS_SUCCESS {
            ntddk::ObfDereferenceObject(object);
        }
        let _ = ntddk::ZwClose(key);
    }
}

unsafe extern "C" fn open_by_characters(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut name = service();
    name.Length /= 2;
    let mut attributes = attributes(&mut name);
    let mut key = null_mut();
    let status = ntddk::ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes); // MISTAKE: malformed-string
    if status == STATUS_SUCCESS {
        let _ = ntddk::ZwClose(key);
    }
    dispatch(device, irp)
}

unsafe extern "C" fn query_after_close(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(key) = open_key() {
        let _ = ntddk::ZwClose(key);
        query(key); // MISTAKE: key-used-after-close
    }
    dispatch(device, irp)
}

unsafe extern "C" fn close_key_twice(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(key) = open_key() {
        let _ = ntddk::ZwClose(key);
        let _ = ntddk::ZwClose(key); // MISTAKE: key-closed-twice
    }
    dispatch(device, irp)
}

unsafe extern "C" fn query_after_delete(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(key) = create_key() {
        if ntddk::ZwDeleteKey(key) == STATUS_SUCCESS {
            query(key); // MISTAKE: created-key-used-after-delete
        }
        let _ = ntddk::ZwClose(key);
    }
    dispatch(device, irp)
}

/// The reference of the handle was the other one.
unsafe extern "C" fn dereference_after_last(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if let Some(key) = open_key() {
        let object = refer(key, KERNEL);
        let _ = ntddk::ZwClose(key);
        if let Some(object) = object {
            ntddk::ObfDereferenceObject(object);
            ntddk::ObfDereferenceObject(object); // MISTAKE: object-dereferenced-after-last
        }
    }
    dispatch(device, irp)
}

unsafe extern "C" fn reference_block(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 256, TAG);
    if !block.is_null() {
        ntddk::ObfReferenceObject(block); // MISTAKE: block-referenced-as-object
        ntddk::ExFreePoolWithTag(block, TAG);
    }
    dispatch(device, irp)
}

/// The device is null where it was not opened.
unsafe extern "C" fn open_unchecked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut name = unicode_literal!("\\Device\\HarddiskVolume1");
    let (mut file, mut opened) = (null_mut(), null_mut());
    let rights = FILE_READ_ATTRIBUTES;
    let _ = ntddk::IoGetDeviceObjectPointer(&raw mut name, rights, &raw mut file, &raw mut opened);
    let flags = (&raw const (*opened).Flags).read_volatile(); // MISTAKE: open-failure-unchecked
    ntddk::ObfDereferenceObject(file.cast());
    DEVICE_FLAGS.store(flags, Ordering::Relaxed);
    dispatch(device, irp)
}

/// Of a name that was not given the buffer is null.
unsafe extern "C" fn name_unchecked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut room = [0_usize; 64];
    let (name, mut length) = (room.as_mut_ptr().cast::<OBJECT_NAME_INFORMATION>(), 0);
    let (object, bytes) = ((*device).DriverObject.cast(), size_of_val(&room) as u32);
    let _ = ntddk::ObQueryNameString(object, name, bytes, &raw mut length);
    let first = (*name).Name.Buffer.read_volatile(); // MISTAKE: name-failure-unchecked
    DEVICE_FLAGS.store(first.into(), Ordering::Relaxed);
    dispatch(device, irp)
}

unsafe extern "C" fn open_key_unchecked(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut name = service();
    let mut attributes = attributes(&mut name);
    let mut key = null_mut();
    let _ = ntddk::ZwOpenKey(&raw mut key, KEY_READ, &raw mut attributes);
    let mut object = null_mut();
    let (out, any) = (&raw mut object, null_mut());
    let found = ntddk::ObReferenceObjectByHandle(key, 0, any, KERNEL, out, null_mut()); // MISTAKE: key-failure-unchecked
    if found == STATUS_SUCCESS {
        ntddk::ObfDereferenceObject(object);
        let _ = ntddk::ZwClose(key);
    }
    dispatch(device, irp)
}

/// Everything that is done wrong here, done right.
pub unsafe extern "C" fn right(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    use_event();
    if let Some(handle) = open_file(irp) {
        if let Some(object) = refer(handle, KERNEL) {
            ntddk::ObfReferenceObject(object);
            ntddk::ObfDereferenceObject(object);
            ntddk::ObfDereferenceObject(object);
        }
        let _ = ntddk::ZwClose(handle);
    }
    if let Some(key) = open_key() {
        query(key);
        let object = refer(key, KERNEL);
        let _ = ntddk::ZwClose(key);
        // The object outlives its handle by the reference.
        if let Some(object) = object {
            ntddk::ObfDereferenceObject(object);
        }
    }
    if let Some(key) = create_key() {
        query(key);
        let _ = ntddk::ZwDeleteKey(key);
        // What is deleted is closed still.
        let _ = ntddk::ZwClose(key);
    }
    dispatch(device, irp)
}

unsafe extern "C" {
    // A variable of the kernel is reached by what the loader writes; without `dllimport` the linker takes it for the
    // driver's own.
    #[link_name = "__imp_ExEventObjectType"]
    static EVENT_TYPE: *const POBJECT_TYPE;
    #[link_name = "__imp_IoFileObjectType"]
    static FILE_TYPE: *const POBJECT_TYPE;
}

/// An event by its handle, which is of the type of events and of no other.
unsafe fn use_event() {
    let (mut handle, mut object) = (null_mut(), null_mut());
    let event = ntddk::IoCreateNotificationEvent(null_mut(), &raw mut handle);
    if event.is_null() {
        return;
    }
    let (out, none) = (&raw mut object, null_mut());
    let file = *FILE_TYPE;
    let other = ntddk::ObReferenceObjectByHandle(handle, 0, file, KERNEL, out, none);
    let kind = *EVENT_TYPE;
    let found = ntddk::ObReferenceObjectByHandle(handle, 0, kind, KERNEL, out, none);
    if (other, found, object) != (STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, event.cast()) {
        ntddk::KeBugCheck(TAG);
    }
    ntddk::ObfDereferenceObject(object);
    let _ = ntddk::ZwClose(handle);
}

/// The directory of a file that is not there, opened by the routines with the most arguments: the flag and the hint, or
/// the context, are the last of them.
pub unsafe extern "C" fn open_target_directory(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let mut name = unicode_literal!("\\??\\C:\\is not there");
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        ObjectName: &raw mut name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        ..Default::default()
    };
    let mut handle = null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    let status = ntddk::IoCreateFileSpecifyDeviceObjectHint(
        &raw mut handle,
        FILE_READ_ATTRIBUTES,
        &raw mut attributes,
        &raw mut block,
        null_mut(),
        0,
        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
        FILE_OPEN,
        0,
        null_mut(),
        0,
        _CREATE_FILE_TYPE::CreateFileTypeNone,
        null_mut(),
        IO_OPEN_TARGET_DIRECTORY,
        null_mut(),
    );
    was_opened(status, handle);
    let mut context = IO_DRIVER_CREATE_CONTEXT {
        Size: size_of::<IO_DRIVER_CREATE_CONTEXT>() as i16,
        ..Default::default()
    };
    let status = ntddk::IoCreateFileEx(
        &raw mut handle,
        FILE_READ_ATTRIBUTES,
        &raw mut attributes,
        &raw mut block,
        null_mut(),
        0,
        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
        FILE_OPEN,
        0,
        null_mut(),
        0,
        _CREATE_FILE_TYPE::CreateFileTypeNone,
        null_mut(),
        IO_OPEN_TARGET_DIRECTORY,
        &raw mut context,
    );
    was_opened(status, handle);
    dispatch(device, irp)
}

unsafe fn was_opened(status: NTSTATUS, handle: HANDLE) {
    match status {
        STATUS_SUCCESS => drop(ntddk::ZwClose(handle)),
        // The file itself was asked for, or a device that is none.
        STATUS_OBJECT_NAME_NOT_FOUND | STATUS_INVALID_PARAMETER => ntddk::KeBugCheck(TAG),
        _ => {}
    }
}
