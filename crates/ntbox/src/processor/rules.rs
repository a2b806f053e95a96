//! The rules about processor time, under their published names.
//!
//! Source: "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" and the pages of
//! the other bug checks in the debugger reference, and the DDI compliance rules.
//! What concerns every routine (`IRQL_TOO_HIGH`, `WAIT_AT_DISPATCH`,
//! `SPIN_LOCK_PAIRING`) is in [`crate::verifier::rules`].

use crate::verifier::options::{self, Options};
use crate::verifier::{self, Rule, Violation};

macro_rules! rules {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $code:literal, $should:literal;)*) => {
        $($(#[$doc])* pub static $id: Rule = Rule { name: $name, code: $code, should: $should };)*
        /// Every rule of this file.
        pub static ALL: &[&Rule] = &[$(&$id),*];
    };
}

rules! {
    /// `KeRaiseIrql` to a lower level, or above `HIGH_LEVEL`.
    RAISE_INVALID = "KeRaiseIrqlInvalid", "0xC4/30",
        "raise the IRQL only to a level at or above the current one";
    /// `KeLowerIrql` to a higher level.
    LOWER_INVALID = "KeLowerIrqlInvalid", "0xC4/31",
        "lower the IRQL only to the level that KeRaiseIrql returned";
    /// `KeReleaseSpinLock` at another level than `DISPATCH_LEVEL`, or to a wrong one.
    SPIN_LOCK_RELEASE_IRQL = "IrqlKeReleaseSpinLock", "0xC4/32",
        "call KeReleaseSpinLock at DISPATCH_LEVEL with the IRQL that KeAcquireSpinLock returned";
    /// An `…AtDpcLevel` or `…FromDpcLevel` routine below `DISPATCH_LEVEL`.
    SPIN_LOCK_BELOW_DISPATCH = "IrqlKeSpinLockAtDpcLevel", "0xC4/40",
        "use the AtDpcLevel routines only at DISPATCH_LEVEL or above";
    /// A fast mutex released at another level than `APC_LEVEL`.
    FAST_MUTEX_RELEASE_IRQL = "IrqlExReleaseFastMutex", "0xC4/34",
        "release a fast mutex at APC_LEVEL, in the thread that acquired it";
    /// A fast mutex acquired twice, or released by a thread that does not hold it.
    FAST_MUTEX_PAIRING = "ExFastMutexPairing", "0xC4/DDI",
        "pair each acquire of a fast mutex with one release in the same thread; it is not recursive";
    /// An unsafe fast-mutex routine with APCs enabled.
    FAST_MUTEX_UNSAFE = "FastMutexUnsafe", "0xC4/39",
        "call the Unsafe fast-mutex routines at APC_LEVEL or inside a critical region";
    /// A resource acquired with normal kernel APCs enabled.
    RESOURCE_APCS_ENABLED = "CriticalRegions", "0xC4/37",
        "enter a critical region before acquiring an ERESOURCE, and leave it after the release";
    /// A resource released by a thread that does not own it.
    RESOURCE_NOT_OWNED = "ResourceNotOwned", "0xE3 RESOURCE_NOT_OWNED",
        "release an ERESOURCE in the thread that acquired it, once per acquire";
    /// A resource deleted while it is owned.
    RESOURCE_DELETED_OWNED = "ResourceDeletedOwned", "0xC4/D2",
        "release an ERESOURCE before ExDeleteResourceLite";
    /// `KeLeaveCriticalRegion` outside a critical region.
    LEAVE_CRITICAL_REGION = "KeLeaveCriticalRegion", "0xC4/3E",
        "pair each KeLeaveCriticalRegion with a KeEnterCriticalRegion in the same thread";
    /// `KeLeaveGuardedRegion` outside a guarded region.
    LEAVE_GUARDED_REGION = "GuardedRegions", "0xC4/DDI",
        "pair each KeLeaveGuardedRegion with a KeEnterGuardedRegion in the same thread";
    /// A dispatcher object that was not initialized.
    UNINITIALIZED_OBJECT = "UninitializedObject", "0xA IRQL_NOT_LESS_OR_EQUAL",
        "initialize an event, semaphore, mutex or timer before its first use";
    /// More objects than a wait takes.
    TOO_MANY_WAIT_OBJECTS = "MaximumWaitObjectsExceeded", "0xC MAXIMUM_WAIT_OBJECTS_EXCEEDED",
        "wait for at most 3 objects, or pass a wait block array for up to 64";
    /// A mutex released by a thread that does not own it.
    MUTEX_NOT_OWNED = "MutexNotOwned", "0x1E STATUS_MUTANT_NOT_OWNED",
        "release a mutex in the thread that acquired it, once per acquire";
    /// A semaphore released above its limit.
    SEMAPHORE_LIMIT = "SemaphoreLimitExceeded", "0x1E STATUS_SEMAPHORE_LIMIT_EXCEEDED",
        "release a semaphore no further than its limit";
    /// A worker routine that returned at a raised IRQL.
    WORKER_IRQL = "WorkerReturnedAtBadIrql", "0xE1 WORKER_THREAD_RETURNED_AT_BAD_IRQL",
        "return from a worker routine at PASSIVE_LEVEL";
    /// A worker routine that left a critical region, a guarded region or a spin lock.
    WORKER_STATE = "KernelApcDisabledDuringExit", "0xC4/3E",
        "leave every critical region that a worker or system thread routine entered";
    /// A work item queued while it is still in the queue.
    WORKER_QUEUED_TWICE = "WorkerInvalid", "0xE4/1 WORKER_INVALID",
        "queue a work item again only after its routine was called";
    /// A DPC routine that returned at another IRQL.
    DPC_IRQL = "DpcReturnedAtBadIrql", "0xC8 IRQL_UNEXPECTED_VALUE",
        "return from a DPC routine at DISPATCH_LEVEL with no spin lock held";
    /// A DPC routine that changed the APC state of its thread.
    DPC_APC_STATE = "DpcApcState", "0xC7/4 TIMER_OR_DPC_INVALID",
        "enter and leave no critical region in a DPC routine";
    /// A thread that ended with a mutex.
    THREAD_HELD_MUTEX = "ThreadTerminateHeldMutex", "0x1E THREAD_TERMINATE_HELD_MUTEX",
        "release every mutex before a system thread ends";
    /// Rundown protection released more often than acquired, or waited for twice.
    RUNDOWN_PAIRING = "RundownProtection", "0xC4/DDI",
        "pair each successful ExAcquireRundownProtection with one ExReleaseRundownProtection";
    /// A routine that needs it was called on an MDL that is not locked, or already is.
    MDL_STATE = "MdlState", "0xC4/7C",
        "unlock an MDL that MmProbeAndLockPages locked, once; build or map only what is locked or nonpaged";
    /// A zero-byte allocation.
    ZERO_BYTE_ALLOCATION = "ZeroByteAllocation", "0xC4/00",
        "allocate at least one byte";
    /// An assertion of the driver failed.
    ASSERTION = "AssertionFailed", "RtlAssert",
        "keep the conditions that the driver itself asserts";
    /// An allocation with a tag of zero.
    ZERO_TAG = "ZeroTag", "0xC2/9B BAD_POOL_CALLER",
        "give every allocation a tag of one to four printable characters";
}

/// Reports `rule`; `sites` are the addresses that explain it. Inside
/// [`verifier::capture`] this returns, and the caller goes on as NT would.
#[cold]
pub fn violation(rule: &'static Rule, message: String, sites: &[(&'static str, usize)]) {
    if options::on(Options::DDI) {
        let sites = sites
            .iter()
            .copied()
            .filter(|(_, address)| *address != 0)
            .collect();
        verifier::report(Violation {
            rule,
            message,
            irp: None,
            sites,
        });
    }
}
