//! Blobs: immutable files under names, written once from beginning to end, read by ranges.
//!
//! **Invariant:** a blob has all of its bytes or is not there: what is being written is shown to nobody,
//! neither now nor after a crash.
//! **Invariant:** a blob never changes; a name is written again only after it was deleted.
//! **Invariant:** a blob's content is never interpreted here. Whether it is what was written is checked by
//! who reads it.

mod memory;
mod object;

use std::ops::Range;

use crate::journal::{Cause, Reason};

pub use memory::{BlobFault, MemoryBlobs};
pub use object::ObjectBlobs;

/// The longest name of a blob.
pub const BLOB_NAME_BYTES_MAX: usize = 128;

/// A place where blobs are kept.
///
/// Every call blocks until it is done, and may be made from any thread, one that belongs to an async
/// runtime included. A name is 1 to [`BLOB_NAME_BYTES_MAX`] of `a-z`, `0-9`, `-`, `_` and `.`, a letter or
/// digit first; others are refused with [`Reason::BadName`].
pub trait Blobs: Send + Sync {
    /// Begins a blob.
    ///
    /// # Errors
    /// - `Exists`: there is a blob of that name, or one is being written.
    /// - `Unavailable`: nothing was begun.
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Exactly the bytes of a range.
    ///
    /// # Errors
    /// - `NotFound`: there is no such blob.
    /// - `Corrupt`: it ends within the range.
    /// - `Unavailable`: it cannot be read now.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, BlobError>;

    /// All blobs, ascending by name.
    ///
    /// # Errors
    /// `Unavailable`.
    fn list(&self) -> Result<Vec<BlobInfo>, BlobError>;

    /// Removes a blob, durably; no error where there is none.
    ///
    /// # Errors
    /// - `Unavailable`: the blob is still there.
    /// - `Unknown`: it is there or not, and may be there again after a crash. It can be deleted again.
    fn delete(&self, name: &str) -> Result<(), BlobError>;
}

/// A blob that is being written.
///
/// Dropped before it was finished, it leaves nothing that [`Blobs::list`] shows.
pub trait BlobWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// `Unavailable`: the blob was given up; all that is left is to drop the writer.
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError>;

    /// Makes the blob durable under its name; its length in bytes.
    ///
    /// # Errors
    /// - `Unavailable`: there is no such blob.
    /// - `Unknown`: the blob is there, whole, or it is not, and may be gone after a crash. Whoever does
    ///   not want it deletes it.
    fn finish(self: Box<Self>) -> Result<u64, BlobError>;
}

/// What a list says of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// What went wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no blob {name}")]
    NotFound {
        /// What was looked for.
        name: String,
    },
    /// Nothing was begun: the name is taken.
    #[error("there is a blob {name}, or one is being written; delete it or choose another name")]
    Exists {
        /// The name that is taken.
        name: String,
    },
    /// Nothing was changed or read; it may be tried again once the reason has gone.
    #[error("blob {name} is unavailable and unchanged: {reason}")]
    Unavailable {
        /// Which blob.
        name: String,
        /// Why, and what to do.
        reason: Reason,
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
    /// It was done, or it was not.
    #[error("it is unknown whether blob {name} was written or deleted: delete it, or ask for the list")]
    Unknown {
        /// Which blob.
        name: String,
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
    /// What is there is not what was written.
    #[error("blob {name} is damaged ({what}): keep a copy of it, and restore a backup")]
    Corrupt {
        /// Which blob.
        name: String,
        /// What contradicts what.
        what: String,
    },
}

impl BlobError {
    fn unavailable(name: &str, reason: Reason, source: Option<Cause>) -> Self {
        Self::Unavailable { name: name.to_owned(), reason, source }
    }

    fn too_short(name: &str, bytes: u64, range: &Range<u64>) -> Self {
        let what = format!("it ends at {bytes}, within {} to {}", range.start, range.end);
        Self::Corrupt { name: name.to_owned(), what }
    }
}

fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= BLOB_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(is_word)
        && name.bytes().all(|byte| is_word(byte) || b"-_.".contains(&byte))
}

fn check_name(name: &str) -> Result<(), BlobError> {
    if is_name(name) {
        return Ok(());
    }
    Err(BlobError::unavailable(name, Reason::BadName { bytes_max: BLOB_NAME_BYTES_MAX }, None))
}
