//! The control device: who may open it, and that nothing for it goes anywhere else.

use fsglass_tests::machine::{Device, Machine, UNLOADABLE, load, unload};
use fsglass_tests::own_process::in_own_process;
use fsglass_tests::probe::{Probe, Request};
use ntbox::nt::{
    APC_LEVEL, DISPATCH_LEVEL, DO_DEVICE_INITIALIZING, FILE_DEVICE_SECURE_OPEN, IRP_MJ_CLEANUP,
    IRP_MJ_CLOSE, IRP_MJ_CREATE, MAJOR_FUNCTION_COUNT, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_PENDING, STATUS_SUCCESS,
};
use ntbox::processor::thread::{self, Token};
use ntbox::user::{CreateParameters, access, create_file};

const LINK: &str = r"\??\fsglass";
const DEVICE: &str = r"\Device\fsglass";

/// D3: another driver may send requests at DISPATCH_LEVEL; what answers them is written for less.
#[test]
fn a_request_at_dispatch_level_is_refused() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let Some(device) = Device::named(DEVICE) else {
            panic!("there is a control device")
        };
        for (irql, status) in [
            (APC_LEVEL, STATUS_SUCCESS),
            (DISPATCH_LEVEL, STATUS_INVALID_DEVICE_REQUEST),
        ] {
            for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
                let request = Request {
                    irql,
                    ..Request::new(major as u8)
                };
                assert_eq!(request.send(device).status, status, "{major} at {irql}");
            }
        }
        unload(driver);
    });
}

fn open_as(token: Token, name: &str, access: u32) -> NTSTATUS {
    thread::current().set_token(token);
    let opened = create_file(&CreateParameters::new(name).access(access));
    thread::current().set_token(Token::System);
    opened.outcome.status
}

/// A1: administrators and the system may open it, an ordinary user may not, for whatever access,
/// also not through a name below it (FILE_DEVICE_SECURE_OPEN).
#[test]
fn an_ordinary_user_is_refused() {
    const READ: u32 = 0x8010_0000;
    const WRITE: u32 = 0x4010_0000;
    const ATTRIBUTES: u32 = 0x0010_0080;
    in_own_process(|path| {
        let _machine = Machine::start();
        let _driver = load(path, &[]);
        let Some(device) = Device::named(DEVICE) else {
            panic!("there is a control device")
        };
        assert_ne!(device.characteristics() & FILE_DEVICE_SECURE_OPEN, 0);
        assert_eq!(
            device.flags() & DO_DEVICE_INITIALIZING,
            0,
            "programs can open it"
        );
        for access in [READ, WRITE, READ | WRITE, ATTRIBUTES] {
            for name in [LINK, DEVICE] {
                assert_eq!(
                    open_as(Token::Administrator, name, access),
                    STATUS_SUCCESS,
                    "{name} {access:#X}"
                );
                assert_eq!(
                    open_as(Token::System, name, access),
                    STATUS_SUCCESS,
                    "{name} {access:#X}"
                );
            }
            for name in [
                LINK,
                DEVICE,
                r"\??\fsglass\below",
                r"\Device\fsglass\",
                r"\Device\fsglass\a\b",
            ] {
                assert_eq!(
                    open_as(Token::User, name, access),
                    STATUS_ACCESS_DENIED,
                    "{name} {access:#X}"
                );
            }
        }
    });
}

/// D2, D5: every major function sent to the control device is completed there, opening and closing with
/// success, anything without a meaning with STATUS_INVALID_DEVICE_REQUEST; nothing goes down.
#[test]
fn every_request_for_it_is_completed_there() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let probe = Probe::register();
        let driver = load(path, UNLOADABLE);
        let Some(device) = Device::named(DEVICE) else {
            panic!("there is a control device")
        };
        assert!(device.belongs_to(&driver) && device.lower().is_none());
        for major in 0..MAJOR_FUNCTION_COUNT as u8 {
            for minor in [0, 1, 3, 0x70] {
                for parameters in [[0; 4], [0x100, 0x200, 0x0022_2000, 0x300]] {
                    let reply = Request {
                        minor,
                        parameters,
                        ..Request::new(major)
                    }
                    .send(device);
                    let expected = match u32::from(major) {
                        IRP_MJ_CREATE | IRP_MJ_CLEANUP | IRP_MJ_CLOSE => STATUS_SUCCESS,
                        _ => STATUS_INVALID_DEVICE_REQUEST,
                    };
                    assert_ne!(reply.returned, STATUS_PENDING, "major {major:#X}");
                    assert_eq!(
                        (reply.status, reply.information),
                        (expected, 0),
                        "major {major:#X} minor {minor}"
                    );
                }
            }
        }
        assert!(probe.seen().is_empty(), "nothing reached another device");
        unload(driver);
    });
}

/// D2, D7, A1: a handle is opened, used for what is not there, and closed, while the driver works.
#[test]
fn a_program_gets_an_answer_to_everything() {
    in_own_process(|path| {
        let _machine = Machine::start();
        let driver = load(path, UNLOADABLE);
        let all = access::READ | access::WRITE;
        let opened = create_file(&CreateParameters::new(LINK).access(all));
        let Some(file) = opened.file else {
            panic!("{}", opened.outcome.status())
        };
        for (what, outcome) in [
            ("control", file.device_control(0x0022_2000, b"in", 64)),
            (
                "direct control",
                file.device_control(0x0022_2001, b"in", 64),
            ),
            (
                "unbuffered control",
                file.device_control(0x0022_2003, b"in", 64),
            ),
            ("read", file.read(Some(0), 16)),
            ("write", file.write(Some(0), b"data")),
            ("volume information", file.query_volume(1, 64)),
        ] {
            assert_eq!(outcome.status, STATUS_INVALID_DEVICE_REQUEST, "{what}");
        }
        drop(file);
        unload(driver);
    });
}
