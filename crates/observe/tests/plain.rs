//! Rings, counters and patterns on the host's own atomics.

#![cfg(not(feature = "model"))]

/// The layer's, which has no kernel in it.
#[path = "../../wdm/src/scale.rs"]
mod scale;

use fsglass_protocol::histogram;
use observe::AtomicU64;
use observe::budget::Budget;
use observe::counters::{Counters, Outcome, Sum, Writers};
use observe::doorbell::Doorbell;
use observe::pattern::matches;
use observe::ring::{Popped, Ring};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn ring(words: usize) -> Ring<Vec<AtomicU64>> {
    Ring::new((0..words).map(|_| AtomicU64::new(0)).collect()).unwrap()
}

/// A record whose words all say who wrote it and which it is.
fn push(ring: &Ring<Vec<AtomicU64>>, words: u64, value: u64) -> bool {
    ring.push((words * 8) | (value << 16), (1..words).map(|_| value))
}

fn pop(ring: &Ring<Vec<AtomicU64>>) -> Option<(u64, u64)> {
    let mut words = Vec::new();
    match ring.pop(4096, |_| true, |word| words.push(word)) {
        Popped::Record(size) => {
            assert_eq!(words.len(), size / 8);
            let value = words[0] >> 16;
            assert!(words[1..].iter().all(|word| *word == value), "{words:x?}");
            Some((words.len() as u64, value))
        }
        Popped::Nothing => None,
        other @ (Popped::TooLarge(_) | Popped::Refused) => panic!("{other:?}"),
    }
}

#[test]
fn records_come_out_as_they_went_in() {
    let ring = ring(16);
    assert!(pop(&ring).is_none() && ring.is_empty());
    for round in 0..100 {
        assert!(push(&ring, 5, round) && push(&ring, 7, round + 1) && push(&ring, 4, round + 2));
        assert!(!push(&ring, 1, 9), "it is full");
        assert!(!ring.is_empty());
        let got = [pop(&ring), pop(&ring), pop(&ring)];
        assert_eq!(
            got,
            [Some((5, round)), Some((7, round + 1)), Some((4, round + 2))]
        );
        assert!(pop(&ring).is_none());
    }
    assert_eq!(ring.lost(), 100);
}

#[test]
fn a_record_that_is_refused_stays() {
    let ring = ring(16);
    assert!(push(&ring, 3, 1) && push(&ring, 2, 2));
    let refused = ring.pop(
        64,
        |record| record.word(2) != 1,
        |_| panic!("it is not taken"),
    );
    assert_eq!(refused, Popped::Refused);
    assert_eq!([pop(&ring), pop(&ring)], [Some((3, 1)), Some((2, 2))]);
}

#[test]
fn what_is_no_record_is_lost() {
    let ring = ring(16);
    for wrong in [0, 4, 12, 17 * 8] {
        assert!(!ring.push(wrong | (1 << 16), []));
    }
    assert_eq!(ring.lost(), 4);
    assert!(ring.push(24, []), "zeros stand for what is missing");
    let mut words = Vec::new();
    let mut popped = |room| ring.pop(room, |_| true, |word| words.push(word));
    assert_eq!(popped(23), Popped::TooLarge(24));
    assert_eq!(popped(24), Popped::Record(24));
    assert_eq!(words, [24, 0, 0]);
    assert!(Ring::new(Vec::<AtomicU64>::new()).is_none());
    assert!(
        Ring::new(vec![
            AtomicU64::new(0),
            AtomicU64::new(0),
            AtomicU64::new(0)
        ])
        .is_none()
    );
}

/// Four threads write, one reads: each record is read whole, in the order of its writer, or counted
/// as lost.
#[test]
fn many_writers_lose_nothing_uncounted() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 50_000;
    let ring = Arc::new(ring(256));
    let bell = Arc::new(Doorbell::new());
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (ring, bell) = (ring.clone(), bell.clone());
            std::thread::spawn(move || {
                let mut written = 0;
                for number in 0..EACH {
                    written += u64::from(push(&ring, 2 + number % 5, (writer << 32) | number));
                    bell.ring();
                }
                written
            })
        })
        .collect();
    let reader = std::thread::spawn({
        let (ring, done) = (ring.clone(), done.clone());
        move || {
            let mut last = [None; WRITERS as usize];
            let mut read = 0;
            loop {
                let end = done.load(Ordering::SeqCst);
                while let Some((words, value)) = pop(&ring) {
                    let (writer, number) = ((value >> 32) as usize, value & 0xFFFF_FFFF);
                    assert_eq!(words, 2 + number % 5);
                    assert!(last[writer] < Some(number));
                    last[writer] = Some(number);
                    read += 1;
                }
                if end {
                    return read;
                }
            }
        }
    });
    let written: u64 = writers
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .sum();
    done.store(true, Ordering::SeqCst);
    assert_eq!(reader.join().unwrap(), written);
    assert_eq!(written + ring.lost(), WRITERS * EACH);
}

