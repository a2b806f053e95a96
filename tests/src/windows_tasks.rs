//! The tasks for Windows, run by the real cargo-make with programs that record how they are called.
//!
//! cargo-make takes the tables of a task that are named for the system that it runs on. So the
//! tasks run from a copy of Makefile.toml in which the two systems have changed their names
//! ([`exchanged`]), in a folder of links to the sources. Nothing is compiled: `windows-programs`
//! stands for each program that a task starts, and puts what was built on Linux where the program
//! would put what it makes.

use crate::command::program;
use crate::drivers::{cargo, repository};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use toml::{Table, Value};

/// Every program that a task starts.
const PROGRAMS: [&str; 9] = [
    "cargo",
    "rust-script",
    "wdk-kit",
    "stampinf",
    "inf2cat",
    "infverif",
    "makecert",
    "certmgr",
    "signtool",
];

/// A folder in which the tasks run.
#[derive(Debug)]
pub struct Windows {
    root: PathBuf,
    idle: String,
    omitted: String,
}

/// How a task ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether cargo-make ended with 0.
    pub success: bool,
    /// What was printed, on both channels.
    pub output: String,
    /// The calls of programs, a line each, without those in which one asks for information.
    pub calls: Vec<String>,
}

impl Ended {
    /// Ends the test unless the task succeeded.
    ///
    /// # Panics
    /// With all that was printed.
    pub fn expect_success(&self) -> &Self {
        assert!(self.success, "{}", self.output);
        self
    }

    /// Ends the test unless the task failed and named `file`.
    ///
    /// # Panics
    /// With all that was printed.
    pub fn expect_failure(&self, file: &str) -> &Self {
        assert!(
            !self.success && self.output.contains(file),
            "{file} should be missed:\n{}",
            self.output
        );
        self
    }

    /// The calls of one program.
    #[must_use]
    pub fn calls_of(&self, program: &str) -> Vec<&str> {
        let calls = self.calls.iter().map(String::as_str);
        calls
            .filter(|call| call.split(' ').next() == Some(program))
            .collect()
    }
}

impl Windows {
    /// A folder of that name, without anything built.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/windows-tasks");
        let root = root.join(name);
        let _fresh = fs::remove_dir_all(&root);
        create(&root.join("target"));
        create(&root.join("programs"));
        let entries = fs::read_dir(repository()).unwrap_or_else(|error| panic!("{error}"));
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ours = ["target", "Makefile.toml", "inf"]
                .iter()
                .any(|own| name == *own);
            if !ours && !name.to_string_lossy().starts_with('.') {
                link(&entry.path(), &root.join(&name));
            }
        }
        create(&root.join("inf"));
        for file in ["fsglass.inx", "fsglass.wprp", "README.txt"] {
            copy(
                &repository().join("inf").join(file),
                &root.join("inf").join(file),
            );
        }
        static STAND_IN: LazyLock<PathBuf> =
            LazyLock::new(|| program("FSGLASS_STAND_IN", "windows-programs", "stand-in"));
        for name in PROGRAMS {
            // It finds the others, and itself, beside it: a symbolic link would lead away.
            let own = root.join("programs").join(name);
            fs::hard_link(&*STAND_IN, &own).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let windows = Self {
            root,
            idle: String::new(),
            omitted: String::new(),
        };
        windows.write_makefile(&makefile());
        windows
    }

    /// Where a file of the folder lies.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Calls that have this in their line do nothing from now on, and end well.
    pub fn make_idle(&mut self, part: &str) {
        part.clone_into(&mut self.idle);
    }

    /// Cargo, and the scripts of the makefile, make no files from now on that have this in their
    /// paths.
    pub fn omit(&mut self, part: &str) {
        part.clone_into(&mut self.omitted);
    }

    /// Runs with another Makefile.toml from now on.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_makefile(&self, text: &str) {
        fs::write(self.path("Makefile.toml"), exchanged(text))
            .unwrap_or_else(|error| panic!("Makefile.toml: {error}"));
    }

    /// `cargo make` with these arguments.
    ///
    /// # Panics
    /// If there is no cargo-make.
    #[must_use]
    pub fn make(&self, arguments: &[&str]) -> Ended {
        let log = self.path("calls.txt");
        let _fresh = fs::remove_file(&log);
        let mut make = cargo_make();
        let own = self.path("programs").display().to_string();
        make.env(
            "PATH",
            format!("{own}:{}", std::env::var("PATH").unwrap_or_default()),
        )
        .env("STAND_IN_LOG", &log)
        .env("STAND_IN_IDLE", &self.idle)
        .env("STAND_IN_OMIT", &self.omitted)
        .env("STAND_IN_STORES", self.path("stores"))
        .env("STAND_IN_CARGO", cargo())
        .env("STAND_IN_BUILT", repository().join("target"))
        .env("STAND_IN_WDK_BUILD", wdk_build())
        .args(["make", "--disable-check-for-updates", "--cwd"])
        .arg(&self.root)
        .args(arguments);
        let ended = make
            .output()
            .unwrap_or_else(|error| panic!("{make:?}: {error}"));
        let mut output = String::from_utf8_lossy(&ended.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&ended.stderr));
        let calls = fs::read_to_string(log).unwrap_or_default();
        let asks = |call: &&str| {
            ["cargo metadata", "cargo --list", "rust-script --version"]
                .iter()
                .any(|question| call.starts_with(question))
        };
        let calls = calls.lines().filter(|call| !asks(call)).map(str::to_owned);
        Ended {
            success: ended.status.success(),
            output,
            calls: calls.collect(),
        }
    }
}

