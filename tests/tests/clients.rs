//! `fsglass` against the driver in ntbox, as it is used against Windows.

use fsglass_cli::error::Exit;
use fsglass_protocol::code;
use fsglass_tests::command::ntbox;
use fsglass_tests::drivers::{self, Profile};
use fsglass_tests::served::Served;
use ntbox_client::{Frame, greet, kind};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn fsglass() -> String {
    drivers::fsglass(Profile::Release).display().to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// `status`, `list`, `detach` and `attach` do what they do on Windows, while a workload runs, and the
/// driver can be unloaded when they are done.
#[test]
fn what_works_on_windows_works_in_ntbox() {
    let driver = fsglass();
    let arguments = [
        "--driver",
        &driver,
        "--setting",
        "AllowUnload=1",
        "--ops",
        "2000",
    ];
    let mut served = Served::start(&arguments);
    let (exit, status) = served.fsglass(&["status", "--json"]);
    assert_eq!(exit, Exit::Done, "{status}");
    let status = json(&status);
    assert_eq!(status["driver"]["clients"], 1);
    assert_eq!(status["image"], driver.as_str());
    served.begin_workload();
    let filtered = |served: &Served| {
        let (exit, list) = served.fsglass(&["list", "--json"]);
        assert_eq!(exit, Exit::Done, "{list}");
        let list = json(&list);
        let volume = list
            .as_array()
            .and_then(|list| list.iter().find(|volume| volume["letters"][0] == "C:"));
        let volume = volume.unwrap_or_else(|| panic!("C: is in the list: {list}"));
        volume["filtered"] == true
    };
    assert!(filtered(&served));
    served.await_workload();
    assert_eq!(served.fsglass(&["detach", "c:"]).0, Exit::Done);
    assert!(!filtered(&served));
    let (exit, text) = served.fsglass(&["detach", "c:"]);
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("0xC0000225"), "{text}");
    assert_eq!(served.fsglass(&["attach", "C:"]).0, Exit::Done);
    assert!(filtered(&served));
    served.end();
}

/// A service that is not there, and a machine that has ended, are told apart from a driver that fails.
#[test]
fn what_is_not_there_is_said() {
    let driver = fsglass();
    let served = Served::start(&["--driver", &driver, "--ops", "10"]);
    let (exit, text) = served.fsglass(&["list", "--service", "other"]);
    assert_eq!(exit, Exit::Failed, "{text}");
    assert!(text.contains("0xC0000034"), "{text}");
    let (exit, _) = served.fsglass(&["status", "--service", "other"]);
    assert_eq!(exit, Exit::NotRunning);
    let address = served.address.clone();
    drop(served);
    let gone = Served::fsglass_at(&address, &["list"]);
    assert_eq!(gone.0, Exit::NotRunning, "{}", gone.1);
}

/// No other machine reaches it.
#[test]
fn only_loopback_addresses_are_served() {
    for address in ["0.0.0.0:0", "192.0.2.1:7777", "nowhere"] {
        ntbox([
            "run",
            "--driver",
            &fsglass(),
            "--ops",
            "10",
            "--client",
            address,
        ])
        .expect_code(2)
        .expect_output("--client");
    }
}

/// Whatever comes in at the socket, only the connection that it came on ends: the driver works for the
/// others, and can be unloaded.
#[test]
fn nonsense_ends_its_connection_alone() {
    let driver = fsglass();
    let arguments = [
        "--driver",
        &driver,
        "--setting",
        "AllowUnload=1",
        "--ops",
        "500",
    ];
    let mut served = Served::start(&arguments);
    let frame = |kind: u8, first: u32, second: u32, bytes: &[u8]| {
        let mut whole = Vec::new();
        let frame = Frame {
            kind,
            number: 7,
            first,
            second,
            bytes: bytes.to_vec(),
        };
        frame
            .write(&mut whole)
            .unwrap_or_else(|error| panic!("{error}"));
        whole
    };
    let open = frame(kind::OPEN, 0, 0, br"\??\fsglass");
    let long = [[0xFF; 4], [0; 4]].concat();
    let no_name = frame(kind::OPEN, 0, 0, &[0xFF, 0xFE]);
    let controls: Vec<u8> = (0_u32..64)
        .flat_map(|number| {
            frame(
                kind::CONTROL,
                number.wrapping_mul(0x1234_5677),
                u32::MAX >> (number / 2),
                &[1; 64],
            )
        })
        .collect();
    for (nonsense, greeted) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), false),
        (long.clone(), true),
        (frame(99, 0, 0, b"x"), true),
        (frame(kind::CANCEL, 0, 0, &[]), true),
        (frame(kind::CONTROL, 1, 1, &[]), true),
        (no_name, true),
        ([open.clone(), long].concat(), true),
        (
            [open.clone(), open.clone(), frame(0, 0, 0, &[])].concat(),
            true,
        ),
        ([open.clone(), controls].concat(), true),
        // A read of a trace that nobody ever waits for, cut off in the middle of the next frame.
        (
            [
                open,
                frame(kind::CONTROL, code::TRACE_READ, 4096, &[1, 0, 0, 0])[..22].to_vec(),
            ]
            .concat(),
            true,
        ),
    ] {
        let connected = TcpStream::connect(&served.address);
        let mut stream = connected.unwrap_or_else(|error| panic!("{error}"));
        if greeted {
            greet(&mut stream).unwrap_or_else(|error| panic!("{error}"));
        }
        // Where the box has ended the connection already, that is all there is to it.
        let _written = stream.write_all(&nonsense);
        let _shut = stream.shutdown(Shutdown::Write);
        let _answers = stream.read_to_end(&mut Vec::new());
        let (exit, text) = served.fsglass(&["list"]);
        assert_eq!(exit, Exit::Done, "{text}");
    }
    served.run_workload();
    served.end();
}
