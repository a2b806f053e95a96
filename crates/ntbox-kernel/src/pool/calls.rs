//! Who has allocated or freed a block: the drivers' calls that led there.

use crate::pe_image::Origin;
use crate::verifier::CALLED_BY;

/// Calls that are kept beside the innermost.
const KEPT: usize = 5;

/// The drivers' calls on a stack, by where they go on, innermost first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// The call of the box; 0 if no driver's led there.
    pub(super) site: usize,
    /// Who called the function with that, and so on; 0 behind the outermost.
    outer: [usize; KEPT],
}

impl Calls {
    /// Those of this thread, in a call of the box that returns to `site`; for 0 in the innermost one.
    ///
    /// A block is also freed on behalf of a call that has returned: then the stack is somebody else's,
    /// and is not told.
    pub(super) fn here(site: usize) -> Self {
        let mut calls = Self {
            site,
            outer: [0; KEPT],
        };
        let (mut found, mut count) = (false, 0);
        Origin::here().each(&mut |frame| {
            if !found {
                if calls.site == 0 {
                    calls.site = frame.at;
                }
                found = frame.at == calls.site;
            } else if let Some(slot) = calls.outer.get_mut(count) {
                *slot = frame.at;
                count += 1;
            }
            count < KEPT
        });
        calls
    }

    /// As a report names them: what was done at the call, and who called that.
    pub(super) fn sites(&self, what: &'static str) -> impl Iterator<Item = (&'static str, usize)> {
        let outer = self.outer.map(|call| (CALLED_BY, call));
        std::iter::once((what, self.site))
            .chain(outer)
            .filter(|(_, site)| *site != 0)
    }
}
