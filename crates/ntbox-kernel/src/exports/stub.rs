//! Imports that the box lacks, bound to a routine that does nothing but return a status.
//!
//! A driver that needs a routine for something beside the point can be run that way. What it is told is not what
//! Windows would tell it, so each call is counted, and said at the end of the run.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use super::table::thunk;
use super::{Export, Kind};
use crate::nt::{NTSTATUS, Status};
use crate::pe_image;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A stub.
#[derive(Clone, Debug)]
struct Stub {
    name: String,
    status: NTSTATUS,
    calls: u64,
    /// Behind the first call.
    first: usize,
}

static STUBS: Mutex<Vec<Stub>> = Mutex::new(Vec::new());

fn stubs() -> MutexGuard<'static, Vec<Stub>> {
    STUBS.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! routines {
    ($($number:literal)*) => {
        &[$(Export::new("", Kind::Routine, thunk!(0, called::<$number>))),*]
    };
}

/// The routines that stubs are bound to: which of them is called says which stub.
static ROUTINES: &[Export] = routines! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
};

/// What a driver calls. A status fills the register of the result: as a pointer, success is null.
unsafe extern "win64" fn called<const NUMBER: usize>(caller: usize) -> usize {
    let mut stubs = stubs();
    let Some(stub) = stubs.get_mut(NUMBER) else {
        return 0;
    };
    if stub.calls == 0 {
        stub.first = caller;
    }
    stub.calls += 1;
    stub.status.cast_unsigned() as usize
}

/// Has an import of `name` bound to a routine that returns `status`, in the drivers that are loaded from now on.
///
/// # Errors
/// The box has the routine, or there are too many stubs.
pub fn add(name: &str, status: Status) -> Result<(), String> {
    if super::by_name().contains_key(name) {
        return Err(format!("{name} is there, and needs no stub"));
    }
    let mut stubs = stubs();
    if let Some(known) = stubs.iter_mut().find(|stub| stub.name == name) {
        known.status = status.0;
    } else if stubs.len() < ROUTINES.len() {
        stubs.push(Stub {
            name: name.to_owned(),
            status: status.0,
            calls: 0,
            first: 0,
        });
    } else {
        return Err(format!("there are no more than {} stubs", ROUTINES.len()));
    }
    Ok(())
}

/// What an import of `name` is bound to, if it is to be a stub.
pub(super) fn address(name: &str) -> Option<usize> {
    let number = stubs().iter().position(|stub| stub.name == name)?;
    Some(ROUTINES[number].address())
}

/// Of each stub that was called, how often, what it returned, and who called it first.
pub fn notes() -> Vec<String> {
    let stubs = stubs().clone();
    let called = stubs.iter().filter(|stub| stub.calls != 0);
    let note = |stub: &Stub| {
        format!(
            "{} is a stub: it returned {} {} time{}, first to {}",
            stub.name,
            Status(stub.status),
            stub.calls,
            if stub.calls == 1 { "" } else { "s" },
            pe_image::describe_code(stub.first)
        )
    };
    called.map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::resolve;
    use crate::nt::STATUS_NOT_SUPPORTED;

    #[test]
    fn a_stub_returns_its_status_and_says_who_called() {
        crate::processor::thread::current();
        assert_eq!(resolve("ntoskrnl.exe", "NtNoSuchStub"), None);
        add("NtNoSuchStub", Status(STATUS_NOT_SUPPORTED)).expect("it is missing");
        add("FltNoSuchStub", Status(0)).expect("it is missing");
        let at = resolve("ntoskrnl.exe", "NtNoSuchStub").expect("a stub");
        let other = resolve("fltmgr.sys", "FltNoSuchStub").expect("a stub");
        assert_ne!(at, other);
        // SAFETY: stubs take whatever they are given.
        let call: unsafe extern "win64" fn(usize, usize) -> u32 =
            unsafe { std::mem::transmute(at) };
        assert!(notes().iter().all(|note| !note.contains("NtNoSuchStub")));
        for _ in 0..2 {
            // SAFETY: as above.
            let status = unsafe { call(1, 2) };
            assert_eq!(status.cast_signed(), STATUS_NOT_SUPPORTED);
        }
        let notes = notes();
        let note = notes
            .iter()
            .find(|note| note.starts_with("NtNoSuchStub"))
            .expect("one");
        assert!(
            note.contains("returned STATUS_NOT_SUPPORTED 2 times"),
            "{note}"
        );
        assert!(notes.iter().all(|note| !note.contains("FltNoSuchStub")));
    }

    #[test]
    fn what_is_there_needs_no_stub() {
        assert!(add("IofCallDriver", Status(0)).is_err());
    }
}
