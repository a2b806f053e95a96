//! Every choice of the file system for every small program.
//!
//! A small program is a set of up to four requests of one thread, which overlap as far as their
//! services let them: what can stay outstanding is started, then everything is ended and waited
//! for. The requests are scripted: each meets each way of being completed that is possible for it,
//! in every combination. A request that is held is cancelled by its program at once.
//!
//! Requests of one program do not disturb each other, so that its results are promised whatever is
//! chosen: transfers and locks are of blocks of their own.

mod combination;

use super::progress::Progress;
use crate::file_system::adversary::{self, Mix};
use crate::io_manager::identity::Choice;
use crate::nt::STATUS_IO_DEVICE_ERROR;
use crate::processor::{thread, work};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use combination::Bench;
pub use combination::Seen;

/// A request of a small program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// A watch of the directory; outstanding until something is created, or cancelled.
    Notify,
    /// An oplock of level 1, which a file that is open twice does not get; outstanding until it is cancelled.
    Oplock,
    /// A lock that waits until another handle gives it up.
    Lock,
    /// A read.
    Read,
    /// A read behind the end of the file, which fails.
    ReadBeyond,
    /// A write.
    Write,
    /// A file-system control.
    Control,
    /// A query whose result is too long for its buffer, a warning; its service waits for it.
    Query,
    /// A page of a view that is read in, for which its thread waits.
    PageIn,
    /// A page of a view that is written by its flush.
    PageOut,
    /// The question whether the device may be taken out, which it may not while the file is open.
    QueryRemove,
    /// A create, whose service waits for it; what it made is closed, and deleted by that.
    Create,
}

/// All of them, in the order in which a program makes them.
pub const REQUESTS: [Request; 12] = [
    Request::Notify,
    Request::Oplock,
    Request::Lock,
    Request::Read,
    Request::ReadBeyond,
    Request::Write,
    Request::Control,
    Request::Query,
    Request::PageIn,
    Request::PageOut,
    Request::QueryRemove,
    Request::Create,
];

/// What may happen to a request; the file system does to some requests only the first ones
/// (see [`adversary`]), and only a service that does not wait can be cancelled by its program.
const CHOICES: [Choice; 8] = [
    Choice::Now,
    Choice::Pend,
    Choice::OtherThreadBeforeReturn,
    Choice::Fail(STATUS_IO_DEVICE_ERROR),
    Choice::AtDispatch,
    Choice::PendAtDispatch,
    Choice::OtherThreadAtDispatchBeforeReturn,
    Choice::HeldUntilCancelled,
];

/// A watch is in force when its dispatch routine returns, and an oplock is granted or refused: what follows finds it so.
const WATCH: [Choice; 6] = [
    Choice::Now,
    Choice::OtherThreadBeforeReturn,
    Choice::Fail(STATUS_IO_DEVICE_ERROR),
    Choice::AtDispatch,
    Choice::OtherThreadAtDispatchBeforeReturn,
    Choice::HeldUntilCancelled,
];

impl Request {
    /// The ways in which it may be completed.
    pub fn choices(self) -> &'static [Choice] {
        match self {
            Self::Create | Self::QueryRemove => &CHOICES[..4],
            Self::Query | Self::PageIn | Self::PageOut => &CHOICES[..7],
            Self::Notify | Self::Oplock => &WATCH,
            _ => &CHOICES,
        }
    }
}

/// All programs of exactly `length` requests.
pub fn programs(length: usize) -> Vec<Vec<Request>> {
    let mut programs = vec![Vec::new()];
    for _ in 0..length {
        programs = programs
            .iter()
            .flat_map(|program: &Vec<Request>| {
                let last = program.last().copied();
                REQUESTS
                    .into_iter()
                    .filter(move |next| last.is_none_or(|last| *next >= last))
                    .map(|next| [&program[..], &[next]].concat())
            })
            .collect();
    }
    programs
}

/// Combinations of choices for a program.
pub fn combinations(program: &[Request]) -> usize {
    program
        .iter()
        .map(|request| request.choices().len())
        .product()
}

/// The `number`-th combination of choices.
pub fn choices(program: &[Request], mut number: usize) -> Vec<Choice> {
    program
        .iter()
        .map(|request| {
            let choices = request.choices();
            let choice = choices[number % choices.len()];
            number /= choices.len();
            choice
        })
        .collect()
}

/// What all combinations of all programs showed: by the program's place in the list, its
/// combinations in their order.
pub type All = BTreeMap<usize, Vec<Vec<Seen>>>;

