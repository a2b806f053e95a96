//! `ntbox bench --observe`: what it costs to observe, in each way that fsglass can, side by side with what a
//! request costs when nothing is observed.

use super::arguments::BenchOptions;
use super::failure::Failure;
use super::report::duration;
use fsglass_protocol::trace::{MAXIMUM_START, Record, encode_start, wanted};
use fsglass_protocol::{Header, Observe, Trace, TraceRecord, TraceStart, code};
use ntbox::io_manager::driver::SettingValue;
use ntbox::nt::STATUS_SUCCESS;
use ntbox::processor::thread::PROCESSORS;
use ntbox::user::{CreateParameters, File, access, create_file};
use ntbox::workload::bench::{Extent, Measured, by_hand};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use zerocopy::{FromZeros, IntoBytes};

/// The control device.
const DEVICE: &str = r"\??\fsglass";

/// Bytes of a reading of a trace.
const BUFFER: u32 = 1 << 18;

/// Bytes of each processor's ring where nobody reads.
const RING: u32 = 1 << 20;

/// Bytes of each processor's ring where somebody reads.
const READ_RING: u32 = 1 << 18;

/// Bytes of a trace in which each processor's ring has so many, with what else it needs.
const fn of_all(ring: u32) -> u32 {
    2 * ring * PROCESSORS
}

/// The longest time without a switch, in requests of a thread: a ring has room for so many, and the eighth of
/// it that is not measured.
const SLICE: u64 = RING as u64 / size_of::<TraceRecord>() as u64 * 8 / 9;

/// How long the reader waits before it looks whether it is to end, in units of 100 ns.
const LOOK: i64 = 100_000;

/// What is observed.
#[derive(Clone, Copy)]
struct Mode {
    title: &'static str,
    statistics: bool,
    trace: bool,
    reader: bool,
    names: bool,
}

const OFF: Mode = Mode {
    title: "off",
    statistics: false,
    trace: false,
    reader: false,
    names: false,
};

const MODES: [Mode; 5] = [
    OFF,
    Mode {
        title: "statistics",
        statistics: true,
        ..OFF
    },
    Mode {
        title: "trace",
        trace: true,
        ..OFF
    },
    Mode {
        title: "trace, read",
        trace: true,
        reader: true,
        ..OFF
    },
    Mode {
        title: "names, read",
        trace: true,
        reader: true,
        names: true,
        ..OFF
    },
];

/// What a trace has told of requests.
#[derive(Clone, Copy, Default)]
struct Told {
    /// Records that were read.
    read: u64,
    /// Records that were lost since its start.
    lost: u64,
}

/// What observes at the moment; with it goes what it wanted.
struct Observing {
    client: Arc<File>,
    trace: bool,
    reader: Option<(Arc<AtomicBool>, JoinHandle<Told>)>,
}

impl Observing {
    fn begin(mode: Mode) -> anyhow::Result<Self> {
        let parameters = CreateParameters::new(DEVICE);
        let opened = create_file(&parameters.access(access::READ | access::WRITE).options(0));
        let client = opened.file.ok_or_else(|| {
            anyhow::anyhow!("{DEVICE} cannot be opened: {}", opened.outcome.status())
        })?;
        let client = Arc::new(client);
        let header = Header::new();
        if mode.statistics {
            let statistics = 1.into();
            let input = [header.as_bytes(), Observe { statistics }.as_bytes()].concat();
            send(&client, code::OBSERVE, &input)?;
        }
        if mode.trace {
            let names = if mode.names { wanted::NAMES } else { 0 };
            let ring_bytes = of_all(if mode.reader { READ_RING } else { RING });
            let fixed = TraceStart {
                ring_bytes: ring_bytes.into(),
                wanted: names.into(),
                operations: u64::MAX.into(),
                ..TraceStart::new_zeroed()
            };
            let mut input = [0; MAXIMUM_START];
            let length = encode_start(fixed, &[], &[], &mut input).unwrap_or_default();
            send(&client, code::TRACE_START, &input[..length])?;
        }
        let reader = mode.reader.then(|| {
            let over = Arc::new(AtomicBool::new(false));
            let (reads, is_over) = (Arc::clone(&client), Arc::clone(&over));
            (over, std::thread::spawn(move || read(&reads, &is_over)))
        });
        Ok(Self {
            client,
            trace: mode.trace,
            reader,
        })
    }

    /// What the trace has told, to the last record.
    fn end(self) -> anyhow::Result<Told> {
        match self.reader {
            Some((over, reader)) => {
                over.store(true, Ordering::Release);
                let told = reader.join();
                told.map_err(|_| anyhow::anyhow!("the reader of the trace failed"))
            }
            None if self.trace => Ok(read(&self.client, &AtomicBool::new(true))),
            None => Ok(Told::default()),
        }
    }
}

fn send(client: &File, code: u32, input: &[u8]) -> anyhow::Result<()> {
    let outcome = client.device_control(code, input, 0);
    anyhow::ensure!(
        outcome.status == STATUS_SUCCESS,
        "{DEVICE} answers {code:#X} with {}",
        outcome.status()
    );
    Ok(())
}

