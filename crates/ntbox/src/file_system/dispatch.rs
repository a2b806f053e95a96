//! Dispatch routines: one for each major function, the same for every device.
//!
//! A request that names an open file goes to its volume; one without goes to the
//! control device. Each routine takes the parameters out of the stack location,
//! calls the volume, and says how to complete; [`super::pending`] does the rest.

#![expect(unsafe_code, reason = "requests are read by pointer")]

use super::context::{self, Mounted};
use super::control::LockRequest;
use super::data::{END_OF_FILE, Transfer};
use super::directory::Query;
use super::pending::{self, Work, Worked};
use super::rename::Target;
use super::volume::{Object, OpenId};
use super::waiting::{Effects, Outcome, Reply, Ticket};
use super::{buffers, hostfs, opening};
use crate::io_manager::{call, complete, device as devices, irp as requests};
use crate::nt::routines::DriverRoutines;
use crate::nt::*;
use crate::processor::thread;
use std::sync::atomic::{AtomicU32, Ordering};

/// Enters the routine for every major function.
pub fn enter(driver: &mut DRIVER_OBJECT) {
    for major in 0..MAJOR_FUNCTION_COUNT {
        driver.set_dispatch(major as u8, dispatch);
    }
}

unsafe extern "win64" fn dispatch(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a request for this device.
    let location = unsafe { irp.current_location() };
    // SAFETY: as above.
    let (major, file) = unsafe { (u32::from((*location).MajorFunction), (*location).FileObject) };
    if major == IRP_MJ_CREATE {
        // SAFETY: as above.
        return unsafe { pending::run(device, irp, opening::create) };
    }
    // SAFETY: a request's file object is alive and of this device.
    let Some((mounted, open)) = (unsafe { context::of_file(file) }) else {
        // SAFETY: as above.
        return unsafe { hostfs::control_device(device, irp, major) };
    };
    let work: Work = match major {
        IRP_MJ_CLEANUP => cleanup,
        IRP_MJ_CLOSE => close,
        IRP_MJ_READ => read,
        IRP_MJ_WRITE => write,
        IRP_MJ_QUERY_INFORMATION => query_information,
        IRP_MJ_SET_INFORMATION => set_information,
        IRP_MJ_QUERY_VOLUME_INFORMATION => query_volume,
        IRP_MJ_SET_VOLUME_INFORMATION => set_volume,
        IRP_MJ_DIRECTORY_CONTROL => directory_control,
        IRP_MJ_LOCK_CONTROL => lock_control,
        IRP_MJ_FILE_SYSTEM_CONTROL => file_system_control,
        IRP_MJ_FLUSH_BUFFERS => flush,
        IRP_MJ_QUERY_SECURITY => query_security,
        IRP_MJ_SET_SECURITY => set_security,
        IRP_MJ_QUERY_EA | IRP_MJ_SET_EA => no_extended_attributes,
        IRP_MJ_SHUTDOWN => succeed,
        // The storage stack's business, but only of the volume: a file is no device.
        IRP_MJ_DEVICE_CONTROL | IRP_MJ_INTERNAL_DEVICE_CONTROL | IRP_MJ_PNP if passes_down(mounted, open) => {
            // SAFETY: as above; a request that is passed on is not put off first.
            return unsafe { pass_down(mounted.storage(), irp) };
        }
        _ => refuse,
    };
    // SAFETY: as above.
    unsafe { pending::run(device, irp, work) }
}

fn passes_down(mounted: &Mounted, open: OpenId) -> bool {
    let volume = mounted.volume.state().file_of(open).is_ok_and(|file| matches!(file.object, Object::Volume));
    volume && !mounted.storage().is_null()
}

/// Sends the request on to the storage stack, with this location skipped.
///
/// # Safety
/// `irp` is the dispatch routine's, `storage` a storage device.
pub unsafe fn pass_down(storage: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: contract.
    let top = unsafe { devices::top_of_stack(storage) };
    // SAFETY: contract.
    unsafe { requests::skip(irp) };
    // SAFETY: contract.
    unsafe { call::call_driver(top, irp, 0) }
}

