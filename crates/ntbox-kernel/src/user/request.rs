//! What all services share: from the handle to the request, and the way it is
//! sent and waited for (`IopSynchronousServiceTail`, `IopSynchronousApiServiceTail`).
//!
//! Source of the order of steps: the DDI reference of the `Nt*` routines and of
//! `IoCompleteRequest`, "Synchronous and asynchronous I/O" in the driver
//! documentation, and the flags of `IRP` in `wdm.h`/`ntifs.h`.

#![expect(
    unsafe_code,
    reason = "requests and file objects are shared with drivers by pointer"
)]

use super::outcome;
use crate::io_manager::{call, complete, device, early_cancel, file, irp};
use crate::io_manager::{counters, identity};
use crate::nt::{
    DEVICE_OBJECT, FAST_IO_DISPATCH, FILE_OBJECT, FO_SYNCHRONOUS_IO, HANDLE, IO_STACK_LOCATION,
    IO_STATUS_BLOCK, IRP, IRP_DEFER_IO_COMPLETION, IRP_PAGING_IO, IRP_SYNCHRONOUS_API, IrpExt,
    KEVENT, NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_PENDING,
};
use crate::processor::object::{self, Kind};
use crate::processor::{dispatcher, thread};
use crate::processor::{handle, lifetime};
use std::ffi::c_void;
use std::ptr::null_mut;

/// A service call on an open file: it holds a reference on the file object.
pub(super) struct FileCall {
    file: *mut FILE_OBJECT,
    device: *mut DEVICE_OBJECT,
    locked: bool,
    mode: i8,
    _identity: identity::Call,
}

impl FileCall {
    /// Finds the file behind `handle`. A user-mode caller needs one of the rights in
    /// `any_of` (none if zero), as `ObReferenceObjectByHandle` checks it.
    pub(super) fn on(handle: HANDLE, any_of: u32) -> Result<Self, NTSTATUS> {
        outcome::begin();
        let identity = identity::begin();
        let body = handle::object_of_handle(handle)?;
        // SAFETY: an open handle's object is alive.
        if unsafe { object::kind_of(body) } != Some(Kind::File) {
            return Err(STATUS_OBJECT_TYPE_MISMATCH);
        }
        let mode = thread::previous_mode();
        if mode != 0 && any_of != 0 && handle::access_of_handle(handle)? & any_of == 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        // SAFETY: as above.
        unsafe { lifetime::reference(body) };
        let file: *mut FILE_OBJECT = body.cast();
        // SAFETY: a live file object.
        let device = unsafe { file::related_device(file) };
        Ok(Self {
            file,
            device,
            locked: false,
            mode,
            _identity: identity,
        })
    }

    /// The file object.
    pub(super) fn file(&self) -> *mut FILE_OBJECT {
        self.file
    }
    /// The top of the stack the request goes to.
    pub(super) fn device(&self) -> *mut DEVICE_OBJECT {
        self.device
    }
    /// Previous mode of the caller.
    pub(super) fn mode(&self) -> i8 {
        self.mode
    }
    /// The handle was opened for synchronous I/O.
    pub(super) fn is_synchronous(&self) -> bool {
        self.has_flag(FO_SYNCHRONOUS_IO)
    }
    /// `FILE_OBJECT.Flags` has `flag`.
    pub(super) fn has_flag(&self, flag: u32) -> bool {
        // SAFETY: this call holds a reference on the file object.
        (unsafe { (*self.file).Flags }) & flag != 0
    }
    /// `Flags` of the device the request goes to.
    pub(super) fn device_flags(&self) -> u32 {
        // SAFETY: the file object keeps its stack.
        unsafe { (*self.device).Flags }
    }

    /// A synchronous file's lock is taken; requests on it run one after the other.
    pub(super) fn lock(&mut self) -> Result<(), NTSTATUS> {
        if self.is_synchronous() && !self.locked {
            // SAFETY: this call holds a reference on the file object.
            let status = unsafe { file::acquire_lock(self.file) };
            if status != 0 {
                return Err(status);
            }
            self.locked = true;
        }
        Ok(())
    }

    /// The fast I/O entry of the top driver that `select` names, if its table has it.
    pub(super) fn fast_io<T: Copy>(&self, select: fn(&FAST_IO_DISPATCH) -> Option<T>) -> Option<T> {
        // SAFETY: the file object of this call keeps its stack.
        unsafe { device::fast_io_of(self.device, select) }
    }

