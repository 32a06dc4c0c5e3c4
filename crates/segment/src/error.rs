//! What can be wrong with a segment.

use std::error::Error;
use std::sync::Arc;

use crate::page::PageRef;

/// The section of a page, as a source names it.
pub(crate) const ANY_PAGE: &str = "a page";

/// What kept an error below from being mended here.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a segment can't be built, written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SegmentError {
    /// Events came in another order than that of their commits.
    #[error("the event at position {position} is out of order: events are taken in the order of their commits")]
    OutOfOrder {
        /// The event's position.
        position: u64,
    },
    /// More than one segment takes.
    #[error("a segment takes at most {max} {what}: build several smaller ones")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much there may be.
        max: u64,
    },
    /// A row was asked for that isn't there.
    #[error("there is no row {row}: the segment has {rows}")]
    NoRow {
        /// The row.
        row: u32,
        /// How many there are.
        rows: u32,
    },
    /// What is there is not what was written.
    #[error("{section} is damaged at byte {} ({} bytes): {what}", .page.offset, .page.stored_bytes)]
    Corrupt {
        /// In which section.
        section: &'static str,
        /// In which page.
        page: PageRef,
        /// What is wrong.
        what: &'static str,
    },
    /// A section of a form that this version doesn't know.
    #[error("it was written by a newer annals (segment version {found}, known up to {known}): start that one")]
    NewerVersion {
        /// The version found.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// The pages can't be had now.
    #[error("it can't be read now")]
    Unreadable {
        /// Why.
        #[source]
        source: Cause,
    },
    /// The pages can't be written now.
    #[error("it can't be written now")]
    Unwritable {
        /// Why.
        #[source]
        source: Cause,
    },
    /// The query's time is over.
    #[error("the query's time is over")]
    Late,
    /// The compressor could not be made, or failed.
    #[error("zstd failed: free some memory and try again")]
    Compression,
}

impl SegmentError {
    /// The same damage, with the section that it is in, unless that is known: a source knows only the place.
    #[must_use]
    pub fn in_section(self, section: &'static str) -> SegmentError {
        match self {
            SegmentError::Corrupt { section: ANY_PAGE, page, what } => SegmentError::Corrupt { section, page, what },
            other => other,
        }
    }

    pub(crate) fn corrupt(section: &'static str, page: PageRef, what: &'static str) -> SegmentError {
        SegmentError::Corrupt { section, page, what }
    }
}

/// A count as one of 32 bits.
pub(crate) fn number(count: usize, what: &'static str) -> Result<u32, SegmentError> {
    u32::try_from(count).map_err(|_| SegmentError::TooLarge { what, max: u64::from(u32::MAX) })
}
