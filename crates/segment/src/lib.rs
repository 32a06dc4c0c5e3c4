//! A segment: an immutable, indexed run of events, built from events or merged from its neighbours,
//! and searched.
//!
//! **Invariant:** rows are ordered by (log, index); within one log, positions ascend with them.
//! **Invariant:** a search answers what [`annals_model::Filter::matches`] says of each event.
//! **Invariant:** nothing in here is asynchronous, opens a file or a socket, reads a clock, or
//! knows a vendor.

mod blocks;
mod build;
mod columns;
mod contains;
mod dictionary;
mod error;
mod gather;
mod ids;
mod index;
mod key;
mod merge;
mod postings;
mod row;
mod rows;
mod search;
mod segment;
mod set;

pub use error::SegmentError;
pub use key::Key;
pub use row::{LogRange, Logs, Row};
pub use rows::Rows;
pub use segment::Segment;

/// Most rows that one segment takes.
pub const ROWS_MAX: u32 = 1 << 26;
