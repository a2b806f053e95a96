//! The `wdk-kit` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match wdk_kit::command_line::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wdk-kit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
