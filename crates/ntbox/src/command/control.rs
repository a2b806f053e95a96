//! `ntbox run --control`: what a filter's own program tells it. Many filters do nothing until then.

use super::failure::Failure;
use super::watchdog::Watchdog;
use ntbox::nt::Status;
use ntbox::processor::thread;
use ntbox::user::access::{READ, WRITE};
use ntbox::user::{CreateParameters, File, create_file};
use ntbox::workload::worker::synchronous;
use serde::Serialize;
use std::sync::mpsc::channel;

/// Bytes of the buffer for an answer.
const ANSWER: u32 = 4096;

/// A device control request for a control device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    device: String,
    code: u32,
    input: Vec<u8>,
}

/// What came of one.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The device as it was named.
    pub device: String,
    /// The code, `0x222000`.
    pub code: String,
    /// What the request ended with.
    pub status: String,
    /// What it gave, as hexadecimal.
    pub output: String,
}

/// `DEVICE,CODE[,INPUT]`: the input in hexadecimal digits.
pub fn parse_control(text: &str) -> Result<Control, String> {
    let form = r"a control request is DEVICE,CODE[,INPUT], as in \\.\Filter,0x222000,01ff";
    let mut parts = text.splitn(3, ',');
    let (device, code) = match (parts.next(), parts.next()) {
        (Some(device), Some(code)) if !device.is_empty() => (device, code),
        _ => return Err(form.to_owned()),
    };
    let number = match code.strip_prefix("0x").or_else(|| code.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => code.parse(),
    };
    let code = number.map_err(|_| format!("'{code}' is no control code; {form}"))?;
    let digits = parts.next().unwrap_or_default();
    let input = bytes(digits).ok_or_else(|| {
        format!("'{digits}' are not bytes in hexadecimal, two digits each; {form}")
    })?;
    Ok(Control {
        device: device.to_owned(),
        code,
        input,
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
            }
            _ => None,
        })
        .collect()
}

/// The NT name of a device that a program may have named as Win32 does.
fn nt_name(device: &str) -> String {
    match device
        .strip_prefix(r"\\.\")
        .or_else(|| device.strip_prefix(r"\\?\"))
    {
        Some(name) => format!(r"\??\{name}"),
        None => device.to_owned(),
    }
}

/// What they gave, and the devices, which stay open as long as these.
type Sent = Result<(Vec<Answer>, Vec<File>), Failure>;

/// Sends the requests in order, as a program does. The devices stay open as long as what comes back: a filter may stop
/// when its program closes.
pub fn send(controls: &[Control]) -> Sent {
    if controls.is_empty() {
        return Ok(Default::default());
    }
    let _watchdog = Watchdog::start("control requests");
    let controls = controls.to_vec();
    let (tell, told) = channel();
    let program = thread::spawn("control requests", move || {
        // Whoever listens waits for it.
        let _heard = tell.send(send_all(&controls));
    });
    let sent = told.recv();
    let ended = program.join();
    sent.ok().filter(|_| ended.is_ok()).unwrap_or_else(|| {
        Err(Failure::Failed(
            "the control requests ended by a panic of the box".to_owned(),
        ))
    })
}

fn send_all(controls: &[Control]) -> Sent {
    let mut answers = Vec::new();
    let mut open: Vec<(&str, File)> = Vec::new();
    for control in controls {
        if !open.iter().any(|(device, _)| *device == control.device) {
            open.push((&control.device, open_device(&control.device)?));
        }
        let Some((_, device)) = open.iter().find(|(device, _)| *device == control.device) else {
            continue;
        };
        let outcome = device.device_control(control.code, &control.input, ANSWER);
        answers.push(Answer {
            device: control.device.clone(),
            code: format!("0x{:X}", control.code),
            status: outcome.status().to_string(),
            output: outcome
                .data
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        });
    }
    Ok((answers, open.into_iter().map(|(_, file)| file).collect()))
}

fn open_device(device: &str) -> Result<File, Failure> {
    let name = nt_name(device);
    let opened = create_file(
        &CreateParameters::new(&name)
            .access(READ | WRITE)
            .options(synchronous(0)),
    );
    opened.file.ok_or_else(|| {
        Failure::Failed(format!(
            "--control {device}: the device ({name}) cannot be opened: {}",
            Status(opened.outcome.status)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_requests_are_taken_apart() {
        let control = parse_control(r"\\.\Filter,0x222000,01ff").expect("a request");
        assert_eq!(control.code, 0x22_2000);
        assert_eq!(control.input, [1, 0xFF]);
        assert_eq!(nt_name(&control.device), r"\??\Filter");
        let plain = parse_control(r"\Device\Filter,16").expect("a request");
        assert_eq!((plain.code, plain.input.len()), (16, 0));
        assert_eq!(nt_name(&plain.device), r"\Device\Filter");
    }

    #[test]
    fn wrong_ones_say_what_is_wrong() {
        for (text, part) in [
            ("Filter", "DEVICE,CODE[,INPUT]"),
            (",1", "DEVICE,CODE[,INPUT]"),
            ("Filter,many", "'many' is no control code"),
            ("Filter,1,f", "'f' are not bytes"),
            ("Filter,1,0g", "'0g' are not bytes"),
            ("Filter,1,+1", "'+1' are not bytes"),
        ] {
            let error = parse_control(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
