//! Opportunistic locks of one file (`FsRtlOplockFsctrl`, `FsRtlCheckOplock`).
//!
//! Granting is a request that stays outstanding, and breaking is its completion.
//! An exclusive oplock (level 1, batch, filter) that breaks keeps the operation
//! that broke it waiting until its owner acknowledges or closes; a level 2 oplock
//! just ends. Who owns what goes by file object: there are no oplock keys, and the
//! oplocks of Windows 7 (`FSCTL_REQUEST_OPLOCK`) are not granted.
//!
//! The tables are those of the pages "Granting Oplocks", "Breaking Oplocks" with
//! its page for each major function, and "Acknowledging Oplock Breaks". What they
//! leave open: an operation that waited looks at the oplock again when it goes on.

use super::volume::OpenId;
use super::waiting::{Effects, Ticket};
use ntbox_kernel::nt::{
    FILE_OPLOCK_BROKEN_TO_LEVEL_2, FILE_OPLOCK_BROKEN_TO_NONE, NTSTATUS,
    STATUS_INVALID_OPLOCK_PROTOCOL, STATUS_OPLOCK_NOT_GRANTED, STATUS_SUCCESS,
};
use windows_sys::Win32::System::Ioctl as code;

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exclusive: reads and writes may be cached.
    LevelOne,
    /// Shared: reads may be cached.
    LevelTwo,
    /// Exclusive: the handle may be kept open as well.
    Batch,
    /// Exclusive: its owner steps back before others collide with it.
    Filter,
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
    /// `FSCTL_OPLOCK_BREAK_NOTIFY`.
    Notify,
}

impl Control {
    /// Of a control code; none if it is no business of oplocks.
    pub fn of(control: u32) -> Option<Self> {
        Some(match control {
            code::FSCTL_REQUEST_OPLOCK_LEVEL_1 => Self::Request(Kind::LevelOne),
            code::FSCTL_REQUEST_OPLOCK_LEVEL_2 => Self::Request(Kind::LevelTwo),
            code::FSCTL_REQUEST_BATCH_OPLOCK => Self::Request(Kind::Batch),
            code::FSCTL_REQUEST_FILTER_OPLOCK => Self::Request(Kind::Filter),
            code::FSCTL_OPLOCK_BREAK_ACKNOWLEDGE => Self::Acknowledge,
            code::FSCTL_OPLOCK_BREAK_ACK_NO_2 => Self::AcknowledgeWithoutLevelTwo,
            code::FSCTL_OPBATCH_ACK_CLOSE_PENDING => Self::ClosePending,
            code::FSCTL_OPLOCK_BREAK_NOTIFY => Self::Notify,
            _ => return None,
        })
    }
}

/// An operation that may break an oplock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An open of a file that is there.
    Create {
        /// It overwrites, supersedes, or reserves a filter oplock.
        to_none: bool,
        /// It asks for more than reading, and the file is not shared for reading.
        collides: bool,
    },
    /// IRP_MJ_READ.
    Read,
    /// IRP_MJ_WRITE.
    Write,
    /// IRP_MN_LOCK.
    Lock,
    /// A new end of file, allocation or valid data length.
    Size,
    /// Another name.
    Rename,
}

/// What an exclusive oplock breaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    None,
    Two,
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
struct Exclusive {
    owner: OpenId,
    kind: Kind,
    phase: Phase,
}

/// The oplocks of a file.
#[derive(Debug, Default)]
pub struct Table {
    exclusive: Option<Exclusive>,
    level_two: Vec<(OpenId, Ticket)>,
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

impl Kind {
    /// What an operation breaks an exclusive oplock of this kind to, if it breaks it.
    fn broken_by(self, operation: Operation) -> Option<Level> {
        let filter = self == Self::Filter;
        match operation {
            Operation::Create { collides, .. } if filter => collides.then_some(Level::None),
            Operation::Create { to_none: true, .. } => Some(Level::None),
            Operation::Create { .. } => Some(Level::Two),
            Operation::Read | Operation::Lock if filter => None,
            Operation::Read => Some(Level::Two),
            Operation::Rename if self == Self::LevelOne => None,
            Operation::Write | Operation::Lock | Operation::Size | Operation::Rename => {
                Some(Level::None)
            }
        }
    }
}

/// Whether an operation ends level 2 oplocks, its own handle's too.
fn ends_level_two(operation: Operation) -> bool {
    match operation {
        Operation::Create { to_none, .. } => to_none,
        Operation::Write | Operation::Lock | Operation::Size => true,
        Operation::Read | Operation::Rename => false,
    }
}

impl Table {
    /// Nothing is granted and nothing breaks: fast I/O needs no check.
    pub fn is_empty(&self) -> bool {
        self.exclusive.is_none() && self.level_two.is_empty()
    }
    /// A batch or filter oplock is there: a create looks at it before it looks at sharing.
    pub fn is_batch_or_filter(&self) -> bool {
        self.exclusive
            .is_some_and(|held| matches!(held.kind, Kind::Batch | Kind::Filter))
    }
    /// Whether an operation may go ahead without [`check`](Self::check).
    pub fn allows(&self, who: OpenId, operation: Operation) -> bool {
        let exclusive = self
            .exclusive
            .is_some_and(|held| held.owner != who && held.kind.broken_by(operation).is_some());
        !exclusive && (self.level_two.is_empty() || !ends_level_two(operation))
    }

