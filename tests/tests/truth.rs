//! What the driver tells, against the truth: ntbox notes each request and each call of fast I/O that arrives
//! below the driver, while seeded programs use the volumes in every way and readers of traces come and go.
//! Statistics and traces must be exactly that, and names those that the file system has for the files.
//!
//! `FSGLASS_TRUTH_REQUESTS` says how many requests each build of the driver is compared with, and
//! `FSGLASS_TRUTH_SEED` with which seed the first round is drawn. docs/contributing.md has the command for a long run.

use fsglass_protocol::trace::{flags, ring, wanted};
use fsglass_protocol::{Operation, TraceRecord, TraceStart};
use fsglass_tests::client::{Client, Traced, everything};
use fsglass_tests::machine::{Machine, Volume, ask_about, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::truth::names::{Used, compare_names};
use fsglass_tests::truth::readers::{
    Wish, check_lasting, check_session, come_and_go, next_of, read_on, records, without_names,
};
use fsglass_tests::truth::{
    Counts, buckets_of, compare, compare_trace, counts_in, counts_of, pair_trace,
};
use ntbox::file_system::adversary::{self, Mix};
use ntbox::file_system::context;
use ntbox::io_manager::filter_callbacks;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::io_manager::witness::{self, Arrival};
use ntbox::nt::{FILE_OPEN_IF, FileInternalInformation, STATUS_SUCCESS, STATUS_VOLUME_DISMOUNTED};
use ntbox::user::{CreateParameters, File, access, create_file};
use ntbox::workload::program::{self, Program, Volumes};
use ntbox::workload::run::Place;
use ntbox::workload::worker::INJECTED;
use ntbox::workload::{self, Run, Workload};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The rings of a trace that loses nothing are as large as they can be.
const SETTINGS: &[(&str, u32)] = &[("AllowUnload", 1), ("ObservationMemory", 1024)];

/// A trace that nobody reads until the end.
const UNREAD: &str = "an unread ring";

/// Threads of the workload.
const THREADS: u32 = 3;

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let parsed = text.parse();
    parsed.unwrap_or_else(|_| panic!("{variable} is a number, not {text}"))
}

/// The volumes of a run: one of each thread, which it may dismount, and two that all share.
struct Stage {
    machine: Machine,
    volumes: Volumes,
    places: Vec<Place>,
    mix: Mix,
}

impl Stage {
    fn set() -> Self {
        let machine = Machine::start();
        let kinds = [
            ('C', VolumeKind::Disk, MountTiming::Before),
            ('D', VolumeKind::Disk, MountTiming::After),
            ('E', VolumeKind::Disk, MountTiming::Async),
            ('F', VolumeKind::Disk, MountTiming::Before),
            ('N', VolumeKind::Network, MountTiming::Before),
        ];
        let described = |volume: &Volume| program::Volume {
            name: volume.name(""),
            host: volume.host_directory().to_owned(),
        };
        let all: Vec<_> = kinds
            .iter()
            .map(|(letter, kind, mount)| {
                let volume = machine.volume(*letter, *kind, *mount);
                if *mount == MountTiming::Before {
                    volume.mount();
                }
                described(&volume)
            })
            .collect();
        let (own, shared) = all.split_at(THREADS as usize);
        let place = |volume: &program::Volume| Place {
            name: volume.name.clone(),
            label: volume.name.clone(),
            kind: VolumeKind::Disk,
        };
        Self {
            places: all.iter().map(place).collect(),
            volumes: Volumes {
                own: own.to_vec(),
                shared: shared.to_vec(),
            },
            machine,
            mix: Mix {
                fail: 20,
                fail_with: INJECTED.to_vec(),
                ..Mix::default()
            },
        }
    }

