//! What was asked and answered, in the words of the documentation: a number where there is none.

use super::event::Event;
use fsglass_protocol::Operation;
use std::borrow::Cow;

mod bits;
mod codes;
#[cfg(test)]
mod tests;

/// Numbers with their names.
type Named = &'static [(u32, &'static str)];

/// STATUS_REPARSE.
const REPARSE: u32 = 0x0000_0104;

/// Where a create's disposition begins, above its options.
const DISPOSITION: u32 = 24;

/// What was asked, such as `disposition OPEN_IF`, `offset 4096`, `class FileBasicInformation`.
#[must_use]
pub fn details(event: &Event) -> Vec<String> {
    let mut details: Vec<String> = minor_function(event).into_iter().collect();
    let parameters = event.parameters().filter(|_| has_parameters(event));
    for (name, value) in parameters {
        match u32::try_from(value) {
            Ok(number) => parameter(event, name, number, &mut details),
            Err(_) => details.push(format!("{name} {value}")),
        }
    }
    details
}

/// What a create was answered: `CREATED`, `IO_REPARSE_TAG_SYMLINK`.
#[must_use]
pub fn result(event: &Event) -> Option<&'static str> {
    if event.operation != Operation::CREATE {
        return None;
    }
    let information = u32::try_from(event.record.information.get()).ok()?;
    match event.status() {
        REPARSE => of(&codes::REPARSE_TAGS, information)
            .or_else(|| of(&[bits::LOOKED_UP_ANEW], information)),
        _ if event.failed() => of(&[bits::REFUSALS], information),
        _ => of(&[bits::RESULTS], information),
    }
}

/// The minor function, where it says more than the operation.
fn minor_function(event: &Event) -> Option<String> {
    let minor = event.record.minor.into();
    if matches!(event.operation.plain(), Operation::READ | Operation::WRITE) {
        return (minor != 0).then(|| names(&[bits::TRANSFERS], minor));
    }
    let known = of(&[bits::minor_functions(event.operation)], minor);
    match known {
        Some(name) => Some(name.to_owned()),
        None => (minor != 0).then(|| format!("minor function {minor}")),
    }
}

/// Adds what a parameter says.
fn parameter(event: &Event, name: &str, value: u32, details: &mut Vec<String>) {
    let operation = event.operation.plain();
    let word = match name {
        "options" => {
            let disposition = value >> DISPOSITION;
            let word = word(&[bits::DISPOSITIONS], disposition);
            details.push(format!("disposition {word}"));
            let options = value & ((1 << DISPOSITION) - 1);
            if options == 0 {
                return;
            }
            names(&[bits::OPTIONS], options)
        }
        "access" => names(&bits::RIGHTS, value),
        "class" if is_notification(event) => {
            details.push(format!("changes {}", names(&[bits::CHANGES], value)));
            return;
        }
        "class" if is_of_volumes(operation) => word(&codes::VOLUME_CLASSES, value),
        "class" => word(&codes::CLASSES, value),
        "code" => word(&codes::CONTROLS, value),
        "type" => word(&[bits::SECTION_TYPES], value),
        "protection" => names(&[bits::PROTECTIONS], value),
        _ => value.to_string(),
    };
    details.push(format!("{name} {word}"));
}

/// Whether it has those of its operation: what unlocks all ranges, mounts and verifies a volume or loads a file
/// system has none.
fn has_parameters(event: &Event) -> bool {
    !matches!(
        (event.operation, event.record.minor),
        (Operation::LOCK_CONTROL, 3 | 4) | (Operation::FILE_SYSTEM_CONTROL, 1..=3)
    )
}

/// Whether what it has in the place of a class is what it is to be told of.
fn is_notification(event: &Event) -> bool {
    const QUERY_DIRECTORY: u8 = 1;
    event.operation == Operation::DIRECTORY_CONTROL && event.record.minor != QUERY_DIRECTORY
}

/// Whether its classes are those of volumes.
fn is_of_volumes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::QUERY_VOLUME_INFORMATION | Operation::SET_VOLUME_INFORMATION
    )
}

/// The name of a number.
fn of(known: &[Named], number: u32) -> Option<&'static str> {
    let mut known = known.iter().copied().flatten();
    known.find(|(one, _)| *one == number).map(|(_, name)| *name)
}

/// Its name, or the number.
fn word(known: &[Named], number: u32) -> String {
    of(known, number).map_or_else(|| format!("0x{number:X}"), str::to_owned)
}

/// The names of its bits, and what has none as a number. A name of several bits that are all there stands for
/// them; bits that two such names have are in both.
fn names(known: &[Named], bits: u32) -> String {
    let mut rest = bits;
    let mut names = Vec::new();
    for (one, name) in known.iter().copied().flatten() {
        if bits & one == *one && rest & one != 0 {
            names.push(Cow::Borrowed(*name));
            rest &= !one;
        }
    }
    if rest != 0 || names.is_empty() {
        names.push(Cow::Owned(format!("0x{rest:X}")));
    }
    names.join("|")
}
