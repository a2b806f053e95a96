//! The page: HTML in one piece, which needs nothing from elsewhere.

use super::{Summary, Totals, charts};
use crate::error::{Error, Result};
use crate::trace::{print, words};
use crate::{quantity, status};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Files that are listed.
const FILES: usize = 25;

/// Processes that are listed.
const PROCESSES: usize = 25;

/// What is told of where the trace comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The name of the file.
    pub file: String,
    /// Records that were lost when it was made.
    pub lost: u64,
    /// It was cut off.
    pub cut: bool,
}

const STYLE: &str = "\
:root { color-scheme: light dark; --text: #222; --page: #fff; --weak: #555; --line: #ccc; --note: #fffaf0; }
@media (prefers-color-scheme: dark) {
:root { --text: #ddd; --page: #181818; --weak: #aaa; --line: #444; --note: #2a2410; }
figure svg { filter: invert(.9) hue-rotate(180deg); } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto; \
max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
dl.numbers { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
dl.numbers div { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .8rem; flex: 1; \
min-width: 5.2rem; }
dl.numbers dt { color: var(--weak); font-size: .85rem; } dl.numbers dd { margin: 0; font-size: 1.25rem; }
.note { border-left: .3rem solid #b7791f; background: var(--note); padding: .5rem .8rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin: .3rem 0; }
figure svg { max-width: 100%; height: auto; display: block; }
.durations { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
.scroll { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--weak); padding-bottom: .3rem; }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--weak); } tbody tr { border-bottom: 1px solid var(--line); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.name { min-width: 16rem; word-break: break-all; font-family: ui-monospace, monospace; font-size: .85rem; }
td.name small { font-family: system-ui, sans-serif; color: var(--weak); word-break: normal; }";

/// The page of a trace.
///
/// # Errors
/// If a chart cannot be drawn.
pub fn page(summary: &Summary, origin: &Origin) -> Result<String> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded, and no script runs, whatever a file is called.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { "fsglass: " (origin.file) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "File-system requests in " (origin.file) }
                    @if let Some((first, last)) = summary.span {
                        p { (print::time(first)) " to " (print::time(last)) }
                    }
                }
                main {
                    (notes(origin))
                    (numbers(summary))
                    @if summary.all.requests != 0 {
                        (mix(summary)?)
                        (durations(summary)?)
                        (busiest(summary))
                        (slowest(summary)?)
                        (failures(summary))
                    } @else {
                        p { "There is no request in it that was wanted." }
                    }
                }
                footer { p { "Made by fsglass " (env!("CARGO_PKG_VERSION")) "." } }
            }
        }
    };
    Ok(markup.into_string())
}

fn notes(origin: &Origin) -> Markup {
    html! {
        @if origin.lost != 0 {
            p.note #lost { (origin.lost) " records were lost when the trace was made: the driver had no room \
                for them. What follows does not count them." }
        }
        @if origin.cut {
            p.note #cut { "The file is cut off; this is what comes before the cut." }
        }
    }
}

fn numbers(summary: &Summary) -> Markup {
    let all = &summary.all;
    let seconds = summary.seconds();
    let rate = quantity::count(all.requests as f64 / seconds.max(1e-7));
    html! {
        dl.numbers {
            (number("requests", &all.requests.to_string()))
            (number("time", &quantity::microseconds(seconds * 1e6)))
            (number("per second", &rate))
            (number("transferred", &quantity::bytes(all.bytes as f64)))
            (number("failed", &share(all.failed, all.requests)))
            (number("pended", &share(all.pended, all.requests)))
            (number("median", &nanoseconds(all.durations.percentile(0.5))))
            (number("99 %", &nanoseconds(all.durations.percentile(0.99))))
        }
    }
}

fn number(what: &str, value: &str) -> Markup {
    html! { div { dt { (what) } dd { (value) } } }
}

/// What moves none has none.
fn bytes(totals: &Totals) -> String {
    match totals.bytes {
        0 => "-".to_owned(),
        bytes => quantity::bytes(bytes as f64),
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

fn nanoseconds(nanoseconds: u64) -> String {
    quantity::microseconds(nanoseconds as f64 / 1000.0)
}

/// A picture, and what those who do not see it are told; the table beside it has the numbers.
fn figure(caption: &str, label: &str, svg: &str) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            // All text in it is ours: names of operations, and numbers.
            div role="img" aria-label=(label) { (PreEscaped(svg)) }
        }
    }
}

fn drawn<E: std::fmt::Display>(chart: std::result::Result<String, E>) -> Result<String> {
    chart.map_err(|error| Error::new(format!("a chart cannot be drawn: {error}")))
}

fn mix(summary: &Summary) -> Result<Markup> {
    let mix = summary.mix();
    let frequent = mix.first().map_or("", |(operation, _)| operation.name());
    let label = format!(
        "Bars: requests by operation. Most frequent: {frequent}. The table below has the numbers."
    );
    let rates = drawn(charts::rates(summary))?;
    let processes: Vec<(String, &Totals)> = summary
        .by_process()
        .into_iter()
        .take(PROCESSES)
        .map(|(id, totals)| (id.to_string(), totals))
        .collect();
    Ok(html! {
        section #mix {
            h2 { "Requests" }
            (figure("Requests by operation", &label, &drawn(charts::mix(summary))?))
            (figure("Requests per second", "Bars: requests per second over time.", &rates))
            (totals("By operation", "operation", mix.iter().map(|(one, totals)| (one.name(), *totals))))
            (totals("By who asked: programs by requests and by fast I/O, the memory manager and the cache manager by \
                paging I/O", "kind", summary.kinds.iter().map(|(kind, totals)| (*kind, totals))))
            (totals("By process, those whose requests took most time first", "process",
                processes.iter().map(|(id, totals)| (id.as_str(), *totals))))
            (totals("By volume", "volume",
                summary.volumes.iter().map(|(name, totals)| (name.as_str(), totals))))
        }
    })
}