    /// Opens as no program of `ntbox diff` does: by an id, and of a stream. Its file is not there, but the request
    /// passes the driver.
    fn open_otherwise(&self, seed: u64) {
        adversary::configure(seed, Mix::default());
        for place in &self.places {
            let root = format!(r"{}\", place.name);
            let stream = format!("{root}a:s");
            let opened = create_file(&CreateParameters::new(&stream));
            assert!(opened.file.is_none(), "{stream}");
            let name = format!("{root}found by its id");
            let make = CreateParameters::new(&name).disposition(FILE_OPEN_IF);
            let made = create_file(&make.access(access::READ | access::WRITE)).file;
            let id = made.map(|made| made.query_information(FileInternalInformation, 8).data);
            let id = id.and_then(|id| id.try_into().ok()).map(u64::from_le_bytes);
            let by_id = id.and_then(|id| create_file(&CreateParameters::new(&root).by_id(id)).file);
            let by_id = by_id.unwrap_or_else(|| panic!("{name} is not opened by its id, {id:?}"));
            let _end_of_file = by_id.read(Some(0), 4);
            for operation in [
                filter_callbacks::Operation::AcquireForSection {
                    section_type: 1,
                    page_protection: 2,
                },
                filter_callbacks::Operation::ReleaseForSection,
                filter_callbacks::Operation::AcquireForCcFlush,
                filter_callbacks::Operation::ReleaseForCcFlush,
                filter_callbacks::Operation::AcquireForModifiedPageWriter {
                    ending_offset: 1 << 33,
                },
                filter_callbacks::Operation::ReleaseForModifiedPageWriter,
                filter_callbacks::Operation::QueryOpen {
                    class: 68,
                    length: 72,
                },
            ] {
                let allowed = ask_about(&by_id, operation);
                assert!(allowed.is_success(), "{operation:?}: {allowed}");
            }
            refuse_a_name(&place.name, &by_id);
        }
    }

    /// Programs with everything that `ntbox diff` knows, then random operations that may be failed.
    fn perform(&self, seed: u64, operations: u32) {
        let program = Program {
            seed,
            threads: THREADS,
            operations,
            kept: None,
            may_pend: false,
        };
        let progress = Arc::default();
        let run = (seed % 1_000_000) as u32;
        let ended = program::run(&program, run, self.mix.clone(), &self.volumes, &progress);
        assert!(ended.is_ok(), "{:?}", ended.err());
        adversary::configure(seed, self.mix.clone());
        let ended = workload::run(
            &Run {
                workload: Workload::Random(u64::from(operations) * u64::from(THREADS)),
                places: self.places.clone(),
                threads: THREADS,
                seed,
                may_pend: false,
            },
            &progress,
        );
        assert!(ended.wrong.is_empty(), "{:#?}", ended.wrong);
        self.machine.settle();
    }
}

/// Makes names on a volume old, so that the file system is asked again what `file` is called, and dismounts it
/// before, so that it does not tell.
fn refuse_a_name(volume: &str, file: &File) {
    /// FileRenameInformation.
    const RENAME: i32 = 10;
    /// FSCTL_DISMOUNT_VOLUME.
    const DISMOUNT_VOLUME: u32 = 0x0009_0020;
    let before = format!(r"{volume}\before");
    let make = CreateParameters::new(&before).disposition(FILE_OPEN_IF);
    let made = create_file(&make.access(access::READ | access::DELETE)).file;
    let made = made.unwrap_or_else(|| panic!("{before} is not made"));
    let name: Vec<u8> = "after".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut rename = vec![0; 16];
    // What is there from the round before is replaced.
    rename[0] = 1;
    rename.extend((name.len() as u32).to_le_bytes());
    rename.extend(name);
    let renamed = made.set_information(RENAME, &rename);
    assert!(renamed.is_success(), "{renamed:?}");
    drop(made);
    let volume = CreateParameters::new(volume).access(access::READ | access::WRITE);
    let volume = create_file(&volume).file;
    let volume = volume.unwrap_or_else(|| panic!("{before}: its volume is not opened"));
    // What a network file system shares is not dismounted.
    if volume.fs_control(DISMOUNT_VOLUME, &[], 0).is_success() {
        assert_eq!(file.read(Some(0), 4).status, STATUS_VOLUME_DISMOUNTED);
    }
}

/// What a round brought.
struct Round {
    arrivals: Vec<Arrival>,
    /// With what the driver sent itself.
    with_direct: Vec<Arrival>,
    names: Used,
    all: Traced,
    lost: u64,
    sessions: usize,
}

fn round(stage: &Stage, seed: u64, operations: u32) -> Round {
    let wishes = [
        // Nothing of it may be lost.
        (
            "everything",
            ring::GREATEST,
            TraceStart {
                wanted: wanted::NAMES.into(),
                ..everything()
            },
            "",
        ),
        ("a small ring", ring::LEAST, everything(), ""),
        (UNREAD, ring::LEAST, everything(), ""),
        (
            "failures",
            0,
            TraceStart {
                wanted: wanted::FAILURES_ONLY.into(),
                ..everything()
            },
            "",
        ),
        ("a volume", 0, everything(), r"*2"),
        (
            "slow transfers",
            0,
            TraceStart {
                operations: [
                    Operation::READ,
                    Operation::WRITE,
                    Operation::FAST_READ,
                    Operation::FAST_WRITE,
                ]
                .iter()
                .fold(0, |bits, operation| bits | 1 << operation.number())
                .into(),
                slower_than: 300.into(),
                ..everything()
            },
            "",
        ),
    ];
    let statistics = Client::open();
    assert_eq!(statistics.observe(true), STATUS_SUCCESS);
    let before = counts_in(&statistics.statistics());
    witness::begin_with_names(context::name_of);
    let lasting: Vec<_> = wishes
        .iter()
        .map(|(name, ring_bytes, fixed, volume)| {
            let client = Client::open();
            let fixed = TraceStart {
                ring_bytes: (*ring_bytes).into(),
                ..*fixed
            };
            assert_eq!(client.start_trace(fixed, volume, ""), STATUS_SUCCESS);
            (*name, Wish { fixed, volume }, client)
        })
        .collect();
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::SeqCst);
    let (traces, sessions): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let readers: Vec<_> = lasting
            .iter()
            .map(|(name, _, client)| {
                scope.spawn(move || {
                    let mut traced = Traced::default();
                    while *name == UNREAD && !is_over() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    read_on(client, &mut traced, is_over);
                    traced
                })
            })
            .collect();
        let guests: Vec<_> = (0..2)
            .map(|guest| scope.spawn(move || come_and_go(seed ^ guest << 32, is_over)))
            .collect();
        stage.open_otherwise(seed);
        stage.perform(seed, operations);
        over.store(true, Ordering::SeqCst);
        let traces = readers.into_iter().map(|reader| reader.join());
        let traces = traces.map(|traced| traced.unwrap_or_else(|_| panic!("a reader failed")));
        let sessions = guests.into_iter().map(|guest| guest.join());
        let sessions =
            sessions.flat_map(|guest| guest.unwrap_or_else(|_| panic!("a guest failed")));
        (traces.collect(), sessions.collect())
    });
    let with_direct = witness::end_with_direct();
    let passed_on = with_direct.iter().filter(|arrival| !arrival.direct);
    let arrivals: Vec<_> = passed_on.cloned().collect();
    let after = counts_in(&statistics.statistics());

    let all = &traces[0];
    assert_eq!(
        all.lost, 0,
        "the ring of the trace of everything is too small"
    );
    let told = |what: &str, differences: Vec<String>| {
        assert!(
            differences.is_empty(),
            "{what}:\n{}",
            differences.join("\n")
        );
    };
    let (differences, pairs) = pair_trace(&arrivals, all);
    told("a trace of everything", differences);
    let (differences, names) = compare_names(&with_direct, all, &pairs);
    told("names", differences);
    let truth = sum(&before.0, &counts_of(&arrivals));
    told("statistics", compare("counts", &truth, &after.0));
    let mut durations = before.1;
    for (key, buckets) in buckets_of(all) {
        let total = durations.entry(key).or_default();
        for (bucket, count) in buckets {
            *total.entry(bucket).or_default() += count;
        }
    }
    told("durations", compare("buckets", &durations, &after.1));
    let unnamed = without_names(all);
    for ((name, wish, _), traced) in lasting.iter().zip(&traces).skip(1) {
        check_lasting(name, wish, traced, &unnamed);
    }
    let next = next_of(&unnamed);
    for session in &sessions {
        check_session(session, &unnamed, &next);
    }
    let lost = traces[1].lost + traces[2].lost;
    Round {
        arrivals,
        with_direct,
        names,
        all: traces.into_iter().next().unwrap_or_default(),
        lost,
        sessions: sessions.len(),
    }
}

