//! The processes that a comparison is made with.

use super::super::children::{self, Conversation};
use super::super::failure::Failure;
use super::super::run::new_directory;
use super::options::DiffOptions;
use super::side::{Answer, Order};
use ntbox::io_manager::storage::{MountTiming, VolumeDescription, VolumeKind};
use ntbox::verifier::collected::Collected;
use ntbox::workload::program::Program;
use ntbox::workload::program::observation::Seen;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A side.
pub struct Side {
    /// `bare`, or what it is under.
    pub title: String,
    process: Conversation,
}

/// What a side's process said in the end.
#[derive(Debug)]
pub struct Died {
    /// Which.
    pub title: String,
    /// Its report.
    pub report: String,
    /// It was ntbox itself that failed.
    pub itself: bool,
}

impl From<Died> for Failure {
    fn from(died: Died) -> Self {
        if died.itself {
            return Self::Itself(died.report);
        }
        Self::Failed(format!("{} ended: {}", died.title, died.report))
    }
}

/// The bare side, then those under drivers.
pub struct Sides {
    sides: Vec<Side>,
    /// The stacks that cannot be, and why.
    left_out: Vec<(String, String)>,
    runs: u32,
}

/// Number of the side with one driver twice.
const TWICE: usize = 2;

/// Letters of the shared volumes, unless the user names some.
const SHARED: [(char, VolumeKind, MountTiming); 3] = [
    ('C', VolumeKind::Disk, MountTiming::Before),
    ('N', VolumeKind::Network, MountTiming::Before),
    ('R', VolumeKind::Removable, MountTiming::Async),
];

/// Volumes that threads share.
pub fn shared_volumes(options: &DiffOptions) -> usize {
    if options.volumes.is_empty() {
        SHARED.len()
    } else {
        options.volumes.len()
    }
}

