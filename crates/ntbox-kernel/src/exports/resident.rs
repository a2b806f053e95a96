//! What the kernel uses at `DISPATCH_LEVEL` must not be paged out, and not be a program's.
//!
//! Source: "Introduction to Kernel Dispatcher Objects" in the kernel architecture guide, bug checks
//! 0xC4/E0, E1 and 131.

use crate::host::pageable;
use crate::io_manager::program_memory;
use crate::verifier::{Rule, rules, violation};

/// `ddi` is called for the dispatcher object at `address`.
pub(super) fn object(ddi: &str, address: usize, caller: usize) {
    require(&rules::PAGEABLE_OBJECT, ddi, address, caller);
}

/// `ddi` is called for the work item at `address`.
pub(super) fn work_item(ddi: &str, address: usize, caller: usize) {
    require(&rules::PAGEABLE_WORK_ITEM, ddi, address, caller);
}

fn require(rule: &'static Rule, ddi: &str, address: usize, caller: usize) {
    if program_memory::contains(address) {
        violation(
            &rules::USER_ADDRESS,
            format!("{ddi} was called for 0x{address:x}, which is memory of a program"),
            &[("called at", caller)],
        );
    }
    if pageable::may_be_out(address) {
        violation(
            rule,
            format!("{ddi} was called for 0x{address:x}, which is pageable"),
            &[("called at", caller)],
        );
    }
}
