//! Programs of Linux, for programs in Wine that start them by their names.
//!
//! Wine starts them, but neither says when they end nor how. A shell writes that into a file.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Runs a program of Linux with the arguments, paths of Windows in them translated, and ends as
/// it does.
pub fn run(program: &str, arguments: &[String]) -> Result<ExitCode> {
    let folder = Folder::new()?;
    // $0 is the folder; the others are the program and its arguments.
    let script =
        r#""$@" >"$0/output" 2>"$0/errors" </dev/null; echo $? >"$0/new"; mv "$0/new" "$0/code""#;
    let mut shell = Command::new(r"Z:\bin\sh");
    shell
        .args(["-c", script])
        .arg(linux_path(&folder.0.display().to_string())?);
    shell.arg(program);
    for argument in arguments {
        shell.arg(linux_path(argument)?);
    }
    // There is no process to wait for.
    let _ = shell.spawn().context("cannot start Linux's shell")?;
    let code = loop {
        match fs::read_to_string(folder.file("code")) {
            Ok(code) => break code,
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    };
    std::io::stdout().write_all(&fs::read(folder.file("output"))?)?;
    std::io::stderr().write_all(&fs::read(folder.file("errors"))?)?;
    let code = code.trim();
    Ok(ExitCode::from(
        code.parse::<u8>().with_context(|| code.to_owned())?,
    ))
}

/// The argument, a path of Windows as one of Linux.
fn linux_path(argument: &str) -> Result<String> {
    let mut letters = argument.chars();
    let has_drive = letters
        .next()
        .is_some_and(|letter| letter.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && letters
            .next()
            .is_some_and(|next| next == '\\' || next == '/');
    if !has_drive {
        return Ok(argument.replace('\\', "/"));
    }
    let mut translate = Command::new("winepath.exe");
    let output = translate
        .args(["-u", argument])
        .output()
        .context("winepath.exe")?;
    let path = String::from_utf8(output.stdout).context("winepath.exe")?;
    Ok(path.trim_end().to_owned())
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let name = format!("stand-in-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
