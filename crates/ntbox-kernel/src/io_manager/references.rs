//! Who has a reference to an object, as far as drivers have taken them.
//!
//! Which reference it gives back, a driver does not say. How many drivers have is known, and that they cannot give
//! back more: the others are the system's own, for handles, requests, and the object itself.

#![expect(
    unsafe_code,
    reason = "objects that are left are told by what is in them"
)]

use super::database::describe;
use super::{checks, file_name};
use crate::nt::FILE_OBJECT;
use crate::pe_image::{self, Image};
use crate::processor::object::{self, Kind};
use crate::verifier::rules;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Who has taken the references to an object that are left, by the base of his image.
#[derive(Default)]
struct Taken {
    by: HashMap<usize, Vec<usize>>,
    /// How many of them one of several drivers gave back, nobody knows which.
    given_back: usize,
    /// The object lies on the stack of a thread, and is gone before a reference is.
    is_on_stack: bool,
}

impl Taken {
    /// References that drivers have.
    fn count(&self) -> usize {
        let all: usize = self.by.values().map(Vec::len).sum();
        all.saturating_sub(self.given_back)
    }
}

/// By the addresses of objects.
fn all() -> MutexGuard<'static, HashMap<usize, Taken>> {
    static ALL: LazyLock<Mutex<HashMap<usize, Taken>>> = LazyLock::new(Mutex::default);
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A routine called by `site` has given a reference to `object` out; what is no object is not kept.
///
/// # Safety
/// `object` is null or the body of a live object.
pub unsafe fn taken(object: *const c_void, site: usize) {
    let Some(image) = pe_image::image_at(site) else {
        return;
    };
    check_lasting(object, site);
    // SAFETY: contract.
    let kind = unsafe { object::kind_of(object) };
    if kind.is_some() {
        let mut all = all();
        let taken = all.entry(object as usize).or_default();
        taken.by.entry(image.base()).or_default().push(site);
    }
}

/// The object lies on the stack of this thread: nobody may keep it.
pub fn lies_on_stack(object: *const c_void) {
    all().entry(object as usize).or_default().is_on_stack = true;
}

/// Reports code of a driver, which goes on at `site`, that keeps an object on a stack.
pub fn check_lasting(object: *const c_void, site: usize) {
    let is_on_stack = all()
        .get(&(object as usize))
        .is_some_and(|taken| taken.is_on_stack);
    if is_on_stack && pe_image::image_at(site).is_some() {
        let message = "a reference was taken to the file object of a query-open, which lies on the stack of the \
                       thread that asks, and is gone with the call"
            .to_owned();
        let sites = vec![("referenced by", site)];
        checks::report(&rules::STACK_FILE_REFERENCED, message, null_mut(), sites);
    }
}

/// The object is gone.
pub(super) fn forget(object: *const c_void) {
    all().remove(&(object as usize));
}

/// `site` gives a reference to the object back; false if no driver has one.
pub fn given_back(object: *const c_void, site: usize) -> bool {
    let mut all = all();
    let Some(taken) = all
        .get_mut(&(object as usize))
        .filter(|taken| taken.count() != 0)
    else {
        return false;
    };
    // Without an image of its own, by one driver if there is one alone.
    let base = match (pe_image::image_at(site), taken.by.len()) {
        (Some(image), _) => Some(image.base()),
        (None, 1) => taken.by.keys().next().copied(),
        (None, _) => None,
    };
    let Some(sites) = base.and_then(|base| taken.by.get_mut(&base)) else {
        taken.given_back += 1;
        return true;
    };
    // Which of several is given back is not said: the nearest one of the same function, or any.
    let here = pe_image::function_at(site);
    let likeness = |asked: usize| (pe_image::function_at(asked) != here, asked.abs_diff(site));
    let likely = (0..sites.len()).min_by_key(|index| likeness(sites[*index]));
    if let Some(index) = likely {
        sites.swap_remove(index);
    }
    taken.by.retain(|_, sites| !sites.is_empty());
    if taken.count() == 0 && !taken.is_on_stack {
        all.remove(&(object as usize));
    }
    true
}

/// Reports the references that code of the image has taken and not given back.
pub(super) fn check(image: &Image, service: &str) {
    // The report must not run while the table is locked.
    let mut left = Vec::new();
    for (object, taken) in all().iter_mut() {
        let sites = taken.by.get(&image.base()).cloned().unwrap_or_default();
        let count = taken.count();
        for site in sites {
            // It may be this driver's, so that nothing is known against it.
            if taken.given_back > 0 {
                taken.given_back -= 1;
            } else {
                left.push((*object as *mut c_void, count, site));
            }
        }
    }
    for (object, count, site) in left {
        // SAFETY: a reference that is not given back keeps its object; a device or file that goes all the same is forgotten.
        let kind = unsafe { object::kind_of(object) };
        // SAFETY: as above.
        let is_kept = unsafe { is_kept_by(object, count) };
        let (rule, what) = match kind {
            Some(Kind::Device) => {
                // SAFETY: as above.
                (&rules::REFERENCE_LEFT, unsafe { describe(object.cast()) })
            }
            Some(Kind::File) if is_kept => {
                // SAFETY: as above.
                let name = unsafe { name_of(object.cast()) };
                let what = format!("the file object of {name}, which is therefore never closed");
                (&rules::FILE_REFERENCE_LEFT, what)
            }
            None | Some(Kind::File) => continue,
            // SAFETY: as above.
            Some(kind) => (&rules::OBJECT_REFERENCE_LEFT, unsafe {
                named(object, kind)
            }),
        };
        let message = format!("{service} left a reference to {what}");
        checks::report(rule, message, null_mut(), vec![("referenced by", site)]);
    }
}

