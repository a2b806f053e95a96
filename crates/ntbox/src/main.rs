//! The `ntbox` command: loads legacy file-system filter drivers and runs programs over them.

mod command;

fn main() -> std::process::ExitCode {
    command::main()
}
