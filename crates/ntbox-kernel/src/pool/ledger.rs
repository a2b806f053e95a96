//! What is known of each block, kept apart from the block.

use super::calls::Calls;
use super::{Kind, at};
use crate::host::address_map::AddressMap;
use crate::verifier::Rule;
use std::collections::VecDeque;

/// Freed blocks that are remembered; older ones are only known as freed.
const FREED_REMEMBERED: usize = 1 << 16;
/// Farther from a block than this, an address has nothing to do with it.
const NEAR: usize = 2 * crate::host::PAGE;

/// Whose block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A driver's, from this pool.
    Driver(Kind),
    /// The box's own.
    Box(Purpose),
}

/// What a block of the box is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose {
    /// In words: `"a request (IRP)"`.
    pub(super) what: &'static str,
    /// Bytes in front of what drivers know as the thing itself; offsets are told from there.
    pub(super) header: usize,
    /// What a touch breaks, where nobody may touch it though it is not freed.
    pub(super) closed: Option<&'static Rule>,
}

/// One block, live or freed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) address: usize,
    pub(super) bytes: usize,
    pub(super) tag: u32,
    pub(super) owner: Owner,
    pub(super) allocated: Calls,
    pub(super) freed: Calls,
    /// 0 while it is live.
    pub(super) freed_by_thread: u32,
}

impl Block {
    pub(super) fn new(bytes: usize, tag: u32, allocated: Calls, owner: Owner) -> Self {
        Self {
            address: 0,
            bytes,
            tag,
            owner,
            allocated,
            freed: Calls::default(),
            freed_by_thread: 0,
        }
    }

