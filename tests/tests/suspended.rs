//! A thread that stands still where the driver takes least notice of it, for longer than the driver waits for
//! anybody by the clock, as one does that a debugger has suspended.
//!
//! Two threads take turns, as in `interleavings`, but time passes for the one whose turn it is
//! ([`ntbox::processor::turns::run_suspended`]).

use fsglass_protocol::TraceStart;
use fsglass_protocol::trace::wanted;
use fsglass_tests::client::{Client, everything};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request};
use ntbox::nt::unicode::OwnedUnicodeString;
use ntbox::nt::{
    FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_OBJECT, IRP_MJ_CREATE,
    IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_READ, IRP_MN_LOAD_FILE_SYSTEM, STATUS_SUCCESS,
};
use ntbox::processor::turns::{run, run_suspended};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Plans below which a test would have walked through nothing.
const MANY: u32 = 10;

/// A12: a completion routine that wakes a thread which waits for a request stands still right behind that, for
/// longer than the driver waits by the clock, while this thread leaves the driver and unloads it: the driver is
/// there when it goes on.
fn wake_while_unloading(
    path: &Path,
    file_system: u32,
    requests: u32,
    send: impl Fn(Device) + Sync,
) -> u32 {
    let _machine = Machine::start();
    let probe = Probe::register_as(file_system);
    probe.answer(How::Held, STATUS_SUCCESS, 0);
    let changes = |after: &u32| {
        let driver = load(path, UNLOADABLE);
        let top = probe.device().top();
        let plan = [*after];
        let wait_and_unload = || {
            send(top);
            unload(driver);
        };
        let ran = run_suspended(&plan, wait_and_unload, || {
            (0..requests).for_each(|_| probe.complete_held());
        });
        ran.changes > 0
    };
    (1..).take_while(changes).count() as u32
}

/// A12: where a file system is loaded, which the driver waits for.
#[test]
fn who_wakes_a_thread_that_unloads_is_waited_for() {
    in_own_process(|path| {
        let request = Request {
            minor: IRP_MN_LOAD_FILE_SYSTEM as u8,
            ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
        };
        let plans = wake_while_unloading(path, FILE_DEVICE_DISK_FILE_SYSTEM, 1, |top| {
            assert_eq!(request.send(top).status, STATUS_SUCCESS);
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A12: where a file is opened in a trace with names, and where the file system is asked for that name.
#[test]
fn who_brings_an_answer_to_a_thread_that_unloads_is_waited_for() {
    const SYNCHRONOUS_API: u32 = 4;
    in_own_process(|path| {
        let text = OwnedUnicodeString::new("\\name");
        let named = TraceStart {
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        let redirector = FILE_DEVICE_NETWORK_FILE_SYSTEM;
        let plans = wake_while_unloading(path, redirector, 2, |top| {
            let client = Client::open();
            assert_eq!(client.start_trace(named, "", ""), STATUS_SUCCESS);
            let mut file = FILE_OBJECT {
                FileName: text.as_unicode(),
                ..FILE_OBJECT::default()
            };
            let request = Request {
                file_object: &raw mut file as usize,
                by_a_program: true,
                irp_flags: SYNCHRONOUS_API,
                ..Request::new(IRP_MJ_CREATE as u8)
            };
            assert_eq!(request.send(top).status, STATUS_SUCCESS);
        });

        assert!(plans >= MANY, "{plans} plans");
    });
}

/// A12: a thread that has found a device of the driver before that left its stack comes when nobody is let in any more:
/// the driver stays while the one below keeps what it came for.
fn come_late(path: &Path, probe: Probe, work: impl Fn(Device) + Sync) {
    /// Longer than a driver takes that does not wait.
    const LONG: Duration = Duration::from_millis(300);
    let mut changes = 0;
    for after in 1.. {
        probe.keep();
        let driver = load(path, UNLOADABLE);
        let top = probe.device().top();
        let ran = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(LONG);
                probe.let_return();
            });
            run(&[after], || work(top), || unload(driver))
        });
        if ran.changes == 0 {
            break;
        }
        changes = after;
    }
    assert!(
        changes > 0,
        "there are places at which a thread can be late"
    );
}

/// A12: a request, whose dispatch routine below waits.
#[test]
fn a_request_that_comes_late_is_waited_for() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        probe.answer(How::Stays, STATUS_SUCCESS, 0);
        come_late(path, probe, |top| {
            let reply = Request::new(IRP_MJ_READ as u8).send(top);
            assert_eq!(reply.status, STATUS_SUCCESS);
        });
    });
}

/// A12, F3: an operation of the file system, which takes its time to acquire what it was asked for.
#[test]
fn an_operation_that_comes_late_is_waited_for() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        come_late(path, probe, |_top| {
            let (arrives, _arrived) = mpsc::channel();
            assert_eq!(probe.acquire_slowly(arrives), STATUS_SUCCESS);
        });
    });
}
