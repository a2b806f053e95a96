//! `Ps`: threads and processes.
//!
//! Left out: what reads the parts of a process that the box does not have.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::io_manager::references;
use crate::nt::routines::ContextRoutine;
use crate::nt::{
    HANDLE, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_CID,
    STATUS_INVALID_PARAMETER, STATUS_PROCEDURE_NOT_FOUND, STATUS_SUCCESS,
};
use crate::pe_image::{self, Image};
use crate::pool;
use crate::processor::given;
use crate::processor::notify::{self, Occasion};
use crate::processor::object::{self, Kind, ObjectType};
use crate::processor::{handle, handle_callbacks, lifetime};
use crate::processor::{irql, process, system_thread, thread, work};
use crate::verifier::{rules, violation};
use std::ffi::c_void;

super::table! {
    "PsGetCurrentProcessId" => get_current_process_id,
    "PsGetCurrentThreadId" => get_current_thread_id,
    "PsGetCurrentProcess" => get_current_process,
    "IoGetCurrentProcess" => get_current_process,
    "PsGetCurrentThread" => get_current_thread,
    "PsGetCurrentThreadProcess" => get_current_thread_process,
    "PsGetCurrentThreadProcessId" => get_current_process_id,
    "PsGetProcessId" => get_process_id,
    "PsGetThreadId" => get_thread_id,
    "PsGetThreadProcessId" => get_thread_process_id,
    "PsGetThreadProcess" => get_thread_process,
    "PsIsSystemThread" => is_system_thread,
    "PsGetProcessImageFileName" => get_process_image_file_name,
    "PsGetProcessCreateTimeQuadPart" => get_process_create_time,
    "PsGetProcessSessionId" => get_process_session_id,
    "PsIsThreadTerminating" => is_thread_terminating,
    caller(2) "PsLookupProcessByProcessId" => lookup_process_by_process_id,
    caller(2) "PsLookupThreadByThreadId" => lookup_thread_by_thread_id,
    caller(7) "PsCreateSystemThread" => create_system_thread,
    caller(1) "PsTerminateSystemThread" => terminate_system_thread,
    caller(2) "PsSetCreateProcessNotifyRoutine" => set_create_process_notify_routine,
    caller(2) "PsSetCreateProcessNotifyRoutineEx" => set_create_process_notify_routine_ex,
    caller(3) "PsSetCreateProcessNotifyRoutineEx2" => set_create_process_notify_routine_ex2,
    caller(1) "PsSetCreateThreadNotifyRoutine" => set_create_thread_notify_routine,
    caller(2) "PsSetCreateThreadNotifyRoutineEx" => set_create_thread_notify_routine_ex,
    caller(1) "PsRemoveCreateThreadNotifyRoutine" => remove_create_thread_notify_routine,
    caller(1) "PsSetLoadImageNotifyRoutine" => set_load_image_notify_routine,
    caller(2) "PsSetLoadImageNotifyRoutineEx" => set_load_image_notify_routine_ex,
    caller(1) "PsRemoveLoadImageNotifyRoutine" => remove_load_image_notify_routine,
    caller(1) "PsReferencePrimaryToken" => super::se::token::reference_primary,
    caller(1) "PsDereferencePrimaryToken" => super::se::token::dereference_primary,
    caller(4) "PsReferenceImpersonationToken" => super::se::impersonation::reference_token,
    caller(1) "PsDereferenceImpersonationToken" => super::se::impersonation::dereference_token,
    caller(5) "PsImpersonateClient" => super::se::impersonation::impersonate_token,
    caller(0) "PsRevertToSelf" => super::se::impersonation::revert,
    "PsIsThreadImpersonating" => super::se::impersonation::is_impersonating,
    data "PsInitialSystemProcess" => process::INITIAL_SYSTEM_PROCESS,
    data "PsThreadType" => THREAD_TYPE,
    data "PsProcessType" => PROCESS_TYPE,
}

static THREAD_TYPE: &ObjectType = object::object_type(Kind::Thread);
static PROCESS_TYPE: &ObjectType = object::object_type(Kind::Process);

/// An id as a handle.
fn id(value: u32) -> HANDLE {
    std::ptr::without_provenance_mut(value as usize)
}

/// `PsGetCurrentProcessId`.
unsafe extern "win64" fn get_current_process_id() -> HANDLE {
    id(thread::current().owner().id())
}

