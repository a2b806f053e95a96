//! Who writes changed pages, and how.

use super::super::paging::Pages;
use super::super::request::status_of;
use super::*;
use crate::io_manager::filter_callbacks;
use crate::nt::fs_filter::{FS_FILTER_CALLBACKS, Pair};
use crate::processor::top_level::Component;
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

/// Writes a page of the file as `writer` does.
fn write(file: &File, writer: Writer) -> Result<IO_STATUS_BLOCK, NTSTATUS> {
    let object = crate::processor::handle::object_of_handle(file.handle()).expect("a file");
    // SAFETY: the handle keeps the file object.
    unsafe { Pages::new(object.cast(), vec![5; PAGE], PAGE as i64) }.write(writer)
}

#[test]
fn each_writer_of_pages_has_a_way_of_its_own() {
    let _turn = begin("UserPages", 0);
    let file = open_with_callbacks("UserPages");
    let (flush, modified) = ([0xFB, 0xFA], [0xFD, 0xFC]);
    let synchronous = IRP_SYNCHRONOUS_PAGING_IO;
    let file_system = top_level::below(Component::FileSystem, || top_level::current().addr());
    for (writer, [acquire, release], flags, top_level) in [
        (Writer::Program, flush, synchronous, 0),
        (Writer::LazyWriter, [0; 2], synchronous, 2),
        (Writer::MappedPageWriter, modified, 0, 3),
        (Writer::FileSystem, [0; 2], synchronous, file_system),
    ] {
        let written = write(&file, writer).expect("it is written");
        assert_eq!(
            (status_of(&written), written.Information),
            (STATUS_SUCCESS, PAGE),
            "{writer:?}"
        );
        let operation = |operation| Noted {
            major: OPERATION | operation,
            own_thread: true,
            ..Noted::default()
        };
        let write = Noted {
            major: IRP_MJ_WRITE,
            flags: IRP_PAGING_IO | IRP_NOCACHE | flags,
            mdl: true,
            user_buffer: true,
            user_event: true,
            top_level,
            own_thread: true,
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
    let refused = Writer::OF_VIEWS.map(|writer| write(&file, writer).err());
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = STATUS_SUCCESS;
    assert_eq!(refused, [Some(STATUS_ACCESS_DENIED); 2]);
    let seen: Vec<u32> = noted().iter().map(|noted| noted.major).collect();
    assert_eq!(seen, [OPERATION | 0xFB, OPERATION | 0xFD]);
}
