//! What is counted, and that no name breaks out of the page.

use super::Summary;
use super::page::{Origin, page};
use crate::trace::event::Event;
use crate::trace::tests::event;
use fsglass_protocol::Operation;

const NASTY: &str = r#"\<script>alert("1")</script>&amp;'"#;

fn named(mut event: Event, name: &str) -> Event {
    event.name = name.to_owned();
    event
}

fn summary() -> Summary {
    let mut summary = Summary::default();
    for number in 0..100 {
        let started = number * 100_000;
        let mut one = event(started, 10 + number, Operation::READ);
        if number % 10 == 0 {
            one.record.status = 0xC000_0011.into();
            one.name = r"\short".to_owned();
        }
        summary.add(one);
    }
    summary.add(named(event(50, 9000, Operation::CREATE), NASTY));
    summary
}

fn origin() -> Origin {
    Origin {
        file: "a <b>.fsgtrace".to_owned(),
        lost: 3,
        cut: true,
    }
}

#[test]
fn everything_is_counted() {
    let summary = summary();
    assert_eq!(summary.all.requests, 101);
    assert_eq!(summary.all.failed, 10);
    assert_eq!(summary.all.bytes, 90 * 512, "failures transfer nothing");
    assert!((summary.seconds() - 0.990_010_9).abs() < 1e-9);
    assert_eq!(summary.mix()[0].0, Operation::READ);
    let busiest = summary.busiest(2);
    assert_eq!((busiest[0].1, busiest[0].2.requests), (r"\a file", 90));
    assert_eq!((busiest[1].1, busiest[1].2.requests), (r"\short", 10));
    assert_eq!(summary.busiest(9).len(), 3);
    assert_eq!(summary.slowest.len(), super::SLOWEST);
    assert_eq!(summary.slowest[0].nanoseconds, 900_000);
    assert!(
        summary
            .slowest
            .is_sorted_by(|one, next| one.nanoseconds >= next.nanoseconds)
    );
    let failures: Vec<_> = summary.failures.clone().into_iter().collect();
    assert_eq!(failures, [((0xC000_0011, Operation::READ), 10)]);
}

#[test]
fn processes_and_kinds_are_told_apart() {
    let mut summary = summary();
    for (operation, process) in [
        (Operation::PAGING_READ, 4),
        (Operation::FAST_READ, 77),
        (Operation::ACQUIRE_FOR_CC_FLUSH, 4),
    ] {
        let mut one = event(60, 1_000_000, operation);
        one.record.process = process.into();
        summary.add(one);
    }
    let kinds: Vec<_> = summary
        .kinds
        .iter()
        .map(|(kind, totals)| (*kind, totals.requests))
        .collect();
    let expected = [
        ("FsFilter operations", 1),
        ("fast I/O", 1),
        ("paging I/O", 1),
        ("requests", 101),
    ];
    assert_eq!(kinds, expected);
    let processes: Vec<_> = summary
        .by_process()
        .iter()
        .map(|(id, totals)| (*id, totals.requests))
        .collect();
    assert_eq!(processes, [(4, 2), (77, 1), (4096, 101)]);
    let page = page(&summary, &origin()).unwrap();
    assert!(page.contains(r#"<th scope="row">4096</th>"#) && page.contains("paging I/O"));
    assert!(
        page.contains("offset 8192, length 512"),
        "details of the slowest"
    );
}

/// A tick without a number says nothing.
#[test]
fn each_tick_has_its_number() {
    let page = page(&summary(), &origin()).unwrap();
    let texts = page.split("<text ").skip(1);
    let empty = texts.filter(|text| {
        let inner = text.split_once('>').map_or("", |(_, inner)| inner);
        inner
            .split('<')
            .next()
            .unwrap_or_default()
            .trim()
            .is_empty()
    });
    assert_eq!(empty.count(), 0);
}

/// As a damaged file may have them.
#[test]
fn numbers_that_no_request_has_are_counted() {
    let mut summary = Summary::default();
    for _ in 0..2 {
        let mut one = event(50, 9000, Operation::READ);
        (one.time, one.nanoseconds) = (u64::MAX, u64::MAX);
        one.record.information = u64::MAX.into();
        summary.add(one);
    }
    assert_eq!(summary.all.bytes, u64::MAX);
    assert!(!page(&summary, &origin()).unwrap().is_empty());
}

#[test]
fn rates_have_all_requests() {
    let summary = summary();
    for most in [1, 7, 100, 1000] {
        let rates = summary.rates(most);
        assert!(rates.len() as u64 <= most);
        let width = rates.get(1).map_or(1.0, |second| second.0);
        let all: f64 = rates.iter().map(|(_, rate)| rate * width).sum();
        assert!((all - 101.0).abs() < 1e-6, "{most}: {all}");
    }
    assert!(Summary::default().rates(5).is_empty());
}

#[test]
fn nothing_breaks_out_of_the_page() {
    let page = page(&summary(), &origin()).unwrap();
    assert!(!page.contains("<script"), "a name is a script");
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;"));
    assert!(page.contains("a &lt;b&gt;.fsgtrace"));
    for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
        let found = page
            .replace("http://www.w3.org/2000/svg", "")
            .contains(outside);
        assert!(!found, "{outside}");
    }
    assert!(page.contains("3 records were lost") && page.contains("The file is cut off"));
}

#[test]
fn an_empty_trace_has_a_page() {
    let page = page(&Summary::default(), &origin()).unwrap();
    assert!(page.contains("There is no request"));
}
