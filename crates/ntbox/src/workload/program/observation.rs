//! What an originator sees of a call, and what of it must be the same with and without a filter.
//!
//! Compared of every call: its final status, information, data (without times, ids, free
//! space and the room of sparse files), and afterwards the position of a synchronous handle. Compared unless fast I/O answered on
//! one of the sides, which a filter may leave out: whether the stack returned STATUS_PENDING,
//! whether the event that was passed is signaled, and whether the status block was written; the first of
//! them only where the program sees it, not where the service waits for its request, as NtCreateFile
//! does, and NtReadFile on a synchronous handle. How the
//! file system below completes a request depends on the seed and on which call it is, so that a
//! request that is pended on one side only was pended, or made to wait, by the filter. A filter
//! that pends requests of its own accord may do so; [`Promises::may_pend`] excepts it, but not for
//! oplocks and change notifications, which must neither be made to wait nor be pended.
//!
//! Order: the calls of a thread in the order in which it waits for them. Requests that are
//! outstanding at the same time may end in any order; the changes in a notification and the
//! entries of a directory are data.

use crate::nt::Status;
use crate::user::Outcome;
use crate::user::outcome::digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A call and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Number of the operation that made it.
    pub operation: u32,
    /// The call.
    pub call: String,
    /// Final status.
    pub status: i32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Digest of the data; zero without any.
    pub data: u64,
    /// Position of the handle afterwards; `None` of an asynchronous one.
    pub position: Option<i64>,
    /// The stack returned STATUS_PENDING.
    pub pended: bool,
    /// Fast I/O answered.
    pub fast: bool,
    /// The service waits for its request.
    pub waits: bool,
    /// The event is signaled; `None` without one.
    pub signaled: Option<bool>,
    /// The status block was written.
    pub written: bool,
    /// An oplock or change notification.
    pub long_lived: bool,
}

/// What is promised of a filter beyond results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// It may pend, or wait for, requests on its own.
    pub may_pend: bool,
}

impl Observation {
    /// Of a call that has ended. `data` is what is compared of its data.
    pub fn new(operation: u32, call: String, outcome: &Outcome, data: &[u8]) -> Self {
        Self {
            operation,
            call,
            status: outcome.status,
            information: outcome.information as u64,
            data: if data.is_empty() { 0 } else { digest(data) },
            position: None,
            pended: outcome.pended,
            fast: outcome.fast,
            waits: outcome.waits,
            signaled: outcome.signaled,
            written: outcome.written,
            long_lived: false,
        }
    }

    /// Whether the originator sees the same.
    pub fn same(&self, other: &Self, promises: Promises) -> bool {
        let result = |seen: &Self| (seen.status, seen.information, seen.data, seen.position);
        let unseen = self.waits && other.waits;
        let way = |seen: &Self| (seen.pended && !unseen, seen.signaled, seen.written);
        self.call == other.call
            && result(self) == result(other)
            && (self.fast
                || other.fast
                || promises.may_pend && !self.long_lived
                || way(self) == way(other))
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, information {}",
            Status(self.status),
            self.information
        )?;
        if self.data != 0 {
            write!(f, ", data {:016x}", self.data)?;
        }
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        match (self.fast, self.pended) {
            (true, _) => f.write_str(", by fast I/O")?,
            (_, true) => f.write_str(", pended")?,
            _ => f.write_str(", at once")?,
        }
        if let Some(signaled) = self.signaled {
            f.write_str(if signaled {
                ", event signaled"
            } else {
                ", event not signaled"
            })?;
        }
        if !self.written {
            f.write_str(", status block not written")?;
        }
        Ok(())
    }
}

/// Everything that a run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Of each thread, in the order of its calls.
    pub threads: Vec<Vec<Observation>>,
    /// Each volume's files at the end, as lines.
    pub contents: Vec<Vec<String>>,
}

impl Seen {
    /// Calls.
    pub fn calls(&self) -> u64 {
        self.threads.iter().map(|thread| thread.len() as u64).sum()
    }
}

/// Where two runs of one program part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// In a call.
    Call {
        /// Index of the thread.
        thread: usize,
        /// Without the filter; `None` if the call is missing.
        bare: Option<Observation>,
        /// With it.
        filtered: Option<Observation>,
    },
    /// In what is on a volume at the end.
    Contents {
        /// Index of the volume.
        volume: usize,
        /// A line that only the run without the filter has.
        bare: Option<String>,
        /// A line that only the other one has.
        filtered: Option<String>,
    },
}

