//! What can go wrong with a segment.

use thiserror::Error;

/// Why a segment can't be built, merged or read. Nothing is changed by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SegmentError {
    /// A block's bytes are not those that were written. None of its events can be trusted.
    #[error("block {block} is damaged ({what}): restore the segment from a copy")]
    Corrupt {
        /// The block's number, from 0.
        block: u32,
        /// What does not hold.
        what: &'static str,
    },
    /// Positions don't ascend, or indexes don't ascend with them within a log.
    #[error("the event at position {position} is out of order: hand events in as they were committed")]
    OutOfOrder {
        /// The position of the event that comes too late.
        position: u64,
    },
    /// More than one segment can hold.
    #[error("a segment holds at most {max} {what}: make smaller ones")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many of them there may be.
        max: u64,
    },
    /// The segment has no such row.
    #[error("there is no row {row}: the segment has {rows}")]
    NoRow {
        /// The row asked for.
        row: u32,
        /// How many rows there are.
        rows: u32,
    },
    /// The compressor failed, for want of memory.
    #[error("a block can't be compressed: free some memory and try again")]
    Compression,
}

/// A count as the number of a row, value or block.
pub(crate) fn number(count: usize, what: &'static str) -> Result<u32, SegmentError> {
    u32::try_from(count).map_err(|_| SegmentError::TooLarge { what, max: u64::from(u32::MAX) })
}
