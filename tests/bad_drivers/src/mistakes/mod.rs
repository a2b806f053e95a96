//! The mistakes: one enum, one file per family of rules.
//!
//! A mistake that is made with a request has its own dispatch routine, which the
//! family's `routine` gives out for the major functions it is made with; one
//! that is made elsewhere (with devices, in [`crate::attachments`]) asks [`is`]
//! at that place. A line that goes wrong ends in a comment `MISTAKE: name`: the
//! tests find it by that, and expect the report of the check to name it.
//!
//! To add one: a variant here, its code in the file of its family, and an
//! expectation in `tests/tests/bad_drivers.rs`.

mod active;
mod addresses;
mod cancelling;
mod completion;
mod devices;
mod ends;
mod fast_io;
mod faults;
mod files;
mod handles;
mod irp_life;
mod irql;
mod irql_calls;
mod levels;
mod lists;
mod locks;
mod logging;
mod manners;
mod memory;
mod notify;
mod objects;
mod own_requests;
mod ownership;
mod pageable;
mod pairing;
mod pending;
mod plug_and_play;
mod queueing;
mod references;
mod remove_locks;
mod requests;
mod stack_memory;
mod threads;
mod waiting;
mod writes;

pub use active::right as active_objects_right;
pub use addresses::right as addresses_right;
pub use cancelling::right_routine as cancelling_right;
pub use devices::{
    after_create, at_unload, before_delete, claim_mount, make_name, mount_by_kept_vpb,
    name_is_freed, on_delete, on_detach,
};
pub use fast_io::{answer_mdl_read, query as fast_io_query, wild};
pub use files::{create_right, query_open, read_right, use_file};
pub use handles::{
    at_entry as link_at_entry, at_unload as link_at_unload, open_target_directory,
    right as handles_right,
};
pub use lists::right as lists_right;
pub use manners::right as manners_right;
pub use notify::{register, unregister};
pub use own_requests::right_routine as own_requests_right;
pub use ownership::associated_right;
pub use pageable::use_paged_pool;
pub use pending::post_mount;
pub use plug_and_play::right_routine as plug_and_play_right;
pub use queueing::right_routine as queueing_right;
pub use references::use_objects;
pub use remove_locks::{
    at_entry as remove_lock_at_entry, at_unload as remove_lock_at_unload, make as make_remove_lock,
    right_routine as remove_lock_right,
};
pub use stack_memory::right_routine as stack_memory_right;
pub use threads::use_attachment;
pub use writes::right_routine as writes_right;

use crate::filter::DispatchRoutine;
use core::sync::atomic::{AtomicU32, Ordering};
use wdk_sys::IRP_MJ_FILE_SYSTEM_CONTROL;

macro_rules! mistakes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What can be done wrong.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Mistake {
            /// Nothing.
            None,
            $($(#[$doc])* $variant,)*
        }

        /// All but [`Mistake::None`], in the order of their numbers, which begin with 1.
        const NAMES: &[(&str, Mistake)] = &[$(($name, Mistake::$variant)),*];
    };
}

