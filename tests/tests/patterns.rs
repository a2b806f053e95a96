//! The four completion patterns, in the example of `wdm`: one driver with one request for each.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::machine::{Machine, load_as, unload};
use fsglass_tests::own_process::with_drivers;
use fsglass_tests::probe::{How, Probe, Reply, Request};
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    APC_LEVEL, DISPATCH_LEVEL, IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_READ,
    PASSIVE_LEVEL, STATUS_CANCELLED, STATUS_END_OF_FILE, STATUS_PENDING, STATUS_SUCCESS,
};
use ntbox::pool::{self, Kind, failure};
use std::path::Path;

const MOUNT_VOLUME: u8 = 1;

fn in_own_process(scenario: impl FnOnce(&Path)) {
    with_drivers(&[drivers::completion_patterns; 2], scenario);
}

fn load(path: &Path) -> Loaded {
    load_as(path, "patterns", &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Sends a request to the top of the probe's stack, which answers it in each way.
fn each_way(probe: Probe, request: Request) -> Vec<(How, Reply)> {
    let top = probe.device().top();
    let replies = How::BY_ITSELF.map(|how| {
        probe.answer(how, STATUS_END_OF_FILE, 7);
        let reply = request.send(top);
        assert_eq!((reply.status, reply.information), (STATUS_END_OF_FILE, 7));
        (how, reply)
    });
    replies.into()
}

/// C5: what is passed through is pended where it was pended below, and nowhere else.
#[test]
fn pass_through_pends_where_it_was_pended_below() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        for (how, reply) in each_way(probe, Request::new(IRP_MJ_READ as u8)) {
            assert_eq!(reply.pending_returned, how.pends(), "{how:?}");
            assert_eq!(reply.returned == STATUS_PENDING, how.pends(), "{how:?}");
        }
        unload(driver);
    });
}

/// C6, C8 a, C10, C13, D4: what was waited for is never pended, however it was completed below; and it comes up
/// in the thread and at the level that asked.
#[test]
fn what_was_waited_for_is_not_pended() {
    in_own_process(|path| {
        let machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let mount = Request {
            minor: MOUNT_VOLUME,
            parameters: volume.mount_parameters(),
            ..Request::new(IRP_MJ_FILE_SYSTEM_CONTROL as u8)
        };
        for (how, reply) in each_way(probe, mount) {
            assert_eq!(reply.returned, STATUS_END_OF_FILE, "{how:?}");
            assert!(!reply.pending_returned, "{how:?}");
            assert_eq!(reply.irql, PASSIVE_LEVEL, "{how:?}");
        }
        // Nothing waits above PASSIVE_LEVEL: the mount is passed through there.
        let irql = APC_LEVEL;
        for (how, reply) in each_way(probe, Request { irql, ..mount }) {
            assert_eq!(reply.pending_returned, how.pends(), "{how:?}");
        }
        unload(driver);
    });
}

/// C8 b, C10, C11: what is posted is pended however it was completed below, and comes up at
/// PASSIVE_LEVEL.
#[test]
fn what_is_posted_is_pended() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        for irql in [PASSIVE_LEVEL, APC_LEVEL] {
            let flush = Request {
                irql,
                ..Request::new(IRP_MJ_FLUSH_BUFFERS as u8)
            };
            for (how, reply) in each_way(probe, flush) {
                assert_eq!(reply.returned, STATUS_PENDING, "{how:?}");
                assert!(reply.pending_returned, "{how:?}");
                assert_eq!(reply.irql, PASSIVE_LEVEL, "{how:?}");
            }
        }
        unload(driver);
    });
}

