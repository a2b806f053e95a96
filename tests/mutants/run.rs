//! Building and testing in the copy.

use fsglass_tests::copy;
use fsglass_tests::drivers::{self, repository};
use fsglass_tests::mutants::Mutant;
use fsglass_tests::sources::Sources;
use fsglass_tests::ui::{self, Compiled};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

/// What came of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The test failed; how.
    Noticed(String),
    /// The test passed.
    Survived,
    /// It does not compile, so it shows nothing.
    NotMade(String),
}

impl Outcome {
    pub fn is_noticed(&self) -> bool {
        matches!(self, Self::Noticed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noticed(how) => f.write_str(how),
            Self::Survived => f.write_str("not noticed"),
            Self::NotMade(error) => write!(f, "cannot be made: {error}"),
        }
    }
}

/// The copy in which the drivers are built. The tests are those of the workspace itself.
pub struct Runner {
    root: PathBuf,
    sources: Sources,
}

impl Runner {
    /// Builds the drivers of the copy, and sees that the tests pass without a mutant.
    pub fn start(mutants: &[Mutant]) -> Result<Self, String> {
        let root = repository().join("target/mutants");
        copy::workspace(repository(), &root).map_err(|error| error.to_string())?;
        let runner = Self {
            root,
            sources: Sources::of_driver(),
        };
        eprintln!("mutants: without a mutant, in {}", runner.root.display());
        runner.build("--debug")?;
        runner.build("--release")?;
        runner.expect_success(mutants)?;
        Ok(runner)
    }

    /// Without a mutant all tests pass. Those of one file run in one program.
    fn expect_success(&self, mutants: &[Mutant]) -> Result<(), String> {
        let mut files: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for mutant in mutants {
            let (file, name) = mutant.file_and_name()?;
            let names = files.entry((file, mutant.release)).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for ((file, release), names) in files {
            let how = match file {
                "ui" => {
                    let compiled = self.compiled()?;
                    let allowed = names.iter().find(|name| compiled.allows(name));
                    allowed.map(|name| format!("{name} compiles"))
                }
                _ => self.how_scenarios_fail(file, &names, release)?,
            };
            if let Some(how) = how {
                return Err(format!("without a mutant {file} fails: {how}"));
            }
        }
        Ok(())
    }

    /// Makes one mutant, runs its test, and takes the change back.
    pub fn run(&self, mutant: &Mutant) -> Result<Outcome, String> {
        let place = mutant.place(&self.sources)?;
        let file = self.root.join(&place.file);
        let original = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let write = |text: &str| {
            std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
        };
        write(&mutant.applied(&place, &original))?;
        let outcome = self.outcome(mutant);
        write(&original)?;
        Ok(outcome)
    }

    fn outcome(&self, mutant: &Mutant) -> Outcome {
        let profile = if mutant.release {
            "--release"
        } else {
            "--debug"
        };
        let how = self
            .build(profile)
            .and_then(|()| self.how_its_test_fails(mutant));
        match how {
            Ok(Some(how)) => Outcome::Noticed(how),
            Ok(None) => Outcome::Survived,
            Err(error) => Outcome::NotMade(error),
        }
    }

    fn build(&self, profile: &str) -> Result<(), String> {
        let mut kit = drivers::kit();
        kit.args([
            "build",
            "--package",
            "fsglass",
            "--package",
            "completion-patterns",
            profile,
        ]);
        let (built, output) = run(kit.current_dir(&self.root))?;
        if built { Ok(()) } else { Err(output) }
    }

    /// Runs the mutant's test with the drivers of the copy: what it says if it fails.
    fn how_its_test_fails(&self, mutant: &Mutant) -> Result<Option<String>, String> {
        let (file, name) = mutant.file_and_name()?;
        if file == "ui" {
            let is_allowed = self.compiled()?.allows(name);
            return Ok(is_allowed.then(|| "it compiles".to_owned()));
        }
        self.how_scenarios_fail(file, &[name], mutant.release)
    }

    /// What the compiler says to the misuses, if what is right compiles.
    fn compiled(&self) -> Result<Compiled, String> {
        let compiled = ui::compile(&self.root);
        if compiled.accepted.iter().any(|target| target == "wdm_ui") {
            Ok(compiled)
        } else {
            Err(format!("what is right does not compile: {compiled:?}"))
        }
    }

    fn how_scenarios_fail(
        &self,
        file: &str,
        names: &[&str],
        release: bool,
    ) -> Result<Option<String>, String> {
        let mut cargo = Command::new(drivers::cargo());
        cargo.current_dir(repository());
        cargo.args([
            "test",
            "--quiet",
            "--package",
            "fsglass-tests",
            "--test",
            file,
        ]);
        cargo.args(["--", "--exact"]).args(names);
        let profile = if release { "release" } else { "debug" };
        let built = self
            .root
            .join("target/x86_64-pc-windows-msvc")
            .join(profile);
        // The tests take it for the shipped build; beside it they run the workspace's debug build.
        cargo.env("FSGLASS_SYS", built.join("fsglass.sys"));
        cargo.env(
            "COMPLETION_PATTERNS_SYS",
            built.join("completion_patterns.sys"),
        );
        let (passed, output) = run(&mut cargo)?;
        let all = format!("running {} test", names.len());
        if !output.contains(&all) || !output.contains("test result:") {
            return Err(output);
        }
        Ok((!passed).then(|| how_noticed(&output)))
    }
}

/// Runs a command: whether it succeeded, and what it printed.
fn run(command: &mut Command) -> Result<(bool, String), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((output.status.success(), text))
}

/// What the failing test said: the rule whose violation ntbox reports, or else what was expected.
fn how_noticed(output: &str) -> String {
    if let Some((_, rest)) = output.split_once("violation of ") {
        let rule: String = rest
            .chars()
            .take_while(|letter| letter.is_alphanumeric())
            .collect();
        return format!("violation of {rule}");
    }
    if output.contains(" hangs with ") {
        return "it does not end".to_owned();
    }
    if output.contains("signal: ") {
        return "the driver crashes".to_owned();
    }
    if output.contains("does not load") {
        return "the driver does not load".to_owned();
    }
    "the test's own check".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_reason_is_given() {
        for (output, reason) in [
            (
                "ntbox: violation of UseAfterFree (0xC9)\nsignal: 6",
                "violation of UseAfterFree",
            ),
            ("the scenario x hangs with y", "it does not end"),
            ("failed (signal: 11 (SIGSEGV))", "the driver crashes"),
            ("assertion failed", "the test's own check"),
        ] {
            assert_eq!(how_noticed(output), reason);
        }
    }
}
