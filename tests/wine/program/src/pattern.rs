//! Bytes that say where they belong.

/// `length` bytes that differ from those of any other place and any other `seed`.
pub fn bytes(seed: u64, offset: u64, length: usize) -> Vec<u8> {
    (offset..)
        .map(|place| byte(seed, place))
        .take(length)
        .collect()
}

/// The output function of the generator SplitMix64, by the byte.
fn byte(seed: u64, place: u64) -> u8 {
    let mut value = ((seed << 32) ^ (place / 8)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (value ^ (value >> 31)).to_le_bytes()[(place % 8) as usize]
}

/// Says where two buffers differ.
pub fn compare(what: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "{what}: {} bytes for {}",
            found.len(),
            expected.len()
        ));
    }
    match found
        .iter()
        .zip(expected)
        .position(|(one, other)| one != other)
    {
        None => Ok(()),
        Some(place) => Err(format!("{what}: wrong data from byte {place} on")),
    }
}
