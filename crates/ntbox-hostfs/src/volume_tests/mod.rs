//! Tests of the volume without IRPs.

mod case_sensitive;
mod deletion;
mod extended_attributes;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod full_host;
mod information;
mod links;
mod listing;
mod mdl_transfers;
mod opening;
mod oplocks;
mod remount;
mod reparse;
mod short_names;
mod sparse;
mod stream_changes;
mod streams;
mod views;
mod waiting;

use crate::control::LockRequest;
use crate::create::{Created, Opened, Request};
use crate::data::{END_OF_FILE, Transfer};
use crate::directory::Query;
use crate::rename::Target;
use crate::share::access;
use crate::volume::{Description, OpenId, Volume, attribute};
use crate::waiting::{Effects, Finish, Outcome, Ticket};
use ntbox_kernel::nt::*;
use tempfile::TempDir;
use windows_sys::Win32::System::Ioctl as code;

const ALL: u32 = access::FILE_ALL;
const SHARE_ALL: u32 = 7;

struct Fixture {
    // Closed before its folder is removed.
    volume: Volume,
    folder: TempDir,
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn new() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let volume = Volume::open(&root, description()).unwrap();
    Fixture { volume, folder }
}

fn description() -> Description {
    Description {
        label: wide("Test"),
        serial: 7,
        medium: 0,
        prefix: Vec::new(),
        device_type: 7,
        characteristics: 0,
        file_system: "HostFs",
        read_only: false,
    }
}

fn effects<R>(operation: impl FnOnce(&mut Effects<'_>) -> R) -> (R, Vec<Finish>) {
    let mut effects = Effects::new(&|_| true);
    let result = operation(&mut effects);
    (result, effects.into_finished())
}

fn request(name: &str, disposition: u32, options: u32) -> Request {
    Request {
        name: wide(name),
        disposition,
        options,
        share: SHARE_ALL,
        desired: ALL,
        ..Default::default()
    }
}

impl Fixture {
    fn try_open(&self, request: &Request) -> Result<Created, NTSTATUS> {
        effects(|effects| self.volume.create(request, effects)).0
    }
    fn open(&self, name: &str, disposition: u32, options: u32) -> OpenId {
        self.try_open(&request(name, disposition, options))
            .unwrap()
            .open
    }
    fn status(&self, name: &str, disposition: u32, options: u32) -> NTSTATUS {
        match self.try_open(&request(name, disposition, options)) {
            Ok(created) => {
                self.close(created.open);
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }
    fn close(&self, open: OpenId) -> Vec<Finish> {
        let (_, finished) = effects(|effects| self.volume.cleanup(open, effects));
        self.volume.close(open);
        finished
    }
    fn make(&self, name: &str, data: &[u8]) {
        let open = self.open(name, FILE_CREATE, 0);
        self.write(open, 0, data);
        self.close(open);
    }
    fn write(&self, open: OpenId, offset: i64, data: &[u8]) -> (NTSTATUS, usize) {
        self.volume
            .write(
                open,
                &Transfer {
                    offset,
                    ..Default::default()
                },
                data,
            )
            .0
    }
    fn read(&self, open: OpenId, offset: i64, length: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut bytes = vec![0; length];
        let (status, count) = self.volume.read(
            open,
            &Transfer {
                offset,
                ..Default::default()
            },
            &mut bytes,
        );
        bytes.truncate(count);
        if status == STATUS_SUCCESS {
            Ok(bytes)
        } else {
            Err(status)
        }
    }
    fn set(&self, open: OpenId, class: i32, buffer: &[u8]) -> NTSTATUS {
        effects(|effects| {
            self.volume
                .set_information(open, class, false, buffer, effects)
        })
        .0
    }
    fn rename(&self, open: OpenId, directory: Option<OpenId>, name: &str, flags: u32) -> NTSTATUS {
        let target = Target {
            directory,
            name: wide(name),
            flags,
        };
        effects(|effects| self.volume.rename(open, &target, effects)).0
    }
    fn link(&self, open: OpenId, directory: Option<OpenId>, name: &str, flags: u32) -> NTSTATUS {
        let target = Target {
            directory,
            name: wide(name),
            flags,
        };
        effects(|effects| self.volume.link(open, &target, effects)).0
    }
    fn query(&self, open: OpenId, class: i32, length: usize) -> Result<Vec<u8>, NTSTATUS> {
        let mut bytes = vec![0; length];
        let (status, count) = self.volume.query_information(open, class, 0, &mut bytes);
        bytes.truncate(count);
        if status == STATUS_SUCCESS {
            Ok(bytes)
        } else {
            Err(status)
        }
    }
    fn name(&self, open: OpenId) -> String {
        String::from_utf16(&self.volume.name(open).unwrap()).unwrap()
    }
    fn host(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("root").join(path)
    }
    fn attributes(&self, open: OpenId) -> u32 {
        let bytes = self.query(open, FileBasicInformation, 40).unwrap();
        u32::from_le_bytes(bytes[32..36].try_into().unwrap())
    }
    fn set_attributes(&self, open: OpenId, attributes: u32) -> NTSTATUS {
        let mut buffer = [0; 40];
        buffer[32..36].copy_from_slice(&attributes.to_le_bytes());
        self.set(open, FileBasicInformation, &buffer)
    }
    /// The names that a listing of all that `open` holds gives.
    fn listing(&self, open: OpenId) -> Vec<String> {
        let query = Query {
            class: FileNamesInformation,
            restart: true,
            ..Default::default()
        };
        let mut bytes = vec![0; 4096];
        let (status, count) = self.volume.query_directory(open, &query, &mut bytes);
        match status {
            STATUS_SUCCESS => listing::names(&bytes[..count]),
            _ => Vec::new(),
        }
    }
    /// Dismounts the volume, does something to it on the host, and mounts it again.
    fn remount(self, read_only: bool, meanwhile: impl FnOnce(&std::path::Path)) -> Self {
        let Self { volume, folder } = self;
        effects(|effects| volume.dismount(effects));
        drop(volume);
        let root = folder.path().join("root");
        meanwhile(&root);
        let description = Description {
            read_only,
            ..description()
        };
        let volume = Volume::open(&root, description).unwrap();
        Self { volume, folder }
    }
    fn lock(&self, open: OpenId, offset: i64, exclusive: bool, ticket: Option<usize>) -> Outcome {
        let request = LockRequest {
            offset,
            length: 10,
            process: 1,
            key: 0,
            exclusive,
            fail_immediately: ticket.is_none(),
        };
        self.volume
            .lock(open, &request, Ticket(ticket.unwrap_or(0)), &|| true)
    }
}

fn done(status: NTSTATUS) -> Outcome {
    Outcome::Done(status, Vec::new())
}
