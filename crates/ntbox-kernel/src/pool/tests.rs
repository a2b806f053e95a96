//! Blocks, their surroundings, and what the driver gets wrong with them.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "blocks are used as a driver uses them"
)]

use super::*;
use crate::host::PAGE;
use crate::host::memory::try_read;
use crate::host::test_process;

const TAG: u32 = u32::from_le_bytes(*b"Test");

fn new(bytes: usize) -> *mut u8 {
    let block: *mut u8 = allocate(Kind::NonPaged, bytes, TAG, 0).cast();
    assert!(!block.is_null());
    block
}

fn release(block: *mut u8) {
    // SAFETY: every test frees its own block, or one that it means to be refused.
    unsafe { free(block.cast(), Some(TAG), 0) };
}

/// Runs `f` and returns the rules and messages it broke.
fn broken(f: impl FnOnce()) -> Vec<(&'static str, String)> {
    let ((), recorded) = verifier::capture(f);
    recorded
        .into_iter()
        .map(|recorded| (recorded.rule.name, recorded.message))
        .collect()
}

#[test]
fn a_block_ends_at_an_inaccessible_page() {
    for bytes in [1, 15, 16, 48, 4080, 4095] {
        let block = new(bytes);
        assert!((block as usize).is_multiple_of(16));
        // SAFETY: the last byte of the block.
        unsafe { block.add(bytes - 1).write(1) };
        let page_end = (block as usize + bytes).next_multiple_of(PAGE);
        assert!(page_end - (block as usize + bytes) < 16, "{bytes}");
        assert!(!try_read(page_end, &mut [0]), "{bytes}");
        release(block);
        assert!(
            !try_read(block as usize, &mut [0]),
            "a freed block is inaccessible"
        );
    }
}

#[test]
fn no_block_is_larger_than_memory() {
    for bytes in [MOST + 1, 1 << 36, usize::MAX >> 1, usize::MAX] {
        assert!(allocate(Kind::NonPaged, bytes, TAG, 0).is_null(), "{bytes}");
    }
}

#[test]
fn blocks_from_a_page_on_are_page_aligned() {
    for bytes in [4096, 4097, 12288] {
        let block = new(bytes);
        assert!((block as usize).is_multiple_of(PAGE));
        assert!(!try_read(
            (block as usize + bytes).next_multiple_of(PAGE),
            &mut [0]
        ));
        release(block);
    }
}

#[test]
fn memory_of_drivers_is_not_zero_and_memory_of_the_box_is() {
    let block = new(40);
    let mut content = [0; 40];
    assert!(try_read(block as usize, &mut content));
    assert!(content.iter().all(|byte| *byte != 0));
    release(block);
    let own = allocate_for_box(40);
    assert!(try_read(own as usize, &mut content));
    assert_eq!(content, [0; 40]);
    // SAFETY: allocated above, freed once.
    unsafe { free_for_box(own) };
}

#[test]
fn addresses_are_not_used_again() {
    let first = new(16);
    release(first);
    let others: Vec<*mut u8> = (0..64).map(|_| new(16)).collect();
    assert!(!others.contains(&first));
    others.into_iter().for_each(release);
}

#[test]
fn a_write_behind_the_block_is_found_at_free() {
    let block = new(44);
    // SAFETY: the four bytes of slack behind the block are mapped.
    unsafe { block.add(46).write(7) };
    let broken = broken(|| release(block));
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].0, "PoolOverrun");
    assert!(
        broken[0]
            .1
            .starts_with("3 bytes behind the end of the 44-byte block 'Test'"),
        "{}",
        broken[0].1
    );
}

#[test]
fn a_write_in_front_of_the_block_is_found_at_free() {
    let block = new(32);
    // SAFETY: the page in front of the block's start is the block's own page.
    unsafe { block.sub(8).write(7) };
    let broken = broken(|| release(block));
    assert!(
        broken[0]
            .1
            .starts_with("8 bytes in front of the 32-byte block"),
        "{broken:?}"
    );
}

#[test]
fn bad_frees_are_told_apart() {
    let block = new(32);
    let inside = broken(|| release(block.wrapping_add(16)));
    assert!(
        inside[0]
            .1
            .starts_with("offset 16 of the 32-byte block 'Test'"),
        "{inside:?}"
    );
    assert!(
        inside[0].1.contains("not the start of a block"),
        "{inside:?}"
    );

    // SAFETY: freed once with another tag, which is reported.
    let wrong = broken(|| unsafe { free(block.cast(), Some(u32::from_le_bytes(*b"Othr")), 0) });
    assert!(
        wrong[0].1.ends_with("is freed with tag 'Othr'"),
        "{wrong:?}"
    );

    let again = broken(|| release(block));
    assert!(again[0].1.ends_with("is freed a second time"), "{again:?}");

    let mut local = 0_u64;
    let stranger = broken(|| release((&raw mut local).cast()));
    assert!(
        stranger[0].1.ends_with("which is no pool block, is freed"),
        "{stranger:?}"
    );

    let own = allocate_for_box_as(8, "an event");
    let mixed = broken(|| release(own.cast()));
    assert!(mixed[0].1.contains("an event of 8 bytes"), "{mixed:?}");
    // SAFETY: refused above, so it is still allocated.
    unsafe { free_for_box(own) };

    for broken in [inside, wrong, again, stranger, mixed] {
        assert_eq!((broken.len(), broken[0].0), (1, "BadFree"));
    }
}

