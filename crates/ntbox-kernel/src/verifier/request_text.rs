//! A request as text: a line about it, its stack locations and its history, each a table.

use super::render::{Lines, irql_text};
use super::request::{Happened, Request};

/// Adds the request to a report.
pub(super) fn add(lines: &mut Lines, request: &Request) {
    let volume = request.volume.as_deref().unwrap_or_default();
    let of = match &request.file {
        Some(file) => format!(" of {volume}{file}"),
        None if volume.is_empty() => String::new(),
        None => format!(" of {volume}"),
    };
    let flags = match request.flags.join(", ") {
        none if none.is_empty() => none,
        flags => format!(" ({flags})"),
    };
    lines.add(
        1,
        format_args!(
            "request {}: {}{of}{flags}",
            request.address, request.function
        ),
    );
    match &request.state {
        Some(state) => {
            let above = state.current_location > state.stack_count;
            let place = if above {
                "with its originator".to_owned()
            } else {
                format!(
                    "location {} of {}",
                    state.current_location, state.stack_count
                )
            };
            let also = [
                (state.pending_returned, ", PendingReturned"),
                (state.cancelled, ", Cancel"),
            ];
            let also: String = also
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, text)| *text)
                .collect();
            lines.add(2, format_args!("status {}, {place}{also}", state.status));
        }
        None => lines.add(2, format_args!("freed")),
    }
    locations(lines, request);
    history(lines, request);
}

fn locations(lines: &mut Lines, request: &Request) {
    // The lowest ones stay unused when the stack ends above them.
    let used = request
        .locations
        .iter()
        .filter(|location| location.device != "none");
    let rows = used.map(|location| {
        let mark = if location.current { '>' } else { ' ' };
        let routine = match (&location.completion_routine, &location.context) {
            (Some(routine), Some(context)) => format!("{routine}, {context}"),
            _ => String::new(),
        };
        [
            format!("{mark} {}", location.number),
            location.device.clone(),
            location.function.clone(),
            location.control.join(", "),
            routine,
        ]
    });
    let titles = [
        "location",
        "driver",
        "function",
        "control",
        "completion routine of the driver above, context",
    ];
    table(lines, titles, rows.map(|row| (row, None)).collect());
}

fn history(lines: &mut Lines, request: &Request) {
    if request.history.is_empty() {
        return;
    }
    let older = match request.forgotten {
        0 => String::new(),
        count => format!(" ({count} older events not kept)"),
    };
    lines.add(1, format_args!("what happened to it{older}:"));
    let first = request.forgotten + 1;
    let rows = (first..).zip(&request.history).map(|(number, event)| {
        let row = [
            number.to_string(),
            event.thread.to_string(),
            irql_text(event.irql),
            event
                .location
                .map_or_else(|| "-".to_owned(), |number| number.to_string()),
            happened(event),
        ];
        let with = match (&event.completion_routine, &event.context) {
            (Some(routine), Some(context)) => Some(format!(
                "with completion routine {routine}, context {context}"
            )),
            _ => None,
        };
        (row, with)
    });
    let titles = ["event", "thread", "IRQL", "location", "what"];
    table(lines, titles, rows.collect());
}

/// What happened, to whom, with which result, and where.
fn happened(event: &Happened) -> String {
    let mut text = event.what.to_owned();
    if let Some(device) = &event.device {
        text += &format!(" {device}");
    }
    if let Some(status) = &event.status {
        text += &format!(" {status}");
    }
    if event.pending {
        text += if event.what.contains("routine") {
            ", PendingReturned"
        } else {
            ", marked pending"
        };
    }
    // A place of the box itself says nothing.
    if !["nowhere", "ntbox"].contains(&event.place.as_str()) {
        let preposition = if event.what.contains("routine") {
            ":"
        } else {
            " by"
        };
        text += &format!("{preposition} {}", event.place);
    }
    text
}

/// A row, and a line below its last column.
type Row<const N: usize> = ([String; N], Option<String>);

fn table<const N: usize>(lines: &mut Lines, titles: [&str; N], rows: Vec<Row<N>>) {
    if rows.is_empty() {
        return;
    }
    let mut widths = titles.map(str::len);
    for (row, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let indent: usize = widths.iter().take(N - 1).map(|width| width + 2).sum();
    let mut add = |cells: &[String; N], below: &Option<String>| {
        let line: String = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        lines.add(2, format_args!("{}", line.trim_end()));
        if let Some(below) = below {
            lines.add(2, format_args!("{:indent$}{below}", ""));
        }
    };
    add(&titles.map(str::to_owned), &None);
    for (row, below) in &rows {
        add(row, below);
    }
}