/// A request's file, for the routines below: `dispatch` has found it before it calls them.
struct Request {
    irp: *mut IRP,
    location: &'static IO_STACK_LOCATION,
    file: *mut FILE_OBJECT,
    mounted: &'static Mounted,
    open: OpenId,
}

impl Request {
    /// # Safety
    /// `irp` is the caller's until it is completed, and its file object is open.
    unsafe fn new(irp: *mut IRP) -> Result<Self, Worked> {
        // SAFETY: contract. The location is not used after completion.
        let location = unsafe { &*irp.current_location() };
        let file = location.FileObject;
        // SAFETY: contract.
        let found = unsafe { context::of_file(file) };
        let (mounted, open) = found.ok_or(Worked::Done(STATUS_INVALID_HANDLE, 0))?;
        Ok(Self { irp, location, file, mounted, open })
    }
    fn header(&self) -> &IRP {
        // SAFETY: the invariant of `new`.
        unsafe { &*self.irp }
    }
    fn ticket(&self) -> Ticket {
        Ticket(self.irp as usize)
    }
    /// The process on whose behalf the request runs (`IoGetRequestorProcess`).
    fn process(&self) -> usize {
        // SAFETY: the invariant of `new`.
        let thread = unsafe { self.irp.thread() };
        thread::from_object(thread).map_or_else(thread::system_process, thread::Thread::process) as usize
    }
    fn is_synchronous(&self) -> bool {
        // SAFETY: a request's file object is alive.
        unsafe { (*self.file).Flags & FO_SYNCHRONOUS_IO != 0 }
    }
    /// Sets `FO_*` flags; others may do so at the same time.
    fn set_flags(&self, flags: u32) {
        // SAFETY: a request's file object is alive.
        let field = unsafe { AtomicU32::from_ptr(&raw mut (*self.file).Flags) };
        field.fetch_or(flags, Ordering::Relaxed);
    }
    /// Sets the position of a synchronous file.
    fn move_to(&self, position: i64) {
        // SAFETY: a request's file object is alive; a synchronous one has one request at a time.
        unsafe { (*self.file).CurrentByteOffset = position };
    }
    fn update(&self) {
        // SAFETY: a request's file object is alive.
        let context = unsafe { (*self.file).FsContext };
        self.mounted.update(context, self.open);
    }
    fn transfer(&self, parameters: stack_location::ReadWrite) -> Transfer {
        let paging = self.header().Flags & IRP_PAGING_IO != 0;
        // SAFETY: a request's file object is alive.
        let flags = unsafe { (*self.file).Flags };
        Transfer {
            offset: parameters.ByteOffset,
            process: self.process(),
            key: parameters.Key,
            paging,
            aligned: flags & FO_NO_INTERMEDIATE_BUFFERING != 0 && !paging,
        }
    }
    /// Runs an operation and completes what it ended.
    fn with_effects<R>(&self, operation: impl FnOnce(&mut Effects<'_>) -> R) -> R {
        let mut effects = Effects::new(&pending::claim);
        let result = operation(&mut effects);
        pending::finish_waiting(effects.into_finished(), false);
        result
    }
    fn wait(&self, operation: impl FnOnce(Ticket, super::waiting::Arm<'_>) -> Outcome) -> Worked {
        let irp = self.irp;
        let arm = move || {
            // SAFETY: the request is queued and this routine's.
            unsafe { pending::wait(irp) }
        };
        match operation(self.ticket(), &arm) {
            Outcome::Waiting => Worked::Waits,
            Outcome::Done(status, data) => {
                // SAFETY: the request did not wait: it is still this routine's.
                let information = unsafe { buffers::copy_out(irp, &data) };
                Worked::Done(status, information)
            }
        }
    }
}

fn done((status, information): Reply) -> Worked {
    Worked::Done(status, information)
}

/// Defines a routine that works on a request with an open file; an `Err` completes it.
macro_rules! routines {
    ($($(#[$doc:meta])* fn $name:ident($request:ident) $body:block)*) => { $(
        $(#[$doc])*
        unsafe fn $name(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
            fn work($request: &Request) -> Result<Worked, NTSTATUS> { $body }
            // SAFETY: the dispatch routine owns the request and has found its file.
            match unsafe { Request::new(irp) } {
                Ok(request) => work(&request).unwrap_or_else(|status| Worked::Done(status, 0)),
                Err(worked) => worked,
            }
        }
    )* };
}

routines! {
    fn cleanup(request) {
        let mut effects = Effects::new(&pending::claim);
        request.mounted.volume.cleanup(request.open, &mut effects);
        pending::finish_waiting(effects.into_finished(), true);
        pending::release_held(request.file);
        request.update();
        request.set_flags(FO_CLEANUP_COMPLETE);
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    fn close(request) {
        // SAFETY: the file object's last request.
        unsafe { context::close(request.file) };
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    fn read(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.Read };
        if u32::from(request.location.MinorFunction) & IRP_MN_MDL != 0 {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
        let transfer = request.transfer(parameters);
        let (status, count) = request.mounted.volume.read(request.open, &transfer, buffer);
        if status == STATUS_SUCCESS && request.is_synchronous() && !transfer.paging {
            request.move_to(transfer.offset + count as i64);
        }
        Ok(Worked::Done(status, count))
    }

    fn write(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.Write };
        if u32::from(request.location.MinorFunction) & IRP_MN_MDL != 0 {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::input(request.irp, parameters.Length) }?;
        let mut transfer = request.transfer(parameters);
        // FILE_WRITE_TO_END_OF_FILE is the low half -1 with the high half -1.
        if transfer.offset as u32 == u32::MAX && transfer.offset >> 32 == -1 {
            transfer.offset = END_OF_FILE;
        }
        let ((status, count), offset) = request.mounted.volume.write(request.open, &transfer, buffer);
        if status == STATUS_SUCCESS && !transfer.paging {
            request.set_flags(FO_FILE_MODIFIED);
            if request.is_synchronous() {
                request.move_to(offset + count as i64);
            }
        }
        request.update();
        Ok(Worked::Done(status, count))
    }

    fn query_information(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QueryFile };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        // SAFETY: a request's file object is alive.
        let position = unsafe { (*request.file).CurrentByteOffset };
        let volume = &request.mounted.volume;
        Ok(done(volume.query_information(request.open, parameters.FileInformationClass, position, buffer)))
    }

    fn set_information(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetFile };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        let status = set(request, &parameters, buffer)?;
        request.update();
        Ok(Worked::Done(status, 0))
    }

    fn query_volume(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QueryVolume };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        Ok(done(request.mounted.volume.query_volume(request.open, parameters.FsInformationClass, buffer)))
    }

    fn set_volume(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetVolume };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        let status = request.mounted.volume.set_volume(request.open, parameters.FsInformationClass, buffer);
        Ok(Worked::Done(status, 0))
    }

    fn directory_control(request) {
        match u32::from(request.location.MinorFunction) {
            IRP_MN_QUERY_DIRECTORY => query_directory(request),
            IRP_MN_NOTIFY_CHANGE_DIRECTORY => {
                // SAFETY: the parameters of this minor function.
                let parameters = unsafe { request.location.Parameters.NotifyDirectory };
                let tree = u32::from(request.location.Flags) & SL_WATCH_TREE != 0;
                let (filter, length) = (parameters.CompletionFilter, parameters.Length as usize);
                let volume = &request.mounted.volume;
                Ok(request.wait(|ticket, arm| volume.notify(request.open, filter, tree, length, ticket, arm)))
            }
            _ => Err(STATUS_INVALID_DEVICE_REQUEST),
        }
    }

    fn lock_control(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.LockControl };
        let length = || {
            // SAFETY: the pointer is the request's for these minor functions, or null.
            unsafe { parameters.Length.as_ref() }.copied().ok_or(STATUS_INVALID_PARAMETER)
        };
        let (volume, open) = (&request.mounted.volume, request.open);
        let (process, key) = (request.process(), parameters.Key);
        let flags = u32::from(request.location.Flags);
        let worked = match u32::from(request.location.MinorFunction) {
            IRP_MN_LOCK => {
                let lock = LockRequest {
                    offset: parameters.ByteOffset,
                    length: length()?,
                    process,
                    key,
                    exclusive: flags & SL_EXCLUSIVE_LOCK != 0,
                    fail_immediately: flags & SL_FAIL_IMMEDIATELY != 0,
                };
                // The request may be gone once it waits; its file object is referenced by it.
                let worked = request.wait(|ticket, arm| volume.lock(open, &lock, ticket, arm));
                if worked == Worked::Waits {
                    return Ok(worked);
                }
                worked
            }
            IRP_MN_UNLOCK_SINGLE => {
                let range = (parameters.ByteOffset, length()?);
                let unlock = |effects: &mut Effects<'_>| volume.unlock_single(open, process, key, range, effects);
                Worked::Done(request.with_effects(unlock), 0)
            }
            IRP_MN_UNLOCK_ALL => {
                let unlock = |effects: &mut Effects<'_>| volume.unlock_all(open, process, None, effects);
                Worked::Done(request.with_effects(unlock), 0)
            }
            IRP_MN_UNLOCK_ALL_BY_KEY => {
                let unlock = |effects: &mut Effects<'_>| volume.unlock_all(open, process, Some(key), effects);
                Worked::Done(request.with_effects(unlock), 0)
            }
            _ => Worked::Done(STATUS_INVALID_DEVICE_REQUEST, 0),
        };
        request.update();
        Ok(worked)
    }

