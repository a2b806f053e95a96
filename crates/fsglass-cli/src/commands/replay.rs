//! `replay`: a trace that was saved.

use super::context::Context;
use super::trace::printer;
use crate::arguments::{Replay, Wanted};
use crate::error::{Error, Exit, Result};
use crate::quantity;
use crate::report::Totals;
use crate::table::Table;
use crate::trace::chrome::Writer;
use crate::trace::event::Event;
use crate::trace::file::{Block, Reader};
use crate::trace::filter::Filter;
use crate::trace::groups::{Groups, Key};
use crate::trace::stream::{Answer, Stream};
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::ops::ControlFlow;
use std::path::Path;

/// How a file ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Requests in it.
    pub requests: u64,
    /// Records that were lost while it was made, as far as it says.
    pub lost: u64,
    /// It was cut off.
    pub cut: bool,
}

impl Ended {
    /// Tells what is missing, and how the process is to end.
    pub fn tell(&self, context: &Context<'_>, path: &Path) -> Exit {
        let path = path.display();
        if self.lost != 0 {
            let lost = self.lost;
            context.system.tell(&format!(
                "{path}: {lost} records were lost when it was made"
            ));
        }
        if !self.cut {
            return Exit::Done;
        }
        let requests = self.requests;
        context.system.tell(&format!(
            "{path}: the file is cut off; it has {requests} requests before the cut"
        ));
        Exit::Found
    }
}

/// Shows what was saved.
pub fn run(context: &mut Context<'_>, arguments: &Replay) -> Result<Exit> {
    if let Some(key) = arguments.group_by {
        return grouped(context, arguments, key);
    }
    if arguments.trace_events {
        return trace_events(context, arguments);
    }
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut printer = printer(&mut *context.out, context.json, arguments.csv);
    let mut show = |event: Event| {
        if left == 0 {
            return ControlFlow::Break(Ok(()));
        }
        left -= 1;
        match printer.print(&event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    };
    let read = events_of(&arguments.file, &arguments.wanted, &mut show)?;
    let flushed = printer.flush();
    drop(printer);
    let ended = match read {
        Read::ToEnd(ended) => flushed.map(|()| Some(ended)),
        Read::Left(result) => result.and(flushed).map(|()| None),
    };
    match ended {
        Ok(Some(ended)) => Ok(ended.tell(context, &arguments.file)),
        Ok(None) => Ok(Exit::Done),
        Err(error) => Err(error.into()),
    }
}

/// Shows what was saved as Chrome's trace events.
fn trace_events(context: &mut Context<'_>, arguments: &Replay) -> Result<Exit> {
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut writer = Writer::new(BufWriter::new(&mut *context.out));
    let mut show = |event: Event| {
        if left == 0 {
            return ControlFlow::Break(Ok(()));
        }
        left -= 1;
        match writer.event(&event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    };
    let read = events_of(&arguments.file, &arguments.wanted, &mut show)?;
    let finished = writer.finish();
    Ok(match read {
        Read::ToEnd(ended) => {
            finished?;
            ended.tell(context, &arguments.file)
        }
        Read::Left(result) => {
            result.and(finished)?;
            Exit::Done
        }
    })
}

/// Shows what was saved, counted together.
fn grouped(context: &mut Context<'_>, arguments: &Replay, key: Key) -> Result<Exit> {
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut groups = Groups::by(key);
    let mut add = |event: Event| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        groups.add(&event);
        ControlFlow::Continue(())
    };
    let read = events_of(&arguments.file, &arguments.wanted, &mut add)?;
    let rows: Vec<Row<'_>> = groups
        .in_order()
        .into_iter()
        .map(|(group, totals)| Row::of(group, totals))
        .collect();
    show(context, arguments.csv, key, &rows)?;
    Ok(match read {
        Read::ToEnd(ended) => ended.tell(context, &arguments.file),
        Read::Left(()) => Exit::Done,
    })
}

/// What was counted together. Durations are in microseconds.
#[derive(Serialize)]
struct Row<'g> {
    group: &'g str,
    requests: u64,
    bytes: u64,
    total_us: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    pended: u64,
    failed: u64,
}

