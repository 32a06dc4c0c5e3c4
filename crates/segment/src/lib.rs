//! A segment: an immutable, indexed run of events, built from events or merged from its neighbours,
//! and searched.
//!
//! ```text
//! events ──▶ build ──▶ pages in memory ──┐
//!                                        ├─▶ merge ──▶ pages in memory, or in a file
//!            other segments' pages ──────┘
//!
//! search, rows, facets ──▶ sections (columns, dictionaries, blocks, …) ──▶ tables ──▶ pages
//! ```
//!
//! It is read by page: a [`Source`] gives pages, from memory or through whatever cache lies before the
//! file, and only what a question needs is asked for.
//!
//! **Invariant:** rows are ordered by (log, index); within one log, positions ascend with them.
//! **Invariant:** a search answers what [`annals_model::Filter::matches`] says of each event.
//! **Invariant:** what is read is what was written, or an error: every page has a checksum.
//! **Invariant:** nothing in here is asynchronous, opens a file or a socket, reads a clock, or
//! knows a vendor.

mod blocks;
mod build;
mod check;
mod codec;
mod columns;
mod contains;
mod dictionary;
mod digest;
mod error;
mod file;
mod footer;
mod gather;
mod ids;
mod key;
mod memory;
mod merge;
mod page;
mod places;
mod postings;
mod prefix;
mod row;
mod rows;
mod runs;
mod search;
mod segment;
mod set;
mod table;
mod values;

pub use error::{Cause, SegmentError};
pub use file::{Bytes, FileWriter, Written};
pub use key::Key;
pub use page::{Packed, PageRef, Prefixes, Source};
pub use row::{LogRange, Logs, Row};
pub use rows::Rows;
pub use segment::{EventId, Segment};

/// Most rows that one segment takes.
pub const ROWS_MAX: u32 = 1 << 26;
