//! What the commands do.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::compiler::{Choice, Compiler};
use crate::driver_build::{self, Profile};
use crate::files;
use crate::inf::document::Document;
use crate::inf::lint::{self, Mode};
use crate::inf::stamp::{self, Date};
use crate::layout::Layout;
use crate::package::{self, Ingredients};
use crate::package_check;
use crate::process;
use crate::processor::Processor;
use crate::program_build;
use crate::requirements::Requirements;
use crate::signing::Signer;
use crate::source_date::SourceDate;
use crate::workspace::{Driver, Workspace};

/// Drivers of a workspace to do something with.
#[derive(Debug)]
pub struct Job {
    choice: Choice,
    workspace: Workspace,
    layout: Layout,
    drivers: Vec<Driver>,
}

impl Job {
    /// Something to do with all drivers, or those named, or those that are meant by default.
    ///
    /// # Errors
    /// When a name is not that of a driver, or there are no drivers.
    pub fn new(choice: Choice, workspace: Workspace, names: &[String], all: bool) -> Result<Self> {
        let drivers = match all {
            true => workspace.all()?,
            false => workspace.select(names)?,
        };
        Ok(Self {
            choice,
            drivers: drivers.into_iter().cloned().collect(),
            layout: Layout::of(&workspace),
            workspace,
        })
    }

    /// Builds the drivers, with these arguments for cargo.
    ///
    /// # Errors
    /// When something is missing, or cargo fails; it has said why.
    pub fn build(
        &self,
        processor: Processor,
        profiles: &[Profile],
        arguments: &[String],
    ) -> Result<()> {
        // Not after minutes of building.
        for profile in profiles {
            files::create_directory(&self.layout.artefacts(processor, profile.directory()))?;
        }
        let compiler = prepared(self.choice, processor, &self.workspace, &self.layout)?;
        for profile in profiles {
            let (layout, drivers) = (&self.layout, &self.drivers);
            driver_build::build(layout, &compiler, drivers, processor, *profile, arguments)?;
        }
        Ok(())
    }

    /// Runs clippy over the drivers.
    ///
    /// # Errors
    /// When it finds something.
    pub fn lint(&self, arguments: &[String]) -> Result<()> {
        let compiler = prepared(self.choice, Processor::X64, &self.workspace, &self.layout)?;
        driver_build::lint(&self.layout, &compiler, &self.drivers, arguments)
    }

    /// Builds the drivers and makes their packages.
    ///
    /// # Errors
    /// When that fails or the result is not whole.
    pub fn package(&self) -> Result<()> {
        if self.choice == Choice::Wdk {
            bail!("on Windows, `cargo make package` makes the package, with Windows' own tools");
        }
        if let Some(missing) = Requirements::missing_signing_tools().first() {
            bail!(
                "{} is missing; `wdk-kit setup --package` brings it",
                missing.what
            );
        }
        self.build(Processor::X64, &[Profile::Release], &[])?;
        let signer = Signer::for_tests(&self.layout)?;
        let built = self
            .layout
            .artefacts(Processor::X64, Profile::Release.directory());
        for driver in &self.drivers {
            let ingredients = Ingredients {
                driver,
                built: &built,
                programs: &self.programs(driver)?,
                moment: SourceDate::of(&driver.directory)?,
                signer: Some(&signer),
            };
            list(&ingredients.package(&self.folder(driver))?);
        }
        self.check_package()
    }

    /// Makes the packages of what Windows' own tools have made of the drivers, in one folder.
    ///
    /// # Errors
    /// When a file is missing or an INF source is wrong.
    pub fn collect(&self, from: &Path) -> Result<()> {
        for driver in &self.drivers {
            let ingredients = Ingredients {
                driver,
                built: from,
                programs: &self.programs(driver)?,
                moment: SourceDate::of(&driver.directory)?,
                signer: None,
            };
            list(&ingredients.collect(&self.folder(driver))?);
        }
        Ok(())
    }

