//! Programs for Windows that a machine without Windows lacks: one file under the name of each.
//!
//! | name | instead of | does |
//! |---|---|---|
//! | `stampinf`, `inf2cat`, `infverif` | the Windows Driver Kit's | the same, with the code of wdk-kit |
//! | `dlltool` | the toolchain's, which calls an assembler that it does not bring | import libraries, by the toolchain's LLD |
//! | `rc` | the Windows SDK's | the same, by LLVM's for Linux |
//! | `git`, `openssl`, `osslsigncode` | themselves | starts them, on Linux |
//! | `makecert`, `certmgr`, `signtool` | the kit's | the same, with `openssl` and `osslsigncode`, and directories for certificate stores |
//! | `cargo`, `rust-script`, `wdk-kit` | themselves, in a run of the tasks without a compiler | what the tasks need of them |
//!
//! Each takes the options that are published, as far as wdk-build's makefile gives them, and
//! refuses what the program would refuse: another option, a file that is not there, a name in
//! `${}` that nobody has put a value for.
//!
//! | variable | |
//! |---|---|
//! | `STAND_IN_LOG` | the file that each call is written to, a line |
//! | `STAND_IN_IDLE` | a call whose line has one of these lines in it does nothing, and ends well |
//! | `STAND_IN_RC` | LLVM's resource compiler, on Linux |
//! | `STAND_IN_STORES` | the directory of the certificate stores |

use anyhow::{Context, Result, bail};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

mod arguments;
mod cargo;
mod certificates;
mod dlltool;
mod inf;
mod linux;
mod resources;
mod rust_script;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    // Not the path of the file: on Linux the names are links.
    let itself = std::env::args_os().next().context("no name")?;
    let itself = std::path::Path::new(&itself);
    let name = itself.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let line = format!("{name} {}", arguments.join(" "));
    record(&line)?;
    if let Some(argument) = arguments.iter().find(|argument| argument.contains("${")) {
        bail!("{name}: {argument:?} has a name where its value belongs");
    }
    if is_idle(&line) {
        return Ok(ExitCode::SUCCESS);
    }
    let done = match &*name {
        "cargo" => cargo::run(&arguments),
        "rust-script" => rust_script::run(&arguments),
        "wdk-kit" => wdk_kit::command_line::run().map(|()| ExitCode::SUCCESS),
        "stampinf" => inf::stampinf(&arguments),
        "inf2cat" => inf::inf2cat(&arguments),
        "infverif" => inf::infverif(&arguments),
        "dlltool" => dlltool::run(&arguments),
        "git" | "openssl" | "osslsigncode" => linux::run(&format!("/usr/bin/{name}"), &arguments),
        "rc" => resources::rc(&arguments),
        "makecert" => certificates::makecert(&arguments),
        "certmgr" => certificates::certmgr(&arguments),
        "signtool" => certificates::signtool(&arguments),
        _ => bail!("{name} is the name of none of the programs that this one stands for"),
    };
    done.with_context(|| name.clone())
}

fn record(line: &str) -> Result<()> {
    let Some(log) = std::env::var_os("STAND_IN_LOG") else {
        return Ok(());
    };
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.with_context(|| log.display().to_string())
}

fn is_idle(line: &str) -> bool {
    let idle = std::env::var("STAND_IN_IDLE").unwrap_or_default();
    let mut parts = idle.lines().filter(|part| !part.is_empty());
    parts.any(|part| line.contains(part))
}
