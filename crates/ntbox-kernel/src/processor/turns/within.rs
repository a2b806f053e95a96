//! A change in the middle of a driver's code, where it calls nothing: each of its instructions is a place.

use super::{Ran, run_with};
use crate::nt::DISPATCH_LEVEL;
use crate::pe_image;
use crate::processor::irql;
use crate::processor::points::{self, Within};
use crate::processor::step::{self, Next, Step};
use std::cell::Cell;

/// Instructions of the box and of drivers that are followed behind a point at most.
const MOST_STEPS: u32 = 100_000;

/// What became of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// The first thread has handed over there.
    Changed,
    /// There is the point, and not so much of a driver's code before the next one.
    TooFar,
    /// There are not so many points.
    NoPoint,
}

thread_local! {
    /// Instructions of drivers until this thread hands over, and steps until it is followed no more.
    static LEFT: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// As [`super::run`], but that the first thread hands over in the middle of a driver's code, below `DISPATCH_LEVEL`: before
/// the instruction with this number behind the [point](points::point) with that one, both counted from 1. The second
/// one runs to its end then, or until it waits.
///
/// # Panics
/// As [`super::run`].
pub fn run_within<A: Send, B: Send>(
    point: u32,
    instructions: u32,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (Met, Ran<A, B>) {
    let within = Within {
        point,
        instructions,
        follow: |instructions| {
            LEFT.set((instructions, MOST_STEPS));
            step::watch(next);
        },
        let_go: step::stop_watching,
    };
    let (ran, followed) = run_with(&[], 0, Some(within), first, second);
    let met = match (followed, ran.changes) {
        (false, _) => Met::NoPoint,
        (true, 0) => Met::TooFar,
        (true, _) => Met::Changed,
    };
    (met, ran)
}

/// Called before each instruction of the thread, which holds no lock of the box where that is a driver's.
fn next(step: &Step) -> Next {
    let (instructions, steps) = LEFT.get();
    if steps == 0 {
        return Next::Stop;
    }
    let counts = pe_image::image_at(step.instruction).is_some() && irql::current() < DISPATCH_LEVEL;
    let left = (instructions - u32::from(counts), steps - 1);
    LEFT.set(left);
    if left.0 > 0 {
        return Next::GoOn;
    }
    points::change();
    Next::Stop
}
