//! One frame of a driver on a stack, by the unwind data of its image, and the handler that it names.
//!
//! "x64 exception handling" in the documentation of Visual C++.

#![expect(unsafe_code, reason = "unwind data is read in the image")]

use super::{Image, image_at};
use pe_unwind_info::x86_64::{
    FunctionTableEntries, Register, RuntimeFunction, UnwindInfo, UnwindInfoFlags, UnwindOperation,
    UnwindState,
};
use std::ops::ControlFlow;

/// A function that runs, as exceptions meet it.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Address of the image.
    pub image_base: usize,
    /// Address of its entry in the table of functions; 0 of a function that saves nothing and has none.
    pub function: usize,
    /// What its handler finds the frame's variables by.
    pub establisher: u64,
    /// The routine that is asked about exceptions in it.
    pub handler: Option<Handler>,
}

/// A language's handler.
#[derive(Clone, Copy)]
pub struct Handler {
    /// Its address.
    pub routine: usize,
    /// Address of what the language has left there for it.
    pub data: usize,
    /// Asked when a handler is looked for.
    pub on_exception: bool,
    /// Called when the frame is left.
    pub on_unwind: bool,
}

/// The frame of the code at `at`, which `state` has the registers of; `state` has those of its caller
/// afterwards, all but the instruction, which is returned. `None` if it lies in no loaded image, or
/// the unwind data or the stack is damaged.
///
/// That `at` could be in an epilog is not looked at: nothing there calls, or touches what is not stack.
pub fn unwind_frame(at: usize, state: &mut impl UnwindState) -> Option<(Frame, u64)> {
    let image = image_at(at).filter(|image| image.is_loaded())?;
    let rva = u32::try_from(at - image.base).ok()?;
    let mut frame = Frame {
        image_base: image.base,
        function: 0,
        establisher: state.read_register(Register::RSP),
        handler: None,
    };
    let Some(function) = function_of(image, rva) else {
        return Some((frame, pop(state)?));
    };
    frame.function = std::ptr::from_ref(function).addr();
    let offset = rva - function.begin_address.get();
    let mut part = Part::at(image, function)?;
    let in_body = offset >= u32::from(part.info.prolog_size) || part.chained().is_some();
    if let Some(register) = part.info.frame_register().filter(|_| in_body) {
        let base = state.read_register(register);
        let above = u64::from(part.info.frame_register_offset_raw()) * 16;
        frame.establisher = base.wrapping_sub(above);
    }
    let mut done = Some(offset);
    loop {
        let operations = part.info.unwind_operations();
        let operations = operations
            .filter(|(_, operation)| !matches!(operation, UnwindOperation::EpilogInformation(_)));
        // Those of the prolog that have been carried out, which are listed backwards.
        let carried_out =
            operations.skip_while(|(at, _)| done.is_some_and(|done| u32::from(*at) > done));
        for (_, operation) in carried_out {
            let flow = part.info.resolve_operation(state, &operation)?;
            if let ControlFlow::Break(caller) = flow {
                return Some((frame, caller));
            }
        }
        let Some(first) = part.chained() else { break };
        part = Part::at(image, first)?;
        done = None;
    }
    frame.handler = in_body.then(|| part.handler(image)).flatten();
    Some((frame, pop(state)?))
}

/// Takes the return address from the stack.
fn pop(state: &mut impl UnwindState) -> Option<u64> {
    let stack = state.read_register(Register::RSP);
    let caller = state.read_stack(stack)?;
    state.write_register(Register::RSP, stack + 8);
    Some(caller)
}

/// A part of a function: a compiler may have moved some of it away from the rest, and chained it to that.
struct Part {
    info: UnwindInfo<'static>,
    /// What follows the operations, whose number is made even.
    trailer: &'static [u8],
}

impl Part {
    fn at(image: &'static Image, function: &RuntimeFunction) -> Option<Self> {
        let rva = function.unwind_info_address.get() as usize;
        let section = image.section_at(image.base + rva)?;
        let bytes = read(image, rva, section.rva + section.bytes - rva);
        let info = UnwindInfo::parse(bytes)?;
        let operations = usize::from(info.unwind_codes_len).next_multiple_of(2);
        let trailer = bytes.get(4 + 2 * operations..)?;
        Some(Self { info, trailer })
    }
    /// The part that this one is chained to.
    fn chained(&self) -> Option<&'static RuntimeFunction> {
        let chained = self.info.flags().contains(UnwindInfoFlags::CHAININFO);
        let entry = FunctionTableEntries::parse(self.trailer.get(..12)?);
        chained.then(|| entry.functions()?.first()).flatten()
    }
    /// A function's handler is that of its first part, which the others are chained to.
    fn handler(&self, image: &Image) -> Option<Handler> {
        let flags = self.info.flags();
        let named = flags.intersects(UnwindInfoFlags::EHANDLER | UnwindInfoFlags::UHANDLER);
        let (routine, data) = self.trailer.split_first_chunk()?;
        named.then(|| Handler {
            routine: image.base + u32::from_le_bytes(*routine) as usize,
            data: data.as_ptr().addr(),
            on_exception: flags.contains(UnwindInfoFlags::EHANDLER),
            on_unwind: flags.contains(UnwindInfoFlags::UHANDLER),
        })
    }
}

/// Headers or a read-only section of an image.
fn read(image: &'static Image, rva: usize, bytes: usize) -> &'static [u8] {
    // SAFETY: those of a loaded image stay mapped and unchanged.
    unsafe { std::slice::from_raw_parts((image.base + rva) as *const u8, bytes) }
}

fn function_of(image: &'static Image, rva: u32) -> Option<&'static RuntimeFunction> {
    let table = read(image, image.functions.rva, image.functions.bytes);
    FunctionTableEntries::parse(table).lookup(rva)
}

/// The image at `at`, and its entry of the table of functions for that; both as addresses.
pub fn function_entry(at: usize) -> Option<(usize, usize)> {
    let image = image_at(at).filter(|image| image.is_loaded())?;
    let entry = function_of(image, u32::try_from(at - image.base).ok()?)?;
    Some((image.base, std::ptr::from_ref(entry).addr()))
}
