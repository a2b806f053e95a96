//! The workflow of the hosted CI, as far as it can be held against what is run here.
//!
//! Nobody has run its Windows job. So that it is nothing new, each of its `run` lines is one command
//! line: a task of Makefile.toml, or one that the documentation of its program has.

use fsglass_tests::drivers::repository;
use std::fs;
use toml::{Table, Value};

/// How the command lines begin that are no tasks, and where they are documented.
const PUBLISHED: &[(&str, &str)] = &[
    ("rustup toolchain install ", "rustup book, Toolchains"),
    (
        "winget install ",
        "Windows Package Manager, install command",
    ),
    ("cargo install --locked ", "Cargo book, cargo install"),
    (
        "'& \"${env:ProgramFiles(x86)}\\Windows Kits\\10\\Tools\\10.0.26100.0\\x64\\infverif.exe\" ",
        "driver documentation, Running InfVerif from the command line",
    ),
];

/// The tasks that a hosted run makes on Windows.
const EXPECTED_TASKS: [&str; 2] = ["package", "test"];

fn read(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a job: those that are indented more than its name.
fn job<'w>(workflow: &'w str, name: &str) -> Vec<&'w str> {
    let header = format!("  {name}:");
    let lines = workflow.lines().skip_while(|line| *line != header).skip(1);
    let inside = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    inside.map(str::trim).collect()
}

/// What the steps of a job run.
fn run_lines<'w>(workflow: &'w str, name: &str) -> Vec<&'w str> {
    let lines = job(workflow, name).into_iter();
    let runs = lines.filter_map(|line| {
        let line = line.strip_prefix("- ").unwrap_or(line);
        line.strip_prefix("run:")
    });
    runs.map(str::trim).collect()
}

/// The task that a command line makes, if it makes one.
fn task(line: &str) -> Option<&str> {
    line.strip_prefix("cargo make ")?.split(' ').next()
}

/// What is wrong with the Windows job of a workflow.
fn faults(workflow: &str, makefile: &str) -> Vec<String> {
    let makefile: Table = makefile.parse().expect("Makefile.toml");
    let tasks = makefile["tasks"].as_table().expect("tasks");
    let lines = run_lines(workflow, "windows");
    let mut faults: Vec<_> = lines.iter().filter_map(|line| fault(line, tasks)).collect();
    let made: Vec<_> = lines.iter().filter_map(|line| task(line)).collect();
    if made != EXPECTED_TASKS {
        faults.push(format!("it makes {made:?}, not {EXPECTED_TASKS:?}"));
    }
    faults
}

fn fault(line: &str, tasks: &Table) -> Option<String> {
    let Some(name) = task(line) else {
        let is_published = PUBLISHED.iter().any(|(start, _)| line.starts_with(start));
        return (!is_published).then(|| format!("neither a task nor published: {line:?}"));
    };
    match tasks.get(name) {
        None => Some(format!("there is no task {name:?}: {line:?}")),
        Some(task) if task.get("private").and_then(Value::as_bool) == Some(true) => {
            Some(format!("the task {name:?} is a part of others: {line:?}"))
        }
        Some(_) => None,
    }
}

#[test]
fn the_windows_job_runs_tasks_and_published_commands() {
    let faults = faults(&read(".github/workflows/ci.yml"), &read("Makefile.toml"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Both jobs look after what an action may turn into: each is named by a commit.
#[test]
fn actions_are_pinned_to_commits() {
    let workflow = read(".github/workflows/ci.yml");
    let unpinned = unpinned(&workflow);
    assert!(unpinned.is_empty(), "{unpinned:?}");
    assert!(workflow.matches("uses: ").count() > 3);
}

fn unpinned(workflow: &str) -> Vec<&str> {
    let lines = workflow.lines().map(str::trim);
    let uses = lines.filter_map(|line| line.split_once("uses: ").map(|(_, action)| action));
    let is_commit = |version: &str| {
        let (commit, comment) = version.split_once(" # v").unwrap_or((version, ""));
        commit.len() == 40
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !comment.is_empty()
    };
    uses.filter(|action| {
        !action
            .split_once('@')
            .is_some_and(|(_, version)| is_commit(version))
    })
    .collect()
}

/// The checks themselves: each fault is found, and named.
#[test]
fn what_is_wrong_with_a_workflow_is_found() {
    let good = read(".github/workflows/ci.yml");
    let makefile = read("Makefile.toml");
    for (change, to, expected) in [
        (
            "cargo make package",
            "cargo make pakage",
            "there is no task \"pakage\"",
        ),
        (
            "cargo make test",
            "cargo make test-crates",
            "the task \"test-crates\" is a part of others",
        ),
        (
            "cargo make test --release",
            "cargo test --release",
            "neither a task nor published: \"cargo test --release\"",
        ),
        (
            "run: cargo make test --release",
            "run: |",
            "neither a task nor published: \"|\"",
        ),
        ("  windows:", "  window:", "it makes []"),
    ] {
        let faults = faults(&good.replace(change, to), &makefile);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{expected:?} is not in {faults:?}"
        );
    }
    let action = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";
    assert!(unpinned(&format!("  - uses: {action}\n")).is_empty());
    for other in [
        "actions/checkout@v7",
        "actions/checkout@3d3c42e # v7.0.1",
        "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "actions/checkout",
    ] {
        assert_eq!(unpinned(&format!("  - uses: {other}\n")), [other]);
    }
}
