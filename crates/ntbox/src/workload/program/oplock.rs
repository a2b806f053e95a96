//! An oplock: granted to this thread, broken by another one, answered, perhaps broken again.
//!
//! The order is fixed by what waits for what: the operation that breaks an exclusive oplock waits
//! for the answer, and a level 2 oplock ends with the operation.

use super::super::layout::{Mask, rename_information, u32_at};
use super::super::worker::synchronous;
use super::observation::Observation;
use super::operation::{Answer, BLOCK, Name, Opening, OplockKind, Touch};
use super::runner::{LOOK, Runner, settle};
use crate::io_manager::identity;
use crate::nt::*;
use crate::processor::thread;
use crate::user::access::{DELETE, READ, WRITE};
use crate::user::locks::Range;
use crate::user::{CreateParameters, File, Outcome, Pending, create_file};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ordinal of the other thread, above its first one's.
const OTHER: u32 = 0x100;

/// What became of an answer.
enum Answered {
    /// It has ended.
    Ended(Outcome),
    /// It is the request of a level 2 oplock.
    Outstanding(Pending<'static>),
}

/// The other thread.
struct Other {
    path: String,
    opening: Opening,
    touch: Touch,
    operation: u32,
    thread: u32,
}

impl Runner {
    pub(super) fn oplock(
        &mut self,
        at: Name,
        kind: OplockKind,
        (opening, touch): (Opening, Touch),
        answer: Answer,
    ) {
        let path = self.path(at);
        let parameters = CreateParameters::new(&path)
            .disposition(FILE_OPEN_IF)
            .access(READ | WRITE | DELETE)
            .options(FILE_NON_DIRECTORY_FILE);
        let opened = create_file(&parameters);
        self.note(
            format!("open {at} for an oplock"),
            &opened.outcome,
            Mask::None,
        );
        let Some(owner) = opened.file else { return };
        let caching = matches!(kind, OplockKind::Caching(_));
        let granted = match kind {
            OplockKind::LevelOne => control(&owner, FSCTL_REQUEST_OPLOCK_LEVEL_1, &[], 0),
            OplockKind::LevelTwo => control(&owner, FSCTL_REQUEST_OPLOCK_LEVEL_2, &[], 0),
            OplockKind::Batch => control(&owner, FSCTL_REQUEST_BATCH_OPLOCK, &[], 0),
            OplockKind::Filter => control(&owner, FSCTL_REQUEST_FILTER_OPLOCK, &[], 0),
            OplockKind::Caching(level) => {
                of_windows_7(&owner, level, REQUEST_OPLOCK_INPUT_FLAG_REQUEST)
            }
        };
        if !granted.is_outstanding() {
            self.note_oplock("oplock", &granted.wait());
            let outcome = owner.close();
            self.note("close the owner".to_owned(), &outcome, Mask::None);
            return;
        }
        let granted = granted.outlives_handle();
        let other = Other {
            path,
            // What a break is to is not decided before it is answered: nothing else may come then.
            touch: if opening == Opening::DoNotWait {
                Touch::Nothing
            } else {
                touch
            },
            opening,
            operation: self.number(),
            thread: self.thread,
        };
        self.broken(owner, granted, other, (caching, answer));
    }

    /// Lets the other thread break the oplock, and answers.
    fn broken(
        &mut self,
        owner: File,
        granted: Pending<'static>,
        other: Other,
        (caching, answer): (bool, Answer),
    ) {
        let done = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Vec<Observation>>> = Arc::default();
        let (finished, record) = (Arc::clone(&done), Arc::clone(&seen));
        let breaker = thread::spawn("breaker of an oplock", move || {
            let calls = other.run();
            *record.lock().unwrap_or_else(PoisonError::into_inner) = calls;
            finished.store(true, Ordering::Release);
        });
        let ended = until_broken(granted, &done);
        self.note_oplock("oplock", &ended);
        let mut owner = Some(owner);
        let mut told = Vec::new();
        let mut answered = self.answer(owner.as_ref(), answer, caching.then(|| left(&ended)));
        loop {
            // The other thread waits for an answer or for the end of the handle.
            let failed =
                matches!(&answered, Some(Answered::Ended(outcome)) if !outcome.is_success());
            if failed || matches!(answer, Answer::ClosePending | Answer::Close) {
                self.close_owner(&mut owner);
            }
            let ended = match answered {
                // What the answer has kept may break in its turn, and has to be answered then, whether or not the
                // other thread waits for that.
                Some(Answered::Outstanding(kept)) => until_broken(kept, &done),
                // It may have broken before anybody has looked at it.
                Some(Answered::Ended(outcome)) => outcome,
                None => break,
            };
            let asks = ended.is_success() && caching && is_acknowledged(&ended);
            let again = asks.then(|| left(&ended));
            told.push(ended);
            if again.is_none() {
                break;
            }
            answered = self.answer(owner.as_ref(), answer, again);
        }
        // After a panic of the box its calls are missing, which is a difference.
        drop(breaker.join());
        let calls = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        self.seen.extend(calls);
        for outcome in &told {
            self.note_oplock("answer", outcome);
        }
        self.close_owner(&mut owner);
    }

