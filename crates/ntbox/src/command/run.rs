//! `ntbox run`.

use super::arguments::{RunOptions, WorkloadChoice};
use super::every_failure;
use super::failure::Failure;
use super::machine::{self, LoadedDriver, Volume};
use super::progress::Display;
use super::report::{DriverReport, Report, VolumeReport};
use super::watchdog::Watchdog;
use ntbox::exports;
use ntbox::file_system::adversary::Mix;
use ntbox::host::file::Temporary;
use ntbox::io_manager::counters;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::pool::failure;
use ntbox::verifier::{self, Options, collected};
use ntbox::workload::{self, Plan, Progress, Run, RunResult, Workload, worker::INJECTED};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files larger than this are left out of a copy.
const LARGEST: u64 = 16 << 20;

/// Runs it; true if it was clean.
pub fn run(options: &RunOptions) -> Result<bool, Failure> {
    let shared = &options.shared;
    shared.check()?;
    machine::check_volumes(&options.volumes)?;
    if options.every_failure {
        return every_failure::run(options);
    }
    let workload = match &options.workload {
        WorkloadChoice::Random => Workload::Random(options.ops),
        WorkloadChoice::Copy(source) => {
            let plan = Plan::scan(source, options.files, LARGEST)
                .map_err(|error| Failure::Usage(format!("--workload: {error:#}")))?;
            Workload::Copy(Arc::new(plan))
        }
    };
    shared.start();

    let own;
    let descriptions = if options.volumes.is_empty() {
        own = temporary_directory()?;
        let volume = |letter, kind, mount| {
            Ok::<_, Failure>(VolumeDescription {
                letter,
                host_directory: new_directory(own.path(), letter)?,
                kind,
                mount,
                recognized: false,
            })
        };
        // One with direct I/O that is there already, one without that the drivers see being mounted.
        vec![
            volume('C', VolumeKind::Disk, MountTiming::Before)?,
            volume('D', VolumeKind::Removable, MountTiming::After)?,
        ]
    } else {
        options.volumes.clone()
    };
    if options.call_sites.is_some() || !options.fail_at.is_empty() {
        failure::call_sites::watch(&options.fail_at, options.call_sites.as_deref())
            .map_err(|error| Failure::Failed(format!("--call-sites: {error}")))?;
    }
    let (volumes, drivers) = shared.load(descriptions)?;

    let places = volumes
        .iter()
        .map(|volume| volume.place(volume.name()))
        .collect();
    let plan = Run {
        workload,
        places,
        threads: options.threads,
        seed: shared.seed,
        may_pend: options.may_pend,
    };
    let used = shared.open(&drivers, &volumes)?;
    if options.paced {
        wait_for_line()?;
    }
    let before = counters::snapshot();
    let result = perform("run", &plan, shared.json);
    let sent = counters::snapshot().since(&before);

    let mut report = Report {
        command: "run",
        seed: shared.seed,
        threads: options.threads,
        controls: used.answers.clone(),
        ..Report::default()
    };
    report.fill(&result, &sent);
    if options.paced {
        eprintln!("ntbox: the workload has ended");
        while wait_for_line()? {}
    }
    drop(used);
    report.volumes = volumes.iter().map(volume_report).collect();
    if let Some(path) = &options.log {
        write_log(path, &result)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    let mut watches = Vec::new();
    if options.outstanding {
        for volume in &volumes {
            let watch = || volume.watch();
            watches.push(despite_failures(shared.verify, shared.seed, watch)?);
        }
    }
    let hurry = options.outstanding.then(machine::hurry);
    report.set_drivers(unload(drivers));
    drop(hurry);
    for watch in watches {
        watch.end()?;
    }
    Ok(tell(report, shared.json))
}

/// Prints a report when the drivers have gone; true if it is clean.
pub fn tell(mut report: Report, json: bool) -> bool {
    report.stubs = exports::stub::notes();
    report.set_violations(collected::so_far());
    if json {
        line!("{}", report.json());
    } else {
        super::print(&report.text());
    }
    report.is_clean()
}

/// Waits for a line on standard input: false if that has ended.
fn wait_for_line() -> Result<bool, Failure> {
    let read = std::io::stdin().read_line(&mut String::new());
    let bytes = read.map_err(|error| Failure::Failed(format!("standard input: {error}")))?;
    Ok(bytes != 0)
}

/// Every recorded result as a line.
fn write_log(path: &Path, result: &RunResult) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for log in &result.logs {
        for (ordinal, entry) in log.entries().iter().enumerate() {
            writeln!(file, "{} {} {}", log.thread, ordinal + 1, log.line(entry))?;
        }
    }
    file.flush()
}

