//! Case mapping of code units, one to one.
//!
//! NT maps by a table that was made from Unicode's simple mappings and never maps
//! into ASCII from outside. This is computed from the mappings of the Rust library
//! by the same rules; the two may differ for characters that are newer than the
//! table of a given Windows version.

fn map<C: Iterator<Item = char>>(unit: u16, ascii: u8, mapping: impl Fn(char) -> C) -> u16 {
    if unit < 0x80 {
        return u16::from(ascii);
    }
    let Some(character) = char::from_u32(u32::from(unit)) else {
        return unit;
    };
    let mut mapped = mapping(character);
    match (
        mapped.next().map(|mapped| u16::try_from(u32::from(mapped))),
        mapped.next(),
    ) {
        (Some(Ok(mapped)), None) if mapped >= 0x80 => mapped,
        _ => unit,
    }
}

/// The upper-case form of a code unit (`RtlUpcaseUnicodeChar`).
pub fn upcase(unit: u16) -> u16 {
    map(unit, (unit as u8).to_ascii_uppercase(), char::to_uppercase)
}

/// The lower-case form of a code unit (`RtlDowncaseUnicodeChar`).
pub fn downcase(unit: u16) -> u16 {
    map(unit, (unit as u8).to_ascii_lowercase(), char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_map_to_one_unit_and_stay_out_of_ascii() {
        for (lower, upper) in [('a', 'A'), ('é', 'É'), ('ÿ', 'Ÿ'), ('я', 'Я'), ('ω', 'Ω')] {
            assert_eq!(upcase(lower as u16), upper as u16);
            assert_eq!(downcase(upper as u16), lower as u16);
        }
        for same in ['1', '[', 'ß', 'ı', 'ſ', '\u{D7FF}', 'K'] {
            assert_eq!(upcase(same as u16), same as u16, "{same}");
        }
        assert_eq!(upcase(0xD800), 0xD800);
        // KELVIN SIGN has lower case k, which is ASCII.
        assert_eq!(downcase(0x212A), 0x212A);
    }
}
