//! `fsglass-test-progress COMMAND…` runs a command that runs `cargo test`, and tells of each suite in a
//! line: how long it took and how many tests passed. What a suite that fails has printed is shown
//! whole. The last line has the sums, and the exit code is the command's.

mod suites;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use suites::Reader;

/// After this long without a line it says what it waits for.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: fsglass-test-progress COMMAND [ARGUMENT]...");
        return ExitCode::from(2);
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error}", program.display());
            ExitCode::from(2)
        }
    }
}

fn run(mut command: Command) -> std::io::Result<ExitCode> {
    let begun = Instant::now();
    // One pipe for both, which keeps the order of the lines.
    let (output, input) = std::io::pipe()?;
    let mut child = command.stdout(input.try_clone()?).stderr(input).spawn()?;
    // With it go the ends of the pipe that this process has.
    drop(command);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    let mut reader = Reader::default();
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(line) => show(&reader.line(&line, begun.elapsed())),
            Err(RecvTimeoutError::Timeout) => show(&[reader.waiting(begun.elapsed())]),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    show(&reader.end(begun.elapsed()));
    let ended = child.wait()?;
    for test in &reader.totals.failed {
        println!("failed: {test}");
    }
    println!("{}", reader.totals.summary(begun.elapsed()));
    Ok(match ended.code() {
        Some(0) if reader.totals.failed.is_empty() => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1).max(1)),
        None => ExitCode::FAILURE,
    })
}

fn show(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}
