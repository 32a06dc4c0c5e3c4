//! Opening the journal's file: settings, format, and what a crash left in the WAL.
//!
//! **Invariant:** a file is looked at before it is changed: another program's, or a newer release's,
//! is left as it was.
//! **Invariant:** the tables and the numbers that name the format come into being in one transaction.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::checkpoint;
use super::classify::unwritten;
use crate::journal::{Cause, JournalError, Reason};

pub(super) const FILE_NAME: &str = "journal.sqlite";

/// «ANNL», in the file's header: how `file` and others know whose it is.
pub(super) const APPLICATION_ID: i64 = 0x414e_4e4c;

/// The format of the tables below, in the file's header.
pub(super) const SCHEMA_VERSION: i64 = 1;

/// How long to wait for another process, which may be reading the file or taking a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Never changes; another schema is another version.
const SCHEMA: [(&str, &str); 2] = [
    (
        "journal_row",
        "CREATE TABLE journal_row (\
         sequence INTEGER PRIMARY KEY, \
         position INTEGER NOT NULL, \
         event_count INTEGER NOT NULL, \
         time_recorded_us INTEGER NOT NULL, \
         payload BLOB NOT NULL\
         ) STRICT",
    ),
    (
        "journal_state",
        "CREATE TABLE journal_state (\
         kind TEXT NOT NULL, \
         key TEXT NOT NULL, \
         value BLOB NOT NULL, \
         PRIMARY KEY (kind, key)\
         ) STRICT, WITHOUT ROWID",
    ),
];

/// What a running journal holds open.
pub(super) struct Connections {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) checkpointer: Connection,
}

impl Connections {
    /// Opens, or makes, the file in a folder; what is read afterwards is durable.
    pub(super) fn open(folder: &Path) -> Result<Self, JournalError> {
        let writer = connect(folder)?;
        prepare_format(&writer)?;
        // A process that was killed after a failed sync leaves frames in the WAL that are in the
        // operating system's cache and nowhere else; see `SqliteJournal::recover`.
        checkpoint::complete(&writer)?;
        sync_folder(folder)?;
        let (reader, checkpointer) = (connect(folder)?, connect(folder)?);
        require_wal(&reader)?;
        require_wal(&checkpointer)?;
        checkpointer.busy_timeout(checkpoint::BUSY_TIMEOUT).map_err(unwritten)?;
        Ok(Self { writer, reader, checkpointer })
    }
}

fn connect(folder: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(folder.join(FILE_NAME), flags).map_err(unwritten)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unwritten)?;
    // A connection that closes as the last one would copy the rest of the WAL and take it away, without
    // knowing whether an earlier part was ever synced; see `checkpoint`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unwritten)?;
    // None of these touches the file. `fullfsync` is what makes a sync a sync on macOS, and nothing
    // elsewhere; `secure_delete` overwrites what is deleted, as erasure promises.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; \
             PRAGMA fullfsync = ON; \
             PRAGMA checkpoint_fullfsync = ON; \
             PRAGMA wal_autocheckpoint = 0; \
             PRAGMA secure_delete = ON; \
             PRAGMA cell_size_check = ON; \
             PRAGMA trusted_schema = OFF; \
             PRAGMA temp_store = MEMORY;",
        )
        .map_err(unwritten)?;
    Ok(connection)
}

/// Tells the formats apart, and makes the tables in a new file.
fn prepare_format(connection: &Connection) -> Result<(), JournalError> {
    let is_new = matches!(format(connection)?, Format::Empty);
    require_wal(connection)?;
    if !is_new {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(unwritten)?;
    // Asked again within the transaction: another process may have been quicker.
    let made = format(connection).and_then(|found| match found {
        Format::Empty => create(connection),
        Format::Known => Ok(()),
    });
    match made {
        Ok(()) => connection.execute_batch("COMMIT").map_err(unwritten),
        Err(error) => {
            super::roll_back(connection);
            Err(error)
        }
    }
}

fn create(connection: &Connection) -> Result<(), JournalError> {
    for (_, sql) in SCHEMA {
        connection.execute_batch(sql).map_err(unwritten)?;
    }
    connection
        .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"))
        .map_err(unwritten)
}

enum Format {
    /// A new file, or one whose making was cut short.
    Empty,
    /// The present version's tables.
    Known,
}

fn format(connection: &Connection) -> Result<Format, JournalError> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(unwritten);
    let application_id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application_id == 0 && version == 0 && tables == 0 {
        return Ok(Format::Empty);
    }
    if application_id != APPLICATION_ID {
        return Err(JournalError::unavailable(Reason::ForeignFile));
    }
    if version > SCHEMA_VERSION {
        let reason = Reason::NewerVersion { found: version, known: SCHEMA_VERSION };
        return Err(JournalError::unavailable(reason));
    }
    if version != SCHEMA_VERSION {
        return Err(JournalError::corrupt(format!("there is no schema version {version}")));
    }
    for (name, sql) in SCHEMA {
        let matching = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql = ?2",
                [name, sql],
                |row| row.get::<_, i64>(0),
            )
            .map_err(unwritten)?;
        if matching != 1 {
            return Err(JournalError::corrupt(format!("its table {name} is not version 1's")));
        }
    }
    Ok(Format::Known)
}

/// Sets the mode, which SQLite refuses by answering another one, as on a file system without shared
/// memory.
fn require_wal(connection: &Connection) -> Result<(), JournalError> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(unwritten)?;
    if mode == "wal" {
        return Ok(());
    }
    let cause: Cause = format!("SQLite answered journal mode {mode} where WAL was asked for").into();
    Err(JournalError::Unavailable { reason: Reason::Storage, source: Some(cause) })
}

/// Makes the file's name durable. SQLite does so for its WAL, not for a new database file.
fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    // Elsewhere a folder cannot be opened as a file.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| JournalError::Unavailable { reason: Reason::Storage, source: Some(error.into()) })?;
    }
    Ok(())
}