mistakes! {
    /// The dispatch routine completes a request that the lower driver has completed (D5).
    CompleteTwice = "complete-twice";
    /// The request is passed on with its last location used up (C1).
    NoStackLocation = "no-stack-location";
    /// The dispatch routine reads the request after IoCallDriver (C12).
    TouchIrpAfterCall = "touch-irp-after-call";
    /// The dispatch routine marks the request after IoCallDriver, while the lower driver has it (C12).
    TouchIrpWhileBelow = "touch-irp-while-below";
    /// The dispatch routine reads the request after IoCompleteRequest (D5).
    TouchIrpAfterCompletion = "touch-irp-after-completion";
    /// The dispatch routine looks at the request that it has given to a worker, which has passed it on (C11).
    TouchIrpAfterQueueing = "touch-irp-after-queueing";
    /// The request is completed with STATUS_PENDING as its result (D5).
    CompleteAsPending = "complete-as-pending";
    /// A request of its own, made for the device below, is sent to the top of the stack.
    StackSizeOfTheWrongDevice = "stack-size-of-the-wrong-device";
    /// The stack location is not copied before the completion routine is set (C1).
    LocationNotCopied = "location-not-copied";
    /// The stack location is copied with SL_PENDING_RETURNED in it.
    ControlFieldCopied = "control-field-copied";
    /// The stack location is copied with the completion routine of the driver above.
    CompletionRoutineCopied = "completion-routine-copied";
    /// The location is skipped, and a completion routine set in it.
    SkippedAndRoutineSet = "skipped-and-routine-set";
    /// The stack location is copied for nothing.
    CopiedWithoutRoutine = "copied-without-routine";
    /// The request is passed on a second time while the lower driver has it (C12).
    ForwardWhileBelow = "forward-while-below";
    /// A worker completes the request while the lower driver has it (C12).
    CompleteWhileBelow = "complete-while-below";
    /// As [`Mistake::ForwardWhileBelow`], by a call that the dispatch routine ends with.
    ForwardWhileBelowAtTheEnd = "forward-while-below-at-the-end";
    /// As [`Mistake::CompleteWhileBelow`], by a call that the worker ends with.
    CompleteWhileBelowAtTheEnd = "complete-while-below-at-the-end";
    /// The location is skipped, and the request sent to the driver's own device.
    SentToItself = "sent-to-itself";
    /// A create opens a file on the same stack, whose create does the same.
    CreateOpensItself = "create-opens-itself";
    /// The request is completed with the filter's cancel routine in it.
    CancelRoutineLeft = "cancel-routine-left";
    /// Nobody looks whether a request is cancelled when its cancel routine has been set.
    CancelledRequestQueued = "cancelled-request-queued";
    /// A cancel routine returns with the cancel spin lock.
    CancelLockKept = "cancel-lock-kept";
    /// A request of its own is not stopped by a completion routine (C8 c).
    OwnRequestNotStopped = "own-request-not-stopped";
    /// The same with a thread set in it.
    OwnRequestWithThread = "own-request-with-thread";
    /// The invoke flags are set without a completion routine.
    InvokeFlagsWithoutRoutine = "invoke-flags-without-routine";
    /// The request is neither completed nor passed on, and an error returned (D4).
    ForgetRequest = "forget-request";
    /// The completion routine that is set leads nowhere.
    CompletionRoutineWild = "completion-routine-wild";
    /// A completion routine does not propagate PendingReturned (C5).
    PendingNotPropagated = "pending-not-propagated";
    /// The request is posted to a worker without being marked, and STATUS_PENDING returned (C11).
    PendingNotMarked = "pending-not-marked";
    /// The request is given to a worker, and marked pending afterwards (C11).
    MarkAfterQueueing = "mark-after-queueing";
    /// The request is completed, and STATUS_PENDING returned.
    CompleteAndReturnPending = "complete-and-return-pending";
    /// The request is completed after IoCallDriver has returned STATUS_PENDING, without a wait.
    CompleteWithoutWaiting = "complete-without-waiting";
    /// The request is marked pending, completed, and its status returned.
    MarkAndComplete = "mark-and-complete";
    /// STATUS_SUCCESS is returned for a request that stays uncompleted (D4).
    SuccessWithoutCompletion = "success-without-completion";
    /// The request is completed with one status, another one returned (D4).
    AnotherStatusReturned = "another-status-returned";
    /// STATUS_SUCCESS is returned, whatever the lower driver returned (D4).
    LowerStatusLost = "lower-status-lost";
    /// The dispatch routine waits with a timeout, and returns while the request is below, with its event.
    ContextOnStack = "context-on-stack";
    /// The completion routine signals the waiting dispatch routine only if the request pended.
    EventNotSignalled = "event-not-signalled";
    /// An instruction that takes multiples of 16 is given another address.
    MisalignedAccess = "misaligned-access";
    /// A request comes back, stopped by the completion routine, and is left so (D4).
    StoppedAndLeft = "stopped-and-left";
    /// A string in paged pool is printed at DISPATCH_LEVEL.
    UnicodePrintedAtDispatch = "unicode-printed-at-dispatch";
    /// A mount is completed with success, and not passed on to the file system (A6).
    MountedNothing = "mounted-nothing";
    MountVpbKept = "mount-vpb-kept";
    /// Reference 5: a mount is posted to a worker, neither marked nor STATUS_PENDING returned (A6).
    ReferenceMountPostedUnmarked = "reference-mount-posted-unmarked";
    /// Reference 7: a synchronising completion routine propagates PendingReturned (C6).
    ReferenceSynchronisingCompletionMarks = "reference-synchronising-completion-marks";
    /// Reference 8: the dispatch routine waits for a directory change notification (C9).
    ReferenceNotifyMadeSynchronous = "reference-notify-made-synchronous";
    /// Reference 8: a request for an oplock is pended (C9).
    ReferenceOplockRequestPended = "reference-oplock-request-pended";
    /// The request is marked pending, and the lower driver's final status returned (D4).
    MarkedNotPending = "marked-not-pending";
    /// The dispatch routine releases a spin lock without going back to the old IRQL (D6).
    IrqlRaisedByDispatch = "irql-raised-by-dispatch";
    /// The same in a completion routine.
    IrqlRaisedByCompletion = "irql-raised-by-completion";
    /// The request is passed on while a spin lock is held (D6).
    ForwardAtDispatch = "forward-at-dispatch";
    /// The request is completed while a spin lock is held (D9).
    CompleteUnderSpinLock = "complete-under-spin-lock";
    /// A completion routine waits at DISPATCH_LEVEL (C3).
    WaitInCompletion = "wait-in-completion";
    /// A buffer is set in an associated request, where its master is.
    MasterIrpOverwritten = "master-irp-overwritten";
    MasterIrpCompleted = "master-irp-completed";
    MasterIrpCount = "master-irp-count";
    AssociatedOfAssociated = "associated-of-associated";
    /// A completion routine says that there is more in the buffer than that holds.
    InformationTooLarge = "information-too-large";
    /// A completion routine returns the status of the request (C7).
    WrongCompletionStatus = "wrong-completion-status";
    /// Two spin locks are taken in one order here and in the other one there.
    LockOrder = "lock-order";
    /// A resource that is held shared is acquired exclusively.
    LockUpgrade = "lock-upgrade";
    /// IoAttachDevice, IoBuildDeviceIoControlRequest or IoCreateDevice above PASSIVE_LEVEL.
    IrqlIoPassive1 = "irql-io-passive-1";
    /// IoCheckShareAccess, while a spin lock is held.
    IrqlIoPassive2 = "irql-io-passive-2";
    /// PoRequestPowerIrp is asked for the address of a request that may be gone.
    PowerRequestAsked = "power-request-asked";
    /// IoCreateSymbolicLink or IoDetachDevice above PASSIVE_LEVEL.
    IrqlIoPassive3 = "irql-io-passive-3";
    /// IoCreateFile or IoDeleteSymbolicLink above PASSIVE_LEVEL.
    IrqlIoPassive4 = "irql-io-passive-4";
    /// IoGetDeviceObjectPointer or a registration for shutdown or reinitialization above PASSIVE_LEVEL.
    IrqlIoPassive5 = "irql-io-passive-5";
    /// IoDeleteDevice above APC_LEVEL.
    IrqlIoApcLte = "irql-io-apc-lte";
    /// KeSetEvent above DISPATCH_LEVEL, or above APC_LEVEL when a wait is to follow.
    IrqlKeSetEvent = "irql-ke-set-event";
    /// ExAcquireFastMutex or ExTryToAcquireFastMutex above APC_LEVEL.
    IrqlExApcLte1 = "irql-ex-apc-lte-1";
    /// ProbeForRead, ProbeForWrite or a routine of paged lookaside lists above APC_LEVEL.
    IrqlExApcLte2 = "irql-ex-apc-lte-2";
    /// A resource is acquired, converted or deleted above APC_LEVEL.
    IrqlExApcLte3 = "irql-ex-apc-lte-3";
    /// ZwClose or a registry routine above PASSIVE_LEVEL.
    IrqlZwPassive = "irql-zw-passive";
    /// ObReferenceObjectByHandle above PASSIVE_LEVEL.
    IrqlObPassive = "irql-ob-passive";
    /// Memory behind a block is written.
    PoolOverrun = "pool-overrun";
    /// memcpy is called for ranges that overlap.
    OverlappingCopy = "overlapping-copy";
    /// The slack behind a block, which its page still holds, is written.
    PoolOverrunInSlack = "pool-overrun-in-slack";
    /// A context is read after it was freed.
    UseAfterFree = "use-after-free";
    /// A block is freed a second time.
    FreeTwice = "free-twice";
    /// The result of an allocation is written to without a look at it (P2).
    AllocationUnchecked = "allocation-unchecked";
    /// The first of two blocks is forgotten when there is no memory for the second (A11).
    LeakOnFailure = "leak-on-failure";
    /// A block is forgotten at unload (A12).
    LeakAtUnload = "leak-at-unload";
    /// The devices are not deleted at unload (A12).
    DeviceLeftAtUnload = "device-left-at-unload";
    /// The devices are deleted without having been detached (A9).
    DeletedWhileAttached = "deleted-while-attached";
    /// An address is read where nothing is.
    PageFault = "page-fault";
    /// The same at DISPATCH_LEVEL.
    PageFaultAtDispatch = "page-fault-at-dispatch";
    /// A constant is written.
    ReadOnlyWritten = "read-only-written";
    /// A block of pool is called.
    DataExecuted = "data-executed";
    /// KeBugCheckEx is called.
    BugCheck = "bug-check";
    /// ProbeForRead is called for memory of the kernel.
    ProbeWithoutHandler = "probe-without-handler";
    /// A completion routine lies in pageable code (C4).
    CompletionRoutinePageable = "completion-routine-pageable";
    /// Paged pool is written while a spin lock is held (C4).
    PagedPoolAtDispatch = "paged-pool-at-dispatch";
    /// Pageable code is called while a spin lock is held (P1).
    PageableCodeAtDispatch = "pageable-code-at-dispatch";
    /// The request is completed above DISPATCH_LEVEL.
    CompleteAboveDispatch = "complete-above-dispatch";
    /// ObQueryNameString is called while a spin lock is held (C3).
    NameQueriedAtDispatch = "name-queried-at-dispatch";
    /// KeRaiseIrql is called with a lower level.
    IrqlRaisedToLower = "irql-raised-to-lower";
    /// KeLowerIrql is called with a higher level.
    IrqlLoweredToHigher = "irql-lowered-to-higher";
    /// A spin lock is released to another level than it was acquired at.
    SpinLockReleasedToWrongLevel = "spin-lock-released-to-wrong-level";
    /// KeAcquireSpinLockAtDpcLevel is called at PASSIVE_LEVEL.
    AtDpcLevelBelowDispatch = "at-dpc-level-below-dispatch";
    /// A fast mutex is released at DISPATCH_LEVEL.
    FastMutexReleasedAtDispatch = "fast-mutex-released-at-dispatch";
    /// A worker routine returns at DISPATCH_LEVEL.
    WorkerReturnsRaised = "worker-returns-raised";
    /// A DPC routine returns at PASSIVE_LEVEL.
    DpcReturnsLowered = "dpc-returns-lowered";
    /// A routine of events above DISPATCH_LEVEL.
    IrqlKeDispatchLte = "irql-ke-dispatch-lte";
    /// A block of no bytes is allocated.
    ZeroByteAllocation = "zero-byte-allocation";
    /// A block is allocated with a tag of zero.
    ZeroTag = "zero-tag";
    /// The pages of an MDL are unlocked twice.
    MdlUnlockedTwice = "mdl-unlocked-twice";
    /// MmMapLockedPages maps an MDL, or stops the system.
    MdlMappedByObsoleteRoutine = "mdl-mapped-by-obsolete-routine";
    /// MmMapLockedPagesSpecifyCache is to stop the system where it fails.
    MdlMappingMayNotFail = "mdl-mapping-may-not-fail";
    /// An MDL is mapped that is mapped.
    MdlMappedTwice = "mdl-mapped-twice";
    /// An MDL is unmapped that is not mapped.
    MdlUnmappedUnmapped = "mdl-unmapped-unmapped";
    /// The mapping of a whole MDL is taken back for a part of it.
    MdlUnmappedPartial = "mdl-unmapped-partial";
    /// A mapping into a program is taken back at another address.
    UserMappingUnmappedElsewhere = "user-mapping-unmapped-elsewhere";
    /// A mapping into a program is taken back at DISPATCH_LEVEL.
    UserMappingUnmappedAtDispatch = "user-mapping-unmapped-at-dispatch";
    /// An MDL is freed that is mapped.
    MdlFreedMapped = "mdl-freed-mapped";
    /// MmBuildMdlForNonPagedPool is called for paged pool.
    MdlBuiltOfPagedPool = "mdl-built-of-paged-pool";
    /// The target of IoBuildPartialMdl is allocated for another length.
    PartialMdlTooSmall = "partial-mdl-too-small";
    /// The part of an MDL ends behind the whole.
    PartialMdlOutOfRange = "partial-mdl-out-of-range";
    /// The pages of an MDL are locked, and forgotten.
    LockedPagesLeft = "locked-pages-left";
    /// A block of executable pool is allocated.
    ExecutablePool = "executable-pool";
    /// Pages are mapped without MdlMappingNoExecute.
    ExecutableMapping = "executable-mapping";
    /// Nothing: it is the section .text that is writable.
    WritableCodeSection = "writable-code-section";
    /// Nothing: it is the section of the import address table that is executable.
    ImportsInCodeSection = "imports-in-code-section";
    /// A spin lock is released twice.
    SpinLockReleasedTwice = "spin-lock-released-twice";
    /// A spin lock is acquired as a queued one, and elsewhere as a plain one.
    SpinLockAcquiredAsQueued = "spin-lock-acquired-as-queued";
    /// A queued spin lock is released as a plain one.
    QueuedLockReleasedAsPlain = "queued-lock-released-as-plain";
    /// The first of two spin locks is released first, and the level lowered.
    SpinLockReleasedOutOfOrder = "spin-lock-released-out-of-order";
    /// A push lock is acquired with flags that there are not.
    PushLockFlags = "push-lock-flags";
    /// KeSetEvent is told that a wait follows, and none does.
    WaitNotFollowing = "wait-not-following";
    /// A fast mutex is acquired twice by one thread.
    FastMutexAcquiredTwice = "fast-mutex-acquired-twice";
    /// ExAcquireFastMutexUnsafe is called with APCs enabled.
    FastMutexUnsafe = "fast-mutex-unsafe";
    /// A resource is acquired with normal kernel APCs enabled.
    ResourceWithApcsEnabled = "resource-with-apcs-enabled";
    /// A resource is released twice.
    ResourceReleasedTwice = "resource-released-twice";
    /// A resource is deleted while it is owned.
    ResourceDeletedOwned = "resource-deleted-owned";
    /// A dispatch routine returns inside a critical region (D6).
    DispatchReturnsInCriticalRegion = "dispatch-returns-in-critical-region";
    /// DriverEntry fails, and leaves its registration and its devices (A12).
    EntryFailsAttached = "entry-fails-attached";
    /// DriverEntry returns inside a critical region (D6).
    EntryReturnsInCriticalRegion = "entry-returns-in-critical-region";
    /// DriverUnload returns inside a guarded region (D6).
    UnloadReturnsInGuardedRegion = "unload-returns-in-guarded-region";
    /// A critical region is left twice.
    CriticalRegionLeftTwice = "critical-region-left-twice";
    /// A guarded region is left twice.
    GuardedRegionLeftTwice = "guarded-region-left-twice";
    /// An event is waited for that was not initialized.
    EventNotInitialized = "event-not-initialized";
    /// Four objects are waited for without wait blocks.
    TooManyWaitObjects = "too-many-wait-objects";
    /// A mutex is released that the thread does not own.
    MutexNotOwned = "mutex-not-owned";
    /// A semaphore is released above its limit.
    SemaphoreOverLimit = "semaphore-over-limit";
    /// A worker routine returns inside a critical region.
    WorkerReturnsInCriticalRegion = "worker-returns-in-critical-region";
    /// A worker routine returns while its thread impersonates a client.
    WorkerImpersonates = "worker-impersonates";
    /// A worker routine ends its thread.
    WorkerTerminates = "worker-terminates";
    /// A work item, a notify routine lead nowhere.
    WorkItemWild = "work-item-wild";
    ProcessNotifyWild = "process-notify-wild";
    /// DriverEntry ends its thread, which is the system's.
    EntryTerminates = "entry-terminates";
    /// DriverEntry leaves a handle open that is no kernel handle.
    EntryHandleLeft = "entry-handle-left";
    /// A reference to a process is given back twice.
    ProcessDereferencedTwice = "process-dereferenced-twice";
    /// A request is completed, and then passed on.
    PassedOnAfterCompletion = "passed-on-after-completion";
    /// A request is built, and neither sent nor freed.
    BuiltRequestForgotten = "built-request-forgotten";
    /// A thread is detached from a process that it was not attached to.
    DetachedFromNothing = "detached-from-nothing";
    /// A dispatch routine returns without KeUnstackDetachProcess.
    ReturnsAttached = "returns-attached";
    /// The routine of a work item does.
    WorkerReturnsAttached = "worker-returns-attached";
    /// A request is passed on between KeStackAttachProcess and KeUnstackDetachProcess.
    SentWhileAttached = "sent-while-attached";
    /// A work item is queued that is in the queue.
    WorkItemQueuedTwice = "work-item-queued-twice";
    /// A DPC routine returns inside a critical region.
    DpcReturnsInCriticalRegion = "dpc-returns-in-critical-region";
    /// A system thread ends with a mutex.
    ThreadEndsWithMutex = "thread-ends-with-mutex";
    /// A system thread is waited for, of which the driver has no reference.
    ThreadUsedWithoutReference = "thread-used-without-reference";
    /// A system thread ends with a push lock.
    ThreadEndsWithPushLock = "thread-ends-with-push-lock";
    /// A system thread ends with a resource.
    ThreadEndsWithResource = "thread-ends-with-resource";
    /// Rundown protection is released twice.
    RundownReleasedTwice = "rundown-released-twice";
    /// A block is freed with a timer in it that is set.
    TimerInFreedBlock = "timer-in-freed-block";
    /// A routine returns with a timer on its stack that is set.
    TimerOnLeftStack = "timer-on-left-stack";
    /// A timer is initialized while it is set.
    TimerInitializedWhileSet = "timer-initialized-while-set";
    /// A timer is set that was never initialized.
    TimerNotInitialized = "timer-not-initialized";
    /// A block is freed with a DPC in it that is queued.
    DpcInFreedBlock = "dpc-in-freed-block";
    /// The DPC of a timer that is set is freed.
    DpcOfTimerFreed = "dpc-of-timer-freed";
    /// A routine returns with a DPC on its stack that is queued.
    DpcOnLeftStack = "dpc-on-left-stack";
    /// A DPC is queued that was never initialized.
    DpcNotInitialized = "dpc-not-initialized";
    /// A routine returns with a resource on its stack that was not deleted.
    ResourceOnLeftStack = "resource-on-left-stack";
    /// A block is freed with a resource in it that was not deleted.
    ResourceInFreedBlock = "resource-in-freed-block";
    /// A resource is initialized twice.
    ResourceInitializedTwice = "resource-initialized-twice";
    /// A resource is deleted that was not initialized.
    ResourceDeletedUninitialized = "resource-deleted-uninitialized";
    /// A resource is acquired that was not initialized.
    ResourceAcquiredUninitialized = "resource-acquired-uninitialized";
    /// A resource lies where no pointer may lie.
    ResourceMisaligned = "resource-misaligned";
    /// A critical region is left before the resource is released.
    ResourceReleasedWithApcs = "resource-released-with-apcs";
    /// A mutex is initialized twice.
    MutexInitializedTwice = "mutex-initialized-twice";
    /// A fast mutex is freed by the thread that holds it.
    LockFreedHeld = "lock-freed-held";
    /// An entry is given to another lookaside list than it came from.
    EntryOfAnotherLookasideList = "entry-of-another-lookaside-list";
    /// A block is freed with a lookaside list in it that was not deleted.
    LookasideInFreedBlock = "lookaside-in-freed-block";
    /// A lookaside list is initialized twice.
    LookasideInitializedTwice = "lookaside-initialized-twice";
    /// The blocks of a lookaside list have no room for a pointer.
    LookasideBlocksTooSmall = "lookaside-blocks-too-small";
    /// An event lies in paged pool.
    EventInPagedPool = "event-in-paged-pool";
    /// A work item lies in paged pool.
    WorkItemInPagedPool = "work-item-in-paged-pool";
    /// An assertion fails.
    AssertionFailed = "assertion-failed";
    /// A recursion uses the stack up.
    StackUsedUp = "stack-used-up";
    /// An instruction is executed that is none.
    BadInstruction = "bad-instruction";
    /// An entry of the event log is asked for that is longer than any.
    LogEntryTooLong = "log-entry-too-long";
    /// The last string of an entry of the event log has no terminator.
    LogStringsCutOff = "log-strings-cut-off";
    /// A provider stays registered with ETW at unload (A12).
    ProviderLeftAtUnload = "provider-left-at-unload";
    /// A provider is unregistered from ETW twice.
    ProviderUnregisteredTwice = "provider-unregistered-twice";
    /// IoDetachDevice is called twice.
    DetachedTwice = "detached-twice";
    /// IoDeleteDevice is called twice.
    DeletedTwice = "deleted-twice";
    /// DO_DIRECT_IO is not copied from the device below (A2).
    FlagsNotCopied = "flags-not-copied";
    /// The filter device is FILE_DEVICE_UNKNOWN (A2).
    DeviceTypeNotCopied = "device-type-not-copied";
    /// The reference of IoGetAttachedDeviceReference is kept.
    DeviceReferenceLeft = "device-reference-left";
    /// Nobody looks whether IoSetCompletionRoutineEx has failed (C15).
    CompletionRoutineUnchecked = "completion-routine-unchecked";
    /// IoSetCompletionRoutineEx is given the device below (C15).
    CompletionRoutineForLowerDevice = "completion-routine-for-lower-device";
    /// IoSetCompletionRoutineEx has failed, and the request is passed on without a routine (C15).
    CompletionRoutineRefused = "completion-routine-refused";
    /// Nothing but what the driver does without one: its routines do not keep it, as it waits for them.
    CompletionRoutinePlain = "completion-routine-plain";
    /// IoCallDriver is given something that is no request.
    WrongRequestType = "wrong-request-type";
    /// IoCallDriver is given something that is no device object.
    WrongDeviceType = "wrong-device-type";
    /// IoCallDriver is given no device object.
    NullDevice = "null-device";
    /// A request is passed to the bottom of the stack, past another filter.
    DeviceSkipped = "device-skipped";
    /// A request is passed on with the filter's cancel routine in it.
    CancelRoutineAtCall = "cancel-routine-at-call";
    /// A request of its own is sent with an event that is signalled.
    EventSignalledBefore = "event-signalled-before";
    /// A request of its own is pending whose event lies on the stack of a routine that returns.
    StackEventLeft = "stack-event-left";
    /// The same with its status block.
    StackStatusBlockLeft = "stack-status-block-left";
    /// The dispatch routine returns -1.
    IllegalStatusReturned = "illegal-status-returned";
    /// IRP_MJ_CLEANUP is failed.
    CloseFailed = "close-failed";
    /// A completion routine fails an IRP_MJ_CLEANUP that has succeeded.
    CloseFailedAfterwards = "close-failed-afterwards";
    /// IRP_MJ_CLEANUP is completed for a file that the driver below has open.
    CloseNotPassedOn = "close-not-passed-on";
    /// A close is completed with success, and not passed on.
    CloseAnswered = "close-answered";
    /// A reference to a file object is not given back.
    FileReferenceLeft = "file-reference-left";
    /// A reference to a file object is given back that was not taken.
    FileDereferencedTwice = "file-dereferenced-twice";
    /// A kernel handle is not closed.
    HandleLeft = "handle-left";
    /// IoCreateSymbolicLink without IoDeleteSymbolicLink.
    SymbolicLinkLeft = "symbolic-link-left";
    /// PsLookupProcessByProcessId without ObDereferenceObject.
    ProcessReferenceLeft = "process-reference-left";
    /// PsLookupThreadByThreadId without ObDereferenceObject.
    ThreadReferenceLeft = "thread-reference-left";
    /// PsReferencePrimaryToken without PsDereferencePrimaryToken.
    TokenReferenceLeft = "token-reference-left";
    /// SeCaptureSubjectContext without SeReleaseSubjectContext.
    SubjectContextLeft = "subject-context-left";
    /// ObReferenceObjectByHandle of an event, whose handle is closed, without ObDereferenceObject.
    EventReferenceLeft = "event-reference-left";
    /// The open of a volume is answered with STATUS_REPARSE.
    VolumeReparsed = "volume-reparsed";
    /// An extra create parameter is freed that is in a list.
    ParameterFreedInList = "parameter-freed-in-list";
    /// The top-level IRP of the thread is set, and not set back.
    TopLevelIrpLeft = "top-level-irp-left";
    /// The top-level IRP of the thread is taken for a request.
    TopLevelIrpFollowed = "top-level-irp-followed";
    /// The same, if it is a flag.
    TopLevelFlagFollowed = "top-level-flag-followed";
    /// FileName of a file object is read after the file was opened.
    FileNameUsed = "file-name-used";
    /// More is read from the cache than the file has.
    CachedReadBeyond = "cached-read-beyond";
    /// FileName of a file object is read in the completion routine of its create.
    FileNameInCompletion = "file-name-in-completion";
    /// The buffer of FileName is remembered while the file system has the create.
    FileNameKept = "file-name-kept";
    /// FileName of a file that is created is made to lead to a constant.
    FileNameOfNoPool = "file-name-of-no-pool";
    /// RelatedFileObject is followed after the file was opened.
    RelatedFileUsed = "related-file-used";
    /// The file object of a query-open is referenced, and given back.
    StackFileReferenced = "stack-file-referenced";
    /// A request of its own is completed that was never sent.
    CompleteUnsent = "complete-unsent";
    /// A request of IoBuildSynchronousFsdRequest is freed.
    ThreadedRequestFreed = "threaded-request-freed";
    /// A request of its own is freed while the lower driver has it.
    RequestFreedInUse = "request-freed-in-use";
    /// A request of its own is used again while the lower driver has it.
    RequestReusedInUse = "request-reused-in-use";
    /// The request that a dispatch routine is given is freed.
    ForeignRequestFreed = "foreign-request-freed";
    /// The request that a dispatch routine is given is used again.
    ForeignRequestReused = "foreign-request-reused";
    /// A request of IoBuildAsynchronousFsdRequest is sent without a completion routine.
    BuiltWithoutRoutine = "built-without-routine";
    /// A request of IoAllocateIrp is waited for, and its completion routine signals if it pended.
    OwnEventNotSignalled = "own-event-not-signalled";
    /// The same with IoBuildAsynchronousFsdRequest.
    BuiltEventNotSignalled = "built-event-not-signalled";
    /// The event of IoBuildDeviceIoControlRequest is signalled by the driver.
    EventOfRequestSet = "event-of-request-set";
    /// A request of IoBuildSynchronousFsdRequest is sent at APC_LEVEL.
    SentAtApcLevel = "sent-at-apc-level";
    /// IoBuildAsynchronousFsdRequest is given a buffer that was freed.
    BuiltWithFreedBuffer = "built-with-freed-buffer";
    /// IoBuildDeviceIoControlRequest is given a buffer that was freed.
    ControlWithFreedBuffer = "control-with-freed-buffer";
    /// A create is sent for the file object that is being closed.
    CreateForClosedFile = "create-for-closed-file";
    /// A cancel routine is set, and Irp->Cancel not looked at.
    CancelNotLookedAt = "cancel-not-looked-at";
    /// A cancel routine is set in a request that is below.
    CancelRoutineSetBelow = "cancel-routine-set-below";
    /// What a program writes is changed where it lies.
    WriteBufferChanged = "write-buffer-changed";
    /// The buffer of a write is exchanged, and the first one is not put back.
    BufferNotRestored = "buffer-not-restored";
    /// What a program is told with of the end of a read is used for something else.
    ApcContextChanged = "apc-context-changed";
    /// A request of IoBuildAsynchronousFsdRequest is used again.
    BuiltRequestReused = "built-request-reused";
    /// A request of IoAllocateIrp is initialized, with quota.
    ChargedRequestInitialized = "charged-request-initialized";
    /// A request of IoAllocateIrp is initialized.
    AllocatedRequestInitialized = "allocated-request-initialized";
    /// IoCallDriver above DISPATCH_LEVEL, for the storage device.
    ForwardAboveDispatch = "forward-above-dispatch";
    /// A fast I/O routine returns at another IRQL.
    FastIoReturnsRaised = "fast-io-returns-raised";
    /// A fast I/O routine returns inside a critical region.
    FastIoReturnsInCriticalRegion = "fast-io-returns-in-critical-region";
    /// MdlReadComplete is answered, and not passed on.
    MdlNotCompleted = "mdl-not-completed";
    /// Requests with IRP_MN_COMPLETE_MDL are completed, and not passed on.
    MdlRequestAnswered = "mdl-request-answered";
    /// A fast mutex is taken in reads and writes, also of a page file.
    PageFileWaits = "page-file-waits";
    /// There is no FastIoRead in the fast I/O table.
    FastIoMissing = "fast-io-missing";
    /// The string of the registry path is used after DriverEntry.
    RegistryPathKept = "registry-path-kept";
    /// A filter device is both buffered and direct.
    BufferedAndDirect = "buffered-and-direct";
    /// There is no dispatch routine for IRP_MJ_PNP.
    DispatchRoutineMissing = "dispatch-routine-missing";
    /// What the dispatch routine for reads is to be was read from where it is not.
    DispatchRoutineWild = "dispatch-routine-wild";
    /// The same with FastIoRead.
    FastIoRoutineWild = "fast-io-routine-wild";
    /// An MDL is freed while its pages are locked.
    LockedMdlFreed = "locked-mdl-freed";
    /// ObReferenceObjectByHandle is given no handle.
    NullHandle = "null-handle";
    /// ObReferenceObjectByHandle is given a handle of the program, in kernel mode.
    UserHandleInKernelMode = "user-handle-in-kernel-mode";
    /// ObReferenceObjectByHandle is given a handle that is closed.
    ClosedHandleReferenced = "closed-handle-referenced";
    /// A handle is closed twice.
    HandleClosedTwice = "handle-closed-twice";
    /// A worker refers to a kernel handle with UserMode.
    KernelHandleAsUser = "kernel-handle-as-user";
    /// The length of a name is that of its characters, not of their bytes.
    MalformedString = "malformed-string";
    /// A value of a registry key is asked for after the key was closed.
    KeyUsedAfterClose = "key-used-after-close";
    /// The handle of a registry key is closed twice.
    KeyClosedTwice = "key-closed-twice";
    /// A value of a registry key is asked for after the key was deleted.
    CreatedKeyUsedAfterDelete = "created-key-used-after-delete";
    /// A reference is given back to an object that is deleted.
    ObjectDereferencedAfterLast = "object-dereferenced-after-last";
    /// ObReferenceObject is called for a block of the pool.
    BlockReferencedAsObject = "block-referenced-as-object";
    /// An event is made in the buffer of a program.
    EventInProgramMemory = "event-in-program-memory";
    /// A request of its own in kernel mode has the buffer of a program.
    KernelRequestWithProgramMemory = "kernel-request-with-program-memory";
    /// A Zw routine is to write into the buffer of a program.
    ProgramMemoryGivenToZw = "program-memory-given-to-zw";
    /// A wait with UserMode for an event on the stack.
    UserModeWaitOnStack = "user-mode-wait-on-stack";
    /// A process notify routine stays registered at unload (A12).
    ProcessNotifyLeft = "process-notify-left";
    /// The object of a process is kept without a reference, and looked at when the process has ended.
    ProcessKept = "process-kept";
    /// A process notify routine returns inside a critical region.
    ProcessNotifyInCriticalRegion = "process-notify-returns-in-critical-region";
    /// A thread notify routine stays registered at unload (A12).
    ThreadNotifyLeft = "thread-notify-left";
    /// An image notify routine stays registered at unload (A12).
    ImageNotifyLeft = "image-notify-left";
    /// A completion routine is not left when DriverUnload returns (A12, C15).
    CompletionRoutineOutlivesUnload = "completion-routine-outlives-unload";
    /// A timer is left set at unload (A12).
    TimerLeftAtUnload = "timer-left-at-unload";
    /// A remove lock is released that was not acquired.
    RemoveLockReleasedTwice = "remove-lock-released-twice";
    /// A remove lock is released with another tag.
    RemoveLockTag = "remove-lock-tag";
    /// The same by IoReleaseRemoveLockAndWait.
    RemoveLockWaitTag = "remove-lock-wait-tag";
    /// A remove lock is initialized for each request.
    /// IoReleaseRemoveLockAndWait without IoAcquireRemoveLock.
    RemoveLockWaitUnacquired = "remove-lock-wait-unacquired";
    RemoveLockInitializedTwice = "remove-lock-initialized-twice";
    /// The remove lock of a request is not released where no completion routine is set.
    RemoveLockKept = "remove-lock-kept";
    /// The same, by the completion routine.
    RemoveLockKeptByCompletion = "remove-lock-kept-by-completion";
    /// The remove lock of a request is released before that is passed on.
    RemoveLockReleasedEarly = "remove-lock-released-early";
    /// The timer of a device is initialized twice.
    DeviceTimerInitializedTwice = "device-timer-initialized-twice";
    /// Reference 1: unload does not wait for a directory notification that is still out (A12).
    ReferenceUnloadWithRequestOut = "reference-unload-with-request-out";
    /// Unload sleeps for five seconds in the place of waiting for what is still out (A12).
    UnloadSleeps = "unload-sleeps";
    /// Reference 2: the list of devices is freed again when a later allocation fails (A11).
    ReferenceListFreedTwice = "reference-list-freed-twice";
    /// Reference 3: a lookaside list is deleted twice (A11).
    ReferenceLookasideDeletedTwice = "reference-lookaside-deleted-twice";
    /// Reference 4: a device is left when the allocation of its context fails (A11).
    ReferenceDeviceLeaked = "reference-device-leaked";
    /// Reference 6: the name of a volume is freed before its device is detached (A9).
    ReferenceNameFreedBeforeDetach = "reference-name-freed-before-detach";
    /// Nobody looks whether IoAttachDeviceToDeviceStackSafe has failed (A10).
    AttachFailureUnchecked = "attach-failure-unchecked";
    /// The status of IoGetDeviceObjectPointer is not looked at.
    OpenFailureUnchecked = "open-failure-unchecked";
    /// The status of ObQueryNameString is not looked at.
    NameFailureUnchecked = "name-failure-unchecked";
    /// The status of ZwOpenKey is not looked at.
    KeyFailureUnchecked = "key-failure-unchecked";
    /// DO_DEVICE_INITIALIZING stays set (A2).
    InitializingFlagLeft = "initializing-flag-left";
    /// A request of plug and play is sent with the status that IRPs are made with.
    PnpStatusNotInitialized = "pnp-status-not-initialized";
    /// Capabilities are asked for with an UINumber of 0.
    PnpCapabilitiesNotInitialized = "pnp-capabilities-not-initialized";
    /// A request is sent that only the PnP manager sends.
    PnpRequestReserved = "pnp-request-reserved";
    /// A query is failed, and passed on.
    PnpFailedPassedOn = "pnp-failed-passed-on";
    /// What comes back of a query is changed to STATUS_NOT_SUPPORTED.
    PnpStatusConverted = "pnp-status-converted";
    /// What nobody knows is passed on with success.
    PnpUnknownStatus = "pnp-unknown-status";
    /// What nobody knows is passed on with another IoStatus.Information.
    PnpUnknownInformation = "pnp-unknown-information";
    /// What nobody knows is completed.
    PnpUnknownCompleted = "pnp-unknown-completed";
    /// IRP_MN_CANCEL_REMOVE_DEVICE is completed with success, and not passed on.
    PnpSuccessKept = "pnp-success-kept";
    /// IRP_MN_QUERY_REMOVE_DEVICE is completed as it came.
    PnpNotPassedOn = "pnp-not-passed-on";
    /// The device that a file lies on is asked for, and success answered without one.
    PnpRelationEmpty = "pnp-relation-empty";
    /// IRP_MN_REMOVE_DEVICE is failed.
    PnpRemoveFailed = "pnp-remove-failed";
    /// IRP_MN_SURPRISE_REMOVAL is failed when it has come back.
    PnpSurpriseFailed = "pnp-surprise-failed";
    /// A filter device is detached when its volume's storage device is gone (A9).
    DetachedInSurpriseRemoval = "detached-in-surprise-removal";
    /// A filter device is deleted when its volume's storage device is gone (A9).
    DeletedInSurpriseRemoval = "deleted-in-surprise-removal";
}

