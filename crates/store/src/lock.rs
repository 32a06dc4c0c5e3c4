//! The lock that keeps two servers off one data folder.
//!
//! **Invariant:** the lock is the operating system's, not the file's presence: it ends with its
//! holder, even by `kill -9`, and nobody ever has to delete the file.
//! **Invariant:** the file is never removed: a third server could otherwise lock a new file of the
//! same name while the second still waits on the old one.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "lock";

/// The right to use a data folder, for as long as this value lives.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why a data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server holds it.
    #[error("another annals server already uses {}; stop it or choose another --data", folder.display())]
    Held {
        /// The data folder.
        folder: PathBuf,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock the data folder {}; check that it exists and may be written", folder.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl DataLock {
    /// Takes the folder, without waiting.
    ///
    /// # Errors
    /// `Held` if another server has it, `Io` if the file `lock` cannot be made or locked; nothing is
    /// held then.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        let file =
            File::options().create(true).truncate(false).write(true).open(folder.join(FILE_NAME)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
