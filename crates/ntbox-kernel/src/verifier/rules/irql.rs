//! IRQL: given back, and not too high for what is done.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { Irql;
    IRQL_CHANGED_BY_DISPATCH = {
        name: "IrqlChangedByDispatch",
        code: "0xC9/05",
        checks: "A dispatch routine, DriverEntry or DriverUnload returns at another IRQL",
        source: page::IO_VIOLATION,
        detected_by: "the IRQL before and after the call of the routine",
        should: "return from a dispatch routine at the IRQL at which it was entered",
        proof: BadDriver("irql-raised-by-dispatch"),
    };
    IRQL_CHANGED_BY_COMPLETION = {
        name: "IrqlChangedByCompletion",
        code: "0xC4/FA",
        checks: "A completion, work item or notify routine returns at another IRQL",
        source: page::VIOLATION,
        detected_by: "the IRQL before and after the call of the routine",
        should: "return from a completion or callback routine at the IRQL at which it was entered",
        proof: BadDriver("irql-raised-by-completion"),
    };
    WAIT_AT_DISPATCH = {
        name: "WaitAtDispatch",
        code: "0xC4/3B",
        checks: "A wait at DISPATCH_LEVEL that may block",
        source: page::VIOLATION,
        detected_by: "the IRQL at the wait, unless its timeout is zero",
        should: "wait below DISPATCH_LEVEL only, or with a timeout of zero",
        proof: BadDriver("wait-in-completion"),
    };
    FORWARDED_AT_BAD_IRQL = {
        name: "ForwardedAtBadIrql",
        code: "0xC9/23A",
        checks: "IoCallDriver at an IRQL that is illegal for the major function",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the IRQL against the device's type",
        should: "pass requests down at the IRQL that the major function documents",
        proof: BadDriver("forward-at-dispatch"),
    };
    FORWARDED_ABOVE_DISPATCH = {
        name: "ForwardedAboveDispatch",
        code: "0xC9/10, 0xC9/301",
        checks: "IoCallDriver above DISPATCH_LEVEL",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the IRQL, for devices of other types than file systems",
        should: "pass requests down at or below DISPATCH_LEVEL",
        proof: BadDriver("forward-above-dispatch"),
    };
    FAST_IO_IRQL = {
        name: "IrqlChangedByFastIo",
        code: "0xC9/11",
        checks: "A fast I/O routine returns at another IRQL",
        source: page::IO_VIOLATION,
        detected_by: "the IRQL before and after the call of the routine",
        should: "return from a fast I/O routine at the IRQL at which it was entered",
        proof: BadDriver("fast-io-returns-raised"),
    };
    PAGEABLE_ROUTINE = {
        name: "PageableCompletionRoutine",
        code: "0xC9/227",
        checks: "A completion routine lies in pageable code",
        source: page::IO_VIOLATION,
        detected_by: "IoCallDriver: the section that the routine of the next location lies in",
        should: "keep completion routines out of sections whose names begin with PAGE",
        proof: BadDriver("completion-routine-pageable"),
    };
    PAGEABLE_MEMORY = {
        name: "PageableMemoryTouched",
        code: "0xD1 DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        checks: "Paged pool, or data in a pageable section, is touched at DISPATCH_LEVEL or above",
        source: "debugger/bug-check-0xd1--driver-irql-not-less-or-equal",
        detected_by: "the fault handler: pageable pages are inaccessible while a thread is at that level (--verify force-irql)",
        should: "touch only nonpaged memory at DISPATCH_LEVEL, and what a completion routine needs is nonpaged",
        proof: BadDriver("paged-pool-at-dispatch"),
    };
    PAGEABLE_CODE = {
        name: "PageableCodeExecuted",
        code: "0xD3 DRIVER_PORTION_MUST_BE_NONPAGED",
        checks: "Code in a pageable section is executed at DISPATCH_LEVEL or above",
        source: "debugger/bug-check-0xd3--driver-portion-must-be-nonpaged",
        detected_by: "the fault handler: pageable pages are inaccessible while a thread is at that level (--verify force-irql)",
        should: "call only code in nonpaged sections at DISPATCH_LEVEL",
        proof: BadDriver("pageable-code-at-dispatch"),
    };
    COMPLETED_ABOVE_DISPATCH = {
        name: "CompletedAboveDispatch",
        code: "0xC9/0E",
        checks: "A request is completed above DISPATCH_LEVEL",
        source: page::IO_VIOLATION,
        detected_by: "IoCompleteRequest: the IRQL",
        should: "call IoCompleteRequest at or below DISPATCH_LEVEL",
        proof: BadDriver("complete-above-dispatch"),
    };
    IRQL_TOO_HIGH = {
        name: "IrqlTooHigh",
        code: "0xC4/DDI",
        checks: "A routine is called above the IRQL that it documents",
        source: "devtest/irql-rule-set--wdm-",
        detected_by: "the IRQL at the call of the routine",
        should: "call each routine at or below the IRQL it documents",
        proof: BadDriver("name-queried-at-dispatch"),
    };
    RAISE_INVALID = {
        name: "KeRaiseIrqlInvalid",
        code: "0xC4/30",
        checks: "KeRaiseIrql to a lower level, or above HIGH_LEVEL",
        source: page::VIOLATION,
        detected_by: "KeRaiseIrql: the new level against the current one",
        should: "raise the IRQL only to a level at or above the current one",
        proof: BadDriver("irql-raised-to-lower"),
    };
    LOWER_INVALID = {
        name: "KeLowerIrqlInvalid",
        code: "0xC4/31",
        checks: "KeLowerIrql to a higher level",
        source: page::VIOLATION,
        detected_by: "KeLowerIrql: the new level against the current one",
        should: "lower the IRQL only to the level that KeRaiseIrql returned",
        proof: BadDriver("irql-lowered-to-higher"),
    };
    SPIN_LOCK_RELEASE_IRQL = {
        name: "IrqlKeReleaseSpinLock",
        code: "0xC4/32",
        checks: "KeReleaseSpinLock at another level than DISPATCH_LEVEL, or to a wrong one",
        source: "devtest/wdm-irqlkereleasespinlock",
        detected_by: "KeReleaseSpinLock: the IRQL, and the level to go back to",
        should: "call KeReleaseSpinLock at DISPATCH_LEVEL with the IRQL that KeAcquireSpinLock returned",
        proof: BadDriver("spin-lock-released-to-wrong-level"),
    };
    SPIN_LOCK_BELOW_DISPATCH = {
        name: "IrqlKeSpinLockAtDpcLevel",
        code: "0xC4/40",
        checks: "An AtDpcLevel or FromDpcLevel routine below DISPATCH_LEVEL",
        source: page::VIOLATION,
        detected_by: "the IRQL at the call of the routine",
        should: "use the AtDpcLevel routines only at DISPATCH_LEVEL or above",
        proof: BadDriver("at-dpc-level-below-dispatch"),
    };
    FAST_MUTEX_RELEASE_IRQL = {
        name: "IrqlExReleaseFastMutex",
        code: "0xC4/34",
        checks: "A fast mutex is released at another level than APC_LEVEL",
        source: page::VIOLATION,
        detected_by: "ExReleaseFastMutex: the IRQL",
        should: "release a fast mutex at APC_LEVEL, in the thread that acquired it",
        proof: BadDriver("fast-mutex-released-at-dispatch"),
    };
    WORKER_IRQL = {
        name: "WorkerReturnedAtBadIrql",
        code: "0xE1 WORKER_THREAD_RETURNED_AT_BAD_IRQL",
        checks: "A worker or system thread routine returns at a raised IRQL",
        source: "debugger/bug-check-0xe1--worker-thread-returned-at-bad-irql",
        detected_by: "the IRQL after the call of the routine",
        should: "return from a worker routine at PASSIVE_LEVEL",
        proof: BadDriver("worker-returns-raised"),
    };
    DPC_IRQL = {
        name: "DpcReturnedAtBadIrql",
        code: "0xC8 IRQL_UNEXPECTED_VALUE",
        checks: "A DPC routine returns at another IRQL",
        source: "debugger/bug-check-0xc8--irql-unexpected-value",
        detected_by: "the IRQL after the call of the routine",
        should: "return from a DPC routine at DISPATCH_LEVEL with no spin lock held",
        proof: BadDriver("dpc-returns-lowered"),
    };
    WAIT_NOT_FOLLOWING = {
        name: "WaitNotFollowing",
        code: "documented",
        checks: "KeSetEvent, KePulseEvent, KeReleaseMutex or KeReleaseSemaphore is called with Wait, which leaves the IRQL raised, and the thread does something else than to wait",
        source: "ddi/wdm/nf-wdm-kesetevent",
        detected_by: "the next routine that asks for the IRQL, or the end of the driver's routine",
        should: "pass FALSE as Wait, unless the next call is KeWaitForSingleObject or KeWaitForMultipleObjects",
        proof: BadDriver("wait-not-following"),
    };
}
