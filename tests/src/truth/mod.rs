//! What the driver tells of requests, compared with what ntbox saw arrive below it.
//!
//! Both are brought into one form ([`Told`]). Of each thread, the records of a trace in the order in which
//! they were started must be what arrived of that thread, one for one, each with a time that began before
//! the arrival and ended after the return; and what is counted must be the sum of what arrived.

pub mod names;
pub mod readers;

use crate::client::{Counted, Traced};
use fsglass_protocol::trace::flags;
use fsglass_protocol::{Operation, OperationRecord, TraceRecord, histogram};
use ntbox::io_manager::witness::{Arrival, Asked};
use ntbox::nt::{
    IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MJ_LOCK_CONTROL, IRP_MJ_QUERY_INFORMATION, IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_READ,
    IRP_MJ_SET_INFORMATION, IRP_MJ_SET_VOLUME_INFORMATION, IRP_MJ_WRITE, IRP_MN_LOAD_FILE_SYSTEM,
    IRP_MN_LOCK, IRP_MN_MOUNT_VOLUME, IRP_MN_NOTIFY_CHANGE_DIRECTORY,
    IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX, IRP_MN_UNLOCK_SINGLE, PASSIVE_LEVEL,
};
use std::collections::BTreeMap;

/// Differences that are told; more do not help.
const MOST: usize = 12;

/// One request or call, as both sides tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// [`Operation::number`].
    pub operation: u8,
    /// The name of the volume.
    pub volume: String,
    /// The minor function.
    pub minor: u8,
    /// `Irp->Flags`.
    pub irp_flags: u32,
    /// The file object.
    pub file: u64,
    /// The process.
    pub process: u32,
    /// What it asks for.
    pub parameters: [u64; 2],
    /// The status.
    pub status: u32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// It was pended below.
    pub pended: bool,
    /// Fast I/O that was declined.
    pub declined: bool,
    /// The IRQL of the completion.
    pub irql: u8,
}

/// [`Told`], and when that was: in ticks.
struct At {
    /// Its place among those of its side.
    place: usize,
    told: Told,
    began: u64,
    ended: u64,
}

/// The operation that the driver calls an entry of the fast I/O table.
fn entry(name: &str) -> Operation {
    match name {
        "FastIoCheckIfPossible" => Operation::FAST_CHECK_IF_POSSIBLE,
        "FastIoRead" => Operation::FAST_READ,
        "FastIoWrite" => Operation::FAST_WRITE,
        "FastIoQueryBasicInfo" => Operation::FAST_QUERY_BASIC_INFO,
        "FastIoQueryStandardInfo" => Operation::FAST_QUERY_STANDARD_INFO,
        "FastIoQueryNetworkOpenInfo" => Operation::FAST_QUERY_NETWORK_OPEN_INFO,
        "FastIoLock" => Operation::FAST_LOCK,
        "FastIoUnlockSingle" => Operation::FAST_UNLOCK_SINGLE,
        "FastIoUnlockAll" => Operation::FAST_UNLOCK_ALL,
        "FastIoUnlockAllByKey" => Operation::FAST_UNLOCK_ALL_BY_KEY,
        "FastIoDeviceControl" => Operation::FAST_DEVICE_CONTROL,
        "FastIoQueryOpen" => Operation::FAST_QUERY_OPEN,
        "MdlRead" => Operation::FAST_MDL_READ,
        "MdlReadComplete" => Operation::FAST_MDL_READ_COMPLETE,
        "PrepareMdlWrite" => Operation::FAST_PREPARE_MDL_WRITE,
        "MdlWriteComplete" => Operation::FAST_MDL_WRITE_COMPLETE,
        other => panic!("no test calls {other}"),
    }
}

/// The operation that the driver calls an FsFilter operation, by its code.
fn filter_operation(code: u8) -> Operation {
    match code {
        0xFF => Operation::ACQUIRE_FOR_SECTION,
        0xFE => Operation::RELEASE_FOR_SECTION,
        0xFD => Operation::ACQUIRE_FOR_MOD_WRITE,
        0xFC => Operation::RELEASE_FOR_MOD_WRITE,
        0xFB => Operation::ACQUIRE_FOR_CC_FLUSH,
        0xFA => Operation::RELEASE_FOR_CC_FLUSH,
        0xF9 => Operation::QUERY_OPEN,
        other => panic!("there is no FsFilter operation {other:#x}"),
    }
}

/// IRP_PAGING_IO.
const PAGING: u32 = 0x2;

