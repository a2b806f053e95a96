//! The structures of calls as bytes: little-endian fields at the places that the DDI gives.

/// Fields of an answer. What is not there is zero.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn field<const N: usize>(self, at: usize) -> [u8; N] {
        let field = self.0.get(at..).and_then(|rest| rest.first_chunk::<N>());
        field.copied().unwrap_or([0; N])
    }
    /// Four bytes.
    pub fn int(self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
    }
    /// Eight bytes.
    pub fn long(self, at: usize) -> i64 {
        i64::from_le_bytes(self.field(at))
    }
    /// So many bytes of units.
    pub fn units(self, at: usize, bytes: usize) -> Vec<u16> {
        let text = self.0.get(at..).unwrap_or_default();
        let text = text.get(..bytes).unwrap_or(text);
        let units = text.as_chunks::<2>().0.iter();
        units.map(|unit| u16::from_le_bytes(*unit)).collect()
    }
}

/// The bytes of units.
pub fn of_units(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_zero() {
        let fields = Fields(&[1, 0, 0, 0, 0x61, 0, 0x62]);
        assert_eq!((fields.int(0), fields.int(4), fields.long(0)), (1, 0, 0));
        assert_eq!(fields.units(4, 2), [0x61]);
        assert_eq!(fields.units(4, 20), [0x61]);
        assert_eq!(fields.units(40, 2), [0; 0]);
        assert_eq!(of_units(&[0x61, 0xD83D]), [0x61, 0, 0x3D, 0xD8]);
    }
}
