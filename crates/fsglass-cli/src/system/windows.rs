//! Windows.

#![expect(unsafe_code, reason = "Windows is called by its C interface")]

mod certificates;
mod filters;

use super::{Device, DriveLetter, Filter, Service, System};
use crate::error::{Code, Error, Exit, Result};
use std::ffi::{CStr, c_char};
use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use windows_registry::LOCAL_MACHINE;
use windows_service::service::{ServiceAccess, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SystemCodeIntegrityInformation,
};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_SERVICE_DOES_NOT_EXIST, HMODULE, STATUS_PENDING, WAIT_OBJECT_0,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, GetVolumeInformationW, QueryDosDeviceW,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_HMODULE, FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS,
    FormatMessageW,
};
use windows_sys::Win32::System::IO::{CancelIoEx, IO_STATUS_BLOCK};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::WaitForSingleObject;
use windows_sys::Win32::System::WindowsProgramming::SYSTEM_CODEINTEGRITY_INFORMATION;
use windows_sys::Win32::UI::Shell::IsUserAnAdmin;

/// From `winnt.h`: a flag of GetVolumeInformation.
const FILE_DAX_VOLUME: u32 = 0x2000_0000;

/// This system.
pub struct Windows;

/// A terminated string in UTF-16.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

impl System for Windows {
    fn own_process(&self) -> Option<u32> {
        Some(std::process::id())
    }

