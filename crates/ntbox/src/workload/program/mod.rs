//! Programs of operations: what `ntbox diff` runs with and without drivers.
//!
//! A [`Program`] is drawn from a seed, operation by operation, and each operation has the same
//! meaning, and meets the same choices of the file system, whatever else is done before it. So a
//! program with operations left out is a program, and one that shows a difference can be shrunk
//! ([`shrink`]) to the few that are needed.
//!
//! Each thread has a directory of its own on volumes that all share, and a volume of its own that
//! it may dismount. Requests that stay outstanding wait for what the thread itself does later. What
//! overlaps in time is chosen so that NT promises its result: transfers of different blocks within
//! the file, reads of the same ones, an oplock and the operation that it keeps waiting.
//!
//! | module | holds |
//! |---|---|
//! | [`operation`], `generate`, `words` | the operations, how they are drawn, what a report calls them |
//! | [`runner`], `perform`, `oplock` | carrying them out |
//! | [`observation`] | what is seen of them, and what of it must be the same |
//! | [`contents`] | what is on the volumes at the end |
//! | [`shrink`] | delta debugging |

pub mod contents;
mod follow;
mod generate;
pub mod observation;
pub mod operation;
pub mod oplock;
mod perform;
pub mod runner;
pub mod shrink;
mod words;

use super::progress::Progress;
use crate::file_system::adversary::{self, Mix};
use crate::processor::{thread, work};
use observation::{Observation, Seen};
use operation::Operation;
use runner::Runner;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// An operation by its thread (1-based) and its number there.
pub type Place = (u32, u32);

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Of all choices.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// Operations of each thread, numbered from 1.
    pub operations: u32,
    /// What is left of them; `None` for all.
    pub kept: Option<Vec<Place>>,
    /// The drivers may wait for requests: none is held until the thread that has sent it cancels it.
    pub may_pend: bool,
}

impl Program {
    /// Its operations, thread by thread.
    pub fn places(&self) -> Vec<Place> {
        self.kept.clone().unwrap_or_else(|| {
            (1..=self.threads)
                .flat_map(|thread| (1..=self.operations).map(move |number| (thread, number)))
                .collect()
        })
    }

    /// An operation of it.
    pub fn operation(&self, (thread, number): Place, volumes: u8) -> Operation {
        Operation::generate(self.seed, thread, number, volumes)
    }
}

/// A volume that programs run on.
#[derive(Clone, Debug)]
pub struct Volume {
    /// NT name, `\??\C:`.
    pub name: String,
    /// What is on it.
    pub host: PathBuf,
}

/// Volumes: one of each thread, then those that all share.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// The first thread's, the second's, …
    pub own: Vec<Volume>,
    /// Shared.
    pub shared: Vec<Volume>,
}

impl Volumes {
    /// Volumes that a thread sees.
    pub fn per_thread(&self) -> u8 {
        1 + self.shared.len() as u8
    }
}

/// Runs a program in directories that no other run has: `run` is in their names.
///
/// # Errors
/// The volumes' files cannot be read, or a thread was ended by a panic of the box.
pub fn run(
    program: &Program,
    run: u32,
    mix: Mix,
    volumes: &Volumes,
    progress: &Arc<Progress>,
) -> anyhow::Result<Seen> {
    adversary::configure(program.seed, mix);
    // Of one length, so that names take as many bytes in every run.
    let prefix = format!("p{run:06}t");
    let results: Arc<Mutex<BTreeMap<u32, Vec<Observation>>>> = Arc::default();
    let places = program.places();
    let threads: Vec<_> = (1..=program.threads)
        .map(|ordinal| {
            let program = program.clone();
            let numbers: Vec<u32> = places
                .iter()
                .filter(|(thread, _)| *thread == ordinal)
                .map(|(_, number)| *number)
                .collect();
            let own = &volumes.own[(ordinal as usize - 1) % volumes.own.len()];
            let names: Vec<String> = std::iter::once(own)
                .chain(&volumes.shared)
                .map(|volume| volume.name.clone())
                .collect();
            let directory = format!("\\{prefix}{ordinal}");
            let (results, progress) = (Arc::clone(&results), Arc::clone(progress));
            thread::spawn(&format!("program {ordinal}"), move || {
                let volumes = names.len() as u8;
                let mut runner = Runner::new(ordinal, names, directory, progress);
                runner.may_pend = program.may_pend;
                for number in numbers {
                    let operation = program.operation((ordinal, number), volumes);
                    runner.carry_out(number, &operation);
                }
                let seen = runner.end();
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(ordinal, seen);
            })
        })
        .collect();
    for thread in threads {
        if thread.join().is_err() {
            anyhow::bail!("a thread of the program was ended by a panic of the box");
        }
    }
    adversary::drain();
    work::drain();
    let results = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    let contents = volumes
        .own
        .iter()
        .chain(&volumes.shared)
        .map(|volume| contents::contents(&volume.host, &prefix))
        .collect::<std::io::Result<_>>()?;
    Ok(Seen {
        threads: results.into_values().collect(),
        contents,
    })
}
