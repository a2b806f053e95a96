//! The control device under requests that nobody would send: no violation, nothing left after the unload,
//! each answer as the protocol defines it, and no byte of other memory in it.
//!
//! `FSGLASS_FUZZ_CASES` says how many steps each build of the driver takes, and `FSGLASS_FUZZ_SEED` with which
//! seed the first round is drawn.

use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::fuzz::{self, Done, Fuzz};
use fsglass_tests::machine::{Machine, UNLOADABLE, Volume, load, load_with, unload};
use fsglass_tests::own_process::in_own_process;
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::verifier;
use std::time::Instant;

/// Steps of a round.
const ROUND: u64 = 6_000;

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let parsed = text.parse();
    parsed.unwrap_or_else(|_| panic!("{variable} is a number, not {text}"))
}

fn volumes(machine: &Machine) -> Vec<Volume> {
    let volumes = ['C', 'D'].map(|letter| {
        let volume = machine.volume(letter, VolumeKind::Disk, MountTiming::Before);
        volume.mount();
        volume
    });
    volumes.into()
}

/// What a round does, and how it is done again.
fn round(seed: u64) -> (Fuzz, String) {
    let fuzz = Fuzz {
        seed,
        cases: ROUND,
        threads: 3,
        short_of_memory: seed.is_multiple_of(2),
    };
    let again = format!(
        "FSGLASS_FUZZ_SEED={seed} FSGLASS_FUZZ_CASES={ROUND} cargo test -p fsglass-tests --test fuzz"
    );
    verifier::configure(verifier::Configuration {
        seed,
        replay: again.clone(),
        ..verifier::Configuration::default()
    });
    (fuzz, again)
}

/// D7, P2: whatever is asked, the answer is the one that the protocol defines.
#[test]
fn whatever_is_asked_is_answered_as_defined() {
    in_own_process(|path| {
        let cases = number("FSGLASS_FUZZ_CASES", 30_000);
        let first = number("FSGLASS_FUZZ_SEED", 1);
        let machine = Machine::start();
        let volumes = volumes(&machine);
        machine.adverse(first);
        let mut total = Done::default();
        let begun = Instant::now();
        for seed in first.. {
            if total.steps >= cases {
                break;
            }
            let (fuzz, again) = round(seed);
            // A driver for each round: nothing is left of it.
            let driver = load(path, UNLOADABLE);
            let done = fuzz::run(&fuzz, &volumes)
                .unwrap_or_else(|finding| panic!("{finding}\nagain: {again}"));
            machine.settle();
            unload(driver);
            total.steps += done.steps;
            total.succeeded += done.succeeded;
            total.waited += done.waited;
            total.bytes += done.bytes;
        }
        let rate = total.steps as f64 / begun.elapsed().as_secs_f64();
        println!("{total:?}, {rate:.0} steps a second");
        assert!(total.succeeded > total.steps / 20, "{total:?}");
        assert!(total.waited > total.steps / 400, "{total:?}");
        assert!(total.bytes > total.steps, "{total:?}");
    });
}

/// With a mistake in its answers the driver is found out, each time in the place of the mistake.
#[test]
fn a_driver_with_a_mistake_is_found_out() {
    in_own_process(|path| {
        let machine = Machine::start();
        let volumes = volumes(&machine);
        for (mistake, told) in [
            ("longer", "the answer defines 16 bytes of 17"),
            ("unwritten", "bytes of other memory are in the answer"),
            ("length", "not one of [STATUS_INFO_LENGTH_MISMATCH]"),
        ] {
            let driver = load(path, UNLOADABLE);
            let setting = ("Spoil".to_owned(), SettingValue::Text(mistake.to_owned()));
            let bad = drivers::bad_drivers(Profile::Release);
            let spoiler = load_with(&bad, "bad_drivers", &[setting])
                .unwrap_or_else(|error| panic!("{error}"));
            // Short of memory from the first round on.
            let found = (2..=21).find_map(|seed| {
                let (fuzz, _) = round(seed);
                fuzz::run(&fuzz, &volumes).err()
            });
            machine.settle();
            unload(spoiler);
            unload(driver);
            let Some(finding) = found else {
                panic!("{mistake} is not found")
            };
            println!("{finding}");
            assert!(finding.what.contains(told), "{mistake}: {finding}");
        }
    });
}
