//! An image in memory while it is being prepared: bytes at relative addresses,
//! every access checked.

use super::error::Problem;

/// The bytes of an image, laid out as in memory.
pub(super) struct View<'a>(pub(super) &'a mut [u8]);

impl View<'_> {
    /// The bytes at `rva`.
    pub(super) fn bytes(
        &self,
        rva: usize,
        count: usize,
        what: &'static str,
    ) -> Result<&[u8], Problem> {
        let end = rva.checked_add(count).ok_or(Problem::Truncated(what))?;
        self.0.get(rva..end).ok_or(Problem::Truncated(what))
    }

    fn array<const N: usize>(&self, rva: usize, what: &'static str) -> Result<[u8; N], Problem> {
        let bytes = self.bytes(rva, N, what)?;
        bytes.first_chunk().copied().ok_or(Problem::Truncated(what))
    }

    pub(super) fn u16(&self, rva: usize, what: &'static str) -> Result<u16, Problem> {
        self.array(rva, what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, rva: usize, what: &'static str) -> Result<usize, Problem> {
        self.array(rva, what)
            .map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(super) fn u64(&self, rva: usize, what: &'static str) -> Result<u64, Problem> {
        self.array(rva, what).map(u64::from_le_bytes)
    }

    pub(super) fn set_u64(
        &mut self,
        rva: usize,
        value: u64,
        what: &'static str,
    ) -> Result<(), Problem> {
        self.bytes(rva, 8, what)?;
        self.0[rva..rva + 8].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// The zero-terminated text at `rva`.
    pub(super) fn text(&self, rva: usize, what: &'static str) -> Result<String, Problem> {
        let rest = self.0.get(rva..).ok_or(Problem::Truncated(what))?;
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(Problem::Truncated(what))?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}
