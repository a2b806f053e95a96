//! Commands on a pretended Windows.

use crate::arguments::CommandLine;
use crate::error::Exit;
use crate::system::pretended::Pretended;
use crate::system::{DriveLetter, Service};
use clap::{CommandFactory, Parser};
use fsglass_protocol::{
    Kind, Reason, SettingsReply, VERSION, VersionReply, VolumesWriter, attach, class, code,
};
use zerocopy::{FromZeros, IntoBytes};

/// Runs a command line: how it ended, and what it printed.
pub(super) fn ran(system: &Pretended, line: &[&str]) -> (Result<Exit, Exit>, String) {
    let line = CommandLine::try_parse_from([&["fsglass"], line].concat()).unwrap();
    let mut out = Vec::new();
    let result = super::run(&line, system, &mut out);
    let text = String::from_utf8(out).unwrap();
    match result {
        Ok(exit) => (Ok(exit), text),
        Err(error) => (Err(error.exit()), text + &error.explained(system)),
    }
}

pub(super) fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A machine with a driver that runs: C: filtered, D: detached.
pub(super) fn running() -> Pretended {
    let mut version = VersionReply::new_zeroed();
    (version.oldest, version.newest) = (VERSION.into(), VERSION.into());
    version.driver = [0, 1, 0, 0].map(Into::into);
    let mut settings = SettingsReply::new_zeroed();
    settings.attach = (attach::DISK | attach::RAW).into();
    settings.started = 133_801_632_000_000_000.into();
    settings.clients = 1.into();
    settings.memory.statistics = 812_000.into();
    settings.memory.most = (64 << 20).into();
    settings.memory.most_files = 16_384.into();
    settings.memory.forgotten_names = 3.into();
    settings.memory.asks_names = 1.into();
    let mut list = vec![0; 1000];
    let mut writer = VolumesWriter::new(&mut list).unwrap();
    for (name, reason) in [
        (r"\Device\HarddiskVolume1", Reason::Attached),
        (r"\Device\HarddiskVolume2", Reason::Detached),
    ] {
        let mut record = writer.record(&units(name));
        let attached = reason == Reason::Attached;
        if attached {
            record.device(&units(r"\FileSystem\fsglass"), true);
        }
        record.device(&units(r"\FileSystem\Ntfs"), false);
        record.finish(|fixed| {
            fixed.kind = Kind::Volume as u8;
            fixed.reason = reason as u8;
            fixed.class = class::DISK;
            fixed.since = 133_801_632_000_000_000.into();
        });
    }
    let (written, _) = writer.finish();
    list.truncate(written);
    let answers = [
        (code::VERSION, (0, version.as_bytes().to_vec())),
        (code::SETTINGS, (0, settings.as_bytes().to_vec())),
        (code::VOLUMES, (0, list)),
        (code::ATTACH, (0xC000_0035, vec![])),
        (code::DETACH, (0, vec![])),
    ];
    let service = Service {
        running: true,
        state: "running".to_owned(),
        start: "on demand".to_owned(),
        image: r"\SystemRoot\fsglass.sys".to_owned(),
    };
    let letter = |letter: &str, device: &str| DriveLetter {
        letter: letter.to_owned(),
        device: device.to_owned(),
    };
    Pretended {
        administrator: true,
        service: Some(service).into(),
        answers: answers.into(),
        letters: vec![(letter("C:", r"\Device\HarddiskVolume1"), false)],
        ..Pretended::default()
    }
}

