//! Each wrong driver is caught under its rule, and only under it.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the tests clean up what wrong drivers leave"
)]

use super::drivers::{Behaviour, Stack, issue_synchronously, originate};
use crate::io_manager::{call, cancel, complete, irp};
use crate::nt::{
    IRP_DEFER_IO_COMPLETION, IRP_SYNCHRONOUS_API, IrpExt, STATUS_PENDING, STATUS_SUCCESS,
};
use crate::processor::{irql, thread};
use crate::verifier::{Recorded, Rule, capture, rules};
use std::sync::atomic::Ordering;

/// The rules that were broken, in order.
fn names_of(violations: &[Recorded]) -> Vec<&'static str> {
    violations
        .iter()
        .map(|violation| violation.rule.name)
        .collect()
}

fn caught(rule: &'static Rule, behaviours: &[Behaviour]) {
    let stack = Stack::new(behaviours);
    let (_, violations) = capture(|| issue_synchronously(stack.top()));
    let names = names_of(&violations);
    assert_eq!(names, [rule.name], "{behaviours:?}: {violations:?}");
}

#[test]
fn mistakes_that_one_dispatch_shows() {
    use Behaviour as B;
    for below in [&[][..], &[B::Propagate], &[B::Skip], &[B::Copy], &[B::Wait]] {
        for (rule, wrong) in [
            (&rules::MARKED_AND_COMPLETED, B::MarkAndReturnSuccess),
            (&rules::IRQL_CHANGED_BY_DISPATCH, B::ReturnRaised),
            (&rules::REGIONS_CHANGED, B::ReturnInCriticalRegion),
            (&rules::COMPLETED_UNDER_SPIN_LOCK, B::CompleteUnderSpinLock),
            (&rules::CANCEL_ROUTINE_SET, B::CompleteWithCancelRoutine),
        ] {
            let mut behaviours = vec![wrong];
            behaviours.extend_from_slice(below);
            caught(rule, &behaviours);
        }
    }
    for lowest in [B::Complete, B::MarkAndComplete, B::CompleteAtDispatch] {
        caught(
            &rules::COMPLETION_STATUS,
            &[lowest, B::RoutineReturnsNonsense],
        );
        caught(
            &rules::FORWARDED_AT_BAD_IRQL,
            &[B::Complete, B::ForwardAtDispatch],
        );
    }
    caught(
        &rules::IRQL_CHANGED_BY_COMPLETION,
        &[B::Complete, B::RoutineRaises],
    );
    let stack = Stack::new(&[B::Complete, B::RoutineLeavesGuardedRegion]);
    let (_, violations) = capture(|| issue_synchronously(stack.top()));
    let [one] = &violations[..] else {
        panic!("{violations:?}")
    };
    assert_eq!(one.rule.name, rules::REGIONS_CHANGED.name);
    assert!(one.message.contains("completion routine"), "{one:?}");
}

#[test]
fn completed_twice_by_the_lowest_driver() {
    // Freed by the first completion, or kept by its originator.
    for flags in [
        IRP_SYNCHRONOUS_API,
        IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION,
    ] {
        for filter in [Behaviour::Propagate, Behaviour::Skip] {
            let stack = Stack::new(&[Behaviour::CompleteTwice, filter]);
            let mut request = originate(stack.top(), flags);
            let (_, violations) = capture(|| request.send(stack.top(), 0));
            let names = names_of(&violations);
            assert_eq!(names, [rules::COMPLETED_TWICE.name], "{violations:?}");
        }
    }
}

#[test]
fn completed_by_a_routine_that_continues() {
    caught(
        &rules::COMPLETED_TWICE,
        &[Behaviour::Complete, Behaviour::CompleteAndContinue],
    );
}