/// Carries out every combination of every program on the volume with this NT name; the threads
/// share the programs, and each works in the directory `\NAMEthread`.
pub fn run(
    programs: &Arc<Vec<Vec<Request>>>,
    (volume, name): (&str, &str),
    threads: usize,
    progress: &Arc<Progress>,
) -> All {
    adversary::configure(1, Mix::quiet());
    let all: Arc<Mutex<All>> = Arc::default();
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let directory = format!("{volume}\\{name}{worker}");
            let volume = volume.to_owned();
            let (programs, all, progress) =
                (Arc::clone(programs), Arc::clone(&all), Arc::clone(progress));
            thread::spawn(&format!("program {}", worker + 1), move || {
                let Some(mut bench) = Bench::make(worker as u32 + 1, volume, directory) else {
                    return;
                };
                for place in (worker..programs.len()).step_by(threads) {
                    let program = &programs[place];
                    let seen = (0..combinations(program))
                        .map(|number| {
                            progress.request();
                            bench.carry_out(program, &choices(program, number))
                        })
                        .collect();
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.insert(place, seen);
                }
            })
        })
        .collect();
    for worker in workers {
        // What a worker that panicked has not done is missing, and that is a difference.
        drop(worker.join());
    }
    adversary::drain();
    work::drain();
    std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A combination in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The program.
    pub program: Vec<Request>,
    /// What was chosen for its requests.
    pub choices: Vec<Choice>,
    /// What was seen without the filter.
    pub bare: Vec<Seen>,
    /// With it.
    pub filtered: Vec<Seen>,
}

/// All differences between two runs of the same programs.
pub fn compare(programs: &[Vec<Request>], bare: &All, filtered: &All) -> Vec<Difference> {
    let mut found = Vec::new();
    for (place, program) in programs.iter().enumerate() {
        let of = |all: &'_ All| all.get(&place).cloned().unwrap_or_default();
        let (bare, filtered) = (of(bare), of(filtered));
        for number in 0..combinations(program) {
            let of = |seen: &[Vec<Seen>]| seen.get(number).cloned().unwrap_or_default();
            let (bare, filtered) = (of(&bare), of(&filtered));
            // A combination that showed nothing was not carried out.
            if bare != filtered || bare.is_empty() {
                found.push(Difference {
                    program: program.clone(),
                    choices: choices(program, number),
                    bare,
                    filtered,
                });
            }
        }
    }
    found
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self
            .program
            .iter()
            .zip(&self.choices)
            .map(|(request, choice)| format!("{request:?} {choice:?}"))
            .collect();
        f.write_str(&steps.join(", "))?;
        for place in 0..self.bare.len().max(self.filtered.len()) {
            let of = |side: &[Seen]| {
                side.get(place)
                    .map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            let (bare, filtered) = (of(&self.bare), of(&self.filtered));
            if bare == filtered {
                write!(f, "\n    both      {bare}")?;
            } else {
                write!(f, "\n    bare      {bare}\n    filtered  {filtered}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_set_of_requests_is_a_program_once() {
        // Combinations with repetition of twelve kinds.
        for (length, count) in [(1, 12), (2, 78), (3, 364), (4, 1365)] {
            let programs = programs(length);
            assert_eq!(programs.len(), count);
            assert_eq!(programs.iter().collect::<HashSet<_>>().len(), count);
        }
    }

    #[test]
    fn every_combination_has_a_number() {
        let program = [Request::Notify, Request::Read, Request::Create];
        let count = combinations(&program);
        assert_eq!(count, 6 * 8 * 4);
        let all: HashSet<_> = (0..count).map(|number| choices(&program, number)).collect();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_difference_names_program_and_choices() {
        let programs = [vec![Request::Read]];
        let seen = |information| -> All {
            let one = |number: usize| {
                vec![Seen {
                    call: "read",
                    information: if number == 3 { information } else { 1 },
                    ..Seen::default()
                }]
            };
            BTreeMap::from([(0, (0..8).map(one).collect())])
        };
        assert!(compare(&programs, &seen(1), &seen(1)).is_empty());
        let found = compare(&programs, &seen(1), &seen(2));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().starts_with("Read Fail"),
            "{}",
            found[0]
        );
        assert_eq!(compare(&programs, &seen(1), &All::default()).len(), 8);
        assert_eq!(
            compare(&programs, &All::default(), &All::default()).len(),
            8
        );
    }
}
