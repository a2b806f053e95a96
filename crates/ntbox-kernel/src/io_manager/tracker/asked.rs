//! What a location asks for on the way up, as it was when a dispatch routine was entered with it.

use super::Inner;

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
