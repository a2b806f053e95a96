//! The names in a trace, compared with what the file system calls the files.
//!
//! What a record may say follows from what arrived, by one rule: a file is called by what it was opened by until
//! the first request from which its file system can safely be asked; the driver asks it in that request, once, and
//! keeps the answer until the close. A record that says less than the driver could know is as false as one
//! that says something else.

use super::MOST;
use crate::client::Traced;
use fsglass_protocol::trace::flags::{NAME_AS_OPENED, NAME_UNKNOWN, OF_NAMES};
use ntbox::io_manager::witness::{Arrival, Asked};
use ntbox::nt::{
    IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_QUERY_INFORMATION, IRP_MJ_SET_INFORMATION, NTSTATUS,
    PASSIVE_LEVEL, STATUS_BUFFER_OVERFLOW,
};
use std::collections::{BTreeMap, HashMap};

/// FILE_OPEN_BY_FILE_ID.
const BY_ID: u32 = 0x2000;

/// IRP_PAGING_IO, IRP_SYNCHRONOUS_PAGING_IO.
const PAGING: u32 = 0x2 | 0x40;

/// FileNameInformation.
const NAME: u32 = 9;

/// FileRenameInformation, and its kin.
const RENAMES: [u32; 4] = [10, 56, 65, 66];

/// What the driver can know of the name of a file object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    device: String,
    /// The last name that a record had; `None` if it was not known.
    name: Option<String>,
    asked: bool,
    /// The file system has answered.
    told: bool,
    /// Renames on its device until that last record.
    renames: u64,
}

impl Known {
    fn flags(known: Option<&Self>) -> u32 {
        match known {
            Some(known) if known.told => 0,
            Some(Self { name: Some(_), .. }) => NAME_AS_OPENED,
            _ => NAME_UNKNOWN,
        }
    }
}

/// What has become known until some moment.
#[derive(Default)]
struct Rule {
    files: HashMap<u64, Known>,
    /// By thread: the file whose name its driver has asked for, and the answer.
    asked: HashMap<u32, (u64, NTSTATUS)>,
    /// Renames that have been done, by device.
    renames: HashMap<String, u64>,
    /// By thread: the file that it has renamed, whose new name is asked for next.
    renamed: HashMap<u32, u64>,
    /// How often each rule was used.
    used: Used,
}

/// How often a record said what: so that a test can see that each was there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// What the file system calls the file.
    pub told: u64,
    /// What it was opened by.
    pub opened: u64,
    /// Nothing, as it was opened by its id, or below something without a name.
    pub unknown: u64,
    /// Files were renamed, and the new name was asked for.
    pub renamed: u64,
    /// The file system was asked, and did not tell.
    pub refused: u64,
    /// Opened relative to another.
    pub relative: u64,
    /// Opened by their ids.
    pub by_id: u64,
    /// Called something else than what they were opened by.
    pub otherwise: u64,
}

impl Used {
    /// Whether each was there.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let Self {
            told,
            opened,
            unknown,
            renamed,
            refused,
            relative,
            otherwise,
            by_id,
        } = *self;
        let all = [
            told, opened, unknown, renamed, refused, relative, otherwise, by_id,
        ];
        all.iter().all(|count| *count > 0)
    }

    /// Adds what another comparison has used.
    pub fn add(&mut self, more: Self) {
        self.told += more.told;
        self.opened += more.opened;
        self.unknown += more.unknown;
        self.renamed += more.renamed;
        self.refused += more.refused;
        self.relative += more.relative;
        self.by_id += more.by_id;
        self.otherwise += more.otherwise;
    }
}

const fn is_success(status: NTSTATUS) -> bool {
    status >= 0
}

fn request(arrival: &Arrival) -> Option<(u32, u32)> {
    match arrival.asked {
        Asked::Request { major, flags, .. } => Some((major.into(), flags)),
        Asked::FastIo(_) => None,
    }
}

/// The information class of a query or a change.
fn class(arrival: &Arrival) -> u32 {
    arrival.parameters[1] as u32
}

/// Whether the driver may send a request of its own, and wait for it.
pub(super) fn is_safe(arrival: &Arrival) -> bool {
    let paging = request(arrival).is_none_or(|(_, flags)| flags & PAGING != 0);
    !paging && arrival.irql == PASSIVE_LEVEL && !arrival.within && !arrival.cleaned_up
}

