//! Draws requests.

use crate::client::{everything, named, trace_start};
use fastrand::Rng;
use fsglass_protocol::trace::{ring, wanted};
use fsglass_protocol::{Header, Observe, TraceStart, code};
use zerocopy::IntoBytes;

/// A request.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The control code.
    pub code: u32,
    /// The input.
    pub input: Vec<u8>,
    /// Bytes of the output.
    pub output: u32,
}

/// Names that volumes and file systems have, or none has.
const NAMES: [&str; 6] = [
    r"\Device\HarddiskVolume1",
    r"\Device\HarddiskVolume2",
    r"\device\harddiskvolume1",
    r"\HostFs",
    r"\Device\Nothing",
    "x",
];

/// Patterns of volumes and of files.
const PATTERNS: [&str; 5] = ["", "*", r"\Device\*2", "*.txt", "?*?*?*?*?*?*?*?*a"];

/// Numbers at which something may change.
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    7,
    8,
    240,
    241,
    512,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    u32::MAX,
];

/// The codes, some of them more often than others: what needs a state must meet it.
const CODES: [u32; 18] = [
    code::VERSION,
    code::SETTINGS,
    code::VOLUMES,
    code::ATTACH,
    code::ATTACH,
    code::ATTACH,
    code::DETACH,
    code::OBSERVE,
    code::STATISTICS,
    code::TRACE_START,
    code::TRACE_START,
    code::TRACE_START,
    code::TRACE_READ,
    code::TRACE_READ,
    code::TRACE_READ,
    code::TRACE_READ,
    code::TRACE_READ,
    code::TRACE_STOP,
];

fn one<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}

impl Drawn {
    /// Draws one.
    pub fn draw(random: &mut Rng) -> Self {
        let known = one(random, &CODES);
        let code = match random.u8(..100) {
            0..85 => known,
            // Another method, access or function.
            85..93 => known ^ 1 << random.u32(..32),
            93..97 => code::DEVICE_TYPE << 16 | random.u32(..1 << 16),
            _ => random.u32(..),
        };
        let input = match random.u8(..100) {
            0..70 => right(random, known),
            70..95 => {
                let mut input = right(random, known);
                for _ in 0..random.u8(1..4) {
                    spoil(random, &mut input);
                }
                input
            }
            _ => {
                let length = random.usize(..300);
                std::iter::repeat_with(|| random.u8(..))
                    .take(length)
                    .collect()
            }
        };
        let output = match random.u8(..100) {
            0..30 => random.u32(..80),
            30..60 => random.u32(..5_000),
            60..98 => 1 << 16,
            _ => 1 << 20,
        };
        Self {
            code,
            input,
            output,
        }
    }
}

/// An input that the request of that code has.
fn right(random: &mut Rng, code: u32) -> Vec<u8> {
    let header = Header::new();
    match code {
        code::VERSION => Vec::new(),
        code::ATTACH | code::DETACH => match random.u8(..10) {
            0 => named(&"y".repeat(random.usize(1..=240))),
            _ => named(one(random, &NAMES)),
        },
        code::OBSERVE => {
            let statistics = random.u32(..2).into();
            [header.as_bytes(), Observe { statistics }.as_bytes()].concat()
        }
        code::TRACE_START => trace(random),
        _ => header.as_bytes().to_vec(),
    }
}

/// A request to start a trace, half of them of everything.
fn trace(random: &mut Rng) -> Vec<u8> {
    let names = random.bool();
    // Small rings: there is one for each of many processors.
    let everything = TraceStart {
        ring_bytes: one(random, &[ring::LEAST, 8 << 10, 16 << 10]).into(),
        wanted: (u32::from(names) * wanted::NAMES).into(),
        ..everything()
    };
    if random.bool() {
        return trace_start(everything, "", "");
    }
    let failures = random.u32(..2) * wanted::FAILURES_ONLY;
    let some = TraceStart {
        wanted: everything.wanted | failures,
        process: one(random, &[0, 0, 4, 0x1000]).into(),
        slower_than: one(random, &[0, 0, 1000, u64::MAX]).into(),
        operations: one(random, &[u64::MAX, u64::MAX, 1, 0]).into(),
        ..everything
    };
    let volume = one(random, &PATTERNS);
    let pattern = if names { one(random, &PATTERNS) } else { "" };
    trace_start(some, volume, pattern)
}

/// Makes it a little wrong, most of the time.
fn spoil(random: &mut Rng, input: &mut Vec<u8>) {
    let place = random.usize(..=input.len());
    match random.u8(..7) {
        0 => input.truncate(input.len().saturating_sub(1)),
        1 => input.push(random.u8(..)),
        2 => input.truncate(place),
        3 => {
            if let Some(byte) = input.get_mut(place) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        4 => input
            .splice(place..place, [random.u8(..); 4])
            .for_each(drop),
        width => {
            let edge = one(random, &EDGES).to_le_bytes();
            let width = if width == 5 { 2 } else { 4 };
            if let Some(bytes) = input.get_mut(place..place + width) {
                bytes.copy_from_slice(&edge[..width]);
            }
        }
    }
}
