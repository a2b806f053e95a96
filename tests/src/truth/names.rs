//! The names in a trace, compared with what the file system calls the files.
//!
//! What a record may say follows from what arrived, by one rule: a file is called by what it was opened by until
//! its file system is asked, which is when it has been opened, or in the first request after that from which it
//! can safely be asked. The driver asks once, and keeps the answer until something on the volume is renamed;
//! then it says that the name is old, until it asks again. A record that says less than the driver could know is
//! as false as one that says something else.

use super::{MOST, PAGING};
use crate::client::Traced;
use fsglass_protocol::trace::flags::{NAME_AS_OPENED, NAME_OLD, NAME_UNKNOWN, OF_NAMES};
use ntbox::io_manager::witness::{Arrival, Asked};
use ntbox::nt::{
    IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DIRECTORY_CONTROL, IRP_MJ_QUERY_INFORMATION, IRP_MJ_READ,
    IRP_MJ_SET_INFORMATION, IRP_MJ_WRITE, NTSTATUS, PASSIVE_LEVEL, STATUS_BUFFER_OVERFLOW,
    STATUS_INSUFFICIENT_RESOURCES,
};
use std::collections::{BTreeMap, HashMap};

/// FILE_OPEN_BY_FILE_ID.
const BY_ID: u32 = 0x2000;

/// FileNameInformation.
const NAME: u32 = 9;

/// FileRenameInformation, and its kin; FileLinkInformation, which may change the case of the name that the file has, and
/// its kin; FileShortNameInformation, which may take the name away that the file was opened by.
const RENAMES: [u32; 9] = [10, 56, 65, 66, 11, 57, 72, 73, 40];

/// STATUS_REPARSE.
const REPARSE: NTSTATUS = 0x104;

/// What the driver can know of the name of a file object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// `None` if it is not known.
    name: Option<String>,
    asked: bool,
    /// The file system has answered.
    told: bool,
    /// When the driver looked how many renames there had been: between these, in ticks.
    since: [i64; 2],
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

/// A rename that has been done, in ticks.
#[derive(Clone, Copy, Debug)]
struct Rename {
    /// It arrived.
    at: i64,
    /// It returned, so that no name is old for it before.
    back: i64,
    /// Its sender went on, so that names are old for it from then on.
    known: i64,
}

/// Whether a name is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Sure,
    Maybe,
    No,
}

/// What has become known until some moment.
#[derive(Default)]
struct Rule {
    files: HashMap<u64, Known>,
    /// Questions of the driver, by the arrival that they belong to: the answer, and when it was asked.
    asked: HashMap<usize, (NTSTATUS, i64)>,
    /// Which arrivals these are, by file, and when it was asked.
    of_file: HashMap<u64, Vec<(usize, i64)>>,
    /// Renames, by device.
    renames: HashMap<String, Vec<Rename>>,
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
    /// What it was called before something was renamed.
    pub old: u64,
    /// Asked again, after that.
    pub again: u64,
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
    fn all(&mut self) -> [&mut u64; 9] {
        let Self {
            told,
            opened,
            unknown,
            old,
            again,
            refused,
            relative,
            by_id,
            otherwise,
        } = self;
        [
            told, opened, unknown, old, again, refused, relative, by_id, otherwise,
        ]
    }

    /// Whether each was there.
    #[must_use]
    pub fn is_all(mut self) -> bool {
        self.all().iter().all(|count| **count > 0)
    }

    /// Adds what another comparison has used.
    pub fn add(&mut self, mut more: Self) {
        for (count, more) in self.all().into_iter().zip(more.all()) {
            *count += *more;
        }
    }
}

const fn is_success(status: NTSTATUS) -> bool {
    status >= 0
}

fn request(arrival: &Arrival) -> Option<(u32, u32)> {
    match arrival.asked {
        Asked::Request { major, flags, .. } => Some((major.into(), flags)),
        Asked::FastIo(_) | Asked::FsFilter(_) => None,
    }
}

/// The information class of a query or a change.
fn class(arrival: &Arrival) -> u32 {
    arrival.parameters[1] as u32
}

fn is_create(arrival: &Arrival) -> bool {
    request(arrival).is_some_and(|(major, _)| major == IRP_MJ_CREATE)
}

/// Whether a create has opened its file.
fn is_opened(arrival: &Arrival) -> bool {
    let status = arrival.back.map(|back| back.status);
    is_create(arrival) && status.is_some_and(|status| is_success(status) && status != REPARSE)
}

