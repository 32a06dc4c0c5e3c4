//! The journal: the durable, ordered tail of commits, and the small state that changes with them.
//!
//! **Invariant:** a commit is one row and its state changes, and both or neither become durable.
//! **Invariant:** sequences are dense from 1; whoever hands in another one than the next is refused.
//! **Invariant:** what a read shows is on disk, and so is shown again after a crash.
//! **Invariant:** what was trimmed is never shown again, and the last row is never trimmed.
//! **Invariant:** a payload is never interpreted here.

use std::error::Error;
use std::io;

/// The longest payload of one commit.
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The longest key of a state entry, in UTF-8.
pub const STATE_KEY_BYTES_MAX: usize = 4 * 1024;
/// The longest value of a state entry.
pub const STATE_VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a change of state takes beside its key and value, at most: the rest of a page.
const CHANGE_BYTES_MAX: usize = 4 * 1024;

/// What becomes durable at once: one row, the small state that changes with it, and how far the rows
/// before it are trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The place in the journal: dense, from 1, the last one plus 1.
    pub sequence: u64,
    /// The position of the row's first event over all logs; never below where the row before ended.
    pub position: u64,
    /// How many events the payload holds; 0 where only state changes.
    pub event_count: u32,
    /// Microseconds since 1970 by the server's clock, as the caller read it.
    pub time_recorded_us: u64,
    /// The row's content, opaque here; at most [`PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
    /// The changes of state, applied in this order.
    pub changes: Vec<Change>,
    /// All rows up to this sequence go with this commit; below `sequence`. One at or below an earlier
    /// trim changes nothing.
    pub trim: Option<u64>,
}

/// One change of the small state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a key's value, whether or not it had one.
    Put {
        /// Which state.
        kind: StateKind,
        /// At most [`STATE_KEY_BYTES_MAX`]; unique within its kind.
        key: String,
        /// At most [`STATE_VALUE_BYTES_MAX`]; opaque here.
        value: Vec<u8>,
    },
    /// Removes a key; no error where there is none.
    Delete {
        /// Which state.
        kind: StateKind,
        /// The key to remove.
        key: String,
    },
}

/// The kinds of state that a journal keeps beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// Organizations.
    Organization,
    /// API keys.
    Key,
    /// The action catalogue.
    Action,
    /// Settings.
    Setting,
    /// Sealed segments.
    Segment,
    /// The logs' heads as of the last seal.
    Head,
}

/// One commit as it is read back; the fields are those of [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The place in the journal.
    pub sequence: u64,
    /// The position of the first event over all logs.
    pub position: u64,
    /// How many events the payload holds.
    pub event_count: u32,
    /// Microseconds since 1970 by the server's clock.
    pub time_recorded_us: u64,
    /// The content, as it was handed in.
    pub payload: Vec<u8>,
}

/// What keeps the commits.
///
/// Every call blocks until it is done; a read does not wait for a commit.
pub trait Journal: Send + Sync {
    /// Makes one commit durable; it is synced to disk when this answers `Ok`.
    ///
    /// # Errors
    /// - `Conflict`: the sequence is not the next one. Nothing was written.
    /// - `Unavailable`: nothing was written. The same commit may be tried again.
    /// - `Unknown`: the whole commit was written, or nothing of it. Until [`Journal::recover`] has
    ///   succeeded every other call is refused; then [`Journal::last`] tells which.
    /// - `Corrupt`: stop.
    fn commit(&self, commit: &Commit) -> Result<(), JournalError>;

