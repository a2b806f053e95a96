//! Opportunistic locks of one file (`FsRtlOplockFsctrlEx`, `FsRtlCheckOplockEx`).
//!
//! Granting is a request that stays outstanding, and breaking is its completion.
//! Where the owner has to acknowledge a break, the operation that broke the
//! oplock waits for that, or for the owner to close, unless the tables let it go
//! on ([`super::oplock_levels`]). Oplocks belong to file objects; those with the
//! same key are one owner, as far as the tables go by keys.
//!
//! The rules are those of the pages "Requesting and granting oplocks", "Breaking
//! Oplocks" and "Acknowledging Oplock Breaks". What they leave open: an operation
//! that waited looks at the oplock again when it goes on, no oplock is granted
//! while one breaks, and an acknowledgment that asks for more than the break
//! left is `STATUS_INVALID_OPLOCK_PROTOCOL`.

pub use super::oplock_levels::{Cache, Kind, Modes, Operation};

use super::oplock_levels::{Break, Level};
use super::record::{Fields, Record};
use super::volume::OpenId;
use super::waiting::{Effects, Ticket};
use ntbox_kernel::nt::{
    NTSTATUS, REQUEST_OPLOCK_CURRENT_VERSION, REQUEST_OPLOCK_INPUT_FLAG_ACK,
    REQUEST_OPLOCK_INPUT_FLAG_COMPLETE_ACK_ON_CLOSE, REQUEST_OPLOCK_INPUT_FLAG_REQUEST,
    REQUEST_OPLOCK_OUTPUT_FLAG_ACK_REQUIRED, REQUEST_OPLOCK_OUTPUT_FLAG_MODES_PROVIDED,
    REQUEST_OPLOCK_OUTPUT_FLAG_WRITABLE_SECTION_PRESENT, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_OPLOCK_PROTOCOL, STATUS_INVALID_PARAMETER, STATUS_OPLOCK_NOT_GRANTED,
    STATUS_OPLOCK_SWITCHED_TO_NEW_HANDLE, STATUS_SUCCESS,
};
use windows_sys::Win32::System::Ioctl as code;

/// `sizeof(REQUEST_OPLOCK_INPUT_BUFFER)`.
const INPUT: usize = 12;
/// `sizeof(REQUEST_OPLOCK_OUTPUT_BUFFER)`.
const OUTPUT: usize = 24;

/// `REQUEST_OPLOCK_OUTPUT_BUFFER` behind its version and length.
fn output(fields: [u32; 5]) -> Vec<u8> {
    let version = REQUEST_OPLOCK_CURRENT_VERSION | (OUTPUT as u32) << 16;
    Record::new().int([version]).int(fields).finish()
}

/// What is said to who asks for an oplock of Windows 7 while somebody else may write to the file through a view.
pub fn refused_by_view() -> Vec<u8> {
    output([
        0,
        0,
        REQUEST_OPLOCK_OUTPUT_FLAG_WRITABLE_SECTION_PRESENT,
        0,
        0,
    ])
}

/// A key that makes several opens one owner of oplocks (`OPLOCK_KEY_ECP_CONTEXT`).
pub type Key = [u8; 16];

/// Who owns an oplock, or does something that may break one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The open; none for one that is just made.
    pub open: Option<OpenId>,
    /// Its key.
    pub key: Option<Key>,
}

impl Who {
    /// One owner (`FsRtlOplockKeysEqual`).
    fn is(self, other: Self) -> bool {
        let same = |one: Option<Key>, two: Option<Key>| one.is_some() && one == two;
        self.open.is_some() && self.open == other.open || same(self.key, other.key)
    }
}

/// What a file-system control asks of an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `FSCTL_REQUEST_OPLOCK_LEVEL_1` and its like.
    Request(Kind),
    /// `FSCTL_OPLOCK_BREAK_ACKNOWLEDGE`.
    Acknowledge,
    /// `FSCTL_OPLOCK_BREAK_ACK_NO_2`.
    AcknowledgeWithoutLevelTwo,
    /// `FSCTL_OPBATCH_ACK_CLOSE_PENDING`.
    ClosePending,
    /// `FSCTL_REQUEST_OPLOCK`, to acknowledge with what is to be kept.
    Keep(Cache),
    /// The same, if the handle is going to be closed.
    KeepUntilClosed,
    /// `FSCTL_OPLOCK_BREAK_NOTIFY`.
    Notify,
}

