//! Requests that wait: what the logic knows of them without knowing IRPs.
//!
//! A waiting request is a [`Ticket`] in a queue under the volume's lock. It
//! leaves the queue in one of two ways, and exactly once: something happens and
//! the logic *claims* it, or its cancel routine takes it out. A claim fails when
//! the cancel routine has already been called; the ticket then stays in the
//! queue for that routine to find.

use ntbox_kernel::nt::NTSTATUS;

/// A waiting request; for an IRP its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub usize);

/// A waiting request that has been claimed: what happens to it after the volume's lock is given
/// up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Which request.
    pub ticket: Ticket,
    /// Its status.
    pub status: NTSTATUS,
    /// Bytes for its buffer.
    pub data: Vec<u8>,
    /// Its information; none for the number of bytes.
    pub information: Option<usize>,
    /// It is not completed: what it waited for is over, and it is worked on again.
    pub again: bool,
}

/// The reparse point that a create has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Its data.
    pub data: Vec<u8>,
    /// The whole name that was opened.
    pub name: Vec<u16>,
    /// Units of it behind the reparse point.
    pub unparsed: usize,
}

/// What an operation brings about beyond its own result.
pub struct Effects<'a> {
    claim: &'a dyn Fn(Ticket) -> bool,
    waiter: Option<(Ticket, Arm<'a>)>,
    finished: Vec<Finish>,
    /// The reparse point that a create has met, with STATUS_REPARSE.
    pub met: Option<Met>,
}

impl<'a> Effects<'a> {
    /// `claim` takes a request from its cancel routine; false if that was too late.
    pub fn new(claim: &'a dyn Fn(Ticket) -> bool) -> Self {
        Self {
            claim,
            waiter: None,
            finished: Vec::new(),
            met: None,
        }
    }
    /// The operation itself may wait, as this request.
    pub fn of_request(mut self, ticket: Ticket, arm: Arm<'a>) -> Self {
        self.waiter = Some((ticket, arm));
        self
    }
    /// The request as which the operation may wait.
    pub fn waiter(&self) -> Option<(Ticket, Arm<'a>)> {
        self.waiter
    }
    /// Claims `ticket` and notes its result; false if it must stay queued.
    pub fn finish(&mut self, ticket: Ticket, status: NTSTATUS, data: Vec<u8>) -> bool {
        self.claim(Finish {
            ticket,
            status,
            data,
            information: None,
            again: false,
        })
    }
    /// As [`finish`](Self::finish), with a result that is no data.
    pub fn finish_with(&mut self, ticket: Ticket, status: NTSTATUS, information: usize) -> bool {
        self.claim(Finish {
            ticket,
            status,
            data: Vec::new(),
            information: Some(information),
            again: false,
        })
    }
    /// Claims `ticket`, to be worked on again; false if it must stay queued.
    pub fn resume(&mut self, ticket: Ticket) -> bool {
        self.claim(Finish {
            ticket,
            status: 0,
            data: Vec::new(),
            information: None,
            again: true,
        })
    }
    fn claim(&mut self, finish: Finish) -> bool {
        let claimed = (self.claim)(finish.ticket);
        if claimed {
            self.finished.push(finish);
        }
        claimed
    }
    /// The requests that were claimed, in order.
    pub fn into_finished(self) -> Vec<Finish> {
        self.finished
    }
}

/// Status and information of an operation.
pub type Reply = (NTSTATUS, usize);

/// Result of an operation that may wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done(NTSTATUS, Vec<u8>),
    /// The request is queued and belongs to the queue.
    Waiting,
}

/// Makes a queued request cancellable, under the volume's lock; false if it was cancelled already.
pub type Arm<'a> = &'a dyn Fn() -> bool;