/// Reads what there is, and waits for more until it is over.
fn read(client: &File, over: &AtomicBool) -> Told {
    let mut told = Told::default();
    loop {
        let input = Header::new();
        let mut reading = client.start_device_control(code::TRACE_READ, input.as_bytes(), BUFFER);
        while reading.is_outstanding() && !reading.finishes_within(LOOK) {
            if over.load(Ordering::Acquire) {
                reading.cancel();
            }
        }
        let outcome = reading.wait();
        if outcome.status != STATUS_SUCCESS {
            // Cancelled: there was nothing any more.
            return told;
        }
        // One that had waited has no bytes.
        if let Ok(trace) = Trace::parse(&outcome.data) {
            let records = trace.iter();
            let requests = records.filter(|record| matches!(record, Ok(Record::Completed(..))));
            told.read += requests.count() as u64;
            told.lost = trace.header.lost.get();
        }
    }
}

/// The observation that is under way while modes take turns, and what the traces of each mode have told.
#[derive(Default)]
struct Turns {
    now: Option<(usize, Observing)>,
    told: [Told; MODES.len()],
}

impl Turns {
    fn end(&mut self) -> anyhow::Result<()> {
        if let Some((mode, observing)) = self.now.take() {
            let more = observing.end()?;
            let told = &mut self.told[mode];
            told.read += more.read;
            told.lost += more.lost;
        }
        Ok(())
    }

    fn begin(&mut self, mode: usize) -> anyhow::Result<()> {
        self.end()?;
        if MODES[mode].statistics || MODES[mode].trace {
            self.now = Some((mode, Observing::begin(MODES[mode])?));
        }
        Ok(())
    }

    /// The share of the records of each mode that was lost.
    ///
    /// # Errors
    /// A mode has not told of each of `passed` requests.
    fn lost(&mut self, passed: u64) -> anyhow::Result<[f64; MODES.len()]> {
        self.end()?;
        let mut shares = [0.0; MODES.len()];
        for ((mode, told), share) in MODES.iter().zip(&self.told).zip(&mut shares) {
            let all = told.read + told.lost;
            let expected = if mode.trace { passed } else { 0 };
            anyhow::ensure!(
                all == expected,
                "{}: {all} requests are told of, {expected} have passed",
                mode.title
            );
            *share = told.lost as f64 / all.max(1) as f64;
        }
        Ok(shares)
    }
}

/// What the driver needs to be told for it: that rings may be so large.
pub fn setting() -> (String, SettingValue) {
    ("ObservationMemory".to_owned(), SettingValue::Dword(1024))
}

/// Measures requests through the drivers to `path`; always true.
pub fn run(options: &BenchOptions, path: &str) -> Result<bool, Failure> {
    let mut measured: Vec<(Measured, [f64; MODES.len()])> = Vec::new();
    for threads in &options.threads {
        let extent = Extent {
            rounds: options.rounds as usize,
            requests: options.requests,
            threads: usize::from(*threads),
        };
        let turns: Mutex<(Turns, anyhow::Result<()>)> = Mutex::new((Turns::default(), Ok(())));
        let switch = |level: usize| {
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            let (turns, failed) = &mut *turns;
            // The bare stack comes first.
            let switched = match level.checked_sub(1) {
                Some(mode) => turns.begin(mode),
                None => turns.end(),
            };
            if failed.is_ok() {
                *failed = switched;
            }
        };
        let (row, passed) = by_hand::in_modes(path, extent, SLICE, MODES.len(), switch)?;
        let (mut turns, failed) = turns.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed?;
        measured.push((row, turns.lost(passed)?));
    }
    if options.json {
        let (measured, lost): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
        let modes = MODES.map(|mode| mode.title);
        let output = serde_json::json!({ "modes": modes, "measured": measured, "lost": lost });
        let json = serde_json::to_string_pretty(&output).map_err(anyhow::Error::from)?;
        line!("{json}");
    } else {
        print(&measured);
    }
    Ok(true)
}

fn print(measured: &[(Measured, [f64; MODES.len()])]) {
    let rounds = measured.first().map_or(0, |(first, _)| first.rounds);
    line!("Time of one request, median of {rounds} interleaved rounds over the same bottom device");
    line!("`off` is what it adds to the bare stack; what is observed is what it adds to `off`.");
    line!(
        "Where nobody reads the trace, its rings have room for all. A reader is a thread more; what it is"
    );
    line!("too slow for is lost.\n");
    let mut header = format!("{:<30} {:>7} {:>10}", "", "threads", "bare");
    for mode in MODES {
        header += &format!(" {:>12}", mode.title);
    }
    line!("{header}");
    for (measured, lost) in measured {
        let mut row = format!(
            "{:<30} {:>7} {:>10}",
            measured.what,
            measured.threads,
            duration(measured.bare())
        );
        let off = measured.levels.get(1).copied().unwrap_or_default();
        for (place, level) in measured.levels.iter().enumerate().skip(1) {
            let below = if place == 1 { measured.bare() } else { off };
            row += &format!(" {:>12}", format!("+{}", duration(level - below)));
        }
        line!("{row}");
        let mut row = format!("{:<30} {:>7} {:>10}", "  records lost", "", "");
        for (mode, lost) in MODES.iter().zip(lost) {
            let share = format!("{:.1} %", lost * 100.0);
            row += &format!(" {:>12}", if mode.trace { &share } else { "" });
        }
        line!("{row}");
    }
}