/// True if the `count` references of drivers are all that keeps the object: it has no handle, and is in no request.
///
/// # Safety
/// `object` is the body of a live object.
unsafe fn is_kept_by(object: *const c_void, count: usize) -> bool {
    // SAFETY: contract.
    let handles = unsafe { object::handle_count(object) };
    // SAFETY: contract.
    let references = unsafe { object::pointer_count(object) };
    handles == 0 && usize::try_from(references).is_ok_and(|references| references <= count)
}

/// The kind of an object, and its name if it has one.
///
/// # Safety
/// `object` is the body of a live object.
unsafe fn named(object: *const c_void, kind: Kind) -> String {
    let what = kind.described();
    // SAFETY: contract.
    match unsafe { object::name_of(object) } {
        Some(name) => format!("{what}, {name}"),
        None => what.to_owned(),
    }
}

/// # Safety
/// `file` is alive.
unsafe fn name_of(file: *mut FILE_OBJECT) -> String {
    // SAFETY: contract.
    let name = unsafe { file_name::of(file) };
    if name.is_empty() {
        "a volume".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe_image::test_image::{TEXT, TestImage};
    use crate::processor::lifetime::dereference;
    use crate::processor::{handle, object};
    use crate::verifier::{Recorded, capture};

    /// An image, and the address behind a call in it.
    fn driver(name: &str) -> (&'static Image, usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TestImage::default().write(&folder, name);
        let image = pe_image::load(&file, &|_, _| None).expect("the image is right");
        (image, image.base() + TEXT as usize + 2)
    }

    fn new_file() -> *mut c_void {
        object::create(Kind::File, size_of::<FILE_OBJECT>())
    }

    #[test]
    fn drivers_give_back_what_drivers_have_taken() {
        let (_, site) = driver("takes.sys");
        let (_, other) = driver("gives.sys");
        let file = new_file();
        assert!(!given_back(file, site));
        for giver in [site, other, 0] {
            // SAFETY: the object is alive and owned here.
            unsafe { taken(file, site) };
            assert!(given_back(file, giver));
            assert!(!given_back(file, giver));
        }
        forget(file);
        // SAFETY: as above.
        unsafe { dereference(file) };
    }

    #[test]
    fn what_lies_on_a_stack_is_not_to_be_kept() {
        let (_, site) = driver("holds.sys");
        let file = new_file();
        let kept = |site| {
            // SAFETY: the object is alive and owned here.
            let (_, found) = capture(|| unsafe { taken(file, site) });
            assert_eq!(given_back(file, site), site != 0);
            found
                .iter()
                .map(|found| found.rule.name)
                .collect::<Vec<_>>()
        };
        assert!(kept(site).is_empty());
        lies_on_stack(file);
        assert_eq!(kept(site), [rules::STACK_FILE_REFERENCED.name]);
        assert_eq!(kept(site), [rules::STACK_FILE_REFERENCED.name], "again");
        assert!(kept(0).is_empty(), "the system's own");
        forget(file);
        assert!(kept(site).is_empty());
        // SAFETY: as above.
        unsafe { dereference(file) };
    }

    #[test]
    fn objects_of_every_kind_are_told_with_their_kind_and_name() {
        let (image, site) = driver("refers.sys");
        let event = object::create(Kind::Event, 24);
        let left = || {
            let (_, found) = capture(|| check(image, "refers"));
            let told = |found: &Recorded| (found.rule.name, found.message.clone());
            found.iter().map(told).collect::<Vec<_>>()
        };
        // SAFETY: the object is alive and owned here; its one reference stands for the driver's, here and below.
        unsafe { taken(event, site) };
        let rule = rules::OBJECT_REFERENCE_LEFT.name;
        let message = "refers left a reference to an event object".to_owned();
        assert_eq!(left(), [(rule, message.clone())]);
        // SAFETY: as above.
        unsafe { object::set_name(event, r"\BaseNamedObjects\Here") };
        assert_eq!(left(), [(rule, message + r", \BaseNamedObjects\Here")]);
        assert!(given_back(event, site));
        assert!(left().is_empty());
        // SAFETY: as above.
        unsafe { dereference(event) };
    }

    #[test]
    fn what_keeps_a_file_alone_is_reported() {
        let (image, site) = driver("keeps.sys");
        let file = new_file();
        let left = || {
            let (_, found) = capture(|| check(image, "keeps"));
            found
                .iter()
                .map(|found| found.rule.name)
                .collect::<Vec<_>>()
        };
        assert!(left().is_empty());
        // SAFETY: the object is alive and owned here; its one reference stands for the driver's.
        unsafe { taken(file, site) };
        assert_eq!(left(), [rules::FILE_REFERENCE_LEFT.name]);
        // SAFETY: as above.
        let opened = unsafe { handle::open_handle(file, 0, false) };
        assert!(left().is_empty(), "a program has it open");
        handle::close_handle(opened);
        assert!(given_back(file, site));
        assert!(left().is_empty());
        // SAFETY: as above.
        unsafe { dereference(file) };
    }
}
