//! Memory descriptor lists.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { PoolAndLocks;
    MDL_STATE = {
        name: "MdlState",
        code: "0xC4/7C, 0x76/1",
        checks: "A routine is called for an MDL that is not locked, or already is",
        source: page::VIOLATION,
        detected_by: "the Mm routines: the flags of the MDL",
        should: "unlock an MDL that MmProbeAndLockPages locked, once; build or map only what is locked or nonpaged",
        proof: BadDriver("mdl-unlocked-twice"),
    };
    LOCKED_MDL_FREED = {
        name: "LockedMdlFreed",
        code: "0xCB DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS",
        checks: "IoFreeMdl is called for an MDL whose pages are locked",
        source: "debugger/bug-check-0xcb--driver-left-locked-pages-in-process",
        detected_by: "IoFreeMdl: the flags of the MDL",
        should: "call MmUnlockPages for what MmProbeAndLockPages has locked, before IoFreeMdl",
        proof: BadDriver("locked-mdl-freed"),
    };
    MDL_MAY_NOT_FAIL = {
        name: "MdlMappingMayNotFail",
        code: "0xC4/81, 0xC4/82",
        checks: "Pages are mapped into system space by MmMapLockedPages, or by MmMapLockedPagesSpecifyCache with BugCheckOnFailure, for an MDL without MDL_MAPPING_CAN_FAIL: where no room is left, the system stops",
        source: page::VIOLATION,
        detected_by: "the mapping routines: the argument and the flags of the MDL",
        should: "map with MmGetSystemAddressForMdlSafe, and look at the result",
        proof: BadDriver("mdl-mapped-by-obsolete-routine"),
    };
    MDL_MAPPED_TWICE = {
        name: "MdlMappedTwice",
        code: "0xC4/B2",
        checks: "Pages are mapped into system space that are mapped there",
        source: page::VIOLATION,
        detected_by: "the mapping routines: the flags of the MDL",
        should: "use the address that MmGetSystemAddressForMdlSafe gives, which maps only once",
        proof: BadDriver("mdl-mapped-twice"),
    };
    MDL_NOT_MAPPED = {
        name: "MdlNotMapped",
        code: "0xC4/B6, 0xC4/B5",
        checks: "MmUnmapLockedPages is called for an MDL that is not mapped, or for a partial one whose mapping is that of the whole",
        source: page::VIOLATION,
        detected_by: "MmUnmapLockedPages: the flags of the MDL",
        should: "unmap what a mapping routine has mapped, once; leave the mapping of a partial MDL to IoFreeMdl or MmPrepareMdlForReuse",
        proof: BadDriver("mdl-unmapped-unmapped"),
    };
    MDL_USER_MAPPING = {
        name: "MdlUserMapping",
        code: "0xC4/B9",
        checks: "MmUnmapLockedPages is called with another address than that at which the pages are mapped into a program",
        source: page::VIOLATION,
        detected_by: "MmUnmapLockedPages: what the mapping routine has returned",
        should: "keep the address that MmMapLockedPagesSpecifyCache has returned for UserMode",
        proof: BadDriver("user-mapping-unmapped-elsewhere"),
    };
    MDL_FREED_MAPPED = {
        name: "MdlFreedMapped",
        code: "0xC4/B8",
        checks: "An MDL is freed whose pages are mapped",
        source: page::VIOLATION,
        detected_by: "IoFreeMdl: the flags of the MDL, and its mappings into programs",
        should: "call MmUnmapLockedPages, or MmUnlockPages for what was locked, before IoFreeMdl",
        proof: BadDriver("mdl-freed-mapped"),
    };
    MDL_PAGEABLE = {
        name: "MdlPageable",
        code: "0xC4/140",
        checks: "MmBuildMdlForNonPagedPool is called for pageable memory",
        source: page::VIOLATION,
        detected_by: "MmBuildMdlForNonPagedPool: the address against pageable memory",
        should: "lock pageable memory with MmProbeAndLockPages",
        proof: BadDriver("mdl-built-of-paged-pool"),
    };
    PARTIAL_MDL_SIZE = {
        name: "PartialMdlSize",
        code: "0x40 TARGET_MDL_TOO_SMALL",
        checks: "IoBuildPartialMdl is called for an MDL that has no room for the pages of the part",
        source: "debugger/bug-check-0x40--target-mdl-too-small",
        detected_by: "IoBuildPartialMdl: the size of the target",
        should: "allocate the target for the address and length of the part",
        proof: BadDriver("partial-mdl-too-small"),
    };
    PARTIAL_MDL_RANGE = {
        name: "PartialMdlRange",
        code: "0x12E INVALID_MDL_RANGE",
        checks: "IoBuildPartialMdl is called for a part that is not inside of the whole",
        source: "debugger/bug-check-0x12e--invalid-mdl-range",
        detected_by: "IoBuildPartialMdl: address and length against the source",
        should: "take address and length of the part from MmGetMdlVirtualAddress and MmGetMdlByteCount of the whole",
        proof: BadDriver("partial-mdl-out-of-range"),
    };
    LOCKED_PAGES_LEFT = {
        name: "LockedPagesLeft",
        code: "0x76 PROCESS_HAS_LOCKED_PAGES",
        checks: "A driver is unloaded that has locked pages, or had them locked by IoBuildAsynchronousFsdRequest, and nobody can unlock them any more",
        source: "debugger/bug-check-0x76--process-has-locked-pages",
        detected_by: "after DriverUnload: the MDLs that code of the image has locked, and those of requests that it has built",
        should: "call MmUnlockPages for everything that MmProbeAndLockPages has locked; where a request of IoBuildAsynchronousFsdRequest is freed, call it and IoFreeMdl for each list of Irp->MdlAddress",
        proof: BadDriver("locked-pages-left"),
    };
}
