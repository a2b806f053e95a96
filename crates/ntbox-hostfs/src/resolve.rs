//! From a path on the volume to an entry of a host directory, one component at a time.
//!
//! Each component is looked up in the open directory before it: first as it is
//! written, then, unless the open or the directory is case-sensitive, for an entry that differs
//! only in case. Nothing is ever opened by a path, so a name cannot lead out.
//!
//! Symbolic links of the host are followed here, step by step, as long as they
//! stay inside the tree: one that climbs above it, or names an absolute path
//! elsewhere, is `STATUS_ACCESS_DENIED`, and so is a chain of more than 32.
//!
//! The folder in the root that holds what the host cannot ([`overlays`](super::overlays)) is not
//! there for anybody on the volume: no name leads to it or may be like it.

use super::overlays::FOLDER;
use super::{host_status, names};
use ntbox_kernel::host::file::{Directory, Kind, Metadata};
use ntbox_kernel::nt::{
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_OBJECT_NAME_INVALID, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_NOT_FOUND, STATUS_REPARSE, STATUS_VOLUME_DISMOUNTED,
};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Links that one resolution follows at most.
const MAXIMUM_LINKS: u32 = 32;

/// How names are looked up where the host alone does not say it.
pub(super) trait Lookup {
    /// Whether names in a directory are told apart by case.
    fn tells_case(&self, directory: &Directory) -> bool;
    /// What the entry of a directory is called that has this short name, and the short name as it is kept.
    fn long_name(&self, directory: &Directory, short: &[u16]) -> Option<(OsString, Vec<u16>)>;
}

/// As the host has them.
#[derive(Debug)]
struct Exactly;

impl Lookup for Exactly {
    fn tells_case(&self, _: &Directory) -> bool {
        true
    }
    fn long_name(&self, _: &Directory, _: &[u16]) -> Option<(OsString, Vec<u16>)> {
        None
    }
}

/// The directory that a volume shows.
#[derive(Debug)]
pub struct Tree {
    /// It, open until the volume is dismounted.
    root: Mutex<Option<Arc<Directory>>>,
    /// Where it lies, for absolute links that point back into it.
    path: PathBuf,
}

/// Whether an entry of the root is kept from the volume; in every case, as hosts differ in that.
fn is_hidden(name: &[u16]) -> bool {
    let folder: Vec<u16> = FOLDER.encode_utf16().collect();
    names::equal(name, &folder)
}

/// As [`is_hidden`], of the name as the host has it.
fn is_hidden_on_host(name: &OsStr) -> bool {
    name.len() == FOLDER.len() && names::to_nt(name).is_some_and(|name| is_hidden(&name))
}

/// Where a path led.
#[derive(Debug)]
pub struct Resolved {
    /// The path with the names as they are on the host.
    pub components: Vec<Vec<u16>>,
    /// The directory that holds the entry.
    pub parent: Arc<Directory>,
    /// Its name there.
    pub name: OsString,
    /// What is there; `None` if nothing is.
    pub existing: Option<Existing>,
    /// The components that were given by short names: where, and these.
    pub short_names: Vec<(usize, Vec<u16>)>,
}

/// An entry that exists, with the link followed if it is one.
#[derive(Debug)]
pub struct Existing {
    /// State of the file or directory itself.
    pub metadata: Metadata,
    /// Where to open it.
    pub directory: Arc<Directory>,
    /// Its name there.
    pub name: OsString,
}

/// A name of a file: the id of the directory that holds it, and its path.
pub(super) struct FoundLink {
    /// Id of the directory.
    pub parent: u64,
    /// The path.
    pub path: Vec<Vec<u16>>,
}

