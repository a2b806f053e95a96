//! `stats`: what was counted, per volume and operation.

use super::context::Context;
use super::time;
use super::volume::{Selection, letters_of};
use crate::arguments::Stats;
use crate::driver::Driver;
use crate::driver::statistics::{OperationStatistics, Statistics, VolumeStatistics};
use crate::error::{Exit, Result};
use crate::quantity;
use crate::system::DriveLetter;
use crate::table::Table;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long a pause between two looks at Ctrl-C is.
const LOOK: Duration = Duration::from_millis(20);

/// One operation of one volume. Durations are in microseconds.
#[derive(Serialize)]
struct Row {
    time: String,
    /// Over which the requests were counted; none: since counting began.
    seconds: Option<f64>,
    volume: String,
    letter: String,
    attached: bool,
    operation: &'static str,
    requests: u64,
    requests_per_second: Option<f64>,
    bytes: u64,
    bytes_per_second: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    pended: u64,
    pended_share: f64,
    errors: u64,
    warnings: u64,
    informational: u64,
    at_dispatch: u64,
    declined: u64,
    in_flight: u64,
}

/// What is shown at a time.
#[derive(Serialize)]
struct Sheet {
    time: String,
    seconds: Option<f64>,
    counting: bool,
    volumes_forgotten: u32,
    /// Requests that were not counted since counting began.
    missed: u64,
    operations: Vec<Row>,
}

/// Shows what was counted: once, or again and again.
pub fn run(context: &mut Context<'_>, arguments: &Stats) -> Result<Exit> {
    let letters = context.system.drive_letters();
    let selection = Selection::new(arguments.volume.as_deref(), &letters)?;
    let driver = Driver::open(context.system, context.service)?;
    let mut earlier = driver.statistics()?;
    let counting = earlier.header.kept.get() != 0;
    driver.observe(true)?;
    let pause = arguments.interval.or(arguments.watch.then_some(1.0));
    let Some(pause) = pause.map(Duration::from_secs_f64) else {
        let sheet = Sheet::new(&earlier, None, counting, &selection, &letters);
        return show(context, arguments, &sheet, true);
    };
    context.system.catch_interrupt()?;
    // What is counted from now on is complete.
    earlier = driver.statistics()?;
    let mut first = true;
    loop {
        let ended = wait(context, pause);
        let now = driver.statistics()?;
        // One that Ctrl-C cut short is shown only where nothing else was.
        if !ended || first {
            let sheet = Sheet::new(&now, Some(&earlier), true, &selection, &letters);
            show(context, arguments, &sheet, first)?;
        }
        if ended || !arguments.watch {
            return Ok(Exit::Done);
        }
        earlier = now;
        first = false;
    }
}

