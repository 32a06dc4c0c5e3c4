//! Annals' store room: what is durable, and when.
//!
//! **Invariant:** nothing here knows what an event is, hashes or validates it, or names a vendor.
//! **Invariant:** nothing here reads a clock; every time is handed in.
//! **Invariant:** outside this room nobody knows SQLite, an object store, or where their files lie; the
//! ledger sees [`Journal`] and [`Blobs`] alone.

mod blob;
mod cache;
pub mod conformance;
mod folder;
mod journal;
mod lock;
mod memory;
pub mod row;
mod sqlite;

pub use blob::{BLOB_NAME_BYTES_MAX, BlobError, BlobFault, BlobInfo, BlobWriter, Blobs, MemoryBlobs, ObjectBlobs};
pub use cache::{CacheStats, PageCache, PageKey};
pub use journal::{
    Cause, Change, Commit, Journal, JournalError, PAYLOAD_BYTES_MAX, Reason, Row, STATE_KEY_BYTES_MAX,
    STATE_VALUE_BYTES_MAX, StateKind,
};
pub use lock::{DataLock, LockError};
pub use memory::{Fault, MemoryJournal};
pub use sqlite::{CheckpointStatus, ReadOnlyJournal, SqliteJournal, copy_journal, copy_journal_files, has_journal};
