//! Recognizing calls in an image's code, from their return addresses.
//!
//! A report about a fault inside the box wants to say which routine the driver
//! had called: the instruction in front of the return address tells, when it
//! calls through an import slot, directly or through the linker's jump.

use super::{Image, image_at};
use crate::host::memory::try_read;

/// The instruction in front of a return address.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// `call [rip + n]`: through the slot at this address.
    Slot(usize),
    /// `call n`: to this address.
    Direct(usize),
    /// Through a register or other memory.
    Indirect,
}

/// True if `address` lies in the code of an image right behind a call.
pub fn is_return_address(address: usize) -> bool {
    image_at(address).is_some_and(|image| call_in_front(image, address).is_some())
}

/// The import that the call in front of a return address goes to.
pub fn imported_routine(address: usize) -> Option<&'static str> {
    let image = image_at(address)?;
    match call_in_front(image, address)? {
        Call::Slot(slot) => image.import_at_slot(slot),
        Call::Direct(target) => {
            // jmp [rip + n], which the linker makes for code that calls without dllimport.
            let mut jump = [0; 6];
            if !try_read(target, &mut jump) || jump[..2] != [0xFF, 0x25] {
                return None;
            }
            image.import_at_slot(relative(target + 6, &jump[2..]))
        }
        Call::Indirect => None,
    }
}

fn call_in_front(image: &Image, address: usize) -> Option<Call> {
    const LONGEST: usize = 7;
    // What lies in front of the section is none of the call.
    let mut code = [0x90; LONGEST];
    let bytes = (1..=LONGEST)
        .take_while(|bytes| image.is_runnable(address.wrapping_sub(*bytes)))
        .count();
    if bytes == 0 || !try_read(address - bytes, &mut code[LONGEST - bytes..]) {
        return None;
    }
    decode(address, &code)
}

fn decode(address: usize, code: &[u8; 7]) -> Option<Call> {
    if code[1..3] == [0xFF, 0x15] {
        return Some(Call::Slot(relative(address, &code[3..])));
    }
    if code[2] == 0xE8 {
        return Some(Call::Direct(relative(address, &code[3..])));
    }
    // FF /2 with its operand: register; memory without, with 8-bit, with 32-bit offset,
    // each possibly with a SIB byte.
    let indirect = [(5, 2), (4, 3), (3, 4), (1, 6), (0, 7)]
        .into_iter()
        .any(|(at, bytes)| {
            code[at] == 0xFF
                && code[at + 1] >> 3 & 7 == 2
                && operand_bytes(code[at + 1], code.get(at + 2)) + 1 == bytes
        });
    indirect.then_some(Call::Indirect)
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

fn relative(next: usize, offset: &[u8]) -> usize {
    let offset = offset
        .first_chunk()
        .map_or(0, |bytes| i32::from_le_bytes(*bytes));
    next.wrapping_add_signed(offset as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_code() {
        assert_eq!(
            decode(0x1000, &[0x90, 0xFF, 0x15, 0x10, 0, 0, 0]),
            Some(Call::Slot(0x1010))
        );
        assert_eq!(
            decode(0x1000, &[0x90, 0x90, 0xE8, 0xF0, 0xFF, 0xFF, 0xFF]),
            Some(Call::Direct(0xFF0))
        );
        // call rax; call [rax]; call [rax+8]; call [rsp+8]; call [rax+0x100]
        assert_eq!(
            decode(0, &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xD0]),
            Some(Call::Indirect)
        );
        assert_eq!(
            decode(0, &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x10]),
            Some(Call::Indirect)
        );
        assert_eq!(
            decode(0, &[0x90, 0x90, 0x90, 0x90, 0xFF, 0x50, 0x08]),
            Some(Call::Indirect)
        );
        assert_eq!(
            decode(0, &[0x90, 0x90, 0x90, 0xFF, 0x54, 0x24, 0x08]),
            Some(Call::Indirect)
        );
        assert_eq!(
            decode(0, &[0x90, 0xFF, 0x90, 0, 1, 0, 0]),
            Some(Call::Indirect)
        );
        // mov, jmp rax, push [rax]
        assert_eq!(decode(0, &[0x90, 0x90, 0x90, 0x90, 0x48, 0x89, 0xC8]), None);
        assert_eq!(decode(0, &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xE0]), None);
        assert_eq!(decode(0, &[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x30]), None);
    }
}