    /// Looks at the packages.
    ///
    /// # Errors
    /// With everything that is missing or wrong.
    pub fn check_package(&self) -> Result<()> {
        for driver in &self.drivers {
            let programs = self.workspace.programs(&driver.programs)?;
            let files: Vec<_> = programs
                .iter()
                .flat_map(|program| program.files.clone())
                .collect();
            package_check::check(driver, &files, &self.folder(driver))?;
        }
        Ok(())
    }

    /// Where the package of a driver lies.
    fn folder(&self, driver: &Driver) -> PathBuf {
        let packages = self.layout.package();
        match self.drivers.len() {
            1 => packages,
            _ => packages.join(&driver.image),
        }
    }

    /// Builds the programs of a driver's package and returns their files.
    fn programs(&self, driver: &Driver) -> Result<Vec<PathBuf>> {
        let programs = self.workspace.programs(&driver.programs)?;
        if programs.is_empty() {
            return Ok(Vec::new());
        }
        let release = Profile::Release;
        let directory = program_build::build(&self.layout, self.choice, &programs, release)?;
        let files = programs.iter().flat_map(|program| &program.files);
        Ok(files.map(|file| directory.join(file)).collect())
    }
}

/// Makes everything that a build needs, and the compiler set.
fn prepared(
    choice: Choice,
    processor: Processor,
    workspace: &Workspace,
    layout: &Layout,
) -> Result<Compiler> {
    if choice != Choice::Wdk {
        workspace.require_wdm()?;
    }
    driver_build::prepare(layout, choice, processor)
}

/// Makes everything that a build needs, and says what to do with it.
///
/// # Errors
/// When something is missing or cannot be written.
pub fn prepare(choice: Choice, workspace: &Workspace) -> Result<()> {
    let layout = Layout::of(workspace);
    let compiler = prepared(choice, Processor::X64, workspace, &layout)?;
    let command = driver_build::cargo(&layout, &compiler, "check", Processor::X64, &[]);
    let mut line = format!("cd {} &&", process::word(layout.mirror().as_os_str()));
    for (name, value) in command.get_envs() {
        // What the kit has set; the rest is of no consequence in a shell.
        if let Some(value) = value.filter(|_| name != "PATH") {
            line += &format!(" {}={}", name.display(), process::word(value));
        }
    }
    println!("{line} {}", process::line(&command));
    Ok(())
}

/// Runs a cargo subcommand in the patched workspace.
///
/// # Errors
/// When it fails; it has said why.
pub fn cargo(choice: Choice, workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let layout = Layout::of(workspace);
    let compiler = prepared(choice, Processor::X64, workspace, &layout)?;
    driver_build::cargo_by_hand(&layout, &compiler, arguments)
}

/// Builds programs for Windows.
///
/// # Errors
/// When a package builds none, something is missing, or cargo fails.
pub fn program(
    choice: Choice,
    workspace: &Workspace,
    names: &[String],
    profile: Profile,
) -> Result<()> {
    let programs = workspace.programs(names)?;
    program_build::build(&Layout::of(workspace), choice, &programs, profile).map(drop)
}

fn list(files: &[PathBuf]) {
    for file in files {
        println!("{}", file.display());
    }
}

/// Checks INF files.
///
/// # Errors
/// When one breaks a rule, or cannot be read.
pub fn inf_lint(declarative: bool, paths: &[PathBuf]) -> Result<()> {
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

/// Lists the rules for INF files.
pub fn list_rules() {
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
    let text = stamp::with_catalog(&package::inf_text(path)?, "driver.cat")?;
    let text = stamp::stamp(&text, Date::of(SourceDate(0)), "0.0.0.0")?;
    Ok(Document::parse(&text))
}

/// Says what is installed and what is missing.
///
/// # Errors
/// When something is missing.
pub fn check(choice: Choice) -> Result<()> {
    let findings = Requirements::look(choice, Processor::X64);
    for line in &findings.found {
        println!("{line}");
    }
    if !findings.missing.is_empty() {
        bail!("{findings}");
    }
    Ok(())
}
