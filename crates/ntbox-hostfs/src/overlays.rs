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
//! file lies on another device than the root) is kept in memory and lost at the dismount, with what was
//! written before, so that nothing old comes back. That is said once. Streams are written, or they do not change.
//!
//! A folder is shown by one volume that may change it at a time: another one would not know of its records. What a
//! host loses that loses its power is not looked after.

use super::overlay::{NamedStream, Overlay, ShortName};
use ntbox_kernel::host::file::{Directory, File, Identity, Metadata, Replace, now};
use std::collections::{BTreeSet, HashMap};
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
    /// The short names in it: of an entry of which directory, the name, and whose it is.
    short_names: BTreeSet<(u64, Vec<u16>, Identity)>,
    host: Option<Host>,
}

#[derive(Debug)]
struct Entry {
    overlay: Overlay,
    born: Option<i64>,
}

impl Entry {
    /// Its short name, as the index has it.
    fn short_name(&self, file: Identity) -> Option<(u64, Vec<u16>, Identity)> {
        let name = self.overlay.short_name.as_ref()?;
        Some((name.parent, name.short.clone(), file))
    }
}

/// Where they are kept.
#[derive(Debug)]
struct Host {
    root: Arc<Directory>,
    device: u64,
    folder: Option<Directory>,
    /// Nothing may be changed there.
    read_only: bool,
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
            read_only,
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
        let mut overlays = Self {
            host: Some(host),
            ..Self::default()
        };
        for (file, entry) in table {
            overlays.insert(file, entry);
        }
        overlays
    }

    fn insert(&mut self, file: Identity, entry: Entry) {
        self.remove(file);
        self.short_names.extend(entry.short_name(file));
        self.table.insert(file, entry);
    }

    fn remove(&mut self, file: Identity) -> Option<Entry> {
        let gone = self.table.remove(&file)?;
        if let Some(name) = gone.short_name(file) {
            self.short_names.remove(&name);
        }
        Some(gone)
    }

    /// That of a file.
    pub fn of(&self, file: &Metadata) -> Option<&Overlay> {
        let entry = self.table.get(&file.identity);
        let same = entry.filter(|entry| entry.born == file.born);
        same.map(|entry| &entry.overlay)
    }

    /// The short names of what lies in the directory of that number, or has lain there: whose they are, [`of`](Self::of)
    /// a file says.
    pub fn short_names(&self, parent: u64) -> impl Iterator<Item = &ShortName> {
        self.short_names_from(parent, Vec::new())
    }

    /// Those of them that are `short`.
    pub fn named_shortly(&self, parent: u64, short: &[u16]) -> impl Iterator<Item = &ShortName> {
        let from = self.short_names_from(parent, short.to_vec());
        from.take_while(move |name| name.short == short)
    }

    /// Those in the directory of that number that are `short`, or come behind it in order.
    fn short_names_from(
        &self,
        parent: u64,
        short: Vec<u16>,
    ) -> impl Iterator<Item = &ShortName> + use<'_> {
        const FIRST: Identity = Identity {
            device: 0,
            number: 0,
        };
        let from = self.short_names.range((parent, short, FIRST)..);
        let there = from.take_while(move |(directory, ..)| *directory == parent);
        there.filter_map(|(.., file)| self.table.get(file)?.overlay.short_name.as_ref())
    }

    /// Makes the folder, for a change of a file that is about to come: it is an entry of the root, whose times may be
    /// what changes.
    pub fn prepare(&mut self, file: &Metadata) {
        // A host that refuses says so again when the change is written.
        if let Some(host) = self.host.as_mut()
            && host.may_keep(file).is_ok()
        {
            let _ = host.folder_made();
        }
    }

    /// Changes that of a file.
    pub fn change(&mut self, file: &Metadata, change: impl FnOnce(&mut Overlay)) {
        let mut overlay = self.of(file).cloned().unwrap_or_default();
        change(&mut overlay);
        let Err(error) = self.keep(file, &overlay) else {
            return;
        };
        if let Some(host) = self.host.as_mut() {
            host.tell(&error);
            host.forget_old(file);
        }
        self.enter(file, overlay);
    }

    /// Makes `overlay` that of a file, if the host can keep it.
    fn keep(&mut self, file: &Metadata, overlay: &Overlay) -> io::Result<()> {
        let before = self.of(file);
        if before.is_none() {
            // The host has used the number again.
            self.forget(file.identity);
            if *overlay == Overlay::default() {
                return Ok(());
            }
        } else if before == Some(overlay) {
            return Ok(());
        } else if *overlay == Overlay::default() {
            self.forget(file.identity);
            return Ok(());
        }
        if let Some(host) = self.host.as_mut() {
            host.keep(file, overlay)?;
        }
        self.enter(file, overlay.clone());
        Ok(())
    }

    fn enter(&mut self, file: &Metadata, overlay: Overlay) {
        let born = file.born;
        self.insert(file.identity, Entry { overlay, born });
    }

    /// Adds a stream to a file.
    ///
    /// # Errors
    /// As the host says: unlike all else, a stream is there or not at all.
    pub fn create_stream(
        &mut self,
        file: &Metadata,
        name: &[u16],
    ) -> io::Result<(NamedStream, File)> {
        let overlay = self.of(file).cloned();
        if overlay.is_none() {
            self.forget(file.identity);
        }
        let mut overlay = overlay.unwrap_or_default();
        let last = overlay.streams.iter().map(|old| old.number).max();
        let stream = NamedStream {
            number: last
                .unwrap_or(0)
                .checked_add(1)
                .ok_or(ErrorKind::StorageFull)?,
            name: name.to_vec(),
        };
        let host = self.host.as_mut().ok_or(ErrorKind::Unsupported)?;
        host.may_keep(file)?;
        let data_name = data_name(file, stream.number);
        let data = new_file(host.folder_made()?, &data_name)?;
        overlay.streams.push(stream.clone());
        overlay.changed = Some((now(), file.changed));
        if let Err(error) = host.keep(file, &overlay) {
            let _ = host.folder()?.remove_file(&data_name);
            return Err(error);
        }
        self.enter(file, overlay);
        Ok((stream, data))
    }

    /// Gives a stream another name, in place of the stream `replaced`.
    ///
    /// # Errors
    /// As the host says: then nothing has changed.
    pub fn rename_stream(
        &mut self,
        file: &Metadata,
        number: u32,
        name: &[u16],
        replaced: Option<u32>,
    ) -> io::Result<()> {
        let mut overlay = self.of(file).cloned().unwrap_or_default();
        overlay.streams.retain(|old| Some(old.number) != replaced);
        let mut streams = overlay.streams.iter_mut();
        if let Some(stream) = streams.find(|stream| stream.number == number) {
            stream.name = name.to_vec();
        }
        overlay.changed = Some((now(), file.changed));
        self.keep(file, &overlay)?;
        if let Some(replaced) = replaced {
            self.remove_data(file, replaced);
        }
        Ok(())
    }

    /// Takes a stream away. Who dies on the way leaves data that belongs to nobody.
    ///
    /// # Errors
    /// As the host says: then it is still there.
    pub fn remove_stream(&mut self, file: &Metadata, number: u32) -> io::Result<()> {
        let mut overlay = self.of(file).cloned().unwrap_or_default();
        overlay.streams.retain(|stream| stream.number != number);
        overlay.changed = Some((now(), file.changed));
        self.keep(file, &overlay)?;
        self.remove_data(file, number);
        Ok(())
    }

    fn remove_data(&self, file: &Metadata, number: u32) {
        if let Ok(folder) = self.folder() {
            let _ = folder.remove_file(&data_name(file, number));
        }
    }

    /// Opens the data of a stream, to change it if the host lets anybody.
    ///
    /// # Errors
    /// As the host says.
    pub fn open_stream(&self, file: &Metadata, number: u32, write: bool) -> io::Result<File> {
        self.folder()?.open_file(&data_name(file, number), write)
    }

    /// State of the data of a stream.
    ///
    /// # Errors
    /// As the host says.
    pub fn stream_metadata(&self, file: &Metadata, number: u32) -> io::Result<Metadata> {
        self.folder()?.metadata_of(&data_name(file, number))
    }

    fn folder(&self) -> io::Result<&Directory> {
        self.host.as_ref().ok_or(ErrorKind::NotFound)?.folder()
    }

    /// The file is gone.
    pub fn forget(&mut self, file: Identity) {
        let Some(gone) = self.remove(file) else {
            return;
        };
        if let Some(host) = self.host.as_mut().filter(|host| host.device == file.device) {
            host.remove(file.number, &gone.overlay.streams, self.table.is_empty());
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

fn data_name(file: &Metadata, stream: u32) -> OsString {
    data_name_of(file.identity.number, stream)
}

fn data_name_of(number: u64, stream: u32) -> OsString {
    format!("{number:016x}.{stream:x}").into()
}

/// Makes a file, in place of what one who died on the way has left.
fn new_file(folder: &Directory, name: &OsStr) -> io::Result<File> {
    match folder.create_file(name) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            folder.remove_file(name)?;
            folder.create_file(name)
        }
        made => made,
    }
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
        let (mut overlay, born) = Overlay::of_bytes(bytes.get(..count)?)?;
        let has_data = |stream: &NamedStream| {
            let data = data_name_of(number, stream.number);
            folder.metadata_of(&data).is_ok()
        };
        overlay.streams.retain(has_data);
        let born = Some(born);
        Some((Identity { device, number }, Entry { overlay, born }))
    };
    names.into_iter().filter_map(entry).collect()
}

