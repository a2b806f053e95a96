//! What observation keeps in nonpaged memory: on a machine with 64 processors, all of which are used, and as the
//! pool of ntbox has it.

use fsglass_protocol::trace::{ring, wanted};
use fsglass_protocol::{Memory, Operation, TraceStart};
use fsglass_tests::client::{Client, everything};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, ask_about, load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::Loaded;
use ntbox::io_manager::filter_callbacks;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    FILE_DIRECTORY_FILE, FileBasicInformation, FileFsSizeInformation, FileInternalInformation,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
};
use ntbox::pool;
use ntbox::processor::thread::PROCESSORS;
use ntbox::user::locks::Range;
use ntbox::user::{File, Mapping, Pending};
use std::collections::BTreeSet;

/// Bytes that the driver has allocated at this moment.
fn allocated(driver: &Loaded) -> u64 {
    let blocks = pool::leaks_of(driver.image()).into_iter();
    blocks.map(|block| block.bytes as u64).sum()
}

/// A directory in which changes can be waited for.
fn watched(volume: &Volume) -> File {
    let opened = volume.open("\\", |open| open.options(FILE_DIRECTORY_FILE));
    let status = opened.outcome.status();
    opened.file.unwrap_or_else(|| panic!("the root: {status}"))
}

/// Waits for changes in it.
fn watch(directory: &File) -> Pending<'_> {
    directory.start_notify(0x17F, true, 1024)
}

fn disk(machine: &Machine, letter: char) -> Volume {
    let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::Before);
    volume.mount();
    volume
}

/// Does to a volume what programs do, and the memory manager and the cache manager.
fn use_volume(volume: &Volume, name: &str) {
    let file = volume.create(name);
    assert!(file.write(Some(0), &[7; 5000]).is_success());
    assert!(file.read(Some(0), 5000).is_success());
    assert!(file.flush().is_success());
    let _any = file.query_information(FileInternalInformation, 8);
    let basic = file.query_information(FileBasicInformation, 40);
    let _any = file.set_information(FileBasicInformation, &basic.data);
    if let (_, Some(view)) = file.map(Mapping::ReadOnly) {
        let _any = view.page_in(0);
    }
    let range = Range {
        offset: 0,
        length: 8,
        key: 0,
    };
    let _any = file.lock(range, true, true);
    let _any = file.unlock(range);
    let _any = file.query_volume(FileFsSizeInformation, 24);
    let _any = file.query_security(1, 512);
    let _any = file.fs_control(0x0009_0028, &[], 0);
    let _any = file.device_control(0x0007_0000, &[], 24);
    for operation in [
        filter_callbacks::Operation::AcquireForCcFlush,
        filter_callbacks::Operation::ReleaseForCcFlush,
        filter_callbacks::Operation::AcquireForModifiedPageWriter {
            ending_offset: 5000,
        },
        filter_callbacks::Operation::ReleaseForModifiedPageWriter,
        filter_callbacks::Operation::QueryOpen {
            class: 68,
            length: 72,
        },
    ] {
        assert!(ask_about(&file, operation).is_success());
    }
    let _any = volume.root().query_directory(1, 1024, None, true, false);
}

fn kept(memory: &Memory) -> u64 {
    memory.statistics.get() + memory.traces.get() + memory.names.get()
}

