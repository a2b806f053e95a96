//! The second pass: the frames inside the handler's are left, then the handler runs. `RtlUnwindEx`.

#![expect(unsafe_code, reason = "handlers of drivers are called")]

use super::context::{COLLIDED_UNWIND, EXIT_UNWIND, RAX, Record, TARGET_UNWIND, UNWINDING};
use super::raise::go_on;
use super::search::{Active, Kind, Step, Walk, dispatcher};
use crate::nt::NTSTATUS;
use crate::verifier;

/// `STATUS_UNWIND`, `STATUS_BAD_STACK`.
const STATUS_UNWIND: NTSTATUS = 0xC000_0027_u32.cast_signed();
const STATUS_BAD_STACK: u64 = 0xC000_0028;
/// `KMODE_EXCEPTION_NOT_HANDLED`.
const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1E;

/// Leaves the frames inside the one of `establisher`, and goes on in that at `target` with `value` in
/// rax. To be called by a handler that is being asked; `caller` is who asks for it.
pub fn unwind(
    establisher: u64,
    target: u64,
    record: Option<&mut Record>,
    value: u64,
    caller: usize,
) -> ! {
    let mut own = Record::new(STATUS_UNWIND, 0, caller as u64, &[]);
    let record = record.unwrap_or(&mut own);
    record.flags |= UNWINDING;
    if establisher == 0 {
        record.flags |= EXIT_UNWIND;
    }
    let mut active = Active::innermost();
    // A filter may ask for it, too.
    while let Some(filter) = active.filter(|active| matches!(active.kind, Kind::Filter)) {
        active = filter.outer();
    }
    let Some((asked, Kind::Asked { context, .. })) = active.map(|active| (active, active.kind))
    else {
        no_such_frame(caller)
    };
    // SAFETY: it lies in the frame that has called the handler, or below the one that has raised.
    let context = unsafe { &*context };
    let mut walk = Walk::new(context, asked.entered, asked.outer());
    loop {
        record.flags &= !(TARGET_UNWIND | COLLIDED_UNWIND);
        let (frame, mut before, scope) = match walk.next() {
            Step::Frame(frame, before) => (frame, before, 0),
            Step::Collided(frame, before, scope) => {
                record.flags |= COLLIDED_UNWIND;
                (frame, before, scope)
            }
            Step::End => no_such_frame(caller),
        };
        let is_target = frame.establisher == establisher;
        if is_target {
            record.flags |= TARGET_UNWIND;
        }
        if let Some(handler) = frame.handler.filter(|handler| handler.on_unwind) {
            let context = &raw const before;
            let mut dispatcher = dispatcher(&frame, &handler, &mut before, target, scope);
            let dispatcher = &raw mut dispatcher;
            let left = Kind::Left(dispatcher);
            Active::ask(left, walk.entered(), record, context, dispatcher);
        }
        if is_target {
            before.instruction = target;
            before.general[RAX] = value;
            walk.leave();
            // SAFETY: the frame is alive, and its handler has named the target.
            unsafe { go_on(&before, walk.entered()) }
        }
    }
}

#[cold]
fn no_such_frame(caller: usize) -> ! {
    let parameters = [STATUS_BAD_STACK, caller as u64, 0, 0];
    verifier::bug_check(KMODE_EXCEPTION_NOT_HANDLED, parameters, caller)
}
