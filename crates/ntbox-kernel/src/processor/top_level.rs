//! The top-level IRP of a thread: what `IoSetTopLevelIrp` was called with.
//!
//! It tells a file system who is above it in its thread. Nobody: null. Itself: whatever it likes, as the request that
//! it works on, or a structure of its own. Another component: a flag, which is no address at all. So it can be compared
//! with null, and given back; a driver that takes it for a request reads where nothing is, or what is none.
//!
//! DDI: `IoGetTopLevelIrp`, `IoSetTopLevelIrp`.

use crate::nt::IRP;
use crate::pool;
use crate::verifier::rules;
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::OnceLock;

/// `FSRTL_*_TOP_LEVEL_IRP`, from 1 on.
const FLAGS: [&str; 4] = [
    "FSRTL_FSP_TOP_LEVEL_IRP",
    "FSRTL_CACHE_TOP_LEVEL_IRP",
    "FSRTL_MOD_WRITE_TOP_LEVEL_IRP",
    "FSRTL_FAST_IO_TOP_LEVEL_IRP",
];

/// Bytes of the structure that a file system of the box has as its top-level IRP.
const STRUCTURE_BYTES: usize = 64;

/// Who is above the file system in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Nobody.
    None,
    /// The file system itself, which has come back to itself.
    FileSystem,
    /// The cache manager, as when it reads ahead.
    CacheManager,
    /// The memory manager, when it writes pages of views.
    ModifiedPageWriter,
    /// The cache manager in a call of fast I/O.
    FastIo,
}

impl Component {
    /// What stands for it.
    fn value(self) -> *mut IRP {
        match self {
            Self::None => null_mut(),
            Self::FileSystem => structure(),
            Self::CacheManager => std::ptr::without_provenance_mut(2),
            Self::ModifiedPageWriter => std::ptr::without_provenance_mut(3),
            Self::FastIo => std::ptr::without_provenance_mut(4),
        }
    }
}

/// A file system's own structure, which nobody else may look into.
fn structure() -> *mut IRP {
    static STRUCTURE: OnceLock<usize> = OnceLock::new();
    let what = "a structure of the file system's own, which is the top-level IRP of its thread,";
    let address = *STRUCTURE.get_or_init(|| {
        let closed = pool::allocate_closed(STRUCTURE_BYTES, what, &rules::TOP_LEVEL_FOLLOWED);
        let address = if closed.is_null() {
            pool::allocate_for_box(STRUCTURE_BYTES)
        } else {
            closed
        };
        address.expose_provenance()
    });
    std::ptr::with_exposed_provenance_mut(address)
}

#[derive(Clone, Copy)]
struct TopLevel {
    value: *mut IRP,
    /// Who has set it; 0 for the box.
    set_by: usize,
    /// Who has asked for it last; 0 if nobody has since it was set.
    asked_by: usize,
}

thread_local! {
    static TOP_LEVEL: Cell<TopLevel> = const {
        Cell::new(TopLevel { value: null_mut(), set_by: 0, asked_by: 0 })
    };
}

/// What `IoSetTopLevelIrp` was called with last on this thread.
pub fn current() -> *mut IRP {
    TOP_LEVEL.get().value
}

/// Who called `IoSetTopLevelIrp` last on this thread; 0 if nobody has.
pub fn set_by() -> usize {
    TOP_LEVEL.get().set_by
}

/// `IoGetTopLevelIrp`, called by `site`.
pub fn asked(site: usize) -> *mut IRP {
    let top = TopLevel {
        asked_by: site,
        ..TOP_LEVEL.get()
    };
    TOP_LEVEL.set(top);
    top.value
}

/// `IoSetTopLevelIrp`, called by `site`: kept, and not looked behind.
pub fn set(value: *mut IRP, site: usize) {
    TOP_LEVEL.set(TopLevel {
        value,
        set_by: site,
        asked_by: 0,
    });
}

/// `component`, if nobody is above the file system in this thread; else whoever is stays it.
pub fn above_or(component: Component) -> Component {
    match current().is_null() {
        true => component,
        false => Component::None,
    }
}

/// Calls `body` with `component` above the file system in this thread.
pub fn below<R>(component: Component, body: impl FnOnce() -> R) -> R {
    let before = TOP_LEVEL.get();
    if component != Component::None {
        set(component.value(), 0);
    }
    let result = body();
    TOP_LEVEL.set(before);
    result
}

/// A flag that a thread was told as its top-level IRP, and who has asked for it; zeroes if none was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    flag: usize,
    asked_by: usize,
}

/// What this thread was told.
pub(super) fn told() -> Told {
    let top = TOP_LEVEL.get();
    Told {
        flag: top.value.addr(),
        asked_by: top.asked_by,
    }
}

impl Told {
    /// What lies at `address`, and who has asked, if it is a flag that is taken for a request.
    pub(super) fn followed(self, address: usize) -> Option<(String, usize)> {
        let Self { flag, asked_by } = self;
        let name = FLAGS.get(flag.checked_sub(1)?)?;
        let offset = address.checked_sub(flag)?;
        (asked_by != 0 && offset < size_of::<IRP>()).then(|| {
            let what = format!(
                "offset 0x{offset:x} of a request at {flag}, which is {name}, the top-level IRP of its thread"
            );
            (what, asked_by)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_followed_by_who_has_asked_for_it() {
        below(Component::CacheManager, || {
            assert_eq!(told().followed(2 + 0x10), None, "nobody has asked");
            assert_eq!(asked(7).addr(), 2);
            let (what, by) = told().followed(2 + 0x10).expect("it was asked for");
            assert!(what.contains("offset 0x10") && what.contains("FSRTL_CACHE_TOP_LEVEL_IRP"));
            assert_eq!(by, 7);
            assert_eq!(told().followed(1), None);
            assert_eq!(told().followed(2 + size_of::<IRP>()), None);
        });
        assert!(current().is_null() && asked(7).is_null());
        assert_eq!(told().followed(0x12), None, "null is no flag");
    }

    #[test]
    fn the_file_system_has_a_structure_of_its_own() {
        below(Component::FileSystem, || {
            let found = pool::diagnose(current().addr() + 8).expect("it lies in pool");
            assert_eq!(
                found.closed.map(|rule| rule.name),
                Some(rules::TOP_LEVEL_FOLLOWED.name)
            );
        });
        below(Component::None, || assert!(current().is_null()));
    }
}
