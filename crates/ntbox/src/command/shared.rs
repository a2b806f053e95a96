//! Options that runs and mounts have in common: the drivers, and how they are checked.

use super::control::{Control, parse_control};
use super::parse::{parse_setting, parse_stub};
use super::watchdog::PATIENCE;
use clap::Args;
use ntbox::io_manager::driver::SettingValue;
use ntbox::nt::Status;
use ntbox::pool::failure::Kinds;
use ntbox::verifier::Options;
use std::path::PathBuf;

/// Imports that are missing, for every command that loads drivers.
#[derive(Args, Clone, Debug)]
pub struct Stubs {
    /// Bind an import that ntbox lacks to a routine that returns this status and does nothing; what
    /// was called is said at the end. A status is a name, such as STATUS_NOT_SUPPORTED, or a number
    #[arg(long = "stub", value_name = "NAME=STATUS", value_parser = parse_stub)]
    pub stubs: Vec<(String, Status)>,
}

/// The options.
#[derive(Args, Clone, Debug)]
pub struct SharedOptions {
    /// Driver to load; repeat it to stack several, the first one lowest
    #[arg(long = "driver", value_name = "PATH")]
    pub drivers: Vec<PathBuf>,
    /// File with symbols of a driver that lie in none of the usual places (the PDB beside it, or the
    /// DWARF or the table of symbols in it): a PDB, or the image as it was before it was stripped
    #[arg(long = "symbols", value_name = "FILE")]
    pub symbols: Vec<PathBuf>,
    /// Value of every driver's Parameters key, or of one driver's (SERVICE:NAME=VALUE; a service is
    /// named after its file, fsglass, the second one fsglass2), or of the key of the service itself
    /// (\NAME=VALUE); a decimal or 0x number is a DWORD, anything else a string
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, SettingValue)>,
    /// Imports that are missing
    #[command(flatten)]
    pub stubs: Stubs,
    /// Device control request to a control device before the programs begin, the input in hexadecimal
    /// digits; repeat it to send several, in this order. The devices stay open until they have ended
    #[arg(long = "control", value_name = "DEVICE,CODE[,INPUT]", value_parser = parse_control)]
    pub controls: Vec<Control>,
    /// Seed of everything random: a run with the same seed decides alike
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// What is checked and what is injected: standard, all, none, or a list with commas of
    /// special-pool (each block on pages of its own, freed memory and freed requests are never used
    /// again), force-irql (paged pool and pageable code are inaccessible at DISPATCH_LEVEL; pool
    /// needs special-pool), pool-tracking (leaks), io (requests, devices, completion), deadlock
    /// (the order of locks), ddi (IRQL and pairing of calls), irp-logging (each request's history
    /// for reports); and three that are not in standard: fence (a driver that touches a request
    /// after it has given it away, though the request is still there; slow), low-resources (a
    /// share of the drivers' allocations fails once they are loaded), force-pending (every request
    /// below returns STATUS_PENDING and is completed elsewhere).
    /// A rule of `ntbox rules` is switched off with - before its name, as an option is
    /// (standard,-MdlState), and one that is not reported by default is switched on by its name
    #[arg(
        long,
        value_name = "standard|all|LIST",
        default_value = "standard",
        allow_hyphen_values = true
    )]
    pub verify: Options,
    /// The same run without any driver
    #[arg(long)]
    pub bare: bool,
    /// One JSON object on standard output instead of text
    #[arg(long)]
    pub json: bool,
    /// Seconds in which nothing need move; then the run is ended and says who waits for what. A debugger
    /// that stops the process does not count
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// Complete every request at once: no pending, no DISPATCH_LEVEL, no injected failure
    #[arg(long)]
    pub quiet: bool,
    /// Let the N-th call of the drivers fail that allocates, or is of the kinds of --failures
    #[arg(long, value_name = "N")]
    pub fail_allocation: Option<u64>,
    /// What fails where something is made to: memory, attach (IoAttachDevice…), open (ZwCreateFile, IoCreateFile,
    /// IoGetDeviceObjectPointer, …), name (ObQueryNameString), registry (keys and values that are read), or all
    #[arg(long, value_name = "KIND[,KIND…]|all", default_value = "memory")]
    pub failures: Kinds,
    /// Collect violations instead of ending with the first one: each rule that was broken with
    /// its count, and the report of its first time at each place. A fault or a bug check still ends the run.
    /// What is published as a warning is collected always, and makes no run unclean
    #[arg(long)]
    pub keep_going: bool,
    /// Let programs of this machine use the drivers meanwhile (`fsglass --connect ADDRESS`): a loopback
    /// address, such as 127.0.0.1:0, where 0 is any free port; standard error says which
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<String>,
}
