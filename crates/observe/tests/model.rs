//! Every interleaving of a few threads, by loom: `cargo test -p observe --features model --release`.
//! With three threads, those in which threads are interrupted up to three times.

use door::{Door, Search};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use observe::AtomicU64;
use observe::budget::Budget;
use observe::counters::{Counters, Outcome, Sum, Writers};
use observe::doorbell::Doorbell;
use observe::ring::{Popped, Ring};

/// The doors of the layer: the file itself.
#[path = "../../wdm/src/sync/door.rs"]
mod door;

/// What they are made of. loom takes what is sequentially consistent for acquire and release: the one order
/// of all of it is brought by fences.
mod atomic {
    use loom::sync::atomic::fence;
    pub use loom::sync::atomic::{AtomicU64, Ordering};

    pub fn after_the_way_in() {
        fence(Ordering::SeqCst);
    }

    pub fn before_the_look() {
        fence(Ordering::SeqCst);
    }
}

type Words = Vec<AtomicU64>;

fn ring(words: usize) -> Arc<Ring<Words>> {
    let words = (0..words).map(|_| AtomicU64::new(0)).collect();
    Arc::new(Ring::new(words).unwrap())
}

/// As `loom::model`, for three threads.
fn model_of_three(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// A record of two words that both say which it is.
fn push(ring: &Ring<Words>, value: u64) -> bool {
    ring.push(16 | (value << 16), [value])
}

fn pop(ring: &Ring<Words>) -> Option<u64> {
    let mut words = Vec::new();
    match ring.pop(16, |_| true, |word| words.push(word)) {
        Popped::Record(size) => {
            assert_eq!((size, words.len()), (16, 2));
            assert_eq!(words[0] >> 16, words[1], "a record is read whole");
            Some(words[1])
        }
        other => {
            assert_eq!(other, Popped::Nothing);
            None
        }
    }
}

/// Two writers and a reader at once, in a ring that is too small for all: what is not read is counted
/// as lost, and nothing is read twice or torn.
#[test]
fn what_is_pushed_is_read_or_lost() {
    model_of_three(|| {
        let ring = ring(4);
        let writers: Vec<_> = [1, 2]
            .map(|writer| {
                let ring = ring.clone();
                thread::spawn(move || u64::from(push(&ring, writer)))
            })
            .into();
        let own = u64::from(push(&ring, 3));
        let mut read: Vec<u64> = pop(&ring).into_iter().collect();
        let written: u64 = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        read.extend(std::iter::from_fn(|| pop(&ring)));
        assert_eq!(read.len() as u64, written + own);
        assert_eq!(written + own + ring.lost(), 3);
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len() as u64, written + own, "once each");
    });
}

/// Words that have been read are written again while the reader goes on.
#[test]
fn words_are_used_again() {
    loom::model(|| {
        let ring = ring(2);
        let writer = thread::spawn({
            let ring = ring.clone();
            move || [1, 2, 3].map(|value| push(&ring, value))
        });
        let mut read = Vec::new();
        for _ in 0..2 {
            read.extend(pop(&ring));
        }
        let pushed = writer.join().unwrap();
        read.extend(std::iter::from_fn(|| pop(&ring)));
        let expected = [1, 2, 3]
            .into_iter()
            .zip(pushed)
            .filter(|(_, pushed)| *pushed);
        assert!(
            read.iter().copied().eq(expected.map(|(value, _)| value)),
            "{read:?} {pushed:?}"
        );
    });
}

/// A reader that found nothing and arms the bell is woken, or finds the record when it looks again.
#[test]
fn no_record_is_slept_through() {
    model_of_three(|| {
        let ring = ring(4);
        let bell = Arc::new(Doorbell::new());
        let writers: Vec<_> = [1, 2]
            .map(|value| {
                let (ring, bell) = (ring.clone(), bell.clone());
                thread::spawn(move || {
                    push(&ring, value);
                    bell.ring()
                })
            })
            .into();
        bell.arm();
        let sleeps = ring.is_empty();
        let disarmed = !sleeps && bell.disarm();
        let rung = writers
            .into_iter()
            .filter(|_| true)
            .map(|writer| writer.join().unwrap());
        let rung = rung.filter(|rung| *rung).count();
        assert!(rung + usize::from(disarmed) <= 1, "woken once");
        if sleeps {
            assert_eq!(rung, 1, "asleep with records there");
        }
    });
}

