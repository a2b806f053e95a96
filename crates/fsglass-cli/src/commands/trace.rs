//! `trace`: requests as they complete.

use super::context::Context;
use super::volume::Selection;
use crate::arguments::{Trace, Wanted};
use crate::driver::Driver;
use crate::driver::trace::Taking;
use crate::error::{Error, Exit, Result};
use crate::system::DriveLetter;
use crate::trace::event::Event;
use crate::trace::file::{Writer, first_requests};
use crate::trace::filter::{Filter, Here, operations};
use crate::trace::print::{Form, Printer};
use crate::trace::stream::{Answer, PATIENCE, Stream};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::time::Instant;

/// The room for each answer.
pub const ROOM: usize = 1 << 20;

impl Wanted {
    /// The filter that the user described.
    pub fn filter(&self, letters: &[DriveLetter]) -> Result<Filter> {
        let selection = Selection::new(self.volume.as_deref(), letters)?;
        let excluded = match self.exclude_operation.as_slice() {
            [] => 0,
            excluded => operations(excluded),
        };
        let operations = operations(&self.operation) & !excluded;
        if operations == 0 {
            let what = "--exclude-operation leaves nothing of what --operation asks for";
            return Err(Error::new(what).exiting(Exit::Usage));
        }
        let slower_than = self.slower_than.unwrap_or_default().as_nanos() / 100;
        Ok(Filter {
            volume: selection.device().map(str::to_owned),
            process: self.process,
            operations,
            name: self.name.clone(),
            slower_than: u64::try_from(slower_than).unwrap_or(u64::MAX),
            failures: self.failures,
            here: Here {
                paths: self.path.clone(),
                exclude_names: self.exclude_name.clone(),
                exclude_processes: self.exclude_process.clone(),
                statuses: self.status.clone(),
                exclude_statuses: self.exclude_status.clone(),
                minors: self.minor.clone(),
            },
        })
    }
}

/// Shows or saves what completes, until Ctrl-C, or until there was enough.
pub fn run(context: &mut Context<'_>, arguments: &Trace) -> Result<Exit> {
    let letters = context.system.drive_letters();
    let mut filter = arguments.wanted.filter(&letters)?;
    if arguments.save.is_some() && filter.here != Here::default() {
        let what = "what --save keeps is what the driver lets through, and it cannot tell all that was asked for";
        return Err(Error::new(what)
            .remedy(
                "leave out --path, --exclude-name, --exclude-process, --status, --exclude-status and --minor here, and \
                 give them to replay or report",
            )
            .exiting(Exit::Usage));
    }
    let own = context.system.own_process();
    if let Some(own) = own.filter(|_| !arguments.with_self) {
        filter.here.exclude_processes.push(own);
    }
    let taking = Taking {
        ring: arguments.ring.unwrap_or(0),
        names: arguments.names,
    };
    let driver = Driver::open(context.system, context.service)?;
    context.system.catch_interrupt()?;
    let mut sink = match &arguments.save {
        Some(path) => {
            let file = File::create(path)
                .map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
            let writer = Writer::new(BufWriter::new(file), ROOM, &letters)?;
            Sink::File(Some(writer))
        }
        None => Sink::Printer(printer(context.out, context.json, arguments.csv)),
    };
    driver.trace_start(&filter, taking)?;
    context.system.tell("tracing; Ctrl-C ends it");
    let begun = Instant::now();
    let mut trace = Taken {
        filter,
        stream: Stream::running(letters),
        done: 0,
        most: arguments.count.unwrap_or(u64::MAX),
    };
    let taken = trace.take(context.system, &driver, &mut sink);
    let lost = trace.stream.lost();
    if let Sink::File(writer) = &mut sink
        && let Some(writer) = writer.take()
    {
        writer.finish(trace.done, lost)?;
    }
    let done = trace.done;
    drop(sink);
    if !taken? {
        // Who read it has enough.
        return Ok(Exit::Done);
    }
    driver.trace_stop()?;
    let elapsed = begun.elapsed().as_secs_f64();
    let where_to = match &arguments.save {
        Some(path) => format!(" to {}", path.display()),
        None => String::new(),
    };
    context.system.tell(&format!(
        "{done} requests in {elapsed:.1} s{where_to}, {lost} lost{}",
        if lost == 0 { "" } else { HOW_NOT_TO_LOSE }
    ));
    Ok(Exit::Done)
}

const HOW_NOT_TO_LOSE: &str = " (larger rings: --ring; fewer requests: a filter; faster: --save)";

/// What prints in the form that the user wants.
pub fn printer<W: Write>(out: W, json: bool, csv: bool) -> Printer<BufWriter<W>> {
    let form = match (json, csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    };
    Printer::new(BufWriter::with_capacity(1 << 16, out), form)
}

/// Where it goes.
enum Sink<'o> {
    File(Option<Writer<BufWriter<File>>>),
    Printer(Printer<BufWriter<&'o mut dyn Write>>),
}

/// What was taken so far.
struct Taken {
    /// The driver has picked by it, as far as it can.
    filter: Filter,
    stream: Stream,
    done: u64,
    most: u64,
}

impl Taken {
    /// Takes until it is enough; false if nobody reads any more what is printed.
    fn take(
        &mut self,
        system: &dyn crate::system::System,
        driver: &Driver,
        sink: &mut Sink<'_>,
    ) -> Result<bool> {
        let mut buffer = vec![0; ROOM];
        while self.done < self.most {
            let interrupted = system.interrupted();
            let until = Instant::now() + PATIENCE;
            let holds = self.stream.holds() && matches!(sink, Sink::Printer(_));
            let give_up =
                || interrupted || system.interrupted() || holds && Instant::now() >= until;
            let read = driver.trace_read(&mut buffer, &give_up)?;
            let Some(bytes) = read else {
                if interrupted || system.interrupted() {
                    break;
                }
                let events = self.stream.flush();
                if !self.print(&events, sink)? {
                    return Ok(false);
                }
                continue;
            };
            let answer = Answer { bytes, room: ROOM };
            let before = self.stream.arrived();
            let events = self.stream.take(answer, false)?;
            let arrived = self.stream.arrived() - before;
            if let Sink::File(Some(writer)) = sink {
                let wanted = arrived.min(self.most - self.done);
                if wanted == arrived {
                    writer.answer(bytes)?;
                } else {
                    writer.answer(&first_requests(bytes, wanted)?)?;
                }
                self.done += wanted;
            } else if !self.print(&events, sink)? {
                return Ok(false);
            }
            // What was there when Ctrl-C came is in this answer.
            if interrupted && !answer.is_full() {
                break;
            }
        }
        let rest = self.stream.flush();
        self.print(&rest, sink)
    }

    /// Prints events, as far as there are not enough; false if nobody reads them.
    fn print(&mut self, events: &[Event], sink: &mut Sink<'_>) -> Result<bool> {
        let Sink::Printer(printer) = sink else {
            return Ok(true);
        };
        let room = usize::try_from(self.most - self.done).unwrap_or(usize::MAX);
        let here = &self.filter.here;
        let wanted: Vec<&Event> = events
            .iter()
            .filter(|event| here.has(event))
            .take(room)
            .collect();
        self.done += wanted.len() as u64;
        let printed = wanted
            .into_iter()
            .try_for_each(|event| printer.print(event))
            .and_then(|()| printer.flush());
        match printed {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(true),
        }
    }
}