    fn file_system_control(request) {
        let minor = u32::from(request.location.MinorFunction);
        if minor != IRP_MN_USER_FS_REQUEST && minor != IRP_MN_KERNEL_CALL {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.FileSystemControl };
        // METHOD_BUFFERED controls have a system buffer; of the others only the status counts.
        let method = parameters.ControlCode & 3;
        let output = match method {
            // SAFETY: the request is this routine's.
            0 => unsafe { buffers::buffered(request.irp, parameters.OutputBufferLength) }?,
            _ => &mut [],
        };
        let volume = &request.mounted.volume;
        let code = parameters.ControlCode;
        let dismounted = volume.state().dismounted;
        let reply = request.with_effects(|effects| volume.control(request.open, code, output, effects));
        if !dismounted && volume.state().dismounted && !request.mounted.storage().is_null() {
            // SAFETY: a storage device lives as long as the process.
            unsafe { crate::io_manager::mount::dismount(request.mounted.storage()) };
        }
        Ok(done(reply))
    }

    /// Nothing is buffered in the box: written data is the host's, which need not put it
    /// on its disk for a program here to be right.
    fn flush(request) {
        let usable = request.mounted.volume.state().usable(request.open).err();
        Ok(Worked::Done(usable.unwrap_or(STATUS_SUCCESS), 0))
    }

