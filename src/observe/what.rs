//! What is observed at a moment.

/// How many traces can run at the same time.
pub(super) const TRACES: usize = 8;

/// What is observed, as one word that each request reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct What(pub(super) u32);

impl What {
    pub(super) const STATISTICS: u32 = 1 << 31;
    pub(super) const NAMES: u32 = 1 << 30;
    pub(super) const EVENTS: u32 = 1 << 29;
    /// Whether the events have names.
    pub(super) const NAMED_EVENTS: u32 = 1 << 28;

    /// Almost always.
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether statistics are kept.
    pub(super) const fn counts(self) -> bool {
        self.0 & Self::STATISTICS != 0
    }

    /// Whether any trace runs, or ETW wants events.
    pub(super) const fn traces(self) -> bool {
        self.0 & (((1 << TRACES) - 1) | Self::EVENTS) != 0
    }

    /// Whether any of them wants names.
    pub(super) const fn names(self) -> bool {
        self.0 & Self::NAMES != 0
    }

    /// Whether ETW wants events.
    pub(super) const fn events(self) -> bool {
        self.0 & Self::EVENTS != 0
    }

    /// The numbers of the traces that run.
    pub(super) fn running(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0 & ((1 << TRACES) - 1);
        core::iter::from_fn(move || {
            let number = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            (number < u32::BITS).then_some(number as usize)
        })
    }
}
