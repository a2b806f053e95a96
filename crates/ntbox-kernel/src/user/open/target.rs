//! Where an open goes, and the request that is sent there.

#![expect(
    unsafe_code,
    reason = "devices and file objects are shared with drivers by pointer"
)]

use super::super::request::{Request, wait_for};
use super::super::{access, outcome};
use super::OpenRequest;
use crate::io_manager::counters::{self, FastIo};
use crate::io_manager::ecp;
use crate::io_manager::{
    checks, complete, device, fast_io_checks, file, irp, mount, namespace, references,
};
use crate::nt::{
    ACCESS_STATE, DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DO_EXCLUSIVE, FILE_DEVICE_SECURE_OPEN,
    FILE_NO_INTERMEDIATE_BUFFERING, FILE_OBJECT, FILE_RANDOM_ACCESS, FILE_SEQUENTIAL_ONLY,
    FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT, FILE_WRITE_THROUGH, FO_ALERTABLE_IO,
    FO_DIRECT_DEVICE_OPEN, FO_NO_INTERMEDIATE_BUFFERING, FO_OPENED_CASE_SENSITIVE,
    FO_RANDOM_ACCESS, FO_SEQUENTIAL_ONLY, FO_SYNCHRONOUS_IO, FO_WRITE_THROUGH, HANDLE, IO_REMOUNT,
    IO_SECURITY_CONTEXT, IO_STATUS_BLOCK, IRP_CREATE_OPERATION, IRP_DEFER_IO_COMPLETION,
    IRP_MJ_CREATE, IRP_SYNCHRONOUS_API, NTSTATUS, SL_CASE_SENSITIVE, SL_FORCE_ACCESS_CHECK,
    SL_OPEN_PAGING_FILE, SL_OPEN_TARGET_DIRECTORY, STATUS_ACCESS_DENIED, STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_PENDING, STATUS_REPARSE,
};
use crate::nt::{FILE_NETWORK_OPEN_INFORMATION, IrpExt, VPB, file_id};
use crate::processor::driver_code::entering_for;
use crate::processor::object::{self, Kind};
use crate::processor::thread;
use crate::processor::{handle, lifetime};
use crate::verifier::{self, rules};
use std::ffi::c_void;
use std::ptr::null_mut;

/// Where an open goes.
pub(super) struct Target {
    /// The device that the name names (storage, or a named device); referenced.
    parsed: *mut DEVICE_OBJECT,
    /// The device the request is sent to.
    top: *mut DEVICE_OBJECT,
    /// The rest of the name.
    remaining: String,
    /// The file the name is relative to; referenced by its handle.
    related: *mut FILE_OBJECT,
    /// The mounted volume, counted, so that it stays until the file counts on it itself; null
    /// where there is none.
    vpb: *mut VPB,
    direct: bool,
}

impl Target {
    pub(super) fn parse(
        name: &str,
        root: HANDLE,
        granted: u32,
        hint: *mut DEVICE_OBJECT,
    ) -> Result<Self, NTSTATUS> {
        let mut target = if root.is_null() {
            let (object, remaining) = namespace::lookup(name)?;
            let target = Self {
                parsed: object.cast(),
                top: null_mut(),
                remaining,
                related: null_mut(),
                vpb: null_mut(),
                direct: false,
            };
            // SAFETY: the lookup referenced it.
            match unsafe { object::kind_of(object) } {
                Some(Kind::Device) => target,
                _ => return Err(STATUS_OBJECT_TYPE_MISMATCH),
            }
        } else {
            let object = handle::object_of_handle(root)?;
            // SAFETY: an open handle's object is alive.
            if unsafe { object::kind_of(object) } != Some(Kind::File) {
                return Err(STATUS_OBJECT_TYPE_MISMATCH);
            }
            let related: *mut FILE_OBJECT = object.cast();
            // SAFETY: as above.
            let parsed = unsafe { (*related).DeviceObject };
            // SAFETY: an open file keeps its device.
            unsafe { lifetime::reference(parsed.cast()) };
            Self {
                parsed,
                top: null_mut(),
                remaining: name.to_owned(),
                related,
                vpb: null_mut(),
                direct: false,
            }
        };
        target.top = target.find_top(granted, hint)?;
        Ok(target)
    }

