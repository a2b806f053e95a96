//! One side of a comparison: a process with its own stack, which runs the programs that it reads.
//!
//! It says first whether the drivers are loaded. Then each line of standard input is an [`Order`], each line of
//! standard output the [`Answer`] to it.
//! At the end of the input the drivers are unloaded. A violation ends the process, with its report
//! on standard error.

use super::super::failure::Failure;
use super::super::machine::{self, Volume};
use super::super::run::{configure_replay, mix, mount};
use super::super::watchdog::{self, Watchdog};
use super::options::SideOptions;
use ntbox::io_manager::storage::MountTiming;
use ntbox::verifier::collected::{self, Collected};
use ntbox::workload::Progress;
use ntbox::workload::program::observation::Seen;
use ntbox::workload::program::{self, Program, Volumes};
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::sync::Arc;

/// What a side is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The program.
    pub program: Program,
    /// Number of the run, the same on all sides and never twice.
    pub run: u32,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// At the beginning: the drivers are loaded, or why they cannot be.
    Loaded(Result<(), String>),
    /// The program has run.
    Seen(Seen),
    /// It could not.
    Failed(String),
    /// At the end.
    Ended {
        /// Why drivers cannot be unloaded.
        kept: Vec<String>,
        /// The violations and warnings that did not end it.
        collected: Vec<Collected>,
        /// Stubs that drivers called, in words.
        stubs: Vec<String>,
    },
}

/// Runs until the input ends; true if the drivers could be unloaded, or stay by their own wish.
pub fn run(options: &SideOptions) -> Result<bool, Failure> {
    configure_replay(
        options.verify,
        options.seed,
        options.replay.clone(),
        options.keep_going,
    );
    watchdog::configure(options.patience, false);
    machine::start();
    let create = |descriptions: &[_]| -> Vec<Volume> {
        descriptions.iter().cloned().map(Volume::create).collect()
    };
    let (own, shared) = (create(&options.own), create(&options.volumes));
    mount(&shared, |timing| timing == MountTiming::Before)?;
    machine::add_stubs(&options.stubs)?;
    let drivers = machine::with_symbols(&options.symbols, || {
        machine::load(&options.drivers, &options.settings)
    });
    let drivers = match drivers {
        Err(Failure::Failed(why)) => {
            answer(&Answer::Loaded(Err(why)))?;
            return Ok(false);
        }
        drivers => drivers?,
    };
    answer(&Answer::Loaded(Ok(())))?;
    mount(&shared, |timing| timing != MountTiming::Before)?;

    let place = |volume: &Volume| program::Volume {
        name: volume.name(),
        host: volume.description.host_directory.clone(),
    };
    let volumes = Volumes {
        own: own.iter().map(place).collect(),
        shared: shared.iter().map(place).collect(),
    };
    let progress: Arc<Progress> = Arc::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::Failed(format!("no orders: {error}")))?;
        let order: Order = serde_json::from_str(&line).map_err(anyhow::Error::from)?;
        let _watchdog = Watchdog::start("a program");
        let mix = mix(false, options.verify);
        let seen = program::run(&order.program, order.run, mix, &volumes, &progress);
        answer(&match seen {
            Ok(seen) => Answer::Seen(seen),
            Err(error) => Answer::Failed(format!("{error:#}")),
        })?;
    }
    let kept = machine::wrongly_kept(&machine::unload(drivers));
    let is_gone = kept.is_empty();
    answer(&Answer::Ended {
        kept,
        collected: collected::so_far(),
        stubs: ntbox::exports::stub::notes(),
    })?;
    Ok(is_gone)
}

fn answer(answer: &Answer) -> Result<(), Failure> {
    let json = serde_json::to_string(answer).map_err(anyhow::Error::from)?;
    super::super::print(&(json + "\n"));
    Ok(())
}
