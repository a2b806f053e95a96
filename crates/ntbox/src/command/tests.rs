//! Whole workloads without a driver, over temporary directories.

use super::machine::{self, Volume};
use super::run::{mix, new_directory};
use ntbox::file_system::adversary;
use ntbox::host::file::Temporary;
use ntbox::io_manager::counters;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::verifier::Options;
use ntbox::workload::{Plan, Progress, Run, RunResult, Workload, compare, run};
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

/// The machine is one of the process: tests that run a workload take turns.
static TURN: Mutex<()> = Mutex::new(());

fn volume(letter: char, kind: VolumeKind, mount: MountTiming, parent: &Path) -> Volume {
    // The directory's name is the volume's label, so it is the same for all.
    let own = parent.join(letter.to_string());
    std::fs::create_dir(&own).expect("a directory");
    let host_directory = new_directory(&own, 'V').expect("a directory");
    Volume::create(VolumeDescription {
        letter,
        host_directory,
        kind,
        mount,
        recognized: false,
    })
}

fn perform(volume: &Volume, workload: Workload, seed: u64) -> RunResult {
    adversary::configure(seed, mix(false, Options::STANDARD));
    let plan = Run {
        workload,
        places: vec![volume.place("V:".to_owned())],
        threads: 2,
        seed,
        may_pend: false,
    };
    run(&plan, &Arc::new(Progress::default()))
}

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(machine::start);
}

#[test]
fn the_same_seed_gives_the_same_requests_and_results() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    start();
    let directory = Temporary::new().expect("a temporary directory");
    let on = |letter, seed| {
        let volume = volume(
            letter,
            VolumeKind::Disk,
            MountTiming::Before,
            directory.path(),
        );
        perform(&volume, Workload::Random(1500), seed)
    };
    let (first, second, other) = (on('P', 5), on('Q', 5), on('R', 6));
    assert!(first.requests() >= 1500);
    assert_eq!(first.wrong, Vec::<String>::new());
    assert_eq!(compare(&first.logs, &second.logs), Vec::new());
    assert_eq!(first.digest(), second.digest());
    assert_ne!(first.digest(), other.digest());
    assert!(!compare(&first.logs, &other.logs).is_empty());
}

#[test]
fn a_tree_is_carried_into_every_kind_of_volume_and_back() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    start();
    let directory = Temporary::new().expect("a temporary directory");
    let source = directory.path().join("source");
    std::fs::create_dir_all(source.join("deep/er")).expect("directories");
    for (name, size) in [
        ("empty", 0),
        ("one", 1),
        ("deep/page", 4096),
        ("deep/er/odd", 70_001),
        ("deep/Odd Name.txt", 5),
    ] {
        let contents: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        std::fs::write(source.join(name), contents).expect("a file");
    }
    let plan = Arc::new(Plan::scan(&source, 100, 1 << 20).expect("a plan"));
    let before = counters::snapshot();
    for (letter, kind, mount) in [
        ('S', VolumeKind::Disk, MountTiming::Before),
        ('T', VolumeKind::Disk, MountTiming::Async),
        ('U', VolumeKind::Network, MountTiming::Before),
        ('W', VolumeKind::Removable, MountTiming::After),
    ] {
        let volume = volume(letter, kind, mount, directory.path());
        let result = perform(&volume, Workload::Copy(Arc::clone(&plan)), 3);
        assert_eq!(result.wrong, Vec::<String>::new(), "{kind:?}");
        assert_eq!(result.files, 5, "{kind:?}");
        let left = std::fs::read_dir(&volume.description.host_directory).expect("the volume");
        assert_eq!(left.count(), 0, "{kind:?}: everything was deleted");
    }
    let sent = counters::snapshot().since(&before);
    assert!(sent.cancelled > 0 && sent.pended > 0 && sent.fast_answered() > 0);
    let closed = |major: u32| sent.irps[major as usize];
    assert_eq!(
        closed(ntbox::nt::IRP_MJ_CLEANUP),
        closed(ntbox::nt::IRP_MJ_CLOSE)
    );
}

#[test]
fn a_cd_rom_shows_its_tree_and_takes_no_write() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    start();
    let directory = Temporary::new().expect("a temporary directory");
    let source = directory.path().join("source");
    std::fs::create_dir(&source).expect("a directory");
    std::fs::write(source.join("read me"), b"only").expect("a file");
    let volume = Volume::create(VolumeDescription {
        letter: 'X',
        host_directory: source.clone(),
        kind: VolumeKind::CdRom,
        mount: MountTiming::After,
        recognized: false,
    });
    let plan = Arc::new(Plan::scan(&source, 100, 1 << 20).expect("a plan"));
    let result = perform(&volume, Workload::Copy(plan), 1);
    assert_eq!(result.wrong, Vec::<String>::new());
    assert_eq!(result.files, 1);
    assert_eq!(std::fs::read_dir(&source).expect("the source").count(), 1);
}
