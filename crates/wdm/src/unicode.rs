//! Counted UTF-16 strings, borrowed and owned.
//!
//! Source: UNICODE_STRING in the DDI reference.

#![expect(unsafe_code, reason = "UNICODE_STRING carries a raw buffer pointer")]

use crate::pool;
use crate::status::Status;
use core::marker::PhantomData;
use core::ptr::NonNull;
use wdk_sys::UNICODE_STRING;

/// A borrowed `UNICODE_STRING`.
#[derive(Clone, Copy)]
pub struct UnicodeStr<'s> {
    raw: UNICODE_STRING,
    borrow: PhantomData<&'s [u16]>,
}

impl<'s> UnicodeStr<'s> {
    /// The most code units that a counted string can have.
    pub const MAXIMUM_LENGTH: usize = 0x7FFF;

    /// The string over `units`, of which at most [`Self::MAXIMUM_LENGTH`] are counted.
    #[must_use]
    pub const fn new(units: &'s [u16]) -> Self {
        let counted = if units.len() > Self::MAXIMUM_LENGTH {
            Self::MAXIMUM_LENGTH
        } else {
            units.len()
        };
        let bytes = (counted * 2) as u16;
        let raw = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: units.as_ptr().cast_mut(),
        };
        Self {
            raw,
            borrow: PhantomData,
        }
    }

    /// # Safety
    /// `raw` points to a valid string that outlives `'s`.
    pub(crate) unsafe fn from_raw(raw: *const UNICODE_STRING) -> Self {
        // SAFETY: contract of the function.
        let raw = unsafe { raw.read() };
        Self {
            raw,
            borrow: PhantomData,
        }
    }

    /// The code units.
    #[must_use]
    pub const fn units(&self) -> &'s [u16] {
        if self.raw.Buffer.is_null() {
            return &[];
        }
        // SAFETY: the string is valid: its buffer holds `Length` bytes and outlives `'s`.
        unsafe { core::slice::from_raw_parts(self.raw.Buffer, self.raw.Length as usize / 2) }
    }

    /// What stands behind the last backslash; all of it if there is none. IRQL: any.
    #[must_use]
    pub fn last_component(self) -> Self {
        let units = self.units();
        let mut components = units.rsplit(|&unit| unit == u16::from(b'\\'));
        Self::new(components.next().unwrap_or(units))
    }

    /// A copy of the structure, for passing to a DDI that reads it.
    pub(crate) const fn as_raw(&self) -> UNICODE_STRING {
        self.raw
    }

    /// Whether both strings are equal when ASCII letters are folded, as names of system
    /// objects are compared. IRQL: any.
    #[must_use]
    pub fn eq_ignore_ascii_case(self, other: UnicodeStr<'_>) -> bool {
        let fold = |unit: u16| match u8::try_from(unit) {
            Ok(byte) => u16::from(byte.to_ascii_uppercase()),
            Err(_) => unit,
        };
        self.units()
            .iter()
            .copied()
            .map(fold)
            .eq(other.units().iter().copied().map(fold))
    }
}

/// A string that owns its code units, in nonpaged pool.
///
/// # Invariants
/// `units` comes from `pool::allocate` and holds `length` initialized code units.
pub struct UnicodeString {
    units: NonNull<u16>,
    length: usize,
}

// SAFETY: the code units are owned, and change no more once the string is made.
unsafe impl Send for UnicodeString {}
// SAFETY: as above.
unsafe impl Sync for UnicodeString {}

impl UnicodeString {
    /// The strings one behind the other. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; STATUS_NAME_TOO_LONG beyond
    /// [`UnicodeStr::MAXIMUM_LENGTH`].
    pub fn concat(parts: &[UnicodeStr<'_>]) -> Result<Self, Status> {
        let length: usize = parts.iter().map(|part| part.units().len()).sum();
        if length > UnicodeStr::MAXIMUM_LENGTH {
            return Err(Status::NAME_TOO_LONG);
        }
        let units: NonNull<u16> = pool::allocate(length * size_of::<u16>())?.cast();
        let all = parts.iter().flat_map(|part| part.units()).copied();
        for (place, unit) in all.enumerate() {
            // SAFETY: the parts have `length` code units together, as has the memory.
            let to = unsafe { units.add(place) };
            // SAFETY: as above.
            unsafe { to.write(unit) }
        }
        // INVARIANT: every code unit was written above.
        Ok(Self { units, length })
    }

    /// The string. IRQL: any.
    #[must_use]
    pub const fn as_str(&self) -> UnicodeStr<'_> {
        // SAFETY: invariant of the type.
        let units = unsafe { core::slice::from_raw_parts(self.units.as_ptr(), self.length) };
        UnicodeStr::new(units)
    }
}

impl Drop for UnicodeString {
    fn drop(&mut self) {
        // SAFETY: invariant of the type; not used afterwards.
        unsafe { pool::free(self.units.cast()) }
    }
}

impl core::fmt::Display for UnicodeStr<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        char::decode_utf16(self.units().iter().copied())
            .try_for_each(|unit| f.write_char(unit.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

/// Encodes an ASCII literal as UTF-16 at compile time; `N` is its length in bytes.
#[must_use]
pub const fn encode_ascii<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    assert!(bytes.len() == N, "N is the length of the text");
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        assert!(bytes[index].is_ascii(), "ASCII only");
        units[index] = bytes[index] as u16;
        index += 1;
    }
    units
}

/// A `UnicodeStr<'static>` from an ASCII literal.
#[macro_export]
macro_rules! unicode {
    ($text:literal) => {{
        const UNITS: [u16; $text.len()] = $crate::unicode::encode_ascii::<{ $text.len() }>($text);
        $crate::unicode::UnicodeStr::new(&UNITS)
    }};
}
