//! `ntbox bench --verify-cost`: what each option of the verifier costs.

use super::arguments::BenchOptions;
use super::children;
use super::failure::Failure;
use super::report::duration;
use ntbox::verifier::Options;
use ntbox::verifier::options::NAMES;
use serde::Serialize;
use serde_json::Value;
use std::ffi::OsString;

/// What is measured: nothing, each option alone, and the sets.
fn rows() -> Vec<Options> {
    let single = NAMES.iter().map(|(_, option)| *option);
    std::iter::once(Options::NONE)
        .chain(single)
        .chain([Options::STANDARD, Options::ALL])
        .collect()
}

/// One row of the table.
#[derive(Serialize)]
struct Row {
    verify: String,
    /// Median nanoseconds of one request that is allocated, sent through the drivers and freed.
    nanoseconds: f64,
    /// The same on the bare stack.
    bare: f64,
    /// Resident memory before and after, in KiB.
    resident: [u64; 2],
}

/// Measures; always true.
pub fn run(options: &BenchOptions) -> Result<bool, Failure> {
    let mut measured: Vec<Row> = Vec::new();
    if !options.json {
        line!(
            "Time of one request that is allocated, sent through the stack, completed and freed, one thread,\nmedian of {} rounds of {} requests; each row in a process of its own\n",
            options.rounds,
            options.requests
        );
        line!(
            "{:<16} {:>10} {:>10} {:>10} {:>12} {:>20}",
            "--verify",
            "bare",
            "filtered",
            "cost",
            "requests/s",
            "resident KiB"
        );
    }
    for verify in rows() {
        let row = measure(options, verify)?;
        if !options.json {
            let none = measured
                .first()
                .map_or(row.nanoseconds, |none| none.nanoseconds);
            line!(
                "{:<16} {:>10} {:>10} {:>10} {:>12.0} {:>20}",
                row.verify,
                duration(row.bare),
                duration(row.nanoseconds),
                duration(row.nanoseconds - none),
                1e9 / row.nanoseconds,
                format!("{} -> {}", row.resident[0], row.resident[1])
            );
        }
        measured.push(row);
    }
    if options.json {
        let json = serde_json::to_string_pretty(&measured).map_err(anyhow::Error::from)?;
        line!("{json}");
    }
    Ok(true)
}

fn measure(options: &BenchOptions, verify: Options) -> Result<Row, Failure> {
    let mut arguments: Vec<OsString> = ["bench", "--by-hand", "--json", "--threads", "1"]
        .map(Into::into)
        .to_vec();
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    for driver in &options.drivers {
        add("--driver", driver.into());
    }
    for (name, status) in &options.stubs.stubs {
        add("--stub", format!("{name}=0x{:X}", status.0).into());
    }
    for (name, value) in &options.settings {
        add("--setting", format!("{name}={value}").into());
    }
    add("--rounds", options.rounds.to_string().into());
    add("--requests", options.requests.to_string().into());
    add("--verify", verify.to_string().into());
    let output = children::run(&arguments)?;
    let unreadable = || {
        Failure::Failed(format!(
            "the measurement with --verify {verify} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    };
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|_| unreadable())?;
    let levels = &json["measured"][1]["nanoseconds"];
    let first = levels[0].as_f64().ok_or_else(unreadable)?;
    let last = levels.as_array().and_then(|levels| levels.last()?.as_f64());
    let resident = |place: usize| json["resident"][place].as_u64().unwrap_or_default();
    Ok(Row {
        verify: verify.to_string(),
        nanoseconds: last.ok_or_else(unreadable)?,
        bare: first,
        resident: [resident(0), resident(1)],
    })
}
