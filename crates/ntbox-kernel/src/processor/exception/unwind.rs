//! The second pass: the frames inside the handler's are left, then the handler runs. `RtlUnwindEx`.

#![expect(unsafe_code, reason = "handlers of drivers are called")]

use super::context::{COLLIDED_UNWIND, EXIT_UNWIND, RAX, RSP, Record, TARGET_UNWIND, UNWINDING};
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
    let innermost = Active::innermost();
    // SAFETY: the list holds frames of this thread that are still there.
    let asked = (!innermost.is_null()).then(|| unsafe { (*innermost).kind });
    let Some(Kind::Asked { context, .. }) = asked else {
        no_such_frame(caller)
    };
    // SAFETY: it lives in the frame that has called the handler.
    let context = unsafe { &*context };
    // SAFETY: the innermost one is of the list.
    let mut walk = Walk::new(context, unsafe { Active::outer_of(innermost) });
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
            Active::ask(Kind::Left(dispatcher), record, context, dispatcher);
        }
        if is_target {
            before.instruction = target;
            before.general[RAX] = value;
            Active::leave(before.general[RSP]);
            // SAFETY: the frame is alive, above this one, and its handler has named the target.
            unsafe { go_on(&before) }
        }
    }
}

#[cold]
fn no_such_frame(caller: usize) -> ! {
    let parameters = [STATUS_BAD_STACK, caller as u64, 0, 0];
    verifier::bug_check(KMODE_EXCEPTION_NOT_HANDLED, parameters, caller)
}