/// What the words of `Parameters` say, by their layout in `wdm.h`.
fn parameters(major: u32, minor: u32, words: [u64; 4]) -> [u64; 2] {
    let low = |word: u64| u64::from(word as u32);
    let [first, second, third, _] = words;
    match (major, minor) {
        (IRP_MJ_CREATE, _) => [low(second), low(first)],
        (IRP_MJ_READ | IRP_MJ_WRITE, _) => [third, low(first)],
        (IRP_MJ_QUERY_INFORMATION | IRP_MJ_SET_INFORMATION, _)
        | (IRP_MJ_QUERY_VOLUME_INFORMATION | IRP_MJ_SET_VOLUME_INFORMATION, _)
        | (
            IRP_MJ_DIRECTORY_CONTROL,
            IRP_MN_NOTIFY_CHANGE_DIRECTORY | IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX,
        ) => [low(second), low(first)],
        (IRP_MJ_FILE_SYSTEM_CONTROL, IRP_MN_MOUNT_VOLUME | IRP_MN_LOAD_FILE_SYSTEM) => [0, 0],
        (IRP_MJ_DIRECTORY_CONTROL | IRP_MJ_FILE_SYSTEM_CONTROL | IRP_MJ_DEVICE_CONTROL, _) => {
            [low(third), low(first)]
        }
        (IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK | IRP_MN_UNLOCK_SINGLE) => [third, first],
        _ => [0, 0],
    }
}

impl At {
    fn arrival((place, arrival): (usize, &Arrival)) -> Self {
        let Some(back) = arrival.back else {
            panic!("nothing is outstanding any more, but {arrival:?}")
        };
        let (operation, minor, irp_flags, parameters) = match arrival.asked {
            Asked::Request {
                major,
                minor,
                flags,
            } => {
                let Some(operation) = Operation::of_request(major, flags & PAGING != 0) else {
                    panic!("there is no major function {major}")
                };
                let parameters = parameters(major.into(), minor.into(), arrival.parameters);
                (operation, minor, flags, parameters)
            }
            Asked::FastIo(_) | Asked::FsFilter(_) => {
                let operation = match arrival.asked {
                    Asked::FastIo(name) => entry(name),
                    Asked::FsFilter(code) => filter_operation(code),
                    Asked::Request { .. } => panic!("a request"),
                };
                let [first, second, ..] = arrival.parameters;
                (operation, 0, 0, [first, second])
            }
        };
        // The driver waits for these, and goes on where it waited.
        let waits = operation == Operation::FILE_SYSTEM_CONTROL
            && [IRP_MN_MOUNT_VOLUME, IRP_MN_LOAD_FILE_SYSTEM].contains(&minor.into())
            || names::is_waited_for(arrival);
        Self {
            place,
            told: Told {
                operation: operation.number(),
                volume: arrival.device.to_string(),
                minor,
                irp_flags,
                file: arrival.file,
                process: arrival.process,
                parameters,
                status: back.status.cast_unsigned(),
                information: back.information,
                pended: back.pended,
                declined: back.declined,
                irql: if waits { PASSIVE_LEVEL } else { back.irql },
            },
            began: arrival.at.cast_unsigned(),
            ended: back.at.cast_unsigned(),
        }
    }

    fn record((place, record): (usize, &TraceRecord), volumes: &BTreeMap<u32, String>) -> Self {
        let flags = record.flags.get();
        let volume = volumes.get(&record.volume.get());
        Self {
            place,
            told: Told {
                operation: record.operation,
                volume: volume
                    .map_or("a volume that was not told", |name| name)
                    .into(),
                minor: record.minor,
                irp_flags: record.irp_flags.get(),
                file: record.file.get(),
                process: record.process.get(),
                parameters: record.parameters.map(|word| word.get()),
                status: record.status.get(),
                information: record.information.get(),
                pended: flags & flags::PENDED != 0,
                declined: flags & flags::DECLINED != 0,
                irql: record.irql,
            },
            began: record.started.get(),
            ended: record.started.get() + record.duration.get(),
        }
    }
}

/// How a trace of everything differs from what arrived.
#[must_use]
pub fn compare_trace(arrivals: &[Arrival], traced: &Traced) -> Vec<String> {
    pair_trace(arrivals, traced).0
}

/// As [`compare_trace`], and the place of the record of each arrival.
#[must_use]
pub fn pair_trace(arrivals: &[Arrival], traced: &Traced) -> (Vec<String>, BTreeMap<usize, usize>) {
    let mut threads: BTreeMap<u32, (Vec<At>, Vec<At>)> = BTreeMap::new();
    for (place, arrival) in arrivals.iter().enumerate() {
        let thread = threads.entry(arrival.thread).or_default();
        thread.0.push(At::arrival((place, arrival)));
    }
    for (place, (record, _)) in traced.requests.iter().enumerate() {
        let thread = threads.entry(record.thread.get()).or_default();
        thread.1.push(At::record((place, record), &traced.volumes));
    }
    let (mut differences, mut pairs) = (Vec::new(), BTreeMap::new());
    for (thread, (arrived, mut recorded)) in threads {
        recorded.sort_by_key(|at| at.began);
        compare_thread(thread, arrived, recorded, &mut differences, &mut pairs);
    }
    differences.truncate(MOST);
    (differences, pairs)
}