    fn query_security(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QuerySecurity };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
        Ok(done(request.mounted.volume.query_security(request.open, parameters.SecurityInformation, buffer)))
    }

    fn set_security(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetSecurity };
        // SAFETY: the originator gives a descriptor that is complete.
        let descriptor = unsafe { opening::descriptor(parameters.SecurityDescriptor) }?;
        let (volume, information) = (&request.mounted.volume, parameters.SecurityInformation);
        let set = |effects: &mut Effects<'_>| volume.set_security(request.open, information, &descriptor, effects);
        Ok(Worked::Done(request.with_effects(set), 0))
    }

    fn no_extended_attributes(_request) {
        Err(STATUS_EAS_NOT_SUPPORTED)
    }

    fn succeed(_request) {
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    fn refuse(_request) {
        Err(STATUS_INVALID_DEVICE_REQUEST)
    }
}

fn query_directory(request: &Request) -> Result<Worked, NTSTATUS> {
    // SAFETY: the parameters of this minor function.
    let parameters = unsafe { request.location.Parameters.QueryDirectory };
    let flags = u32::from(request.location.Flags);
    // SAFETY: null or the pattern of the request.
    let pattern = unsafe { parameters.FileName.as_ref() };
    let query = Query {
        class: parameters.FileInformationClass,
        // SAFETY: as above.
        pattern: pattern.map(|pattern| unsafe { unicode::units(pattern) }.to_vec()),
        restart: flags & SL_RESTART_SCAN != 0,
        single: flags & SL_RETURN_SINGLE_ENTRY != 0,
        index: (flags & SL_INDEX_SPECIFIED != 0).then_some(parameters.FileIndex),
    };
    // SAFETY: the request is the caller's.
    let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
    Ok(done(request.mounted.volume.query_directory(request.open, &query, buffer)))
}

