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
use wdk_kit::requirements::{Llvm, PROGRAM_LINKER, Requirements};

/// Who compiles a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang and lld-link, as cl and link of Visual Studio: structured exceptions, security
    /// cookies, control flow guard, a PDB.
    Msvc,
    /// GCC and GNU ld of mingw-w64: DWARF and a COFF symbol table in the image, no PDB.
    Mingw,
    /// The same with clang in the place of GCC.
    ClangForMingw,
}

impl Compiler {
    fn directory(self) -> &'static str {
        match self {
            Self::Msvc => "msvc",
            Self::Mingw => "mingw",
            Self::ClangForMingw => "clang-mingw",
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
    build_with(name, compiler, None)
}

/// As [`build`], with a mistake that the filter knows by a name in capitals.
///
/// # Panics
/// As there.
#[must_use]
pub fn build_with_mistake(name: &str, compiler: Compiler, mistake: &str) -> PathBuf {
    build_with(name, compiler, Some(mistake))
}

fn build_with(name: &str, compiler: Compiler, mistake: Option<&str>) -> PathBuf {
    let _one = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let layout = Layout::new(repository());
    let directory = layout
        .own_target()
        .join("c_filters")
        .join(compiler.directory())
        .join(mistake.unwrap_or_default());
    std::fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let image = directory.join(name).with_extension("sys");
    let build = Build {
        name,
        definition: mistake.map(|mistake| format!("-D{mistake}")),
        layout: &layout,
        directory: &directory,
        image: &image,
    };
    match compiler {
        Compiler::Msvc => build.for_msvc(),
        Compiler::Mingw => build.for_mingw(&mut || Command::new(PROGRAM_LINKER)),
        Compiler::ClangForMingw => build.for_mingw(&mut || {
            let mut clang = Command::new(llvm().program("clang"));
            clang.arg("--target=x86_64-w64-windows-gnu");
            clang
        }),
    }
    image
}

/// A filter that is being built.
struct Build<'b> {
    name: &'b str,
    definition: Option<String>,
    layout: &'b Layout,
    directory: &'b Path,
    image: &'b Path,
}

impl Build<'_> {
    fn for_msvc(&self) {
        let object = |source: &str| self.directory.join(source).with_extension("obj");
        let sources = [self.name, "filter", "msvc"];
        for source in sources {
            let mut clang = Command::new(llvm().program("clang"));
            clang
                .args(["--driver-mode=cl", "--target=x86_64-pc-windows-msvc", "/c"])
                .args(["/kernel", "/GS", "/guard:cf", "/Z7", "/O2", "/W4", "/WX"])
                .args(DEFINITIONS)
                .args(&self.definition);
            for kind in ["km/crt", "km", "shared"] {
                clang.arg("-imsvc").arg(self.layout.include(kind));
            }
            clang.arg(joined("/Fo", &object(source)));
            run(clang.arg("--").arg(source_file(source)));
        }
        let mut link = Command::new(llvm().program("lld-link"));
        link.args(["/driver", "/subsystem:native", "/entry:GsDriverEntry"])
            .args(["/nodefaultlib", "/guard:cf", "/debug"])
            .arg(joined("/out:", self.image))
            .args(sources.map(object));
        for library in ["ntoskrnl.lib", "hal.lib"] {
            link.arg(self.layout.libraries(Processor::X64).join(library));
        }
        run(&mut link);
    }

    /// Linked by GNU's linker, whoever compiles.
    fn for_mingw(&self, compiler: &mut dyn FnMut() -> Command) {
        let object = |source: &str| self.directory.join(source).with_extension("o");
        let sources = [self.name, "filter"];
        for source in sources {
            let mut command = compiler();
            command
                .args(["-c", "-g", "-O2", "-Wall", "-Wextra", "-Werror"])
                // The pragmas of others, and pool tags.
                .args(["-Wno-unknown-pragmas", "-Wno-multichar"])
                .args(DEFINITIONS)
                .args(&self.definition);
            for kind in ["km/crt", "km", "shared"] {
                command.arg("-isystem").arg(self.layout.include(kind));
            }
            run(command
                .arg("-o")
                .arg(object(source))
                .arg(source_file(source)));
        }
        let mut link = Command::new(PROGRAM_LINKER);
        link.args(["-shared", "-nostdlib"])
            .arg("-Wl,--subsystem,native,--entry,DriverEntry,--dynamicbase,--nxcompat")
            // Of inline functions of the headers, clang leaves one in each file.
            .arg("-Wl,--allow-multiple-definition")
            .arg("-o")
            .arg(self.image)
            .args(sources.map(object));
        run(link.args(["-lntoskrnl", "-lhal"]));
    }
}

fn llvm() -> Llvm {
    Requirements::llvm().unwrap_or_else(|missing| panic!("{}", missing.what))
}

/// A copy of an image of [`Compiler::Mingw`] that `strip` has gone over with these options.
///
/// # Panics
/// With what the program said.
#[must_use]
pub fn strip(image: &Path, options: &[&str], directory: &Path) -> PathBuf {
    let stripped = directory.join(image.file_name().unwrap_or_default());
    let mut strip = Command::new("x86_64-w64-mingw32-strip");
    run(strip.args(options).arg("-o").arg(&stripped).arg(image));
    stripped
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
