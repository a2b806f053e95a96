//! What must be installed, and what is.
//!
//! The kit needs three things besides a compiler set: mingw-w64's headers, a
//! libclang for bindgen, and LLVM's linker and resource compiler. Debian's names
//! are given for what is missing; on another distribution the same files will
//! do, as long as they lie where Debian puts them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::compiler::{self, Choice, Compiler, Kind};
use crate::machine::ThisMachine;
use crate::process;
use crate::processor::Processor;

/// Where Debian puts mingw-w64's files for x86-64.
const MINGW: &str = "/usr/x86_64-w64-mingw32";

/// Where Debian puts each version of LLVM, as `llvm-N`.
const LLVM_PARENT: &str = "/usr/lib";

/// The linker of programs for Windows, in Debian's directory of programs.
pub const PROGRAM_LINKER: &str = "/usr/bin/x86_64-w64-mingw32-gcc";

/// Wine, where Debian puts it: it has no name in the search path.
pub const WINE: &str = "/usr/lib/wine/wine64";

/// The browser in which tests open pages.
pub const BROWSER: &str = "/usr/bin/chromium";

/// Debian's compiler set.
const DEBIAN_COMPILER: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// The version of LLVM whose packages are named when there is none.
const LLVM_VERSION: u32 = 19;

/// The oldest version of LLVM that bindgen and the compiler get along with.
const LLVM_MINIMUM: u32 = 16;

/// A version of LLVM with all the parts that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Llvm {
    /// Its directory, such as `/usr/lib/llvm-19`.
    pub directory: PathBuf,
    /// Its major version.
    pub version: u32,
}

impl Llvm {
    /// A program of this version.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// The directory of libclang.so.
    #[must_use]
    pub fn library_directory(&self) -> PathBuf {
        self.directory.join("lib")
    }

    /// The directory of the headers that belong to clang itself.
    #[must_use]
    pub fn resource_directory(&self) -> PathBuf {
        self.directory
            .join("lib/clang")
            .join(self.version.to_string())
    }
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is needed for, and what was looked for.
    pub what: String,
    /// Debian's packages that bring it.
    pub packages: Vec<String>,
}

/// Everything needed, found.
#[derive(Debug, Clone)]
pub struct Requirements {
    /// The compiler set.
    pub compiler: Compiler,
    /// LLVM.
    pub llvm: Llvm,
    /// The directory with mingw-w64's `include` and `lib`.
    pub mingw: PathBuf,
}

/// What a look at the machine brought to light.
#[derive(Debug)]
pub struct Findings {
    /// What is there, line by line.
    pub found: Vec<String>,
    /// What is not.
    pub missing: Vec<Missing>,
    /// Whether the compiler set is among what is missing.
    pub lacks_compiler: bool,
    requirements: Option<Requirements>,
}

impl Requirements {
    /// Looks for everything that drivers for a processor need.
    #[must_use]
    pub fn look(choice: Choice, processor: Processor) -> Findings {
        let compiler = compiler::choose(choice, Kind::Driver(processor), &ThisMachine);
        let root = Path::new("/");
        findings(compiler, llvm(root), mingw(root))
    }

    /// Looks for everything, and fails unless it is there.
    ///
    /// # Errors
    /// With what is missing and the command that installs it.
    pub fn probe(choice: Choice, processor: Processor) -> Result<Self> {
        let findings = Self::look(choice, processor);
        match findings.requirements {
            Some(requirements) => Ok(requirements),
            None => bail!("{findings}"),
        }
    }

    /// The compiler set for programs.
    ///
    /// # Errors
    /// With what is missing.
    pub fn program_compiler(choice: Choice) -> Result<Compiler, Missing> {
        compiler::choose(choice, Kind::Program, &ThisMachine).map_err(|reasons| Missing {
            what: format!("a compiler for Windows programs: {}", reasons.join("; ")),
            packages: DEBIAN_COMPILER.map(str::to_owned).into(),
        })
    }

    /// LLVM alone.
    ///
    /// # Errors
    /// With what is missing.
    pub fn llvm() -> Result<Llvm, Missing> {
        llvm(Path::new("/"))
    }

    /// The linker of programs, if it is missing.
    #[must_use]
    pub fn missing_program_linker() -> Option<Missing> {
        missing_file(PROGRAM_LINKER, "gcc-mingw-w64-x86-64-win32")
    }

    /// Wine, if it is missing.
    #[must_use]
    pub fn missing_wine() -> Option<Missing> {
        missing_file(WINE, "wine64")
    }

