//! The live trace, as the bytes that the driver answers with.

use super::{Driver, malformed};
use crate::error::{Code, Error, Exit, Result};
use crate::trace::filter::Filter;
use fsglass_protocol::trace::{MAXIMUM_START, encode_start, wanted};
use fsglass_protocol::{Header, TraceStart, code};
use zerocopy::{FromZeros, IntoBytes};

/// STATUS_CANCELLED.
const CANCELLED: u32 = 0xC000_0120;

/// How a trace is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taking {
    /// Bytes of all rings together; 0: as the driver has it.
    pub ring: u32,
    /// Whether names are found out, also where the filter does not need them.
    pub names: bool,
}

impl Driver {
    /// Starts the trace of what `filter` lets through.
    ///
    /// # Errors
    /// The status of the request; a filter that is too long for the driver.
    pub fn trace_start(&self, filter: &Filter, taking: Taking) -> Result<()> {
        let mut fixed = TraceStart::new_zeroed();
        fixed.ring_bytes = taking.ring.into();
        fixed.process = filter.process.unwrap_or(0).into();
        fixed.slower_than = filter.slower_than.into();
        fixed.operations = filter.operations.into();
        let pattern = filter.driver_pattern();
        let names = taking.names || pattern.is_some() || filter.here.needs_names();
        let bit = |wanted: bool, bit: u32| if wanted { bit } else { 0 };
        let bits = bit(names, wanted::NAMES) | bit(filter.failures, wanted::FAILURES_ONLY);
        fixed.wanted = bits.into();
        let units = |text: &Option<String>| -> Vec<u16> {
            text.as_deref().unwrap_or_default().encode_utf16().collect()
        };
        let (volume, name) = (units(&filter.volume), units(&pattern));
        let mut input = [0; MAXIMUM_START];
        let Some(length) = encode_start(fixed, &volume, &name, &mut input) else {
            let what = "the volume or the pattern is longer than the driver takes";
            return Err(Error::new(what).exiting(Exit::Usage));
        };
        let input = input.get(..length).ok_or_else(malformed)?;
        self.control("starting the trace", code::TRACE_START, input, &mut [])
            .map(|_| ())
    }

    /// Waits until there are records, or `give_up` says so: the answer, or `None`.
    ///
    /// # Errors
    /// The status of the request.
    pub fn trace_read<'b>(
        &self,
        buffer: &'b mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> Result<Option<&'b [u8]>> {
        let header = Header::new();
        loop {
            let (status, written) =
                self.device
                    .control_until(code::TRACE_READ, header.as_bytes(), buffer, give_up);
            match status {
                // One that has waited brings nothing: now there is something.
                super::SUCCESS if written == 0 => {}
                super::SUCCESS => return buffer.get(..written).map(Some).ok_or_else(malformed),
                CANCELLED => return Ok(None),
                status => {
                    let what = "reading the trace failed";
                    return Err(Error::with_code(what, Code::Nt(status)));
                }
            }
        }
    }

    /// Stops the trace.
    ///
    /// # Errors
    /// The status of the request.
    pub fn trace_stop(&self) -> Result<()> {
        let header = Header::new();
        let doing = "stopping the trace";
        self.control(doing, code::TRACE_STOP, header.as_bytes(), &mut [])
            .map(|_| ())
    }
}