#[test]
fn completed_as_pending() {
    let stack = Stack::new(&[Behaviour::CompleteAsPending]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (_, violations) = capture(|| request.send(stack.top(), 0));
    // The dispatch routine returned what it completed with, unmarked: a second mistake.
    assert_eq!(
        violations.first().map(|violation| violation.rule),
        Some(&rules::COMPLETED_AS_PENDING)
    );
}

#[test]
fn too_few_stack_locations() {
    let stack = Stack::new(&[
        Behaviour::Complete,
        Behaviour::Propagate,
        Behaviour::Propagate,
    ]);
    // SAFETY: less locations than the stack needs, on purpose; no driver is reached.
    unsafe {
        let request = irp::allocate(2);
        request.set_thread(thread::current().object());
        for (rule, left) in [
            (&rules::STACK_LOCATIONS_RUN_OUT, 2),
            (&rules::STACK_LOCATIONS_RUN_OUT, 1),
            (&rules::NO_MORE_STACK_LOCATIONS, 0),
        ] {
            (*request).CurrentLocation = left + 1;
            let (_, violations) = capture(|| call::call_driver(stack.top(), request, 0));
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert_eq!(violations[0].rule, rule);
            let expected = format!("needs 3 stack location(s), with {left} of its 2 left");
            assert!(violations[0].message.contains(&expected), "{violations:?}");
        }
        let seen = stack.extension(2).seen.load(Ordering::Acquire);
        assert_eq!(seen, 0);
        irp::free(request, 0);
    }
}

#[test]
fn pending_without_a_mark() {
    let stack = Stack::new(&[Behaviour::KeepUnmarked]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (_, violations) = capture(|| {
        assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
        // SAFETY: kept by the device.
        unsafe { complete::complete_request(stack.held(0), 0, 0) };
    });
    let names = names_of(&violations);
    assert_eq!(names, [rules::PENDING_NOT_MARKED.name], "{violations:?}");
}

#[test]
fn a_lost_pending_mark_in_either_order() {
    // Completed before the dispatch routines have returned.
    for wrong in [
        &[Behaviour::MarkAndComplete, Behaviour::NotPropagating][..],
        &[Behaviour::OtherThreadMarked, Behaviour::NotPropagating],
        &[
            Behaviour::MarkAndComplete,
            Behaviour::Skip,
            Behaviour::NotPropagating,
        ],
        &[
            Behaviour::MarkAndComplete,
            Behaviour::NotPropagating,
            Behaviour::Skip,
        ],
        &[
            Behaviour::MarkAndComplete,
            Behaviour::Copy,
            Behaviour::NotPropagating,
            Behaviour::Propagate,
        ],
    ] {
        caught_lost(wrong);
    }
    // Completed after they have returned.
    for wrong in [
        &[Behaviour::Hold, Behaviour::NotPropagating][..],
        &[Behaviour::Hold, Behaviour::Skip, Behaviour::NotPropagating],
        &[
            Behaviour::Hold,
            Behaviour::NotPropagating,
            Behaviour::Propagate,
        ],
    ] {
        let stack = Stack::new(wrong);
        let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
        let (_, violations) = capture(|| {
            assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
            // SAFETY: held by the lowest device.
            unsafe { complete::complete_request(stack.held(0), 0, 0) };
        });
        let names = names_of(&violations);
        assert_eq!(
            names,
            [rules::PENDING_NOT_PROPAGATED.name],
            "{wrong:?}: {violations:?}"
        );
    }
}

fn caught_lost(wrong: &[Behaviour]) {
    let stack = Stack::new(wrong);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (_, violations) = capture(|| request.send(stack.top(), 0));
    let names = names_of(&violations);
    assert_eq!(
        names,
        [rules::PENDING_NOT_PROPAGATED.name],
        "{wrong:?}: {violations:?}"
    );
}

#[test]
fn dropped_requests_and_lost_statuses() {
    let stack = Stack::new(&[Behaviour::Forget, Behaviour::Copy]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (_, violations) = capture(|| request.send(stack.top(), 0));
    let names = names_of(&violations);
    assert_eq!(
        names,
        [rules::SUCCESS_WITHOUT_COMPLETION.name],
        "{violations:?}"
    );
    // SAFETY: kept by the device.
    unsafe { complete::complete_request(stack.held(0), 0, 0) };

    let stack = Stack::new(&[Behaviour::Hold, Behaviour::LoseLowerStatus]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (returned, violations) = capture(|| request.send(stack.top(), 0));
    assert_eq!(returned, STATUS_SUCCESS);
    let names = names_of(&violations);
    assert_eq!(names, [rules::LOWER_STATUS_LOST.name], "{violations:?}");
    // SAFETY: kept by the device.
    unsafe { complete::complete_request(stack.held(0), 0, 0) };
}

#[test]
fn a_routine_set_in_a_skipped_location() {
    use Behaviour as B;
    for above in [&[][..], &[B::Propagate], &[B::Skip]] {
        let mut behaviours = vec![B::Complete, B::SkipAndSetRoutine];
        behaviours.extend_from_slice(above);
        caught(&rules::ROUTINE_OVERWRITTEN, &behaviours);
    }
    // Skipped locations that stay as they are.
    for right in [
        &[B::Complete, B::Skip, B::Propagate][..],
        &[B::Complete, B::Skip, B::Skip],
    ] {
        let stack = Stack::new(right);
        let (_, violations) = capture(|| issue_synchronously(stack.top()));
        assert!(violations.is_empty(), "{right:?}: {violations:?}");
    }
}

#[test]
fn a_context_on_the_stack_of_a_routine_that_has_returned() {
    let stack = Stack::new(&[Behaviour::Hold, Behaviour::ContextOnStack]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    let (_, violations) = capture(|| {
        assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
        // SAFETY: held by the lowest device.
        unsafe { complete::complete_request(stack.held(0), 0, 0) };
    });
    let names = names_of(&violations);
    assert_eq!(names, [rules::CONTEXT_ON_STACK.name], "{violations:?}");
    // What has come back before the routine returns has used it.
    for lowest in [Behaviour::Complete, Behaviour::OtherThreadMarked] {
        let stack = Stack::new(&[lowest, Behaviour::ContextOnStack]);
        let (_, violations) = capture(|| issue_synchronously(stack.top()));
        assert!(violations.is_empty(), "{lowest:?}: {violations:?}");
    }
}

#[test]
fn a_cancel_routine_that_keeps_the_lock() {
    let stack = Stack::new(&[Behaviour::KeepCancelLock]);
    let mut request = originate(stack.top(), IRP_SYNCHRONOUS_API);
    assert_eq!(request.send(stack.top(), 0), STATUS_PENDING);
    // SAFETY: kept by the device.
    let (_, violations) = capture(|| unsafe { cancel::cancel(request.irp, 0) });
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0].rule, &rules::CANCEL_LOCK_KEPT);
    assert_eq!(irql::current(), 0);
    // SAFETY: kept by the device.
    unsafe { complete::complete_request(stack.held(0), 0, 0) };
}

#[test]
fn a_request_of_nobodys_that_is_not_stopped() {
    let stack = Stack::new(&[Behaviour::Complete]);
    // SAFETY: the test owns the request, which its wrong originator does not stop.
    unsafe {
        let request = irp::allocate(1);
        let (_, violations) = capture(|| call::call_driver(stack.top(), request, 0));
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].rule, &rules::OWN_REQUEST_NOT_STOPPED);
        irp::free(request, 0);
    }
}

#[test]
fn freeing_twice_and_passing_on_what_was_freed() {
    let stack = Stack::new(&[Behaviour::Complete]);
    let request = irp::allocate(1);
    // SAFETY: the test owns the request; the second call must not touch it.
    unsafe {
        irp::free(request, 0);
        let (_, violations) = capture(|| irp::free(request, 0));
        assert_eq!(violations[0].rule, &rules::BAD_FREE);
        let (_, violations) = capture(|| call::call_driver(stack.top(), request, 0));
        assert_eq!(violations[0].rule, &rules::USE_AFTER_FREE);
        let (_, violations) = capture(|| complete::complete_request(request, 0, 0));
        assert_eq!(violations[0].rule, &rules::COMPLETED_TWICE);
    }
}

#[test]
fn reports_name_the_routine_and_the_status() {
    let stack = Stack::new(&[Behaviour::MarkAndReturnSuccess]);
    let (_, violations) = capture(|| issue_synchronously(stack.top()));
    assert!(
        violations[0].message.contains("STATUS_SUCCESS"),
        "{}",
        violations[0].message
    );
    assert!(
        violations[0].message.contains(r"\Driver\TestDriver"),
        "{}",
        violations[0].message
    );
}