    /// What downloads packages of Python, if it is missing.
    #[must_use]
    pub fn missing_pip() -> Option<Missing> {
        let mut pip = Command::new("python3");
        let found = process::capture(pip.args(["-m", "pip", "--version"])).is_ok();
        (!found).then(|| Missing {
            what: "the program pip, as `python3 -m pip`".to_owned(),
            packages: vec!["python3-pip".to_owned()],
        })
    }

    /// The browser, if it is missing.
    #[must_use]
    pub fn missing_browser() -> Option<Missing> {
        missing_file(BROWSER, "chromium")
    }

    /// What compiles drivers in C, as far as it is missing: clang of the LLVM in use, and mingw-w64's
    /// GCC.
    #[must_use]
    pub fn missing_c_compilers() -> Vec<Missing> {
        let version = Self::llvm().map_or(LLVM_VERSION, |llvm| llvm.version);
        let clang = format!("{LLVM_PARENT}/llvm-{version}/bin/clang");
        let missing = [
            missing_file(&clang, &format!("clang-{version}")),
            Self::missing_program_linker(),
        ];
        missing.into_iter().flatten().collect()
    }

    /// What signs a package, as far as it is missing.
    #[must_use]
    pub fn missing_signing_tools() -> Vec<Missing> {
        let tools = ["openssl", "osslsigncode"];
        let missing = tools.map(|tool| missing_file(&format!("/usr/bin/{tool}"), tool));
        missing.into_iter().flatten().collect()
    }

    /// The linter of the compiler set, if it is missing.
    #[must_use]
    pub fn missing_linter(compiler: &Compiler) -> Option<Missing> {
        let (binaries, packages) = match compiler {
            Compiler::Installed { sysroot, .. } => (sysroot.join("bin"), vec![]),
            Compiler::FromSource { binaries } => {
                (binaries.clone(), vec!["rust-web-clippy".to_owned()])
            }
            // Cargo says so itself.
            Compiler::WithWdk => return None,
        };
        let program = binaries.join("cargo-clippy");
        (!program.exists()).then(|| Missing {
            what: format!("the linter {}", program.display()),
            packages,
        })
    }
}

fn missing_file(path: &str, package: &str) -> Option<Missing> {
    (!Path::new(path).exists()).then(|| Missing {
        what: format!("the program {path}"),
        packages: vec![package.to_owned()],
    })
}

fn findings(
    compiler: Result<Compiler, Vec<String>>,
    llvm: Result<Llvm, Missing>,
    mingw: Result<PathBuf, Missing>,
) -> Findings {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let lacks_compiler = compiler.is_err();
    match &compiler {
        Ok(compiler) => found.push(format!("compiler  {}", compiler.description())),
        Err(reasons) => missing.push(Missing {
            what: format!("a compiler for the Windows target: {}", reasons.join("; ")),
            packages: DEBIAN_COMPILER.map(str::to_owned).into(),
        }),
    }
    match &llvm {
        Ok(llvm) => found.push(format!("LLVM      {}", llvm.directory.display())),
        Err(lacking) => missing.push(lacking.clone()),
    }
    match &mingw {
        Ok(mingw) => found.push(format!("headers   {}/include", mingw.display())),
        Err(lacking) => missing.push(lacking.clone()),
    }
    let requirements = match (compiler, llvm, mingw) {
        (Ok(compiler), Ok(llvm), Ok(mingw)) => Some(Requirements {
            compiler,
            llvm,
            mingw,
        }),
        _ => None,
    };
    Findings {
        found,
        missing,
        lacks_compiler,
        requirements,
    }
}

/// The newest complete LLVM.
fn llvm(root: &Path) -> Result<Llvm, Missing> {
    let parent = root.join(LLVM_PARENT.trim_start_matches('/'));
    let mut versions: Vec<u32> = fs::read_dir(&parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("llvm-")?
                .parse()
                .ok()
        })
        .filter(|version| *version >= LLVM_MINIMUM)
        .collect();
    versions.sort_unstable();

    let candidate = |version: u32| Llvm {
        directory: parent.join(format!("llvm-{version}")),
        version,
    };
    let complete = versions.iter().rev().copied().map(candidate);
    if let Some(llvm) = complete
        .into_iter()
        .find(|llvm| parts_missing(llvm).is_empty())
    {
        return Ok(llvm);
    }
    // The packages of an incomplete version would do, but naming one version
    // always keeps what is installed the same everywhere.
    let lacking = parts_missing(&candidate(LLVM_VERSION));
    Err(Missing {
        what: format!(
            "LLVM {LLVM_VERSION}: {}",
            lacking
                .iter()
                .map(|(what, _)| *what)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        packages: lacking.into_iter().map(|(_, package)| package).collect(),
    })
}

