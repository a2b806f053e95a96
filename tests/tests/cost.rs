//! P4: what the driver does for a request that passes through, counted instruction by instruction
//! in the shipped build: no allocation, no lock, no write to memory that requests share.

use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use serde_json::Value;
use std::path::Path;

/// What `ntbox bench` counts for `driver`.
fn work_of(driver: &Path, settings: &[&str]) -> Value {
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
    output["work"][0].clone()
}

fn count(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

/// P4, D8: passing a request on is one call, of the next driver; no lock, no shared write.
#[test]
fn passing_through_calls_the_next_driver_and_nothing_else() {
    let work = work_of(&drivers::fsglass(Profile::Release), &[]);
    assert_eq!(
        work["calls"],
        serde_json::json!({ "IofCallDriver": 1 }),
        "{work:#}"
    );
    assert_eq!(work["locked"], 0, "{work:#}");
    assert_eq!(count(&work["shared_writes"]), 0, "{work:#}");
    assert!(work["instructions"].as_u64() > Some(20), "{work:#}");
}

/// A driver that counts its requests in one place is seen doing so: the counts are real.
#[test]
fn a_shared_counter_and_further_calls_are_counted() {
    let bad_drivers = drivers::bad_drivers(Profile::Release);
    let work = work_of(&bad_drivers, &[]);
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
    let least = work_of(&bad_drivers, &["PassThrough=skip"]);
    assert_eq!(
        (&least["locked"], count(&least["shared_writes"])),
        (&Value::from(0), 0)
    );
    assert!(least["instructions"].as_u64() < work["instructions"].as_u64());
}
