//! The filters in C of `tests/c_filters`, compiled as they are asked for.
//!
//! With the kit's headers, by two compilers that leave different things behind, as drivers in C
//! are met: see [`Compiler`]. What is built lies in `target/c_filters`.

use crate::drivers::repository;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use wdk_kit::layout::Layout;
use wdk_kit::processor::Processor;
use wdk_kit::requirements::{PROGRAM_LINKER, Requirements};

/// Who compiles a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang and lld-link, as cl and link of Visual Studio: structured exceptions, security
    /// cookies, control flow guard, a PDB.
    Msvc,
    /// GCC and GNU ld of mingw-w64: DWARF and a COFF symbol table in the image, no PDB.
    Mingw,
}

impl Compiler {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Msvc, Self::Mingw];

    fn directory(self) -> &'static str {
        match self {
            Self::Msvc => "msvc",
            Self::Mingw => "mingw",
        }
    }
}

/// What every file is compiled with: a driver for x64, whose pool is not executable.
const DEFINITIONS: [&str; 6] = [
    "-D_AMD64_",
    "-D_WIN64",
    "-D_KERNEL_MODE",
    "-DNTDDI_VERSION=0x0A000000",
    "-D_WIN32_WINNT=0x0A00",
    "-DPOOL_NX_OPTIN=1",
];

/// Two tests of one program may ask at the same time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compiles the filter `name` (`tests/c_filters/NAME.c`) with what the filters have in common, and
/// returns the image.
///
/// # Panics
/// With what the compiler said.
#[must_use]
pub fn build(name: &str, compiler: Compiler) -> PathBuf {
    let _one = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let layout = Layout::new(repository());
    let directory = layout
        .own_target()
        .join("c_filters")
        .join(compiler.directory());
    std::fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let image = directory.join(name).with_extension("sys");
    match compiler {
        Compiler::Msvc => with_clang(name, &layout, &directory, &image),
        Compiler::Mingw => with_gcc(name, &layout, &directory, &image),
    }
    image
}

fn with_clang(name: &str, layout: &Layout, directory: &Path, image: &Path) {
    let llvm = Requirements::llvm().unwrap_or_else(|missing| panic!("{}", missing.what));
    let object = |source: &str| directory.join(source).with_extension("obj");
    let sources = [name, "filter", "msvc"];
    for source in sources {
        let mut clang = Command::new(llvm.program("clang"));
        clang
            .args(["--driver-mode=cl", "--target=x86_64-pc-windows-msvc", "/c"])
            .args(["/kernel", "/GS", "/guard:cf", "/Z7", "/O2", "/W4", "/WX"])
            .args(DEFINITIONS);
        for kind in ["km/crt", "km", "shared"] {
            clang.arg("-imsvc").arg(layout.include(kind));
        }
        clang.arg(joined("/Fo", &object(source)));
        run(clang.arg("--").arg(source_file(source)));
    }
    let mut link = Command::new(llvm.program("lld-link"));
    link.args(["/driver", "/subsystem:native", "/entry:GsDriverEntry"])
        .args(["/nodefaultlib", "/guard:cf", "/debug"])
        .arg(joined("/out:", image))
        .args(sources.map(object));
    for library in ["ntoskrnl.lib", "hal.lib"] {
        link.arg(layout.libraries(Processor::X64).join(library));
    }
    run(&mut link);
}

fn with_gcc(name: &str, layout: &Layout, directory: &Path, image: &Path) {
    let object = |source: &str| directory.join(source).with_extension("o");
    let sources = [name, "filter"];
    for source in sources {
        let mut gcc = Command::new(PROGRAM_LINKER);
        gcc.args(["-c", "-g", "-O2", "-Wall", "-Wextra", "-Werror"])
            // The pragmas of others, and pool tags.
            .args(["-Wno-unknown-pragmas", "-Wno-multichar"])
            .args(DEFINITIONS);
        for kind in ["km/crt", "km"] {
            gcc.arg("-isystem").arg(layout.include(kind));
        }
        run(gcc.arg("-o").arg(object(source)).arg(source_file(source)));
    }
    let mut link = Command::new(PROGRAM_LINKER);
    link.args(["-shared", "-nostdlib"])
        .arg("-Wl,--subsystem,native,--entry,DriverEntry,--dynamicbase,--nxcompat")
        .arg("-o")
        .arg(image)
        .args(sources.map(object));
    run(link.args(["-lntoskrnl", "-lhal"]));
}

fn source_file(name: &str) -> PathBuf {
    repository()
        .join("tests/c_filters")
        .join(name)
        .with_extension("c")
}

/// An option and its file, in one argument.
fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}\n`wdk-kit setup --c` installs the compilers")
    });
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
