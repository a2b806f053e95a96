//! The files that the host's kernel knows, by its numbers for them.
//!
//! The kernel asks by number, and NT by name: a node has the names that the kernel has found for a file. Its number is
//! the file's on the volume where that is free, so that programs see the same one in each run.
//!
//! # Invariants
//! - A name is that of one node, and each name of a node is in `by_name`.
//! - A node has a name only below a node that is here: the kernel forgets a directory after what is in it.
//! - `by_file` leads to the node that has the file's number now. One whose last name has gone is not found by it:
//!   the volume may give the number to a new file.

use crate::attributes::kind;
use crate::volume::Stat;
use ntbox_hostfs::names::BACKSLASH;
use std::collections::HashMap;

/// The root's number (`FUSE_ROOT_ID`).
pub const ROOT: u64 = 1;

/// Numbers that no file of a volume has.
const OWN: u64 = 1 << 63;

/// A name: the directory's number, and the name in it.
pub type Name = (u64, Vec<u16>);

/// A file that the kernel knows.
#[derive(Debug, Default)]
pub struct Node {
    /// Its number on the volume, and its kind, which tells it from one that somebody has put there on the host.
    file: (u64, u32),
    names: Vec<Name>,
    /// How often the kernel has been told its number.
    lookups: u64,
    /// Names that it had when it was looked at.
    links: u32,
    /// Group and mode when it was looked at, for what is made in it.
    rights: (u32, u32),
}

/// All of them.
#[derive(Debug)]
pub struct Nodes {
    nodes: HashMap<u64, Node>,
    by_file: HashMap<u64, u64>,
    by_name: HashMap<Name, u64>,
    next: u64,
}

impl Default for Nodes {
    fn default() -> Self {
        let root = Node {
            lookups: 1,
            links: 1,
            ..Node::default()
        };
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            by_file: HashMap::new(),
            by_name: HashMap::new(),
            next: OWN,
        }
    }
}

impl Nodes {
    /// The kernel is told of a file that was found by a name: its number.
    pub fn found(&mut self, name: Name, stat: &Stat, rights: (u32, u32)) -> u64 {
        let file = (stat.id, kind(stat.tag, stat.attributes));
        let known = self.by_file.get(&stat.id).copied();
        let same = known.filter(|number| {
            let node = self.nodes.get(number);
            node.is_some_and(|node| node.file == file)
        });
        let number = same.unwrap_or_else(|| self.free_number(stat.id));
        if let Some(other) = self.by_name.insert(name.clone(), number)
            && other != number
            && let Some(other) = self.nodes.get_mut(&other)
        {
            // Somebody has changed the host's directory.
            other.names.retain(|old| *old != name);
        }
        self.by_file.insert(stat.id, number);
        let node = self.nodes.entry(number).or_default();
        node.file = file;
        node.lookups += 1;
        node.links = stat.links;
        node.rights = rights;
        if !node.names.contains(&name) {
            node.names.push(name);
        }
        number
    }

    fn free_number(&mut self, id: u64) -> u64 {
        if id > ROOT && id < OWN && !self.nodes.contains_key(&id) {
            return id;
        }
        self.next += 1;
        self.next
    }