    fn text(&self, code: Code) -> Option<String> {
        let (source, module, number) = match code {
            Code::Win32(code) => (FORMAT_MESSAGE_FROM_SYSTEM, std::ptr::null_mut(), code),
            Code::Nt(status) => (FORMAT_MESSAGE_FROM_HMODULE, ntdll(), status),
        };
        let mut buffer = [0; 512];
        // SAFETY: the module stays loaded; the buffer has room for the units that are stated.
        let length = unsafe {
            FormatMessageW(
                source | FORMAT_MESSAGE_IGNORE_INSERTS,
                module,
                number,
                0,
                buffer.as_mut_ptr(),
                buffer.len() as u32,
                std::ptr::null(),
            )
        };
        let text = String::from_utf16_lossy(buffer.get(..length as usize)?);
        let words: Vec<&str> = text.split_whitespace().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    fn is_administrator(&self) -> bool {
        // SAFETY: no precondition.
        unsafe { IsUserAnAdmin() != 0 }
    }

    fn open(&self, service: &str) -> Result<Box<dyn Device>> {
        let path = format!(r"\\.\{service}");
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        // Overlapped: a control that waits is cancelled by the thread that sent it.
        options.custom_flags(FILE_FLAG_OVERLAPPED);
        match options.open(&path) {
            Ok(file) => Ok(Box::new(Opened(file))),
            Err(error) => {
                let code = error.raw_os_error().unwrap_or_default().cast_unsigned();
                let failed = Error::with_code(format!("cannot open {path}"), Code::Win32(code));
                Err(if code == ERROR_FILE_NOT_FOUND {
                    failed
                        .remedy("the driver does not run: `fsglass start`")
                        .exiting(Exit::NotRunning)
                } else {
                    failed
                })
            }
        }
    }

    fn service(&self, name: &str) -> Result<Option<Service>> {
        let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
        let service = match open_service(name, access) {
            Ok(service) => service,
            Err(error) if error.code() == Some(Code::Win32(ERROR_SERVICE_DOES_NOT_EXIST)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let doing = "asking about the service";
        let status = service.query_status().map_err(failed(doing))?;
        let config = service.query_config().map_err(failed(doing))?;
        Ok(Some(Service {
            running: status.current_state == ServiceState::Running,
            state: state_in_words(status.current_state).to_owned(),
            start: start_in_words(config.start_type).to_owned(),
            image: config.executable_path.display().to_string(),
        }))
    }

    fn start(&self, name: &str) -> Result<()> {
        let access = ServiceAccess::START | ServiceAccess::QUERY_STATUS;
        let service = open_service(name, access)?;
        let nothing: [&str; 0] = [];
        // A driver runs, or does not, when this returns.
        service
            .start(&nothing)
            .map_err(failed(&format!("{name} did not start")))
    }

    fn stop(&self, name: &str, waiting: &mut dyn FnMut()) -> Result<()> {
        let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS;
        let service = open_service(name, access)?;
        let doing = format!("{name} did not stop");
        let mut status = service.stop().map_err(failed(&doing))?;
        // Until what is inside the driver has come back, however long that takes.
        while status.current_state == ServiceState::StopPending {
            std::thread::sleep(super::LOOK);
            waiting();
            status = service.query_status().map_err(failed(&doing))?;
        }
        if status.current_state == ServiceState::Stopped {
            return Ok(());
        }
        // Wine accepts the request for a driver that cannot be unloaded, and does nothing.
        let remedy = "see whether AllowUnload under the service's Parameters key was 1 when it was \
                      started: `fsglass status`";
        Err(Error::new(doing).remedy(remedy))
    }

    fn delete_service(&self, name: &str) -> Result<()> {
        let service = open_service(name, ServiceAccess::DELETE)?;
        let deleted = service.delete();
        deleted.map_err(failed(&format!("cannot delete the service {name}")))
    }

    fn is_direct_access(&self, letter: &str) -> bool {
        let root = wide(&format!(r"{letter}\"));
        let mut flags = 0;
        // SAFETY: a terminated name and a place for the flags; nothing else is asked for.
        let known = unsafe {
            GetVolumeInformationW(
                root.as_ptr(),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                &raw mut flags,
                std::ptr::null_mut(),
                0,
            )
        };
        known != 0 && flags & FILE_DAX_VOLUME != 0
    }

    fn registry_number(&self, key: &str, value: &str) -> Option<u32> {
        LOCAL_MACHINE.open(key).ok()?.get_u32(value).ok()
    }

    fn registry_text(&self, key: &str, value: &str) -> Option<String> {
        LOCAL_MACHINE.open(key).ok()?.get_string(value).ok()
    }

    fn registry_keys(&self, key: &str) -> Vec<String> {
        let Ok(key) = LOCAL_MACHINE.open(key) else {
            return Vec::new();
        };
        key.keys().map(Iterator::collect).unwrap_or_default()
    }

    fn filters(&self) -> Vec<Filter> {
        // Wine's filter manager knows none.
        if self.wine().is_some() {
            return Vec::new();
        }
        filters::all()
    }

    fn code_integrity(&self) -> Option<u32> {
        let size = size_of::<SYSTEM_CODEINTEGRITY_INFORMATION>() as u32;
        let mut information = SYSTEM_CODEINTEGRITY_INFORMATION {
            Length: size,
            CodeIntegrityOptions: 0,
        };
        // SAFETY: a structure of the stated size, whose length field is set.
        let status = unsafe {
            NtQuerySystemInformation(
                SystemCodeIntegrityInformation,
                (&raw mut information).cast(),
                size,
                std::ptr::null_mut(),
            )
        };
        (status >= 0).then_some(information.CodeIntegrityOptions)
    }

    fn wine(&self) -> Option<String> {
        // SAFETY: ntdll stays loaded; a terminated name.
        let routine = unsafe { GetProcAddress(ntdll(), c"wine_get_version".as_ptr().cast()) }?;
        // SAFETY: Wine's ntdll alone exports it, with this signature.
        let routine: extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(routine) };
        // SAFETY: a terminated string that lives as long as the process.
        let version = unsafe { CStr::from_ptr(routine()) };
        Some(version.to_string_lossy().into_owned())
    }

    fn add_certificate(&self, store: &str, certificate: &[u8]) -> Result<()> {
        certificates::Store::open(store)?.add(certificate)
    }

    fn remove_certificate(&self, store: &str, certificate: &[u8]) -> Result<bool> {
        certificates::Store::open(store)?.remove(certificate)
    }

    fn drive_letters(&self) -> Vec<DriveLetter> {
        let letter = |letter: u8| {
            let letter = format!("{}:", char::from(letter));
            let mut target = [0; 1024];
            // SAFETY: a terminated name, and a buffer of the stated size.
            let length = unsafe {
                QueryDosDeviceW(
                    wide(&letter).as_ptr(),
                    target.as_mut_ptr(),
                    target.len() as u32,
                )
            };
            // The strings are terminated; the first is the one in force.
            let all = target.get(..length as usize)?;
            let first = all.split(|unit| *unit == 0).next()?;
            let device = String::from_utf16_lossy(first);
            (!device.is_empty()).then_some(DriveLetter { letter, device })
        };
        (b'A'..=b'Z').filter_map(letter).collect()
    }
}

fn ntdll() -> HMODULE {
    // SAFETY: a terminated name; ntdll is in every process.
    unsafe { GetModuleHandleW(wide("ntdll.dll").as_ptr()) }
}

fn open_service(name: &str, access: ServiceAccess) -> Result<windows_service::service::Service> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT);
    let manager = manager.map_err(failed("cannot reach the service control manager"))?;
    let service = manager.open_service(name, access);
    service.map_err(failed(&format!("cannot open the service {name}")))
}

fn failed(what: &str) -> impl Fn(windows_service::Error) -> Error + '_ {
    move |error| match error {
        windows_service::Error::Winapi(error) => {
            let code = error.raw_os_error().unwrap_or_default().cast_unsigned();
            Error::with_code(what, Code::Win32(code))
        }
        other => Error::new(format!("{what}: {other}")),
    }
}

fn state_in_words(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "stopping",
        ServiceState::Running => "running",
        ServiceState::ContinuePending => "resuming",
        ServiceState::PausePending => "pausing",
        ServiceState::Paused => "paused",
    }
}

