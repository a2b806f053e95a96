//! The services over a file system that notes what it gets, without a filter.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a native driver notes raw requests"
)]

mod caching;
mod endings;
mod paging;

use super::access::{READ, WRITE};
use super::extended_attributes::EaQuery;
use super::locks::Range;
use super::*;
use crate::io_manager::{complete, device, driver, ecp, namespace};
use crate::nt::routines::DriverRoutines;
use crate::nt::*;
use crate::processor::{handle, irql, thread, top_level, work};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the device saw of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Noted {
    major: u32,
    minor: u8,
    location_flags: u8,
    flags: u32,
    system_buffer: bool,
    mdl: bool,
    user_buffer: bool,
    user_event: bool,
    apc_routine: bool,
    apc_context: bool,
    extra_parameters: bool,
    top_level: usize,
    /// It runs in the thread of whoever has asked.
    own_thread: bool,
    irql: u8,
}

/// The thread that has opened a file last.
static OPENER: AtomicU32 = AtomicU32::new(0);
static NOTED: Mutex<Vec<Noted>> = Mutex::new(Vec::new());
/// The tests share the devices and what they note.
static TURN: Mutex<()> = Mutex::new(());

fn noted() -> MutexGuard<'static, Vec<Noted>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A control code for which the device pends and completes later.
const LATER: u32 = 0x0022_2000;
/// A control code for which the device pends until cancelled.
const HELD: u32 = 0x0022_2004;
/// A control code that fails at once.
const REFUSED: u32 = 0x0022_2008;

unsafe extern "win64" fn dispatch(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a dispatch routine gets a live request with its location.
    unsafe {
        let location = &*irp.current_location();
        let major = u32::from(location.MajorFunction);
        noted().push(Noted {
            major,
            minor: location.MinorFunction,
            location_flags: location.Flags,
            flags: (*irp).Flags,
            system_buffer: !(*irp).AssociatedIrp.SystemBuffer.is_null(),
            mdl: !(*irp).MdlAddress.is_null(),
            user_buffer: !(*irp).UserBuffer.is_null(),
            user_event: !(*irp).UserEvent.is_null(),
            apc_routine: irp.user_apc().0 != 0,
            apc_context: !irp.user_apc().1.is_null(),
            extra_parameters: !ecp::of_create(irp).is_null(),
            top_level: top_level::current().addr(),
            own_thread: thread::current().id() == OPENER.load(Ordering::Relaxed),
            irql: irql::current(),
        });
        match major {
            IRP_MJ_READ => {
                let length = location.Parameters.Read.Length as usize;
                fill(irp, length);
                (*location.FileObject).CurrentByteOffset += length as i64;
                complete::finish(irp, STATUS_SUCCESS, length)
            }
            IRP_MJ_WRITE => complete::finish(
                irp,
                STATUS_SUCCESS,
                location.Parameters.Write.Length as usize,
            ),
            IRP_MJ_QUERY_EA | IRP_MJ_QUERY_QUOTA => {
                let length = location.Parameters.QueryEa.Length as usize;
                fill(irp, length);
                complete::finish(irp, STATUS_SUCCESS, length)
            }
            IRP_MJ_QUERY_INFORMATION => {
                let length = (location.Parameters.QueryFile.Length as usize).min(8);
                fill(irp, length);
                complete::finish(irp, STATUS_SUCCESS, length)
            }
            IRP_MJ_DEVICE_CONTROL | IRP_MJ_FILE_SYSTEM_CONTROL => {
                match location.Parameters.DeviceIoControl.ControlCode {
                    LATER => {
                        crate::io_manager::irp::mark_pending(irp);
                        let irp = irp as usize;
                        work::queue(Box::new(move || {
                            let irp = irp as *mut IRP;
                            complete::finish(irp, STATUS_SUCCESS, 3);
                        }));
                        STATUS_PENDING
                    }
                    HELD => {
                        crate::io_manager::irp::mark_pending(irp);
                        irp.set_cancel_routine(Some(cancelled));
                        STATUS_PENDING
                    }
                    REFUSED => complete::finish(irp, STATUS_ACCESS_DENIED, 77),
                    _ => complete::finish(irp, STATUS_SUCCESS, 0),
                }
            }
            _ => complete::finish(irp, STATUS_SUCCESS, 0),
        }
    }
}