    /// The rows after a sequence (0 for all), without those that were trimmed, ascending and without a
    /// gap, as many as have at most `bytes_max` bytes of payload together, but at least one if there is
    /// one.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`; nothing changes.
    fn rows(&self, after_sequence: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError>;

    /// All entries of a kind, ascending by the bytes of their keys.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`; nothing changes.
    fn state(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError>;

    /// The last sequence, 0 if there is none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`; nothing changes.
    fn last(&self) -> Result<u64, JournalError>;

    /// The highest sequence that was trimmed, 0 if there is none: the first row that is left comes after
    /// it.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`; nothing changes.
    fn floor(&self) -> Result<u64, JournalError>;

    /// Whether there is room for a commit of so many bytes ([`Commit::bytes_max`]) now: it is taken and given
    /// back. Nothing that can be read changes.
    ///
    /// # Errors
    /// `Unavailable`: there is no such room, or nothing may be written. Nothing is left of what was taken.
    fn require_room(&self, bytes: u64) -> Result<(), JournalError>;

    /// What the operator should look after though commits go on, such as files that only grow.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Settles a commit whose result is unknown: reopens, and makes durable whatever is shown from
    /// now on. On a healthy journal it changes nothing that can be read.
    ///
    /// # Errors
    /// `Unavailable`: still unsettled, every other call is refused, and this may be tried again.
    /// `Corrupt`: stop.
    fn recover(&self) -> Result<(), JournalError>;
}

/// What kept an error below from being fixed here.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What went wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written: somebody else has written, or the caller has lost count.
    #[error(
        "sequence {refused} cannot follow the journal's last one, {last}: another writer uses this journal; stop one of the two"
    )]
    Conflict {
        /// The sequence that was handed in.
        refused: u64,
        /// The last one that the journal holds.
        last: u64,
    },
    /// What was asked for is not there.
    #[error("there is no {what}: create it or correct the path")]
    NotFound {
        /// What was looked for.
        what: String,
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
    /// Nothing was written or read; it may be tried again once the reason has gone.
    #[error("the journal is unavailable and nothing was written: {reason}")]
    Unavailable {
        /// Why, and what to do.
        reason: Reason,
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
    /// The commit was written whole, or not at all.
    #[error("it is unknown whether the commit was written: recover the journal, then ask it for its last sequence")]
    Unknown {
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
    /// What is on disk is not what was written.
    #[error("the journal is damaged ({what}): stop, keep a copy of its files, and restore a backup")]
    Corrupt {
        /// What contradicts what.
        what: String,
        /// What was found out below.
        #[source]
        source: Option<Cause>,
    },
}

/// Why a journal, or a store of blobs, is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No space is left.
    #[error("the disk is full; free some space and try again")]
    FullDisk,
    /// Somebody else holds the file.
    #[error("another process holds it; try again, or stop that process")]
    Busy,
    /// The file or its file system may not be written.
    #[error("it may not be written; correct the permissions or the mount")]
    ReadOnly,
    /// A part of the commit is beyond its limit.
    #[error("{what} is beyond the limit of {max}; hand in smaller commits")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The largest one that is taken.
        max: u64,
    },
    /// The trim of a commit reaches the commit itself.
    #[error("the trim up to sequence {trim} reaches the commit's own, {sequence}; trim what lies before it")]
    TrimTooFar {
        /// How far was asked for.
        trim: u64,
        /// The commit's own sequence.
        sequence: u64,
    },
    /// A crash left commits that only a journal that may write can take in.
    #[error("a crash left commits in its write-ahead log; start the server on it once, or copy it, and read the copy")]
    Unclean,
    /// A blob can't be called that.
    #[error("its name is not 1 to {bytes_max} of a-z, 0-9, «-», «_» and «.», a letter or digit first; choose another")]
    BadName {
        /// The longest name.
        bytes_max: usize,
    },
    /// A copy would overwrite something.
    #[error("there is something in the copy's place already; choose another folder")]
    Occupied,
    /// An earlier commit's result is still unknown.
    #[error("the result of an earlier commit is unknown; recover the journal first")]
    Unsettled,
    /// The file was written by a newer release.
    #[error("it has format version {found} and this annals knows up to {known}; start the newer annals")]
    NewerVersion {
        /// The version on disk.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// The file is somebody else's.
    #[error("its file belongs to another program; choose another data folder")]
    ForeignFile,
    /// Anything else that the system answered.
    #[error("the storage failed; look at the cause, then try again")]
    Storage,
}

impl Reason {
    /// What an error of the system means.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::FullDisk,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Storage,
        }
    }
}

impl JournalError {
    /// `Unavailable` without a cause below.
    #[must_use]
    pub fn unavailable(reason: Reason) -> Self {
        Self::Unavailable { reason, source: None }
    }

    /// `Unavailable` for what the system answered.
    pub(crate) fn storage(error: io::Error) -> Self {
        Self::Unavailable { reason: Reason::of(&error), source: Some(error.into()) }
    }

    /// `Corrupt` without a cause below.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), source: None }
    }
}

impl StateKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Organization, Self::Key, Self::Action, Self::Setting, Self::Segment, Self::Head];

    /// The name on disk, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Key => "key",
            Self::Action => "action",
            Self::Setting => "setting",
            Self::Segment => "segment",
            Self::Head => "head",
        }
    }
}

impl Commit {
    /// Whether the commit is within the limits that hold under every journal; a journal asks this
    /// before it writes.
    ///
    /// # Errors
    /// `Unavailable` with [`Reason::TooLarge`] or [`Reason::TrimTooFar`].
    pub fn check_limits(&self) -> Result<(), JournalError> {
        // Journals keep whole numbers as signed 64-bit ones.
        const NUMBER_MAX: u64 = i64::MAX as u64;
        within("the commit's sequence", self.sequence, NUMBER_MAX)?;
        within("the commit's last position", self.position_end(), NUMBER_MAX)?;
        within("the commit's time", self.time_recorded_us, NUMBER_MAX)?;
        within_bytes("the commit's payload", self.payload.len(), PAYLOAD_BYTES_MAX)?;
        if let Some(trim) = self.trim
            && trim >= self.sequence
        {
            return Err(JournalError::unavailable(Reason::TrimTooFar { trim, sequence: self.sequence }));
        }
        for change in &self.changes {
            let (key, value_bytes) = match change {
                Change::Put { key, value, .. } => (key, value.len()),
                Change::Delete { key, .. } => (key, 0),
            };
            within_bytes("a state key", key.len(), STATE_KEY_BYTES_MAX)?;
            within_bytes("a state value", value_bytes, STATE_VALUE_BYTES_MAX)?;
        }
        Ok(())
    }

    /// What the commit takes on disk, at most, but for what any commit takes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        let changes = self.changes.iter().map(|change| match change {
            Change::Put { key, value, .. } => CHANGE_BYTES_MAX + key.len() + value.len(),
            Change::Delete { key, .. } => CHANGE_BYTES_MAX + key.len(),
        });
        // A usize has at most 64 bits on every target of Rust.
        (self.payload.len() + changes.sum::<usize>()) as u64
    }

    /// The position after the last event: the least that the next commit may have.
    #[must_use]
    pub fn position_end(&self) -> u64 {
        self.position.saturating_add(u64::from(self.event_count))
    }
}

fn within(what: &'static str, found: u64, max: u64) -> Result<(), JournalError> {
    if found > max {
        return Err(JournalError::unavailable(Reason::TooLarge { what, max }));
    }
    Ok(())
}

fn within_bytes(what: &'static str, found: usize, max: usize) -> Result<(), JournalError> {
    // A usize has at most 64 bits on every target of Rust.
    within(what, found as u64, max as u64)
}
