//! Sections of files: what programs have mapped, about which a file system asks before it takes something away.
//!
//! A stream is known by its `SECTION_OBJECT_POINTERS`, which every file object of it points at. As long as somebody has
//! a view, `DataSectionObject` or `ImageSectionObject` is set, and as long as it is cached `DataSectionObject` and
//! `SharedCacheMap`; what they point at is the memory manager's own, or the cache manager's.
//!
//! Source: DDI of `SECTION_OBJECT_POINTERS`, `MmCanFileBeTruncated`, `MmFlushImageSection`,
//! `MmDoesFileHaveUserWritableReferences`; `FILE_DISPOSITION_INFORMATION_EX`.

#![expect(unsafe_code, reason = "the pointers are shared with drivers")]

use crate::nt::SECTION_OBJECT_POINTERS;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a view is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Data that is read.
    ReadOnly,
    /// Data that is read and written.
    Writable,
    /// A program.
    Image,
}

/// The views of one stream, each with the bytes that the file had when it was mapped.
type Views = Vec<(Mapping, u64)>;

/// What is in memory of a stream.
#[derive(Default)]
struct Stream {
    views: Views,
    cached: bool,
    /// What its pointers are set to, of data, of images and of the cache: nobody looks at it.
    areas: Box<[u64; 3]>,
}

/// The streams that something is in memory of, by the address of their pointers.
static STREAMS: Mutex<BTreeMap<usize, Stream>> = Mutex::new(BTreeMap::new());

fn streams() -> MutexGuard<'static, BTreeMap<usize, Stream>> {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A view of a stream, which ends when this is dropped.
#[derive(Debug)]
pub struct Mapped {
    pointers: *mut SECTION_OBJECT_POINTERS,
    mapping: Mapping,
    bytes: u64,
}

// SAFETY: the pointers are written atomically, by whatever thread.
unsafe impl Send for Mapped {}

/// Maps a stream of so many bytes.
///
/// # Safety
/// `pointers` are those of a stream, which stay until what is returned is dropped.
pub unsafe fn map(pointers: *mut SECTION_OBJECT_POINTERS, mapping: Mapping, bytes: u64) -> Mapped {
    // SAFETY: contract.
    unsafe { change(pointers, |stream| stream.views.push((mapping, bytes))) };
    Mapped {
        pointers,
        mapping,
        bytes,
    }
}

/// The stream is cached from now on, or is not any more.
///
/// # Safety
/// `pointers` are those of a stream, which stay while it is cached.
pub unsafe fn cache(pointers: *mut SECTION_OBJECT_POINTERS, cached: bool) {
    // SAFETY: contract.
    unsafe { change(pointers, |stream| stream.cached = cached) };
}

/// Changes what is in memory of a stream, and shows it.
///
/// # Safety
/// `pointers` are alive.
unsafe fn change(pointers: *mut SECTION_OBJECT_POINTERS, change: impl FnOnce(&mut Stream)) {
    let mut streams = streams();
    let stream = streams.entry(pointers.addr()).or_default();
    change(stream);
    // SAFETY: contract.
    unsafe { show(pointers, stream) };
    if stream.views.is_empty() && !stream.cached {
        streams.remove(&pointers.addr());
    }
}

fn has(views: &Views, image: bool) -> bool {
    let is = |(mapping, _): &(Mapping, u64)| (*mapping == Mapping::Image) == image;
    views.iter().any(is)
}

/// Sets the pointers to what there is.
///
/// # Safety
/// `pointers` are alive.
unsafe fn show(pointers: *mut SECTION_OBJECT_POINTERS, stream: &Stream) {
    let data = has(&stream.views, false) || stream.cached;
    let there = [data, has(&stream.views, true), stream.cached];
    let fields = [
        // SAFETY: contract.
        unsafe { &raw mut (*pointers).DataSectionObject },
        // SAFETY: contract.
        unsafe { &raw mut (*pointers).ImageSectionObject },
        // SAFETY: contract.
        unsafe { &raw mut (*pointers).SharedCacheMap },
    ];
    for ((there, field), area) in there.into_iter().zip(fields).zip(&*stream.areas) {
        let area: *const u64 = area;
        let shown: *mut c_void = match there {
            true => area.cast_mut().cast(),
            false => null_mut(),
        };
        // SAFETY: contract; drivers may look at it meanwhile.
        unsafe { AtomicPtr::from_ptr(field) }.store(shown, Ordering::Relaxed);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let own = (self.mapping, self.bytes);
        let forget = |stream: &mut Stream| {
            if let Some(place) = stream.views.iter().position(|view| *view == own) {
                stream.views.swap_remove(place);
            }
        };
        // SAFETY: the contract of `map`.
        unsafe { change(self.pointers, forget) };
    }
}