/// O1: statistics of 10 volumes, each used on each of 64 processors, stay below 4 MB; when nobody wants them any more,
/// the memory is given back, also while a request is below.
#[test]
fn statistics_of_ten_volumes_on_64_processors_need_less_than_4_mb() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes: Vec<_> = ('C'..='L').map(|letter| disk(&machine, letter)).collect();
        assert_eq!((volumes.len(), PROCESSORS), (10, 64));
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let (before, nothing) = (allocated(&driver), client.settings().memory);
        assert_eq!(kept(&nothing), 0, "{nothing:?}");
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        let directory = volumes[0].create_with("\\quiet", FILE_DIRECTORY_FILE);
        let waiting = watch(&directory);
        std::thread::scope(|scope| {
            for number in 0..PROCESSORS {
                let volumes = &volumes;
                scope.spawn(move || {
                    let name = format!("\\file{number}");
                    volumes.iter().for_each(|volume| use_volume(volume, &name));
                });
            }
        });
        machine.settle();
        let memory = client.settings().memory;
        let grown = allocated(&driver) - before;
        let counted = client.statistics();
        let operations: BTreeSet<Operation> = counted
            .iter()
            .flat_map(|volume| volume.operations.keys().copied())
            .collect();
        println!(
            "{grown} bytes, {} told, {} operations of {} volumes",
            memory.statistics.get(),
            operations.len(),
            counted.len()
        );
        assert!(operations.len() >= 24, "{operations:?}");
        assert!(grown < 4 << 20, "{grown}");
        assert!(memory.statistics.get() < 4 << 20, "{memory:?}");
        // What is told is what there is, but for the blocks' own headers.
        let told = memory.statistics.get();
        assert!(
            (told * 9 / 10..=told * 11 / 10).contains(&grown),
            "{grown} {memory:?}"
        );

        assert_eq!(client.observe(false), STATUS_SUCCESS);
        assert_eq!(client.settings().memory.statistics.get(), 0);
        let stays = allocated(&driver) - before;
        assert!(
            stays < 1 << 10,
            "{stays} bytes stay while a notification is below"
        );
        assert!(waiting.is_outstanding());
        drop(waiting);
        drop((directory, client));
        unload(driver);
    });
}

/// O1: the rings of a trace, with all that it needs, stay below what it was given.
#[test]
fn a_trace_stays_below_its_rings() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C');
        let driver = load(path, UNLOADABLE);
        for ring_bytes in [ring::LEAST, 1 << 16, 1 << 20, 0, 16 << 20] {
            let most = if ring_bytes == 0 {
                ring::DEFAULT
            } else {
                ring_bytes
            };
            let client = Client::open();
            let before = allocated(&driver);
            let start = TraceStart {
                ring_bytes: ring_bytes.into(),
                ..everything()
            };
            assert_eq!(client.start_trace(start, "", ""), STATUS_SUCCESS);
            use_volume(&volume, "\\file");
            let memory = client.settings().memory;
            let grown = allocated(&driver) - before;
            assert!(grown <= u64::from(most), "{grown} of {most}");
            assert!(grown >= u64::from(most) / 4, "{grown} of {most}");
            assert_eq!(memory.traces.get(), u64::from(most));
            assert!(!client.drain_trace().requests.is_empty());
            assert_eq!(client.stop_trace(), STATUS_SUCCESS);
            assert_eq!(client.settings().memory.traces.get(), 0);
            assert_eq!(allocated(&driver), before);
        }
        unload(driver);
    });
}

/// O1: there is a bound for all of it, which is a setting: what does not fit is refused, or passes unobserved and is
/// told so.
#[test]
fn there_is_a_bound() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C');
        let driver = load(path, &[("AllowUnload", 1), ("ObservationMemory", 1)]);
        let (client, second) = (Client::open(), Client::open());
        let most = 1 << 20;
        let rings = |ring_bytes: u32| TraceStart {
            ring_bytes: ring_bytes.into(),
            wanted: wanted::NAMES.into(),
            ..everything()
        };
        let refused = client.start_trace(rings(2 << 20), "", "");
        assert_eq!(refused, STATUS_INSUFFICIENT_RESOURCES);
        assert_eq!(client.start_trace(rings(1 << 20), "", ""), STATUS_SUCCESS);
        let refused = second.start_trace(rings(ring::LEAST), "", "");
        assert_eq!(refused, STATUS_INSUFFICIENT_RESOURCES);
        assert_eq!(client.settings().memory.most.get(), most);
        assert_eq!(kept(&client.settings().memory), most);
        // There is nothing left for counters and names.
        assert_eq!(second.observe(true), STATUS_SUCCESS);
        use_volume(&volume, "\\file");
        assert!(second.statistics_header().missed.get() > 0);
        assert!(
            second
                .statistics()
                .iter()
                .all(|volume| volume.operations.is_empty())
        );
        let traced = client.drain_trace();
        assert!(traced.requests.iter().all(|(_, name)| name.is_empty()));
        assert_eq!(client.stop_trace(), STATUS_SUCCESS);
        assert_eq!(second.observe(false), STATUS_SUCCESS);
        assert_eq!(second.observe(true), STATUS_SUCCESS);
        use_volume(&volume, "\\file");
        assert_eq!(second.statistics_header().missed.get(), 0);
        assert_eq!(second.observe(false), STATUS_SUCCESS);
        assert_eq!(kept(&client.settings().memory), 0);
        drop((client, second));
        unload(driver);
    });
}

