//! Every interleaving of a few threads, by loom: `cargo test -p observe --features model --release`.
//! With three threads, those in which threads are interrupted up to three times.

use loom::sync::Arc;
use loom::thread;
use observe::AtomicU64;
use observe::counters::{Counters, Outcome, Sum};
use observe::doorbell::Doorbell;
use observe::ring::{Popped, Ring};

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
    let mut bytes = [0; 16];
    match ring.pop(&mut bytes) {
        Popped::Record(size) => {
            assert_eq!(size, 16);
            let word = |at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let (first, second): (u64, u64) = (word(0), word(8));
            assert_eq!(first >> 16, second, "a record is read whole");
            Some(second)
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

/// A reading of counters never shows more completed than started.
#[test]
fn nothing_completes_before_it_starts() {
    loom::model(|| {
        let counters = Arc::new([Counters::<4>::new(), Counters::new()]);
        let request = thread::spawn({
            let counters = counters.clone();
            move || {
                counters[0].start();
                counters[1].complete(&Outcome {
                    status: 0xC000_0001,
                    bytes: 0,
                    ticks: 3,
                    pended: false,
                    at_dispatch: false,
                    declined: false,
                });
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