impl Control {
    /// Of a control with its input and room for its output; none if it is no business of oplocks.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL`, `STATUS_INVALID_PARAMETER`.
    pub fn of(control: u32, input: &[u8], output: usize) -> Option<Result<Self, NTSTATUS>> {
        Some(Ok(match control {
            code::FSCTL_REQUEST_OPLOCK_LEVEL_1 => Self::Request(Kind::LevelOne),
            code::FSCTL_REQUEST_OPLOCK_LEVEL_2 => Self::Request(Kind::LevelTwo),
            code::FSCTL_REQUEST_BATCH_OPLOCK => Self::Request(Kind::Batch),
            code::FSCTL_REQUEST_FILTER_OPLOCK => Self::Request(Kind::Filter),
            code::FSCTL_OPLOCK_BREAK_ACKNOWLEDGE => Self::Acknowledge,
            code::FSCTL_OPLOCK_BREAK_ACK_NO_2 => Self::AcknowledgeWithoutLevelTwo,
            code::FSCTL_OPBATCH_ACK_CLOSE_PENDING => Self::ClosePending,
            code::FSCTL_OPLOCK_BREAK_NOTIFY => Self::Notify,
            code::FSCTL_REQUEST_OPLOCK => return Some(Self::of_buffer(input, output)),
            _ => return None,
        }))
    }

