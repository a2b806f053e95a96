//! Byte-range locks of one file, whose waiting requests are tickets: [`byte_locks`].

use super::waiting::{Effects, Ticket};
use ntbox_kernel::io_manager::byte_locks;
use ntbox_kernel::nt::{NTSTATUS, STATUS_SUCCESS};

pub use byte_locks::{Asked, Lock, Owner, Range};

/// The locks of a file.
pub type Table = byte_locks::Table<Ticket>;

/// At cleanup: gives back all locks of the file object and ends what waits for one.
pub fn release(table: &mut Table, file: u64, status: NTSTATUS, effects: &mut Effects<'_>) {
    table.release(file, |ticket| effects.finish(ticket, status, Vec::new()));
    grant(table, effects);
}

/// Grants what can be granted now, in the order in which it was asked for.
pub fn grant(table: &mut Table, effects: &mut Effects<'_>) {
    table.grant(|ticket| effects.finish(ticket, STATUS_SUCCESS, Vec::new()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntbox_kernel::nt::STATUS_CANCELLED;

    fn owner(file: u64) -> Owner {
        Owner {
            file,
            process: 1,
            key: 0,
        }
    }
    fn range(offset: u64, length: u64) -> Range {
        Range::new(offset, length).unwrap()
    }
    fn lock(file: u64, offset: u64, length: u64, exclusive: bool) -> Lock {
        Lock {
            owner: owner(file),
            range: range(offset, length),
            exclusive,
        }
    }

    #[test]
    fn waiting_locks_are_granted_in_order() {
        let mut table = Table::default();
        table.lock(lock(1, 0, 10, true), None);
        assert_eq!(
            table.lock(lock(2, 0, 5, true), Some(Ticket(2))),
            Asked::Queued
        );
        assert_eq!(
            table.lock(lock(3, 0, 5, true), Some(Ticket(3))),
            Asked::Queued
        );
        assert_eq!(
            table.lock(lock(4, 5, 5, false), Some(Ticket(4))),
            Asked::Queued
        );
        table.unlock_single(owner(1), range(0, 10));
        let mut effects = Effects::new(&|_| true);
        grant(&mut table, &mut effects);
        let granted: Vec<_> = effects
            .into_finished()
            .iter()
            .map(|finish| finish.ticket.0)
            .collect();
        assert_eq!(granted, [2, 4]);
        assert!(!table.allows_write(owner(3), range(0, 1)));
    }

    #[test]
    fn a_request_that_is_being_cancelled_is_left_to_its_routine() {
        let mut table = Table::default();
        table.lock(lock(1, 0, 1, true), None);
        table.lock(lock(2, 0, 1, true), Some(Ticket(2)));
        table.lock(lock(3, 0, 1, true), Some(Ticket(3)));
        let mut effects = Effects::new(&|ticket| ticket != Ticket(2));
        release(&mut table, 1, STATUS_CANCELLED, &mut effects);
        let granted: Vec<_> = effects
            .into_finished()
            .iter()
            .map(|finish| finish.ticket.0)
            .collect();
        assert_eq!(granted, [3]);
        assert!(table.remove_waiting(Ticket(2)));
        assert!(!table.remove_waiting(Ticket(2)));
    }

    #[test]
    fn cleanup_ends_what_waits_through_the_handle() {
        let mut table = Table::default();
        table.lock(lock(1, 0, 1, true), None);
        table.lock(lock(2, 0, 1, true), Some(Ticket(2)));
        let mut effects = Effects::new(&|_| true);
        release(&mut table, 2, STATUS_CANCELLED, &mut effects);
        assert_eq!(effects.into_finished()[0].status, STATUS_CANCELLED);
        assert!(!table.is_empty());
        release(
            &mut table,
            1,
            STATUS_CANCELLED,
            &mut Effects::new(&|_| true),
        );
        assert!(table.is_empty());
    }
}
