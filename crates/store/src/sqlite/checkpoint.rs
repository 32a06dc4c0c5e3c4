//! Checkpoints: copying the WAL into the database file, on a thread of their own, which between them
//! gives back the space of trimmed rows.
//!
//! **Invariant:** a checkpoint that fails or finds somebody in its way harms no commit: the WAL keeps
//! what it holds.
//! **Invariant:** after the storage has failed under a checkpoint there is no other through the same WAL
//! index, not even at the end.
//! **Invariant:** a commit waits for a checkpoint only where the WAL has grown large, and then only for
//! what came in since a first pass that did not make it wait.
//!
//! Why the storage gets no second chance:
//!
//! - t0: a checkpoint copies a part of the WAL into the database file. It does not sync that file, as
//!   it has not come to the WAL's end; the WAL index notes the part as copied.
//! - t1: another one copies the rest, and its sync of the database file fails. The operating system may
//!   mark the pages of both parts as clean, though they are not on disk.
//! - t2: a third would copy the rest again, but not the part of t0; its sync would succeed, and the WAL
//!   would be written over: after a power loss the part of t0 is nowhere.
//!
//! So the thread rests after t1. The WAL keeps everything and grows, until all connections have been
//! closed and opened again, by `recover` or by a restart: the index is then made anew from the WAL, with
//! nothing noted, and all of it is copied.

use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::classify::unwritten;
use super::{lock, trim};
use crate::journal::{JournalError, Reason};

/// So much growth of the WAL wakes the thread.
pub(super) const GROWTH_BYTES: u64 = 4 * 1024 * 1024;
/// From this size on commits are held up for a moment, so that the WAL begins anew in its old space.
pub(super) const RESTART_BYTES: u64 = 32 * 1024 * 1024;
/// From this size on, as after a long time in somebody's way, its space is given back as well.
pub(super) const TRUNCATE_BYTES: u64 = 256 * 1024 * 1024;
/// How long such a moment may wait for a reader to finish.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// The room for others between two steps of a trim.
const STEP_PAUSE: Duration = Duration::from_millis(5);
/// When a step that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A frame of the WAL is a page and this.
const FRAME_HEADER_BYTES: u64 = 24;

/// How the checkpoints fare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckpointStatus {
    /// How many have run to their end since the journal was opened.
    pub done_count: u64,
    /// How many have failed since then. Where the storage itself failed, there are no more until the
    /// journal has recovered or is opened again.
    pub failed_count: u64,
    /// The part of the WAL in use when the last one ended.
    pub wal_bytes: u64,
    /// What SQLite said of the last one, with the causes; `None` if it was well.
    pub failure: Option<String>,
    /// Whether rows that were trimmed, or free pages beyond those kept, still take space.
    pub trim_is_due: bool,
    /// What SQLite said of the last step of a trim, with the causes; `None` if it was well.
    pub trim_failure: Option<String>,
}

/// What the thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Checkpoint,
    Trim,
}

/// How long a checkpoint may hold up others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Passive,
    Restart,
    Truncate,
}

/// What SQLite says of a checkpoint.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    was_busy: bool,
    wal_frames: Option<u64>,
    copied_frames: Option<u64>,
}

/// Copies all of the WAL, synced, and cuts it to nothing; an error means that it did not.
pub(super) fn complete(connection: &Connection) -> Result<(), JournalError> {
    let outcome = run(connection, Mode::Truncate)?;
    let is_all = outcome.wal_frames.is_some() && outcome.wal_frames == outcome.copied_frames;
    if outcome.was_busy || !is_all {
        return Err(JournalError::unavailable(Reason::Busy));
    }
    Ok(())
}

