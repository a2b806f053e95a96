//! `ntbox bench --observe`: what it costs to observe, in each way that fsglass can, side by side with what a
//! request costs when nothing is observed.

use super::Failure;
use super::arguments::BenchOptions;
use super::report::duration;
use fsglass_protocol::trace::{MAXIMUM_START, encode_start, wanted};
use fsglass_protocol::{Header, Observe, TraceStart, code};
use ntbox::nt::STATUS_SUCCESS;
use ntbox::user::{CreateParameters, File, access, create_file};
use ntbox::workload::bench::{Extent, Measured, by_hand};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use zerocopy::IntoBytes;

/// The control device.
const DEVICE: &str = r"\??\fsglass";

/// Bytes of a reading of a trace.
const BUFFER: u32 = 1 << 18;

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

/// What observes at the moment; with it goes what it wanted.
struct Observing {
    _client: Arc<File>,
    reader: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
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
            let fixed = TraceStart {
                ring_bytes: 0.into(),
                wanted: names.into(),
                process: 0.into(),
                reserved: 0.into(),
                slower_than: 0.into(),
                operations: u64::MAX.into(),
                volume_units: 0.into(),
                pattern_units: 0.into(),
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
            _client: client,
            reader,
        })
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        if let Some((over, reader)) = self.reader.take() {
            over.store(true, Ordering::Release);
            // One that has panicked has said so.
            let _ = reader.join();
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

/// Reads what there is, and waits for more.
fn read(client: &File, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        let input = Header::new();
        let mut reading = client.start_device_control(code::TRACE_READ, input.as_bytes(), BUFFER);
        while !reading.finishes_within(LOOK) {
            if over.load(Ordering::Acquire) {
                reading.cancel();
            }
        }
        drop(reading.wait());
    }
}

/// Measures requests through the drivers to `path`; always true.
pub fn run(options: &BenchOptions, path: &str) -> Result<bool, Failure> {
    let observing: Mutex<Option<Observing>> = Mutex::new(None);
    let failed = Mutex::new(None);
    let mut measured: Vec<Measured> = Vec::new();
    for threads in &options.threads {
        let extent = Extent {
            rounds: options.rounds as usize,
            requests: options.requests,
            threads: usize::from(*threads),
        };
        let switch = |level: usize| {
            let mut observing = observing.lock().unwrap_or_else(PoisonError::into_inner);
            drop(observing.take());
            // The bare stack comes first.
            let mode = level.checked_sub(1).map(|mode| MODES[mode]);
            if let Some(mode) = mode.filter(|mode| mode.statistics || mode.trace) {
                match Observing::begin(mode) {
                    Ok(begun) => *observing = Some(begun),
                    Err(error) => {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            }
        };
        measured.push(by_hand::in_modes(path, extent, MODES.len(), switch)?);
        drop(
            observing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    if options.json {
        let modes = MODES.map(|mode| mode.title);
        let output = serde_json::json!({ "modes": modes, "measured": measured });
        let json = serde_json::to_string_pretty(&output).map_err(anyhow::Error::from)?;
        line!("{json}");
    } else {
        print(&measured);
    }
    Ok(true)
}

fn print(measured: &[Measured]) {
    let rounds = measured.first().map_or(0, |first| first.rounds);
    line!("Time of one request, median of {rounds} interleaved rounds over the same bottom device");
    line!(
        "What it costs to observe is what it adds to the column `off`, which adds to the bare stack\n"
    );
    let mut header = format!("{:<30} {:>7} {:>10}", "", "threads", "bare");
    for mode in MODES {
        header += &format!(" {:>12}", mode.title);
    }
    line!("{header}");
    for measured in measured {
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
    }
}
