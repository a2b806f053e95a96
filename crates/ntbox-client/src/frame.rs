//! Frames, and the greeting before them.

use std::io::{Error, ErrorKind, Read, Result, Write};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What each side sends first: a name and the version of the protocol.
pub const GREETING: [u8; 8] = *b"NTBOX\0\0\x01";

/// The most bytes that a frame has behind its header.
pub const MAXIMUM_BYTES: usize = 32 << 20;

/// What frames are.
pub mod kind {
    /// Which drivers and drive letters there are.
    pub const MACHINE: u8 = 1;
    /// Open a device.
    pub const OPEN: u8 = 2;
    /// Send a device control.
    pub const CONTROL: u8 = 3;
    /// Cancel a device control.
    pub const CANCEL: u8 = 4;
    /// The answer to one of the above.
    pub const ANSWER: u8 = 5;
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FrameHeader {
    /// Bytes that follow.
    pub bytes: U32,
    /// One of [`kind`].
    pub kind: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// The number of the question.
    pub number: U32,
    /// By kind.
    pub first: U32,
    /// By kind.
    pub second: U32,
}

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// The number of the question.
    pub number: u32,
    /// By kind.
    pub first: u32,
    /// By kind.
    pub second: u32,
    /// By kind.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Reads one, whole.
    ///
    /// # Errors
    /// Those of the stream; [`ErrorKind::InvalidData`] for one that is too long.
    pub fn read(stream: &mut impl Read) -> Result<Self> {
        let mut header = FrameHeader::new_zeroed();
        stream.read_exact(header.as_mut_bytes())?;
        let length = header.bytes.get() as usize;
        if length > MAXIMUM_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "a frame is too long"));
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        Ok(Self {
            kind: header.kind,
            number: header.number.get(),
            first: header.first.get(),
            second: header.second.get(),
            bytes,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the stream; [`ErrorKind::InvalidInput`] if it is too long.
    pub fn write(&self, stream: &mut impl Write) -> Result<()> {
        let fits = u32::try_from(self.bytes.len()).ok();
        let Some(length) = fits.filter(|_| self.bytes.len() <= MAXIMUM_BYTES) else {
            return Err(Error::new(ErrorKind::InvalidInput, "a frame is too long"));
        };
        let header = FrameHeader {
            bytes: U32::new(length),
            kind: self.kind,
            reserved: [0; 3],
            number: U32::new(self.number),
            first: U32::new(self.first),
            second: U32::new(self.second),
        };
        // In one piece: a header by itself would wait in the network for its acknowledgement.
        let mut whole = header.as_bytes().to_vec();
        whole.extend_from_slice(&self.bytes);
        stream.write_all(&whole)
    }
}

/// Greets the other side and reads its greeting.
///
/// # Errors
/// Those of the stream; [`ErrorKind::InvalidData`] if the other side is something else, or of another
/// version.
pub fn greet(stream: &mut (impl Read + Write)) -> Result<()> {
    stream.write_all(&GREETING)?;
    let mut other = [0; GREETING.len()];
    stream.read_exact(&mut other)?;
    if other == GREETING {
        return Ok(());
    }
    let what = "the other side is not ntbox, or of another version";
    Err(Error::new(ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn frame() -> Frame {
        Frame {
            kind: kind::CONTROL,
            number: 7,
            first: 0x0022_2000,
            second: 64,
            bytes: b"input".to_vec(),
        }
    }

    #[test]
    fn a_frame_that_is_written_is_read() {
        let mut stream = Vec::new();
        frame().write(&mut stream).unwrap();
        assert_eq!(stream.len(), size_of::<FrameHeader>() + 5);
        let read = Frame::read(&mut Cursor::new(&stream)).unwrap();
        assert_eq!(read, frame());
        for cut in 0..stream.len() {
            let read = Frame::read(&mut Cursor::new(&stream[..cut]));
            assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_not_believed() {
        let mut stream = Vec::new();
        frame().write(&mut stream).unwrap();
        stream[3] = 0xFF;
        let read = Frame::read(&mut Cursor::new(&stream));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidData);
        let long = Frame {
            bytes: vec![0; MAXIMUM_BYTES + 1],
            ..frame()
        };
        assert!(long.write(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_stranger_is_not_taken_for_the_box() {
        for (greeting, accepted) in [(GREETING, true), (*b"HTTP/1.1", false)] {
            let mut stream = Cursor::new(Vec::new());
            stream.get_mut().extend_from_slice(&[0; 8]);
            stream.get_mut().extend_from_slice(&greeting);
            assert_eq!(greet(&mut stream).is_ok(), accepted);
        }
    }
}
