//! Requests for the control device: always completed here, never passed on (D2).
//!
//! What they are and how they are answered is in the crate `fsglass-protocol`,
//! which decodes them; here they are done. Who may send them is decided by the
//! device's security (A1) and by the access that each code asks for.

use crate::client::Client;
use crate::glass::Glass;
use crate::unfiltered::Why;
use crate::{listing, report, volumes};
use fsglass_protocol::{
    MAXIMUM_NAME, Name, Refusal, Request, SettingsReply, VERSION, VersionReply,
};
use wdm::driver::Driver;
use wdm::irp::{ControlIrp, Disposition};
use wdm::irql::{AtMostApc, Passive};
use wdm::status::Status;
use wdm::unicode::UnicodeStr;
use zerocopy::{Immutable, IntoBytes};

/// Answers `irp`; what is no request of the protocol gets STATUS_INVALID_DEVICE_REQUEST. Code, lengths,
/// version and fields are checked before anything is done (D7).
pub fn request<'d>(irp: ControlIrp<'d, Glass>, level: &mut AtMostApc) -> Disposition<'d> {
    let control = match irp.device_control() {
        Ok(control) => control,
        Err(irp) => return irp.refuse(Status::INVALID_DEVICE_REQUEST, level),
    };
    let Some(level) = level.passive() else {
        // Programs send device controls at PASSIVE_LEVEL; another driver has no business here.
        return control.complete(Status::INVALID_DEVICE_REQUEST, level);
    };
    let (driver, client) = (control.driver(), control.client());
    match Request::decode(control.code(), control.input()) {
        Ok(Request::Version) => control.answer(level, |output, _| fixed(output, &version())),
        Ok(Request::Settings) => {
            let reply = settings(driver, level);
            control.answer(level, |output, _| fixed(output, &reply))
        }
        Ok(Request::Volumes) => {
            control.answer(level, |output, level| listing::write(driver, output, level))
        }
        Ok(Request::Attach(name)) => {
            let status = named(driver, client, name, "attach", attach, level);
            control.complete(status, level.at_most_apc())
        }
        Ok(Request::Detach(name)) => {
            let status = named(driver, client, name, "detach", detach, level);
            control.complete(status, level.at_most_apc())
        }
        Ok(Request::Statistics) => {
            let observer = &driver.filter().observer;
            control.answer(level, |output, level| observer.statistics(output, level))
        }
        Ok(Request::Observe(statistics)) => {
            let status = of_client(client, |client| {
                client.observe(driver, statistics, level);
                Ok(())
            });
            control.complete(status, level.at_most_apc())
        }
        Ok(Request::TraceStart(filter)) => {
            let status = of_client(client, |client| client.start_trace(driver, &filter, level));
            control.complete(status, level.at_most_apc())
        }
        Ok(Request::TraceStop) => {
            let status = of_client(client, |client| client.stop_trace(driver, level));
            control.complete(status, level.at_most_apc())
        }
        Ok(Request::TraceRead) => {
            let trace = client.map(|client| client.trace(level));
            match trace {
                Some(Some(trace)) => driver.filter().observer.read(&trace, control, level),
                Some(None) => control.complete(Status::INVALID_DEVICE_STATE, level.at_most_apc()),
                None => control.complete(Status::INVALID_DEVICE_REQUEST, level.at_most_apc()),
            }
        }
        Err(refusal) => {
            let status = match refusal {
                Refusal::Code => Status::INVALID_DEVICE_REQUEST,
                Refusal::Length => Status::INFO_LENGTH_MISMATCH,
                Refusal::Version => Status::REVISION_MISMATCH,
                Refusal::Field => Status::INVALID_PARAMETER,
            };
            control.complete(status, level.at_most_apc())
        }
    }
}

