use super::*;
use crate::nt::{STATUS_PENDING, STATUS_SUCCESS};

fn tracker() -> Reference {
    // Zeroed memory for a request that nothing marks: unread otherwise, for every test
    // passes the location before `leave`.
    let words = crate::nt::irp::size_of_irp(3).div_ceil(16);
    let irp = Box::leak(vec![0_u128; words].into_boxed_slice());
    Reference::new(irp.as_mut_ptr().cast(), 3)
}
const FILTER: Dispatch = Dispatch {
    device: std::ptr::null_mut(),
    routine: 0x1000,
};
const LOWER: Dispatch = Dispatch {
    device: std::ptr::null_mut(),
    routine: 0x2000,
};
/// Sent by the box, with no stack to look at.
const SENT: (usize, usize) = (0, 0);
const MARK: u8 = control::PENDING_RETURNED;

#[test]
fn marked_and_pending_agree_in_either_order() {
    for completed_first in [true, false] {
        let tracker = tracker();
        let mut inner = tracker.lock();
        let upper = inner.enter(2, 0, FILTER, SENT);
        let lower = inner.enter(1, 0, LOWER, SENT);
        if completed_first {
            assert_eq!(inner.pass(1, MARK, STATUS_SUCCESS), None);
            assert_eq!(inner.pass(2, MARK, STATUS_SUCCESS), None);
            assert_eq!(inner.leave(&lower, STATUS_PENDING, 0), None);
            assert_eq!(inner.leave(&upper, STATUS_PENDING, 0), None);
        } else {
            inner.location(1).expect("1").pending = Some(LOWER);
            inner.location(2).expect("2").pending = Some(FILTER);
            assert_eq!(inner.pass(1, MARK, STATUS_SUCCESS), None);
            assert_eq!(inner.pass(2, MARK, STATUS_SUCCESS), None);
        }
    }
}

#[test]
fn a_lost_mark_names_the_routine_in_either_order() {
    let lost = Some(Disagreement::PendingNotMarked {
        dispatch: FILTER,
        routine: 0x1234,
    });
    let tracker = tracker();
    let mut inner = tracker.lock();
    let upper = inner.enter(2, 0, FILTER, SENT);
    let lower = inner.enter(1, 0, LOWER, SENT);
    let sequence = inner.begin_completion(1, 1).expect("first");
    inner.pass(1, MARK, STATUS_SUCCESS);
    inner.hand_over();
    assert!(inner.resume(sequence, 2, true, 0x1234));
    assert_eq!(
        inner.pass(2, 0, STATUS_SUCCESS),
        None,
        "nothing is known before the dispatch routine returns"
    );
    assert_eq!(inner.leave(&lower, STATUS_PENDING, 0), None);
    assert_eq!(inner.leave(&upper, STATUS_PENDING, 0), lost);

    inner.restart();
    inner.enter(2, 0, FILTER, SENT);
    inner.location(2).expect("2").pending = Some(FILTER);
    inner.location(2).expect("2").routine = 0x1234;
    assert_eq!(inner.pass(2, 0, STATUS_SUCCESS), lost);
}

#[test]
fn a_waiting_driver_is_not_blamed() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let upper = inner.enter(2, 0, FILTER, SENT);
    let lower = inner.enter(1, 0, LOWER, SENT);
    let first = inner.begin_completion(1, 1).expect("first");
    inner.pass(1, MARK, STATUS_SUCCESS);
    inner.hand_over();
    assert_eq!(inner.leave(&lower, STATUS_PENDING, 0), None);
    // The routine stopped completion; the dispatch routine completes again.
    let second = inner.begin_completion(2, 1).expect("it was stopped");
    assert_eq!(inner.pass(2, 0, STATUS_SUCCESS), None);
    assert_eq!(inner.leave(&upper, STATUS_SUCCESS, 0), None);
    assert!(
        !inner.resume(first, 2, false, 0),
        "the first completion no longer owns it"
    );
    assert_ne!(first, second);
}

#[test]
fn a_skipped_location_shares_its_mark() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let upper = inner.enter(2, 0, FILTER, SENT);
    let lower = inner.enter(2, 0, LOWER, SENT);
    assert_eq!(inner.pass(2, MARK, STATUS_SUCCESS), None);
    assert_eq!(inner.leave(&lower, STATUS_PENDING, 0), None);
    assert_eq!(inner.leave(&upper, STATUS_PENDING, 0), None);
    // Marked by the upper driver before it skipped: the lower one may return anything.
    let upper = inner.enter(2, 0, FILTER, SENT);
    let lower = inner.enter(2, MARK, LOWER, SENT);
    inner.pass(2, MARK, STATUS_SUCCESS);
    assert_eq!(inner.leave(&lower, STATUS_SUCCESS, 0), None);
    assert_eq!(inner.leave(&upper, STATUS_PENDING, 0), None);
}