fn set(request: &Request, parameters: &stack_location::SetFile, buffer: &[u8]) -> Result<NTSTATUS, NTSTATUS> {
    let (volume, open, class) = (&request.mounted.volume, request.open, parameters.FileInformationClass);
    match super::setting::of(class) {
        super::setting::Setting::Position => {
            volume.state().usable(open)?;
            let position = super::record::Fields(buffer).long(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
            if position < 0 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            request.move_to(position);
            Ok(STATUS_SUCCESS)
        }
        super::setting::Setting::Name { link, extended } => {
            let target = target(request, parameters, buffer, extended)?;
            Ok(request.with_effects(|effects| match link {
                true => volume.link(open, &target, effects),
                false => volume.rename(open, &target, effects),
            }))
        }
        super::setting::Setting::Other => {
            // SAFETY: the member of this class.
            let advance_only = unsafe { parameters.Tail.Rename.AdvanceOnly } != 0;
            let advance_only = advance_only && class == FileEndOfFileInformation;
            let status = request
                .with_effects(|effects| volume.set_information(open, class, advance_only, buffer, effects));
            if status == STATUS_SUCCESS {
                note_disposition(request, class);
            }
            Ok(status)
        }
    }
}

/// `FILE_OBJECT.DeletePending` follows the name's state.
fn note_disposition(request: &Request, class: i32) {
    if class == FileDispositionInformation || class == FileDispositionInformationEx {
        let pending = request.mounted.volume.state().link_of(request.open).is_ok_and(|link| link.delete_pending);
        // SAFETY: a request's file object is alive.
        unsafe { (*request.file).DeletePending = pending };
    }
}

/// Where a rename or link goes: the target directory's file object names it, or the buffer.
fn target(
    request: &Request,
    parameters: &stack_location::SetFile,
    buffer: &[u8],
    extended: bool,
) -> Result<Target, NTSTATUS> {
    let fields = super::record::Fields(buffer);
    let flags = match extended {
        true => fields.int(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)?,
        false => u32::from(fields.byte(0).ok_or(STATUS_INFO_LENGTH_MISMATCH)? != 0),
    };
    let length = fields.int(16).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
    let name = fields.units(20, length as usize).ok_or(STATUS_INFO_LENGTH_MISMATCH)?;
    if parameters.FileObject.is_null() {
        return Ok(Target { directory: None, name, flags });
    }
    // SAFETY: the originator's open of the target directory.
    let (mounted, directory) = unsafe { context::of_file(parameters.FileObject) }.ok_or(STATUS_INVALID_PARAMETER)?;
    if !std::ptr::eq(mounted, request.mounted) {
        return Err(STATUS_NOT_SAME_DEVICE);
    }
    // SAFETY: the create of the target directory left the last component as its name.
    let name = unsafe { unicode::units(&raw const (*parameters.FileObject).FileName) }.to_vec();
    Ok(Target { directory: Some(directory), name, flags })
}

/// Completes a request at once, for control devices.
///
/// # Safety
/// `irp` is the dispatch routine's.
pub unsafe fn complete_now(irp: *mut IRP, status: NTSTATUS) -> NTSTATUS {
    // SAFETY: contract.
    unsafe { complete::finish(irp, status, 0) }
}
