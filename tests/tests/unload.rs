//! Going away: with the volume (FastIoDetachDevice) and with the driver (DriverUnload).

use fsglass_tests::event_log::entries;
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, load, stack_above, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{How, Probe, Request};
use ntbox::exports::debug;
use ntbox::io_manager::driver::UnloadRefused;
use ntbox::io_manager::identity;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    FILE_DIRECTORY_FILE, FILE_OPEN_IF, FSCTL_REQUEST_OPLOCK_LEVEL_1, IRP_MJ_DIRECTORY_CONTROL,
    IRP_MJ_READ, STATUS_CANCELLED, STATUS_INVALID_DEVICE_REQUEST, STATUS_PENDING, STATUS_SUCCESS,
};
use ntbox::user::access;
use ntbox::user::locks::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// A9: with the volume its filter device goes; the others stay, and so does the driver.
#[test]
fn a_dismount_takes_the_filter_device_along() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let gone = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let stays = machine.volume('D', VolumeKind::Disk, MountTiming::After);
        gone.mount();
        stays.mount();
        let devices = Device::all_of(&driver).len();
        assert!(gone.dismount().is_success());
        machine.settle();
        assert!(!gone.is_mounted());
        assert_eq!(Device::all_of(&driver).len(), devices - 1);
        assert_eq!(stays.attachments(&driver), 1);
        unload(driver);
    });
}

/// A9: a file that is open when its volume is dismounted keeps the volume and the filter device
/// until it is closed; its requests still pass.
#[test]
fn an_open_file_keeps_its_volume() {
    in_own_process(|path| {
        let machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::After);
        let file = volume.create("\\kept");
        assert!(file.write(Some(0), b"kept").is_success());
        let devices = Device::all_of(&driver).len();
        assert!(volume.dismount().is_success());
        assert_eq!(
            Device::all_of(&driver).len(),
            devices,
            "the volume is still in use"
        );
        let _fails_below_not_here = file.read(Some(0), 4);
        drop(file);
        machine.settle();
        assert_eq!(Device::all_of(&driver).len(), devices - 1);
        unload(driver);
    });
}

/// A9, C4: the file system deletes its volume while it handles the last close, before it completes
/// the request: the completion routine runs when the filter device is gone, and does not look at it.
#[test]
fn the_last_close_outlives_the_filter_device() {
    in_own_process(|path| {
        let machine = Machine::start();
        for (settings, letter) in [(UNLOADABLE, 'C'), (&[("AllowUnload", 0)][..], 'D')] {
            let driver = load(path, settings);
            let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::After);
            for _ in 0..20 {
                let file = volume.create("\\last");
                let devices = Device::all_of(&driver).len();
                assert!(volume.dismount().is_success());
                drop(file);
                machine.settle();
                assert_eq!(Device::all_of(&driver).len(), devices - 1);
            }
            if settings == UNLOADABLE {
                unload(driver);
            }
        }
    });
}

/// Longer than a driver that does not wait for what it has counted waits by the clock.
const LONG: Duration = Duration::from_millis(1200);

/// A12: unload is off by default: there is no DriverUnload.
#[test]
fn a_driver_that_was_not_told_to_stays() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        for settings in [&[][..], &[("AllowUnload", 0)]] {
            if let Ok(driver) = fsglass_tests::machine::try_load(path, settings) {
                let refused = driver.unload();
                assert!(
                    matches!(refused, Err((_, UnloadRefused::NoUnloadRoutine))),
                    "{settings:?}: {refused:?}"
                );
            }
        }
        assert_eq!(volume.stack().len(), 2);
    });
}

/// A12: an unloaded driver leaves nothing: no device, no attachment, no memory; it can be loaded again.
#[test]
fn an_unloaded_driver_leaves_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = [
            machine.volume('C', VolumeKind::Disk, MountTiming::Before),
            machine.volume('R', VolumeKind::CdRom, MountTiming::Before),
        ];
        let network = machine.volume('N', VolumeKind::Network, MountTiming::Before);
        for volume in &volumes {
            volume.mount();
        }
        let references = volumes.each_ref().map(|volume| volume.storage_references());
        for _round in 0..10 {
            let driver = load(path, UNLOADABLE);
            for volume in &volumes {
                assert_eq!(volume.attachments(&driver), 1);
            }
            drop(network.create("\\file"));
            unload(driver);
            for volume in volumes.iter().chain([&network]) {
                assert_eq!(volume.stack().len(), 1, "{:?}", volume.stack());
            }
            for name in [
                r"\HostFs",
                r"\HostFsCd",
                r"\Device\HostRedirector",
                r"\Device\RawDisk",
            ] {
                let Some(device) = Device::named(name) else {
                    panic!("{name} stays")
                };
                assert_eq!(stack_above(device), [device]);
            }
            assert!(
                Device::named(r"\Device\fsglass").is_none(),
                "the control device is gone"
            );
            assert!(
                Device::named(r"\DosDevices\fsglass").is_none(),
                "its link is gone"
            );
        }
        assert_eq!(
            volumes.each_ref().map(|volume| volume.storage_references()),
            references
        );
    });
}

