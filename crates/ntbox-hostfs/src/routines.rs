//! The work of each major function on an open file.
//!
//! Each routine takes the parameters out of the stack location, calls the volume,
//! and says how to complete; [`super::pending`] does the rest.

#![expect(unsafe_code, reason = "requests are read by pointer")]

use super::control::LockRequest;
use super::data::{END_OF_FILE, Transfer};
use super::directory::Query;
use super::extended_attributes::EaQuery;
use super::notify::Class;
use super::oplocks::{self, Operation};
use super::pending::{self, Worked};
use super::request::Request;
use super::volume::Object;
use super::waiting::{Effects, Reply};
use super::{
    buffers, context, mdl_transfers, media, opening, reparse, setting, sparse, volume_devices,
    workers,
};
use ntbox_kernel::io_manager::{cache_pages, mount};
use ntbox_kernel::nt::stack_location::Control;
use ntbox_kernel::nt::*;
use ntbox_kernel::user::cache;
use std::ptr::slice_from_raw_parts;
use windows_sys::Win32::System::Ioctl::{FSCTL_DISMOUNT_VOLUME, FSCTL_LOCK_VOLUME};

/// What a read or write has to do with pages of the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByMdl {
    /// Nothing: it has a buffer.
    No,
    /// It asks for pages.
    Begins,
    /// It gives them back.
    Completes,
}

impl ByMdl {
    fn of(request: &Request) -> Self {
        match u32::from(request.location.MinorFunction) {
            minor if minor & IRP_MN_COMPLETE != 0 => Self::Completes,
            minor if minor & IRP_MN_MDL != 0 => Self::Begins,
            _ => Self::No,
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
        ///
        /// # Safety
        /// The dispatch routine's request, whose file it has found.
        pub unsafe fn $name(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
            fn work($request: &Request) -> Result<Worked, NTSTATUS> { $body }
            // SAFETY: the dispatch routine owns the request and has found its file.
            match unsafe { Request::new(irp, $name) } {
                Ok(request) => work(&request).unwrap_or_else(|status| Worked::Done(status, 0)),
                Err(worked) => worked,
            }
        }
    )* };
}

