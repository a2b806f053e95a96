//! What a run showed: as text for people and as JSON for programs.

use super::image::ImageFacts;
use super::machine::Unloaded;
use ntbox::file_system::adversary;
use ntbox::io_manager::error_log;
use ntbox::nt::Status;
use ntbox::user::counters::{Counts, FAST_IO};
use ntbox::verifier::major_name;
use ntbox::workload::bench::Measured;
use ntbox::workload::{Difference, RunResult};
use serde::Serialize;
use std::fmt::Write;

/// Differences and complaints shown in full.
const SHOWN: usize = 10;

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
    /// Digest of everything programs saw, as hexadecimal.
    pub observed: String,
    /// Milliseconds of the run.
    pub milliseconds: u64,
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
    /// Always zero: a violation ends the run with a report of its own.
    pub violations: u64,
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
        self.sent = sent_of(sent);
        self.arrived = arrived();
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

    /// Takes over how unloading went; a driver that stays in use is a mistake.
    pub fn set_drivers(&mut self, drivers: Vec<DriverReport>) {
        for driver in &drivers {
            if let Some(Unloaded::Refused(why)) = &driver.unload {
                self.wrong
                    .push(format!("{} cannot be unloaded: {why}", driver.service));
            }
        }
        self.drivers = drivers;
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

    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        self.write_drivers(out)?;
        self.write_volumes(out)?;
        self.write_requests(out)?;
        self.write_measured(out)?;
        for entry in &self.error_log {
            writeln!(out, "error log: {entry}")?;
        }
        writeln!(out, "\nResults")?;
        writeln!(
            out,
            "  requests     {:>9} recorded in {:.1} s by {} threads (seed {})",
            self.requests,
            self.milliseconds as f64 / 1000.0,
            self.threads,
            self.seed
        )?;
        if let Some(bare) = self.bare_milliseconds {
            writeln!(
                out,
                "  bare run               {:.1} s",
                bare as f64 / 1000.0
            )?;
        }
        if self.files != 0 {
            writeln!(
                out,
                "  files        {:>9} copied, read back and equal to the host's",
                self.files
            )?;
        }
        writeln!(out, "  observed     {}", self.observed)?;
        writeln!(out, "  differences  {:>9}", self.difference_count())?;
        for difference in self.differences.iter().chain(&self.wrong).take(SHOWN) {
            writeln!(out, "  - {difference}")?;
        }
        if self.difference_count() > SHOWN {
            writeln!(out, "  … and {} more", self.difference_count() - SHOWN)?;
        }
        writeln!(out, "  violations   {:>9}", self.violations)?;
        for driver in &self.drivers {
            let state = match &driver.unload {
                Some(Unloaded::Unloaded) => "unloaded, nothing left behind",
                Some(Unloaded::NoUnloadRoutine) => "stays loaded (it has no unload routine)",
                Some(Unloaded::Refused(why)) => why,
                None => "loaded",
            };
            writeln!(out, "  {:<12} {state}", driver.service)?;
        }
        Ok(())
    }

    fn write_drivers(&self, out: &mut String) -> std::fmt::Result {
        for driver in &self.drivers {
            let image = &driver.image;
            writeln!(out, "\nDriver {}", driver.service)?;
            writeln!(out, "  file         {} ({} bytes)", image.path, image.size)?;
            writeln!(
                out,
                "  timestamp    0x{:08X}, checksum 0x{:08X}",
                image.timestamp, image.checksum
            )?;
            let sections: Vec<String> = image
                .sections
                .iter()
                .map(|(name, size)| format!("{name} {size}"))
                .collect();
            writeln!(out, "  sections     {}", sections.join(", "))?;
            writeln!(out, "  imports      {}, all bound", image.imports.len())?;
        }
        if self.drivers.is_empty() {
            writeln!(out, "\nNo driver (bare run)")?;
        }
        Ok(())
    }

    fn write_volumes(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nVolumes (devices from the top down)")?;
        for volume in &self.volumes {
            writeln!(
                out,
                "  {}:  {}, mounted {}  ({})",
                volume.letter, volume.kind, volume.mount, volume.host
            )?;
            for device in &volume.stack {
                writeln!(out, "        {device}")?;
            }
        }
        Ok(())
    }

    fn write_requests(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nIRPs by major function     sent by programs   at the file system"
        )?;
        let names: Vec<&String> = ordered_names(&self.sent.by_major, &self.arrived.by_major);
        let of = |list: &[(String, u64)], name: &str| {
            list.iter()
                .find(|(other, _)| other == name)
                .map_or(0, |(_, count)| *count)
        };
        for name in names {
            writeln!(
                out,
                "  {name:<34} {:>8}             {:>8}",
                of(&self.sent.by_major, name),
                of(&self.arrived.by_major, name)
            )?;
        }
        writeln!(out, "\nFast I/O by entry                called   answered")?;
        for (name, tried, answered) in self.sent.fast_io.iter().filter(|(_, tried, _)| *tried != 0)
        {
            writeln!(out, "  {name:<28} {tried:>8}   {answered:>8}")?;
        }
        let total = self.requests.max(1);
        let share =
            |count: u64| format!("{count:>9}  {:5.1} %", count as f64 * 100.0 / total as f64);
        writeln!(out, "\nHow they ended")?;
        writeln!(out, "  pended                {}", share(self.ended.pended))?;
        writeln!(
            out,
            "  at DISPATCH_LEVEL     {}",
            share(self.ended.at_dispatch)
        )?;
        writeln!(out, "  by fast I/O           {}", share(self.ended.fast))?;
        writeln!(out, "  failed                {}", share(self.ended.failed))?;
        writeln!(
            out,
            "  cancelled             {}",
            share(self.ended.cancelled)
        )?;
        let ways: Vec<String> = self
            .arrived
            .ways
            .iter()
            .filter(|(_, count)| *count != 0)
            .map(|(way, count)| format!("{way} {count}"))
            .collect();
        writeln!(out, "  at the file system    {}", ways.join(", "))
    }

    fn write_measured(&self, out: &mut String) -> std::fmt::Result {
        if self.measured.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nTime per request (median of interleaved rounds)")?;
        for measured in &self.measured {
            writeln!(
                out,
                "  {:<56} bare {:>8}   filtered {:>8}   ({:.2}x)",
                measured.what,
                duration(measured.bare_ns),
                duration(measured.filtered_ns),
                measured.ratio
            )?;
        }
        Ok(())
    }
}

/// Nanoseconds for people.
pub fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 1000.0 {
        format!("{nanoseconds:.1} ns")
    } else {
        format!("{:.2} µs", nanoseconds / 1000.0)
    }
}

fn ordered_names<'a>(first: &'a [(String, u64)], second: &'a [(String, u64)]) -> Vec<&'a String> {
    let mut names: Vec<&String> = first.iter().map(|(name, _)| name).collect();
    for (name, _) in second {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn sent_of(counts: &Counts) -> Sent {
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

fn arrived() -> Arrived {
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
