//! The command line.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::compiler::{Choice, Compiler};
use crate::driver_build::{self, Profile};
use crate::files;
use crate::inf::document::Document;
use crate::inf::lint::{self, Mode};
use crate::inf::stamp::{self, Date};
use crate::layout::Layout;
use crate::package::Ingredients;
use crate::package_check;
use crate::processor::Processor;
use crate::program_build;
use crate::requirements::Requirements;
use crate::setup;
use crate::signing::Signer;
use crate::source_date::SourceDate;
use crate::workspace::{Driver, Workspace};

/// Builds Windows kernel drivers on Linux, from the published wdk crates.
///
/// The Windows Driver Kit is replaced by a folder of the same shape, made from
/// mingw-w64's headers; everything generated lies in target/kit and may be
/// deleted at any time. On Windows the installed kit is used.
#[derive(Debug, Parser)]
#[command(name = "wdk-kit", version)]
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
        /// What signs a package as well
        #[arg(long)]
        package: bool,
        /// A browser, in which tests open pages, as well
        #[arg(long)]
        browser: bool,
    },

    /// Make the WDK-shaped folder and the patched workspace without building
    ///
    /// Afterwards cargo can be called by hand in target/kit/workspace.
    Prepare,

    /// Run a cargo subcommand that compiles, such as check, for the drivers'
    /// target in the patched workspace
    Cargo {
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
    },

    /// Build programs for Windows: NAME.exe, or NAME.dll, in
    /// target/x86_64-pc-windows-gnu/PROFILE
    Program {
        /// A package with programs; may be repeated
        #[arg(long, short, value_name = "NAME", required = true)]
        package: Vec<String>,
        /// Build the debug profile and not the release profile
        #[arg(long)]
        debug: bool,
    },

    /// Run clippy over drivers and the workspace's crates they use
    Clippy {
        #[command(flatten)]
        selection: Selection,
    },

    /// Build a driver and make its package in target/package, signed with a
    /// certificate for test machines
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

#[derive(Debug, Args)]
struct Selection {
    /// A driver package; may be repeated. Default: the driver at the root of the
    /// workspace, or else all
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
    /// Every driver package of the workspace
    #[arg(long, conflicts_with = "package")]
    all: bool,
}

impl Selection {
    fn drivers<'w>(&self, workspace: &'w Workspace) -> Result<Vec<&'w Driver>> {
        if self.all {
            Ok(workspace.all())
        } else {
            workspace.select(&self.package)
        }
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
        Action::Check | Action::Setup { .. } | Action::Prepare if choice == Choice::Wdk => {
            bail!(
                "the kit takes the place of the WDK on Linux; on Windows, install the WDK \
                 (or use the eWDK) and run `cargo make build`"
            )
        }
        Action::Check => check(choice),
        Action::Setup {
            arm64,
            lint,
            programs,
            wine,
            package,
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
            if package {
                setup::run_for_signing()?;
            }
            if browser {
                setup::run_for_pages()?;
            }
            Ok(())
        }
        Action::Prepare => {
            let workspace = Workspace::find()?;
            let layout = prepared(choice, Processor::X64, &workspace)?.0;
            println!("cd {} && cargo check", layout.mirror().display());
            Ok(())
        }
        Action::Cargo { arguments } => {
            let (layout, compiler) = prepared(choice, Processor::X64, &Workspace::find()?)?;
            driver_build::cargo_by_hand(&layout, &compiler, &arguments)
        }
        Action::Build {
            selection,
            target,
            release,
            debug,
        } => build(choice, &selection, target, &profiles(release, debug)),
        Action::Program { package, debug } => {
            let workspace = Workspace::find()?;
            let programs = workspace.programs(&package)?;
            let profile = if debug {
                Profile::Debug
            } else {
                Profile::Release
            };
            let layout = Layout::new(&workspace.root);
            program_build::build(&layout, choice, &programs, profile).map(drop)
        }
        Action::Clippy { selection } => {
            let workspace = Workspace::find()?;
            let drivers = selection.drivers(&workspace)?;
            let (layout, compiler) = prepared(choice, Processor::X64, &workspace)?;
            driver_build::lint(&layout, &compiler, &drivers)
        }
        Action::Package { selection } => package(choice, &selection),
        Action::Collect { selection, from } => collect(choice, &selection, &from),
        Action::CheckPackage { selection } => check_package(&selection),
        Action::InfLint { rules: true, .. } => {
            list_rules();
            Ok(())
        }
        Action::InfLint {
            declarative, files, ..
        } => inf_lint(declarative, &files),
    }
}

