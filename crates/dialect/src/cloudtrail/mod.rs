//! CloudTrail records: read into events, and rebuilt from them.
//!
//! **Invariant:** nothing of a record is lost: [`record()`] of what [`read()`] made of it is the same
//! JSON.
//! **Invariant:** a value is taken out of a record, into a member, only where [`record()`] can tell
//! from the event that it was there and what it was; anything else stays in `data`, under its own
//! name and at its own place.
//!
//! # Source
//!
//! The contract's table, and «CloudTrail record contents» of the CloudTrail user guide.
//!
//! # Incomplete support
//!
//! Records are read one by one; the files that hold them (`{"Records": […]}`) are the caller's.

mod derive;
mod read;
mod record;
#[cfg(test)]
mod tests;

pub use read::read;
pub use record::record;

/// What an event is called whose record names none.
const UNKNOWN: &str = "unknown";
/// Under this name stands in `vendor` what a record lacked although every event has it.
const VENDOR: &str = "cloudtrail";
/// The list of names that a record lacked.
const ABSENT: &str = "absent";
