//! Memory and locks.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { PoolAndLocks;
    COPY_OVERLAPS = {
        name: "CopyOverlaps",
        code: "0xC4/F0",
        checks: "memcpy is called for ranges that overlap",
        source: page::VIOLATION,
        detected_by: "memcpy: both addresses and the length; copies that the compiler makes itself are not seen",
        should: "use memmove, or RtlMoveMemory, where ranges can overlap",
        proof: BadDriver("overlapping-copy"),
    };
    POOL_OVERRUN = {
        name: "PoolOverrun",
        code: "0xD6 DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
        checks: "Memory behind a block is touched",
        source: "debugger/bug-check-0xd6--driver-page-fault-beyond-end-of-allocation",
        detected_by: "the guard page behind each block",
        should: "stay inside the block that was allocated",
        proof: BadDriver("pool-overrun"),
    };
    POOL_OVERRUN_FOUND = {
        name: "PoolOverrun",
        code: "0xC1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
        checks: "The bytes around a block are found overwritten when it is freed",
        source: "debugger/bug-check-0xc1--special-pool-detected-memory-corruption",
        detected_by: "ExFreePoolWithTag: the pattern around the block",
        should: "stay inside the block that was allocated",
        proof: BadDriver("pool-overrun-in-slack"),
    };
    USE_AFTER_FREE = {
        name: "UseAfterFree",
        code: "0xD5 DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL",
        checks: "Memory, a request or an object is touched after it was freed or completed",
        source: "debugger/bug-check-0xd5--driver-page-fault-in-freed-special-pool",
        detected_by: "freed blocks are inaccessible and never used again",
        should: "do not touch a block, request or object after it was freed or completed",
        proof: BadDriver("use-after-free"),
    };
    BAD_FREE = {
        name: "BadFree",
        code: "0xC2 BAD_POOL_CALLER, 0xC4/10-16",
        checks: "A block or request is freed twice, with another address or tag, or by the wrong routine",
        source: "debugger/bug-check-0xc2--bad-pool-caller",
        detected_by: "ExFreePoolWithTag, IoFreeIrp, and what the system frees: the address against what was allocated",
        should: "free each block once, with the address and the tag it was allocated with",
        proof: BadDriver("free-twice"),
    };
    LEAK_AT_UNLOAD = {
        name: "LeakAtUnload",
        code: "0xC4/62",
        checks: "Pool or requests are left allocated when DriverUnload has returned",
        source: page::VIOLATION,
        detected_by: "after DriverUnload: allocations by call sites in the image",
        should: "free every block before DriverUnload returns",
        proof: BadDriver("leak-at-unload"),
    };
    ZERO_BYTE_ALLOCATION = {
        name: "ZeroByteAllocation",
        code: "0xC4/00",
        checks: "A pool allocation of zero bytes",
        source: page::VIOLATION,
        detected_by: "the allocation routines: the size",
        should: "allocate at least one byte",
        proof: BadDriver("zero-byte-allocation"),
    };
    ZERO_TAG = {
        name: "ZeroTag",
        code: "0xC2/9B BAD_POOL_CALLER",
        checks: "A pool allocation with a tag of zero",
        source: "debugger/bug-check-0xc2--bad-pool-caller",
        detected_by: "the allocation routines: the tag",
        should: "give every allocation a tag of one to four printable characters",
        proof: BadDriver("zero-tag"),
    };
    LOOKASIDE_DELETED = {
        name: "LookasideListDeleted",
        code: "0xC4/CB",
        checks: "A lookaside list is deleted that was not initialized, or was deleted before",
        source: page::VIOLATION,
        detected_by: "the delete routines: the lists that were initialized",
        should: "delete each lookaside list once, after everything that allocates from it is gone",
        proof: BadDriver("reference-lookaside-deleted-twice"),
    };
    USER_WAIT_ON_STACK = {
        name: "UserModeWaitOnStack",
        code: "0xC4/123",
        checks: "A wait with UserMode for an object on the stack, which may be paged out meanwhile",
        source: page::VIOLATION,
        detected_by: "the wait routines: the mode, and the object against the stack of the thread",
        should: "wait with KernelMode for an object on the stack",
        proof: BadDriver("user-mode-wait-on-stack"),
    };
    SPIN_LOCK_PAIRING = {
        name: "SpinLock",
        code: "0xC4/DDI",
        checks: "A spin lock is acquired twice, or released by a thread that does not hold it",
        source: "devtest/wdm-spinlock",
        detected_by: "the spin-lock routines: the owner of the lock",
        should: "pair each acquire of a spin lock with one release in the same thread",
        proof: BadDriver("spin-lock-released-twice"),
    };
    DEADLOCK = {
        name: "Deadlock",
        code: "0xC4/1001",
        checks: "Locks are taken in an order in which threads can wait for each other for ever",
        source: "devtest/deadlock-detection",
        detected_by: "a graph of the orders in which instances of locks were acquired",
        should: "take locks that are held together in one order everywhere",
        proof: BadDriver("lock-order"),
    };
    SELF_DEADLOCK = {
        name: "SelfDeadlock",
        code: "0xC4/1000",
        checks: "A thread waits for a lock that it holds itself",
        source: "devtest/deadlock-detection",
        detected_by: "the acquire routines: the locks that the thread holds",
        should: "do not acquire a lock again that the thread holds; release a shared resource before acquiring it exclusively",
        proof: BadDriver("lock-upgrade"),
    };
    COMPLETED_UNDER_SPIN_LOCK = {
        name: "SpinLockSafe",
        code: "0xC4/DDI",
        checks: "A request is completed while a spin lock is held",
        source: "devtest/wdm-spinlocksafe",
        detected_by: "IoCompleteRequest: the locks that the thread holds",
        should: "release spin locks before IoCompleteRequest",
        proof: BadDriver("complete-under-spin-lock"),
    };
    FAST_MUTEX_PAIRING = {
        name: "ExFastMutexPairing",
        code: "0xC4/DDI",
        checks: "A fast mutex is acquired twice, or released by a thread that does not hold it",
        source: "devtest/wdm-guardedregions",
        detected_by: "the fast-mutex routines: the owner of the mutex",
        should: "pair each acquire of a fast mutex with one release in the same thread; it is not recursive",
        proof: BadDriver("fast-mutex-acquired-twice"),
    };
    FAST_MUTEX_UNSAFE = {
        name: "FastMutexUnsafe",
        code: "0xC4/39",
        checks: "An unsafe fast-mutex routine is called with APCs enabled",
        source: page::VIOLATION,
        detected_by: "the IRQL and the APC state of the thread",
        should: "call the Unsafe fast-mutex routines at APC_LEVEL or inside a critical region",
        proof: BadDriver("fast-mutex-unsafe"),
    };
    RESOURCE_APCS_ENABLED = {
        name: "ResourceApcsEnabled",
        code: "0xC4/37",
        checks: "A resource or push lock is acquired with normal kernel APCs enabled",
        source: page::VIOLATION,
        detected_by: "the acquire routines: the APC state of the thread",
        should: "enter a critical region before acquiring an ERESOURCE, and leave it after the release",
        proof: BadDriver("resource-with-apcs-enabled"),
    };
    RESOURCE_NOT_OWNED = {
        name: "ResourceNotOwned",
        code: "0xE3 RESOURCE_NOT_OWNED",
        checks: "A resource or push lock is released by a thread that does not own it",
        source: "debugger/bug-check-0xe3--resource-not-owned",
        detected_by: "the release routines: the owners of the resource",
        should: "release an ERESOURCE in the thread that acquired it, once per acquire",
        proof: BadDriver("resource-released-twice"),
    };
    RESOURCE_DELETED_OWNED = {
        name: "ResourceDeletedOwned",
        code: "0xC4/100B",
        checks: "A resource is deleted while it is owned",
        source: page::VIOLATION,
        detected_by: "ExDeleteResourceLite: the owners of the resource",
        should: "release an ERESOURCE before ExDeleteResourceLite",
        proof: BadDriver("resource-deleted-owned"),
    };
    REGIONS_CHANGED = {
        name: "CriticalRegions",
        code: "0xC4/40003",
        checks: "A dispatch, completion or notify routine, DriverEntry or DriverUnload returns in more or fewer critical or guarded regions",
        source: "devtest/wdm-criticalregions",
        detected_by: "the regions of the thread before and after the call of the routine",
        should: "leave every critical or guarded region before the routine that entered it returns",
        proof: BadDriver("dispatch-returns-in-critical-region"),
    };
    FAST_IO_REGIONS = {
        name: "RegionsChangedByFastIo",
        code: "0xC4/C6",
        checks: "A fast I/O routine returns in more or fewer critical or guarded regions",
        source: page::VIOLATION,
        detected_by: "the regions of the thread before and after the call of the routine",
        should: "leave every critical or guarded region before the fast I/O routine that entered it returns",
        proof: BadDriver("fast-io-returns-in-critical-region"),
    };
    LEAVE_CRITICAL_REGION = {
        name: "KeLeaveCriticalRegion",
        code: "0xC4/3E",
        checks: "KeLeaveCriticalRegion outside a critical region",
        source: page::VIOLATION,
        detected_by: "the APC state of the thread",
        should: "pair each KeLeaveCriticalRegion with a KeEnterCriticalRegion in the same thread",
        proof: BadDriver("critical-region-left-twice"),
    };
    LEAVE_GUARDED_REGION = {
        name: "GuardedRegions",
        code: "0xC4/DDI",
        checks: "KeLeaveGuardedRegion outside a guarded region",
        source: "devtest/wdm-guardedregions",
        detected_by: "the APC state of the thread",
        should: "pair each KeLeaveGuardedRegion with a KeEnterGuardedRegion in the same thread",
        proof: BadDriver("guarded-region-left-twice"),
    };
    UNINITIALIZED_OBJECT = {
        name: "UninitializedObject",
        code: "0xA IRQL_NOT_LESS_OR_EQUAL",
        checks: "A dispatcher object that was not initialized is waited for or set",
        source: "debugger/bug-check-0xa--irql-not-less-or-equal",
        detected_by: "the type in the header of the object",
        should: "initialize an event, semaphore, mutex or timer before its first use",
        proof: BadDriver("event-not-initialized"),
    };
    TOO_MANY_WAIT_OBJECTS = {
        name: "MaximumWaitObjectsExceeded",
        code: "0xC MAXIMUM_WAIT_OBJECTS_EXCEEDED",
        checks: "A wait for more objects than there is room for",
        source: "debugger/bug-check-0xc--maximum-wait-objects-exceeded",
        detected_by: "KeWaitForMultipleObjects: the count",
        should: "wait for at most 3 objects, or pass a wait block array for up to 64",
        proof: BadDriver("too-many-wait-objects"),
    };
    MUTEX_NOT_OWNED = {
        name: "MutexNotOwned",
        code: "0x1E STATUS_MUTANT_NOT_OWNED",
        checks: "A mutex is released by a thread that does not own it",
        source: "ddi/wdm/nf-wdm-kereleasemutex",
        detected_by: "KeReleaseMutex: the owner of the mutex",
        should: "release a mutex in the thread that acquired it, once per acquire",
        proof: BadDriver("mutex-not-owned"),
    };
    SEMAPHORE_LIMIT = {
        name: "SemaphoreLimitExceeded",
        code: "0x1E STATUS_SEMAPHORE_LIMIT_EXCEEDED",
        checks: "A semaphore is released above its limit",
        source: "ddi/wdm/nf-wdm-kereleasesemaphore",
        detected_by: "KeReleaseSemaphore: the count of the semaphore",
        should: "release a semaphore no further than its limit",
        proof: BadDriver("semaphore-over-limit"),
    };
    WORKER_STATE = {
        name: "KernelApcDisabledDuringExit",
        code: "0x20 KERNEL_APC_PENDING_DURING_EXIT",
        checks: "A worker or system thread routine returns inside a critical region, a guarded region or with a lock",
        source: "debugger/bug-check-0x20--kernel-apc-pending-during-exit",
        detected_by: "the APC state and the locks of the thread after the routine",
        should: "leave every critical region that a worker or system thread routine entered",
        proof: BadDriver("worker-returns-in-critical-region"),
    };
    WORKER_TERMINATED = {
        name: "WorkerTerminated",
        code: "0xE9 ACTIVE_EX_WORKER_THREAD_TERMINATION",
        checks: "A worker routine, DriverEntry or DriverUnload calls PsTerminateSystemThread, which would end a thread of the system",
        source: "debugger/bug-check-0xe9--active-ex-worker-thread-termination",
        detected_by: "PsTerminateSystemThread: whether the thread runs a work item, or is one of the system that PsCreateSystemThread did not make",
        should: "return from a worker routine; call PsTerminateSystemThread in threads of PsCreateSystemThread",
        proof: BadDriver("worker-terminates"),
    };
    WORKER_IMPERSONATES = {
        name: "ImpersonatingWorkerThread",
        code: "0xDF IMPERSONATING_WORKER_THREAD",
        checks: "A worker routine returns while its thread impersonates a client",
        source: "debugger/bug-check-0xdf--impersonating-worker-thread",
        detected_by: "whom the thread impersonates after the routine",
        should: "call PsRevertToSelf before a worker routine returns",
        proof: BadDriver("worker-impersonates"),
    };
    DETACHED_WITHOUT_ATTACH = {
        name: "InvalidProcessDetach",
        code: "0x6 INVALID_PROCESS_DETACH_ATTEMPT",
        checks: "KeUnstackDetachProcess is called by a thread that is not attached with this state",
        source: "debugger/bug-check-0x6--invalid-process-detach-attempt",
        detected_by: "KeUnstackDetachProcess: the attachments of the thread, of which the innermost ends",
        should: "pair each KeStackAttachProcess with one KeUnstackDetachProcess with the same state, in the same thread, the last one first",
        proof: BadDriver("detached-from-nothing"),
    };
    ATTACHED_LEFT = {
        name: "InvalidProcessAttach",
        code: "0x5 INVALID_PROCESS_ATTACH_ATTEMPT",
        checks: "A routine returns with its thread attached to another process than it was called in",
        source: "debugger/bug-check-0x5--invalid-process-attach-attempt",
        detected_by: "return of each routine of a driver, and the end of its threads: the attachments of the thread before and after",
        should: "call KeUnstackDetachProcess for each KeStackAttachProcess before the routine returns, on every path",
        proof: BadDriver("returns-attached"),
    };
    SENT_WHILE_ATTACHED = {
        name: "SentWhileAttached",
        code: "documented",
        checks: "A driver sends a request between KeStackAttachProcess and KeUnstackDetachProcess: the drivers below look for \
                 the buffers of the request in the wrong process, and the APC that ends it may not arrive",
        source: "ddi/ntifs/nf-ntifs-kestackattachprocess",
        detected_by: "IoCallDriver: the attachments of the thread that the same driver has made",
        should: "call KeUnstackDetachProcess before IoCallDriver; attached, do no more than copy",
        proof: BadDriver("sent-while-attached"),
    };
    WORKER_QUEUED_TWICE = {
        name: "WorkerInvalid",
        code: "0xE4/1 WORKER_INVALID",
        checks: "A work item is queued while it is still in the queue",
        source: "debugger/bug-check-0xe4--worker-invalid",
        detected_by: "the queue routines: the items that are queued",
        should: "queue a work item again only after its routine was called",
        proof: BadDriver("work-item-queued-twice"),
    };
    DPC_APC_STATE = {
        name: "DpcApcState",
        code: "0xC7/4 TIMER_OR_DPC_INVALID",
        checks: "A DPC routine changes the APC state of its thread",
        source: "debugger/bug-check-0xc7--timer-or-dpc-invalid",
        detected_by: "the APC state before and after the routine",
        should: "enter and leave no critical region in a DPC routine",
        proof: BadDriver("dpc-returns-in-critical-region"),
    };
    THREAD_HELD_MUTEX = {
        name: "ThreadTerminateHeldMutex",
        code: "0x4000008A THREAD_TERMINATE_HELD_MUTEX",
        checks: "A system thread ends with a mutex",
        source: "ddi/wdm/nf-wdm-psterminatesystemthread",
        detected_by: "the end of the thread: the mutexes that it owns",
        should: "release every mutex before a system thread ends",
        proof: BadDriver("thread-ends-with-mutex"),
    };
    LOCK_LEFT_BY_THREAD = {
        name: "LockLeakedOnThreadTermination",
        code: "0x153 KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION",
        checks: "A thread, of the system or of a program, ends with a push lock or a resource that it has acquired",
        source: "debugger/bug-check-0x153--kernel-lock-entry-leaked-on-thread-termination",
        detected_by: "the end of the thread: the locks that it holds and nobody has released for it (--verify deadlock)",
        should: "release every push lock and ERESOURCE before the thread that acquired it ends",
        proof: BadDriver("thread-ends-with-push-lock"),
    };
    LOCK_FREED_HELD = {
        name: "LockFreedHeld",
        code: "0xC4/100B",
        checks: "A block is freed with a mutex, fast mutex, guarded mutex, push lock or spin lock in it that the thread holds",
        source: page::VIOLATION,
        detected_by: "the routines that free: the locks that the thread holds, against the block (--verify deadlock)",
        should: "release a lock before the memory that it lies in is freed, when nobody can wait for it any more",
        proof: BadDriver("lock-freed-held"),
    };
    RUNDOWN_PAIRING = {
        name: "RundownProtection",
        code: "0xC4/DDI",
        checks: "Rundown protection is released more often than acquired, or waited for twice",
        source: "kernel/run-down-protection",
        detected_by: "the rundown routines: the count",
        should: "pair each successful ExAcquireRundownProtection with one ExReleaseRundownProtection",
        proof: BadDriver("rundown-released-twice"),
    };
}
