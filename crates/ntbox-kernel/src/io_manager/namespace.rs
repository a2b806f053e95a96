//! The object namespace: directories, symbolic links and named objects.
//!
//! Names compare without case. A lookup follows symbolic links and stops at the
//! first object that is neither a directory nor a link: the rest of the path is
//! that object's to parse, as a device does with the name of a file.

#![expect(unsafe_code, reason = "objects are held by pointer")]

use crate::nt::{
    NTSTATUS, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
};
use crate::pe_image::Image;
use crate::processor::lifetime;
use crate::processor::object::{self, Kind};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

enum Node {
    Directory,
    Link(Link),
    Object(usize),
}

struct Link {
    /// As whoever made it has written it.
    path: String,
    target: String,
    /// The call of a driver that made it; 0 for one of the box's own.
    made_by: usize,
}

impl Link {
    fn of_box(path: &str, target: &str) -> Self {
        Self {
            path: path.to_owned(),
            target: target.to_owned(),
            made_by: 0,
        }
    }
}

/// Directories that exist from the start.
const DIRECTORIES: &[&str] = &[
    r"\Device",
    r"\Driver",
    r"\FileSystem",
    r"\FileSystem\Filters",
    r"\??",
    r"\Callback",
    r"\BaseNamedObjects",
    r"\ObjectTypes",
    r"\KernelObjects",
];

