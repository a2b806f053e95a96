//! The mistakes, each with the rule that it breaks and the place that is to be reported.

use super::{Mistake, Site, Work};

const fn at_line(name: &'static str, rule: &'static str, file: &'static str) -> Mistake {
    Mistake {
        name,
        rule,
        file,
        site: Some(Site::Line),
        work: Work::Random,
        reference: None,
    }
}

const fn in_routine(
    name: &'static str,
    rule: &'static str,
    file: &'static str,
    routine: &'static str,
) -> Mistake {
    Mistake {
        name,
        rule,
        file,
        site: Some(Site::Routine(routine)),
        work: Work::Random,
        reference: None,
    }
}

/// A mistake in the headers of the image: bits of a section's characteristics.
const fn of_image(
    name: &'static str,
    rule: &'static str,
    section: &'static str,
    bits: u32,
) -> Mistake {
    Mistake {
        name,
        rule,
        file: "",
        site: None,
        work: Work::Doctored {
            rule,
            section,
            bits,
        },
        reference: None,
    }
}

/// A mistake with requests of its own, or at IoCallDriver.
const fn request(name: &'static str, rule: &'static str) -> Mistake {
    at_line(name, rule, REQUESTS)
}

impl Mistake {
    const fn with(self, work: Work) -> Self {
        Self { work, ..self }
    }
    const fn reference(self, number: u8) -> Self {
        Self {
            reference: Some(number),
            ..self
        }
    }
}

pub(super) const IRP_LIFE: &str = "mistakes/irp_life.rs";
const PENDING: &str = "mistakes/pending.rs";
const QUEUEING: &str = "mistakes/queueing.rs";
const STACK_MEMORY: &str = "mistakes/stack_memory.rs";
const IRQL: &str = "mistakes/irql.rs";
const COMPLETION: &str = "mistakes/completion.rs";
const IRQL_CALLS: &str = "mistakes/irql_calls.rs";
const LEVELS: &str = "mistakes/levels.rs";
const THREADS: &str = "mistakes/threads.rs";
const PAIRING: &str = "mistakes/pairing.rs";
const LIBRARY: &str = "lib.rs";
const OBJECTS: &str = "mistakes/objects.rs";
const PAGEABLE: &str = "mistakes/pageable.rs";
const LOCKS: &str = "mistakes/locks.rs";
const LOGGING: &str = "mistakes/logging.rs";
const MEMORY: &str = "mistakes/memory.rs";
const OWNERSHIP: &str = "mistakes/ownership.rs";
const WAITING: &str = "mistakes/waiting.rs";
const REMOVE_LOCKS: &str = "mistakes/remove_locks.rs";
const REQUESTS: &str = "mistakes/requests.rs";
const OWN_REQUESTS: &str = "mistakes/own_requests.rs";
const CANCELLING: &str = "mistakes/cancelling.rs";
const WRITES: &str = "mistakes/writes.rs";
const FILES: &str = "mistakes/files.rs";
const REFERENCES: &str = "mistakes/references.rs";
const FAST_IO: &str = "mistakes/fast_io.rs";
const NOTIFY: &str = "mistakes/notify.rs";
const DEVICES: &str = "mistakes/devices.rs";
const FAULTS: &str = "mistakes/faults.rs";
const ENDS: &str = "mistakes/ends.rs";
const ATTACHMENTS: &str = "attachments.rs";
const FILTER: &str = "filter.rs";
const ADDRESSES: &str = "mistakes/addresses.rs";
const MANNERS: &str = "mistakes/manners.rs";
const HANDLES: &str = "mistakes/handles.rs";
const LISTS: &str = "mistakes/lists.rs";
const ACTIVE: &str = "mistakes/active.rs";
const PLUG_AND_PLAY: &str = "mistakes/plug_and_play.rs";

