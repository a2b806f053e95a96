//! `ntbox diff`: the same programs with and without drivers, and what differs.

pub mod options;
mod report;
mod side;
mod sides;
mod systematic;

use options::DiffOptions;
pub use side::run as run_side;

use super::failure::Failure;
use super::machine;
use super::run::temporary_directory;
use ntbox::verifier::Options;
use ntbox::workload::program::observation::{Difference, Promises, Seen, compare};
use ntbox::workload::program::shrink::shrink;
use ntbox::workload::program::{Place, Program};
use report::{Found, Report};
use sides::{Died, Sides, shared_volumes};
use std::io::IsTerminal;
use std::time::Instant;

/// Runs it; true if all sides were equal.
pub fn run(options: &DiffOptions) -> Result<bool, Failure> {
    machine::check_drivers(&options.drivers)?;
    machine::check_volumes(&options.volumes)?;
    if options.verify.contains(Options::LOW_RESOURCES) {
        return Err(Failure::Usage(
            "--verify low-resources fails requests of the drivers alone: every one would be a difference"
                .to_owned(),
        ));
    }
    if options.systematic {
        return systematic::run(options);
    }
    let directory = temporary_directory()?;
    let mut comparison = Comparison {
        options,
        begun: Instant::now(),
        report: Report::new(options),
        volumes: 1 + shared_volumes(options) as u8,
    };
    let compared = comparison.rounds(directory.path());
    let taken = options.volumes.iter().flat_map(|volume| {
        ["bare", "filtered", "twice"].map(|side| volume.host_directory.join(side))
    });
    for left in taken {
        // What a side did not make, or a user looks at, may stay.
        let _ = std::fs::remove_dir_all(left);
    }
    let mut report = comparison.report;
    match compared {
        Ok(()) => {}
        Err(Stopped::Died(died)) if died.itself => return Err(died.into()),
        Err(Stopped::Died(died)) => report.violation(died),
        Err(Stopped::Failed(failure)) => return Err(failure),
    }
    report.milliseconds = comparison.begun.elapsed().as_millis() as u64;
    report.show(options.json);
    Ok(report.is_equal())
}

/// Why a comparison ended early.
enum Stopped {
    Died(Died),
    Failed(Failure),
}

impl From<Died> for Stopped {
    fn from(died: Died) -> Self {
        Self::Died(died)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Comparison<'o> {
    options: &'o DiffOptions,
    begun: Instant,
    report: Report,
    /// Volumes that a thread sees.
    volumes: u8,
}

impl Comparison<'_> {
    /// Rounds until one shows a difference.
    fn rounds(&mut self, directory: &std::path::Path) -> Result<(), Stopped> {
        let options = self.options;
        let replay = report::replay(options.seed, &[]);
        let mut sides = Sides::start(options, directory, &replay)?;
        self.report.sides = sides.titles();
        self.report.left_out = sides.left_out().to_vec();
        for round in 0..options.rounds {
            let program = Program {
                seed: options.seed.wrapping_add(round.into()),
                threads: options.threads,
                operations: options.ops.div_ceil(options.threads),
                kept: (!options.keep.is_empty()).then(|| options.keep.clone()),
                may_pend: options.may_pend,
            };
            let seen = sides.run(&program, None)?;
            self.report.count(&seen[0]);
            self.progress(&format!("round {} of {}", round + 1, options.rounds));
            for (number, filtered) in seen.iter().enumerate().skip(1) {
                let found = self.compare(&seen[0], filtered);
                if let Some(first) = found.first() {
                    let again = directory.join("again");
                    let found = self.shrunk(&mut sides, &program, number, first, &again)?;
                    self.report.found = Some(found);
                    self.report.collect(sides.end()?);
                    return Ok(());
                }
            }
            if !options.keep.is_empty() {
                self.report.program = report::steps(&program, self.volumes, &seen);
                break;
            }
        }
        self.report.collect(sides.end()?);
        Ok(())
    }

    fn compare(&self, bare: &Seen, filtered: &Seen) -> Vec<Difference> {
        let promises = Promises {
            may_pend: self.options.may_pend,
        };
        compare(bare, filtered, promises)
    }

    /// The smallest part of a program that shows a difference on side `number`.
    fn shrunk(
        &self,
        sides: &mut Sides,
        program: &Program,
        number: usize,
        first: &Difference,
        directory: &std::path::Path,
    ) -> Result<Found, Stopped> {
        let all = program.places();
        let mut runs = 0;
        let mut died = None;
        let mut shows = |places: &[Place]| {
            let part = Program {
                kept: Some(places.to_vec()),
                ..program.clone()
            };
            runs += 1;
            self.progress(&format!(
                "shrinking: {} operations, run {runs}",
                places.len()
            ));
            match sides.run(&part, Some(number)) {
                Ok(seen) => !self.compare(&seen[0], &seen[1]).is_empty(),
                Err(found) => {
                    died.get_or_insert(found);
                    false
                }
            }
        };
        // Threads meet only on the volumes: most often one of them is enough, up to where it differs.
        let near: Vec<Place> = match first {
            Difference::Call {
                thread,
                bare,
                filtered,
            } => {
                let call = bare.as_ref().or(filtered.as_ref());
                let last = call.map_or(u32::MAX, |call| call.operation);
                all.iter()
                    .filter(|(of, number)| *of as usize == thread + 1 && *number <= last)
                    .copied()
                    .collect()
            }
            Difference::Contents { .. } => all.clone(),
        };
        let begin = if near.len() < all.len() && shows(&near) {
            near
        } else {
            all.clone()
        };
        let kept = shrink(&begin, &mut shows);
        if let Some(died) = died {
            return Err(died.into());
        }
        // In fresh processes, as whoever repeats it will see it.
        let small = Program {
            kept: Some(kept.clone()),
            ..program.clone()
        };
        let replay = report::replay(program.seed, &kept);
        let mut fresh = Sides::start(self.options, directory, &replay)?;
        let seen = fresh.run(&small, Some(number))?;
        let difference = self.compare(&seen[0], &seen[1]).into_iter().next();
        Ok(Found {
            side: sides.titles()[number].clone(),
            seed: program.seed,
            first: first.to_string(),
            operations: all.len(),
            runs,
            again: difference.map(|difference| difference.to_string()),
            steps: report::steps(&small, self.volumes, &seen),
            replay,
        })
    }

    /// A line of progress, on a terminal in the place of the last one.
    fn progress(&self, text: &str) {
        if self.options.json {
            return;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        if std::io::stderr().is_terminal() {
            eprint!("\r{seconds:6.1} s  {text}\x1b[K");
        } else if !text.starts_with("shrinking") {
            eprintln!("{seconds:6.1} s  {text}");
        }
    }
}
