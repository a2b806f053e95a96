//! The programs that build on Windows: what brings them, and where they lie.
//!
//! The toolchain is rustup's for `x86_64-pc-windows-gnu`, with the driver's target. The one that
//! users have, for `x86_64-pc-windows-msvc`, would link build scripts with Microsoft's linker and
//! libraries, which are not to be had here.

use crate::machine::directory;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use wdk_kit::compiler::{Choice, Kind};
use wdk_kit::process;
use wdk_kit::processor::Processor;
use wdk_kit::requirements::{PROGRAM_LINKER, Requirements};

/// The toolchain, as rustup calls it.
pub const TOOLCHAIN: &str = "1.95.0-x86_64-pc-windows-gnu";

/// Where the toolchain keeps the programs of its own host.
const TOOLS: &str = "lib/rustlib/x86_64-pc-windows-gnu/bin";

/// Where the toolchain keeps the import libraries of its own host.
const LIBRARIES: &str = "lib/rustlib/x86_64-pc-windows-gnu/lib/self-contained";

/// The version of LLVM's library that bindgen loads, as PyPI has it.
const LIBCLANG: &str = "18.1.1";

/// A program from the registry of crates, built here for Windows.
struct Crate {
    name: &'static str,
    version: &'static str,
    options: &'static [&'static str],
}

/// The programs that the tasks run in.
const CRATES: [Crate; 2] = [
    Crate {
        name: "cargo-make",
        version: "0.37.24",
        // Without optimisation: it starts other programs and does little else.
        options: &["--debug", "--no-default-features"],
    },
    // wdk-build's makefile asks cargo to install this version, and cargo finds that it is there if
    // it was built with the options that it would take.
    Crate {
        name: "rust-script",
        version: "0.30.0",
        options: &[],
    },
];

/// A toolchain that runs on Windows.
#[derive(Debug)]
pub struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// Has rustup install it, unless it is there.
    ///
    /// # Errors
    /// When rustup is missing or fails; nothing else brings this toolchain.
    pub fn install() -> Result<Self> {
        let needed = || {
            let target = Processor::X64.target();
            format!(
                "missing: the Rust toolchain {TOOLCHAIN} (rustc.exe and cargo.exe) with the \
                 target {target}, which rustup alone brings"
            )
        };
        let mut home = Command::new("rustup");
        let home = process::capture(home.args(["show", "home"])).with_context(needed)?;
        let toolchain = Self {
            root: PathBuf::from(home.trim())
                .join("toolchains")
                .join(TOOLCHAIN),
        };
        if !toolchain.is_complete() {
            eprintln!("windows: rustup brings the toolchain {TOOLCHAIN}");
            rustup(&[
                "toolchain",
                "install",
                TOOLCHAIN,
                "--force-non-host",
                "--profile",
                "minimal",
            ])
            .with_context(needed)?;
            let target = Processor::X64.target();
            rustup(&["target", "add", "--toolchain", TOOLCHAIN, target]).with_context(needed)?;
            ensure!(
                toolchain.is_complete(),
                "{}; rustup left it incomplete",
                needed()
            );
        }
        Ok(toolchain)
    }

    fn is_complete(&self) -> bool {
        let library = format!("lib/rustlib/{}/lib", Processor::X64.target());
        let parts = ["bin/rustc.exe", "bin/cargo.exe", &*library];
        parts.iter().all(|part| self.root.join(part).exists())
            && self.root.join(TOOLS).join("rust-lld.exe").exists()
    }

    /// The directories of its programs.
    #[must_use]
    pub fn programs(&self) -> [PathBuf; 2] {
        [self.root.join("bin"), self.root.join(TOOLS)]
    }

    /// A library of its own host.
    #[must_use]
    pub fn library(&self, name: &str) -> PathBuf {
        self.root.join(LIBRARIES).join(name)
    }
}

fn rustup(words: &[&str]) -> Result<()> {
    process::run(Command::new("rustup").args(words))
}

/// Builds cargo-make.exe and rust-script.exe, unless they are there, and returns their directory.
///
/// # Errors
/// When a compiler is missing, or cargo fails.
pub fn crates() -> Result<PathBuf> {
    let tools = directory().join("tools");
    let compiler = Requirements::program_compiler(Choice::Auto);
    let compiler = compiler.map_err(|missing| anyhow::anyhow!("missing: {}", missing.what))?;
    for Crate {
        name,
        version,
        options,
    } in CRATES
    {
        if tools.join(format!("bin/{name}.exe")).exists() {
            continue;
        }
        eprintln!("windows: building {name}.exe {version}");
        let mut cargo = compiler.cargo();
        cargo.args(["install", "--quiet", "--locked", name, "--version", version]);
        cargo.args(options).arg("--root").arg(&tools);
        cargo.args(compiler.target_arguments(Kind::Program));
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", PROGRAM_LINKER);
        process::run(&mut cargo)?;
    }
    Ok(tools.join("bin"))
}

/// Downloads `libclang.dll`, unless it is there, and returns its directory.
///
/// # Errors
/// When pip is missing or fails.
pub fn libclang() -> Result<PathBuf> {
    let llvm = directory().join("llvm");
    let library = "libclang.dll";
    if llvm.join(library).exists() {
        return Ok(llvm);
    }
    eprintln!("windows: downloading {library} {LIBCLANG}");
    let downloads = directory().join("downloads");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps"]);
    pip.args(["--platform", "win_amd64", "--only-binary=:all:", "--dest"]);
    pip.arg(&downloads).arg(format!("libclang=={LIBCLANG}"));
    process::run(&mut pip).with_context(|| {
        format!("missing: {library} of LLVM, from the package libclang {LIBCLANG} of PyPI")
    })?;
    let wheels = wdk_kit::files::below(&downloads)?;
    let wheel = wheels.iter().find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("libclang-{LIBCLANG}-"))
    });
    let Some(wheel) = wheel else {
        bail!("pip left no package in {}", downloads.display());
    };
    let unpacked = downloads.join("unpacked");
    let mut unpack = Command::new("python3");
    unpack.args(["-m", "zipfile", "--extract"]);
    process::run(unpack.arg(wheel).arg(&unpacked))?;
    let found = wdk_kit::files::below(&unpacked)?;
    let found = found.iter().find(|file| file.ends_with(library));
    let found = found.with_context(|| format!("{} has no {library}", wheel.display()))?;
    wdk_kit::files::copy_if_changed(found, &llvm.join(library))?;
    std::fs::remove_dir_all(&downloads).with_context(|| downloads.display().to_string())?;
    Ok(llvm)
}