    /// Answers a break, of an oplock of Windows 7 by what is `left` of it; `None` if that is done by closing alone.
    fn answer(
        &mut self,
        owner: Option<&File>,
        answer: Answer,
        left: Option<u32>,
    ) -> Option<Answered> {
        const ACK: u32 = REQUEST_OPLOCK_INPUT_FLAG_ACK;
        const ON_CLOSE: u32 = REQUEST_OPLOCK_INPUT_FLAG_COMPLETE_ACK_ON_CLOSE;
        let owner = owner.filter(|_| answer != Answer::Close)?;
        identity::allow_failure_of_next();
        let pending = match (answer, left) {
            (Answer::Acknowledge, None) => control(owner, FSCTL_OPLOCK_BREAK_ACKNOWLEDGE, &[], 0),
            (Answer::NoLevelTwo, None) => control(owner, FSCTL_OPLOCK_BREAK_ACK_NO_2, &[], 0),
            (_, None) => control(owner, FSCTL_OPBATCH_ACK_CLOSE_PENDING, &[], 0),
            (Answer::Acknowledge, Some(left)) => of_windows_7(owner, left, ACK),
            (Answer::NoLevelTwo, Some(_)) => of_windows_7(owner, 0, ACK),
            (_, Some(_)) => of_windows_7(owner, 0, ACK | ON_CLOSE),
        };
        Some(if pending.is_outstanding() {
            Answered::Outstanding(pending.outlives_handle())
        } else {
            Answered::Ended(pending.wait())
        })
    }

    fn close_owner(&mut self, owner: &mut Option<File>) {
        if let Some(owner) = owner.take() {
            let outcome = owner.close();
            self.note("close the owner".to_owned(), &outcome, Mask::None);
        }
    }

    fn note_oplock(&mut self, call: &str, outcome: &Outcome) {
        self.note(call.to_owned(), outcome, Mask::None).long_lived = true;
    }
}

/// What ends an oplock's request: a break, or else that the other thread is `done`.
fn until_broken(mut request: Pending<'static>, done: &AtomicBool) -> Outcome {
    while request.is_outstanding() && !done.load(Ordering::Acquire) {
        request.finishes_within(LOOK);
    }
    if request.is_outstanding() {
        // Nothing has broken it, or its end is on the way: then cancelling comes too late.
        request.cancel();
    }
    request.wait()
}

/// `NewOplockLevel` of a `REQUEST_OPLOCK_OUTPUT_BUFFER`.
fn left(ended: &Outcome) -> u32 {
    u32_at(&ended.data, 8)
}

/// The break that a `REQUEST_OPLOCK_OUTPUT_BUFFER` tells of has to be acknowledged.
fn is_acknowledged(ended: &Outcome) -> bool {
    u32_at(&ended.data, 12) & REQUEST_OPLOCK_OUTPUT_FLAG_ACK_REQUIRED != 0
}

/// A control about an oplock, until it has ended or is outstanding for good.
pub fn control<'a>(owner: &'a File, code: u32, input: &[u8], room: u32) -> Pending<'a> {
    identity::announce_next();
    let mut pending = owner.start_fs_control(code, input, room);
    settle(&mut pending);
    pending
}

/// `FSCTL_REQUEST_OPLOCK`.
fn of_windows_7(owner: &File, level: u32, flags: u32) -> Pending<'_> {
    let length = size_of::<REQUEST_OPLOCK_INPUT_BUFFER>() as u32;
    let head = REQUEST_OPLOCK_CURRENT_VERSION | length << 16;
    let input = [head, level, flags].map(u32::to_le_bytes).concat();
    let room = size_of::<REQUEST_OPLOCK_OUTPUT_BUFFER>() as u32;
    control(owner, FSCTL_REQUEST_OPLOCK, &input, room)
}

impl Other {
    fn run(&self) -> Vec<Observation> {
        identity::begin_operation(self.thread + OTHER, self.operation);
        let (access, share, disposition, options) = match self.opening {
            Opening::Read => (READ, 7, FILE_OPEN, 0),
            Opening::Write => (READ | WRITE | DELETE, 7, FILE_OPEN, 0),
            Opening::Colliding => (READ | WRITE, 6, FILE_OPEN, 0),
            Opening::Overwrite => (READ | WRITE, 7, FILE_OVERWRITE_IF, 0),
            Opening::DoNotWait => (READ | WRITE, 7, FILE_OPEN, FILE_COMPLETE_IF_OPLOCKED),
            Opening::RequiringOplock => (READ | WRITE, 7, FILE_OPEN, FILE_OPEN_REQUIRING_OPLOCK),
        };
        let parameters = CreateParameters::new(&self.path)
            .access(access)
            .share(share)
            .disposition(disposition)
            .options(synchronous(options));
        identity::allow_failure_of_next();
        let opened = create_file(&parameters);
        let mut seen = vec![self.observation("open elsewhere", &opened.outcome)];
        let Some(file) = opened.file else { return seen };
        identity::allow_failure_of_next();
        let outcome = match self.touch {
            Touch::Nothing => None,
            Touch::Read => Some(file.read(Some(0), BLOCK)),
            Touch::Write => Some(file.write(Some(0), &[9; BLOCK as usize])),
            Touch::End => {
                Some(file.set_information(FileEndOfFileInformation, &100_i64.to_le_bytes()))
            }
            Touch::Lock => {
                let range = Range {
                    offset: 0,
                    length: 10,
                    key: 0,
                };
                Some(file.lock(range, true, true))
            }
            // To the name that it has: only the oplock is touched.
            Touch::Rename => {
                let information = rename_information(&self.path, 0);
                Some(file.set_information(FileRenameInformation, &information))
            }
            Touch::Delete => {
                let deleted = file.set_information(FileDispositionInformation, &[1]);
                file.set_information(FileDispositionInformation, &[0]);
                Some(deleted)
            }
        };
        seen.extend(outcome.map(|outcome| self.observation("touch elsewhere", &outcome)));
        seen.push(self.observation("close elsewhere", &file.close()));
        seen
    }

    fn observation(&self, call: &str, outcome: &Outcome) -> Observation {
        Observation::new(self.operation, call.to_owned(), outcome, &outcome.data)
    }
}
