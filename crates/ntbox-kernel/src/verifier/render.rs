//! A report as text or as one JSON object. Pure: everything was looked up before.

use super::request::Request;
use super::rules::Severity;
use super::{CALLED_BY, Configuration, Context, Violation, request_text};
use serde::Serialize;
use std::fmt::Write;

/// Everything that is told of a violation.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rule: &'static str,
    /// `violation` or `warning`.
    #[serde(skip)]
    kind: &'static str,
    code: &'static str,
    severity: Option<Severity>,
    family: String,
    message: String,
    should: &'static str,
    /// The page of the Windows driver documentation.
    source: &'static str,
    sites: Vec<Site>,
    /// The driver's calls that led there, innermost first.
    calls: Vec<String>,
    thread: Thread,
    request: Option<Request>,
    seed: u64,
    replay: Option<String>,
}

#[derive(Debug, Serialize)]
struct Site {
    what: &'static str,
    place: String,
}

#[derive(Debug, Serialize)]
struct Thread {
    id: u32,
    name: String,
    irql: u8,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Envelope<'a> {
    violation: &'a Report,
}

impl Report {
    /// What is known without looking at the request.
    pub(super) fn new(
        violation: &Violation,
        context: &Context,
        configuration: &Configuration,
        describe: impl Fn(usize) -> String,
    ) -> Self {
        // The system's own doings have no address.
        let known = violation.sites.iter().filter(|(_, address)| *address != 0);
        let sites = known.map(|(what, address)| Site {
            what,
            place: describe(*address),
        });
        Self {
            rule: violation.rule.name,
            kind: violation.rule.kind(),
            code: violation.rule.code,
            severity: violation.rule.severity(),
            family: violation.rule.family.to_string(),
            source: violation.rule.source,
            message: violation.message.clone(),
            should: violation.rule.should,
            sites: sites.collect(),
            calls: vec![],
            thread: Thread {
                id: context.thread,
                name: context.name.clone(),
                irql: context.irql,
            },
            request: None,
            seed: configuration.seed,
            replay: Some(configuration.replay.clone()).filter(|replay| !replay.is_empty()),
        }
    }

    /// Where the drivers' routines on the stack go on, innermost first. Each place is
    /// told once: a routine may have called itself.
    pub(super) fn set_calls(&mut self, calls: &[usize], describe: impl Fn(usize) -> String) {
        for place in calls.iter().map(|address| describe(*address)) {
            // What led to a site is of another stack.
            let is_site = |site: &Site| site.place == place && site.what != CALLED_BY;
            if !self.calls.contains(&place) && !self.sites.iter().any(is_site) {
                self.calls.push(place);
            }
        }
    }

    pub(super) fn set_request(&mut self, request: Option<Request>) {
        self.request = request;
    }

    /// The report, with a line end behind it.
    pub(super) fn render(&self, json: bool) -> String {
        if json {
            let object = serde_json::to_string(&Envelope { violation: self });
            object.unwrap_or_else(|error| format!("{{\"violation\":\"{error}\"}}")) + "\n"
        } else {
            self.text()
        }
    }

    fn text(&self) -> String {
        let mut lines = Lines(String::new());
        lines.add(
            0,
            format_args!("ntbox: {} of {} ({})", self.kind, self.rule, self.code),
        );
        lines.add(1, format_args!("{}", self.message));
        let width = self
            .sites
            .iter()
            .map(|site| site.what.len())
            .max()
            .unwrap_or(0);
        for site in &self.sites {
            lines.add(2, format_args!("{:width$}  {}", site.what, site.place));
        }
        if !self.calls.is_empty() {
            lines.add(1, format_args!("calls on the stack, innermost first:"));
            self.calls
                .iter()
                .for_each(|call| lines.add(2, format_args!("{call}")));
        }
        let Thread { id, name, irql } = &self.thread;
        lines.add(
            1,
            format_args!("thread {id} ({name}) at {}", irql_text(*irql)),
        );
        if let Some(request) = &self.request {
            request_text::add(&mut lines, request);
        }
        lines.add(1, format_args!("what to do: {}", self.should));
        lines.add(1, format_args!("published: {}", self.source));
        if let Some(severity) = self.severity {
            lines.add(1, format_args!("severity: {severity}"));
        }
        add_same_again(&mut lines, self.seed, self.replay.as_deref());
        lines.0
    }
}

/// The text so far.
pub(super) struct Lines(String);

impl Lines {
    /// Adds a line.
    pub(super) fn add(&mut self, depth: usize, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{:indent$}{line}", "", indent = 2 * depth);
    }
}

fn add_same_again(lines: &mut Lines, seed: u64, replay: Option<&str>) {
    lines.add(1, format_args!("seed {seed}"));
    if let Some(replay) = replay {
        lines.add(1, format_args!("the same again: {replay}"));
    }
}

/// The last lines of a report.
pub(super) fn same_again(configuration: &Configuration) -> String {
    let mut lines = Lines(String::new());
    let replay = Some(configuration.replay.as_str()).filter(|replay| !replay.is_empty());
    add_same_again(&mut lines, configuration.seed, replay);
    lines.0
}

/// A request alone.
pub(super) fn request(request: &Request) -> String {
    let mut lines = Lines(String::new());
    request_text::add(&mut lines, request);
    lines.0
}

