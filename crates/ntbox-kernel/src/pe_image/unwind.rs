//! The calls of drivers that led to a call of the kernel, exactly: by the unwind
//! data of their images, not by what looks like a return address.
//!
//! A routine of the box knows the return address of the driver's call, but not
//! where on the stack it lies. The frames of the box up to there are unwound with
//! the language's own unwinder, which ends where code without its unwind data
//! begins: in the driver, or in the thunk between the driver and the routine,
//! whose frame has the return address at its end.

#![expect(unsafe_code, reason = "the table of functions is read in the image")]

use super::calls::{follows_call, is_return_address};
use super::{Image, image_at};
use crate::host::frames;
use crate::host::memory::{try_read, try_read_usize};
use pe_unwind_info::x86_64::{FunctionTableEntries, Register, UnwindState};
use std::collections::HashMap;

/// The largest frame of a thunk, with the return address behind it.
const THUNK: usize = 112;
/// More calls than any kernel stack has room for.
const MOST: usize = 512;

/// Return addresses of the drivers' calls, innermost first, from the call that
/// returns to `caller` out to the routine that the box called. To be called in
/// a routine that the driver called. Only `caller` if the unwind data does not
/// tell the rest.
pub fn driver_calls(caller: usize) -> Vec<usize> {
    let end = frames::end_of_box(caller);
    let slots = (end.stack_pointer.saturating_sub(8)..end.stack_pointer + THUNK)
        .step_by(8)
        .rev();
    slots
        .filter(|slot| try_read_usize(*slot) == Some(caller))
        .find_map(|slot| unwind(caller, slot, end.frame_pointer))
        .unwrap_or_else(|| vec![caller])
}

/// Unwinds from the return address `caller` that lies at `slot`, with `frame` in rbp.
fn unwind(caller: usize, slot: usize, frame: usize) -> Option<Vec<usize>> {
    let known = [
        (Register::RSP, slot as u64 + 8),
        (Register::RBP, frame as u64),
    ];
    let mut state = State(known.into());
    let mut calls = Vec::new();
    let mut at = caller;
    while let Some(image) = image_at(at) {
        if calls.len() == MOST || !is_return_address(at) {
            return None;
        }
        calls.push(at);
        at = caller_of(image, at, &mut state)?;
    }
    follows_call(at).then_some(calls)
}

/// Bytes that are no instructions of an epilog; no function is longer.
static NO_EPILOG: [u8; 1 << 20] = [0; 1 << 20];

/// Where the function with the return address `at` returns to.
fn caller_of(image: &Image, at: usize, state: &mut State) -> Option<usize> {
    let bytes = |rva: usize, bytes: usize| {
        // SAFETY: headers and read-only sections of a loaded image stay mapped and unchanged.
        unsafe { std::slice::from_raw_parts((image.base + rva) as *const u8, bytes) }
    };
    if !image.is_loaded() || image.functions.rva == 0 {
        return None;
    }
    let table = FunctionTableEntries::parse(bytes(image.functions.rva, image.functions.bytes));
    let rva = u32::try_from(at - image.base).ok()?;
    // A function that calls has unwind data. Its last instruction may be the call.
    let function = table.lookup(rva - 1)?;
    let rva = rva.min(function.end_address.get().saturating_sub(1));
    if function.end_address.get() - rva > NO_EPILOG.len() as u32 {
        return None;
    }
    let rest = |wanted: u32| {
        // Behind a call there is no epilog. A jump there would be taken for the end of one.
        if wanted == rva {
            return Some(&NO_EPILOG[..]);
        }
        let rva = wanted as usize;
        let section = image.section_at(image.base + rva)?;
        Some(bytes(rva, section.rva + section.bytes - rva))
    };
    let found = table.unwind_frame(state, rest, rva)?;
    usize::try_from(found).ok()
}

/// Where the function begins that the return address `at` lies in; `None` without unwind data.
pub fn function_at(at: usize) -> Option<usize> {
    let image = image_at(at)?;
    if !image.is_loaded() || image.functions.rva == 0 {
        return None;
    }
    let table = image.base + image.functions.rva;
    // SAFETY: read-only sections of a loaded image stay mapped and unchanged.
    let bytes = unsafe { std::slice::from_raw_parts(table as *const u8, image.functions.bytes) };
    let rva = u32::try_from(at - image.base).ok()?;
    let function = FunctionTableEntries::parse(bytes).lookup(rva - 1)?;
    Some(image.base + function.begin_address.get() as usize)
}

/// Registers as far as they are known.
struct State(HashMap<Register, u64>);

impl UnwindState for State {
    fn read_register(&mut self, register: Register) -> u64 {
        self.0.get(&register).copied().unwrap_or(0)
    }
    fn read_stack(&mut self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        try_read(usize::try_from(address).ok()?, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }
    fn write_register(&mut self, register: Register, value: u64) {
        self.0.insert(register, value);
    }
    fn write_xmm_register(&mut self, _: pe_unwind_info::x86_64::XmmRegister, _: u128) {}
}