fn run(connection: &Connection, mode: Mode) -> Result<Outcome, JournalError> {
    let sql = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let (busy, wal, copied): (i64, i64, i64) = connection
        .prepare_cached(sql)
        .and_then(|mut checkpoint| checkpoint.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(unwritten)?;
    // Both are −1 where it could not even look.
    let (wal_frames, copied_frames) = (u64::try_from(wal).ok(), u64::try_from(copied).ok());
    Ok(Outcome { was_busy: busy != 0, wal_frames, copied_frames })
}

/// What the committer and the thread tell each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    news: Mutex<News>,
    /// Signalled when there is something to do.
    wake: Condvar,
    /// Signalled when it has been done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct News {
    grown_bytes: u64,
    /// How long to wait for the next step of a trim; `None` where none is due, or it is being taken.
    trim_pause: Option<Duration>,
    stop: bool,
    storage_failed: bool,
    status: CheckpointStatus,
}

impl Progress {
    pub(super) fn grew(&self, bytes: u64) {
        let mut news = lock(&self.news);
        news.grown_bytes = news.grown_bytes.saturating_add(bytes);
        if news.grown_bytes >= GROWTH_BYTES {
            self.wake.notify_one();
        }
    }

    pub(super) fn status(&self) -> CheckpointStatus {
        lock(&self.news).status.clone()
    }

    /// Waits until so many checkpoints have been done or have failed.
    #[cfg(test)]
    pub(super) fn wait_for(&self, count: u64) -> CheckpointStatus {
        let ended = |status: &CheckpointStatus| status.done_count + status.failed_count;
        self.done.wait_while(lock(&self.news), |news| ended(&news.status) < count).unwrap().status.clone()
    }

    /// Whether what the WAL index notes as copied can no longer be believed.
    pub(super) fn storage_failed(&self) -> bool {
        lock(&self.news).storage_failed
    }

    /// There is something to trim.
    pub(super) fn trim_is_due(&self) {
        let mut news = lock(&self.news);
        news.status.trim_is_due = true;
        // A pause under way is not cut short, or commits that trim often would leave no room.
        if news.trim_pause.is_none() {
            news.trim_pause = Some(STEP_PAUSE);
            self.wake.notify_one();
        }
    }

    /// Waits until nothing is left to trim.
    #[cfg(test)]
    pub(super) fn wait_for_trim(&self) -> CheckpointStatus {
        self.done.wait_while(lock(&self.news), |news| news.status.trim_is_due).unwrap().status.clone()
    }

