//! Opening the journal's file: settings, format, and what a crash left in the WAL.
//!
//! **Invariant:** a file is looked at before it is changed: another program's, or a newer release's,
//! is left as it was.
//! **Invariant:** the tables and the numbers that name the format come into being in one transaction.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::classify::unwritten;
use super::{checkpoint, state, wal};
use crate::folder;
use crate::journal::{Cause, JournalError, Reason};

pub(super) const FILE_NAME: &str = "journal.sqlite";
/// As SQLite names it.
pub(super) const WAL_NAME: &str = "journal.sqlite-wal";

/// «ANNL», in the file's header: how `file` and others know whose it is.
pub(super) const APPLICATION_ID: i64 = 0x414e_4e4c;

/// The format of the tables below, in the file's header.
pub(super) const SCHEMA_VERSION: i64 = 3;

/// How long to wait for another process, which may be reading the file or taking a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A file that can't give space back is written anew where it holds at most so much, since that is done
/// in memory and before anybody is served.
const REWRITE_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How many of the tables each version has, from 1 on.
const VERSIONS: [usize; 3] = [2, 3, SCHEMA.len()];

/// Never changes but by tables at its end, which are another version.
const SCHEMA: [(&str, &str); 4] = [
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
    (
        "journal_floor",
        "CREATE TABLE journal_floor (\
         only INTEGER PRIMARY KEY CHECK (only = 0), \
         sequence INTEGER NOT NULL\
         ) STRICT",
    ),
    (
        "journal_state_check",
        "CREATE TABLE journal_state_check (\
         kind TEXT NOT NULL, \
         key TEXT NOT NULL, \
         checksum INTEGER NOT NULL, \
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
    /// Opens, or makes, the file in a folder, unless its WAL is damaged; what is read afterwards is durable.
    pub(super) fn open(folder: &Path) -> Result<Self, JournalError> {
        wal::check(folder)?;
        let writer = connect(folder)?;
        let found = prepare_file(&writer)?;
        // A process that was killed after a failed sync leaves frames in the WAL that are in the
        // operating system's cache and nowhere else; see `SqliteJournal::recover`. Before anything is
        // written behind them; see `wal`.
        checkpoint::complete(&writer)?;
        make_tables(&writer, found)?;
        // SQLite does so for its WAL's name, not for that of a new database file.
        folder::sync(folder).map_err(JournalError::storage)?;
        if let Err(error) = let_shrink(&writer)
            && !checkpoint::is_passing(&error)
        {
            return Err(error);
        }
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
    set_up(&connection)?;
    Ok(connection)
}

/// The settings of every connection; none of them touches the file.
pub(super) fn set_up(connection: &Connection) -> Result<(), JournalError> {
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unwritten)?;
    // A connection that closes as the last one would copy the rest of the WAL and take it away, without
    // knowing whether an earlier part was ever synced; see `checkpoint`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unwritten)?;
    // `fullfsync` is what makes a sync a sync on macOS, and nothing
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
        .map_err(unwritten)
}

/// Tells the formats apart, and sets the file's modes; how many of the schema's tables are there.
fn prepare_file(connection: &Connection) -> Result<usize, JournalError> {
    let found = tables(connection)?;
    if found == 0 {
        // Before anything is written, or it would take a VACUUM; see `let_shrink`.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(unwritten)?;
    }
    require_wal(connection)?;
    Ok(found)
}

/// Makes the tables that are missing: all in a new file, the later ones in an older release's. A crash
/// leaves the file as it was, or with all of them: they and the numbers that name the format come into
/// being in one transaction.
fn make_tables(connection: &Connection, found: usize) -> Result<(), JournalError> {
    if found == SCHEMA.len() {
        return Ok(());
    }
    super::transact(connection, |connection| {
        // Asked again within the transaction: another process may have been quicker.
        let found = tables(connection)?;
        for (_, sql) in SCHEMA.iter().skip(found) {
            connection.execute_batch(sql).map_err(unwritten)?;
        }
        if found < SCHEMA.len() {
            state::fill_checks(connection)?;
        }
        connection
            .execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            ))
            .map_err(unwritten)
    })
    .map_err(|error| match error {
        // Either way the next opening finds what it expects.
        JournalError::Unknown { source } => JournalError::Unavailable { reason: Reason::Storage, source },
        error => error,
    })
}

/// How many of the schema's tables are there: none in a new file or in one whose making was cut short.
pub(super) fn tables(connection: &Connection) -> Result<usize, JournalError> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(unwritten);
    let application_id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if application_id == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID {
        return Err(JournalError::unavailable(Reason::ForeignFile));
    }
    if version > SCHEMA_VERSION {
        return Err(JournalError::unavailable(Reason::NewerVersion { found: version, known: SCHEMA_VERSION }));
    }
    let count = usize::try_from(version).ok().and_then(|version| VERSIONS.get(version.checked_sub(1)?)).copied();
    let count = count.ok_or_else(|| JournalError::corrupt(format!("there is no schema version {version}")))?;
    for (name, sql) in SCHEMA.iter().take(count) {
        let matching = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql = ?2",
                [name, sql],
                |row| row.get::<_, i64>(0),
            )
            .map_err(unwritten)?;
        if matching != 1 {
            return Err(JournalError::corrupt(format!("its table {name} is not version {version}'s")));
        }
    }
    Ok(count)
}

/// Makes the tables that an older release's file lacks for this connection alone, in memory.
pub(super) fn make_missing_tables(connection: &Connection, found: usize) -> Result<(), JournalError> {
    for (_, sql) in SCHEMA.iter().skip(found) {
        let sql = sql.replacen("CREATE TABLE", "CREATE TEMP TABLE", 1);
        connection.execute_batch(&sql).map_err(unwritten)?;
    }
    if found < SCHEMA.len() { state::fill_checks(connection) } else { Ok(()) }
}

/// Lets a file of an older release, whose free pages stay where they are, give space back. Such a file
/// holds everything that was ever recorded, so it is left alone until most of that was sealed and trimmed.
/// A VACUUM is one transaction: a crash leaves the file as it was.
fn let_shrink(connection: &Connection) -> Result<(), JournalError> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(unwritten);
    let used_pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    let is_small = used_pages.saturating_mul(number("PRAGMA page_size")?) <= REWRITE_BYTES_MAX;
    if number("PRAGMA auto_vacuum")? != 0 || !is_small {
        return Ok(());
    }
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").map_err(unwritten)
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
