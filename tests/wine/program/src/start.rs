//! Starting a filter while a volume is being mounted.

use crate::Outcome;
use crate::kit::Kit;
use crate::service::Service;
use crate::volume::expect;
use fskit_protocol::NOT_MOUNTED;
use std::thread;
use windows_sys::Win32::System::Services::{SERVICE_RUNNING, SERVICE_START_PENDING};

/// Has the file system hold a mount request, which no filter has seen, starts the service of a
/// filter, and releases the request when the filter waits for it or has not waited.
///
/// All in one program, because Wine's service manager gives up a driver that takes ten seconds to
/// start.
pub fn in_mount(name: &str, volume: u32) -> Outcome {
    let kit = Kit::open()?;
    let service = Service::open(name)?;
    kit.begin_mount(volume)?;
    let asked = Service::open(name)?;
    let starting = thread::spawn(move || asked.start());
    while kit.report()?.waiting_for_mounts == 0 && !starting.is_finished() {
        thread::yield_now();
    }
    let waits = kit.report()?.waiting_for_mounts != 0;
    kit.release()?;
    starting
        .join()
        .unwrap_or_else(|_| Err("a panic".to_owned()))?;
    while service.state()? == SERVICE_START_PENDING {
        thread::yield_now();
    }
    expect("the service's state", service.state()?, SERVICE_RUNNING)?;
    while kit.report()?.above_volume.get(volume as usize) == Some(&NOT_MOUNTED) {
        thread::yield_now();
    }
    println!("the filter waited for the mount: {waits}");
    Ok(())
}