fn start_in_words(start: ServiceStartType) -> &'static str {
    match start {
        ServiceStartType::AutoStart => "automatic",
        ServiceStartType::OnDemand => "on demand",
        ServiceStartType::Disabled => "disabled",
        ServiceStartType::SystemStart => "system",
        ServiceStartType::BootStart => "boot",
    }
}

/// How often somebody who waits is asked whether to go on, in milliseconds.
const LOOK: u32 = 20;

/// An open control device, on which one control is under way at a time.
struct Opened(File);

impl Device for Opened {
    fn control_until(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> (u32, usize) {
        let mut result = IO_STATUS_BLOCK::default();
        // SAFETY: buffers of the stated sizes, and a place for the result; all outlive the
        // request, which is waited for below. Without an event the handle itself is signalled.
        let mut status = unsafe {
            NtDeviceIoControlFile(
                self.0.as_raw_handle(),
                std::ptr::null_mut(),
                None,
                std::ptr::null(),
                &raw mut result,
                code,
                input.as_ptr().cast(),
                input.len() as u32,
                output.as_mut_ptr().cast(),
                output.len() as u32,
            )
        };
        if status == STATUS_PENDING {
            self.wait(give_up);
            // SAFETY: the request has completed and has written the status.
            status = unsafe { result.Anonymous.Status };
        }
        (status.cast_unsigned(), result.Information)
    }
}

impl Opened {
    /// Until the control has completed.
    fn wait(&self, give_up: &dyn Fn() -> bool) {
        let mut cancelled = false;
        loop {
            // SAFETY: the handle is open; it is signalled when the request has completed.
            match unsafe { WaitForSingleObject(self.0.as_raw_handle(), LOOK) } {
                WAIT_OBJECT_0 => return,
                WAIT_TIMEOUT => {}
                other => panic!("an open handle can be waited for: {other}"),
            }
            if !cancelled && give_up() {
                cancelled = true;
                // SAFETY: the handle is open. Where nothing is left to cancel, it has completed.
                unsafe { CancelIoEx(self.0.as_raw_handle(), std::ptr::null()) };
            }
        }
    }
}