/// Whether the driver may send a request of its own, and wait for it.
fn is_safe(arrival: &Arrival) -> bool {
    let sent = request(arrival).is_some_and(|(major, flags)| {
        let few = [
            IRP_MJ_READ,
            IRP_MJ_WRITE,
            IRP_MJ_QUERY_INFORMATION,
            IRP_MJ_DIRECTORY_CONTROL,
        ];
        let by_a_program = few.contains(&major) && arrival.waited_for_by_a_program;
        (major == IRP_MJ_CREATE || by_a_program) && flags & PAGING == 0
    });
    sent && arrival.irql == PASSIVE_LEVEL && !arrival.within && arrival.open_file
}

/// Whether the driver waits for it, to ask afterwards.
pub(super) fn is_waited_for(arrival: &Arrival) -> bool {
    is_create(arrival) && arrival.file != 0 && is_safe(arrival)
}

/// Whether it has renamed its file.
fn has_renamed(arrival: &Arrival) -> bool {
    request(arrival).is_some_and(|(major, _)| major == IRP_MJ_SET_INFORMATION)
        && RENAMES.contains(&class(arrival))
        && arrival.back.is_some_and(|back| is_success(back.status))
}

/// What a record says: its name, those flags that are about it, and when its request began.
#[derive(Clone, Copy, Debug)]
struct Said<'t> {
    name: &'t str,
    flags: u32,
    started: i64,
}

impl Rule {
    /// Of what arrived: the renames, and to which arrival each question of the driver belongs.
    fn new(arrivals: &[Arrival]) -> Self {
        let mut rule = Self::default();
        // By thread: the create that the driver asks about next; what comes next, else.
        let mut created: HashMap<u32, usize> = HashMap::new();
        let mut next: HashMap<u32, usize> = HashMap::new();
        for (place, arrival) in arrivals.iter().enumerate().rev() {
            if !arrival.direct {
                let known = next.get(&arrival.thread);
                let known = known.map_or(i64::MAX, |next| arrivals[*next].at);
                if let Some(back) = arrival.back.filter(|_| has_renamed(arrival)) {
                    let renames = rule.renames.entry(arrival.device.to_string());
                    renames.or_default().push(Rename {
                        at: arrival.at,
                        back: back.at,
                        known,
                    });
                }
                next.insert(arrival.thread, place);
            }
        }
        let mut questions: HashMap<u32, (u64, NTSTATUS, i64)> = HashMap::new();
        for (place, arrival) in arrivals.iter().enumerate() {
            let thread = arrival.thread;
            if !arrival.direct {
                if let Some((file, status, at)) = questions.remove(&thread)
                    && file == arrival.file
                {
                    rule.asked.insert(place, (status, at));
                }
                created.remove(&thread);
                if is_waited_for(arrival) && is_opened(arrival) {
                    created.insert(thread, place);
                }
                continue;
            }
            let is_query =
                request(arrival).is_some_and(|(major, _)| major == IRP_MJ_QUERY_INFORMATION);
            let Some(back) = arrival.back.filter(|_| is_query && class(arrival) == NAME) else {
                continue;
            };
            let create = created.get(&thread);
            match create.filter(|create| arrivals[**create].file == arrival.file) {
                Some(create) => {
                    let (_, at) = rule.asked.get(create).copied().unwrap_or((0, arrival.at));
                    rule.asked.insert(*create, (back.status, at));
                    // It is asked again with more room.
                    if back.status != STATUS_BUFFER_OVERFLOW {
                        created.remove(&thread);
                    }
                }
                None => {
                    let at = questions.get(&thread).map_or(arrival.at, |(_, _, at)| *at);
                    questions.insert(thread, (arrival.file, back.status, at));
                }
            }
        }
        for (place, (_, at)) in &rule.asked {
            let of_file = rule.of_file.entry(arrivals[*place].file).or_default();
            of_file.push((*place, *at));
        }
        rule
    }

    /// Whether the driver has asked about the file for a request that arrives behind this one, of another thread.
    fn is_asked_before(&self, place: usize, arrival: &Arrival) -> bool {
        let asked = self.of_file.get(&arrival.file);
        let is_before = |(other, at): &(usize, i64)| *other > place && *at <= arrival.at;
        asked.is_some_and(|asked| asked.iter().any(is_before))
    }

    fn renames(&self, device: &str) -> impl Iterator<Item = &Rename> {
        self.renames.get(device).into_iter().flatten()
    }

