//! A map from addresses, with a hash that costs a multiplication: addresses
//! are not chosen by anyone who would want them to collide.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys are addresses.
pub type AddressMap<V> = HashMap<usize, V, BuildHasherDefault<AddressHasher>>;

/// Hashes one address.
#[derive(Default)]
pub struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }
    fn write_usize(&mut self, value: usize) {
        // The product's high half depends on every bit; the map looks at the low bits as well.
        let product = (self.0 ^ value as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_pages_spread_over_the_low_bits() {
        let low = |address: usize| {
            let mut hasher = AddressHasher::default();
            hasher.write_usize(address);
            hasher.finish() % 256
        };
        let mut hit = [0_u32; 256];
        for page in 0..25_600 {
            hit[low(0x7000_0000_0000 + page * 8192) as usize] += 1;
        }
        assert!(hit.iter().all(|count| (50..200).contains(count)), "{hit:?}");
    }
}
