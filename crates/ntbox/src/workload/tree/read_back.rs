//! Reading back, in the ways programs read, and comparing with the source.

use super::super::layout::{Mask, i64_at};
use super::super::plan::SourceFile;
use super::super::worker::{Worker, synchronous};
use super::{SECTOR, TreeCopy, paging};
use crate::nt::*;
use crate::user::access::READ;
use crate::user::{File, query_attributes};

impl TreeCopy<'_> {
    /// Reads one file back in one of several ways and compares it with the source.
    pub(super) fn verify(
        &self,
        worker: &mut Worker,
        file: &SourceFile,
        path: &str,
        contents: &[u8],
    ) -> bool {
        let complaints = worker.wrong.len();
        let full = worker.full(path);
        let network = FileNetworkOpenInformation;
        let attributes = worker.retried("query attributes", path, Mask::File(network), || {
            query_attributes(&full)
        });
        if worker.expect(path, "query attributes", &attributes) {
            let (size, written) = (i64_at(&attributes.data, 40), i64_at(&attributes.data, 16));
            self.compare_size(worker, path, "query attributes", size, contents);
            if written != file.written {
                worker.complain(
                    path,
                    &format!(
                        "written at {written}, but the host's file at {}",
                        file.written
                    ),
                );
            }
        }
        let kind = worker.random.u8(..10);
        let options = match kind {
            0 => FILE_NON_DIRECTORY_FILE,
            1 => synchronous(FILE_NO_INTERMEDIATE_BUFFERING),
            2 => synchronous(FILE_RANDOM_ACCESS),
            _ => synchronous(FILE_SEQUENTIAL_ONLY),
        };
        let Some(source) =
            worker.must_open(path, |open| open.access(READ).options(options).share(3))
        else {
            return false;
        };
        self.query_some(worker, &source, path, contents);
        let read = match kind {
            0 => self.read_overlapped(worker, &source, path, contents.len()),
            1 => self.read_sectors(worker, &source, path),
            3 if paging::is_mapped(contents) => {
                self.read_mapped(worker, &source, path, contents.len())
            }
            4 => self.read_served(worker, &source, path, contents.len()),
            _ => self.read_in_order(worker, &source, path),
        };
        if read != contents {
            let at = read.iter().zip(contents).position(|(a, b)| a != b);
            let where_ = at.map_or_else(
                || format!("length {}", read.len()),
                |at| format!("byte {at}"),
            );
            worker.complain(
                path,
                &format!("differs from the host's {} bytes: {where_}", contents.len()),
            );
        }
        worker.close(path, source);
        worker.wrong.len() == complaints
    }

    fn compare_size(
        &self,
        worker: &mut Worker,
        path: &str,
        what: &str,
        size: i64,
        contents: &[u8],
    ) {
        if size != contents.len() as i64 {
            worker.complain(
                path,
                &format!("{what}: {size} bytes instead of {}", contents.len()),
            );
        }
    }

    /// A few queries as programs make them on a file they read.
    fn query_some(&self, worker: &mut Worker, source: &File, path: &str, contents: &[u8]) {
        let standard = worker.retried("query standard", path, Mask::None, || {
            source.query_information(FileStandardInformation, 24)
        });
        if worker.expect(path, "query standard", &standard) {
            self.compare_size(
                worker,
                path,
                "query standard",
                i64_at(&standard.data, 8),
                contents,
            );
        }
        let basic = Mask::File(FileBasicInformation);
        let outcome = worker.retried("query basic", path, basic, || {
            source.query_information(FileBasicInformation, 40)
        });
        worker.expect(path, "query basic", &outcome);
        if worker.one_in(4) {
            let outcome = worker.retried("query all", path, Mask::File(FileAllInformation), || {
                source.query_information(FileAllInformation, 1024)
            });
            worker.expect(path, "query all", &outcome);
        }
    }

    fn read_in_order(&self, worker: &mut Worker, source: &File, path: &str) -> Vec<u8> {
        let chunk = [4096, 16_384, 65_536][worker.random.usize(..3)];
        let mut all = Vec::new();
        loop {
            let outcome = worker.retried("read", path, Mask::None, || source.read(None, chunk));
            if outcome.status == STATUS_END_OF_FILE {
                return all;
            }
            if !worker.expect(path, "read", &outcome) || outcome.data.is_empty() {
                return all;
            }
            all.extend(outcome.data);
        }
    }

    fn read_overlapped(
        &self,
        worker: &mut Worker,
        source: &File,
        path: &str,
        length: usize,
    ) -> Vec<u8> {
        const CHUNK: usize = 16_384;
        let mut all = Vec::new();
        for base in (0..length).step_by(CHUNK * 4) {
            let started: Vec<_> = (base..length.min(base + CHUNK * 4))
                .step_by(CHUNK)
                .map(|at| source.start_read(Some(at as i64), CHUNK as u32))
                .collect();
            for pending in started {
                let outcome = pending.wait();
                worker.note("read", path, &outcome, Mask::None);
                worker.expect(path, "read", &outcome);
                all.extend(outcome.data);
            }
        }
        all
    }

    fn read_sectors(&self, worker: &mut Worker, source: &File, path: &str) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let offset = Some(all.len().next_multiple_of(SECTOR) as i64);
            let outcome = worker.retried("read", path, Mask::None, || {
                source.read(offset, (SECTOR * 8) as u32)
            });
            if outcome.status == STATUS_END_OF_FILE || !worker.expect(path, "read", &outcome) {
                return all;
            }
            let last = outcome.data.len() < SECTOR * 8;
            all.extend(outcome.data);
            if last {
                return all;
            }
        }
    }
}