    /// Mounts the volume if there is one, and finds the device the request begins at.
    fn find_top(
        &mut self,
        granted: u32,
        hint: *mut DEVICE_OBJECT,
    ) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
        if !self.related.is_null() {
            // SAFETY: the root handle keeps the file, which counts on its VPB.
            let vpb = unsafe { (*self.related).Vpb };
            if !vpb.is_null() {
                // SAFETY: as above.
                unsafe { mount::reference_vpb(vpb) };
                self.vpb = vpb;
            }
            if !hint.is_null() {
                return Ok(hint);
            }
            // SAFETY: the root handle keeps the file.
            return Ok(unsafe { file::related_device(self.related) });
        }
        // SAFETY: the lookup referenced the device.
        let has_volume = !(unsafe { (*self.parsed).Vpb }).is_null();
        self.direct =
            has_volume && self.remaining.is_empty() && granted & !access::DIRECT_DEVICE == 0;
        let base = if has_volume && !self.direct {
            // SAFETY: as above; no open allows RAW here.
            self.vpb = unsafe { mount::open_volume(self.parsed, false) }?;
            // SAFETY: just counted.
            unsafe { (*self.vpb).DeviceObject }
        } else {
            self.parsed
        };
        if !hint.is_null() {
            return Ok(hint);
        }
        // SAFETY: a device of a live stack.
        Ok(unsafe { device::top_of_stack(base) })
    }

    /// What the object manager and the I/O manager refuse before any driver is asked.
    fn check(&self, request: &OpenRequest<'_>, granted: u32) -> Result<(), NTSTATUS> {
        // SAFETY: the target keeps its device.
        let parsed = unsafe { &*self.parsed };
        if parsed.Flags & DO_DEVICE_INITIALIZING != 0 {
            return Err(STATUS_NO_SUCH_DEVICE);
        }
        if parsed.Flags & DO_EXCLUSIVE != 0 && parsed.ReferenceCount != 0 && self.related.is_null()
        {
            return Err(STATUS_ACCESS_DENIED);
        }
        let kernel = thread::previous_mode() == 0 && !request.force_access_check;
        let secured =
            self.remaining.is_empty() || parsed.Characteristics & FILE_DEVICE_SECURE_OPEN != 0;
        if kernel || !secured || !self.related.is_null() {
            return Ok(());
        }
        // SAFETY: as above.
        let descriptor = unsafe { object::security(self.parsed.cast()) };
        match descriptor {
            Some(descriptor) if !access::check(&descriptor, thread::current().token(), granted) => {
                Err(STATUS_ACCESS_DENIED)
            }
            _ => Ok(()),
        }
    }

    /// The file object of the open, with what the options say.
    fn new_file(&self, request: &OpenRequest<'_>) -> *mut FILE_OBJECT {
        let mut flags = 0;
        for (option, flag) in [
            (
                FILE_SYNCHRONOUS_IO_ALERT,
                FO_SYNCHRONOUS_IO | FO_ALERTABLE_IO,
            ),
            (FILE_SYNCHRONOUS_IO_NONALERT, FO_SYNCHRONOUS_IO),
            (FILE_NO_INTERMEDIATE_BUFFERING, FO_NO_INTERMEDIATE_BUFFERING),
            (FILE_WRITE_THROUGH, FO_WRITE_THROUGH),
            (FILE_SEQUENTIAL_ONLY, FO_SEQUENTIAL_ONLY),
            (FILE_RANDOM_ACCESS, FO_RANDOM_ACCESS),
        ] {
            if request.options & option != 0 {
                flags |= flag;
            }
        }
        if request.case_sensitive {
            flags |= FO_OPENED_CASE_SENSITIVE;
        }
        if self.direct {
            flags |= FO_DIRECT_DEVICE_OPEN;
        }
        let id = request.file_id.map(file_id::to_units);
        let name = self.remaining.encode_utf16();
        let name = name.chain(request.rest.iter().copied());
        let name: Vec<u16> = name.chain(id.into_iter().flatten()).collect();
        // SAFETY: the target keeps the device; the file object takes its own reference.
        let file = unsafe { file::create(self.parsed, &name, flags) };
        // SAFETY: a new file object.
        unsafe { (*file).RelatedFileObject = self.related };
        if !request.device_hint.is_null() {
            // SAFETY: as above.
            unsafe { file::set_device_hint(file, request.device_hint) };
        }
        self.count_on_volume(file);
        file
    }

    /// An open file is counted on its volume.
    fn count_on_volume(&self, file: *mut FILE_OBJECT) {
        if self.vpb.is_null() {
            return;
        }
        // SAFETY: a new file object.
        unsafe { (*file).Vpb = self.vpb };
        // SAFETY: the target counts on it.
        unsafe { mount::reference_vpb(self.vpb) };
    }

    /// IRP_MJ_CREATE. The file object comes back with the creation's reference.
    pub(super) fn open(
        &self,
        request: &OpenRequest<'_>,
        granted: u32,
    ) -> Result<(*mut FILE_OBJECT, IO_STATUS_BLOCK), NTSTATUS> {
        self.check(request, granted)?;
        let file = self.new_file(request);
        let failed = move |status| {
            // SAFETY: the creation's reference.
            unsafe { lifetime::dereference(file.cast()) };
            Err(status)
        };
        let mut security = Security::new(request, granted);
        let mut create = match Request::allocate(self.top, thread::previous_mode()) {
            Ok(create) => create,
            Err(status) => return failed(status),
        };
        let mut iosb = Box::new(IO_STATUS_BLOCK::default());
        fill(&mut create, request, file, &mut security);
        let flags = IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION;
        create.header().Flags = flags;
        create.header().Anonymous.UserIosb = &raw mut *iosb;
        let (irp, mut status) = create.send(self.top);
        if status == STATUS_PENDING {
            // SAFETY: the creation's reference keeps the file object.
            wait_for(unsafe { &raw mut (*file).Event });
            // SAFETY: the second stage wrote it before it signaled the event.
            status = unsafe { iosb.Anonymous.Status };
        } else {
            // SAFETY: completed, and its second stage was left to this thread.
            let completed = unsafe { complete::finish_synchronously(irp) };
            if status == STATUS_REPARSE {
                status = completed;
            }
            iosb.Anonymous.Status = status;
        }
        thread::deliver_apcs();
        if status < 0 {
            return failed(status);
        }
        let renamed = status == STATUS_REPARSE && iosb.Information != IO_REMOUNT as usize;
        if renamed && self.is_of_volume(request) && verifier::checks() {
            checks::report(
                &rules::VOLUME_REPARSED,
                "the open of a volume, which has no name that could be another one, was answered with STATUS_REPARSE".to_owned(),
                null_mut(),
                vec![("completed by", checks::freed_by(irp).unwrap_or(0))],
            );
        }
        Ok((file, *iosb))
    }

    /// Whether `name` names the device that this one does.
    pub(super) fn is_on_volume_of(&self, name: &str) -> bool {
        let Ok((object, _)) = namespace::lookup(name) else {
            return false;
        };
        // SAFETY: the lookup's reference.
        unsafe { lifetime::dereference(object) };
        object == self.parsed.cast()
    }

    /// True if the device itself is opened, and no file on it.
    fn is_of_volume(&self, request: &OpenRequest<'_>) -> bool {
        self.remaining.is_empty() && request.root.is_null() && request.file_id.is_none()
    }

    /// `FastIoQueryOpen`: `None` when the stack declines.
    pub(super) fn query_open(
        &self,
        request: &OpenRequest<'_>,
        granted: u32,
    ) -> Result<Option<Result<FILE_NETWORK_OPEN_INFORMATION, NTSTATUS>>, NTSTATUS> {
        self.check(request, granted)?;
        // SAFETY: the target keeps its stack.
        let routine = unsafe { device::fast_io_of(self.top, |table| table.FastIoQueryOpen) };
        let Some(routine) = routine else {
            return Ok(None);
        };
        let file = self.new_file(request);
        references::lies_on_stack(file.cast());
        let mut security = Security::new(request, granted);
        let mut information = FILE_NETWORK_OPEN_INFORMATION::default();
        let answer = Request::allocate(self.top, thread::previous_mode()).map(|mut create| {
            fill(&mut create, request, file, &mut security);
            create.header().Flags =
                IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION;
            let irp = create.pointer();
            // SAFETY: the request has a location for this device.
            unsafe { irp::advance(irp) };
            // SAFETY: a live request.
            let current = unsafe { irp.current_location() };
            // SAFETY: the location just made current.
            unsafe { (*current).DeviceObject = self.top };
            // SAFETY: the entry of this device's driver with its documented arguments.
            let answered = fast_io_checks::around(routine as usize, || unsafe {
                entering_for(routine, irp)(irp, (&raw mut information).cast::<c_void>(), self.top)
            }) != 0;
            // SAFETY: the request was not sent: the routine returned and this thread owns it.
            let status = unsafe { create.header().IoStatus.Anonymous.Status };
            answered.then_some(status)
        });
        // SAFETY: the creation's reference.
        unsafe { lifetime::dereference(file.cast()) };
        let answer = answer?;
        counters::fast(FastIo::QueryOpen, answer.is_some());
        Ok(answer.map(|status| {
            outcome::note_fast();
            if status < 0 {
                Err(status)
            } else {
                Ok(information)
            }
        }))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.vpb.is_null() {
            // SAFETY: counted by `find_top`.
            unsafe { mount::dereference_vpb(self.vpb) };
        }
        // SAFETY: the reference taken by the lookup or by `parse`.
        unsafe { lifetime::dereference(self.parsed.cast()) };
    }
}

