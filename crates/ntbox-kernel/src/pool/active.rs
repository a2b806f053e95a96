//! Active objects: what drivers have begun to use and not ended yet, by address.
//!
//! A timer that is set, a resource or a lookaside list that is initialized: the system knows where
//! such an object lies and goes there by itself, so its memory must stay until it is ended. Each
//! sort of object is a [`Kind`] with the rules of its life; who begins, uses or ends one says so
//! here, and what is freed with one in it, a block or the image of a driver, is reported.
//!
//! On a stack an object lies no longer than its frame: what is active there when the routine of a driver returns is
//! reported, too. That something is begun twice is reported where the register knows when memory goes at once: in
//! guarded pool and in images. On a stack another frame may have begun it, in the same routine.

use super::contains;
use super::ledger::Block;
use crate::pe_image::{self, crossing};
use crate::verifier::{Rule, rules, violation};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A sort of objects.
pub struct Kind {
    /// In words: `"resource"`.
    pub what: &'static str,
    /// What is begun: `"initialized"`.
    pub begun: &'static str,
    /// The memory of an active one is freed.
    pub freed: Option<&'static Rule>,
    /// An active one is begun again.
    pub twice: Option<&'static Rule>,
    /// One that is not active is used or ended.
    pub missing: Option<&'static Rule>,
    /// Its memory is gone: what else is known of the address is forgotten.
    pub forget: fn(usize),
}

struct Active {
    kind: &'static Kind,
    /// The call that began it.
    site: usize,
}

/// By address, and by the kind: one thing can be active in several ways, as an MDL that is locked
/// and mapped.
type Objects = BTreeMap<(usize, usize), Active>;

static ACTIVE: Mutex<Objects> = Mutex::new(BTreeMap::new());
/// How many there are, to be asked without the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Something may be active on the kernel stack of this thread.
    static ON_STACK: Cell<bool> = const { Cell::new(false) };
}

fn active() -> MutexGuard<'static, Objects> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kind {
    fn key(&'static self, address: usize) -> (usize, usize) {
        (address, std::ptr::from_ref(self).addr())
    }

    /// The object at `address` is active from now on, by the call that returns to `site`.
    pub fn begin(&'static self, address: usize, site: usize) {
        if crossing::lies_on_stack(address) {
            ON_STACK.set(true);
        }
        let before = {
            let mut active = active();
            let before = active.insert(self.key(address), Active { kind: self, site });
            COUNT.store(active.len(), Ordering::Relaxed);
            before
        };
        let is_known = || contains(address) || pe_image::image_at(address).is_some();
        if let (Some(before), Some(rule)) = (before, self.twice)
            && is_known()
        {
            let Self { what, begun, .. } = self;
            violation(
                rule,
                format!("the {what} 0x{address:x} is {begun} again"),
                &[("again", site), ("before", before.site)],
            );
        }
    }

    /// It is not any more; false if it was not.
    pub fn end(&'static self, address: usize) -> bool {
        let mut active = active();
        let ended = active.remove(&self.key(address));
        COUNT.store(active.len(), Ordering::Relaxed);
        ended.is_some()
    }

    /// True if it is active.
    pub fn is_active(&'static self, address: usize) -> bool {
        active().contains_key(&self.key(address))
    }

    /// Reports that `ddi` initializes one that is active. True if it is.
    pub fn is_begun_anew(&'static self, ddi: &str, address: usize, site: usize) -> bool {
        let before = active().get(&self.key(address)).map(|active| active.site);
        if let Some(before) = before {
            let Self { what, begun, .. } = self;
            violation(
                &rules::ACTIVE_INITIALIZED,
                format!("{ddi} was called for the {what} 0x{address:x}, which is {begun}"),
                &[("called at", site), (begun, before)],
            );
        }
        before.is_some()
    }

    /// Reports that the memory of one that is active is not its any more.
    #[cold]
    pub fn is_written_over(&'static self, address: usize, site: usize) {
        let Self { what, begun, .. } = self;
        if let Some(rule) = self.freed {
            let place = crate::pool::describe(address);
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            violation(
                rule,
                format!(
                    "the memory of the {what} 0x{address:x}{place}, which is {begun}, holds something else"
                ),
                &[(begun, site)],
            );
        }
    }

    /// Reports that `ddi` was called for one that is not active.
    #[cold]
    pub fn is_missing(&'static self, ddi: &str, address: usize, site: usize) {
        let Self { what, begun, .. } = self;
        if let Some(rule) = self.missing {
            violation(
                rule,
                format!("{ddi} was called for 0x{address:x}, which is no {begun} {what}"),
                &[("called at", site)],
            );
        }
    }

    /// Those that code of the image has begun, with the call that did.
    pub fn begun_by(&'static self, image: &pe_image::Image) -> Vec<(usize, usize)> {
        let active = active();
        let own = active
            .iter()
            .filter(|(_, active)| std::ptr::eq(active.kind, self) && image.contains(active.site));
        own.map(|((address, _), active)| (*address, active.site))
            .collect()
    }
}