/// The first difference of each thread (what comes after it follows from it) and of each volume.
pub fn compare(bare: &Seen, filtered: &Seen, promises: Promises) -> Vec<Difference> {
    let mut found = Vec::new();
    for thread in 0..bare.threads.len().max(filtered.threads.len()) {
        let calls = |seen: &'_ Seen| seen.threads.get(thread).cloned().unwrap_or_default();
        let (left, right) = (calls(bare), calls(filtered));
        for place in 0..left.len().max(right.len()) {
            let (left, right) = (left.get(place), right.get(place));
            if let (Some(left), Some(right)) = (left, right)
                && left.same(right, promises)
            {
                continue;
            }
            found.push(Difference::Call {
                thread,
                bare: left.cloned(),
                filtered: right.cloned(),
            });
            break;
        }
    }
    for volume in 0..bare.contents.len().max(filtered.contents.len()) {
        let lines = |seen: &'_ Seen| seen.contents.get(volume).cloned().unwrap_or_default();
        let (left, right) = (lines(bare), lines(filtered));
        if left != right {
            found.push(Difference::Contents {
                volume,
                bare: left.iter().find(|line| !right.contains(line)).cloned(),
                filtered: right.iter().find(|line| !left.contains(line)).cloned(),
            });
        }
    }
    found
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |seen: Option<String>| seen.unwrap_or_else(|| "nothing".to_owned());
        match self {
            Self::Call {
                thread,
                bare,
                filtered,
            } => {
                let of = |seen: &Option<Observation>| seen.as_ref().map(|seen| seen.call.clone());
                let (left, right) = (of(bare), of(filtered));
                let call = match (&left, &right) {
                    (Some(left), Some(right)) if left != right => format!("{left} / {right}"),
                    _ => side(left.or(right)),
                };
                let number = bare
                    .as_ref()
                    .or(filtered.as_ref())
                    .map_or(0, |seen| seen.operation);
                let result =
                    |seen: &Option<Observation>| side(seen.as_ref().map(ToString::to_string));
                write!(
                    f,
                    "thread {}, operation {number}: {call}\n    bare:     {}\n    filtered: {}",
                    thread + 1,
                    result(bare),
                    result(filtered)
                )
            }
            Self::Contents {
                volume,
                bare,
                filtered,
            } => write!(
                f,
                "the files of V{volume}: at the end\n    bare:     {}\n    filtered: {}",
                side(bare.clone()),
                side(filtered.clone())
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(change: impl FnOnce(&mut Observation)) -> Seen {
        let outcome = Outcome {
            information: 5,
            pended: true,
            signaled: Some(true),
            written: true,
            ..Outcome::early(0)
        };
        let mut last = Observation::new(2, "read".to_owned(), &outcome, b"hello");
        change(&mut last);
        let first = Observation::new(1, "create".to_owned(), &Outcome::early(0), b"");
        Seen {
            threads: vec![vec![first, last]],
            contents: vec![vec!["a 5".to_owned()]],
        }
    }

    fn differs(change: impl FnOnce(&mut Observation)) -> bool {
        !compare(&seen(|_| ()), &seen(change), Promises::default()).is_empty()
    }

    #[test]
    fn each_part_of_a_result_is_compared() {
        assert!(!differs(|_| ()));
        assert!(differs(|seen| seen.status = 1));
        assert!(differs(|seen| seen.information = 4));
        assert!(differs(|seen| seen.data = 4));
        assert!(differs(|seen| seen.position = Some(0)));
        assert!(differs(|seen| seen.pended = false));
        assert!(differs(|seen| seen.signaled = Some(false)));
        assert!(differs(|seen| seen.written = false));
        assert!(differs(|seen| seen.call.push('!')));
    }

    #[test]
    fn fast_io_and_a_filter_that_pends_are_excepted_for_the_way_alone() {
        let other_way = |seen: &mut Observation| (seen.fast, seen.pended) = (true, false);
        assert!(!differs(other_way));
        assert!(differs(|seen| (seen.fast, seen.status) = (true, 1)));
        let may_pend = Promises { may_pend: true };
        let at_once =
            |long_lived| seen(|seen| (seen.pended, seen.long_lived) = (false, long_lived));
        let pended = |long_lived| seen(|seen| seen.long_lived = long_lived);
        assert!(compare(&pended(false), &at_once(false), may_pend).is_empty());
        assert!(!compare(&pended(true), &at_once(true), may_pend).is_empty());
    }

    #[test]
    fn a_service_that_waits_does_not_show_whether_its_request_pended() {
        let waits =
            |pended| seen(|seen| (seen.waits, seen.pended, seen.signaled) = (true, pended, None));
        let compared = |other| compare(&waits(true), &other, Promises::default());
        assert!(compared(waits(false)).is_empty());
        for other in [
            |seen: &mut Observation| seen.status = 1,
            // What is left in the program's memory is seen, whoever waits.
            |seen: &mut Observation| seen.written = false,
            // An asynchronous handle on the other side.
            |seen: &mut Observation| seen.waits = false,
        ] {
            let mut seen = waits(false);
            other(&mut seen.threads[0][1]);
            assert!(!compared(seen).is_empty());
        }
    }

    #[test]
    fn a_missing_call_and_another_file_are_differences() {
        let whole = seen(|_| ());
        let mut short = whole.clone();
        short.threads[0].pop();
        let found = compare(&whole, &short, Promises::default());
        assert!(
            found[0].to_string().contains("filtered: nothing"),
            "{}",
            found[0]
        );
        let mut other = whole.clone();
        other.contents[0].push("b 1".to_owned());
        let found = compare(&whole, &other, Promises::default());
        assert!(
            found[0].to_string().contains("filtered: b 1"),
            "{}",
            found[0]
        );
    }
}
