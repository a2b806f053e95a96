//! Share access (`IoCheckShareAccess`, `IoRemoveShareAccess`), over the opens of one file.

use ntbox_kernel::nt::{NTSTATUS, STATUS_SHARING_VIOLATION};

/// `FILE_SHARE_*` bits.
pub const SHARE_READ: u32 = 1;
/// `FILE_SHARE_WRITE`.
pub const SHARE_WRITE: u32 = 2;
/// `FILE_SHARE_DELETE`.
pub const SHARE_DELETE: u32 = 4;

/// Access rights of files, by their published values.
pub mod access {
    #![expect(missing_docs, reason = "the names are the DDI's")]
    pub const READ_DATA: u32 = 0x1;
    pub const WRITE_DATA: u32 = 0x2;
    pub const APPEND_DATA: u32 = 0x4;
    pub const READ_EA: u32 = 0x8;
    pub const WRITE_EA: u32 = 0x10;
    pub const EXECUTE: u32 = 0x20;
    pub const DELETE_CHILD: u32 = 0x40;
    pub const READ_ATTRIBUTES: u32 = 0x80;
    pub const WRITE_ATTRIBUTES: u32 = 0x100;
    pub const DELETE: u32 = 0x1_0000;
    pub const READ_CONTROL: u32 = 0x2_0000;
    pub const WRITE_DAC: u32 = 0x4_0000;
    pub const WRITE_OWNER: u32 = 0x8_0000;
    pub const SYNCHRONIZE: u32 = 0x10_0000;
    pub const ACCESS_SYSTEM_SECURITY: u32 = 0x100_0000;
    pub const MAXIMUM_ALLOWED: u32 = 0x200_0000;
    pub const GENERIC_ALL: u32 = 0x1000_0000;
    pub const GENERIC_EXECUTE: u32 = 0x2000_0000;
    pub const GENERIC_WRITE: u32 = 0x4000_0000;
    pub const GENERIC_READ: u32 = 0x8000_0000;
    /// `FILE_GENERIC_READ`.
    pub const FILE_READ: u32 = 0x12_0089;
    /// `FILE_GENERIC_WRITE`.
    pub const FILE_WRITE: u32 = 0x12_0116;
    /// `FILE_GENERIC_EXECUTE`.
    pub const FILE_EXECUTE: u32 = 0x12_00A0;
    /// `FILE_ALL_ACCESS`.
    pub const FILE_ALL: u32 = 0x1F_01FF;
}

/// What one open uses and grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Reads or executes.
    pub read: bool,
    /// Writes or appends.
    pub write: bool,
    /// Deletes or renames.
    pub delete: bool,
    /// Lets others read.
    pub share_read: bool,
    /// Lets others write.
    pub share_write: bool,
    /// Lets others delete.
    pub share_delete: bool,
}

impl Use {
    /// Of the access and sharing that a create asks for. Rights that touch no data
    /// (attributes, security) take no part in sharing, and neither do their holders' share modes.
    pub fn new(desired: u32, share: u32) -> Self {
        let read = desired & (access::READ_DATA | access::EXECUTE) != 0;
        let write = desired & (access::WRITE_DATA | access::APPEND_DATA) != 0;
        let delete = desired & access::DELETE != 0;
        if !(read || write || delete) {
            return Self::default();
        }
        Self {
            read,
            write,
            delete,
            share_read: share & SHARE_READ != 0,
            share_write: share & SHARE_WRITE != 0,
            share_delete: share & SHARE_DELETE != 0,
        }
    }
    fn takes_part(self) -> bool {
        self.read || self.write || self.delete
    }
}

/// `SHARE_ACCESS`: how often the opens of a file use and grant what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    opens: u32,
    readers: u32,
    writers: u32,
    deleters: u32,
    share_read: u32,
    share_write: u32,
    share_delete: u32,
}

impl Shares {
    /// Whether an open that does `with` fits to the ones there are.
    ///
    /// # Errors
    /// `STATUS_SHARING_VIOLATION`.
    pub fn check(&self, with: Use) -> Result<(), NTSTATUS> {
        let refused = with.read && self.share_read < self.opens
            || with.write && self.share_write < self.opens
            || with.delete && self.share_delete < self.opens
            || self.readers != 0 && !with.share_read
            || self.writers != 0 && !with.share_write
            || self.deleters != 0 && !with.share_delete;
        if refused && with.takes_part() {
            Err(STATUS_SHARING_VIOLATION)
        } else {
            Ok(())
        }
    }
    /// Whether every open lets others delete.
    pub fn lets_delete(&self) -> bool {
        self.share_delete == self.opens
    }
    /// Counts an open that was checked.
    pub fn add(&mut self, with: Use) {
        self.change(with, |count| *count += 1);
    }
    /// Takes an open out again, at its cleanup.
    pub fn remove(&mut self, with: Use) {
        self.change(with, |count| *count = count.saturating_sub(1));
    }
    fn change(&mut self, with: Use, change: impl Fn(&mut u32)) {
        let counts = [
            (with.takes_part(), &mut self.opens),
            (with.read, &mut self.readers),
            (with.write, &mut self.writers),
            (with.delete, &mut self.deleters),
            (with.share_read, &mut self.share_read),
            (with.share_write, &mut self.share_write),
            (with.share_delete, &mut self.share_delete),
        ];
        for (applies, count) in counts {
            if applies {
                change(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(first: (u32, u32), second: (u32, u32)) -> bool {
        let mut shares = Shares::default();
        shares.add(Use::new(first.0, first.1));
        shares.check(Use::new(second.0, second.1)).is_ok()
    }

    #[test]
    fn access_and_sharing_must_fit_both_ways() {
        let (read, write, delete) = (access::READ_DATA, access::WRITE_DATA, access::DELETE);
        let all = SHARE_READ | SHARE_WRITE | SHARE_DELETE;
        assert!(both((read, SHARE_READ), (read, SHARE_READ)));
        assert!(!both((read, 0), (read, all)));
        assert!(!both((read, all), (read, 0)));
        assert!(!both((write, all), (read, SHARE_READ)));
        assert!(!both((read, SHARE_READ), (write, all)));
        assert!(both((read, SHARE_READ | SHARE_WRITE), (write, SHARE_READ)));
        assert!(!both((read, SHARE_READ | SHARE_WRITE), (delete, all)));
        assert!(both((read, all), (delete, all)));
        assert!(!both(
            (access::EXECUTE, SHARE_READ),
            (access::APPEND_DATA, all)
        ));
    }

    #[test]
    fn rights_without_data_take_no_part() {
        let attributes = access::READ_ATTRIBUTES | access::SYNCHRONIZE;
        assert!(both((access::FILE_ALL, 0), (attributes, 0)));
        assert!(both((attributes, 0), (access::FILE_ALL, 0)));
    }

    #[test]
    fn removal_undoes() {
        let mut shares = Shares::default();
        let with = Use::new(access::FILE_ALL, 0);
        shares.add(with);
        assert_eq!(shares.check(with), Err(STATUS_SHARING_VIOLATION));
        shares.remove(with);
        assert_eq!(shares, Shares::default());
    }
}
