//! The name of the file of a request: what is known, and where that is safe, what the file system says (O3, O4).

use super::names::{Name, Named, told};
use super::volumes::Volume;
use crate::glass::Glass;
use fsglass_protocol::Kind;
use wdm::device::{DeviceKind, FilterDevice};
use wdm::irp::{self, Irp, Major};
use wdm::irql::AtMostApc;

/// The name of the file of a request that is about to be passed on. IRQL: ≤ APC_LEVEL.
///
/// Out of line, so that its frame is gone when the request is below.
#[inline(never)]
pub fn of_request(irp: &Irp<'_, Glass>, volume: &Volume, level: &mut AtMostApc) -> Named {
    let observer = &irp.driver().filter().observer;
    let (names, statistics) = (&observer.names, &observer.statistics);
    let Some(file) = irp.file() else {
        return Named::default();
    };
    let number = file.number();
    if irp.major() == Major::CREATE {
        // The close of what had that address may have passed by, where the volume was detached.
        names.forget(number, level.at_most_dispatch());
        return opened(irp, volume, level).unwrap_or_default();
    }
    let known = names.find(statistics, volume.number, number, level.at_most_dispatch());
    if irp.major() == Major::CLOSE {
        names.forget(number, level.at_most_dispatch());
        return known;
    }
    let was_asked_for = known.name.as_ref().is_some_and(|name| name.was_asked_for());
    if was_asked_for && !known.is_old || !asks(irp, volume, level) {
        return known;
    }
    let Some(level) = level.passive() else {
        return known;
    };
    let renames = statistics.renames(volume.place());
    let Some(name) = told(irp.ask_name(level), known.name.as_deref()) else {
        return known;
    };
    let named = Named::told(name, renames);
    let level = level.at_most_apc().at_most_dispatch();
    names.set(volume.number, number, &named, level);
    named
}

/// Whether the file system may be asked about the file of a request (O4): where the sender holds nothing of the
/// file system that the question would wait for, and waits himself.
///
/// | request | why |
/// |---|---|
/// | IRP_MJ_CREATE, when it has come back | who creates waits for it, the filter manager does with each; and the question takes no lock that the create did not take |
/// | reading, writing, querying information and directories | if a program has sent it and waits for it: a program holds nothing |
///
/// Never for paging I/O, at a level above PASSIVE_LEVEL, within a file system (IoGetTopLevelIrp), or about a file
/// that is no open file: one that has been cleaned up, a volume, a stream file object.
pub fn asks(irp: &Irp<'_, Glass>, volume: &Volume, level: &mut AtMostApc) -> bool {
    let by_a_program = |irp: &Irp<'_, Glass>| irp.is_waited_for_by_a_program();
    let sent = match irp.major() {
        Major::CREATE => true,
        Major::READ | Major::WRITE | Major::QUERY_INFORMATION | Major::DIRECTORY_CONTROL => {
            by_a_program(irp)
        }
        _ => false,
    };
    sent && irp.driver().filter().observer.names.asks()
        && has_files(irp.device(), volume)
        && !irp.is_paging_io()
        && level.passive().is_some()
        && !irp::is_within_file_system(level)
        && irp.file().is_some_and(|file| file.is_open_file())
}

/// Whether file objects of a device are files: those of volumes, and of network file systems, which have no
/// volumes.
fn has_files(device: &FilterDevice<Glass>, volume: &Volume) -> bool {
    volume.kind == Kind::Volume || device.object().kind() == DeviceKind::NetworkFileSystem
}

/// The name by which a file is being opened, from the root of its volume. Nothing for one that is opened
/// by its id, or below a directory whose name is not known.
fn opened(irp: &Irp<'_, Glass>, volume: &Volume, level: &mut AtMostApc) -> Option<Named> {
    /// FILE_OPEN_BY_FILE_ID.
    const BY_ID: u64 = 0x2000;
    let observer = &irp.driver().filter().observer;
    let [options, _access] = irp.numbers(level);
    if options & BY_ID != 0 {
        return None;
    }
    let renames = observer.statistics.renames(volume.place());
    let directory = match irp.file()?.related_number() {
        None => Named::default(),
        Some(related) => {
            let (names, statistics) = (&observer.names, &observer.statistics);
            let level = level.at_most_dispatch();
            let directory = names.find(statistics, volume.number, related, level);
            directory.name.is_some().then_some(directory)?
        }
    };
    let name = irp.opened_name(level)?;
    let name = if irp.opens_target_directory() {
        directory_of(name.units())
    } else {
        name.units()
    };
    let (flags, above) = directory
        .name
        .as_ref()
        .map_or((0, None), |above| (above.flags, Some(above.units())));
    let backslash = [u16::from(b'\\')];
    // A stream of the directory itself begins with a colon.
    let between: &[u16] = match (above, name.first()) {
        (None, _) | (_, None) => &[],
        (_, Some(&first)) if first == u16::from(b':') => &[],
        (Some(above), _) if above.last() == backslash.first() => &[],
        _ => &backslash,
    };
    let parts = [above.unwrap_or_default(), between, name];
    Some(Named {
        name: Some(Name::opened(flags, parts).ok()?),
        renames: if directory.name.is_some() {
            directory.renames
        } else {
            renames
        },
        is_old: directory.is_old,
    })
}

/// The directory that a file lies in, by the name that it is opened by: nothing, if that is where the name
/// begins.
fn directory_of(name: &[u16]) -> &[u16] {
    let is_separator = |unit: &u16| *unit == u16::from(b'\\');
    match name.iter().rposition(is_separator) {
        None => &[],
        // The root's own name is a backslash.
        Some(last) => name.get(..last.max(1)).unwrap_or_default(),
    }
}
