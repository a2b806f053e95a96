//! Which cargo and rustc build the drivers, and programs.
//!
//! On Linux, two sets will do, tried in this order:
//!
//! 1. a toolchain in which the library for the Windows target is installed: the
//!    active one, or another of rustup's;
//! 2. Debian's rustc and cargo with the library's source (`rustc-web`,
//!    `cargo-web`, `rust-web-src`), which build the library from source. That is
//!    an unstable feature of cargo, and `RUSTC_BOOTSTRAP` admits to it; the three
//!    packages are one matching set, so that it cannot break by itself.
//!
//! On Windows it is the cargo that started us, which finds the toolchain, and
//! wdk-build, which finds the Windows Driver Kit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::layout::PROGRAM_TARGET;
use crate::machine::Machine;
use crate::processor::Processor;

/// The oldest compiler the workspace accepts: `rust-version` in Cargo.toml.
const MINIMUM_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// Variables of the cargo that started us that must not reach another one.
///
/// The first group chooses a compiler, the second changes what the kit's own
/// cargo configuration says.
const FOREIGN_VARIABLES: [&str; 14] = [
    "CARGO",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTDOC",
    "RUSTUP_TOOLCHAIN",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_AARCH64_PC_WINDOWS_MSVC_LINKER",
    "CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER",
    "RUSTFLAGS",
];

/// What is built, and so for which target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A driver, which has no library but `core` and `alloc`.
    Driver(Processor),
    /// A program with the standard library.
    Program,
}

impl Kind {
    /// The target triple.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Driver(processor) => processor.target(),
            Self::Program => PROGRAM_TARGET,
        }
    }
}

/// Which compiler set to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The first of the next two that is complete.
    Auto,
    /// A toolchain with the Windows target installed.
    Rustup,
    /// Debian's rustc-web, cargo-web and rust-web-src.
    Debian,
    /// The active toolchain and an installed Windows Driver Kit, on Windows.
    Wdk,
}

impl Choice {
    /// What is used unless something else is asked for.
    pub const DEFAULT: Self = if cfg!(windows) { Self::Wdk } else { Self::Auto };
}

/// A compiler set that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// The library for the target is installed; `toolchain` names it for rustup
    /// unless it is the active one.
    Installed {
        /// Another toolchain than the active one.
        toolchain: Option<String>,
        /// Its directory.
        sysroot: PathBuf,
    },
    /// The library is built from source by the compiler in this directory.
    FromSource {
        /// The directory of rustc and cargo.
        binaries: PathBuf,
    },
    /// The cargo that started us, with everything that its environment says.
    WithWdk,
}

/// Finds the set to build with, or says what each candidate lacks.
///
/// # Errors
/// With one sentence for each candidate.
pub fn choose(choice: Choice, kind: Kind, machine: &impl Machine) -> Result<Compiler, Vec<String>> {
    if choice == Choice::Wdk {
        return Ok(Compiler::WithWdk);
    }
    let mut lacking = Vec::new();
    if choice != Choice::Debian {
        match installed(machine, kind.target()) {
            Ok(compiler) => return Ok(compiler),
            Err(reason) => lacking.push(reason),
        }
    }
    if choice != Choice::Rustup {
        match from_source(machine) {
            Ok(compiler) => return Ok(compiler),
            Err(reason) => lacking.push(reason),
        }
    }
    Err(lacking)
}

fn installed(machine: &impl Machine, target: &str) -> Result<Compiler, String> {
    let toolchains = machine.toolchains();
    let candidates = std::iter::once(None).chain(toolchains.into_iter().map(Some));
    for toolchain in candidates {
        let Some(sysroot) = machine.sysroot(toolchain.as_deref()) else {
            continue;
        };
        let recent = machine
            .version(&sysroot.join("bin"))
            .is_some_and(|version| at_least(&version, MINIMUM_VERSION));
        if recent && machine.has_target(&sysroot, target) {
            return Ok(Compiler::Installed { toolchain, sysroot });
        }
    }
    Err(format!(
        "no toolchain of Rust {MINIMUM_VERSION} or later has the target {target} \
         (`rustup target add {target}` where rustup can reach its server)"
    ))
}

