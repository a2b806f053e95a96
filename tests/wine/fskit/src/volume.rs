//! What a volume does with a request: a disk of bytes, without files.

use crate::devices::Disk;
use crate::kernel::current_location;
use crate::spin::Spin;
use core::sync::atomic::Ordering;
use fskit_protocol::{ECHO, SECTOR_SIZE, VOLUME_SIZE};
use wdk_sys::{
    _FSINFOCLASS, FILE_FS_SIZE_INFORMATION, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_READ,
    IRP_MJ_WRITE, NTSTATUS, PIRP, STATUS_BUFFER_TOO_SMALL, STATUS_DISK_FULL, STATUS_END_OF_FILE,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS, STATUS_SUCCESS,
};

/// Held while bytes of a volume are copied.
static COPYING: Spin<()> = Spin::new(());

/// Carries out a request, without completing it: its status and information.
pub unsafe fn carry_out(disk: &Disk, irp: PIRP) -> (NTSTATUS, usize) {
    let location = current_location(irp);
    match u32::from((*location).MajorFunction) {
        IRP_MJ_CREATE | IRP_MJ_CLEANUP | IRP_MJ_CLOSE | IRP_MJ_FLUSH_BUFFERS => (STATUS_SUCCESS, 0),
        IRP_MJ_READ => {
            let parameters = (*location).Parameters.Read;
            match part(parameters.ByteOffset.QuadPart, parameters.Length) {
                None => (STATUS_END_OF_FILE, 0),
                Some((start, length)) => {
                    let source = disk.data.load(Ordering::Acquire).add(start);
                    COPYING.with(|()| source.copy_to(buffer(irp), length));
                    (STATUS_SUCCESS, length)
                }
            }
        }
        IRP_MJ_WRITE => {
            let parameters = (*location).Parameters.Write;
            match part(parameters.ByteOffset.QuadPart, parameters.Length) {
                None => (STATUS_DISK_FULL, 0),
                Some((start, length)) => {
                    let target = disk.data.load(Ordering::Acquire).add(start);
                    COPYING.with(|()| target.copy_from(buffer(irp), length));
                    (STATUS_SUCCESS, length)
                }
            }
        }
        IRP_MJ_QUERY_VOLUME_INFORMATION => query(irp),
        IRP_MJ_DEVICE_CONTROL => echo(irp),
        _ => (STATUS_INVALID_DEVICE_REQUEST, 0),
    }
}

/// The part of a transfer that lies on the volume; `None` if nothing does.
fn part(offset: i64, length: u32) -> Option<(usize, usize)> {
    let start = usize::try_from(offset).ok()?;
    let room = VOLUME_SIZE.checked_sub(start).filter(|room| *room > 0)?;
    Some((start, room.min(length as usize)))
}

unsafe fn buffer(irp: PIRP) -> *mut u8 {
    (*irp).AssociatedIrp.SystemBuffer.cast()
}

unsafe fn query(irp: PIRP) -> (NTSTATUS, usize) {
    let parameters = (*current_location(irp)).Parameters.QueryVolume;
    let bytes = size_of::<FILE_FS_SIZE_INFORMATION>();
    if parameters.FsInformationClass != _FSINFOCLASS::FileFsSizeInformation {
        return (STATUS_INVALID_INFO_CLASS, 0);
    }
    if (parameters.Length as usize) < bytes {
        return (STATUS_BUFFER_TOO_SMALL, 0);
    }
    let mut size = FILE_FS_SIZE_INFORMATION::default();
    size.TotalAllocationUnits.QuadPart = i64::from(VOLUME_SIZE as u32 / SECTOR_SIZE);
    size.SectorsPerAllocationUnit = 1;
    size.BytesPerSector = SECTOR_SIZE;
    buffer(irp).cast::<FILE_FS_SIZE_INFORMATION>().write(size);
    (STATUS_SUCCESS, bytes)
}

unsafe fn echo(irp: PIRP) -> (NTSTATUS, usize) {
    let parameters = (*current_location(irp)).Parameters.DeviceIoControl;
    if parameters.IoControlCode != ECHO {
        return (STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    let length = parameters.InputBufferLength;
    if parameters.OutputBufferLength < length {
        return (STATUS_BUFFER_TOO_SMALL, 0);
    }
    let bytes = core::slice::from_raw_parts_mut(buffer(irp), length as usize);
    for byte in bytes {
        *byte = !*byte;
    }
    (STATUS_SUCCESS, length as usize)
}
