//! Blobs in an object store: for now, in a local folder.
//!
//! **Invariant:** a blob is written under a name that no list shows, synced, renamed, and then its folder
//! is synced; only after that is it said to be there.
//! **Invariant:** the store's futures run on threads of their own, and a caller only waits for their
//! answers: so it may itself be a thread of any runtime, and can't be what the future waits for.
//! **Invariant:** one process uses a folder at a time; see [`crate::DataLock`].
//!
//! What the crate does not do, and is done here: it does not sync the folder after a deletion; it leaves
//! the hidden file of a `complete` that failed, and of a crash; its `complete` overwrites; and it opens a
//! file anew for each read.
//!
//! # Source
//! `LocalFileSystem` of [object_store](https://docs.rs/object_store) 0.14: `put_multipart_opts` (a
//! hidden file is `<name>#<number>`), `with_fsync`, `delete_stream`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::local::LocalFileSystem;
use object_store::{GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use quick_cache::sync::Cache;
use tokio::runtime::{Builder, Runtime};

use super::{BlobError, BlobInfo, BlobWriter, Blobs, check_name, is_name};
use crate::folder;
use crate::journal::{Cause, Reason};

/// What a writer gathers before it hands it over; an object store takes no smaller parts than 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Files that are kept open for reading, about.
const OPEN_FILES: usize = 64;
/// Calls to the file system under way at once; further ones wait.
const THREADS: usize = 16;

/// Blobs in an object store.
#[derive(Debug)]
pub struct ObjectBlobs {
    shared: Arc<Shared>,
    files: Cache<String, Arc<OpenFile>>,
    is_read_only: bool,
}

#[derive(Debug)]
struct Shared {
    store: LocalFileSystem,
    folder: PathBuf,
    runtime: Option<Runtime>,
    in_writing: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    bytes: u64,
}

impl ObjectBlobs {
    /// The blobs in a local folder, which is made if it is not there, in a folder that is. What a crash
    /// left of blobs that were being written is removed.
    ///
    /// # Errors
    /// `Unavailable`: the folder can't be made, read or cleared.
    pub fn local(folder: &Path) -> Result<Self, BlobError> {
        let failed = |error| unavailable(&folder.display().to_string(), error);
        folder::make(folder).map_err(failed)?;
        let blobs = Self::open(folder)?;
        remove_hidden(&blobs.shared.folder, None).map_err(failed)?;
        Ok(blobs)
    }

    /// The blobs in a local folder, of which not a byte is changed: `create` and `delete` are refused.
    ///
    /// # Errors
    /// `Unavailable`: there is no such folder, or it can't be read.
    pub fn local_read_only(folder: &Path) -> Result<Self, BlobError> {
        Ok(Self { is_read_only: true, ..Self::open(folder)? })
    }

    fn open(folder: &Path) -> Result<Self, BlobError> {
        let name = folder.display().to_string();
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(&name, error))?.with_fsync(true);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS)
            .thread_name("annals-blob")
            .build()
            .map_err(|error| unavailable(&name, error))?;
        let folder = folder.canonicalize().map_err(|error| unavailable(&name, error))?;
        let shared = Shared { store, folder, runtime: Some(runtime), in_writing: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), files: Cache::new(OPEN_FILES), is_read_only: false })
    }

    fn require_writable(&self, name: &str) -> Result<(), BlobError> {
        check_name(name)?;
        if self.is_read_only { Err(BlobError::unavailable(name, Reason::ReadOnly, None)) } else { Ok(()) }
    }

    /// Opens a file through the store, and keeps it open. One that is deleted meanwhile is not kept: the
    /// deletion takes the cache's place for it away.
    fn file(&self, name: &str) -> Result<Arc<OpenFile>, BlobError> {
        self.files.get_or_insert_with(name, || {
            let (store, path) = (self.shared.store.clone(), object_path(name)?);
            let found = self.shared.run(name, async move { store.get(&path).await })?;
            let found = found.map_err(|error| refused(name, error))?;
            match found.payload {
                GetResultPayload::File(file, _) => Ok(Arc::new(OpenFile { file, bytes: found.meta.size })),
                GetResultPayload::Stream(_) => Err(BlobError::unavailable(name, Reason::Storage, None)),
            }
        })
    }
}

impl Blobs for ObjectBlobs {
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.require_writable(name)?;
        let path = object_path(name)?;
        let place = Place::take(&self.shared, name)?;
        if self.shared.has(name)? {
            return Err(BlobError::Exists { name: name.to_owned() });
        }
        let store = self.shared.store.clone();
        let upload = self.shared.run(name, async move { store.put_multipart(&path).await })?;
        let upload = upload.map_err(|error| refused(name, error))?;
        Ok(Box::new(Writer { place, upload: Some(upload), part: Vec::new(), bytes: 0 }))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        check_name(name)?;
        let open = self.file(name)?;
        // Before anything is allocated: a damaged blob may name any range.
        if range.start.max(range.end) > open.bytes {
            return Err(BlobError::too_short(name, open.bytes, &range));
        }
        let length = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|error| BlobError::unavailable(name, Reason::Storage, Some(error.into())))?;
        let mut bytes = vec![0; length];
        match open.file.read_exact_at(&mut bytes, range.start) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(BlobError::too_short(name, open.bytes, &range))
            }
            Err(error) => Err(unavailable(name, error)),
        }
    }

    fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        let store = self.shared.store.clone();
        let found = self.shared.run("list", async move { store.list_with_delimiter(None).await })?;
        let found = found.map_err(|error| refused("list", error))?;
        let mut blobs: Vec<_> = found
            .objects
            .into_iter()
            .map(|object| BlobInfo { name: object.location.to_string(), bytes: object.size })
            .filter(|blob| is_name(&blob.name))
            .collect();
        blobs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(blobs)
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.require_writable(name)?;
        let (store, path) = (self.shared.store.clone(), object_path(name)?);
        let deleted = self.shared.run(name, async move { store.delete(&path).await })?;
        // After the deletion, so that nobody who opens the file anew finds it.
        self.files.remove(name);
        match deleted {
            Ok(()) => folder::sync(&self.shared.folder).map_err(|error| unknown(name, error)),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(name, error)),
        }
    }
}

