//! Objects in memory of drivers that the system uses: timers, locks, lookaside lists, work items.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { PoolAndLocks;
    ACTIVE_TIMER_FREED = {
        name: "ActiveTimerFreed",
        code: "0xC4/15, 0xC7/0",
        checks: "Memory is freed, or a stack left, with a timer in it that is set; or it is used for something else",
        source: page::VIOLATION,
        detected_by: "the timers that are set, against each block, image and part of a stack that goes, and their headers when they expire",
        should: "call KeCancelTimer before the memory of a timer is freed, and wait for its DPC with KeFlushQueuedDpcs",
        proof: BadDriver("timer-in-freed-block"),
    };
    ACTIVE_DPC_FREED = {
        name: "ActiveDpcFreed",
        code: "0xC7/1 TIMER_OR_DPC_INVALID",
        checks: "Memory is freed, or a stack left, with a DPC in it that is queued; or it is used for something else",
        source: "debugger/bug-check-0xc7--timer-or-dpc-invalid",
        detected_by: "the DPCs that are queued, against each block, image and part of a stack that goes, and their type when they run",
        should: "call KeRemoveQueueDpc or KeFlushQueuedDpcs before the memory of a DPC is freed; keep it in nonpaged pool or a device extension",
        proof: BadDriver("dpc-in-freed-block"),
    };
    ACTIVE_INITIALIZED = {
        name: "ActiveObjectInitialized",
        code: "documented",
        checks: "A timer is initialized while it is set, or a DPC while it is queued: it lies in a list of the system, which is cut there",
        source: "ddi/wdm/nf-wdm-kesettimerex",
        detected_by: "KeInitializeTimer(Ex) and KeInitializeDpc: the timers that are set and the DPCs that are queued",
        should: "initialize a timer and its DPC once; to set it again needs nothing, and KeCancelTimer ends it",
        proof: BadDriver("timer-initialized-while-set"),
    };
    ACTIVE_RESOURCE_FREED = {
        name: "ActiveResourceFreed",
        code: "0xC4/D2, 0xC4/17",
        checks: "Memory is freed, or a stack left, with a resource in it that was not deleted",
        source: page::VIOLATION,
        detected_by: "the resources that are initialized, against each block, image and part of a stack that goes",
        should: "call ExDeleteResourceLite before the memory of an ERESOURCE is freed",
        proof: BadDriver("resource-in-freed-block"),
    };
    RESOURCE_INITIALIZED_TWICE = {
        name: "ResourceInitializedTwice",
        code: "0xC4/D0",
        checks: "A resource is initialized that was, and was not deleted since",
        source: page::VIOLATION,
        detected_by: "ExInitializeResourceLite: the resources that are initialized",
        should: "initialize an ERESOURCE once; ExReinitializeResourceLite is for one that there is",
        proof: BadDriver("resource-initialized-twice"),
    };
    RESOURCE_NOT_INITIALIZED = {
        name: "ResourceNotInitialized",
        code: "0xC4/D1, 0xC4/1002",
        checks: "A resource is acquired, deleted or reinitialized that was not initialized",
        source: page::VIOLATION,
        detected_by: "the routines: the resources that are initialized",
        should: "call ExInitializeResourceLite before the first use of an ERESOURCE, and nothing after ExDeleteResourceLite",
        proof: BadDriver("resource-deleted-uninitialized"),
    };
    RESOURCE_ALIGNMENT = {
        name: "ResourceAlignment",
        code: "0xC4/3D",
        checks: "A resource is initialized or acquired at an address that is not aligned as pointers are",
        source: page::VIOLATION,
        detected_by: "the routines: the address",
        should: "align an ERESOURCE to 8 bytes, as the compiler does where it is not packed",
        proof: BadDriver("resource-misaligned"),
    };
    RESOURCE_RELEASED_WITH_APCS = {
        name: "ResourceReleasedWithApcs",
        code: "0xC4/38",
        checks: "A resource is released with normal kernel APCs enabled",
        source: page::VIOLATION,
        detected_by: "the release routines: the APC state of the thread",
        should: "leave the critical region after an ERESOURCE is released",
        proof: BadDriver("resource-released-with-apcs"),
    };
    LOCK_INITIALIZED_TWICE = {
        name: "LockInitializedTwice",
        code: "0xC4/1005",
        checks: "A mutex, guarded mutex, push lock or spin lock is initialized that was, in the same block of pool or in the image",
        source: page::VIOLATION,
        detected_by: "the routines that initialize locks: the locks of which the memory has not been freed",
        should: "initialize a lock once, before anybody can acquire it",
        proof: BadDriver("mutex-initialized-twice"),
    };
    LOOKASIDE_FREED = {
        name: "LookasideListFreed",
        code: "0xC4/CC",
        checks: "Memory is freed with a lookaside list in it that was not deleted",
        source: page::VIOLATION,
        detected_by: "the lists that are initialized, against each block and image that goes",
        should: "delete a lookaside list before its memory is freed",
        proof: BadDriver("lookaside-in-freed-block"),
    };
    LOOKASIDE_INITIALIZED_TWICE = {
        name: "LookasideListInitializedTwice",
        code: "0xC4/CA",
        checks: "A lookaside list is initialized that was, and was not deleted since",
        source: page::VIOLATION,
        detected_by: "the routines that initialize: the lists that are initialized",
        should: "initialize a lookaside list once",
        proof: BadDriver("lookaside-initialized-twice"),
    };
    LOOKASIDE_SIZE = {
        name: "LookasideListSize",
        code: "0xC4/CD",
        checks: "A lookaside list is initialized for blocks that have no room for a pointer",
        source: page::VIOLATION,
        detected_by: "the routines that initialize: the size",
        should: "ask for blocks of LOOKASIDE_MINIMUM_BLOCK_SIZE at least",
        proof: BadDriver("lookaside-blocks-too-small"),
    };
    LOOKASIDE_OTHER_LIST = {
        name: "LookasideEntryOfAnotherList",
        code: "documented",
        checks: "An entry is given to a lookaside list of ExInitializeLookasideListEx that it was not allocated from",
        source: "ddi/wdm/nf-wdm-exfreetolookasidelistex",
        detected_by: "the routine of the list that frees, where the driver has none of its own: the list that the entry came from (--verify special-pool)",
        should: "give each entry back to the list that it was allocated from",
        proof: BadDriver("entry-of-another-lookaside-list"),
    };
    PAGEABLE_OBJECT = {
        name: "PageableObject",
        code: "0xC4/E1",
        checks: "A dispatcher object or a resource is initialized or waited for that lies in pageable memory, which no MDL has locked",
        source: page::VIOLATION,
        detected_by: "the routines that initialize and wait: the address against pageable memory (--verify force-irql)",
        should: "keep events, mutexes, semaphores, timers and resources in nonpaged memory",
        proof: BadDriver("event-in-paged-pool"),
    };
    PAGEABLE_WORK_ITEM = {
        name: "PageableWorkItem",
        code: "0xC4/131",
        checks: "A work item is queued or initialized that lies in pageable memory, which no MDL has locked",
        source: page::VIOLATION,
        detected_by: "ExQueueWorkItem, IoInitializeWorkItem: the address against pageable memory (--verify force-irql)",
        should: "keep work items in nonpaged memory",
        proof: BadDriver("work-item-in-paged-pool"),
    };
    LOCK_ACQUIRED_OTHERWISE = {
        name: "LockAcquiredOtherwise",
        code: "0xC4/1008",
        checks: "A spin lock is acquired by routines of another sort than before: plain, queued or reader/writer",
        source: page::VIOLATION,
        detected_by: "the spin-lock routines: by which sort the lock was acquired last",
        should: "acquire a lock by one sort of routines everywhere; queued and plain ones do not see each other",
        proof: BadDriver("spin-lock-acquired-as-queued"),
    };
    LOCK_RELEASED_OTHERWISE = {
        name: "LockReleasedOtherwise",
        code: "0xC4/1009",
        checks: "A spin lock is released by a routine of another sort than it was acquired by",
        source: page::VIOLATION,
        detected_by: "the spin-lock routines: by which sort the lock was acquired last",
        should: "release a lock by the routine that belongs to the one that acquired it",
        proof: BadDriver("queued-lock-released-as-plain"),
    };
    RELEASE_ORDER = {
        name: "ReleaseOrder",
        code: "0xC4/1003",
        checks: "The spin lock that had raised the IRQL is released while one is held that was acquired after it, so that this one is held at a lower level",
        source: page::VIOLATION,
        detected_by: "KeReleaseSpinLock, KeReleaseInStackQueuedSpinLock: the level, and the locks that the thread holds",
        should: "release spin locks in the reverse of the order in which they were acquired",
        proof: BadDriver("spin-lock-released-out-of-order"),
    };
    PUSH_LOCK_FLAGS = {
        name: "PushLockFlags",
        code: "0x152 INVALID_PUSH_LOCK_FLAGS",
        checks: "A push-lock routine is called with flags that there are not",
        source: "debugger/bug-check-0x152--invalid-push-lock-flags",
        detected_by: "the push-lock routines: the flags",
        should: "pass EX_DEFAULT_PUSH_LOCK_FLAGS",
        proof: BadDriver("push-lock-flags"),
    };
}
