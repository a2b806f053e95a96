//! IRP_MJ_CREATE: from the stack location to the volume, and back into the file object.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "requests and file objects are read by pointer"
)]

use super::context::{self, Mounted};
use super::create::{Created, Request};
use super::oplocks::Key;
use super::pending::{self, Worked};
use super::waiting::{Effects, Met, Ticket};
use super::{buffers, media, names, redirector, volume_devices};
use ntbox_kernel::io_manager::{ecp, file};
use ntbox_kernel::nt::{
    DEVICE_OBJECT, DUAL_OPLOCK_KEY_ECP_CONTEXT, FILE_NETWORK_OPEN_INFORMATION, FILE_OBJECT,
    FILE_OPEN_BY_FILE_ID, FO_VOLUME_OPEN, GUID_ECP_DUAL_OPLOCK_KEY, GUID_ECP_OPLOCK_KEY,
    IO_SECURITY_CONTEXT, IRP, IrpExt, NTSTATUS, SL_CASE_SENSITIVE, SL_OPEN_PAGING_FILE,
    SL_OPEN_TARGET_DIRECTORY, STATUS_INVALID_PARAMETER, STATUS_INVALID_SECURITY_DESCR,
    STATUS_OPLOCK_BREAK_IN_PROGRESS, STATUS_PENDING, STATUS_REPARSE, STATUS_SUCCESS, file_id,
    reparse, unicode,
};
use ntbox_kernel::pool;
use std::ffi::c_void;
use std::mem::offset_of;
use windows_sys::core::GUID;