/// `PsGetCurrentThreadId`.
unsafe extern "win64" fn get_current_thread_id() -> HANDLE {
    id(thread::current().id())
}

/// `PsGetCurrentProcess`, `IoGetCurrentProcess`.
pub(super) unsafe extern "win64" fn get_current_process() -> *mut c_void {
    current_process()
}

/// The process that the thread is attached to, or its own.
pub(super) fn current_process() -> *mut c_void {
    match process::attached() {
        process if process.is_null() => thread::current().process(),
        process => process,
    }
}

/// `PsGetCurrentThreadProcess`: the thread's own.
unsafe extern "win64" fn get_current_thread_process() -> *mut c_void {
    thread::current().process()
}

/// `PsGetCurrentThread`.
unsafe extern "win64" fn get_current_thread() -> *mut c_void {
    thread::current().object()
}

/// `PsGetProcessId`.
unsafe extern "win64" fn get_process_id(object: *mut c_void) -> HANDLE {
    id(process::from_object(object).map_or(0, process::Process::id))
}

/// `PsGetThreadId`.
unsafe extern "win64" fn get_thread_id(object: *mut c_void) -> HANDLE {
    irql::require("PsGetThreadId", 0);
    id(thread::from_object(object).map_or(0, thread::Thread::id))
}

/// `PsGetThreadProcessId`.
unsafe extern "win64" fn get_thread_process_id(object: *mut c_void) -> HANDLE {
    id(thread::from_object(object).map_or(0, |thread| thread.owner().id()))
}

/// `PsGetThreadProcess`.
unsafe extern "win64" fn get_thread_process(object: *mut c_void) -> *mut c_void {
    thread::from_object(object).map_or(std::ptr::null_mut(), thread::Thread::process)
}

/// `PsIsSystemThread`.
unsafe extern "win64" fn is_system_thread(object: *mut c_void) -> u8 {
    irql::require("PsIsSystemThread", 0);
    u8::from(thread::from_object(object).is_some_and(thread::Thread::is_system))
}

/// `PsGetProcessImageFileName`.
unsafe extern "win64" fn get_process_image_file_name(object: *mut c_void) -> *mut u8 {
    process::from_object(object).map_or(std::ptr::null_mut(), process::Process::image_file_name)
}

/// `PsGetProcessCreateTimeQuadPart`. Any IRQL.
unsafe extern "win64" fn get_process_create_time(object: *mut c_void) -> i64 {
    process::from_object(object).map_or(0, process::Process::created)
}

/// `PsGetProcessSessionId`.
unsafe extern "win64" fn get_process_session_id(object: *mut c_void) -> u32 {
    process::from_object(object).map_or(0, process::Process::session)
}

/// `PsIsThreadTerminating`: a thread that has ended is.
unsafe extern "win64" fn is_thread_terminating(object: *mut c_void) -> u8 {
    irql::require("PsIsThreadTerminating", 0);
    u8::from(thread::from_object(object).is_some_and(thread::Thread::has_ended))
}

/// The process of an id.
pub(super) fn process_of_id(wanted: HANDLE) -> Option<&'static process::Process> {
    process::by_id(wanted.addr())
}

/// The thread of an id, if it runs.
pub(super) fn thread_of_id(wanted: HANDLE) -> Option<&'static thread::Thread> {
    let mut threads = thread::running().into_iter();
    threads.find(|thread| id(thread.id()) == wanted)
}

/// `PsLookupProcessByProcessId`: references the process.
unsafe extern "win64" fn lookup_process_by_process_id(
    wanted: HANDLE,
    found: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsLookupProcessByProcessId", caller);
    let Some(process) = process_of_id(wanted) else {
        return STATUS_INVALID_CID;
    };
    // SAFETY: the object of a process that runs.
    unsafe { lifetime::reference(process.object()) };
    // SAFETY: as above.
    unsafe { references::taken(process.object(), caller) };
    // SAFETY: the driver passes a variable.
    unsafe { found.write(process.object()) };
    STATUS_SUCCESS
}

/// `PsLookupThreadByThreadId`: references the thread.
unsafe extern "win64" fn lookup_thread_by_thread_id(
    wanted: HANDLE,
    found: *mut *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsLookupThreadByThreadId", caller);
    let Some(thread) = thread_of_id(wanted) else {
        return STATUS_INVALID_CID;
    };
    // SAFETY: thread objects live as long as the box.
    unsafe { lifetime::reference(thread.object()) };
    // SAFETY: as above.
    unsafe { references::taken(thread.object(), caller) };
    // SAFETY: the driver passes a variable.
    unsafe { found.write(thread.object()) };
    STATUS_SUCCESS
}