impl Host {
    /// When the file was born, if anything can be kept of it.
    fn may_keep(&self, file: &Metadata) -> io::Result<i64> {
        if file.identity.device != self.device {
            return Err(ErrorKind::CrossesDevices.into());
        }
        let unsupported = || {
            let text = "the host does not record when its files were made";
            io::Error::new(ErrorKind::Unsupported, text)
        };
        file.born.ok_or_else(unsupported)
    }

    fn keep(&mut self, file: &Metadata, overlay: &Overlay) -> io::Result<()> {
        let born = self.may_keep(file)?;
        let bytes = overlay.to_bytes(born);
        if bytes.len() as u64 > LONGEST {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.write(file.identity.number, &bytes)
    }

    /// What was kept of a file does not hold any more, and what holds cannot be kept. Its streams would be nobody's.
    fn forget_old(&mut self, file: &Metadata) {
        if self.may_keep(file).is_ok()
            && !self.read_only
            && let Some(folder) = self.folder.as_ref()
        {
            let _ = folder.remove_file(&name(file.identity.number));
        }
    }

    fn tell(&mut self, error: &io::Error) {
        // Where the directory itself is gone, nothing is left that it would be kept of: so it is when a report ends the
        // process, while other threads go on.
        if self.path.exists() && !std::mem::replace(&mut self.told, true) {
            eprintln!(
                "ntbox: what the host cannot hold of the files in {} is lost when the volume is \
                 dismounted: {error}",
                self.path.display()
            );
        }
    }

    fn folder(&self) -> io::Result<&Directory> {
        self.folder.as_ref().ok_or(ErrorKind::NotFound.into())
    }

    /// The folder, made if it is not there.
    fn folder_made(&mut self) -> io::Result<&Directory> {
        if self.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
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
        let folder = self.folder_made()?;
        let name = name(number);
        let mut new = name.clone();
        new.push(".new");
        new_file(folder, &new)?.write_at(bytes, 0)?;
        folder.rename(&new, folder, &name, Replace::Yes)
    }

    /// Removes what is kept of a file; with the last one, the folder. What stays is known by when its file was born.
    fn remove(&mut self, number: u64, streams: &[NamedStream], last: bool) {
        let Some(folder) = self.folder.as_ref().filter(|_| !self.read_only) else {
            return;
        };
        let _ = folder.remove_file(&name(number));
        for stream in streams {
            let _ = folder.remove_file(&data_name_of(number, stream.number));
        }
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