/// A12, C15: DriverUnload waits for every request that is still below, and returns once they are back.
#[test]
fn unload_waits_for_requests_in_flight() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        probe.answer(How::WhenCancelled, STATUS_CANCELLED, 0);
        let outstanding: Vec<_> = [IRP_MJ_READ, IRP_MJ_DIRECTORY_CONTROL]
            .map(|major| Request::new(major as u8).start(probe.device().top()))
            .into();
        assert!(
            outstanding
                .iter()
                .all(|sent| sent.returned() == STATUS_PENDING)
        );
        let unloaded = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                unload(driver);
                unloaded.store(true, Ordering::Release);
            });
            // The driver detaches first; from then on it can only be waiting.
            let end = Instant::now() + Duration::from_secs(10);
            while probe.device().top() != probe.device() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(probe.device().top(), probe.device(), "detached");
            for sent in outstanding {
                std::thread::sleep(LONG);
                assert!(
                    !unloaded.load(Ordering::Acquire),
                    "unloaded with a request in flight"
                );
                assert!(sent.cancel());
                assert_eq!(sent.wait().status, STATUS_CANCELLED);
            }
        });
        assert!(unloaded.load(Ordering::Acquire));
    });
}

/// A12: DriverUnload waits for a dispatch routine that has not returned, also when its request has
/// been completed by another thread.
#[test]
fn unload_waits_for_a_dispatch_routine() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let top = probe.device().top();
        probe.answer(How::Stays, STATUS_SUCCESS, 0);
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || Request::new(IRP_MJ_READ as u8).send(top));
            while probe.seen().is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let unloading = scope.spawn(|| unload(driver));
            std::thread::sleep(LONG);
            let early = unloading.is_finished();
            probe.let_return();
            assert!(!early, "unloaded with a thread in a dispatch routine");
            let reply = inside.join().map(|reply| (reply.returned, reply.status));
            assert!(matches!(reply, Ok((STATUS_PENDING, STATUS_SUCCESS))));
        });
    });
}

/// A12: and for an FsFilter operation that nobody observes: when the file system has acquired what it was asked
/// for, the post-callback is called.
#[test]
fn unload_waits_for_an_operation_of_the_file_system() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let (arrives, arrived) = mpsc::channel();
        // Not waited for where the driver has gone: it would go on in what is no code any more.
        let inside = std::thread::spawn(move || probe.acquire_slowly(arrives));
        assert!(arrived.recv().is_ok(), "the file system is asked");
        std::thread::scope(|scope| {
            let unloading = scope.spawn(|| unload(driver));
            std::thread::sleep(LONG);
            let early = unloading.is_finished();
            assert!(!early, "unloaded before the post-callback was called");
            probe.let_return();
        });
        assert!(matches!(inside.join(), Ok(STATUS_SUCCESS)));
    });
}

/// A12, D2: the same for a request for the control device. It is completed before its routine returns, and with it goes
/// what has kept the driver.
#[test]
fn unload_waits_for_a_request_for_the_control_device() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let Some(control) = Device::kept(r"\Device\fsglass") else {
            panic!("there is a control device")
        };
        let stay = Arc::new(Barrier::new(2));
        let own = Arc::clone(&stay);
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| Request::new(IRP_MJ_READ as u8).send_to(control, own));
            stay.wait();
            let unloading = scope.spawn(|| unload(driver));
            std::thread::sleep(LONG);
            let early = unloading.is_finished();
            stay.wait();
            assert!(!early, "unloaded with a thread in a dispatch routine");
            let status = inside.join().map(|reply| reply.status);
            assert!(matches!(status, Ok(STATUS_INVALID_DEVICE_REQUEST)));
        });
    });
}

/// A12, C9, known mistake 1 of other filters: a directory-change notification that is outstanding
/// when the driver is unloaded cannot come back into freed code.
#[test]
fn a_directory_notification_survives_the_driver() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        let opened = volume.open("\\", |open| open.options(ntbox::nt::FILE_DIRECTORY_FILE));
        let Some(directory) = opened.file else {
            panic!("the root cannot be opened: {}", opened.outcome.status())
        };
        let watch = directory.start_notify(0x17F, true, 1024);
        assert!(watch.is_outstanding());
        std::thread::scope(|scope| {
            let unloading = scope.spawn(|| unload(driver));
            // It looks for a second whether the notification comes back by itself.
            std::thread::sleep(Duration::from_secs(1) + LONG);
            assert!(
                !unloading.is_finished(),
                "the notification is below: the driver has to wait"
            );
            drop(volume.create("\\new"));
            let outcome = watch.wait();
            assert!(
                outcome.is_success() && !outcome.data.is_empty(),
                "{outcome:?}"
            );
        });
        assert_eq!(volume.stack().len(), 1);
    });
}

