//! Files that are mapped and whose handles are closed.

use super::layout::Mask;
use super::worker::Worker;
use crate::user::{PAGE, View, Writer};
use std::collections::VecDeque;

/// How many there are at a time.
const MOST: usize = 4;
/// Pages that the operations choose from.
const PAGES: i64 = 16;

/// The views, each with the path that its file had; the oldest one first.
#[derive(Default)]
pub struct Mapped(VecDeque<(String, View)>);

impl Mapped {
    /// Keeps the view of a file whose handle was closed.
    pub fn keep(&mut self, worker: &mut Worker, path: String, view: View) {
        if self.0.len() == MOST {
            self.unmap(worker);
        }
        self.0.push_back((path, view));
    }

    /// Ends the oldest view; false if there is none.
    pub fn unmap(&mut self, worker: &mut Worker) -> bool {
        let Some((path, view)) = self.0.pop_front() else {
            return false;
        };
        worker.note("unmap", &path, &view.unmap(), Mask::None);
        true
    }

    /// Touches a page of one of them, or ends one.
    pub fn touch(&mut self, worker: &mut Worker) {
        if worker.one_in(4) {
            self.unmap(worker);
            return;
        }
        let Some((path, view)) = self.0.get(worker.random.usize(..MOST)) else {
            return;
        };
        let page = worker.random.i64(0..PAGES);
        if worker.random.bool() {
            worker.retried("page in", path, Mask::None, || view.page_in(page));
        } else {
            let writer = Writer::OF_VIEWS[worker.random.usize(..2)];
            let data = vec![worker.random.u8(..); PAGE];
            worker.retried("page out", path, Mask::None, || {
                view.page_out(page, &data, writer)
            });
        }
    }
}