unsafe extern "win64" fn cancelled(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the cancel routine owns the request and holds the cancel lock.
    unsafe {
        crate::io_manager::cancel::release_cancel_spin_lock((*irp).CancelIrql);
        complete::finish(irp, STATUS_CANCELLED, 0);
    }
}

/// Writes sevens where the request's buffer is.
unsafe fn fill(irp: *mut IRP, length: usize) {
    // SAFETY: contract of the caller: a live request with a buffer of this length.
    unsafe {
        let buffer = if !(*irp).AssociatedIrp.SystemBuffer.is_null() {
            (*irp).AssociatedIrp.SystemBuffer
        } else if !(*irp).MdlAddress.is_null() {
            crate::io_manager::mdl::virtual_address((*irp).MdlAddress)
        } else {
            (*irp).UserBuffer
        };
        if length != 0 {
            std::ptr::write_bytes(buffer.cast::<u8>(), 7, length);
        }
    }
}

/// Takes the turn and makes sure that the device of these flags exists.
fn begin(name: &'static str, flags: u32) -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = format!("\\Device\\{name}");
    if let Ok((object, _)) = namespace::lookup(&path) {
        // SAFETY: the lookup referenced it.
        unsafe { crate::processor::lifetime::dereference(object) };
    } else {
        let driver = driver::create_native(&format!("\\Driver\\{name}"), |driver| {
            for major in 0..=IRP_MJ_MAXIMUM_FUNCTION {
                driver.set_dispatch(major as u8, dispatch);
            }
        });
        // SAFETY: a new driver and a new device.
        unsafe {
            let device = device::create(driver, 0, Some(&path), 0x22, 0, false).expect("a device");
            (*device).Flags |= flags;
            device::finish_initializing(device);
        }
    }
    noted().clear();
    turn
}

fn open(name: &str, options: u32) -> File {
    OPENER.store(thread::current().id(), Ordering::Relaxed);
    let path = format!("\\Device\\{name}\\x");
    let opened = create_file(
        &CreateParameters::new(&path)
            .access(READ | WRITE)
            .options(options),
    );
    assert_eq!(opened.outcome.status, STATUS_SUCCESS);
    opened.file.expect("a file")
}

const SYNCHRONOUS: u32 = FILE_SYNCHRONOUS_IO_NONALERT;

#[test]
fn an_open_and_a_close_send_create_cleanup_close() {
    let _turn = begin("UserOpen", DO_BUFFERED_IO);
    let file = open("UserOpen", SYNCHRONOUS);
    assert_eq!(file.close().status, STATUS_SUCCESS);
    let seen = noted().clone();
    let majors: Vec<u32> = seen.iter().map(|noted| noted.major).collect();
    assert_eq!(majors, [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]);
    assert_eq!(
        seen[0].flags,
        IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION
    );
}

#[test]
fn the_devices_flags_choose_the_buffering() {
    for (name, flags) in [
        ("UserBuffered", DO_BUFFERED_IO),
        ("UserDirect", DO_DIRECT_IO),
        ("UserNeither", 0),
    ] {
        let _turn = begin(name, flags);
        let file = open(name, SYNCHRONOUS);
        noted().clear();
        let read = file.read(Some(0), 100);
        assert_eq!(
            (read.status, read.information),
            (STATUS_SUCCESS, 100),
            "{name}"
        );
        assert_eq!(read.data, [7; 100], "{name}");
        let write = file.write(Some(0), &[1; 50]);
        assert_eq!(
            (write.status, write.information),
            (STATUS_SUCCESS, 50),
            "{name}"
        );
        let seen = noted().clone();
        let common = IRP_READ_OPERATION | IRP_DEFER_IO_COMPLETION;
        let buffered = if name == "UserBuffered" {
            IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER | IRP_INPUT_OPERATION
        } else {
            0
        };
        assert_eq!(seen[0].flags, common | buffered, "{name}");
        assert_eq!(seen[0].system_buffer, name == "UserBuffered");
        assert_eq!(seen[0].mdl, name == "UserDirect");
        assert_eq!(
            seen[1].flags & IRP_INPUT_OPERATION,
            0,
            "{name}: nothing comes back from a write"
        );
        assert_ne!(seen[1].flags & IRP_WRITE_OPERATION, 0);
    }
}

