//! Filters in C, compiled here by clang as a driver of Visual Studio and by mingw-w64's GCC: correct
//! code is not accused.

#![cfg(unix)]

use fsglass_tests::c_filters::{Compiler, build};
use fsglass_tests::command::{Ended, ntbox};
use fsglass_tests::drivers::{self, Profile};
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
            .expect_output(&format!("{name} unloaded, nothing left behind"));
    }
    run("diff", &[&filter], &["--ops", "500", "--rounds", "2"]).expect_code(0);
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