impl Sides {
    /// Starts the processes. Their volumes lie below `directory`, or where the user wants them.
    pub fn start(options: &DiffOptions, directory: &Path, replay: &str) -> Result<Self, Failure> {
        let stem = |path: &PathBuf| {
            path.file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        };
        let names: Vec<String> = options.drivers.iter().map(stem).collect();
        let mut stacks = vec![
            ("bare".to_owned(), Vec::new()),
            (names.join(" and "), options.drivers.clone()),
        ];
        if let ([driver], false) = (&options.drivers[..], options.once) {
            let twice = vec![driver.clone(), driver.clone()];
            stacks.push((format!("{} twice", names[0]), twice));
        }
        let started = stacks
            .into_iter()
            .enumerate()
            .map(|(number, (title, drivers))| {
                let arguments = arguments(options, &drivers, directory, number, replay)?;
                Ok(Side {
                    title,
                    process: Conversation::start(&arguments, directory)?,
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let (mut sides, mut left_out) = (Vec::new(), Vec::new());
        for mut side in started {
            match side.refused() {
                None => sides.push(side),
                // What can be run is.
                Some(why) if sides.len() == TWICE => left_out.push((side.title.clone(), why)),
                Some(why) => {
                    return Err(Failure::Failed(format!("under {}: {why}", side.title)));
                }
            }
        }
        Ok(Self {
            sides,
            left_out,
            runs: 0,
        })
    }

    /// The stacks that cannot be, each with its reason.
    pub fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// Titles, the bare side's first.
    pub fn titles(&self) -> Vec<String> {
        self.sides.iter().map(|side| side.title.clone()).collect()
    }

    /// Runs a program on all sides at the same time, or on the bare one and another one.
    pub fn run(&mut self, program: &Program, other: Option<usize>) -> Result<Vec<Seen>, Died> {
        self.runs += 1;
        let order = Order {
            program: program.clone(),
            run: self.runs,
        };
        let json = serde_json::to_string(&order).unwrap_or_default();
        let wanted = |number: &usize| other.is_none_or(|other| *number == 0 || *number == other);
        let numbers: Vec<usize> = (0..self.sides.len()).filter(wanted).collect();
        for number in &numbers {
            // A side that has ended says so when it is read from.
            self.sides[*number].process.say(&json);
        }
        numbers
            .into_iter()
            .map(|number| {
                let side = &mut self.sides[number];
                let answer = side.process.hear();
                match answer.and_then(|line| serde_json::from_str(&line).ok()) {
                    Some(Answer::Seen(seen)) => Ok(seen),
                    Some(Answer::Failed(report)) => Err(Died {
                        title: side.title.clone(),
                        report,
                        itself: false,
                    }),
                    Some(Answer::Loaded(_) | Answer::Ended { .. }) | None => Err(side.died()),
                }
            })
            .collect()
    }

    /// Lets the processes unload their drivers and end. What each side has collected.
    pub fn end(self) -> Result<Vec<(String, Vec<Collected>)>, Died> {
        let mut all = Vec::new();
        for mut side in self.sides {
            side.process.finish();
            let last = side.process.hear();
            let (kept, collected, stubs) = match last.map(|last| serde_json::from_str(&last)) {
                Some(Ok(Answer::Ended {
                    kept,
                    collected,
                    stubs,
                })) => (kept, collected, stubs),
                _ => Default::default(),
            };
            if !side.process.ended_well() {
                let mut died = side.died();
                if !kept.is_empty() {
                    died.report = kept.join("\n");
                }
                return Err(died);
            }
            for stub in &stubs {
                eprintln!("ntbox: {}: {stub}", side.title);
            }
            all.push((side.title, collected));
        }
        Ok(all)
    }
}

impl Side {
    /// Why its drivers cannot be loaded. One that has ended meanwhile says so when it is asked for something.
    fn refused(&mut self) -> Option<String> {
        let said = self.process.hear()?;
        match serde_json::from_str(&said) {
            Ok(Answer::Loaded(loaded)) => loaded.err(),
            _ => None,
        }
    }

    fn died(&mut self) -> Died {
        Died {
            title: self.title.clone(),
            report: self.process.errors(),
            itself: self.process.failed_itself(),
        }
    }
}

fn arguments(
    options: &DiffOptions,
    drivers: &[PathBuf],
    directory: &Path,
    number: usize,
    replay: &str,
) -> Result<Vec<OsString>, Failure> {
    let name = ["bare", "filtered", "twice"][number];
    let own = directory.join(name);
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Failed(format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&own).map_err(|error| failed(&own, error))?;
    let mut arguments: Vec<OsString> = vec!["diff-side".into()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    for driver in drivers {
        add("--driver", driver.into());
    }
    for file in &options.symbols {
        if !drivers.is_empty() {
            add("--symbols", file.into());
        }
    }
    for (name, status) in &options.stubs.stubs {
        if !drivers.is_empty() {
            add("--stub", format!("{name}=0x{:X}", status.0).into());
        }
    }
    for (name, value) in &options.settings {
        if !drivers.is_empty() {
            add("--setting", format!("{name}={value}").into());
        }
    }
    let mut letters = Vec::new();
    if options.volumes.is_empty() {
        for (letter, kind, mount) in SHARED {
            let host = new_directory(&own, letter)?;
            add(
                "--volume",
                children::volume(letter, &host, kind, mount, false),
            );
            letters.push(letter);
        }
    }
    for volume in &options.volumes {
        let host = volume.host_directory.join(name);
        std::fs::create_dir(&host).map_err(|error| failed(&host, error))?;
        let VolumeDescription {
            letter,
            kind,
            mount,
            recognized,
            ..
        } = *volume;
        add(
            "--volume",
            children::volume(letter, &host, kind, mount, recognized),
        );
        letters.push(letter);
    }
    let free = ('D'..='Z').filter(|letter| !letters.contains(letter));
    // A fixed disk for one thread, a drive with a medium for the next.
    let kinds = [VolumeKind::Disk, VolumeKind::Removable];
    for (letter, kind) in free
        .take(options.threads as usize)
        .zip(kinds.into_iter().cycle())
    {
        let host = new_directory(&own, letter)?;
        let volume = children::volume(letter, &host, kind, MountTiming::After, false);
        add("--own", volume);
    }
    add("--seed", options.seed.to_string().into());
    add("--verify", options.verify.to_string().into());
    add("--patience", options.patience.to_string().into());
    add("--replay", replay.into());
    if options.keep_going {
        arguments.push("--keep-going".into());
    }
    Ok(arguments)
}
