//! `FsRtl`: routines for file systems and their filters.
//!
//! Left out: what only file systems use (oplocks, notification lists, large MCBs, tunnels).

pub mod contexts;
mod copy;
mod ecp;
pub mod expression;
mod file_contexts;
mod file_lock;
mod file_locks;
mod files;
mod names;

use super::ex::pool;

super::table! {
    caller(2) "FsRtlRegisterFileSystemFilterCallbacks" => files::register_file_system_filter_callbacks,
    caller(1) "FsRtlAcquireFileExclusive" => files::acquire_file_exclusive,
    caller(1) "FsRtlReleaseFile" => files::release_file,
    caller(1) "FsRtlIsPagingFile" => files::is_paging_file,
    "FsRtlIsNtstatusExpected" => files::is_ntstatus_expected,
    "FsRtlNormalizeNtstatus" => files::normalize_ntstatus,
    "FsRtlGetFileSize" => files::get_file_size,

    caller(8) "FsRtlCopyRead" => copy::copy_read,
    caller(8) "FsRtlCopyWrite" => copy::copy_write,
    raises(3) "FsRtlPostStackOverflow" => copy::post_stack_overflow,

    raises(2) "FsRtlAllocatePool" => pool::fs_rtl_allocate_pool,
    raises(2) "FsRtlAllocatePoolWithQuota" => pool::fs_rtl_allocate_pool_with_quota,
    raises(3) "FsRtlAllocatePoolWithTag" => pool::fs_rtl_allocate_pool_with_tag,
    raises(3) "FsRtlAllocatePoolWithQuotaTag" => pool::fs_rtl_allocate_pool_with_quota_tag,

    caller(3) "FsRtlInitializeFileLock" => file_locks::initialize,
    caller(1) "FsRtlUninitializeFileLock" => file_locks::uninitialize,
    caller(2) "FsRtlAllocateFileLock" => file_locks::allocate,
    caller(1) "FsRtlFreeFileLock" => file_locks::free,
    caller(3) "FsRtlProcessFileLock" => file_locks::process,
    "FsRtlPrivateLock" => file_locks::private_lock,
    caller(8) "FsRtlFastUnlockSingle" => file_locks::unlock_single,
    caller(4) "FsRtlFastUnlockAll" => file_locks::unlock_all,
    caller(5) "FsRtlFastUnlockAllByKey" => file_locks::unlock_all_by_key,
    caller(2) "FsRtlCheckLockForReadAccess" => file_locks::check_read,
    caller(2) "FsRtlCheckLockForWriteAccess" => file_locks::check_write,
    caller(6) "FsRtlFastCheckLockForRead" => file_locks::fast_check_read,
    caller(6) "FsRtlFastCheckLockForWrite" => file_locks::fast_check_write,
    caller(2) "FsRtlGetNextFileLock" => file_locks::get_next,

    touches(4) "FsRtlIsNameInExpression" => names::is_name_in_expression,
    touches "FsRtlDoesNameContainWildCards" => names::does_name_contain_wild_cards,
    touches "FsRtlDissectName" => names::dissect_name,
    touches "FsRtlAreNamesEqual" => names::are_names_equal,

    caller(2) "FsRtlAllocateExtraCreateParameterList" => ecp::allocate_list,
    caller(1) "FsRtlFreeExtraCreateParameterList" => ecp::free_list,
    caller(6) "FsRtlAllocateExtraCreateParameter" => ecp::allocate,
    caller(4) "FsRtlInitExtraCreateParameterLookasideList" => ecp::initialize_lookaside,
    caller(6) "FsRtlAllocateExtraCreateParameterFromLookasideList" => ecp::allocate_from_lookaside,
    caller(2) "FsRtlDeleteExtraCreateParameterLookasideList" => ecp::delete_lookaside,
    caller(1) "FsRtlFreeExtraCreateParameter" => ecp::free,
    caller(2) "FsRtlInsertExtraCreateParameter" => ecp::insert,
    caller(4) "FsRtlFindExtraCreateParameter" => ecp::find,
    caller(4) "FsRtlRemoveExtraCreateParameter" => ecp::remove,
    caller(5) "FsRtlGetNextExtraCreateParameter" => ecp::next,
    caller(2) "FsRtlGetEcpListFromIrp" => ecp::get_from_irp,
    caller(2) "FsRtlSetEcpListIntoIrp" => ecp::set_into_irp,
    caller(1) "FsRtlAcknowledgeEcp" => ecp::acknowledge,
    caller(1) "FsRtlIsEcpAcknowledged" => ecp::is_acknowledged,
    caller(1) "FsRtlIsEcpFromUserMode" => ecp::is_from_user_mode,

    "FsRtlInsertPerStreamContext" => contexts::insert,
    "FsRtlLookupPerStreamContextInternal" => contexts::lookup,
    "FsRtlRemovePerStreamContext" => contexts::remove,
    "FsRtlTeardownPerStreamContexts" => contexts::teardown,

    caller(2) "FsRtlInsertPerFileObjectContext" => file_contexts::insert,
    caller(3) "FsRtlLookupPerFileObjectContext" => file_contexts::lookup,
    caller(3) "FsRtlRemovePerFileObjectContext" => file_contexts::remove,
}