impl Mistake {
    /// Of the registry's REG_DWORD; 0 is none.
    pub fn by_number(number: u32) -> Option<Self> {
        let Some(index) = number.checked_sub(1) else {
            return Some(Self::None);
        };
        NAMES.get(index as usize).map(|&(_, mistake)| mistake)
    }

    /// Of the registry's REG_SZ; the empty string is none.
    pub fn by_name(text: &[u16]) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::None);
        }
        let found = NAMES
            .iter()
            .find(|(name, _)| name.bytes().map(u16::from).eq(text.iter().copied()));
        found.map(|&(_, mistake)| mistake)
    }
}

/// The number of the mistake that this driver makes.
pub static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// Whether this is the mistake to make.
pub fn is(mistake: Mistake) -> bool {
    CHOSEN.load(Ordering::Relaxed) == mistake as u32
}

/// The dispatch routine that makes the mistake, for a major function that it is made with.
///
/// Mounting is left alone: a driver that has no volume makes no further mistake.
pub fn routine(mistake: Mistake, major: u32) -> Option<DispatchRoutine> {
    if major == IRP_MJ_FILE_SYSTEM_CONTROL {
        return waiting::oplock_routine(mistake);
    }
    irp_life::routine(mistake, major)
        .or_else(|| ownership::routine(mistake, major))
        .or_else(|| ends::routine(mistake, major))
        .or_else(|| waiting::routine(mistake, major))
        .or_else(|| devices::routine(mistake, major))
        .or_else(|| plug_and_play::routine(mistake, major))
        .or_else(|| faults::routine(mistake, major))
        .or_else(|| pending::routine(mistake, major))
        .or_else(|| queueing::routine(mistake, major))
        .or_else(|| irql::routine(mistake, major))
        .or_else(|| completion::routine(mistake))
        .or_else(|| irql_calls::routine(mistake, major))
        .or_else(|| levels::routine(mistake, major))
        .or_else(|| threads::routine(mistake, major))
        .or_else(|| pairing::routine(mistake, major))
        .or_else(|| objects::routine(mistake, major))
        .or_else(|| active::routine(mistake, major))
        .or_else(|| lists::routine(mistake, major))
        .or_else(|| addresses::routine(mistake, major))
        .or_else(|| manners::routine(mistake, major))
        .or_else(|| handles::routine(mistake, major))
        .or_else(|| requests::routine(mistake, major))
        .or_else(|| remove_locks::routine(mistake, major))
        .or_else(|| own_requests::routine(mistake, major))
        .or_else(|| cancelling::routine(mistake, major))
        .or_else(|| writes::routine(mistake, major))
        .or_else(|| files::routine(mistake, major))
        .or_else(|| notify::routine(mistake, major))
        .or_else(|| stack_memory::routine(mistake, major))
        .or_else(|| pageable::routine(mistake, major))
        .or_else(|| locks::routine(mistake, major))
        .or_else(|| logging::routine(mistake, major))
        .or_else(|| memory::routine(mistake, major))
}
