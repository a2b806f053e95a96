//! Routines that the box has called and that lead nowhere. Whoever has put one in a slot is not on the stack: the
//! verifier asks the floors above for the slot.

use super::judge::Trap;
use crate::pe_image::{self, crossing};

/// A routine that the box has called, of which nothing could run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wild {
    pub(super) routine: usize,
    /// The request that it was called for, or 0.
    pub(super) request: usize,
}

impl Wild {
    /// Of this thread, which was interrupted at `instruction`. Allocates nothing.
    pub(super) fn called(trap: Trap, instruction: usize) -> Option<Self> {
        let (routine, request) = crossing::next();
        let leads_nowhere = match trap {
            Trap::Memory { address, .. } => address == routine && instruction == routine,
            // The call itself cannot be done.
            Trap::Protection => !is_canonical(routine),
            _ => false,
        };
        let is_wild = leads_nowhere && pe_image::image_at(instruction).is_none();
        is_wild.then_some(Self { routine, request })
    }
}

/// True for an address of 48 bits, sign-extended.
const fn is_canonical(address: usize) -> bool {
    let address = address.cast_signed();
    address << 16 >> 16 == address
}

#[cfg(test)]
mod tests {
    use crate::processor::driver_code::entering;
    use crate::processor::fault::process_tests::{alone_in, expect_violation};

    /// What the report says of a call of `routine`.
    #[expect(unsafe_code, reason = "what is no routine is called")]
    fn expect_report(test: &str, routine: usize, parts: &[&str]) {
        let output = alone_in("wild::tests", test, || {
            // SAFETY: it is none, which is what the test is about.
            let routine: unsafe extern "win64" fn() = unsafe { std::mem::transmute(routine) };
            // SAFETY: as above.
            unsafe { entering(routine)() };
        });
        expect_violation(&output, parts);
    }

    #[test]
    fn a_routine_where_nothing_is_is_reported() {
        expect_report(
            "a_routine_where_nothing_is_is_reported",
            0x41_4141_4140,
            &[
                "violation of PageFault (0x50",
                "the system, at a routine that a driver has given to it, executes 0x4141414140, where nothing is",
            ],
        );
    }

    #[test]
    fn a_routine_at_no_address_is_reported() {
        expect_report(
            "a_routine_at_no_address_is_reported",
            0xCCCC_CCCC_CCCC_CCCC,
            &[
                "violation of BadInstruction (0x1E",
                "given to it, executes 0xcccccccccccccccc, which is no address (not canonical)",
            ],
        );
    }
}
