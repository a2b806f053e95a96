//! `ntbox diff --systematic`: all in one process, the bare stack first.

use super::super::failure::Failure;
use super::super::machine::{self, LoadedDriver, Volume};
use super::super::progress::Display;
use super::super::run::{configure, new_directory, temporary_directory};
use super::super::watchdog::{self, Watchdog};
use super::options::DiffOptions;
use super::report::left_out;
use ntbox::io_manager::completion_states::{self, Ended, STATES, State};
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::verifier::collected::{self, Collected};
use ntbox::workload::Progress;
use ntbox::workload::systematic::{self, All, Request, combinations, compare, programs};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Differences that are shown.
const SHOWN: usize = 5;

/// What was covered, and what differed.
#[derive(Debug, Default, Serialize)]
struct Report {
    command: &'static str,
    /// Requests of a program at most.
    requests: u32,
    /// Programs.
    programs: usize,
    /// Combinations of choices that there are for them.
    possible: usize,
    sides: Vec<Side>,
    /// The stack that cannot be, and why.
    left_out: Vec<(String, String)>,
    /// States that there are.
    possible_states: usize,
    /// Those that the drivers' completion routines have seen, with how often.
    states: Vec<(State, u64)>,
    /// The first ones.
    differences: Vec<String>,
    difference_count: usize,
    /// A driver that cannot be unloaded.
    kept: Vec<String>,
    /// What was collected: a violation ends the run with a report of its own unless it keeps going.
    collected: Vec<Collected>,
    violations: u64,
}

/// One pass over all combinations.
#[derive(Debug, Serialize)]
struct Side {
    title: String,
    /// Devices of the volume, top to bottom.
    stack: Vec<String>,
    /// Combinations carried out.
    combinations: usize,
    milliseconds: u64,
}

/// Runs it; true if all passes were equal.
pub fn run(options: &DiffOptions) -> Result<bool, Failure> {
    configure(
        options.json,
        options.seed,
        options.verify,
        options.keep_going,
    );
    watchdog::configure(options.patience, options.json);
    machine::start();
    let directory = temporary_directory()?;
    let volume = Volume::create(VolumeDescription {
        letter: 'C',
        host_directory: new_directory(directory.path(), 'C')?,
        kind: VolumeKind::Disk,
        mount: MountTiming::Before,
        recognized: false,
    });
    volume.mount()?;
    let all: Vec<Vec<Request>> = (1..=options.requests as usize).flat_map(programs).collect();
    let mut report = Report {
        command: "diff --systematic",
        requests: options.requests,
        programs: all.len(),
        possible: all.iter().map(|program| combinations(program)).sum(),
        possible_states: STATES,
        ..Report::default()
    };
    let mut passes = Passes {
        options,
        volume,
        programs: Arc::new(all),
    };
    let bare = passes.pass("bare", &mut report);
    completion_states::begin();
    machine::add_stubs(&options.stubs)?;
    let mut drivers = passes.load(&[])?;
    let filtered = passes.pass(&names(&drivers), &mut report);
    passes.differences(&bare, &filtered, &mut report);
    drop(filtered);
    if options.drivers.len() == 1 && !options.once {
        match passes.load(&drivers) {
            Ok(upper) => {
                drivers.extend(upper);
                let twice = passes.pass(&names(&drivers), &mut report);
                passes.differences(&bare, &twice, &mut report);
            }
            Err(Failure::Failed(why)) => {
                let title = format!("{} twice", names(&drivers));
                report.left_out.push((title, why));
            }
            Err(usage) => return Err(usage),
        }
    }
    report.states = completion_states::seen();
    report.kept = machine::wrongly_kept(&machine::unload(drivers));
    for stub in ntbox::exports::stub::notes() {
        eprintln!("ntbox: {stub}");
    }
    report.collected = collected::so_far();
    report.violations = collected::violations(&report.collected);
    if options.json {
        let json = serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?;
        super::super::print(&(json + "\n"));
    } else {
        super::super::print(&report.text());
    }
    Ok(report.difference_count == 0 && report.kept.is_empty() && report.violations == 0)
}

fn names(drivers: &[LoadedDriver]) -> String {
    let names: Vec<&str> = drivers
        .iter()
        .map(|driver| driver.service.as_str())
        .collect();
    names.join(" and ")
}

struct Passes<'o> {
    options: &'o DiffOptions,
    volume: Volume,
    programs: Arc<Vec<Vec<Request>>>,
}

impl Passes<'_> {
    fn load(&self, already: &[LoadedDriver]) -> Result<Vec<LoadedDriver>, Failure> {
        machine::with_symbols(&self.options.symbols, || {
            machine::load_beside(&self.options.drivers, &self.options.settings, already)
        })
    }

    fn pass(&mut self, title: &str, report: &mut Report) -> All {
        let threads = self.options.threads as usize;
        let progress: Arc<Progress> = Arc::default();
        let _watchdog = Watchdog::start(title);
        let _display = Display::start(title, &progress, self.options.json);
        let begun = Instant::now();
        let volume = self.volume.name();
        let all = systematic::run(&self.programs, (&volume, "s"), threads, &progress);
        report.sides.push(Side {
            title: title.to_owned(),
            stack: self.volume.stack(),
            combinations: all.values().map(Vec::len).sum(),
            milliseconds: begun.elapsed().as_millis() as u64,
        });
        all
    }

    fn differences(&self, bare: &All, filtered: &All, report: &mut Report) {
        let found = compare(&self.programs, bare, filtered);
        let room = SHOWN.saturating_sub(report.differences.len());
        report
            .differences
            .extend(found.iter().take(room).map(ToString::to_string));
        report.difference_count += found.len();
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = collected::text(&self.collected) + "\n";
        let _ = writeln!(
            text,
            "States that the drivers' completion routines have seen"
        );
        let _ = writeln!(
            text,
            "  {:<8} {:<9} {:<11} {:<10} {:<16} {:>10}",
            "pending", "IRQL", "thread", "status", "returned", "requests"
        );
        for (state, count) in &self.states {
            let _ = writeln!(
                text,
                "  {:<8} {:<9} {:<11} {:<10} {:<16} {count:>10}",
                if state.pending_returned {
                    "returned"
                } else {
                    "-"
                },
                if state.at_dispatch {
                    "DISPATCH"
                } else {
                    "below"
                },
                if state.in_originator {
                    "originator"
                } else {
                    "another"
                },
                match state.ended {
                    Ended::Success => "success",
                    Ended::Warning => "warning",
                    Ended::Error => "error",
                    Ended::Cancelled => "cancelled",
                },
                if state.more_processing {
                    "MORE_PROCESSING"
                } else {
                    "continue"
                },
            );
        }
        let _ = writeln!(
            text,
            "\nPrograms of up to {} requests: {}",
            self.requests, self.programs
        );
        for side in &self.sides {
            let seconds = side.milliseconds as f64 / 1000.0;
            let _ = writeln!(
                text,
                "  {:<24} {} of {} combinations in {seconds:.1} s, {:.0} a second",
                side.title,
                side.combinations,
                self.possible,
                side.combinations as f64 / seconds.max(0.001)
            );
        }
        for difference in &self.differences {
            let _ = writeln!(text, "\na difference: {difference}");
        }
        for kept in &self.kept {
            let _ = writeln!(text, "\n{kept}");
        }
        text += "\n";
        text += &left_out(&self.left_out);
        let _ = write!(
            text,
            "states        {} of {}\ndifferences   {}\nviolations    {}\n",
            self.states.len(),
            self.possible_states,
            self.difference_count,
            self.violations
        );
        text
    }
}