/// Links that exist from the start.
const LINKS: &[(&str, &str)] = &[
    (r"\DosDevices", r"\??"),
    (r"\GLOBAL??", r"\??"),
    (r"\??\GLOBALROOT", r"\"),
    (r"\??\Global", r"\??"),
];

/// Links that one lookup follows before it gives up, as a loop would need more.
const MAXIMUM_LINKS: usize = 32;

static NODES: LazyLock<Mutex<BTreeMap<String, Node>>> = LazyLock::new(|| {
    let mut nodes = BTreeMap::new();
    for path in DIRECTORIES {
        nodes.insert(key(path), Node::Directory);
    }
    for (path, target) in LINKS {
        nodes.insert(key(path), Node::Link(Link::of_box(path, target)));
    }
    Mutex::new(nodes)
});

fn nodes() -> MutexGuard<'static, BTreeMap<String, Node>> {
    NODES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(path: &str) -> String {
    path.to_uppercase()
}

/// The path with its leading links resolved up to, not including, its last component.
fn resolve_parent(nodes: &BTreeMap<String, Node>, path: &str) -> Result<String, NTSTATUS> {
    let mut path = path.trim_end_matches('\\').to_owned();
    for _ in 0..MAXIMUM_LINKS {
        if !path.starts_with('\\') || path.len() < 2 {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        let parent_end = path.rfind('\\').unwrap_or(0);
        let Some((end, target)) = first_link(nodes, &path, parent_end) else {
            let parent = &path[..parent_end];
            if !parent.is_empty() && !matches!(nodes.get(&key(parent)), Some(Node::Directory)) {
                return Err(STATUS_OBJECT_PATH_NOT_FOUND);
            }
            return Ok(path);
        };
        path = join(&target, &path[end..]);
    }
    Err(STATUS_OBJECT_NAME_INVALID)
}

/// The first prefix of at most `limit` bytes that is a link: its end and its target.
fn first_link(nodes: &BTreeMap<String, Node>, path: &str, limit: usize) -> Option<(usize, String)> {
    ends(path)
        .take_while(|end| *end <= limit)
        .find_map(|end| match nodes.get(&key(&path[..end])) {
            Some(Node::Link(link)) => Some((end, link.target.clone())),
            _ => None,
        })
}

/// Where each component of `path` ends.
fn ends(path: &str) -> impl Iterator<Item = usize> + '_ {
    path.char_indices()
        .filter(|(at, character)| *character == '\\' && *at > 0)
        .map(|(at, _)| at)
        .chain(std::iter::once(path.len()))
}

fn join(target: &str, rest: &str) -> String {
    format!("{}{rest}", target.trim_end_matches('\\'))
}

/// Puts the object at `path`, which references it, and names it so.
///
/// # Errors
/// `STATUS_OBJECT_NAME_COLLISION`, `STATUS_OBJECT_PATH_NOT_FOUND`, `STATUS_OBJECT_NAME_INVALID`.
///
/// # Safety
/// `object` is the body of a live object.
pub unsafe fn insert(path: &str, object: *mut c_void) -> Result<(), NTSTATUS> {
    let mut nodes = nodes();
    let path = resolve_parent(&nodes, path)?;
    if nodes.contains_key(&key(&path)) {
        return Err(STATUS_OBJECT_NAME_COLLISION);
    }
    // SAFETY: contract.
    unsafe { lifetime::reference(object) };
    // SAFETY: contract.
    unsafe { object::set_name(object, &path) };
    nodes.insert(key(&path), Node::Object(object as usize));
    Ok(())
}

/// Takes an object or a link out of the namespace.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`, `STATUS_OBJECT_NAME_INVALID`.
pub fn remove(path: &str) -> Result<(), NTSTATUS> {
    let node = {
        let mut nodes = nodes();
        let path = resolve_parent(&nodes, path)?;
        match nodes.get(&key(&path)) {
            None | Some(Node::Directory) => return Err(STATUS_OBJECT_NAME_NOT_FOUND),
            Some(_) => nodes.remove(&key(&path)),
        }
    };
    if let Some(Node::Object(object)) = node {
        let object = object as *mut c_void;
        // SAFETY: the node held a reference.
        unsafe { object::clear_name(object) };
        // SAFETY: the node's reference is given up with it; the lock is released by now.
        unsafe { lifetime::dereference(object) };
    }
    Ok(())
}

/// Puts a link of the box's own at `path`.
///
/// # Errors
/// As [`insert`].
pub fn insert_symbolic_link(path: &str, target: &str) -> Result<(), NTSTATUS> {
    insert_link(Link::of_box(path, target))
}

/// `IoCreateSymbolicLink`, called by a driver at `site`.
///
/// # Errors
/// As [`insert`].
pub fn insert_symbolic_link_for(path: &str, target: &str, site: usize) -> Result<(), NTSTATUS> {
    insert_link(Link {
        made_by: site,
        ..Link::of_box(path, target)
    })
}

fn insert_link(link: Link) -> Result<(), NTSTATUS> {
    let mut nodes = nodes();
    let path = resolve_parent(&nodes, &link.path)?;
    if nodes.contains_key(&key(&path)) {
        return Err(STATUS_OBJECT_NAME_COLLISION);
    }
    nodes.insert(key(&path), Node::Link(link));
    Ok(())
}

/// The links that code of the image has made and nobody has deleted, with who made each.
pub(super) fn links_left_by(image: &Image) -> Vec<(String, usize)> {
    let nodes = nodes();
    let links = nodes.values().filter_map(|node| match node {
        Node::Link(link) if image.contains(link.made_by) => Some((link.path.clone(), link.made_by)),
        _ => None,
    });
    links.collect()
}

/// `IoDeleteSymbolicLink`.
///
/// # Errors
/// As [`remove`]; `STATUS_OBJECT_TYPE_MISMATCH` if `path` names something else.
pub fn remove_symbolic_link(path: &str) -> Result<(), NTSTATUS> {
    let mut nodes = nodes();
    let path = resolve_parent(&nodes, path)?;
    match nodes.get(&key(&path)) {
        Some(Node::Link(_)) => {
            nodes.remove(&key(&path));
            Ok(())
        }
        Some(_) => Err(crate::nt::STATUS_OBJECT_TYPE_MISMATCH),
        None => Err(STATUS_OBJECT_NAME_NOT_FOUND),
    }
}

/// Resolves `path` through symbolic links. The object comes referenced; the
/// rest of the path is empty or starts with `\`.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND` if the last component is missing,
/// `STATUS_OBJECT_PATH_NOT_FOUND` if an earlier one is,
/// `STATUS_OBJECT_NAME_INVALID` for a name that is not absolute or loops.
pub fn lookup(path: &str) -> Result<(*mut c_void, String), NTSTATUS> {
    let nodes = nodes();
    let mut path = path.to_owned();
    'link: for _ in 0..MAXIMUM_LINKS {
        if !path.starts_with('\\') {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        for end in ends(&path).collect::<Vec<_>>() {
            match nodes.get(&key(&path[..end])) {
                Some(Node::Directory) => {}
                Some(Node::Link(link)) => {
                    path = join(&link.target, &path[end..]);
                    continue 'link;
                }
                Some(Node::Object(object)) => {
                    let object = *object as *mut c_void;
                    // SAFETY: the node holds a reference and the namespace is locked.
                    unsafe { lifetime::reference(object) };
                    return Ok((object, path[end..].to_owned()));
                }
                None if end == path.len() => return Err(STATUS_OBJECT_NAME_NOT_FOUND),
                None => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
            }
        }
        return Err(crate::nt::STATUS_OBJECT_TYPE_MISMATCH);
    }
    Err(STATUS_OBJECT_NAME_INVALID)
}

/// Target of a symbolic link.
pub fn link_target(path: &str) -> Option<String> {
    let nodes = nodes();
    let path = resolve_parent(&nodes, path).ok()?;
    match nodes.get(&key(&path)) {
        Some(Node::Link(link)) => Some(link.target.clone()),
        _ => None,
    }
}

/// The link in `\??` that leads to `target` and whose name `wanted` accepts.
pub fn dos_name_of(target: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let nodes = nodes();
    nodes.iter().find_map(|(path, node)| match node {
        Node::Link(link) if link.target.eq_ignore_ascii_case(target) => path
            .strip_prefix(r"\??\")
            .filter(|name| wanted(name))
            .map(str::to_owned),
        _ => None,
    })
}

/// Every object of `kind` below `directory`, referenced.
pub fn objects(directory: &str, wanted: Kind) -> Vec<*mut c_void> {
    let prefix = format!("{}\\", key(directory));
    let mut found = Vec::new();
    for (path, node) in nodes().iter() {
        let Node::Object(object) = node else { continue };
        let object = *object as *mut c_void;
        // SAFETY: the node holds a reference and the namespace is locked.
        if path.starts_with(&prefix) && unsafe { object::kind_of(object) } == Some(wanted) {
            // SAFETY: as above.
            unsafe { lifetime::reference(object) };
            found.push(object);
        }
    }
    found
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test is one story; what it calls is checked where it is defined"
)]
mod tests {
    use super::*;
    use crate::nt::STATUS_OBJECT_TYPE_MISMATCH;

    fn event() -> *mut c_void {
        object::create(Kind::Event, 24)
    }

    #[test]
    fn the_rest_of_a_path_belongs_to_the_object() {
        let object = event();
        // SAFETY: the object is alive and owned here.
        unsafe {
            insert(r"\Device\NsRest", object).expect("free name");
            insert_symbolic_link(r"\DosDevices\NsR:", r"\Device\NsRest").expect("free name");
            for (path, rest) in [
                (r"\device\nsREST", ""),
                (r"\??\NsR:\a\b", r"\a\b"),
                (r"\GLOBAL??\nsr:\", r"\"),
                (r"\??\GLOBALROOT\Device\NsRest\x", r"\x"),
            ] {
                let (found, left) = lookup(path).expect(path);
                assert_eq!((found, left.as_str()), (object, rest), "{path}");
                lifetime::dereference(found);
            }
            assert_eq!(
                lookup(r"\Device\NsRestless"),
                Err(STATUS_OBJECT_NAME_NOT_FOUND)
            );
            assert_eq!(
                lookup(r"\Device\Nothing\x"),
                Err(STATUS_OBJECT_PATH_NOT_FOUND)
            );
            assert_eq!(lookup("relative"), Err(STATUS_OBJECT_NAME_INVALID));
            assert_eq!(lookup(r"\Device"), Err(STATUS_OBJECT_TYPE_MISMATCH));
            assert_eq!(
                dos_name_of(r"\Device\NsRest", |_| true).as_deref(),
                Some("NSR:")
            );
            remove_symbolic_link(r"\??\NsR:").expect("there");
            remove(r"\Device\NsRest").expect("there");
            assert_eq!(object::name_of(object), None);
            assert_eq!(object::pointer_count(object), 1);
            lifetime::dereference(object);
        }
    }

    #[test]
    fn names_are_unique_and_need_their_directory() {
        let (one, two) = (event(), event());
        // SAFETY: the objects are alive and owned here.
        unsafe {
            insert(r"\FileSystem\Filters\NsOne", one).expect("free name");
            assert_eq!(
                insert(r"\FILESYSTEM\filters\nsone", two),
                Err(STATUS_OBJECT_NAME_COLLISION)
            );
            assert_eq!(
                insert(r"\NoSuch\NsOne", two),
                Err(STATUS_OBJECT_PATH_NOT_FOUND)
            );
            assert_eq!(
                insert_symbolic_link(r"\FileSystem\Filters\NsOne", r"\x"),
                Err(STATUS_OBJECT_NAME_COLLISION)
            );
            assert_eq!(
                remove_symbolic_link(r"\FileSystem\Filters\NsOne"),
                Err(STATUS_OBJECT_TYPE_MISMATCH)
            );
            remove(r"\FileSystem\Filters\NsOne").expect("there");
            assert_eq!(
                remove(r"\FileSystem\Filters\NsOne"),
                Err(STATUS_OBJECT_NAME_NOT_FOUND)
            );
            lifetime::dereference(one);
            lifetime::dereference(two);
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        insert_symbolic_link(r"\??\NsLoopA", r"\??\NsLoopB").expect("free name");
        insert_symbolic_link(r"\??\NsLoopB", r"\??\NsLoopA").expect("free name");
        assert_eq!(lookup(r"\??\NsLoopA\x"), Err(STATUS_OBJECT_NAME_INVALID));
    }
}