    /// A file was looked at again.
    pub fn seen(&mut self, number: u64, stat: &Stat, rights: (u32, u32)) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.links = stat.links;
            node.rights = rights;
            if number == ROOT {
                node.file = (stat.id, kind(stat.tag, stat.attributes));
            }
        }
    }

    /// Group and mode of a file when it was looked at last.
    pub fn rights(&self, number: u64) -> (u32, u32) {
        self.nodes.get(&number).map_or((0, 0), |node| node.rights)
    }

    /// The number that a file in a listing has, or would get.
    pub fn number_of(&self, id: u64) -> u64 {
        if self.nodes.get(&ROOT).is_some_and(|root| root.file.0 == id) {
            return ROOT;
        }
        self.by_file.get(&id).copied().unwrap_or(id)
    }

    /// The directory that holds a directory; the root is in itself.
    pub fn parent(&self, number: u64) -> u64 {
        let node = self.nodes.get(&number);
        let name = node.and_then(|node| node.names.first());
        name.map_or(ROOT, |(parent, _)| *parent)
    }

    /// A name of a file, from `root` on; `None` if it has none any more.
    pub fn path(&self, root: &[u16], number: u64) -> Option<Vec<u16>> {
        let mut names = Vec::new();
        let mut at = number;
        while at != ROOT {
            let (parent, name) = self.nodes.get(&at)?.names.first()?;
            names.push(name);
            at = *parent;
        }
        let mut path = root.to_vec();
        if names.is_empty() {
            path.push(BACKSLASH);
        }
        for name in names.into_iter().rev() {
            path.push(BACKSLASH);
            path.extend_from_slice(name);
        }
        Some(path)
    }

    /// The file that has a name, as far as the kernel knows.
    pub fn at(&self, name: &Name) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// A name has gone; its file has so many left, if that is known.
    pub fn unnamed(&mut self, name: &Name, left: Option<u32>) {
        let Some(number) = self.by_name.remove(name) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(&number) else {
            return;
        };
        node.names.retain(|old| old != name);
        node.links = left.unwrap_or(node.links.saturating_sub(1));
        if node.links == 0 && self.by_file.get(&node.file.0) == Some(&number) {
            self.by_file.remove(&node.file.0);
        }
    }

    /// A name has become another one, which was no other file's any more.
    pub fn renamed(&mut self, from: &Name, to: Name) {
        let Some(number) = self.by_name.remove(from) else {
            return;
        };
        self.by_name.insert(to.clone(), number);
        if let Some(node) = self.nodes.get_mut(&number) {
            node.names.retain(|old| *old != to);
            if let Some(name) = node.names.iter_mut().find(|old| *old == from) {
                *name = to;
            }
        }
    }

    /// The kernel has forgotten a number so many times.
    pub fn forget(&mut self, number: u64, times: u64) {
        let Some(node) = self.nodes.get_mut(&number) else {
            return;
        };
        node.lookups = node.lookups.saturating_sub(times);
        if node.lookups != 0 || number == ROOT {
            return;
        }
        if let Some(node) = self.nodes.remove(&number) {
            for name in &node.names {
                self.by_name.remove(name);
            }
            if self.by_file.get(&node.file.0) == Some(&number) {
                self.by_file.remove(&node.file.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_hostfs::volume::attribute;

    fn name(parent: u64, name: &str) -> Name {
        (parent, name.encode_utf16().collect())
    }
    fn stat(id: u64, links: u32) -> Stat {
        Stat {
            id,
            links,
            ..Stat::default()
        }
    }
    fn path(nodes: &Nodes, number: u64) -> Option<String> {
        let root: Vec<u16> = "C:".encode_utf16().collect();
        let path = nodes.path(&root, number)?;
        Some(String::from_utf16_lossy(&path))
    }
    fn find(nodes: &mut Nodes, name: Name, stat: &Stat) -> u64 {
        nodes.found(name, stat, (0, 0))
    }

    #[test]
    fn names_lead_from_the_root_and_follow_renames() {
        let mut nodes = Nodes::default();
        assert_eq!(path(&nodes, ROOT).as_deref(), Some(r"C:\"));
        let directory = find(&mut nodes, name(ROOT, "d"), &stat(10, 1));
        let file = find(&mut nodes, name(directory, "f"), &stat(11, 1));
        assert_eq!((directory, file), (10, 11));
        assert_eq!(path(&nodes, file).as_deref(), Some(r"C:\d\f"));
        nodes.renamed(&name(ROOT, "d"), name(ROOT, "e"));
        assert_eq!(path(&nodes, file).as_deref(), Some(r"C:\e\f"));
        nodes.renamed(&name(directory, "f"), name(ROOT, "g"));
        assert_eq!(path(&nodes, file).as_deref(), Some(r"C:\g"));
        assert_eq!(
            (nodes.at(&name(ROOT, "g")), nodes.parent(file)),
            (Some(file), ROOT)
        );
        nodes.forget(file, 1);
        assert_eq!(
            (nodes.at(&name(ROOT, "g")), path(&nodes, file)),
            (None, None)
        );
    }

    #[test]
    fn links_of_a_file_are_one_node() {
        let mut nodes = Nodes::default();
        let first = find(&mut nodes, name(ROOT, "a"), &stat(10, 1));
        let second = find(&mut nodes, name(ROOT, "b"), &stat(10, 2));
        assert_eq!(first, second);
        nodes.unnamed(&name(ROOT, "a"), Some(1));
        assert_eq!(path(&nodes, first).as_deref(), Some(r"C:\b"));
        // A link that the kernel has not asked for is found as the same file.
        nodes.unnamed(&name(ROOT, "b"), Some(1));
        assert_eq!(path(&nodes, first), None);
        assert_eq!(find(&mut nodes, name(ROOT, "c"), &stat(10, 1)), first);
        nodes.forget(first, 2);
        assert_eq!(path(&nodes, first).as_deref(), Some(r"C:\c"));
    }

    #[test]
    fn a_number_that_is_used_again_is_another_file() {
        let mut nodes = Nodes::default();
        let old = find(&mut nodes, name(ROOT, "a"), &stat(10, 1));
        nodes.unnamed(&name(ROOT, "a"), Some(0));
        let new = find(&mut nodes, name(ROOT, "a"), &stat(10, 1));
        assert_ne!(old, new);
        assert_eq!((nodes.number_of(10), path(&nodes, old)), (new, None));
        nodes.forget(old, 1);
        assert_eq!(nodes.at(&name(ROOT, "a")), Some(new));
        // Replaced below us, on the host.
        let replaced = Stat {
            attributes: attribute::DIRECTORY,
            ..stat(10, 1)
        };
        let third = find(&mut nodes, name(ROOT, "a"), &replaced);
        assert!(third != new && path(&nodes, new).is_none());
    }

    #[test]
    fn the_root_stays_and_no_file_has_its_number() {
        let mut nodes = Nodes::default();
        nodes.seen(ROOT, &stat(2, 1), (0, 0));
        assert_eq!(nodes.number_of(2), ROOT);
        let first = find(&mut nodes, name(ROOT, "a"), &stat(1, 1));
        assert!(first > OWN);
        nodes.forget(ROOT, 10);
        assert_eq!(path(&nodes, ROOT).as_deref(), Some(r"C:\"));
    }
}
