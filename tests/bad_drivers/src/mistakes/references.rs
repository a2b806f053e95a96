//! References to objects other than files and devices, each of which is given back unless that is the mistake.

use super::{Mistake, is};
use core::ptr::null_mut;
use wdk_sys::{
    _EVENT_TYPE, _MODE, HANDLE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PEPROCESS, PETHREAD,
    SECURITY_SUBJECT_CONTEXT, STATUS_SUCCESS, ntddk,
};

/// `EVENT_ALL_ACCESS`.
const EVENT_ALL_ACCESS: u32 = 0x1F_0003;

/// A correct filter looks at who asks, too. At PASSIVE_LEVEL.
pub unsafe fn use_objects() {
    use_process();
    use_thread();
    use_token();
    use_subject_context();
    use_event();
}

unsafe fn use_process() {
    let mut process: PEPROCESS = null_mut();
    let id = ntddk::PsGetCurrentProcessId();
    let found = ntddk::PsLookupProcessByProcessId(id, &raw mut process); // MISTAKE: process-reference-left
    if found == STATUS_SUCCESS && !is(Mistake::ProcessReferenceLeft) {
        ntddk::ObfDereferenceObject(process.cast());
        if is(Mistake::ProcessDereferencedTwice) {
            ntddk::ObfDereferenceObject(process.cast());
        }
    }
}

unsafe fn use_thread() {
    let mut thread: PETHREAD = null_mut();
    let id = ntddk::PsGetCurrentThreadId();
    let found = ntddk::PsLookupThreadByThreadId(id, &raw mut thread); // MISTAKE: thread-reference-left
    if found == STATUS_SUCCESS && !is(Mistake::ThreadReferenceLeft) {
        ntddk::ObfDereferenceObject(thread.cast());
    }
}

unsafe fn use_token() {
    let process = ntddk::IoGetCurrentProcess();
    let token = ntddk::PsReferencePrimaryToken(process); // MISTAKE: token-reference-left
    if !is(Mistake::TokenReferenceLeft) {
        ntddk::PsDereferencePrimaryToken(token.cast());
    }
}

unsafe fn use_subject_context() {
    let mut context = SECURITY_SUBJECT_CONTEXT::default();
    ntddk::SeCaptureSubjectContext(&raw mut context); // MISTAKE: subject-context-left
    if !is(Mistake::SubjectContextLeft) {
        ntddk::SeReleaseSubjectContext(&raw mut context);
    }
}

/// The event outlives its handle by the reference.
unsafe fn use_event() {
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        Attributes: OBJ_KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle: HANDLE = null_mut();
    let kind = _EVENT_TYPE::NotificationEvent;
    let made = ntddk::ZwCreateEvent(
        &raw mut handle,
        EVENT_ALL_ACCESS,
        &raw mut attributes,
        kind,
        0,
    );
    if made != STATUS_SUCCESS {
        return;
    }
    let (mut event, any, kernel) = (null_mut(), null_mut(), _MODE::KernelMode as _);
    let out = &raw mut event;
    let found = ntddk::ObReferenceObjectByHandle(handle, 0, any, kernel, out, null_mut()); // MISTAKE: event-reference-left
    let _ = ntddk::ZwClose(handle);
    if found == STATUS_SUCCESS && !is(Mistake::EventReferenceLeft) {
        ntddk::ObfDereferenceObject(event);
    }
}
