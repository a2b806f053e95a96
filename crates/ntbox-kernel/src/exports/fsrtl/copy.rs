//! Fast I/O of a file that the cache manager keeps, for a driver that has files of its own; and the thread that goes on
//! where the stack would not suffice.
//!
//! Source: `FsRtlCopyRead`, `FsRtlCopyWrite`, `FsRtlPostStackOverflow`, FSRTL_COMMON_FCB_HEADER in the DDI reference.
//! What may be refused is refused where FASTFAT's own header says so: behind the allocation, and where a file is written
//! through.

#![expect(unsafe_code, reason = "called by drivers in the Windows convention")]

use crate::exports::cc::copy;
use crate::exports::ex::resource;
use crate::io_manager::{device, file as files};
use crate::nt::{
    DEVICE_OBJECT, FILE_OBJECT, FO_FILE_FAST_IO_READ, FO_FILE_MODIFIED, FO_FILE_SIZE_CHANGED,
    FO_WRITE_THROUGH, FSRTL_COMMON_FCB_HEADER, IO_STATUS_BLOCK, KEVENT, NTSTATUS,
    STATUS_END_OF_FILE, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
};
use crate::pool::failure;
use crate::processor::driver_code::entering;
use crate::processor::top_level::{self, Component};
use crate::processor::{exception, irql, thread, work};
use crate::user::cache;
use std::ffi::c_void;

/// `FAST_IO_POSSIBLE`.
mod possible {
    pub const NOT: u8 = 0;
    pub const QUESTIONABLE: u8 = 2;
}

/// A call of fast I/O.
struct Call {
    file: *mut FILE_OBJECT,
    offset: i64,
    length: u32,
    wait: bool,
    key: u32,
    buffer: *mut c_void,
    device: *mut DEVICE_OBJECT,
    caller: usize,
}

impl Call {
    fn header(&self) -> *mut FSRTL_COMMON_FCB_HEADER {
        // SAFETY: the driver's file, whose context begins with a header.
        unsafe { (*self.file).FsContext }.cast()
    }

    fn end(&self) -> i64 {
        self.offset.saturating_add(self.length.into())
    }

    /// Does it in a critical region with the file's resource; false where it would have to wait for that and may not.
    fn with_resource(&self, exclusive: bool, act: impl FnOnce() -> bool) -> bool {
        // SAFETY: the driver's header.
        let main = unsafe { (*self.header()).Resource }.cast();
        thread::enter_critical_region();
        let acquire = if exclusive {
            resource::acquire_exclusive
        } else {
            resource::acquire_shared
        };
        // SAFETY: the driver's resource.
        let done = unsafe { acquire(main, self.wait.into(), self.caller) } != 0 && {
            let done = top_level::below(Component::FastIo, act);
            // SAFETY: as above.
            unsafe { resource::release(main, self.caller) };
            done
        };
        thread::leave_critical_region_for(self.caller);
        done
    }

    /// Whether the header, and where that is in doubt the file system, allow it.
    fn is_possible(&self, reads: bool) -> bool {
        // SAFETY: the driver's file and header, here and below.
        let is_cached = !unsafe { (*self.file).PrivateCacheMap }.is_null();
        // SAFETY: as above.
        match unsafe { (*self.header()).IsFastIoPossible } {
            _ if !is_cached => false,
            possible::NOT => false,
            possible::QUESTIONABLE => self.is_allowed(reads),
            _ => true,
        }
    }

    fn is_allowed(&self, reads: bool) -> bool {
        // SAFETY: the driver's file.
        let related = unsafe { files::related_device(self.file) };
        // SAFETY: the file keeps it.
        let routine = unsafe { device::fast_io_of(related, |table| table.FastIoCheckIfPossible) };
        let Some(routine) = routine else { return false };
        let mut block = IO_STATUS_BLOCK::default();
        let mut offset = self.offset;
        // SAFETY: the driver's routine, with what it was called for.
        let answer = unsafe {
            entering(routine)(
                self.file,
                &raw mut offset,
                self.length,
                self.wait.into(),
                self.key,
                reads.into(),
                &raw mut block,
                self.device,
            )
        };
        answer != 0
    }

    /// Sets bits of the file object's flags.
    fn mark(&self, flags: u32) {
        // SAFETY: the driver's file, whose resource is held.
        unsafe { (*self.file).Flags |= flags };
    }

    /// Ends it: where the file is positioned then, if it keeps a position.
    fn ended(&self, count: usize) {
        // SAFETY: the driver's file, whose resource is held.
        unsafe { (*self.file).CurrentByteOffset = self.offset.saturating_add(count as i64) };
    }
}

/// # Safety
/// The driver's block.
unsafe fn answer(block: *mut IO_STATUS_BLOCK, status: NTSTATUS, count: usize) -> u8 {
    let mut result = IO_STATUS_BLOCK::default();
    result.Anonymous.Status = status;
    result.Information = count;
    // SAFETY: contract.
    unsafe { block.write(result) };
    1
}

