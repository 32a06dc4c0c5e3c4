//! The lock that keeps two servers off one data folder, and a server off one that is being checked.
//!
//! **Invariant:** the lock is the operating system's, not the file's presence: it ends with its
//! holder, even by `kill -9`, and nobody ever has to delete the file.
//! **Invariant:** the file is never removed: a third server could otherwise lock a new file of the
//! same name while the second still waits on the old one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "lock";

/// The right to use a data folder, for as long as this value lives.
#[derive(Debug)]
pub struct DataLock {
    // None where there is no file and none can be made.
    _file: Option<File>,
}

/// Why a data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another annals server, or annals fsck, uses {}; stop it or choose another --data", folder.display())]
    Held {
        /// The data folder.
        folder: PathBuf,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock the data folder {}; check that it exists, and its permissions", folder.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl DataLock {
    /// Takes the folder for the one who writes, without waiting.
    ///
    /// # Errors
    /// `Held` if somebody has it, `Io` if the file `lock` cannot be made or locked; nothing is held then.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        Self::of(folder, open(folder, File::options().create(true).truncate(false).write(true)), File::try_lock)
    }

    /// Takes the folder together with all others who only read, without waiting. Where it may not be
    /// written, a file that is there is locked as it is: a server that uses the same folder by another
    /// mount has locked that file. Without one there is nothing to take, as every server makes the file
    /// before anything else.
    ///
    /// # Errors
    /// `Held` if a server has it, `Io` if the file `lock` cannot be opened or locked; nothing is held then.
    pub fn acquire_shared(folder: &Path) -> Result<Self, LockError> {
        let opened = open(folder, File::options().create(true).truncate(false).read(true).write(true));
        let opened = match opened {
            Err(error) if is_unwritable(&error) => match open(folder, File::options().read(true)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { _file: None }),
                opened => opened,
            },
            opened => opened,
        };
        Self::of(folder, opened, File::try_lock_shared)
    }

    fn of(
        folder: &Path,
        opened: io::Result<File>,
        take: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        let file = opened.map_err(failed)?;
        match take(&file) {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn open(folder: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(folder.join(FILE_NAME))
}

fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}
