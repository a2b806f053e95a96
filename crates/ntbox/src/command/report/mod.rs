//! What a run showed: as text for people and as JSON for programs.

mod counts;
mod text;

pub use text::duration;

use super::control::Answer;
use super::image::ImageFacts;
use super::machine::Unloaded;
use ntbox::file_system::adversary;
use ntbox::io_manager::counters::Counts;
use ntbox::io_manager::error_log;
use ntbox::nt::Status;
use ntbox::pe_image::crossing;
use ntbox::processor::stack_use;
use ntbox::verifier::collected::{self, Collected};
use ntbox::workload::bench::Measured;
use ntbox::workload::{Difference, RunResult};
use serde::Serialize;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// Everything a report says.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// `run` or `demo`.
    pub command: &'static str,
    /// Seed of the run.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// The drivers, lowest first.
    pub drivers: Vec<DriverReport>,
    /// The volumes.
    pub volumes: Vec<VolumeReport>,
    /// What control devices answered.
    pub controls: Vec<Answer>,
    /// What programs sent.
    pub sent: Sent,
    /// What reached the file system.
    pub arrived: Arrived,
    /// How requests ended, of those that programs saw.
    pub ended: Ended,
    /// Requests whose result was recorded.
    pub requests: u64,
    /// Files copied and found equal to the host's.
    pub files: u64,
    /// Digest of everything programs saw, as hexadecimal; empty where programs do as they like.
    pub observed: String,
    /// Milliseconds of the run.
    pub milliseconds: u64,
    /// Bytes that were on a kernel stack at most, and how many it has; zero where drivers have none of their own.
    pub deepest_stack: (usize, usize),
    /// Milliseconds of the bare run of a demo.
    pub bare_milliseconds: Option<u64>,
    /// Time per request.
    pub measured: Vec<Measured>,
    /// Requests that went otherwise than on the bare stack.
    pub differences: Vec<String>,
    /// What programs found wrong (contents, sizes, listings).
    pub wrong: Vec<String>,
    /// What drivers wrote into the error log.
    pub error_log: Vec<String>,
    /// Stubs that drivers called, in words.
    pub stubs: Vec<String>,
    /// Zero unless they are collected: a violation ends the run with a report of its own.
    pub violations: u64,
    /// Breaches that are published as warnings: they make no run unclean.
    pub warnings: u64,
    /// What was collected.
    pub violations_by_rule: Vec<Collected>,
}

/// A driver.
#[derive(Debug, Serialize)]
pub struct DriverReport {
    /// Service.
    pub service: String,
    /// The file.
    pub image: ImageFacts,
    /// How unloading went.
    pub unload: Option<Unloaded>,
    /// Bytes of the kernel stack that a routine of it has had when it passed a request on, at most, and which one.
    pub stack: Option<(usize, String)>,
}

/// A volume.
#[derive(Debug, Serialize)]
pub struct VolumeReport {
    /// Drive letter.
    pub letter: char,
    /// `disk`, …
    pub kind: String,
    /// `before`, …
    pub mount: String,
    /// Host directory.
    pub host: String,
    /// Devices, top to bottom.
    pub stack: Vec<String>,
}

/// What programs sent to the top of the stacks.
#[derive(Debug, Default, Serialize)]
pub struct Sent {
    /// IRPs by major function.
    pub by_major: Vec<(String, u64)>,
    /// Fast I/O by entry: called, answered.
    pub fast_io: Vec<(String, u64, u64)>,
    /// IRPs for which the stack returned STATUS_PENDING.
    pub pended: u64,
}

/// What reached the file system at the bottom.
#[derive(Debug, Default, Serialize)]
pub struct Arrived {
    /// Requests by major function.
    pub by_major: Vec<(String, u64)>,
    /// Fast I/O by entry: served, declined.
    pub fast_io: Vec<(String, u64, u64)>,
    /// Requests by the way in which they were completed.
    pub ways: Vec<(String, u64)>,
}

/// How requests ended.
#[derive(Debug, Default, Serialize)]
pub struct Ended {
    /// The stack returned STATUS_PENDING.
    pub pended: u64,
    /// Fast I/O answered.
    pub fast: u64,
    /// With an error status, injected or not.
    pub failed: u64,
    /// With STATUS_CANCELLED.
    pub cancelled: u64,
    /// Completed at DISPATCH_LEVEL by the file system.
    pub at_dispatch: u64,
}