/// `FsRtlCopyRead`.
pub unsafe extern "win64" fn copy_read(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    wait: u8,
    key: u32,
    buffer: *mut c_void,
    block: *mut IO_STATUS_BLOCK,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> u8 {
    irql::require("FsRtlCopyRead", caller);
    let call = Call {
        file,
        // SAFETY: the driver's pointer.
        offset: unsafe { *offset },
        length,
        wait: wait != 0,
        key,
        buffer,
        device,
        caller,
    };
    if length == 0 {
        // SAFETY: the driver's block, here and below.
        return unsafe { answer(block, STATUS_SUCCESS, 0) };
    }
    let done = call.with_resource(false, || {
        if !call.is_possible(true) {
            return false;
        }
        // SAFETY: the driver's header.
        let left = unsafe { (*call.header()).FileSize } - call.offset;
        if left <= 0 {
            // SAFETY: as above.
            return unsafe { answer(block, STATUS_END_OF_FILE, 0) } != 0;
        }
        let part = call.offset.cast_unsigned()..call.end().min(call.offset + left).cast_unsigned();
        // SAFETY: the driver's file, and a buffer for more than that.
        match unsafe { copy::read(file, &part, call.wait, buffer) } {
            Ok(Some(count)) => {
                call.mark(FO_FILE_FAST_IO_READ);
                call.ended(count);
                // SAFETY: as above.
                unsafe { answer(block, STATUS_SUCCESS, count) != 0 }
            }
            // What has failed is asked for again by a request.
            Ok(None) | Err(_) => false,
        }
    });
    done.into()
}

/// `FsRtlCopyWrite`.
pub unsafe extern "win64" fn copy_write(
    file: *mut FILE_OBJECT,
    offset: *const i64,
    length: u32,
    wait: u8,
    key: u32,
    buffer: *mut c_void,
    block: *mut IO_STATUS_BLOCK,
    device: *mut DEVICE_OBJECT,
    caller: usize,
) -> u8 {
    irql::require("FsRtlCopyWrite", caller);
    let call = Call {
        file,
        // SAFETY: the driver's pointer.
        offset: unsafe { *offset },
        length,
        wait: wait != 0,
        key,
        buffer,
        device,
        caller,
    };
    // SAFETY: the driver's file.
    if unsafe { (*file).Flags } & FO_WRITE_THROUGH != 0 {
        return 0;
    }
    if length == 0 {
        // SAFETY: the driver's block.
        return unsafe { answer(block, STATUS_SUCCESS, 0) };
    }
    // SAFETY: the driver's header, here and below.
    let extends = call.end() > unsafe { (*call.header()).FileSize };
    let done = call.with_resource(extends, || call.is_possible(false) && write(&call, block));
    done.into()
}

/// Writes, with the resource held: exclusively, if the file becomes longer.
fn write(call: &Call, block: *mut IO_STATUS_BLOCK) -> bool {
    let header = call.header();
    // SAFETY: the driver's header, here and below.
    let allocated = unsafe { (*header).AllocationSize };
    // SAFETY: as above.
    let size = unsafe { (*header).FileSize };
    // A hole is for the file system to fill.
    if call.offset < 0 || call.offset > size || call.end() > allocated {
        return false;
    }
    // SAFETY: the driver's file.
    let stream = unsafe { (*call.file).SectionObjectPointer }.addr();
    let extends = call.end() > size;
    if extends {
        // SAFETY: as above; the resource is held exclusively.
        unsafe { (*header).FileSize = call.end() };
        cache::set_size(stream, call.end().cast_unsigned());
    }
    let part = call.offset.cast_unsigned()..call.end().cast_unsigned();
    // SAFETY: the driver's file and buffer.
    match unsafe { copy::write(call.file, &part, call.wait, call.buffer) } {
        Ok(true) => {}
        Ok(false) | Err(_) => {
            if extends {
                // SAFETY: as above.
                unsafe { (*header).FileSize = size };
                cache::set_size(stream, size.cast_unsigned());
            }
            return false;
        }
    }
    if extends {
        // SAFETY: as above.
        unsafe { (*header).ValidDataLength = call.end() };
    }
    call.mark(FO_FILE_MODIFIED | if extends { FO_FILE_SIZE_CHANGED } else { 0 });
    call.ended(call.length as usize);
    // SAFETY: the driver's block.
    unsafe { answer(block, STATUS_SUCCESS, call.length as usize) != 0 }
}

/// `FSRTL_STACK_OVERFLOW_ROUTINE`.
type StackOverflowRoutine = unsafe extern "win64" fn(*mut c_void, *mut KEVENT);

/// `FsRtlPostStackOverflow`: in a thread of the system, whose stack is empty.
pub unsafe extern "win64" fn post_stack_overflow(
    context: *mut c_void,
    event: *mut KEVENT,
    routine: StackOverflowRoutine,
    caller: usize,
) {
    const DDI: &str = "FsRtlPostStackOverflow";
    irql::require(DDI, caller);
    if failure::should_fail(caller) {
        exception::raise(DDI, STATUS_INSUFFICIENT_RESOURCES);
        return;
    }
    let (context, event) = (context.expose_provenance(), event.expose_provenance());
    let item = move || {
        let context = std::ptr::with_exposed_provenance_mut(context);
        let event = std::ptr::with_exposed_provenance_mut(event);
        // SAFETY: the driver's routine, which it has asked to be called so.
        unsafe { entering(routine)(context, event) };
    };
    work::queue_for(routine as usize, Box::new(item));
}
