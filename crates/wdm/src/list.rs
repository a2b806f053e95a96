//! A list in nonpaged pool that never has more than a given number of entries.

use crate::pool::NonPagedBox;
use crate::status::Status;
use core::mem::ManuallyDrop;

/// Entries, the newest first.
pub struct List<T> {
    first: Link<T>,
    length: usize,
    limit: usize,
}

/// Does not go with what it lies in: a node that dropped its successor would need stack for each one.
type Link<T> = ManuallyDrop<Option<NonPagedBox<Node<T>>>>;

struct Node<T> {
    value: T,
    next: Link<T>,
}

impl<T> List<T> {
    /// A list for at most `limit` entries.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            first: ManuallyDrop::new(None),
            length: 0,
            limit,
        }
    }

    /// Adds an entry. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, without memory or when the list is full; the entry
    /// is dropped then.
    pub fn push(&mut self, value: T) -> Result<(), Status> {
        if self.length >= self.limit {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let mut node = NonPagedBox::try_new(Node {
            value,
            next: ManuallyDrop::new(None),
        })?;
        *node.next = self.first.take();
        *self.first = Some(node);
        self.length += 1;
        Ok(())
    }

    /// As [`List::push`]; when the list is full, the oldest entry is dropped: whether one was.
    /// IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES, without memory; the entry is dropped then.
    pub fn push_out(&mut self, value: T) -> Result<bool, Status> {
        let full = self.length >= self.limit;
        if full {
            let mut left = self.length;
            self.retain(|_| {
                left = left.saturating_sub(1);
                left > 0
            });
        }
        self.push(value)?;
        Ok(full)
    }

    /// How many entries there are. IRQL: any.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none. IRQL: any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Drops the entries that `keep` does not want; it may change the others. IRQL: ≤ DISPATCH_LEVEL.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut place = &mut self.first;
        let mut rest = place.take();
        self.length = 0;
        while let Some(mut node) = rest {
            rest = node.next.take();
            if keep(&mut node.value) {
                self.length += 1;
                place = &mut place.insert(node).next;
            }
        }
    }

    /// The entries. IRQL: ≤ DISPATCH_LEVEL.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let mut next = self.first.as_ref();
        core::iter::from_fn(move || {
            let node = next?;
            next = node.next.as_ref();
            Some(&node.value)
        })
    }
}

impl<T> Drop for List<T> {
    /// One after the other.
    fn drop(&mut self) {
        self.retain(|_| false);
    }
}