impl Report {
    /// Takes over what a run gave; the counters are those of the run.
    pub fn fill(&mut self, result: &RunResult, sent: &Counts) {
        let (pended, fast, failed, cancelled) = result.shares();
        let bottom = adversary::counts();
        self.ended = Ended {
            pended,
            fast,
            failed,
            cancelled,
            at_dispatch: bottom.completed_at_dispatch(),
        };
        self.requests = result.requests();
        self.files = result.files;
        self.observed = format!("{:016x}", result.digest());
        self.milliseconds = result.elapsed.as_millis() as u64;
        self.wrong.clone_from(&result.wrong);
        self.count(sent);
    }

    /// Takes over the counters of a run, and what drivers have written.
    fn count(&mut self, sent: &Counts) {
        self.sent = counts::sent(sent);
        self.arrived = counts::arrived();
        self.error_log = error_log::entries()
            .into_iter()
            .map(|entry| {
                format!(
                    "{}: {} (final status {}) {}",
                    entry.driver,
                    Status(entry.error),
                    Status(entry.final_status),
                    entry.strings.join(" ")
                )
            })
            .collect();
    }

    /// Takes over how the calls of a mount's programs ended, in this time; the counters are those of it.
    #[cfg(target_os = "linux")]
    pub fn fill_mount(&mut self, ended: &ntbox_mount::Counts, elapsed: Duration, sent: &Counts) {
        self.ended = Ended {
            pended: ended.pended,
            fast: ended.fast,
            failed: ended.failed,
            cancelled: ended.cancelled,
            at_dispatch: adversary::counts().completed_at_dispatch(),
        };
        self.requests = ended.requests;
        self.milliseconds = elapsed.as_millis() as u64;
        self.count(sent);
    }

    /// Takes over how unloading went; a driver that stays in use is a mistake.
    pub fn set_drivers(&mut self, drivers: Vec<DriverReport>) {
        for driver in &drivers {
            if let Some(Unloaded::Refused(why)) = &driver.unload {
                self.wrong
                    .push(format!("{} cannot be unloaded: {why}", driver.service));
            }
        }
        self.drivers = drivers;
        self.deepest_stack = (stack_use::deepest(), crossing::STACK_BYTES);
    }

    /// Takes over the violations that did not end the run.
    pub fn set_violations(&mut self, collected: Vec<Collected>) {
        let all: u64 = collected.iter().map(|collected| collected.count).sum();
        self.violations = collected::violations(&collected);
        self.warnings = all - self.violations;
        self.violations_by_rule = collected;
    }

    /// Takes over the differences of a comparison.
    pub fn add_differences(&mut self, differences: &[Difference]) {
        self.differences
            .extend(differences.iter().map(ToString::to_string));
    }

    /// True if nothing went otherwise than it should.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.wrong.is_empty() && self.violations == 0
    }

    /// Differences of both kinds.
    pub fn difference_count(&self) -> usize {
        self.differences.len() + self.wrong.len()
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            command: "run",
            seed: 3,
            threads: 2,
            requests: 1000,
            observed: "00ff".to_owned(),
            sent: Sent {
                by_major: vec![("IRP_MJ_READ".to_owned(), 7)],
                fast_io: vec![("Read".to_owned(), 5, 4)],
                pended: 2,
            },
            ..Report::default()
        }
    }

    #[test]
    fn the_json_has_the_fields_that_programs_read() {
        let value: serde_json::Value = serde_json::from_str(&report().json()).expect("JSON");
        for field in [
            "command",
            "seed",
            "drivers",
            "volumes",
            "sent",
            "arrived",
            "ended",
            "requests",
            "files",
            "observed",
            "differences",
            "wrong",
            "violations",
            "measured",
            "milliseconds",
        ] {
            assert!(value.get(field).is_some(), "{field}");
        }
        assert_eq!(value["sent"]["by_major"][0][0], "IRP_MJ_READ");
        assert_eq!(value["sent"]["by_major"][0][1], 7);
        assert_eq!(value["violations"], 0);
    }

    #[test]
    fn a_difference_makes_a_run_unclean_and_is_shown() {
        let mut report = report();
        assert!(report.is_clean());
        report.wrong.push("thread 1, C:\\a: differs".to_owned());
        assert!(!report.is_clean());
        assert_eq!(report.difference_count(), 1);
        assert!(report.text().contains("thread 1, C:\\a: differs"));
    }

    #[test]
    fn many_differences_are_counted_and_some_shown() {
        let mut report = report();
        report.differences = (0..25)
            .map(|number| format!("difference {number}"))
            .collect();
        let text = report.text();
        assert!(
            text.contains("difference 9") && !text.contains("difference 10\n"),
            "{text}"
        );
        assert!(text.contains("… and 15 more"), "{text}");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration(17.25), "17.2 ns");
        assert_eq!(duration(2500.0), "2.50 µs");
    }
}
