//! Traces in files.
//!
//! A file is a [`FileHeader`] and blocks: a [`BlockHeader`] and as many bytes as it says. All numbers
//! are little-endian.
//!
//! | kind | bytes |
//! |---|---|
//! | [`kind::ANSWER`] | an answer to the driver's TRACE_READ as it is: header and records (`fsglass_protocol::trace`) |
//! | [`kind::LETTERS`] | drive letters, in UTF-8: lines with a letter, a tab and the name of its device |
//! | [`kind::END`] | an [`End`]; it is the last block |
//!
//! A reader passes over kinds that it does not know. A file without an end was cut off: what comes
//! before the cut is good, also in the block that was cut through. The version changes when a reader
//! of this one would misunderstand.

use crate::driver::malformed;
use crate::error::{Error, Result};
use crate::system::DriveLetter;
use fsglass_protocol::trace::Record;
use fsglass_protocol::{OLDEST_TRACE, TraceHeader};
use std::io::{ErrorKind, Read, Write};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a file begins with.
pub const MAGIC: [u8; 8] = *b"FSGTRACE";

/// The version of this layout.
pub const VERSION: u32 = 1;

/// No block is longer.
const MOST_BYTES: usize = 1 << 28;

/// The beginning of a file.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FileHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: U32,
    /// The version of the layout of answers: from [`OLDEST_TRACE`] to [`fsglass_protocol::VERSION`].
    pub protocol: U32,
    /// The room that the driver had for each answer.
    pub room: U32,
    /// 0.
    pub reserved: U32,
}

/// The beginning of a block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockHeader {
    /// One of [`kind`].
    pub kind: U32,
    /// Bytes that follow.
    pub bytes: U32,
}

/// Kinds of blocks.
pub mod kind {
    /// An answer of the driver.
    pub const ANSWER: u32 = 1;
    /// Drive letters.
    pub const LETTERS: u32 = 2;
    /// The end.
    pub const END: u32 = 3;
}

/// The end of a whole file.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct End {
    /// Requests in the file.
    pub requests: U64,
    /// Records that were lost while it was made.
    pub lost: U64,
}

/// Writes a file.
pub struct Writer<W>(W);

impl<W: Write> Writer<W> {
    /// Begins one; each answer will have had so much room.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(mut to: W, room: usize, letters: &[DriveLetter]) -> Result<Self> {
        let header = FileHeader {
            magic: MAGIC,
            version: VERSION.into(),
            protocol: fsglass_protocol::VERSION.into(),
            room: u32::try_from(room).unwrap_or(u32::MAX).into(),
            reserved: U32::ZERO,
        };
        to.write_all(header.as_bytes())?;
        let mut writer = Self(to);
        let lines = letters
            .iter()
            .map(|letter| format!("{}\t{}\n", letter.letter, letter.device));
        writer.block(kind::LETTERS, lines.collect::<String>().as_bytes())?;
        Ok(writer)
    }

    /// Adds an answer.
    ///
    /// # Errors
    /// Those of writing.
    pub fn answer(&mut self, answer: &[u8]) -> Result<()> {
        self.block(kind::ANSWER, answer)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self, requests: u64, lost: u64) -> Result<()> {
        let end = End {
            requests: requests.into(),
            lost: lost.into(),
        };
        self.block(kind::END, end.as_bytes())?;
        Ok(self.0.flush()?)
    }

    fn block(&mut self, kind: u32, bytes: &[u8]) -> Result<()> {
        let length = u32::try_from(bytes.len()).ok();
        let header = BlockHeader {
            kind: kind.into(),
            bytes: length
                .ok_or_else(|| Error::new("a block is too long"))?
                .into(),
        };
        self.0.write_all(header.as_bytes())?;
        Ok(self.0.write_all(bytes)?)
    }
}