    /// What a touch breaks, if it is there for nobody to touch.
    pub(super) fn closed(&self) -> Option<&'static Rule> {
        match self.owner {
            Owner::Box(purpose) => purpose.closed,
            Owner::Driver(_) => None,
        }
    }

    /// `the 48-byte block 'FsGl' allocated at …`.
    pub(super) fn describe(&self) -> String {
        let mut text = match self.owner {
            Owner::Driver(kind) => {
                let kind = if kind == Kind::Paged { "paged " } else { "" };
                format!(
                    "the {}-byte {kind}block '{}' allocated {}",
                    self.bytes,
                    tag_text(self.tag),
                    at(self.allocated.site)
                )
            }
            Owner::Box(purpose) => {
                format!("{} of {} bytes", purpose.what, self.bytes - purpose.header)
            }
        };
        if self.freed_by_thread != 0 {
            let by = match self.freed.site {
                0 => "on behalf of no driver".to_owned(),
                site => at(site),
            };
            text += &format!(", freed {by} by thread {}", self.freed_by_thread);
        }
        text
    }

    /// The places to name in a report, `more` behind those of the block.
    pub(super) fn sites(&self, more: &[(&'static str, usize)]) -> Vec<(&'static str, usize)> {
        let allocated = self.allocated.sites("allocated");
        let freed = self.freed.sites("freed");
        allocated.chain(freed).chain(more.iter().copied()).collect()
    }
}

/// A tag as it is written in source: its bytes in memory order.
pub(super) fn tag_text(tag: u32) -> String {
    let printable = |byte: u8| {
        if byte.is_ascii_graphic() || byte == b' ' {
            byte as char
        } else {
            '.'
        }
    };
    (tag & !super::PROTECTED_POOL)
        .to_le_bytes()
        .map(printable)
        .iter()
        .collect()
}

/// Bytes between an address and a block; 0 inside it.
pub(super) fn distance(block: &Block, address: usize) -> usize {
    let end = block.address + block.bytes;
    if address < block.address {
        block.address - address
    } else {
        (address + 1).saturating_sub(end.max(block.address + 1))
    }
}

/// Where an address lies, seen from a block.
pub(super) fn relation(block: &Block, address: usize) -> String {
    let end = block.address + block.bytes;
    let start = match block.owner {
        Owner::Box(purpose) => block.address + purpose.header,
        Owner::Driver(_) => block.address,
    };
    let bytes = |count: usize| {
        if count == 1 {
            "1 byte".to_owned()
        } else {
            format!("{count} bytes")
        }
    };
    if address < start {
        format!(
            "{} in front of {}",
            bytes(start - address),
            block.describe()
        )
    } else if address >= end {
        format!(
            "{} behind the end of {}",
            bytes(address - end + 1),
            block.describe()
        )
    } else {
        format!("offset {} of {}", address - start, block.describe())
    }
}

/// # Invariants
/// A block is in `live` or in `freed`, never in both.
pub(super) struct Ledger {
    live: Option<AddressMap<Block>>,
    freed: VecDeque<Block>,
}

impl Ledger {
    pub(super) const fn new() -> Self {
        Self {
            live: None,
            freed: VecDeque::new(),
        }
    }
    pub(super) fn add(&mut self, block: Block) {
        self.live
            .get_or_insert_default()
            .insert(block.address, block);
    }
    /// Moves a block to the freed ones; false if it was not live.
    pub(super) fn retire(&mut self, address: usize, freed: Calls, thread: u32) -> bool {
        let Some(mut block) = self.live.get_or_insert_default().remove(&address) else {
            return false;
        };
        block.freed = freed;
        block.freed_by_thread = thread.max(1);
        if self.freed.len() == FREED_REMEMBERED {
            self.freed.pop_front();
        }
        self.freed.push_back(block);
        true
    }
    pub(super) fn live(&self) -> impl Iterator<Item = &Block> {
        self.live.iter().flat_map(|live| live.values())
    }
    /// The live block that starts at `address`.
    pub(super) fn live_at(&self, address: usize) -> Option<&Block> {
        self.live.as_ref().and_then(|live| live.get(&address))
    }
    /// The live block nearest to `address`, if one is near.
    pub(super) fn live_near(&self, address: usize) -> Option<&Block> {
        nearest(self.live(), address)
    }
    /// The freed block nearest to `address`, if one is near.
    pub(super) fn freed_near(&self, address: usize) -> Option<&Block> {
        nearest(self.freed.iter(), address)
    }
}

fn nearest<'a>(blocks: impl Iterator<Item = &'a Block>, address: usize) -> Option<&'a Block> {
    blocks
        .map(|block| (distance(block, address), block))
        .filter(|(distance, _)| *distance < NEAR)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, block)| block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let mut block = Block::new(
            48,
            u32::from_le_bytes(*b"FsGl"),
            Calls::default(),
            Owner::Driver(Kind::NonPaged),
        );
        block.address = 0x1000;
        block
    }

    #[test]
    fn an_address_is_told_in_relation_to_its_block() {
        let whole = "the 48-byte block 'FsGl' allocated by the system";
        assert_eq!(relation(&block(), 0x1000), format!("offset 0 of {whole}"));
        assert_eq!(relation(&block(), 0x102F), format!("offset 47 of {whole}"));
        assert_eq!(
            relation(&block(), 0x1030),
            format!("1 byte behind the end of {whole}")
        );
        assert_eq!(
            relation(&block(), 0x1037),
            format!("8 bytes behind the end of {whole}")
        );
        assert_eq!(
            relation(&block(), 0x0FFF),
            format!("1 byte in front of {whole}")
        );
    }

    #[test]
    fn offsets_in_a_thing_of_the_box_leave_its_header_out() {
        let purpose = Purpose {
            what: "a request (IRP)",
            header: 32,
            closed: None,
        };
        let mut block = Block::new(312, 0, Calls::default(), Owner::Box(purpose));
        block.address = 0x1000;
        assert_eq!(
            relation(&block, 0x1020),
            "offset 0 of a request (IRP) of 280 bytes"
        );
        assert_eq!(
            relation(&block, 0x101F),
            "1 byte in front of a request (IRP) of 280 bytes"
        );
        assert_eq!(
            relation(&block, 0x1138),
            "1 byte behind the end of a request (IRP) of 280 bytes"
        );
    }

    #[test]
    fn distance_is_zero_inside() {
        assert_eq!(distance(&block(), 0x1000), 0);
        assert_eq!(distance(&block(), 0x102F), 0);
        assert_eq!(distance(&block(), 0x1030), 1);
        assert_eq!(distance(&block(), 0x0FFE), 2);
    }

    #[test]
    fn a_freed_block_is_remembered_and_retired_once() {
        let mut ledger = Ledger::new();
        ledger.add(block());
        assert!(ledger.live_at(0x1000).is_some() && ledger.live_at(0x1010).is_none());
        assert!(ledger.retire(0x1000, Calls::default(), 7));
        assert!(!ledger.retire(0x1000, Calls::default(), 7));
        assert!(ledger.live_near(0x1000).is_none());
        let freed = ledger.freed_near(0x1008).unwrap();
        assert!(
            relation(freed, 0x1008).ends_with("freed on behalf of no driver by thread 7"),
            "{}",
            relation(freed, 0x1008)
        );
    }

    #[test]
    fn tags_are_shown_as_written() {
        assert_eq!(tag_text(u32::from_le_bytes(*b"Ab1 ")), "Ab1 ");
        assert_eq!(tag_text(0x0001_0203), "....");
        assert_eq!(tag_text(u32::from_le_bytes(*b"FsGl") | 0x8000_0000), "FsGl");
    }
}
