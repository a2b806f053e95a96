//! Readers of traces, and what each of them ought to have read, given a trace of everything that is known to be
//! the truth.

use super::super::client::{Client, Traced, everything};
use fsglass_protocol::trace::{flags, ring, wanted};
use fsglass_protocol::{TraceRecord, TraceStart};
use ntbox::nt::STATUS_SUCCESS;
use ntbox::processor::counter;
use std::collections::BTreeMap;
use zerocopy::IntoBytes;

/// Bytes of a reading.
const BUFFER: u32 = 1 << 18;

/// How long a reader waits before it looks whether it is to end, in units of 100 ns.
const LOOK: i64 = 200_000;

/// What a trace is about, in the driver's terms and in the test's.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The fixed part.
    pub fixed: TraceStart,
    /// The pattern of volumes; `*` in front at most.
    pub volume: &'static str,
}

impl Wish {
    fn is_granted(&self, record: &TraceRecord, volumes: &BTreeMap<u32, String>) -> bool {
        let failed = record.status.get() & 0x8000_0000 != 0;
        let volume = &volumes[&record.volume.get()];
        self.fixed.operations.get() >> record.operation & 1 != 0
            && (failed || self.fixed.wanted.get() & wanted::FAILURES_ONLY == 0)
            // Both in units of 100 ns: the performance counter has 10 MHz.
            && record.duration.get() >= self.fixed.slower_than.get()
            && [0, record.process.get()].contains(&self.fixed.process.get())
            && (self.volume.is_empty() || volume.ends_with(self.volume.trim_start_matches('*')))
    }
}

/// Reads until there is nothing, waits for more, and ends when it is to.
///
/// # Panics
/// If an answer is malformed.
pub fn read_on(client: &Client, traced: &mut Traced, is_over: impl Fn() -> bool) {
    loop {
        let mut reading = client.read_trace(BUFFER);
        while reading.is_outstanding() && !reading.finishes_within(LOOK) {
            if is_over() {
                // It may have been answered meanwhile, with no bytes: the next one looks.
                reading.cancel();
            }
        }
        let outcome = reading.wait();
        if outcome.status == STATUS_SUCCESS {
            traced.add(&outcome);
        } else if is_over() {
            return;
        }
    }
}

/// A trace that did not last.
#[derive(Debug)]
pub struct Session {
    wish: Wish,
    traced: Traced,
    /// Ticks before it was started, when it had been, before it was read for the last time, and when it
    /// had been stopped.
    times: [u64; 4],
}

fn now() -> u64 {
    counter::performance_counter().cast_unsigned()
}

/// Starts traces, reads a while, and stops them, until it is to end.
///
/// # Panics
/// If a trace cannot be started.
pub fn come_and_go(seed: u64, is_over: impl Fn() -> bool) -> Vec<Session> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sessions = Vec::new();
    while !is_over() {
        let some = random.u64(..);
        let wish = Wish {
            fixed: TraceStart {
                operations: [u64::MAX, some, some | 0b11000][random.usize(..3)].into(),
                ring_bytes: [0, ring::LEAST, 1 << 16][random.usize(..3)].into(),
                ..everything()
            },
            volume: "",
        };
        let client = Client::open();
        let before = now();
        assert_eq!(
            client.start_trace(wish.fixed, wish.volume, ""),
            STATUS_SUCCESS
        );
        let started = now();
        let mut traced = Traced::default();
        for _ in 0..random.u32(..20) {
            let mut reading = client.read_trace([1 << 12, BUFFER][random.usize(..2)]);
            if reading.is_outstanding() && (random.bool() || !reading.finishes_within(LOOK)) {
                reading.cancel();
            }
            let outcome = reading.wait();
            if outcome.status == STATUS_SUCCESS {
                traced.add(&outcome);
            }
        }
        let last = now();
        read_on(&client, &mut traced, || true);
        if random.bool() {
            assert_eq!(client.stop_trace(), STATUS_SUCCESS);
        }
        drop(client);
        let times = [before, started, last, now()];
        sessions.push(Session {
            wish,
            traced,
            times,
        });
    }
    sessions
}