#[test]
fn counters_add_up() {
    for writers in [[Writers::One; 2], [Writers::One, Writers::Many]] {
        counters_add_up_with(writers);
    }
}

fn counters_add_up_with(writers: [Writers; 2]) {
    let processors: [Counters; 2] = [Counters::new(), Counters::new()];
    let outcome = Outcome {
        status: 0,
        information: 7,
        bytes: 100,
        ticks: 50,
        pended: false,
        at_dispatch: false,
        declined: false,
    };
    let outcomes = [
        outcome,
        Outcome {
            status: 0x4000_0001,
            ticks: 7,
            ..outcome
        },
        Outcome {
            status: 0x8000_0005,
            pended: true,
            ..outcome
        },
        Outcome {
            status: 0xC000_0022,
            bytes: 0,
            at_dispatch: true,
            ticks: 1 << 40,
            ..outcome
        },
        Outcome {
            declined: true,
            bytes: 0,
            ..outcome
        },
    ];
    for (number, outcome) in outcomes.iter().enumerate() {
        let (one, other) = (number % 2, (number + 1) % 2);
        processors[one].start(writers[one]);
        processors[other].complete(outcome, writers[other]);
    }
    processors[0].start(writers[0]);
    let mut sum = Sum::new();
    sum.gather(processors.iter());
    sum.gather(processors.iter());
    let below = processors.iter().map(Counters::below);
    assert_eq!(below.fold(0, u64::wrapping_add), 1);
    let record = sum.record;
    let counted = [
        record.started,
        record.completed,
        record.bytes,
        record.informational,
        record.warnings,
        record.errors,
        record.pended,
        record.at_dispatch,
        record.declined,
        record.longest,
    ];
    assert_eq!(
        counted.map(|field| field.get()),
        [6, 5, 300, 1, 1, 1, 1, 1, 1, 1 << 40]
    );
    let buckets = [
        (7, 1),
        (histogram::bucket(50), 3),
        (histogram::BUCKETS - 1, 1),
    ];
    assert!(sum.occupied().eq(buckets));
}

#[test]
fn no_more_is_kept_than_may_be() {
    let budget = Budget::new();
    assert!(budget.take(10, 10) && !budget.take(1, 10) && budget.take(0, 10));
    budget.give(4);
    assert!(!budget.take(5, 10) && budget.take(4, 10));
    assert!(!budget.take(u64::MAX, u64::MAX), "no sum is beyond all");
    assert_eq!(budget.kept(), 10);
}

#[test]
fn patterns_match_names() {
    let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    for (pattern, name, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "\\a\\b", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("A*C", "abbbc", true),
        ("a*c", "abcb", false),
        ("*.TXT", "\\dir\\file.txt", true),
        ("*.txt", "\\dir\\file.txt.bak", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false),
        ("**??", "ab", true),
        ("**??", "a", false),
        ("*aab", "aaaaaaab", true),
    ] {
        assert_eq!(
            matches(&units(pattern), &units(name)),
            expected,
            "{pattern} {name}"
        );
    }
    // Ends soon, whatever the pattern is.
    let (pattern, name) = (units(&"*a".repeat(100)), vec![u16::from(b'a'); 5000]);
    assert!(!matches(&[pattern, units("b")].concat(), &name));
}

/// As the division of 128 bits, at the ends of what there is and in between.
#[test]
fn units_are_converted_as_exactly_as_with_twice_the_bits() {
    let exact = |value: u64, to: u64, from: u64| {
        let scaled = u128::from(value) * u128::from(to) / u128::from(from.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let ends = [
        0,
        1,
        2,
        3,
        1 << 31,
        1 << 32,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let clocks = [10_000_000, 3_579_545, 14_318_180, 24_000_000, 2_999_999_999];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let drawn = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
        // Of each length.
        state >> (state >> 58)
    });
    let mut drawn = drawn.take(60);
    let numbers: Vec<u64> = ends.into_iter().chain(clocks).chain(&mut drawn).collect();
    for &value in &numbers {
        for &to in &numbers {
            for &from in &numbers {
                let scaled = scale::scale(value, to, from);
                assert_eq!(scaled, exact(value, to, from), "{value} * {to} / {from}");
            }
        }
    }
}
