//! `compare`: what the same requests cost in two saved traces.

use super::context::Context;
use super::replay::{Ended, Read, events_of};
use crate::arguments::Compare;
use crate::error::{Exit, Result};
use crate::quantity;
use crate::report::Totals;
use crate::table::Table;
use crate::trace::groups::Groups;
use serde::Serialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;

/// One group in both. Durations are in microseconds; ratios are those of the second to the first, and none where one of
/// them has no such request.
#[derive(Serialize)]
struct Row<'g> {
    group: &'g str,
    first_requests: u64,
    second_requests: u64,
    first_p50_us: Option<f64>,
    second_p50_us: Option<f64>,
    p50_ratio: Option<f64>,
    first_p99_us: Option<f64>,
    second_p99_us: Option<f64>,
    p99_ratio: Option<f64>,
    first_failed: u64,
    second_failed: u64,
}

/// Shows both.
pub fn run(context: &mut Context<'_>, arguments: &Compare) -> Result<Exit> {
    let read = |path: &Path| -> Result<(Groups, Exit)> {
        let mut groups = Groups::by(arguments.group_by);
        let mut add = |event| -> ControlFlow<Infallible> {
            groups.add(&event);
            ControlFlow::Continue(())
        };
        let ended: Ended = match events_of(path, &arguments.wanted, &mut add)? {
            Read::ToEnd(ended) => ended,
            Read::Left(never) => match never {},
        };
        Ok((groups, ended.tell(context, path)))
    };
    let (first, first_ended) = read(&arguments.first)?;
    let (second, second_ended) = read(&arguments.second)?;
    let rows = rows(&first, &second);
    if context.json {
        context.print_json(&rows)?;
    } else if arguments.csv {
        context.print_csv(&rows)?;
    } else {
        write!(
            context.out,
            "{}",
            table(arguments.group_by.heading(), &rows)
        )?;
    }
    Ok(match first_ended {
        Exit::Done => second_ended,
        found => found,
    })
}

/// All groups: first those of the first trace, in its order, then what the second alone has.
fn rows<'g>(first: &'g Groups, second: &'g Groups) -> Vec<Row<'g>> {
    let names = |groups: &'g Groups| groups.in_order().into_iter().map(|(name, _)| name);
    let known: BTreeSet<&str> = names(first).collect();
    let new = names(second).filter(|name| !known.contains(name));
    names(first)
        .chain(new)
        .map(|name| row(name, first.of(name), second.of(name)))
        .collect()
}

fn row<'g>(group: &'g str, first: Option<&Totals>, second: Option<&Totals>) -> Row<'g> {
    let requests = |totals: Option<&Totals>| totals.map_or(0, |totals| totals.requests);
    let failed = |totals: Option<&Totals>| totals.map_or(0, |totals| totals.failed);
    let at = |totals: Option<&Totals>, share| {
        totals.map(|totals| totals.durations.percentile(share) as f64 / 1000.0)
    };
    let ratio = |share| match (at(first, share), at(second, share)) {
        (Some(first), Some(second)) if first > 0.0 => Some(second / first),
        _ => None,
    };
    Row {
        group,
        first_requests: requests(first),
        second_requests: requests(second),
        first_p50_us: at(first, 0.5),
        second_p50_us: at(second, 0.5),
        p50_ratio: ratio(0.5),
        first_p99_us: at(first, 0.99),
        second_p99_us: at(second, 0.99),
        p99_ratio: ratio(0.99),
        first_failed: failed(first),
        second_failed: failed(second),
    }
}

fn table(heading: &str, rows: &[Row<'_>]) -> Table {
    let headings = [
        heading, "REQUESTS", "THEN", "P50", "THEN", "RATIO", "P99", "THEN", "RATIO", "FAILED",
        "THEN",
    ];
    let mut table = Table::new(&headings).with_numbers_from(1);
    let duration = |microseconds: Option<f64>| match microseconds {
        Some(microseconds) => quantity::microseconds(microseconds),
        None => "-".to_owned(),
    };
    let ratio = |ratio: Option<f64>| match ratio {
        Some(ratio) => format!("{ratio:.2}"),
        None => "-".to_owned(),
    };
    for row in rows {
        table.row(vec![
            quantity::shown(row.group),
            row.first_requests.to_string(),
            row.second_requests.to_string(),
            duration(row.first_p50_us),
            duration(row.second_p50_us),
            ratio(row.p50_ratio),
            duration(row.first_p99_us),
            duration(row.second_p99_us),
            ratio(row.p99_ratio),
            row.first_failed.to_string(),
            row.second_failed.to_string(),
        ]);
    }
    table
}
