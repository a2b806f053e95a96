//! A call, as the filter sees it.
//!
//! Source: FAST_IO_DISPATCH in the DDI reference.

/// A call of fast I/O, or an FsFilter operation, as the filter sees it.
pub struct FastIoCall {
    /// The place of the entry among those that are passed through, in the order of the table; behind them,
    /// the FsFilter operations, in the order of their codes.
    pub entry: u8,
    /// Tells the file object apart from others while they last.
    pub file: u64,
    /// Offset and length of a transfer or lock, code and output length of a control, what
    /// `crate::fs_filter` says; 0 where there are none.
    pub numbers: [u64; 2],
}

impl FastIoCall {
    /// [`FastIoCall::entry`] of the first FsFilter operation.
    pub const FIRST_FILTER_OPERATION: u8 = 20;
}
