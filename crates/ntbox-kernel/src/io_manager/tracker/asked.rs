//! What a location asks for on the way up, as it was when a dispatch routine was entered with it, and whether its driver
//! hears of its request again when its dispatch routine has returned STATUS_PENDING.

use super::{Entry, Inner};

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

impl Inner {
    /// A dispatch routine is about to be entered with location `number`, which asks for this.
    pub fn set_asked(&mut self, number: i8, asked: Asked) {
        if let Some(location) = self.location(number) {
            location.asked = asked;
        }
    }

    /// What location `number` asked for when a dispatch routine was last entered with it.
    pub fn asked(&mut self, number: i8) -> Asked {
        self.location(number)
            .map_or_else(Asked::default, |location| location.asked)
    }
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

impl Inner {
    /// True for the number of who has sent the request, and has no location in it.
    pub fn is_senders(&self, number: i8) -> bool {
        usize::try_from(number).is_ok_and(|number| number >= self.locations.len())
    }

    /// Of the driver whose dispatch routine returns.
    pub fn heard(&mut self, entry: &Entry) -> Heard {
        let number = entry.number;
        let Some(here) = self.location(number) else {
            return Heard::Later;
        };
        let (shared, passed) = (here.entered != entry.entered, here.passed != entry.passed);
        let below = self.location(number - 1).map(|below| below.entered);
        let sent_below = below.is_some_and(|entered| entered != entry.entered_below);
        match (shared, sent_below) {
            (true, _) => Heard::Never,
            (false, true) if self.asked(number - 1).invoke == 0 => Heard::Never,
            (false, true) if passed => Heard::Already,
            _ => Heard::Later,
        }
    }
}
