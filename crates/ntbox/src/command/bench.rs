//! `ntbox bench`.

use super::Failure;
use super::arguments::BenchOptions;
use super::machine::{self, Volume};
use super::report::duration;
use super::run::temporary_directory;
use ntbox::file_system::adversary::{self, Mix};
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::workload::{bench, bench_device};
use ntbox::{pool, verifier};
use serde::Serialize;

/// The volume of the file system that does nothing.
const NOTHING: char = 'B';
/// A volume of hostfs.
const FILES: char = 'C';

/// What was measured, and how.
#[derive(Serialize)]
struct Output {
    drivers: Vec<String>,
    checks: bool,
    guarded_pages: bool,
    measured: Vec<bench::Measured>,
}

/// Measures; always true.
pub fn run(options: &BenchOptions) -> Result<bool, Failure> {
    machine::check_drivers(&options.drivers)?;
    // Before anything is allocated.
    pool::set_guarded(false);
    verifier::configure(verifier::Configuration {
        checks: false,
        ..verifier::Configuration::default()
    });
    machine::start();
    adversary::configure(1, Mix::quiet());
    bench_device::claim(NOTHING);
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
    let (nothing, files) = (volume(NOTHING), volume(FILES));
    let drivers = machine::load(&options.drivers, &options.settings)?;
    let rounds = options.rounds as usize;
    let mut measured = vec![bench::pass_through(
        &format!("{}\\file", nothing.name()),
        rounds,
        options.requests,
    )?];
    measured.extend(bench::calls(
        &format!("{}\\file", files.name()),
        rounds,
        options.requests.div_ceil(20),
    )?);
    let output = Output {
        drivers: drivers
            .iter()
            .map(|driver| driver.facts.path.clone())
            .collect(),
        checks: false,
        guarded_pages: false,
        measured,
    };
    if options.json {
        let json = serde_json::to_string_pretty(&output).map_err(anyhow::Error::from)?;
        line!("{json}");
        return Ok(true);
    }
    line!(
        "{} over the same bottom device, {rounds} interleaved rounds, median",
        output.drivers.join(" over ")
    );
    line!(
        "{:<58} {:>10} {:>10} {:>10} {:>7}",
        "",
        "bare",
        "filtered",
        "cost",
        "ratio"
    );
    for line in &output.measured {
        line!(
            "{:<58} {:>10} {:>10} {:>10} {:>6.2}x",
            line.what,
            duration(line.bare_ns),
            duration(line.filtered_ns),
            duration(line.filtered_ns - line.bare_ns),
            line.ratio
        );
    }
    Ok(true)
}
