//! Queues: entries that threads wait for, each of which goes to one of them.
//!
//! How many threads run at a time is not limited: every thread has a processor of its own.
//!
//! Source: `KeInitializeQueue`, `KeInsertQueue`, `KeRemoveQueue`, `KeRundownQueue` in the DDI reference.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "queues and their entries lie in driver memory"
)]

use super::header::{Object, ObjectType, RUN_DOWN, expect_kind};
use super::wait::wait_for;
use super::waits::lock;
use crate::nt::{KQUEUE, LIST_ENTRY, NTSTATUS, STATUS_ABANDONED, STATUS_SUCCESS};
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

/// Makes an empty list of its head.
///
/// # Safety
/// `head` is writable.
unsafe fn make_empty(head: *mut LIST_ENTRY) {
    let empty = LIST_ENTRY {
        Flink: head,
        Blink: head,
    };
    // SAFETY: contract.
    unsafe { head.write(empty) };
}

/// `KeInitializeQueue`: `count` threads at a time, which is kept and not looked at.
///
/// # Safety
/// `queue` points to writable, aligned memory of a `KQUEUE`.
pub unsafe fn initialize_queue(queue: *mut KQUEUE, count: u32) {
    // SAFETY: contract of the function.
    unsafe {
        Object::at(queue).initialize(ObjectType::Queue, size_of::<KQUEUE>(), 0);
        make_empty(&raw mut (*queue).EntryListHead);
        make_empty(&raw mut (*queue).ThreadListHead);
        (*queue).CurrentCount = 0;
        (*queue).MaximumCount = count;
    }
}

/// `KeInsertQueue`, `KeInsertHeadQueue`: gives the entry to a thread that waits, or keeps it; how many entries there
/// were.
///
/// # Safety
/// `queue` is initialized, and `entry` in no list.
pub unsafe fn insert_queue(
    ddi: &'static str,
    queue: *mut KQUEUE,
    entry: *mut LIST_ENTRY,
    at_head: bool,
) -> i32 {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(queue) };
    expect_kind(object, ddi, &[ObjectType::Queue]);
    let mut waits = lock();
    // SAFETY: contract of the function; the list is only changed under the lock.
    unsafe {
        let head = &raw mut (*queue).EntryListHead;
        let before = if at_head { head } else { (*head).Blink };
        let behind = (*before).Flink;
        entry.write(LIST_ENTRY {
            Flink: behind,
            Blink: before,
        });
        (*before).Flink = entry;
        (*behind).Blink = entry;
    }
    let old = object.state().fetch_add(1, Ordering::AcqRel);
    waits.signal(object);
    old
}

/// `KeRemoveQueue`: the first entry, when there is one; `timeout` is that of a wait.
///
/// # Errors
/// `STATUS_TIMEOUT`; `STATUS_ABANDONED` if the queue was run down.
///
/// # Safety
/// `queue` is initialized, and stays during the wait.
pub unsafe fn remove_queue(
    queue: *mut KQUEUE,
    timeout: Option<i64>,
    caller: usize,
) -> Result<*mut LIST_ENTRY, NTSTATUS> {
    // SAFETY: contract of the function.
    expect_kind(
        unsafe { Object::at(queue) },
        "KeRemoveQueue",
        &[ObjectType::Queue],
    );
    // SAFETY: contract of the function.
    let status = unsafe { wait_for(&[queue.cast()], false, timeout, false, caller) };
    if status != STATUS_SUCCESS {
        return Err(status);
    }
    let _waits = lock();
    // The wait has counted an entry off for this thread.
    // SAFETY: contract of the function; the list is only changed under the lock.
    unsafe {
        let head = &raw mut (*queue).EntryListHead;
        let first = (*head).Flink;
        if first == head {
            return Err(STATUS_ABANDONED);
        }
        (*head).Flink = (*first).Flink;
        (*(*first).Flink).Blink = head;
        Ok(first)
    }
}

