//! Fast I/O and FsFilter callbacks: passed on unchanged, declined where nobody below answers.

use fsglass_protocol::Operation as Told;
use fsglass_tests::client::{Client, everything};
use fsglass_tests::machine::{Device, Machine, STAYING, UNLOADABLE, ask_about, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::Probe;
use fsglass_tests::probe::fast_io::{
    ANSWER, ENTRIES, check_if_possible, expected_of_query_open, noted, noting_table, query_open,
    table_of,
};
use ntbox::io_manager::filter_callbacks::{self, Operation};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{FAST_IO_DISPATCH, STATUS_INVALID_DEVICE_STATE, STATUS_SUCCESS};
use ntbox::user::Mapping;

/// F1: the 21 entries that reach filters are there, the six obsolete ones are not.
#[test]
fn the_table_has_the_entries_that_reach_filters() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let _driver = load(path, &[]);
        let Some(table) = table_of(probe.device().top()) else {
            panic!("the driver has a fast I/O table")
        };
        assert_eq!(
            table.SizeOfFastIoDispatch as usize,
            size_of::<FAST_IO_DISPATCH>()
        );
        for entry in ENTRIES {
            assert!(entry.is_in(table), "{} is missing", entry.name);
        }
        assert!(table.FastIoDetachDevice.is_some() && table.FastIoQueryOpen.is_some());
        assert!(
            table.AcquireFileForNtCreateSection.is_none()
                && table.ReleaseFileForNtCreateSection.is_none()
        );
        assert!(table.AcquireForModWrite.is_none() && table.ReleaseForModWrite.is_none());
        assert!(table.AcquireForCcFlush.is_none() && table.ReleaseForCcFlush.is_none());
    });
}

/// F1: each entry calls the same entry below with the same arguments, for the device below, and
/// gives its answer back as it is.
#[test]
fn each_entry_passes_its_arguments_and_its_answer() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        probe.set_fast_io(Some(noting_table()));
        for settings in [UNLOADABLE, STAYING] {
            let driver = load(path, settings);
            for entry in ENTRIES {
                assert_eq!(
                    entry.call(probe.device().top()),
                    Some(ANSWER),
                    "{}",
                    entry.name
                );
                assert_eq!(noted(), [entry.expected(probe.device())]);
            }
            if settings == UNLOADABLE {
                unload(driver);
            }
        }
    });
}

/// F1: without a table below, without the entry in it, or with a table that is too short for it, the
/// answer is FALSE, and nothing below is called.
#[test]
fn what_nobody_below_has_is_declined() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let _driver = load(path, &[]);
        let top = probe.device().top();
        for entry in ENTRIES {
            probe.set_fast_io(None);
            assert_eq!(entry.call(top), Some(0), "{}: no table below", entry.name);
            probe.set_fast_io(Some(entry.table_without()));
            assert_eq!(
                entry.call(top),
                Some(0),
                "{}: no such entry below",
                entry.name
            );
            // The table ends in front of the entry, in its middle, and right behind it.
            for (bytes, answer) in [(0, 0), (4, 0), (7, 0), (8, ANSWER)] {
                let size = (entry.offset + bytes) as u32;
                probe.set_fast_io(Some(FAST_IO_DISPATCH {
                    SizeOfFastIoDispatch: size,
                    ..noting_table()
                }));
                assert_eq!(
                    entry.call(top),
                    Some(answer),
                    "{}: {bytes} of 8 bytes of it",
                    entry.name
                );
            }
            let calls = noted();
            assert_eq!(calls.len(), 1, "{}: {calls:?}", entry.name);
        }
    });
}

/// F2: on the control device fast I/O is declined, and nothing below is called.
#[test]
fn the_control_device_declines() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        probe.set_fast_io(Some(noting_table()));
        let _driver = load(path, &[]);
        let Some(control) = Device::named(r"\Device\fsglass") else {
            panic!("there is a control device")
        };
        for entry in ENTRIES {
            assert_eq!(entry.call(control), Some(0), "{}", entry.name);
        }
        assert_eq!(noted(), []);
    });
}

/// O2: a file system that answers FastIoCheckIfPossible with TRUE writes no status, as FASTFAT does not. What lies in
/// the block is not told: it is of the sender's stack.
#[test]
fn what_a_check_leaves_unwritten_is_not_told() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        probe.set_fast_io(Some(noting_table()));
        for settings in [UNLOADABLE, STAYING] {
            let driver = load(path, settings);
            let client = Client::open();
            assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
            let top = probe.device().top();
            assert_eq!(check_if_possible(top, STATUS_INVALID_DEVICE_STATE), ANSWER);
            let traced = client.drain_trace();
            let check = Told::FAST_CHECK_IF_POSSIBLE.number();
            let check = |record: &&fsglass_protocol::TraceRecord| record.operation == check;
            let told: Vec<_> = traced
                .requests
                .iter()
                .map(|(fixed, _)| fixed)
                .filter(check)
                .collect();
            let told: Vec<_> = told
                .iter()
                .map(|record| (record.status.get(), record.information.get()))
                .collect();
            assert_eq!(told, [(0, 0)]);
            drop(client);
            if settings == UNLOADABLE {
                unload(driver);
            }
        }
    });
}

