//! The registry itself: complete, unambiguous, and told in sentences of one form.

use super::*;
use std::collections::HashSet;

/// The rules that a verifier of file-system filters must know, under their names in the list.
const REQUIRED: &[(Family, &[&str])] = &[
    (
        Family::IrpLife,
        &[
            "CompletedAsPending",
            "DoubleCompletion",
            "NoMoreStackLocations",
            "ControlFieldNotZeroed",
            "UpperCompletionRoutineCopied",
            "StackLocationsRunOut",
            "StackLocationNotCopied",
            "CopiedWithoutCompletionRoutine",
            "NeitherCompletedNorForwarded",
            "ForwardedWhileOwnedBelow",
            "CompletedWhileOwnedBelow",
            "TouchedAfterIoCallDriver",
            "TouchedAfterIoCompleteRequest",
        ],
    ),
    (
        Family::Pending,
        &[
            "MarkIrpPending",
            "MarkIrpPending2",
            "PendingReturnedNotPropagated",
            "LowerDriverReturn",
            "PendedCompletedRequest",
            "PendedCompletedRequest2",
            "PendedCompletedRequest3",
            "CompletionEventChecking",
            "SignalEventInCompletion",
            "CompleteRequestStatusCheck",
            "MarkingQueuedIrps",
            "IrpProcessingComplete",
        ],
    ),
    (
        Family::Irql,
        &[
            "IrqlChangedByDispatch",
            "IrqlChangedByCompletion",
            "ForwardedAtBadIrql",
            "CompletedAboveDispatch",
            "PageableCompletionRoutine",
            "PageableMemoryTouched",
            "PageableCodeExecuted",
            "IrqlKeReleaseSpinLock",
            "WaitAtDispatch",
            "IrqlIoPassive1",
            "IrqlIoPassive3",
            "IrqlIoPassive4",
            "IrqlIoPassive5",
            "IrqlIoApcLte",
            "IrqlKeDispatchLte",
            "IrqlKeSetEvent",
            "IrqlExApcLte1",
            "IrqlExApcLte2",
            "IrqlExApcLte3",
            "IrqlZwPassive",
            "IrqlObPassive",
            "IrqlIoPassive2",
        ],
    ),
    (
        Family::Devices,
        &[
            "DeletedWhileAttached",
            "DetachedTwice",
            "DeletedTwice",
            "BufferingFlagsNotCopied",
            "DeviceTypeNotCopied",
            "DoDeviceInitializing",
            "DanglingDeviceObjectReference",
            "IoSetCompletionRoutineExCheck",
            "IoSetCompletionRoutineExCheckDeviceObject",
            "IoSetCompletionRoutineNonPnpDriver",
            "UnloadedWithPendingOperations",
        ],
    ),
    (
        Family::PoolAndLocks,
        &[
            "PoolOverrun",
            "UseAfterFree",
            "BadFree",
            "LeakAtUnload",
            "SpinLock",
            "SpinLockSafe",
            "Deadlock",
            "SelfDeadlock",
        ],
    ),
];

#[test]
fn every_required_rule_is_there() {
    for (family, names) in REQUIRED {
        for name in *names {
            let found = all().any(|rule| rule.name == *name && rule.family == *family);
            assert!(found, "there is no rule {name} about {family}");
        }
    }
}

#[test]
fn a_name_with_its_code_is_one_rule() {
    let mut seen = HashSet::new();
    for rule in all() {
        assert!(seen.insert((rule.name, rule.code)), "{rule:?}");
    }
}

#[test]
fn a_mistake_breaks_one_rule() {
    let mut seen = HashSet::new();
    for mistake in all().filter_map(|rule| rule.proof.bad_driver()) {
        assert!(seen.insert(mistake), "{mistake} breaks two rules");
    }
}

#[test]
fn everything_is_said_of_every_rule() {
    for rule in all() {
        assert!(
            !rule.name.is_empty() && !rule.name.contains(' '),
            "{rule:?}"
        );
        let sentences = [rule.checks, rule.detected_by, rule.should];
        for text in sentences.into_iter().chain([rule.code, rule.source]) {
            assert!(!text.is_empty() && text.trim() == text, "{rule:?}");
        }
        // They are put together to longer sentences.
        for text in sentences {
            assert!(!text.ends_with('.'), "{rule:?}");
        }
        let page = |part: &str| !part.is_empty() && !part.contains(' ');
        assert!(
            rule.source.contains('/') && rule.source.split('/').all(page),
            "{rule:?} names no page"
        );
    }
}