    /// Whether what is known is old in a request that began at `started` and arrived at `at`.
    fn is_old(&self, known: &Known, device: &str, started: i64, at: i64) -> Old {
        let [early, late] = known.since;
        let mut renames = self.renames(device);
        if renames.any(|rename| rename.back >= late && rename.known <= started) {
            return Old::Sure;
        }
        let mut renames = self.renames(device);
        // A request of the system may have begun before somebody else came to know it, with what was known then.
        let is_elsewhere = late > started;
        if renames.any(|rename| rename.back <= at && (is_elsewhere || rename.known >= early)) {
            return Old::Maybe;
        }
        Old::No
    }

    /// Whether files on the device may have been renamed between two moments.
    fn is_moved(&self, device: &str, from: i64, to: i64) -> bool {
        let mut renames = self.renames(device);
        renames.any(|rename| rename.at <= to && rename.known >= from)
    }

    /// How a record is false.
    fn check(&mut self, place: usize, arrival: &Arrival, said: Said<'_>) -> Result<(), String> {
        let asked = self.asked.remove(&place);
        if is_create(arrival) {
            return self.check_create(arrival, said, asked);
        }
        let device = &*arrival.device;
        let known = self.files.get(&arrival.file).cloned();
        let old = known.as_ref().map_or(Old::No, |known| {
            self.is_old(known, device, said.started, arrival.at)
        });
        let may_ask = arrival.file != 0 && is_safe(arrival);
        let is_fresh = known.as_ref().is_some_and(|known| known.asked) && old != Old::Sure;
        let expected = match asked {
            Some(_) => may_ask && !(is_fresh && old == Old::No),
            None => !may_ask || is_fresh,
        };
        if !expected {
            let did = if asked.is_some() { "was" } else { "was not" };
            return Err(format!(
                "the file system {did} asked for the name, {old:?} {known:?}"
            ));
        }
        let (known, old) = match asked.filter(has_answered) {
            None => (known, old),
            Some((status, at)) => {
                let told = is_success(status);
                self.used.refused += u64::from(!told);
                self.used.again += u64::from(known.as_ref().is_some_and(|known| known.asked));
                let opened = known.and_then(|known| known.name);
                let otherwise = told && opened.as_deref() != Some(said.name);
                self.used.otherwise += u64::from(otherwise);
                let known = Known {
                    name: if told { Some(said.name.into()) } else { opened },
                    asked: true,
                    told,
                    since: [said.started, at],
                };
                (Some(known), Old::No)
            }
        };
        // A request of the system may have begun when somebody else had come to know it anew, and arrive before his.
        let is_elsewhere = old == Old::Sure && self.is_asked_before(place, arrival);
        let anew = known
            .clone()
            .filter(|_| is_elsewhere && said.flags & NAME_OLD == 0);
        let anew = anew.map(|known| Known {
            name: arrival.name.as_deref().map(str::to_owned),
            told: true,
            ..known
        });
        let old = if is_elsewhere { Old::Maybe } else { old };
        let by = anew.as_ref().or(known.as_ref());
        check_flags(said, Known::flags(by), old)?;
        self.check_name(arrival, said, by)?;
        if request(arrival).is_some_and(|(major, _)| major == IRP_MJ_CLOSE) {
            self.files.remove(&arrival.file);
        } else if let Some(known) = known {
            self.files.insert(arrival.file, known);
        }
        Ok(())
    }

    fn check_name(
        &mut self,
        arrival: &Arrival,
        said: Said<'_>,
        known: Option<&Known>,
    ) -> Result<(), String> {
        let last = known.and_then(|known| known.name.as_deref());
        let since = known.map_or(arrival.at, |known| known.since[0]);
        let moved = self.is_moved(&arrival.device, since, arrival.at);
        // One that the file system has closed is called what it was called last.
        let called = arrival.name.as_deref().or(last);
        let flags = said.flags & !NAME_OLD;
        let right = match flags {
            _ if said.flags & NAME_OLD != 0 => last == Some(said.name),
            // It is called otherwise only when it has been asked about anew.
            0 => last == Some(said.name) && (called == last || moved),
            NAME_AS_OPENED => {
                // By the letter of a network drive it is another one.
                let by_letter = said.name.starts_with("\\;") && last == Some(said.name);
                let same = called.is_some_and(|called| is_same_path(called, said.name));
                by_letter || same || moved && last == Some(said.name)
            }
            _ => said.name.is_empty(),
        };
        if !right {
            return Err(format!("that is not its name: {known:?}"));
        }
        self.count(said);
        Ok(())
    }

    fn count(&mut self, said: Said<'_>) {
        self.used.old += u64::from(said.flags & NAME_OLD != 0);
        match said.flags & !NAME_OLD {
            0 => self.used.told += 1,
            NAME_AS_OPENED => self.used.opened += 1,
            _ => self.used.unknown += 1,
        }
    }