/// F1: FastIoQueryOpen carries a request whose location names a device: the one below while that is
/// asked, the filter's own again afterwards.
#[test]
fn query_open_names_the_device_below() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        probe.set_fast_io(Some(noting_table()));
        let _driver = load(path, &[]);
        let top = probe.device().top();
        assert_ne!(top, probe.device());
        assert_eq!(query_open(top), (ANSWER, top));
        assert_eq!(noted(), [expected_of_query_open(probe.device())]);
    });
}

/// F1: a program that asks for attributes by name gets them through FastIoQueryOpen.
#[test]
fn query_open_is_answered_below() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let file = volume.create("\\file");
        assert!(file.write(Some(0), &[7; 1234]).is_success());
        drop(file);
        // The lazy writer changes it once more.
        machine.settle();
        let name = volume.name("\\file");
        let bare = ntbox::user::query_attributes(&name);
        assert!(
            bare.is_success() && bare.fast,
            "the file system answers fast: {bare:?}"
        );
        let _driver = load(path, &[]);
        let filtered = ntbox::user::query_attributes(&name);
        assert!(filtered.fast, "through the filter too");
        assert_eq!(filtered, bare);
        let missing = volume.name("\\missing");
        assert!(!ntbox::user::query_attributes(&missing).is_success());
    });
}

/// F1: what a program reads, writes, asks and locks through fast I/O is the same with and without
/// the filter, and it is fast in both cases.
#[test]
fn a_program_is_as_fast_with_the_filter() {
    in_own_process(|path| {
        use ntbox::nt::{
            FileBasicInformation, FileNetworkOpenInformation, FileStandardInformation,
        };
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let work = |name: &str| {
            let file = volume.create(name);
            let range = ntbox::user::locks::Range {
                offset: 0,
                length: 10,
                key: 3,
            };
            // The first write sets up caching, through a request.
            let mut outcomes = vec![("first write", file.write(Some(0), &[1; 100]))];
            outcomes.push(("write", file.write(Some(50), &[2; 100])));
            outcomes.push(("read", file.read(Some(0), 150)));
            outcomes.push((
                "standard",
                file.query_information(FileStandardInformation, 24),
            ));
            outcomes.push(("lock", file.lock(range, true, true)));
            outcomes.push(("unlock", file.unlock(range)));
            let fast = ["basic", "network open"].map(|what| {
                let class = if what == "basic" {
                    FileBasicInformation
                } else {
                    FileNetworkOpenInformation
                };
                file.query_information(class, 56).fast
            });
            (outcomes, fast)
        };
        let (bare, bare_fast) = work("\\bare");
        let _driver = load(path, &[]);
        let (filtered, filtered_fast) = work("\\filtered");
        assert_eq!(bare_fast, filtered_fast);
        for ((what, bare), (_, filtered)) in bare.iter().zip(&filtered) {
            assert_eq!(bare, filtered, "{what}");
        }
        let fast = filtered.iter().filter(|(_, outcome)| outcome.fast).count();
        assert!(
            fast >= 4,
            "most of it needs no request: {fast} of {}",
            filtered.len()
        );
    });
}

/// F3: all pairs of callbacks are registered.
#[test]
fn every_pair_of_callbacks_is_registered() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, &[]);
        let Some(callbacks) = filter_callbacks::registered_by(driver.driver()) else {
            panic!("the driver has registered no callbacks")
        };
        for (what, pair) in [
            (
                "acquire for section",
                callbacks.AcquireForSectionSynchronization,
            ),
            (
                "release for section",
                callbacks.ReleaseForSectionSynchronization,
            ),
            ("acquire for flush", callbacks.AcquireForCcFlush),
            ("release for flush", callbacks.ReleaseForCcFlush),
            (
                "acquire for page writer",
                callbacks.AcquireForModifiedPageWriter,
            ),
            (
                "release for page writer",
                callbacks.ReleaseForModifiedPageWriter,
            ),
            ("query open", callbacks.QueryOpen),
        ] {
            assert!(pair.Pre.is_some() && pair.Post.is_some(), "{what}");
        }
    });
}

/// F3: every FsFilter operation is allowed by the driver's callbacks and reaches the file system.
#[test]
fn every_file_system_filter_operation_is_allowed() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
        let file = volume.create("\\file");
        let _driver = load(path, &[]);
        let filtered = volume.create("\\filtered");
        for file in [&file, &filtered] {
            for operation in [
                Operation::AcquireForSection {
                    section_type: 1,
                    page_protection: 2,
                },
                Operation::ReleaseForSection,
                Operation::AcquireForCcFlush,
                Operation::ReleaseForCcFlush,
                Operation::AcquireForModifiedPageWriter {
                    ending_offset: 4096,
                },
                Operation::ReleaseForModifiedPageWriter,
            ] {
                assert_eq!(
                    ask_about(file, operation).0,
                    STATUS_SUCCESS,
                    "{operation:?}"
                );
            }
        }
        assert!(filtered.write(Some(0), &[1; 5000]).is_success());
        let (mapped, view) = filtered.map(Mapping::ReadOnly);
        assert!(mapped.is_success());
        assert!(view.is_some_and(|view| view.page_in(0).is_success()));
    });
}
