//! The requests that the control device answers: each one, wrong in each way, without memory, from
//! several programs at once. Who may open it is in `control_device.rs`.

use fsglass_protocol::{Header, Kind, Reason, VERSION, VolumesHeader, attach, class, code};
use fsglass_tests::client::{Client, listed, named};
use fsglass_tests::machine::{Device, Machine, UNLOADABLE, Volume, load, load_as, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{Probe, Request};
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::io_manager::{legacy_filters, settings};
use ntbox::nt::{
    APC_LEVEL, DO_DAX_VOLUME, IRP_MJ_DEVICE_CONTROL, STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL, STATUS_DEVICE_BUSY, STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER,
    STATUS_NOT_FOUND, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_REVISION_MISMATCH, STATUS_SUCCESS,
};
use ntbox::pool::failure;
use ntbox::user::access;
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::{FromBytes, IntoBytes};

const C: &str = r"\Device\HarddiskVolume1";
const FILE_SYSTEM: &str = r"\FileSystem\HostFs";

fn disk(machine: &Machine, letter: char, mount: MountTiming) -> Volume {
    let volume = machine.volume(letter, VolumeKind::Disk, mount);
    if mount == MountTiming::Before {
        volume.mount();
    }
    volume
}

fn works(volume: &Volume) {
    let file = volume.create("\\file");
    assert!(file.write(Some(0), b"data").is_success());
    assert_eq!(&*file.read(Some(0), 4).data, b"data");
}

/// D7: the driver says which protocol it speaks, and with which settings it runs.
#[test]
fn version_and_settings_are_those_of_the_run() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let given = [
            ("AllowUnload", 1),
            ("DebugLevel", 2),
            ("AttachRaw", 0),
            ("AttachDfs", 1),
        ];
        let driver = load(path, &given);
        let client = Client::open();
        let version = client.version();
        assert_eq!(
            (version.oldest.get(), version.newest.get()),
            (VERSION, VERSION)
        );
        let number = |part: &str| part.parse::<u16>().unwrap_or_else(|_| panic!("{part}"));
        let parts = [
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
            env!("CARGO_PKG_VERSION_PATCH"),
        ]
        .map(number);
        assert_eq!(version.driver.map(|part| part.get())[..3], parts);
        let settings = client.settings();
        assert_eq!(settings.version.get(), VERSION);
        assert_eq!(settings.allow_unload.get(), 1);
        assert_eq!(settings.debug_level.get(), 2);
        let expected = attach::DISK | attach::CD_ROM | attach::NETWORK | attach::DFS;
        assert_eq!(settings.attach.get(), expected);
        assert_ne!(settings.started.get(), 0);
        assert_eq!(settings.forgotten.get(), 0);
        drop(client);
        unload(driver);
    });
}