/// What the driver has said at the debugger of requests that it waits for.
fn said_to_wait() -> Vec<String> {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let said = || SAID.lock().unwrap_or_else(PoisonError::into_inner);
    debug::set_sink(move |text| {
        if text.contains("waits for requests") {
            said().push(text.to_owned());
        }
    });
    said().clone()
}

/// A12, C9, feature 16: with an oplock, a directory notification and a lock that is waited for
/// outstanding, unloading says which requests hold it, and deletes and ends when they have. It says so at
/// the debugger: an entry of the event log would refer to the driver until it has been written.
#[test]
fn unload_says_what_it_waits_for() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let quiet = machine.volume('D', VolumeKind::Disk, MountTiming::Before);
        quiet.mount();
        assert!(said_to_wait().is_empty());
        let driver = load(path, UNLOADABLE);
        let open = |path: &str, options| {
            let all = access::READ | access::WRITE | access::DELETE;
            let opened = volume.open(path, |open| {
                open.access(all).disposition(FILE_OPEN_IF).options(options)
            });
            let status = opened.outcome.status();
            opened.file.unwrap_or_else(|| panic!("{path}: {status}"))
        };
        let root = open("\\", FILE_DIRECTORY_FILE);
        let (locked, locker) = (open("\\locked", 0), open("\\locked", 0));
        let shared = open("\\shared", 0);
        let range = Range {
            offset: 0,
            length: 8,
            key: 0,
        };
        assert!(locker.lock(range, true, true).is_success());

        let watch = root.start_notify(0x17F, true, 1024);
        let lock = locked.start_lock(range, false, true);
        let mut oplock = shared.start_fs_control(FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0);
        assert!(watch.is_outstanding() && lock.is_outstanding() && oplock.is_outstanding());
        std::thread::scope(|scope| {
            let unloading = scope.spawn(|| unload(driver));
            let end = Instant::now() + Duration::from_secs(20);
            while said_to_wait().len() < 3 && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            let of = |kind: &str| {
                format!(
                    "fsglass: the driver is being unloaded and waits for requests: 1 of kind {kind}\n"
                )
            };
            assert_eq!(
                said_to_wait(),
                [
                    of("oplock"),
                    of("directory change notification"),
                    of("byte-range lock")
                ]
            );
            // Programs go on meanwhile, without the filter.
            assert_eq!(volume.stack().len(), 1);
            std::thread::sleep(Duration::from_millis(300));
            assert!(!unloading.is_finished());
            assert!(
                Device::named(r"\Device\fsglass").is_some(),
                "nothing is deleted before"
            );
            drop(volume.create("\\new"));
            assert!(watch.wait().is_success());
            assert!(locker.unlock(range).is_success());
            assert!(lock.wait().is_success());
            assert!(!unloading.is_finished(), "the oplock is still there");
            oplock.cancel();
            assert_eq!(oplock.wait().status, STATUS_CANCELLED);
        });
        assert_eq!(said_to_wait().len(), 3, "said once");
        assert_eq!(entries().len(), 0, "{:?}", entries());
    });
}

/// A12: requests that come back in time are no matter of report.
#[test]
fn an_unload_that_does_not_wait_says_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        drop(volume.create("\\file"));
        unload(driver);
        assert_eq!(entries().len(), 0, "{:?}", entries());
    });
}

/// A12: unloaded and loaded again and again while programs work: no request is lost, none fails.
#[test]
fn programs_do_not_notice() {
    in_own_process(|path| {
        let machine = Machine::start();
        machine.adverse(5);
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 1..=3_u32 {
                let (volume, stop) = (&volume, &stop);
                scope.spawn(move || {
                    identity::begin_thread(thread);
                    let file = volume.create(&format!("\\file{thread}"));
                    let mut round = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        round += 1;
                        let data = round.to_le_bytes();
                        let written = file.write(Some(0), &data);
                        assert!(written.is_success(), "{written:?}");
                        let read = file.read(Some(0), 4);
                        assert_eq!((read.status, &*read.data), (STATUS_SUCCESS, &data[..]));
                    }
                });
            }
            for _round in 0..15 {
                let driver = load(path, UNLOADABLE);
                assert_eq!(volume.attachments(&driver), 1);
                std::thread::sleep(Duration::from_millis(20));
                unload(driver);
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