#[test]
fn the_command_line_is_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn status_shows_the_run() {
    let (exit, text) = ran(&running(), &["status"]);
    assert_eq!(exit, Ok(Exit::Done));
    for part in [
        "running",
        "0.1.0",
        "disk, RAW",
        "2025-01-01T00:00:00Z",
        "1 filtered, 1 not",
        "statistics 812 kB, traces 0 B, names 0 B, of at most 67.1 MB",
        "asked for, 0 files of at most 16384, 3 gave way",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let (_, text) = ran(&running(), &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["driver"]["clients"], 1);
    assert_eq!(json["driver"]["memory"]["statistics"], 812_000);
    assert_eq!(
        ran(&Pretended::default(), &["status"]).0,
        Ok(Exit::NotRunning)
    );
}

#[test]
fn list_shows_what_is_filtered_and_why_not() {
    let (exit, text) = ran(&running(), &["list"]);
    assert_eq!(exit, Ok(Exit::Done));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("DEVICE"), "{text}");
    assert!(
        lines[1].contains("C:") && lines[1].contains("[fsglass] > Ntfs"),
        "{text}"
    );
    assert!(lines[2].contains("detached by request"), "{text}");
    let (_, text) = ran(&running(), &["list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json[0]["letters"][0], "C:");
    assert_eq!(json[0]["below"][0], r"\FileSystem\Ntfs");
    assert_eq!(json[1]["filtered"], false);
}

#[test]
fn an_answer_of_the_driver_that_makes_no_sense_is_an_error() {
    let mut system = running();
    system.answers.insert(code::VOLUMES, (0, vec![9; 40]));
    assert_eq!(ran(&system, &["list"]).0, Err(Exit::Failed));
    let mut version = VersionReply::new_zeroed();
    (version.oldest, version.newest) = (7.into(), 9.into());
    system
        .answers
        .insert(code::VERSION, (0, version.as_bytes().to_vec()));
    let (exit, text) = ran(&system, &["list"]);
    assert_eq!(exit, Err(Exit::Failed));
    assert!(text.contains("versions 7 to 9"), "{text}");
}

#[test]
fn a_refusal_has_code_and_remedy() {
    let (exit, text) = ran(&running(), &["attach", "c:"]);
    assert_eq!(exit, Err(Exit::Failed));
    assert!(
        text.contains("0xC0000035") && text.contains("what to do"),
        "{text}"
    );
    assert_eq!(
        ran(&running(), &["detach", r"\Device\HarddiskVolume1"]).0,
        Ok(Exit::Done)
    );
    let (_, text) = ran(&running(), &["detach", "Q:"]);
    assert!(text.contains("no volume \"Q:\""), "{text}");
}

#[test]
fn stopping_what_is_not_there_says_so() {
    let (exit, text) = ran(&Pretended::default(), &["stop"]);
    assert_eq!(exit, Err(Exit::NotRunning));
    assert!(
        text.contains("error 1060") && text.contains("fsglass install"),
        "{text}"
    );
}

/// What the user is told beside the answer while the driver is stopped.
fn told_by_stop(system: &Pretended) -> Vec<String> {
    assert_eq!(ran(system, &["stop"]).0, Ok(Exit::Done));
    let done = system.done.borrow();
    let told = done.iter().filter_map(|what| what.strip_prefix("tell "));
    told.map(str::to_owned).collect()
}

/// [`running`], in a driver that can be unloaded, with so many handles; above ours on C: is another driver.
fn held(clients: u32, above: bool) -> Pretended {
    let mut system = running();
    let mut settings = SettingsReply::new_zeroed();
    settings.allow_unload = 1.into();
    settings.clients = clients.into();
    system
        .answers
        .insert(code::SETTINGS, (0, settings.as_bytes().to_vec()));
    if above {
        let mut list = vec![0; 1000];
        let mut writer = VolumesWriter::new(&mut list).unwrap();
        let mut record = writer.record(&units(r"\Device\HarddiskVolume1"));
        record.device(&units(r"\FileSystem\upper"), false);
        record.device(&units(r"\FileSystem\fsglass"), true);
        record.device(&units(r"\FileSystem\Ntfs"), false);
        record.finish(|fixed| {
            fixed.kind = Kind::Volume as u8;
            fixed.reason = Reason::Attached as u8;
        });
        let (written, _) = writer.finish();
        list.truncate(written);
        system.answers.insert(code::VOLUMES, (0, list));
    }
    system
}

#[test]
fn what_holds_the_driver_is_said_before_it_is_stopped() {
    assert_eq!(told_by_stop(&held(1, false)), [""; 0]);
    let system = held(3, true);
    let told = told_by_stop(&system);
    let parts = [
        &["2 more handles", "fsglass trace"][..],
        &[r"\FileSystem\upper lies above", r"\Device\HarddiskVolume1"],
    ];
    assert_eq!(told.len(), parts.len(), "{told:?}");
    for (told, parts) in told.iter().zip(parts) {
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
    let done = system.done.borrow();
    assert!(
        done[1].starts_with("tell ") && done[2] == "stop fsglass",
        "{done:?}"
    );
    // A driver without DriverUnload says no more than that.
    let mut system = Pretended {
        unstoppable: true,
        ..held(3, true)
    };
    system.answers.remove(&code::SETTINGS);
    assert_eq!(ran(&system, &["stop"]).0, Err(Exit::Failed));
    assert_eq!(*system.done.borrow(), ["stop fsglass"]);
}

#[test]
fn what_is_waited_for_is_said_while_the_driver_stops() {
    let stopping = |clients, looks| {
        let system = Pretended {
            stopping: looks,
            ..held(clients, false)
        };
        told_by_stop(&system)
    };
    // One that stops soon says nothing.
    assert_eq!(stopping(1, 19), [""; 0]);
    for (clients, part) in [(1, "a request that is below"), (2, "1 more handles")] {
        let told = stopping(clients, 20);
        let last = told.last().unwrap();
        assert!(
            last.contains("not stopped yet") && last.contains(part),
            "{told:?}"
        );
        assert_eq!(told.len(), clients as usize, "{told:?}");
    }
    assert_eq!(stopping(1, 1000).len(), 4);
}