    /// Carries out a control of `owner`, which has `others` beside it on the file.
    pub fn control(
        &mut self,
        control: Control,
        owner: OpenId,
        others: bool,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        match control {
            Control::Request(kind) => self.request(kind, owner, others, ticket, effects),
            Control::Notify => match self.exclusive {
                Some(held) if !matches!(held.phase, Phase::Granted(_)) => {
                    self.waiting.push((ticket, Waiter::Notification(owner)));
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
        owner: OpenId,
        others: bool,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        let exclusive = kind != Kind::LevelTwo;
        if self.exclusive.is_some() || exclusive && others {
            return Answer::Done(STATUS_OPLOCK_NOT_GRANTED);
        }
        if exclusive {
            self.end_level_two(None, effects);
            let phase = Phase::Granted(ticket);
            self.exclusive = Some(Exclusive { owner, kind, phase });
        } else {
            self.level_two.push((owner, ticket));
        }
        Answer::Outstanding
    }

    fn acknowledge(
        &mut self,
        control: Control,
        owner: OpenId,
        ticket: Ticket,
        effects: &mut Effects<'_>,
    ) -> Answer {
        let Some(held) = self.exclusive.as_mut().filter(|held| held.owner == owner) else {
            return Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL);
        };
        let Phase::Breaking(level) = held.phase else {
            return Answer::Done(STATUS_INVALID_OPLOCK_PROTOCOL);
        };
        if control == Control::ClosePending && held.kind != Kind::LevelOne {
            held.phase = Phase::Closing;
            return Answer::Done(STATUS_SUCCESS);
        }
        self.exclusive = None;
        let keeps = control == Control::Acknowledge && level == Level::Two;
        if keeps {
            self.level_two.push((owner, ticket));
        }
        self.go_on(effects);
        if keeps {
            Answer::Outstanding
        } else {
            Answer::Done(STATUS_SUCCESS)
        }
    }

    /// Breaks what `operation` of `who` (none for a create) breaks.
    pub fn check(
        &mut self,
        who: Option<OpenId>,
        operation: Operation,
        effects: &mut Effects<'_>,
    ) -> Checked {
        if ends_level_two(operation) {
            self.end_level_two(None, effects);
        }
        let Some(held) = self
            .exclusive
            .as_mut()
            .filter(|held| who != Some(held.owner))
        else {
            return Checked::Free;
        };
        let Some(level) = held.kind.broken_by(operation) else {
            return Checked::Free;
        };
        if let Phase::Granted(ticket) = held.phase {
            let information = match level {
                Level::None => FILE_OPLOCK_BROKEN_TO_NONE,
                Level::Two => FILE_OPLOCK_BROKEN_TO_LEVEL_2,
            };
            if !effects.finish_with(ticket, STATUS_SUCCESS, information as usize) {
                // Its cancel routine takes it away: then nobody is left to acknowledge.
                return Checked::Free;
            }
            held.phase = Phase::Breaking(level);
        } else if let (Phase::Breaking(Level::Two), Level::None) = (held.phase, level) {
            // A second break on the way: nothing is left of level 2.
            held.phase = Phase::Breaking(Level::None);
        }
        Checked::Breaking
    }

    /// Lets an operation of `who` wait for the end of the break.
    pub fn wait(&mut self, ticket: Ticket, who: Option<OpenId>) {
        self.waiting.push((ticket, Waiter::Operation(who)));
    }

    /// The handle is closed: its oplocks end, a break is over, and its own operations go on, to
    /// fail.
    pub fn cleanup(&mut self, owner: OpenId, effects: &mut Effects<'_>) {
        self.end_level_two(Some(owner), effects);
        if let Some(held) = self.exclusive.filter(|held| held.owner == owner) {
            self.end_exclusive(held, effects);
        }
        self.let_go(effects, |waiter| match waiter {
            Waiter::Operation(who) => who == Some(owner),
            Waiter::Notification(who) => who == owner,
        });
    }

    /// The volume is gone: everything ends.
    pub fn end(&mut self, effects: &mut Effects<'_>) {
        self.end_level_two(None, effects);
        match self.exclusive {
            Some(held) => self.end_exclusive(held, effects),
            None => self.go_on(effects),
        }
    }

    fn end_exclusive(&mut self, held: Exclusive, effects: &mut Effects<'_>) {
        if let Phase::Granted(ticket) = held.phase
            && !effects.finish_with(ticket, STATUS_SUCCESS, FILE_OPLOCK_BROKEN_TO_NONE as usize)
        {
            return;
        }
        self.exclusive = None;
        self.go_on(effects);
    }

    fn end_level_two(&mut self, of: Option<OpenId>, effects: &mut Effects<'_>) {
        let none = FILE_OPLOCK_BROKEN_TO_NONE as usize;
        self.level_two.retain(|(owner, ticket)| {
            of.is_some_and(|of| of != *owner) || !effects.finish_with(*ticket, STATUS_SUCCESS, none)
        });
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
        let granted = |held: &Exclusive| held.phase == Phase::Granted(ticket);
        if self.exclusive.as_ref().is_some_and(granted) {
            self.exclusive = None;
            return true;
        }
        let before = self.level_two.len() + self.waiting.len();
        self.level_two.retain(|(_, other)| *other != ticket);
        self.waiting.retain(|(other, _)| *other != ticket);
        before != self.level_two.len() + self.waiting.len()
    }
}

#[cfg(test)]
mod tests;
