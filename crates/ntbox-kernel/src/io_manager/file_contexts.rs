//! Per-file-object contexts: what filters keep of a file object, which is the object's until they take it out.
//!
//! The system frees none of them: one that is left when the file object goes is its filter's leak.
//!
//! Source: `FsRtlInsertPerFileObjectContext` and its like in the DDI reference.

use crate::nt::FSRTL_PER_FILEOBJECT_CONTEXT;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

type Context = *mut FSRTL_PER_FILEOBJECT_CONTEXT;

/// A context, with what it was identified by when it was put in.
struct Kept {
    context: usize,
    owner: usize,
    instance: usize,
}

/// By file object, the newest last.
static KEPT: LazyLock<Mutex<HashMap<usize, Vec<Kept>>>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, HashMap<usize, Vec<Kept>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the file object a context.
pub fn insert(file: usize, context: Context, owner: *mut c_void, instance: *mut c_void) {
    kept().entry(file).or_default().push(Kept {
        context: context.expose_provenance(),
        owner: owner.addr(),
        instance: instance.addr(),
    });
}

/// The newest of an owner and an instance, each of which fits any where it is null; null for none. It is taken out if
/// it is `removed`.
pub fn find(file: usize, owner: *const c_void, instance: *const c_void, removed: bool) -> Context {
    let mut kept = kept();
    let Some(contexts) = kept.get_mut(&file) else {
        return null_mut();
    };
    let fits = |wanted: *const c_void, is: usize| wanted.is_null() || wanted.addr() == is;
    let is_wanted = |kept: &Kept| fits(owner, kept.owner) && fits(instance, kept.instance);
    let Some(index) = contexts.iter().rposition(is_wanted) else {
        return null_mut();
    };
    let found = contexts[index].context;
    if removed {
        contexts.remove(index);
    }
    std::ptr::with_exposed_provenance_mut(found)
}

/// The file object is gone.
pub(super) fn forget(file: usize) {
    kept().remove(&file);
}
