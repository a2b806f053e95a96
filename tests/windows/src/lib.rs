//! The Windows build of fsglass, by Windows programs, on a machine without Windows.
//!
//! Cargo, rustc, cargo-make and rust-script are those that a Windows machine runs, in Debian's
//! Wine; the crates are the published ones, unpatched, and the lock file is the committed one.
//! What stands in for the Windows Driver Kit is made here.
//!
//! | module | for |
//! |---|---|
//! | [`toolchain`] | what is installed and downloaded, and where it lies |
//! | [`kit`] | the folder of the Windows Driver Kit |
//! | [`scripts`] | where rust-script builds |
//! | [`image`], [`package`] | what was made in Wine, held against what is made on Linux |
//! | [`machine`] | a Wine that looks like a machine for drivers, and commands in it |
//!
//! Everything lies below `target/windows`:
//!
//! ```text
//! fsglass/    the workspace again, with its own target folder; W:\fsglass in Wine
//! tools/      cargo-make.exe and rust-script.exe
//! programs/   what stands in for programs that are missing
//! llvm/       libclang.dll
//! scripts/    what rust-script.exe has built
//! wine/       Wine's disk C: and its registry, made anew in each run
//! NAME.txt    what the commands of a scenario have printed
//! ```

pub mod image;
pub mod kit;
pub mod machine;
pub mod package;
pub mod scripts;
pub mod toolchain;
