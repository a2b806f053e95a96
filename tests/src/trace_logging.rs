//! Reads TraceLogging events as a decoder does: from what they say of themselves.

use ntbox::etw::Event;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// The id that tools make of the name of a provider, as it lies in memory: the SHA-1 hash of a namespace
/// and the name in upper case and big-endian UTF-16, marked as version 5.
#[must_use]
pub fn id_of_name(name: &str) -> [u8; 16] {
    const NAMESPACE: [u8; 16] = [
        0x48, 0x2C, 0x2D, 0xB2, 0xC3, 0x90, 0x47, 0xC8, 0x87, 0xF8, 0x1A, 0x15, 0xBF, 0xC1, 0x30,
        0xFB,
    ];
    let units = name.to_uppercase().encode_utf16().collect::<Vec<_>>();
    let text = units.into_iter().flat_map(u16::to_be_bytes);
    let hash = Sha1::digest([NAMESPACE.to_vec(), text.collect()].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id[7] = id[7] & 0x0F | 0x50;
    id
}

/// A field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number, of any size.
    Number(u64),
    /// A text, in either encoding.
    Text(String),
}

/// An event, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The name of its provider.
    pub provider: String,
    /// Its own name.
    pub name: String,
    /// Its fields.
    pub fields: BTreeMap<String, Value>,
}

/// Splits a text that a zero ends off.
fn text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, rest) = bytes.split_at(end);
    *bytes = &rest[1..];
    std::str::from_utf8(text).ok()
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The metadata behind its length, if that is right.
fn metadata(data: &(u32, Vec<u8>), kind: u32) -> Option<&[u8]> {
    let (length, rest) = data.1.split_at_checked(2)?;
    (data.0 == kind && number(length) as usize == data.1.len()).then_some(rest)
}

fn value(kind: u8, data: &mut &[u8]) -> Option<Value> {
    Some(match kind {
        4 => Value::Number(number(take(data, 1)?)),
        8 | 20 => Value::Number(number(take(data, 4)?)),
        10 | 21 => Value::Number(number(take(data, 8)?)),
        22 => {
            let length = number(take(data, 2)?) as usize;
            let units = take(data, length)?.chunks_exact(2);
            let units: Vec<u16> = units.map(|unit| number(unit) as u16).collect();
            Value::Text(String::from_utf16(&units).ok()?)
        }
        23 => {
            let length = number(take(data, 2)?) as usize;
            Value::Text(String::from_utf8(take(data, length)?.to_vec()).ok()?)
        }
        _ => return None,
    })
}

/// Decodes an event; `None` if it does not say what it is.
#[must_use]
pub fn decode(event: &Event) -> Option<Decoded> {
    let [provider, metadata_of_event, data @ ..] = &event.data[..] else {
        return None;
    };
    let provider = text(&mut metadata(provider, 2)?)?.to_owned();
    let mut rest = metadata(metadata_of_event, 1)?;
    let tags = take(&mut rest, 1)?;
    let name = text(&mut rest)?.to_owned();
    let all: Vec<u8> = data
        .iter()
        .flat_map(|(_, bytes)| bytes.iter().copied())
        .collect();
    let mut data = &all[..];
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let field = text(&mut rest)?.to_owned();
        let kind = take(&mut rest, 1)?[0];
        fields.insert(field, value(kind, &mut data)?);
    }
    let whole = tags == [0] && event.channel == 11 && data.is_empty();
    whole.then_some(Decoded {
        provider,
        name,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation of TraceLogging: ce5fa4ea-ab00-5402-8b76-9f76ac858fb5.
    #[test]
    fn ids_are_those_of_tools() {
        let id = id_of_name("MyCompany.MyComponent");
        let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "eaa45fce00ab02548b769f76ac858fb5");
    }

    #[test]
    fn what_does_not_add_up_is_no_event() {
        let event = Event {
            channel: 11,
            level: 4,
            keyword: 1,
            data: vec![
                (2, b"\x05\0ab\0".to_vec()),
                (1, b"\x08\0\0e\0f\0\x04".to_vec()),
                (0, vec![7]),
            ],
        };
        let decoded = decode(&event);
        assert_eq!(
            decoded.map(|event| event.fields["f"].clone()),
            Some(Value::Number(7))
        );
        let wrong: [fn(&mut Event); 5] = [
            |event| event.channel = 0,
            |event| event.data[0].0 = 1,
            |event| event.data[1].1[0] = 9,
            |event| event.data[2].1.push(0),
            |event| event.data[2].1.clear(),
        ];
        for wrong in wrong {
            let mut event = event.clone();
            wrong(&mut event);
            assert_eq!(decode(&event), None);
        }
    }
}
