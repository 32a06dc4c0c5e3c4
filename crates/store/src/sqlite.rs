//! The embedded journal: one SQLite file, `journal.sqlite`, in a folder.
//!
//! **Invariant:** every connection is in WAL mode with `synchronous=FULL`: a commit is answered only
//! after the WAL has been synced, and a reader sees it only after that too.
//! **Invariant:** no commit runs a checkpoint; a thread of its own does, on its own connection.
//! **Invariant:** SQLite is given no WAL that it would drop acknowledged commits of; see `wal`.
//! **Invariant:** nothing is read from a WAL that was found on opening, or after a commit of unknown
//! result, before all of it has been copied into the database file and synced there.
//!
//! # Source
//! [Write-ahead logging](https://sqlite.org/wal.html), [the WAL's
//! format](https://sqlite.org/fileformat2.html#walformat), [result
//! codes](https://sqlite.org/rescode.html), [transactions](https://sqlite.org/lang_transaction.html),
//! all as of SQLite 3.54.

mod checkpoint;
mod classify;
mod connection;
mod copy;
mod read;
mod room;
mod state;
mod trim;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use crate::journal::{Change, Commit, Journal, JournalError, Reason, Row, StateKind};
use checkpoint::{Checkpointer, Progress};
use classify::{at_commit, unwritten};
use connection::Connections;

pub use checkpoint::CheckpointStatus;
pub use copy::{ReadOnlyJournal, copy_journal, copy_journal_files, has_journal};

/// What a commit adds to the WAL beside its payload and its changes, roughly: a leaf of a table, pages above,
/// and the rest of the last page.
const COMMIT_OVERHEAD_BYTES: u64 = 16 * 1024;
/// What is asked for beside that, to be sure: 32 KiB, by which the file of the WAL's index grows, and the
/// pages that say which are free.
const RESERVE_BYTES: u64 = 64 * 1024;

/// A journal in a SQLite file.
///
/// Commits wait for each other, reads wait for each other, neither for the other. Dropping it copies
/// the WAL into the database file, if nobody is in the way; opening it does so in any case.
#[derive(Debug)]
pub struct SqliteJournal {
    folder: PathBuf,
    // `None` only while `recover` runs or after it has failed.
    checkpointer: Mutex<Option<Checkpointer>>,
    progress: Arc<Progress>,
    // Both `None` only where reopening has failed.
    writer: Arc<Mutex<Option<Connection>>>,
    reader: Mutex<Option<Connection>>,
    unsettled: AtomicBool,
}

impl SqliteJournal {
    /// Opens the journal in a folder, which must exist and itself be durable; makes an empty one
    /// where there is none. It does not lock the folder: see [`crate::DataLock`].
    ///
    /// # Errors
    /// - `NotFound`: no such folder.
    /// - `Unavailable`: the file belongs to another program or to a newer release, or cannot be
    ///   opened, or what a crash left in the WAL cannot be copied into it (a full disk). Nothing that
    ///   was committed has changed.
    /// - `Corrupt`: the file or its WAL is not what was written.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        // Absolute, so that SQLite takes no name for a URI, and a later change of the working folder
        // changes nothing.
        let folder = folder.canonicalize().map_err(|error| JournalError::NotFound {
            what: format!("data folder {}", folder.display()),
            source: Some(error.into()),
        })?;
        room::clear(&folder)?;
        let connections = Connections::open(&folder)?;
        let progress = Arc::new(Progress::default());
        let writer = Arc::new(Mutex::new(Some(connections.writer)));
        let checkpointer = Checkpointer::start(connections.checkpointer, Arc::clone(&writer), Arc::clone(&progress))?;
        Ok(Self {
            folder,
            checkpointer: Mutex::new(Some(checkpointer)),
            progress,
            writer,
            reader: Mutex::new(Some(connections.reader)),
            unsettled: AtomicBool::new(false),
        })
    }

    /// How the checkpoints fare, for the operator: where they keep failing the WAL grows until the
    /// disk is full, while commits still succeed.
    #[must_use]
    pub fn checkpoint_status(&self) -> CheckpointStatus {
        self.progress.status()
    }

    fn settled(&self) -> Result<(), JournalError> {
        if self.unsettled.load(Ordering::SeqCst) {
            return Err(JournalError::unavailable(Reason::Unsettled));
        }
        Ok(())
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let reader = lock(&self.reader);
        self.settled()?;
        query(reader.as_ref().ok_or_else(|| JournalError::unavailable(Reason::Unsettled))?)
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        *lock(&self.checkpointer) = None;
        let is_sound = self.settled().is_ok() && !self.progress.storage_failed();
        if let Some(connection) = lock(&self.writer).as_ref()
            && is_sound
            && connection.busy_timeout(checkpoint::BUSY_TIMEOUT).is_ok()
        {
            // Whatever it leaves, the next opening copies.
            checkpoint::complete(connection).ok();
        }
    }
}

impl Journal for SqliteJournal {
    fn warning(&self) -> Option<String> {
        let CheckpointStatus { failure, trim_failure, .. } = self.progress.status();
        match (failure, trim_failure) {
            (Some(failure), _) => Some(format!("the journal's file only grows, since its checkpoints fail: {failure}")),
            (None, Some(failure)) => {
                Some(format!("the journal's file keeps rows that were sealed, since they cannot be deleted: {failure}"))
            }
            (None, None) => None,
        }
    }

