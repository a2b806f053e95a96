//! What a location asks for on the way up, as it was when a dispatch routine was entered with it, and whether its driver
//! hears of its request again when its dispatch routine has returned STATUS_PENDING.

/// The completion routine of the driver above, as its location holds it; all zero if it asks for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The invoke flags.
    pub invoke: u8,
    /// What is called, and with what: the driver's own, or what stands in front of it.
    pub called: (usize, usize),
    /// The driver's own routine and context.
    pub own: (usize, usize),
}

/// What a driver still gets to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has the request, or its completion routine is to come.
    Later,
    /// Its completion routine has continued completion.
    Already,
    /// It has passed the request on without a completion routine.
    Never,
}
