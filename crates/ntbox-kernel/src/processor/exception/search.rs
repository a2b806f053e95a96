//! The first pass: which handler takes an exception. `RtlDispatchException`.

#![expect(unsafe_code, reason = "handlers of drivers are called")]

use super::context::{
    COLLIDED_UNWIND, Context, Dispatcher, NESTED_CALL, NONCONTINUABLE, RSP, Record, call,
};
use crate::pe_image::crossing::{self, Entered};
use crate::pe_image::frame::{Frame, Handler, unwind_frame};
use std::cell::Cell;

/// `EXCEPTION_DISPOSITION`.
const CONTINUE_EXECUTION: i32 = 0;

/// A handler that is being called, and what a walk over the stack that comes to its frame goes on with.
pub(super) struct Active {
    pub(super) kind: Kind,
    /// The routine that a walk goes on in.
    pub(super) entered: Entered,
    /// The innermost routine when it was called.
    around: Entered,
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
    /// Called by a handler of the box, which is one of the others.
    Filter,
}

thread_local! {
    /// The innermost of this thread.
    static ACTIVE: Cell<*const Active> = const { Cell::new(std::ptr::null()) };
}

impl Active {
    /// The innermost one.
    pub(super) fn innermost<'a>() -> Option<&'a Self> {
        // SAFETY: the list holds frames of this thread that are still there.
        unsafe { ACTIVE.get().as_ref() }
    }
    /// The one around it.
    pub(super) fn outer<'a>(&self) -> Option<&'a Self> {
        // SAFETY: as above.
        unsafe { self.outer.as_ref() }
    }
    /// It, and those around it.
    fn outwards(first: Option<&Self>) -> impl Iterator<Item = &Self> {
        std::iter::successors(first, |active| active.outer())
    }
    fn during(kind: Kind, entered: Entered, called: impl FnOnce() -> i32) -> i32 {
        let active = Self {
            kind,
            entered,
            around: crossing::entered(),
            outer: ACTIVE.get(),
        };
        ACTIVE.set(&raw const active);
        let result = called();
        ACTIVE.set(active.outer);
        result
    }
    /// Calls what a handler of the box calls for the driver.
    pub(super) fn within(called: impl FnOnce() -> i32) -> i32 {
        Self::during(Kind::Filter, Entered::default(), called)
    }
    /// Calls a handler, which is known as active meanwhile; a walk goes on in the routine that was `entered`.
    pub(super) fn ask(
        kind: Kind,
        entered: Entered,
        record: &mut Record,
        context: *const Context,
        dispatcher: *mut Dispatcher,
    ) -> i32 {
        let record = &raw mut *record;
        // SAFETY: the callers pass one that is alive.
        let establisher = unsafe { (*dispatcher).establisher } as usize;
        // SAFETY: as above.
        let routine = unsafe { (*dispatcher).routine };
        let (record, context, dispatcher) = (record.addr(), context.addr(), dispatcher.addr());
        Self::during(kind, entered, || {
            // SAFETY: the unwind data of the driver names it as a handler.
            unsafe { call(record, establisher, context, dispatcher, routine) }
        })
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
pub(super) struct Walk<'a> {
    context: Context,
    /// The routine that it is in.
    entered: Entered,
    /// The innermost handler that has not been come by.
    active: Option<&'a Active>,
    /// Frames up to this one have been asked about an exception whose handler raised this one.
    nested: u64,
}

impl<'a> Walk<'a> {
    /// From `context` in the routine that was `entered`.
    pub(super) fn new(context: &Context, entered: Entered, active: Option<&'a Active>) -> Self {
        Self {
            context: *context,
            entered,
            active,
            nested: 0,
        }
    }

    pub(super) fn is_nested(&self, frame: &Frame) -> bool {
        frame.establisher <= self.nested
    }

    /// The routine of the last frame.
    pub(super) fn entered(&self) -> Entered {
        self.entered
    }

    /// The handlers that it has come by are left for good.
    pub(super) fn leave(&self) {
        ACTIVE.set(self.active.map_or(std::ptr::null(), std::ptr::from_ref));
    }

    /// The handler that has been called at the end of the routine that the walk is in.
    fn caller(&self) -> Option<&'a Active> {
        let outer = self.entered.outer();
        Active::outwards(self.active).find(|active| active.around.is(&outer))
    }

    /// Goes on with the frames that the handler was asked about, if it is where one was called; with the scope of a
    /// frame that is being left.
    fn come_by_handlers(&mut self) -> Option<u32> {
        let mut scope = None;
        while self.entered.ends_at(self.context.general[RSP])
            && let Some(mut active) = self.caller()
        {
            if let Kind::Filter = active.kind {
                // By a handler of the box, which was called by what is around it.
                active = active.outer()?;
            }
            self.entered = active.entered;
            self.active = active.outer();
            match active.kind {
                Kind::Asked {
                    context,
                    establisher,
                } => {
                    // SAFETY: it lies below the frame that has raised.
                    self.context = unsafe { *context };
                    self.nested = establisher;
                    scope = None;
                }
                Kind::Left(dispatcher) => {
                    // SAFETY: it lies in the frame that has called the handler.
                    let dispatcher = unsafe { &*dispatcher };
                    // SAFETY: as above.
                    self.context = unsafe { *dispatcher.context };
                    scope = Some(dispatcher.scope);
                    // Who leaves it was asked itself, and never returns.
                    let asked = |active: &&Active| matches!(active.kind, Kind::Asked { .. });
                    let asked = Active::outwards(self.active).find(asked);
                    self.active = asked.and_then(Active::outer);
                }
                Kind::Filter => return None,
            }
        }
        scope
    }

    pub(super) fn next(&mut self) -> Step {
        let scope = self.come_by_handlers();
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
    let entered = crossing::entered();
    let mut walk = Walk::new(context, entered, Active::innermost());
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
        if Active::ask(asked, entered, record, context, &mut dispatcher) == CONTINUE_EXECUTION {
            return match record.flags & NONCONTINUABLE {
                0 => Found::GoOn,
                _ => Found::GoOnWrongly,
            };
        }
    }
}
