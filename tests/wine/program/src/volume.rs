//! What a program does with a volume, each thing with each way in which it can be answered.

use crate::device::{Device, Pending, Size};
use crate::kit::Kit;
use crate::pattern::{self, compare};
use crate::{Outcome, bounded};
use fskit_protocol::{Answer, ECHO, Report, SECTOR_SIZE, VOLUME_PATH, VOLUME_SIZE};
use std::io;
use std::os::windows::fs::FileExt;
use std::thread;
use windows_sys::Win32::Foundation::{ERROR_DISK_FULL, ERROR_OPERATION_ABORTED};

/// Requests that are under way at once.
const AT_ONCE: usize = 16;

/// Bytes of one of them.
const PIECE: usize = 4096;

/// What a program calls a volume.
pub fn path(volume: u32) -> String {
    format!("{VOLUME_PATH}{volume}")
}

/// Exercises a volume and has the file system confirm that everything arrived: through a filter,
/// or through none.
pub fn exercise(volume: u32, filtered: bool) -> Outcome {
    let kit = Kit::open()?;
    let before = kit.report()?;
    let mut sent = 0;
    for answer in [Answer::AtOnce, Answer::Later, Answer::BeforeReturn] {
        kit.answer(answer)?;
        let run = |what: &str, work: fn(&str, Answer) -> Outcome<u32>| {
            let path = path(volume);
            let what = format!("{what}, answered {answer:?}");
            bounded::run(&what, &kit, move || work(&path, answer))
        };
        sent += run("one request after the other", one_by_one)?;
        sent += run("overlapped requests", overlapped)?;
        sent += run("requests of many threads", many_threads)?;
    }
    kit.answer(Answer::Held)?;
    let path = path(volume);
    sent += bounded::run("cancelling", &kit, move || cancelling(&path))?;
    kit.answer(Answer::AtOnce)?;
    confirm(&kit, before, sent, filtered)
}

/// Opening, and closing.
const OPEN_AND_CLOSE: u32 = 2;

fn one_by_one(path: &str, answer: Answer) -> Outcome<u32> {
    let seed = answer as u64;
    let device = Device::open(path).map_err(failed("opening"))?;
    let file = device.file();
    let places = [
        (0, 512),
        (511, 1025),
        (PIECE, 16 * PIECE),
        (VOLUME_SIZE - 700, 700),
    ];
    for (offset, length) in places {
        let (offset, written) = (offset as u64, pattern::bytes(seed, offset as u64, length));
        let count = file
            .seek_write(&written, offset)
            .map_err(failed("writing"))?;
        let mut read = vec![0; count];
        let count = file
            .seek_read(&mut read, offset)
            .map_err(failed("reading"))?;
        compare("reading back", read.get(..count).unwrap_or(&[]), &written)?;
    }
    let mut sent = 2 * places.len() as u32;

    let mut rest = [0; 300];
    let size = VOLUME_SIZE as u64;
    let count = file
        .seek_read(&mut rest, size - 100)
        .map_err(failed("reading"))?;
    let expected = pattern::bytes(seed, size - 100, 100);
    compare("the end", rest.get(..count).unwrap_or(&[]), &expected)?;
    let count = file.seek_read(&mut rest, size).map_err(failed("reading"))?;
    expect("reading behind the end", count, 0)?;
    let error = file.seek_write(&rest, size).err();
    let code = error.and_then(|error| error.raw_os_error());
    expect("writing behind the end", code, Some(ERROR_DISK_FULL as i32))?;
    sent += 3;

    file.sync_all().map_err(failed("flushing"))?;
    let expected = Size {
        units: i64::from(VOLUME_SIZE as u32 / SECTOR_SIZE),
        free_units: 0,
        sectors: 1,
        bytes: SECTOR_SIZE,
    };
    let size = device.size().map_err(failed("asking for the size"))?;
    expect("the size of the volume", size, expected)?;
    let input = pattern::bytes(seed, 0, 100);
    let inverted: Vec<u8> = input.iter().map(|byte| !byte).collect();
    let output = device
        .control(ECHO, &input, 200)
        .map_err(failed("a control request"))?;
    compare("the output of a control request", &output, &inverted)?;
    sent += 3;
    Ok(sent + OPEN_AND_CLOSE)
}

/// A request that fails tells most: Wine's kernel signals its event only if it was pending, which
/// is what PendingReturned says, and every driver on the way has to hand that on.
fn overlapped(path: &str, answer: Answer) -> Outcome<u32> {
    let seed = answer as u64;
    let device = Device::open_overlapped(path).map_err(failed("opening"))?;
    let piece = |index| pattern::bytes(seed + 100, offset(index), PIECE);
    let writes = (0..AT_ONCE).map(|index| device.start_write(offset(index), piece(index)));
    for pending in start(writes)? {
        pending.wait().map_err(failed("writing"))?;
    }
    let reads = (0..AT_ONCE).map(|index| device.start_read(offset(index), PIECE));
    for (index, pending) in start(reads)?.into_iter().enumerate().rev() {
        let read = pending.wait().map_err(failed("reading"))?;
        compare("overlapped reading", &read, &piece(index))?;
    }
    // Without pending, it is the call that fails.
    let failing = device.start_write(VOLUME_SIZE as u64, vec![0]);
    let error = failing.and_then(Pending::wait).err();
    let code = error.and_then(|error| error.raw_os_error());
    expect("writing behind the end", code, Some(ERROR_DISK_FULL as i32))?;
    Ok(2 * AT_ONCE as u32 + 1 + OPEN_AND_CLOSE)
}