/// A block is freed by the call that returns to `site`: reports what is active in it.
pub(super) fn block_is_freed(block: &Block, site: usize) {
    if COUNT.load(Ordering::Relaxed) != 0 {
        let place = || block.describe();
        gone(block.address, block.bytes, &place, site);
    }
}

/// The image of a driver is unloaded: reports what is active in it.
pub fn image_is_unloaded(image: &pe_image::Image) {
    let place = || format!("the image of {}", image.name());
    gone(image.base(), image.size(), &place, 0);
}

/// The routine of a driver has returned to the box, which is at `here` on its stack: reports what is active on the
/// part of the thread's stack that nobody has any more.
pub fn stack_is_left(here: usize, routine: usize) {
    if !ON_STACK.get() {
        return;
    }
    for (address, Active { kind, site }) in taken(crossing::stack_unused(here)) {
        (kind.forget)(address);
        let Kind { what, begun, .. } = kind;
        // Where a routine has called another, that may have left it, and one of another driver has returned.
        let is_own = pe_image::image_at(site).is_some_and(|image| image.contains(routine));
        let sites = [(*begun, site), ("returned", routine)];
        if let Some(rule) = kind.freed {
            violation(
                rule,
                format!("a routine has returned with a {what} on its stack that is {begun}"),
                &sites[..1 + usize::from(is_own)],
            );
        }
    }
    ON_STACK.set(active().keys().any(|key| crossing::lies_on_stack(key.0)));
}

/// What is active in the memory, and is not any more.
fn taken(memory: Range<usize>) -> Vec<(usize, Active)> {
    let mut active = active();
    let within = active.range((memory.start, 0)..(memory.end, 0));
    let keys: Vec<_> = within.map(|(key, _)| *key).collect();
    let found = keys.into_iter();
    let found = found.filter_map(|key| Some((key.0, active.remove(&key)?)));
    let found = found.collect();
    COUNT.store(active.len(), Ordering::Relaxed);
    found
}

fn gone(start: usize, bytes: usize, place: &dyn Fn() -> String, site: usize) {
    let within = taken(start..start + bytes);
    for (
        address,
        Active {
            kind,
            site: begun_at,
        },
    ) in within
    {
        (kind.forget)(address);
        let Kind { what, begun, .. } = kind;
        let offset = address - start;
        if let Some(rule) = kind.freed {
            violation(
                rule,
                format!(
                    "{} is freed with a {what} at offset {offset} that is {begun}",
                    place()
                ),
                &[("freed", site), (begun, begun_at)],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool;
    use crate::verifier::{capture, rules};

    static SORT: Kind = Kind {
        what: "thing",
        begun: "begun",
        freed: Some(&rules::ACTIVE_RESOURCE_FREED),
        twice: Some(&rules::RESOURCE_INITIALIZED_TWICE),
        missing: Some(&rules::RESOURCE_NOT_INITIALIZED),
        forget: |_| {},
    };
    static OTHER: Kind = Kind { ..SORT };

    fn found(what: impl FnOnce()) -> Vec<&'static str> {
        let ((), found) = capture(what);
        found.iter().map(|found| found.rule.name).collect()
    }

    /// Also in a block of the box, as the extension of a device is.
    #[test]
    fn a_block_goes_with_what_is_active_in_it() {
        for offset in [0, 40, 63] {
            let block = pool::allocate_for_box(64);
            SORT.begin(block.addr() + offset, 0);
            // SAFETY: allocated above.
            let names = found(|| unsafe { pool::free_for_box(block) });
            assert_eq!(names, [rules::ACTIVE_RESOURCE_FREED.name], "{offset}");
            assert!(!SORT.is_active(block.addr() + offset));
        }
        let block = pool::allocate_for_box(64);
        SORT.begin(block.addr(), 0);
        assert!(!OTHER.end(block.addr()) && SORT.end(block.addr()) && !SORT.end(block.addr()));
        // SAFETY: allocated above.
        assert!(found(|| unsafe { pool::free_for_box(block) }).is_empty());
    }

    #[test]
    fn one_is_begun_once_where_the_end_of_its_memory_is_known() {
        let block = pool::allocate_for_box(64);
        let on_the_stack = 0_u64;
        let twice = |address| {
            found(|| {
                SORT.begin(address, 0);
                SORT.begin(address, 0);
                SORT.end(address);
            })
        };
        assert_eq!(
            twice(block.addr()),
            [rules::RESOURCE_INITIALIZED_TWICE.name]
        );
        assert!(twice((&raw const on_the_stack).addr()).is_empty());
        let names = found(|| SORT.is_missing("ExDeleteResourceLite", block.addr(), 0));
        assert_eq!(names, [rules::RESOURCE_NOT_INITIALIZED.name]);
        // SAFETY: allocated above.
        unsafe { pool::free_for_box(block) };
    }
}
