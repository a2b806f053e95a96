//! `Ex`: the executive.
//!
//! Left out: what only other kinds of drivers use.

mod callback;
mod fast_mutex;
mod interlocked;
pub(super) mod lookaside;
mod lookaside_entries;
mod misc;
pub(crate) mod pool;
mod push_lock;
pub(super) mod resource;
mod rundown;
mod rw_spin_lock;
mod slist;
mod uuid;

use crate::processor::object::{self, Kind, ObjectType};

static EVENT_TYPE: &ObjectType = object::object_type(Kind::Event);

super::table! {
    raises(2) "ExAllocatePool" => pool::allocate_pool,
    raises(3) "ExAllocatePoolWithTag" => pool::allocate_pool_with_tag,
    raises(4) "ExAllocatePoolWithTagPriority" => pool::allocate_pool_with_tag_priority,
    raises(2) "ExAllocatePoolWithQuota" => pool::allocate_pool_with_quota,
    raises(3) "ExAllocatePoolWithQuotaTag" => pool::allocate_pool_with_quota_tag,
    raises(3) "ExAllocatePool2" => pool::allocate_pool_2,
    raises(5) "ExAllocatePool3" => pool::allocate_pool_3,
    caller(1) "ExFreePool" => pool::free_pool,
    caller(2) "ExFreePoolWithTag" => pool::free_pool_with_tag,
    caller(4) "ExFreePool2" => pool::free_pool_2,

    caller(7) "ExInitializeNPagedLookasideList" => lookaside::initialize_nonpaged,
    caller(7) "ExInitializePagedLookasideList" => lookaside::initialize_paged,
    caller(8) "ExInitializeLookasideListEx" => lookaside::initialize_ex,
    caller(1) "ExDeleteNPagedLookasideList" => lookaside::delete_nonpaged,
    caller(1) "ExDeletePagedLookasideList" => lookaside::delete_paged,
    caller(1) "ExDeleteLookasideListEx" => lookaside::delete_ex,
    caller(1) "ExFlushLookasideListEx" => lookaside::flush_ex,

    caller(4) "ExCreateCallback" => callback::create,
    caller(3) "ExRegisterCallback" => callback::register,
    caller(1) "ExUnregisterCallback" => callback::unregister,
    caller(3) "ExNotifyCallback" => callback::notify,

    caller(1) "ExUuidCreate" => uuid::create,

    data "ExEventObjectType" => EVENT_TYPE,

    "ExpInterlockedPopEntrySList" => slist::pop,
    raises(2) "ExpInterlockedPushEntrySList" => slist::push,
    "ExpInterlockedFlushSList" => slist::flush,
    "ExInterlockedPopEntrySList" => slist::pop,
    raises(2) "ExInterlockedPushEntrySList" => slist::push,
    "ExInterlockedFlushSList" => slist::flush,
    raises(1) "InitializeSListHead" => slist::initialize,
    "ExQueryDepthSList" => slist::depth,

    caller(2) "ExQueueWorkItem" => misc::queue_work_item,
    raises(1) "ExRaiseStatus" => misc::raise_status,
    raises(0) "ExRaiseAccessViolation" => misc::raise_access_violation,
    raises(0) "ExRaiseDatatypeMisalignment" => misc::raise_datatype_misalignment,
    "ExGetPreviousMode" => misc::get_previous_mode,
    "ExSystemTimeToLocalTime" => misc::copy_time,
    "ExLocalTimeToSystemTime" => misc::copy_time,

    caller(1) "ExAcquireFastMutex" => fast_mutex::acquire,
    caller(1) "ExReleaseFastMutex" => fast_mutex::release,
    caller(1) "ExTryToAcquireFastMutex" => fast_mutex::try_to_acquire,
    caller(1) "ExAcquireFastMutexUnsafe" => fast_mutex::acquire_unsafe,
    caller(1) "ExReleaseFastMutexUnsafe" => fast_mutex::release_unsafe,
    caller(1) "KeInitializeGuardedMutex" => fast_mutex::initialize_guarded,
    caller(1) "KeAcquireGuardedMutex" => fast_mutex::acquire_guarded,
    caller(1) "KeReleaseGuardedMutex" => fast_mutex::release_guarded,
    caller(1) "KeTryToAcquireGuardedMutex" => fast_mutex::try_to_acquire_guarded,
    caller(1) "KeAcquireGuardedMutexUnsafe" => fast_mutex::acquire_unsafe,
    caller(1) "KeReleaseGuardedMutexUnsafe" => fast_mutex::release_unsafe,

    caller(1) "ExInitializeResourceLite" => resource::initialize,
    caller(1) "ExReinitializeResourceLite" => resource::reinitialize,
    caller(1) "ExDeleteResourceLite" => resource::delete,
    caller(2) "ExAcquireResourceExclusiveLite" => resource::acquire_exclusive,
    caller(2) "ExAcquireResourceSharedLite" => resource::acquire_shared,
    caller(2) "ExAcquireSharedStarveExclusive" => resource::acquire_shared_starve_exclusive,
    caller(2) "ExAcquireSharedWaitForExclusive" => resource::acquire_shared_wait_for_exclusive,
    caller(1) "ExEnterCriticalRegionAndAcquireResourceExclusive" => resource::enter_and_acquire_exclusive,
    caller(1) "ExEnterCriticalRegionAndAcquireResourceShared" => resource::enter_and_acquire_shared,
    caller(1) "ExReleaseResourceAndLeaveCriticalRegion" => resource::release_and_leave,
    caller(1) "ExReleaseResourceLite" => resource::release,
    caller(2) "ExReleaseResourceForThreadLite" => resource::release_for_thread,
    caller(1) "ExConvertExclusiveToSharedLite" => resource::convert_exclusive_to_shared,
    "ExIsResourceAcquiredExclusiveLite" => resource::is_acquired_exclusive,
    "ExIsResourceAcquiredSharedLite" => resource::is_acquired_shared,
    "ExGetExclusiveWaiterCount" => resource::exclusive_waiters,
    "ExGetSharedWaiterCount" => resource::shared_waiters,

    caller(1) "ExInitializePushLock" => push_lock::initialize,
    caller(2) "ExAcquirePushLockExclusiveEx" => push_lock::acquire_exclusive,
    caller(2) "ExAcquirePushLockSharedEx" => push_lock::acquire_shared,
    caller(2) "ExReleasePushLockExclusiveEx" => push_lock::release_exclusive,
    caller(2) "ExReleasePushLockSharedEx" => push_lock::release_shared,

    caller(1) "ExAcquireSpinLockExclusive" => rw_spin_lock::acquire_exclusive,
    caller(2) "ExReleaseSpinLockExclusive" => rw_spin_lock::release_exclusive,
    caller(1) "ExAcquireSpinLockShared" => rw_spin_lock::acquire_shared,
    caller(2) "ExReleaseSpinLockShared" => rw_spin_lock::release_shared,
    caller(1) "ExAcquireSpinLockExclusiveAtDpcLevel" => rw_spin_lock::acquire_exclusive_at_dpc_level,
    caller(1) "ExReleaseSpinLockExclusiveFromDpcLevel" => rw_spin_lock::release_exclusive_from_dpc_level,
    caller(1) "ExAcquireSpinLockSharedAtDpcLevel" => rw_spin_lock::acquire_shared_at_dpc_level,
    caller(1) "ExReleaseSpinLockSharedFromDpcLevel" => rw_spin_lock::release_shared_from_dpc_level,

    "ExInitializeRundownProtection" => rundown::initialize,
    "ExReInitializeRundownProtection" => rundown::initialize,
    caller(1) "ExAcquireRundownProtection" => rundown::acquire,
    caller(2) "ExAcquireRundownProtectionEx" => rundown::acquire_ex,
    caller(1) "ExReleaseRundownProtection" => rundown::release,
    caller(2) "ExReleaseRundownProtectionEx" => rundown::release_ex,
    "ExRundownCompleted" => rundown::completed,
    caller(1) "ExWaitForRundownProtectionRelease" => rundown::wait_for_release,
    "ExSizeOfRundownProtectionCacheAware" => rundown::size_of_cache_aware,
    "ExInitializeRundownProtectionCacheAware" => rundown::initialize_cache_aware,
    caller(2) "ExAllocateCacheAwareRundownProtection" => rundown::allocate_cache_aware,
    caller(1) "ExFreeCacheAwareRundownProtection" => rundown::free_cache_aware,
    "ExReInitializeRundownProtectionCacheAware" => rundown::reinitialize_cache_aware,
    caller(1) "ExAcquireRundownProtectionCacheAware" => rundown::acquire_cache_aware,
    caller(2) "ExAcquireRundownProtectionCacheAwareEx" => rundown::acquire_cache_aware_ex,
    caller(1) "ExReleaseRundownProtectionCacheAware" => rundown::release_cache_aware,
    caller(2) "ExReleaseRundownProtectionCacheAwareEx" => rundown::release_cache_aware_ex,
    "ExRundownCompletedCacheAware" => rundown::completed_cache_aware,
    caller(1) "ExWaitForRundownProtectionReleaseCacheAware" => rundown::wait_for_release_cache_aware,

    caller(3) "ExInterlockedInsertHeadList" => interlocked::insert_head_list,
    caller(3) "ExInterlockedInsertTailList" => interlocked::insert_tail_list,
    caller(2) "ExInterlockedRemoveHeadList" => interlocked::remove_head_list,
    caller(3) "ExInterlockedPushEntryList" => interlocked::push_entry_list,
    caller(2) "ExInterlockedPopEntryList" => interlocked::pop_entry_list,
    caller(3) "ExInterlockedAddLargeInteger" => interlocked::add_large_integer,
    caller(3) "ExInterlockedAddUlong" => interlocked::add_ulong,
}
