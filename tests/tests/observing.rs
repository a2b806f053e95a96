//! What `fsglass stats`, `trace` and `report` show of a workload, against what ntbox knows of it.

use fsglass_cli::error::Exit;
use fsglass_tests::browser::{self, Scheme};
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::served::{Client, Served};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Requests by operation, as the client names it.
type Counts = BTreeMap<String, u64>;

fn start(arguments: &[&str]) -> Served {
    let driver = drivers::fsglass(Profile::Release).display().to_string();
    let whole = [
        &["--driver", &driver, "--json", "--setting", "AllowUnload=1"],
        arguments,
    ];
    Served::start(&whole.concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// An operation as the box counts it, which does not tell what is paged apart.
fn whole(operation: &Value) -> &str {
    let name = operation.as_str().unwrap_or_default();
    name.trim_start_matches("paging ")
}

/// What the file system is told around sections and the writing of pages: no request, and none of those that the box says
/// it sent.
fn is_told(operation: &str) -> bool {
    ["ACQUIRE_FOR_", "RELEASE_FOR_"]
        .iter()
        .any(|begin| operation.starts_with(begin))
}

/// One number of each operation, over all volumes.
fn counted(served: &Served, number: &str) -> Counts {
    let (exit, text) = served.fsglass(&["stats", "--json"]);
    assert_eq!(exit, Exit::Done, "{text}");
    let mut counts = Counts::new();
    for row in list(&json(&text)["operations"]) {
        let name = whole(&row["operation"]);
        *counts.entry(name.to_owned()).or_default() += row[number].as_u64().unwrap_or(0);
    }
    counts
}

/// What was added to the counts.
fn since(later: &Counts, earlier: &Counts) -> Counts {
    let left = later.iter().map(|(name, count)| {
        let before = earlier.get(name).copied().unwrap_or(0);
        (name.clone(), count - before)
    });
    left.filter(|(_, count)| *count != 0).collect()
}

/// What programs of the box have sent: requests by major, calls of fast I/O by entry, and how many of
/// the calls were declined.
fn sent(report: &str) -> (Counts, Counts) {
    let report = json(report);
    let mut sent = Counts::new();
    let mut declined = Counts::new();
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    for one in list(&report["sent"]["by_major"]) {
        let name = one[0].as_str().unwrap_or_default();
        let name = name.trim_start_matches("IRP_MJ_").to_owned();
        sent.insert(name, number(&one[1]));
    }
    for one in list(&report["sent"]["fast_io"]) {
        // QueryBasicInfo is known as fast QUERY_BASIC_INFO.
        let mut name = "fast ".to_owned();
        for (place, character) in one[0].as_str().unwrap_or_default().char_indices() {
            if place != 0 && character.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(character.to_ascii_uppercase());
        }
        let (called, answered) = (number(&one[1]), number(&one[2]));
        sent.insert(name.clone(), called);
        declined.insert(name, called - answered);
    }
    sent.retain(|_, count| *count != 0);
    declined.retain(|_, count| *count != 0);
    (sent, declined)
}

/// Every request of several threads is counted, under its operation, and so is every call of fast I/O and
/// every one that was declined.
#[test]
fn statistics_are_the_truth() {
    let mut served = start(&["--ops", "20000", "--setting", "Statistics=1"]);
    let names = ["requests", "declined", "pended", "errors"];
    let before = names.map(|name| counted(&served, name));
    served.run_workload();
    let after = names.map(|name| counted(&served, name));
    let (_, text) = served.fsglass(&["stats"]);
    let (sent, declined) = sent(&served.end());
    let mut requests = since(&after[0], &before[0]);
    for kept in ["SECTION", "CC_FLUSH", "MOD_WRITE"] {
        let [acquired, released] =
            ["ACQUIRE", "RELEASE"].map(|what| requests[&format!("{what}_FOR_{kept}")]);
        assert_eq!(acquired, released, "{kept}\n{text}");
    }
    requests.retain(|name, _| !is_told(name));
    assert_eq!(requests, sent, "{text}");
    assert_eq!(since(&after[1], &before[1]), declined, "{text}");
    for (number, name) in names.iter().enumerate().skip(2) {
        let all: u64 = since(&after[number], &before[number]).values().sum();
        assert!(all > 100, "{name}: {all}\n{text}");
    }
}

/// `stats --watch` shows what happens while it happens, for as long as it runs and no longer, and Ctrl-C
/// ends it well.
#[test]
#[cfg_attr(windows, ignore = "the client is stopped by signals")]
fn a_watcher_sees_the_workload() {
    let mut served = start(&["--ops", "20000"]);
    let (_, text) = served.fsglass(&["stats"]);
    assert!(text.contains("nothing is counted now"), "{text}");
    let mut watcher = Client::start(
        &served,
        &["stats", "--watch", "--interval", "0.1", "--json"],
    );
    // It is counting when it has shown something.
    let mut sheets = vec![json(&watcher.line())];
    served.run_workload();
    let after = json(&served.fsglass(&["stats", "--json"]).1);
    watcher.interrupt();
    let rest = watcher.end(0);
    sheets.extend(rest.lines().map(json));
    let requests = |sheet: &Value, name: &str| -> u64 {
        let rows = list(&sheet["operations"]).iter();
        let of_name = rows.filter(|row| whole(&row["operation"]) == name);
        of_name
            .map(|row| row["requests"].as_u64().unwrap_or(0))
            .sum()
    };
    let (sent, _) = sent(&served.end());
    for name in ["CREATE", "READ", "CLOSE", "fast READ"] {
        let seen: u64 = sheets.iter().map(|sheet| requests(sheet, name)).sum();
        // What it saw, all of the workload is; the end of it may be in an interval that Ctrl-C cut short.
        assert!(seen <= sent[name], "{name}: {seen} of {}", sent[name]);
        assert_eq!(requests(&after, name), sent[name], "{name}");
    }
    let rates = sheets.iter().flat_map(|sheet| list(&sheet["operations"]));
    assert!(
        rates
            .clone()
            .any(|row| row["requests_per_second"].as_f64() > Some(10.0)),
        "{sheets:?}"
    );
}

/// A whole trace of a workload in a file.
fn traced(served: &mut Served, file: &Path, arguments: &[&str]) -> String {
    let path = file.display().to_string();
    let line = [&["trace", "--save", &path, "--ring", "16M"], arguments].concat();
    let mut client = Client::start(served, &line);
    client.message("tracing");
    served.run_workload();
    client.interrupt();
    client.message("lost")
}

/// The lines of a file that pass a filter.
fn replayed(file: &Path, filter: &[&str]) -> Vec<Value> {
    let path = file.display().to_string();
    let line = [&["replay", &path, "--json"], filter].concat();
    let (exit, text) = Served::fsglass_at("127.0.0.1:1", &line);
    assert_eq!(exit, Exit::Done, "{text}");
    text.lines().map(json).collect()
}

/// What moves bytes.
const TRANSFERS: [&str; 6] = [
    "READ",
    "WRITE",
    "fast READ",
    "fast WRITE",
    "fast MDL_READ",
    "fast PREPARE_MDL_WRITE",
];

/// A trace has each request once, in the order of completion, and says the same of them as the statistics.
#[test]
#[cfg_attr(windows, ignore = "the client is stopped by signals")]
fn a_trace_has_every_request() {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let file = directory.path().join("all.fsgtrace");
    let mut served = start(&["--ops", "20000", "--setting", "Statistics=1"]);
    let before = ["requests", "bytes", "errors"].map(|name| counted(&served, name));
    let told = traced(&mut served, &file, &["--names"]);
    let after = ["requests", "bytes", "errors"].map(|name| counted(&served, name));
    assert!(told.contains(" 0 lost"), "{told}");
    let events = replayed(&file, &[]);
    let (mut sent, _) = sent(&served.end());
    // The box has counted what the client sent to the control device.
    let controls = ["DEVICE_CONTROL", "fast DEVICE_CONTROL"];
    sent.retain(|name, _| !controls.contains(&name.as_str()));
    let mut by_operation = Counts::new();
    let mut errors = Counts::new();
    let mut bytes = Counts::new();
    let mut names = 0;
    for event in &events {
        let operation = whole(&event["operation"]).to_owned();
        if event["status"].as_str() >= Some("0xC") {
            *errors.entry(operation.clone()).or_default() += 1;
        }
        if TRANSFERS.contains(&operation.as_str())
            && event["status"].as_str() < Some("0xC")
            && event["declined"] == false
        {
            let moved = event["information"].as_u64().unwrap_or(0);
            *bytes.entry(operation.clone()).or_default() += moved;
        }
        *by_operation.entry(operation).or_default() += 1;
        names += usize::from(event["name"] != "");
    }
    assert_eq!(by_operation, since(&after[0], &before[0]));
    assert_eq!(bytes, since(&after[1], &before[1]));
    assert_eq!(errors, since(&after[2], &before[2]));
    by_operation.retain(|name, _| !controls.contains(&name.as_str()) && !is_told(name));
    assert_eq!(by_operation, sent);
    assert!(
        names > events.len() / 2,
        "{names} of {} have a name",
        events.len()
    );
    let ends: Vec<f64> = events.iter().map(end).collect();
    assert!(ends.is_sorted(), "they have the order of completion");
    // A filter in the client and one in the driver let the same through.
    let reads = replayed(&file, &["--operation", "read", "--failures"]);
    let expected = events
        .iter()
        .filter(|event| event["operation"] == "READ" && event["status"].as_str() >= Some("0x8"));
    assert!(reads.iter().eq(expected) && !reads.is_empty());
}

/// What finds no room is counted: what a trace has and what it lost are together what passed.
#[test]
#[cfg_attr(windows, ignore = "the client is stopped by signals")]
fn losses_are_counted() {
    let mut served = start(&["--ops", "20000"]);
    // So slow a reader that the smallest rings overflow: it is not even there.
    let line = ["trace", "--csv", "--ring", "16K", "--operation", "create"];
    let mut reader = Client::start(&served, &line);
    reader.message("tracing");
    reader.stop();
    served.run_workload();
    reader.go_on();
    reader.interrupt();
    let printed = reader.printed();
    let told = reader.message("lost");
    reader.end(0);
    let words: Vec<&str> = told.split(' ').collect();
    let before = |what: &str| -> u64 {
        let place = words
            .iter()
            .position(|word| word.trim_end_matches(',') == what);
        let number = place.and_then(|place| words[place - 1].parse().ok());
        number.unwrap_or_else(|| panic!("{what}: {told}"))
    };
    let (shown, lost) = (before("requests"), before("lost"));
    assert_eq!(printed.lines().count() as u64, shown + 1, "a heading too");
    let (sent, _) = sent(&served.end());
    assert_eq!(shown + lost, sent["CREATE"], "{told}");
    assert!(lost > 0, "{told}");
}

/// When an event ended: microseconds of its day.
fn end(event: &Value) -> f64 {
    let time = event["time"].as_str().unwrap_or_default();
    let parts: Vec<f64> = time[11..]
        .trim_end_matches('Z')
        .split(':')
        .map(|part| part.parse().unwrap_or(f64::NAN))
        .collect();
    let seconds = parts[0] * 3600.0 + parts[1] * 60.0 + parts[2];
    // Times are told in 100 ns.
    ((seconds * 1e7).round() + (event["duration_us"].as_f64().unwrap_or(f64::NAN) * 10.0).round())
        / 10.0
}

/// Two traces at a time, each with a filter that the driver applies.
#[test]
#[cfg_attr(windows, ignore = "the client is stopped by signals")]
fn each_trace_has_a_filter_of_its_own() {
    let mut served = start(&["--ops", "5000"]);
    let line = ["trace", "--json", "--ring", "4M", "--operation"];
    let mut creates = Client::start(&served, &[&line[..], &["create", "--failures"]].concat());
    let mut writes = Client::start(&served, &[&line[..], &["write", "--volume", "C:"]].concat());
    creates.message("tracing");
    writes.message("tracing");
    served.run_workload();
    for client in [&mut creates, &mut writes] {
        client.interrupt();
    }
    let (creates, writes) = (creates.end(0), writes.end(0));
    let (sent, _) = sent(&served.end());
    // The programs write to another volume as well.
    let written = writes.lines().count() as u64;
    assert!((1..sent["WRITE"]).contains(&written), "{written}");
    for event in writes.lines().map(json) {
        assert_eq!(event["operation"], "WRITE");
        assert_eq!(event["letter"], "C:", "{event}");
    }
    assert!(creates.lines().count() > 10);
    for event in creates.lines().map(json) {
        assert_eq!(event["operation"], "CREATE");
        assert!(event["status"].as_str() >= Some("0x8"), "{event}");
    }
}

/// A reader that wants so many gets them, and the driver goes on without it; one that goes away in the
/// middle keeps nothing.
#[test]
fn readers_come_and_go() {
    let mut served = start(&["--ops", "20000"]);
    let mut some = Client::start(&served, &["trace", "--csv", "--count", "50"]);
    let mut gone = Client::start(&served, &["trace", "--json"]);
    some.message("tracing");
    gone.message("tracing");
    served.begin_workload();
    assert_eq!(some.end(0).lines().count(), 51);
    gone.line();
    drop(gone);
    served.await_workload();
    let (exit, text) = served.fsglass(&["status", "--json"]);
    assert_eq!(exit, Exit::Done, "{text}");
    served.end();
}

/// The page of a trace in a real browser.
#[test]
#[cfg_attr(windows, ignore = "the client is stopped by signals")]
fn a_report_is_shown_by_a_browser() {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let tree = directory.path().join("tree");
    // As far as a file system takes it; of what it does not, the unit tests of the page have more.
    let nasty = "onerror &lt;img src=x&gt; 'quoted' & more.txt";
    std::fs::create_dir(&tree).unwrap_or_else(|error| panic!("{error}"));
    let plain = (0..200).map(|number| format!("file {number}.txt"));
    for (number, name) in plain.chain([nasty.to_owned()]).enumerate() {
        let contents = vec![b'x'; number * number];
        std::fs::write(tree.join(name), contents).unwrap_or_else(|error| panic!("{error}"));
    }
    let workload = format!("copy:{}", tree.display());
    let file = directory.path().join("shown.fsgtrace");
    let page = directory.path().join("report.html");
    let mut served = start(&["--workload", &workload]);
    traced(&mut served, &file, &["--names"]);
    served.end();
    let events = replayed(&file, &[]);
    let (from, to) = (file.display().to_string(), page.display().to_string());
    let (exit, text) = Served::fsglass_at("127.0.0.1:1", &["report", &from, "-o", &to]);
    assert_eq!(exit, Exit::Done, "{text}");

    let document = browser::document(&page);
    assert!(
        document.contains("<title>fsglass: shown.fsgtrace</title>"),
        "{document}"
    );
    assert!(
        document.contains(&format!("<dd>{}</dd>", events.len())),
        "{document}"
    );
    for section in ["mix", "durations", "files", "slowest", "failures"] {
        let part = format!("<section id=\"{section}\">");
        assert!(document.contains(&part), "{section} is missing: {document}");
    }
    let operations: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| event["operation"].to_string())
        .collect();
    let charts = document.matches("<svg").count();
    assert_eq!(
        charts,
        3 + operations.len(),
        "one for each operation, two of all, and the slowest"
    );

    // docs/report.png is made by naming it in this variable.
    let picture = std::env::var_os("FSGLASS_REPORT_PICTURE");
    let picture = picture.map_or_else(|| directory.path().join("report.png"), PathBuf::from);
    let picture = browser::draw(&page, &picture, (1000, 1250), Scheme::Light);
    assert!(picture.drawn() > 0.05, "{} of it is drawn", picture.drawn());
    let bars = picture.share_of([0x2B, 0x6C, 0xB0]);
    assert!(bars > 0.01, "{bars} of it is bars");
    let paper = picture.share_of([0xFF; 3]);
    assert!(paper > 0.5, "{paper} of it is paper");

    // On a telephone, at night.
    let night = directory.path().join("night.png");
    let night = browser::draw(&page, &night, (500, 900), Scheme::Dark);
    assert!(night.drawn() > 0.03, "{} of it is drawn", night.drawn());
    let (dark, bright) = (night.share_of([0x18; 3]), night.share_of([0xFF; 3]));
    assert!(
        dark > 0.5 && bright < 0.01,
        "{dark} of it is dark, {bright} white"
    );

    // Whatever a file is called is text.
    let line = ["report", &from, "-o", &to, "--name", "*onerror*"];
    assert_eq!(Served::fsglass_at("127.0.0.1:1", &line).0, Exit::Done);
    let document = browser::document(&page);
    assert!(
        document.contains("onerror &amp;lt;img src=x&amp;gt; 'quoted' &amp; more.txt"),
        "{document}"
    );
}
