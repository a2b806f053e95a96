//! Debug output: `DbgPrint` and its relatives.
//!
//! What drivers print goes to a sink ([`set_sink`]); without one, to standard
//! error, with `DbgPrint: ` in front of each line. Every component and level is printed. The Unicode formats are allowed
//! at `PASSIVE_LEVEL` only, which is checked.
//!
//! `DbgPrint` is variadic: a thunk stores the argument registers into their home
//! slots, in front of the arguments on the stack, and passes the address of the
//! first variable one, which is what a `va_list` is on x64.
//!
//! A string of a program that is not there is an exception for the driver, whose handler may take it; where there is
//! none, it is a fault. What Windows does with it no page says.
//!
//! Source: `DbgPrint`, `DbgPrintEx`, `vDbgPrintEx` in the DDI reference.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

pub mod format;

use crate::nt::NTSTATUS;
use crate::nt::{PASSIVE_LEVEL, STATUS_BREAKPOINT, STATUS_SUCCESS};
use crate::processor::{exception, irql};
use format::{Arguments, Text};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

super::table! {
    bare "DbgPrint" => dbg_print,
    bare "DbgPrintEx" => dbg_print_ex,
    touches(4) "vDbgPrintEx" => v_dbg_print_ex,
    touches(5) "vDbgPrintExWithPrefix" => v_dbg_print_ex_with_prefix,
    raises(0) "DbgBreakPoint" => break_point,
    raises(1) "DbgBreakPointWithStatus" => break_point_with_status,
    data "KdDebuggerEnabled" => DEBUGGER_ENABLED,
    data "KdDebuggerNotPresent" => DEBUGGER_NOT_PRESENT,
    "KdRefreshDebuggerNotPresent" => refresh_debugger_not_present,
}

/// `KdDebuggerEnabled`, `KdDebuggerNotPresent`: there is no kernel debugger.
static DEBUGGER_ENABLED: u8 = 0;
static DEBUGGER_NOT_PRESENT: u8 = 1;

type Sink = Box<dyn Fn(&str) + Send + Sync>;

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Sends what drivers print to `sink`. It is called by any thread at any IRQL.
pub fn set_sink(sink: impl Fn(&str) + Send + Sync + 'static) {
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(sink));
}

/// Prints `text` as a driver does.
pub fn write(text: &str) {
    match &*SINK.read().unwrap_or_else(PoisonError::into_inner) {
        Some(sink) => sink(text),
        None => eprint!("{}", marked(text, &BEGINS_LINE)),
    }
}

/// What is printed next to standard error begins a line.
static BEGINS_LINE: AtomicBool = AtomicBool::new(true);

/// The text with a mark in front of each line that begins in it.
fn marked(text: &str, begins_line: &AtomicBool) -> String {
    let mut marked = String::new();
    for piece in text.split_inclusive('\n') {
        if begins_line.swap(piece.ends_with('\n'), Ordering::Relaxed) {
            marked.push_str("DbgPrint: ");
        }
        marked.push_str(piece);
    }
    marked
}

/// Formats and prints.
///
/// # Safety
/// `format` is a terminated string, and the arguments fit it.
unsafe fn print(
    ddi: &'static str,
    prefix: &str,
    format: *const u8,
    arguments: *const u64,
    caller: usize,
) -> NTSTATUS {
    // Before what is to be converted is read: it may be pageable.
    let mut before_unicode = || {
        irql::require_at_most(ddi, PASSIVE_LEVEL, caller);
    };
    let text = Text::Narrow(format);
    // SAFETY: contract of the function.
    let units =
        unsafe { format::format(text, Arguments::new(arguments), false, &mut before_unicode) };
    write(&format!("{prefix}{}", String::from_utf16_lossy(&units)));
    STATUS_SUCCESS
}

/// `DbgPrint`.
#[unsafe(naked)]
unsafe extern "win64" fn dbg_print(format: *const u8) -> NTSTATUS {
    core::arch::naked_asm!(
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], r8",
        "mov [rsp + 32], r9",
        "lea rdx, [rsp + 16]",
        "jmp {print}",
        print = sym print_thunk,
    )
}

super::table::define_thunk!(print_thunk, (touches 2), print_from_thunk);
super::table::define_thunk!(print_ex_thunk, (touches 4), v_dbg_print_ex);

unsafe extern "win64" fn print_from_thunk(
    format: *const u8,
    arguments: *const u64,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: the driver passes a format and arguments that fit it.
    unsafe {
        print(
            "DbgPrint with a Unicode format",
            "",
            format,
            arguments,
            caller,
        )
    }
}

/// `DbgPrintEx`.
#[unsafe(naked)]
unsafe extern "win64" fn dbg_print_ex(component: u32, level: u32, format: *const u8) -> NTSTATUS {
    core::arch::naked_asm!(
        "mov [rsp + 32], r9",
        "lea r9, [rsp + 32]",
        "jmp {print}",
        print = sym print_ex_thunk,
    )
}

