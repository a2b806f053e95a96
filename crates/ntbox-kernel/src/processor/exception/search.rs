//! The first pass: which handler takes an exception. `RtlDispatchException`.

#![expect(unsafe_code, reason = "handlers of drivers are called")]

use super::context::{
    COLLIDED_UNWIND, Context, Dispatcher, NESTED_CALL, NONCONTINUABLE, RSP, Record, behind_call,
    call,
};
use crate::pe_image::frame::{Frame, Handler, unwind_frame};
use std::cell::Cell;

/// `EXCEPTION_DISPOSITION`.
const CONTINUE_EXECUTION: i32 = 0;

/// A handler that is being called, and what a walk over the stack that comes to its frame goes on with.
pub(super) struct Active {
    pub(super) kind: Kind,
    outer: *const Self,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Asked about an exception: the frames of what raised it, with the frame that was asked.
    Asked {
        context: *const Context,
        establisher: u64,
    },
    /// Called to leave its frame: that frame, at the scope it has come to.
    Left(*const Dispatcher),
}

thread_local! {
    /// The innermost of this thread.
    static ACTIVE: Cell<*const Active> = const { Cell::new(std::ptr::null()) };
}

impl Active {
    /// The innermost one.
    pub(super) fn innermost() -> *const Self {
        ACTIVE.get()
    }
    /// The one around `active`.
    ///
    /// # Safety
    /// `active` is of the list.
    pub(super) unsafe fn outer_of(active: *const Self) -> *const Self {
        // SAFETY: contract.
        unsafe { (*active).outer }
    }
    /// The ones below `stack_pointer` are left for good.
    pub(super) fn leave(stack_pointer: u64) {
        let mut active = ACTIVE.get();
        while !active.is_null() && (active.addr() as u64) < stack_pointer {
            // SAFETY: the list holds frames of this thread that are still there.
            active = unsafe { (*active).outer };
        }
        ACTIVE.set(active);
    }
    /// Calls a handler, which is known as active meanwhile.
    pub(super) fn ask(
        kind: Kind,
        record: &mut Record,
        context: *const Context,
        dispatcher: *mut Dispatcher,
    ) -> i32 {
        let active = Self {
            kind,
            outer: ACTIVE.get(),
        };
        ACTIVE.set(&raw const active);
        let record = &raw mut *record;
        // SAFETY: the callers pass one that is alive.
        let establisher = unsafe { (*dispatcher).establisher } as usize;
        // SAFETY: as above.
        let routine = unsafe { (*dispatcher).routine };
        // SAFETY: the unwind data of the driver names it as a handler.
        let disposition = unsafe {
            call(
                record.addr(),
                establisher,
                context.addr(),
                dispatcher.addr(),
                routine,
            )
        };
        ACTIVE.set(active.outer);
        disposition
    }
}

/// A step of a walk over the frames of drivers.
pub(super) enum Step {
    /// A frame, with the registers in it; those of its caller are in the walk.
    Frame(Frame, Context),
    /// As that, of a frame that is being left already, from this scope on.
    Collided(Frame, Context, u32),
    /// The driver was called by the box.
    End,
}

/// A walk over the frames of drivers, from the innermost outwards.
pub(super) struct Walk {
    context: Context,
    /// The innermost handler that has not been come by.
    active: *const Active,
    /// Frames up to this one have been asked about an exception whose handler raised this one.
    nested: u64,
}

impl Walk {
    pub(super) fn new(context: &Context, active: *const Active) -> Self {
        Self {
            context: *context,
            active,
            nested: 0,
        }
    }

    pub(super) fn is_nested(&self, frame: &Frame) -> bool {
        frame.establisher <= self.nested
    }

    pub(super) fn next(&mut self) -> Step {
        let mut scope = None;
        while self.context.instruction == behind_call() && !self.active.is_null() {
            // SAFETY: the list holds frames of this thread that are still there.
            let active = unsafe { &*self.active };
            self.active = active.outer;
            match active.kind {
                Kind::Asked {
                    context,
                    establisher,
                } => {
                    // SAFETY: it lives in the frame that has called the handler.
                    self.context = unsafe { *context };
                    self.nested = establisher;
                }
                Kind::Left(dispatcher) => {
                    // SAFETY: as above.
                    let dispatcher = unsafe { &*dispatcher };
                    // SAFETY: as above.
                    self.context = unsafe { *dispatcher.context };
                    scope = Some(dispatcher.scope);
                }
            }
        }
        let before = self.context;
        let Some((frame, caller)) = unwind_frame(before.instruction as usize, &mut self.context)
        else {
            return Step::End;
        };
        // A stack goes one way.
        if self.context.general[RSP] <= before.general[RSP] {
            return Step::End;
        }
        self.context.instruction = caller;
        match scope {
            Some(scope) => Step::Collided(frame, before, scope),
            None => Step::Frame(frame, before),
        }
    }
}

/// What a handler is told of its frame.
pub(super) fn dispatcher(
    frame: &Frame,
    handler: &Handler,
    context: &mut Context,
    target: u64,
    scope: u32,
) -> Dispatcher {
    Dispatcher {
        control: context.instruction,
        image_base: frame.image_base as u64,
        function: frame.function,
        establisher: frame.establisher,
        target,
        context,
        routine: handler.routine,
        data: handler.data,
        history: std::ptr::null_mut(),
        scope,
        fill: 0,
    }
}

/// How a search has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A handler has put right what was wrong: the code goes on.
    GoOn,
    /// The same, of an exception after which nothing can go on.
    GoOnWrongly,
    /// No handler wants it.
    Nobody,
}

/// Asks the handlers of the frames. Does not return if one takes the exception.
pub(super) fn search(record: &mut Record, context: &Context) -> Found {
    let mut walk = Walk::new(context, Active::innermost());
    loop {
        let (frame, mut before, scope) = match walk.next() {
            Step::Frame(frame, before) => (frame, before, 0),
            Step::Collided(frame, before, scope) => (frame, before, scope),
            Step::End => return Found::Nobody,
        };
        let Some(handler) = frame.handler.filter(|handler| handler.on_exception) else {
            continue;
        };
        record.flags &= !(NESTED_CALL | COLLIDED_UNWIND);
        if walk.is_nested(&frame) {
            record.flags |= NESTED_CALL;
        }
        let mut dispatcher = dispatcher(&frame, &handler, &mut before, 0, scope);
        let asked = Kind::Asked {
            context,
            establisher: frame.establisher,
        };
        if Active::ask(asked, record, context, &mut dispatcher) == CONTINUE_EXECUTION {
            return match record.flags & NONCONTINUABLE {
                0 => Found::GoOn,
                _ => Found::GoOnWrongly,
            };
        }
    }
}