/// Waits: whether Ctrl-C was pressed meanwhile.
fn wait(context: &Context<'_>, pause: Duration) -> bool {
    let end = Instant::now() + pause;
    loop {
        if context.system.interrupted() {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

impl Sheet {
    fn new(
        now: &Statistics,
        earlier: Option<&Statistics>,
        counting: bool,
        selection: &Selection,
        letters: &[DriveLetter],
    ) -> Self {
        let frequency = now.header.frequency.get().max(1) as f64;
        let seconds = earlier.map(|earlier| {
            let ticks = now
                .header
                .now
                .get()
                .saturating_sub(earlier.header.now.get());
            ticks as f64 / frequency
        });
        let made = Made {
            time: time::now(),
            seconds,
            per_microsecond: frequency / 1e6,
        };
        let mut operations = Vec::new();
        let shown = now.volumes.iter().filter(|one| selection.has(&one.name));
        for volume in shown {
            let mut of_volume: Vec<Row> = volume
                .operations
                .iter()
                .map(|now| {
                    let earlier = earlier.and_then(|all| all.find(volume.volume, now.operation));
                    let none = OperationStatistics::none(now.operation);
                    made.row(volume, letters, now, earlier.unwrap_or(&none))
                })
                .filter(|row| row.requests != 0 || row.in_flight != 0)
                .collect();
            of_volume.sort_by_key(|row| std::cmp::Reverse(row.requests));
            operations.extend(of_volume);
        }
        Self {
            time: made.time,
            seconds,
            counting,
            volumes_forgotten: now.header.forgotten.get(),
            missed: now.header.missed.get(),
            operations,
        }
    }

    /// What stands above the table.
    fn summary(&self) -> String {
        let total = |part: fn(&Row) -> u64| self.operations.iter().map(part).sum::<u64>();
        let (requests, bytes) = (total(|row| row.requests), total(|row| row.bytes));
        let mut line = match self.seconds {
            None => format!(
                "{requests} requests, {} since counting began",
                quantity::bytes(bytes as f64)
            ),
            Some(seconds) => format!(
                "{}: {requests} requests in {seconds:.1} s, {} requests/s, {}/s",
                self.time,
                quantity::count(requests as f64 / seconds.max(1e-9)),
                quantity::bytes(bytes as f64 / seconds.max(1e-9)),
            ),
        };
        line += &format!(", {} in flight\n", total(|row| row.in_flight));
        if !self.counting {
            line += "nothing is counted now but for this program: use --watch or --interval, or set \
                     Statistics under the service's Parameters key to 1\n";
        }
        if self.volumes_forgotten != 0 {
            line += &format!(
                "{} volumes are not counted for want of room\n",
                self.volumes_forgotten
            );
        }
        if self.missed != 0 {
            line += &format!(
                "{} requests were not counted for want of memory\n",
                self.missed
            );
        }
        line
    }

    fn text(&self) -> String {
        let mut headings = vec!["VOLUME", "OPERATION", "REQUESTS"];
        let rates = self.seconds.is_some();
        headings.extend(rates.then_some("RATE/s"));
        headings.push("BYTES");
        headings.extend(rates.then_some("BYTES/s"));
        headings.extend(["P50", "P99", "MAX", "PENDED", "ERRORS", "IN FLIGHT"]);
        let mut table = Table::new(&headings).with_numbers_from(2);
        for row in &self.operations {
            table.row(row.cells());
        }
        format!("{}{table}", self.summary())
    }
}

/// What the rows of a sheet share.
struct Made {
    time: String,
    seconds: Option<f64>,
    per_microsecond: f64,
}

impl Made {
    fn row(
        &self,
        volume: &VolumeStatistics,
        letters: &[DriveLetter],
        now: &OperationStatistics,
        earlier: &OperationStatistics,
    ) -> Row {
        let count = |part: fn(&OperationStatistics) -> u64| part(now).saturating_sub(part(earlier));
        let requests = count(|one| one.counted.completed.get());
        let bytes = count(|one| one.counted.bytes.get());
        let pended = count(|one| one.counted.pended.get());
        let durations = now.durations.since(&earlier.durations);
        let rate = |number: u64| {
            self.seconds
                .map(|seconds| number as f64 / seconds.max(1e-9))
        };
        let microseconds = |ticks: u64| ticks as f64 / self.per_microsecond;
        let started = now.counted.started.get();
        Row {
            time: self.time.clone(),
            seconds: self.seconds,
            volume: volume.name.clone(),
            letter: letters_of(&volume.name, letters).join(" "),
            attached: volume.attached,
            operation: now.operation.name(),
            requests,
            requests_per_second: rate(requests),
            bytes,
            bytes_per_second: rate(bytes),
            p50_us: microseconds(durations.percentile(0.5)),
            p99_us: microseconds(durations.percentile(0.99)),
            max_us: microseconds(now.durations.longest),
            pended,
            pended_share: pended as f64 / (requests.max(1)) as f64,
            errors: count(|one| one.counted.errors.get()),
            warnings: count(|one| one.counted.warnings.get()),
            informational: count(|one| one.counted.informational.get()),
            at_dispatch: count(|one| one.counted.at_dispatch.get()),
            declined: count(|one| one.counted.declined.get()),
            // A request may come back between the two counters are read.
            in_flight: started.saturating_sub(now.counted.completed.get()),
        }
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let name = match (self.letter.as_str(), self.volume.as_str()) {
            ("", "") => "(no name)",
            ("", name) => name,
            (letter, _) => letter,
        };
        let gone = if self.attached { "" } else { " (detached)" };
        let mut cells = vec![
            format!("{name}{gone}"),
            self.operation.to_owned(),
            self.requests.to_string(),
        ];
        cells.extend(self.requests_per_second.map(quantity::count));
        let bytes = |bytes: f64| match self.bytes {
            0 => "-".to_owned(),
            _ => quantity::bytes(bytes),
        };
        cells.push(bytes(self.bytes as f64));
        cells.extend(self.bytes_per_second.map(bytes));
        let durations = [self.p50_us, self.p99_us, self.max_us];
        cells.extend(durations.map(quantity::microseconds));
        cells.push(format!("{:.1} %", self.pended_share * 100.0));
        cells.push(self.errors.to_string());
        cells.push(self.in_flight.to_string());
        cells
    }
}

/// Shows one sheet: `first`, or in the place of the one before.
fn show(context: &mut Context<'_>, arguments: &Stats, sheet: &Sheet, first: bool) -> Result<Exit> {
    if context.json {
        if arguments.watch {
            // A line each, so that a program can read them as they come.
            let line = serde_json::to_string(sheet).map_err(std::io::Error::from)?;
            writeln!(context.out, "{line}")?;
        } else {
            context.print_json(sheet)?;
        }
    } else if arguments.csv {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(first)
            .from_writer(&mut *context.out);
        for row in &sheet.operations {
            writer.serialize(row).map_err(std::io::Error::from)?;
        }
        writer.flush()?;
    } else {
        let text = sheet.text();
        match context.system.terminal() {
            Some(size) if arguments.watch => redraw(context, &text, size, first)?,
            _ if first => write!(context.out, "{text}")?,
            _ => write!(context.out, "\n{text}")?,
        }
    }
    context.out.flush()?;
    Ok(Exit::Done)
}

/// Draws over what was drawn before. What the terminal has no room for is left out.
fn redraw(
    context: &mut Context<'_>,
    text: &str,
    (columns, rows): (u16, u16),
    first: bool,
) -> Result<()> {
    use crossterm::cursor::MoveTo;
    use crossterm::terminal::{Clear, ClearType};
    if first {
        write!(context.out, "{}", Clear(ClearType::All))?;
    }
    write!(context.out, "{}", MoveTo(0, 0))?;
    let (columns, room) = (usize::from(columns), usize::from(rows).saturating_sub(1));
    for line in text.lines().take(room) {
        let line: String = line.chars().take(columns).collect();
        writeln!(context.out, "{line}{}", Clear(ClearType::UntilNewLine))?;
    }
    write!(context.out, "{}", Clear(ClearType::FromCursorDown))?;
    Ok(())
}
