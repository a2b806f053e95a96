//! The security descriptor of the control device (A1).
//!
//! The WDK's `IoCreateDeviceSecure` lives in a static library that only its
//! compilers can link. It does what is done here: give the device object its
//! descriptor before DriverEntry returns, while the I/O manager still refuses
//! opens of it.

#![expect(
    unsafe_code,
    reason = "a handle is opened, used and closed through raw DDIs"
)]

use crate::irql::Passive;
use crate::status::Status;
use wdk_sys::{
    _MODE, DACL_SECURITY_INFORMATION, DEVICE_OBJECT, HANDLE, OBJ_KERNEL_HANDLE, WRITE_DAC, ntddk,
};

const FILE_ALL_ACCESS: u32 = 0x001F_01FF;
const SE_DACL_PRESENT: u16 = 0x0004;
const SE_DACL_PROTECTED: u16 = 0x1000;
const SE_SELF_RELATIVE: u16 = 0x8000;
const NT_AUTHORITY: [u8; 6] = [0, 0, 0, 0, 0, 5];

/// A self-relative SECURITY_DESCRIPTOR with its access control list behind it.
#[repr(C)]
struct Descriptor {
    revision: u8,
    reserved: u8,
    control: u16,
    owner: u32,
    group: u32,
    sacl: u32,
    dacl: u32,
    acl: AccessControlList,
}

#[repr(C)]
struct AccessControlList {
    revision: u8,
    reserved1: u8,
    size: u16,
    entries: u16,
    reserved2: u16,
    system: AccessAllowed<1>,
    administrators: AccessAllowed<2>,
}

/// ACCESS_ALLOWED_ACE over a SID of the NT authority.
#[repr(C)]
struct AccessAllowed<const SUB_AUTHORITIES: usize> {
    kind: u8,
    flags: u8,
    size: u16,
    mask: u32,
    sid_revision: u8,
    sid_sub_authorities: u8,
    sid_authority: [u8; 6],
    sid: [u32; SUB_AUTHORITIES],
}

impl<const N: usize> AccessAllowed<N> {
    const fn all(sid: [u32; N]) -> Self {
        Self {
            kind: 0,
            flags: 0,
            size: size_of::<Self>() as u16,
            mask: FILE_ALL_ACCESS,
            sid_revision: 1,
            sid_sub_authorities: N as u8,
            sid_authority: NT_AUTHORITY,
            sid,
        }
    }
}

/// `D:P(A;;FA;;;SY)(A;;FA;;;BA)`: all access for the local system and for administrators,
/// none for anyone else, nothing inherited.
static ADMINISTRATORS_AND_SYSTEM: Descriptor = Descriptor {
    revision: 1,
    reserved: 0,
    control: SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_DACL_PROTECTED,
    owner: 0,
    group: 0,
    sacl: 0,
    dacl: core::mem::offset_of!(Descriptor, acl) as u32,
    acl: AccessControlList {
        revision: 2,
        reserved1: 0,
        size: size_of::<AccessControlList>() as u16,
        entries: 2,
        reserved2: 0,
        system: AccessAllowed::all([18]),
        administrators: AccessAllowed::all([32, 544]),
    },
};

/// Allows the device to administrators and the system only.
///
/// Errors: the status of ObOpenObjectByPointer or ZwSetSecurityObject.
///
/// # Safety
/// `device` is a live device object.
pub(super) unsafe fn restrict(
    device: *mut DEVICE_OBJECT,
    _level: &mut Passive,
) -> Result<(), Status> {
    let mut handle: HANDLE = core::ptr::null_mut();
    // SAFETY: contract of the function; a kernel handle, which no program can use.
    Status(unsafe {
        ntddk::ObOpenObjectByPointer(
            device.cast(),
            OBJ_KERNEL_HANDLE,
            core::ptr::null_mut(),
            WRITE_DAC,
            core::ptr::null_mut(),
            _MODE::KernelMode as _,
            &raw mut handle,
        )
    })
    .into_result()?;
    let descriptor = (&raw const ADMINISTRATORS_AND_SYSTEM).cast_mut().cast();
    // SAFETY: a handle with WRITE_DAC; the descriptor is valid, and only read.
    let status = Status(unsafe {
        ntddk::ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, descriptor)
    });
    // SAFETY: opened above, closed once. Its own failure would mean a bad handle.
    let _always_success = unsafe { ntddk::ZwClose(handle) };
    status.into_result()
}
