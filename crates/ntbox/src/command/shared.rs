//! What runs and mounts have in common: the box, its drivers, and how they are checked.

use super::arguments::Stubs;
use super::clients::Clients;
use super::control::{self, Answer, Control, parse_control};
use super::failure::Failure;
use super::machine::{self, LoadedDriver, Volume};
use super::parse::parse_setting;
use super::run;
use super::watchdog::{self, PATIENCE};
use clap::Args;
use ntbox::file_system::adversary;
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription};
use ntbox::pool::failure::{self, Kinds};
use ntbox::user::File;
use ntbox::verifier::Options;
use std::path::PathBuf;

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

impl SharedOptions {
    /// Checks what the command line says, before anything is begun.
    pub fn check(&self) -> Result<(), Failure> {
        if self.drivers.is_empty() && !self.bare {
            return Err(Failure::Usage(
                "name a driver with --driver PATH, or run without one with --bare".to_owned(),
            ));
        }
        machine::check_drivers(&self.drivers)
    }

    /// Starts the kernel as the options have it.
    pub fn start(&self) {
        run::configure(self.json, self.seed, self.verify, self.keep_going);
        watchdog::configure(self.patience, self.json);
        machine::start();
        adversary::configure(self.seed, run::mix(self.quiet, self.verify));
    }

    /// Makes the volumes, and loads the drivers between those that are mounted before and after.
    pub fn load(
        &self,
        descriptions: Vec<VolumeDescription>,
    ) -> Result<(Vec<Volume>, Vec<LoadedDriver>), Failure> {
        let volumes: Vec<Volume> = descriptions.into_iter().map(Volume::create).collect();
        run::mount(&volumes, |timing| timing == MountTiming::Before)?;
        failure::choose(self.failures);
        if let Some(number) = self.fail_allocation {
            failure::fail_nth(number);
        }
        let (paths, symbols) = if self.bare {
            (&[][..], &[][..])
        } else {
            (&self.drivers[..], &self.symbols[..])
        };
        machine::add_stubs(&self.stubs)?;
        let drivers = machine::with_symbols(symbols, || machine::load(paths, &self.settings))?;
        run::begin_low_resources(self.verify, self.seed);
        run::despite_failures(self.verify, self.seed, || {
            run::mount(&volumes, |timing| timing != MountTiming::Before)
        })?;
        Ok((volumes, drivers))
    }

    /// Tells the drivers what they are to be told, and lets programs of the host use them.
    pub fn open(&self, drivers: &[LoadedDriver], volumes: &[Volume]) -> Result<Used, Failure> {
        let (answers, told) = control::send(&self.controls)?;
        let clients = match &self.client {
            Some(address) => Some(Clients::serve(
                address,
                machine::of_clients(drivers, volumes),
            )?),
            None => None,
        };
        if let Some(clients) = &clients {
            eprintln!("ntbox: clients are served at {}", clients.address());
        }
        Ok(Used {
            answers,
            _clients: clients,
            _told: told,
        })
    }
}

/// The drivers in use by others than the workload. Their handles would keep the drivers: it goes before they do.
pub struct Used {
    /// What control devices answered.
    pub answers: Vec<Answer>,
    _clients: Option<Clients>,
    _told: Vec<File>,
}
