//! Windows.

#![expect(unsafe_code, reason = "Windows is called by its C interface")]

use super::{Device, DriveLetter, Service, System};
use crate::error::{Code, Error, Exit, Result};
use std::fs::{File, OpenOptions};
use std::os::windows::io::AsRawHandle;
use std::time::Duration;
use windows_service::service::{ServiceAccess, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_SERVICE_DOES_NOT_EXIST, HMODULE, STATUS_PENDING, WAIT_OBJECT_0,
};
use windows_sys::Win32::Storage::FileSystem::QueryDosDeviceW;
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_HMODULE, FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS,
    FormatMessageW,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::System::Threading::{INFINITE, WaitForSingleObject};
use windows_sys::Win32::UI::Shell::IsUserAnAdmin;

/// This system.
pub struct Windows;

/// A terminated string in UTF-16.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

impl System for Windows {
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
        match OpenOptions::new().read(true).write(true).open(&path) {
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

    fn stop(&self, name: &str) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(100);
        let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS;
        let service = open_service(name, access)?;
        let doing = format!("{name} did not stop");
        let mut status = service.stop().map_err(failed(&doing))?;
        // Until what is inside the driver has come back, however long that takes.
        while status.current_state == ServiceState::StopPending {
            std::thread::sleep(PAUSE);
            status = service.query_status().map_err(failed(&doing))?;
        }
        Ok(())
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

/// An open control device.
struct Opened(File);

impl Device for Opened {
    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> (u32, usize) {
        let mut result = IO_STATUS_BLOCK::default();
        // SAFETY: a synchronous handle, buffers of the stated sizes, and a place for the result;
        // all outlive the request, which is waited for below.
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
            // SAFETY: the handle is open; it is signalled when the request has completed.
            let waited = unsafe { WaitForSingleObject(self.0.as_raw_handle(), INFINITE) };
            assert_eq!(waited, WAIT_OBJECT_0, "an open handle can be waited for");
            // SAFETY: the request has completed and has written the status.
            status = unsafe { result.Anonymous.Status };
        }
        (status.cast_unsigned(), result.Information)
    }
}