/// `CLIENT_ID`.
#[repr(C)]
pub struct ClientId {
    /// Of the process.
    pub process: HANDLE,
    /// Of the thread, null for any.
    pub thread: HANDLE,
}

/// `PsCreateSystemThread`. Object attributes have nothing that matters here.
unsafe extern "win64" fn create_system_thread(
    handle: *mut HANDLE,
    access: u32,
    _attributes: *mut c_void,
    process_handle: HANDLE,
    client_id: *mut ClientId,
    routine: ContextRoutine,
    context: *mut c_void,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsCreateSystemThread", caller);
    given::remember(routine as usize, "PsCreateSystemThread", caller);
    if pool::failure::should_fail(caller) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let owner = if process_handle.is_null() {
        process::system()
    } else {
        match handle::object_of_handle(process_handle).map(process::from_object) {
            Ok(Some(process)) => process,
            Ok(None) => return STATUS_INVALID_PARAMETER,
            Err(status) => return status,
        }
    };
    let publish = |thread: &'static thread::Thread| {
        // SAFETY: thread objects live as long as the box.
        let value = unsafe { handle_callbacks::open_handle(thread.object(), access, true) };
        // SAFETY: the driver passes a variable.
        unsafe { handle.write(value) };
        if !client_id.is_null() {
            let value = ClientId {
                process: id(owner.id()),
                thread: id(thread.id()),
            };
            // SAFETY: the driver passes the memory of a client id or null.
            unsafe { client_id.write(value) };
        }
    };
    // SAFETY: the routine takes the context, for as long as the thread runs.
    match unsafe { system_thread::start(owner, routine, context, publish) } {
        true => STATUS_SUCCESS,
        false => STATUS_INSUFFICIENT_RESOURCES,
    }
}

/// `PsTerminateSystemThread`: does not return, unless the thread is none that
/// `PsCreateSystemThread` made.
unsafe extern "win64" fn terminate_system_thread(status: NTSTATUS, caller: usize) -> NTSTATUS {
    irql::require("PsTerminateSystemThread", caller);
    let worker = work::worker_routine();
    if worker != 0 {
        violation(
            &rules::WORKER_TERMINATED,
            "a worker routine ends its thread, which is the system's".to_owned(),
            &[("called by", caller), ("worker routine", worker)],
        );
        return STATUS_INVALID_PARAMETER;
    }
    system_thread::terminate(status);
    if thread::current().is_system() {
        violation(
            &rules::WORKER_TERMINATED,
            "the thread is the system's, and was not made by PsCreateSystemThread".to_owned(),
            &[("called by", caller)],
        );
    }
    STATUS_INVALID_PARAMETER
}

/// `PsSetCreateProcessNotifyRoutine`.
unsafe extern "win64" fn set_create_process_notify_routine(
    routine: usize,
    remove: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetCreateProcessNotifyRoutine", caller);
    given::remember(routine, "PsSetCreateProcessNotifyRoutine", caller);
    set_process_routine(Occasion::Process, routine, remove)
}

/// `PsSetCreateProcessNotifyRoutineEx`.
unsafe extern "win64" fn set_create_process_notify_routine_ex(
    routine: usize,
    remove: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetCreateProcessNotifyRoutineEx", caller);
    given::remember(routine, "PsSetCreateProcessNotifyRoutineEx", caller);
    set_extended_routine(routine, remove)
}

/// `PsSetCreateProcessNotifyRoutineEx2`, of the one type that there is: the routine is as that of `…Ex`.
unsafe extern "win64" fn set_create_process_notify_routine_ex2(
    kind: i32,
    routine: usize,
    remove: u8,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetCreateProcessNotifyRoutineEx2", caller);
    given::remember(routine, "PsSetCreateProcessNotifyRoutineEx2", caller);
    if kind != 0 {
        return STATUS_INVALID_PARAMETER;
    }
    set_extended_routine(routine, remove)
}

