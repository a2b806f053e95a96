//! What has become of the handles of registry keys, by which routine they were opened.
//!
//! Source: the rules ZwRegistryOpen and ZwRegistryCreate for WDM.

use crate::nt::HANDLE;
use crate::verifier::{Rule, rules, violation};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Life {
    rule: &'static Rule,
    /// The routine that has ended it, and the call.
    ended: Option<(&'static str, usize)>,
}

const CLOSE: &str = "ZwClose";
/// So many handles are followed, the newest: their numbers rise.
const MOST: usize = 4096;

fn lives() -> MutexGuard<'static, BTreeMap<usize, Life>> {
    static LIVES: Mutex<BTreeMap<usize, Life>> = Mutex::new(BTreeMap::new());
    LIVES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handle of a key is given out, by ZwCreateKey or by one of the others.
pub(super) fn begins(handle: HANDLE, is_created: bool) {
    let rule = match is_created {
        true => &rules::CREATED_KEY_ENDED,
        false => &rules::KEY_ENDED,
    };
    let mut lives = lives();
    lives.insert(handle as usize, Life { rule, ended: None });
    if lives.len() > MOST {
        lives.pop_first();
    }
}

/// ZwDeleteKey has deleted the key.
pub(super) fn is_deleted(handle: HANDLE, caller: usize) {
    ends(handle, "ZwDeleteKey", caller);
}

/// ZwClose is called for the handle; false if it was before, which is reported.
pub(super) fn closes(handle: HANDLE, caller: usize) -> bool {
    let is_open = may(handle, CLOSE, caller);
    ends(handle, CLOSE, caller);
    is_open
}

fn ends(handle: HANDLE, by: &'static str, caller: usize) {
    if let Some(life) = lives().get_mut(&(handle as usize)) {
        life.ended = Some((by, caller));
    }
}

/// `ddi` is called for the handle; false if it has ended, which is reported.
pub(super) fn may(handle: HANDLE, ddi: &str, caller: usize) -> bool {
    let (rule, (by, site)) = match lives().get(&(handle as usize)) {
        Some(Life {
            rule,
            ended: Some(ended),
        }) => (*rule, *ended),
        _ => return true,
    };
    // A key that is deleted has a handle still.
    if ddi == CLOSE && by != CLOSE {
        return true;
    }
    violation(
        rule,
        format!("{ddi} was called for the handle {handle:p} of a registry key after {by}"),
        &[("called at", caller), ("ended before", site)],
    );
    false
}
