//! The driver's own state: each part knows itself only, and who uses it finds it here through the driver.

use crate::file_system_list::FileSystems;
use crate::observe::Observer;
use crate::policy::Policy;
use crate::settings::Settings;
use crate::unfiltered::Unfiltered;
use wdm::status::Status;
use wdm::time;

/// The driver's own state.
pub struct Glass {
    /// The settings of this run.
    pub settings: Settings,
    /// When the driver started: 100 ns since 1601.
    pub started: u64,
    /// The file systems that there are.
    pub file_systems: FileSystems,
    /// What stays unfiltered, and why.
    pub unfiltered: Unfiltered,
    /// What is observed.
    pub observer: Observer,
}

impl Glass {
    /// A driver that begins to run with `settings`.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new(settings: Settings) -> Result<Self, Status> {
        Ok(Self {
            started: time::now(),
            observer: Observer::new(&settings)?,
            settings,
            file_systems: FileSystems::new()?,
            unfiltered: Unfiltered::new()?,
        })
    }

    /// What is filtered.
    pub const fn policy(&self) -> Policy {
        self.settings.policy
    }
}