/// What is observed ends with the handle that wants it, so there must be one.
fn of_client(
    client: Option<&Client>,
    action: impl FnOnce(&Client) -> Result<(), Status>,
) -> Status {
    let result = client.map_or(Err(Status::INVALID_DEVICE_REQUEST), action);
    result.err().unwrap_or(Status::SUCCESS)
}

/// An answer of fixed size.
fn fixed(output: &mut [u8], reply: &(impl IntoBytes + Immutable)) -> (Status, usize) {
    match reply.write_to_prefix(output) {
        Ok(()) => (Status::SUCCESS, size_of_val(reply)),
        Err(_too_small) => (Status::BUFFER_TOO_SMALL, 0),
    }
}

fn version() -> VersionReply {
    const fn number(text: &str) -> u16 {
        match u16::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => panic!("a part of the package's version is a number"),
        }
    }
    const DRIVER: [u16; 4] = [
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
        0,
    ];
    VersionReply {
        oldest: VERSION.into(),
        newest: VERSION.into(),
        driver: DRIVER.map(Into::into),
    }
}

fn settings(driver: &Driver<Glass>, level: &mut Passive) -> SettingsReply {
    let glass = driver.filter();
    let forgotten = glass.file_systems.forgotten(level);
    let forgotten = forgotten.saturating_add(glass.unfiltered.forgotten(level));
    SettingsReply {
        version: VERSION.into(),
        allow_unload: u32::from(glass.settings.allow_unload).into(),
        debug_level: glass.settings.debug_level.into(),
        attach: glass.policy().bits().into(),
        started: glass.started.into(),
        clients: Client::count().into(),
        forgotten: forgotten.into(),
        memory: glass.observer.memory(level),
    }
}

/// What is done with a file system or volume that was found by its name.
type Action =
    fn(&Driver<Glass>, &listing::Found<'_>, UnicodeStr<'_>, &mut Passive) -> Result<(), Status>;

/// Does `action` with what is called `name`, and tells the debugger who asked for it.
/// STATUS_OBJECT_NAME_NOT_FOUND, and those of `action`.
fn named(
    driver: &Driver<Glass>,
    client: Option<&Client>,
    name: Name<'_>,
    what: &str,
    action: Action,
    level: &mut Passive,
) -> Status {
    let mut units = [0; MAXIMUM_NAME];
    for (to, from) in units.iter_mut().zip(name) {
        *to = from.get();
    }
    let name = UnicodeStr::new(units.get(..name.len()).unwrap_or(&units));
    let mut status = Status::OBJECT_NAME_NOT_FOUND;
    listing::each(driver, level, |found, level| {
        if status == Status::OBJECT_NAME_NOT_FOUND && found.is_named(name, level) {
            let result = action(driver, found, name, level);
            status = result.err().unwrap_or(Status::SUCCESS);
        }
    });
    let number = client.map_or(0, |client| client.number);
    report::note(format_args!("client {number}, {what} {name}: {status}"));
    status
}

/// Filters it, whatever the policy says: it was asked for by name.
fn attach(
    driver: &Driver<Glass>,
    found: &listing::Found<'_>,
    name: UnicodeStr<'_>,
    level: &mut Passive,
) -> Result<(), Status> {
    driver.filter().unfiltered.forget(name, level);
    match volumes::attach(driver, found.device, found.storage, level) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Status::OBJECT_NAME_COLLISION),
        Err(status) => Err(status),
    }
}

/// Filters it no longer. First it is remembered, so that a mount that comes in between does not
/// attach again.
fn detach(
    driver: &Driver<Glass>,
    found: &listing::Found<'_>,
    name: UnicodeStr<'_>,
    level: &mut Passive,
) -> Result<(), Status> {
    let unfiltered = &driver.filter().unfiltered;
    if !driver.filters(found.device, level) {
        return Err(Status::NOT_FOUND);
    }
    unfiltered.remember(name, Why::Detached, level)?;
    let result = driver.detach_from_top(found.device, level);
    if result.is_err() {
        unfiltered.forget(name, level);
    }
    result
}
