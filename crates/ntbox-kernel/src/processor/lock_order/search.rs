//! Whether threads can wait for each other: a way through the orders, from a lock that is wanted to one that is held.

use super::{Graph, Held, Mode, Order};
use std::collections::HashSet;

/// For a way through the graph to a lock.
pub(super) struct Search<'a> {
    graph: &'a Graph,
    /// The lock.
    from: &'a Held,
    /// What this thread holds.
    held: &'a [Held],
    path: Vec<Order>,
    seen: HashSet<(usize, Mode)>,
}

impl<'a> Search<'a> {
    /// For `from`, one of the locks `held` by this thread.
    pub(super) fn new(graph: &'a Graph, from: &'a Held, held: &'a [Held]) -> Self {
        Self {
            graph,
            from,
            held,
            path: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// The orders that lead there from `wanted`.
    pub(super) fn way(mut self, wanted: &Held) -> Option<Vec<Order>> {
        self.leads(wanted.lock, wanted.mode).then_some(self.path)
    }

    /// True if a way leads there from `lock`, which somebody wants in `mode`; it is left in the path.
    fn leads(&mut self, lock: usize, mode: Mode) -> bool {
        if !self.seen.insert((lock, mode)) {
            return false;
        }
        for order in self.graph.0.get(&lock).into_iter().flatten() {
            let waits = mode == Mode::Exclusive || order.from_mode == Mode::Exclusive;
            let guarded = self
                .path
                .iter()
                .any(|other: &Order| other.guards.iter().any(|lock| order.guards.contains(lock)));
            if !waits || guarded || self.is_guarded_here(order) {
                continue;
            }
            self.path.push(order.clone());
            let closes = order.to == self.from.lock
                && (order.to_mode == Mode::Exclusive || self.from.mode == Mode::Exclusive);
            if closes || self.leads(order.to, order.to_mode) {
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// True if the current thread holds a lock under which the order is always taken.
    fn is_guarded_here(&self, order: &Order) -> bool {
        self.held
            .iter()
            .any(|held| held.mode == Mode::Exclusive && order.guards.contains(&held.lock))
    }
}
