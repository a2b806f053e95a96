//! The counters of both ends.

use super::{Arrived, Sent};
use ntbox::file_system::adversary;
use ntbox::io_manager::counters::{Counts, FAST_IO};
use ntbox::verifier::major_name;

pub(super) fn sent(counts: &Counts) -> Sent {
    let by_major = counts
        .irps
        .iter()
        .enumerate()
        .filter(|(_, count)| **count != 0)
        .map(|(major, count)| (major_name(major as u8).to_owned(), *count))
        .collect();
    let fast_io = FAST_IO
        .iter()
        .zip(counts.fast)
        .map(|(entry, (tried, answered))| (format!("{entry:?}"), tried, answered))
        .collect();
    Sent {
        by_major,
        fast_io,
        pended: counts.pended,
    }
}

pub(super) fn arrived() -> Arrived {
    let counts = adversary::counts();
    Arrived {
        by_major: adversary::counts_by_major()
            .iter()
            .map(|(major, counts)| (major_name(*major).to_owned(), counts.requests()))
            .collect(),
        fast_io: adversary::fast_io_by_entry()
            .into_iter()
            .map(|(entry, served, declined)| (entry.to_owned(), served, declined))
            .collect(),
        ways: [
            ("at once", counts.now),
            ("at once at DISPATCH", counts.at_dispatch),
            ("later", counts.pend),
            ("later at DISPATCH", counts.pend_at_dispatch),
            (
                "on another thread before the call returned",
                counts.other_thread,
            ),
            ("the same at DISPATCH", counts.other_thread_at_dispatch),
            ("failed by injection", counts.failed),
            ("held until cancelled", counts.held),
            ("waited for a lock or a change", counts.waited),
        ]
        .map(|(way, count)| (way.to_owned(), count))
        .to_vec(),
    }
}
