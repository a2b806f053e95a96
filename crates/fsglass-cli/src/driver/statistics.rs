//! Statistics, as values.

use super::{Driver, SUCCESS, malformed, text};
use crate::error::Result;
use crate::histogram::Histogram;
use fsglass_protocol::{
    self as protocol, Header, Kind, Observe, Operation, OperationRecord, StatisticsHeader, code,
};
use zerocopy::{FromZeros, IntoBytes};

/// Everything that was counted until one moment.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Of the moment, ticks per second, and whether anything is being counted.
    pub header: StatisticsHeader,
    /// By volume.
    pub volumes: Vec<VolumeStatistics>,
}

/// What was counted of one volume or file system.
#[derive(Clone, Debug)]
pub struct VolumeStatistics {
    /// Tells attachments apart.
    pub volume: u32,
    /// Whether it is filtered; else these are its last numbers.
    pub attached: bool,
    /// Whether it is a volume; else it is a file system.
    pub is_volume: bool,
    /// The name of its device.
    pub name: String,
    /// By operation.
    pub operations: Vec<OperationStatistics>,
}

/// What was counted of one operation.
#[derive(Clone, Debug)]
pub struct OperationStatistics {
    /// Which.
    pub operation: Operation,
    /// The counters.
    pub counted: OperationRecord,
    /// How long they took, in ticks.
    pub durations: Histogram,
}

impl Driver {
    /// Whether statistics are kept for this program, until it ends.
    ///
    /// # Errors
    /// The status of the request.
    pub fn observe(&self, statistics: bool) -> Result<()> {
        let observe = Observe {
            statistics: u32::from(statistics).into(),
        };
        let input = [Header::new().as_bytes(), observe.as_bytes()].concat();
        let doing = "asking it to count";
        self.control(doing, code::OBSERVE, &input, &mut [])
            .map(|_| ())
    }

    /// What has been counted.
    ///
    /// # Errors
    /// The status of the request; an answer that makes no sense.
    pub fn statistics(&self) -> Result<Statistics> {
        let header = Header::new();
        let mut answer = vec![0; 1 << 18];
        loop {
            let doing = "asking for the statistics";
            let (status, written) =
                self.control(doing, code::STATISTICS, header.as_bytes(), &mut answer)?;
            let answer_written = answer.get(..written).ok_or_else(malformed)?;
            let read = protocol::Statistics::parse(answer_written).map_err(|_| malformed())?;
            if status == SUCCESS {
                return Statistics::of(&read);
            }
            // Twice what it needs now: there may be more when it is asked for again.
            answer.resize(read.header.bytes.get() as usize * 2, 0);
        }
    }
}

impl Statistics {
    fn of(read: &protocol::Statistics<'_>) -> Result<Self> {
        let volumes = read.iter().map(|volume| {
            let volume = volume.map_err(|_| malformed())?;
            Ok(VolumeStatistics {
                volume: volume.fixed.volume.get(),
                attached: volume.fixed.attached != 0,
                is_volume: Kind::from_byte(volume.fixed.kind) == Some(Kind::Volume),
                name: text(volume.name()),
                operations: volume.operations().map(OperationStatistics::of).collect(),
            })
        });
        Ok(Self {
            header: *read.header,
            volumes: volumes.collect::<Result<_>>()?,
        })
    }

    /// What was counted of that operation of that attachment.
    #[must_use]
    pub fn find(&self, volume: u32, operation: Operation) -> Option<&OperationStatistics> {
        let mut volumes = self.volumes.iter();
        let volume = volumes.find(|known| known.volume == volume)?;
        let mut operations = volume.operations.iter();
        operations.find(|known| known.operation == operation)
    }
}

impl OperationStatistics {
    fn of((operation, counted, buckets): protocol::OperationStatistics<'_>) -> Self {
        let buckets = buckets
            .iter()
            .map(|bucket| (usize::from(bucket.bucket.get()), bucket.count.get()));
        Self {
            operation,
            counted: *counted,
            durations: Histogram::new(buckets, counted.longest.get()),
        }
    }

    /// Nothing.
    #[must_use]
    pub fn none(operation: Operation) -> Self {
        Self {
            operation,
            counted: OperationRecord::new_zeroed(),
            durations: Histogram::default(),
        }
    }
}
