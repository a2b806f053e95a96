//! Pageable memory: there below `DISPATCH_LEVEL`, gone while anybody is at it.

use super::*;
use crate::host::PAGE;
use crate::nt::DISPATCH_LEVEL;
use crate::nt::PASSIVE_LEVEL;
use crate::processor::irql;
use std::sync::Barrier;
use std::thread;

/// One test at a time: levels of threads are counted together.
static ALONE: Mutex<()> = Mutex::new(());

struct Page {
    start: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Page {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        crate::processor::fault::prepare_thread();
        let start = memory::reserve(PAGE).unwrap();
        // SAFETY: a reservation of the test's own.
        assert!(unsafe { memory::protect(start, PAGE, Protection::ReadWrite) });
        add(start, PAGE, Protection::ReadWrite);
        Self {
            start,
            _alone: alone,
        }
    }

    /// Writes and reads as a driver does.
    fn use_it(&self, value: u8) -> u8 {
        let byte: *mut u8 = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: the page of the test; where it is paged out, the fault handler pages it in.
        unsafe { byte.write_volatile(value) };
        // SAFETY: as above.
        unsafe { byte.read_volatile() }
    }

    fn is_paged_in(&self) -> bool {
        ranges()
            .at(self.start)
            .is_some_and(|(_, range)| range.paged_in)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        remove(self.start, PAGE);
        assert!(!may_be_out(self.start));
        // SAFETY: the reservation ends here.
        unsafe { memory::release(self.start, PAGE) };
    }
}

#[test]
fn it_is_gone_at_dispatch_level_and_comes_back_below() {
    let page = Page::new();
    assert_eq!(page.use_it(7), 7);
    assert!(page.is_paged_in());
    {
        let _dispatch = irql::raised_to(DISPATCH_LEVEL);
        assert!(!page.is_paged_in());
        assert_eq!(
            touched(page.start, Access::Read, true),
            Some(Touched::TooHigh)
        );
        assert_eq!(touched(page.start + PAGE, Access::Read, true), None);
        assert_eq!(
            touched(page.start, Access::Execute, true),
            None,
            "wrong anywhere"
        );
    }
    assert!(!page.is_paged_in(), "nobody has touched it yet");
    assert_eq!(page.use_it(8), 8);
    assert!(page.is_paged_in());
}

#[test]
fn another_thread_waits_until_the_level_is_left() {
    let page = Page::new();
    let (raised, lowered) = (Barrier::new(2), Mutex::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let level = irql::raised_to(DISPATCH_LEVEL);
            raised.wait();
            thread::sleep(PATIENCE / 10);
            *lowered.lock().unwrap() = true;
            drop(level);
        });
        raised.wait();
        assert!(!page.is_paged_in());
        assert_eq!(page.use_it(9), 9);
        assert!(*lowered.lock().unwrap(), "it was there too early");
    });
}

#[test]
fn who_waits_long_is_let_through() {
    let page = Page::new();
    let (raised, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _level = irql::raised_to(DISPATCH_LEVEL);
            raised.wait();
            done.wait();
        });
        raised.wait();
        assert_eq!(page.use_it(1), 1);
        done.wait();
    });
}

#[test]
fn locked_pages_stay() {
    let page = Page::new();
    pin(page.start + 8, 16);
    pin(page.start, PAGE);
    {
        let _dispatch = irql::raised_to(DISPATCH_LEVEL);
        assert!(page.is_paged_in());
        unpin(page.start, PAGE);
        assert!(page.is_paged_in());
        unpin(page.start + 8, 16);
        assert!(!page.is_paged_in(), "the level was reached already");
        unpin(page.start, PAGE);
    }
    assert_eq!(irql::current(), PASSIVE_LEVEL);
    let _dispatch = irql::raised_to(DISPATCH_LEVEL);
    assert!(!page.is_paged_in());
    assert!(memory::try_read(page.start, &mut [0]), "the box may look");
}

/// The box looks at a page that another thread pages out again and again.
#[test]
fn the_box_can_always_look() {
    let page = Page::new();
    assert_eq!(page.use_it(7), 7);
    let ended = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                drop(irql::raised_to(DISPATCH_LEVEL));
            }
        });
        let seen = (0..20_000).all(|_| {
            let mut byte = [0];
            memory::try_read(page.start, &mut byte) && byte == [7]
        });
        ended.store(true, Ordering::Relaxed);
        assert!(seen, "a page that is there could not be read");
    });
}