/// cargo-make, without what is in our environment about a run of it or of cargo.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn cargo_make() -> Command {
    let own = repository().join("target/tools/bin/cargo-make");
    let program = if own.is_file() {
        own
    } else {
        PathBuf::from("cargo-make")
    };
    let found = Command::new(&program).args(["make", "--version"]).output();
    assert!(
        found.is_ok_and(|found| found.status.success()),
        "there is no cargo-make; `./dev test` brings it, into target/tools"
    );
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let foreign = ["CARGO_", "RUST_", "WDK", "STAND_IN_"];
        let text = name.to_string_lossy();
        if foreign.iter().any(|start| text.starts_with(start)) && text != "CARGO_HOME" {
            command.env_remove(&name);
        }
    }
    command.env_remove("CARGO");
    command
}

/// Our Makefile.toml.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn makefile() -> String {
    let path = repository().join("Makefile.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The makefile that wdk-build publishes.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn published_makefile() -> String {
    let path = wdk_build().join("rust-driver-makefile.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The makefile with Linux in the place of Windows, and the other way round.
///
/// # Panics
/// If that cannot be done by changing the names of tables.
#[must_use]
pub fn exchanged(makefile: &str) -> String {
    // A task itself may have the name of a system.
    let of_task = |line: &'_ str, system: &str| {
        let task = line.strip_suffix(system)?;
        (task != "[tasks").then(|| task.to_owned())
    };
    let lines = makefile.lines().map(|line| {
        if let Some(task) = of_task(line, ".windows]") {
            format!("{task}.linux]\n")
        } else if let Some(task) = of_task(line, ".linux]") {
            format!("{task}.windows]\n")
        } else if let Some(script) = line.strip_prefix("windows_load_script") {
            format!("linux_load_script{script}\n")
        } else {
            format!("{line}\n")
        }
    });
    let text: String = lines.collect();
    let same = with_exchanged_names(Value::Table(parse(makefile))) == Value::Table(parse(&text));
    assert!(
        same,
        "a system is named in another way than by the name of a table"
    );
    text
}

/// A document in which every key is that of the other system, but for the names of tasks.
fn with_exchanged_names(value: Value) -> Value {
    match value {
        Value::Table(table) => {
            assert!(
                !table.contains_key("platforms"),
                "a condition asks for the system"
            );
            let entries = table.into_iter().map(|(key, value)| {
                if key == "tasks"
                    && let Value::Table(tasks) = value
                {
                    let tasks = tasks.into_iter();
                    let tasks = tasks.map(|(name, task)| (name, with_exchanged_names(task)));
                    return (key, Value::Table(tasks.collect()));
                }
                let key = match &*key {
                    "windows" => "linux".to_owned(),
                    "linux" => "windows".to_owned(),
                    "windows_load_script" => "linux_load_script".to_owned(),
                    _ => key,
                };
                (key, with_exchanged_names(value))
            });
            Value::Table(entries.collect())
        }
        other => other,
    }
}

/// The tasks of a makefile that would be merged with tasks of the same names, `others`.
///
/// # Panics
/// If it is no makefile.
#[must_use]
pub fn merged(makefile: &str, others: &BTreeSet<String>) -> Vec<String> {
    let makefile = parse(makefile);
    let tasks = makefile["tasks"].as_table().into_iter().flatten();
    let merged = tasks.filter(|(name, task)| {
        let cleared = task.get("clear").and_then(Value::as_bool) == Some(true);
        others.contains(*name) && !cleared
    });
    merged.map(|(name, _)| name.clone()).collect()
}

/// The names of the tasks of a makefile.
///
/// # Panics
/// If it is no makefile.
#[must_use]
pub fn tasks(makefile: &str) -> BTreeSet<String> {
    let makefile = parse(makefile);
    let tasks = makefile["tasks"].as_table().into_iter().flatten();
    tasks.map(|(name, _)| name.clone()).collect()
}

fn parse(makefile: &str) -> Table {
    makefile.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Where cargo keeps wdk-build.
fn wdk_build() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(find_wdk_build);
    &DIRECTORY
}

fn find_wdk_build() -> PathBuf {
    let mut command = Command::new(cargo());
    command.current_dir(repository());
    command.args(["metadata", "--locked", "--format-version", "1"]);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let metadata: Json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut found = packages.filter(|package| package["name"] == "wdk-build");
    let manifest = found
        .next()
        .and_then(|package| package["manifest_path"].as_str());
    let directory = Path::new(manifest.unwrap_or_default()).parent();
    directory
        .map(Path::to_path_buf)
        .unwrap_or_else(|| panic!("wdk-build is in no lock file"))
}

fn create(directory: &Path) {
    fs::create_dir_all(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}

fn copy(source: &Path, destination: &Path) {
    fs::copy(source, destination).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
}

fn link(target: &Path, link: &Path) {
    wdk_kit::files::link(target, link).unwrap_or_else(|error| panic!("{error:#}"));
}
