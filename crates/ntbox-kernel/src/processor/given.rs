//! Routines that drivers give to the system and that are in no driver's code: who has given each, for the report of
//! its call.

use crate::pe_image;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A routine in no driver's code that a driver has given to the system.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    routine: usize,
    /// The routine of the system that it was given to.
    pub to: &'static str,
    /// Who has called that.
    pub site: usize,
}

/// So many are remembered.
const GIVEN: usize = 64;

static LAST_GIVEN: Mutex<VecDeque<Given>> = Mutex::new(VecDeque::new());

/// A driver has given `routine` to the one of the system that is called `to`, by its call that returns to `site`. If it
/// is in no driver's code, a report of its call says so. Any IRQL.
pub fn remember(routine: usize, to: &'static str, site: usize) {
    if routine == 0 || pe_image::image_at(routine).is_some() {
        return;
    }
    let mut last = LAST_GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() == GIVEN {
        last.pop_front();
    }
    last.push_back(Given { routine, to, site });
}

/// Who has given `routine` to the system last.
pub fn by(routine: usize) -> Option<Given> {
    let last = LAST_GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    last.iter().rfind(|given| given.routine == routine).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_code_is_remembered_with_its_giver() {
        let (first, second) = (0x41_4141_5000, 0x41_4141_6000);
        remember(first, "KeInitializeDpc", 1);
        remember(first, "IoQueueWorkItem", 2);
        remember(0, "IoQueueWorkItem", 3);
        let found = by(first).map(|given| (given.to, given.site));
        assert_eq!(found, Some(("IoQueueWorkItem", 2)));
        assert!(by(0).is_none() && by(second).is_none());
        (0..GIVEN).for_each(|_| remember(second, "KeInitializeDpc", 4));
        assert!(by(first).is_none(), "the last ones are kept");
    }
}