/// Works on a create.
///
/// # Safety
/// The dispatch routine owns `irp`.
pub unsafe fn create(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> Worked {
    // SAFETY: contract.
    let file = unsafe { (*irp.current_location()).FileObject };
    // SAFETY: contract.
    let place = match unsafe { place_of(device, file) } {
        Ok(Some(place)) => place,
        // The control device itself is opened.
        Ok(None) => return Worked::Done(STATUS_SUCCESS, 1),
        Err(status) => return Worked::Done(status, 0),
    };
    // SAFETY: contract.
    let direct = unsafe { (*file).FileName.Length } == 0;
    if let Err(worked) = media::admit_create(place.mounted, place.related.is_none(), direct) {
        return worked;
    }
    // SAFETY: contract.
    let request = match unsafe { request_of(irp, &place) } {
        Ok(request) => request,
        Err(status) => return Worked::Done(status, 0),
    };
    let arm = || {
        // SAFETY: the create is queued and this routine's.
        unsafe { pending::wait_for_turn(irp, create, Some(place.mounted)) }
    };
    let mut effects = Effects::new(&pending::claim).of_request(Ticket(irp as usize), &arm);
    let created = place.mounted.volume.create(&request, &mut effects);
    let met = effects.met.take();
    pending::finish_waiting(effects.into_finished(), false);
    match created {
        Ok(created) => {
            // SAFETY: contract; the file object belongs to the create.
            unsafe { enter(&place, irp, &created) };
            let status = if created.breaks_oplock {
                STATUS_OPLOCK_BREAK_IN_PROGRESS
            } else {
                STATUS_SUCCESS
            };
            Worked::Done(status, created.information)
        }
        Err(STATUS_PENDING) => Worked::Waits,
        Err(status) => {
            // SAFETY: contract; the file object belongs to the create.
            let tag = met.map_or(0, |met| unsafe { hand_over(&place, irp, &met) });
            Worked::Done(status, tag as usize)
        }
    }
}

/// The tag of reparse points in auxiliary buffers, which filters may free and replace, in the order of memory.
const REPARSE_TAG: u32 = u32::from_le_bytes(*b"HfRp");

/// Leaves the reparse point that a create has met to the I/O manager, in a buffer that is the request's, with the whole
/// name in the file object; its tag.
///
/// # Safety
/// `irp` is the caller's create, which ends with STATUS_REPARSE.
unsafe fn hand_over(place: &Place, irp: *mut IRP, met: &Met) -> u32 {
    let mut data = met.data.clone();
    if let Some(unparsed) = data.get_mut(reparse::UNPARSED) {
        unparsed.copy_from_slice(&((met.unparsed * 2) as u16).to_le_bytes());
    }
    let buffer: *mut u8 = pool::allocate_for_anybody(data.len(), REPARSE_TAG).cast();
    // SAFETY: a new block of that size.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buffer, data.len()) };
    // SAFETY: contract.
    unsafe { (*irp).Tail.Overlay.AuxiliaryBuffer = buffer.cast() };
    // SAFETY: contract.
    let given = unsafe { unicode::units(&raw const (*place.file).FileName) };
    let name = [given.get(..place.skipped).unwrap_or_default(), &met.name].concat();
    // SAFETY: contract; the old name was copied.
    unsafe { file::put_name(place.file, &name) };
    reparse::tag(&met.data)
}

/// Answers `FastIoQueryOpen`: true if `information` and the request's status say all.
///
/// # Safety
/// `irp` is a create that was not sent, `information` a structure of that type.
pub unsafe fn query_open(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    information: *mut c_void,
) -> bool {
    // SAFETY: contract.
    let file = unsafe { (*irp.current_location()).FileObject };
    // SAFETY: contract.
    let Ok(Some(place)) = (unsafe { place_of(device, file) }) else {
        return false;
    };
    if !media::admits_fast_io(place.mounted) {
        return false;
    }
    // SAFETY: contract.
    let Ok(request) = (unsafe { request_of(irp, &place) }) else {
        return false;
    };
    // What a stream is told by takes an open.
    if request.id.is_none() && request.name.contains(&names::COLON) {
        return false;
    }
    let status = match place.mounted.volume.state_at(&request) {
        Ok(state) => {
            const BYTES: usize = size_of::<FILE_NETWORK_OPEN_INFORMATION>();
            // SAFETY: contract.
            let buffer = unsafe { std::slice::from_raw_parts_mut(information.cast::<u8>(), BYTES) };
            super::query::network_open(&state).fixed(buffer).0
        }
        // Where the name goes on is not this volume's to say.
        Err(STATUS_REPARSE) => return false,
        Err(status) => status,
    };
    // SAFETY: contract.
    let header = unsafe { &mut *irp };
    header.IoStatus.Anonymous.Status = status;
    header.IoStatus.Information = if status == STATUS_SUCCESS {
        size_of::<FILE_NETWORK_OPEN_INFORMATION>()
    } else {
        0
    };
    true
}

/// The volume that a create is for, and what of its name is a path there.
struct Place {
    mounted: &'static Mounted,
    file: *mut FILE_OBJECT,
    related: Option<super::volume::OpenId>,
    /// Units in front of the path.
    skipped: usize,
}

/// # Safety
/// `file` is the file object of a create for `device`.
unsafe fn place_of(
    device: *mut DEVICE_OBJECT,
    file: *mut FILE_OBJECT,
) -> Result<Option<Place>, NTSTATUS> {
    if file.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: contract.
    let related = unsafe { (*file).RelatedFileObject };
    // SAFETY: a create keeps its related file object.
    if let Some((mounted, open)) = unsafe { context::of_file(related) } {
        return Ok(Some(Place {
            mounted,
            file,
            related: Some(open),
            skipped: 0,
        }));
    }
    // SAFETY: a device of this file system.
    if let Some(mounted) = unsafe { volume_devices::mounted_on(device) } {
        return Ok(Some(Place {
            mounted,
            file,
            related: None,
            skipped: 0,
        }));
    }
    if !redirector::is(device) {
        return Ok(None);
    }
    // SAFETY: contract.
    let name = unsafe { unicode::units(&raw const (*file).FileName) };
    let found = redirector::find(name)?;
    Ok(found.map(|(mounted, skipped)| Place {
        mounted,
        file,
        related: None,
        skipped,
    }))
}

/// # Safety
/// `irp` is the caller's create.
unsafe fn request_of(irp: *mut IRP, place: &Place) -> Result<Request, NTSTATUS> {
    // SAFETY: contract.
    let location = unsafe { &*irp.current_location() };
    // SAFETY: the parameters of this major function.
    let parameters = unsafe { location.Parameters.Create };
    // SAFETY: the list of a create is in its system buffer.
    let extended_attributes = unsafe { buffers::buffered(irp, parameters.EaLength) }?.to_vec();
    // SAFETY: null or the security context of the create.
    let context: Option<&IO_SECURITY_CONTEXT> = unsafe { parameters.SecurityContext.as_ref() };
    // SAFETY: null or the access state of the create.
    let state = context.and_then(|context| unsafe { context.AccessState.as_ref() });
    let security = match state
        .map(|state| state.SecurityDescriptor)
        .filter(|given| !given.is_null())
    {
        // SAFETY: the originator's descriptor.
        Some(given) => Some(unsafe { descriptor(given.cast()) }?),
        None => None,
    };
    // SAFETY: the file object belongs to the create.
    let name = unsafe { unicode::units(&raw const (*place.file).FileName) };
    // SAFETY: the member of a create.
    let allocation = unsafe { (*irp).Overlay.AllocationSize };
    let flags = u32::from(location.Flags);
    let name = name.get(place.skipped..).unwrap_or_default();
    let by_id = parameters.Options & FILE_OPEN_BY_FILE_ID != 0;
    Ok(Request {
        name: name.to_vec(),
        id: if by_id { Some(id_in(name)?) } else { None },
        related: place.related,
        disposition: parameters.Options >> 24,
        options: parameters.Options & 0x00FF_FFFF,
        attributes: parameters.FileAttributes.into(),
        share: parameters.ShareAccess.into(),
        desired: context.map_or(0, |context| context.DesiredAccess),
        allocation,
        open_target_directory: flags & SL_OPEN_TARGET_DIRECTORY != 0,
        case_sensitive: flags & SL_CASE_SENSITIVE != 0,
        page_file: flags & SL_OPEN_PAGING_FILE != 0,
        security,
        // SAFETY: the caller's create.
        oplock_key: unsafe { oplock_key(irp) },
        extended_attributes,
    })
}

/// The key that the create's extra parameters give its oplocks.
///
/// # Safety
/// `irp` is the caller's create.
unsafe fn oplock_key(irp: *mut IRP) -> Option<Key> {
    let list = ecp::of_create(irp);
    if list.is_null() {
        return None;
    }
    /// Where the key is, and what says that it is there.
    const DUAL: usize = offset_of!(DUAL_OPLOCK_KEY_ECP_CONTEXT, TargetOplockKey);
    const IS_SET: usize = offset_of!(DUAL_OPLOCK_KEY_ECP_CONTEXT, TargetOplockKeySet);
    let found = |kind: &GUID, key: usize, is_set: Option<usize>| {
        // SAFETY: a create's list is alive until it is over.
        let (parameter, bytes) = unsafe { ecp::find(list, kind) }.ok()?;
        // SAFETY: the parameter has that many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(parameter.cast::<u8>(), bytes as usize) };
        let unset = is_set.is_some_and(|at| bytes.get(at) == Some(&0));
        bytes.get(key..)?.first_chunk().copied().filter(|_| !unset)
    };
    found(&GUID_ECP_DUAL_OPLOCK_KEY, DUAL, Some(IS_SET))
        .or_else(|| found(&GUID_ECP_OPLOCK_KEY, 0, None))
}

/// The id that is the name: its eight bytes, behind a backslash where no file was given to be relative to.
fn id_in(name: &[u16]) -> Result<u64, NTSTATUS> {
    let id = match name {
        [names::BACKSLASH, id @ ..] if id.len() == file_id::UNITS => id,
        id => id,
    };
    file_id::of_units(id).ok_or(STATUS_INVALID_PARAMETER)
}

/// Puts what was opened into the file object.
///
/// # Safety
/// `irp` is the caller's create, which has succeeded.
unsafe fn enter(place: &Place, irp: *mut IRP, created: &Created) {
    // SAFETY: contract.
    unsafe { place.mounted.attach(place.file, created) };
    // SAFETY: contract.
    let file = unsafe { &mut *place.file };
    let shared = created.shared;
    file.ReadAccess = shared.read;
    file.WriteAccess = shared.write;
    file.DeleteAccess = shared.delete;
    file.SharedRead = shared.share_read;
    file.SharedWrite = shared.share_write;
    file.SharedDelete = shared.share_delete;
    if created.opened == super::create::Opened::Volume {
        file.Flags |= FO_VOLUME_OPEN;
    }
    if created.last_component != 0 {
        // SAFETY: the name's buffer is the file object's and holds the component at its end.
        unsafe { keep_last(file, created.last_component) };
    }
    // SAFETY: contract.
    let parameters = unsafe { (*irp.current_location()).Parameters.Create };
    // SAFETY: contract.
    let flags = unsafe { (*irp.current_location()).Flags };
    // The name of a rename's target is asked for when that comes.
    if u32::from(flags) & SL_OPEN_TARGET_DIRECTORY == 0 {
        // SAFETY: contract.
        unsafe { name_anew(place, created, parameters.Options) };
    }
    // SAFETY: null or the security context of the create.
    let state = unsafe { parameters.SecurityContext.as_ref() }.map(|context| context.AccessState);
    // SAFETY: null or the access state of the create.
    if let Some(state) = state.and_then(|state| unsafe { state.as_mut() }) {
        state.PreviouslyGrantedAccess |= created.granted;
        state.RemainingDesiredAccess &= !(created.granted | super::share::access::MAXIMUM_ALLOWED);
    }
}

/// Puts a name of the file system's own into the file object, from the root on, as CDFS does: who has kept that of the
/// create has none any more.
///
/// # Safety
/// As for [`enter`].
unsafe fn name_anew(place: &Place, created: &Created, options: u32) {
    // SAFETY: contract.
    let given = unsafe { unicode::units(&raw const (*place.file).FileName) };
    let is_whole = place.related.is_none() || options & FILE_OPEN_BY_FILE_ID != 0;
    let whole = match is_whole {
        true => None,
        false => place.mounted.volume.name(created.open).ok(),
    };
    let name = whole.unwrap_or_else(|| given.to_vec());
    // SAFETY: contract; the old name was copied.
    unsafe { file::replace_name(place.file, &name) };
    // SAFETY: contract.
    unsafe { file::give_up_name(place.file) };
}

/// Leaves the last `units` units of the name: what is renamed or linked to.
///
/// # Safety
/// The name's buffer is the file object's.
unsafe fn keep_last(file: &mut FILE_OBJECT, units: usize) {
    let name = &mut file.FileName;
    let mut length = usize::from(name.Length) / 2;
    // SAFETY: contract.
    let buffer = unsafe { std::slice::from_raw_parts_mut(name.Buffer, length) };
    if buffer.last() == Some(&super::names::BACKSLASH) {
        length -= 1;
    }
    if let Some(start) = length.checked_sub(units) {
        buffer.copy_within(start..length, 0);
        name.Length = (units * 2) as u16;
    }
}

/// The bytes of a security descriptor, made self-relative if it is absolute.
///
/// # Errors
/// `STATUS_INVALID_SECURITY_DESCR`.
///
/// # Safety
/// `descriptor` is null or points to a complete descriptor.
pub unsafe fn descriptor(descriptor: *const c_void) -> Result<Vec<u8>, NTSTATUS> {
    const SELF_RELATIVE: u16 = 0x8000;
    const HEAD: usize = 20;
    /// Offsets of owner, group, system and discretionary list in an absolute descriptor.
    const ABSOLUTE: [usize; 4] = [8, 16, 24, 32];
    if descriptor.is_null() {
        return Err(STATUS_INVALID_SECURITY_DESCR);
    }
    let start: *const u8 = descriptor.cast();
    let read = |at: *const u8| {
        // SAFETY: contract: inside the descriptor.
        unsafe { at.read_unaligned() }
    };
    let short = |at: *const u8| u16::from_le_bytes([read(at), read(at.wrapping_add(1))]);
    let sid = |at: *const u8| 8 + 4 * usize::from(read(at.wrapping_add(1)));
    let list = |at: *const u8| usize::from(short(at.wrapping_add(2)));
    let control = short(start.wrapping_add(2));
    let part = |index: usize| -> *const u8 {
        if control & SELF_RELATIVE == 0 {
            let field = start.wrapping_add(ABSOLUTE.get(index).copied().unwrap_or(0));
            // SAFETY: contract: a pointer field of an absolute descriptor.
            return unsafe { field.cast::<*const u8>().read_unaligned() };
        }
        let field = start.wrapping_add(4 + 4 * index);
        match u32::from_le_bytes([0, 1, 2, 3].map(|byte| read(field.wrapping_add(byte)))) {
            0 => std::ptr::null(),
            offset => start.wrapping_add(offset as usize),
        }
    };
    let control = (control | SELF_RELATIVE).to_le_bytes();
    let mut bytes = vec![read(start), 0, control[0], control[1]];
    bytes.resize(HEAD, 0);
    for index in 0..4 {
        let at = part(index);
        if at.is_null() {
            continue;
        }
        let length = if index < 2 { sid(at) } else { list(at) };
        let offset = (bytes.len() as u32).to_le_bytes();
        if let Some(field) = bytes.get_mut(4 + 4 * index..8 + 4 * index) {
            field.copy_from_slice(&offset);
        }
        // SAFETY: contract: the part has the length it says.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(at, length) });
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    super::security::Descriptor::parse(&bytes).map(|_| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Descriptor, part};

    #[test]
    fn a_create_has_the_key_of_its_extra_parameters() {
        // SAFETY: never freed, so that no other create has its address; only that is looked at.
        let irp: *mut IRP = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
        // SAFETY: as above.
        let key = || unsafe { oplock_key(irp) };
        assert_eq!(key(), None);
        let list = ecp::new_list(0);
        assert!(ecp::give_to_create(irp, list));
        let parameter = |kind: GUID, bytes: &[u8]| {
            let length = bytes.len() as u32;
            let new = ecp::new_parameter(pool::Kind::Paged, kind, length, None, 0, 0);
            // SAFETY: a new block of that size.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), new.cast(), bytes.len()) };
            // SAFETY: both are alive.
            assert_eq!(unsafe { ecp::insert(list, new) }, STATUS_SUCCESS);
            new
        };
        parameter(GUID_ECP_OPLOCK_KEY, &[[7; 20]].concat());
        assert_eq!(key(), Some([7; 16]));
        // The newer one has a key for the directory in front, and says which are set.
        let both = [&[1; 16][..], &[2; 16], &[1, 0, 0, 0]].concat();
        let dual = parameter(GUID_ECP_DUAL_OPLOCK_KEY, &both);
        assert_eq!(key(), Some([7; 16]));
        // SAFETY: inside the block.
        unsafe { dual.cast::<u8>().add(IS_SET_AT).write(1) };
        assert_eq!(key(), Some([2; 16]));
    }

    const IS_SET_AT: usize = offset_of!(DUAL_OPLOCK_KEY_ECP_CONTEXT, TargetOplockKeySet);

    #[test]
    fn descriptors_become_self_relative() {
        let all = part::OWNER | part::GROUP | part::DACL;
        let bytes = Descriptor::default_of_files().to_bytes(all);
        // SAFETY: a complete descriptor.
        assert_eq!(unsafe { descriptor(bytes.as_ptr().cast()) }.unwrap(), bytes);
        let at = |offset: usize| {
            u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap()) as usize
        };
        let pointer = |offset: usize| bytes.as_ptr().wrapping_add(at(offset)) as u64;
        let mut absolute = vec![1, 0, bytes[2], bytes[3] & 0x7F, 0, 0, 0, 0];
        for value in [pointer(4), pointer(8), 0, pointer(16)] {
            absolute.extend(value.to_le_bytes());
        }
        // SAFETY: a complete descriptor.
        let relative = unsafe { descriptor(absolute.as_ptr().cast()) };
        assert_eq!(relative.unwrap(), bytes);
        // SAFETY: null is allowed.
        assert!(unsafe { descriptor(std::ptr::null()) }.is_err());
    }
}