/// The level by its name.
pub(super) fn irql_text(irql: u8) -> String {
    match irql {
        0 => "PASSIVE_LEVEL".into(),
        1 => "APC_LEVEL".into(),
        2 => "DISPATCH_LEVEL".into(),
        _ => format!("IRQL {irql}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Happened, Location, State};
    use super::*;
    use crate::verifier::rules;

    fn report(replay: &str) -> Report {
        let violation = Violation {
            rule: &rules::PENDING_NOT_MARKED,
            message: "STATUS_PENDING was returned for a request that was not marked".into(),
            irp: None,
            sites: vec![("forwarded", 0x10), ("freed", 0), ("returned", 0x20)],
        };
        let context = Context {
            thread: 7,
            name: "user 1".into(),
            irql: 2,
        };
        let configuration = Configuration {
            seed: 42,
            replay: replay.into(),
            ..Configuration::default()
        };
        Report::new(&violation, &context, &configuration, |address| {
            format!("fsglass!f{address}")
        })
    }

    fn request() -> Request {
        Request {
            address: "0x1000".into(),
            function: "IRP_MJ_READ".into(),
            volume: Some("C:".into()),
            file: Some(r"\a\b.txt".into()),
            flags: vec!["IRP_READ_OPERATION", "IRP_DEFER_IO_COMPLETION"],
            state: Some(State {
                status: "STATUS_SUCCESS".into(),
                pending_returned: true,
                cancelled: false,
                current_location: 2,
                stack_count: 3,
            }),
            locations: vec![Location {
                number: 2,
                current: true,
                function: "IRP_MJ_READ".into(),
                device: r"\FileSystem\fsglass".into(),
                control: vec!["pending", "on success"],
                completion_routine: Some("fsglass!completed (src/c.rs:5)".into()),
                context: Some("0x2000".into()),
            }],
            history: vec![Happened {
                what: "sent to",
                device: Some(r"\FileSystem\HostFs".into()),
                location: Some(1),
                status: None,
                pending: false,
                place: "fsglass!forward (src/f.rs:9)".into(),
                completion_routine: Some("fsglass!completed (src/c.rs:5)".into()),
                context: Some("0x2000".into()),
                thread: 7,
                irql: 0,
            }],
            forgotten: 3,
        }
    }

    #[test]
    fn text_names_rule_places_request_and_replay() {
        let mut report = report("ntbox run --seed 42");
        report.set_request(Some(request()));
        // 0x10 is a site already, and 9 is there twice.
        report.set_calls(&[0x10, 9, 9], |address| match address {
            0x10 => "fsglass!f16".into(),
            _ => format!("fsglass!caller{address}"),
        });
        assert_eq!(
            report.render(false),
            r"ntbox: violation of MarkIrpPending2 (0xC9/23D, 0xC9/24C)
  STATUS_PENDING was returned for a request that was not marked
    forwarded  fsglass!f16
    returned   fsglass!f32
  calls on the stack, innermost first:
    fsglass!caller9
  thread 7 (user 1) at DISPATCH_LEVEL
  request 0x1000: IRP_MJ_READ of C:\a\b.txt (IRP_READ_OPERATION, IRP_DEFER_IO_COMPLETION)
    status STATUS_SUCCESS, location 2 of 3, PendingReturned
    location  driver               function     control              completion routine of the driver above, context
    > 2       \FileSystem\fsglass  IRP_MJ_READ  pending, on success  fsglass!completed (src/c.rs:5), 0x2000
  what happened to it (3 older events not kept):
    event  thread  IRQL           location  what
    4      7       PASSIVE_LEVEL  1         sent to \FileSystem\HostFs by fsglass!forward (src/f.rs:9)
                                            with completion routine fsglass!completed (src/c.rs:5), context 0x2000
  what to do: call IoMarkIrpPending before returning STATUS_PENDING
  published: devtest/wdm-markirppending2
  severity: non-fatal error
  seed 42
  the same again: ntbox run --seed 42
"
        );
    }

    #[test]
    fn text_without_request_or_replay_leaves_them_out() {
        let text = report("").render(false);
        assert!(
            !text.contains("request 0x") && !text.contains("the same again"),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_line_with_the_same_content() {
        let mut report = report("");
        report.set_request(Some(request()));
        let text = report.render(true);
        assert_eq!(text.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        let violation = &object["violation"];
        assert_eq!(violation["rule"], "MarkIrpPending2");
        assert_eq!(violation["code"], "0xC9/23D, 0xC9/24C");
        assert_eq!(violation["severity"], "non-fatal-error");
        assert_eq!(violation["sites"][1]["what"], "returned");
        assert_eq!(violation["sites"][1]["place"], "fsglass!f32");
        assert_eq!(violation["thread"]["irql"], 2);
        assert_eq!(violation["request"]["file"], r"\a\b.txt");
        assert_eq!(
            violation["request"]["locations"][0]["control"][0],
            "pending"
        );
        assert_eq!(
            violation["request"]["history"][0]["place"],
            "fsglass!forward (src/f.rs:9)"
        );
        let location = &violation["request"]["locations"][0];
        assert_eq!(location["context"], "0x2000");
        let sent = &violation["request"]["history"][0];
        assert_eq!(sent["completion_routine"], "fsglass!completed (src/c.rs:5)");
        assert_eq!(violation["request"]["flags"][0], "IRP_READ_OPERATION");
        assert_eq!(violation["source"], "devtest/wdm-markirppending2");
        assert_eq!(violation["seed"], 42);
        assert!(violation["replay"].is_null());
    }
}