#[test]
fn marked_and_not_pending_is_reported_once() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let upper = inner.enter(2, 0, FILTER, SENT);
    let lower = inner.enter(1, 0, LOWER, SENT);
    inner.pass(1, MARK, STATUS_SUCCESS);
    inner.pass(2, MARK, STATUS_SUCCESS);
    assert_eq!(
        inner.leave(&lower, STATUS_SUCCESS, 0),
        Some(Disagreement::MarkedNotPending(LOWER))
    );
    assert_eq!(inner.leave(&upper, STATUS_SUCCESS, 0), None);
}

#[test]
fn only_one_completion_at_a_time() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let first = inner.begin_completion(1, 1).expect("first");
    assert_eq!(inner.begin_completion(2, 1), None);
    inner.hand_over();
    // Inside a completion routine it may be completed, which takes it from the first.
    assert!(inner.begin_completion(3, 1).is_some());
    inner.finish();
    assert!(!inner.resume(first, 2, false, 0));
    assert_eq!(inner.begin_completion(4, 1), None);
    inner.restart();
    assert!(inner.begin_completion(5, 1).is_some());
}

/// Completed by the dispatch routine at location 2 itself.
fn completed_here(inner: &mut Inner, control: u8) {
    inner
        .begin_completion(1, 2)
        .expect("nobody else completes it");
    assert_eq!(inner.pass(2, control, STATUS_SUCCESS), None);
    inner.hand_over();
}

#[test]
fn who_completed_it_decides_what_is_wrong() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let entry = inner.enter(2, 0, FILTER, SENT);
    completed_here(&mut inner, 0);
    assert_eq!(
        inner.leave(&entry, STATUS_PENDING, 0),
        Some(Disagreement::CompletedAndPending(FILTER))
    );
    inner.restart();
    let entry = inner.enter(2, 0, FILTER, SENT);
    completed_here(&mut inner, MARK);
    assert_eq!(
        inner.leave(&entry, STATUS_SUCCESS, 0),
        Some(Disagreement::MarkedAndCompleted(FILTER))
    );
    inner.restart();
    let entry = inner.enter(2, 0, FILTER, SENT);
    completed_here(&mut inner, MARK);
    assert_eq!(
        inner.leave(&entry, STATUS_PENDING, 0x77),
        Some(Disagreement::MarkedAfterQueueing {
            dispatch: FILTER,
            queued: 0x77
        })
    );
}

#[test]
fn another_status_than_the_requests_is_told() {
    let other = crate::nt::STATUS_CANCELLED;
    for by_itself in [true, false] {
        let tracker = tracker();
        let mut inner = tracker.lock();
        let upper = inner.enter(2, 0, FILTER, SENT);
        let completed = STATUS_SUCCESS;
        if by_itself {
            completed_here(&mut inner, 0);
        } else {
            let lower = inner.enter(1, 0, LOWER, SENT);
            inner.begin_completion(1, 1).expect("first");
            inner.pass(1, 0, completed);
            inner.pass(2, 0, completed);
            assert_eq!(inner.leave(&lower, completed, 0), None);
        }
        assert_eq!(
            inner.leave(&upper, other, 0),
            Some(Disagreement::StatusDiffers {
                dispatch: FILTER,
                completed,
                by_itself
            })
        );
    }
}

#[test]
fn holders_are_those_that_completion_has_not_passed() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    let numbers =
        |inner: &Inner| -> Vec<i8> { inner.holders().iter().map(|holder| holder.number).collect() };
    inner.enter(3, 0, FILTER, SENT);
    inner.enter(2, 0, FILTER, SENT);
    // Skipped: both have the same location.
    inner.enter(2, 0, LOWER, SENT);
    assert_eq!(numbers(&inner), [3, 2, 2]);
    inner.pass(2, 0, STATUS_SUCCESS);
    assert_eq!(numbers(&inner), [3]);
    inner.enter(2, 0, LOWER, SENT);
    assert_eq!(numbers(&inner), [3, 2]);
    inner.pass(2, 0, STATUS_SUCCESS);
    inner.pass(3, 0, STATUS_SUCCESS);
    assert_eq!(numbers(&inner), [0; 0]);
}

#[test]
fn a_refused_routine_is_told_once_and_only_until_the_request_is_completed() {
    let tracker = tracker();
    let mut inner = tracker.lock();
    inner.set_refused(1, Some(0x55));
    assert_eq!(inner.take_refused(), Some((1, 0x55)));
    assert_eq!(inner.take_refused(), None);
    inner.set_refused(1, Some(0x55));
    inner.set_refused(1, None);
    assert_eq!(inner.take_refused(), None, "another one was set");
    inner.set_refused(1, Some(0x55));
    assert!(inner.begin_completion(SENT.0, 2).is_some());
    assert_eq!(inner.take_refused(), None, "completed, as it should be");
}