fn offset(index: usize) -> u64 {
    (index * PIECE) as u64
}

fn many_threads(path: &str, answer: Answer) -> Outcome<u32> {
    let seed = answer as u64;
    const THREADS: u64 = 4;
    const TIMES: u64 = 25;
    let part = VOLUME_SIZE as u64 / THREADS;
    let one = |thread: u64| {
        let device = Device::open(path).map_err(failed("opening"))?;
        for time in 0..TIMES {
            let length = 1 + (time * 997 % 5000) as usize;
            let offset = thread * part + time * 7919 % (part - 5001);
            let written = pattern::bytes(seed + time, offset, length);
            let file = device.file();
            let count = file
                .seek_write(&written, offset)
                .map_err(failed("writing"))?;
            expect("bytes written", count, length)?;
            let mut read = vec![0; length];
            let count = file
                .seek_read(&mut read, offset)
                .map_err(failed("reading"))?;
            compare("reading back", read.get(..count).unwrap_or(&[]), &written)?;
        }
        Ok(2 * TIMES as u32 + OPEN_AND_CLOSE)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || one(thread)))
            .collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err("a panic".to_owned()),
        });
        results.sum()
    })
}

/// All requests are held: one is cancelled by itself, the others are released; then all are
/// cancelled at once.
fn cancelling(path: &str) -> Outcome<u32> {
    let kit = Kit::open()?;
    let device = Device::open_overlapped(path).map_err(failed("opening"))?;
    let before = kit.report()?;
    let reads = || start((0..AT_ONCE).map(|index| device.start_read(offset(index), PIECE)));
    let held = |expected: usize| -> Outcome {
        expect(
            "requests that are held",
            kit.report()?.held as usize,
            expected,
        )
    };

    let pending = reads()?;
    held(AT_ONCE)?;
    let chosen = pending.get(3).ok_or("no requests")?;
    chosen.cancel().map_err(failed("CancelIoEx"))?;
    held(AT_ONCE - 1)?;
    kit.release()?;
    for (index, pending) in pending.into_iter().enumerate() {
        match pending.wait() {
            Err(error) if index == 3 => aborted(&error)?,
            Err(error) => return Err(failed("a released request")(error)),
            Ok(_) if index == 3 => return Err("a cancelled request succeeded".to_owned()),
            Ok(read) => expect("bytes of a released request", read.len(), PIECE)?,
        }
    }

    let pending = reads()?;
    held(AT_ONCE)?;
    device.cancel_all().map_err(failed("CancelIo"))?;
    for pending in pending {
        match pending.wait() {
            Err(error) => aborted(&error)?,
            Ok(_) => return Err("a cancelled request succeeded".to_owned()),
        }
    }
    held(0)?;
    let cancelled = kit.report()?.cancelled - before.cancelled;
    expect("cancelled requests", cancelled as usize, 1 + AT_ONCE)?;
    Ok(2 * AT_ONCE as u32 + OPEN_AND_CLOSE)
}

fn start<'d>(requests: impl Iterator<Item = io::Result<Pending<'d>>>) -> Outcome<Vec<Pending<'d>>> {
    requests
        .collect::<io::Result<_>>()
        .map_err(failed("starting a request"))
}

fn aborted(error: &io::Error) -> Outcome {
    let code = Some(ERROR_OPERATION_ABORTED as i32);
    expect(
        "the result of a cancelled request",
        error.raw_os_error(),
        code,
    )
}

/// What the file system has seen must be what was sent, and how.
fn confirm(kit: &Kit, before: Report, sent: u32, filtered: bool) -> Outcome {
    let mut report = kit.report()?;
    // The program may know of a completion before the routine that made it has returned.
    while report.all_received() != report.completed + report.held {
        report = kit.report()?;
    }
    let received = report.all_received() - before.all_received();
    expect("requests that arrived", received, sent)?;
    let through_filter = report.through_filter - before.through_filter;
    let expected = if filtered { sent } else { 0 };
    expect("requests that a filter passed on", through_filter, expected)?;
    expect("requests that are held", report.held, 0)?;
    println!("{sent} requests, {through_filter} of them through a filter");
    Ok(())
}

/// Describes an error of what is said.
pub fn failed(what: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Fails unless both are equal.
pub fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, and not {expected:?}"))
}