/// Whether it renames its file.
pub(super) fn is_rename(arrival: &Arrival) -> bool {
    request(arrival).is_some_and(|(major, _)| major == IRP_MJ_SET_INFORMATION)
        && RENAMES.contains(&class(arrival))
}

/// What a record says: its name, and those flags that are about it.
type Said<'t> = (&'t str, u32);

impl Rule {
    /// A request that the driver sent itself.
    fn direct(&mut self, arrival: &Arrival) {
        let is_query = request(arrival).is_some_and(|(major, _)| major == IRP_MJ_QUERY_INFORMATION);
        let Some(back) = arrival.back.filter(|_| is_query && class(arrival) == NAME) else {
            return;
        };
        if self.renamed.get(&arrival.thread) != Some(&arrival.file) {
            self.asked
                .insert(arrival.thread, (arrival.file, back.status));
            return;
        }
        // It is asked again with more room.
        if back.status != STATUS_BUFFER_OVERFLOW {
            self.renamed.remove(&arrival.thread);
            self.used.renamed += 1;
            if !is_success(back.status) {
                self.forget(&arrival.device);
            }
        }
    }

    /// Something was renamed, and nobody knows what.
    fn forget(&mut self, device: &str) {
        self.files.retain(|_, known| known.device != device);
    }

    fn renames(&self, device: &str) -> u64 {
        self.renames.get(device).copied().unwrap_or(0)
    }

    /// How a record is false.
    fn check(&mut self, arrival: &Arrival, said: Said<'_>) -> Result<(), String> {
        let asked = self.asked.remove(&arrival.thread);
        let asked = asked.filter(|(file, _)| *file == arrival.file);
        let major = request(arrival).map(|(major, _)| major);
        if major == Some(IRP_MJ_CREATE) {
            return self.check_create(arrival, said);
        }
        let known = self.files.get(&arrival.file).cloned();
        let may_ask = major.is_some_and(|major| major != IRP_MJ_CLOSE)
            && arrival.file != 0
            && is_safe(arrival)
            && !known.as_ref().is_some_and(|known| known.asked);
        if may_ask != asked.is_some() {
            let did = if asked.is_some() { "was" } else { "was not" };
            return Err(format!(
                "the file system {did} asked for the name: {known:?}"
            ));
        }
        let known = match asked {
            None => known,
            Some((_, status)) => {
                let told = is_success(status);
                self.used.refused += u64::from(!told);
                let opened = known.and_then(|known| known.name);
                let otherwise = told && opened.as_deref() != Some(said.0);
                self.used.otherwise += u64::from(otherwise);
                Some(Known {
                    device: arrival.device.to_string(),
                    name: if told { Some(said.0.into()) } else { opened },
                    asked: true,
                    told,
                    renames: self.renames(&arrival.device),
                })
            }
        };
        let flags = Known::flags(known.as_ref());
        if said.1 != flags {
            return Err(format!("its flags are not {flags:#x}: {known:?}"));
        }
        // One that the file system has closed is called what it was called last. So is one of a volume that was
        // dismounted; but the driver knows volumes by their names, and when there is a new mount of it, renames
        // there are told of old file objects too.
        let last = known.as_ref().and_then(|known| known.name.as_deref());
        let renames = self.renames(&arrival.device);
        let renamed = |known: &Known| known.renames < renames;
        let may_be_renamed = arrival.name.is_none() && known.as_ref().is_some_and(renamed);
        let right = match flags {
            0 | NAME_AS_OPENED if may_be_renamed => !said.0.is_empty(),
            0 => arrival.name.as_deref().or(last) == Some(said.0),
            NAME_AS_OPENED => {
                let called = arrival.name.as_deref().or(last);
                // A rename tells those that were opened by the name that the file system has; by the letter of
                // a network drive it is another one.
                let by_letter = said.0.starts_with("\\;") && last == Some(said.0);
                by_letter || called.is_some_and(|called| is_same_path(called, said.0))
            }
            _ => said.0.is_empty(),
        };
        if !right {
            return Err(format!("that is not its name: {known:?}"));
        }
        match flags {
            0 => self.used.told += 1,
            NAME_AS_OPENED => self.used.opened += 1,
            _ => self.used.unknown += 1,
        }
        if major == Some(IRP_MJ_CLOSE) {
            self.files.remove(&arrival.file);
        } else if let Some(known) = known {
            let name = (flags != NAME_UNKNOWN).then(|| said.0.to_owned());
            self.files.insert(
                arrival.file,
                Known {
                    name,
                    renames,
                    ..known
                },
            );
        }
        if is_rename(arrival) && arrival.back.is_some_and(|back| is_success(back.status)) {
            *self.renames.entry(arrival.device.to_string()).or_default() += 1;
            if is_safe(arrival) {
                self.renamed.insert(arrival.thread, arrival.file);
            } else {
                self.forget(&arrival.device);
            }
        }
        Ok(())
    }