impl<'g> Row<'g> {
    fn of(group: &'g str, totals: &Totals) -> Self {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
        Self {
            group,
            requests: totals.requests,
            bytes: totals.bytes,
            total_us: totals.nanoseconds as f64 / 1000.0,
            p50_us: microseconds(totals.durations.percentile(0.5)),
            p99_us: microseconds(totals.durations.percentile(0.99)),
            max_us: microseconds(totals.durations.longest),
            pended: totals.pended,
            failed: totals.failed,
        }
    }
}

fn show(context: &mut Context<'_>, csv: bool, key: Key, rows: &[Row<'_>]) -> Result<()> {
    if context.json {
        return context.print_json(&rows);
    }
    if csv {
        return context.print_csv(rows);
    }
    let headings = [
        "REQUESTS", "BYTES", "TIME", "P50", "P99", "MAX", "PENDED", "FAILED",
    ];
    let headings: Vec<&str> = [key.heading()].into_iter().chain(headings).collect();
    let mut table = Table::new(&headings).with_numbers_from(1);
    for row in rows {
        let [time, p50, p99, max] =
            [row.total_us, row.p50_us, row.p99_us, row.max_us].map(quantity::microseconds);
        table.row(vec![
            quantity::shown(row.group),
            row.requests.to_string(),
            quantity::bytes(row.bytes as f64),
            time,
            p50,
            p99,
            max,
            row.pended.to_string(),
            row.failed.to_string(),
        ]);
    }
    write!(context.out, "{table}")?;
    Ok(())
}

/// How far a file was read.
pub enum Read<B> {
    /// To its end.
    ToEnd(Ended),
    /// Until the reader had enough.
    Left(B),
}

/// Gives the wanted events of a file to `show`, in their order.
///
/// # Errors
/// Those of the file, with its name.
pub fn events_of<B>(
    path: &Path,
    wanted: &Wanted,
    show: &mut dyn FnMut(Event) -> ControlFlow<B>,
) -> Result<Read<B>> {
    let named = |error: std::io::Error| Error::new(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(named)?;
    let mut reader = Reader::new(BufReader::with_capacity(1 << 20, file))?;
    let mut stream = Stream::saved();
    // The letters come first: the filter needs them.
    let mut block = reader.next_block()?;
    let mut filter = None;
    if let Some(Block::Letters(letters)) = &block {
        filter = Some(wanted.filter(letters)?);
        letters
            .iter()
            .for_each(|letter| stream.add_letter(letter.clone()));
        block = reader.next_block()?;
    }
    let filter = filter.map_or_else(|| wanted.filter(&[]), Ok)?;
    let mut end = None;
    while let Some(read) = block {
        let (bytes, cut) = match read {
            Block::Answer(bytes) => (bytes, false),
            Block::CutAnswer(bytes) => (bytes, true),
            Block::Letters(_) => (Vec::new(), true),
            Block::End(found) => {
                end = Some(found);
                break;
            }
        };
        let answer = Answer {
            bytes: &bytes,
            room: reader.room,
        };
        if let ControlFlow::Break(left) = give(stream.take(answer, cut)?, &filter, show) {
            return Ok(Read::Left(left));
        }
        block = reader.next_block()?;
    }
    if let ControlFlow::Break(left) = give(stream.flush(), &filter, show) {
        return Ok(Read::Left(left));
    }
    Ok(Read::ToEnd(Ended {
        requests: stream.arrived(),
        lost: end.map_or(stream.lost(), |end| end.lost.get()),
        cut: end.is_none(),
    }))
}

fn give<B>(
    events: Vec<Event>,
    filter: &Filter,
    show: &mut dyn FnMut(Event) -> ControlFlow<B>,
) -> ControlFlow<B> {
    events
        .into_iter()
        .filter(|event| filter.has(event))
        .try_for_each(show)
}