/// A routine that may refuse a process is taken from an image alone that Windows has checked when it was loaded.
fn set_extended_routine(routine: usize, remove: u8) -> NTSTATUS {
    let is_checked = pe_image::image_at(routine).is_none_or(Image::is_checked_for_integrity);
    if is_checked {
        set_process_routine(Occasion::ProcessEx, routine, remove)
    } else {
        STATUS_ACCESS_DENIED
    }
}

fn set_process_routine(occasion: Occasion, routine: usize, remove: u8) -> NTSTATUS {
    let done = if remove != 0 {
        notify::remove(occasion, routine)
    } else {
        !notify::contains(occasion, routine) && notify::add(occasion, routine)
    };
    if done {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER
    }
}

/// Adds a routine; `STATUS_INSUFFICIENT_RESOURCES` when there are too many.
fn add_notify_routine(occasion: Occasion, routine: usize) -> NTSTATUS {
    if notify::add(occasion, routine) {
        STATUS_SUCCESS
    } else {
        STATUS_INSUFFICIENT_RESOURCES
    }
}

/// Removes a routine; `STATUS_PROCEDURE_NOT_FOUND` when there is none.
fn remove_notify_routine(occasion: Occasion, routine: usize) -> NTSTATUS {
    if notify::remove(occasion, routine) {
        STATUS_SUCCESS
    } else {
        STATUS_PROCEDURE_NOT_FOUND
    }
}

/// `PsSetCreateThreadNotifyRoutine`.
unsafe extern "win64" fn set_create_thread_notify_routine(
    routine: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetCreateThreadNotifyRoutine", caller);
    given::remember(routine, "PsSetCreateThreadNotifyRoutine", caller);
    add_notify_routine(Occasion::Thread, routine)
}

/// `PsSetCreateThreadNotifyRoutineEx`: the routine is called where that of the other one is.
unsafe extern "win64" fn set_create_thread_notify_routine_ex(
    _kind: i32,
    routine: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetCreateThreadNotifyRoutineEx", caller);
    given::remember(routine, "PsSetCreateThreadNotifyRoutineEx", caller);
    add_notify_routine(Occasion::Thread, routine)
}

/// `PsRemoveCreateThreadNotifyRoutine`.
unsafe extern "win64" fn remove_create_thread_notify_routine(
    routine: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsRemoveCreateThreadNotifyRoutine", caller);
    remove_notify_routine(Occasion::Thread, routine)
}

/// `PsSetLoadImageNotifyRoutine`.
unsafe extern "win64" fn set_load_image_notify_routine(routine: usize, caller: usize) -> NTSTATUS {
    irql::require("PsSetLoadImageNotifyRoutine", caller);
    given::remember(routine, "PsSetLoadImageNotifyRoutine", caller);
    add_notify_routine(Occasion::Image, routine)
}

/// `PsSetLoadImageNotifyRoutineEx`.
unsafe extern "win64" fn set_load_image_notify_routine_ex(
    routine: usize,
    _flags: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsSetLoadImageNotifyRoutineEx", caller);
    given::remember(routine, "PsSetLoadImageNotifyRoutineEx", caller);
    add_notify_routine(Occasion::Image, routine)
}

