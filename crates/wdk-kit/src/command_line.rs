//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::commands::{self, Job};
use crate::compiler::Choice;
use crate::driver_build::Profile;
use crate::new_driver;
use crate::processor::Processor;
use crate::setup;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  wdk-kit setup                                     as root, once
  wdk-kit new my-filter                             a driver to begin with
  wdk-kit build                                     in a driver's folder
  wdk-kit build --debug --manifest-path drivers/glass/Cargo.toml -- --features trace
  wdk-kit cargo check

Exit codes: 0, or 1 with what is wrong and what to do, or 2 when called wrongly.";

/// Builds Windows kernel drivers on Linux, from the published wdk crates.
///
/// The Windows Driver Kit is replaced by a folder of the same shape, made from
/// mingw-w64's headers; everything generated lies in target/kit and may be
/// deleted at any time. On Windows the installed kit is used.
#[derive(Debug, Parser)]
#[command(name = "wdk-kit", version, after_help = EXAMPLES)]
struct CommandLine {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Args)]
struct GlobalOptions {
    /// The compiler set to use: a toolchain with the Windows target installed,
    /// Debian's compiler and library source, or what a Windows machine has
    #[arg(long, global = true, value_enum, default_value_t = Choice::DEFAULT)]
    #[arg(env = "WDK_KIT_COMPILER")]
    compiler: Choice,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is installed, what is missing, and what installs it
    Check,

    /// Install what is missing (as root)
    Setup {
        /// What builds drivers for ARM64 as well
        #[arg(long)]
        arm64: bool,
        /// The linter as well
        #[arg(long)]
        lint: bool,
        /// What builds programs for Windows as well
        #[arg(long)]
        programs: bool,
        /// Wine as well
        #[arg(long)]
        wine: bool,
        /// What downloads packages of Python as well
        #[arg(long)]
        pip: bool,
        /// What signs a package as well
        #[arg(long)]
        package: bool,
        /// What compiles drivers in C as well
        #[arg(long)]
        c: bool,
        /// A browser, in which tests open pages, as well
        #[arg(long)]
        browser: bool,
    },

    /// Make a filter of file systems to begin with: a driver on the layer
    /// wdm-filter, its INF source, and a test that runs it in ntbox
    New {
        /// The name of the package; the driver's file has _ where it has -
        name: String,
        /// The folder to make. Default: NAME
        #[arg(long, value_name = "FOLDER")]
        path: Option<PathBuf>,
        /// The folder of wdm-filter. Default: the one beside the source of this
        /// command, or else the registry's
        #[arg(long, value_name = "FOLDER")]
        layer: Option<PathBuf>,
    },

    /// Make the WDK-shaped folder and the patched workspace without building
    ///
    /// Afterwards cargo can be called by hand in target/kit/workspace; the
    /// command is printed.
    Prepare {
        #[command(flatten)]
        place: Place,
    },