/// `vDbgPrintEx`.
unsafe extern "win64" fn v_dbg_print_ex(
    _component: u32,
    _level: u32,
    format: *const u8,
    arguments: *const u64,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: the driver passes a format and arguments that fit it.
    unsafe {
        print(
            "DbgPrintEx with a Unicode format",
            "",
            format,
            arguments,
            caller,
        )
    }
}

/// `vDbgPrintExWithPrefix`.
unsafe extern "win64" fn v_dbg_print_ex_with_prefix(
    prefix: *const u8,
    _component: u32,
    _level: u32,
    format: *const u8,
    arguments: *const u64,
    caller: usize,
) -> NTSTATUS {
    // SAFETY: the driver passes a terminated prefix.
    let prefix = String::from_utf8_lossy(unsafe { super::rtl::terminated(prefix) });
    // SAFETY: as in `v_dbg_print_ex`.
    unsafe {
        print(
            "vDbgPrintExWithPrefix with a Unicode format",
            &prefix,
            format,
            arguments,
            caller,
        )
    }
}

/// `DbgBreakPoint`: an exception without a debugger. It lies behind the call: on Windows in the routine, whose
/// breakpoint a filter that resumes has to step over.
unsafe extern "win64" fn break_point(_caller: usize) {
    exception::raise_continuable("DbgBreakPoint", STATUS_BREAKPOINT);
}

/// `DbgBreakPointWithStatus`: as `DbgBreakPoint`.
unsafe extern "win64" fn break_point_with_status(_status: u32, _caller: usize) {
    exception::raise_continuable("DbgBreakPointWithStatus", STATUS_BREAKPOINT);
}

/// `KdRefreshDebuggerNotPresent`.
unsafe extern "win64" fn refresh_debugger_not_present() -> u8 {
    DEBUGGER_NOT_PRESENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::resolve;
    use std::sync::Mutex;

    #[test]
    fn variable_arguments_come_from_registers_and_the_stack() {
        static SEEN: Mutex<String> = Mutex::new(String::new());
        set_sink(|text| {
            SEEN.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(text)
        });
        type Print =
            unsafe extern "win64" fn(*const u8, usize, usize, usize, usize, usize, i64) -> NTSTATUS;
        type PrintEx =
            unsafe extern "win64" fn(u32, u32, *const u8, usize, usize, usize) -> NTSTATUS;
        crate::processor::thread::current();
        let at = |name| resolve("ntoskrnl.exe", name).expect("bound");
        // SAFETY: called as a C compiler calls variadic functions.
        let print: Print = unsafe { std::mem::transmute(at("DbgPrint")) };
        // SAFETY: as above.
        let print_ex: PrintEx = unsafe { std::mem::transmute(at("DbgPrintEx")) };
        let text = c"text".as_ptr().addr();
        // SAFETY: the arguments fit the format.
        let status = unsafe {
            print(
                c"SEEN:%d %x %s %u %c %I64d\n".as_ptr().cast(),
                1,
                0xAB,
                text,
                4,
                0x41,
                -6,
            )
        };
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: as above.
        unsafe {
            print_ex(
                77,
                3,
                c"SEENEX:%u %s %08x\n".as_ptr().cast(),
                5,
                text,
                0xBEEF,
            )
        };
        let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(seen.contains("SEEN:1 ab text 4 A -6\n"), "{seen}");
        assert!(seen.contains("SEENEX:5 text 0000beef\n"), "{seen}");
    }

    #[test]
    fn each_line_is_marked_once() {
        let begins_line = AtomicBool::new(true);
        let all =
            ["one ", "line\nand", "", " another\n", "\n"].map(|text| marked(text, &begins_line));
        let expected = "DbgPrint: one line\nDbgPrint: and another\nDbgPrint: \n";
        assert_eq!(all.concat(), expected);
    }

    #[test]
    fn unicode_formats_above_passive_level_are_reported() {
        let wide = [u16::from(b'w'), 0];
        let arguments = [wide.as_ptr().addr() as u64];
        let ((), found) = crate::verifier::capture(|| {
            let _dispatch = irql::raised_to(crate::nt::DISPATCH_LEVEL);
            // SAFETY: the argument fits the format, here and below.
            unsafe { v_dbg_print_ex(0, 0, c"%ws\n".as_ptr().cast(), arguments.as_ptr(), 0) };
            // SAFETY: as above.
            unsafe { v_dbg_print_ex(0, 0, c"%p\n".as_ptr().cast(), arguments.as_ptr(), 0) };
        });
        assert_eq!(found.len(), 1);
        let page = "its maximum is PASSIVE_LEVEL (0), by ddi/wdm/nf-wdm-dbgprintex";
        let message = &found[0].message;
        assert!(
            message.contains("Unicode format") && message.ends_with(page),
            "{message}"
        );
    }
}