#[test]
fn protected_pool_marks_are_not_part_of_the_tag() {
    let block = new(8);
    // SAFETY: freed once.
    let broken = broken(|| unsafe { free(block.cast(), Some(TAG | PROTECTED_POOL), 0) });
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn addresses_are_explained() {
    let block = new(48);
    let at = block as usize;
    assert_eq!(block_at(at), Some((Kind::NonPaged, 48)));
    assert!(
        describe(at + 4)
            .unwrap()
            .starts_with("offset 4 of the 48-byte block 'Test'")
    );
    let behind = diagnose(at + 48 + 7).unwrap();
    assert!(
        !behind.freed && behind.text.starts_with("8 bytes behind the end of"),
        "{}",
        behind.text
    );
    release(block);
    let after = diagnose(at + 4).unwrap();
    assert!(
        after.freed
            && after
                .text
                .contains("freed on behalf of no driver by thread"),
        "{}",
        after.text
    );
    assert_eq!(block_at(at), None);
    assert!(describe(0x10).is_none());
}

#[test]
fn many_threads_allocate_at_once() {
    let threads: Vec<_> = (0..4_usize)
        .map(|thread| {
            std::thread::spawn(move || {
                for round in 0..300 {
                    let bytes = 1 + (round * 37 + thread) % 9000;
                    let block = new(bytes);
                    // SAFETY: the block is this thread's.
                    unsafe { std::ptr::write_bytes(block, thread as u8, bytes) };
                    release(block);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn large_blocks_survive_the_trimming_of_chunks_they_lie_in() {
    let large = new(5 << 20);
    // SAFETY: the last byte of the block.
    unsafe { large.add((5 << 20) - 1).write(9) };
    // Many blocks over several chunks, all freed, so that chunks next to the
    // large block and those it reaches into are looked at.
    let small: Vec<*mut u8> = (0..1200).map(|_| new(64)).collect();
    small.into_iter().for_each(release);
    let mut byte = [0];
    assert!(try_read(large as usize + (5 << 20) - 1, &mut byte));
    assert_eq!(byte, [9]);
    release(large);
}

#[test]
fn without_guards_blocks_are_plain() {
    test_process::passes_alone("pool::tests::without_guards_blocks_are_plain", || {
        options::set(Options::NONE);
        let block = new(48);
        assert!(!contains(block as usize) && block_at(block as usize).is_none());
        release(block);
        let own = allocate_for_box(40);
        let mut content = [1; 40];
        assert!(try_read(own as usize, &mut content) && content == [0; 40]);
        // SAFETY: allocated above, freed once.
        unsafe { free_for_box(own) };
    });
}

#[test]
fn tracked_blocks_are_known_without_guards() {
    test_process::passes_alone(
        "pool::tests::tracked_blocks_are_known_without_guards",
        || {
            options::set(Options::POOL_TRACKING);
            let block = new(48);
            assert!(!contains(block as usize));
            assert_eq!(block_at(block as usize), Some((Kind::NonPaged, 48)));
            release(block);
            assert_eq!(broken(|| release(block)).len(), 1, "a second free");
        },
    );
}

#[test]
fn more_live_blocks_than_mappings_are_served() {
    if test_process::is_left_out_in_wine(
        "more_live_blocks_than_mappings_are_served",
        "Wine waits for ever where Linux has no mapping left for it",
    ) {
        return;
    }
    test_process::passes_alone(
        "pool::tests::more_live_blocks_than_mappings_are_served",
        || {
            let count = 100_000;
            let blocks: Vec<*mut u8> = (0..count).map(|_| new(40)).collect();
            // A block without an inaccessible page behind it is still checked.
            let last = blocks[count - 1];
            // SAFETY: the slack of the block.
            unsafe { last.add(44).write(1) };
            assert_eq!(broken(|| release(last)).len(), 1);
            assert!(!try_read(last as usize, &mut [0]));
            blocks.into_iter().take(count - 1).for_each(release);
        },
    );
}

#[test]
fn memory_stays_flat_while_addresses_rise() {
    let name = "pool::tests::memory_stays_flat_while_addresses_rise";
    test_process::passes_alone(name, || {
        // One that stays, so that its chunk is kept.
        let stays = new(100);
        let turn = |count: usize| {
            for round in 0..count {
                let (block, own) = (new(16 + round % 300), allocate_for_box(500));
                release(block);
                // SAFETY: allocated above, freed once.
                unsafe { free_for_box(own) };
            }
        };
        // As many as are remembered after they were freed.
        turn(40_000);
        let Some(before) = crate::host::memory::resident() else {
            return;
        };
        turn(100_000);
        let grown = crate::host::memory::resident()
            .unwrap_or(0)
            .saturating_sub(before);
        assert!(grown < 4 << 20, "{grown} bytes more after 200,000 blocks");
        release(stays);
    });
}

#[test]
fn plain_blocks_keep_the_alignment() {
    for bytes in [0, 1, 40, 4096, 10_000] {
        let block = plain::allocate_zeroed(bytes);
        assert!((block as usize).is_multiple_of(if bytes >= PAGE { PAGE } else { 16 }));
        // SAFETY: the block is as long as asked for.
        unsafe { std::ptr::write_bytes(block.cast::<u8>(), 1, bytes) };
        // SAFETY: freed once.
        unsafe { plain::free(block) };
    }
}
