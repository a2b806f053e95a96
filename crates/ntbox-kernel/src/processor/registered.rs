//! A list of what drivers have registered to be called, each of which is unregistered when nobody is in it any more.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is registered, in the order in which it is called.
pub(super) struct List<T> {
    all: Mutex<Vec<Arc<T>>>,
    returned: Condvar,
}

/// Those that are being called: they stay until this is gone.
pub(super) struct Called<'l, T> {
    list: &'l List<T>,
    those: Vec<Arc<T>>,
}

impl<T> Deref for Called<'_, T> {
    type Target = [Arc<T>];
    fn deref(&self) -> &[Arc<T>] {
        &self.those
    }
}

impl<T> Drop for Called<'_, T> {
    fn drop(&mut self) {
        if !self.those.is_empty() {
            let _all = self.list.lock();
            self.those.clear();
            self.list.returned.notify_all();
        }
    }
}

impl<T> List<T> {
    pub const fn new() -> Self {
        Self {
            all: Mutex::new(Vec::new()),
            returned: Condvar::new(),
        }
    }
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<T>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Registers at the place among the others that is chosen, if one is. What to unregister it by, which is never 0.
    pub fn add(&self, new: T, place: impl FnOnce(&[Arc<T>]) -> Option<usize>) -> Option<usize> {
        let mut all = self.lock();
        let place = place(&all)?;
        let new = Arc::new(new);
        let cookie = Arc::as_ptr(&new).addr();
        all.insert(place, new);
        Some(cookie)
    }
    /// Unregisters, and waits for those who are in it; none if there is none of that cookie.
    pub fn remove(&self, cookie: usize) -> Option<Arc<T>> {
        let mut all = self.lock();
        let place = all
            .iter()
            .position(|known| Arc::as_ptr(known).addr() == cookie)?;
        let removed = all.remove(place);
        while Arc::strong_count(&removed) > 1 {
            all = self
                .returned
                .wait(all)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Some(removed)
    }
    /// Those that are to be called now.
    pub fn called(&self, is_wanted: impl Fn(&T) -> bool) -> Called<'_, T> {
        let those = self
            .lock()
            .iter()
            .filter(|known| is_wanted(known))
            .cloned()
            .collect();
        Called { list: self, those }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_is_removed_when_it_has_returned() {
        static LIST: List<u32> = List::new();
        let first = LIST.add(1, |all| Some(all.len())).expect("a place");
        assert_eq!(LIST.add(2, |_| None), None);
        let second = LIST.add(2, |_| Some(0)).expect("a place");
        let called = LIST.called(|_| true);
        assert_eq!(
            called.iter().map(|known| **known).collect::<Vec<_>>(),
            [2, 1]
        );
        std::thread::scope(|scope| {
            let remover = scope.spawn(|| LIST.remove(first).map(|removed| *removed));
            while LIST.called(|known| *known == 1).len() == 1 {
                std::thread::yield_now();
            }
            assert!(!remover.is_finished());
            drop(called);
            assert_eq!(remover.join().expect("it asserts nothing"), Some(1));
        });
        assert_eq!(LIST.remove(first), None);
        assert_eq!(LIST.remove(second).map(|removed| *removed), Some(2));
    }
}
