//! Services of drivers: their state, starting and stopping them.

#![expect(unsafe_code, reason = "the service manager is called")]

use crate::Outcome;
use std::io;
use std::ptr::null;
use windows_sys::Win32::Foundation::ERROR_SERVICE_REQUEST_TIMEOUT;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ControlService, OpenSCManagerW, OpenServiceW, QueryServiceStatus,
    SC_HANDLE, SC_MANAGER_CONNECT, SERVICE_CONTROL_STOP, SERVICE_QUERY_STATUS, SERVICE_START,
    SERVICE_STATUS, SERVICE_STOP, StartServiceW,
};

/// An open service.
pub struct Service {
    service: SC_HANDLE,
    manager: SC_HANDLE,
}

// SAFETY: handles of the service manager belong to no thread.
unsafe impl Send for Service {}

impl Service {
    /// Opens the service of that name.
    pub fn open(name: &str) -> Outcome<Self> {
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        // SAFETY: this machine, the active database.
        let manager = unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) };
        if manager.is_null() {
            return Err(last_error("the service manager"));
        }
        let access = SERVICE_QUERY_STATUS | SERVICE_START | SERVICE_STOP;
        // SAFETY: an open manager and a string that ends with zero.
        let service = unsafe { OpenServiceW(manager, wide.as_ptr(), access) };
        let opened = Self { service, manager };
        if service.is_null() {
            return Err(last_error(name));
        }
        Ok(opened)
    }

    /// SERVICE_STOPPED and so on.
    pub fn state(&self) -> Outcome<u32> {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: an open service and a place for the result.
        if unsafe { QueryServiceStatus(self.service, &raw mut status) } == 0 {
            return Err(last_error("the state of a service"));
        }
        Ok(status.dwCurrentState)
    }

    /// Starts the service; returns when the service manager has an answer.
    pub fn start(&self) -> Outcome {
        // SAFETY: an open service, and no arguments.
        if unsafe { StartServiceW(self.service, 0, null()) } == 0 {
            return Err(last_error("starting a service"));
        }
        Ok(())
    }

    /// Asks the service to stop; returns when the service manager has an answer, or has had none
    /// for so long that it gave up: the service goes on stopping then.
    pub fn stop(&self) -> Outcome {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: an open service and a place for the result.
        if unsafe { ControlService(self.service, SERVICE_CONTROL_STOP, &raw mut status) } == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(ERROR_SERVICE_REQUEST_TIMEOUT as i32) {
                return Err(format!("stopping a service: {error}"));
            }
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for handle in [self.service, self.manager] {
            if !handle.is_null() {
                // SAFETY: opened by this value, closed once.
                unsafe { CloseServiceHandle(handle) };
            }
        }
    }
}

fn last_error(what: &str) -> String {
    format!("{what}: {}", io::Error::last_os_error())
}