    fn commit(&self, commit: &Commit) -> Result<(), JournalError> {
        commit.check_limits()?;
        let writer = lock(&self.writer);
        self.settled()?;
        let connection = writer.as_ref().ok_or_else(|| JournalError::unavailable(Reason::Unsettled))?;
        let outcome = transact(connection, |connection| fill(connection, commit));
        let is_doubtful = matches!(outcome, Err(JournalError::Unknown { .. } | JournalError::Corrupt { .. }));
        // A transaction that could not be rolled back would take in the next commit's row.
        if is_doubtful || !connection.is_autocommit() {
            self.unsettled.store(true, Ordering::SeqCst);
        }
        drop(writer);
        if outcome.is_ok() {
            self.progress.grew(wal_bytes(commit.bytes_max()));
            if commit.trim.is_some() {
                self.progress.trim_is_due();
            }
        }
        outcome
    }

    fn rows(&self, after_sequence: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError> {
        self.read(|connection| read::rows(connection, after_sequence, bytes_max))
    }

    fn state(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.read(|connection| state::entries(connection, kind))
    }

    fn last(&self) -> Result<u64, JournalError> {
        self.read(read::last)
    }

    fn floor(&self) -> Result<u64, JournalError> {
        self.read(read::floor)
    }

    fn require_room(&self, bytes: u64) -> Result<(), JournalError> {
        self.settled()?;
        room::require(&self.folder, wal_bytes(bytes).saturating_add(RESERVE_BYTES))
    }

    fn recover(&self) -> Result<(), JournalError> {
        // First, and outside the writer's lock, which the thread may be waiting for.
        let mut checkpointer = lock(&self.checkpointer);
        *checkpointer = None;
        let mut writer = lock(&self.writer);
        let mut reader = lock(&self.reader);
        self.unsettled.store(true, Ordering::SeqCst);

        // Why this is done in two steps, for a commit whose sync of the WAL failed:
        //
        // - t0: the commit's frames are in the operating system's cache, whole, and perhaps not on disk.
        //   A failed sync may have marked them as clean, so that no later sync writes them.
        // - t1: SQLite has rolled back, so the live WAL index still ends at the commit before.
        // - t2, here: a TRUNCATE checkpoint through that index copies only commits that had been synced
        //   before t0, syncs the database file and cuts the WAL to nothing. The doubtful frames are gone,
        //   and the commit did not happen.
        // - t3, here: all connections are closed and opened again.
        //
        // To reopen first would be worse: a new index would be read from the WAL, doubtful frames and
        // all, and the checkpoint would begin to copy them. A power loss in the middle would leave half
        // of them in the database file with no WAL to complete them.
        //
        // It is still done where t2 fails by more than a full or a busy file, or where an earlier
        // checkpoint did, as nothing but a new index is then to be believed (see `checkpoint`); and a
        // process that was killed after t0 has no other way. Opening then copies all that it finds before
        // it lets anything be read, so that the commit has happened and is on disk.
        if let Some(connection) = writer.as_ref()
            && !self.progress.storage_failed()
        {
            roll_back(connection);
            if let Err(error) = checkpoint::complete(connection)
                && checkpoint::is_passing(&error)
            {
                return Err(error);
            }
        }
        *reader = None;
        *writer = None;
        let connections = Connections::open(&self.folder)?;
        *checkpointer =
            Some(Checkpointer::start(connections.checkpointer, Arc::clone(&self.writer), Arc::clone(&self.progress))?);
        *writer = Some(connections.writer);
        *reader = Some(connections.reader);
        self.unsettled.store(false, Ordering::SeqCst);
        Ok(())
    }
}

/// Makes all that `fill` does durable, or nothing of it.
fn transact<T>(
    connection: &Connection,
    fill: impl FnOnce(&Connection) -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    // Prepared before anything begins, so that an error of the call at the end is one of COMMIT.
    let mut end = connection.prepare_cached("COMMIT").map_err(unwritten)?;
    connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(unwritten)?;
    let filled = fill(connection).inspect_err(|_| roll_back(connection))?;
    match end.execute([]) {
        Ok(_) => Ok(filled),
        Err(error) => {
            roll_back(connection);
            Err(at_commit(error))
        }
    }
}

/// Puts a commit into the open transaction; whatever fails here was not written.
fn fill(connection: &Connection, commit: &Commit) -> Result<(), JournalError> {
    // Within the transaction, which no other writer can enter: a second process conflicts too.
    let last = read::last(connection)?;
    if last.checked_add(1) != Some(commit.sequence) {
        return Err(JournalError::Conflict { refused: commit.sequence, last });
    }
    connection
        .prepare_cached(
            "INSERT INTO journal_row (sequence, position, event_count, time_recorded_us, payload) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                signed(commit.sequence)?,
                signed(commit.position)?,
                commit.event_count,
                signed(commit.time_recorded_us)?,
                commit.payload,
            ])
        })
        .map_err(unwritten)?;
    for change in &commit.changes {
        match change {
            Change::Put { kind, key, value } => state::put(connection, *kind, key, value),
            Change::Delete { kind, key } => state::delete(connection, *kind, key),
        }
        .map_err(unwritten)?;
    }
    if let Some(trim) = commit.trim {
        connection
            .prepare_cached(
                "INSERT INTO journal_floor (only, sequence) VALUES (0, ?1) \
                 ON CONFLICT (only) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
            )
            .and_then(|mut put| put.execute([signed(trim)?]))
            .map_err(unwritten)?;
    }
    Ok(())
}

/// Whether it succeeds shows in the connection's autocommit.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").ok();
    }
}

/// What a commit of so many bytes adds to the WAL, roughly: less than a 64th of its frames is not content.
fn wal_bytes(commit_bytes: u64) -> u64 {
    commit_bytes.saturating_add(commit_bytes / 64).saturating_add(COMMIT_OVERHEAD_BYTES)
}

/// The limits of a commit exclude the error.
fn signed(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A panic while a lock is held leaves at worst an open transaction, in which the next BEGIN fails
/// and marks the journal as unsettled.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