    /// A new request with what every service puts into it. The major function and the file are in the next location.
    pub(super) fn new_request(
        &self,
        major: u32,
        flags: u32,
        iosb: *mut IO_STATUS_BLOCK,
        user_event: *mut KEVENT,
    ) -> Result<Request, NTSTATUS> {
        // SAFETY: this call holds a reference on the file object.
        let event = unsafe { &raw mut (*self.file).Event };
        // SAFETY: as above; the event is part of the object.
        unsafe { dispatcher::clear_event(event) };
        let mut request = Request::allocate(self.device, self.mode)?;
        let irp = request.header();
        irp.Flags = flags;
        irp.Anonymous.UserIosb = iosb;
        irp.UserEvent = user_event;
        irp.Tail.Overlay.OriginalFileObject = self.file;
        let file = self.file;
        let location = request.location();
        location.MajorFunction = major as u8;
        location.FileObject = file;
        Ok(request)
    }

    /// Sends the request and waits if the file is synchronous. With `deferred` the second
    /// stage of completion is left to this thread when the stack did not pend the request
    /// (`IRP_DEFER_IO_COMPLETION`).
    pub(super) fn send(mut self, mut request: Request, deferred: bool) -> NTSTATUS {
        let synchronous = self.is_synchronous();
        debug_assert!(
            !synchronous || self.locked,
            "a synchronous file's requests run under its lock"
        );
        if deferred {
            request.header().Flags |= IRP_DEFER_IO_COMPLETION;
        }
        if synchronous {
            outcome::note_waits();
        }
        self.give_reference();
        let (irp, mut status) = request.send(self.device);
        if deferred && status != STATUS_PENDING {
            // SAFETY: the stack has completed the request and left its second stage to us.
            unsafe { complete::finish_synchronously(irp) };
        }
        thread::deliver_apcs();
        if synchronous && status == STATUS_PENDING {
            // SAFETY: this call holds a reference on the file object.
            let event = unsafe { &raw mut (*self.file).Event };
            wait_for(event);
            // SAFETY: as above.
            status = unsafe { (*self.file).FinalStatus };
        }
        self.unlock();
        status
    }

    /// Sends a request of a service that is synchronous whatever the handle is: on an
    /// asynchronous handle it waits on an event of its own (`IRP_SYNCHRONOUS_API`).
    /// `result` is the caller's block, which is written at the end.
    ///
    /// # Safety
    /// `result` is valid.
    pub(super) unsafe fn send_and_wait(
        mut self,
        mut request: Request,
        deferred: bool,
        result: *mut IO_STATUS_BLOCK,
    ) -> NTSTATUS {
        outcome::note_waits();
        let mut iosb = Box::new(IO_STATUS_BLOCK::default());
        request.header().Anonymous.UserIosb = &raw mut *iosb;
        if self.is_synchronous() {
            let status = self.send(request, deferred);
            // SAFETY: contract.
            unsafe { result.write(*iosb) };
            return status;
        }
        let mut event = Box::new(KEVENT::default());
        // SAFETY: memory of this function, which outlives the request because it waits.
        unsafe { dispatcher::initialize_event(&raw mut *event, false, false) };
        request.header().UserEvent = &raw mut *event;
        request.header().Flags |= IRP_SYNCHRONOUS_API;
        self.give_reference();
        let (_, mut status) = request.send(self.device);
        thread::deliver_apcs();
        if status == STATUS_PENDING {
            wait_for(&raw mut *event);
            // SAFETY: the second stage wrote it before it signaled the event.
            status = unsafe { iosb.Anonymous.Status };
        }
        self.unlock();
        // SAFETY: contract.
        unsafe { result.write(*iosb) };
        status
    }

    /// The request takes over a reference on the file object; completion drops it.
    fn give_reference(&self) {
        // SAFETY: this call holds a reference itself.
        unsafe { lifetime::reference(self.file.cast()) };
    }

    fn unlock(&mut self) {
        if self.locked {
            self.locked = false;
            // SAFETY: taken in `lock`, and this call still holds its reference.
            unsafe { file::release_lock(self.file) };
        }
    }
}

