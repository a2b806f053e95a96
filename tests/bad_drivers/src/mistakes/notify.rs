//! Notify routines that are registered and not removed.

use super::Mistake;
use wdk_sys::{BOOLEAN, HANDLE, PIMAGE_INFO, PUNICODE_STRING, ntddk};

/// In DriverEntry.
pub unsafe fn register(mistake: Mistake) {
    let _ = match mistake {
        Mistake::ProcessNotifyLeft => ntddk::PsSetCreateProcessNotifyRoutine(Some(process), 0),
        Mistake::ThreadNotifyLeft => ntddk::PsSetCreateThreadNotifyRoutine(Some(thread)),
        Mistake::ImageNotifyLeft => ntddk::PsSetLoadImageNotifyRoutine(Some(image)),
        _ => 0,
    };
}

unsafe extern "C" fn process(_parent: HANDLE, process: HANDLE, _create: BOOLEAN) {
    core::hint::black_box(process);
}

unsafe extern "C" fn thread(_process: HANDLE, thread: HANDLE, create: BOOLEAN) {
    core::hint::black_box((thread, create));
}

unsafe extern "C" fn image(_name: PUNICODE_STRING, process: HANDLE, image: PIMAGE_INFO) {
    core::hint::black_box((image, process));
}