fn from_source(machine: &impl Machine) -> Result<Compiler, String> {
    let binaries = Path::new("/usr/bin");
    let version = machine.version(binaries);
    match version {
        None => return Err("no /usr/bin/rustc and /usr/bin/cargo".to_owned()),
        Some(version) if !at_least(&version, MINIMUM_VERSION) => {
            return Err(format!(
                "/usr/bin/rustc is {version}, and {MINIMUM_VERSION} or later is needed"
            ));
        }
        Some(_) => {}
    }
    if !machine.has_source(Path::new("/usr")) {
        return Err("no source of Rust's library in /usr/lib/rustlib/src".to_owned());
    }
    Ok(Compiler::FromSource {
        binaries: binaries.to_path_buf(),
    })
}

/// Compares versions such as `1.96.0` and `1.91`.
fn at_least(version: &str, minimum: &str) -> bool {
    let parts = |text: &str| -> Vec<u32> {
        let release = text.split('-').next().unwrap_or_default();
        release
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    parts(version) >= parts(minimum)
}

impl Compiler {
    /// A short name, also that of the target directory.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "rustup",
            Self::FromSource { .. } => "debian",
            Self::WithWdk => "wdk",
        }
    }

    /// The set in words, for `check` and build messages.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::Installed { sysroot, .. } => sysroot.display().to_string(),
            Self::FromSource { binaries } => format!(
                "{}/rustc, building the library from source",
                binaries.display()
            ),
            Self::WithWdk => "the active toolchain and the installed kit".to_owned(),
        }
    }

    /// A cargo command of this set; on Linux freed of what the surrounding cargo
    /// left in the environment.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = self.program("cargo");
        if let Some(binaries) = self.binaries() {
            // Build scripts and `cargo clippy` look their tools up by name.
            command.env("PATH", path_with(&binaries));
            command.env("RUSTC", binaries.join("rustc"));
        }
        if let Self::FromSource { .. } = self {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// A rustc command of this set; otherwise as [`Self::cargo`].
    #[must_use]
    pub fn rustc(&self) -> Command {
        self.program("rustc")
    }

    fn program(&self, name: &str) -> Command {
        let Some(binaries) = self.binaries() else {
            let named = std::env::var_os(name.to_ascii_uppercase());
            return Command::new(named.unwrap_or_else(|| name.into()));
        };
        let mut command = Command::new(binaries.join(name));
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// The directory of the set's programs, unless they are whatever is active.
    fn binaries(&self) -> Option<PathBuf> {
        match self {
            Self::Installed { sysroot, .. } => Some(sysroot.join("bin")),
            Self::FromSource { binaries } => Some(binaries.clone()),
            Self::WithWdk => None,
        }
    }

    /// What a cargo subcommand that compiles for the target needs to be told.
    #[must_use]
    pub fn target_arguments(&self, kind: Kind) -> Vec<&'static str> {
        if *self == Self::WithWdk && kind == Kind::Program {
            return Vec::new(); // For the machine itself.
        }
        let mut arguments = vec!["--target", kind.target()];
        if let Self::FromSource { .. } = self {
            arguments.push(match kind {
                Kind::Driver(_) => "-Zbuild-std=core,alloc",
                Kind::Program => "-Zbuild-std=std,panic_abort",
            });
            // Unoptimised, its mathematics refers to functions of a C library.
            arguments.push("--config=profile.dev.package.compiler_builtins.opt-level=3");
        }
        arguments
    }
}