/// What was counted before, and what came after.
fn sum(before: &Counts, more: &Counts) -> Counts {
    let mut total = before.clone();
    for (key, more) in more {
        let total = total.entry(key.clone()).or_default();
        for (total, more) in [
            (&mut total.started, more.started),
            (&mut total.completed, more.completed),
            (&mut total.bytes, more.bytes),
            (&mut total.informational, more.informational),
            (&mut total.warnings, more.warnings),
            (&mut total.errors, more.errors),
            (&mut total.pended, more.pended),
            (&mut total.at_dispatch, more.at_dispatch),
            (&mut total.declined, more.declined),
        ] {
            *total += more;
        }
    }
    total
}

/// O2, F3: statistics per volume and operation, and traces per thread, are what passed; of a trace that overflows, what
/// is delivered and what is lost are together what it is about.
#[test]
fn what_is_told_is_what_passed() {
    in_own_process(|path| {
        let requests = number("FSGLASS_TRUTH_REQUESTS", 40_000);
        let first = number("FSGLASS_TRUTH_SEED", 1);
        let stage = Stage::set();
        let driver = load(path, SETTINGS);
        let (mut compared, mut lost, mut sessions, mut kinds) = (0, 0, 0, BTreeMap::new());
        let mut names = Used::default();
        for seed in first.. {
            if compared >= requests {
                break;
            }
            println!("again: FSGLASS_TRUTH_SEED={seed}");
            let round = round(&stage, seed, 1_500);
            compared += round.arrivals.len() as u64;
            lost += round.lost;
            sessions += round.sessions;
            names.add(round.names);
            for record in records(&round.all) {
                let flags = record.flags.get();
                *kinds.entry("pended").or_insert(0) += u64::from(flags & flags::PENDED != 0);
                *kinds.entry("declined").or_insert(0) += u64::from(flags & flags::DECLINED != 0);
                *kinds.entry("at DISPATCH").or_insert(0) += u64::from(record.irql == 2);
                *kinds.entry("failed").or_insert(0) += u64::from(record.status.get() >> 30 == 3);
                let mounts = [record.operation, record.minor] == [13, 1];
                *kinds.entry("mounts").or_insert(0) += u64::from(mounts);
                let cancelled = record.status.get() == 0xC000_0120;
                *kinds.entry("cancelled").or_insert(0) += u64::from(cancelled);
                let operation = Operation::from_number(record.operation);
                let paging = operation != operation.map(Operation::plain);
                *kinds.entry("paging").or_insert(0) += u64::from(paging);
                for filter in [
                    Operation::ACQUIRE_FOR_SECTION,
                    Operation::RELEASE_FOR_SECTION,
                    Operation::ACQUIRE_FOR_MOD_WRITE,
                    Operation::RELEASE_FOR_MOD_WRITE,
                    Operation::ACQUIRE_FOR_CC_FLUSH,
                    Operation::RELEASE_FOR_CC_FLUSH,
                    Operation::QUERY_OPEN,
                ] {
                    *kinds.entry(filter.name()).or_insert(0) +=
                        u64::from(operation == Some(filter));
                }
            }
        }
        println!(
            "{compared} requests compared, {sessions} traces came and went, {lost} records lost, {kinds:?}, {names:?}"
        );
        assert!(lost > 0, "no ring has overflowed");
        assert!(names.is_all(), "{names:?}");
        assert!(sessions > 0);
        assert!(kinds.values().all(|count| *count > 0), "{kinds:?}");
        unload(driver);
    });
}