    fn check_create(&mut self, arrival: &Arrival, said: Said<'_>) -> Result<(), String> {
        let options = arrival.parameters[1] as u32;
        let opened = arrival.opened.as_ref().filter(|_| options & BY_ID == 0);
        self.used.by_id += u64::from(opened.is_none());
        let expected = opened.and_then(|opened| {
            if opened.related == 0 {
                return Some(opened.name.to_string());
            }
            let known = self.files.get(&opened.related)?;
            let last = known.name.as_deref()?;
            self.used.relative += 1;
            // The name that the file system has for it now, unless it has closed it, or was not asked.
            let now = opened.related_name.as_deref().filter(|_| known.told);
            let directory = now.unwrap_or(last);
            let between = match opened.name.chars().next() {
                None | Some(':') => "",
                Some(_) if directory.ends_with('\\') => "",
                Some(_) => "\\",
            };
            Some(format!("{directory}{between}{}", opened.name))
        });
        let flags = expected.as_ref().map_or(NAME_UNKNOWN, |_| NAME_AS_OPENED);
        let name = expected.as_deref().unwrap_or_default();
        // As below: relative to a file object of an earlier mount.
        let renames = self.renames(&arrival.device);
        let stale = opened.filter(|opened| opened.related_name.is_none());
        let stale = stale.and_then(|opened| self.files.get(&opened.related));
        let may_be_renamed = stale.is_some_and(|known| known.renames < renames);
        let right = name.eq_ignore_ascii_case(said.0) || may_be_renamed;
        if said.1 != flags || !right {
            return Err(format!("it was opened by {name:?} with flags {flags:#x}"));
        }
        match flags {
            NAME_AS_OPENED => self.used.opened += 1,
            _ => self.used.unknown += 1,
        }
        if expected.is_some() && arrival.back.is_some_and(|back| is_success(back.status)) {
            let known = Known {
                device: arrival.device.to_string(),
                name: Some(said.0.into()),
                asked: false,
                told: false,
                renames: self.renames(&arrival.device),
            };
            self.files.insert(arrival.file, known);
        }
        Ok(())
    }
}

/// Whether a file that is `called` so can have been opened by `opened`: in another case, as a directory, with
/// two backslashes in front, or by a drive letter of the network (`\\;N:\\server`).
fn is_same_path(called: &str, opened: &str) -> bool {
    let opened = opened
        .strip_prefix("\\;")
        .and_then(|rest| rest.find('\\').map(|at| &rest[at..]))
        .unwrap_or(opened);
    let opened = opened
        .strip_prefix('\\')
        .filter(|rest| rest.starts_with('\\'))
        .unwrap_or(opened);
    let plain = |name: &str| name.trim_end_matches('\\').to_lowercase();
    plain(called) == plain(opened)
}

/// How the names of a trace of everything differ from what the file system calls the files. `arrivals` has what the
/// driver sent itself, too; `pairs` says which record is that of which of the others.
pub fn compare_names(
    arrivals: &[Arrival],
    traced: &Traced,
    pairs: &BTreeMap<usize, usize>,
) -> (Vec<String>, Used) {
    let mut rule = Rule::default();
    let mut differences = Vec::new();
    let passed_on = arrivals.iter().scan(0, |passed, arrival| {
        let number = *passed;
        *passed += usize::from(!arrival.direct);
        Some((number, arrival))
    });
    for (number, arrival) in passed_on {
        if arrival.direct {
            rule.direct(arrival);
            continue;
        }
        let record = pairs
            .get(&number)
            .and_then(|place| traced.requests.get(*place));
        let Some((record, name)) = record else {
            continue;
        };
        let said = (&**name, record.flags.get() & OF_NAMES);
        if let Err(why) = rule.check(arrival, said)
            && differences.len() < MOST
        {
            differences.push(format!("{why}\n  {said:?}\n  {arrival:?}"));
        }
    }
    (differences, rule.used)
}
