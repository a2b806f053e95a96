//! Events as text, JSON or CSV.

use super::event::Event;
use super::words;
use crate::{quantity, status};
use fsglass_protocol::trace::flags;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{Result, Write};
use std::time::{Duration, SystemTime};

/// How events are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Lines for people.
    Text,
    /// A JSON object in each line.
    Json,
    /// CSV.
    Csv,
}

/// Seconds from 1601, where Windows begins to count, to 1970.
const SECONDS_1601_TO_1970: u64 = 11_644_473_600;

/// A time of Windows (100 ns since 1601) in UTC, with all its digits.
#[must_use]
pub fn time(time: u64) -> String {
    let since = (time / 10_000_000).saturating_sub(SECONDS_1601_TO_1970);
    // The formatter knows four digits of the year.
    let since = Duration::from_secs(since.min(253_402_300_799));
    let second = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string();
    format!("{}.{:07}Z", second.trim_end_matches('Z'), time % 10_000_000)
}

/// An event as programs read it. Durations are in microseconds.
#[derive(Serialize)]
struct Row<'e> {
    time: String,
    duration_us: f64,
    process: u32,
    thread: u32,
    volume: &'e str,
    letter: &'e str,
    operation: &'static str,
    minor: u8,
    name: &'e str,
    name_as_opened: bool,
    name_cut: bool,
    name_unknown: bool,
    name_old: bool,
    status: String,
    status_name: String,
    information: u64,
    pended: bool,
    declined: bool,
    irql: u8,
    irp_flags: u32,
    file: String,
    offset: Option<u64>,
    length: Option<u64>,
    class: Option<u64>,
    code: Option<u64>,
    options: Option<u64>,
    access: Option<u64>,
    /// Of a section that is created, and of the end of what the modified page writer writes.
    r#type: Option<u64>,
    protection: Option<u64>,
    end: Option<u64>,
    /// What was asked, in words.
    details: String,
    /// What a create did, in a word.
    result: Option<&'static str>,
}

impl<'e> Row<'e> {
    fn of(event: &'e Event) -> Self {
        let record = &event.record;
        let parameter = |wanted: &str| {
            let mut parameters = event.parameters();
            parameters
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value)
        };
        Self {
            time: time(event.time),
            duration_us: event.nanoseconds as f64 / 1000.0,
            process: record.process.get(),
            thread: record.thread.get(),
            volume: &event.volume.name,
            letter: event.volume.letters.first().map_or("", String::as_str),
            operation: event.operation.name(),
            minor: record.minor,
            name: &event.name,
            name_as_opened: event.has(flags::NAME_AS_OPENED),
            name_cut: event.has(flags::NAME_CUT),
            name_unknown: event.has(flags::NAME_UNKNOWN),
            name_old: event.has(flags::NAME_OLD),
            status: format!("0x{:08X}", event.status()),
            status_name: status::name(event.status()),
            information: record.information.get(),
            pended: event.has(flags::PENDED),
            declined: event.has(flags::DECLINED),
            irql: record.irql,
            irp_flags: record.irp_flags.get(),
            file: format!("0x{:X}", record.file.get()),
            offset: parameter("offset"),
            length: parameter("length"),
            class: parameter("class"),
            code: parameter("code"),
            options: parameter("options"),
            access: parameter("access"),
            r#type: parameter("type"),
            protection: parameter("protection"),
            end: parameter("end"),
            details: words::details(event).join(", "),
            result: words::result(event),
        }
    }
}

/// Prints events.
pub struct Printer<W: Write> {
    to: Kind<W>,
}

enum Kind<W: Write> {
    Text(W, bool),
    Json(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Printer<W> {
    /// In that form.
    pub fn new(to: W, form: Form) -> Self {
        let to = match form {
            Form::Text => Kind::Text(to, false),
            Form::Json => Kind::Json(to),
            Form::Csv => Kind::Csv(Box::new(csv::Writer::from_writer(to))),
        };
        Self { to }
    }

    /// Prints one; it may not be seen before [`Printer::flush`].
    ///
    /// # Errors
    /// Those of writing.
    pub fn print(&mut self, event: &Event) -> Result<()> {
        match &mut self.to {
            Kind::Text(to, headed) => {
                if !std::mem::replace(headed, true) {
                    writeln!(to, "{HEADING}")?;
                }
                writeln!(to, "{}", line(event))
            }
            Kind::Json(to) => {
                serde_json::to_writer(&mut *to, &Row::of(event))?;
                writeln!(to)
            }
            Kind::Csv(to) => to.serialize(Row::of(event)).map_err(Into::into),
        }
    }

    /// Lets everything be seen.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.to {
            Kind::Text(to, _) | Kind::Json(to) => to.flush(),
            Kind::Csv(to) => to.flush(),
        }
    }
}

const HEADING: &str = "\
TIME              DURATION  PROCESS:THREAD  OPERATION                    FL  STATUS                    \
VOLUME NAME (DETAILS) = RESULT";

/// An event as a line.
fn line(event: &Event) -> String {
    let record = &event.record;
    let time = time(event.time);
    // The date is that of today, more often than not: it is in JSON and CSV.
    let time = time.split_once('T').map_or("", |(_, time)| time);
    let who = format!("{}:{}", record.process.get(), record.thread.get());
    let mut line = format!(
        "{:16} {:>9}  {who:14}  {:27}  {}  {:24}  {} {}",
        time.trim_end_matches('Z'),
        quantity::microseconds(event.nanoseconds as f64 / 1000.0),
        event.operation.name(),
        marks(event),
        status::name(event.status()),
        event.volume.short(),
        name(event),
    );
    let details = words::details(event);
    if !details.is_empty() {
        let _infallible = write!(line, " ({})", details.join(", "));
    }
    match words::result(event) {
        Some(result) => line += &format!(" = {result}"),
        None if record.information.get() != 0 => {
            let _infallible = write!(line, " = {}", record.information.get());
        }
        None => {}
    }
    line
}

/// `P`: it pended; `D`: completed at DISPATCH_LEVEL; `N`: no to fast I/O, a request follows.
fn marks(event: &Event) -> String {
    const DISPATCH_LEVEL: u8 = 2;
    let pended = if event.has(flags::DECLINED) {
        'N'
    } else if event.has(flags::PENDED) {
        'P'
    } else {
        '-'
    };
    let level = if event.record.irql >= DISPATCH_LEVEL {
        'D'
    } else {
        '-'
    };
    format!("{pended}{level}")
}

/// The name; what is not known of it is shown by `?`, what is cut off by `…`, and one that may have changed
/// since by `~`.
fn name(event: &Event) -> String {
    if event.has(flags::NAME_UNKNOWN) {
        return "?".to_owned();
    }
    let cut = if event.has(flags::NAME_CUT) {
        "…"
    } else {
        ""
    };
    let old = if event.has(flags::NAME_OLD) { "~" } else { "" };
    format!("{old}{cut}{}", quantity::shown(&event.name))
}
