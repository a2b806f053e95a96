//! The command line of `ntbox diff`.

use super::super::parse::{parse_setting, parse_volume};
use super::super::shared::Stubs;
use super::super::watchdog::PATIENCE;
use clap::Args;
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::VolumeDescription;
use ntbox::verifier::Options;
use ntbox::workload::program::Place;
use std::path::PathBuf;

/// Options of `ntbox diff`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A program of operations is drawn from the seed and carried out on the bare stack, under the
drivers, and, if there is one driver, under two of it, each in a process of its own: opens of
all kinds, overlapping reads and writes, renames under open handles, delete on close, locks,
oplocks, notifications, cancellation, dismount and remount, devices that are taken out and
pulled, media that are exchanged. Everything an originator can observe must be the same: status,
information, data, position, whether the request was pended and its event signaled, and the files
at the end.

A difference is shrunk to the few operations that show it, which are printed with their
results on both sides and the command that carries them out again.

With --systematic small programs of overlapping requests meet every choice of the file
system below: at once, at DISPATCH_LEVEL, pended, pended and completed at DISPATCH_LEVEL,
completed by another thread before the call returns, the same at DISPATCH_LEVEL, failed,
cancelled.

Exit code: 0 equal, 1 different (or a violation), 2 wrong usage, 3 ntbox itself has failed.

Examples:
  ntbox diff --driver fsglass.sys
  ntbox diff --driver fsglass.sys --rounds 200 --ops 20000 --threads 4 --seed 7
  ntbox diff --driver fsglass.sys --systematic --requests 3
  ntbox diff --driver a.sys --driver b.sys --verify standard,force-pending")]
pub struct DiffOptions {
    /// Driver to load; repeat it to stack several, the first one lowest
    #[arg(long = "driver", value_name = "PATH", required = true)]
    pub drivers: Vec<PathBuf>,
    /// File with symbols of a driver, as for `ntbox run`
    #[arg(long = "symbols", value_name = "FILE")]
    pub symbols: Vec<PathBuf>,
    /// Value of every driver's Parameters key, or of one driver's (SERVICE:NAME=VALUE)
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, SettingValue)>,
    /// Imports that are missing
    #[command(flatten)]
    pub stubs: Stubs,
    /// Volume that the threads share, in a new directory below HOSTDIR for each side (as for
    /// `ntbox run`); without this option a disk, a network share and a removable disk
    #[arg(long = "volume", value_name = "LETTER=HOSTDIR[,OPTION…]", value_parser = parse_volume)]
    pub volumes: Vec<VolumeDescription>,
    /// Operations of a round, shared by the threads
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub ops: u32,
    /// Threads, each with a volume of its own besides the shared ones
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub threads: u32,
    /// Seed of the first round; the next one has the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// What is checked and what is injected, as for `ntbox run`; low-resources would be a difference
    #[arg(
        long,
        value_name = "standard|all|LIST",
        default_value = "standard",
        allow_hyphen_values = true
    )]
    pub verify: Options,
    /// Collect violations instead of ending with the first one, as for `ntbox run`: each side says
    /// which rules were broken when it ends. Exit 1 if one was
    #[arg(long)]
    pub keep_going: bool,
    /// Do not stack the driver twice
    #[arg(long)]
    pub once: bool,
    /// The drivers may pend requests, or wait for them, of their own accord: only for oplocks and
    /// notifications must the answer to the call be the same, and no request is held until the thread
    /// that has sent it cancels it
    #[arg(long)]
    pub may_pend: bool,
    /// Carry out only these operations, given as thread.number, as a report names them
    #[arg(long, value_name = "T.N[,T.N…]", value_delimiter = ',', value_parser = parse_place)]
    pub keep: Vec<Place>,
    /// Every choice of the file system for every small program, instead of random programs
    #[arg(long, conflicts_with_all = ["rounds", "ops", "keep", "volumes"])]
    pub systematic: bool,
    /// Requests of a small program at most
    #[arg(long, value_name = "K", default_value_t = 2, requires = "systematic", value_parser = clap::value_parser!(u32).range(1..=4))]
    pub requests: u32,
    /// Seconds in which nothing need move; then the run is ended and says who waits for what. A debugger
    /// that stops the process does not count
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// Which stack a process is to run programs on (`ntbox diff-side`, started by `ntbox diff`).
#[derive(Args, Clone, Debug)]
pub struct SideOptions {
    /// Driver to load; none for the bare stack
    #[arg(long = "driver")]
    pub drivers: Vec<PathBuf>,
    /// Files with symbols of the drivers
    #[arg(long = "symbols")]
    pub symbols: Vec<PathBuf>,
    /// Settings of the drivers
    #[arg(long = "setting", value_parser = parse_setting)]
    pub settings: Vec<(String, SettingValue)>,
    /// Imports that are missing
    #[command(flatten)]
    pub stubs: Stubs,
    /// Volumes that threads share
    #[arg(long = "volume", value_parser = parse_volume)]
    pub volumes: Vec<VolumeDescription>,
    /// Volumes of a thread each
    #[arg(long = "own", value_parser = parse_volume)]
    pub own: Vec<VolumeDescription>,
    /// What is verified
    #[arg(long, allow_hyphen_values = true)]
    pub verify: Options,
    /// Violations are collected
    #[arg(long)]
    pub keep_going: bool,
    /// Seed of the first program
    #[arg(long)]
    pub seed: u64,
    /// Seconds in which nothing need move
    #[arg(long)]
    pub patience: u64,
    /// What a violation names as the command that does it again
    #[arg(long)]
    pub replay: String,
}

fn parse_place(text: &str) -> Result<Place, String> {
    let place = text.split_once('.');
    place
        .and_then(|(thread, number)| Some((thread.parse().ok()?, number.parse().ok()?)))
        .filter(|(thread, number)| (1..=16).contains(thread) && *number > 0)
        .ok_or_else(|| format!("'{text}' is not a thread and a number, as in 2.17"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_threads_and_numbers() {
        assert_eq!(parse_place("2.17"), Ok((2, 17)));
        for wrong in ["2", "2.", "0.1", "17.1", "1.0", "a.b"] {
            assert!(parse_place(wrong).is_err(), "{wrong}");
        }
    }
}
