//! Pool: the documented routines over [`crate::pool`].
//!
//! When memory is short, some routines return null and others raise
//! `STATUS_INSUFFICIENT_RESOURCES`: those that charge quota or that are a file
//! system's, and any that is asked to.
//!
//! Source: `ExAllocatePoolWithTag`, `ExAllocatePoolWithQuotaTag`, `ExAllocatePool2`,
//! `ExAllocatePool3`, `ExFreePool2`, `FsRtlAllocatePoolWithTag` in the DDI reference;
//! bug checks 0xC4/00 and 0xC2/9B.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::{APC_LEVEL, DISPATCH_LEVEL, STATUS_INSUFFICIENT_RESOURCES};
use crate::pool::{self, Kind};
use crate::processor::{exception, irql};
use crate::verifier::{rules, violation};
use std::ffi::c_void;

/// Tag of blocks from `ExAllocatePool`: "None".
const TAG_NONE: u32 = u32::from_le_bytes(*b"None");

/// `POOL_TYPE` and the flags that are combined with it.
mod pool_type {
    pub const PAGED: u32 = 1;
    pub const QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;
    pub const RAISE_IF_ALLOCATION_FAILURE: u32 = 16;
    pub const NX: u32 = 512;
    pub const ZERO_ALLOCATION: u32 = 1024;
}

/// `POOL_FLAGS`.
mod flags {
    pub const UNINITIALIZED: u64 = 0x2;
    pub const RAISE_ON_FAILURE: u64 = 0x20;
    pub const NON_PAGED: u64 = 0x40;
    pub const NON_PAGED_EXECUTE: u64 = 0x80;
    pub const PAGED: u64 = 0x100;
    pub const KINDS: u64 = NON_PAGED | NON_PAGED_EXECUTE | PAGED;
    /// Required flags that have no meaning: an allocation with one of them fails.
    pub const REQUIRED_RESERVED: u64 = 0xFFFF_FE10;
}

/// How a request differs from the plain one.
#[derive(Clone, Copy, Default)]
struct Manner {
    zero: bool,
    raise: bool,
}

fn allocate(
    ddi: &'static str,
    kind: Kind,
    bytes: usize,
    tag: u32,
    manner: Manner,
    caller: usize,
) -> *mut c_void {
    let maximum = if kind == Kind::Paged {
        APC_LEVEL
    } else {
        DISPATCH_LEVEL
    };
    irql::require_at_most(ddi, maximum, caller);
    if bytes == 0 {
        violation(
            &rules::ZERO_BYTE_ALLOCATION,
            format!("{ddi} was called for no bytes"),
            &[("allocated at", caller)],
        );
    }
    if tag == 0 {
        violation(
            &rules::ZERO_TAG,
            format!("{ddi} was called with a tag of zero"),
            &[("allocated at", caller)],
        );
    }
    if kind == Kind::NonPagedExecute {
        violation(
            &rules::EXECUTABLE_POOL,
            format!("{ddi} was called for executable pool"),
            &[("allocated at", caller)],
        );
    }
    let block = pool::allocate(kind, bytes, tag, caller);
    if block.is_null() {
        if manner.raise {
            exception::raise(ddi, STATUS_INSUFFICIENT_RESOURCES);
        }
    } else if manner.zero {
        // SAFETY: a new block of that size.
        unsafe { block.cast::<u8>().write_bytes(0, bytes) };
    }
    block
}

fn kind_of_type(value: u32) -> Kind {
    match (value & pool_type::PAGED != 0, value & pool_type::NX != 0) {
        (true, _) => Kind::Paged,
        (false, true) => Kind::NonPaged,
        (false, false) => Kind::NonPagedExecute,
    }
}

fn manner_of_type(value: u32) -> Manner {
    Manner {
        zero: value & pool_type::ZERO_ALLOCATION != 0,
        raise: value & pool_type::RAISE_IF_ALLOCATION_FAILURE != 0,
    }
}

/// `ExAllocatePool`.
pub unsafe extern "win64" fn allocate_pool(kind: u32, bytes: usize, caller: usize) -> *mut c_void {
    allocate(
        "ExAllocatePool",
        kind_of_type(kind),
        bytes,
        TAG_NONE,
        manner_of_type(kind),
        caller,
    )
}

/// `ExAllocatePoolWithTag`.
pub unsafe extern "win64" fn allocate_pool_with_tag(
    kind: u32,
    bytes: usize,
    tag: u32,
    caller: usize,
) -> *mut c_void {
    allocate(
        "ExAllocatePoolWithTag",
        kind_of_type(kind),
        bytes,
        tag,
        manner_of_type(kind),
        caller,
    )
}

/// `ExAllocatePoolWithTagPriority`.
pub unsafe extern "win64" fn allocate_pool_with_tag_priority(
    kind: u32,
    bytes: usize,
    tag: u32,
    _priority: i32,
    caller: usize,
) -> *mut c_void {
    allocate(
        "ExAllocatePoolWithTagPriority",
        kind_of_type(kind),
        bytes,
        tag,
        manner_of_type(kind),
        caller,
    )
}

/// Quota is not charged; a routine of this kind raises unless told to fail.
fn quota_manner(kind: u32) -> Manner {
    Manner {
        raise: kind & pool_type::QUOTA_FAIL_INSTEAD_OF_RAISE == 0,
        ..manner_of_type(kind)
    }
}