    fn check_create(
        &mut self,
        arrival: &Arrival,
        said: Said<'_>,
        asked: Option<(NTSTATUS, i64)>,
    ) -> Result<(), String> {
        let device = &*arrival.device;
        let must_ask = is_waited_for(arrival) && is_opened(arrival);
        if must_ask != asked.is_some() {
            let did = if asked.is_some() { "was" } else { "was not" };
            return Err(format!("the file system {did} asked what it has opened"));
        }
        let asked = asked.filter(has_answered);
        let options = arrival.parameters[1] as u32;
        let opened = arrival.opened.as_ref().filter(|_| options & BY_ID == 0);
        self.used.by_id += u64::from(opened.is_none());
        let mut since = [said.started, arrival.at];
        let mut old = Old::No;
        // By what it was opened, and by what else it may have been opened, if something was renamed.
        let mut moved = self.is_moved(device, said.started, arrival.at);
        let expected = opened.and_then(|opened| {
            if opened.related == 0 {
                return Some(opened.name.to_string());
            }
            let known = self.files.get(&opened.related)?;
            let directory = known.name.as_deref()?;
            self.used.relative += 1;
            old = self.is_old(known, device, said.started, arrival.at);
            moved |= self.is_moved(device, known.since[0], arrival.at);
            since = known.since;
            let between = match opened.name.chars().next() {
                None | Some(':') => "",
                Some(_) if directory.ends_with('\\') => "",
                Some(_) => "\\",
            };
            Some(format!("{directory}{between}{}", opened.name))
        });
        let told = asked.is_some_and(|(status, _)| is_success(status));
        let is_expected = |said: &str| {
            let same = |expected: &String| is_same_path(said, expected);
            expected.as_ref().is_some_and(same)
        };
        if let Some((status, at)) = asked {
            self.used.refused += u64::from(!is_success(status));
            since = [said.started, at];
            old = Old::No;
        }
        let name = if told {
            // What it is called otherwise is seen in the requests that follow.
            check_flags(said, 0, Old::No)?;
            let right = is_expected(said.name) || moved || expected.is_none();
            let right = right || said.name.contains('~') || expected.as_deref() == Some(said.name);
            self.used.otherwise += u64::from(expected.as_deref() != Some(said.name));
            right.then(|| said.name.to_owned())
        } else {
            let flags = expected.as_ref().map_or(NAME_UNKNOWN, |_| NAME_AS_OPENED);
            check_flags(said, flags, old)?;
            let name = expected.clone().unwrap_or_default();
            name.eq_ignore_ascii_case(said.name)
                .then(|| said.name.to_owned())
        };
        let Some(name) = name else {
            return Err(format!("it was opened by {expected:?}"));
        };
        self.count(said);
        if is_opened(arrival) {
            let name = (said.flags & NAME_UNKNOWN == 0).then_some(name);
            if name.is_some() || asked.is_some() {
                let known = Known {
                    name,
                    asked: asked.is_some(),
                    told,
                    since,
                };
                self.files.insert(arrival.file, known);
            }
        }
        Ok(())
    }
}

/// Whether a question had an answer: without memory for one it is asked again another time.
const fn has_answered((status, _): &(NTSTATUS, i64)) -> bool {
    *status != STATUS_INSUFFICIENT_RESOURCES
}

/// Whether a record says that of its name.
fn check_flags(said: Said<'_>, flags: u32, old: Old) -> Result<(), String> {
    let is_old = said.flags & NAME_OLD != 0;
    // Nothing is said to be old that is not known.
    let old = if flags == NAME_UNKNOWN { Old::No } else { old };
    let right = match old {
        Old::Sure => is_old,
        Old::Maybe => true,
        Old::No => !is_old,
    };
    if said.flags & !NAME_OLD != flags || !right {
        return Err(format!("its flags are not {flags:#x}, {old:?}"));
    }
    Ok(())
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
    let mut rule = Rule::new(arrivals);
    let mut differences = Vec::new();
    let passed_on = arrivals.iter().enumerate();
    let passed_on = passed_on.filter(|(_, arrival)| !arrival.direct);
    for (number, (place, arrival)) in passed_on.enumerate() {
        let record = pairs
            .get(&number)
            .and_then(|place| traced.requests.get(*place));
        let Some((record, name)) = record else {
            continue;
        };
        let said = Said {
            name,
            flags: record.flags.get() & OF_NAMES,
            started: record.started.get().cast_signed(),
        };
        if let Err(why) = rule.check(place, arrival, said)
            && differences.len() < MOST
        {
            differences.push(format!("{why}\n  {said:?}\n  {arrival:?}"));
        }
    }
    (differences, rule.used)
}