    /// Waits for work; `None` means to stop.
    fn next(&self) -> Option<Task> {
        let mut news = lock(&self.news);
        loop {
            if news.stop {
                return None;
            }
            if news.grown_bytes >= GROWTH_BYTES && !news.storage_failed {
                news.grown_bytes = 0;
                return Some(Task::Checkpoint);
            }
            news = match news.trim_pause {
                Some(pause) if !news.storage_failed => {
                    let (mut news, wait) = self.wake.wait_timeout(news, pause).unwrap_or_else(PoisonError::into_inner);
                    if wait.timed_out() && !news.stop {
                        news.trim_pause = None;
                        return Some(Task::Trim);
                    }
                    news
                }
                _ => self.wake.wait(news).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes down how a step of a trim went, with the bytes that it added to the WAL if there was one.
    pub(super) fn record_trim(&self, result: Result<Option<u64>, JournalError>) {
        let mut news = lock(&self.news);
        match result {
            Ok(Some(wal_bytes)) => {
                news.grown_bytes = news.grown_bytes.saturating_add(wal_bytes);
                news.trim_pause = Some(STEP_PAUSE);
                news.status.trim_failure = None;
            }
            Ok(None) => {
                // Unless a commit has trimmed in the meantime.
                news.status.trim_is_due = news.trim_pause.is_some();
                news.status.trim_failure = None;
            }
            Err(error) => {
                news.storage_failed |= !is_passing(&error);
                news.trim_pause = Some(RETRY_PAUSE);
                news.status.trim_failure = Some(causes(&error));
            }
        }
        self.done.notify_all();
    }

    /// Takes down how a checkpoint went, with the size of the WAL in use if it is known.
    pub(super) fn record(&self, result: Result<Option<u64>, JournalError>) {
        let mut news = lock(&self.news);
        match result {
            Ok(wal_bytes) => {
                news.status.done_count += 1;
                news.status.wal_bytes = wal_bytes.unwrap_or(news.status.wal_bytes);
                news.status.failure = None;
            }
            Err(error) => {
                // A write that found no space, unlike a sync that failed, leaves pages that a later
                // sync still writes.
                news.storage_failed |= !is_passing(&error);
                news.status.failed_count += 1;
                news.status.failure = Some(causes(&error));
            }
        }
        self.done.notify_all();
    }
}

/// The thread; dropping this stops it and waits for its end.
#[derive(Debug)]
pub(super) struct Checkpointer {
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(
        connection: Connection,
        writer: Arc<Mutex<Option<Connection>>>,
        progress: Arc<Progress>,
    ) -> Result<Self, JournalError> {
        let trim_is_due = trim::is_due(&connection)?;
        let mut news = lock(&progress.news);
        (news.stop, news.storage_failed, news.status.failure) = (false, false, None);
        (news.status.trim_is_due, news.status.trim_failure) = (trim_is_due, None);
        news.trim_pause = trim_is_due.then_some(STEP_PAUSE);
        drop(news);
        let shared = Arc::clone(&progress);
        let thread = thread::Builder::new()
            .name("annals-checkpoint".to_owned())
            .spawn(move || {
                while let Some(task) = shared.next() {
                    match task {
                        Task::Checkpoint => shared.record(pass(&connection, &writer)),
                        Task::Trim => shared.record_trim(trim(&writer)),
                    }
                }
            })
            .map_err(|error| JournalError::Unavailable { reason: Reason::Storage, source: Some(error.into()) })?;
        Ok(Self { progress, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        lock(&self.progress.news).stop = true;
        self.progress.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that its panic could have left half done.
            thread.join().ok();
        }
    }
}

/// One step of a trim, through the committer's connection: so it waits here rather than for SQLite's
/// own lock, as in `pass`.
fn trim(writer: &Mutex<Option<Connection>>) -> Result<Option<u64>, JournalError> {
    // Without a connection the journal has yet to recover, and then begins anew.
    lock(writer).as_ref().map_or(Ok(None), trim::step)
}

/// One checkpoint; the size of the WAL in use afterwards, if nobody was in the way of looking.
fn pass(connection: &Connection, writer: &Mutex<Option<Connection>>) -> Result<Option<u64>, JournalError> {
    let page_bytes: u32 = connection
        .prepare_cached("PRAGMA page_size")
        .and_then(|mut size| size.query_row([], |row| row.get(0)))
        .map_err(unwritten)?;
    let bytes = |frames: u64| frames.saturating_mul(u64::from(page_bytes) + FRAME_HEADER_BYTES);
    // A commit that ends at this moment is in the way.
    let wal_bytes = run(connection, Mode::Passive)?.wal_frames.map(bytes);
    let mode = match wal_bytes {
        Some(TRUNCATE_BYTES..) => Mode::Truncate,
        Some(RESTART_BYTES..) => Mode::Restart,
        _ => return Ok(wal_bytes),
    };
    // While it is held the committer waits here rather than for SQLite's own lock, for which it would
    // have to ask again and again.
    let _no_commit = lock(writer);
    let outcome = run(connection, mode)?;
    // A reader that is in the way keeps the WAL from beginning anew; the next pass tries again.
    Ok(if outcome.was_busy { outcome.wal_frames.map(bytes) } else { Some(0) })
}

/// Whether the same may be tried again through the same connections.
pub(super) fn is_passing(error: &JournalError) -> bool {
    matches!(error, JournalError::Unavailable { reason: Reason::FullDisk | Reason::Busy, .. })
}

/// What SQLite said, with its causes: the sentence above it is about commits, of which none is harmed.
fn causes(error: &JournalError) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
