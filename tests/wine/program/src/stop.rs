//! Stopping a filter while requests are in flight.

use crate::device::Device;
use crate::kit::Kit;
use crate::pattern::{self, compare};
use crate::service::Service;
use crate::volume::{expect, failed, path};
use crate::{Outcome, bounded};
use fskit_protocol::Answer;
use std::sync::mpsc;
use std::thread;
use windows_sys::Win32::System::Services::{
    SERVICE_RUNNING, SERVICE_STOP_PENDING, SERVICE_STOPPED,
};

/// Bytes of a request.
const LENGTH: usize = 1000;
/// Requests below the filter when it is stopped.
const REQUESTS: u64 = 4;
/// How often the file system is asked, through Wine's server and the drivers' process, while the driver waits.
const ROUNDS: u32 = 1000;

/// Has the file system hold requests, stops the service of the filter above it, sees that it leaves
/// the stack and waits, releases the requests, and sees it stop.
pub fn in_flight(name: &str, volume: u32) -> Outcome {
    let kit = Kit::open()?;
    let service = Service::open(name)?;
    expect("the service's state", service.state()?, SERVICE_RUNNING)?;
    let (started, starting) = mpsc::channel();
    let (may_end, end) = mpsc::channel::<()>();
    let path = path(volume);
    let program = thread::spawn(move || hold_and_read(&path, &started, &end));
    if starting.recv().is_err() {
        return ended(program);
    }

    let entries = kit.report()?.log_entries;
    // Wine's service manager answers when the driver has been unloaded.
    let asked = Service::open(name)?;
    let stopping = thread::spawn(move || asked.stop());
    // The driver has all the time it wants to leave the stack; then it can only wait.
    let mut rounds = 0;
    while rounds < ROUNDS {
        if service.state()? == SERVICE_STOPPED || stopping.is_finished() {
            return Err("the filter stopped while requests were in flight".to_owned());
        }
        if above(&kit, volume)? == Some(0) {
            rounds += 1;
        }
        thread::yield_now();
    }
    let report = kit.report()?;
    expect("entries in the event log", report.log_entries, entries)?;
    let state = service.state()?;
    expect("the service's state", state, SERVICE_STOP_PENDING)?;
    expect("requests that are held", u64::from(report.held), REQUESTS)?;

    kit.release()?;
    let _the_thread_may_have_failed = may_end.send(());
    bounded::run("requests below a stopping filter", &kit, || ended(program))?;
    bounded::run("stopping", &kit, move || {
        ended(stopping)?;
        while service.state()? != SERVICE_STOPPED {
            thread::yield_now();
        }
        Ok(())
    })?;
    println!("{REQUESTS} requests were in flight");
    Ok(())
}

fn above(kit: &Kit, volume: u32) -> Outcome<Option<u32>> {
    Ok(kit.report()?.above_volume.get(volume as usize).copied())
}

fn ended(program: thread::JoinHandle<Outcome>) -> Outcome {
    program.join().unwrap_or_else(|_| Err("a panic".to_owned()))
}

/// Writes, then reads what was written while the answer is held; sends to `started` when the
/// reads are under way, and lets go of them only when `end` has something.
fn hold_and_read(path: &str, started: &mpsc::Sender<()>, end: &mpsc::Receiver<()>) -> Outcome {
    let kit = Kit::open()?;
    let device = Device::open_overlapped(path).map_err(failed("opening"))?;
    let piece = |index: u64| pattern::bytes(7, index * LENGTH as u64, LENGTH);
    kit.answer(Answer::AtOnce)?;
    for index in 0..REQUESTS {
        let write = device.start_write(index * LENGTH as u64, piece(index));
        let write = write.map_err(failed("writing"))?;
        write.wait().map_err(failed("writing"))?;
    }
    kit.answer(Answer::Held)?;
    let mut reads = Vec::new();
    for index in 0..REQUESTS {
        let read = device.start_read(index * LENGTH as u64, LENGTH);
        reads.push(read.map_err(failed("reading"))?);
    }
    kit.answer(Answer::AtOnce)?;
    let _the_other_thread_waits = started.send(());
    let _the_other_thread_may_have_failed = end.recv();
    for (index, read) in (0..).zip(reads) {
        let found = read.wait().map_err(failed("a request in flight"))?;
        compare("a request in flight", &found, &piece(index))?;
    }
    Ok(())
}
