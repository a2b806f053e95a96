//! FsFilter callbacks: section synchronization, cache-manager flush, modified page writer, queries
//! by name (F3).
//!
//! They replace the six fast I/O entries that do not reach filters (F1). Every
//! pre-callback allows the operation, every post-callback leaves it alone. The
//! filter sees them as it sees calls of fast I/O: what it keeps of an operation
//! that it observes travels in the completion context, and without memory for
//! that the operation passes unobserved (P2).
//!
//! The post-callback is called for each operation whose pre-callback was, whatever the context is, when the file
//! system has acquired what it was asked for: that can take long. Where the driver may be unloaded it is inside
//! from the one callback to the other, also if nobody observes (A12), and one that comes when nobody enters any more
//! passes through.
//!
//! Wraps `FsRtlRegisterFileSystemFilterCallbacks`, whose page defines the structures.

#![expect(unsafe_code, reason = "the callbacks are called by the system")]

use crate::device::{FilterDevice, Kind, kind_of};
use crate::driver::filter::Filter;
use crate::driver::state::Driver;
use crate::fast_io::call::FastIoCall;
use crate::irp::Came;
use crate::irql::AtMostApc;
use crate::pool::NonPagedBox;
use crate::slot::DRIVER;
use crate::status::Status;
use core::ffi::c_void;
use core::ptr::NonNull;
use wdk_sys::{
    DRIVER_OBJECT, FS_FILTER_CALLBACK_DATA, FS_FILTER_CALLBACKS, NTSTATUS, PFS_FILTER_CALLBACK_DATA,
};

/// `FS_FILTER_ACQUIRE_FOR_SECTION_SYNCHRONIZATION`, the first of the operations, which are counted downwards.
const ACQUIRE_FOR_SECTION_SYNCHRONIZATION: u8 = 0xFF;
/// `FS_FILTER_ACQUIRE_FOR_MOD_WRITE`.
const ACQUIRE_FOR_MOD_WRITE: u8 = 0xFD;
/// `FS_FILTER_QUERY_OPEN`, the last of them.
const QUERY_OPEN: u8 = 0xF9;

/// Registers all pairs for a driver. IRQL: PASSIVE_LEVEL.
///
/// Errors: STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER.
///
/// # Safety
/// `driver` is the calling driver's own object.
pub(crate) unsafe fn register<F: Filter>(driver: *mut DRIVER_OBJECT) -> Result<(), Status> {
    let mut callbacks = FS_FILTER_CALLBACKS {
        SizeOfFsFilterCallbacks: size_of::<FS_FILTER_CALLBACKS>() as u32,
        PreAcquireForSectionSynchronization: Some(allow::<F>),
        PostAcquireForSectionSynchronization: Some(ended::<F>),
        PreReleaseForSectionSynchronization: Some(allow::<F>),
        PostReleaseForSectionSynchronization: Some(ended::<F>),
        PreAcquireForCcFlush: Some(allow::<F>),
        PostAcquireForCcFlush: Some(ended::<F>),
        PreReleaseForCcFlush: Some(allow::<F>),
        PostReleaseForCcFlush: Some(ended::<F>),
        PreAcquireForModifiedPageWriter: Some(allow::<F>),
        PostAcquireForModifiedPageWriter: Some(ended::<F>),
        PreReleaseForModifiedPageWriter: Some(allow::<F>),
        PostReleaseForModifiedPageWriter: Some(ended::<F>),
        PreQueryOpen: Some(allow::<F>),
        PostQueryOpen: Some(ended::<F>),
        Reserved: 0,
    };
    // SAFETY: contract of the function; the system copies the structure.
    Status(unsafe {
        wdk_sys::ntddk::FsRtlRegisterFileSystemFilterCallbacks(driver, &raw mut callbacks)
    })
    .into_result()
}

/// An operation that is observed.
struct Observed<F: Filter> {
    observation: F::FastIo,
    driver: &'static Driver<F>,
}

/// The context of an operation that is not observed, and has entered the driver: no address of an [`Observed`],
/// which is aligned.
const ENTERED: *mut c_void = core::ptr::without_provenance_mut(1);

/// The context of one that came when nobody entered the driver any more.
const PASSES: *mut c_void = core::ptr::without_provenance_mut(2);

