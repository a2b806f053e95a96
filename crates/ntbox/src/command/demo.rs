//! `ntbox demo`: a real tree through a driver, every result compared with a bare run.

use super::arguments::DemoOptions;
use super::failure::Failure;
use super::machine::{self, Volume};
use super::report::Report;
use super::run::{
    begin_low_resources, configure, mix, mount, new_directory, perform, temporary_directory,
    unload, volume_report,
};
use super::watchdog;
use ntbox::file_system::adversary;
use ntbox::io_manager::counters;
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::workload::bench::{self, Extent};
use ntbox::workload::{Plan, Run, Workload, compare};
use std::path::Path;
use std::sync::Arc;

/// Rounds of the time measurement.
const ROUNDS: usize = 5;
/// Requests in a round.
const MEASURED: u64 = 1000;

/// The volumes: letters of the bare and of the filtered run, kind, timing.
const VOLUMES: [(char, char, VolumeKind, MountTiming); 5] = [
    ('G', 'C', VolumeKind::Disk, MountTiming::Before),
    ('H', 'D', VolumeKind::Disk, MountTiming::After),
    ('I', 'E', VolumeKind::Disk, MountTiming::Async),
    ('J', 'N', VolumeKind::Network, MountTiming::Before),
    ('K', 'R', VolumeKind::CdRom, MountTiming::After),
];

/// Runs it; true if there was no difference and no violation.
pub fn run(options: &DemoOptions) -> Result<bool, Failure> {
    machine::check_drivers(&options.drivers)?;
    let (source, plan) = plan(options)?;
    let plan = Arc::new(plan);
    let say = |text: String| {
        if options.json {
            eprintln!("{text}")
        } else {
            line!("{text}")
        }
    };
    say(format!(
        "{}: {} files in {} directories, {:.1} MiB, on {} volumes with {} threads, seed {}",
        source.display(),
        plan.files.len(),
        plan.directories.len(),
        plan.bytes() as f64 / f64::from(1 << 20),
        VOLUMES.len(),
        options.threads,
        options.seed
    ));
    configure(options.json, options.seed, options.verify, false);
    watchdog::configure(options.patience, options.json);
    machine::start();

    let workload = Workload::Both(Arc::clone(&plan), options.ops);
    let describe = |volumes: &[Volume]| Run {
        workload: workload.clone(),
        places: volumes
            .iter()
            .zip(VOLUMES)
            .map(|(volume, (_, letter, ..))| volume.place(format!("{letter}:")))
            .collect(),
        threads: options.threads,
        seed: options.seed,
        may_pend: false,
    };

    // The bare run, on volumes of its own.
    let bare_directory = temporary_directory()?;
    let bare_volumes = create(bare_directory.path(), source, |bare, _| bare, false)?;
    adversary::configure(options.seed, mix(false, options.verify));
    mount(&bare_volumes, |_| true)?;
    let bare = perform("bare", &describe(&bare_volumes), options.json);

    // The same under the drivers, on fresh volumes.
    let directory = temporary_directory()?;
    let volumes = create(directory.path(), source, |_, filtered| filtered, true)?;
    mount(&volumes, |timing| timing == MountTiming::Before)?;
    let mut settings = vec![("AllowUnload".to_owned(), SettingValue::Dword(1))];
    settings.extend(options.settings.iter().cloned());
    machine::add_stubs(&options.stubs)?;
    let drivers = machine::load(&options.drivers, &settings)?;
    begin_low_resources(options.verify, options.seed);
    mount(&volumes, |timing| timing != MountTiming::Before)?;
    adversary::configure(options.seed, mix(false, options.verify));
    let before = counters::snapshot();
    let filtered = perform("filtered", &describe(&volumes), options.json);
    let sent = counters::snapshot().since(&before);

    let mut report = Report {
        command: "demo",
        seed: options.seed,
        threads: options.threads,
        ..Report::default()
    };
    report.fill(&filtered, &sent);
    report.bare_milliseconds = Some(bare.elapsed.as_millis() as u64);
    report.add_differences(&compare(&bare.logs, &filtered.logs));
    report
        .wrong
        .extend(bare.wrong.iter().map(|wrong| format!("bare run: {wrong}")));
    report.volumes = volumes.iter().map(volume_report).collect();

    adversary::configure(options.seed, adversary::Mix::quiet());
    report.measured = bench::calls::calls(
        &format!("{}\\measured", volumes[0].name()),
        Extent {
            rounds: ROUNDS,
            requests: MEASURED,
            threads: 1,
        },
    )?;

    let name = drivers
        .first()
        .map_or_else(|| "ntbox".to_owned(), |driver| driver.service.clone());
    report.set_drivers(unload(drivers));
    report.stubs = ntbox::exports::stub::notes();
    // What the driver leaves behind works without it.
    mount(&volumes, |_| true)?;

    if options.json {
        line!("{}", report.json());
    } else {
        super::print(&report.text());
    }
    let last = format!(
        "{name}: {} requests, {} files, {} differences, {} violations",
        report.requests,
        report.files,
        report.difference_count(),
        report.violations
    );
    say(last);
    Ok(report.is_clean())
}

/// The tree to copy: the source, or the fallback when it is too small.
fn plan(options: &DemoOptions) -> Result<(&Path, Plan), Failure> {
    let mut found = Vec::new();
    for source in std::iter::once(&options.source).chain(&options.fallback) {
        match Plan::scan(source, options.files.max(options.at_least), options.largest) {
            Ok(plan) if plan.files.len() >= options.at_least => return Ok((source, plan)),
            Ok(plan) => found.push(format!(
                "{} has {} files",
                source.display(),
                plan.files.len()
            )),
            Err(error) => found.push(format!("{error:#}")),
        }
    }
    Err(Failure::Usage(format!(
        "{}; the tree must have {} (--at-least); name another one with --source DIR",
        found.join(", "),
        options.at_least
    )))
}

/// Creates the volumes of a run below `directory`; the CD-ROM shows the source tree itself.
/// With `recognized` one of them belongs to the recognizer until its file system is loaded.
fn create(
    directory: &Path,
    source: &Path,
    letter: impl Fn(char, char) -> char,
    recognized: bool,
) -> Result<Vec<Volume>, Failure> {
    VOLUMES
        .iter()
        .map(|(bare, filtered, kind, timing)| {
            let letter = letter(*bare, *filtered);
            let host_directory = if *kind == VolumeKind::CdRom {
                source.to_path_buf()
            } else {
                new_directory(directory, *filtered)?
            };
            // The volume mounted after the drivers brings its file system in under them.
            let recognized =
                recognized && *kind == VolumeKind::Disk && *timing == MountTiming::After;
            let description = VolumeDescription {
                letter,
                host_directory,
                kind: *kind,
                mount: *timing,
                recognized,
            };
            Ok(Volume::create(description))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_demo_has_the_volumes_it_promises() {
        let timings = |wanted| {
            VOLUMES
                .iter()
                .filter(|volume| volume.3 == wanted && volume.2 == VolumeKind::Disk)
                .count()
        };
        assert_eq!(
            (
                timings(MountTiming::Before),
                timings(MountTiming::After),
                timings(MountTiming::Async)
            ),
            (1, 1, 1)
        );
        assert!(VOLUMES.iter().any(|volume| volume.2 == VolumeKind::Network));
        let letters: HashSet<char> = VOLUMES
            .iter()
            .flat_map(|volume| [volume.0, volume.1])
            .collect();
        assert_eq!(letters.len(), VOLUMES.len() * 2);
    }
}
