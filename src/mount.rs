//! Mounting of volumes and loading of file systems: the requests that bring new devices.
//!
//! Attaching needs PASSIVE_LEVEL, so it is never done in a completion routine
//! (A6): the dispatch routine waits for the request where its thread may wait,
//! and leaves the rest to a work item where it may not.
//!
//! The entries are `#[cold]`, so that the way of almost every request keeps
//! the few registers and the small frame that it needs.

use crate::glass::Glass;
use crate::observe::{Observation, requests};
use crate::pass_through;
use crate::volumes;
use wdm::driver::Driver;
use wdm::irp::{Came, Disposition, Irp, MountedVolume, PendedIrp, PendedWork, Resumed};
use wdm::irql::{AtMostApc, Passive};
use wdm::pool::NonPagedBox;
use wdm::status::Status;

/// IRP_MN_MOUNT_VOLUME (A6): waited for where the thread may wait (D3).
#[cold]
pub fn mount_volume<'d>(irp: Irp<'d, Glass>, level: &mut AtMostApc) -> Disposition<'d> {
    let observation = Observation::begin(&irp, level);
    let Some(level) = level.passive() else {
        return irp.pend_and_forward(Mounted { observation }, level);
    };
    let returned = irp.forward_and_wait(level);
    let came = returned.came();
    ended(returned.driver(), observation, &came, level);
    attach_after_mount(returned.driver(), returned.mounted(), level);
    returned.resume(level)
}

/// The rest of a mount whose thread could not wait.
struct Mounted {
    observation: Option<NonPagedBox<Observation>>,
}

impl PendedWork<Glass> for Mounted {
    fn run<'w>(self, irp: PendedIrp<'w, Glass>, level: &mut Passive) -> Resumed<'w> {
        let came = irp.came();
        ended(irp.driver(), self.observation, &came, level);
        attach_after_mount(irp.driver(), irp.mounted(), level);
        irp.resume(level)
    }
}

/// A request that this driver finishes itself has come back.
fn ended(
    driver: &Driver<Glass>,
    observation: Option<NonPagedBox<Observation>>,
    came: &Came,
    level: &mut Passive,
) {
    if let Some(observation) = observation {
        let level = level.at_most_apc().at_most_dispatch();
        requests::end(observation, driver, came, level);
    }
}

/// Attaches to what a mount, which has come back and is not resumed, has mounted.
fn attach_after_mount(driver: &Driver<Glass>, mounted: Option<MountedVolume>, level: &mut Passive) {
    if let Some(MountedVolume { volume, storage }) = mounted {
        volumes::attach_to_volume(driver, &volume, &storage, level);
    }
}

/// IRP_MN_LOAD_FILE_SYSTEM: the recognizer's control device goes away when the file system has
/// been loaded, so this driver lets go of it first, and comes back if loading failed (A7).
#[cold]
pub fn load_file_system<'d>(irp: Irp<'d, Glass>, level: &mut AtMostApc) -> Disposition<'d> {
    let Some(level) = level.passive() else {
        // Sent at PASSIVE_LEVEL only; elsewhere the attachment simply stays.
        return pass_through::pass_through(irp, level);
    };
    let recognizer = irp.lower().reference();
    irp.driver().detach_from(&recognizer, level);
    let observation = Observation::begin(&irp, level.at_most_apc());
    let returned = irp.forward_and_wait(level);
    let came = returned.came();
    ended(returned.driver(), observation, &came, level);
    if !came.status.is_success() && came.status != Status::IMAGE_ALREADY_LOADED {
        volumes::attach_to_file_system(returned.driver(), &recognizer, level);
    }
    returned.resume(level)
}
