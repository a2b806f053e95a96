//! What the cache manager sends, and when.

use super::*;
use crate::processor::top_level::Component;
use crate::processor::{dispatcher, handle};
use std::ffi::c_void;

const PAGES: u64 = PAGE as u64;

/// A file of the device with pointers of a stream of its own.
fn open_stream(name: &'static str) -> (File, *mut FILE_OBJECT, usize) {
    let file = open(name, SYNCHRONOUS);
    let object = handle::object_of_handle(file.handle()).expect("a file");
    let object: *mut FILE_OBJECT = object.cast();
    // Its IRP_MJ_CLOSE may come after the test.
    let pointers = Box::leak(Box::new(SECTION_OBJECT_POINTERS::default()));
    // SAFETY: the handle keeps the file object.
    unsafe { (*object).SectionObjectPointer = pointers };
    noted().clear();
    (file, object, std::ptr::from_mut(pointers).addr())
}

/// What a paging request of the cache manager is.
fn paging(major: u32, top_level: usize, own_thread: bool) -> Noted {
    Noted {
        major,
        flags: IRP_PAGING_IO | IRP_NOCACHE | IRP_SYNCHRONOUS_PAGING_IO,
        mdl: true,
        user_buffer: true,
        user_event: true,
        top_level,
        own_thread,
        irql: match major {
            IRP_MJ_READ => APC_LEVEL,
            _ => PASSIVE_LEVEL,
        },
        ..Noted::default()
    }
}

/// What the lazy writer's request is by which the file system hears how much is written.
fn advancing(own_thread: bool) -> Noted {
    Noted {
        major: IRP_MJ_SET_INFORMATION,
        flags: IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO,
        system_buffer: true,
        user_event: true,
        top_level: flag(Component::CacheManager),
        own_thread,
        ..Noted::default()
    }
}

fn flag(above: Component) -> usize {
    top_level::below(above, || top_level::current().addr())
}

/// Takes what was noted, when nothing is under way any more.
fn all_noted() -> Vec<Noted> {
    work::drain();
    std::mem::take(&mut noted())
}

#[test]
fn what_is_missing_is_read_once_by_whoever_needs_it() {
    let _turn = begin("CacheRead", 0);
    let (file, object, _) = open_stream("CacheRead");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, 100 * PAGES, None) };
    for (offset, above) in [
        (0, Component::FileSystem),
        (5 * PAGES + 1, Component::FastIo),
    ] {
        let mut buffer = [0; 10];
        // SAFETY: as above.
        let read = || unsafe { cache::read(object, offset, &mut buffer, above) };
        assert_eq!(top_level::below(Component::None, read), Ok(10));
        assert_eq!(buffer, [7; 10]);
        assert_eq!(all_noted(), [paging(IRP_MJ_READ, flag(above), true)]);
        // SAFETY: as above.
        assert_eq!(
            // SAFETY: as above.
            unsafe { cache::read(object, offset, &mut [0; 9], above) },
            Ok(9)
        );
        assert_eq!(all_noted(), []);
    }
    // Whoever is above a file system already stays it.
    let mut buffer = [0; 10];
    // SAFETY: as above.
    let read = || unsafe { cache::read(object, 50 * PAGES, &mut buffer, Component::FileSystem) };
    assert_eq!(
        top_level::below(Component::ModifiedPageWriter, read),
        Ok(10)
    );
    assert_eq!(all_noted(), [paging(IRP_MJ_READ, 3, true)]);
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
    drop(file);
}

#[test]
fn a_sequence_is_read_ahead_of_by_the_system() {
    let _turn = begin("CacheAhead", 0);
    let (_file, object, _) = open_stream("CacheAhead");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, 100 * PAGES, None) };
    let mut buffer = vec![0; PAGE];
    let mut read = |page: u64| {
        // SAFETY: as above.
        let count =
            unsafe { cache::read(object, page * PAGES, &mut buffer, Component::FileSystem) };
        assert_eq!(count, Ok(PAGE));
    };
    read(3);
    assert_eq!(all_noted().len(), 1, "that is no sequence yet");
    read(4);
    let expected = [
        paging(IRP_MJ_READ, flag(Component::FileSystem), true),
        paging(IRP_MJ_READ, flag(Component::CacheManager), false),
    ];
    assert_eq!(all_noted(), expected);
    read(5);
    let ahead = [paging(IRP_MJ_READ, flag(Component::CacheManager), false)];
    assert_eq!(all_noted(), ahead, "it was there");
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
}

