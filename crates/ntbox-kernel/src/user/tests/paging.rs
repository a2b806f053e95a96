//! Who writes changed pages, and how.

use super::*;
use crate::io_manager::filter_callbacks;
use crate::nt::fs_filter::{FS_FILTER_CALLBACKS, Pair};
use std::ffi::c_void;

/// Noted in the place of a major function: an FsFilter operation.
const OPERATION: u32 = 0x100;

unsafe extern "win64" fn before(
    data: *mut FS_FILTER_CALLBACK_DATA,
    _context: *mut *mut c_void,
) -> NTSTATUS {
    // SAFETY: a callback's data is alive.
    let operation = unsafe { (*data).Operation };
    noted().push(Noted {
        major: OPERATION | u32::from(operation),
        own_thread: thread::current().id() == OPENER.load(Ordering::Relaxed),
        ..Noted::default()
    });
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the callbacks answer.
static ANSWER: Mutex<NTSTATUS> = Mutex::new(STATUS_SUCCESS);

/// A file of a device whose driver has callbacks.
fn open_with_callbacks(name: &'static str) -> File {
    let file = open(name, SYNCHRONOUS);
    let pair = Pair {
        Pre: Some(before),
        Post: None,
    };
    let callbacks = FS_FILTER_CALLBACKS {
        SizeOfFsFilterCallbacks: size_of::<FS_FILTER_CALLBACKS>() as u32,
        AcquireForCcFlush: pair,
        ReleaseForCcFlush: pair,
        AcquireForModifiedPageWriter: pair,
        ReleaseForModifiedPageWriter: pair,
        ..FS_FILTER_CALLBACKS::default()
    };
    let object = crate::processor::handle::object_of_handle(file.handle()).expect("a file");
    // SAFETY: the handle keeps the file object, and that its device.
    unsafe {
        let device = (*object.cast::<FILE_OBJECT>()).DeviceObject;
        filter_callbacks::register((*device).DriverObject, &raw const callbacks);
    }
    noted().clear();
    file
}

#[test]
fn each_writer_of_pages_has_a_way_of_its_own() {
    let _turn = begin("UserPages", 0);
    let file = open_with_callbacks("UserPages");
    let (flush, modified) = ([0xFB, 0xFA], [0xFD, 0xFC]);
    let synchronous = IRP_SYNCHRONOUS_PAGING_IO;
    for (writer, [acquire, release], flags, top_level, own_thread) in [
        (Writer::Program, flush, synchronous, 0, true),
        (Writer::LazyWriter, [0; 2], synchronous, 2, false),
        (Writer::MappedPageWriter, modified, 0, 3, false),
    ] {
        let written = file.page_out(1, &[5; PAGE], writer);
        assert_eq!(
            (written.status, written.information),
            (STATUS_SUCCESS, PAGE),
            "{writer:?}"
        );
        let operation = |operation| Noted {
            major: OPERATION | operation,
            own_thread,
            ..Noted::default()
        };
        let write = Noted {
            major: IRP_MJ_WRITE,
            flags: IRP_PAGING_IO | IRP_NOCACHE | flags,
            mdl: true,
            user_buffer: true,
            user_event: true,
            top_level,
            own_thread,
            ..Noted::default()
        };
        let expected = match acquire {
            0 => vec![write],
            _ => vec![operation(acquire), write, operation(release)],
        };
        assert_eq!(*noted(), expected, "{writer:?}");
        noted().clear();
    }
}

#[test]
fn a_page_whose_file_is_not_acquired_is_not_written() {
    let _turn = begin("UserKept", 0);
    let file = open_with_callbacks("UserKept");
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = STATUS_ACCESS_DENIED;
    let refused = [Writer::Program, Writer::MappedPageWriter]
        .map(|writer| file.page_out(0, &[5; PAGE], writer).status);
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = STATUS_SUCCESS;
    assert_eq!(refused, [STATUS_ACCESS_DENIED; 2]);
    let seen: Vec<u32> = noted().iter().map(|noted| noted.major).collect();
    assert_eq!(seen, [OPERATION | 0xFB, OPERATION | 0xFD]);
}
