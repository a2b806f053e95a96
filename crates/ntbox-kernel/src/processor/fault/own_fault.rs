//! What is known of a fault or a panic of the box itself.

/// Exit code of a process that has ended because of the box itself.
pub const FAILED: i32 = 3;

/// A fault or a panic of the box itself.
#[derive(Debug, Clone)]
pub struct OwnFault {
    /// What happened, in a sentence without a full stop.
    pub what: String,
    /// Client id of the thread; 0 for one that never ran a driver.
    pub thread: u32,
    /// The name of the thread.
    pub name: &'static str,
    /// The box's calls that led there, as return addresses, innermost first; those that the host finds.
    pub at: Vec<usize>,
    /// Calls of drivers on its stack, innermost first.
    pub calls: Vec<usize>,
}