#[test]
fn what_is_left_is_written_after_the_cleanup_and_then_the_file_is_closed() {
    let _turn = begin("CacheLazy", 0);
    let (file, object, stream) = open_stream("CacheLazy");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, 0, None) };
    cache::set_size(stream, 3 * PAGES);
    // SAFETY: as above.
    let written = unsafe { cache::write_to(object, 0, &[1; PAGE], false, Component::FileSystem) };
    assert_eq!(written, Ok(()));
    assert_eq!(all_noted(), []);
    assert!(cache::is_any_dirty(|file| file == object));
    let held = work::hold();
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
    drop(file);
    let majors = |noted: Vec<Noted>| noted.iter().map(|noted| noted.major).collect::<Vec<_>>();
    assert_eq!(majors(std::mem::take(&mut noted())), [IRP_MJ_CLEANUP]);
    assert!(cache::is_cached(stream));
    // Whoever holds items back is their worker.
    drop(held);
    let seen = all_noted();
    assert_eq!(
        seen[0],
        paging(IRP_MJ_WRITE, flag(Component::CacheManager), true)
    );
    assert_eq!(seen[1], advancing(true));
    let closed = [IRP_MJ_WRITE, IRP_MJ_SET_INFORMATION, IRP_MJ_CLOSE];
    assert_eq!(majors(seen), closed);
    assert!(!cache::is_cached(stream));
}

#[test]
fn a_deleted_file_is_not_written() {
    let _turn = begin("CacheGone", 0);
    let (file, object, stream) = open_stream("CacheGone");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, PAGES, None) };
    // SAFETY: as above.
    let written = unsafe { cache::write_to(object, 0, &[1; PAGE], false, Component::FileSystem) };
    assert_eq!(written, Ok(()));
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, true) };
    assert!(!cache::is_cached(stream));
    drop(file);
    let majors: Vec<u32> = all_noted().iter().map(|noted| noted.major).collect();
    assert_eq!(majors, [IRP_MJ_CLEANUP, IRP_MJ_CLOSE]);
}

#[test]
fn many_dirty_pages_are_written_while_the_file_is_open() {
    let _turn = begin("CacheMany", 0);
    let (_file, object, stream) = open_stream("CacheMany");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, 100 * PAGES, None) };
    let bytes = vec![1; 15 * PAGE];
    for (offset, requests) in [(0, 0), (15 * PAGES, 2)] {
        // SAFETY: as above.
        let written =
            unsafe { cache::write_to(object, offset, &bytes, false, Component::FileSystem) };
        assert_eq!(written, Ok(()));
        let seen = all_noted();
        assert_eq!(
            seen,
            vec![paging(IRP_MJ_WRITE, flag(Component::CacheManager), false); requests]
        );
    }
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
    assert!(!cache::is_cached(stream));
}

/// Only the lazy writer tells of it, and only of what the file system does not know.
#[test]
fn the_file_system_hears_how_much_is_written() {
    let _turn = begin("CacheValid", 0);
    let (_file, object, stream) = open_stream("CacheValid");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, PAGES, None) };
    cache::set_size(stream, 60 * PAGES + 1);
    let write = |page: u64, pages: usize| {
        let bytes = vec![1; pages * PAGE];
        // SAFETY: as above.
        let written =
            unsafe { cache::write_to(object, page * PAGES, &bytes, false, Component::FileSystem) };
        assert_eq!(written, Ok(()));
    };
    let tellings = || {
        let seen = all_noted();
        let told = |noted: &&Noted| noted.major == IRP_MJ_SET_INFORMATION;
        seen.iter()
            .filter(told)
            .for_each(|noted| assert_eq!(*noted, advancing(false)));
        seen.iter().filter(told).count()
    };
    write(0, 16);
    assert_eq!(tellings(), 1, "sixteen pages, of which one was there");
    write(0, 16);
    assert_eq!(tellings(), 0, "it is known");
    write(16, 8);
    assert_eq!(cache::flush(stream, None), Ok(()));
    assert_eq!(tellings(), 0, "the file system has written it itself");
    cache::set_size(stream, 10 * PAGES);
    cache::set_size(stream, 60 * PAGES + 1);
    write(0, 16);
    assert_eq!(tellings(), 1, "it was cut meanwhile");
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
}