#[test]
fn open_options_become_request_flags() {
    let _turn = begin("UserOptions", 0);
    let file = open(
        "UserOptions",
        SYNCHRONOUS | FILE_NO_INTERMEDIATE_BUFFERING | FILE_WRITE_THROUGH,
    );
    noted().clear();
    file.write(Some(0), &[1; 512]);
    let seen = noted().clone();
    assert_ne!(seen[0].flags & IRP_NOCACHE, 0);
    assert_eq!(seen[0].location_flags, SL_WRITE_THROUGH as u8);
}

#[test]
fn a_synchronous_file_has_a_position_and_an_asynchronous_one_has_none() {
    let _turn = begin("UserPosition", DO_BUFFERED_IO);
    let file = open("UserPosition", SYNCHRONOUS);
    file.read(None, 10);
    let position = file.query_information(FilePositionInformation, 8);
    assert_eq!(position.data, 10_i64.to_le_bytes());
    file.set_information(FilePositionInformation, &5_i64.to_le_bytes());
    assert_eq!(
        file.query_information(FilePositionInformation, 8).data,
        5_i64.to_le_bytes()
    );
    let other = open("UserPosition", 0);
    assert_eq!(other.read(None, 10).status, STATUS_INVALID_PARAMETER);
    assert_eq!(other.read(Some(-5), 10).status, STATUS_INVALID_PARAMETER);
    assert_eq!(other.read(Some(0), 10).status, STATUS_SUCCESS);
    let majors: Vec<u32> = noted().iter().map(|noted| noted.major).collect();
    assert!(
        !majors.contains(&IRP_MJ_SET_INFORMATION),
        "the I/O manager keeps the position itself"
    );
}

#[test]
fn a_pended_control_is_waited_for_with_the_handles_own_means() {
    let _turn = begin("UserLater", 0);
    for options in [SYNCHRONOUS, 0] {
        let file = open("UserLater", options);
        noted().clear();
        let outcome = file.device_control(LATER, &[], 16);
        assert_eq!((outcome.status, outcome.information), (STATUS_SUCCESS, 3));
        assert!(outcome.pended);
        // What pends is seen by who does not wait.
        assert_eq!(outcome.waits, options != 0);
        assert_eq!(noted()[0].user_event, options == 0);
        assert_eq!(
            noted()[0].flags & IRP_DEFER_IO_COMPLETION,
            0,
            "device controls are not deferred"
        );
    }
}

#[test]
fn an_outstanding_request_is_cancelled_alone() {
    let _turn = begin("UserHeld", 0);
    let file = open("UserHeld", 0);
    let mut first = file.start_device_control(HELD, &[], 0);
    let second = file.start_device_control(HELD, &[], 0);
    assert!(first.is_outstanding() && second.is_outstanding());
    assert_eq!(first.cancel(), STATUS_SUCCESS);
    assert_eq!(first.wait().status, STATUS_CANCELLED);
    assert!(second.is_outstanding());
    assert_eq!(file.cancel_io().status, STATUS_SUCCESS);
    assert_eq!(second.wait().status, STATUS_CANCELLED);
    assert_eq!(
        nt_cancel_io_file_ex(file.handle(), std::ptr::null_mut()),
        STATUS_NOT_FOUND
    );
}

#[test]
fn an_error_leaves_no_information() {
    let _turn = begin("UserRefused", 0);
    for options in [SYNCHRONOUS, 0] {
        let file = open("UserRefused", options);
        let outcome = file.device_control(REFUSED, &[1], 8);
        assert_eq!(
            (outcome.status, outcome.information),
            (STATUS_ACCESS_DENIED, 0)
        );
    }
}

#[test]
fn transfer_methods_follow_the_control_code() {
    let _turn = begin("UserMethods", 0);
    let file = open("UserMethods", SYNCHRONOUS);
    noted().clear();
    for method in 0..4 {
        file.device_control(0x0022_3000 | method, &[1, 2], 10);
    }
    let seen = noted().clone();
    let shape: Vec<(bool, bool, bool)> = seen
        .iter()
        .map(|noted| (noted.system_buffer, noted.mdl, noted.user_buffer))
        .collect();
    assert_eq!(
        shape,
        [
            (true, false, true),
            (true, true, false),
            (true, true, false),
            (false, false, true)
        ]
    );
}

