//! `__C_specific_handler`: the handler of functions with `__try`.
//!
//! What it finds beside the unwind data is a table of scopes, the inner ones first: from where to
//! where, the filter or what `__finally` does, and where the code of `__except` begins.

#![expect(unsafe_code, reason = "the table is read, and filters are called")]

use super::context::{Context, Dispatcher, EXIT_UNWIND, Record, TARGET_UNWIND, UNWINDING};
use super::search::Active;
use super::unwind::unwind;

/// `EXCEPTION_DISPOSITION`.
const CONTINUE_EXECUTION: i32 = 0;
const CONTINUE_SEARCH: i32 = 1;

/// A scope that has this in the place of a filter takes everything.
const EXECUTE_HANDLER: u32 = 1;

/// One scope; addresses are relative to the image.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scope {
    begin: u32,
    end: u32,
    /// The filter; of a scope without target, its `__finally`.
    handler: u32,
    /// Where `__except` begins.
    target: u32,
}

/// The scopes of a table that lie around an instruction, from number `first` on, with their numbers.
///
/// # Safety
/// `table` is the address of a table in an image that is loaded.
unsafe fn scopes(table: usize, first: u32, control: u32) -> impl Iterator<Item = (u32, Scope)> {
    let table: *const u32 = std::ptr::with_exposed_provenance(table);
    // SAFETY: contract: its length is in front.
    let count = unsafe { table.read() };
    (first..count)
        .map(move |number| {
            let first = table.wrapping_add(1).cast::<Scope>();
            let scope = first.wrapping_add(number as usize);
            // SAFETY: contract: it is one of the table's.
            (number, unsafe { scope.read_unaligned() })
        })
        .filter(move |(_, scope)| (scope.begin..scope.end).contains(&control))
}

/// `EXCEPTION_POINTERS`.
#[repr(C)]
struct Pointers {
    record: *mut Record,
    context: *mut Context,
}

/// Calls a filter, or what `__finally` does.
///
/// # Safety
/// As [`super::context::call`], with two arguments.
unsafe fn call(first: usize, establisher: usize, routine: usize) -> i32 {
    // SAFETY: contract.
    Active::within(|| unsafe { super::context::call(first, establisher, 0, 0, routine) })
}

/// `__C_specific_handler`.
///
/// # Safety
/// Called as handlers are; the function has a table of scopes.
pub unsafe extern "win64" fn c_specific_handler(
    record: *mut Record,
    establisher: u64,
    context: *mut Context,
    dispatcher: *mut Dispatcher,
) -> i32 {
    // SAFETY: contract: valid during the call, and the caller does not touch it meanwhile.
    let record = unsafe { &mut *record };
    // SAFETY: contract; an exception in what is called here reads it, and the number of the scope.
    let frame = unsafe { dispatcher.read() };
    let base = frame.image_base;
    let relative = |address: u64| address.wrapping_sub(base) as u32;
    let control = relative(frame.control);
    // SAFETY: contract.
    let scopes = unsafe { scopes(frame.data, frame.scope, control) };
    if record.flags & (UNWINDING | EXIT_UNWIND) == 0 {
        let pointers = Pointers { record, context };
        for (_, scope) in scopes.filter(|(_, scope)| scope.target != 0) {
            let verdict = if scope.handler == EXECUTE_HANDLER {
                1
            } else {
                let filter = base as usize + scope.handler as usize;
                // SAFETY: the table names it as a filter, which takes these two.
                unsafe { call((&raw const pointers).addr(), establisher as usize, filter) }
            };
            if verdict < 0 {
                return CONTINUE_EXECUTION;
            }
            if verdict > 0 {
                let code = u64::from(record.code.cast_unsigned());
                let target = base + u64::from(scope.target);
                unwind(establisher, target, Some(record), code, target as usize)
            }
        }
        return CONTINUE_SEARCH;
    }
    let target = relative(frame.target);
    let arrives = record.flags & TARGET_UNWIND != 0;
    for (number, scope) in scopes {
        // What the target lies in, too, is not left.
        if arrives && ((scope.begin..scope.end).contains(&target) || scope.target == target) {
            break;
        }
        if scope.target == 0 {
            // Whatever happens in it, it is not called again.
            // SAFETY: contract.
            let next = unsafe { &raw mut (*dispatcher).scope };
            // SAFETY: a field of it.
            unsafe { next.write_volatile(number + 1) };
            let finally = base as usize + scope.handler as usize;
            // SAFETY: the table names it as what is done at the end, abnormally.
            unsafe { call(1, establisher as usize, finally) };
        }
    }
    CONTINUE_SEARCH
}