/// PFS_FILTER_CALLBACK: STATUS_SUCCESS lets the operation go on. IRQL: ≤ APC_LEVEL.
unsafe extern "C" fn allow<F: Filter>(
    data: PFS_FILTER_CALLBACK_DATA,
    context: *mut *mut c_void,
) -> NTSTATUS {
    // SAFETY: the data of the operation, alive until the callback returns.
    let data = unsafe { &*data };
    // SAFETY: the device of this driver in the stack of the file.
    let (asked, unobserved) = match unsafe { kind_of(data.DeviceObject) } {
        Kind::Control | Kind::Unfinished => (false, core::ptr::null_mut()),
        Kind::Filter => (true, core::ptr::null_mut()),
        Kind::CountedFilter => match DRIVER.enter() {
            Some(inside) => {
                // Until `ended`.
                inside.keep();
                (true, ENTERED)
            }
            None => {
                // Until `ended`.
                DRIVER.pass().keep();
                (false, PASSES)
            }
        },
    };
    let observed = if asked {
        // SAFETY: as above: it begins, at a filter device, and has entered a driver that may be unloaded.
        unsafe { begins::<F>(data) }
    } else {
        None
    };
    let observed = observed.map_or(unobserved, |observed| observed.into_raw().as_ptr().cast());
    // SAFETY: a place for the context, which the post-callback is given.
    unsafe { context.write(observed) };
    Status::SUCCESS.0
}

/// What is kept of an operation, if it is observed.
///
/// # Safety
/// The data of an operation that begins, in its pre-callback, at a filter device; one of a driver that may be
/// unloaded has been entered.
unsafe fn begins<F: Filter>(data: &FS_FILTER_CALLBACK_DATA) -> Option<NonPagedBox<Observed<F>>> {
    // SAFETY: contract of the function; it stays during the callback.
    let device = unsafe { FilterDevice::<F>::from_raw(data.DeviceObject) };
    // SAFETY: the driver's state, which stays as long as somebody is inside, and for good where nobody is counted.
    let driver: &'static Driver<F> = unsafe { &*device.driver_ptr() };
    if !F::observes_fast_io(driver) {
        return None;
    }
    // SAFETY: FsFilter callbacks are called at or below APC_LEVEL.
    let level = unsafe { AtMostApc::assumed() };
    let call = || FastIoCall {
        entry: FastIoCall::FIRST_FILTER_OPERATION
            + (ACQUIRE_FOR_SECTION_SYNCHRONIZATION - data.Operation.max(QUERY_OPEN)),
        file: data.FileObject as u64,
        // SAFETY: contract of the function.
        numbers: unsafe { numbers(data) },
    };
    let observation = F::fast_io_begins(device, call, level)?;
    match NonPagedBox::try_uninit() {
        Ok(room) => Some(NonPagedBox::write(
            room,
            Observed {
                observation,
                driver,
            },
        )),
        Err(_) => {
            F::fast_io_forgotten(driver, observation);
            None
        }
    }
}

/// What is asked for: type and page protection of a section, where what is written ends, class and length
/// of a query; 0 where there is nothing.
///
/// # Safety
/// As [`begins`].
unsafe fn numbers(data: &FS_FILTER_CALLBACK_DATA) -> [u64; 2] {
    match data.Operation {
        ACQUIRE_FOR_SECTION_SYNCHRONIZATION => {
            // SAFETY: the operation selects this member.
            let section = unsafe { data.Parameters.AcquireForSectionSynchronization };
            [section.SyncType as u64, section.PageProtection.into()]
        }
        ACQUIRE_FOR_MOD_WRITE => {
            // SAFETY: the operation selects this member.
            let write = unsafe { data.Parameters.AcquireForModifiedPageWriter };
            // SAFETY: null, or of the writer, until the operation is over.
            let end = unsafe { write.EndingOffset.as_ref() };
            // SAFETY: a union of integers.
            [
                end.map_or(0, |end| unsafe { end.QuadPart }.cast_unsigned()),
                0,
            ]
        }
        QUERY_OPEN => {
            // SAFETY: the operation selects this member.
            let query = unsafe { data.Parameters.QueryOpen };
            // SAFETY: null, or of the sender, until the operation is over.
            let length = unsafe { query.Length.as_ref() };
            let length = length.map_or(0, |length| (*length).into());
            [query.FileInformationClass as u64, length]
        }
        _ => [0, 0],
    }
}

/// PFS_FILTER_COMPLETION_CALLBACK. IRQL: ≤ APC_LEVEL.
unsafe extern "C" fn ended<F: Filter>(
    _data: PFS_FILTER_CALLBACK_DATA,
    status: NTSTATUS,
    context: *mut c_void,
) {
    let Some(observed) = NonNull::new(context) else {
        return;
    };
    if context == PASSES {
        return DRIVER.has_passed();
    }
    let counted = if context == ENTERED {
        true
    } else {
        // SAFETY: put there by `allow`, and taken back once: the post-callback is called once.
        let observed = unsafe { NonPagedBox::<Observed<F>>::from_raw(observed.cast()) };
        let Observed {
            observation,
            driver,
        } = observed.into_inner();
        // SAFETY: FsFilter callbacks are called at or below APC_LEVEL.
        let level = unsafe { AtMostApc::assumed() };
        F::fast_io_ends(driver, observation, &Came::with(Status(status)), level);
        driver.can_unload()
    };
    if counted {
        // SAFETY: ends what `allow` began for this operation.
        unsafe { DRIVER.leave() }
    }
}
