//! `coverage.tsv` says of information classes and controls what the file system answers, and `docs/ntbox-coverage.md`
//! says what that file says.

use fsglass_tests::machine::{Machine, Volume};
use fsglass_tests::made;
use ntbox::coverage::{self, KINDS, Kind, Row, State};
use ntbox::exports;
use ntbox::io_manager::storage::{MountTiming, VolumeKind};
use ntbox::nt::{
    NTSTATUS, STATUS_EAS_NOT_SUPPORTED, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS,
    STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED, STATUS_OPLOCK_NOT_GRANTED, Status,
};
use ntbox::processor::irql::documented;
use ntbox::user::{File, access};
use std::fmt::Write as _;

/// What a file system answers that does not know what it is asked for.
const REFUSALS: [NTSTATUS; 5] = [
    STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_NOT_SUPPORTED,
    STATUS_NOT_IMPLEMENTED,
    STATUS_EAS_NOT_SUPPORTED,
];

/// With room for any answer, and zeroes for any input.
const ROOM: usize = 4096;

fn file(volume: &Volume, name: &str) -> File {
    let file = volume.create(name);
    assert!(file.write(Some(0), &[1; 100]).is_success());
    file
}

/// Opens the volume, with the rights that its controls ask for.
fn volume_itself(volume: &Volume) -> File {
    let access = access::READ | access::WRITE;
    let opened = volume.open("", |open| open.access(access));
    opened.file.expect("the volume")
}

/// How a control ends; one that waits, as an oplock that is granted does, is cancelled.
fn control(file: &File, code: u32) -> NTSTATUS {
    let mut started = file.start_fs_control(code, &[], ROOM as u32);
    if started.is_outstanding() {
        started.cancel();
    }
    started.wait().status
}

/// What the file system answers to `row`; none for what is not asked.
fn ask(volume: &Volume, row: &Row) -> Option<NTSTATUS> {
    let class = i32::try_from(row.number).unwrap_or(0);
    let zeroes = [0; ROOM];
    let status = match row.kind {
        Kind::List => {
            let root = volume.root();
            root.query_directory(class, ROOM as u32, None, true, false)
                .status
        }
        Kind::QueryFile => {
            file(volume, r"\queried")
                .query_information(class, ROOM as u32)
                .status
        }
        Kind::SetFile => file(volume, r"\set").set_information(class, &zeroes).status,
        Kind::QueryVolume => {
            volume_itself(volume)
                .query_volume(class, ROOM as u32)
                .status
        }
        Kind::SetVolume => volume_itself(volume).set_volume(class, &zeroes).status,
        Kind::Control => {
            // Some are of files, some of the volume.
            // An oplock is granted to a handle that is not synchronous.
            let status = control(&volume.create_with(r"\controlled", 0), row.number);
            match REFUSALS.contains(&status) {
                true => {
                    let device = volume_itself(volume);
                    let status = control(&device, row.number);
                    drop(device);
                    // It may have been dismounted.
                    volume.mount();
                    status
                }
                false => status,
            }
        }
        Kind::Request | Kind::IrpFlag | Kind::CreateOption => return None,
    };
    Some(status)
}

#[test]
fn the_states_are_what_the_file_system_answers() {
    let machine = Machine::start();
    let volume = machine.volume('C', VolumeKind::Disk, MountTiming::Before);
    volume.mount();
    let mut states = Vec::new();
    let mut wrong = Vec::new();
    for row in coverage::rows() {
        let Some(status) = ask(&volume, row) else {
            continue;
        };
        // One that is never granted here is not there.
        let refused = REFUSALS.contains(&status)
            || row.kind == Kind::Control && status == STATUS_OPLOCK_NOT_GRANTED;
        let state = match refused {
            true => State::Refused,
            false => State::Modelled,
        };
        states.push((row.kind, row.number, state));
        if state != row.state {
            wrong.push(format!("{}: {state}, by {}", row.name, Status(status)));
        }
    }
    if made::is_blessed() {
        made::write("crates/ntbox/coverage.tsv", &coverage::with_states(&states));
    } else {
        assert!(
            wrong.is_empty(),
            "coverage.tsv is out of date: run FSGLASS_BLESS=1 cargo test -p fsglass-tests --test coverage, twice\n{wrong:#?}"
        );
    }
}

const HEAD: &str = "\
# What a filter can meet

Request by request, class by class and control by control: how far `ntbox` has what a filter can meet. *Modelled* is as on
Windows, as far as [the page of the model](ntbox-fidelity.md) says; *refused* is what a file system says that does not
have it; *absent* is sent by nobody, or means nothing. The states of classes and controls are what the file system of
`ntbox` answers, asked by a test.

`ntbox check --driver filter.sys` holds a driver against this: the routines that it imports, and what it asks of the file
systems in a run.

The pages are those of the Windows driver documentation; `sdk/winioctl` is the header of the Windows SDK. This file is
made of `crates/ntbox/coverage.tsv` by `FSGLASS_BLESS=1 cargo test -p fsglass-tests --test coverage`.
";

/// The page.
fn document() -> String {
    let mut text = HEAD.to_owned();
    for (kind, _, title) in KINDS {
        let _ = write!(
            text,
            "\n## {title}\n\n| | state | source |\n|---|---|---|\n"
        );
        for row in coverage::rows().iter().filter(|row| row.kind == kind) {
            let Row {
                name,
                state,
                source,
                ..
            } = row;
            let _ = writeln!(text, "| `{name}` | {state} | {source} |");
        }
    }
    text += "\n## Routines\n\nWhat a driver can import, with the page where one says at which IRQL it may be called.\n";
    let listed = exports::list();
    for group in listed.chunk_by(|one, next| one.prefix == next.prefix) {
        let _ = write!(
            text,
            "\n### {}\n\n| | source |\n|---|---|\n",
            group[0].prefix
        );
        for name in group.iter().map(|listed| listed.name) {
            let page =
                documented::of(name).map_or(String::new(), |page| format!("ddi/{}", page.page));
            let _ = writeln!(text, "| `{name}` | {page} |");
        }
    }
    text
}

#[test]
fn the_page_is_what_the_data_say() {
    made::expect_committed("docs/ntbox-coverage.md", &document(), "coverage");
}