fn package(choice: Choice, selection: &Selection) -> Result<()> {
    if choice == Choice::Wdk {
        bail!("on Windows, `cargo make package` makes the package, with Windows' own tools");
    }
    if let Some(missing) = Requirements::missing_signing_tools().first() {
        bail!(
            "{} is missing; `wdk-kit setup --package` brings it",
            missing.what
        );
    }
    build(choice, selection, Processor::X64, &[Profile::Release])?;
    let workspace = Workspace::find()?;
    let layout = Layout::new(&workspace.root);
    let signer = Signer::for_tests(&layout)?;
    let release = Profile::Release.directory();
    for driver in selection.drivers(&workspace)? {
        let programs = programs(&workspace, driver, choice)?;
        let ingredients = Ingredients {
            driver,
            built: &layout.artefacts(Processor::X64, release),
            programs: &programs,
            moment: SourceDate::of(&driver.directory)?,
            signer: Some(&signer),
        };
        list(&ingredients.package(&layout.package())?);
    }
    check_package(selection)
}

fn collect(choice: Choice, selection: &Selection, from: &Path) -> Result<()> {
    let workspace = Workspace::find()?;
    let layout = Layout::new(&workspace.root);
    for driver in selection.drivers(&workspace)? {
        let ingredients = Ingredients {
            driver,
            built: from,
            programs: &programs(&workspace, driver, choice)?,
            moment: SourceDate::of(&driver.directory)?,
            signer: None,
        };
        list(&ingredients.collect(&layout.package())?);
    }
    Ok(())
}

fn check_package(selection: &Selection) -> Result<()> {
    let workspace = Workspace::find()?;
    let folder = Layout::new(&workspace.root).package();
    for driver in selection.drivers(&workspace)? {
        let programs = workspace.programs(&driver.programs)?;
        let files: Vec<_> = programs
            .iter()
            .flat_map(|program| program.files.clone())
            .collect();
        package_check::check(driver, &files, &folder)?;
    }
    Ok(())
}

/// Builds the programs of a driver's package and returns their files.
fn programs(workspace: &Workspace, driver: &Driver, choice: Choice) -> Result<Vec<PathBuf>> {
    let programs = workspace.programs(&driver.programs)?;
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let layout = Layout::new(&workspace.root);
    let directory = program_build::build(&layout, choice, &programs, Profile::Release)?;
    let files = programs.iter().flat_map(|program| &program.files);
    Ok(files.map(|file| directory.join(file)).collect())
}

fn list(files: &[PathBuf]) {
    for file in files {
        println!("{}", file.display());
    }
}

fn inf_lint(declarative: bool, paths: &[PathBuf]) -> Result<()> {
    let mode = match declarative {
        true => Mode::Declarative,
        false => Mode::Windows,
    };
    let mut count = 0;
    for path in paths {
        let mut document = Document::read(&files::read(path)?);
        if path.extension().is_some_and(|extension| extension == "inx") {
            document = stamped(path)?;
        }
        for finding in lint::check(&document, mode) {
            println!("{}:{finding}", path.display());
            count += 1;
        }
    }
    if count != 0 {
        bail!("{count} findings");
    }
    Ok(())
}

fn list_rules() {
    let mut rules: Vec<_> = lint::rules().collect();
    rules.sort_by_key(|rule| rule.code);
    println!("number  /k       /w       what is true of a good INF");
    for rule in rules {
        let [declarative, windows] =
            [Mode::Declarative, Mode::Windows].map(|mode| rule.level(mode).to_string());
        println!(
            "{:<7} {declarative:<8} {windows:<8} {}",
            rule.code, rule.rule
        );
    }
}

/// An INF source as it is once it has been stamped.
fn stamped(path: &Path) -> Result<Document> {
    let text = stamp::stamp(&files::read_text(path)?, Date::of(SourceDate(0)), "0.0.0.0")?;
    Ok(Document::parse(&text))
}

fn check(choice: Choice) -> Result<()> {
    let findings = Requirements::look(choice, Processor::X64);
    for line in &findings.found {
        println!("{line}");
    }
    if !findings.missing.is_empty() {
        bail!("{findings}");
    }
    Ok(())
}

fn build(
    choice: Choice,
    selection: &Selection,
    processor: Processor,
    profiles: &[Profile],
) -> Result<()> {
    let workspace = Workspace::find()?;
    let drivers = selection.drivers(&workspace)?;
    let (layout, compiler) = prepared(choice, processor, &workspace)?;
    for profile in profiles {
        driver_build::build(&layout, &compiler, &drivers, processor, *profile)?;
    }
    Ok(())
}

fn prepared(
    choice: Choice,
    processor: Processor,
    workspace: &Workspace,
) -> Result<(Layout, Compiler)> {
    let layout = Layout::new(&workspace.root);
    let compiler = driver_build::prepare(&layout, choice, processor)?;
    Ok((layout, compiler))
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
