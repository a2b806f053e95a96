//! What a trace tells of a request or call.

#[cfg(doc)]
use fsglass_protocol::trace;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, Unaligned};

/// What a trace tells of a request or call, as it lies in an event from the field behind `operation` to the length of
/// `volume`: it is kept like this from the start, so that an event needs no copy of it where the stack is short.
#[derive(FromZeros, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub struct Told {
    /// The minor function.
    pub minor: u8,
    /// How it came back.
    pub status: U32,
    /// What came with that.
    pub information: U64,
    /// How long it was below, in units of 100 ns. For events only.
    pub(super) duration: U64,
    /// Bits of [`trace::flags`].
    pub flags: U32,
    /// `Irp->Flags`.
    pub irp_flags: U32,
    /// The level at which it came back.
    pub irql: u8,
    /// Who sent it.
    pub process: U32,
    /// Who sent it.
    pub thread: U32,
    /// Its file object.
    pub file: U64,
    /// What matters for that operation.
    pub numbers: [U64; 2],
    /// Bytes of the name of the volume. For events only.
    pub(super) volume_length: U16,
}

impl Told {
    /// Nothing but who sent it.
    pub fn new(process: u32, thread: u32) -> Self {
        let (process, thread) = (process.into(), thread.into());
        Self {
            process,
            thread,
            ..Self::new_zeroed()
        }
    }
}