/// `PsRemoveLoadImageNotifyRoutine`.
unsafe extern "win64" fn remove_load_image_notify_routine(
    routine: usize,
    caller: usize,
) -> NTSTATUS {
    irql::require("PsRemoveLoadImageNotifyRoutine", caller);
    remove_notify_routine(Occasion::Image, routine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe_image::test_image::{TEXT, TestImage};
    use crate::processor::dispatcher;
    use std::sync::atomic::{AtomicU32, Ordering};

    static RAN: AtomicU32 = AtomicU32::new(0);

    unsafe extern "win64" fn routine(context: *mut c_void) {
        let current = thread::current();
        assert!(current.is_system());
        RAN.fetch_add(context.addr() as u32, Ordering::AcqRel);
        let code = routine as *const () as usize;
        assert_eq!(crate::processor::outstanding(&(code..code + 1)).len(), 1);
        if context.addr() == 1 {
            // SAFETY: this is a system thread without destructors in its frames.
            unsafe { terminate_system_thread(7, 0) };
            unreachable!("the thread has ended");
        }
    }

    #[test]
    fn a_system_thread_runs_and_signals_its_object() {
        for context in [1_usize, 2] {
            let (mut handle, mut client) = (
                std::ptr::null_mut(),
                ClientId {
                    process: std::ptr::null_mut(),
                    thread: std::ptr::null_mut(),
                },
            );
            let (no_attributes, no_process) = (std::ptr::null_mut(), std::ptr::null_mut());
            let context = std::ptr::without_provenance_mut(context);
            // SAFETY: the routine takes a number.
            let status = unsafe {
                create_system_thread(
                    &raw mut handle,
                    0,
                    no_attributes,
                    no_process,
                    &raw mut client,
                    routine,
                    context,
                    0,
                )
            };
            assert_eq!(status, STATUS_SUCCESS);
            assert_eq!(client.process, id(4));
            let object = handle::object_of_handle(handle).expect("open");
            assert_eq!(
                // SAFETY: a thread object.
                unsafe { dispatcher::wait(&[object], false, Some(-50_000_000), false) },
                STATUS_SUCCESS
            );
            // SAFETY: as above.
            assert_eq!(unsafe { get_thread_id(object) }, client.thread);
            let ended = thread::from_object(object).expect("a thread").exit_status();
            assert_eq!(ended, if context.addr() == 1 { 7 } else { 0 });
            assert_eq!(handle::close_handle(handle), STATUS_SUCCESS);
        }
        assert_eq!(RAN.load(Ordering::Acquire), 3);
        let code = routine as *const () as usize;
        assert!(crate::processor::outstanding(&(code..code + 1)).is_empty());
    }

    #[test]
    fn other_threads_are_not_terminated() {
        assert_eq!(
            // SAFETY: not a system thread, so it returns.
            unsafe { terminate_system_thread(0, 0) },
            STATUS_INVALID_PARAMETER
        );
    }

    #[test]
    fn ids_lead_to_objects() {
        let mut found = std::ptr::null_mut();
        assert_eq!(
            // SAFETY: a local variable, here and below.
            unsafe { lookup_process_by_process_id(id(4), &raw mut found, 0) },
            STATUS_SUCCESS
        );
        assert_eq!(found, thread::system_process());
        // SAFETY: referenced by the look-up.
        unsafe { lifetime::dereference(found) };
        assert_eq!(
            // SAFETY: as above.
            unsafe { lookup_process_by_process_id(id(5), &raw mut found, 0) },
            STATUS_INVALID_CID
        );
        // SAFETY: as above.
        let me = unsafe { get_current_thread_id() };
        assert_eq!(
            // SAFETY: as above.
            unsafe { lookup_thread_by_thread_id(me, &raw mut found, 0) },
            STATUS_SUCCESS
        );
        assert_eq!(found, thread::current().object());
        // SAFETY: referenced by the look-up.
        unsafe { lifetime::dereference(found) };
    }

    #[test]
    fn an_image_that_is_not_checked_gives_no_extended_routine() {
        let folder = tempfile::tempdir().expect("a folder");
        let routine_of = |name: &str, dll_characteristics| {
            let image = TestImage {
                dll_characteristics,
                ..TestImage::default()
            };
            let file = image.write(&folder, name);
            let image = pe_image::load(&file, &|_, _| None).expect("the image is right");
            image.base() + TEXT as usize
        };
        let (without, with) = (
            routine_of("unchecked.sys", 0x160),
            routine_of("checked.sys", 0x1E0),
        );
        // SAFETY: no process begins here, so that the routines are not called, here and below.
        let set =
            |routine, remove| unsafe { set_create_process_notify_routine_ex(routine, remove, 0) };
        // SAFETY: as above.
        let set2 = |routine, remove| unsafe {
            set_create_process_notify_routine_ex2(0, routine, remove, 0)
        };
        assert_eq!(
            [
                set(without, 0),
                set2(without, 0),
                set(with, 0),
                set(with, 1)
            ],
            [STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED, 0, 0]
        );
        assert_eq!([set2(with, 0), set2(with, 1)], [0, 0]);
        // SAFETY: as above.
        let plain = |remove| unsafe { set_create_process_notify_routine(without, remove, 0) };
        assert_eq!([plain(0), plain(1)], [0, 0]);
    }

    #[test]
    fn notify_routines_are_registered_once() {
        let set = |remove| {
            // SAFETY: the routine is never called.
            unsafe { set_create_process_notify_routine(0x1234, remove, 0) }
        };
        assert_eq!(
            [set(1), set(0), set(0), set(1)],
            [STATUS_INVALID_PARAMETER, 0, STATUS_INVALID_PARAMETER, 0]
        );
    }
}