    /// Of a `REQUEST_OPLOCK_INPUT_BUFFER`.
    fn of_buffer(input: &[u8], output: usize) -> Result<Self, NTSTATUS> {
        let fields = Fields(input);
        let (Some(version), Some(level), Some(flags)) =
            (fields.int(0), fields.int(4), fields.int(8))
        else {
            return Err(STATUS_BUFFER_TOO_SMALL);
        };
        if output < OUTPUT {
            return Err(STATUS_BUFFER_TOO_SMALL);
        }
        // The version, and the structure's length behind it.
        if version != REQUEST_OPLOCK_CURRENT_VERSION | (INPUT as u32) << 16 {
            return Err(STATUS_INVALID_PARAMETER);
        }
        const ACK_ON_CLOSE: u32 =
            REQUEST_OPLOCK_INPUT_FLAG_ACK | REQUEST_OPLOCK_INPUT_FLAG_COMPLETE_ACK_ON_CLOSE;
        let cache = Cache::new(level)?;
        match flags {
            REQUEST_OPLOCK_INPUT_FLAG_REQUEST if cache != Cache::NONE => {
                Ok(Self::Request(Kind::Caching(cache)))
            }
            REQUEST_OPLOCK_INPUT_FLAG_ACK => Ok(Self::Keep(cache)),
            ACK_ON_CLOSE => Ok(Self::KeepUntilClosed),
            _ => Err(STATUS_INVALID_PARAMETER),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The request is outstanding.
    Granted(Ticket),
    /// The request has completed; the owner has to acknowledge.
    Breaking(Level),
    /// The owner will close.
    Closing,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    owner: Who,
    kind: Kind,
    phase: Phase,
}

/// The oplocks of a file.
#[derive(Debug, Default)]
pub struct Table {
    held: Vec<Held>,
    /// Operations, and requests to be told, that wait for the end of a break.
    waiting: Vec<(Ticket, Waiter)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiter {
    /// An operation of this open, or a create, which is worked on again.
    Operation(Option<OpenId>),
    /// `FSCTL_OPLOCK_BREAK_NOTIFY`, which is completed.
    Notification(OpenId),
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Nothing is in the way any more.
    Free,
    /// An acknowledgment has to be waited for.
    Breaking,
}

/// What a control came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is completed with this status.
    Done(NTSTATUS),
    /// It is outstanding under its ticket.
    Outstanding,
}

impl Held {
    /// Ends the request, as it breaks to `level`; false if its cancel routine has been called, which takes the oplock
    /// away: then nobody is left to acknowledge.
    fn tell(
        &self,
        ticket: Ticket,
        level: Level,
        by: Option<Operation>,
        effects: &mut Effects<'_>,
    ) -> bool {
        let (Kind::Caching(from), Level::Caching(to)) = (self.kind, level) else {
            return effects.finish_with(ticket, STATUS_SUCCESS, level.information());
        };
        let modes = match by {
            Some(Operation::Create { violates, .. }) if from.keeps_handle() => violates,
            _ => None,
        };
        let acknowledged = by.is_some() && self.kind.is_acknowledged();
        let mut flags = 0;
        for (set, flag) in [
            (acknowledged, REQUEST_OPLOCK_OUTPUT_FLAG_ACK_REQUIRED),
            (modes.is_some(), REQUEST_OPLOCK_OUTPUT_FLAG_MODES_PROVIDED),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let (access, share) = modes.map_or((0, 0), |modes| (modes.access, modes.share));
        let output = output([from.flags(), to.flags(), flags, access, share]);
        effects.finish(ticket, STATUS_SUCCESS, output)
    }

    /// What ends when the handle is closed or the volume goes: nothing is left, and nothing to acknowledge.
    fn nothing_left(&self) -> Level {
        match self.kind {
            Kind::Caching(_) => Level::Caching(Cache::NONE),
            _ => Level::None,
        }
    }
}

impl Table {
    /// Nothing is granted and nothing breaks: fast I/O needs no check.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
    /// A batch or filter oplock is there: a create looks at it before it looks at sharing.
    pub fn is_batch_or_filter(&self) -> bool {
        let early = |held: &Held| matches!(held.kind, Kind::Batch | Kind::Filter);
        self.held.iter().any(early)
    }
    /// Somebody keeps a handle open that he may not need.
    pub fn keeps_handle(&self) -> bool {
        let keeps = |held: &Held| matches!(held.kind, Kind::Caching(cache) if cache.keeps_handle());
        self.held.iter().any(keeps)
    }
    /// Whether an operation may go ahead without [`check`](Self::check).
    pub fn allows(&self, who: Who, operation: Operation) -> bool {
        self.held
            .iter()
            .all(|held| broken(held, who, operation).is_none())
    }

    /// Carries out a control of `owner`, with whom the file is open alone if `alone` says so of the kind.
    pub fn control(
        &mut self,
        control: Control,
        owner: Who,
        alone: bool,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        match control {
            Control::Request(kind) => self.request(kind, owner, alone, ticket, effects),
            Control::Notify => match owner.open {
                Some(open) if self.held.iter().any(is_breaking) => {
                    self.waiting.push((ticket, Waiter::Notification(open)));
                    Answer::Outstanding
                }
                _ => Answer::Done(STATUS_SUCCESS),
            },
            _ => self.acknowledge(control, owner, ticket, effects),
        }
    }

    fn request(
        &mut self,
        kind: Kind,
        owner: Who,
        alone: bool,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        let fits = self.held.iter().all(|held| goes_with(kind, owner, held));
        if !fits || !kind.is_shared() && !alone {
            return Answer::Done(STATUS_OPLOCK_NOT_GRANTED);
        }
        // What gives way: a level 2 oplock to an older exclusive one, and those with the same key to one of Windows 7.
        self.held.retain(|held| {
            let Phase::Granted(old) = held.phase else {
                return true;
            };
            let ended = match kind {
                Kind::Caching(_) if held.owner.is(owner) && held.kind != Kind::LevelTwo => {
                    effects.finish_with(old, STATUS_OPLOCK_SWITCHED_TO_NEW_HANDLE, 0)
                }
                Kind::LevelOne | Kind::Batch | Kind::Filter => {
                    held.tell(old, Level::None, None, effects)
                }
                _ => false,
            };
            !ended
        });
        let phase = Phase::Granted(ticket);
        self.held.push(Held { owner, kind, phase });
        Answer::Outstanding
    }

    fn acknowledge(
        &mut self,
        control: Control,
        owner: Who,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        let protocol = Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL);
        let of_windows_7 = matches!(control, Control::Keep(_) | Control::KeepUntilClosed);
        let found = self.held.iter_mut().enumerate().find_map(|(place, held)| {
            let answers = matches!(held.kind, Kind::Caching(_)) == of_windows_7;
            match held.phase {
                Phase::Breaking(level) if answers && held.owner.open == owner.open => {
                    Some((place, held, level))
                }
                _ => None,
            }
        });
        let Some((place, held, level)) = found else {
            return protocol;
        };
        let kept = match (control, level) {
            (Control::KeepUntilClosed, _) => {
                held.phase = Phase::Closing;
                return Answer::Done(STATUS_SUCCESS);
            }
            (Control::ClosePending, _) if held.kind != Kind::LevelOne => {
                held.phase = Phase::Closing;
                return Answer::Done(STATUS_SUCCESS);
            }
            (Control::Keep(cache), Level::Caching(level)) if !cache.is_within(level) => {
                return protocol;
            }
            (Control::Keep(cache), _) if cache != Cache::NONE => Some(Kind::Caching(cache)),
            (Control::Acknowledge, Level::Two) => Some(Kind::LevelTwo),
            _ => None,
        };
        match kept {
            Some(kind) => (held.kind, held.phase) = (kind, Phase::Granted(ticket)),
            None => drop(self.held.remove(place)),
        }
        self.go_on(effects);
        match kept {
            Some(_) => Answer::Outstanding,
            None => Answer::Done(STATUS_SUCCESS),
        }
    }

    /// Whether `operation` of `who` would break something.
    pub fn would_break(&self, who: Who, operation: Operation) -> bool {
        let mut held = self.held.iter();
        held.any(|held| broken(held, who, operation).is_some())
    }

    /// Breaks what `operation` of `who` breaks.
    pub fn check(&mut self, who: Who, operation: Operation, effects: &mut Effects<'_>) -> Checked {
        let mut waits = false;
        self.held.retain_mut(|held| {
            let Some(by) = broken(held, who, operation) else {
                return true;
            };
            match held.phase {
                Phase::Granted(ticket) => {
                    if !held.tell(ticket, by.level, Some(operation), effects) {
                        return true;
                    }
                    held.phase = Phase::Breaking(by.level);
                }
                Phase::Breaking(level) => held.phase = Phase::Breaking(level.and(by.level)),
                Phase::Closing => {}
            }
            waits |= by.waits;
            held.kind.is_acknowledged()
        });
        if waits {
            Checked::Breaking
        } else {
            Checked::Free
        }
    }

    /// Lets an operation of `who` wait for the end of the break.
    pub fn wait(&mut self, ticket: Ticket, who: Option<OpenId>) {
        self.waiting.push((ticket, Waiter::Operation(who)));
    }

    /// The handle is closed: its oplocks end, a break is over, and its own operations go on, to
    /// fail.
    pub fn cleanup(&mut self, owner: OpenId, effects: &mut Effects<'_>) {
        if self.end_those(Some(owner), effects) {
            self.go_on(effects);
        }
        self.let_go(effects, |waiter| match waiter {
            Waiter::Operation(who) => who == Some(owner),
            Waiter::Notification(who) => who == owner,
        });
    }

    /// The volume is gone: everything ends.
    pub fn end(&mut self, effects: &mut Effects<'_>) {
        self.end_those(None, effects);
        self.go_on(effects);
    }

    /// Ends the oplocks of an open, or all. True if one had to be acknowledged.
    fn end_those(&mut self, of: Option<OpenId>, effects: &mut Effects<'_>) -> bool {
        let mut over = false;
        self.held.retain(|held| {
            if of.is_some() && held.owner.open != of {
                return true;
            }
            let ended = match held.phase {
                Phase::Granted(ticket) => held.tell(ticket, held.nothing_left(), None, effects),
                Phase::Breaking(_) | Phase::Closing => true,
            };
            over |= ended && held.kind.is_acknowledged();
            !ended
        });
        over
    }

    /// The break is over.
    fn go_on(&mut self, effects: &mut Effects<'_>) {
        self.let_go(effects, |_| true);
    }

    fn let_go(&mut self, effects: &mut Effects<'_>, which: impl Fn(Waiter) -> bool) {
        self.waiting.retain(|(ticket, waiter)| {
            !which(*waiter)
                || !match waiter {
                    Waiter::Operation(_) => effects.resume(*ticket),
                    Waiter::Notification(_) => effects.finish_with(*ticket, STATUS_SUCCESS, 0),
                }
        });
    }

    /// Takes a request out, for its cancel routine; false if it is not here. An oplock whose
    /// request is cancelled is gone.
    pub fn remove_waiting(&mut self, ticket: Ticket) -> bool {
        let before = self.held.len() + self.waiting.len();
        self.held
            .retain(|held| held.phase != Phase::Granted(ticket));
        self.waiting.retain(|(other, _)| *other != ticket);
        before != self.held.len() + self.waiting.len()
    }
}

fn is_breaking(held: &Held) -> bool {
    !matches!(held.phase, Phase::Granted(_))
}

/// What an operation of `who` does to an oplock.
fn broken(held: &Held, who: Who, operation: Operation) -> Option<Break> {
    let spares = held.owner.is(who) && !held.kind.is_broken_by_owner(operation);
    held.kind.broken_by(operation).filter(|_| !spares)
}

/// Whether an oplock of `kind` may be granted to `owner` beside one that is held, or in its place.
fn goes_with(kind: Kind, owner: Who, held: &Held) -> bool {
    if is_breaking(held) {
        return false;
    }
    let same = held.owner.is(owner);
    match (kind, held.kind) {
        (Kind::LevelOne | Kind::Batch | Kind::Filter, Kind::LevelTwo) => true,
        (Kind::LevelTwo, Kind::LevelTwo | Kind::Caching(Cache::R)) => true,
        (Kind::Caching(Cache::R), Kind::LevelTwo | Kind::Caching(Cache::R)) => true,
        (Kind::Caching(Cache::R), Kind::Caching(Cache::RH)) => !same,
        (Kind::Caching(Cache::RH), Kind::Caching(Cache::R | Cache::RH)) => true,
        (Kind::Caching(Cache::RW), Kind::Caching(Cache::R | Cache::RW)) => same,
        (Kind::Caching(Cache::RWH), Kind::Caching(_)) => same,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
