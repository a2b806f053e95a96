//! `rust-script`, for a run of the tasks without a compiler: what the scripts of wdk-build's
//! makefile do, told apart by the functions of wdk-build that they call.
//!
//! As with the real one, a script that takes wdk-build from `path = "."` fails unless
//! `--base-path` is its directory, and a condition that fails means that a task is skipped.
//!
//! `STAND_IN_WDK_BUILD` names that directory.

use crate::arguments::Arguments;
use crate::cargo::make;
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use wdk_kit::files;

/// Does what a script would do.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    if arguments == ["--version"] {
        println!("rust-script 0.36.0");
        return Ok(ExitCode::SUCCESS);
    }
    let (base, arguments) = match arguments {
        [option, base, rest @ ..] if option == "--base-path" => (Path::new(base), rest),
        _ => (Path::new("."), arguments),
    };
    let (script, arguments) = arguments.split_first().context("no script is named")?;
    let script = files::read_text(Path::new(script))?;
    if script.contains("path = \".\"") {
        let manifest = files::read_text(&base.join("Cargo.toml")).unwrap_or_default();
        ensure!(
            manifest.contains("name = \"wdk-build\""),
            "no matching package named `wdk-build` found in {}",
            base.display()
        );
    }
    match FUNCTIONS.iter().find(|(part, _)| script.contains(part)) {
        Some((_, function)) => function(arguments),
        None => bail!("a script that is not known here:\n{script}"),
    }
}

/// Parts of the scripts, and what those do.
#[expect(clippy::type_complexity, reason = "a table")]
const FUNCTIONS: [(&str, fn(&[String]) -> Result<ExitCode>); 10] = [
    ("load_rust_driver_makefile", |_| load_makefile()),
    ("validate_command_line_args", forward_command_line),
    ("to_map_with_prefix", |_| {
        forward(&[(DRIVER_TYPE, "WDM".to_owned())])
    }),
    ("generate_certificate_condition_script", |_| {
        lacks_certificate()
    }),
    ("\"WDM\" | \"KMDF\" => Ok(())", |_| is_kernel_driver()),
    ("\"{}.dll\"", |_| copy_in_output("dll", "sys")),
    ("driver_binary_extension", |_| {
        let extension = env::var("WDK_BUILD_DRIVER_EXTENSION")?;
        copy_to_package(&format!("fsglass.{extension}"))
    }),
    ("\"{}.pdb\"", |_| copy_to_package("fsglass.pdb")),
    ("\"{}.inf\"", |_| copy_to_package("fsglass.inf")),
    ("join(\"WDRLocalTestCert.cer\")", |_| {
        copy_to_package("WDRLocalTestCert.cer")
    }),
];

const DRIVER_TYPE: &str = "WDK_BUILD_METADATA-DRIVER_MODEL-DRIVER_TYPE";
const SUCCESS: Result<ExitCode> = Ok(ExitCode::SUCCESS);

/// Puts the makefile that wdk-build publishes into target/.
fn load_makefile() -> Result<ExitCode> {
    let name = "rust-driver-makefile.toml";
    let published = env::var("STAND_IN_WDK_BUILD").context("STAND_IN_WDK_BUILD is not set")?;
    files::link(
        &Path::new(&published).join(name),
        &Path::new("target").join(name),
    )?;
    SUCCESS
}

/// Takes arguments for cargo's, and derives from them where cargo puts what it builds.
fn forward_command_line(arguments: &[String]) -> Result<ExitCode> {
    let parsed = Arguments::parse(arguments, &["--release", "--locked"], &["--target"])?;
    ensure!(
        parsed.files.is_empty(),
        "error: unexpected argument {:?} found",
        parsed.files[0]
    );
    let mut output = PathBuf::from(env::var("CARGO_MAKE_CRATE_CUSTOM_TRIPLE_TARGET_DIRECTORY")?);
    if let Ok(target) = parsed.value("--target") {
        output.push(target);
    }
    output.push(if parsed.has("--release") {
        "release"
    } else {
        "debug"
    });
    forward(&[
        ("CARGO_MAKE_CARGO_BUILD_TEST_FLAGS", arguments.join(" ")),
        ("WDK_BUILD_OUTPUT_DIRECTORY", output.display().to_string()),
    ])
}

/// Prints variables for cargo-make, as the makefile's plugin reads them.
fn forward(variables: &[(&str, String)]) -> Result<ExitCode> {
    println!("FORWARDING ARGS TO CARGO-MAKE:");
    for (name, value) in variables {
        println!("{name}={value}");
    }
    println!("END OF FORWARDING ARGS TO CARGO-MAKE");
    SUCCESS
}

fn lacks_certificate() -> Result<ExitCode> {
    let mut command = Command::new("certmgr");
    command.args(["-put", "-s", "WDRTestCertStore", "-c", "-n"]);
    command.arg("WdrLocalTestCert");
    command.arg(output()?.join("WDRLocalTestCert.cer"));
    let found = command.status().context("certmgr")?.success();
    Ok(ExitCode::from(u8::from(found)))
}

/// It panics without the variable, and the task is run.
fn is_kernel_driver() -> Result<ExitCode> {
    let kind = env::var(DRIVER_TYPE).unwrap_or_else(|_| "WDM".to_owned());
    let kernel = ["WDM", "KMDF"].contains(&&*kind);
    Ok(ExitCode::from(u8::from(!kernel)))
}

fn copy_in_output(from: &str, to: &str) -> Result<ExitCode> {
    let file = output()?.join("fsglass");
    files::copy_if_changed(&file.with_extension(from), &file.with_extension(to))?;
    SUCCESS
}

fn copy_to_package(file: &str) -> Result<ExitCode> {
    let output = output()?;
    make(
        &output.join(file),
        &output.join("fsglass_package").join(file),
    )?;
    SUCCESS
}

fn output() -> Result<PathBuf> {
    let output = env::var("WDK_BUILD_OUTPUT_DIRECTORY");
    Ok(PathBuf::from(
        output.context("WDK_BUILD_OUTPUT_DIRECTORY is not set")?,
    ))
}
