//! The row codec: the form on disk of one commit's events, the same under every journal.
//!
//! **Invariant:** what is written below never changes; another form has another version byte.
//! **Invariant:** one content has one body: whatever could be written in two ways is refused in all but
//! one.
//! **Invariant:** [`encode`] refuses everything that [`decode`] would refuse.
//! **Invariant:** no input makes [`decode`] panic, or allocate more than a fixed multiple of the
//! limits below.
//!
//! # Format
//!
//! ```text
//! row    = version, frame
//! version: 1 byte, 01
//! frame  : one zstd frame (RFC 8878 §3.1.1) with its content size and a content checksum in it,
//!          without a dictionary, nothing after it; its content is the body
//!
//! body   = head count, head…, event count, head number…, secret kind…, secret…, length…, text…
//!
//! head   = name, first index, count, root
//!   name       : string: the organization
//!   first index: number: of the head's first event of this row in its log
//!   count      : number from 1: how many of the row's events have this head
//!   root       : 32 bytes: of the log's tree after this commit
//!
//! then a column each, one entry per event, in the row's order:
//!   head number: number: which head, from 0
//!   secret kind: 1 byte: 00 seed, 01 erased
//!   secret     : seed  : 16 bytes
//!                erased: number of salts, (string, 16 bytes)…,
//!                        number of commitments, (string, 32 bytes)…
//!   length     : number: of the text, in bytes
//!   text       : that many bytes: the canonical JSON, never interpreted here
//!
//! number = unsigned LEB128: 7 bits a byte, the low ones first, the high bit set on all bytes but the
//!          last; at most 64 bits; as short as possible (a last byte 00 only for 0 itself)
//! string = number: its length in bytes; that many bytes of UTF-8
//! ```
//!
//! An event's index is its head's first index plus how many earlier events of the row have that head.
//!
//! Columns, because like lies beside like then, and compresses better.

mod decode;
mod encode;

pub use decode::{RowDecoder, decode};
pub use encode::{RowEncoder, encode};

/// The only version so far.
pub const ROW_VERSION: u8 = 1;
/// The largest body, before compression.
pub const ROW_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most events of one row.
pub const ROW_EVENTS_MAX: usize = 262_144;

/// The content of a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowBody {
    /// The logs that the commit changed.
    pub heads: Vec<HeadChange>,
    /// The events, in the order of their positions.
    pub events: Vec<RowEvent>,
}

/// How a commit changed one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadChange {
    /// The organization whose log it is.
    pub organization: String,
    /// The index, in that log, of its first event in this row.
    pub first_index: u64,
    /// How many of the row's events are that log's; at least 1.
    pub count: u32,
    /// The root of the log's tree after this commit.
    pub root: [u8; 32],
}

/// One event, as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowEvent {
    /// Which of the row's heads, from 0.
    pub head: u32,
    /// What the commitments to its members were salted with.
    pub secret: Secret,
    /// The canonical JSON text.
    pub canonical: Vec<u8>,
}

/// What an event's salts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// The seed of all salts.
    Seed([u8; 16]),
    /// After an erasure: there is no seed any more.
    Erased {
        /// The salt of each member that is left, by name.
        salts: Vec<(String, [u8; 16])>,
        /// The commitment to each member that was erased, by name.
        commitments: Vec<(String, [u8; 32])>,
    },
}

/// One event to be written, borrowed from whoever holds it.
#[derive(Debug, Clone, Copy)]
pub struct RowEventRef<'a> {
    /// Which of the row's heads, from 0.
    pub head: u32,
    /// What the commitments to its members were salted with.
    pub secret: SecretRef<'a>,
    /// The canonical JSON text.
    pub canonical: &'a [u8],
}

/// A [`Secret`], borrowed.
#[derive(Debug, Clone, Copy)]
pub enum SecretRef<'a> {
    /// The seed of all salts.
    Seed(&'a [u8; 16]),
    /// After an erasure.
    Erased {
        /// The salt of each member that is left, by name.
        salts: &'a [(String, [u8; 16])],
        /// The commitment to each member that was erased, by name.
        commitments: &'a [(String, [u8; 32])],
    },
}

/// Why a row cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A later release wrote it.
    #[error("the row was written by a newer annals (row version {found}, known up to {ROW_VERSION}): start that one")]
    NewerVersion {
        /// The row's version.
        found: u8,
    },
    /// The bytes are not those of a row.
    #[error("the row is damaged ({what}): restore the journal from a backup")]
    Damaged {
        /// What is wrong with them.
        what: &'static str,
        /// What zstd or UTF-8 said of them.
        #[source]
        source: Option<crate::Cause>,
    },
    /// More than a row may hold.
    #[error("the row has {found} {what}, and the limit is {max}: write several smaller ones")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much of it there is.
        found: u64,
        /// How much there may be.
        max: u64,
    },
    /// Heads and events contradict each other.
    #[error("the row contradicts itself ({what}): it was put together wrongly")]
    Contradiction {
        /// In what.
        what: &'static str,
    },
    /// The compressor, or its counterpart, could not be made or failed.
    #[error("zstd failed: free some memory and try again")]
    Compressor {
        /// What it said.
        source: std::io::Error,
    },
}

impl RowEvent {
    /// The event as [`RowEncoder::encode`] takes it.
    #[must_use]
    pub fn borrow(&self) -> RowEventRef<'_> {
        let secret = match &self.secret {
            Secret::Seed(seed) => SecretRef::Seed(seed),
            Secret::Erased { salts, commitments } => SecretRef::Erased { salts, commitments },
        };
        RowEventRef { head: self.head, secret, canonical: &self.canonical }
    }
}

const SECRET_SEED: u8 = 0;
const SECRET_ERASED: u8 = 1;

fn within(what: &'static str, found: usize, max: usize) -> Result<(), RowError> {
    if found > max {
        return Err(RowError::TooLarge { what, found: found as u64, max: max as u64 });
    }
    Ok(())
}

/// Whether heads and the events' head numbers agree.
fn check_heads(heads: &[HeadChange], numbers: impl Iterator<Item = u32>) -> Result<(), RowError> {
    let mut missing: Vec<u32> = heads.iter().map(|head| head.count).collect();
    if missing.contains(&0) {
        return Err(RowError::Contradiction { what: "a head without events" });
    }
    if heads.iter().any(|head| head.first_index.checked_add(head.count.into()).is_none()) {
        return Err(RowError::Contradiction { what: "an index beyond 64 bits" });
    }
    for number in numbers {
        let left = usize::try_from(number).ok().and_then(|number| missing.get_mut(number));
        let Some(left) = left else {
            return Err(RowError::Contradiction { what: "an event of no head" });
        };
        *left =
            left.checked_sub(1).ok_or(RowError::Contradiction { what: "a head with more events than its count" })?;
    }
    if missing.iter().any(|left| *left > 0) {
        return Err(RowError::Contradiction { what: "a head with fewer events than its count" });
    }
    Ok(())
}