const FAILED: Outcome = Outcome {
    status: 0xC000_0001,
    information: 0,
    bytes: 0,
    ticks: 3,
    pended: false,
    at_dispatch: false,
    declined: false,
};

/// A reading of counters never shows more completed than started.
#[test]
fn nothing_completes_before_it_starts() {
    for writers in [Writers::One, Writers::Many] {
        loom::model(move || {
            let counters = Arc::new([Counters::<4>::new(), Counters::new()]);
            let request = thread::spawn({
                let counters = counters.clone();
                move || {
                    counters[0].start(writers);
                    counters[1].complete(&FAILED, writers);
                }
            });
            let mut sum = Sum::new();
            sum.gather(counters.iter());
            let record = sum.record;
            assert!(record.completed.get() <= record.started.get());
            assert!(record.completed.get() <= record.errors.get());
            request.join().unwrap();
        });
    }
}

/// What is looked at is not freed, whoever takes it out meanwhile; and it is freed when nobody looks any more,
/// without anybody having waited inside.
#[test]
fn what_is_looked_at_stays() {
    model_of_three(|| {
        let doors = Arc::new([Door::new(), Door::new()]);
        let here = Arc::new(loom::sync::atomic::AtomicBool::new(true));
        let value = Arc::new(UnsafeCell::new(()));
        let lookers: Vec<_> = [0, 1]
            .map(|number| {
                let (doors, here, value) = (doors.clone(), here.clone(), value.clone());
                thread::spawn(move || {
                    let Some(turn) = doors[number].enter() else {
                        panic!("nobody else is inside")
                    };
                    if here.load(atomic::Ordering::SeqCst) {
                        // loom looks whether somebody frees it at the same time.
                        value.with(|_| thread::yield_now());
                    }
                    doors[number].leave(turn);
                })
            })
            .into();
        here.swap(false, atomic::Ordering::SeqCst);
        let mut search = Search::new();
        while !search.is_over(doors.iter()) {
            thread::yield_now();
        }
        value.with_mut(|_| ());
        for looker in lookers {
            looker.join().unwrap();
        }
    });
}

/// A thread at a time is inside a door, so that what is counted there is not lost; who does not get in counts
/// where many do.
#[test]
fn a_door_has_one_writer() {
    loom::model(|| {
        let door = Arc::new(Door::new());
        let counters = Arc::new([Counters::<4>::new(), Counters::new()]);
        let count = {
            let (door, counters) = (door.clone(), counters.clone());
            move || match door.enter() {
                Some(turn) => {
                    counters[0].start(Writers::One);
                    door.leave(turn);
                }
                None => counters[1].start(Writers::Many),
            }
        };
        let other = thread::spawn(count.clone());
        count();
        other.join().unwrap();
        let mut sum = Sum::new();
        sum.gather(counters.iter());
        assert_eq!(sum.record.started.get(), 2);
        let below = counters.iter().map(Counters::below);
        assert_eq!(below.sum::<u64>(), 2);
    });
}

/// No more is kept than may be, and what is given back may be kept again.
#[test]
fn a_budget_is_kept() {
    loom::model(|| {
        let budget = Arc::new(Budget::new());
        let other = thread::spawn({
            let budget = budget.clone();
            move || {
                let taken = budget.take(2, 3);
                if taken {
                    budget.give(2);
                }
                taken
            }
        });
        let taken = budget.take(2, 3);
        assert!(budget.kept() <= 3);
        assert!(other.join().unwrap() || taken);
        assert_eq!(budget.kept(), if taken { 2 } else { 0 });
    });
}
