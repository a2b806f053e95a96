//! Devices that are taken out, pulled, and put in again, when nothing else is done to them.
//!
//! A share of a redirector has no device, and is left alone.

use super::super::layout::Mask;
use super::super::run::Place;
use super::super::worker::{Worker, synchronous};
use crate::io_manager::pnp::Step;
use crate::io_manager::storage::VolumeKind;
use crate::nt::*;
use crate::user::access::{FILE_LIST_DIRECTORY, SYNCHRONIZE};
use crate::user::{File, ask_what_nobody_knows, plug_and_play};

/// Each device in turn.
pub fn run(worker: &mut Worker, places: &[Place]) {
    for place in places {
        if place.kind == VolumeKind::Network {
            continue;
        }
        worker.enter_volume(&place.name, &place.label);
        refused(worker);
        cancelled(worker);
        taken_out(worker);
        pulled(worker);
    }
}

/// Asks which device an open directory lies on, what no driver knows, or whether the device may go: not with the directory
/// open.
pub fn while_in_use(worker: &mut Worker, path: &str, directory: &File) {
    if worker.random.bool() {
        ask(worker, path, directory);
    } else if step(worker, Step::Query) == STATUS_SUCCESS {
        worker.complain(path, "the device may go with an open directory");
        step(worker, Step::Cancel);
    }
}

/// Does a step with the device of the current volume, and records what came of it.
fn step(worker: &mut Worker, step: Step) -> NTSTATUS {
    let (name, call) = (worker.full(""), name_of(step));
    let outcome = plug_and_play(&name, step);
    worker.noted(call, "", outcome, Mask::None).status
}

fn name_of(step: Step) -> &'static str {
    match step {
        Step::Query => "ask whether the device may go",
        Step::Cancel => "let the device stay",
        Step::Remove => "take the device out",
        Step::Surprise => "pull the device",
        Step::Arrive => "put the device in",
    }
}

/// Asks on which device an open file lies, and sends what no driver knows.
fn ask(worker: &mut Worker, path: &str, file: &File) {
    let outcome = file.target_device();
    worker.note("ask for the device", path, &outcome, Mask::None);
    let name = worker.full("");
    let outcome = ask_what_nobody_knows(&name);
    worker.note("ask what nobody knows", "", &outcome, Mask::None);
}

fn root(worker: &mut Worker) -> Option<File> {
    worker.open("\\", |open| {
        open.access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    })
}

/// A file is open.
fn refused(worker: &mut Worker) {
    let Some(file) = root(worker) else { return };
    ask(worker, "\\", &file);
    if step(worker, Step::Query) == STATUS_SUCCESS {
        worker.complain("", "it may go with an open file");
        step(worker, Step::Cancel);
    }
    worker.close("\\", file);
}

fn cancelled(worker: &mut Worker) {
    if step(worker, Step::Query) == STATUS_SUCCESS {
        missing(worker);
        step(worker, Step::Cancel);
    }
    present(worker);
}

fn taken_out(worker: &mut Worker) {
    if step(worker, Step::Query) == STATUS_SUCCESS {
        step(worker, Step::Remove);
        missing(worker);
        step(worker, Step::Arrive);
    }
    present(worker);
}

/// With an open file, which does not come back.
fn pulled(worker: &mut Worker) {
    let Some(file) = root(worker) else { return };
    if step(worker, Step::Surprise) != STATUS_SUCCESS {
        return worker.close("\\", file);
    }
    let listed = file.query_directory(FileNamesInformation, 512, None, true, true);
    worker.note("list", "\\", &listed, Mask::All);
    missing(worker);
    worker.close("\\", file);
    step(worker, Step::Remove);
    step(worker, Step::Arrive);
    present(worker);
}

/// The volume is not opened; why, is recorded.
fn missing(worker: &mut Worker) {
    if let Some(file) = root(worker) {
        worker.complain("", "it is opened while its device is to go, or gone");
        worker.close("\\", file);
    }
}

fn present(worker: &mut Worker) {
    match root(worker) {
        Some(file) => worker.close("\\", file),
        None => worker.complain("", "it is not there again"),
    }
}
