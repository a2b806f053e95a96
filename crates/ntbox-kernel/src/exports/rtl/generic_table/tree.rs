//! The tree of a generic table, in the links that lie in front of each element.
//!
//! A search never changes it, so that a driver may search while others do. It keeps itself shallow without a
//! count in the links: each node has a rank, drawn from its address, and no rank above that of its parent.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "nodes lie in memory of the driver and are reached by pointer"
)]

use crate::nt::{RTL_BALANCED_LINKS, RTL_SPLAY_LINKS};
use std::cmp::Ordering;
use std::mem::offset_of;
use std::ptr::null_mut;

/// A node: the three pointers that the links of both kinds of tables begin with.
pub type Node = *mut RTL_SPLAY_LINKS;

const _: () = {
    assert!(offset_of!(RTL_BALANCED_LINKS, Parent) == offset_of!(RTL_SPLAY_LINKS, Parent));
    assert!(offset_of!(RTL_BALANCED_LINKS, LeftChild) == offset_of!(RTL_SPLAY_LINKS, LeftChild));
    assert!(offset_of!(RTL_BALANCED_LINKS, RightChild) == offset_of!(RTL_SPLAY_LINKS, RightChild));
};

/// Where a search has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The tree has no node.
    Empty,
    /// At the node that was looked for.
    At(Node),
    /// It would be the left child of this one.
    LeftOf(Node),
    /// It would be the right child of this one.
    RightOf(Node),
}

/// A tree, by where its root is kept.
#[derive(Clone, Copy)]
pub struct Tree(*mut Node);