/// What a version of LLVM lacks, with the package that brings it.
fn parts_missing(llvm: &Llvm) -> Vec<(&'static str, String)> {
    let version = llvm.version;
    let parts = [
        (
            "the linker lld-link",
            llvm.program("lld-link"),
            format!("lld-{version}"),
        ),
        (
            "the resource compiler llvm-rc",
            llvm.program("llvm-rc"),
            format!("llvm-{version}"),
        ),
        (
            "libclang.so, for bindgen",
            llvm.library_directory().join("libclang.so"),
            format!("libclang-{version}-dev"),
        ),
        (
            "clang's own headers",
            llvm.resource_directory().join("include/stddef.h"),
            format!("libclang-common-{version}-dev"),
        ),
    ];
    let missing = parts.into_iter().filter(|(_, path, _)| !path.exists());
    missing.map(|(what, _, package)| (what, package)).collect()
}

/// The headers and import libraries of mingw-w64.
fn mingw(root: &Path) -> Result<PathBuf, Missing> {
    let directory = root.join(MINGW.trim_start_matches('/'));
    for file in ["include/ddk/ntifs.h", "lib/libntoskrnl.a"] {
        if !directory.join(file).exists() {
            return Err(Missing {
                what: format!("mingw-w64's kernel headers: no {MINGW}/{file}"),
                packages: vec!["mingw-w64-x86-64-dev".to_owned()],
            });
        }
    }
    Ok(directory)
}

impl Findings {
    /// The packages that are missing.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let packages = self.missing.iter().flat_map(|missing| &missing.packages);
        packages.map(String::as_str).collect()
    }
}

/// The command that installs packages, as root.
#[must_use]
pub fn install_line(packages: &[&str]) -> String {
    format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missing.is_empty() {
            return write!(formatter, "nothing is missing");
        }
        writeln!(formatter, "the kit cannot work yet; what is missing:")?;
        for missing in &self.missing {
            writeln!(formatter, "  - {}", missing.what)?;
        }
        write!(
            formatter,
            "as root, this brings what is missing:\n  {}",
            install_line(&self.packages())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, files: &[&str]) {
        for file in files {
            crate::files::write_if_changed(&root.join(file), "").unwrap();
        }
    }

    fn complete_llvm(version: u32) -> Vec<String> {
        let directory = format!("usr/lib/llvm-{version}");
        vec![
            format!("{directory}/bin/lld-link"),
            format!("{directory}/bin/llvm-rc"),
            format!("{directory}/lib/libclang.so"),
            format!("{directory}/lib/clang/{version}/include/stddef.h"),
        ]
    }

    fn machine_with(files: &[String]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        touch(
            root.path(),
            &files.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        root
    }

    #[test]
    fn the_newest_complete_llvm_is_taken() {
        let mut files = complete_llvm(18);
        files.extend(complete_llvm(19));
        files.push("usr/lib/llvm-22/bin/lld-link".to_owned());
        let root = machine_with(&files);
        assert_eq!(llvm(root.path()).unwrap().version, 19);
    }

    #[test]
    fn an_old_llvm_does_not_count() {
        let root = machine_with(&complete_llvm(14));
        let missing = llvm(root.path()).unwrap_err();
        assert_eq!(missing.packages.len(), 4);
    }

    #[test]
    fn only_the_missing_part_is_asked_for() {
        let mut files = complete_llvm(19);
        files.remove(1);
        let missing = llvm(machine_with(&files).path()).unwrap_err();
        assert_eq!(missing.packages, ["llvm-19"]);
        assert!(missing.what.contains("llvm-rc"), "{}", missing.what);
    }

    #[test]
    fn headers_without_import_libraries_are_not_enough() {
        let root = machine_with(&["usr/x86_64-w64-mingw32/include/ddk/ntifs.h".to_owned()]);
        let missing = mingw(root.path()).unwrap_err();
        assert!(
            missing.what.contains("lib/libntoskrnl.a"),
            "{}",
            missing.what
        );
        touch(root.path(), &["usr/x86_64-w64-mingw32/lib/libntoskrnl.a"]);
        assert!(mingw(root.path()).is_ok());
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        let root = machine_with(&[]);
        let findings = findings(
            Err(vec!["no compiler at all".to_owned()]),
            llvm(root.path()),
            mingw(root.path()),
        );
        assert!(findings.requirements.is_none());
        let text = findings.to_string();
        for part in [
            "no compiler at all",
            "apt-get install",
            "rustc-web cargo-web rust-web-src",
            "lld-19",
            "mingw-w64-x86-64-dev",
        ] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
