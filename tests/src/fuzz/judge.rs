//! Says what an answer must be: which status, and of a success each byte that is defined, and no other.

use super::draw::Drawn;
use crate::client::{counted, listed};
use fsglass_protocol::trace::{Record, Trace};
use fsglass_protocol::{
    Refusal, Request, SettingsReply, StatisticsHeader, TraceHeader, VERSION, VersionReply,
    VolumesHeader, code,
};
use ntbox::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_CANCELLED, STATUS_DEVICE_BUSY, STATUS_INFO_LENGTH_MISMATCH,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_REVISION_MISMATCH, STATUS_SUCCESS,
    STATUS_TOO_MANY_SESSIONS, Status,
};
use ntbox::user::Outcome;
use zerocopy::FromBytes;

/// What new memory is filled with: the pool of ntbox does that. So many of it next to each other are not told
/// by chance.
const NEW: [u8; 6] = [0xA5; 6];

/// Judges the answer to what was drawn, on a handle that may read and write or not.
pub fn judge(
    drawn: &Drawn,
    rights: [bool; 2],
    outcome: &Outcome,
    short_of_memory: bool,
) -> Result<(), String> {
    if short_of_memory && outcome.status == STATUS_INSUFFICIENT_RESOURCES {
        return Ok(());
    }
    let expected = statuses(drawn, rights);
    if !expected.contains(&outcome.status) {
        let expected: Vec<_> = expected.iter().map(|status| Status(*status)).collect();
        return Err(format!("{}, not one of {expected:?}", outcome.status()));
    }
    let answer = outcome.data.as_slice();
    let tells = [STATUS_SUCCESS, STATUS_BUFFER_OVERFLOW].contains(&outcome.status);
    if outcome.information > drawn.output as usize || answer.len() != outcome.information {
        return Err(format!("it tells of {} bytes", outcome.information));
    }
    if !tells && !answer.is_empty() {
        return Err("a refusal with an answer".to_owned());
    }
    if answer.windows(NEW.len()).any(|bytes| bytes == NEW) {
        return Err("bytes of other memory are in the answer".to_owned());
    }
    if tells {
        let defined = defined(drawn.code, outcome).ok_or("the answer is malformed")?;
        if defined != answer.len() {
            return Err(format!(
                "the answer defines {defined} bytes of {}",
                answer.len()
            ));
        }
    }
    Ok(())
}

/// What it may be answered with, while memory lasts.
fn statuses(drawn: &Drawn, [read, write]: [bool; 2]) -> Vec<NTSTATUS> {
    let allowed = match drawn.code >> 14 & 3 {
        0 => true,
        1 => read,
        2 => write,
        _ => read || write,
    };
    if !allowed {
        return vec![STATUS_ACCESS_DENIED];
    }
    let fixed = |size: usize| {
        vec![if drawn.output as usize >= size {
            STATUS_SUCCESS
        } else {
            STATUS_BUFFER_TOO_SMALL
        }]
    };
    let list = |header: usize| {
        if drawn.output as usize >= header {
            vec![STATUS_SUCCESS, STATUS_BUFFER_OVERFLOW]
        } else {
            vec![STATUS_BUFFER_TOO_SMALL]
        }
    };
    match Request::decode(drawn.code, &drawn.input) {
        Err(Refusal::Code) => vec![STATUS_INVALID_DEVICE_REQUEST],
        Err(Refusal::Length) => vec![STATUS_INFO_LENGTH_MISMATCH],
        Err(Refusal::Version) => vec![STATUS_REVISION_MISMATCH],
        Err(Refusal::Field) => vec![STATUS_INVALID_PARAMETER],
        Ok(Request::Version) => fixed(size_of::<VersionReply>()),
        Ok(Request::Settings) => fixed(size_of::<SettingsReply>()),
        Ok(Request::Volumes) => list(size_of::<VolumesHeader>()),
        Ok(Request::Statistics) => list(size_of::<StatisticsHeader>()),
        Ok(Request::Attach(_)) => vec![
            STATUS_SUCCESS,
            STATUS_OBJECT_NAME_COLLISION,
            STATUS_OBJECT_NAME_NOT_FOUND,
        ],
        Ok(Request::Detach(_)) => vec![
            STATUS_SUCCESS,
            STATUS_NOT_FOUND,
            STATUS_OBJECT_NAME_NOT_FOUND,
            STATUS_DEVICE_BUSY,
        ],
        Ok(Request::Observe(_)) => vec![STATUS_SUCCESS],
        Ok(Request::TraceStart(_)) => vec![
            STATUS_SUCCESS,
            STATUS_INVALID_DEVICE_STATE,
            STATUS_TOO_MANY_SESSIONS,
        ],
        Ok(Request::TraceRead) => vec![
            STATUS_SUCCESS,
            STATUS_CANCELLED,
            STATUS_INVALID_DEVICE_STATE,
            STATUS_BUFFER_TOO_SMALL,
        ],
        Ok(Request::TraceStop) => vec![STATUS_SUCCESS, STATUS_INVALID_DEVICE_STATE],
    }
}