/// `ExAllocatePoolWithQuota`.
pub unsafe extern "win64" fn allocate_pool_with_quota(
    kind: u32,
    bytes: usize,
    caller: usize,
) -> *mut c_void {
    allocate(
        "ExAllocatePoolWithQuota",
        kind_of_type(kind),
        bytes,
        TAG_NONE,
        quota_manner(kind),
        caller,
    )
}

/// `ExAllocatePoolWithQuotaTag`.
pub unsafe extern "win64" fn allocate_pool_with_quota_tag(
    kind: u32,
    bytes: usize,
    tag: u32,
    caller: usize,
) -> *mut c_void {
    allocate(
        "ExAllocatePoolWithQuotaTag",
        kind_of_type(kind),
        bytes,
        tag,
        quota_manner(kind),
        caller,
    )
}

/// A file system's routines raise whatever the type says.
fn raising_manner(kind: u32) -> Manner {
    Manner {
        raise: true,
        ..manner_of_type(kind)
    }
}

// Of a file system's routines, those that charge quota do as the others: none is charged.
macro_rules! raising {
    ($($export:ident = $name:literal;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $export(kind: u32, bytes: usize, caller: usize) -> *mut c_void {
            allocate($name, kind_of_type(kind), bytes, TAG_NONE, raising_manner(kind), caller)
        }
    )* };
}

raising! {
    fs_rtl_allocate_pool = "FsRtlAllocatePool";
    fs_rtl_allocate_pool_with_quota = "FsRtlAllocatePoolWithQuota";
}

macro_rules! raising_with_tag {
    ($($export:ident = $name:literal;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub unsafe extern "win64" fn $export(
            kind: u32,
            bytes: usize,
            tag: u32,
            caller: usize,
        ) -> *mut c_void {
            allocate($name, kind_of_type(kind), bytes, tag, raising_manner(kind), caller)
        }
    )* };
}

raising_with_tag! {
    fs_rtl_allocate_pool_with_tag = "FsRtlAllocatePoolWithTag";
    fs_rtl_allocate_pool_with_quota_tag = "FsRtlAllocatePoolWithQuotaTag";
}

fn allocate_by_flags(
    ddi: &'static str,
    value: u64,
    bytes: usize,
    tag: u32,
    caller: usize,
) -> *mut c_void {
    let kind = match value & flags::KINDS {
        flags::NON_PAGED => Kind::NonPaged,
        flags::NON_PAGED_EXECUTE => Kind::NonPagedExecute,
        flags::PAGED => Kind::Paged,
        // Exactly one of them is required.
        _ => return std::ptr::null_mut(),
    };
    if value & flags::REQUIRED_RESERVED != 0 {
        return std::ptr::null_mut();
    }
    let manner = Manner {
        zero: value & flags::UNINITIALIZED == 0,
        raise: value & flags::RAISE_ON_FAILURE != 0,
    };
    allocate(ddi, kind, bytes, tag, manner, caller)
}

/// `ExAllocatePool2`.
pub unsafe extern "win64" fn allocate_pool_2(
    value: u64,
    bytes: usize,
    tag: u32,
    caller: usize,
) -> *mut c_void {
    allocate_by_flags("ExAllocatePool2", value, bytes, tag, caller)
}

/// `POOL_EXTENDED_PARAMETER`.
#[repr(C)]
pub struct ExtendedParameter {
    /// Type in the low 8 bits, `Optional` in the next.
    kind: u64,
    value: u64,
}

/// `PoolExtendedParameterPriority` and `PoolExtendedParameterNumaNode`.
const PRIORITY: u64 = 1;
const NUMA_NODE: u64 = 3;

/// `ExAllocatePool3`. Priority and node are hints; what else is required fails.
pub unsafe extern "win64" fn allocate_pool_3(
    value: u64,
    bytes: usize,
    tag: u32,
    parameters: *const ExtendedParameter,
    count: u32,
    caller: usize,
) -> *mut c_void {
    let parameters = if count == 0 {
        &[]
    } else {
        // SAFETY: the driver passes an array of `count` parameters.
        unsafe { std::slice::from_raw_parts(parameters, count as usize) }
    };
    let known = |parameter: &ExtendedParameter| {
        let optional = parameter.kind & 0x100 != 0;
        optional || matches!(parameter.kind & 0xFF, PRIORITY | NUMA_NODE)
    };
    if !parameters.iter().all(known) {
        return std::ptr::null_mut();
    }
    allocate_by_flags("ExAllocatePool3", value, bytes, tag, caller)
}

fn free(ddi: &'static str, block: *mut c_void, tag: Option<u32>, caller: usize) {
    let paged = matches!(pool::block_at(block.addr()), Some((Kind::Paged, _)));
    irql::require_at_most(ddi, if paged { APC_LEVEL } else { DISPATCH_LEVEL }, caller);
    // SAFETY: the pool checks the address.
    unsafe { pool::free(block, tag, caller) };
}

/// `ExFreePool`.
pub unsafe extern "win64" fn free_pool(block: *mut c_void, caller: usize) {
    free("ExFreePool", block, None, caller);
}

/// `ExFreePoolWithTag`. A tag of zero fits every block.
pub unsafe extern "win64" fn free_pool_with_tag(block: *mut c_void, tag: u32, caller: usize) {
    free(
        "ExFreePoolWithTag",
        block,
        (tag != 0).then_some(tag),
        caller,
    );
}

/// `ExFreePool2`. No parameter is defined for ordinary pool.
pub unsafe extern "win64" fn free_pool_2(
    block: *mut c_void,
    tag: u32,
    _parameters: *const ExtendedParameter,
    _count: u32,
    caller: usize,
) {
    free("ExFreePool2", block, (tag != 0).then_some(tag), caller);
}
