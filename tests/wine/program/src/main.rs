//! Uses the volumes of `fskit.sys` as a Windows program does, and checks what it gets.
//!
//! ```text
//! exercise report                      what fskit.sys has seen, as lines NAME=VALUE
//! exercise mount N | dismount N        the volume of that number
//! exercise volume N [--unfiltered]     reads, writes, flushes, queries, controls and cancels
//! exercise start SERVICE N             starts a filter's service while the volume is being mounted
//! exercise stop SERVICE N              stops a filter's service while requests are in flight
//! ```
//!
//! The exit code is 0 if all was as it should be, 1 if it was not, 2 for a wrong command line.

#[cfg(windows)]
mod bounded;
#[cfg(windows)]
mod device;
#[cfg(windows)]
mod kit;
#[cfg(windows)]
mod pattern;
#[cfg(windows)]
mod service;
#[cfg(windows)]
mod start;
#[cfg(windows)]
mod stop;
#[cfg(windows)]
mod volume;

use std::process::ExitCode;

/// Why a check failed, in words.
#[cfg(windows)]
type Outcome<T = ()> = Result<T, String>;

#[cfg(windows)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
    let outcome = match *words {
        ["report"] => kit::print_report(),
        ["mount", volume] => number(volume).and_then(kit::mount),
        ["dismount", volume] => number(volume).and_then(kit::dismount),
        ["volume", volume] => number(volume).and_then(|volume| volume::exercise(volume, true)),
        ["volume", volume, "--unfiltered"] => {
            number(volume).and_then(|volume| volume::exercise(volume, false))
        }
        ["start", name, volume] => number(volume).and_then(|volume| start::in_mount(name, volume)),
        ["stop", name, volume] => number(volume).and_then(|volume| stop::in_flight(name, volume)),
        _ => {
            eprintln!("exercise: unknown arguments {words:?}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("FAILED: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    eprintln!("exercise: this is a program for Windows");
    ExitCode::from(2)
}