#[test]
fn access_is_checked_at_the_handle() {
    let _turn = begin("UserAccess", 0);
    let path = "\\Device\\UserAccess\\x";
    let opened = create_file(
        &CreateParameters::new(path)
            .access(READ)
            .options(SYNCHRONOUS),
    );
    let file = opened.file.expect("a file");
    noted().clear();
    assert_eq!(file.write(Some(0), &[1]).status, STATUS_ACCESS_DENIED);
    let delete = file.set_information(FileDispositionInformation, &[1]);
    assert_eq!(delete.status, STATUS_ACCESS_DENIED);
    assert!(
        noted().is_empty(),
        "no driver sees what the handle does not allow"
    );
    let range = Range {
        offset: 0,
        length: 1,
        key: 0,
    };
    assert_eq!(file.lock(range, true, false).status, STATUS_SUCCESS);
    assert_eq!(u32::from(noted()[0].location_flags), SL_FAIL_IMMEDIATELY);
}

#[test]
fn extra_parameters_go_with_a_create_and_stay_their_owners() {
    let _turn = begin("UserExtra", 0);
    let list = ecp::new_list(0);
    let mut create = CreateParameters::new("\\Device\\UserExtra\\x").options(SYNCHRONOUS);
    create.open.extra_parameters = list;
    for _ in 0..2 {
        noted().clear();
        let file = create_file(&create).file.expect("a file");
        assert!(noted()[0].extra_parameters);
        assert_eq!(file.close().status, STATUS_SUCCESS);
    }
    // SAFETY: made above, and nobody has it.
    unsafe { ecp::free_list(list, 0) };
}

#[test]
fn a_process_that_closes_its_last_handle_gives_its_locks_back() {
    let _turn = begin("UserShared", 0);
    let file = open("UserShared", SYNCHRONOUS);
    let range = Range {
        offset: 0,
        length: 1,
        key: 0,
    };
    let seen = |file: &File| {
        noted().clear();
        let closed = file.run_program_with_it(r"\??\C:\a.exe", move |inherited| {
            let inherited = inherited.expect("a handle");
            let again = handle::duplicate(inherited.handle()).expect("another");
            assert_eq!(handle::close_handle(again), STATUS_SUCCESS);
            inherited.close().status
        });
        assert_eq!(closed, Ok(STATUS_SUCCESS));
        let all = noted().clone();
        all.iter()
            .map(|noted| (noted.major, noted.minor))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&file), [], "nobody has ever locked a byte");
    assert_eq!(file.lock(range, true, false).status, STATUS_SUCCESS);
    let unlock = (IRP_MJ_LOCK_CONTROL, IRP_MN_UNLOCK_ALL as u8);
    assert_eq!(
        seen(&file),
        [unlock],
        "once, by the last handle of the process"
    );
    noted().clear();
    assert_eq!(file.close().status, STATUS_SUCCESS);
    let majors: Vec<u32> = noted().iter().map(|noted| noted.major).collect();
    assert_eq!(majors, [IRP_MJ_CLEANUP, IRP_MJ_CLOSE]);
}

#[test]
fn wrong_arguments_never_reach_a_driver() {
    let _turn = begin("UserWrong", 0);
    let file = open("UserWrong", SYNCHRONOUS);
    noted().clear();
    assert_eq!(
        file.query_information(FileMaximumInformation, 64).status,
        STATUS_INVALID_INFO_CLASS
    );
    assert_eq!(
        file.query_information(FileBasicInformation, 8).status,
        STATUS_INFO_LENGTH_MISMATCH
    );
    assert_eq!(file.query_volume(99, 64).status, STATUS_INVALID_INFO_CLASS);
    assert!(noted().is_empty());
    let both = FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT;
    let refused = create_file(&CreateParameters::new("\\Device\\UserWrong\\x").options(both));
    assert_eq!(refused.outcome.status, STATUS_INVALID_PARAMETER);
    let missing = create_file(&CreateParameters::new("\\Device\\NoSuchDevice\\x"));
    assert!(!missing.outcome.is_success());
}

#[test]
fn a_query_on_an_asynchronous_handle_is_synchronous_all_the_same() {
    let _turn = begin("UserQuery", 0);
    let file = open("UserQuery", 0);
    noted().clear();
    let outcome = file.query_information(FileInternalInformation, 8);
    assert_eq!((outcome.status, outcome.data), (STATUS_SUCCESS, vec![7; 8]));
    let seen = noted().clone();
    assert_ne!(seen[0].flags & IRP_SYNCHRONOUS_API, 0);
    assert!(seen[0].user_event && seen[0].system_buffer);
}

