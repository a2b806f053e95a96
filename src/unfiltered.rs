//! What stays unfiltered although the policy would have it filtered, and why (A10).
//!
//! By the name of the storage device, or of the file system's device: it outlives
//! a dismount, so that a volume that a program had detached stays so when it is
//! mounted again, until it is attached by request or the driver starts anew.

use wdm::irql::Passive;
use wdm::list::List;
use wdm::status::Status;
use wdm::sync::Mutex;
use wdm::time;
use wdm::unicode::{UnicodeStr, UnicodeString};

/// Why something stays unfiltered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A program asked for it to be detached.
    Detached,
    /// The registry keeps legacy filters off; attaching failed with that status.
    Blocked(Status),
    /// It is a direct access volume; attaching failed with that status.
    DirectAccess(Status),
    /// Attaching failed with that status.
    Refused(Status),
}

/// The list. Its memory is bounded and may be refused; what it cannot hold is counted.
pub struct Unfiltered(Mutex<Entries>);

struct Entries {
    list: List<Entry>,
    forgotten: u32,
}

struct Entry {
    name: UnicodeString,
    why: Why,
    since: u64,
}

impl Unfiltered {
    const LIMIT: usize = 256;

    /// Empty. Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn new() -> Result<Self, Status> {
        let entries = Entries {
            list: List::new(Self::LIMIT),
            forgotten: 0,
        };
        Mutex::try_new(entries).map(Self)
    }

    /// Remembers, in the place of what was known of that name.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; what was known stays, and the loss is counted.
    pub fn remember(
        &self,
        name: UnicodeStr<'_>,
        why: Why,
        level: &mut Passive,
    ) -> Result<(), Status> {
        self.0.with(level, |entries, _| {
            let result = entries.replace(name, why);
            if result.is_err() {
                entries.forgotten = entries.forgotten.saturating_add(1);
            }
            result
        })
    }

    /// Forgets what was known of that name.
    pub fn forget(&self, name: UnicodeStr<'_>, level: &mut Passive) {
        self.0.with(level, |entries, _| {
            entries.list.retain(|entry| !entry.is(name));
        });
    }

    /// What is known of that name, and since when.
    pub fn find(&self, name: UnicodeStr<'_>, level: &mut Passive) -> Option<(Why, u64)> {
        self.0.with(level, |entries, _| {
            let mut all = entries.list.iter();
            let found = all.find(|entry| entry.is(name))?;
            Some((found.why, found.since))
        })
    }

    /// Whether a program had it detached.
    pub fn is_detached(&self, name: UnicodeStr<'_>, level: &mut Passive) -> bool {
        matches!(self.find(name, level), Some((Why::Detached, _)))
    }

    /// How many refusals found no place in the list.
    pub fn forgotten(&self, level: &mut Passive) -> u32 {
        self.0.with(level, |entries, _| entries.forgotten)
    }
}

impl Entries {
    fn replace(&mut self, name: UnicodeStr<'_>, why: Why) -> Result<(), Status> {
        let entry = Entry {
            name: UnicodeString::concat(&[name])?,
            why,
            since: time::now(),
        };
        self.list.push(entry)?;
        // The new entry is the first of that name.
        let mut newest = true;
        self.list
            .retain(|entry| !entry.is(name) || core::mem::take(&mut newest));
        Ok(())
    }
}

impl Entry {
    fn is(&self, name: UnicodeStr<'_>) -> bool {
        self.name.as_str().eq_ignore_ascii_case(name)
    }
}
