//! What each driver of a stack does for one piece of work, counted instruction
//! by instruction: how many instructions, which kernel routines it calls, how
//! many instructions lock the bus, and what it writes to that others share.
//!
//! Counts do not depend on how busy the machine is, and they show what a time
//! does not: that a driver takes no lock and writes no shared memory.

use crate::exports;
use crate::pe_image::{self, Image};
use crate::processor::instruction;
use crate::processor::step::{self, STACK_POINTER, Step};
use iced_x86::{Code, FlowControl, InstructionInfoFactory};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// Steps that one piece of work may take.
const MOST_STEPS: usize = 1 << 20;
/// Writes this near to the stack pointer are to the thread's own stack. In bytes.
const STACK: u64 = 24 << 10;

/// What one driver did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Its instructions.
    pub instructions: usize,
    /// Kernel routines it called, with how often.
    pub calls: BTreeMap<String, usize>,
    /// Instructions that lock the bus: interlocked operations.
    pub locked: usize,
    /// Writes to memory other than the thread's stack and the request: what processors
    /// that handle different requests may share. Where, with how often.
    pub shared_writes: BTreeMap<String, usize>,
    /// The most of the stack between a call of one of its routines, by another driver or the kernel,
    /// and the deepest that it calls itself, in bytes: its frames, and the return address of that call.
    pub stack: u64,
}

/// Runs `work` step by step and returns what each driver did in it, in the order in which they
/// were first entered. `own` is memory that belongs to the work alone: its request.
///
/// # Errors
/// This host cannot single-step, or the work took more steps than are kept.
pub fn of_each_driver(
    own: &Range<usize>,
    work: impl FnOnce(),
) -> anyhow::Result<Vec<(&'static Image, Work)>> {
    let steps = step::steps_of(MOST_STEPS, work)
        .ok_or_else(|| anyhow::anyhow!("instructions can be counted on Linux hosts only"))?;
    if steps.lost > 0 {
        anyhow::bail!(
            "the work took {} instructions; {MOST_STEPS} can be counted",
            steps.steps.len() + steps.lost
        );
    }
    Ok(count(&steps.steps, own))
}

fn count(steps: &[Step], own: &Range<usize>) -> Vec<(&'static Image, Work)> {
    let mut drivers: Vec<(&'static Image, Work)> = Vec::new();
    let mut information = InstructionInfoFactory::new();
    // Routines of drivers that were called and have not returned: the driver, and the stack pointer then.
    let mut called: Vec<(&'static Image, u64)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Some(image) = pe_image::image_at(step.instruction) else {
            continue;
        };
        let place = drivers
            .iter()
            .position(|(known, _)| std::ptr::eq(*known, image))
            .unwrap_or_else(|| {
                drivers.push((image, Work::default()));
                drivers.len() - 1
            });
        let work = &mut drivers[place].1;
        let decoded = instruction::at(step.instruction);
        work.instructions += 1;
        work.stack = work.stack.max(stack_of(steps, index, image, &mut called));
        let memory = information.info(&decoded).used_memory().to_vec();
        let written = memory
            .iter()
            .filter(|used| instruction::writes(used.access()))
            .filter_map(|used| instruction::address_of(used, step));
        let mut writes_memory = false;
        for address in written {
            writes_memory = true;
            let stack = step.registers[STACK_POINTER];
            let is_own = address.abs_diff(stack) < STACK || own.contains(&(address as usize));
            if !is_own {
                let at = pe_image::describe_code(step.instruction);
                *work.shared_writes.entry(at).or_default() += 1;
            }
        }
        let exchanges = matches!(
            decoded.code(),
            Code::Xchg_rm8_r8 | Code::Xchg_rm16_r16 | Code::Xchg_rm32_r32 | Code::Xchg_rm64_r64
        );
        if decoded.has_lock_prefix() || exchanges && writes_memory {
            work.locked += 1;
        }
        if let Some(next) = steps.get(index + 1)
            && pe_image::image_at(next.instruction).is_none()
            && calls(decoded.flow_control())
        {
            let name = exports::name_at(next.instruction).unwrap_or("a routine without a name");
            *work.calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    drivers
}

/// The stack that `image`, in which the step is, takes then for its routine that was called last and has not
/// returned. Keeps `called` up to date.
fn stack_of(
    steps: &[Step],
    index: usize,
    image: &'static Image,
    called: &mut Vec<(&'static Image, u64)>,
) -> u64 {
    let is_of = |of: &Image| std::ptr::eq(of, image);
    let pointer = steps[index].registers[STACK_POINTER];
    let entered = index.checked_sub(1).is_none_or(|before| {
        let before = steps[before].instruction;
        !pe_image::image_at(before).is_some_and(is_of)
            && calls(instruction::at(before).flow_control())
    });
    // A routine that has returned is above, and one that gave its place to another where that begins.
    called.retain(|(_, entry)| *entry > pointer || *entry == pointer && !entered);
    if entered || !called.last().is_some_and(|(of, _)| is_of(of)) {
        called.push((image, pointer));
    }
    let entry = called.last().map_or(pointer, |(_, entry)| *entry);
    // What a call pushes is there at the next step.
    let next = steps.get(index + 1);
    let lowest = next.map_or(pointer, |next| next.registers[STACK_POINTER].min(pointer));
    entry - lowest
}

/// A jump out of the image is a call whose return address is that of the caller.
fn calls(flow: FlowControl) -> bool {
    matches!(
        flow,
        FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
    )
}