#[test]
fn what_is_flushed_is_written_by_who_flushes_it() {
    let _turn = begin("CacheFlush", 0);
    let (_file, object, stream) = open_stream("CacheFlush");
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, 100 * PAGES, None) };
    let written = [paging(IRP_MJ_WRITE, flag(Component::FileSystem), true)];
    for through in [false, true] {
        // SAFETY: as above.
        let copied =
            unsafe { cache::write_to(object, PAGES, &[1; PAGE], through, Component::FileSystem) };
        assert_eq!(copied, Ok(()));
        if !through {
            assert_eq!(cache::flush(stream, Some(0..PAGES)), Ok(()));
            assert_eq!(all_noted(), [], "it lies behind");
            assert_eq!(cache::flush(stream, None), Ok(()));
        }
        assert_eq!(all_noted(), written);
    }
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
}

#[test]
fn the_cache_is_there_until_nobody_uses_it() {
    let _turn = begin("CacheUsers", 0);
    let (_first, object, stream) = open_stream("CacheUsers");
    let (second, other, _) = open_stream("CacheUsers");
    // SAFETY: the handles keep the file objects, here and below.
    unsafe { (*other).SectionObjectPointer = (*object).SectionObjectPointer };
    for file in [object, object, other] {
        // SAFETY: as above.
        unsafe { cache::initialize(file, PAGES, None) };
    }
    assert_eq!(cache::with_file_of(stream, |file| file), Some(object));
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
    assert!(cache::is_cached(stream), "the other one uses it");
    // SAFETY: as above.
    unsafe { cache::uninitialize(other, false) };
    assert!(!cache::is_cached(stream));
    // SAFETY: as above.
    assert_eq!(
        // SAFETY: as above.
        unsafe { cache::read(other, 0, &mut [0], Component::None) },
        Err(STATUS_FILE_CLOSED)
    );
    drop(second);
}

/// How often the lock was asked for, and how often it was given back.
static ASKED: AtomicU32 = AtomicU32::new(0);
static GIVEN_BACK: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn acquire(_context: *mut c_void, _wait: u8) -> u8 {
    // The driver is busy at first.
    u8::from(ASKED.fetch_add(1, Ordering::Relaxed) != 0)
}

unsafe extern "win64" fn release(_context: *mut c_void) {
    GIVEN_BACK.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn the_lazy_writer_comes_again_to_a_driver_that_was_busy_and_tells_the_end() {
    let _turn = begin("CacheCallbacks", 0);
    let (file, object, stream) = open_stream("CacheCallbacks");
    let routines = CACHE_MANAGER_CALLBACKS {
        AcquireForLazyWrite: Some(acquire),
        ReleaseFromLazyWrite: Some(release),
        ..CACHE_MANAGER_CALLBACKS::default()
    };
    let callbacks = cache::Callbacks {
        routines,
        context: 0,
    };
    // SAFETY: the handle keeps the file object, here and below.
    unsafe { cache::initialize(object, PAGES, Some(callbacks)) };
    // SAFETY: as above.
    let written = unsafe { cache::write_to(object, 0, &[1; PAGE], false, Component::FileSystem) };
    assert_eq!(written, Ok(()));
    let mut event = KEVENT::default();
    let ended = &raw mut event;
    // SAFETY: the event is this test's, and outlives the cache.
    unsafe { dispatcher::initialize_event(ended, false, false) };
    // SAFETY: as above.
    unsafe { cache::tell_end(stream, Some(ended)) };
    // SAFETY: as above.
    unsafe { cache::uninitialize(object, false) };
    // SAFETY: as above.
    unsafe { dispatcher::wait(&[ended.cast()], false, None, false) };
    let counts = [&ASKED, &GIVEN_BACK].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [2, 1]);
    assert!(!cache::is_cached(stream));
    // It is signaled at once where nothing is cached.
    // SAFETY: as above.
    unsafe { dispatcher::initialize_event(ended, false, false) };
    // SAFETY: as above.
    unsafe { cache::tell_end(stream, Some(ended)) };
    // SAFETY: as above.
    unsafe { dispatcher::wait(&[ended.cast()], false, None, false) };
    drop(file);
}
