//! Running other programs, with errors that name the command line.

use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command as one would type it.
#[must_use]
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(word).collect::<Vec<_>>().join(" ")
}

/// A word of a command as one would type it.
#[must_use]
pub fn word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '\'', '"', '$']) {
        format!("{word:?}")
    } else {
        word.into_owned()
    }
}

/// Runs a command with our own input and output.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    expect_success(command, status)
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or does not succeed; then with what it wrote to its
/// standard error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}):\n{}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not UTF-8", line(command)))
}

/// Runs a command, and ends it when it takes longer than `limit`.
///
/// # Errors
/// When it cannot be started, does not succeed or takes too long.
pub fn run_at_most(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return expect_success(command, status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{}` took more than {limit:?}", line(command));
        }
        sleep(Duration::from_millis(50));
    }
}

fn expect_success(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command_and_quotes_its_complaint() {
        let error = capture(&mut shell("echo no such thing >&2; exit 3")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c \"echo no such thing"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("no such thing"), "{text}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let error = run_at_most(&mut shell("exec sleep 60"), Duration::from_millis(100));
        assert!(error.unwrap_err().to_string().contains("took more than"));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_that_is_quick_enough_keeps_its_status() {
        assert!(run_at_most(&mut shell("exit 0"), Duration::from_secs(30)).is_ok());
        assert!(run_at_most(&mut shell("exit 1"), Duration::from_secs(30)).is_err());
    }
}
