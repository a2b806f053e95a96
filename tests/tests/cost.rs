//! P4: what the driver does for a request that passes through, counted instruction by instruction
//! in the shipped build: no allocation, no lock, no write to memory that requests share, and little more than
//! the least that a filter can do.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;
use std::path::Path;

/// More instructions than the least completion routine for a request, both ways.
const MORE: u64 = 4;
/// Instructions for a call of fast I/O that nobody observes.
const FAST_IO: u64 = 45;
/// Bytes of the stack on either way.
const STACK: u64 = 256;

/// What `ntbox bench` counts for `driver`: for a request, and for a read by fast I/O.
fn work_of(driver: &Path, settings: &[&str]) -> [Value; 2] {
    let mut arguments = vec!["bench", "--json", "--rounds", "1", "--requests", "100"];
    arguments.extend(["--threads", "1", "--driver"]);
    let driver = driver.display().to_string();
    arguments.push(&driver);
    for setting in settings {
        arguments.extend(["--setting", setting]);
    }
    let ended = ntbox(arguments);
    ended.expect_code(0);
    let output: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error} in\n{}", ended.output));
    [output["work"][0].clone(), output["fast_io_work"][0].clone()]
}

fn count(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

fn number(work: &Value, what: &str) -> u64 {
    let number = work[what].as_u64();
    number.unwrap_or_else(|| panic!("no {what} in {work:#}"))
}

/// P4, D8: passing a request or a call of fast I/O on is one call, of the next driver; no lock, no shared write,
/// and hardly more instructions and stack than the least.
#[test]
#[cfg_attr(windows, ignore = "instructions are counted on Linux")]
fn passing_through_calls_the_next_driver_and_nothing_else() {
    let [work, fast_io] = work_of(&drivers::fsglass(Profile::Release), &[]);
    assert_eq!(
        work["calls"],
        serde_json::json!({ "IofCallDriver": 1 }),
        "{work:#}"
    );
    assert_eq!(
        fast_io["calls"].as_object().map(serde_json::Map::len),
        Some(1),
        "{fast_io:#}"
    );
    for work in [&work, &fast_io] {
        assert_eq!(work["locked"], 0, "{work:#}");
        assert_eq!(count(&work["shared_writes"]), 0, "{work:#}");
        assert!(number(work, "stack") <= STACK, "{work:#}");
    }
    let least = [drivers::bad_drivers(Profile::Release)];
    let [least, least_fast_io] = work_of(&least[0], &["PassThrough=completion"]);
    let (own, least) = (
        number(&work, "instructions"),
        number(&least, "instructions"),
    );
    assert!((20..=own).contains(&least), "{least}, and {own} here");
    assert!(own <= least + MORE, "{own} instead of {least}");
    let (own, least) = (
        number(&fast_io, "instructions"),
        number(&least_fast_io, "instructions"),
    );
    assert!((10..=own).contains(&least), "{least}, and {own} here");
    assert!(own <= FAST_IO, "{own}");
}

/// P4, A12: a driver that may be unloaded counts who is inside, and allocates nothing.
#[test]
#[cfg_attr(windows, ignore = "instructions are counted on Linux")]
fn a_driver_that_may_be_unloaded_counts_and_nothing_else() {
    let settings = ["AllowUnload=1"];
    let [work, fast_io] = work_of(&drivers::fsglass(Profile::Release), &settings);
    assert_eq!(
        work["calls"],
        serde_json::json!({
            "ExAcquireRundownProtection": 2,
            "IofCallDriver": 1,
            "ExReleaseRundownProtection": 2,
        }),
        "{work:#}"
    );
    assert_eq!(
        fast_io["calls"]["ExAcquireRundownProtection"], 1,
        "{fast_io:#}"
    );
    assert_eq!(
        fast_io["calls"]["ExReleaseRundownProtection"], 1,
        "{fast_io:#}"
    );
    for work in [&work, &fast_io] {
        assert!(number(work, "stack") <= STACK, "{work:#}");
    }
}

/// A driver that counts its requests in one place is seen doing so: the counts are real.
#[test]
#[cfg_attr(windows, ignore = "instructions are counted on Linux")]
fn a_shared_counter_and_further_calls_are_counted() {
    let bad_drivers = drivers::bad_drivers(Profile::Release);
    let [work, _] = work_of(&bad_drivers, &["Mistake=completion-routine-unchecked"]);
    assert_eq!(
        work["calls"],
        serde_json::json!({ "IoSetCompletionRoutineEx": 1, "IofCallDriver": 1 })
    );
    assert_eq!(work["locked"], 4, "two for each way: {work:#}");
    let places = work["shared_writes"].to_string();
    assert!(
        places.contains("filter::enter") && places.contains("filter::leave"),
        "{places}"
    );

    // The same driver without the counter does a handful of instructions.
    let [least, _] = work_of(&bad_drivers, &["PassThrough=skip"]);
    assert_eq!(
        (&least["locked"], count(&least["shared_writes"])),
        (&Value::from(0), 0)
    );
    assert!(least["instructions"].as_u64() < work["instructions"].as_u64());
}

/// What it costs to observe is measured in one run, in each way, over requests that do pass the driver.
#[test]
fn what_it_costs_to_observe_is_measured_side_by_side() {
    let bench = |driver: &Path| {
        let driver = driver.display().to_string();
        let arguments = ["bench", "--observe", "--json", "--rounds", "1"];
        let more = [
            "--requests",
            "2000",
            "--threads",
            "1,2",
            "--driver",
            &driver,
        ];
        ntbox(arguments.into_iter().chain(more))
    };
    let ended = bench(&drivers::fsglass(Profile::Release));
    ended.expect_code(0);
    let output: Value = serde_json::from_str(&ended.output)
        .unwrap_or_else(|error| panic!("{error} in\n{}", ended.output));
    assert_eq!(
        output["modes"],
        serde_json::json!(["off", "statistics", "trace", "trace, read", "names, read"])
    );
    for threads in 0..2 {
        let measured = &output["measured"][threads];
        assert_eq!(measured["threads"], threads + 1);
        let levels = measured["nanoseconds"].as_array();
        let levels = levels.map(|levels| levels.iter().filter_map(Value::as_f64));
        let levels: Vec<_> = levels.into_iter().flatten().collect();
        assert_eq!(
            levels.len(),
            6,
            "the bare stack, and each way: {measured:#}"
        );
        assert!(levels.iter().all(|time| *time > 0.0), "{measured:#}");
        // Where nobody reads, there is room for all; with a reader, it depends on the machine.
        let lost = &output["lost"][threads];
        assert_eq!(lost[2], 0.0, "{lost:#}");
        assert_eq!(lost.as_array().map(Vec::len), Some(5));
    }
    // A driver that cannot be asked to observe is not measured as if it did.
    let ended = bench(&drivers::bad_drivers(Profile::Release));
    ended
        .expect_code(1)
        .expect_output(r"\??\fsglass cannot be opened");
}
