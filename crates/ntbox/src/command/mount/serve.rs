//! Mounting, serving and what is told at the end, where there is FUSE.

use super::options::MountOptions;
use crate::command::failure::Failure;
use crate::command::report::Report;
use crate::command::run::{self, volume_report};
use crate::command::watchdog::Watchdog;
use ntbox::file_system::adversary;
use ntbox::host;
use ntbox::io_manager::counters;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::processor::work;
use ntbox_mount::{End, Mounted, Refused};
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Serves the volume; true if the run was clean.
pub fn run(options: &MountOptions) -> Result<bool, Failure> {
    let shared = &options.shared;
    let usage = |refused: Refused| Failure::Usage(refused.to_string());
    let places = ntbox_mount::check(&options.directory, &options.mount_point);
    let (directory, mount_point) = places.map_err(usage)?;
    shared.start();
    let (volumes, drivers) = shared.load(vec![VolumeDescription {
        letter: 'C',
        host_directory: directory,
        kind: VolumeKind::Disk,
        mount: MountTiming::Before,
        recognized: false,
    }])?;
    let used = shared.open(&drivers, &volumes)?;
    let volume = volumes.first().map(|volume| volume.name());
    let before = counters::snapshot();
    let begun = Instant::now();
    let mounted = ntbox_mount::mount(
        &volume.unwrap_or_default(),
        &mount_point,
        options.threads as usize,
        &[OsStr::new("mount-watch")],
    )
    .map_err(|refused| Failure::Failed(refused.to_string()))?;
    let asked = mounted.asker();
    host::take_signals(move || {
        asked();
        true
    });
    eprintln!(
        "ntbox: {} is served at {}; Ctrl-C or umount ends it",
        options.directory.display(),
        options.mount_point.display()
    );
    let mut report = Report {
        command: "mount",
        seed: shared.seed,
        threads: options.threads,
        controls: used.answers.clone(),
        ..Report::default()
    };
    let watchdog = Watchdog::watching("serving programs", moving(&mounted));
    if let End::Failed(why) = serve(&mounted) {
        report.wrong.push(format!("the mount has failed: {why}"));
    }
    let ended = mounted.end();
    drop(watchdog);
    adversary::drain();
    work::drain();
    let sent = counters::snapshot().since(&before);
    report.fill_mount(&ended, begun.elapsed(), &sent);
    drop(used);
    report.volumes = volumes.iter().map(volume_report).collect();
    report.set_drivers(run::unload(drivers));
    Ok(run::tell(report, shared.json))
}

/// Waits for the end of a mount.
fn serve(mounted: &Mounted) -> End {
    let mut asked = false;
    loop {
        match mounted.next() {
            End::Asked if asked => return End::Asked,
            End::Asked if !mounted.unmount() => {
                asked = true;
                eprintln!(
                    "ntbox: programs use it still: it has left its place, and ends with the last file that is open \
                     there, or now when it is asked again"
                );
            }
            End::Asked => {}
            end => return end,
        }
    }
}

/// A number that stays the same while programs wait for what does not come to its end.
fn moving(mounted: &Mounted) -> impl Fn() -> u64 + Send + 'static {
    let busy = mounted.busy();
    let idle = AtomicU64::new(0);
    move || {
        if busy() == 0 {
            idle.fetch_add(1, Ordering::Relaxed);
        }
        idle.load(Ordering::Relaxed) + counters::snapshot().calls
    }
}
