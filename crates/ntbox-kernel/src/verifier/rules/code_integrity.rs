//! Memory that can be written and executed, which a Windows whose code integrity is protected by the
//! hypervisor refuses. Driver Verifier has an option of its own for these: they are reported when
//! `--verify` names them.

use super::rule::Proof::BadDriver;
use super::rule::{page, rules};

rules! { PoolAndLocks;
    EXECUTABLE_POOL = {
        name: "CodeIntegrityPool",
        code: "0xC4/2000",
        checks: "A block of executable pool is allocated",
        source: page::VIOLATION,
        detected_by: "the allocation routines: the type of pool. An option of its own of Driver Verifier: it is reported when --verify names it",
        should: "allocate NonPagedPoolNx, or with POOL_FLAG_NON_PAGED; in old sources, define POOL_NX_OPTIN and call ExInitializeDriverRuntime",
        proof: BadDriver("executable-pool"),
    };
    EXECUTABLE_MAPPING = {
        name: "CodeIntegrityMapping",
        code: "0xC4/2002",
        checks: "Pages are mapped into system space so that they can be executed",
        source: page::VIOLATION,
        detected_by: "MmMapLockedPages, MmMapLockedPagesSpecifyCache: the priority. An option of its own of Driver Verifier: it is reported when --verify names it",
        should: "map with MdlMappingNoExecute in the priority",
        proof: BadDriver("executable-mapping"),
    };
    WRITABLE_CODE = {
        name: "CodeIntegritySection",
        code: "0xC4/2003",
        checks: "A section of the image can be written and executed",
        source: page::VIOLATION,
        detected_by: "the headers of the image, when it is loaded. An option of its own of Driver Verifier: it is reported when --verify names it",
        should: "link code and data into different sections",
        proof: BadDriver("writable-code-section"),
    };
    EXECUTABLE_IMPORTS = {
        name: "CodeIntegrityImports",
        code: "0xC4/2005",
        checks: "The import address table of the image lies in a section that can be executed",
        source: page::VIOLATION,
        detected_by: "the headers of the image, when it is loaded. An option of its own of Driver Verifier: it is reported when --verify names it",
        should: "leave the import address table in a section of data; do not merge .idata or .rdata into .text",
        proof: BadDriver("imports-in-code-section"),
    };
}