impl Shared {
    /// Runs a future on the store's threads. The caller waits on a channel, which knows no runtime.
    fn run<T: Send + 'static>(
        &self,
        name: &str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let (answer, answered) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.runtime {
            // Dropping the answer, as a panic would, is an answer too.
            runtime.spawn(async move { answer.send(future.await).ok() });
        }
        answered.recv().map_err(|error| unknown(name, error))
    }

    fn has(&self, name: &str) -> Result<bool, BlobError> {
        self.folder.join(name).try_exists().map_err(|error| unavailable(name, error))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for its threads is not allowed on a thread of another runtime; nothing is left to do.
            runtime.shutdown_background();
        }
    }
}

/// The right to write a name, for as long as this value lives: the store itself would let two write the
/// same one, and the later overwrite the earlier.
struct Place {
    shared: Arc<Shared>,
    name: String,
}

impl Place {
    fn take(shared: &Arc<Shared>, name: &str) -> Result<Self, BlobError> {
        let mut in_writing = shared.in_writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_writing.insert(name.to_owned()) {
            return Err(BlobError::Exists { name: name.to_owned() });
        }
        Ok(Self { shared: Arc::clone(shared), name: name.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.in_writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

struct Writer {
    place: Place,
    // `None` once it is finished or given up.
    upload: Option<Box<dyn MultipartUpload>>,
    part: Vec<u8>,
    bytes: u64,
}

impl Writer {
    fn hand_over(&mut self) -> Result<(), BlobError> {
        let Place { shared, name } = &self.place;
        let Some(upload) = &mut self.upload else {
            return Err(BlobError::unavailable(name, Reason::Storage, None));
        };
        if self.part.is_empty() {
            return Ok(());
        }
        let written = upload.put_part(PutPayload::from(std::mem::take(&mut self.part)));
        let outcome = shared.run(name, written).and_then(|written| written.map_err(|error| refused(name, error)));
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                self.give_up();
                // Whatever was lost on the way, there is no blob.
                Err(match error {
                    BlobError::Unknown { name, source } => {
                        BlobError::Unavailable { name, reason: Reason::Storage, source }
                    }
                    error => error,
                })
            }
        }
    }

    /// Removes the hidden file, so that its space is free at once; at the latest the next start does.
    fn give_up(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            self.place.shared.run(&self.place.name, async move { upload.abort().await.ok() }).ok();
        }
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        while let Some((now, later)) = bytes.split_at_checked(PART_BYTES - self.part.len()) {
            self.part.extend_from_slice(now);
            self.hand_over()?;
            bytes = later;
        }
        self.part.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        self.hand_over()?;
        let Place { shared, name } = &self.place;
        let Some(mut upload) = self.upload.take() else {
            return Err(BlobError::unavailable(name, Reason::Storage, None));
        };
        match shared.run(name, async move { upload.complete().await })? {
            Ok(_) => Ok(self.bytes),
            // Before the rename there is nothing under the name; after it the folder was not synced.
            Err(error) => Err(match shared.has(name) {
                Ok(false) => {
                    remove_hidden(&shared.folder, Some(name)).ok();
                    refused(name, error)
                }
                _ => unknown(name, error),
            }),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Removes the hidden files of one blob, or of all.
fn remove_hidden(folder: &Path, of: Option<&str>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let is_hidden = file_name.to_str().and_then(|name| name.split_once('#')).is_some_and(|(name, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number && is_name(name) && of.is_none_or(|of| of == name)
        });
        if is_hidden {
            fs::remove_file(entry.path())?;
        }
    }
    folder::sync(folder)
}

/// A name that was checked has no character that the store would write otherwise.
fn object_path(name: &str) -> Result<object_store::path::Path, BlobError> {
    object_store::path::Path::parse(name).map_err(|error| refused(name, error.into()))
}

/// The store did nothing.
fn refused(name: &str, error: object_store::Error) -> BlobError {
    if let object_store::Error::NotFound { .. } = error {
        return BlobError::NotFound { name: name.to_owned() };
    }
    let mut reason = Reason::Storage;
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            reason = Reason::of(error);
        }
        cause = error.source();
    }
    BlobError::unavailable(name, reason, Some(error.into()))
}

fn unavailable(name: &str, error: io::Error) -> BlobError {
    let reason = Reason::of(&error);
    BlobError::unavailable(name, reason, Some(error.into()))
}

fn unknown(name: &str, error: impl Into<Cause>) -> BlobError {
    BlobError::Unknown { name: name.to_owned(), source: Some(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_syncs() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = ObjectBlobs::local(folder.path()).unwrap();
        assert!(format!("{:?}", blobs.shared.store).contains("fsync: true"), "{:?}", blobs.shared.store);
    }
}
