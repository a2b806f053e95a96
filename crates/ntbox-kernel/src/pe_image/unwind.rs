//! The calls of drivers on a thread's stack, exactly: by the unwind data of their images, from where the thread
//! was interrupted or has called the box ([`super::crossing`]); never by what looks like a return address.

#![expect(unsafe_code, reason = "the table of functions is read in the image")]

use super::crossing::{self, Entered};
use super::{Image, image_at};
use crate::host::memory::try_read_usize;
use pe_unwind_info::x86_64::{FunctionTableEntries, Register, UnwindState, XmmRegister};

/// More calls than any kernel stack has room for.
const MOST: usize = 4096;

/// General registers, in the processor's order: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15.
type Registers = [u64; 16];
const RSP: usize = 4;

/// Where the calls of a thread are looked for. It can be handed to another thread while this one stands still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    entered: Entered,
    /// The instruction at which a driver was interrupted, and its registers.
    interrupted: Option<(usize, Registers)>,
}

/// A routine of a driver on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it goes on: behind a call; or behind the first byte of the instruction at which it was interrupted,
    /// or of the routine, if a jump that it ends with was its call.
    pub at: usize,
    /// Bytes of the kernel stack that it has, with its return address.
    pub bytes: usize,
}

impl Origin {
    /// This thread, in the box.
    pub fn here() -> Self {
        Self {
            entered: crossing::entered(),
            interrupted: None,
        }
    }

    /// This thread, which was interrupted. Allocates nothing: the fault handler calls this.
    pub fn interrupted(instruction: usize, registers: Registers) -> Self {
        Self::of_thread(crossing::entered(), instruction, registers)
    }

    /// A thread that has `entered` drivers and stands still at `instruction`. Allocates nothing.
    pub fn of_thread(entered: Entered, instruction: usize, registers: Registers) -> Self {
        let in_driver = image_at(instruction).is_some() || !entered.is_none() && entered.call == 0;
        Self {
            entered,
            interrupted: in_driver.then_some((instruction, registers)),
        }
    }

    /// What the routine of the box is bound to that the innermost driver has called and that has not returned, or 0:
    /// for [`super::imported_routine`]. Allocates nothing.
    pub fn called(&self) -> usize {
        let in_box = self.interrupted.is_none();
        let call = self.entered.call().filter(|_| in_box);
        call.map_or(0, |call| call.routine)
    }

    /// True if a routine of a driver was entered and has not returned.
    pub fn is_in_driver(&self) -> bool {
        !self.entered.is_none()
    }

    /// The request for which the innermost routine was entered that was entered for one, or 0.
    pub fn request(&self) -> usize {
        let entered = self.all();
        entered
            .map(|entered| entered.request)
            .find(|request| *request != 0)
            .unwrap_or(0)
    }

    /// Bytes of the kernel stack that stand for what the kernel has between the routines that it has called.
    pub fn bytes_between(&self) -> usize {
        self.all().count() * crossing::BETWEEN
    }

    /// Routines that the box has entered, the innermost first.
    fn all(&self) -> impl Iterator<Item = Entered> {
        let some = |entered: &Entered| !entered.is_none();
        let first = Some(self.entered).filter(some);
        std::iter::successors(first, move |inner| Some(inner.outer()).filter(some)).take(MOST)
    }

    /// The drivers' routines on the stack, the innermost first, up to the outermost that the box has entered.
    pub fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.each(&mut |frame| {
            frames.push(frame);
            frames.len() < MOST
        });
        frames
    }

    /// As [`Origin::frames`], told one by one until that gives false. Allocates nothing.
    pub fn each(&self, told: &mut dyn FnMut(Frame) -> bool) {
        if let Some((instruction, registers)) = self.interrupted {
            let mut state = State(registers);
            let next = if image_at(instruction).is_some() {
                step(instruction, instruction, &mut state, told)
            } else {
                // Nothing is there: what called it is all that is known.
                state.leave().filter(|caller| image_at(*caller).is_some())
            };
            // The box, on its way between the two, or where it handles a fault.
            let entry = Frame {
                at: self.entered.routine,
                bytes: 0,
            };
            if next.is_none() && image_at(instruction).is_none() && !told(entry) {
                return;
            }
            if !walk(next, &mut state, &self.entered, told) {
                return;
            }
        }
        let in_box = self.all().skip(usize::from(self.interrupted.is_some()));
        for entered in in_box {
            let Some(call) = entered.call() else { continue };
            let mut state = State::of(&call);
            let slot = call.stack_pointer;
            if slot == entered.return_slot {
                let jump = Frame {
                    at: entered.routine,
                    bytes: size_of::<usize>(),
                };
                if !told(jump) {
                    return;
                }
                continue;
            }
            let next = state.leave();
            if !walk(next, &mut state, &entered, told) {
                return;
            }
        }
    }
}

/// The drivers' calls that led to where this thread is in the box, the innermost first.
pub fn driver_calls() -> Vec<usize> {
    Origin::here()
        .frames()
        .iter()
        .map(|frame| frame.at)
        .collect()
}

