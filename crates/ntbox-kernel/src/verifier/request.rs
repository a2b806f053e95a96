//! A request in the form in which reports tell it. The I/O manager fills it in.

use serde::Serialize;

/// What is told of a request.
#[derive(Debug, Serialize)]
pub struct Request {
    /// Where it lies, or lay.
    pub address: String,
    /// `IRP_MJ_READ`, with the minor function where that says something.
    pub function: String,
    /// The volume of its file.
    pub volume: Option<String>,
    /// Its file, by path.
    pub file: Option<String>,
    /// `Irp->Flags`, in words.
    pub flags: Vec<&'static str>,
    /// None for a request that was freed.
    pub state: Option<State>,
    /// Top first.
    pub locations: Vec<Location>,
    /// Oldest first.
    pub history: Vec<Happened>,
    /// Events older than those.
    pub forgotten: u64,
}

/// Fields of the IRP.
#[derive(Debug, Serialize)]
pub struct State {
    /// `IoStatus.Status`.
    pub status: String,
    /// `PendingReturned`.
    pub pending_returned: bool,
    /// `Cancel`.
    pub cancelled: bool,
    /// `CurrentLocation`.
    pub current_location: i8,
    /// `StackCount`.
    pub stack_count: i8,
}

/// A stack location.
#[derive(Debug, Serialize)]
pub struct Location {
    /// As `CurrentLocation` counts: 1 is the lowest driver's.
    pub number: i8,
    /// It is the current one.
    pub current: bool,
    /// As that of the request.
    pub function: String,
    /// By its driver.
    pub device: String,
    /// `SL_…` flags in words.
    pub control: Vec<&'static str>,
    /// The completion routine that the driver above has set.
    pub completion_routine: Option<String>,
    /// What that is called with.
    pub context: Option<String>,
}

/// An event of its history.
#[derive(Debug, Serialize)]
pub struct Happened {
    /// In words.
    pub what: &'static str,
    /// By its driver.
    pub device: Option<String>,
    /// None for what happens above or outside of the stack locations.
    pub location: Option<i8>,
    /// The status that goes with it.
    pub status: Option<String>,
    /// The location was marked pending, or PendingReturned was set for the routine.
    pub pending: bool,
    /// The code that did it.
    pub place: String,
    /// The completion routine that it was sent with.
    pub completion_routine: Option<String>,
    /// What that is called with.
    pub context: Option<String>,
    /// Who did it.
    pub thread: u32,
    /// The level it was done at.
    pub irql: u8,
}