fn path_with(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: Kind = Kind::Driver(Processor::X64);

    /// Toolchains by name and the directories that have something in them.
    #[derive(Default, Clone)]
    struct Pretended {
        active: Option<&'static str>,
        others: Vec<(&'static str, &'static str)>,
        targets: Vec<&'static str>,
        versions: Vec<(&'static str, &'static str)>,
        source: bool,
    }

    impl Machine for Pretended {
        fn sysroot(&self, toolchain: Option<&str>) -> Option<PathBuf> {
            let path = match toolchain {
                None => self.active,
                Some(name) => self
                    .others
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, p)| *p),
            };
            path.map(PathBuf::from)
        }
        fn toolchains(&self) -> Vec<String> {
            self.others
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect()
        }
        fn version(&self, binaries: &Path) -> Option<String> {
            let found = self
                .versions
                .iter()
                .find(|(path, _)| Path::new(path) == binaries);
            found.map(|(_, version)| (*version).to_owned())
        }
        fn has_target(&self, sysroot: &Path, _: &str) -> bool {
            self.targets.iter().any(|path| Path::new(path) == sysroot)
        }
        fn has_source(&self, _: &Path) -> bool {
            self.source
        }
    }

    fn everything() -> Pretended {
        Pretended {
            active: Some("/stable"),
            others: vec![("old", "/old"), ("nightly", "/nightly")],
            targets: vec!["/stable", "/old", "/nightly"],
            versions: vec![
                ("/stable/bin", "1.95.0"),
                ("/old/bin", "1.80.0"),
                ("/nightly/bin", "1.97.0-nightly"),
                ("/usr/bin", "1.96.0"),
            ],
            source: true,
        }
    }

    fn installed_in(sysroot: &str, toolchain: Option<&str>) -> Compiler {
        Compiler::Installed {
            toolchain: toolchain.map(str::to_owned),
            sysroot: sysroot.into(),
        }
    }

    #[test]
    fn the_active_toolchain_comes_first() {
        let chosen = choose(Choice::Auto, DRIVER, &everything()).unwrap();
        assert_eq!(chosen, installed_in("/stable", None));
    }

    #[test]
    fn another_toolchain_with_the_target_is_taken_unless_it_is_too_old() {
        let machine = Pretended {
            targets: vec!["/old", "/nightly"],
            ..everything()
        };
        let chosen = choose(Choice::Auto, DRIVER, &machine).unwrap();
        assert_eq!(chosen, installed_in("/nightly", Some("nightly")));
    }

    #[test]
    fn without_the_target_debian_builds_the_library() {
        let machine = Pretended {
            targets: vec![],
            ..everything()
        };
        assert_eq!(
            choose(Choice::Auto, DRIVER, &machine).unwrap().name(),
            "debian"
        );
    }

    #[test]
    fn a_choice_is_not_overruled() {
        assert_eq!(
            choose(Choice::Debian, DRIVER, &everything())
                .unwrap()
                .name(),
            "debian"
        );
        let machine = Pretended {
            targets: vec![],
            ..everything()
        };
        let lacking = choose(Choice::Rustup, DRIVER, &machine).unwrap_err();
        assert_eq!(lacking.len(), 1);
        assert!(lacking[0].contains("rustup target add"), "{lacking:?}");
    }

    #[test]
    fn each_candidate_says_what_it_lacks() {
        let machine = Pretended {
            targets: vec![],
            source: false,
            ..everything()
        };
        let lacking = choose(Choice::Auto, DRIVER, &machine).unwrap_err();
        assert_eq!(lacking.len(), 2);
        assert!(
            lacking[1].contains("no source of Rust's library"),
            "{lacking:?}"
        );

        let old = Pretended {
            versions: vec![("/usr/bin", "1.63.0")],
            ..everything()
        };
        let lacking = choose(Choice::Debian, DRIVER, &old).unwrap_err();
        assert!(lacking[0].contains("is 1.63.0"), "{lacking:?}");
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(at_least("1.100.0", "1.91"));
        assert!(at_least("1.91.0", "1.91"));
        assert!(at_least("1.97.0-nightly", "1.91"));
        assert!(!at_least("1.9.9", "1.91"));
        assert!(!at_least("unknown", "1.91"));
    }
}
