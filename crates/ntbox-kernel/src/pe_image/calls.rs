//! Recognizing return addresses in an image's code.
//!
//! Of an address that is kept it is not known whether it lies behind a call, whose line is meant then, or begins what
//! it is about: the instruction in front of it tells.

use super::{Image, image_at};
use crate::host::memory::try_read;

/// True if `address` lies in the code of an image right behind a call.
pub fn is_return_address(address: usize) -> bool {
    image_at(address).is_some_and(|image| call_in_front(image, address))
}

fn call_in_front(image: &Image, address: usize) -> bool {
    const LONGEST: usize = 7;
    // What lies in front of the section is none of the call.
    let mut code = [0x90; LONGEST];
    let bytes = (1..=LONGEST)
        .take_while(|bytes| image.is_runnable(address.wrapping_sub(*bytes)))
        .count();
    bytes != 0 && try_read(address - bytes, &mut code[LONGEST - bytes..]) && ends_in_call(&code)
}

fn ends_in_call(code: &[u8; 7]) -> bool {
    // E8 with its offset; FF /2 with its operand: register; memory without, with 8-bit, with 32-bit offset, each
    // possibly with a SIB byte.
    code[2] == 0xE8
        || [(5, 2), (4, 3), (3, 4), (1, 6), (0, 7)]
            .into_iter()
            .any(|(at, bytes)| {
                code[at] == 0xFF
                    && code[at + 1] >> 3 & 7 == 2
                    && operand_bytes(code[at + 1], code.get(at + 2)) + 1 == bytes
            })
}

/// Bytes of a ModRM operand with everything that belongs to it.
fn operand_bytes(modrm: u8, sib: Option<&u8>) -> usize {
    let (mode, register) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return 1;
    }
    let has_sib = register == 4;
    let offset = match mode {
        1 => 1,
        2 => 4,
        _ if register == 5 => 4,
        _ if has_sib && sib.is_some_and(|sib| sib & 7 == 5) => 4,
        _ => 0,
    };
    1 + usize::from(has_sib) + offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_code() {
        for call in [
            // call [rip + n]; call n
            &[0x90, 0xFF, 0x15, 0x10, 0, 0, 0],
            &[0x90, 0x90, 0xE8, 0xF0, 0xFF, 0xFF, 0xFF],
            // call rax; call [rax]; call [rax+8]; call [rsp+8]; call [rax+0x100]
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xD0],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x10],
            &[0x90, 0x90, 0x90, 0x90, 0xFF, 0x50, 0x08],
            &[0x90, 0x90, 0x90, 0xFF, 0x54, 0x24, 0x08],
            &[0x90, 0xFF, 0x90, 0, 1, 0, 0],
        ] {
            assert!(ends_in_call(call), "{call:x?}");
        }
        // mov, jmp rax, push [rax]
        for other in [
            &[0x90, 0x90, 0x90, 0x90, 0x48, 0x89, 0xC8],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xE0],
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x30],
        ] {
            assert!(!ends_in_call(other), "{other:x?}");
        }
    }
}
