//! A machine of ntbox that programs of the host use, as `ntbox run --client ADDRESS --paced` has it, and
//! `fsglass --connect ADDRESS` on it.

use crate::command;
use crate::own_process::start;
use clap::Parser;
use fsglass_cli::arguments::CommandLine;
use fsglass_cli::error::Exit;
use fsglass_cli::{commands, system};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// The machine.
pub struct Served {
    child: Child,
    messages: BufReader<ChildStderr>,
    /// Where it listens.
    pub address: String,
}

impl Served {
    /// Starts `ntbox run` with these arguments; the workload waits for [`Served::run_workload`].
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = command::ntbox_command(
            ["run", "--client", "127.0.0.1:0", "--paced"]
                .iter()
                .chain(arguments),
        );
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child =
            start(|| command.spawn()).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let Some(messages) = child.stderr.take() else {
            panic!("its standard error is a pipe")
        };
        let mut served = Self {
            child,
            messages: BufReader::new(messages),
            address: String::new(),
        };
        let line = message(&mut served.messages, "clients are served at ");
        served.address = line.rsplit(' ').next().unwrap_or_default().to_owned();
        served
    }

    /// Starts the workload.
    ///
    /// # Panics
    /// If ntbox has ended.
    pub fn begin_workload(&mut self) {
        let input = self.child.stdin.as_mut();
        let written = input.map(|input| input.write_all(b"\n"));
        assert!(matches!(written, Some(Ok(()))), "ntbox has ended");
    }

    /// Starts the workload, and waits until it has ended.
    ///
    /// # Panics
    /// If ntbox has ended.
    pub fn run_workload(&mut self) {
        self.begin_workload();
        self.await_workload();
    }

    /// Waits until the workload has ended.
    ///
    /// # Panics
    /// If ntbox has ended.
    pub fn await_workload(&mut self) {
        message(&mut self.messages, "the workload has ended");
    }

    /// Lets it unload the drivers and end: what it printed.
    ///
    /// # Panics
    /// Unless it was clean.
    pub fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut printed = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            let _whole = output.read_to_string(&mut printed);
        }
        let mut messages = String::new();
        let _whole = self.messages.read_to_string(&mut messages);
        let ended = self.child.wait();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "{printed}\n{messages}"
        );
        printed
    }

    /// What `fsglass --connect ADDRESS` does with that command line: how it ends, and what it prints on
    /// standard output.
    ///
    /// # Panics
    /// If the command line is wrong.
    #[must_use]
    pub fn fsglass(&self, line: &[&str]) -> (Exit, String) {
        Self::fsglass_at(&self.address, line)
    }

    /// The same, with the machine that listens at `address`.
    ///
    /// # Panics
    /// If the command line is wrong.
    #[must_use]
    pub fn fsglass_at(address: &str, line: &[&str]) -> (Exit, String) {
        let whole = [&["fsglass", "--connect", address], line].concat();
        let line = CommandLine::try_parse_from(whole).unwrap_or_else(|error| panic!("{error}"));
        let system = system::of_driver(line.global.connect);
        let mut out = Vec::new();
        let exit = commands::run(&line, &*system, &mut out).unwrap_or_else(|error| {
            out.extend_from_slice(error.explained(&*system).as_bytes());
            error.exit()
        });
        (exit, String::from_utf8_lossy(&out).into_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where it has ended, there is nothing to kill.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// `fsglass --connect ADDRESS` in a process of its own, which Ctrl-C ends.
pub struct Client {
    child: Child,
    output: BufReader<ChildStdout>,
    messages: BufReader<ChildStderr>,
}

impl Client {
    /// Starts it.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn start(served: &Served, line: &[&str]) -> Self {
        let whole = [&["--connect", served.address.as_str()], line].concat();
        let mut command = command::fsglass_command(whole);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            start(|| command.spawn()).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (Some(output), Some(messages)) = (child.stdout.take(), child.stderr.take()) else {
            panic!("both are pipes")
        };
        Self {
            child,
            output: BufReader::new(output),
            messages: BufReader::new(messages),
        }
    }

    /// The next line that it prints.
    ///
    /// # Panics
    /// If it ends before.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        assert!(read.is_ok_and(|bytes| bytes != 0), "fsglass has ended");
        line
    }

    /// What it prints until it ends: it waits where nobody reads that.
    ///
    /// # Panics
    /// If that is no text.
    pub fn printed(&mut self) -> String {
        let mut printed = String::new();
        let read = self.output.read_to_string(&mut printed);
        read.unwrap_or_else(|error| panic!("{error}"));
        printed
    }

    /// The next message with `part` in it.
    ///
    /// # Panics
    /// If it ends before.
    pub fn message(&mut self, part: &str) -> String {
        message(&mut self.messages, part)
    }

    /// Presses Ctrl-C.
    ///
    /// # Panics
    /// If that fails.
    pub fn interrupt(&mut self) {
        self.signal("-INT");
    }

    /// Stops it where it is, until [`Client::go_on`].
    ///
    /// # Panics
    /// If that fails.
    pub fn stop(&mut self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If that fails.
    pub fn go_on(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let number = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &number]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill {signal} {number}"
        );
    }

    /// Waits until it ends: what it printed that was not read.
    ///
    /// # Panics
    /// If it ends with another code.
    pub fn end(&mut self, code: i32) -> String {
        let mut printed = String::new();
        let _whole = self.output.read_to_string(&mut printed);
        let mut messages = String::new();
        let _whole = self.messages.read_to_string(&mut messages);
        let ended = self.child.wait().ok().and_then(|status| status.code());
        assert_eq!(ended, Some(code), "{printed}\n{messages}");
        printed
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Where it has ended, there is nothing to kill.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The next message with `part` in it.
fn message(messages: &mut impl BufRead, part: &str) -> String {
    let mut before = String::new();
    loop {
        let mut line = String::new();
        let read = messages.read_line(&mut line);
        if line.contains(part) {
            return line.trim_end().to_owned();
        }
        assert!(
            read.is_ok_and(|bytes| bytes != 0),
            "it ended before it said {part:?}: {before}"
        );
        before += &line;
    }
}
