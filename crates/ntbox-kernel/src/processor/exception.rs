//! Structured exceptions: from a fault or a routine that raises to the handler of a driver.
//!
//! ```text
//! a fault in a driver ──► fault ──┐
//!                                 ├──► raise ──► search ──► the handlers of its frames, outwards
//! ExRaiseStatus, ProbeForRead ────┘                 │           │ one takes it
//!                                        nobody ◄───┘           ▼
//!                                        a report            unwind ──► the handlers of the frames
//!                                                                       that are left, then its code
//! ```
//!
//! Frames are found by the unwind data of the drivers' images, and what they name as their handler is
//! called as Windows calls it, so that Microsoft's `__C_specific_handler` here, and the handlers that
//! a compiler links into a driver (`__GSHandlerCheck`), find what they expect.
//!
//! Who searches, and unwinds, does so on the host's stack, as all of the box; handlers, filters and what is done
//! finally are entered on the kernel stack as any routine of a driver, below what has raised.
//!
//! A search ends where the driver was called by the box: an exception that leaves the routine of a
//! driver would go through frames of the kernel, which hold locks and count what is under way. On
//! Windows that is a bug check for most routines, and luck for the others.
//!
//! Source: "Structured exception handling" and "x64 exception handling".

mod context;
mod guard;
mod raise;
mod scope;
mod search;
mod unwind;

pub use context::{Context, Record};
pub use guard::abandon;
pub use raise::{
    Touch, has_raised, is_unwanted, raise, raise_at_caller, raise_by_fault, raise_continuable,
    raise_memory, raise_record,
};
pub use scope::c_specific_handler;
pub use unwind::unwind;

/// The least address that belongs to no program. Windows has it higher; here the box itself lies
/// there, and programs do not.
pub const USER_END: usize = 0x1000_0000_0000;
