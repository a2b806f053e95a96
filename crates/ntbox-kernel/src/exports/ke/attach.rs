//! Threads that use the memory of another process.
//!
//! All memory of the box is in one address space: what changes is which process the current one is.
//!
//! Source: `KeStackAttachProcess`, `KeUnstackDetachProcess` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::nt::KAPC_STATE;
use crate::processor::{irql, process, thread};
use crate::verifier::{rules, violation};
use std::ffi::c_void;
use std::ptr::null_mut;

/// `KeStackAttachProcess`: the state keeps what to go back to.
pub unsafe extern "win64" fn stack_attach_process(
    process: *mut c_void,
    state: *mut KAPC_STATE,
    caller: usize,
) {
    irql::require("KeStackAttachProcess", caller);
    // Nothing changes for a thread that stays in its own process.
    let other = match thread::current().process() {
        own if own == process => null_mut(),
        _ => process,
    };
    let before = KAPC_STATE {
        Process: process::attach(other, state.addr(), caller).cast(),
        ..KAPC_STATE::default()
    };
    // SAFETY: the driver passes the memory of a state.
    unsafe { state.write(before) };
}

/// `KeUnstackDetachProcess`.
pub unsafe extern "win64" fn unstack_detach_process(state: *mut KAPC_STATE, caller: usize) {
    irql::require("KeUnstackDetachProcess", caller);
    // SAFETY: the driver passes the state of the call that attached.
    let before = unsafe { (*state).Process };
    if !process::detach(before.cast(), state.addr()) {
        violation(
            &rules::DETACHED_WITHOUT_ATTACH,
            "a thread is detached that is not attached to a process with this state".to_owned(),
            &[("detached by", caller)],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::ps::get_current_process;
    use crate::nt::DISPATCH_LEVEL;
    use crate::processor::thread::Regions;
    use crate::verifier::capture;

    #[test]
    fn a_thread_is_attached_as_long_as_it_uses_another_process() {
        let (system, user) = (thread::system_process(), thread::user_process());
        let (mut outer, mut inner) = (KAPC_STATE::default(), KAPC_STATE::default());
        let before = Regions::current();
        // SAFETY: a process of the box, and a state of this test, here and below.
        unsafe { stack_attach_process(user, &raw mut outer, 7) };
        assert_eq!(Regions::current(), before, "its own");
        assert_eq!(process::attached_by(), 0);
        // SAFETY: as above.
        unsafe { stack_attach_process(system, &raw mut inner, 8) };
        assert_eq!(process::attached_by(), 8);
        let (now, found) = capture(|| before.after("routine", 1, null_mut()));
        assert_eq!((now, process::attached_by()), (before, 0));
        let told = found.iter().map(|found| found.rule.name);
        assert_eq!(told.collect::<Vec<_>>(), [rules::ATTACHED_LEFT.name]);
        // SAFETY: as above.
        unsafe { unstack_detach_process(&raw mut outer, 0) };
    }

    #[test]
    fn attachments_lie_in_each_other() {
        let (system, user) = (thread::system_process(), thread::user_process());
        // SAFETY: no arguments.
        let now = || unsafe { get_current_process() };
        let (mut outer, mut inner) = (KAPC_STATE::default(), KAPC_STATE::default());
        assert_eq!(now(), user);
        // SAFETY: processes of the box, and states of this test, here and below.
        unsafe { stack_attach_process(system, &raw mut outer, 0) };
        assert_eq!(now(), system);
        // SAFETY: as above.
        unsafe { stack_attach_process(user, &raw mut inner, 0) };
        assert_eq!(now(), user);
        assert_eq!(
            thread::current().process(),
            user,
            "whose thread it is stays"
        );
        // SAFETY: as above.
        unsafe { unstack_detach_process(&raw mut inner, 0) };
        assert_eq!(now(), system);
        let ((), found) = capture(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL);
            // SAFETY: as above.
            unsafe { unstack_detach_process(&raw mut outer, 0) };
        });
        assert_eq!((now(), found.len()), (user, 1));
    }
}
