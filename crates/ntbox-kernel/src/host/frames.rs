//! The frames that the box itself has on the stack of this thread.

#![expect(unsafe_code, reason = "the host's unwinder is asked")]

/// Registers in the code that called into the box.
#[derive(Clone, Copy, Default)]
pub struct End {
    /// The stack pointer of the first code that has no unwind data of the host.
    pub stack_pointer: usize,
    /// Its rbp, on which the frames of some functions hang.
    pub frame_pointer: usize,
}

/// Where the box's frames end that were made since the call that returns to `caller`: the host's
/// unwinder goes through code with unwind data, which a driver's is not, nor the thunk that it may
/// have called.
#[cfg(unix)]
pub fn end_of_box(caller: usize) -> End {
    let mut walk = itanium::Walk {
        caller,
        end: End::default(),
    };
    // SAFETY: the callback is given the pointer back while the walk is alive.
    unsafe { itanium::_Unwind_Backtrace(itanium::visit, (&raw mut walk).cast()) };
    walk.end
}

/// The interface of the unwinder that Rust links to, from the Itanium C++ ABI.
#[cfg(unix)]
mod itanium {
    use super::End;
    use std::ffi::{c_int, c_void};

    pub(super) struct Walk {
        pub(super) caller: usize,
        pub(super) end: End,
    }

    /// `_URC_NO_REASON` and `_URC_NORMAL_STOP`.
    const GO_ON: c_int = 0;
    const END_OF_WALK: c_int = 4;
    /// The number of rbp in the DWARF debugging format.
    const RBP: c_int = 6;

    pub(super) extern "C" fn visit(context: *mut c_void, walk: *mut c_void) -> c_int {
        // SAFETY: `end_of_box` passes it, and nobody else looks at it meanwhile.
        let walk = unsafe { &mut *walk.cast::<Walk>() };
        // SAFETY: the unwinder's context is valid during the call.
        let instruction = unsafe { _Unwind_GetIP(context) };
        // SAFETY: as above.
        walk.end.stack_pointer = unsafe { _Unwind_GetCFA(context) };
        // SAFETY: as above; a register that every function saves is always known.
        walk.end.frame_pointer = unsafe { _Unwind_GetGR(context, RBP) };
        if instruction == walk.caller {
            END_OF_WALK
        } else {
            GO_ON
        }
    }

    unsafe extern "C" {
        pub(super) fn _Unwind_Backtrace(
            visit: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
            argument: *mut c_void,
        ) -> c_int;
        fn _Unwind_GetIP(context: *mut c_void) -> usize;
        fn _Unwind_GetGR(context: *mut c_void, register: c_int) -> usize;
        fn _Unwind_GetCFA(context: *mut c_void) -> usize;
    }
}

/// As on other hosts, by the unwind data of the programs and libraries that Windows has loaded.
#[cfg(all(windows, target_arch = "x86_64"))]
pub fn end_of_box(caller: usize) -> End {
    use windows_sys::Win32::System::Diagnostics::Debug as api;
    let mut registers = api::CONTEXT::default();
    // SAFETY: room for the registers of this function.
    unsafe { api::RtlCaptureContext(&raw mut registers) };
    while registers.Rip != caller as u64 {
        let mut base = 0;
        // SAFETY: a table is looked up.
        let function = unsafe {
            api::RtlLookupFunctionEntry(registers.Rip, &raw mut base, std::ptr::null_mut())
        };
        if function.is_null() {
            break;
        }
        let (mut data, mut frame) = (std::ptr::null_mut(), 0);
        // SAFETY: the registers of a frame of this thread, in a function with that unwind data.
        unsafe {
            api::RtlVirtualUnwind(
                api::UNW_FLAG_NHANDLER,
                base,
                registers.Rip,
                function,
                &raw mut registers,
                &raw mut data,
                &raw mut frame,
                std::ptr::null_mut(),
            )
        };
    }
    End {
        stack_pointer: registers.Rsp as usize,
        frame_pointer: registers.Rbp as usize,
    }
}

/// Nobody is asked: the calls further out stay unknown.
#[cfg(not(any(unix, all(windows, target_arch = "x86_64"))))]
pub fn end_of_box(_caller: usize) -> End {
    End::default()
}
