//! Filters in C, compiled here by clang as a driver of Visual Studio and by mingw-w64's GCC: correct
//! code is not accused.

#![cfg(unix)]

use fsglass_tests::c_filters::{Compiler, build, build_with_mistake, strip};
use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile, repository};
use std::ffi::OsStr;
use std::path::Path;

/// Runs `ntbox COMMAND --driver DRIVER…` with more arguments.
fn run(command: &str, drivers: &[&Path], arguments: &[&str]) -> Ended {
    let mut line: Vec<&OsStr> = vec![command.as_ref()];
    for driver in drivers {
        line.extend(["--driver".as_ref(), driver.as_os_str()]);
    }
    line.extend(arguments.iter().map(OsStr::new));
    ntbox(line)
}

/// Whatever the options, nothing is said about a driver that does nothing wrong.
fn is_clean(name: &str, compiler: Compiler) {
    let filter = build(name, compiler);
    for verify in ["standard", "all"] {
        run("run", &[&filter], &["--ops", "2000", "--verify", verify])
            .expect_code(0)
            .expect_output(&format!("{name:<12} unloaded, nothing left behind"));
    }
    let rounds = ["--ops", "500", "--rounds", "2"];
    run("diff", &[&filter], &rounds).expect_code(0);
    let ours = drivers::fsglass(Profile::Release);
    for order in [[&*filter, &*ours], [&*ours, &*filter]] {
        let unloadable = ["--setting", "fsglass:AllowUnload=1", "--ops", "1000"];
        run("run", &order, &unloadable).expect_code(0);
    }
}

#[test]
fn a_pass_through_by_clang_is_clean() {
    is_clean("pass_through", Compiler::Msvc);
}

#[test]
fn a_pass_through_by_gcc_is_clean() {
    is_clean("pass_through", Compiler::Mingw);
}

/// The routine that forgets, as reports name it.
const FORGETS: &str = "pass_through!Completed (tests/c_filters/pass_through.c:";

/// Runs a filter that does not hand on that a request was pended, and expects to be told of `place`.
fn is_told(driver: &Path, arguments: &[&str], place: &str) {
    run("run", &[driver], &[&["--ops", "2000"], arguments].concat())
        .expect_code(1)
        .expect_output("violation of PendingReturnedNotPropagated")
        .expect_output(place);
}

#[test]
fn functions_and_lines_come_from_a_pdb_or_from_dwarf() {
    for compiler in [Compiler::Msvc, Compiler::Mingw, Compiler::ClangForMingw] {
        let driver = build_with_mistake("pass_through", compiler, "FORGETS_TO_MARK");
        is_told(&driver, &[], FORGETS);
    }
}

/// Without lines there are names; without names, a file that has them, if it is of the same build.
#[test]
fn what_was_stripped_is_found_where_it_is_said_to_be() {
    let driver = build_with_mistake("pass_through", Compiler::Mingw, "FORGETS_TO_MARK");
    let directory = tempfile::tempdir().expect("a directory");
    let names = strip(&driver, &["--strip-debug"], directory.path());
    is_told(&names, &[], "pass_through!Completed");
    let nothing = strip(&driver, &["--strip-all"], directory.path());
    // A PDB beside an image that names none is another's.
    let pdb = build("pass_through", Compiler::Msvc).with_extension("pdb");
    std::fs::copy(pdb, nothing.with_extension("pdb")).expect("a copy");
    is_told(&nothing, &[], "completion routine  pass_through+0x");
    // GNU's linker exports what is not static.
    is_told(&nothing, &[], "dispatch routine    pass_through!Dispatch\n");
    let symbols = driver.to_string_lossy();
    is_told(&nothing, &["--symbols", &symbols], FORGETS);

    let another = build("pass_through", Compiler::Mingw);
    let arguments = ["--ops", "10", "--symbols", &another.to_string_lossy()];
    run("run", &[&nothing], &arguments)
        .expect_code(2)
        .expect_output("no symbols of these very builds");
}

/// A PDB that lies elsewhere.
#[test]
fn a_pdb_is_found_where_it_is_said_to_be() {
    let driver = build_with_mistake("pass_through", Compiler::Msvc, "FORGETS_TO_MARK");
    let directory = tempfile::tempdir().expect("a directory");
    let alone = directory.path().join("pass_through.sys");
    std::fs::copy(&driver, &alone).expect("a copy");
    is_told(&alone, &[], "pass_through+0x");
    let symbols = driver.with_extension("pdb");
    is_told(&alone, &["--symbols", &symbols.to_string_lossy()], FORGETS);
}

