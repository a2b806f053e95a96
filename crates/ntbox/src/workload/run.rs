//! A workload on a set of volumes: threads, progress, results. In the end media are exchanged, and the devices
//! under the volumes are removed.

use super::observed::{Log, digest_of};
use super::plan::Plan;
use super::progress::Progress;
use super::tree::{self, ReadOnlyWalk, TreeCopy};
use super::worker::Worker;
use super::{random, scenarios};
use crate::file_system::adversary;
use crate::io_manager::storage::VolumeKind;
use crate::nt::FILE_DIRECTORY_FILE;
use crate::processor::{thread, work};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is done.
#[derive(Clone, Debug)]
pub enum Workload {
    /// A tree is copied into every volume, compared, renamed, deleted; then the scenarios.
    Copy(Arc<Plan>),
    /// This many random operations, shared by the threads.
    Random(u64),
    /// Both: the tree, the scenarios, then random operations.
    Both(Arc<Plan>, u64),
}

/// A volume that is worked on.
#[derive(Clone, Debug)]
pub struct Place {
    /// NT name, `\??\C:`.
    pub name: String,
    /// What logs call it: the same in both runs of a comparison.
    pub label: String,
    /// A CD-ROM is only read.
    pub kind: VolumeKind,
}

impl Place {
    /// It is a drive whose medium can be exchanged.
    fn has_medium(&self) -> bool {
        matches!(self.kind, VolumeKind::Removable | VolumeKind::CdRom)
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is done.
    pub workload: Workload,
    /// Where.
    pub places: Vec<Place>,
    /// Threads.
    pub threads: u32,
    /// Of all choices.
    pub seed: u64,
    /// The drivers may wait for requests: none is held until the thread that has sent it cancels it.
    pub may_pend: bool,
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct RunResult {
    /// What each thread saw.
    pub logs: Vec<Log>,
    /// What was not as it should be, seen from the programs.
    pub wrong: Vec<String>,
    /// Files copied and found equal to the host's.
    pub files: u64,
    /// From the first request to the last.
    pub elapsed: Duration,
}

impl RunResult {
    /// Requests whose result was recorded.
    pub fn requests(&self) -> u64 {
        self.logs.iter().map(|log| log.entries().len() as u64).sum()
    }
    /// `(pended, fast, failed, cancelled)` of them.
    pub fn shares(&self) -> (u64, u64, u64, u64) {
        let mut shares = (0, 0, 0, 0);
        for entry in self.logs.iter().flat_map(Log::entries) {
            shares.0 += u64::from(entry.pended);
            shares.1 += u64::from(entry.fast);
            shares.2 += u64::from(crate::nt::Status(entry.status).is_error());
            shares.3 += u64::from(entry.status == crate::nt::STATUS_CANCELLED);
        }
        shares
    }
    /// One number for everything that was seen.
    pub fn digest(&self) -> u64 {
        digest_of(&self.logs)
    }
}

/// Runs it to the end. `progress` may be read by another thread meanwhile.
pub fn run(run: &Run, progress: &Arc<Progress>) -> RunResult {
    let begun = Instant::now();
    if let Workload::Copy(plan) | Workload::Both(plan, _) = &run.workload {
        progress
            .files_planned
            .store((plan.files.len() * run.places.len()) as u64, Relaxed);
    }
    let finished: Arc<Mutex<Vec<Worker>>> = Arc::default();
    let threads: Vec<_> = (1..=run.threads.max(1))
        .map(|ordinal| {
            let (run, progress, finished) =
                (run.clone(), Arc::clone(progress), Arc::clone(&finished));
            thread::spawn(&format!("program {ordinal}"), move || {
                let mut worker = Worker::new(ordinal, run.seed, progress);
                work_through(&run, &mut worker);
                finished
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(worker);
            })
        })
        .collect();
    let mut result = RunResult::default();
    let mut join = |ordinal: usize, thread: JoinHandle<()>| {
        if thread.join().is_err() {
            result
                .wrong
                .push(format!("thread {ordinal} ended by a panic of the box"));
        }
    };
    for (ordinal, thread) in (1..).zip(threads) {
        join(ordinal, thread);
    }
    let last = run.threads.max(1) + 1;
    join(
        last as usize,
        remove_devices(run, last, progress, &finished),
    );
    adversary::drain();
    work::drain();
    result.elapsed = begun.elapsed();
    let mut workers = std::mem::take(&mut *finished.lock().unwrap_or_else(PoisonError::into_inner));
    workers.sort_by_key(|worker| worker.thread);
    for worker in workers {
        result.files += worker.files;
        result.wrong.extend(worker.wrong);
        result.logs.push(worker.log);
    }
    result
}

/// Starts the thread that is left when all others have ended: media are exchanged, and what lies under the
/// volumes is taken out and put in.
fn remove_devices(
    run: &Run,
    ordinal: u32,
    progress: &Arc<Progress>,
    finished: &Arc<Mutex<Vec<Worker>>>,
) -> JoinHandle<()> {
    let (run, progress, finished) = (run.clone(), Arc::clone(progress), Arc::clone(finished));
    thread::spawn(&format!("program {ordinal}"), move || {
        let mut worker = Worker::new(ordinal, run.seed, progress);
        let drives = run.places.iter().filter(|place| place.has_medium());
        let names = drives.map(|place| (&*place.name, &*place.label));
        scenarios::media::run(&mut worker, names);
        scenarios::removal::run(&mut worker, &run.places);
        finished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker);
    })
}

/// What one thread does: the volumes in an order of its own, so that threads meet on all of them.
fn work_through(run: &Run, worker: &mut Worker) {
    let count = run.places.len();
    for turn in 0..count {
        let place = &run.places[(turn + worker.thread as usize) % count];
        worker.enter_volume(&place.name, &place.label);
        let root = format!("\\t{}", worker.thread);
        if let Workload::Copy(plan) | Workload::Both(plan, _) = &run.workload {
            let files = plan.part(worker.thread as usize - 1, run.threads.max(1) as usize);
            if place.kind == VolumeKind::CdRom {
                ReadOnlyWalk { plan, files }.run(worker);
                continue;
            }
            TreeCopy {
                plan,
                files,
                root: root.clone(),
            }
            .run(worker);
            scenarios::run(worker, &root, 2, run.may_pend);
        }
        if let Workload::Random(operations) | Workload::Both(_, operations) = &run.workload
            && place.kind != VolumeKind::CdRom
        {
            let share = operations / u64::from(run.threads.max(1)) / count as u64;
            random::run(worker, &root, share);
        }
        if place.kind != VolumeKind::CdRom {
            tree::delete(worker, &root, FILE_DIRECTORY_FILE);
        }
    }
}
