//! What looks like a mistake and is none: for the check that no correct driver is accused. Chosen by the registry
//! value `Right`; the code is beside that of the mistake.

use crate::filter::DispatchRoutine;
use crate::mistakes;

/// What is done right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// A wait ends before the request has completed, which is cancelled and waited for then.
    StackEvent,
}

impl Right {
    /// By the value of the setting.
    pub fn by_name(is: impl Fn(&str) -> bool) -> Option<Self> {
        let names = [("stack-event", Self::StackEvent)];
        let found = names.into_iter().find(|(name, _)| is(name));
        found.map(|(_, right)| right)
    }

    /// The dispatch routine that does it, for the major function it is done with.
    pub fn routine(self, major: u32) -> Option<DispatchRoutine> {
        match self {
            Self::StackEvent => mistakes::stack_memory_right(major),
        }
    }
}
