//! Pass-through: what goes down arrives unchanged, what comes up arrives unchanged.

use fsglass_tests::client::{Client, everything};
use fsglass_tests::machine::{Machine, STAYING, UNLOADABLE, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request};
use ntbox::io_manager::driver::Loaded;
use ntbox::nt::{
    APC_LEVEL, DISPATCH_LEVEL, FSCTL_REQUEST_OPLOCK_LEVEL_1, IRP_MJ_CREATE,
    IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_READ, MAJOR_FUNCTION_COUNT,
    NTSTATUS, PASSIVE_LEVEL, STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED, STATUS_END_OF_FILE,
    STATUS_PENDING, STATUS_REPARSE, STATUS_SUCCESS,
};
use ntbox::pool::failure;
use std::path::Path;

const NOTIFY_CHANGE_DIRECTORY: u8 = 2;

/// Every major function with something in each field. Mounting and loading have minor functions of
/// their own; the one here means nothing.
fn requests() -> impl Iterator<Item = Request> {
    (0..MAJOR_FUNCTION_COUNT as u8).map(|major| Request {
        minor: 0x70 + major,
        flags: 0x80 | major,
        parameters: [0x1111, 0x2222, 0x3333, 0x4444].map(|value| value + usize::from(major)),
        file_object: 0x5550 + usize::from(major),
        irp_flags: 0x800 + u32::from(major),
        ..Request::new(major)
    })
}

/// Success, with and without information, warnings, errors: nothing of it is the filter's to change.
const RESULTS: [(NTSTATUS, usize); 6] = [
    (STATUS_SUCCESS, 0),
    (STATUS_SUCCESS, 0x1234_5678_9ABC),
    (STATUS_REPARSE, 2),
    (STATUS_BUFFER_OVERFLOW, 77),
    (STATUS_END_OF_FILE, 0),
    (STATUS_CANCELLED, usize::MAX),
];

/// Both ways of a request: in a driver that can be unloaded, which counts it, and in one that stays.
fn with_each_kind_of_driver(path: &Path, scenario: impl Fn(Probe)) {
    let _machine = Machine::start();
    let probe = Probe::register();
    let driver = load(path, UNLOADABLE);
    scenario(probe);
    unload(driver);
    let driver = load(path, STAYING);
    scenario(probe);
    assert!(probe.device().top().belongs_to(&driver));
}

/// D1, C1, D6: every major function arrives below with every field of its stack location, at the
/// level at which it was sent.
#[test]
fn every_major_function_arrives_unchanged() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, &[]);
        let top = probe.device().top();
        assert!(top.belongs_to(&driver));
        for irql in [PASSIVE_LEVEL, APC_LEVEL] {
            for request in requests() {
                let request = Request { irql, ..request };
                let _reply = request.send(top);
                let [seen] = probe.seen()[..] else {
                    panic!("{request:?} arrives once")
                };
                assert_eq!(
                    (
                        seen.major,
                        seen.minor,
                        seen.flags,
                        seen.parameters,
                        seen.file_object,
                        seen.irp_flags,
                        seen.irql
                    ),
                    (
                        request.major,
                        request.minor,
                        request.flags,
                        request.parameters,
                        request.file_object,
                        request.irp_flags,
                        request.irql
                    )
                );
            }
        }
    });
}

/// D4, C5, C7, C12, C16: status, information and the pending mark come up as the lower driver gave them,
/// however and wherever it completes the request.
#[test]
fn every_completion_arrives_unchanged() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            for how in How::BY_ITSELF {
                for (status, information) in RESULTS {
                    probe.answer(how, status, information);
                    for request in requests() {
                        let reply = request.send(probe.device().top());
                        assert_eq!(
                            (reply.status, reply.information),
                            (status, information),
                            "{request:?} {how:?}"
                        );
                        let returned = if how.pends() { STATUS_PENDING } else { status };
                        assert_eq!(reply.returned, returned, "{request:?} {how:?}");
                        assert_eq!(reply.pending_returned, how.pends(), "{request:?} {how:?}");
                    }
                }
            }
        });
    });
}

/// C12: an originator may free its request when it completes, before the dispatch routines through
/// which it went have returned: none of them looks at it again.
#[test]
fn a_request_is_not_touched_when_it_is_gone() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            for how in How::BY_ITSELF {
                probe.answer(how, STATUS_END_OF_FILE, 5);
                for request in requests() {
                    let reply = request.send_and_free(probe.device().top());
                    assert_eq!((reply.status, reply.information), (STATUS_END_OF_FILE, 5));
                }
            }
        });
    });
}

/// C2, C3, D6: a completion at DISPATCH_LEVEL goes up at DISPATCH_LEVEL.
#[test]
fn a_completion_at_dispatch_level_stays_there() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            for (how, irql) in [
                (How::Now, PASSIVE_LEVEL),
                (How::AtDispatch, DISPATCH_LEVEL),
                (How::Later, PASSIVE_LEVEL),
                (How::LaterAtDispatch, DISPATCH_LEVEL),
            ] {
                probe.answer(how, STATUS_SUCCESS, 1);
                for request in requests() {
                    assert_eq!(
                        request.send(probe.device().top()).irql,
                        irql,
                        "{request:?} {how:?}"
                    );
                }
            }
        });
    });
}

