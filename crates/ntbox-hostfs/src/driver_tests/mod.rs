//! Tests of the drivers: a program's calls go through the I/O manager to the
//! file system, without a filter, under every choice of the adversary.

#![expect(unsafe_code, reason = "file objects are looked at")]

mod caching;
mod choices;
mod devices;
mod media;
mod names;
mod oplocks;
mod paging;
mod removal;
mod reparse;
mod waiting;

use crate::adversary::{self, CONFIGURED, Mix};
use ntbox_kernel::io_manager::identity;
use ntbox_kernel::io_manager::mount;
use ntbox_kernel::io_manager::storage::{self, MountTiming, VolumeDescription, VolumeKind};
use ntbox_kernel::nt::*;
use ntbox_kernel::processor::handle;
use ntbox_kernel::processor::{thread, work};
use ntbox_kernel::user::access::{DELETE, FILE_READ_ATTRIBUTES, READ, SYNCHRONIZE, WRITE};
use ntbox_kernel::user::locks::Range;
use ntbox_kernel::user::{CreateParameters, File, Outcome, create_file, query_attributes};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, OnceLock, PoisonError};
use windows_sys::Win32::System::Ioctl::{FSCTL_DISMOUNT_VOLUME, FSCTL_REQUEST_OPLOCK_LEVEL_1};

const SYNCHRONOUS: u32 = FILE_SYNCHRONOUS_IO_NONALERT;
const RIGHTS: u32 = READ | WRITE | DELETE | SYNCHRONIZE;

/// Shares of the mixes that make one choice always.
fn mixes() -> Vec<Mix> {
    let all = 1000;
    vec![
        Mix::quiet(),
        Mix {
            at_dispatch: all,
            decline_fast_io: all,
            ..Mix::quiet()
        },
        Mix {
            pend: all,
            decline_fast_io: all,
            ..Mix::quiet()
        },
        Mix {
            pend_at_dispatch: all,
            decline_fast_io: all,
            ..Mix::quiet()
        },
        Mix {
            other_thread: all,
            decline_fast_io: all,
            ..Mix::quiet()
        },
        Mix {
            other_thread_at_dispatch: all,
            decline_fast_io: all,
            ..Mix::quiet()
        },
        Mix::default(),
    ]
}

struct Volumes {
    disk: (PathBuf, usize),
    /// Whose files stay.
    cached: PathBuf,
    network: PathBuf,
    late: PathBuf,
    cd: PathBuf,
    lost: (PathBuf, usize),
}

fn description(
    letter: char,
    host_directory: &Path,
    kind: VolumeKind,
    mount: MountTiming,
) -> VolumeDescription {
    VolumeDescription {
        letter,
        host_directory: host_directory.to_owned(),
        kind,
        mount,
        recognized: false,
    }
}

/// The volumes of all tests here: the box has one kernel, and names are given once.
fn volumes() -> &'static Volumes {
    static VOLUMES: OnceLock<Volumes> = OnceLock::new();
    VOLUMES.get_or_init(|| {
        crate::start();
        let folder = || tempfile::tempdir().unwrap().keep();
        let new = |letter, kind, mount| {
            let folder = folder();
            let device = storage::create(description(letter, &folder, kind, mount));
            (folder, device as usize)
        };
        let network = folder();
        crate::add_network_volume(description(
            'N',
            &network,
            VolumeKind::Network,
            MountTiming::After,
        ));
        Volumes {
            disk: new('H', VolumeKind::Disk, MountTiming::Before),
            cached: new('C', VolumeKind::Disk, MountTiming::Before).0,
            network,
            late: new('J', VolumeKind::Removable, MountTiming::Async).0,
            cd: new('K', VolumeKind::CdRom, MountTiming::After).0,
            lost: new('L', VolumeKind::Disk, MountTiming::After),
        }
    })
}

/// One test at a time, as user thread 1, with a mix.
fn turn(mix: Mix) -> (MutexGuard<'static, ()>, &'static Volumes) {
    let alone = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
    let volumes = volumes();
    settle(mix);
    identity::begin_thread(1);
    (alone, volumes)
}

fn settle(mix: Mix) {
    adversary::drain();
    work::drain();
    adversary::configure(11, mix);
}

fn open_with(name: &str, access: u32, disposition: u32, options: u32) -> Result<File, NTSTATUS> {
    let parameters = CreateParameters::new(name)
        .access(access)
        .disposition(disposition)
        .options(options);
    let opened = create_file(&parameters);
    opened.file.ok_or(opened.outcome.status)
}

fn open(name: &str, disposition: u32, options: u32) -> File {
    open_with(name, RIGHTS, disposition, options)
        .unwrap_or_else(|status| panic!("{name}: {}", Status(status)))
}

#[track_caller]
fn succeeded(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.status, STATUS_SUCCESS, "{}", outcome.status());
    outcome
}

fn file_object(file: &File) -> &'static FILE_OBJECT {
    let object = handle::object_of_handle(file.handle()).unwrap();
    // SAFETY: the handle keeps the object.
    unsafe { &*object.cast::<FILE_OBJECT>() }
}