routines! {
    /// `IRP_MJ_CLEANUP`.
    fn cleanup(request) {
        let mut effects = Effects::new(&pending::claim);
        let gone = request.mounted.volume.cleanup(request.open, &mut effects);
        pending::finish_waiting(effects.into_finished(), true);
        pending::release_held(request.file);
        request.update();
        // SAFETY: a request's file object is alive.
        let cancelled = unsafe { (*request.file).Flags } & FO_FILE_OPEN_CANCELLED != 0;
        // SAFETY: as above, and nothing is locked.
        unsafe { cache::uninitialize(request.file, gone || cancelled) };
        request.set_flags(FO_CLEANUP_COMPLETE);
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    /// `IRP_MJ_CLOSE`.
    fn close(request) {
        // SAFETY: the file object's last request.
        unsafe { context::close(request.file) };
        if media::is_gone(request.mounted) {
            // SAFETY: a request's file object is alive, and counts on its VPB.
            let vpb = unsafe { (*request.file).Vpb };
            if !vpb.is_null() {
                // SAFETY: as above; the work of a close is done at PASSIVE_LEVEL.
                unsafe { mount::close_last(vpb) };
            }
        }
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    /// `IRP_MJ_READ`.
    fn read(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.Read };
        let by_mdl = ByMdl::of(request);
        if by_mdl == ByMdl::Completes {
            let taken = cache_pages::take_back(request.take_mdl());
            return taken.map(|_| Worked::Done(STATUS_SUCCESS, 0)).ok_or(STATUS_INVALID_PARAMETER);
        }
        let transfer = request.transfer(parameters);
        if !transfer.paging && let Err(worked) = request.break_oplock(Operation::Read) {
            return Ok(worked);
        }
        let (status, count) = if by_mdl == ByMdl::Begins {
            let (pages, count) = mdl_transfers::lend(&request.cached(), &transfer, parameters.Length)?;
            request.give_mdl(pages);
            (STATUS_SUCCESS, count)
        } else {
            // SAFETY: the request is this routine's.
            let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
            match request.is_uncached() {
                true => request.mounted.volume.read(request.open, &transfer, buffer),
                false => request.cached().read(&transfer, buffer),
            }
        };
        if status == STATUS_SUCCESS && request.is_synchronous() && !transfer.paging {
            request.move_to(transfer.offset + count as i64);
        }
        Ok(Worked::Done(status, count))
    }

    /// `IRP_MJ_WRITE`.
    fn write(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.Write };
        let by_mdl = ByMdl::of(request);
        if by_mdl == ByMdl::Completes {
            let list = request.take_mdl();
            let through = request.transfer(parameters).through;
            let cached = request.cached();
            let written = mdl_transfers::write(parameters.ByteOffset, through, list, |transfer, bytes| {
                cached.write(transfer, bytes)
            });
            cache_pages::take_back(list);
            request.update();
            return Ok(Worked::Done(written.ok_or(STATUS_INVALID_PARAMETER)?, 0));
        }
        let mut transfer = request.transfer(parameters);
        if !transfer.paging && let Err(worked) = request.break_oplock(Operation::Write) {
            return Ok(worked);
        }
        // FILE_WRITE_TO_END_OF_FILE is the low half -1 with the high half -1.
        if transfer.offset as u32 == u32::MAX && transfer.offset >> 32 == -1 {
            transfer.offset = END_OF_FILE;
        }
        let volume = &request.mounted.volume;
        let ((status, count), offset) = if by_mdl == ByMdl::Begins {
            let pages = mdl_transfers::prepare(parameters.Length, |length| request.cached().make_room(&transfer, length))?;
            request.give_mdl(pages);
            ((STATUS_SUCCESS, parameters.Length as usize), transfer.offset)
        } else {
            // SAFETY: the request is this routine's.
            let buffer = unsafe { buffers::input(request.irp, parameters.Length) }?;
            match request.is_uncached() {
                true => volume.write(request.open, &transfer, buffer),
                false => request.cached().write(&transfer, buffer),
            }
        };
        if status == STATUS_SUCCESS && !transfer.paging {
            request.set_flags(FO_FILE_MODIFIED);
            if request.is_synchronous() {
                request.move_to(offset + count as i64);
            }
        }
        request.update();
        Ok(Worked::Done(status, count))
    }

    /// `IRP_MJ_QUERY_INFORMATION`.
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

    /// `IRP_MJ_SET_INFORMATION`.
    fn set_information(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetFile };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        // What the cache manager says of data that it has written changes nothing.
        // SAFETY: an integer.
        let paging = unsafe { (*request.irp).Flags } & IRP_PAGING_IO != 0;
        let breaks = setting::breaks_oplock(parameters.FileInformationClass, buffer);
        if let Some(operation) = breaks.filter(|_| !paging) && let Err(worked) = request.break_oplock(operation) {
            return Ok(worked);
        }
        let status = setting::set(request, &parameters, buffer)?;
        if status == STATUS_PENDING {
            return Ok(Worked::Waits);
        }
        request.update();
        Ok(Worked::Done(status, 0))
    }

    /// `IRP_MJ_QUERY_VOLUME_INFORMATION`.
    fn query_volume(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QueryVolume };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        Ok(done(request.mounted.volume.query_volume(request.open, parameters.FsInformationClass, buffer)))
    }

    /// `IRP_MJ_SET_VOLUME_INFORMATION`.
    fn set_volume(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetVolume };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::buffered(request.irp, parameters.Length) }?;
        let status = request.mounted.volume.set_volume(request.open, parameters.FsInformationClass, buffer);
        Ok(Worked::Done(status, 0))
    }

    /// `IRP_MJ_DIRECTORY_CONTROL`.
    fn directory_control(request) {
        match u32::from(request.location.MinorFunction) {
            IRP_MN_QUERY_DIRECTORY => query_directory(request),
            IRP_MN_NOTIFY_CHANGE_DIRECTORY => Ok(notify(request, Class::Plain)),
            IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX => {
                // SAFETY: the parameters of this minor function.
                let parameters = unsafe { request.location.Parameters.NotifyDirectoryEx };
                let class = Class::of(parameters.DirectoryNotifyInformationClass);
                Ok(notify(request, class.ok_or(STATUS_INVALID_INFO_CLASS)?))
            }
            _ => Err(STATUS_INVALID_DEVICE_REQUEST),
        }
    }

    /// `IRP_MJ_LOCK_CONTROL`.
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
                if let Err(worked) = request.break_oplock(Operation::Lock) {
                    return Ok(worked);
                }
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

    /// `IRP_MJ_FILE_SYSTEM_CONTROL`.
    fn file_system_control(request) {
        let minor = u32::from(request.location.MinorFunction);
        if minor != IRP_MN_USER_FS_REQUEST && minor != IRP_MN_KERNEL_CALL {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.FileSystemControl };
        let method = parameters.ControlCode & 3;
        let code = parameters.ControlCode;
        if sparse::is_control(code) {
            return sparse_control(request, &parameters);
        }
        let buffered = |length: u32| match method {
            // SAFETY: the request is this routine's.
            0 => unsafe { buffers::buffered(request.irp, length) },
            _ => Ok(&mut [][..]),
        };
        // Input and output have one buffer.
        let input = buffered(parameters.InputBufferLength)?.to_vec();
        let room = parameters.OutputBufferLength as usize;
        if let Some(control) = oplocks::Control::of(parameters.ControlCode, &input, room) {
            let control = control?;
            let synchronous = request.is_synchronous();
            let (volume, open) = (&request.mounted.volume, request.open);
            let mut effects = Effects::new(&pending::claim);
            let worked = request.wait(|ticket, arm| {
                volume.oplock(open, control, synchronous, ticket, arm, &mut effects)
            });
            pending::finish_waiting(effects.into_finished(), false);
            return Ok(worked);
        }
        // Of controls without a system buffer only the status counts.
        let output = buffered(parameters.OutputBufferLength)?;
        let volume = &request.mounted.volume;
        let takes_volume = code == FSCTL_LOCK_VOLUME || code == FSCTL_DISMOUNT_VOLUME;
        let is_of_volume = volume.state().file_of(request.open).is_ok_and(|file| matches!(file.object, Object::Volume));
        if takes_volume && is_of_volume {
            // What cannot be written is lost, or left to the lazy writer.
            let _ = workers::while_waiting(|| volume.write_back());
        }
        let dismounted = volume.state().dismounted;
        let reply = request.with_effects(|effects| match reparse::is_control(code) {
            true => volume.reparse_control(request.open, code, &input, output, effects),
            false => volume.control(request.open, code, output, effects),
        });
        if code == FSCTL_LOCK_VOLUME && is_of_volume && reply.0 == STATUS_SUCCESS {
            // What was closed meanwhile: from now on nobody writes.
            let _ = workers::while_waiting(|| volume.write_back());
        }
        if !dismounted && volume.state().dismounted {
            volume.forget_cached();
            volume_devices::take_away(request.mounted);
        }
        Ok(done(reply))
    }

    /// `IRP_MJ_FLUSH_BUFFERS`: of a file what is cached of it, of the volume and its root all that is. What is the
    /// host's then, the host need not put on its disk for a program here to be right.
    fn flush(request) {
        let volume = &request.mounted.volume;
        let (pointers, whole) = {
            let state = volume.state();
            state.usable(request.open)?;
            let file = state.file_of(request.open)?;
            let is_root = file.is_directory() && state.link_of(request.open)?.parent.is_none();
            (file.sections, is_root || matches!(file.object, Object::Volume))
        };
        let flushed = workers::while_waiting(|| match whole {
            true => volume.write_back(),
            false => cache::flush(pointers, None),
        });
        Ok(Worked::Done(flushed.err().unwrap_or(STATUS_SUCCESS), 0))
    }

    /// `IRP_MJ_QUERY_SECURITY`.
    fn query_security(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QuerySecurity };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
        Ok(done(request.mounted.volume.query_security(request.open, parameters.SecurityInformation, buffer)))
    }

    /// `IRP_MJ_SET_SECURITY`.
    fn set_security(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetSecurity };
        // SAFETY: the originator gives a descriptor that is complete.
        let descriptor = unsafe { opening::descriptor(parameters.SecurityDescriptor) }?;
        let (volume, information) = (&request.mounted.volume, parameters.SecurityInformation);
        let set = |effects: &mut Effects<'_>| volume.set_security(request.open, information, &descriptor, effects);
        Ok(Worked::Done(request.with_effects(set), 0))
    }

    /// `IRP_MJ_QUERY_EA`.
    fn query_ea(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.QueryEa };
        let names: &[u8] = match parameters.EaList.is_null() {
            true => &[],
            // SAFETY: the originator's list is of the length it says, until completion.
            false => unsafe { &*slice_from_raw_parts(parameters.EaList.cast::<u8>(), parameters.EaListLength as usize) },
        };
        let flags = u32::from(request.location.Flags);
        let query = EaQuery {
            names: names.to_vec(),
            index: (flags & SL_INDEX_SPECIFIED != 0).then_some(parameters.EaIndex),
            single: flags & SL_RETURN_SINGLE_ENTRY != 0,
            restart: flags & SL_RESTART_SCAN != 0,
        };
        // SAFETY: the request is this routine's.
        let buffer = unsafe { buffers::output(request.irp, parameters.Length) }?;
        Ok(done(request.mounted.volume.query_ea(request.open, &query, buffer)))
    }

    /// `IRP_MJ_SET_EA`.
    fn set_ea(request) {
        // SAFETY: the parameters of this major function.
        let parameters = unsafe { request.location.Parameters.SetEa };
        // SAFETY: the request is this routine's.
        let list = unsafe { buffers::input(request.irp, parameters.Length) }?;
        let volume = &request.mounted.volume;
        Ok(done(request.with_effects(|effects| volume.set_ea(request.open, list, effects))))
    }

    /// Requests that need nothing done.
    fn succeed(_request) {
        Ok(Worked::Done(STATUS_SUCCESS, 0))
    }

    /// Requests that no file takes.
    fn refuse(_request) {
        Err(STATUS_INVALID_DEVICE_REQUEST)
    }
}