/// Each thing that a driver may do with exceptions comes out as on Windows: the driver tries them all.
#[test]
fn exceptions_find_their_handlers() {
    let filter = build("exceptions", Compiler::Msvc);
    run("run", &[&filter], &["--ops", "500"])
        .expect_code(0)
        .expect_output("exceptions: all as it should be")
        .expect_output("exceptions   unloaded, nothing left behind");
}

/// Whatever the options, stacked, and loaded twice.
#[test]
fn exceptions_are_clean() {
    is_clean("exceptions", Compiler::Msvc);
}

/// What no handler may take, or none wants, is reported where it happened.
#[test]
fn what_is_not_handled_is_reported_as_it_was() {
    let wrong = [
        (
            "TOUCHES_UNGUARDED",
            "PageFault (0x50",
            "at  exceptions!Read (tests/c_filters/exceptions.c:",
        ),
        (
            "TOUCHES_AT_DISPATCH",
            "PageFault (0xD1",
            "at  exceptions!Read (tests/c_filters/exceptions.c:",
        ),
        (
            "TOUCHES_SYSTEM",
            "PageFault (0x50",
            "reads 0xffff900000000000",
        ),
        (
            "COPIES_UNGUARDED",
            "PageFault (0x50",
            "called by exceptions, reads 0x10",
        ),
        (
            "RAISES_UNGUARDED",
            "ExceptionNotHandled",
            "ExRaiseStatus raises 0xC000003E, and no handler of the driver takes that: bug check 0x1E",
        ),
        (
            "HANDLES_OTHERS",
            "ExceptionNotHandled",
            "0x1E KMODE_EXCEPTION_NOT_HANDLED (0xC000003E",
        ),
        (
            "PROBES_UNGUARDED",
            "ExceptionNotHandled",
            "ProbeForWrite raises STATUS_ACCESS_VIOLATION",
        ),
        (
            "LOCKS_UNGUARDED",
            "ExceptionNotHandled",
            "MmProbeAndLockPages raises STATUS_ACCESS_VIOLATION",
        ),
        (
            "BREAKS_UNGUARDED",
            "BadInstruction",
            "at  exceptions!Break (tests/c_filters/exceptions.c:",
        ),
        (
            "BREAKS_BY_ROUTINE",
            "ExceptionNotHandled",
            "DbgBreakPointWithStatus raises STATUS_BREAKPOINT, and no handler",
        ),
    ];
    for (mistake, rule, what) in wrong {
        let filter = build_with_mistake("exceptions", Compiler::Msvc, mistake);
        let ended = run("run", &[&filter], &["--ops", "50"]);
        ended
            .expect_code(1)
            .expect_output(&format!("violation of {rule}"))
            .expect_output(what);
        // At DISPATCH_LEVEL that is of no use, and nobody guards a breakpoint.
        if !rule.contains("0xD1") && rule != "BadInstruction" {
            ended.expect_output("inside __try");
        }
    }
}

/// Routines for strings and memory raise where a program's pointer leads nowhere; without a handler, and in the
/// system's memory, that is a fault.
#[test]
fn strings_of_programs_raise_where_they_are_not_there() {
    let filter = build("strings", Compiler::Msvc);
    run("run", &[&filter], &["--ops", "50"])
        .expect_code(0)
        .expect_output("strings: 39 raised, 0 did not")
        .expect_output("strings: printing goes on with all and 1, 2, 3, 4");
    let wrong = [
        ("UNGUARDED", "PageFault", "called by strings, reads 0x10000"),
        ("FREED", "UseAfterFree", "called by strings, reads offset 0"),
    ];
    for (mistake, rule, what) in wrong {
        let filter = build_with_mistake("strings", Compiler::Msvc, mistake);
        run("run", &[&filter], &["--ops", "50"])
            .expect_code(1)
            .expect_output(&format!("violation of {rule}"))
            .expect_output(what);
    }
}

