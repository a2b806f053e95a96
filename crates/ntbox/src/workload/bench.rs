//! What a request costs, with the drivers above and without, in one process over
//! one bottom device: rounds alternate between both and the median counts.

#![expect(unsafe_code, reason = "a request is driven through the stack by hand")]

use crate::io_manager::{call, file, irp, object};
use crate::nt::stack_location::ReadWrite;
use crate::nt::{
    DEVICE_OBJECT, FILE_NO_INTERMEDIATE_BUFFERING, FILE_NON_DIRECTORY_FILE, FILE_OBJECT,
    FILE_OPEN_IF, FileAllInformation, FileStandardInformation, IRP, IRP_MJ_READ, IrpExt, NTSTATUS,
    STATUS_MORE_PROCESSING_REQUIRED,
};
use crate::user::access::{READ, WRITE};
use crate::user::{CreateParameters, File, create_file};
use crate::workload::worker::synchronous;
use anyhow::{Context, anyhow};
use serde::Serialize;
use std::ffi::c_void;
use std::time::{Duration, Instant};

/// One thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What.
    pub what: String,
    /// Median nanoseconds on the bare stack.
    pub bare_ns: f64,
    /// Median nanoseconds through the drivers.
    pub filtered_ns: f64,
    /// `filtered / bare`.
    pub ratio: f64,
    /// Rounds of each.
    pub rounds: usize,
    /// Requests in a round.
    pub requests: u64,
}

/// Slices of a round: both sides take turns within it, so that a machine that is busy for a
/// while is busy for both.
const SLICES: u64 = 20;

