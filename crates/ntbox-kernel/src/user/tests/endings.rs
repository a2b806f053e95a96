//! What tells a program that its requests have ended: packets, user APCs, and where neither comes.

use super::*;
use crate::user::ending::{
    SKIP_EVENT_ON_HANDLE, SKIP_PORT_ON_SUCCESS, nt_create_io_completion, nt_delay_execution,
    nt_remove_io_completion,
};
use std::ffi::c_void;
use std::ptr::{null_mut, without_provenance_mut};

const KEY: usize = 0x77;

/// A file on a port of its own, with its handles.
fn on_port(device: &str) -> (File, HANDLE) {
    let file = open(device, 0);
    let port = nt_create_io_completion();
    assert_eq!(
        put_on(&file, FileCompletionInformation, port),
        STATUS_SUCCESS
    );
    (file, port)
}

fn put_on(file: &File, class: i32, port: HANDLE) -> NTSTATUS {
    let words = [port.addr(), KEY];
    let data: Vec<u8> = words.into_iter().flat_map(usize::to_le_bytes).collect();
    file.set_information(class, &data).status
}

/// A control with a context of its own and, if it is not 0, an APC routine.
fn control(file: &File, code: u32, routine: usize, context: usize) -> (NTSTATUS, NTSTATUS) {
    let mut iosb = Box::new(IO_STATUS_BLOCK::default());
    iosb.Anonymous.Status = STATUS_PENDING;
    let control = control::Control {
        ending: Ending {
            event: null_mut(),
            routine,
            context: without_provenance_mut(context),
        },
        iosb: &raw mut *iosb,
        code,
        input: null_mut(),
        input_length: 0,
        output: null_mut(),
        output_length: 0,
    };
    let returned = thread::from_user_mode(|| {
        // SAFETY: the block lives until the request has ended, which is waited for below.
        unsafe { nt_fs_control_file(file.handle(), &control) }
    });
    if returned == STATUS_PENDING {
        let block = &raw mut *iosb;
        // SAFETY: an APC of this thread writes it.
        while unsafe { (&raw const (*block).Anonymous.Status).read_volatile() } == STATUS_PENDING {
            nt_delay_execution(false, -1000);
        }
    }
    (returned, request::status_of(&iosb))
}

/// What is at the port by now: context and status.
fn packet(port: HANDLE) -> Option<(usize, NTSTATUS)> {
    let packet = nt_remove_io_completion(port, Some(0)).ok()?;
    assert_eq!(packet.key.addr(), KEY);
    Some((packet.context.addr(), request::status_of(&packet.status)))
}

#[test]
fn a_request_with_a_context_leaves_a_packet_unless_it_has_failed_at_once() {
    let _turn = begin("EndingPort", 0);
    let (file, port) = on_port("EndingPort");
    noted().clear();
    assert_eq!(
        control(&file, LATER, 0, 1),
        (STATUS_PENDING, STATUS_SUCCESS)
    );
    let first = noted().remove(0);
    assert!(first.apc_context && !first.apc_routine);
    assert_eq!(packet(port), Some((1, STATUS_SUCCESS)));
    assert_eq!(control(&file, 0, 0, 2).0, STATUS_SUCCESS);
    assert_eq!(packet(port), Some((2, STATUS_SUCCESS)));
    // The caller knows of the error.
    assert_eq!(
        control(&file, REFUSED, 0, 3),
        (STATUS_ACCESS_DENIED, STATUS_PENDING)
    );
    assert_eq!(packet(port), None);
    // Without a context there is none.
    assert_eq!(control(&file, LATER, 0, 0).0, STATUS_PENDING);
    assert_eq!(packet(port), None);
    // What waits for its own request has none to give.
    assert_eq!(
        file.query_information(FileStandardInformation, 24).status,
        STATUS_SUCCESS
    );
    assert_eq!(packet(port), None);
    drop(file);
    handle::close_handle(port);
}

#[test]
fn a_file_has_one_port_which_may_be_replaced_and_taken_away() {
    let _turn = begin("EndingReplaced", 0);
    let (file, port) = on_port("EndingReplaced");
    let second = nt_create_io_completion();
    assert_eq!(
        put_on(&file, FileCompletionInformation, second),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        put_on(&file, FileReplaceCompletionInformation, second),
        STATUS_SUCCESS
    );
    control(&file, 0, 0, 1);
    assert_eq!(
        (packet(port), packet(second)),
        (None, Some((1, STATUS_SUCCESS)))
    );
    assert_eq!(
        put_on(&file, FileReplaceCompletionInformation, null_mut()),
        STATUS_SUCCESS
    );
    control(&file, 0, 0, 2);
    assert_eq!(packet(second), None);
    let synchronous = open("EndingReplaced", SYNCHRONOUS);
    assert_eq!(
        put_on(&synchronous, FileCompletionInformation, port),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        put_on(&file, FileCompletionInformation, file.handle()),
        STATUS_OBJECT_TYPE_MISMATCH
    );
    // A file keeps its port, and a packet that nobody takes goes with that.
    assert_eq!(
        put_on(&file, FileCompletionInformation, port),
        STATUS_SUCCESS
    );
    handle::close_handle(port);
    handle::close_handle(second);
    assert_eq!(control(&file, 0, 0, 3).0, STATUS_SUCCESS);
}