/// The calls of the routine that the box called last and has not returned, as [`driver_calls`].
pub fn calls_of_routine() -> Vec<usize> {
    let entered = crossing::entered();
    let inner = Origin {
        entered,
        interrupted: None,
    };
    let outside = inner.all().nth(1).map_or(0, |outer| {
        let outer = Origin {
            entered: outer,
            interrupted: None,
        };
        outer.frames().len()
    });
    let mut calls = driver_calls();
    calls.truncate(calls.len() - outside);
    calls
}

/// Tells the frames from the return address `at` out to the routine that was entered; false if no more are wanted.
fn walk(
    mut at: Option<usize>,
    state: &mut State,
    entered: &Entered,
    told: &mut dyn FnMut(Frame) -> bool,
) -> bool {
    while let Some(address) = at
        && !entered.ends_at(state.0[RSP])
    {
        let mut wanted = true;
        // The call may be the last instruction of its function.
        at = step(address, address.wrapping_sub(1), state, &mut |frame| {
            wanted = told(frame);
            wanted
        });
        if !wanted {
            return false;
        }
    }
    true
}

/// Tells the frame of the function that `inside` lies in and returns where that returns to.
fn step(
    at: usize,
    inside: usize,
    state: &mut State,
    told: &mut dyn FnMut(Frame) -> bool,
) -> Option<usize> {
    let image = image_at(inside)?;
    let before = state.0[RSP];
    let next = caller_of(image, at, inside, state);
    let wanted = told(Frame {
        at: if at == inside { at + 1 } else { at },
        bytes: state.0[RSP].saturating_sub(before) as usize,
    });
    next.filter(|_| wanted)
}

/// Bytes that are no instructions of an epilog; no function is longer.
static NO_EPILOG: [u8; 1 << 20] = [0; 1 << 20];

/// Where the function with `inside` returns to; `at` is where it goes on.
fn caller_of(image: &Image, at: usize, inside: usize, state: &mut State) -> Option<usize> {
    if !image.is_loaded() {
        return None;
    }
    let bytes = |rva: usize, bytes: usize| {
        // SAFETY: headers and read-only sections of a loaded image stay mapped and unchanged.
        unsafe { std::slice::from_raw_parts((image.base + rva) as *const u8, bytes) }
    };
    let rva = u32::try_from(inside - image.base).ok()?;
    let function = if image.functions.rva == 0 {
        None
    } else {
        table_of(image).lookup(rva)
    };
    let behind_call = at != inside;
    let Some(function) = function else {
        // Without unwind data it calls nothing, and changes no register that is preserved.
        return if behind_call { None } else { state.leave() };
    };
    if function.end_address.get() - rva > NO_EPILOG.len() as u32 {
        return None;
    }
    // Behind a call there is no epilog. A jump there would be taken for the end of one.
    let rva = if behind_call {
        (rva + 1).min(function.end_address.get() - 1)
    } else {
        rva
    };
    let rest = |wanted: u32| {
        if behind_call && wanted == rva {
            return Some(&NO_EPILOG[..]);
        }
        let rva = wanted as usize;
        let section = image.section_at(image.base + rva)?;
        Some(bytes(rva, section.rva + section.bytes - rva))
    };
    let found = table_of(image).unwind_frame(state, rest, rva)?;
    usize::try_from(found).ok()
}

fn table_of(image: &Image) -> FunctionTableEntries<'_> {
    let table = (image.base + image.functions.rva) as *const u8;
    // SAFETY: read-only sections of a loaded image stay mapped and unchanged.
    let bytes = unsafe { std::slice::from_raw_parts(table, image.functions.bytes) };
    FunctionTableEntries::parse(bytes)
}

/// Where the function begins that the return address `at` lies in; `None` without unwind data.
pub fn function_at(at: usize) -> Option<usize> {
    let image = image_at(at)?;
    if !image.is_loaded() || image.functions.rva == 0 {
        return None;
    }
    let rva = u32::try_from(at - image.base).ok()?;
    let function = table_of(image).lookup(rva - 1)?;
    Some(image.base + function.begin_address.get() as usize)
}

/// A word of a stack: most are on this thread's, where no system call is needed.
fn word(address: usize) -> Option<usize> {
    crossing::read_own_stack(address).or_else(|| try_read_usize(address))
}

/// Registers, where a frame goes on.
struct State(Registers);

impl State {
    /// Those of a driver that has called the box; the stack pointer is at the return address.
    fn of(call: &crossing::Call) -> Self {
        let [r15, r14, r13, r12, rdi, rsi, rbp, rbx] = call.preserved.map(|value| value as u64);
        let rsp = call.stack_pointer as u64;
        Self([
            0, 0, 0, rbx, rsp, rbp, rsi, rdi, 0, 0, 0, 0, r12, r13, r14, r15,
        ])
    }

    /// Returns: the address that the stack pointer is at.
    fn leave(&mut self) -> Option<usize> {
        let address = word(self.0[RSP] as usize)?;
        self.0[RSP] += size_of::<usize>() as u64;
        Some(address)
    }
}

impl UnwindState for State {
    fn read_register(&mut self, register: Register) -> u64 {
        self.0[register as usize]
    }
    fn read_stack(&mut self, address: u64) -> Option<u64> {
        word(usize::try_from(address).ok()?).map(|value| value as u64)
    }
    fn write_register(&mut self, register: Register, value: u64) {
        self.0[register as usize] = value;
    }
    fn write_xmm_register(&mut self, _: XmmRegister, _: u128) {}
}
