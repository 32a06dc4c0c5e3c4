//! Blobs in memory, for tests: the whole contract, and failures on demand.
//!
//! **Invariant:** a failure that «did not happen» leaves no trace, one that «did» leaves the whole blob,
//! or nothing of the one that was deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BlobError, BlobInfo, BlobWriter, Blobs, check_name};
use crate::journal::Reason;

/// One handle on blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    durable: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    handle: Arc<Mutex<Handle>>,
}

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobFault {
    /// The next `create` is `Unavailable`.
    CreateFails,
    /// The next `write` is `Unavailable`, and gives the blob up.
    WriteFails,
    /// The next `finish` is `Unavailable`: there is no blob.
    FinishFails,
    /// The next `finish` is `Unknown`, and there is no blob.
    FinishUnknownNotPersisted,
    /// The next `finish` is `Unknown`, and there is the blob.
    FinishUnknownPersisted,
    /// The next `delete` is `Unavailable`: the blob is still there.
    DeleteFails,
    /// The next `delete` is `Unknown`, and the blob is still there.
    DeleteUnknownNotPersisted,
    /// The next `delete` is `Unknown`, and the blob is gone.
    DeleteUnknownPersisted,
    /// The next `read` is `Unavailable`.
    ReadFails,
    /// The next `list` is `Unavailable`.
    ListFails,
}

/// What a crash takes.
#[derive(Debug, Default)]
struct Handle {
    faults: Vec<BlobFault>,
    in_writing: BTreeSet<String>,
}

impl MemoryBlobs {
    /// No blobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new handle on the same blobs, as a process finds them that starts after a crash: without those
    /// that were being written, and without faults to come.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { durable: Arc::clone(&self.durable), handle: Arc::default() }
    }

    /// Blobs of their own with what is durable now: what a crash at this moment would leave.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { durable: Arc::new(Mutex::new(lock(&self.durable).clone())), handle: Arc::default() }
    }

    /// Lets the next call that it concerns fail. Faults of one kind of call come in the order in which
    /// they were handed in, each once.
    pub fn fail_next(&self, fault: BlobFault) {
        lock(&self.handle).faults.push(fault);
    }

    /// Flips one bit of a stored byte, as a disk may.
    ///
    /// # Panics
    /// Where there is no such byte.
    pub fn flip(&self, name: &str, offset: usize) {
        let mut durable = lock(&self.durable);
        let byte = durable.get_mut(name).and_then(|blob| blob.get_mut(offset));
        assert!(byte.is_some(), "blob {name} has no byte {offset}");
        byte.into_iter().for_each(|byte| *byte ^= 1);
    }
}

impl Handle {
    /// The first fault to come that is one of these.
    fn take(&mut self, of: &[BlobFault]) -> Option<BlobFault> {
        let place = self.faults.iter().position(|fault| of.contains(fault))?;
        Some(self.faults.remove(place))
    }
}

impl Blobs for MemoryBlobs {
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        check_name(name)?;
        let mut handle = lock(&self.handle);
        if lock(&self.durable).contains_key(name) || handle.in_writing.contains(name) {
            return Err(BlobError::Exists { name: name.to_owned() });
        }
        if handle.take(&[BlobFault::CreateFails]).is_some() {
            return Err(failed(name));
        }
        handle.in_writing.insert(name.to_owned());
        Ok(Box::new(Writer {
            durable: Arc::clone(&self.durable),
            handle: Arc::clone(&self.handle),
            name: name.to_owned(),
            bytes: Some(Vec::new()),
        }))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        check_name(name)?;
        if lock(&self.handle).take(&[BlobFault::ReadFails]).is_some() {
            return Err(failed(name));
        }
        let durable = lock(&self.durable);
        let blob = durable.get(name).ok_or_else(|| BlobError::NotFound { name: name.to_owned() })?;
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let found = blob.get(place(range.start)..place(range.end.max(range.start)));
        found.map(<[u8]>::to_vec).ok_or_else(|| BlobError::too_short(name, blob.len() as u64, &range))
    }

    fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        if lock(&self.handle).take(&[BlobFault::ListFails]).is_some() {
            return Err(failed("list"));
        }
        let durable = lock(&self.durable);
        Ok(durable.iter().map(|(name, blob)| BlobInfo { name: name.clone(), bytes: blob.len() as u64 }).collect())
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        check_name(name)?;
        let fault = lock(&self.handle).take(&[
            BlobFault::DeleteFails,
            BlobFault::DeleteUnknownNotPersisted,
            BlobFault::DeleteUnknownPersisted,
        ]);
        if matches!(fault, None | Some(BlobFault::DeleteUnknownPersisted)) {
            lock(&self.durable).remove(name);
        }
        match fault {
            None => Ok(()),
            Some(BlobFault::DeleteFails) => Err(failed(name)),
            Some(_) => Err(unknown(name)),
        }
    }
}

struct Writer {
    durable: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    handle: Arc<Mutex<Handle>>,
    name: String,
    // `None` after a write that failed.
    bytes: Option<Vec<u8>>,
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if lock(&self.handle).take(&[BlobFault::WriteFails]).is_some() {
            self.bytes = None;
        }
        let Some(written) = &mut self.bytes else { return Err(failed(&self.name)) };
        written.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        let Some(blob) = self.bytes.take() else { return Err(failed(&self.name)) };
        let fault = lock(&self.handle).take(&[
            BlobFault::FinishFails,
            BlobFault::FinishUnknownNotPersisted,
            BlobFault::FinishUnknownPersisted,
        ]);
        let bytes = blob.len() as u64;
        if matches!(fault, None | Some(BlobFault::FinishUnknownPersisted)) {
            lock(&self.durable).insert(self.name.clone(), blob);
        }
        match fault {
            None => Ok(bytes),
            Some(BlobFault::FinishFails) => Err(failed(&self.name)),
            Some(_) => Err(unknown(&self.name)),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.handle).in_writing.remove(&self.name);
    }
}

fn failed(name: &str) -> BlobError {
    BlobError::unavailable(name, Reason::Storage, None)
}

fn unknown(name: &str) -> BlobError {
    BlobError::Unknown { name: name.to_owned(), source: None }
}

/// Nothing panics between two steps of a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