#[test]
fn a_file_may_do_without_packets_of_what_succeeds_at_once_and_without_its_event() {
    let _turn = begin("EndingSkipped", 0);
    let (file, port) = on_port("EndingSkipped");
    let modes = |modes: u32| {
        let class = FileIoCompletionNotificationInformation;
        file.set_information(class, &modes.to_le_bytes()).status
    };
    assert_eq!(modes(8), STATUS_INVALID_PARAMETER);
    assert_eq!(modes(SKIP_PORT_ON_SUCCESS), STATUS_SUCCESS);
    control(&file, 0, 0, 1);
    assert_eq!(packet(port), None);
    control(&file, LATER, 0, 2);
    assert_eq!(packet(port), Some((2, STATUS_SUCCESS)));
    let object: *mut FILE_OBJECT = handle::object_of_handle(file.handle())
        .expect("a file")
        .cast();
    // SAFETY: the handle keeps the file.
    let event = unsafe { &raw mut (*object).Event };
    let signaled = || {
        // SAFETY: as above.
        unsafe { crate::processor::dispatcher::read_state_event(event) != 0 }
    };
    assert!(signaled());
    assert_eq!(modes(SKIP_EVENT_ON_HANDLE), STATUS_SUCCESS);
    control(&file, 0, 0, 3);
    assert!(!signaled());
    let known = file.query_information(FileIoCompletionNotificationInformation, 4);
    assert_eq!(known.data, [3, 0, 0, 0], "what was set stays");
    let synchronous = open("EndingSkipped", SYNCHRONOUS);
    let refused =
        synchronous.set_information(FileIoCompletionNotificationInformation, &[1, 0, 0, 0]);
    assert_eq!(refused.status, STATUS_INVALID_PARAMETER);
    handle::close_handle(port);
}

/// Contexts that the routine was called with.
static CALLED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

fn called() -> Vec<usize> {
    std::mem::take(&mut CALLED.lock().unwrap_or_else(PoisonError::into_inner))
}

extern "win64" fn routine(context: *mut c_void, _block: *mut IO_STATUS_BLOCK, _reserved: u32) {
    assert_eq!(irql::current(), 0);
    CALLED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(context.addr());
}

#[test]
fn a_user_apc_runs_when_its_thread_waits_for_it() {
    let _turn = begin("EndingApc", 0);
    let file = open("EndingApc", 0);
    let apc = routine as *const () as usize;
    noted().clear();
    assert_eq!(control(&file, LATER, apc, 5).1, STATUS_SUCCESS);
    assert!(noted()[0].apc_routine);
    assert_eq!(control(&file, REFUSED, apc, 6).0, STATUS_ACCESS_DENIED);
    assert_eq!(control(&file, 0, apc, 7).0, STATUS_SUCCESS);
    let wait = |alertable| thread::from_user_mode(|| nt_delay_execution(alertable, -1000));
    assert_eq!((wait(false), called()), (STATUS_SUCCESS, vec![]));
    assert_eq!((wait(true), called()), (STATUS_USER_APC, vec![5, 7]));
    assert_eq!((wait(true), called()), (STATUS_SUCCESS, vec![]));
    // The two exclude each other.
    let (on_port, port) = on_port("EndingApc");
    assert_eq!(control(&on_port, 0, apc, 8).0, STATUS_INVALID_PARAMETER);
    handle::close_handle(port);
}

#[test]
fn a_drivers_apc_routine_is_called_in_its_thread_at_once() {
    let _turn = begin("EndingDriver", 0);
    let file = open("EndingDriver", 0);
    let apc = routine as *const () as usize;
    let mut iosb = IO_STATUS_BLOCK::default();
    let control = control::Control {
        ending: Ending {
            event: null_mut(),
            routine: apc,
            context: without_provenance_mut(9),
        },
        iosb: &raw mut iosb,
        code: 0,
        input: null_mut(),
        input_length: 0,
        output: null_mut(),
        output_length: 0,
    };
    // SAFETY: the block lives until the request has ended, which it has when the service returns.
    let done = thread::from_kernel_mode(|| unsafe { nt_fs_control_file(file.handle(), &control) });
    assert_eq!((done, called()), (STATUS_SUCCESS, vec![9]));
}

#[test]
fn a_program_is_told_by_each_ending_and_once() {
    let _turn = begin("EndingEach", 0);
    for end in EndBy::ALL {
        let mut file = open("EndingEach", 0);
        file.end_by(end).expect("an asynchronous file");
        let later = file.fs_control(LATER, &[], 8);
        assert_eq!(
            (later.status, later.signaled),
            (STATUS_SUCCESS, Some(true)),
            "{end:?}"
        );
        let read = file.read(Some(0), 3);
        let told = end != EndBy::PortUnlessDone;
        assert_eq!(
            (read.data, read.signaled),
            (vec![7; 3], Some(told)),
            "{end:?}"
        );
        let refused = file.fs_control(REFUSED, &[], 8);
        assert_eq!(
            (refused.status, refused.signaled),
            (STATUS_ACCESS_DENIED, Some(false)),
            "{end:?}"
        );
        let mut held = file.start_fs_control(HELD, &[], 8);
        assert!(
            held.is_outstanding() && !held.finishes_within(10),
            "{end:?}"
        );
        held.cancel();
        let cancelled = held.wait();
        assert_eq!(
            (cancelled.status, cancelled.signaled),
            (STATUS_CANCELLED, Some(true)),
            "{end:?}"
        );
        let once_more = file.fs_control(LATER, &[], 8);
        assert_eq!(once_more.signaled, Some(true), "{end:?}");
        assert_eq!(file.unclaimed_packets(), 0);
    }
}