/// D7: a code that is none, an input of any other length, another version, and a field without a
/// meaning are refused, each with its status, and nothing is done.
#[test]
fn what_is_wrong_is_refused() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C', MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let status = |code, input: &[u8]| client.send(code, input, 1 << 12).status;

        for function in 0..=0xFFF {
            for access in 0..4 {
                for method in 0..4 {
                    let other = code::DEVICE_TYPE << 16 | access << 14 | function << 2 | method;
                    if !code::ALL.contains(&other) && !(0x10..=0x7F0).contains(&function) {
                        assert_eq!(
                            status(other, b"abcd"),
                            STATUS_INVALID_DEVICE_REQUEST,
                            "{other:#X}"
                        );
                    }
                }
            }
        }

        let name = named(C);
        for (code, right) in [
            (code::VERSION, &[][..]),
            (code::SETTINGS, Header::new().as_bytes()),
            (code::VOLUMES, Header::new().as_bytes()),
            (code::ATTACH, &name),
            (code::DETACH, &name),
        ] {
            let longer = [right, &[0; 9]].concat();
            for length in (0..longer.len()).filter(|length| *length != right.len()) {
                assert_eq!(
                    status(code, &longer[..length]),
                    STATUS_INFO_LENGTH_MISMATCH,
                    "{code:#X}, {length} bytes"
                );
            }
            for version in [0, VERSION + 1, u32::MAX] {
                // Also of a length that this version does not know.
                for more in [0, 1, 100] {
                    let mut input = right.to_vec();
                    let Some(place) = input.get_mut(..4) else {
                        continue;
                    };
                    place.copy_from_slice(&version.to_le_bytes());
                    input.resize(input.len() + more, 0);
                    assert_eq!(
                        status(code, &input),
                        STATUS_REVISION_MISMATCH,
                        "{code:#X} {version}"
                    );
                }
            }
        }
        for code in [code::ATTACH, code::DETACH] {
            // The count of code units is behind the version, the reserved field behind that.
            for (place, value, expected) in [
                (4, 0_u16, STATUS_INVALID_PARAMETER),
                (4, 241, STATUS_INVALID_PARAMETER),
                (4, u16::MAX, STATUS_INVALID_PARAMETER),
                (4, 1, STATUS_INFO_LENGTH_MISMATCH),
                (4, 240, STATUS_INFO_LENGTH_MISMATCH),
                (6, 1, STATUS_INVALID_PARAMETER),
            ] {
                let mut input = name.clone();
                input[place..place + 2].copy_from_slice(&value.to_le_bytes());
                assert_eq!(status(code, &input), expected, "{place}: {value}");
            }
            assert_eq!(status(code, &named("x")), STATUS_OBJECT_NAME_NOT_FOUND);
            let longest = "x".repeat(240);
            assert_eq!(status(code, &named(&longest)), STATUS_OBJECT_NAME_NOT_FOUND);
        }
        assert_eq!(volume.attachments(&driver), 1, "nothing was done");
        drop(client);
        unload(driver);
    });
}

/// D7: an output that is too small gets nothing of an answer of fixed size, and as many whole
/// records of the list as fit, with the size that all of it needs.
#[test]
fn a_small_output_gets_what_fits() {
    in_own_process(|path| {
        let machine = Machine::start();
        for letter in ['C', 'D'] {
            drop(disk(&machine, letter, MountTiming::Before));
        }
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let header = Header::new();
        for (code, input, size) in [
            (code::VERSION, &[][..], 16),
            (code::SETTINGS, header.as_bytes(), 80),
        ] {
            for length in 0..size {
                let outcome = client.send(code, input, length);
                assert_eq!(outcome.status, STATUS_BUFFER_TOO_SMALL, "{length}");
            }
            let outcome = client.send(code, input, size + 100);
            assert_eq!(
                (outcome.status, outcome.information),
                (STATUS_SUCCESS, size as usize)
            );
        }
        let whole = client.send(code::VOLUMES, header.as_bytes(), 1 << 16);
        let records = listed(&whole);
        assert!(records.len() >= 4, "{records:#?}");
        let fixed = size_of::<VolumesHeader>() as u32;
        let mut most = 0;
        for length in 0..whole.information as u32 {
            let outcome = client.send(code::VOLUMES, header.as_bytes(), length);
            if length < fixed {
                assert_eq!(outcome.status, STATUS_BUFFER_TOO_SMALL, "{length}");
                continue;
            }
            assert_eq!(outcome.status, STATUS_BUFFER_OVERFLOW, "{length}");
            let part = listed(&outcome);
            assert_eq!(part[..], records[..part.len()], "{length}");
            assert!(part.len() >= most, "{length}");
            most = part.len();
            let Ok((head, _)) = VolumesHeader::read_from_prefix(&outcome.data) else {
                panic!("{length}: no header")
            };
            assert_eq!(head.bytes.get() as usize, whole.information);
            assert_eq!(head.total.get() as usize, records.len());
        }
        assert_eq!(most, records.len() - 1);
        drop(client);
        unload(driver);
    });
}

