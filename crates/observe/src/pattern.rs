//! Names with `*`, which stands for any text, and `?`, which stands for one code unit.

/// Whether `name` matches `pattern`; upper and lower case of ASCII letters are the same. It takes at
/// most as many steps as the product of both lengths, and no stack.
#[must_use]
pub fn matches(pattern: &[u16], name: &[u16]) -> bool {
    const ANY: u16 = b'*' as u16;
    const ONE: u16 = b'?' as u16;
    let (mut at, mut read) = (0, 0);
    // Where the last `*` stood, and how much of the name it has taken.
    let mut last: Option<(usize, usize)> = None;
    while let Some(&unit) = name.get(read) {
        match pattern.get(at) {
            Some(&ANY) => {
                last = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == ONE || fold(wanted) == fold(unit) => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star, taken)) = last else {
                    return false;
                };
                last = Some((star, taken + 1));
                at = star + 1;
                read = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|&unit| unit == ANY)
}

fn fold(unit: u16) -> u16 {
    u8::try_from(unit).map_or(unit, |byte| byte.to_ascii_uppercase().into())
}
