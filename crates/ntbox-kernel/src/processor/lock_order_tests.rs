//! Orders that can deadlock, and those that look alike and cannot.

use super::*;
use crate::verifier::capture;

const KIND: &str = "lock";
const SITE: usize = 0x1000;

/// Takes the locks in order and releases them in the other one; the rules that were broken.
fn take(locks: &[(usize, Mode)]) -> Vec<&'static str> {
    let ((), found) = capture(|| {
        for (lock, mode) in locks {
            acquiring(*lock, KIND, *mode, SITE);
            acquired(*lock, KIND, *mode, SITE);
        }
        locks.iter().rev().for_each(|(lock, _)| released(*lock));
    });
    found.iter().map(|found| found.rule.code).collect()
}

fn exclusive<const N: usize>(locks: [usize; N]) -> Vec<&'static str> {
    take(&locks.map(|lock| (lock, Mode::Exclusive)))
}

const NONE: [&str; 0] = [];

// Each test has locks of its own: the graph is one for all.

#[test]
fn two_locks_in_both_orders_are_reported() {
    assert_eq!(exclusive([0x101, 0x102]), NONE);
    assert_eq!(exclusive([0x101, 0x102]), NONE);
    let other = std::thread::spawn(|| exclusive([0x102, 0x101]));
    assert_eq!(other.join().expect("no panic"), ["0xC4/1001"]);
}

#[test]
fn a_circle_may_be_long() {
    assert_eq!(exclusive([0x201, 0x202]), NONE);
    assert_eq!(exclusive([0x202, 0x203]), NONE);
    assert_eq!(exclusive([0x203, 0x204]), NONE);
    assert_eq!(exclusive([0x201, 0x204]), NONE);
    assert_eq!(exclusive([0x204, 0x201]), ["0xC4/1001"]);
}

#[test]
fn locks_that_are_only_shared_do_not_wait_for_each_other() {
    use Mode::{Exclusive, Shared};
    assert_eq!(take(&[(0x301, Shared), (0x302, Shared)]), NONE);
    assert_eq!(take(&[(0x302, Shared), (0x301, Shared)]), NONE);
    assert_eq!(take(&[(0x311, Shared), (0x312, Exclusive)]), NONE);
    assert_eq!(take(&[(0x312, Exclusive), (0x311, Shared)]), NONE);
    assert_eq!(take(&[(0x312, Shared), (0x311, Exclusive)]), ["0xC4/1001"]);
}

#[test]
fn one_further_lock_around_both_orders_keeps_them_apart() {
    assert_eq!(exclusive([0x400, 0x401, 0x402]), NONE);
    assert_eq!(exclusive([0x400, 0x402, 0x401]), NONE);
    // A thread without it can meet the other order.
    assert_eq!(exclusive([0x401, 0x402]), ["0xC4/1001"]);
}

#[test]
fn a_lock_that_is_gone_has_no_order() {
    assert_eq!(exclusive([0x501, 0x502]), NONE);
    forget(0x502, 8);
    assert_eq!(exclusive([0x502, 0x501]), NONE);
}

#[test]
#[expect(unsafe_code, reason = "the block is freed by pointer")]
fn a_lock_in_memory_that_was_freed_has_no_order() {
    let block = pool::allocate_for_box(16);
    assert_eq!(exclusive([0x801, block.addr()]), NONE);
    // SAFETY: the test's own, and nothing refers to it.
    unsafe { pool::free_for_box(block) };
    assert_eq!(exclusive([block.addr(), 0x801]), NONE);
}

#[test]
fn what_is_only_tried_is_no_wait() {
    assert_eq!(exclusive([0x601, 0x602]), NONE);
    let ((), found) = capture(|| {
        acquired(0x602, KIND, Mode::Exclusive, SITE);
        acquired(0x601, KIND, Mode::Exclusive, SITE);
        released(0x601);
        released(0x602);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_report_names_all_acquisitions() {
    let acquire = |lock, site| {
        acquiring(lock, KIND, Mode::Exclusive, site);
        acquired(lock, KIND, Mode::Exclusive, site);
    };
    let ((), found) = capture(|| {
        acquire(0x701, 0xA1);
        acquire(0x702, 0xA2);
        released(0x702);
        released(0x701);
        acquire(0x702, 0xB1);
        acquire(0x701, 0xB2);
        released(0x701);
        released(0x702);
    });
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .message
            .contains("0x701 is acquired while lock 0x702")
    );
}

#[test]
#[expect(unsafe_code, reason = "the blocks are freed by pointer")]
fn a_lock_that_is_held_must_not_be_freed() {
    for (released_first, expected) in [(true, &NONE[..]), (false, &["LockFreedHeld"])] {
        let block = pool::allocate(pool::Kind::NonPaged, 64, 1, SITE);
        let lock = block.addr() + 8;
        let ((), found) = capture(|| {
            acquired(lock, KIND, Mode::Exclusive, SITE);
            if released_first {
                released(lock);
            }
            // SAFETY: the test's own, and nothing refers to it.
            unsafe { pool::free(block, None, SITE) };
        });
        let names: Vec<_> = found.iter().map(|found| found.rule.name).collect();
        assert_eq!(names, expected);
        assert!(!holds(lock));
    }
}