/// The comparison rejects what is not the truth: each field of a record, a record that is missing, one that is
/// there twice, the order of a thread, and each count.
#[test]
fn what_is_not_the_truth_is_rejected() {
    in_own_process(|path| {
        let stage = Stage::set();
        let driver = load(path, SETTINGS);
        let Round {
            arrivals,
            with_direct,
            all,
            ..
        } = round(&stage, 7, 60);
        let place = all.requests.len() / 2;
        type Falsify = fn(&mut TraceRecord);
        let falsifications: [(&str, Falsify); 16] = [
            ("operation", |record| record.operation ^= 1),
            ("minor", |record| record.minor ^= 1),
            ("irql", |record| record.irql ^= 1),
            ("pended", |record| record.flags ^= flags::PENDED),
            ("declined", |record| record.flags ^= flags::DECLINED),
            ("IRP flags", |record| record.irp_flags ^= 1),
            ("status", |record| record.status ^= 1),
            ("volume", |record| record.volume = u32::MAX.into()),
            ("process", |record| record.process ^= 4),
            ("thread", |record| record.thread ^= 1),
            ("information", |record| record.information ^= 1),
            ("started late", |record| record.started += 1_000_000_000),
            ("started early", |record| record.started = 0.into()),
            ("duration", |record| record.duration = 0.into()),
            ("file", |record| record.file ^= 16),
            ("parameters", |record| record.parameters[1] ^= 1),
        ];
        assert_eq!(compare_trace(&arrivals, &all), [""; 0]);
        for (what, falsify) in falsifications {
            let mut false_ = all.clone();
            // A record that took some ticks, so that it can have taken fewer.
            let mut taken = false_.requests.iter_mut().skip(place);
            let slow = |(record, _): &&mut (TraceRecord, String)| record.duration.get() > 200;
            match taken.find(slow) {
                Some((record, _)) => falsify(record),
                None => panic!("each record took less than 20 µs"),
            }
            assert!(!compare_trace(&arrivals, &false_).is_empty(), "{what}");
        }
        let mut false_ = all.clone();
        false_.volumes.values_mut().for_each(|name| name.push('x'));
        assert!(
            !compare_trace(&arrivals, &false_).is_empty(),
            "the name of a volume"
        );
        let mut false_ = all.clone();
        false_.requests.remove(place);
        assert!(
            !compare_trace(&arrivals, &false_).is_empty(),
            "one is missing"
        );
        let mut false_ = all.clone();
        let twice = false_.requests[place].clone();
        false_.requests.push(twice);
        assert!(
            !compare_trace(&arrivals, &false_).is_empty(),
            "one is there twice"
        );
        let mut false_ = all.clone();
        exchange(&mut false_);
        assert!(!compare_trace(&arrivals, &false_).is_empty(), "the order");

        let (_, pairs) = pair_trace(&arrivals, &all);
        let names_differ =
            |traced: &Traced| !compare_names(&with_direct, traced, &pairs).0.is_empty();
        assert!(!names_differ(&all));
        type FalsifyName = fn(&mut u32, &mut String);
        let falsifications: [(&str, u32, FalsifyName); 6] = [
            ("another name", 0, |_, name| name.push('x')),
            ("another case", 0, |_, name| {
                *name = name.to_uppercase();
            }),
            ("no name", 0, |_, name| name.clear()),
            ("less than is known", 0, |flags, _| {
                *flags |= flags::NAME_AS_OPENED
            }),
            ("more than is known", flags::NAME_AS_OPENED, |flags, _| {
                *flags = 0
            }),
            ("nothing is known", flags::NAME_AS_OPENED, |flags, name| {
                *flags = flags::NAME_UNKNOWN;
                name.clear();
            }),
        ];
        for (what, of, falsify) in falsifications {
            let mut false_ = all.clone();
            let differs = false_.requests.iter_mut().find_map(|(record, name)| {
                let mut flags = record.flags.get() & flags::OF_NAMES;
                let before = (flags, name.clone());
                if flags != of || name.is_empty() {
                    return None;
                }
                falsify(&mut flags, name);
                record.flags = (record.flags.get() & !flags::OF_NAMES | flags).into();
                (before != (flags, name.clone())).then_some(())
            });
            assert!(differs.is_some(), "{what}: there is no such record");
            assert!(names_differ(&false_), "{what}");
        }

        let truth = counts_of(&arrivals);
        let mut false_ = truth.clone();
        assert_eq!(compare("counts", &truth, &false_), [""; 0]);
        for record in false_.values_mut() {
            record.pended += 1;
        }
        assert!(!compare("counts", &truth, &false_).is_empty());
        let mut false_ = truth.clone();
        false_.pop_first();
        assert!(!compare("counts", &truth, &false_).is_empty());
        unload(driver);
    });
}

/// Exchanges the times of two records of a thread that follow each other and are about different operations.
fn exchange(traced: &mut Traced) {
    traced
        .requests
        .sort_by_key(|(record, _)| (record.thread.get(), record.started.get()));
    let place = traced.requests.windows(2).position(|pair| {
        let [(one, _), (other, _)] = pair else {
            return false;
        };
        one.thread == other.thread
            && one.operation != other.operation
            && one.started != other.started
    });
    let Some(place) = place else {
        panic!("no two records follow each other")
    };
    let (one, other) = (traced.requests[place].0, traced.requests[place + 1].0);
    traced.requests[place].0.started = other.started;
    traced.requests[place + 1].0.started = one.started;
}