impl Tree {
    /// Opens the tree below a host directory.
    ///
    /// # Errors
    /// As the host says.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let path = path.canonicalize()?;
        Ok(Self {
            root: Mutex::new(Some(Arc::new(Directory::open(&path)?))),
            path,
        })
    }

    /// The directory itself.
    ///
    /// # Errors
    /// `STATUS_VOLUME_DISMOUNTED` after [`Tree::close`].
    pub fn root(&self) -> Result<Arc<Directory>, NTSTATUS> {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        root.clone().ok_or(STATUS_VOLUME_DISMOUNTED)
    }

    /// Lets go of the directory: it is closed when no file that lies in it is open any more. A process may have only
    /// so many open, and what else is kept of a volume stays for as long as the process.
    pub fn close(&self) {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Resolves a path that has at least one component.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_INVALID`, `STATUS_OBJECT_PATH_NOT_FOUND` if the way to the last
    /// component is missing, `STATUS_ACCESS_DENIED`.
    pub(super) fn resolve(
        &self,
        path: &[Vec<u16>],
        lookup: &dyn Lookup,
    ) -> Result<Resolved, NTSTATUS> {
        self.resolve_until(path, lookup, &|_, _| false)
    }

    /// As [`resolve`](Self::resolve), as long as `stops` does not stop at a file, which is that component.
    ///
    /// # Errors
    /// `STATUS_REPARSE` if it does.
    pub(super) fn resolve_until(
        &self,
        path: &[Vec<u16>],
        lookup: &dyn Lookup,
        stops: &dyn Fn(&Metadata, usize) -> bool,
    ) -> Result<Resolved, NTSTATUS> {
        let hosts = path
            .iter()
            .map(|component| names::to_host(component))
            .collect::<Result<Vec<_>, _>>()?;
        let (last, way) = hosts.split_last().ok_or(STATUS_OBJECT_NAME_INVALID)?;
        let mut stack = vec![self.root()?];
        let mut components = Vec::with_capacity(path.len());
        let mut budget = MAXIMUM_LINKS;
        let mut short_names = Vec::new();
        for (number, (name, component)) in way.iter().zip(path).enumerate() {
            let here = shown(&stack, component)?;
            let Found {
                name,
                metadata,
                short,
            } = find(here, name, component, lookup)?.ok_or(STATUS_OBJECT_PATH_NOT_FOUND)?;
            short_names.extend(short.map(|short| (number, short)));
            if stops(&metadata, number) {
                return Err(STATUS_REPARSE);
            }
            components.push(names::to_nt(&name).ok_or(STATUS_OBJECT_PATH_NOT_FOUND)?);
            match metadata.kind {
                Kind::Directory => {
                    let next = here
                        .open_directory(&name)
                        .map_err(|error| host_status::of(&error))?;
                    stack.push(Arc::new(next));
                }
                Kind::Link => match self.follow(stack, &name, &mut budget).map_err(on_the_way)? {
                    Place::Directory(new) => stack = new,
                    Place::File(_) => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
                },
                Kind::File | Kind::Other => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
            }
        }
        let component = path.last().ok_or(STATUS_OBJECT_NAME_INVALID)?;
        let parent = Arc::clone(shown(&stack, component)?);
        let Some(found) = find(&parent, last, component, lookup)? else {
            components.push(component.clone());
            return Ok(Resolved {
                components,
                parent,
                name: last.clone(),
                existing: None,
                short_names,
            });
        };
        let Found {
            name,
            metadata,
            short,
        } = found;
        short_names.extend(short.map(|short| (way.len(), short)));
        if stops(&metadata, way.len()) {
            return Err(STATUS_REPARSE);
        }
        components.push(names::to_nt(&name).ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?);
        let existing = match metadata.kind {
            Kind::Link => self.target(stack, &name, &mut budget)?,
            Kind::Other => return Err(STATUS_ACCESS_DENIED),
            Kind::File | Kind::Directory => Existing {
                metadata,
                directory: Arc::clone(&parent),
                name: name.clone(),
            },
        };
        Ok(Resolved {
            components,
            parent,
            name,
            existing: Some(existing),
            short_names,
        })
    }

    /// Names of the entries of `directory` that the volume may show.
    ///
    /// # Errors
    /// As the host says.
    pub fn names(&self, directory: &Directory) -> std::io::Result<Vec<OsString>> {
        let mut names = directory.names()?;
        if names.iter().any(|name| is_hidden_on_host(name)) {
            let root = self.root().map_err(|_| ErrorKind::NotFound)?;
            if root.metadata()?.identity == directory.metadata()?.identity {
                names.retain(|name| !is_hidden_on_host(name));
            }
        }
        Ok(names)
    }

    /// The path of the file with that id, looked for in the whole tree; the first one of several.
    pub fn path_of(&self, id: u64) -> Option<Vec<Vec<u16>>> {
        if self.root().ok()?.metadata().ok()?.identity.number == id {
            return Some(Vec::new());
        }
        self.links_of(id, 1).pop().map(|link| link.path)
    }

    /// Names of the file with that id, no more than `most`, in an order that does not depend on the host.
    pub(super) fn links_of(&self, id: u64, most: usize) -> Vec<FoundLink> {
        let mut found = Vec::new();
        let mut unseen: Vec<(Vec<Vec<u16>>, Arc<Directory>)> = self
            .root()
            .into_iter()
            .map(|root| (Vec::new(), root))
            .collect();
        while let Some((path, directory)) = unseen.pop() {
            // What goes away meanwhile is not what is looked for.
            let mut names = self.names(&directory).unwrap_or_default();
            names.sort_unstable();
            for name in names {
                let (Ok(metadata), Some(shown)) =
                    (directory.metadata_of(&name), names::to_nt(&name))
                else {
                    continue;
                };
                let mut path = path.clone();
                path.push(shown);
                let is_entry = matches!(metadata.kind, Kind::File | Kind::Directory);
                if is_entry && metadata.identity.number == id {
                    let parent = directory
                        .metadata()
                        .map_or(0, |parent| parent.identity.number);
                    found.push(FoundLink { parent, path });
                    if found.len() == most {
                        return found;
                    }
                } else if metadata.kind == Kind::Directory
                    && let Ok(next) = directory.open_directory(&name)
                {
                    unseen.push((path, Arc::new(next)));
                }
            }
        }
        found
    }

    /// State of the entry `name` of `directory`, which lies at `path`, with links followed;
    /// of the link itself if it leads nowhere or out. For listings.
    pub fn metadata_of(
        &self,
        path: &[Vec<u16>],
        directory: &Directory,
        name: &OsStr,
    ) -> Option<Metadata> {
        let metadata = directory.metadata_of(name).ok()?;
        match metadata.kind {
            Kind::File | Kind::Directory => Some(metadata),
            Kind::Other => None,
            Kind::Link => {
                let mut whole = path.to_vec();
                whole.push(names::to_nt(name)?);
                match self.resolve(&whole, &Exactly) {
                    Ok(Resolved {
                        existing: Some(existing),
                        ..
                    }) => Some(existing.metadata),
                    _ => Some(Metadata {
                        size: 0,
                        ..metadata
                    }),
                }
            }
        }
    }

    fn target(
        &self,
        stack: Vec<Arc<Directory>>,
        name: &OsStr,
        budget: &mut u32,
    ) -> Result<Existing, NTSTATUS> {
        match self.follow(stack, name, budget)? {
            Place::File(existing) => Ok(existing),
            Place::Directory(stack) => {
                let directory = Arc::clone(top(&stack)?);
                let metadata = directory
                    .metadata()
                    .map_err(|error| host_status::of(&error))?;
                Ok(Existing {
                    metadata,
                    directory,
                    name: OsString::new(),
                })
            }
        }
    }

    /// Follows the link `name` in the directory on top of `stack`.
    fn follow(
        &self,
        mut stack: Vec<Arc<Directory>>,
        name: &OsStr,
        budget: &mut u32,
    ) -> Result<Place, NTSTATUS> {
        *budget = budget.checked_sub(1).ok_or(STATUS_ACCESS_DENIED)?;
        let target = top(&stack)?
            .read_link(name)
            .map_err(|error| host_status::of(&error))?;
        let target = if target.has_root() {
            stack.truncate(1);
            target
                .strip_prefix(&self.path)
                .map_err(|_| STATUS_ACCESS_DENIED)?
        } else {
            &target
        };
        let mut parts = target.components().peekable();
        while let Some(part) = parts.next() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if stack.len() > 1 => {
                    stack.pop();
                }
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(STATUS_ACCESS_DENIED);
                }
                Component::Normal(name) => {
                    if stack.len() == 1 && is_hidden_on_host(name) {
                        return Err(STATUS_ACCESS_DENIED);
                    }
                    let here = top(&stack)?;
                    let metadata = here
                        .metadata_of(name)
                        .map_err(|error| host_status::of(&error))?;
                    let file = match metadata.kind {
                        Kind::Directory => {
                            let next = here
                                .open_directory(name)
                                .map_err(|error| host_status::of(&error))?;
                            stack.push(Arc::new(next));
                            continue;
                        }
                        Kind::Link => match self.follow(stack, name, budget)? {
                            Place::Directory(new) => {
                                stack = new;
                                continue;
                            }
                            Place::File(file) => file,
                        },
                        Kind::File => Existing {
                            metadata,
                            directory: Arc::clone(here),
                            name: name.to_owned(),
                        },
                        Kind::Other => return Err(STATUS_ACCESS_DENIED),
                    };
                    return if parts.peek().is_none() {
                        Ok(Place::File(file))
                    } else {
                        Err(STATUS_OBJECT_PATH_NOT_FOUND)
                    };
                }
            }
        }
        Ok(Place::Directory(stack))
    }
}

/// Where a link led: to a file, or to the directory on top of a stack of open ones.
enum Place {
    File(Existing),
    Directory(Vec<Arc<Directory>>),
}

fn top(stack: &[Arc<Directory>]) -> Result<&Arc<Directory>, NTSTATUS> {
    stack.last().ok_or(STATUS_ACCESS_DENIED)
}

/// The directory on top, if it shows an entry like `component`.
fn shown<'a>(
    stack: &'a [Arc<Directory>],
    component: &[u16],
) -> Result<&'a Arc<Directory>, NTSTATUS> {
    if stack.len() == 1 && is_hidden(component) {
        return Err(STATUS_OBJECT_NAME_INVALID);
    }
    top(stack)
}

fn on_the_way(status: NTSTATUS) -> NTSTATUS {
    if status == STATUS_OBJECT_NAME_NOT_FOUND {
        STATUS_OBJECT_PATH_NOT_FOUND
    } else {
        status
    }
}

/// An entry that was found.
struct Found {
    /// As the host calls it.
    name: OsString,
    metadata: Metadata,
    /// The short name that it was found by.
    short: Option<Vec<u16>>,
}

/// Finds an entry: as written, else differing in case, else by its short name. Several that differ in case: the first
/// in order.
fn find(
    directory: &Directory,
    name: &OsStr,
    component: &[u16],
    lookup: &dyn Lookup,
) -> Result<Option<Found>, NTSTATUS> {
    let there = |name: OsString, short| match directory.metadata_of(&name) {
        Ok(metadata) => Ok(Some(Found {
            name,
            metadata,
            short,
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(host_status::of(&error)),
    };
    if let Some(found) = there(name.to_owned(), None)? {
        return Ok(Some(found));
    }
    if !lookup.tells_case(directory)
        && let Some(name) = find_in_another_case(directory, name, component)?
        && let Some(found) = there(name, None)?
    {
        return Ok(Some(found));
    }
    match lookup.long_name(directory, component) {
        Some((name, short)) => there(name, Some(short)),
        None => Ok(None),
    }
}

/// The first entry that differs in case alone.
fn find_in_another_case(
    directory: &Directory,
    name: &OsStr,
    component: &[u16],
) -> Result<Option<OsString>, NTSTATUS> {
    let mut best: Option<(Vec<u16>, OsString)> = None;
    let ascii = component.iter().all(|unit| *unit < 0x80);
    for candidate in directory.names().map_err(|error| host_status::of(&error))? {
        // No character outside ASCII equals one inside it, so most entries need no conversion.
        if ascii && (candidate.len() != name.len() || !candidate.eq_ignore_ascii_case(name)) {
            continue;
        }
        let Some(shown) = names::to_nt(&candidate).filter(|shown| names::equal(shown, component))
        else {
            continue;
        };
        if best.as_ref().is_none_or(|(first, _)| shown < *first) {
            best = Some((shown, candidate));
        }
    }
    Ok(best.map(|(_, found)| found))
}

#[cfg(all(test, unix))]
#[path = "resolve_tests.rs"]
mod tests;