/// C4: what the driver has allocated while requests of it are below, and may touch in completion
/// routines, is nonpaged.
#[test]
fn what_a_request_needs_on_its_way_is_not_paged() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        probe.answer(How::WhenCancelled, STATUS_CANCELLED, 0);
        let before = pool::leaks_of(driver.image()).len();
        let sent = Request::new(IRP_MJ_FLUSH_BUFFERS as u8).start(probe.device().top());
        let blocks = pool::leaks_of(driver.image());
        assert!(blocks.len() > before, "the request is to be posted");
        for block in blocks {
            let kind = pool::block_at(block.address).map(|(kind, _)| kind);
            assert_eq!(kind, Some(Kind::NonPaged), "{block:?}");
        }
        assert!(sent.cancel());
        assert_eq!(sent.wait().status, STATUS_CANCELLED);
        unload(driver);
    });
}

/// P2, C15: without memory for the work item the request fails, and was not passed on.
#[test]
fn what_cannot_be_posted_is_not_sent() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        probe.answer(How::LaterAtDispatch, STATUS_SUCCESS, 0);
        let top = probe.device().top();
        let _earlier = probe.seen();
        let mut failed = 0;
        for number in 1..=3 {
            failure::fail_nth(number);
            let reply = Request::new(IRP_MJ_FLUSH_BUFFERS as u8).send(top);
            if failure::failed().is_some() {
                failed += 1;
                assert!(reply.status < 0, "{reply:?}");
                assert_eq!(probe.seen().len(), 0);
            }
            failure::fail_nth(u64::MAX);
        }
        assert_eq!(failed, 2, "the work item, the context");
        unload(driver);
    });
}

/// C8 c: the driver's own request finds out which volume cannot be written, and is gone
/// afterwards; without memory for it the volume stays unfiltered, and nothing else happens.
#[test]
fn a_request_of_its_own_is_answered_and_freed() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path);
        for (letter, kind, filtered) in [
            ('C', VolumeKind::Disk, 1),
            ('S', VolumeKind::ShadowCopy, 0),
            ('R', VolumeKind::CdRom, 0),
        ] {
            let volume = machine.volume(letter, kind, MountTiming::After);
            volume.mount();
            assert_eq!(volume.attachments(&driver), filtered, "{kind:?}");
        }
        // The request, and the device.
        for (letter, number) in ('D'..).zip(1..=2) {
            let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::After);
            failure::fail_nth(number);
            volume.mount();
            let failed = failure::failed();
            failure::fail_nth(u64::MAX);
            assert!(failed.is_some(), "allocation {number} of a mount");
            assert_eq!(volume.attachments(&driver), 0);
        }
        machine.settle();
        unload(driver);
    });
}

/// All four at once, in a run of programs that the verifier watches, as requests fall and with
/// each of them pended below.
#[test]
fn the_example_breaks_no_rule() {
    for (profile, checks) in [
        (Profile::Release, "standard"),
        (Profile::Debug, "standard,force-pending"),
    ] {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let volumes = [("C", "after"), ("D", "async")].map(|(letter, mount)| {
            let host = directory.path().join(letter);
            std::fs::create_dir(&host).unwrap_or_else(|error| panic!("{error}"));
            format!("{letter}={},mount={mount}", host.display())
        });
        let driver = drivers::completion_patterns(profile).display().to_string();
        let mut arguments = vec!["run", "--driver", &driver, "--verify", checks];
        arguments.extend(["--ops", "3000", "--threads", "3"]);
        for volume in &volumes {
            arguments.extend(["--volume", volume]);
        }
        ntbox(arguments)
            .expect_code(0)
            .expect_output("a device of \\FileSystem\\completion_patterns\n        a device of")
            .expect_output("completion_patterns unloaded, nothing left behind");
    }
}

/// C2, C3: it is completed at DISPATCH_LEVEL and elsewhere, so the patterns are really tried there.
#[test]
fn a_completion_at_dispatch_level_is_seen() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path);
        let replies = each_way(probe, Request::new(IRP_MJ_READ as u8));
        let levels: Vec<_> = replies.iter().map(|(_, reply)| reply.irql).collect();
        assert!(levels.contains(&DISPATCH_LEVEL) && levels.contains(&PASSIVE_LEVEL));
        unload(driver);
    });
}