fn compare_thread(
    thread: u32,
    mut arrived: Vec<At>,
    mut recorded: Vec<At>,
    differences: &mut Vec<String>,
    pairs: &mut BTreeMap<usize, usize>,
) {
    if arrived.len() != recorded.len() {
        let (arrived, recorded) = (arrived.len(), recorded.len());
        differences.push(format!(
            "thread {thread}: {arrived} requests arrived, {recorded} are recorded"
        ));
    }
    // What began in the same tick has no order: it is put into the same one on both sides.
    let mut from = 0;
    while let Some(first) = recorded.get(from) {
        let began = first.began;
        let same = recorded[from..].iter().take_while(|at| at.began == began);
        let to = from + same.count();
        for side in [&mut arrived, &mut recorded] {
            let end = to.min(side.len());
            if let Some(same) = side.get_mut(from..end) {
                same.sort_by(|one, other| one.told.cmp(&other.told));
            }
        }
        from = to;
    }
    let mut before = 0;
    for (number, (arrived, recorded)) in arrived.iter().zip(&recorded).enumerate() {
        let in_time = (before..=arrived.began).contains(&recorded.began)
            && recorded.ended >= arrived.ended
            || before > arrived.began;
        if arrived.told != recorded.told || !in_time {
            differences.push(format!(
                "thread {thread}, request {number}, ticks {}..{}: arrived\n  {:?}\nticks {}..{}: recorded\n  {:?}",
                arrived.began, arrived.ended, arrived.told, recorded.began, recorded.ended, recorded.told
            ));
            // What follows is one further.
            return;
        }
        pairs.insert(arrived.place, recorded.place);
        before = before.max(arrived.began);
    }
}

/// What is counted per volume and operation: the number of the operation, and its counts.
pub type Counts = BTreeMap<(String, u8), OperationRecord>;

/// Buckets of durations that are not empty.
pub type Buckets = BTreeMap<(String, u8), BTreeMap<u16, u64>>;

/// What ought to be counted of what arrived; the longest is not known.
#[must_use]
pub fn counts_of(arrivals: &[Arrival]) -> Counts {
    let mut counts = Counts::new();
    for arrival in arrivals {
        let told = At::arrival((0, arrival)).told;
        let Some(operation) = Operation::from_number(told.operation) else {
            continue;
        };
        let record = counts.entry((told.volume, told.operation)).or_default();
        let severity = told.status >> 30;
        let add = |field: &mut zerocopy::little_endian::U64, amount: u64| {
            *field += amount;
        };
        add(&mut record.started, 1);
        add(&mut record.completed, 1);
        if operation.transfers() && severity != 3 {
            add(&mut record.bytes, told.information);
        }
        add(&mut record.informational, (severity == 1).into());
        add(&mut record.warnings, (severity == 2).into());
        add(&mut record.errors, (severity == 3).into());
        add(&mut record.pended, told.pended.into());
        add(&mut record.at_dispatch, (told.irql >= 2).into());
        add(&mut record.declined, told.declined.into());
    }
    counts
}

/// What the driver has counted, in the same form, and the durations.
#[must_use]
pub fn counts_in(statistics: &[Counted]) -> (Counts, Buckets) {
    let (mut counts, mut buckets) = (Counts::new(), Buckets::new());
    for volume in statistics {
        for (operation, (record, of_operation)) in &volume.operations {
            let key = (volume.name.clone(), operation.number());
            let of_operation = of_operation
                .iter()
                .map(|bucket| (bucket.bucket.get(), bucket.count.get()));
            buckets.insert(key.clone(), of_operation.collect());
            let record = OperationRecord {
                operation: 0,
                buckets: 0.into(),
                longest: 0.into(),
                ..*record
            };
            counts.insert(key, record);
        }
    }
    (counts, buckets)
}

/// The durations that a trace of everything tells, as the histograms have them.
#[must_use]
pub fn buckets_of(traced: &Traced) -> Buckets {
    let mut buckets = Buckets::new();
    for (record, _) in &traced.requests {
        let volume = traced.volumes.get(&record.volume.get());
        let key = (volume.cloned().unwrap_or_default(), record.operation);
        let bucket = histogram::bucket(record.duration.get()) as u16;
        *buckets.entry(key).or_default().entry(bucket).or_default() += 1;
    }
    buckets
}

/// How two tables differ.
#[must_use]
pub fn compare<V: PartialEq + std::fmt::Debug>(
    what: &str,
    truth: &BTreeMap<(String, u8), V>,
    told: &BTreeMap<(String, u8), V>,
) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = truth.keys().chain(told.keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        let (truth, told) = (truth.get(key), told.get(key));
        if truth != told && differences.len() < MOST {
            let (volume, operation) = key;
            let operation = Operation::from_number(*operation).map_or("?", Operation::name);
            differences.push(format!(
                "{what} of {operation} on {volume}: truth {truth:?}, told {told:?}"
            ));
        }
    }
    differences
}