impl Drop for FileCall {
    fn drop(&mut self) {
        self.unlock();
        // SAFETY: the reference taken in `on`.
        unsafe { lifetime::dereference(self.file.cast()) };
    }
}

/// A service that waits for its request, of `major` on `handle`, which needs one of the rights in `any_of`: `prepare`
/// says what the request carries.
///
/// # Safety
/// `iosb` is valid.
pub(super) unsafe fn ask(
    handle: HANDLE,
    any_of: u32,
    major: u32,
    iosb: *mut IO_STATUS_BLOCK,
    prepare: impl FnOnce(&FileCall, &mut Request) -> Result<(), NTSTATUS>,
) -> NTSTATUS {
    let asked = || {
        let mut call = FileCall::on(handle, any_of)?;
        call.lock()?;
        let mut request = call.new_request(major, 0, null_mut(), null_mut())?;
        prepare(&call, &mut request)?;
        let deferred = call.is_synchronous();
        // SAFETY: contract.
        Ok(unsafe { call.send_and_wait(request, deferred, iosb) })
    };
    asked().unwrap_or_else(|status: NTSTATUS| status)
}

/// A request that was not sent yet.
pub(super) struct Request {
    irp: *mut IRP,
}

impl Request {
    /// A request for the stack of `device`, of the current thread.
    pub(super) fn allocate(device: *mut DEVICE_OBJECT, mode: i8) -> Result<Self, NTSTATUS> {
        // SAFETY: the caller's file object keeps the stack.
        let irp = irp::allocate(unsafe { (*device).StackSize });
        if irp.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        // SAFETY: a new request.
        unsafe { irp::set_identity(irp, identity::current()) };
        // SAFETY: as above.
        unsafe { irp.set_thread(thread::current().object()) };
        let mut request = Self { irp };
        request.header().RequestorMode = mode;
        Ok(request)
    }

    /// The fixed part of the request.
    pub(super) fn header(&mut self) -> &mut IRP {
        // SAFETY: not sent yet, so nobody else knows it.
        unsafe { &mut *self.irp }
    }

    /// The location of the first driver.
    pub(super) fn location(&mut self) -> &mut IO_STACK_LOCATION {
        // SAFETY: a live request.
        let next = unsafe { self.irp.next_location() };
        // SAFETY: a new request has at least one location; not sent yet.
        unsafe { &mut *next }
    }

    /// The request itself, for routines that take the pointer.
    pub(super) fn pointer(&mut self) -> *mut IRP {
        self.irp
    }

    /// Sends it. The pointer is only good for the second stage of a deferred completion.
    pub(super) fn send(mut self, device: *mut DEVICE_OBJECT) -> (*mut IRP, NTSTATUS) {
        let major = self.location().MajorFunction;
        let flags = self.header().Flags;
        identity::asks_for(major);
        let irp = self.irp;
        std::mem::forget(self);
        // SAFETY: a complete request for this stack; it is not touched afterwards except by contract.
        let send = || unsafe { call::call_driver(device, irp, 0) };
        // Those of paging are freed by whoever completes them.
        let status = if flags & IRP_PAGING_IO == 0 {
            // SAFETY: a request of this thread.
            unsafe { early_cancel::during(irp, send) }
        } else {
            send()
        };
        counters::irp(major, status);
        outcome::note_returned(status);
        (irp, status)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // The service failed before it sent the request: its buffers go with it.
        super::buffers::release(self.irp);
        // SAFETY: never sent.
        unsafe { irp::free(self.irp, 0) };
    }
}

/// The status in a block that completion has written.
pub(super) fn status_of(block: &IO_STATUS_BLOCK) -> NTSTATUS {
    // SAFETY: both members of the union are plain integers or pointers.
    unsafe { block.Anonymous.Status }
}

/// Waits for ever; the wait delivers the APC that finishes the request.
pub(super) fn wait_for(event: *mut KEVENT) {
    // SAFETY: the caller keeps the event alive.
    unsafe { dispatcher::wait(&[event.cast::<c_void>()], false, None, false) };
}

/// `NtClose`: at a file's last handle IRP_MJ_CLEANUP, at its last reference IRP_MJ_CLOSE.
pub fn nt_close(handle: HANDLE) -> NTSTATUS {
    outcome::begin();
    let _identity = identity::begin();
    let status = handle::close_handle(handle);
    thread::deliver_apcs();
    status
}