/// D7: a request of another driver, without a buffer or at APC_LEVEL, is refused like one that makes
/// no sense.
#[test]
fn a_request_without_its_buffer_is_refused() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let _probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let Some(device) = Device::named(r"\Device\fsglass") else {
            panic!("there is a control device")
        };
        for code in code::ALL {
            for parameters in [
                [64, 4, code as usize, 0],
                [64, 0, code as usize, 0],
                [0, 4, code as usize, 0],
            ] {
                let request = Request {
                    parameters,
                    ..Request::new(IRP_MJ_DEVICE_CONTROL as u8)
                };
                let reply = request.send(device);
                assert_eq!(reply.status, STATUS_INVALID_DEVICE_REQUEST, "{code:#X}");
            }
            let parameters = [0, 0, code as usize, 0];
            let request = Request {
                parameters,
                ..Request::new(IRP_MJ_DEVICE_CONTROL as u8)
            };
            let expected = if code == code::VERSION {
                STATUS_BUFFER_TOO_SMALL
            } else {
                STATUS_INFO_LENGTH_MISMATCH
            };
            assert_eq!(request.send(device).status, expected, "{code:#X}");
            let high = Request {
                irql: APC_LEVEL,
                ..request
            };
            assert_eq!(
                high.send(device).status,
                STATUS_INVALID_DEVICE_REQUEST,
                "{code:#X}"
            );
        }
        unload(driver);
    });
}

/// A1: a handle that may not write cannot attach and detach.
#[test]
fn a_reader_changes_nothing() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C', MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        let reader = Client::open_for(access::READ);
        assert_eq!(reader.listed(C).reason, Reason::Attached);
        assert_eq!(reader.detach(C), STATUS_ACCESS_DENIED);
        assert_eq!(reader.attach(C), STATUS_ACCESS_DENIED);
        assert_eq!(volume.attachments(&driver), 1);
        drop(reader);
        unload(driver);
    });
}

/// A10: the list has each file system and volume by its name and class, with what is above and
/// below, since when it is filtered, or why it is not.
#[test]
fn the_list_says_what_is_filtered_and_why_not() {
    in_own_process(|path| {
        let machine = Machine::start();
        let _before = disk(&machine, 'C', MountTiming::Before);
        let direct = disk(&machine, 'D', MountTiming::Before);
        if let Some(device) = direct.mounted_device() {
            device.set_flags(DO_DAX_VOLUME);
        }
        let shadow = machine.volume('X', VolumeKind::ShadowCopy, MountTiming::Before);
        shadow.mount();
        let driver = load(path, &[("AllowUnload", 1), ("AttachCdRom", 0)]);
        let upper = load_as(path, "fsglass2", UNLOADABLE).unwrap_or_else(|error| panic!("{error}"));
        let client = Client::open();
        let started = client.settings().started.get();
        let after = disk(&machine, 'E', MountTiming::After);
        after.mount();
        let value = |value| SettingValue::Dword(value);
        settings::set(legacy_filters::KEY, legacy_filters::VALUE, value(1));
        let blocked = disk(&machine, 'F', MountTiming::After);
        blocked.mount();
        settings::set(legacy_filters::KEY, legacy_filters::VALUE, value(0));

        let c = client.listed(C);
        assert_eq!(
            (c.kind, c.class, c.reason, c.status),
            (Kind::Volume, class::DISK, Reason::Attached, 0)
        );
        assert_eq!(c.above, [r"\FileSystem\fsglass2"]);
        assert_eq!(c.below, [FILE_SYSTEM]);
        assert_eq!(c.device_type, 8, "FILE_DEVICE_DISK_FILE_SYSTEM");
        assert!(c.since >= Some(started), "{c:?}");
        let d = client.listed(r"\Device\HarddiskVolume2");
        assert_eq!((d.reason, d.status), (Reason::DirectAccess, 0xC000_000E));
        assert_eq!((d.above, d.below), (vec![], vec![FILE_SYSTEM.to_owned()]));
        assert!(d.since >= Some(started));
        let e = client.listed(r"\Device\HarddiskVolume3");
        assert_eq!(e.reason, Reason::Attached);
        assert!(e.since >= c.since);
        let f = client.listed(r"\Device\HarddiskVolume4");
        assert_eq!((f.reason, f.status), (Reason::Blocked, 0xC000_000E));
        let x = client.listed(r"\Device\HarddiskVolumeShadowCopy1");
        assert_eq!(
            (x.class, x.reason, x.since),
            (class::SHADOW_COPY, Reason::Policy, None)
        );
        for (name, class, reason) in [
            (r"\HostFs", class::DISK, Reason::Attached),
            (r"\HostFsCd", class::CD_ROM, Reason::Policy),
            (r"\Device\HostRedirector", class::NETWORK, Reason::Attached),
            (r"\Device\RawDisk", class::RAW, Reason::Attached),
        ] {
            let listed = client.listed(name);
            assert_eq!(
                (listed.kind, listed.class, listed.reason),
                (Kind::FileSystem, class, reason),
                "{name}"
            );
        }
        drop(client);
        unload(upper);
        unload(driver);
    });
}

