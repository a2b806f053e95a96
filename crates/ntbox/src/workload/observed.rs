//! What every request returned, in order, per thread; and the comparison of two runs.

use crate::nt::Status;
use crate::user::Outcome;
use crate::user::outcome::digest;
use std::collections::HashMap;
use std::fmt;

/// One request's result, without what may differ from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was called.
    pub operation: &'static str,
    name: u32,
    /// Final status.
    pub status: i32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Of the data, after masking.
    pub digest: u64,
    /// The stack returned `STATUS_PENDING`. Not compared: a filter may wait for a request.
    pub pended: bool,
    /// Fast I/O answered. Not compared: a filter may have no fast I/O.
    pub fast: bool,
}

impl Entry {
    fn result(&self) -> Seen {
        Seen {
            status: Status(self.status),
            information: self.information,
            digest: self.digest,
        }
    }
}

/// The results of one thread, in the order of its requests.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Ordinal of the thread, 1-based.
    pub thread: u32,
    entries: Vec<Entry>,
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Log {
    /// An empty log of a thread.
    pub fn new(thread: u32) -> Self {
        Self {
            thread,
            ..Self::default()
        }
    }
    /// Records a result. `data` is what remains of the outcome's data after masking.
    pub fn push(&mut self, operation: &'static str, name: &str, outcome: &Outcome, data: &[u8]) {
        let name = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = self.names.len() as u32;
                self.names.push(name.into());
                self.numbers.insert(name.into(), number);
                number
            }
        };
        self.entries.push(Entry {
            operation,
            name,
            status: outcome.status,
            information: outcome.information as u64,
            digest: if data.is_empty() { 0 } else { digest(data) },
            pended: outcome.pended,
            fast: outcome.fast,
        });
    }
    /// The results.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// The file name of a result.
    pub fn name(&self, entry: &Entry) -> &str {
        self.names.get(entry.name as usize).map_or("", |name| name)
    }
    /// A result as text.
    pub fn line(&self, entry: &Entry) -> String {
        format!(
            "{} {}: {}",
            entry.operation,
            self.name(entry),
            entry.result()
        )
    }
    /// One number for all compared results: equal runs, equal numbers.
    pub fn digest(&self) -> u64 {
        let mut bytes = Vec::with_capacity(self.entries.len() * 32);
        for entry in &self.entries {
            bytes.extend_from_slice(entry.operation.as_bytes());
            bytes.extend_from_slice(self.name(entry).as_bytes());
            bytes.extend_from_slice(&entry.status.to_le_bytes());
            bytes.extend_from_slice(&entry.information.to_le_bytes());
            bytes.extend_from_slice(&entry.digest.to_le_bytes());
        }
        digest(&bytes)
    }
}

/// One number for the logs of all threads.
pub fn digest_of(logs: &[Log]) -> u64 {
    let bytes: Vec<u8> = logs
        .iter()
        .flat_map(|log| log.digest().to_le_bytes())
        .collect();
    digest(&bytes)
}

/// What a program saw of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Final status.
    pub status: Status,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Of the data.
    pub digest: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, information {}", self.status, self.information)?;
        if self.digest != 0 {
            write!(f, ", data {:016x}", self.digest)?;
        }
        Ok(())
    }
}

/// A request whose result under the drivers is not that on the bare stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Ordinal of the thread.
    pub thread: u32,
    /// Ordinal of the request in the thread, 1-based.
    pub ordinal: usize,
    /// What was called.
    pub operation: String,
    /// On which file.
    pub name: String,
    /// On the bare stack; `None` if the run has no such request.
    pub bare: Option<Seen>,
    /// Under the drivers.
    pub filtered: Option<Seen>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |seen: &Option<Seen>| {
            seen.map_or_else(|| "no such request".to_owned(), |seen| seen.to_string())
        };
        write!(
            f,
            "thread {}, request {}: {} {}\n    bare:     {}\n    filtered: {}",
            self.thread,
            self.ordinal,
            self.operation,
            self.name,
            side(&self.bare),
            side(&self.filtered)
        )
    }
}

