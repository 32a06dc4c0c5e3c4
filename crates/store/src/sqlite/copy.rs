//! Copies of a journal, and journals that are only read.
//!
//! **Invariant:** neither writes into the folder that it reads from; a copy of a journal in use adds at
//! most the files beside it through which SQLite's readers and writers find each other.
//! **Invariant:** a copy that was cut short has no journal's name.
//!
//! A copy is made by `VACUUM INTO` rather than by SQLite's backup, which begins again whenever somebody
//! writes. It reads one snapshot, leaves out the free pages, and ends in a file that needs no WAL: it can
//! be read without changing a byte. While it runs, the WAL of a journal in use only grows.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags};

use super::classify::unwritten;
use super::connection::{self, FILE_NAME, WAL_NAME};
use super::{lock, read, state, wal};
use crate::folder;
use crate::journal::{Commit, Journal, JournalError, Reason, Row, StateKind};

/// What a copy is called until it is whole.
const PARTIAL_NAME: &str = "journal.sqlite.partial";

/// Copies the journal of one folder, which another process may be using, into another folder, which is
/// made if it is not there, in one that is. The copy is of one moment, and synced when this answers `Ok`.
///
/// # Errors
/// - `NotFound`: there is no journal in `from_folder`.
/// - `Unavailable` with [`Reason::Occupied`]: there is a journal in `to_folder`; it was not touched.
/// - `Corrupt`: the journal is damaged, or its WAL, so that the copy would lack acknowledged commits. There
///   is no copy.
/// - `Unavailable` else: there is no copy.
pub fn copy_journal(from_folder: &Path, to_folder: &Path) -> Result<(), JournalError> {
    let path = existing(from_folder)?;
    wal::check(from_folder)?;
    let from = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    require_tables(&from)?;
    folder::make(to_folder).map_err(JournalError::storage)?;
    // Absolute, so that SQLite takes no name for a URI.
    let to_folder = to_folder.canonicalize().map_err(JournalError::storage)?;
    let (partial, whole) = (to_folder.join(PARTIAL_NAME), to_folder.join(FILE_NAME));
    if whole.try_exists().map_err(JournalError::storage)? {
        return Err(JournalError::unavailable(Reason::Occupied));
    }
    folder::remove(&partial).map_err(JournalError::storage)?;
    let made = write_copy(&from, &partial).and_then(|()| fs::rename(&partial, &whole).map_err(JournalError::storage));
    if made.is_err() {
        folder::remove(&partial).ok();
    }
    made?;
    folder::sync(&to_folder).map_err(JournalError::storage)
}

/// Whether a folder has a journal that was ever written to; what can't be looked at counts as one.
#[must_use]
pub fn has_journal(folder: &Path) -> bool {
    match fs::metadata(folder.join(FILE_NAME)) {
        Ok(file) => file.len() > 0,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Copies the files of a journal that nobody is using as they are, into a folder where SQLite can write beside
/// them: the file and its WAL, as the third is made anew whenever they are opened.
///
/// # Errors
/// What the system answers; a part of a file may be there.
pub fn copy_journal_files(from_folder: &Path, to_folder: &Path) -> io::Result<()> {
    [FILE_NAME, WAL_NAME].iter().try_for_each(|name| {
        io::copy(&mut File::open(from_folder.join(name))?, &mut File::create(to_folder.join(name))?).map(drop)
    })
}

fn write_copy(from: &Connection, partial: &Path) -> Result<(), JournalError> {
    let name = partial.to_str().ok_or_else(|| JournalError::storage(io::ErrorKind::InvalidFilename.into()))?;
    from.execute("VACUUM INTO ?1", [name]).map_err(unwritten)?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(JournalError::storage)
}

/// A journal that nobody writes to, such as a copy or that of a server that was stopped.
///
/// Commits are refused. Not a byte of the folder changes, and so nothing is locked: a server must not be
/// using the folder.
#[derive(Debug)]
pub struct ReadOnlyJournal {
    connection: Mutex<Connection>,
}

impl ReadOnlyJournal {
    /// Opens the journal in a folder.
    ///
    /// # Errors
    /// - `NotFound`: there is no journal.
    /// - `Unavailable` with [`Reason::Unclean`]: a crash left commits in the WAL, which SQLite cannot
    ///   take in without writing beside it. [`copy_journal`] can, and its copy can be opened here.
    /// - `Unavailable` else: another program's or a newer release's file, or one that cannot be read.
    /// - `Corrupt`: the file or its WAL is not what was written.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = existing(folder)?;
        let wal_bytes = match fs::metadata(folder.join(WAL_NAME)) {
            Ok(wal) => wal.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(JournalError::storage(error)),
        };
        if wal_bytes > 0 {
            wal::check(folder)?;
            return Err(JournalError::unavailable(Reason::Unclean));
        }
        let connection = connect(&immutable(&path)?, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
        let found = require_tables(&connection)?;
        connection::make_missing_tables(&connection, found)?;
        Ok(Self { connection: Mutex::new(connection) })
    }
}

impl Journal for ReadOnlyJournal {
    fn commit(&self, _: &Commit) -> Result<(), JournalError> {
        Err(JournalError::unavailable(Reason::ReadOnly))
    }

    fn rows(&self, after_sequence: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError> {
        read::rows(&lock(&self.connection), after_sequence, bytes_max)
    }

    fn state(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        state::entries(&lock(&self.connection), kind)
    }

    fn last(&self) -> Result<u64, JournalError> {
        read::last(&lock(&self.connection))
    }

    fn floor(&self) -> Result<u64, JournalError> {
        read::floor(&lock(&self.connection))
    }

    fn require_room(&self, _: u64) -> Result<(), JournalError> {
        Err(JournalError::unavailable(Reason::ReadOnly))
    }

    fn recover(&self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// The journal's file in a folder, by its absolute name.
fn existing(folder: &Path) -> Result<PathBuf, JournalError> {
    folder.join(FILE_NAME).canonicalize().map_err(|error| JournalError::NotFound {
        what: format!("journal in {}", folder.display()),
        source: Some(error.into()),
    })
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags).map_err(unwritten)?;
    connection::set_up(&connection)?;
    Ok(connection)
}

/// How many tables there are; an empty file is no journal.
fn require_tables(connection: &Connection) -> Result<usize, JournalError> {
    match connection::tables(connection)? {
        0 => Err(JournalError::NotFound { what: "journal in that file, which is empty".to_owned(), source: None }),
        count => Ok(count),
    }
}

/// The URI under which SQLite trusts that nobody changes the file, and so needs no files beside it.
fn immutable(path: &Path) -> Result<PathBuf, JournalError> {
    let path = path.to_str().ok_or_else(|| JournalError::storage(io::ErrorKind::InvalidFilename.into()))?;
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(format!("file:{escaped}?immutable=1").into())
}