#[test]
fn a_device_that_is_still_initializing_cannot_be_opened() {
    let _turn = begin("UserInitializing", DO_DEVICE_INITIALIZING);
    let (object, _) = namespace::lookup("\\Device\\UserInitializing").expect("the device");
    // SAFETY: the lookup referenced the device.
    unsafe {
        (*object.cast::<DEVICE_OBJECT>()).Flags |= DO_DEVICE_INITIALIZING;
        crate::processor::lifetime::dereference(object);
    }
    let refused = create_file(&CreateParameters::new("\\Device\\UserInitializing\\x"));
    assert_eq!(refused.outcome.status, STATUS_NO_SUCH_DEVICE);
}

#[test]
fn extended_attributes_and_quotas_go_as_the_device_takes_buffers() {
    for (name, flags) in [
        ("UserEaBuffered", DO_BUFFERED_IO),
        ("UserEaDirect", DO_DIRECT_IO),
        ("UserEaNeither", 0),
    ] {
        let _turn = begin(name, flags);
        let file = open(name, SYNCHRONOUS);
        noted().clear();
        let list = [0, 0, 0, 0, 0, 1, 2, 0, b'A', 0, 5, 5];
        assert_eq!(file.set_ea(&list).status, STATUS_SUCCESS, "{name}");
        let names = [0, 0, 0, 0, 1, b'A', 0];
        let asked = EaQuery {
            names: &names,
            index: Some(1),
            single_entry: true,
            restart: true,
        };
        let queried = file.query_ea(&asked, 100);
        assert_eq!(queried.data, [7; 100], "{name}");
        assert_eq!(file.set_quota(&[0; 64]).status, STATUS_SUCCESS, "{name}");
        assert_eq!(file.query_quota(100).data, [7; 100], "{name}");
        let seen = noted().clone();
        let majors: Vec<u32> = seen.iter().map(|noted| noted.major).collect();
        let expected = [
            IRP_MJ_SET_EA,
            IRP_MJ_QUERY_EA,
            IRP_MJ_SET_QUOTA,
            IRP_MJ_QUERY_QUOTA,
        ];
        assert_eq!(majors, expected, "{name}");
        for noted in &seen {
            assert_eq!(noted.system_buffer, flags == DO_BUFFERED_IO, "{name}");
            assert_eq!(noted.mdl, flags == DO_DIRECT_IO, "{name}");
        }
        let all = SL_RESTART_SCAN | SL_RETURN_SINGLE_ENTRY | SL_INDEX_SPECIFIED;
        assert_eq!(u32::from(seen[1].location_flags), all, "{name}");
    }
}

#[test]
fn lists_of_extended_attributes_are_checked_before_a_driver_sees_them() {
    let _turn = begin("UserEaWrong", DO_BUFFERED_IO);
    let file = open("UserEaWrong", SYNCHRONOUS);
    noted().clear();
    let second = 12;
    let mut list = vec![second, 0, 0, 0, 0, 1, 1, 0, b'A', 0, 5, 0];
    // A name of 9 bytes, of which none is there.
    list.extend([0, 0, 0, 0, 0, 9, 0, 0]);
    let set = file.set_ea(&list);
    let wrong = (STATUS_EA_LIST_INCONSISTENT, usize::from(second));
    assert_eq!((set.status, set.information), wrong);
    let mut block = IO_STATUS_BLOCK::default();
    let nobodys = std::ptr::without_provenance_mut(0x7FFC);
    let (bytes, length) = (list.as_ptr().cast(), list.len() as u32);
    // SAFETY: room for the answer, and the list with its length.
    let status = unsafe {
        crate::user::extended_attributes::nt_set_ea_file(nobodys, &raw mut block, bytes, length)
    };
    assert_eq!(status, STATUS_INVALID_HANDLE, "the handle comes first");
    let asked = EaQuery {
        names: &[0, 0, 0],
        ..EaQuery::default()
    };
    assert_eq!(
        file.query_ea(&asked, 100).status,
        STATUS_EA_LIST_INCONSISTENT
    );
    assert!(noted().is_empty());
}
