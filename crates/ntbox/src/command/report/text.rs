//! The report for people.

use super::super::machine::Unloaded;
use super::Report;
use ntbox::verifier::collected;
use std::fmt::Write;

/// Differences and complaints shown in full.
const SHOWN: usize = 10;

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.push_str(&collected::text(&self.violations_by_rule));
        self.write_drivers(out)?;
        self.write_volumes(out)?;
        self.write_controls(out)?;
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
        if !self.observed.is_empty() {
            writeln!(out, "  observed     {}", self.observed)?;
        }
        writeln!(out, "  differences  {:>9}", self.difference_count())?;
        for difference in self.differences.iter().chain(&self.wrong).take(SHOWN) {
            writeln!(out, "  - {difference}")?;
        }
        if self.difference_count() > SHOWN {
            writeln!(out, "  … and {} more", self.difference_count() - SHOWN)?;
        }
        writeln!(out, "  violations   {:>9}", self.violations)?;
        if self.warnings != 0 {
            writeln!(out, "  warnings     {:>9}", self.warnings)?;
        }
        for stub in &self.stubs {
            writeln!(out, "  note         {stub}")?;
        }
        if let (used @ 1.., bytes) = self.deepest_stack {
            writeln!(
                out,
                "  stack        {used:>9} of {bytes} bytes, the deepest"
            )?;
        }
        for driver in &self.drivers {
            if let Some((bytes, routine)) = &driver.stack {
                writeln!(
                    out,
                    "  stack        {bytes:>9} bytes in {routine}, the most of {}",
                    driver.service
                )?;
            }
        }
        for driver in &self.drivers {
            let with;
            let state = match &driver.unload {
                Some(Unloaded::Gone) => "unloaded, nothing left behind",
                Some(Unloaded::WithViolations(count)) => {
                    with = format!("unloaded, with {count} of the violations");
                    &with
                }
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

    fn write_controls(&self, out: &mut String) -> std::fmt::Result {
        if !self.controls.is_empty() {
            writeln!(out, "\nControl requests")?;
        }
        for answer in &self.controls {
            let bytes = answer.output.len() / 2;
            let (device, code, status) = (&answer.device, &answer.code, &answer.status);
            writeln!(
                out,
                "  {device}  {code}: {status}, {bytes} bytes {}",
                answer.output
            )?;
        }
        Ok(())
    }

    fn write_requests(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nIRPs by major function     sent from above    at the file system"
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
                duration(measured.bare()),
                duration(measured.filtered()),
                measured.ratio()
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
