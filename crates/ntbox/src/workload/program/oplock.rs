//! An oplock: granted to this thread, broken by another one, answered, perhaps broken again.
//!
//! The order is fixed by what waits for what: the operation that breaks an exclusive oplock waits
//! for the answer, and a level 2 oplock ends with the operation.

use super::super::layout::Mask;
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
        let code = match kind {
            OplockKind::LevelOne => FSCTL_REQUEST_OPLOCK_LEVEL_1,
            OplockKind::LevelTwo => FSCTL_REQUEST_OPLOCK_LEVEL_2,
            OplockKind::Batch => FSCTL_REQUEST_BATCH_OPLOCK,
            OplockKind::Filter => FSCTL_REQUEST_FILTER_OPLOCK,
        };
        let granted = control(&owner, code);
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
        self.broken(owner, granted, other, answer);
    }

    /// Lets the other thread break the oplock, and answers.
    fn broken(&mut self, owner: File, mut granted: Pending<'static>, other: Other, answer: Answer) {
        let done = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Vec<Observation>>> = Arc::default();
        let (finished, record) = (Arc::clone(&done), Arc::clone(&seen));
        let breaker = thread::spawn("breaker of an oplock", move || {
            let calls = other.run();
            *record.lock().unwrap_or_else(PoisonError::into_inner) = calls;
            finished.store(true, Ordering::Release);
        });
        while granted.is_outstanding() && !done.load(Ordering::Acquire) {
            granted.finishes_within(LOOK);
        }
        if granted.is_outstanding() {
            // Nothing has broken it, or its end is on the way: then cancelling comes too late.
            granted.cancel();
        }
        self.note_oplock("oplock", &granted.wait());
        let answered = self.answer(&owner, answer);
        let mut owner = Some(owner);
        // The other thread waits for an answer or for the end of the handle.
        let failed = matches!(&answered, Some(Answered::Ended(outcome)) if !outcome.is_success());
        if failed || matches!(answer, Answer::ClosePending | Answer::Close) {
            self.close_owner(&mut owner);
        }
        // After a panic of the box its calls are missing, which is a difference.
        drop(breaker.join());
        let calls = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        self.seen.extend(calls);
        // A level 2 oplock that the answer kept may have ended by now, or ends here.
        match answered {
            Some(Answered::Ended(outcome)) => self.note_oplock("answer", &outcome),
            Some(Answered::Outstanding(mut level_two)) => {
                level_two.cancel();
                self.note_oplock("answer", &level_two.wait());
            }
            None => {}
        }
        self.close_owner(&mut owner);
    }

    /// Answers a break; `None` if that is done by closing alone.
    fn answer(&mut self, owner: &File, answer: Answer) -> Option<Answered> {
        let code = match answer {
            Answer::Acknowledge => FSCTL_OPLOCK_BREAK_ACKNOWLEDGE,
            Answer::NoLevelTwo => FSCTL_OPLOCK_BREAK_ACK_NO_2,
            Answer::ClosePending => FSCTL_OPBATCH_ACK_CLOSE_PENDING,
            Answer::Close => return None,
        };
        identity::allow_failure_of_next();
        let pending = control(owner, code);
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

/// A control about an oplock, until it has ended or is outstanding for good.
fn control(owner: &File, code: u32) -> Pending<'_> {
    identity::announce_next();
    let mut pending = owner.start_fs_control(code, &[], 0);
    settle(&mut pending);
    pending
}

impl Other {
    fn run(&self) -> Vec<Observation> {
        identity::begin_operation(self.thread + OTHER, self.operation);
        let (access, share, disposition, options) = match self.opening {
            Opening::Read => (READ, 7, FILE_OPEN, 0),
            Opening::Write => (READ | WRITE, 7, FILE_OPEN, 0),
            Opening::Colliding => (READ | WRITE, 6, FILE_OPEN, 0),
            Opening::Overwrite => (READ | WRITE, 7, FILE_OVERWRITE_IF, 0),
            Opening::DoNotWait => (READ | WRITE, 7, FILE_OPEN, FILE_COMPLETE_IF_OPLOCKED),
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
        };
        seen.extend(outcome.map(|outcome| self.observation("touch elsewhere", &outcome)));
        seen.push(self.observation("close elsewhere", &file.close()));
        seen
    }

    fn observation(&self, call: &str, outcome: &Outcome) -> Observation {
        Observation::new(self.operation, call.to_owned(), outcome, &outcome.data)
    }
}