    /// Run a cargo subcommand that compiles, such as check, for the drivers'
    /// target in the patched workspace
    Cargo {
        #[command(flatten)]
        place: Place,
        /// The subcommand and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },

    /// Build drivers: NAME.sys and NAME.pdb in target/TARGET/PROFILE, such as
    /// target/x86_64-pc-windows-msvc/release
    Build {
        #[command(flatten)]
        selection: Selection,
        /// The processor to build for
        #[arg(long, value_enum, default_value_t = Processor::X64)]
        target: Processor,
        /// Build the release profile; the default
        #[arg(long)]
        release: bool,
        /// Build the debug profile; with --release, build both
        #[arg(long)]
        debug: bool,
        /// Arguments for cargo, such as `-- --features trace --offline`
        #[arg(last = true, value_name = "CARGO ARGUMENTS")]
        arguments: Vec<String>,
    },

    /// Build programs for Windows: NAME.exe, or NAME.dll, in
    /// target/x86_64-pc-windows-gnu/PROFILE
    Program {
        #[command(flatten)]
        place: Place,
        /// A package with programs; may be repeated
        #[arg(long, short, value_name = "NAME", required = true)]
        package: Vec<String>,
        /// Build the debug profile and not the release profile
        #[arg(long)]
        debug: bool,
    },

    /// Run clippy over drivers and the workspace's crates they use; a warning is
    /// an error
    Clippy {
        #[command(flatten)]
        selection: Selection,
        /// Arguments for cargo, such as `-- --features trace`
        #[arg(last = true, value_name = "CARGO ARGUMENTS")]
        arguments: Vec<String>,
    },

    /// Build a driver and make its package in target/package, signed with a
    /// certificate for test machines; of several drivers, in target/package/NAME
    Package {
        #[command(flatten)]
        selection: Selection,
    },

    /// Make target/package of a driver package that Windows' own tools have
    /// made, on Windows; what is added is left unsigned
    Collect {
        #[command(flatten)]
        selection: Selection,
        /// The folder that wdk-build's makefile has made
        #[arg(value_name = "FOLDER")]
        from: PathBuf,
    },

    /// Check that the package in target/package is whole: each file there, of
    /// the others beside it, and signed
    CheckPackage {
        #[command(flatten)]
        selection: Selection,
    },

    /// Check INF files, or INF sources, against the rules of InfVerif that
    /// concern a file-system filter
    ///
    /// It takes the place of InfVerif, which runs on Windows only, as far as
    /// the rules are published.
    InfLint {
        /// Apply the rules for systems before driver isolation (InfVerif /k)
        /// instead of those for isolated driver packages (/w)
        #[arg(long)]
        declarative: bool,
        /// List the rules, with their weights under /k and /w
        #[arg(long)]
        rules: bool,
        /// The files
        #[arg(required_unless_present = "rules", value_name = "PATH")]
        files: Vec<PathBuf>,
    },
}

/// Where the workspace is.
#[derive(Debug, Args)]
struct Place {
    /// A Cargo.toml of the workspace. Default: that of the current directory or
    /// of one around it
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

impl Place {
    fn workspace(&self) -> Result<Workspace> {
        Workspace::find(self.manifest_path.as_deref())
    }
}

#[derive(Debug, Args)]
struct Selection {
    #[command(flatten)]
    place: Place,
    /// A driver package; may be repeated. Default: the driver of that Cargo.toml,
    /// or else the one at the root of the workspace, or else all
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
    /// Every driver package of the workspace
    #[arg(long, conflicts_with = "package")]
    all: bool,
}

impl Selection {
    fn job(&self, choice: Choice) -> Result<Job> {
        Job::new(choice, self.place.workspace()?, &self.package, self.all)
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// Says what happened, where, and what to do next.
pub fn run() -> Result<()> {
    let CommandLine { global, action } = CommandLine::parse();
    let choice = global.compiler;
    match action {
        Action::Check | Action::Setup { .. } | Action::Prepare { .. } if choice == Choice::Wdk => {
            bail!(
                "the kit takes the place of the WDK on Linux; on Windows, install the WDK \
                 (or use the eWDK) and run `cargo make build`"
            )
        }
        Action::New { name, path, layer } => {
            let folder = path.unwrap_or_else(|| PathBuf::from(&name));
            for file in new_driver::make(&name, &folder, layer.as_deref())? {
                println!("{}", file.display());
            }
            Ok(())
        }
        Action::Check => commands::check(choice),
        Action::Setup {
            arm64,
            lint,
            programs,
            wine,
            pip,
            package,
            c,
            browser,
        } => {
            setup::run(choice, Processor::X64, lint)?;
            if arm64 {
                setup::run(choice, Processor::Arm64, false)?;
            }
            if programs {
                setup::run_for_programs(choice)?;
            }
            if wine {
                setup::run_for_wine()?;
            }
            if pip {
                setup::run_for_pip()?;
            }
            if package {
                setup::run_for_signing()?;
            }
            if c {
                setup::run_for_c()?;
            }
            if browser {
                setup::run_for_pages()?;
            }
            Ok(())
        }
        Action::Prepare { place } => commands::prepare(choice, &place.workspace()?),
        Action::Cargo { place, arguments } => {
            commands::cargo(choice, &place.workspace()?, &arguments)
        }
        Action::Build {
            selection,
            target,
            release,
            debug,
            arguments,
        } => {
            let profiles = profiles(release, debug);
            selection.job(choice)?.build(target, &profiles, &arguments)
        }
        Action::Program {
            place,
            package,
            debug,
        } => {
            let profile = if debug {
                Profile::Debug
            } else {
                Profile::Release
            };
            commands::program(choice, &place.workspace()?, &package, profile)
        }
        Action::Clippy {
            selection,
            arguments,
        } => selection.job(choice)?.lint(&arguments),
        Action::Package { selection } => selection.job(choice)?.package(),
        Action::Collect { selection, from } => selection.job(choice)?.collect(&from),
        Action::CheckPackage { selection } => selection.job(choice)?.check_package(),
        Action::InfLint { rules: true, .. } => {
            commands::list_rules();
            Ok(())
        }
        Action::InfLint {
            declarative, files, ..
        } => commands::inf_lint(declarative, &files),
    }
}

fn profiles(release: bool, debug: bool) -> Vec<Profile> {
    match (release, debug) {
        (_, false) => vec![Profile::Release],
        (false, true) => vec![Profile::Debug],
        (true, true) => vec![Profile::Debug, Profile::Release],
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn release_is_built_unless_only_debug_is_asked_for() {
        assert_eq!(profiles(false, false), [Profile::Release]);
        assert_eq!(profiles(true, false), [Profile::Release]);
        assert_eq!(profiles(false, true), [Profile::Debug]);
        assert_eq!(profiles(true, true), [Profile::Debug, Profile::Release]);
    }
}
