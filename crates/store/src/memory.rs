//! A journal in memory, for tests: the whole contract, and failures on demand.
//!
//! **Invariant:** it is at least as strict as any journal on disk: where a caller breaks the contract
//! in a way that a disk could not notice, it panics.
//! **Invariant:** a failure that «did not happen» leaves no trace, one that «did» leaves the whole
//! commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::{Change, Commit, Journal, JournalError, Reason, Row, StateKind};

/// One handle on a journal in memory.
///
/// Share it by `Arc`; [`MemoryJournal::reopen`] makes a second handle on the same durable content.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    durable: Arc<Mutex<Durable>>,
    handle: Mutex<Handle>,
}

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next commit is `Unavailable`: nothing was written.
    NotPersisted,
    /// The next commit is `Unknown`, and was not written.
    UnknownNotPersisted,
    /// The next commit is `Unknown`, and was written.
    UnknownPersisted,
    /// The next `recover` is `Unavailable`, and settles nothing.
    RecoverFails,
}

/// What a crash leaves.
#[derive(Clone, Debug, Default)]
struct Durable {
    rows: Vec<Row>,
    floor: u64,
    state: BTreeMap<(StateKind, String), Vec<u8>>,
}

/// What a crash takes.
#[derive(Debug, Default)]
struct Handle {
    commit_faults: VecDeque<Fault>,
    recover_faults: usize,
    unsettled: bool,
    /// `None` for any.
    room_bytes: Option<u64>,
    room_asked_count: u64,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new handle on the same durable content, as a process finds it that starts after a crash:
    /// settled, and without faults to come. The old handle stays usable, as a second writer.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { durable: Arc::clone(&self.durable), handle: Mutex::default() }
    }

    /// A journal of its own with what is durable now: what a crash at this moment would leave.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { durable: Arc::new(Mutex::new(lock(&self.durable).clone())), handle: Mutex::default() }
    }

    /// Lets the next call that it concerns fail. Faults of commits come in the order in which they
    /// were handed in, each once; so do those of `recover`.
    pub fn fail_next(&self, fault: Fault) {
        let mut handle = lock(&self.handle);
        match fault {
            Fault::RecoverFails => handle.recover_faults += 1,
            _ => handle.commit_faults.push_back(fault),
        }
    }

    /// From now on there is room for commits of so many bytes ([`Commit::bytes_max`]) each, `None` for any:
    /// larger ones are `Unavailable`, the disk being full.
    pub fn leave_room(&self, bytes: Option<u64>) {
        lock(&self.handle).room_bytes = bytes;
    }

    /// How often [`Journal::require_room`] was asked.
    #[must_use]
    pub fn room_asked_count(&self) -> u64 {
        lock(&self.handle).room_asked_count
    }

    fn settled(&self) -> Result<MutexGuard<'_, Durable>, JournalError> {
        if lock(&self.handle).unsettled {
            return Err(JournalError::unavailable(Reason::Unsettled));
        }
        Ok(lock(&self.durable))
    }
}

impl Journal for MemoryJournal {
    fn commit(&self, commit: &Commit) -> Result<(), JournalError> {
        commit.check_limits()?;
        let mut handle = lock(&self.handle);
        if handle.unsettled {
            return Err(JournalError::unavailable(Reason::Unsettled));
        }
        let mut durable = lock(&self.durable);
        durable.check(commit)?;
        handle.require_room(commit.bytes_max())?;
        match handle.commit_faults.pop_front() {
            None | Some(Fault::RecoverFails) => {
                durable.apply(commit);
                Ok(())
            }
            Some(Fault::NotPersisted) => Err(JournalError::unavailable(Reason::Storage)),
            Some(Fault::UnknownNotPersisted) => {
                handle.unsettled = true;
                Err(JournalError::Unknown { source: None })
            }
            Some(Fault::UnknownPersisted) => {
                handle.unsettled = true;
                durable.apply(commit);
                Err(JournalError::Unknown { source: None })
            }
        }
    }

    fn rows(&self, after_sequence: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError> {
        let durable = self.settled()?;
        let mut bytes = 0_usize;
        let mut rows = Vec::new();
        for row in durable.rows.iter().filter(|row| row.sequence > after_sequence) {
            bytes = bytes.saturating_add(row.payload.len());
            if bytes > bytes_max && !rows.is_empty() {
                break;
            }
            rows.push(row.clone());
        }
        Ok(rows)
    }

    fn state(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let durable = self.settled()?;
        let of_kind = durable.state.iter().filter(|((found, _), _)| *found == kind);
        Ok(of_kind.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self) -> Result<u64, JournalError> {
        Ok(self.settled()?.last())
    }

    fn floor(&self) -> Result<u64, JournalError> {
        Ok(self.settled()?.floor)
    }

    fn require_room(&self, bytes: u64) -> Result<(), JournalError> {
        let mut handle = lock(&self.handle);
        handle.room_asked_count += 1;
        if handle.unsettled {
            return Err(JournalError::unavailable(Reason::Unsettled));
        }
        handle.require_room(bytes)
    }

    fn recover(&self) -> Result<(), JournalError> {
        let mut handle = lock(&self.handle);
        if handle.recover_faults > 0 {
            handle.recover_faults -= 1;
            handle.unsettled = true;
            return Err(JournalError::unavailable(Reason::Storage));
        }
        handle.unsettled = false;
        Ok(())
    }
}

impl Handle {
    fn require_room(&self, bytes: u64) -> Result<(), JournalError> {
        if self.room_bytes.is_some_and(|room| bytes > room) {
            return Err(JournalError::unavailable(Reason::FullDisk));
        }
        Ok(())
    }
}

impl Durable {
    fn last(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.sequence)
    }

    fn check(&self, commit: &Commit) -> Result<(), JournalError> {
        let last = self.last();
        if commit.sequence != last + 1 {
            return Err(JournalError::Conflict { refused: commit.sequence, last });
        }
        let end = self.rows.last().map_or(0, |row| row.position + u64::from(row.event_count));
        assert!(
            commit.position >= end,
            "commit {} begins at position {}, but the row before ends at {end}",
            commit.sequence,
            commit.position,
        );
        Ok(())
    }

    fn apply(&mut self, commit: &Commit) {
        self.rows.push(Row {
            sequence: commit.sequence,
            position: commit.position,
            event_count: commit.event_count,
            time_recorded_us: commit.time_recorded_us,
            payload: commit.payload.clone(),
        });
        self.floor = self.floor.max(commit.trim.unwrap_or(0));
        let floor = self.floor;
        self.rows.retain(|row| row.sequence > floor);
        for change in &commit.changes {
            match change {
                Change::Put { kind, key, value } => {
                    self.state.insert((*kind, key.clone()), value.clone());
                }
                Change::Delete { kind, key } => {
                    self.state.remove(&(*kind, key.clone()));
                }
            }
        }
    }
}

/// A panic while the lock is held can only come from the assertion above, which leaves the content
/// whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