/// The security context of an open; the location points at it.
struct Security {
    context: Box<IO_SECURITY_CONTEXT>,
    _state: Box<ACCESS_STATE>,
}

impl Security {
    fn new(request: &OpenRequest<'_>, granted: u32) -> Self {
        let mut state = Box::new(ACCESS_STATE::default());
        state.OriginalDesiredAccess = request.access;
        // The box grants what was asked for: the file system decides by itself.
        state.PreviouslyGrantedAccess = granted;
        let context = Box::new(IO_SECURITY_CONTEXT {
            SecurityQos: null_mut(),
            AccessState: &raw mut *state,
            DesiredAccess: granted,
            FullCreateOptions: request.options,
        });
        Self {
            context,
            _state: state,
        }
    }
}

/// The create's header and first location.
fn fill(
    create: &mut Request,
    request: &OpenRequest<'_>,
    file: *mut FILE_OBJECT,
    security: &mut Security,
) {
    let header = create.header();
    header.Tail.Overlay.OriginalFileObject = file;
    header.Overlay.AllocationSize = request.allocation_size;
    if !request.extended_attributes.is_empty() {
        header.AssociatedIrp.SystemBuffer = request.extended_attributes.as_ptr().cast_mut().cast();
    }
    if !request.extra_parameters.is_null() {
        ecp::lend_to_create(create.pointer(), request.extra_parameters);
    }
    let mut flags = 0;
    for (wanted, flag) in [
        (request.case_sensitive, SL_CASE_SENSITIVE),
        (request.open_target_directory, SL_OPEN_TARGET_DIRECTORY),
        (request.force_access_check, SL_FORCE_ACCESS_CHECK),
        (request.paging_file, SL_OPEN_PAGING_FILE),
    ] {
        if wanted {
            flags |= flag;
        }
    }
    let location = create.location();
    location.MajorFunction = IRP_MJ_CREATE as u8;
    location.Flags = flags as u8;
    location.FileObject = file;
    let parameters = crate::nt::stack_location::Create {
        SecurityContext: &raw mut *security.context,
        Options: request.disposition << 24 | request.options & 0x00FF_FFFF,
        FileAttributes: request.attributes as u16,
        ShareAccess: request.share as u16,
        EaLength: request.extended_attributes.len() as u32,
        ..Default::default()
    };
    location.Parameters.Create = parameters;
}
