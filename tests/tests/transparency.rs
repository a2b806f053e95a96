//! Transparency: the same seeded work on the bare stack and under the filter gives every program
//! the same results, byte for byte and status for status.
//!
//! Each run draws what the programs do and how the file system completes each
//! request from its seed. Some seeds are fixed, one is new each time; a failure
//! prints the seed, and `FSGLASS_TEST_SEED` repeats it.

use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::file_system::adversary::{self, Mix};
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::workload::run::Place;
use ntbox::workload::worker::INJECTED;
use ntbox::workload::{Plan, Progress, Run, RunResult, Workload, compare, run};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const SEED: &str = "FSGLASS_TEST_SEED";

/// The seed to repeat, or some fixed ones and one that nobody has tried yet.
fn seeds() -> Vec<u64> {
    match std::env::var(SEED) {
        Ok(seed) => vec![
            seed.parse()
                .unwrap_or_else(|_| panic!("{SEED} is a number, not {seed:?}")),
        ],
        Err(_) => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_nanos());
            vec![1, 2, (now % 1_000_000) as u64]
        }
    }
}

/// Volumes of every kind, for one run.
struct Volumes(Vec<(Volume, VolumeKind)>);

const KINDS: [(VolumeKind, MountTiming); 4] = [
    (VolumeKind::Disk, MountTiming::Before),
    (VolumeKind::Disk, MountTiming::Async),
    (VolumeKind::Removable, MountTiming::After),
    (VolumeKind::Network, MountTiming::Before),
];

impl Volumes {
    /// Takes four letters from `letters`.
    fn create(machine: &Machine, letters: &mut impl Iterator<Item = char>) -> Self {
        let pairs = KINDS.into_iter().zip(letters);
        Self(
            pairs
                .map(|((kind, timing), letter)| (machine.volume(letter, kind, timing), kind))
                .collect(),
        )
    }

    fn places(&self) -> Vec<Place> {
        let labelled = self.0.iter().enumerate();
        labelled
            .map(|(number, (volume, kind))| Place {
                name: volume.name(""),
                label: format!("V{number}:"),
                kind: *kind,
            })
            .collect()
    }
}

/// Does `workload` on volumes as `seed` says.
fn work(workload: Workload, volumes: &Volumes, seed: u64) -> RunResult {
    adversary::configure(
        seed,
        Mix {
            fail: 20,
            fail_with: INJECTED.to_vec(),
            ..Mix::default()
        },
    );
    let plan = Run {
        workload,
        places: volumes.places(),
        threads: 3,
        seed,
        may_pend: false,
    };
    run(&plan, &Arc::new(Progress::default()))
}

/// The property itself, for one workload and the driver at `path`.
fn the_filter_changes_nothing(path: &Path, workload: &Workload) {
    let machine = Machine::start();
    let mut letters = 'A'..='Z';
    for seed in seeds() {
        let replay =
            format!("to repeat it: {SEED}={seed} cargo test -p fsglass-tests --test transparency");
        let bare = work(
            workload.clone(),
            &Volumes::create(&machine, &mut letters),
            seed,
        );
        let volumes = Volumes::create(&machine, &mut letters);
        volumes.0[0].0.mount();
        let driver = load(path, UNLOADABLE);
        let filtered = work(workload.clone(), &volumes, seed);
        for (volume, kind) in &volumes.0 {
            // The redirector's own device is the filtered one; the others have their volume device.
            assert_eq!(
                volume.attachments(&driver),
                1,
                "{kind:?}: {:?}; {replay}",
                volume.stack()
            );
        }
        unload(driver);
        assert!(
            bare.wrong.is_empty(),
            "wrong already without the filter: {:#?}\n{replay}",
            bare.wrong
        );
        assert!(filtered.wrong.is_empty(), "{:#?}\n{replay}", filtered.wrong);
        let differences = compare(&bare.logs, &filtered.logs);
        let first: Vec<String> = differences
            .iter()
            .take(5)
            .map(ToString::to_string)
            .collect();
        assert!(
            differences.is_empty(),
            "{} differences:\n{}\n{replay}",
            differences.len(),
            first.join("\n")
        );
        assert_eq!(bare.digest(), filtered.digest(), "{replay}");
        assert!(
            filtered.requests() > 500,
            "that was hardly any work: {} requests; {replay}",
            filtered.requests()
        );
        let (pended, _fast, failed, _cancelled) = filtered.shares();
        assert!(
            pended > 50 && failed > 20,
            "hardly anything pended ({pended}) or failed ({failed}); {replay}"
        );
    }
}

/// D1, D4, C5, C16, F1 for everything that random programs do: create, read, write, query, set,
/// list, lock, flush, rename, delete, on handles of every kind.
#[test]
fn random_work_is_not_changed() {
    in_own_process(|path| the_filter_changes_nothing(path, &Workload::Random(4000)));
}

/// The same for a tree that is copied, compared with the host, renamed and deleted, and for the
/// long-lived requests (C9): locks that wait, directory notifications, cancellation.
#[test]
fn a_copied_tree_is_not_changed() {
    in_own_process(|path| {
        let source = fsglass_tests::drivers::repository().join("crates");
        let plan = Plan::scan(&source, 120, 1 << 18).unwrap_or_else(|error| panic!("{error:#}"));
        the_filter_changes_nothing(path, &Workload::Copy(Arc::new(plan)));
    });
}

/// P4, C15: the same in a driver that stays.
#[test]
fn random_work_is_not_changed_by_a_driver_that_stays() {
    in_own_process(|path| {
        let machine = Machine::start();
        let mut letters = 'A'..='Z';
        let seed = seeds()[0];
        let bare = work(
            Workload::Random(4000),
            &Volumes::create(&machine, &mut letters),
            seed,
        );
        let volumes = Volumes::create(&machine, &mut letters);
        volumes.0[0].0.mount();
        let driver = load(path, &[]);
        let filtered = work(Workload::Random(4000), &volumes, seed);
        assert_eq!(volumes.0[0].0.attachments(&driver), 1);
        let differences = compare(&bare.logs, &filtered.logs);
        assert!(
            differences.is_empty(),
            "seed {seed}: {} differences, first {}",
            differences.len(),
            differences[0]
        );
        assert!(filtered.wrong.is_empty(), "{:#?}", filtered.wrong);
    });
}

/// The comparison itself: work with another seed, or one request more, is different.
#[test]
fn a_difference_is_found() {
    in_own_process(|_path| {
        let machine = Machine::start();
        let mut letters = 'A'..='Z';
        let runs = [(2000, 7), (2000, 7), (2000, 8), (2400, 7)].map(|(operations, seed)| {
            work(
                Workload::Random(operations),
                &Volumes::create(&machine, &mut letters),
                seed,
            )
        });
        let [first, same, other_seed, more] = &runs;
        assert!(compare(&first.logs, &same.logs).is_empty());
        assert!(!compare(&first.logs, &other_seed.logs).is_empty());
        assert!(!compare(&first.logs, &more.logs).is_empty());
    });
}
