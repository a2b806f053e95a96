//! Media that are exchanged, when nothing else is done in the drive: the same one, another one, none.

use super::super::layout::Mask;
use super::super::media;
use super::super::worker::{Worker, synchronous};
use crate::io_manager::media::Put;
use crate::nt::*;
use crate::user::access::{FILE_LIST_DIRECTORY, SYNCHRONIZE};
use crate::user::{File, exchange_medium};

/// Each drive in turn, by the NT name of its volume and what logs call that.
pub fn run<'a>(worker: &mut Worker, drives: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (name, label) in drives {
        worker.enter_volume(name, label);
        let Some(file) = root(worker) else { continue };
        put_in_again(worker);
        look(worker, &file, true);
        put(worker, "put nothing in", Put::Nothing);
        // The volume is not opened, and whether its file may be used depends on who has found out why.
        look(worker, &file, false);
        put_in_again(worker);
        look(worker, &file, true);
        if let Some(other) = media::other(name) {
            put(worker, "put another medium in", Put::Other(&other));
            match root(worker) {
                Some(other) => worker.close("\\", other),
                None => worker.complain("", "another medium cannot be opened"),
            }
            look(worker, &file, false);
            put_in_again(worker);
            look(worker, &file, true);
        }
        worker.close("\\", file);
    }
}

/// The medium of the current volume is taken out and put in again. Whatever is done to the volume meanwhile ends as if it
/// were not.
pub fn put_in_again(worker: &mut Worker) {
    put(worker, "put the medium in", Put::First);
}

fn put(worker: &mut Worker, call: &'static str, put: Put<'_>) {
    let name = worker.full("");
    let outcome = exchange_medium(&name, put);
    worker.note(call, "", &outcome, Mask::None);
}

fn root(worker: &mut Worker) -> Option<File> {
    worker.open("\\", |open| {
        open.access(FILE_LIST_DIRECTORY | SYNCHRONIZE)
            .options(synchronous(FILE_DIRECTORY_FILE))
    })
}

/// Looks whether the medium is there that an open file is on.
fn look(worker: &mut Worker, file: &File, is_there: bool) {
    if is_there {
        match root(worker) {
            Some(again) => worker.close("\\", again),
            None => worker.complain("", "the medium cannot be opened again"),
        }
    }
    let looked = file.query_information(FileInternalInformation, 8);
    worker.note("ask for its number", "\\", &looked, Mask::All);
    if looked.is_success() != is_there {
        worker.complain("\\", "its file is told to be on another medium than it is");
    }
}