/// A table of totals; how long they took is told with an error of at most an eighth.
fn totals<'s>(
    caption: &str,
    what: &str,
    rows: impl Iterator<Item = (&'s str, &'s Totals)>,
) -> Markup {
    let columns = [
        "requests", "bytes", "failed", "pended", "median", "99 %", "longest",
    ];
    html! {
        div.scroll {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" { (what) }
                    @for column in columns { th.number scope="col" { (column) } }
                } }
                tbody {
                    @for (name, totals) in rows {
                        tr {
                            th scope="row" { (name) }
                            td.number { (totals.requests) }
                            td.number { (bytes(totals)) }
                            td.number { (share(totals.failed, totals.requests)) }
                            td.number { (share(totals.pended, totals.requests)) }
                            td.number { (nanoseconds(totals.durations.percentile(0.5))) }
                            td.number { (nanoseconds(totals.durations.percentile(0.99))) }
                            td.number { (nanoseconds(totals.durations.longest)) }
                        }
                    }
                }
            }
        }
    }
}

fn durations(summary: &Summary) -> Result<Markup> {
    let shortest = summary.all.durations.iter().next();
    let ends = (
        shortest.map_or(1, |(least, _, _)| least),
        summary.all.durations.longest,
    );
    let charts = summary.mix().into_iter().map(|(operation, totals)| {
        let label = format!(
            "Bars: {} durations of {}, median {}, 99 % within {}.",
            totals.requests,
            operation.name(),
            nanoseconds(totals.durations.percentile(0.5)),
            nanoseconds(totals.durations.percentile(0.99)),
        );
        let svg = drawn(charts::durations(totals, ends))?;
        Ok(figure(operation.name(), &label, &svg))
    });
    let charts = charts.collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section #durations {
            h2 { "How long they took" }
            p { "Requests over durations that double, on the same axis for every operation." }
            div.durations { @for chart in &charts { (chart) } }
        }
    })
}

fn busiest(summary: &Summary) -> Markup {
    let files = summary.busiest(FILES);
    html! {
        section #files {
            h2 { "Busiest files" }
            @if files.is_empty() {
                p { "The trace has no names: make it with --names." }
            } @else {
                div.scroll { table {
                    caption { (files.len()) " of " (summary.files.len()) ", by requests" }
                    thead { tr {
                        th scope="col" { "file" }
                        @for column in ["requests", "bytes", "failed", "time below"] {
                            th.number scope="col" { (column) }
                        }
                    } }
                    tbody { @for (volume, name, totals) in &files { tr {
                        td.name { (volume.short()) " " (name) }
                        td.number { (totals.requests) }
                        td.number { (bytes(totals)) }
                        td.number { (totals.failed) }
                        td.number { (quantity::microseconds(totals.nanoseconds as f64 / 1000.0)) }
                    } } }
                } }
            }
        }
    }
}

fn slowest(summary: &Summary) -> Result<Markup> {
    let svg = drawn(charts::slowest(summary))?;
    Ok(html! {
        section #slowest {
            h2 { "Slowest requests" }
            (figure("When they were below", "Lines: the slowest requests over time. The table below has them.", &svg))
            div.scroll { table {
                thead { tr {
                    th.number scope="col" { "duration" }
                    th scope="col" { "operation" }
                    th scope="col" { "status" }
                    th scope="col" { "process" }
                    th scope="col" { "passed on" }
                    th scope="col" { "file, and what was asked" }
                } }
                tbody { @for event in &summary.slowest { tr {
                    td.number { (nanoseconds(event.nanoseconds)) }
                    td { (event.operation.name()) }
                    td { (status::name(event.status())) }
                    td { (event.record.process.get()) }
                    td { (print::time(event.time)) }
                    td.name { (event.volume.short()) " " (event.name)
                        br;
                        small { (words::details(event).join(", ")) } }
                } } }
            } }
        }
    })
}

fn failures(summary: &Summary) -> Markup {
    let mut failures: Vec<_> = summary.failures.iter().collect();
    failures.sort_by_key(|(_, requests)| std::cmp::Reverse(**requests));
    html! {
        section #failures {
            h2 { "Failures" }
            @if failures.is_empty() {
                p { "There is none." }
            } @else {
                div.scroll { table {
                    caption { "Errors and warnings, by status and operation" }
                    thead { tr {
                        th scope="col" { "status" }
                        th scope="col" { "operation" }
                        th.number scope="col" { "requests" }
                        th.number scope="col" { "of all of the operation" }
                    } }
                    tbody { @for ((status, operation), requests) in failures { tr {
                        td { (status::name(*status)) " " small { (format!("0x{status:08X}")) } }
                        td { (operation.name()) }
                        td.number { (requests) }
                        td.number { (share(*requests,
                            summary.operations.get(operation).map_or(0, |totals| totals.requests))) }
                    } } }
                } }
            }
        }
    }
}
