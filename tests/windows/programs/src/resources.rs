//! `rc`: the resource compiler of the Windows SDK, by LLVM's.
//!
//! Source: "Using RC (The RC Command Line)".

use crate::arguments::Arguments;
use crate::linux;
use anyhow::{Context, Result};
use std::process::ExitCode;

/// Compiles a resource script. `STAND_IN_RC` names LLVM's compiler; it does not preprocess, which
/// would take another program.
pub fn rc(arguments: &[String]) -> Result<ExitCode> {
    let arguments = Arguments::parse(arguments, &["/nologo"], &["/fo"])?;
    let script = arguments.present_file()?.display().to_string();
    let compiler = std::env::var("STAND_IN_RC").context("STAND_IN_RC is not set")?;
    let options = ["/no-preprocess", "/fo", arguments.value("/fo")?, &script];
    linux::run(&compiler, &options.map(str::to_owned))
}
