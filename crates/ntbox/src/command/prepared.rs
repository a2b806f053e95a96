//! The box as the options of a run or a mount have it: started, its volumes and drivers there, in use by others.

use super::clients::Clients;
use super::control::{self, Answer};
use super::failure::Failure;
use super::machine::{self, LoadedDriver, Volume};
use super::run;
use super::shared::SharedOptions;
use super::watchdog;
use ntbox::file_system::adversary;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription};
use ntbox::pool::failure;
use ntbox::user::File;

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