/// A driver that caches a file of its own: what it writes comes back by paging requests, with its lock held.
#[test]
fn a_file_of_the_driver_is_cached() {
    let filter = build("cached", Compiler::Msvc);
    run("run", &[&filter], &["--ops", "50"])
        .expect_code(0)
        .expect_output("cached: 00000000, 8192 bytes of the second half")
        .expect_output(
            "cached: the file is as it was written, written by paging requests, with the lock acquired",
        )
        .expect_output("cached: 1000 bytes by a list, the last is a5")
        .expect_output("cached: fast I/O 1 1, 64 bytes, the last is 5a, then at 4128")
        .expect_output("cached: behind the end 1 c0000011")
        .expect_output("cached: behind the allocation 0, in doubt denied")
        .expect_output("cached: 00000000, 1 handle, access 0012019f")
        .expect_output("cached: another thread");
    for (mistake, routine) in [
        ("TWICE", "CcMdlReadComplete"),
        ("WRITTEN_TWICE", "CcMdlWriteComplete"),
    ] {
        let filter = build_with_mistake("cached", Compiler::Msvc, mistake);
        run("run", &[&filter], &["--ops", "50"])
            .expect_code(1)
            .expect_output("violation of BadFree")
            .expect_output(&format!("{routine} was called for 0x"))
            .expect_output("is no list of pages that the cache has lent")
            .expect_output("cached!ByLists (");
    }
    let filter = build_with_mistake("cached", Compiler::Msvc, "BEYOND");
    run("run", &[&filter], &["--ops", "50"])
        .expect_code(1)
        .expect_output("violation of BeyondCachedFile")
        .expect_output("cached!Read (");
}

/// Handlers have what is left of the kernel stack, and once an exception was raised there is no more of it.
#[test]
fn the_kernel_stack_ends_where_it_does_whatever_was_raised() {
    let filter = build("deep", Compiler::Msvc);
    run("run", &[&filter], &["--ops", "50"])
        .expect_code(0)
        .expect_output("deep: 40 calls");
    let too_deep = [
        ("IN_A_FILTER", "of deep!Deep ("),
        ("FINALLY", "of deep!Deep ("),
        ("IN_A_HANDLER", "of deep!Deep ("),
        ("BEHIND_A_HANDLER", "of deep!Deep ("),
        ("ENDLESS_FILTERS", "of deep!FilterWithin ("),
        ("ENDLESS_HANDLERS", "of deep!HandlerWithin ("),
    ];
    for (mistake, who) in too_deep {
        let filter = build_with_mistake("deep", Compiler::Msvc, mistake);
        run("run", &[&filter], &["--ops", "50"])
            .expect_code(1)
            .expect_output("violation of StackUsedUp")
            .expect_output(who);
    }
}

/// Wherever the thread is looked at: in the driver, in its filter, or where an exception is handled.
#[test]
fn a_filter_that_resumes_for_ever_is_at_fault() {
    let filter = build_with_mistake("exceptions", Compiler::Msvc, "RESUMES_FOR_EVER");
    run("run", &[&filter], &["--ops", "50", "--patience", "6"])
        .expect_code(1)
        .expect_output("ntbox: loading exceptions: no request has finished for 6 seconds")
        .expect_output("  at fault:")
        .expect_output("exceptions!");
}

/// When memory is short, a routine that raises does so: to a handler, or to nobody.
#[test]
fn memory_that_is_short_is_an_exception() {
    let each = ["--every-failure", "--ops", "20"];
    let filter = build("exceptions", Compiler::Msvc);
    run("run", &[&filter], &each).expect_code(0);
    let filter = build_with_mistake("exceptions", Compiler::Msvc, "ALLOCATES_UNGUARDED");
    run("run", &[&filter], &["--ops", "20"]).expect_code(0);
    run("run", &[&filter], &each)
        .expect_code(1)
        .expect_output("0x1E KMODE_EXCEPTION_NOT_HANDLED (0xC000009A");
}

#[test]
fn requests_of_its_own_by_clang_are_clean() {
    is_clean("own_requests", Compiler::Msvc);
}

#[test]
fn requests_of_its_own_by_gcc_are_clean() {
    is_clean("own_requests", Compiler::Mingw);
}

#[test]
fn a_monitor_by_clang_is_clean() {
    is_clean("monitor", Compiler::Msvc);
}

#[test]
fn a_monitor_by_gcc_is_clean() {
    is_clean("monitor", Compiler::Mingw);
}

#[test]
fn a_queue_with_a_cancel_routine_is_clean() {
    is_clean("holds", Compiler::Msvc);
}

