//! A name that leads to another one: the link is made, opened, looked at and unmade.

use super::super::layout::Mask;
use super::super::worker::synchronous;
use super::operation::Name;
use super::runner::Runner;
use crate::io_manager::identity;
use crate::nt::*;
use crate::user::access::{DELETE, READ, WRITE};
use crate::user::{CreateParameters, File, create_file, query_attributes};

impl Runner {
    pub(super) fn follow(&mut self, at: Name, to: Name, mount: bool) {
        let target: Vec<u16> = self.path(to).encode_utf16().collect();
        let (tag, kind) = match mount {
            true => (reparse::MOUNT_POINT, FILE_DIRECTORY_FILE),
            false => (reparse::SYMBOLIC_LINK, FILE_NON_DIRECTORY_FILE),
        };
        let data = reparse::leading_to(tag, &target, false);
        let itself = FILE_OPEN_REPARSE_POINT | kind;
        let Some(link) = self.open_by_name("open the link", at, FILE_OPEN_IF, itself) else {
            return;
        };
        self.about_link(&link, "set", FSCTL_SET_REPARSE_POINT, &data);
        self.close_it(link);
        if let Some(file) = self.open_by_name("open by the link", at, FILE_OPEN, 0) {
            let name = file.query_information(FileNameInformation, 512);
            self.note("query its name".to_owned(), &name, Mask::None);
            self.close_it(file);
        }
        let path = self.path(at);
        identity::allow_failure_of_next();
        let attributes = query_attributes(&path);
        let mask = Mask::File(FileNetworkOpenInformation);
        self.note(format!("query attributes of {at}"), &attributes, mask);
        // What could not be deleted stays a link, which whoever opens it next meets.
        let Some(link) = self.open_by_name("open the link", at, FILE_OPEN, itself) else {
            return;
        };
        self.about_link(&link, "get", FSCTL_GET_REPARSE_POINT, &[]);
        let header = [&tag.to_le_bytes()[..], &[0; 4]].concat();
        self.about_link(&link, "delete", FSCTL_DELETE_REPARSE_POINT, &header);
        self.close_it(link);
    }

    fn open_by_name(
        &mut self,
        call: &str,
        at: Name,
        disposition: u32,
        options: u32,
    ) -> Option<File> {
        let path = self.path(at);
        let parameters = CreateParameters::new(&path)
            .disposition(disposition)
            .access(READ | WRITE | DELETE)
            .options(synchronous(options));
        identity::allow_failure_of_next();
        let opened = create_file(&parameters);
        self.note(format!("{call} {at}"), &opened.outcome, Mask::None);
        opened.file
    }

    /// The data has the name of the run's directory: only its length is compared.
    fn about_link(&mut self, link: &File, what: &str, code: u32, input: &[u8]) {
        identity::allow_failure_of_next();
        let room = if input.is_empty() { 512 } else { 0 };
        let outcome = link.fs_control(code, input, room);
        self.note(format!("{what} the reparse point"), &outcome, Mask::All);
    }

    fn close_it(&mut self, file: File) {
        let outcome = file.close();
        self.note("close it".to_owned(), &outcome, Mask::None);
    }
}
