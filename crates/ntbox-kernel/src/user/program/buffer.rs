//! The memory a program passes to services.

#![expect(unsafe_code, reason = "the words are seen as bytes")]

use crate::io_manager::program_memory::{self, Known};
use std::ffi::c_void;

/// A program's buffer: aligned as services ask, with a pattern behind its end.
pub(super) struct Buffer {
    words: Vec<u64>,
    length: usize,
    _known: Option<Known>,
}

impl Buffer {
    const PATTERN: u64 = 0xB0F0_0B0F_5AA5_A55A;

    pub(super) fn new(length: usize) -> Self {
        let mut words = vec![0; length.div_ceil(8)];
        words.extend([Self::PATTERN; 2]);
        let known = program_memory::know(words.as_ptr().addr(), words.len() * 8);
        let mut buffer = Self {
            words,
            length,
            _known: known,
        };
        let pad = buffer.length..buffer.length.div_ceil(8) * 8;
        buffer.bytes_mut()[pad].fill(0xA5);
        buffer
    }
    pub(super) fn holding(data: &[u8]) -> Self {
        let mut buffer = Self::new(data.len());
        buffer.bytes_mut()[..data.len()].copy_from_slice(data);
        buffer
    }
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.words.len() * 8;
        // SAFETY: any integer may be seen as its bytes.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast::<u8>(), length) }
    }
    pub(super) fn pointer(&mut self) -> *mut c_void {
        self.words.as_mut_ptr().cast()
    }
    /// The first `count` bytes; checks that nobody wrote behind the end.
    pub(super) fn take(mut self, count: usize) -> Vec<u8> {
        let (length, end) = (self.length, self.length.div_ceil(8) * 8);
        let bytes = self.bytes_mut();
        assert!(
            bytes[length..end].iter().all(|byte| *byte == 0xA5)
                && bytes[end..]
                    .chunks(8)
                    .all(|word| word == Self::PATTERN.to_ne_bytes()),
            "a program's buffer of {length} bytes was written behind its end"
        );
        bytes[..count.min(length)].to_vec()
    }
}
