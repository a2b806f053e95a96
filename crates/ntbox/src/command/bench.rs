//! `ntbox bench`.

use super::arguments::BenchOptions;
use super::failure::Failure;
use super::machine::{self, Volume};
use super::observation_cost;
use super::report::duration;
use super::run::temporary_directory;
use super::verify_cost;
use ntbox::file_system::adversary::{self, Mix};
use ntbox::host::memory;
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::pe_image::Image;
use ntbox::verifier;
use ntbox::workload::bench::count::Work;
use ntbox::workload::bench::{self, Extent, Measured};
use serde::Serialize;

/// The volume of the file system that does nothing.
const NOTHING: char = 'B';
/// A volume of hostfs.
const FILES: char = 'C';
/// Requests by hand for each whole call: a call takes so much longer.
const CALL_WEIGHT: u64 = 20;

/// What was measured, and how.
#[derive(Serialize)]
struct Output {
    /// The services, the lowest first.
    drivers: Vec<String>,
    settings: Vec<String>,
    verify: String,
    measured: Vec<Measured>,
    /// Resident memory of the process before and after the measurements, in KiB.
    resident: [usize; 2],
    /// What each driver does for a request driven by hand; empty where that cannot be counted.
    work: Vec<DriverWork>,
    /// The same for a read by fast I/O; empty as well where a driver takes none.
    fast_io_work: Vec<DriverWork>,
}

#[derive(Serialize)]
struct DriverWork {
    driver: String,
    #[serde(flatten)]
    work: Work,
}

/// Measures; always true.
pub fn run(options: &BenchOptions) -> Result<bool, Failure> {
    machine::check_drivers(&options.drivers)?;
    if options.verify_cost {
        return verify_cost::run(options);
    }
    // Before anything is allocated.
    verifier::configure(verifier::Configuration {
        options: options.verify,
        ..verifier::Configuration::default()
    });
    machine::start();
    adversary::configure(1, Mix::quiet());
    bench::device::claim(NOTHING);
    let directory = temporary_directory()?;
    let volume = |letter| {
        Volume::create(VolumeDescription {
            letter,
            host_directory: directory.path().to_path_buf(),
            kind: VolumeKind::Disk,
            mount: MountTiming::After,
            recognized: false,
        })
    };
    let path = |letter| format!("{}\\file", volume(letter).name());
    let (nothing, files) = (path(NOTHING), path(FILES));
    let mut settings = options.settings.clone();
    if options.observe {
        settings.insert(0, observation_cost::setting());
    }
    machine::add_stubs(&options.stubs)?;
    let drivers = machine::load(&options.drivers, &settings)?;
    let resident = || memory::resident().unwrap_or_default() / 1024;
    if options.observe {
        return observation_cost::run(options, &nothing);
    }
    let (mut measured, before) = (Vec::new(), resident());
    for threads in &options.threads {
        let extent = |requests| Extent {
            rounds: options.rounds as usize,
            requests,
            threads: usize::from(*threads),
        };
        measured.push(bench::by_hand::pass_through(
            &nothing,
            extent(options.requests),
        )?);
        measured.push(bench::by_hand::fast_io(&nothing, extent(options.requests))?);
        measured.push(bench::by_hand::new_requests(
            &nothing,
            extent(options.requests),
        )?);
        if options.by_hand {
            continue;
        }
        measured.extend(bench::calls::calls(
            &files,
            extent(options.requests.div_ceil(CALL_WEIGHT)),
        )?);
    }
    let output = Output {
        drivers: drivers
            .iter()
            .map(|driver| driver.service.clone())
            .collect(),
        settings: options
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        verify: options.verify.to_string(),
        measured,
        resident: [before, resident()],
        work: work_of(options, &drivers, || bench::by_hand::work(&nothing))?,
        fast_io_work: work_of(options, &drivers, || {
            // Without the entry the I/O manager sends a request.
            Ok(bench::by_hand::fast_io_work(&nothing).unwrap_or_default())
        })?,
    };
    if options.json {
        let json = serde_json::to_string_pretty(&output).map_err(anyhow::Error::from)?;
        line!("{json}");
    } else {
        print_times(&output);
        print_work("the request driven by hand", &output.work);
        print_work("the read by fast I/O", &output.fast_io_work);
    }
    Ok(true)
}

/// In the order of the drivers on the command line.
fn work_of(
    options: &BenchOptions,
    drivers: &[machine::LoadedDriver],
    count: impl FnOnce() -> anyhow::Result<Vec<(&'static Image, Work)>>,
) -> Result<Vec<DriverWork>, Failure> {
    let counted = if cfg!(target_os = "linux") && !options.by_hand {
        count()?
    } else {
        Vec::new()
    };
    let of = |driver: &machine::LoadedDriver| {
        let (_, work) = counted.iter().find(|(image, _)| driver.has_image(image))?;
        Some(DriverWork {
            driver: driver.service.clone(),
            work: work.clone(),
        })
    };
    Ok(drivers.iter().filter_map(of).collect())
}

fn print_times(output: &Output) {
    let rounds = output.measured.first().map_or(0, |first| first.rounds);
    line!(
        "Time of one request, median of {rounds} interleaved rounds over the same bottom device, verifier: {}",
        output.verify
    );
    line!(
        "A driver's column is what it adds to the levels below it, and how many times the bare stack that makes"
    );
    if !output.settings.is_empty() {
        line!("Settings: {}", output.settings.join(", "));
    }
    let mut header = format!("{:<46} {:>7} {:>10}", "", "threads", "bare");
    for driver in &output.drivers {
        header += &format!(" {driver:>20}");
    }
    line!("{header}");
    for measured in &output.measured {
        let mut row = format!(
            "{:<46} {:>7} {:>10}",
            measured.what,
            measured.threads,
            duration(measured.bare())
        );
        for pair in measured.levels.windows(2) {
            let cost = pair[1] - pair[0];
            let ratio = (measured.bare() + cost) / measured.bare();
            row += &format!(" {:>12} {ratio:>6.2}x", duration(cost));
        }
        line!("{row}");
    }
    let [before, after] = output.resident;
    line!("Resident memory {before} KiB before, {after} KiB after");
}

fn print_work(what: &str, work: &[DriverWork]) {
    if work.is_empty() {
        return;
    }
    let list = |counts: &std::collections::BTreeMap<String, usize>| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if parts.is_empty() {
            "none".to_owned()
        } else {
            parts.join(", ")
        }
    };
    line!("\nWhat a driver does for {what}, counted instruction by instruction");
    for DriverWork { driver, work } in work {
        line!("{driver}");
        line!("  instructions    {}", work.instructions);
        line!("  interlocked     {}", work.locked);
        line!("  shared writes   {}", list(&work.shared_writes));
        line!("  kernel calls    {}", list(&work.calls));
        line!("  stack           {} bytes", work.stack);
    }
}
