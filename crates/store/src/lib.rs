//! Annals' store room: what is durable, and when.
//!
//! **Invariant:** nothing here knows what an event is, hashes or validates it, or names a vendor.
//! **Invariant:** nothing here reads a clock; every time is handed in.
//! **Invariant:** outside this room nobody knows SQLite or where its files lie; the ledger sees
//! [`Journal`] alone.

pub mod conformance;
mod journal;
mod lock;
mod memory;
pub mod row;
mod sqlite;

pub use journal::{
    Cause, Change, Commit, Journal, JournalError, PAYLOAD_BYTES_MAX, Reason, Row, STATE_KEY_BYTES_MAX,
    STATE_VALUE_BYTES_MAX, StateKind,
};
pub use lock::{DataLock, LockError};
pub use memory::{Fault, MemoryJournal};
pub use sqlite::{CheckpointStatus, SqliteJournal};