/// C14: a request that is cancelled below comes up as cancelled, through the same way.
#[test]
fn a_cancelled_request_comes_up_cancelled() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            probe.answer(How::WhenCancelled, STATUS_CANCELLED, 0);
            for request in requests() {
                let sent = request.start(probe.device().top());
                assert_eq!(sent.returned(), STATUS_PENDING, "{request:?}");
                assert!(
                    sent.cancel(),
                    "the lower driver's cancel routine is called ({request:?})"
                );
                let reply = sent.wait();
                assert_eq!(
                    (reply.status, reply.pending_returned),
                    (STATUS_CANCELLED, true),
                    "{request:?}"
                );
            }
        });
    });
}

/// Feature 5, C1, C14: every request has a completion routine of the driver, for success, error and
/// cancellation; none is skipped.
#[test]
fn every_request_has_a_completion_routine() {
    in_own_process(|path| {
        const INVOKE_ALWAYS: u8 = 0xE0;
        let _machine = Machine::start();
        let probe = Probe::register();
        let check = |driver: &Loaded| {
            for request in requests() {
                let _reply = request.send(probe.device().top());
                let [seen] = probe.seen()[..] else {
                    panic!("{request:?} arrives once")
                };
                assert_eq!(seen.control, INVOKE_ALWAYS, "{request:?}");
                // Not one of the system in front of it: IoSetCompletionRoutineEx can fail (C15).
                let own = driver.image().contains(seen.completion_routine);
                assert!(own, "{request:?}");
            }
        };
        let driver = load(path, UNLOADABLE);
        check(&driver);
        unload(driver);
        check(&load(path, STAYING));
    });
}

/// P2, P4, C15: nothing is allocated for a request that passes, also where the driver may be unloaded.
#[test]
fn nothing_is_allocated_on_the_way() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            let top = probe.device().top();
            failure::fail_nth(u64::MAX);
            for how in How::BY_ITSELF {
                probe.answer(how, STATUS_SUCCESS, 0);
                for request in requests() {
                    let _reply = request.send(top);
                }
            }
            assert_eq!(
                failure::allocations(),
                0,
                "allocations of the driver while requests passed"
            );
        });
    });
}

/// P2: a request that is traced passes all the same when there is no memory for that.
#[test]
fn a_request_passes_without_memory_to_observe_it() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let top = probe.device().top();
        let client = Client::open();
        assert_eq!(
            client.start_trace(everything(), "", ""),
            STATUS_SUCCESS,
            "a trace"
        );
        // A trace looks at what a create's parameters point to, and these point nowhere.
        let requests = || requests().filter(|request| request.major != IRP_MJ_CREATE as u8);
        let mut failed = 0;
        for how in How::BY_ITSELF {
            probe.answer(how, STATUS_END_OF_FILE, 9);
            for request in requests() {
                for number in 1..=3 {
                    failure::fail_nth(number);
                    let reply = request.send(top);
                    failed += usize::from(failure::failed().is_some());
                    failure::fail_nth(u64::MAX);
                    assert_eq!(
                        (reply.status, reply.information),
                        (STATUS_END_OF_FILE, 9),
                        "{request:?} {how:?}"
                    );
                    assert_eq!(reply.pending_returned, how.pends(), "{request:?} {how:?}");
                }
            }
        }
        assert!(failed > 0, "what is traced is kept in memory");
        drop(client);
        unload(driver);
    });
}

/// C9: a request for an oplock, and one to be told of changes in a directory, come back to their
/// originator as the lower driver leaves them: outstanding, or at once; the filter neither waits for
/// them nor pends them.
#[test]
fn oplocks_and_notifications_are_not_held() {
    in_own_process(|path| {
        with_each_kind_of_driver(path, |probe| {
            let notification = Request {
                minor: NOTIFY_CHANGE_DIRECTORY,
                ..Request::new(IRP_MJ_DIRECTORY_CONTROL as u8)
            };
            let oplock = Request {
                // Buffer lengths, and the control code.
                parameters: [0, 0, FSCTL_REQUEST_OPLOCK_LEVEL_1 as usize, 0],
                ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
            };
            for request in [notification, oplock] {
                for how in How::BY_ITSELF {
                    probe.answer(how, STATUS_SUCCESS, 0);
                    let reply = request.send(probe.device().top());
                    assert_eq!(reply.returned == STATUS_PENDING, how.pends(), "{how:?}");
                    assert_eq!(reply.pending_returned, how.pends(), "{how:?}");
                    let seen = probe.seen();
                    assert_eq!(seen[0].parameters[2], request.parameters[2]);
                }
            }
        });
    });
}

/// D3: many threads at once, each with requests of its own.
#[test]
fn threads_do_not_disturb_each_other() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let _driver = load(path, &[]);
        let top = probe.device().top();
        probe.answer(How::LaterAtDispatch, STATUS_SUCCESS, 3);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                scope.spawn(move || {
                    for number in 0..500 {
                        let parameters = [thread, number, 0, 0];
                        let reply = Request {
                            parameters,
                            ..Request::new(IRP_MJ_READ as u8)
                        }
                        .send(top);
                        assert_eq!((reply.status, reply.information), (STATUS_SUCCESS, 3));
                    }
                });
            }
        });
        let mut seen: Vec<_> = probe
            .seen()
            .iter()
            .map(|seen| (seen.parameters[0], seen.parameters[1]))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2000, "every request arrives once");
    });
}

/// D1: a minor function of file-system control that the driver has no part in passes like anything else.
#[test]
fn other_file_system_controls_pass() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let _driver = load(path, &[]);
        for minor in [0, 2, 4, 5, 0xFF] {
            let request = Request {
                minor,
                ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
            };
            let _reply = request.send(probe.device().top());
            assert_eq!(
                probe
                    .seen()
                    .iter()
                    .map(|seen| seen.minor)
                    .collect::<Vec<_>>(),
                [minor]
            );
        }
    });
}