/// What a program had detached stays unfiltered, also when it is mounted again, until it is attached
/// by request; everything else is as before.
#[test]
fn a_detached_volume_stays_so_until_it_is_attached() {
    in_own_process(|path| {
        let machine = Machine::start();
        let (volume, other) = (
            disk(&machine, 'C', MountTiming::Before),
            disk(&machine, 'D', MountTiming::Before),
        );
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.attach(C), STATUS_OBJECT_NAME_COLLISION);
        // Names are compared as NT compares them.
        assert_eq!(client.detach(&C.to_ascii_uppercase()), STATUS_SUCCESS);
        assert_eq!(client.detach(C), STATUS_NOT_FOUND);
        let detached = client.listed(C);
        assert_eq!((detached.reason, detached.status), (Reason::Detached, 0));
        assert!(detached.since.is_some());
        works(&volume);
        assert_eq!(volume.attachments(&driver), 0);

        assert!(volume.dismount().is_success());
        volume.mount();
        works(&volume);
        assert_eq!(volume.attachments(&driver), 0, "mounted again");
        assert_eq!(client.listed(C).reason, Reason::Detached);

        assert_eq!(client.attach(C), STATUS_SUCCESS);
        assert_eq!(client.listed(C).reason, Reason::Attached);
        assert_eq!(volume.attachments(&driver), 1);
        assert!(volume.dismount().is_success());
        volume.mount();
        assert_eq!(volume.attachments(&driver), 1, "mounted again");
        works(&volume);
        assert_eq!(other.attachments(&driver), 1);
        drop(client);
        unload(driver);
    });
}

/// What the policy leaves alone is filtered when it is asked for by name, and no other of its kind.
#[test]
fn an_attachment_by_name_overrules_the_policy() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = ['C', 'D'].map(|letter| disk(&machine, letter, MountTiming::Before));
        let driver = load(path, &[("AllowUnload", 1), ("AttachDisk", 0)]);
        let client = Client::open();
        assert_eq!(client.listed(C).reason, Reason::Policy);
        assert_eq!(client.attach(C), STATUS_SUCCESS);
        assert_eq!(
            volumes.each_ref().map(|volume| volume.attachments(&driver)),
            [1, 0]
        );
        works(&volumes[0]);
        assert_eq!(client.detach(C), STATUS_SUCCESS);
        assert_eq!(volumes[0].attachments(&driver), 0);
        drop(client);
        unload(driver);
    });
}

/// A device with another filter above it is not taken out from under it.
#[test]
fn a_device_in_the_middle_of_a_stack_stays() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C', MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        let upper = load_as(path, "fsglass2", UNLOADABLE).unwrap_or_else(|error| panic!("{error}"));
        let client = Client::open();
        assert_eq!(client.detach(C), STATUS_DEVICE_BUSY);
        assert_eq!(client.listed(C).reason, Reason::Attached);
        assert_eq!(
            (volume.attachments(&driver), volume.attachments(&upper)),
            (1, 1)
        );
        works(&volume);
        unload(upper);
        assert_eq!(client.detach(C), STATUS_SUCCESS);
        drop(client);
        unload(driver);
    });
}

