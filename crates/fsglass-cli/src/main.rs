//! `fsglass.exe`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fsglass_cli::main()
}
