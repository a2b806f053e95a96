//! Events as Chrome's trace events, which Perfetto and `chrome://tracing` draw over time.
//!
//! A request that did not pend is a complete event of its thread (`X`): what it sent in the same thread lies within it.
//! One that pended may end after others that began later, and is a pair of asynchronous events (`b`, `e`).
//!
//! Source: "Trace Event Format", JSON array format. Times are microseconds; they count from an hour that the first
//! event is within, or in the next one, so that a number has room for a tenth.

use super::event::Event;
use super::words;
use crate::report::kind;
use crate::status;
use fsglass_protocol::trace::flags;
use serde::Serialize;
use std::io::{Result, Write};

/// An hour in units of 100 ns.
const HOUR: u64 = 36_000_000_000;

/// One of Chrome's events.
#[derive(Serialize)]
struct TraceEvent<'e> {
    name: &'static str,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    pid: u32,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Arguments<'e>>,
}

/// What a viewer shows beside the name.
#[derive(Serialize)]
struct Arguments<'e> {
    file: &'e str,
    volume: &'e str,
    status: String,
    details: String,
    result: Option<&'static str>,
    information: u64,
    irql: u8,
}

/// Writes events, one in each line of an array.
pub struct Writer<W: Write> {
    to: W,
    /// What times count from, and how many events there were.
    begun: Option<(u64, u64)>,
}

impl<W: Write> Writer<W> {
    /// Nothing yet.
    pub fn new(to: W) -> Self {
        Self { to, begun: None }
    }

    /// Writes one.
    ///
    /// # Errors
    /// Those of writing.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        // Events come in the order of their completion: another may have begun before.
        let first = (event.time / HOUR).saturating_sub(1) * HOUR;
        let (base, number) = *self.begun.get_or_insert((first, 0));
        let begin = event.time.saturating_sub(base) as f64 / 10.0;
        let microseconds = event.nanoseconds as f64 / 1000.0;
        let pended = event.has(flags::PENDED);
        let one = TraceEvent {
            name: event.operation.name(),
            cat: kind(event.operation),
            ph: if pended { "b" } else { "X" },
            ts: begin,
            dur: (!pended).then_some(microseconds),
            pid: event.record.process.get(),
            tid: event.record.thread.get(),
            id: pended.then(|| number.to_string()),
            args: Some(Arguments {
                file: &event.name,
                volume: event.volume.short(),
                status: status::name(event.status()),
                details: words::details(event).join(", "),
                result: words::result(event),
                information: event.record.information.get(),
                irql: event.record.irql,
            }),
        };
        self.line(&one)?;
        if pended {
            let end = TraceEvent {
                ph: "e",
                ts: begin + microseconds,
                args: None,
                ..one
            };
            self.line(&end)?;
        }
        self.begun = Some((base, number + 1));
        Ok(())
    }

    fn line(&mut self, event: &TraceEvent<'_>) -> Result<()> {
        let is_first = self.begun.is_none_or(|(_, number)| number == 0) && event.ph != "e";
        self.to.write_all(if is_first { b"[\n" } else { b",\n" })?;
        serde_json::to_writer(&mut self.to, event)?;
        Ok(())
    }

    /// Ends the array.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> Result<()> {
        let end: &[u8] = match self.begun {
            Some(_) => b"\n]\n",
            None => b"[]\n",
        };
        self.to.write_all(end)?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use fsglass_protocol::Operation;
    use serde_json::Value;

    fn written(events: &[Event]) -> Vec<Value> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        events.iter().for_each(|one| writer.event(one).unwrap());
        writer.finish().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn what_pended_is_a_pair() {
        let mut pended = event(36_000_000_020, 70, Operation::READ);
        pended.record.flags = flags::PENDED.into();
        let before = event(36_000_000_005, 33, Operation::PAGING_READ);
        let events = written(&[pended.clone(), before, pended]);
        let of = |event: &Value, what: &str| event[what].clone();
        let phases: Vec<Value> = events.iter().map(|event| of(event, "ph")).collect();
        assert_eq!(phases, ["b", "e", "X", "b", "e"]);
        let ids: Vec<Value> = events.iter().map(|event| of(event, "id")).collect();
        assert_eq!(
            ids,
            ["0".into(), "0".into(), Value::Null, "2".into(), "2".into()]
        );
        let [begin, end, complete, ..] = &events[..] else {
            panic!()
        };
        let hour = 3_600_000_000.0;
        assert_eq!(
            (of(begin, "ts"), of(end, "ts")),
            ((hour + 2.0).into(), (hour + 9.0).into())
        );
        assert_eq!(
            (of(complete, "ts"), of(complete, "dur")),
            ((hour + 0.5).into(), 3.3.into())
        );
        assert_eq!(
            (of(complete, "cat"), of(complete, "pid")),
            ("paging I/O".into(), 4096.into())
        );
        assert_eq!(begin["args"]["details"], "offset 8192, length 512");
        assert_eq!(begin["args"]["file"], r"\a file");
        assert!(end.get("args").is_none() && end.get("dur").is_none());
    }

    #[test]
    fn nothing_is_an_array_too() {
        assert!(written(&[]).is_empty());
    }
}