/// How many bytes an answer defines; `None` if it does not keep to its layout.
fn defined(code: u32, outcome: &Outcome) -> Option<usize> {
    let answer = outcome.data.as_slice();
    match code {
        code::VERSION => {
            let (reply, _) = VersionReply::read_from_prefix(answer).ok()?;
            (reply.driver[3].get() == 0 && reply.newest.get() == VERSION)
                .then_some(size_of::<VersionReply>())
        }
        code::SETTINGS => {
            let (reply, _) = SettingsReply::read_from_prefix(answer).ok()?;
            (reply.version.get() == VERSION && reply.allow_unload.get() == 1)
                .then_some(size_of::<SettingsReply>())
        }
        code::VOLUMES => {
            let (header, records) = VolumesHeader::of(answer)?;
            // Malformed records end the test by themselves.
            let listed = listed(outcome).len();
            let sizes = sizes(records, header.count.get(), |record| {
                let size: [u8; 4] = record.first_chunk().copied()?;
                Some(u32::from_le_bytes(size) as usize)
            })?;
            (listed == header.count.get() as usize).then_some(size_of::<VolumesHeader>() + sizes)
        }
        code::STATISTICS => {
            let (header, records) = StatisticsHeader::ref_from_prefix(answer).ok()?;
            let counted = counted(outcome).len();
            let sizes = sizes(records, header.count.get(), |record| {
                let size: [u8; 4] = record.first_chunk().copied()?;
                Some(u32::from_le_bytes(size) as usize)
            })?;
            (counted == header.count.get() as usize)
                .then_some(size_of::<StatisticsHeader>() + sizes)
        }
        // It waited, and is answered with nothing.
        code::TRACE_READ if answer.is_empty() => Some(0),
        code::TRACE_READ => trace(answer),
        _ => Some(0),
    }
}

/// Bytes of the records.
fn sizes(mut records: &[u8], count: u32, size: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let whole = records.len();
    for _ in 0..count {
        records = records.get(size(records)?..)?;
    }
    Some(whole - records.len())
}

/// Bytes of a trace, whose padding is all zero.
fn trace(answer: &[u8]) -> Option<usize> {
    let trace = Trace::parse(answer).ok()?;
    let (header, mut records) = TraceHeader::ref_from_prefix(answer).ok()?;
    let whole = records.len();
    for _ in 0..trace.header.count.get() {
        let (record, after) = Record::split(records).ok()?;
        let size = records.len() - after.len();
        let used = match record {
            Record::Completed(fixed, name) => size_of_val(fixed) + 2 * name.iter().count(),
            Record::Volume(fixed, name) => size_of_val(fixed) + 2 * name.iter().count(),
        };
        let padding = records.get(used..size)?;
        if padding.len() >= 8 || padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        records = after;
    }
    Some(size_of_val(header) + whole - records.len())
}