/// Alternates between both sides; `side` makes that many requests and says how long it took.
fn interleaved(
    what: &str,
    rounds: usize,
    requests: u64,
    mut side: impl FnMut(bool, u64) -> Duration,
) -> Measured {
    let (mut bare, mut filtered) = (Vec::new(), Vec::new());
    let slice = requests.div_ceil(SLICES);
    for _ in 0..rounds {
        let mut times = [Duration::ZERO; 2];
        for turn in 0..SLICES {
            // The first of a pair is not always the same, so that neither profits from warm caches.
            for place in 0..2 {
                let through = (turn + place) % 2 == 1;
                times[usize::from(through)] += side(through, slice);
            }
        }
        let [bare_time, filtered_time] =
            times.map(|time| time.as_nanos() as f64 / (slice * SLICES) as f64);
        bare.push(bare_time);
        filtered.push(filtered_time);
    }
    let (bare_ns, filtered_ns) = (median(&mut bare), median(&mut filtered));
    let ratio = if bare_ns > 0.0 {
        filtered_ns / bare_ns
    } else {
        0.0
    };
    Measured {
        what: what.to_owned(),
        bare_ns,
        filtered_ns,
        ratio,
        rounds,
        requests,
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The cost of one synchronous request that passes through: one preallocated IRP is driven
/// `requests` times per round to the volume device itself and to the top of its stack.
/// `path` is opened on a volume whose file system completes at once.
///
/// # Errors
/// The file cannot be opened.
pub fn pass_through(path: &str, rounds: usize, requests: u64) -> anyhow::Result<Measured> {
    let opened = create_file(
        &CreateParameters::new(path)
            .access(READ)
            .options(synchronous(0)),
    );
    let file = opened
        .file
        .ok_or_else(|| anyhow!("{path}: {}", opened.outcome.status()))?;
    let body = object::object_of_handle(file.handle())
        .map_err(|_| anyhow!("a file without its object"))?;
    let file_object: *mut FILE_OBJECT = body.cast();
    // SAFETY: the open handle keeps the file.
    let base = unsafe { file::base_file_system_device(file_object) };
    // SAFETY: as above.
    let top = unsafe { file::related_device(file_object) };
    // SAFETY: a device of the file's stack.
    let stack_size = unsafe { (*top).StackSize };
    // One location more than the stack needs is the originator's, as a driver allocates it.
    let request = irp::allocate(stack_size + 1);
    let measured = interleaved(
        "synchronous request, pass-through (IRP driven by hand)",
        rounds,
        requests,
        |through, count| {
            let device = if through { top } else { base };
            let begun = Instant::now();
            for _ in 0..count {
                // SAFETY: the request is this function's, and finished after each turn.
                unsafe { drive(request, device, file_object) };
            }
            begun.elapsed()
        },
    );
    // SAFETY: not in flight: its completion was stopped each time.
    unsafe { irp::free(request, 0) };
    Ok(measured)
}

unsafe fn drive(request: *mut IRP, device: *mut DEVICE_OBJECT, file: *mut FILE_OBJECT) {
    // SAFETY: contract of the caller.
    unsafe { irp::reuse(request, 0) };
    // SAFETY: as above.
    unsafe { irp::advance(request) };
    // SAFETY: there is a location below the originator's own.
    let next = unsafe { request.next_location() };
    // SAFETY: as above; nobody else has the request.
    let location = unsafe { &mut *next };
    location.MajorFunction = IRP_MJ_READ as u8;
    location.FileObject = file;
    location.Parameters.Read = ReadWrite {
        Length: 0,
        Key: 0,
        ByteOffset: 0,
        ..Default::default()
    };
    // SAFETY: as above; the routine needs no context.
    unsafe { irp::set_completion_routine(request, Some(stop), std::ptr::null_mut(), ALWAYS) };
    // SAFETY: a complete request for a device whose stack fits.
    unsafe { call::call_driver(device, request, 0) };
}

/// All three invoke flags.
const ALWAYS: u8 = {
    use crate::nt::irp::control;
    control::INVOKE_ON_SUCCESS | control::INVOKE_ON_ERROR | control::INVOKE_ON_CANCEL
};

/// The originator takes its request back.
unsafe extern "win64" fn stop(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: *mut c_void,
) -> NTSTATUS {
    STATUS_MORE_PROCESSING_REQUIRED
}

/// What a program's calls cost: a cached read (fast I/O), a noncached one (IRP), a query
/// answered by fast I/O and one that takes an IRP. `path` is created on a volume of hostfs.
///
/// # Errors
/// The file cannot be opened.
pub fn calls(path: &str, rounds: usize, requests: u64) -> anyhow::Result<Vec<Measured>> {
    let parameters = |options: u32| {
        CreateParameters::new(path)
            .access(READ | WRITE)
            .disposition(FILE_OPEN_IF)
            .options(synchronous(options | FILE_NON_DIRECTORY_FILE))
    };
    let open = |parameters: CreateParameters<'_>| -> anyhow::Result<File> {
        let opened = create_file(&parameters);
        opened
            .file
            .with_context(|| format!("{path}: {}", opened.outcome.status()))
    };
    let top = open(parameters(0))?;
    let body =
        object::object_of_handle(top.handle()).map_err(|_| anyhow!("a file without its object"))?;
    // SAFETY: the open handle keeps the file.
    let base = unsafe { file::base_file_system_device(body.cast()) };
    let written = top.write(Some(0), &[0x5A; 4096]);
    if !written.is_success() {
        return Err(anyhow!("{path}: {}", written.status()));
    }
    let direct = FILE_NO_INTERMEDIATE_BUFFERING;
    let (bare, bare_direct) = (
        open(parameters(0).device_hint(base))?,
        open(parameters(direct).device_hint(base))?,
    );
    let top_direct = open(parameters(direct))?;
    // The first read of a handle sets its cache up: no later one does.
    top.read(Some(0), 16);
    bare.read(Some(0), 16);
    let read: fn(&File) = |file| drop(file.read(Some(0), 4096));
    let query: fn(&File) = |file| drop(file.query_information(FileStandardInformation, 24));
    let query_all: fn(&File) = |file| drop(file.query_information(FileAllInformation, 512));
    let both = [&bare, &top];
    Ok(vec![
        interleaved(
            "NtReadFile 4096 bytes, cached (fast I/O)",
            rounds,
            requests,
            timed(both, read),
        ),
        interleaved(
            "NtReadFile 4096 bytes, noncached (IRP)",
            rounds,
            requests,
            timed([&bare_direct, &top_direct], read),
        ),
        interleaved(
            "NtQueryInformationFile standard (fast I/O)",
            rounds,
            requests,
            timed(both, query),
        ),
        interleaved(
            "NtQueryInformationFile all (IRP)",
            rounds,
            requests,
            timed(both, query_all),
        ),
    ])
}

/// A side of [`interleaved`] that makes `call` on the bare file or on the one under the drivers.
fn timed(files: [&File; 2], call: fn(&File)) -> impl FnMut(bool, u64) -> Duration {
    let [bare, top] = files;
    move |through, count| {
        let file = if through { top } else { bare };
        let begun = Instant::now();
        for _ in 0..count {
            call(file);
        }
        begun.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }

    #[test]
    fn both_sides_get_all_rounds_and_take_turns() {
        let mut order = Vec::new();
        let measured = interleaved("x", 3, 40, |through, count| {
            order.push(through);
            Duration::from_nanos(count * if through { 4 } else { 2 })
        });
        assert_eq!(order[..6], [false, true, true, false, false, true]);
        assert_eq!(order.len() as u64, 3 * 2 * SLICES);
        assert_eq!(
            (measured.bare_ns, measured.filtered_ns, measured.ratio),
            (2.0, 4.0, 2.0)
        );
    }
}