/// Neighbours of an address have ranks that have nothing to do with each other (the finalizer of SplitMix64).
fn rank(node: Node) -> u64 {
    let mut value = node.addr() as u64;
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Tree {
    /// The tree whose root `root` points to.
    ///
    /// # Safety
    /// It holds null or the root of a tree, and as long as this value is used its nodes are there, and nobody
    /// changes it but through this.
    pub unsafe fn at(root: *mut Node) -> Self {
        Self(root)
    }

    /// Looks for what `order` says is before, at or behind a node: the ordering of what is looked for to it.
    pub fn find(self, mut order: impl FnMut(Node) -> Ordering) -> Place {
        let mut place = Place::Empty;
        // SAFETY: contract of `at`.
        let mut node = unsafe { self.0.read() };
        while !node.is_null() {
            // SAFETY: a node of the tree.
            let links = unsafe { node.read() };
            (place, node) = match order(node) {
                Ordering::Less => (Place::LeftOf(node), links.LeftChild),
                Ordering::Greater => (Place::RightOf(node), links.RightChild),
                Ordering::Equal => return Place::At(node),
            };
        }
        place
    }

    /// The first node of those at which `order` ends, or null.
    pub fn find_first(self, mut order: impl FnMut(Node) -> Ordering) -> Node {
        let mut first = null_mut();
        self.find(|node| match order(node) {
            Ordering::Equal => {
                first = node;
                Ordering::Less
            }
            other => other,
        });
        first
    }

    /// Adds a node where the search for it has ended.
    ///
    /// # Safety
    /// `node` is memory of the caller for the links, and `place` is none at which a node is.
    pub unsafe fn add(self, node: Node, place: Place) {
        let (parent, slot) = match place {
            Place::Empty | Place::At(_) => (null_mut(), self.0),
            // SAFETY: a node of the tree.
            Place::LeftOf(parent) => (parent, unsafe { &raw mut (*parent).LeftChild }),
            // SAFETY: as above.
            Place::RightOf(parent) => (parent, unsafe { &raw mut (*parent).RightChild }),
        };
        // SAFETY: contract; the place has no child yet.
        unsafe {
            node.write(RTL_SPLAY_LINKS {
                Parent: parent,
                ..RTL_SPLAY_LINKS::default()
            });
            slot.write(node);
            while !(*node).Parent.is_null() && rank(node) > rank((*node).Parent) {
                self.rotate_up(node);
            }
        }
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// `node` is in the tree.
    pub unsafe fn remove(self, node: Node) {
        // SAFETY: contract.
        unsafe {
            loop {
                let (left, right) = ((*node).LeftChild, (*node).RightChild);
                let child = match (left.is_null(), right.is_null()) {
                    (true, true) => break,
                    (false, true) => left,
                    (true, false) => right,
                    (false, false) if rank(left) > rank(right) => left,
                    (false, false) => right,
                };
                self.rotate_up(child);
            }
            self.slot_of(node).write(null_mut());
        }
    }

    /// The first node in order, or null.
    pub fn first(self) -> Node {
        // SAFETY: contract of `at`.
        outermost(unsafe { self.0.read() }, |links| links.LeftChild)
    }

    /// The pointer that leads to the node.
    unsafe fn slot_of(self, node: Node) -> *mut Node {
        // SAFETY: contract of the callers: a node of the tree, as its parent is.
        unsafe {
            let parent = (*node).Parent;
            if parent.is_null() {
                self.0
            } else if (*parent).LeftChild == node {
                &raw mut (*parent).LeftChild
            } else {
                &raw mut (*parent).RightChild
            }
        }
    }

    /// Exchanges a node with its parent, and keeps the order.
    unsafe fn rotate_up(self, node: Node) {
        // SAFETY: contract of the callers: a node of the tree that has a parent.
        unsafe {
            let parent = (*node).Parent;
            let slot = self.slot_of(parent);
            let between = if (*parent).LeftChild == node {
                let between = std::mem::replace(&mut (*node).RightChild, parent);
                (*parent).LeftChild = between;
                between
            } else {
                let between = std::mem::replace(&mut (*node).LeftChild, parent);
                (*parent).RightChild = between;
                between
            };
            if !between.is_null() {
                (*between).Parent = parent;
            }
            (*node).Parent = (*parent).Parent;
            (*parent).Parent = node;
            slot.write(node);
        }
    }
}

/// The last of `node`, its child by `child`, that one's, …
fn outermost(mut node: Node, child: fn(&RTL_SPLAY_LINKS) -> Node) -> Node {
    // SAFETY: a node of a tree.
    while let Some(links) = unsafe { node.as_ref() } {
        let next = child(links);
        if next.is_null() {
            break;
        }
        node = next;
    }
    node
}

/// What is beside `node` on the side of `near`: its successor, or with the sides exchanged its predecessor.
unsafe fn neighbour(
    node: Node,
    near: fn(&RTL_SPLAY_LINKS) -> Node,
    far: fn(&RTL_SPLAY_LINKS) -> Node,
) -> Node {
    // SAFETY: contract of the callers: a node of a tree, and so are those that it leads to.
    unsafe {
        let child = near(&*node);
        if !child.is_null() {
            return outermost(child, far);
        }
        let mut node = node;
        let mut parent = (*node).Parent;
        while !parent.is_null() && near(&*parent) == node {
            (node, parent) = (parent, (*parent).Parent);
        }
        parent
    }
}

/// The node behind `node`, or null.
///
/// # Safety
/// `node` is in a tree, which nobody changes.
pub unsafe fn next(node: Node) -> Node {
    // SAFETY: contract.
    unsafe { neighbour(node, |links| links.RightChild, |links| links.LeftChild) }
}

/// The node in front of `node`, or null.
///
/// # Safety
/// As [`next`].
pub unsafe fn previous(node: Node) -> Node {
    // SAFETY: contract.
    unsafe { neighbour(node, |links| links.LeftChild, |links| links.RightChild) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[repr(C)]
    struct Element {
        links: RTL_SPLAY_LINKS,
        key: u32,
    }

    fn key(node: Node) -> u32 {
        // SAFETY: nodes of these tests are elements.
        unsafe { (*node.cast::<Element>()).key }
    }

    fn keys(tree: Tree) -> Vec<u32> {
        let mut all = Vec::new();
        let mut node = tree.first();
        while !node.is_null() {
            all.push(key(node));
            // SAFETY: a node of the tree.
            node = unsafe { next(node) };
        }
        all
    }

    fn depth(node: Node) -> usize {
        // SAFETY: null or a node of the tree.
        unsafe { node.as_ref() }.map_or(0, |links| {
            1 + depth(links.LeftChild).max(depth(links.RightChild))
        })
    }

    #[test]
    fn nodes_are_found_in_order_whatever_is_added_and_removed() {
        let mut elements: Vec<Element> = (0..400)
            .map(|key| Element {
                links: RTL_SPLAY_LINKS::default(),
                key: key * 7919 % 401,
            })
            .collect();
        let mut root = null_mut();
        // SAFETY: the root and the elements live to the end of the test.
        let tree = unsafe { Tree::at(&raw mut root) };
        let mut model = BTreeSet::new();
        let base = elements.as_mut_ptr();
        let mut drawn = 1_u32;
        for round in 0..1201 {
            drawn = drawn.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let index = (drawn >> 16) as usize % 400;
            // SAFETY: an element.
            let node: Node = unsafe { base.add(index) }.cast();
            let wanted = key(node);
            let place = tree.find(|other| wanted.cmp(&key(other)));
            if model.insert(wanted) {
                assert!(!matches!(place, Place::At(_)));
                // SAFETY: it is in no tree.
                unsafe { tree.add(node, place) };
            } else {
                assert_eq!(place, Place::At(node));
                model.remove(&wanted);
                // SAFETY: it was found.
                unsafe { tree.remove(node) };
            }
            assert!(keys(tree).iter().eq(model.iter()), "in round {round}");
        }
        let first = tree.first();
        // SAFETY: nodes of the tree.
        unsafe {
            assert!(previous(first).is_null());
            assert_eq!(previous(next(first)), first);
        }
        // Of those with one remainder the first is found, not the one that lies highest.
        let found = tree.find_first(|node| 3_u32.cmp(&(key(node) / 100)));
        let expected = model.iter().find(|key| **key >= 300).copied();
        assert_eq!(expected, (!found.is_null()).then(|| key(found)));
    }

    #[test]
    fn keys_that_come_in_order_make_no_list() {
        let mut elements: Vec<Element> = (0..10_000)
            .map(|key| Element {
                links: RTL_SPLAY_LINKS::default(),
                key,
            })
            .collect();
        let mut root = null_mut();
        // SAFETY: as above.
        let tree = unsafe { Tree::at(&raw mut root) };
        for element in &mut elements {
            let wanted = element.key;
            let place = tree.find(|other| wanted.cmp(&key(other)));
            // SAFETY: it is in no tree.
            unsafe { tree.add((&raw mut *element).cast(), place) };
        }
        assert!(depth(root) < 64, "{}", depth(root));
    }
}
