//! A tree that cannot be written.

use super::super::layout::DIRECTORY_CLASSES;
use super::super::plan::{Plan, SourceFile};
use super::super::worker::{Worker, synchronous};
use super::{TreeCopy, list};
use crate::user::access::WRITE;

/// Walks a tree that cannot be written: lists every directory and reads every file.
pub struct ReadOnlyWalk<'a> {
    /// The tree, which the volume shows as it is.
    pub plan: &'a Plan,
    /// This thread's files.
    pub files: Vec<&'a SourceFile>,
}

impl ReadOnlyWalk<'_> {
    /// Everything, in order.
    pub fn run(&self, worker: &mut Worker) {
        let copy = TreeCopy {
            plan: self.plan,
            files: self.files.clone(),
            root: String::new(),
        };
        for file in &self.files {
            let path = copy.path(file);
            // A name that the plan had to change is another one on this volume.
            let shown = path.replace('\\', std::path::MAIN_SEPARATOR_STR);
            let (true, Ok(contents)) = (
                file.path.to_string_lossy().ends_with(&shown),
                std::fs::read(&file.path),
            ) else {
                continue;
            };
            if copy.verify(worker, file, &path, &contents) {
                worker.file_done();
            }
            if worker.one_in(16) {
                let refused = worker.open(&path, |open| open.access(WRITE).options(synchronous(0)));
                if let Some(refused) = refused {
                    worker.complain(
                        &path,
                        "was opened for writing on a medium that cannot be written",
                    );
                    worker.close(&path, refused);
                }
            }
        }
        for at in self.plan.directories_of(&self.files) {
            let path = &self.plan.directories[at].path;
            let class = DIRECTORY_CLASSES[worker.random.usize(..DIRECTORY_CLASSES.len())];
            list(worker, path, class, None);
        }
    }
}
