//! What the witness notes of requests, and what it leaves out.

use super::drivers::{Behaviour, Stack, issue_synchronously};
use crate::host::test_process::passes_alone;
use crate::io_manager::witness::{self, Asked, Return};
use crate::nt::{PASSIVE_LEVEL, STATUS_END_OF_FILE};
use crate::verifier::capture;

#[test]
fn what_was_passed_on_is_noted_as_it_came_back() {
    passes_alone(
        "io_manager::tests::witness::what_was_passed_on_is_noted_as_it_came_back",
        || {
            let stack = Stack::new(&[Behaviour::Pend, Behaviour::Propagate]);
            stack.extension(0).status = STATUS_END_OF_FILE;
            stack.extension(0).information = 11;
            issue_synchronously(stack.top());
            witness::begin();
            let (seen, violations) = capture(|| issue_synchronously(stack.top()));
            assert!(violations.is_empty(), "{violations:?}");
            let arrivals = witness::end();
            issue_synchronously(stack.top());
            assert!(witness::take().is_empty(), "it has ended");
            let [arrival] = &arrivals[..] else {
                panic!("{arrivals:?}")
            };
            assert!(matches!(arrival.asked, Asked::Request { .. }));
            let Some(back) = arrival.back else {
                panic!("{arrival:?}")
            };
            let expected = Return {
                at: back.at,
                status: seen.status(),
                information: 11,
                pended: true,
                irql: PASSIVE_LEVEL,
                declined: false,
            };
            assert_eq!(back, expected);
            assert!(back.at >= arrival.at);
        },
    );
}

#[test]
fn what_was_sent_to_a_device_directly_is_kept_apart() {
    passes_alone(
        "io_manager::tests::witness::what_was_sent_to_a_device_directly_is_kept_apart",
        || {
            let stack = Stack::new(&[Behaviour::Complete, Behaviour::Propagate]);
            witness::begin();
            issue_synchronously(stack.devices[0]);
            assert!(witness::end().is_empty());
            witness::begin();
            issue_synchronously(stack.devices[0]);
            issue_synchronously(stack.top());
            let direct = witness::end_with_direct();
            let direct: Vec<_> = direct.iter().map(|arrival| arrival.direct).collect();
            assert_eq!(direct, [true, false]);
        },
    );
}
