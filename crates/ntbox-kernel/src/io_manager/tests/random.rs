//! Random stacks of right drivers give no alarm and lose no request.

use super::drivers::{Behaviour, FILTERS, LOWEST, Stack, issue};
use crate::nt::{
    IRP_DEFER_IO_COMPLETION, IRP_SYNCHRONOUS_API, STATUS_CANCELLED, STATUS_END_OF_FILE,
    STATUS_SUCCESS,
};
use crate::processor::thread;
use crate::verifier::capture;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn run(seed: u64, stacks: usize, requests: usize) {
    let mut random = Random(seed);
    for _ in 0..stacks {
        let mut behaviours = vec![LOWEST[random.below(LOWEST.len())]];
        for _ in 0..random.below(6) {
            behaviours.push(FILTERS[random.below(FILTERS.len())]);
        }
        let stack = Stack::new(&behaviours);
        for number in 0..requests {
            let status = [STATUS_SUCCESS, STATUS_END_OF_FILE, STATUS_CANCELLED][random.below(3)];
            stack.extension(0).status = status;
            stack.extension(0).information = number;
            stack.extension(0).behaviour = LOWEST[random.below(LOWEST.len())];
            for index in 1..behaviours.len() {
                stack.extension(index).behaviour = FILTERS[random.below(FILTERS.len())];
            }
            let flags = IRP_SYNCHRONOUS_API
                | if random.below(2) == 0 {
                    IRP_DEFER_IO_COMPLETION
                } else {
                    0
                };
            let (seen, violations) = capture(|| issue(stack.top(), flags));
            let chain: Vec<Behaviour> = (0..behaviours.len())
                .map(|index| stack.extension(index).behaviour)
                .collect();
            assert!(
                violations.is_empty(),
                "seed {seed:#x}: {chain:?}: {violations:?}"
            );
            assert_eq!(seen.status(), status, "seed {seed:#x}: {chain:?}");
            if let Some((_, information)) = seen.block {
                assert_eq!(information, number, "seed {seed:#x}: {chain:?}");
            }
        }
    }
}

#[test]
fn random_chains_of_right_drivers_raise_no_alarm() {
    let threads: Vec<_> = [0x9E37_79B9, 0xC2B2_AE35, 0x27D4_EB2F]
        .into_iter()
        .map(|seed| thread::spawn("random", move || run(seed, 12, 40)))
        .collect();
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
}
