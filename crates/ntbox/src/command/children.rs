//! Running this command again in a process of its own: a violation ends a
//! process, and options of the verifier are chosen once in one.

use super::failure::Failure;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::processor::fault::FAILED;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

/// Runs `ntbox` with `arguments` to its end, with its output kept.
pub fn run(arguments: &[OsString]) -> Result<Output, Failure> {
    command(arguments)?
        .stdin(Stdio::null())
        .output()
        .map_err(not_started)
}

fn command(arguments: &[OsString]) -> Result<Command, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("ntbox does not know its own file: {error}")))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn not_started(error: std::io::Error) -> Failure {
    Failure::Failed(format!("ntbox cannot be started again: {error}"))
}

/// A volume as the command line takes it.
pub fn volume(
    letter: char,
    host: &Path,
    kind: VolumeKind,
    mount: MountTiming,
    recognized: bool,
) -> OsString {
    let kind = match kind {
        VolumeKind::Disk => "disk",
        VolumeKind::CdRom => "cdrom",
        VolumeKind::Removable => "removable",
        VolumeKind::ShadowCopy => "shadow",
        VolumeKind::Network => "network",
    };
    let mount = match mount {
        MountTiming::Before => "before",
        MountTiming::After => "after",
        MountTiming::Async => "async",
    };
    let recognized = if recognized { "yes" } else { "no" };
    let mut text = OsString::from(format!("{letter}="));
    text.push(host);
    text.push(format!(
        ",kind={kind},mount={mount},recognized={recognized}"
    ));
    text
}

/// A process that is spoken to in lines.
pub struct Conversation {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it writes to standard error: a pipe would have to be read meanwhile.
    errors: std::fs::File,
}

impl Conversation {
    /// Starts `ntbox` with `arguments`. What it makes for itself lies in `directory`, and goes with that, however it ends.
    pub fn start(arguments: &[OsString], directory: &Path) -> Result<Self, Failure> {
        let errors = tempfile::tempfile().map_err(not_started)?;
        let mut child = command(arguments)?
            .env("TMPDIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().map_err(not_started)?)
            .spawn()
            .map_err(not_started)?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else {
            return Err(Failure::Failed("ntbox has no output".to_owned()));
        };
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
            errors,
        })
    }

    /// Says a line. One who has ended does not hear it.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    /// Hears a line; `None` if it has ended.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).ok()?;
        (read != 0).then_some(line)
    }

    /// Says no more.
    pub fn finish(&mut self) {
        self.input = None;
    }

    /// Waits for its end: true if that was ntbox's own fault.
    pub fn failed_itself(&mut self) -> bool {
        self.finish();
        let status = self.child.wait();
        status.is_ok_and(|status| status.code() == Some(FAILED))
    }

    /// Waits for its end: true for exit code 0.
    pub fn ended_well(&mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// Waits for its end, and gives what it wrote to standard error.
    pub fn errors(&mut self) -> String {
        use std::io::Seek;
        self.finish();
        let status = self.child.wait();
        let mut text = Vec::new();
        let read = self
            .errors
            .rewind()
            .and_then(|()| self.errors.read_to_end(&mut text));
        match (read, status) {
            (Ok(1..), _) => String::from_utf8_lossy(&text).into_owned(),
            (_, Ok(status)) => format!("without a report ({status})"),
            (_, Err(error)) => format!("without a report ({error})"),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.finish();
        // One that has ended already needs no more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