/// The trace as one that does not want names has it.
#[must_use]
pub fn without_names(traced: &Traced) -> Traced {
    let mut traced = traced.clone();
    for (record, name) in &mut traced.requests {
        record.size = (size_of::<TraceRecord>() as u16).into();
        record.name_units = 0.into();
        record.flags &= !flags::OF_NAMES;
        name.clear();
    }
    traced
}

/// Records of the same request are the same in every trace.
fn sorted<'r>(records: impl Iterator<Item = &'r TraceRecord>) -> Vec<&'r [u8]> {
    let mut bytes: Vec<_> = records.map(IntoBytes::as_bytes).collect();
    bytes.sort_unstable();
    bytes
}

/// The records without names.
pub fn records(traced: &Traced) -> impl Iterator<Item = &TraceRecord> {
    traced.requests.iter().map(|(record, _)| record)
}

/// Whether all of `few` is in `many`; both are sorted.
fn is_part(few: &[&[u8]], many: &[&[u8]]) -> bool {
    let mut many = many.iter();
    few.iter().all(|one| many.any(|other| one == other))
}

/// A trace with a filter that lasted as long as that of everything: what it has, and what it has lost, is what
/// it is about.
///
/// # Panics
/// If that is not so.
pub fn check_lasting(name: &str, wish: &Wish, traced: &Traced, all: &Traced) {
    let expected = sorted(records(all).filter(|record| wish.is_granted(record, &all.volumes)));
    let found = sorted(records(traced));
    assert!(is_part(&found, &expected), "{name}: others are recorded");
    assert_eq!(
        found.len() as u64 + traced.lost,
        expected.len() as u64,
        "{name}: {} lost",
        traced.lost
    );
}

/// A trace that came while requests were under way, and went: it has what passed while it lasted, and nothing else.
///
/// # Panics
/// If that is not so.
pub fn check_session(session: &Session, all: &Traced, next: &BTreeMap<&[u8], u64>) {
    let [before, started, last, stopped] = session.times;
    let wanted = |record: &&TraceRecord| session.wish.is_granted(record, &all.volumes);
    let ended = |record: &TraceRecord| record.started.get() + record.duration.get();
    // It was recorded before its thread began with another one. What pended may have come back in another
    // thread, which may have been interrupted on its way to the ring.
    let recorded_before = |record: &TraceRecord, time| {
        record.flags.get() & flags::PENDED == 0
            && next.get(record.as_bytes()).is_some_and(|next| *next < time)
    };
    let possible = sorted(
        records(all)
            .filter(wanted)
            .filter(|record| record.started.get() <= stopped && !recorded_before(record, before)),
    );
    let is_sure = |record: &&TraceRecord| ended(record) >= started && recorded_before(record, last);
    let sure = sorted(records(all).filter(wanted).filter(is_sure));
    let found = sorted(records(&session.traced));
    let lost = session.traced.lost;
    assert!(is_part(&found, &possible), "others are recorded");
    let told = found.len() as u64 + lost;
    assert!(
        (sure.len() as u64..=possible.len() as u64).contains(&told),
        "{told} told of {} to {}",
        sure.len(),
        possible.len()
    );
    assert!(lost > 0 || is_part(&sure, &found), "some are not recorded");
}

/// When the thread of a record began with its next one, after it: what began meanwhile was within it, as pages are read
/// for a read that misses them.
#[must_use]
pub fn next_of(all: &Traced) -> BTreeMap<&[u8], u64> {
    let mut threads: BTreeMap<u32, Vec<&TraceRecord>> = BTreeMap::new();
    for record in records(all) {
        threads.entry(record.thread.get()).or_default().push(record);
    }
    let mut next = BTreeMap::new();
    for records in threads.values_mut() {
        records.sort_by_key(|record| record.started.get());
        for (place, record) in records.iter().enumerate() {
            let ended = record.started.get() + record.duration.get();
            let later = records[place + 1..].iter().map(|later| later.started.get());
            if let Some(began) = later.into_iter().find(|began| *began >= ended) {
                next.insert(record.as_bytes(), began);
            }
        }
    }
    next
}
