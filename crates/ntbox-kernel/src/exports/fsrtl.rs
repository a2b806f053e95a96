//! `FsRtl`: routines for file systems and their filters.
//!
//! Left out: what only file systems use (oplocks, locks, notification lists,
//! large MCBs, tunnels) and whatever needs a cache or memory manager.

pub mod contexts;
pub mod expression;
mod files;
mod names;

super::table! {
    caller(2) "FsRtlRegisterFileSystemFilterCallbacks" => files::register_file_system_filter_callbacks,
    caller(1) "FsRtlAcquireFileExclusive" => files::acquire_file_exclusive,
    caller(1) "FsRtlReleaseFile" => files::release_file,
    caller(1) "FsRtlIsPagingFile" => files::is_paging_file,
    "FsRtlIsNtstatusExpected" => files::is_ntstatus_expected,
    "FsRtlNormalizeNtstatus" => files::normalize_ntstatus,
    "FsRtlGetFileSize" => files::get_file_size,

    caller(4) "FsRtlIsNameInExpression" => names::is_name_in_expression,
    "FsRtlDoesNameContainWildCards" => names::does_name_contain_wild_cards,
    "FsRtlDissectName" => names::dissect_name,
    "FsRtlAreNamesEqual" => names::are_names_equal,

    "FsRtlInsertPerStreamContext" => contexts::insert,
    "FsRtlLookupPerStreamContextInternal" => contexts::lookup,
    "FsRtlRemovePerStreamContext" => contexts::remove,
    "FsRtlTeardownPerStreamContexts" => contexts::teardown,
}