/// O2: what is below when counting ends is in flight when it begins again, and completes there, or meanwhile.
#[test]
fn what_is_below_is_counted_once() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volume = disk(&machine, 'C');
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        let of_directories = |client: &Client| {
            let counted = client.statistics();
            let records = counted.iter().filter_map(|volume| {
                let (record, _) = volume.operations.get(&Operation::DIRECTORY_CONTROL)?;
                Some((record.started.get(), record.completed.get()))
            });
            records.fold((0, 0), |(a, b), (started, completed)| {
                (a + started, b + completed)
            })
        };
        let roots: Vec<_> = (0..3).map(|_| watched(&volume)).collect();
        // It begins before anybody counts.
        let mut first = watch(&roots[0]);
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        let (mut second, mut third) = (watch(&roots[1]), watch(&roots[2]));
        assert_eq!(of_directories(&client), (2, 0));
        assert_eq!(client.observe(false), STATUS_SUCCESS);
        for ended in [&mut first, &mut second] {
            assert_eq!(ended.cancel(), STATUS_SUCCESS);
            assert!(ended.finishes_within(i64::MAX));
        }
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        assert_eq!(of_directories(&client), (1, 0), "one is still below");
        assert_eq!(third.cancel(), STATUS_SUCCESS);
        assert!(third.finishes_within(i64::MAX));
        assert_eq!(of_directories(&client), (1, 1));
        drop((first, second, third));
        drop((roots, client));
        unload(driver);
    });
}

/// O1: there is room for 256 volumes at a time. The place of one that is gone is used again, so that volumes which
/// come and go do not use them up; what was counted of others stays.
#[test]
fn places_of_volumes_are_used_again() {
    const COME: u32 = 300;
    in_own_process(|path| {
        let machine = Machine::start();
        let stays = disk(&machine, 'C');
        let driver = load(path, UNLOADABLE);
        let client = Client::open();
        assert_eq!(client.observe(true), STATUS_SUCCESS);
        assert_eq!(client.start_trace(everything(), "", ""), STATUS_SUCCESS);
        use_volume(&stays, "\\file");
        let mut numbers = BTreeSet::new();
        for come in 0..COME {
            let letter = char::from_u32(0x4E00 + come).unwrap_or('?');
            let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::After);
            drop(volume.create("\\file"));
            assert!(volume.dismount().is_success());
            machine.settle();
            let traced = client.drain_trace();
            let opened = traced.requests.iter();
            let mut opened = opened.filter(|(record, _)| record.operation == 0);
            let Some((record, _)) = opened.next_back() else {
                panic!("{come}: its create is not traced")
            };
            assert!(
                numbers.insert(record.volume.get()),
                "{come}: its number is another's"
            );
            assert!(traced.volumes.contains_key(&record.volume.get()), "{come}");
        }
        let counted = client.statistics();
        assert!(counted.len() <= 256, "{}", counted.len());
        assert_eq!(client.statistics_header().forgotten.get(), 0);
        let first = &counted[0];
        let stays: Vec<_> = counted.iter().filter(|volume| volume.attached).collect();
        assert!(
            stays.iter().any(|volume| volume.operations.len() > 5),
            "{first:?}"
        );
        drop(client);
        unload(driver);
    });
}
