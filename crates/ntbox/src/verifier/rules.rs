//! The rules, under their published names.

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The published name where there is one.
    pub name: &'static str,
    /// The bug check with the parameter that tells it apart, or the DDI-compliance rule.
    pub code: &'static str,
    /// What a driver does instead.
    pub should: &'static str,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $code:literal, $should:literal;)*) => {
        $($(#[$doc])* pub static $id: Rule = Rule { name: $name, code: $code, should: $should };)*
        /// Every rule.
        pub static ALL: &[&Rule] = &[$(&$id),*];
    };
}

rules! {
    /// A request was completed a second time.
    COMPLETED_TWICE = "DoubleCompletion", "0x44 MULTIPLE_IRP_COMPLETE_REQUESTS",
        "complete each request exactly once";
    /// A request was sent on with no stack location left.
    NO_MORE_STACK_LOCATIONS = "NoMoreStackLocations", "0x35 NO_MORE_IRP_STACK_LOCATIONS",
        "allocate the request with the StackSize of the device it is sent to; copy or skip the location once per call";
    /// PendingReturned was not propagated by a completion routine.
    PENDING_NOT_PROPAGATED = "PendingReturnedNotPropagated", "0xC9/228",
        "call IoMarkIrpPending in the completion routine when Irp->PendingReturned is set";
    /// STATUS_PENDING was returned for a request that was neither marked nor passed down.
    PENDING_NOT_MARKED = "MarkIrpPending2", "0xC9/23D",
        "call IoMarkIrpPending before returning STATUS_PENDING";
    /// A request was marked pending and another status returned.
    MARKED_NOT_PENDING = "MarkIrpPending", "0xC9/24C",
        "return STATUS_PENDING from the dispatch routine that called IoMarkIrpPending";
    /// A request was completed with STATUS_PENDING.
    COMPLETED_AS_PENDING = "CompletedAsPending", "0xC9/06",
        "set IoStatus.Status to the final status before IoCompleteRequest";
    /// A dispatch routine returned at another IRQL.
    IRQL_CHANGED_BY_DISPATCH = "IrqlChangedByDispatch", "0xC9/05",
        "return from a dispatch routine at the IRQL at which it was entered";
    /// A completion routine returned at another IRQL.
    IRQL_CHANGED_BY_COMPLETION = "IrqlChangedByCompletion", "0xC4/C6",
        "return from a completion or callback routine at the IRQL at which it was entered";
    /// A wait that may block at DISPATCH_LEVEL.
    WAIT_AT_DISPATCH = "WaitAtDispatch", "0xC4/3B",
        "wait below DISPATCH_LEVEL only, or with a timeout of zero";
    /// IoCallDriver at a bad IRQL.
    FORWARDED_AT_BAD_IRQL = "ForwardedAtBadIrql", "0xC9/23A",
        "pass requests down at the IRQL that the major function documents";
    /// A routine was called above its IRQL.
    IRQL_TOO_HIGH = "IrqlTooHigh", "0xC4/DDI",
        "call each routine at or below the IRQL it documents";
    /// Memory behind a block was written or read.
    POOL_OVERRUN = "PoolOverrun", "0xD6 DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
        "stay inside the block that was allocated";
    /// The bytes around a block were found overwritten when it was freed.
    POOL_OVERRUN_FOUND = "PoolOverrun", "0xC1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
        "stay inside the block that was allocated";
    /// Memory was touched after it was freed.
    USE_AFTER_FREE = "UseAfterFree", "0xD5 DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL",
        "do not touch a block, request or object after it was freed or completed";
    /// A block was freed wrongly.
    BAD_FREE = "BadFree", "0xC2 BAD_POOL_CALLER",
        "free each block once, with the address and the tag it was allocated with";
    /// Pool was left allocated at unload.
    LEAK_AT_UNLOAD = "LeakAtUnload", "0xC4/62",
        "free every block before DriverUnload returns";
    /// A device object was left at unload.
    DEVICE_LEFT_AT_UNLOAD = "DanglingDeviceObjectReference", "0xC4/E8",
        "detach and delete every device object before DriverUnload returns";
    /// A device was deleted while still attached to another.
    DELETED_WHILE_ATTACHED = "DeletedWhileAttached", "0xC9/201",
        "call IoDetachDevice before IoDeleteDevice";
    /// A spin lock was released by another thread, twice, or acquired twice.
    SPIN_LOCK_PAIRING = "SpinLock", "0xC4/DDI",
        "pair each acquire of a spin lock with one release in the same thread";
    /// A request was completed while a spin lock was held.
    COMPLETED_UNDER_SPIN_LOCK = "SpinLockSafe", "0xC4/DDI",
        "release spin locks before IoCompleteRequest";
    /// A device kept DO_DEVICE_INITIALIZING.
    INITIALIZING_FLAG_LEFT = "DoDeviceInitializing", "0xC9/242",
        "clear DO_DEVICE_INITIALIZING after the device is attached and ready";
    /// A completion routine returned something else than its two values.
    COMPLETION_STATUS = "CompletionRoutineStatus", "0xC4/C7",
        "return STATUS_CONTINUE_COMPLETION or STATUS_MORE_PROCESSING_REQUIRED";
    /// A driver was unloaded while requests could still reach its code.
    UNLOADED_WITH_REQUESTS = "UnloadedWithPendingOperations", "0xCE DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
        "wait until no request, work item or timer can enter the driver before DriverUnload returns";
    /// A dispatch routine dropped the request.
    NEITHER_COMPLETED_NOR_FORWARDED = "NeitherCompletedNorForwarded", "0xC9/226",
        "complete the request, pass it on, or mark it pending";
    /// The driver called KeBugCheck(Ex) or panicked.
    DRIVER_BUG_CHECK = "DriverBugCheck", "KeBugCheckEx",
        "keep every path that a request can take free of panics and bug checks";
    /// Memory that is not there was touched.
    PAGE_FAULT = "PageFault", "0x50 PAGE_FAULT_IN_NONPAGED_AREA",
        "touch only memory that is allocated and mapped";
    /// Memory that is not there was touched at `DISPATCH_LEVEL`.
    PAGE_FAULT_AT_DISPATCH = "PageFault", "0xD1 DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        "touch only nonpaged memory that is allocated and mapped at DISPATCH_LEVEL";
    /// Code or constants were written.
    WROTE_READ_ONLY = "WroteReadOnly", "0xBE ATTEMPTED_WRITE_TO_READONLY_MEMORY",
        "write only to writable sections and pool";
    /// Data was executed.
    EXECUTED_DATA = "ExecutedData", "0xFC ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY",
        "call only code";
    /// The stack was used up.
    STACK_USED_UP = "StackUsedUp", "0x7F UNEXPECTED_KERNEL_MODE_TRAP",
        "keep large buffers in pool and recursion bounded: a kernel stack has 24 KB";
    /// An instruction that no driver executes, or a trap.
    BAD_INSTRUCTION = "BadInstruction", "0x1E KMODE_EXCEPTION_NOT_HANDLED",
        "keep every path free of traps and privileged instructions";
}