/// Looks at the views of a stream, if it has some.
fn of<R>(pointers: usize, look: impl FnOnce(&Views) -> R) -> Option<R> {
    let streams = streams();
    let views = &streams.get(&pointers)?.views;
    (!views.is_empty()).then(|| look(views))
}

/// Whether the stream may be cut to `size` bytes, or to none, as far as is known without its size: nobody has mapped an
/// image of it, or data that would go (`MmCanFileBeTruncated`).
pub fn can_be_truncated(pointers: usize, size: Option<u64>) -> bool {
    let stays = |(mapping, bytes): &(Mapping, u64)| {
        *mapping != Mapping::Image && size.is_some_and(|size| size > *bytes)
    };
    of(pointers, |views| views.iter().all(stays)).unwrap_or(true)
}

/// Whether somebody has mapped the stream: then it is neither cut nor deleted.
pub fn is_mapped(pointers: usize) -> bool {
    of(pointers, |_| ()).is_some()
}

/// Whether somebody runs the stream as a program: then it is not opened for writing.
pub fn is_run(pointers: usize) -> bool {
    of(pointers, |views| has(views, true)).unwrap_or(false)
}

/// How many views of the stream may be written.
pub fn writable_views(pointers: usize) -> u32 {
    let writable = |views: &Views| {
        let count = |(mapping, _): &&(Mapping, u64)| *mapping == Mapping::Writable;
        views.iter().filter(count).count() as u32
    };
    of(pointers, writable).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of the stream: whether it may be cut to 100, to 101 bytes and to none, is mapped, and run; and its
    /// writable views.
    fn known(pointers: *const SECTION_OBJECT_POINTERS) -> ([bool; 5], u32) {
        let pointers = pointers.addr();
        (
            [
                can_be_truncated(pointers, Some(100)),
                can_be_truncated(pointers, Some(101)),
                can_be_truncated(pointers, None),
                is_mapped(pointers),
                is_run(pointers),
            ],
            writable_views(pointers),
        )
    }

    const FREE: ([bool; 5], u32) = ([true, true, true, false, false], 0);

    #[test]
    fn a_view_keeps_what_it_shows() {
        let mut of_stream = SECTION_OBJECT_POINTERS::default();
        let pointers = &raw mut of_stream;
        let data = [false, true, false, true, false];
        for (mapping, expected, areas) in [
            (Mapping::ReadOnly, (data, 0), [true, false]),
            (Mapping::Writable, (data, 1), [true, false]),
            (
                Mapping::Image,
                ([false, false, false, true, true], 0),
                [false, true],
            ),
        ] {
            let shown = || {
                // SAFETY: pointers of this test.
                let now = unsafe { pointers.read() };
                [now.DataSectionObject, now.ImageSectionObject].map(|area| !area.is_null())
            };
            // SAFETY: as above.
            let view = unsafe { map(pointers, mapping, 100) };
            assert_eq!((known(pointers), shown()), (expected, areas), "{mapping:?}");
            drop(view);
            assert_eq!(
                (known(pointers), shown()),
                (FREE, [false; 2]),
                "{mapping:?}"
            );
        }
    }

    #[test]
    fn what_is_cached_is_not_mapped() {
        let mut of_stream = SECTION_OBJECT_POINTERS::default();
        let pointers = &raw mut of_stream;
        // SAFETY: pointers of this test, here and below.
        let shown = || unsafe { pointers.read() };
        // SAFETY: as above.
        unsafe { cache(pointers, true) };
        assert!(!shown().DataSectionObject.is_null() && !shown().SharedCacheMap.is_null());
        assert!(shown().ImageSectionObject.is_null());
        assert_eq!(known(pointers), FREE);
        // SAFETY: as above.
        unsafe { cache(pointers, false) };
        assert!(shown().DataSectionObject.is_null() && shown().SharedCacheMap.is_null());
    }

    #[test]
    fn a_stream_is_mapped_until_its_last_view_ends() {
        let mut of_stream = SECTION_OBJECT_POINTERS::default();
        let pointers = &raw mut of_stream;
        // SAFETY: pointers of this test, here and below.
        let first = unsafe { map(pointers, Mapping::Writable, 100) };
        // SAFETY: as above.
        let second = unsafe { map(pointers, Mapping::Writable, 100) };
        assert_eq!(writable_views(pointers.addr()), 2);
        drop(first);
        assert_eq!(writable_views(pointers.addr()), 1);
        assert!(is_mapped(pointers.addr()));
        drop(second);
        assert_eq!(known(pointers), FREE);
    }
}
