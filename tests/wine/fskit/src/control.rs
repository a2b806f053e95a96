//! The requests of the control device.

use crate::devices::{DISKS, FILE_SYSTEM};
use crate::kernel::{complete, current_location};
use crate::{answer, exports, mount};
use core::sync::atomic::Ordering;
use fskit_protocol::{Answer, NOT_MOUNTED, Report, control};
use wdk_sys::{
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, NTSTATUS, PDEVICE_OBJECT,
    PIRP, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
};

/// A request for the control device; it is always completed here.
pub unsafe fn request(irp: PIRP) -> NTSTATUS {
    let (status, information) = match u32::from((*current_location(irp)).MajorFunction) {
        IRP_MJ_CREATE | IRP_MJ_CLEANUP | IRP_MJ_CLOSE => (STATUS_SUCCESS, 0),
        IRP_MJ_DEVICE_CONTROL => carry_out(irp),
        _ => (STATUS_INVALID_DEVICE_REQUEST, 0),
    };
    complete(irp, status, information)
}

unsafe fn carry_out(irp: PIRP) -> (NTSTATUS, usize) {
    let parameters = (*current_location(irp)).Parameters.DeviceIoControl;
    let buffer = (*irp).AssociatedIrp.SystemBuffer;
    let number = (parameters.InputBufferLength as usize >= size_of::<u32>())
        .then(|| buffer.cast::<u32>().read_unaligned());
    let status = match (parameters.IoControlCode, number) {
        (control::REPORT, _) => {
            let bytes = size_of::<Report>();
            if (parameters.OutputBufferLength as usize) < bytes {
                return (STATUS_BUFFER_TOO_SMALL, 0);
            }
            buffer.cast::<Report>().write_unaligned(report());
            return (STATUS_SUCCESS, bytes);
        }
        (control::RELEASE, _) => {
            answer::release();
            STATUS_SUCCESS
        }
        (control::ANSWER, Some(number)) => match Answer::from_number(number) {
            Some(answer) => {
                answer::choose(answer);
                STATUS_SUCCESS
            }
            None => STATUS_INVALID_PARAMETER,
        },
        (control::MOUNT, Some(number)) => mount::mount(number as usize),
        (control::BEGIN_MOUNT, Some(number)) => mount::begin(number as usize),
        (control::DISMOUNT, Some(number)) => mount::dismount(number as usize),
        (control::ANSWER | control::MOUNT | control::BEGIN_MOUNT | control::DISMOUNT, None) => {
            STATUS_BUFFER_TOO_SMALL
        }
        _ => STATUS_INVALID_DEVICE_REQUEST,
    };
    (status, 0)
}

unsafe fn report() -> Report {
    let mut report = Report::default();
    answer::count(&mut report);
    exports::count(&mut report);
    report.waiting_for_mounts = mount::waiting();
    report.above_file_system = above(FILE_SYSTEM.load(Ordering::Acquire));
    for (count, disk) in report.above_volume.iter_mut().zip(&DISKS) {
        let volume = disk.volume.load(Ordering::Acquire);
        *count = if volume.is_null() {
            NOT_MOUNTED
        } else {
            above(volume)
        };
    }
    report
}

/// How many devices lie above this one, the bottom of a stack. Those are not looked at: a filter may
/// have deleted its device while it was attached, and the memory is somebody else's.
unsafe fn above(bottom: PDEVICE_OBJECT) -> u32 {
    exports::devices::stack_lock().with(|()| {
        if (*bottom).AttachedDevice.is_null() {
            0
        } else {
            1 + exports::devices::further()
        }
    })
}