/// Tells the verifier how to report.
pub fn configure(json: bool, seed: u64, options: Options, keep_going: bool) {
    verifier::configure(verifier::Configuration {
        json,
        seed,
        replay: super::command_line(),
        options,
        keep_going,
    });
}

/// The same for a process that another one has started: `replay` is that one's command.
pub fn configure_replay(options: Options, seed: u64, replay: String, keep_going: bool) {
    verifier::configure(verifier::Configuration {
        json: false,
        keep_going,
        seed,
        replay,
        options,
    });
}

/// From here on a share of the drivers' allocations fails, if that is wanted. A driver that
/// cannot be loaded without memory is no finding; what it does then, `--every-failure` shows.
pub fn begin_low_resources(options: Options, seed: u64) {
    if options.contains(Options::LOW_RESOURCES) {
        failure::fail_share(failure::LOW_RESOURCES, seed);
    }
}

/// How often something is tried again that a failure may have been injected into.
const TRIES: u32 = 10;

/// Does what the run cannot go on without, again where a failure was injected meanwhile: at last without any.
pub fn despite_failures<R>(
    options: Options,
    seed: u64,
    attempt: impl Fn() -> Result<R, Failure>,
) -> Result<R, Failure> {
    for _ in 0..TRIES {
        let before = failure::failures();
        match attempt() {
            Err(_) if failure::failures() != before => (),
            result => return result,
        }
    }
    failure::fail_share(0, seed);
    let result = attempt();
    begin_low_resources(options, seed);
    result
}

/// How the file system treats requests.
pub fn mix(quiet: bool, options: Options) -> Mix {
    let mix = if quiet {
        Mix::quiet()
    } else {
        Mix {
            fail: 20,
            fail_with: INJECTED.to_vec(),
            ..Mix::default()
        }
    };
    if options.contains(Options::FORCE_PENDING) {
        mix.force_pending()
    } else {
        mix
    }
}

/// Mounts the volumes of the timings that are wanted.
pub fn mount(volumes: &[Volume], wanted: impl Fn(MountTiming) -> bool) -> Result<(), Failure> {
    let _watchdog = Watchdog::start("mounting the volumes");
    volumes
        .iter()
        .filter(|volume| wanted(volume.description.mount))
        .try_for_each(Volume::mount)
}

/// Runs a workload and shows its progress, unless it is for a program to read (`json`).
pub fn perform(title: &str, run: &Run, json: bool) -> RunResult {
    let progress: Arc<Progress> = Arc::default();
    let _watchdog = Watchdog::start(title);
    let _display = Display::start(title, &progress, json);
    workload::run(run, &progress)
}

/// An empty directory that goes with the command.
pub fn temporary_directory() -> Result<Temporary, Failure> {
    Temporary::new()
        .map_err(|error| Failure::Failed(format!("cannot make a temporary directory: {error}")))
}

/// An empty directory for a volume. Its name is the volume's label: it is the same in every run.
pub fn new_directory(parent: &Path, letter: char) -> Result<PathBuf, Failure> {
    let own = parent.join(letter.to_string());
    std::fs::create_dir(&own)
        .map_err(|error| Failure::Failed(format!("{}: {error}", own.display())))?;
    Ok(own)
}

/// A volume with its stack as it is now.
pub fn volume_report(volume: &Volume) -> VolumeReport {
    let description = &volume.description;
    VolumeReport {
        letter: description.letter,
        kind: format!("{:?}", description.kind).to_lowercase(),
        mount: match description.mount {
            MountTiming::Before => "before the drivers were loaded",
            MountTiming::After => "after the drivers were loaded",
            MountTiming::Async => "after the drivers were loaded, asynchronously",
        }
        .to_owned(),
        host: description.host_directory.display().to_string(),
        stack: volume.stack(),
    }
}

/// Unloads the drivers and says how that went.
pub fn unload(drivers: Vec<LoadedDriver>) -> Vec<DriverReport> {
    let images: Vec<_> = drivers
        .iter()
        .map(|driver| {
            (
                driver.service.clone(),
                driver.facts.clone(),
                driver.stack_use(),
            )
        })
        .collect();
    let outcomes = machine::unload(drivers);
    images
        .into_iter()
        .zip(outcomes)
        .map(|((service, image, stack), (_, outcome))| DriverReport {
            service,
            image,
            unload: Some(outcome),
            stack,
        })
        .collect()
}
