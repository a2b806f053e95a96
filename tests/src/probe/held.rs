//! Requests that the probe holds until a thread comes to complete them, and threads that stay inside until they are let go.

use super::Outstanding;
use ntbox::nt::{KEVENT, KSEMAPHORE};
use ntbox::processor::dispatcher;
use std::cell::UnsafeCell;
use std::sync::{LazyLock, Mutex, PoisonError};

static HELD: Mutex<Vec<Outstanding>> = Mutex::new(Vec::new());
/// How many there are. An object of the kernel, at which threads that take turns change over.
static COUNT: LazyLock<Box<Count>> = LazyLock::new(|| {
    let count = Box::new(Count(UnsafeCell::default()));
    // SAFETY: on the heap, where it stays.
    unsafe { dispatcher::initialize_semaphore(count.0.get(), 0, i32::MAX) };
    count
});

struct Count(UnsafeCell<KSEMAPHORE>);

// SAFETY: a semaphore is made to be used from any thread.
unsafe impl Send for Count {}
// SAFETY: as above.
unsafe impl Sync for Count {}

/// Whether threads that stay inside may return.
static RETURN: LazyLock<Box<Return>> = LazyLock::new(|| {
    let event = Box::new(Return(UnsafeCell::default()));
    // SAFETY: on the heap, where it stays.
    unsafe { dispatcher::initialize_event(event.0.get(), true, false) };
    event
});

struct Return(UnsafeCell<KEVENT>);

// SAFETY: an event is made to be used from any thread.
unsafe impl Send for Return {}
// SAFETY: as above.
unsafe impl Sync for Return {}

/// Stays until [`let_return`].
pub(super) fn stay() {
    // SAFETY: initialized when it was made; it stays.
    unsafe { dispatcher::wait(&[RETURN.0.get().cast()], false, None, false) };
}

/// Lets go who stays, and who comes.
pub(super) fn let_return() {
    // SAFETY: as above.
    unsafe { dispatcher::set_event(RETURN.0.get()) };
}

/// Whoever comes stays from now on.
pub(super) fn keep_inside() {
    // SAFETY: as above.
    unsafe { dispatcher::clear_event(RETURN.0.get()) };
}

/// Holds a request.
pub(super) fn keep(request: Outstanding) {
    HELD.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    // SAFETY: initialized when it was made.
    unsafe { dispatcher::release_semaphore(COUNT.0.get(), 1) };
}

/// Waits for a request, and takes it.
pub(super) fn take() -> Outstanding {
    // SAFETY: as above; it stays.
    unsafe { dispatcher::wait(&[COUNT.0.get().cast()], false, None, false) };
    let request = HELD.lock().unwrap_or_else(PoisonError::into_inner).pop();
    request.unwrap_or_else(|| panic!("one that was counted is there"))
}
