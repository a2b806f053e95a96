//! What the host cannot hold of the files of a volume: in memory, and beside the files on the host.
//!
//! The records ([`overlay`](super::overlay)) lie in the folder `.ntbox` in the volume's root, which
//! nothing on the volume shows ([`Tree`](super::resolve::Tree)), each under the number of its file in
//! 16 hexadecimal digits. It is there only while a file has something to be kept in it: a volume
//! whose files have nothing more than the host knows leaves nothing there, and costs no call. A
//! record is written under another name first and takes its own at once, so that whoever dies on the
//! way leaves the old one or the new one.
//!
//! A number is used again when its file is gone. What is deleted through the volume takes its record
//! with it; for the rest, a record holds when its file was born, and counts for that one alone.
//!
//! What cannot be written there (the host refuses, or does not record when files are born, or the
//! file lies on another device than the root) is kept in memory and lost at the dismount. That is
//! said once.

use super::overlay::Overlay;
use ntbox_kernel::host::file::{Directory, Identity, Metadata, Replace};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

/// The folder in the root of a volume that holds the records.
pub const FOLDER: &str = ".ntbox";

/// What is longer is no record.
const LONGEST: u64 = 1 << 20;

/// The overlays of a volume.
#[derive(Debug, Default)]
pub struct Overlays {
    table: HashMap<Identity, Entry>,
    host: Option<Host>,
}

#[derive(Debug)]
struct Entry {
    overlay: Overlay,
    born: Option<i64>,
}

/// Where they are kept.
#[derive(Debug)]
struct Host {
    root: Arc<Directory>,
    device: u64,
    folder: Option<Directory>,
    /// For whoever is told.
    path: PathBuf,
    told: bool,
}

impl Overlays {
    /// Reads those of the volume whose root is `root`, at `path`. Of one that is `read_only`, nothing will change.
    pub fn open(root: &Arc<Directory>, path: PathBuf, read_only: bool) -> Self {
        let Ok(Metadata { identity, .. }) = root.metadata() else {
            return Self::default();
        };
        let mut host = Host {
            root: Arc::clone(root),
            device: identity.device,
            folder: None,
            path,
            told: false,
        };
        let table = match root.open_directory(OsStr::new(FOLDER)) {
            Ok(folder) => {
                let table = read(&folder, identity.device);
                host.folder = Some(folder);
                table
            }
            Err(_) => HashMap::new(),
        };
        Self {
            table,
            host: (!read_only).then_some(host),
        }
    }

    /// That of a file.
    pub fn of(&self, file: &Metadata) -> Option<&Overlay> {
        let entry = self.table.get(&file.identity);
        let same = entry.filter(|entry| entry.born == file.born);
        same.map(|entry| &entry.overlay)
    }

    /// Makes the folder, for a change that is about to come: it is an entry of the root, whose times may be what
    /// changes.
    pub fn prepare(&mut self) {
        // A host that refuses says so again when the change is written.
        let _ = self.host.as_mut().map(Host::folder);
    }

    /// Changes that of a file.
    pub fn change(&mut self, file: &Metadata, change: impl FnOnce(&mut Overlay)) {
        let before = self.of(file);
        let mut overlay = before.cloned().unwrap_or_default();
        change(&mut overlay);
        if before.is_none() {
            // The host has used the number again.
            self.forget(file.identity);
            if overlay == Overlay::default() {
                return;
            }
        } else if before == Some(&overlay) {
            return;
        } else if overlay == Overlay::default() {
            self.forget(file.identity);
            return;
        }
        if let Some(host) = self.host.as_mut() {
            host.keep(file, &overlay);
        }
        let born = file.born;
        self.table.insert(file.identity, Entry { overlay, born });
    }

    /// The file is gone.
    pub fn forget(&mut self, file: Identity) {
        if self.table.remove(&file).is_none() {
            return;
        }
        if let Some(host) = self.host.as_mut().filter(|host| host.device == file.device) {
            host.remove(file.number, self.table.is_empty());
        }
    }

    /// Nothing is kept on the host any more.
    pub fn close(&mut self) {
        self.host = None;
    }
}

fn name(number: u64) -> OsString {
    format!("{number:016x}").into()
}

/// All records that are whole.
fn read(folder: &Directory, device: u64) -> HashMap<Identity, Entry> {
    let names = folder.names().unwrap_or_default();
    let entry = |name: OsString| {
        let number = u64::from_str_radix(name.to_str()?, 16).ok()?;
        let file = folder.open_file(&name, false).ok()?;
        let length = file.metadata().ok().filter(|file| file.size <= LONGEST)?;
        let mut bytes = vec![0; length.size as usize];
        let count = file.read_at(&mut bytes, 0).ok()?;
        let (overlay, born) = Overlay::of_bytes(bytes.get(..count)?)?;
        let born = Some(born);
        Some((Identity { device, number }, Entry { overlay, born }))
    };
    names.into_iter().filter_map(entry).collect()
}

impl Host {
    fn keep(&mut self, file: &Metadata, overlay: &Overlay) {
        let kept = match file.born {
            _ if file.identity.device != self.device => Err(ErrorKind::CrossesDevices.into()),
            None => Err(io::Error::new(
                ErrorKind::Unsupported,
                "the host does not record when its files were made",
            )),
            Some(born) => self.write(file.identity.number, &overlay.to_bytes(born)),
        };
        if let Err(error) = kept
            && !std::mem::replace(&mut self.told, true)
        {
            eprintln!(
                "ntbox: what the host cannot hold of the files in {} is lost when the volume is \
                 dismounted: {error}",
                self.path.display()
            );
        }
    }

    fn folder(&mut self) -> io::Result<&Directory> {
        let name = OsStr::new(FOLDER);
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => match unnoticed(&self.root, |root| root.create_directory(name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    self.root.open_directory(name)?
                }
                made => made?,
            },
        };
        Ok(self.folder.insert(folder))
    }

    fn write(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder()?;
        let name = name(number);
        let mut new = name.clone();
        new.push(".new");
        let file = match folder.create_file(&new) {
            // Of one who died on the way.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                folder.remove_file(&new)?;
                folder.create_file(&new)?
            }
            made => made?,
        };
        file.write_at(bytes, 0)?;
        drop(file);
        folder.rename(&new, folder, &name, Replace::Yes)
    }

    /// Removes the record of a file; with the last one, the folder. What stays is known by when its file was born.
    fn remove(&mut self, number: u64, last: bool) {
        let Some(folder) = self.folder.as_ref() else {
            return;
        };
        let _ = folder.remove_file(&name(number));
        if last {
            self.folder = None;
            let name = OsStr::new(FOLDER);
            let _ = unnoticed(&self.root, |root| root.remove_directory(name));
        }
    }
}

/// Does something to the entries of the root that its last write time does not tell.
fn unnoticed<T>(root: &Directory, work: impl FnOnce(&Directory) -> io::Result<T>) -> io::Result<T> {
    let written = root.metadata()?.written;
    let done = work(root)?;
    // Only the owner of the directory may.
    let _ = root.set_times(None, Some(written));
    Ok(done)
}