/// An answer with its first requests alone.
///
/// # Errors
/// If the answer makes no sense.
pub fn first_requests(answer: &[u8], most: u64) -> Result<Vec<u8>> {
    let (header, records) = TraceHeader::ref_from_prefix(answer).map_err(|_| malformed())?;
    let (mut rest, mut count, mut requests) = (records, 0, 0);
    while count < header.count.get() && requests < most {
        let (record, after) = Record::split(rest).map_err(|_| malformed())?;
        requests += u64::from(matches!(record, Record::Completed(..)));
        count += 1;
        rest = after;
    }
    let header = TraceHeader {
        count: count.into(),
        ..*header
    };
    let kept = records.len() - rest.len();
    let kept = records.get(..kept).ok_or_else(malformed)?;
    Ok([header.as_bytes(), kept].concat())
}

/// A block that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    /// An answer of the driver.
    Answer(Vec<u8>),
    /// The beginning of an answer that was cut through.
    CutAnswer(Vec<u8>),
    /// Drive letters.
    Letters(Vec<DriveLetter>),
    /// The end of a whole file.
    End(End),
}

/// Reads a file.
pub struct Reader<R> {
    from: R,
    /// The room that the driver had for each answer.
    pub room: usize,
}

impl<R: Read> Reader<R> {
    /// Begins with the header.
    ///
    /// # Errors
    /// Those of reading; if it is no such file, or of a version that is not known here.
    pub fn new(mut from: R) -> Result<Self> {
        let mut header = FileHeader::new_zeroed();
        let length = fill(&mut from, header.as_mut_bytes())?;
        if length < size_of::<FileHeader>() || header.magic != MAGIC {
            let error = Error::new("it is not a trace of fsglass");
            return Err(error.remedy("make one: `fsglass trace --save FILE`"));
        }
        for (what, version, known) in [
            ("of files", header.version.get(), VERSION..=VERSION),
            (
                "of the protocol",
                header.protocol.get(),
                OLDEST_TRACE..=fsglass_protocol::VERSION,
            ),
        ] {
            if !known.contains(&version) {
                let (oldest, newest) = (known.start(), known.end());
                return Err(Error::new(format!(
                    "the trace has version {version} {what}, and this program reads {oldest} to {newest}"
                ))
                .remedy("use the program that made it"));
            }
        }
        Ok(Self {
            from,
            room: header.room.get() as usize,
        })
    }

    /// The next block that is known; `None` where the file was cut off, or after its end.
    ///
    /// # Errors
    /// Those of reading; a block that makes no sense.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        loop {
            let mut header = BlockHeader::new_zeroed();
            let length = fill(&mut self.from, header.as_mut_bytes())?;
            if length < size_of::<BlockHeader>() {
                return Ok(None);
            }
            let wanted = header.bytes.get() as usize;
            if wanted > MOST_BYTES {
                return Err(damaged());
            }
            let mut bytes = vec![0; wanted];
            let length = fill(&mut self.from, &mut bytes)?;
            let whole = length == wanted;
            bytes.truncate(length);
            match header.kind.get() {
                kind::ANSWER if whole => return Ok(Some(Block::Answer(bytes))),
                kind::ANSWER => return Ok(Some(Block::CutAnswer(bytes))),
                _ if !whole => return Ok(None),
                kind::LETTERS => return letters(&bytes).map(|read| Some(Block::Letters(read))),
                kind::END => {
                    let end = End::read_from_bytes(&bytes).map_err(|_| damaged())?;
                    return Ok(Some(Block::End(end)));
                }
                _ => {}
            }
        }
    }
}

fn letters(bytes: &[u8]) -> Result<Vec<DriveLetter>> {
    let lines = std::str::from_utf8(bytes).map_err(|_| damaged())?.lines();
    let read = lines.map(|line| {
        let (letter, device) = line.split_once('\t').ok_or_else(damaged)?;
        Ok(DriveLetter {
            letter: letter.to_owned(),
            device: device.to_owned(),
        })
    });
    read.collect()
}

/// Reads until the buffer is full or nothing more comes: how much.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(length)
}

fn damaged() -> Error {
    Error::new("the trace is damaged").remedy("copy it again, or make another one")
}