/// All differences between two runs of one plan. Where a thread's sequences part
/// (another operation, another file), its comparison ends with that difference.
pub fn compare(bare: &[Log], filtered: &[Log]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for place in 0..bare.len().max(filtered.len()) {
        let empty = Log::default();
        let (left, right) = (
            bare.get(place).unwrap_or(&empty),
            filtered.get(place).unwrap_or(&empty),
        );
        compare_thread(left, right, &mut differences);
    }
    differences
}

fn compare_thread(bare: &Log, filtered: &Log, differences: &mut Vec<Difference>) {
    for ordinal in 0..bare.entries.len().max(filtered.entries.len()) {
        let (left, right) = (bare.entries.get(ordinal), filtered.entries.get(ordinal));
        let key = |log: &Log, entry: Option<&Entry>| {
            entry.map(|entry| (entry.operation, log.name(entry).to_owned()))
        };
        let (left_key, right_key) = (key(bare, left), key(filtered, right));
        let parted = left_key != right_key;
        let (left, right) = (left.map(Entry::result), right.map(Entry::result));
        if !parted && left == right {
            continue;
        }
        let (operation, name) = match (left_key, right_key) {
            (Some(left), Some(right)) if parted => (
                format!("{} / {}", left.0, right.0),
                if left.1 == right.1 {
                    left.1
                } else {
                    format!("{} / {}", left.1, right.1)
                },
            ),
            (Some(key), _) | (None, Some(key)) => (key.0.to_owned(), key.1),
            (None, None) => continue,
        };
        differences.push(Difference {
            thread: bare.thread.max(filtered.thread),
            ordinal: ordinal + 1,
            operation,
            name,
            bare: left,
            filtered: right,
        });
        if parted {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(results: &[(&'static str, &str, i32, &[u8])]) -> Log {
        let mut log = Log::new(1);
        for (operation, name, status, data) in results {
            let outcome = Outcome {
                information: data.len(),
                ..Outcome::early(*status)
            };
            log.push(operation, name, &outcome, data);
        }
        log
    }

    #[test]
    fn equal_runs_have_no_difference_and_one_digest() {
        let a = log(&[("create", r"\a", 0, b""), ("read", r"\a", 0, b"hello")]);
        let b = a.clone();
        assert_eq!(
            compare(std::slice::from_ref(&a), std::slice::from_ref(&b)),
            Vec::new()
        );
        assert_eq!(digest_of(&[a]), digest_of(&[b]));
    }

    #[test]
    fn an_injected_difference_is_found_with_its_place() {
        let a = log(&[
            ("create", r"\a", 0, b""),
            ("read", r"\a", 0, b"hello"),
            ("close", r"\a", 0, b""),
        ]);
        let b = log(&[
            ("create", r"\a", 0, b""),
            ("read", r"\a", 0, b"hellp"),
            ("close", r"\a", 0, b""),
        ]);
        let found = compare(std::slice::from_ref(&a), std::slice::from_ref(&b));
        assert_eq!(found.len(), 1);
        let difference = &found[0];
        assert_eq!((difference.thread, difference.ordinal), (1, 2));
        assert_eq!(
            (difference.operation.as_str(), difference.name.as_str()),
            ("read", r"\a")
        );
        let text = difference.to_string();
        assert!(text.contains("thread 1, request 2: read \\a"), "{text}");
        assert_ne!(a.digest(), b.digest());
    }

    #[test]
    fn pending_alone_is_no_difference() {
        let a = log(&[("read", r"\a", 0, b"x")]);
        let mut b = a.clone();
        b.entries[0].pended = true;
        b.entries[0].fast = true;
        assert!(compare(&[a], &[b]).is_empty());
    }

    #[test]
    fn parted_sequences_end_the_threads_comparison() {
        let a = log(&[
            ("read", r"\a", 0, b""),
            ("write", r"\a", 0, b""),
            ("close", r"\a", 0, b""),
        ]);
        let b = log(&[("read", r"\a", 0, b""), ("close", r"\a", 0, b"")]);
        let found = compare(&[a], &[b]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].operation, "write / close");
    }

    #[test]
    fn a_missing_request_is_a_difference() {
        let a = log(&[("read", r"\a", 0, b"")]);
        let found = compare(&[a], &[Log::new(1)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].filtered.is_none());
    }
}