/// `FSCTL_QUERY_ALLOCATED_RANGES` takes the caller's buffers as they are, the others a system buffer.
fn sparse_control(request: &Request, parameters: &Control) -> Result<Worked, NTSTATUS> {
    let code = parameters.ControlCode;
    if code == FSCTL_SET_ZERO_DATA
        && let Err(worked) = request.break_oplock(Operation::Write)
    {
        return Ok(worked);
    }
    let is_neither = code & 3 == 3;
    let input = match is_neither {
        // SAFETY: the request is the caller's, with the buffers of its method, of which there is no slice.
        true => unsafe { buffers::type3_input(parameters, sparse::RANGE) }?,
        // SAFETY: as above.
        false => unsafe { buffers::buffered(request.irp, parameters.InputBufferLength) }?.to_vec(),
    };
    let room = parameters.OutputBufferLength;
    // SAFETY: as above.
    let given = is_neither.then(|| unsafe { buffers::output(request.irp, room) });
    let output = given.transpose()?.unwrap_or_default();
    if code == FSCTL_SET_ZERO_DATA && sparse::keeps_cache(&input) && request.is_from_user() {
        return Err(STATUS_ACCESS_DENIED);
    }
    let caller = Transfer {
        process: request.process(),
        ..Transfer::default()
    };
    let (volume, open) = (&request.mounted.volume, request.open);
    let reply = request.with_effects(|effects| {
        volume.sparse_control(open, code, &caller, (&input, output), effects)
    });
    request.update();
    Ok(done(reply))
}

fn notify(request: &Request, class: Class) -> Worked {
    // SAFETY: the parameters of one minor function, with which those of the other begin.
    let parameters = unsafe { request.location.Parameters.NotifyDirectory };
    let tree = u32::from(request.location.Flags) & SL_WATCH_TREE != 0;
    let (watched, length) = (
        (parameters.CompletionFilter, tree),
        parameters.Length as usize,
    );
    let volume = &request.mounted.volume;
    request.wait(|ticket, arm| volume.notify(request.open, watched, class, length, ticket, arm))
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
    Ok(done(request.mounted.volume.query_directory(
        request.open,
        &query,
        buffer,
    )))
}