/// `KeRundownQueue`: the first of the entries, which stay linked in a ring without a head, or null. Who waits, and
/// whoever will, gets `STATUS_ABANDONED`.
///
/// # Safety
/// `queue` is initialized.
pub unsafe fn rundown_queue(queue: *mut KQUEUE) -> *mut LIST_ENTRY {
    // SAFETY: contract of the function.
    let object = unsafe { Object::at(queue) };
    expect_kind(object, "KeRundownQueue", &[ObjectType::Queue]);
    let mut waits = lock();
    // SAFETY: contract of the function; the list is only changed under the lock.
    let first = unsafe {
        let head = &raw mut (*queue).EntryListHead;
        let LIST_ENTRY { Flink, Blink } = head.read();
        (*Flink).Blink = Blink;
        (*Blink).Flink = Flink;
        make_empty(head);
        (*queue).MaximumCount = RUN_DOWN;
        if Flink == head { null_mut() } else { Flink }
    };
    // From here on every wait ends, and finds no entry.
    object.state().store(1, Ordering::Release);
    waits.signal(object);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nt::{DISPATCH_LEVEL, STATUS_TIMEOUT};
    use crate::processor::{dispatcher, irql, thread};
    use crate::verifier::capture;

    fn queue() -> Box<KQUEUE> {
        let mut queue = Box::new(KQUEUE::default());
        // SAFETY: new memory of a queue.
        unsafe { initialize_queue(&raw mut *queue, 1) };
        queue
    }

    fn now(queue: &mut KQUEUE) -> Result<*mut LIST_ENTRY, NTSTATUS> {
        // SAFETY: an initialized queue.
        unsafe { remove_queue(queue, Some(0), 0) }
    }

    #[test]
    fn entries_come_in_their_order_but_for_those_at_the_head() {
        let mut queue = queue();
        let mut entries = [LIST_ENTRY::default(); 3];
        let [one, two, three] = entries.each_mut().map(std::ptr::from_mut);
        let mut insert = |entry, at_head| {
            // SAFETY: an initialized queue, and an entry that is in no list.
            unsafe { insert_queue("KeInsertQueue", &raw mut *queue, entry, at_head) }
        };
        assert_eq!(
            [insert(one, false), insert(two, false), insert(three, true)],
            [0, 1, 2]
        );
        let got = [
            now(&mut queue),
            now(&mut queue),
            now(&mut queue),
            now(&mut queue),
        ];
        assert_eq!(got, [Ok(three), Ok(one), Ok(two), Err(STATUS_TIMEOUT)]);
    }

    #[test]
    fn an_entry_ends_one_wait_and_a_rundown_all() {
        let mut queue = queue();
        let mut entry = LIST_ENTRY::default();
        let at = (&raw mut *queue).expose_provenance();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                std::thread::spawn(move || {
                    thread::current();
                    let queue = std::ptr::with_exposed_provenance_mut(at);
                    // SAFETY: the queue outlives the threads.
                    unsafe { remove_queue(queue, None, 0) }.map(|entry| entry.addr())
                })
            })
            .collect();
        let of_this = |wait: &&dispatcher::UnderWay| {
            wait.objects
                .iter()
                .any(|object| object.contains(&format!("{at:#x}")))
        };
        while dispatcher::under_way(&[]).iter().filter(of_this).count() < 3 {
            std::thread::yield_now();
        }
        // SAFETY: an initialized queue, and an entry that is in no list.
        let old = unsafe { insert_queue("KeInsertQueue", &raw mut *queue, &raw mut entry, false) };
        assert_eq!(old, 0);
        let head = &raw mut queue.EntryListHead;
        let is_empty = || {
            let _waits = lock();
            // SAFETY: the list is only changed under the lock.
            unsafe { (*head).Flink == head }
        };
        while !is_empty() {
            std::thread::yield_now();
        }
        // SAFETY: as above.
        assert!(unsafe { rundown_queue(&raw mut *queue) }.is_null());
        let mut ended: Vec<_> = waiters
            .into_iter()
            .map(|waiter| waiter.join().expect("no panic"))
            .collect();
        ended.sort_by_key(|ended| ended.is_err());
        assert_eq!(
            ended,
            [
                Ok((&raw const entry).addr()),
                Err(STATUS_ABANDONED),
                Err(STATUS_ABANDONED)
            ]
        );
        assert_eq!(now(&mut queue), Err(STATUS_ABANDONED));
    }

    #[test]
    fn a_rundown_gives_back_what_is_left_in_a_ring() {
        let mut queue = queue();
        let mut entries = [LIST_ENTRY::default(); 2];
        let [one, two] = entries.each_mut().map(std::ptr::from_mut);
        for entry in [one, two] {
            // SAFETY: an initialized queue, and an entry that is in no list.
            unsafe { insert_queue("KeInsertQueue", &raw mut *queue, entry, false) };
        }
        // SAFETY: as above; the entries are linked to each other.
        let ring = unsafe {
            let first = rundown_queue(&raw mut *queue);
            [first, (*first).Flink, (*(*first).Flink).Flink]
        };
        assert_eq!(ring, [one, two, one]);
        assert_eq!(now(&mut queue), Err(STATUS_ABANDONED));
    }

    #[test]
    fn a_wait_at_dispatch_level_and_a_queue_that_is_none_are_reported() {
        let mut queue = queue();
        let mut none = KQUEUE::default();
        let mut entry = LIST_ENTRY::default();
        // SAFETY: an initialized queue with an entry in it.
        unsafe { insert_queue("KeInsertQueue", &raw mut *queue, &raw mut entry, false) };
        let ((), found) = capture(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL);
            // SAFETY: as above.
            unsafe { remove_queue(&raw mut *queue, None, 0) }.expect("an entry");
            assert_eq!(now(&mut queue), Err(STATUS_TIMEOUT));
        });
        assert_eq!(found.len(), 1, "{found:?}");
        // SAFETY: memory of a queue, whose list is one.
        unsafe { make_empty(&raw mut none.EntryListHead) };
        let (_, found) = capture(|| {
            // SAFETY: as above.
            unsafe { insert_queue("KeInsertQueue", &raw mut none, &raw mut entry, false) }
        });
        assert_eq!(found[0].rule.name, "UninitializedObject");
    }
}