/// Requests are cancelled before a filter has them, and while it holds them; files are copied all the same.
#[test]
fn what_a_filter_holds_is_cancelled_there() {
    let filter = build("holds", Compiler::Msvc);
    let tree = repository().join("tests/c_filters");
    let copy = format!("copy:{}", tree.display());
    for work in [
        &["--ops", "4000"][..],
        &["--workload", &copy, "--may-pend", "--threads", "2"],
    ] {
        let ended = run("run", &[&filter], work);
        ended.expect_code(0);
        let (held, there, before) = ended
            .output
            .lines()
            .find_map(counts_of_holds)
            .expect("what the filter has counted");
        assert!(
            held > there && there > 0 && before > 0,
            "{held} {there} {before}"
        );
    }
}

/// The numbers in what the filter prints at its end.
fn counts_of_holds(line: &str) -> Option<(u32, u32, u32)> {
    let counts = line.trim_start().strip_prefix("DbgPrint: holds: ")?;
    let numbers = counts
        .split_whitespace()
        .filter_map(|word| word.parse().ok());
    let [held, there, before] = Vec::from_iter(numbers)[..] else {
        return None;
    };
    Some((held, there, before))
}

#[test]
fn what_goes_wrong_with_a_queue_is_told() {
    let mistakes = [
        ("LEAVES_IT_QUEUED", "UseAfterFree", "CompleteCancelled"),
        ("FORGETS_TO_LOOK", "IrpCancelField", "Cancelled"),
    ];
    each_is_told("holds", &mistakes);
}

/// Builds the filter with each mistake by each compiler, and expects the rule and who broke it.
fn each_is_told(name: &str, mistakes: &[(&str, &str, &str)]) {
    for (mistake, rule, place) in mistakes {
        for compiler in [Compiler::Msvc, Compiler::Mingw] {
            let filter = build_with_mistake(name, compiler, mistake);
            run("run", &[&filter], &["--ops", "2000"])
                .expect_code(1)
                .expect_output(&format!("violation of {rule}"))
                .expect_output(&format!("{name}!{place} ("));
        }
    }
}

#[test]
fn what_goes_wrong_with_requests_of_its_own_is_told() {
    let mistakes = [
        ("FREES_A_THREADED_REQUEST", "ThreadedRequestFreed", "Flush"),
        ("LETS_COMPLETION_GO_ON", "OwnRequestNotStopped", "QuerySize"),
        ("CANCELS_TOO_LATE", "DriverBugCheck", "FilterDispatch"),
        ("KEEPS_THE_PAGES", "LockedPagesLeft", "ReadTwice"),
        ("KEEPS_THE_LIST", "LeakAtUnload", "ReadTwice"),
        ("LOCKED_TO_THE_END", "LockedMdlFreed", "ReadAhead"),
    ];
    each_is_told("own_requests", &mistakes);
}

#[test]
fn what_goes_wrong_in_a_monitor_is_told() {
    let mistakes = [
        (
            "KEEPS_ITS_ENTRIES",
            "LeakAtUnload",
            // By what the headers inline there.
            "FilterDispatch",
        ),
        ("NAMES_AT_DISPATCH", "IrqlTooHigh", "NoteName"),
        ("LOCKS_TWICE", "SpinLock", "Append"),
        (
            "DELETES_THE_LIST_TWICE",
            "LookasideListDeleted",
            "FilterStop",
        ),
    ];
    each_is_told("monitor", &mistakes);
}

/// A routine that ntbox lacks is named, and can be stubbed; what was called is told, and no violation.
#[test]
fn what_is_missing_is_stubbed_if_that_is_said() {
    let driver = build_with_mistake("pass_through", Compiler::Mingw, "NEEDS_WHAT_IS_MISSING");
    let (short, name) = (["--ops", "500"], "IoGetConfigurationInformation");
    run("run", &[&driver], &short)
        .expect_code(1)
        .expect_output(&format!("ntoskrnl.exe!{name} (the nearest there is: "))
        .expect_output("--stub NAME=STATUS");
    run("check", &[&driver], &short)
        .expect_code(1)
        .expect_output(&format!(
            "  not covered: ntoskrnl.exe!{name} (the nearest there is: "
        ))
        .expect_output("A routine that is beside the point is bound with --stub NAME=STATUS.");
    let stub = format!("{name}=0");
    let with_stub = [&short[..], &["--stub", &stub]].concat();
    let called = format!(
        "{name} is a stub: it returned STATUS_SUCCESS 1 time, first to unloaded pass_through!FilterStart ("
    );
    for command in ["run", "diff"] {
        run(command, &[&driver], &with_stub)
            .expect_code(0)
            .expect_output(&called);
    }
    run("run", &[&driver], &["--stub", "IofCallDriver=0"]).expect_code(2);
}