/// Every mistake that the driver can make.
pub const ALL: &[Mistake] = &[
    at_line("complete-twice", "DoubleCompletion", IRP_LIFE),
    at_line("no-stack-location", "NoMoreStackLocations", IRP_LIFE),
    at_line("touch-irp-after-call", "UseAfterFree", IRP_LIFE),
    at_line(
        "touch-irp-while-below",
        "TouchedAfterIoCallDriver",
        OWNERSHIP,
    )
    .with(Work::FencedCopy),
    at_line(
        "touch-irp-after-completion",
        "TouchedAfterIoCompleteRequest",
        OWNERSHIP,
    )
    .with(Work::Fenced),
    at_line(
        "touch-irp-after-queueing",
        "TouchedAfterQueueing",
        OWNERSHIP,
    )
    .with(Work::FencedCopy),
    at_line("complete-as-pending", "CompletedAsPending", IRP_LIFE),
    at_line(
        "skipped-and-routine-set",
        "CompletionRoutineOverwritten",
        IRP_LIFE,
    ),
    at_line(
        "own-request-with-thread",
        "OwnRequestWithThreadNotStopped",
        IRP_LIFE,
    ),
    in_routine(
        "close-failed-afterwards",
        "CloseFailed",
        FILES,
        "fail_afterwards",
    ),
    at_line("close-not-passed-on", "CloseNotPassedOn", FILES),
    at_line("close-answered", "CloseNotPassedOn", FILES),
    at_line("file-reference-left", "FileObjectReferenceLeft", FILES),
    at_line("file-dereferenced-twice", "ReferenceByPointer", FILES),
    at_line("handle-left", "HandleLeftAtUnload", FILES),
    at_line("symbolic-link-left", "SymbolicLinkLeftAtUnload", HANDLES),
    at_line("process-reference-left", "ObjectReferenceLeft", REFERENCES),
    // Another thread may be the first that has none left.
    in_routine(
        "process-dereferenced-twice",
        "ReferenceByPointer",
        REFERENCES,
        "use_process",
    ),
    at_line("thread-reference-left", "ObjectReferenceLeft", REFERENCES),
    at_line("token-reference-left", "ObjectReferenceLeft", REFERENCES),
    at_line("subject-context-left", "ObjectReferenceLeft", REFERENCES),
    at_line("event-reference-left", "ObjectReferenceLeft", REFERENCES),
    at_line("top-level-irp-left", "TopLevelIrpLeft", FILES),
    at_line("top-level-irp-followed", "TopLevelIrpFollowed", FILES),
    at_line("top-level-flag-followed", "TopLevelIrpFollowed", FILES),
    at_line("file-name-used", "FileNameUsedAfterCreate", FILES),
    at_line("cached-read-beyond", "BeyondCachedFile", FILES),
    at_line("file-name-in-completion", "FileNameUsedAfterCreate", FILES),
    at_line("file-name-kept", "UseAfterFree", FILES),
    at_line(
        "related-file-used",
        "RelatedFileObjectUsedAfterCreate",
        FILES,
    ),
    at_line("stack-file-referenced", "StackFileObjectReferenced", FILES),
    in_routine(
        "cancelled-request-queued",
        "IrpCancelField",
        QUEUEING,
        "queue",
    ),
    at_line("process-kept", "UseAfterFree", NOTIFY),
    in_routine(
        "process-notify-returns-in-critical-region",
        "CriticalRegions",
        NOTIFY,
        "keep_process",
    ),
    at_line("context-on-stack", "CompletionContextOnStack", PENDING),
    in_routine(
        "forget-request",
        "NeitherCompletedNorForwarded",
        IRP_LIFE,
        "forget",
    ),
    in_routine(
        "pending-not-propagated",
        "PendingReturnedNotPropagated",
        PENDING,
        "not_propagated",
    ),
    in_routine(
        "pending-not-marked",
        "MarkIrpPending2",
        PENDING,
        "post_unmarked",
    ),
    in_routine(
        "marked-not-pending",
        "MarkIrpPending",
        PENDING,
        "mark_and_return_final",
    ),
    in_routine(
        "irql-raised-by-dispatch",
        "IrqlChangedByDispatch",
        IRQL,
        "raise",
    ),
    in_routine(
        "irql-raised-by-completion",
        "IrqlChangedByCompletion",
        IRQL,
        "raise_in_completion",
    ),
    at_line("forward-at-dispatch", "ForwardedAtBadIrql", IRQL),
    at_line("complete-under-spin-lock", "SpinLockSafe", IRQL),
    at_line("wait-in-completion", "WaitAtDispatch", IRQL),
    at_line("master-irp-overwritten", "MasterIrpOverwritten", OWNERSHIP),
    at_line("master-irp-completed", "MasterIrpCompleted", OWNERSHIP),
    at_line("master-irp-count", "MasterIrpCount", OWNERSHIP),
    at_line(
        "associated-of-associated",
        "AssociatedOfAssociated",
        OWNERSHIP,
    ),
    in_routine(
        "information-too-large",
        "InformationTooLarge",
        COMPLETION,
        "enlarge",
    ),
    in_routine(
        "wrong-completion-status",
        "CompletionRoutineStatus",
        COMPLETION,
        "return_request_status",
    ),
    at_line("irql-io-passive-1", "IrqlIoPassive1", IRQL_CALLS),
    at_line("irql-io-passive-2", "IrqlIoPassive2", IRQL_CALLS),
    at_line("irql-io-passive-3", "IrqlIoPassive3", IRQL_CALLS),
    at_line("irql-io-passive-4", "IrqlIoPassive4", IRQL_CALLS),
    at_line("irql-io-passive-5", "IrqlIoPassive5", IRQL_CALLS),
    at_line("irql-io-apc-lte", "IrqlIoApcLte", IRQL_CALLS),
    at_line("irql-ke-set-event", "IrqlKeSetEvent", IRQL_CALLS),
    at_line("irql-ex-apc-lte-1", "IrqlExApcLte1", IRQL_CALLS),
    at_line("irql-ex-apc-lte-2", "IrqlExApcLte2", IRQL_CALLS),
    at_line("irql-ex-apc-lte-3", "IrqlExApcLte3", IRQL_CALLS),
    at_line("irql-zw-passive", "IrqlZwPassive", IRQL_CALLS),
    at_line("irql-ob-passive", "IrqlObPassive", IRQL_CALLS),
    at_line("lock-order", "Deadlock", LOCKS),
    at_line("lock-upgrade", "SelfDeadlock", LOCKS),
    at_line("pool-overrun", "PoolOverrun", MEMORY),
    at_line("overlapping-copy", "CopyOverlaps", MEMORY),
    at_line("pool-overrun-in-slack", "PoolOverrun", MEMORY),
    at_line("use-after-free", "UseAfterFree", MEMORY),
    at_line("free-twice", "BadFree", MEMORY),
    at_line("leak-at-unload", "LeakAtUnload", MEMORY),
    at_line("log-entry-too-long", "ErrorLogEntry", LOGGING),
    at_line("log-strings-cut-off", "ErrorLogEntry", LOGGING),
    at_line("provider-left-at-unload", "EtwProviderLeft", LOGGING),
    at_line("provider-unregistered-twice", "EtwHandle", LOGGING),
    in_routine(
        "device-left-at-unload",
        "DeviceLeftAtUnload",
        LIBRARY,
        "driver_unload",
    ),
    in_routine(
        "entry-fails-attached",
        "UnloadedWithPendingOperations",
        LIBRARY,
        "driver_entry",
    ),
    in_routine(
        "deleted-while-attached",
        "DeletedWhileAttached",
        ATTACHMENTS,
        "delete",
    ),
    in_routine(
        "initializing-flag-left",
        "DoDeviceInitializing",
        ATTACHMENTS,
        "put_on",
    ),
    at_line(
        "stack-size-of-the-wrong-device",
        "StackLocationsRunOut",
        IRP_LIFE,
    ),
    at_line("location-not-copied", "StackLocationNotCopied", IRP_LIFE),
    at_line("control-field-copied", "ControlFieldNotZeroed", IRP_LIFE),
    at_line(
        "completion-routine-copied",
        "UpperCompletionRoutineCopied",
        IRP_LIFE,
    )
    .with(Work::Stacked),
    at_line(
        "copied-without-routine",
        "CopiedWithoutCompletionRoutine",
        IRP_LIFE,
    ),
    at_line("forward-while-below", "ForwardedWhileOwnedBelow", OWNERSHIP).with(Work::Copy),
    at_line(
        "complete-while-below",
        "CompletedWhileOwnedBelow",
        OWNERSHIP,
    )
    .with(Work::Copy),
    in_routine(
        "forward-while-below-at-the-end",
        "ForwardedWhileOwnedBelow",
        ENDS,
        "forward_at_the_end",
    )
    .with(Work::Copy),
    in_routine(
        "complete-while-below-at-the-end",
        "CompletedWhileOwnedBelow",
        ENDS,
        "complete_at_the_end",
    )
    .with(Work::Copy),
    at_line(
        "complete-without-waiting",
        "PendedCompletedRequest2",
        OWNERSHIP,
    )
    .with(Work::Copy),
    at_line("cancel-routine-left", "CancelRoutineNotCleared", IRP_LIFE),
    in_routine(
        "cancel-lock-kept",
        "CancelSpinLock",
        IRP_LIFE,
        "keep_cancel_lock",
    ),
    at_line("own-request-not-stopped", "OwnRequestNotStopped", IRP_LIFE),
    at_line(
        "invoke-flags-without-routine",
        "NoCompletionRoutine",
        IRP_LIFE,
    ),
    in_routine(
        "mark-after-queueing",
        "MarkingQueuedIrps",
        PENDING,
        "mark_after_queueing",
    ),
    in_routine(
        "complete-and-return-pending",
        "PendedCompletedRequest",
        PENDING,
        "complete_and_return_pending",
    ),
    in_routine(
        "mark-and-complete",
        "PendedCompletedRequest3",
        PENDING,
        "mark_and_complete",
    ),
    in_routine(
        "success-without-completion",
        "IrpProcessingComplete",
        PENDING,
        "succeed_without_completing",
    ),
    in_routine(
        "another-status-returned",
        "CompleteRequestStatusCheck",
        PENDING,
        "return_another_status",
    ),
    in_routine(
        "lower-status-lost",
        "LowerDriverReturn",
        PENDING,
        "return_success",
    ),
    in_routine(
        "event-not-signalled",
        "SignalEventInCompletion",
        WAITING,
        "signal_if_pended",
    ),
    at_line("page-fault", "PageFault", FAULTS),
    at_line("page-fault-at-dispatch", "PageFault", FAULTS),
    at_line("read-only-written", "WroteReadOnly", FAULTS),
    in_routine("data-executed", "ExecutedData", FAULTS, "call_data"),
    at_line("bug-check", "DriverBugCheck", FAULTS),
    at_line("probe-without-handler", "ExceptionNotHandled", ADDRESSES),
    in_routine(
        "completion-routine-pageable",
        "PageableCompletionRoutine",
        PAGEABLE,
        "completed_pageable",
    ),
    at_line("paged-pool-at-dispatch", "PageableMemoryTouched", PAGEABLE),
    in_routine(
        "pageable-code-at-dispatch",
        "PageableCodeExecuted",
        PAGEABLE,
        "use_paged_pool",
    ),
    at_line("complete-above-dispatch", "CompletedAboveDispatch", LEVELS),
    at_line("name-queried-at-dispatch", "IrqlTooHigh", LEVELS),
    at_line("irql-raised-to-lower", "KeRaiseIrqlInvalid", LEVELS),
    at_line("irql-lowered-to-higher", "KeLowerIrqlInvalid", LEVELS),
    at_line(
        "spin-lock-released-to-wrong-level",
        "IrqlKeReleaseSpinLock",
        LEVELS,
    ),
    at_line(
        "at-dpc-level-below-dispatch",
        "IrqlKeSpinLockAtDpcLevel",
        LEVELS,
    ),
    at_line(
        "fast-mutex-released-at-dispatch",
        "IrqlExReleaseFastMutex",
        LEVELS,
    ),
    in_routine(
        "worker-returns-raised",
        "WorkerReturnedAtBadIrql",
        LEVELS,
        "work_raised",
    ),
    in_routine(
        "dpc-returns-lowered",
        "DpcReturnedAtBadIrql",
        LEVELS,
        "lower_in_dpc",
    ),
    at_line("irql-ke-dispatch-lte", "IrqlKeDispatchLte", IRQL_CALLS),
    at_line("zero-byte-allocation", "ZeroByteAllocation", MEMORY),
    at_line("zero-tag", "ZeroTag", MEMORY),
    at_line(
        "mdl-mapped-by-obsolete-routine",
        "MdlMappingMayNotFail",
        LISTS,
    ),
    at_line("mdl-mapping-may-not-fail", "MdlMappingMayNotFail", LISTS),
    at_line("mdl-mapped-twice", "MdlMappedTwice", LISTS),
    at_line("mdl-unmapped-unmapped", "MdlNotMapped", LISTS),
    at_line("mdl-unmapped-partial", "MdlNotMapped", LISTS),
    at_line("user-mapping-unmapped-elsewhere", "MdlUserMapping", LISTS),
    at_line("user-mapping-unmapped-at-dispatch", "IrqlTooHigh", LISTS),
    at_line("mdl-freed-mapped", "MdlFreedMapped", LISTS),
    at_line("mdl-built-of-paged-pool", "MdlPageable", LISTS),
    at_line("partial-mdl-too-small", "PartialMdlSize", LISTS),
    at_line("partial-mdl-out-of-range", "PartialMdlRange", LISTS),
    at_line("executable-pool", "CodeIntegrityPool", LISTS)
        .with(Work::Verified("standard,CodeIntegrityPool")),
    at_line("executable-mapping", "CodeIntegrityMapping", LISTS)
        .with(Work::Verified("standard,CodeIntegrityMapping")),
    of_image(
        "writable-code-section",
        "CodeIntegritySection",
        ".text",
        0x8000_0000,
    ),
    of_image(
        "imports-in-code-section",
        "CodeIntegrityImports",
        ".rdata",
        0x2000_0000,
    ),
    at_line("locked-pages-left", "LockedPagesLeft", LISTS),
    at_line("mdl-unlocked-twice", "MdlState", OBJECTS),
    at_line(
        "spin-lock-acquired-as-queued",
        "LockAcquiredOtherwise",
        MANNERS,
    ),
    at_line(
        "queued-lock-released-as-plain",
        "LockReleasedOtherwise",
        MANNERS,
    ),
    at_line("spin-lock-released-out-of-order", "ReleaseOrder", MANNERS),
    at_line("push-lock-flags", "PushLockFlags", MANNERS),
    at_line("wait-not-following", "WaitNotFollowing", MANNERS),
    at_line("spin-lock-released-twice", "SpinLock", PAIRING),
    at_line("fast-mutex-acquired-twice", "ExFastMutexPairing", PAIRING),
    at_line("fast-mutex-unsafe", "FastMutexUnsafe", PAIRING),
    at_line("resource-with-apcs-enabled", "ResourceApcsEnabled", PAIRING),
    at_line("resource-released-twice", "ResourceNotOwned", PAIRING),
    at_line("resource-deleted-owned", "ResourceDeletedOwned", PAIRING),
    in_routine(
        "dispatch-returns-in-critical-region",
        "CriticalRegions",
        PAIRING,
        "return_in_critical_region",
    ),
    in_routine(
        "entry-returns-in-critical-region",
        "CriticalRegions",
        LIBRARY,
        "driver_entry",
    ),
    in_routine(
        "unload-returns-in-guarded-region",
        "CriticalRegions",
        LIBRARY,
        "driver_unload",
    ),
    at_line(
        "critical-region-left-twice",
        "KeLeaveCriticalRegion",
        PAIRING,
    ),
    at_line("guarded-region-left-twice", "GuardedRegions", PAIRING),
    at_line("event-not-initialized", "UninitializedObject", OBJECTS),
    at_line(
        "too-many-wait-objects",
        "MaximumWaitObjectsExceeded",
        OBJECTS,
    ),
    at_line("mutex-not-owned", "MutexNotOwned", PAIRING),
    at_line("semaphore-over-limit", "SemaphoreLimitExceeded", OBJECTS),
    in_routine(
        "worker-returns-in-critical-region",
        "KernelApcDisabledDuringExit",
        THREADS,
        "work_in_critical_region",
    ),
    in_routine(
        "worker-impersonates",
        "ImpersonatingWorkerThread",
        THREADS,
        "work_as_client",
    ),
    at_line("work-item-queued-twice", "WorkerInvalid", THREADS),
    in_routine(
        "dpc-returns-in-critical-region",
        "DpcApcState",
        THREADS,
        "enter_critical_region",
    )
    .with(Work::KeepGoing),
    in_routine(
        "thread-ends-with-mutex",
        "ThreadTerminateHeldMutex",
        THREADS,
        "end_with_mutex",
    ),
    at_line("thread-used-without-reference", "UseAfterFree", THREADS),
    at_line(
        "thread-ends-with-push-lock",
        "LockLeakedOnThreadTermination",
        THREADS,
    ),
    at_line(
        "thread-ends-with-resource",
        "LockLeakedOnThreadTermination",
        THREADS,
    ),
    at_line("timer-in-freed-block", "ActiveTimerFreed", ACTIVE),
    in_routine(
        "timer-on-left-stack",
        "ActiveTimerFreed",
        ACTIVE,
        "leave_timer",
    ),
    at_line(
        "timer-initialized-while-set",
        "ActiveObjectInitialized",
        ACTIVE,
    ),
    at_line("timer-not-initialized", "UninitializedObject", ACTIVE),
    at_line("dpc-in-freed-block", "ActiveDpcFreed", ACTIVE),
    at_line("dpc-of-timer-freed", "ActiveDpcFreed", ACTIVE),
    in_routine("dpc-on-left-stack", "ActiveDpcFreed", ACTIVE, "leave_dpc"),
    at_line("dpc-not-initialized", "UninitializedObject", ACTIVE),
    in_routine(
        "resource-on-left-stack",
        "ActiveResourceFreed",
        ACTIVE,
        "leave_resource",
    ),
    at_line("resource-in-freed-block", "ActiveResourceFreed", ACTIVE),
    at_line(
        "resource-initialized-twice",
        "ResourceInitializedTwice",
        ACTIVE,
    ),
    at_line(
        "resource-deleted-uninitialized",
        "ResourceNotInitialized",
        ACTIVE,
    ),
    at_line(
        "resource-acquired-uninitialized",
        "ResourceNotInitialized",
        ACTIVE,
    ),
    at_line("resource-misaligned", "ResourceAlignment", ACTIVE),
    at_line(
        "resource-released-with-apcs",
        "ResourceReleasedWithApcs",
        ACTIVE,
    ),
    at_line("mutex-initialized-twice", "LockInitializedTwice", ACTIVE),
    at_line("lock-freed-held", "LockFreedHeld", ACTIVE),
    at_line(
        "entry-of-another-lookaside-list",
        "LookasideEntryOfAnotherList",
        ACTIVE,
    ),
    at_line("lookaside-in-freed-block", "LookasideListFreed", ACTIVE),
    at_line(
        "lookaside-initialized-twice",
        "LookasideListInitializedTwice",
        ACTIVE,
    ),
    at_line("lookaside-blocks-too-small", "LookasideListSize", ACTIVE),
    at_line("event-in-paged-pool", "PageableObject", ACTIVE),
    at_line("work-item-in-paged-pool", "PageableWorkItem", ACTIVE),
    at_line("rundown-released-twice", "RundownProtection", PAIRING),
    at_line("assertion-failed", "AssertionFailed", FAULTS),
    in_routine("stack-used-up", "StackUsedUp", FAULTS, "descend"),
    in_routine("sent-to-itself", "StackUsedUp", ENDS, "send_to_itself"),
    in_routine("create-opens-itself", "StackUsedUp", ENDS, "open_in_create"),
    at_line("bad-instruction", "BadInstruction", FAULTS),
    at_line("misaligned-access", "BadInstruction", FAULTS),
    in_routine(
        "stopped-and-left",
        "NeitherCompletedNorForwarded",
        IRP_LIFE,
        "stop_and_leave",
    ),
    at_line("unicode-printed-at-dispatch", "IrqlTooHigh", IRQL_CALLS),
    at_line("mounted-nothing", "MountedNothing", DEVICES),
    at_line("mount-vpb-kept", "UseAfterFree", DEVICES).with(Work::Media),
    at_line("detached-twice", "DetachedTwice", DEVICES),
    at_line("deleted-twice", "DeletedTwice", DEVICES),
    in_routine(
        "flags-not-copied",
        "BufferingFlagsNotCopied",
        ATTACHMENTS,
        "put_on",
    ),
    in_routine(
        "device-type-not-copied",
        "DeviceTypeNotCopied",
        ATTACHMENTS,
        "create",
    ),
    at_line(
        "device-reference-left",
        "DanglingDeviceObjectReference",
        ATTACHMENTS,
    ),
    at_line(
        "completion-routine-unchecked",
        "IoSetCompletionRoutineExCheck",
        DEVICES,
    )
    .with(Work::LowResources),
    at_line(
        "completion-routine-for-lower-device",
        "IoSetCompletionRoutineExCheckDeviceObject",
        DEVICES,
    ),
    in_routine(
        "completion-routine-plain",
        "IoSetCompletionRoutineNonPnpDriver",
        FILTER,
        "pass_and_wait",
    )
    .with(Work::Verified(
        "standard,IoSetCompletionRoutineNonPnpDriver",
    )),
    at_line(
        "completion-routine-refused",
        "IoSetCompletionExCompleteIrp",
        DEVICES,
    )
    .with(Work::LowResources),
    in_routine(
        "completion-routine-outlives-unload",
        "UnloadedWithPendingOperations",
        DEVICES,
        "completed_and_stays",
    )
    .with(Work::Outstanding),
    in_routine(
        "timer-left-at-unload",
        "UnloadedWithPendingOperations",
        DEVICES,
        "tick",
    ),
    at_line(
        "remove-lock-released-twice",
        "RemoveLockCheck",
        REMOVE_LOCKS,
    ),
    at_line(
        "pnp-status-not-initialized",
        "PnpStatusNotInitialized",
        PLUG_AND_PLAY,
    ),
    at_line(
        "pnp-capabilities-not-initialized",
        "PnpCapabilitiesNotInitialized",
        PLUG_AND_PLAY,
    ),
    at_line("pnp-request-reserved", "PnpRequestReserved", PLUG_AND_PLAY),
    at_line("pnp-failed-passed-on", "FailedPnpPassedOn", PLUG_AND_PLAY),
    at_line(
        "pnp-unknown-status",
        "PnpUnknownStatusChanged",
        PLUG_AND_PLAY,
    ),
    at_line(
        "pnp-unknown-information",
        "PnpUnknownInformationChanged",
        PLUG_AND_PLAY,
    ),
    at_line(
        "pnp-unknown-completed",
        "PnpUnknownCompleted",
        PLUG_AND_PLAY,
    ),
    at_line("pnp-success-kept", "PnpSuccessNotPassedOn", PLUG_AND_PLAY),
    at_line("pnp-not-passed-on", "PnpNotPassedOn", PLUG_AND_PLAY),
    at_line("pnp-relation-empty", "TargetRelationEmpty", PLUG_AND_PLAY),
    at_line("pnp-remove-failed", "PnpRemoveFailed", PLUG_AND_PLAY),
    at_line(
        "detached-in-surprise-removal",
        "DetachedInSurpriseRemoval",
        PLUG_AND_PLAY,
    ),
    at_line(
        "deleted-in-surprise-removal",
        "DeletedInSurpriseRemoval",
        PLUG_AND_PLAY,
    ),
    in_routine(
        "pnp-status-converted",
        "PnpStatusConverted",
        PLUG_AND_PLAY,
        "convert",
    ),
    in_routine(
        "pnp-surprise-failed",
        "PnpRemove",
        PLUG_AND_PLAY,
        "fail_afterwards",
    ),
    at_line("remove-lock-tag", "RemoveLockTag", REMOVE_LOCKS),
    at_line("remove-lock-wait-tag", "RemoveLockTag", REMOVE_LOCKS),
    at_line(
        "remove-lock-wait-unacquired",
        "RemoveLockCheck",
        REMOVE_LOCKS,
    ),
    at_line(
        "remove-lock-initialized-twice",
        "RemoveLockInitializedAgain",
        REMOVE_LOCKS,
    ),
    at_line("remove-lock-kept", "RemoveLockRelease2", REMOVE_LOCKS),
    at_line(
        "remove-lock-kept-by-completion",
        "RemoveLockRelease2",
        REMOVE_LOCKS,
    ),
    at_line(
        "remove-lock-released-early",
        "RemoveLockForward",
        REMOVE_LOCKS,
    ),
    in_routine(
        "reference-unload-with-request-out",
        "UnloadedWithPendingOperations",
        FILTER,
        "completed",
    )
    .with(Work::Outstanding)
    .reference(1),
    in_routine(
        "unload-sleeps",
        "UnloadedWithPendingOperations",
        FILTER,
        "completed",
    )
    .with(Work::Outstanding),
    at_line("reference-list-freed-twice", "BadFree", ATTACHMENTS).reference(2),
    at_line(
        "reference-lookaside-deleted-twice",
        "LookasideListDeleted",
        DEVICES,
    )
    .reference(3),
    in_routine(
        "reference-device-leaked",
        "DeviceLeftAtUnload",
        ATTACHMENTS,
        "create",
    )
    .reference(4),
    in_routine(
        "reference-mount-posted-unmarked",
        "IrpProcessingComplete",
        FILTER,
        "dispatch",
    )
    .reference(5),
    at_line(
        "reference-name-freed-before-detach",
        "UseAfterFree",
        DEVICES,
    )
    .reference(6),
    at_line(
        "reference-synchronising-completion-marks",
        "CompletionEventChecking",
        WAITING,
    )
    .reference(7),
    in_routine(
        "reference-notify-made-synchronous",
        "NotifyMadeSynchronous",
        WAITING,
        "notify_synchronously",
    )
    .with(Work::Copy)
    .reference(8),
    in_routine(
        "reference-oplock-request-pended",
        "OplockRequestPended",
        WAITING,
        "pend_oplock",
    )
    .with(Work::Copy)
    .reference(8),
    request("wrong-request-type", "WrongRequestType"),
    request("wrong-device-type", "WrongDeviceType"),
    request("null-device", "NullDevicePassed"),
    request("cancel-routine-at-call", "CancelRoutineAtIoCallDriver"),
    request("close-failed", "CloseFailed"),
    request("complete-unsent", "IoAllocateComplete"),
    request("threaded-request-freed", "ThreadedRequestFreed"),
    request("built-request-reused", "IoReuseIrp"),
    at_line("power-request-asked", "RequestedPowerIrp", OWN_REQUESTS),
    at_line("foreign-request-freed", "IoBuildFsdFree", OWN_REQUESTS),
    at_line("foreign-request-reused", "IoReuseIrp2", OWN_REQUESTS),
    at_line("built-without-routine", "IoBuildFsdForward", OWN_REQUESTS),
    in_routine(
        "own-event-not-signalled",
        "SignalEventInCompletion",
        OWN_REQUESTS,
        "free_and_signal",
    ),
    in_routine(
        "built-event-not-signalled",
        "SignalEventInCompletion",
        OWN_REQUESTS,
        "free_and_signal",
    ),
    at_line(
        "event-of-request-set",
        "IoBuildDeviceIoControlSetEvent",
        OWN_REQUESTS,
    ),
    at_line("sent-at-apc-level", "SentAtApcLevel", OWN_REQUESTS),
    at_line(
        "built-with-freed-buffer",
        "IoBuildFsdInvalidBuffer",
        OWN_REQUESTS,
    ),
    at_line(
        "control-with-freed-buffer",
        "IoBuildDeviceControlInvalidBuffer",
        OWN_REQUESTS,
    ),
    at_line(
        "create-for-closed-file",
        "CreateForClosedFile",
        OWN_REQUESTS,
    ),
    in_routine("cancel-not-looked-at", "IrpCancelField", CANCELLING, "keep"),
    in_routine(
        "cancel-routine-set-below",
        "CancelRoutineSetWhileBelow",
        CANCELLING,
        "set_below",
    )
    .with(Work::Copy),
    at_line("write-buffer-changed", "WriteBufferChanged", WRITES),
    in_routine(
        "buffer-not-restored",
        "RequestBufferNotRestored",
        WRITES,
        "copy_kept",
    ),
    at_line("apc-context-changed", "RequestEndingChanged", WRITES),
    at_line("volume-reparsed", "VolumeReparsed", FILES),
    at_line(
        "parameter-freed-in-list",
        "ExtraCreateParameterInList",
        FILES,
    ),
    at_line("worker-terminates", "WorkerTerminated", THREADS),
    at_line("completion-routine-wild", "PageFault", COMPLETION),
    at_line("work-item-wild", "PageFault", THREADS),
    at_line("process-notify-wild", "PageFault", NOTIFY),
    at_line("entry-terminates", "WorkerTerminated", HANDLES),
    at_line("entry-handle-left", "HandleLeftAtUnload", HANDLES),
    at_line("passed-on-after-completion", "UseAfterFree", REQUESTS),
    at_line("built-request-forgotten", "LeakAtUnload", REQUESTS),
    at_line("detached-from-nothing", "InvalidProcessDetach", THREADS),
    at_line("returns-attached", "InvalidProcessAttach", THREADS),
    at_line("worker-returns-attached", "InvalidProcessAttach", THREADS),
    at_line("sent-while-attached", "SentWhileAttached", THREADS),
    at_line(
        "device-timer-initialized-twice",
        "DeviceTimerInitializedAgain",
        DEVICES,
    ),
    request("charged-request-initialized", "AllocatedRequestInitialized"),
    request(
        "allocated-request-initialized",
        "AllocatedRequestInitialized",
    ),
    request("forward-above-dispatch", "ForwardedAboveDispatch"),
    request("device-skipped", "DeviceSkipped").with(Work::Above),
    in_routine(
        "stack-event-left",
        "EventOnReturnedStack",
        STACK_MEMORY,
        "leave_event",
    ),
    in_routine(
        "stack-status-block-left",
        "StatusBlockOnReturnedStack",
        STACK_MEMORY,
        "leave_status_block",
    ),
    request("event-signalled-before", "SignalledEventInRequest")
        .with(Work::Verified("standard,force-pending")),
    request("request-freed-in-use", "RequestFreedInUse")
        .with(Work::Verified("standard,force-pending")),
    request("request-reused-in-use", "RequestReusedInUse")
        .with(Work::Verified("standard,force-pending")),
    in_routine(
        "illegal-status-returned",
        "IllegalStatusReturned",
        REQUESTS,
        "return_nothing",
    ),
    in_routine(
        "fast-io-returns-raised",
        "IrqlChangedByFastIo",
        FAST_IO,
        "query_and_raise",
    ),
    in_routine(
        "fast-io-returns-in-critical-region",
        "RegionsChangedByFastIo",
        FAST_IO,
        "query_and_enter",
    ),
    in_routine(
        "mdl-not-completed",
        "MdlNotCompleted",
        FAST_IO,
        "answer_mdl_read",
    ),
    at_line("mdl-request-answered", "MdlNotCompleted", FILES),
    at_line("page-file-waits", "PageFilePath", FILES),
    in_routine("fast-io-missing", "FastIoMissing", LIBRARY, "driver_entry"),
    at_line("registry-path-kept", "UseAfterFree", LIBRARY),
    in_routine(
        "buffered-and-direct",
        "BufferedAndDirect",
        ATTACHMENTS,
        "put_on",
    ),
    in_routine(
        "dispatch-routine-missing",
        "DispatchRoutineMissing",
        LIBRARY,
        "driver_entry",
    ),
    in_routine(
        "dispatch-routine-wild",
        "PageFault",
        LIBRARY,
        "driver_entry",
    ),
    in_routine("fast-io-routine-wild", "PageFault", LIBRARY, "driver_entry"),
    at_line("file-name-of-no-pool", "BadFree", FILES),
    at_line("locked-mdl-freed", "LockedMdlFreed", OBJECTS),
    at_line("null-handle", "NullHandle", OBJECTS),
    at_line("closed-handle-referenced", "BadHandle", HANDLES),
    at_line("handle-closed-twice", "InvalidKernelHandle", HANDLES),
    at_line("kernel-handle-as-user", "KernelHandleAsUser", HANDLES),
    at_line("malformed-string", "MalformedString", HANDLES),
    at_line("key-used-after-close", "ZwRegistryOpen", HANDLES),
    at_line("key-closed-twice", "ZwRegistryOpen", HANDLES),
    at_line("created-key-used-after-delete", "ZwRegistryCreate", HANDLES),
    at_line("object-dereferenced-after-last", "ObjectGone", HANDLES),
    at_line("event-in-program-memory", "UserAddressInKernel", ADDRESSES),
    at_line(
        "kernel-request-with-program-memory",
        "UserAddressInKernelRequest",
        ADDRESSES,
    ),
    at_line(
        "program-memory-given-to-zw",
        "UserAddressInZwCall",
        ADDRESSES,
    ),
    at_line("block-referenced-as-object", "BadObjectHeader", HANDLES),
    at_line(
        "user-handle-in-kernel-mode",
        "UserHandleInKernelMode",
        OBJECTS,
    ),
    at_line("user-mode-wait-on-stack", "UserModeWaitOnStack", OBJECTS),
    in_routine(
        "process-notify-left",
        "UnloadedWithPendingOperations",
        NOTIFY,
        "process",
    ),
    in_routine(
        "thread-notify-left",
        "UnloadedWithPendingOperations",
        NOTIFY,
        "thread",
    ),
    in_routine(
        "image-notify-left",
        "UnloadedWithPendingOperations",
        NOTIFY,
        "image",
    ),
];

/// Mistakes that show only when an allocation fails: `ntbox run --every-failure` finds them.
pub const WITHOUT_MEMORY: &[Mistake] = &[
    at_line("allocation-unchecked", "PageFault", MEMORY),
    at_line("leak-on-failure", "LeakAtUnload", MEMORY),
];

/// Those that show up only if something of that kind is refused (`--failures`).
pub const REFUSED: &[(&str, Mistake)] = &[
    (
        "attach",
        at_line("attach-failure-unchecked", "PageFault", ATTACHMENTS),
    ),
    (
        "open",
        at_line("open-failure-unchecked", "PageFault", HANDLES),
    ),
    (
        "name",
        at_line("name-failure-unchecked", "PageFault", HANDLES),
    ),
    (
        "registry",
        at_line("key-failure-unchecked", "NullHandle", HANDLES),
    ),
];