/// Programs attach and detach while others use the volume: no request is lost, and no answer is
/// anything but what it may be.
#[test]
fn volumes_come_and_go_under_load() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C', MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        machine.adverse(5);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (volume, stop) = (&volume, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let file = volume.create(&format!("\\file{number}"));
                        assert!(file.write(Some(0), b"data").is_success());
                        assert_eq!(&*file.read(Some(0), 4).data, b"data");
                    }
                });
            }
            let clients: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let client = Client::open();
                        for _ in 0..100 {
                            let status = client.detach(C);
                            assert!(
                                [STATUS_SUCCESS, STATUS_NOT_FOUND].contains(&status),
                                "{status:#X}"
                            );
                            let volumes = client.volumes();
                            assert!(volumes.iter().any(|volume| volume.name == C));
                            let status = client.attach(C);
                            assert!(
                                [STATUS_SUCCESS, STATUS_OBJECT_NAME_COLLISION].contains(&status),
                                "{status:#X}"
                            );
                        }
                    })
                })
                .collect();
            for client in clients {
                let ended = client.join();
                stop.store(true, Ordering::Relaxed);
                ended.unwrap_or_else(|_| panic!("a client failed"));
            }
        });
        machine.settle();
        let client = Client::open();
        assert!([STATUS_SUCCESS, STATUS_OBJECT_NAME_COLLISION].contains(&client.attach(C)));
        assert_eq!(volume.attachments(&driver), 1);
        works(&volume);
        drop(client);
        unload(driver);
    });
}

/// P2: with each allocation failing once, a request either fails for want of memory and changes
/// nothing, or does what it says.
#[test]
fn each_allocation_that_fails_is_an_answer() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C', MountTiming::Before);
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let filtered = || volume.attachments(&driver) == 1;
        let (mut refused, mut done) = ([0; 4], [0; 4]);
        for number in 1..40 {
            for (step, count) in done.iter_mut().enumerate() {
                // The state that the step changes.
                if step == 2 {
                    let _there_already = client.attach(C);
                } else if step == 3 {
                    let _away_already = client.detach(C);
                }
                let before = filtered();
                let open = client.settings().clients.get();
                failure::fail_nth(number);
                let status = match step {
                    0 => Client::try_open(access::READ)
                        .map_or_else(|status| status, |_| STATUS_SUCCESS),
                    1 => {
                        client
                            .send(code::VOLUMES, Header::new().as_bytes(), 1 << 14)
                            .status
                    }
                    2 => client.detach(C),
                    _ => client.attach(C),
                };
                let failed = failure::failed();
                failure::fail_nth(u64::MAX);
                assert_eq!(client.settings().clients.get(), open, "{failed:?}");
                match status {
                    STATUS_SUCCESS => {
                        *count += 1;
                        let expected = match step {
                            2 => false,
                            3 => true,
                            _ => before,
                        };
                        assert_eq!(filtered(), expected, "step {step}, {failed:?}");
                    }
                    // A list of devices that cannot be made has no volumes in it.
                    STATUS_INSUFFICIENT_RESOURCES | STATUS_OBJECT_NAME_NOT_FOUND => {
                        refused[step] += 1;
                        assert!(failed.is_some(), "step {step}: {status:#X} with all memory");
                        assert_eq!(filtered(), before, "step {step}, {failed:?}");
                    }
                    other => panic!("step {step}: {other:#X}, {failed:?}"),
                }
                works(&volume);
            }
        }
        assert!(
            refused[0] > 0 && refused[2] > 0 && refused[3] > 0,
            "{refused:?}"
        );
        assert!(done.iter().all(|count| *count > 0), "{done:?}");
        let _either = client.attach(C);
        drop(client);
        unload(driver);
    });
}

/// Several programs have the device open; each is counted until its handle is closed, not longer,
/// and nothing of them is left for the unload to find.
#[test]
fn each_program_is_counted_while_it_is_open() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let first = Client::open();
        let count = |client: &Client| client.settings().clients.get();
        assert_eq!(count(&first), 1);
        let second = Client::open();
        assert_eq!((count(&first), count(&second)), (2, 2));
        drop(first);
        assert_eq!(count(&second), 1);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let client = Client::open();
                        assert!((2..=9).contains(&client.settings().clients.get()));
                    }
                });
            }
        });
        assert_eq!(count(&second), 1);
        drop(second);
        unload(driver);
    });
}
