//! Files that a program has mapped, and files that a file server carries for who is far away.

use super::super::layout::Mask;
use super::super::worker::Worker;
use super::TreeCopy;
use crate::user::{File, Mapping, PAGE, Writer};

/// Files with more bytes are not mapped: each page is a request.
const MOST_MAPPED: usize = 64 * PAGE;
/// Bytes that a file server transfers at once.
const SERVED: usize = 16 * PAGE;

/// True for a file that a program would map here; one without bytes cannot be.
pub(super) fn is_mapped(contents: &[u8]) -> bool {
    (1..=MOST_MAPPED).contains(&contents.len())
}

impl TreeCopy<'_> {
    /// Makes the file large enough, and changes each page of a view: whoever writes them.
    pub(super) fn write_mapped(
        &self,
        worker: &mut Worker,
        target: &File,
        path: &str,
        contents: &[u8],
    ) {
        self.set_end(worker, target, path, contents.len());
        let Some(view) = worker.map(path, target, Mapping::Writable) else {
            return worker.complain(path, "cannot be mapped");
        };
        for (page, part) in contents.chunks(PAGE).enumerate() {
            let writer = Writer::OF_VIEWS[worker.random.usize(..2)];
            let mut bytes = part.to_vec();
            bytes.resize(PAGE, 0);
            let outcome = worker.retried("page out", path, Mask::None, || {
                view.page_out(page as i64, &bytes, writer)
            });
            let written = worker.expect(path, "page out", &outcome);
            if written && outcome.information != part.len() {
                let complaint = format!(
                    "{} of {} bytes of a page were written",
                    outcome.information,
                    part.len()
                );
                worker.complain(path, &complaint);
            }
        }
    }

    /// Page by page of a view.
    pub(super) fn read_mapped(
        &self,
        worker: &mut Worker,
        source: &File,
        path: &str,
        length: usize,
    ) -> Vec<u8> {
        let mut all = Vec::new();
        let Some(view) = worker.map(path, source, Mapping::ReadOnly) else {
            worker.complain(path, "cannot be mapped");
            return all;
        };
        for page in 0..length.div_ceil(PAGE) {
            let outcome = worker.retried("page in", path, Mask::None, || view.page_in(page as i64));
            worker.expect(path, "page in", &outcome);
            all.extend(outcome.data);
        }
        all
    }

    /// As a file server does, in the pages of the cache.
    pub(super) fn write_served(
        &self,
        worker: &mut Worker,
        target: &File,
        path: &str,
        contents: &[u8],
    ) {
        for (place, part) in contents.chunks(SERVED).enumerate() {
            let offset = (place * SERVED) as i64;
            let outcome = worker.retried("write by MDL", path, Mask::None, || {
                target.mdl_write(offset, part)
            });
            worker.expect(path, "write by MDL", &outcome);
        }
    }

    /// As a file server does, in the pages of the cache.
    pub(super) fn read_served(
        &self,
        worker: &mut Worker,
        source: &File,
        path: &str,
        length: usize,
    ) -> Vec<u8> {
        let mut all = Vec::new();
        for offset in (0..length).step_by(SERVED) {
            let outcome = worker.retried("read by MDL", path, Mask::None, || {
                source.mdl_read(offset as i64, SERVED as u32)
            });
            worker.expect(path, "read by MDL", &outcome);
            all.extend(outcome.data);
        }
        all
    }
}
