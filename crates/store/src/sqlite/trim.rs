//! Giving back the space of trimmed rows, on the checkpoints' thread.
//!
//! **Invariant:** a step changes nothing that anybody is shown: its rows lie at or below the floor, which
//! became durable with the commit that trimmed them.
//! **Invariant:** a step holds up a commit for one short transaction, and between two steps there is room
//! for others.
//! **Invariant:** what a row held is overwritten when the row is deleted (`secure_delete`), and no free
//! page holds it any longer.
//!
//! - t0: a commit writes the floor with its row. From now on no reader shows what lies below.
//! - t1, t2, …: steps delete the rows below, the oldest first, some at a time; their pages are free, and
//!   the next commits fill them.
//! - tn: none is left. Where more pages are free than the next rows will soon need, as after a long time
//!   without a trim, steps take pages off the end of the file, and the next checkpoint cuts it.
//!
//! After a crash the thread goes on with what is left: the floor tells. A step that fails, even one of
//! which nobody knows whether it was written, harms no commit: SQLite's index of the WAL ends before it,
//! so the next commit's frames are written over its frames, and are synced on their own. Both outcomes
//! are the same to all readers.

use rusqlite::Connection;

use super::classify::unwritten;
use super::{read, signed, transact};
use crate::journal::JournalError;

/// The payload that one step deletes, but for a single row that has more.
pub(super) const STEP_BYTES: u64 = 1024 * 1024;
/// The free space that the file keeps for the rows to come.
pub(super) const FREE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What is left to do.
enum Work {
    /// Delete all rows up to this sequence.
    Rows { end: u64 },
    /// Give so many free pages back.
    Pages { count: u64 },
}

/// Whether there is a step to take.
pub(super) fn is_due(connection: &Connection) -> Result<bool, JournalError> {
    Ok(next(connection)?.is_some())
}

/// Takes one step, if there is one to take; about how many bytes it added to the WAL.
pub(super) fn step(connection: &Connection) -> Result<Option<u64>, JournalError> {
    // Looked up outside the transaction: rows and free pages only become more by others' doing.
    match next(connection)? {
        None => Ok(None),
        Some(Work::Rows { end }) => transact(connection, |connection| delete(connection, end)).map(Some),
        Some(Work::Pages { count }) => transact(connection, |connection| cut(connection, count)).map(Some),
    }
}

fn next(connection: &Connection) -> Result<Option<Work>, JournalError> {
    let floor = read::floor(connection)?;
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(sequence) FROM journal_row")
        .and_then(|mut min| min.query_row([], |row| row.get(0)))
        .map_err(unwritten)?;
    if first.and_then(|first| u64::try_from(first).ok()).is_some_and(|first| first <= floor) {
        return Ok(Some(Work::Rows { end: floor }));
    }
    let page_bytes = number(connection, "PRAGMA page_size")?;
    let excess_bytes = (number(connection, "PRAGMA freelist_count")? * page_bytes).saturating_sub(FREE_BYTES_MAX);
    // In a file without it, as releases before made them, free pages stay where they are.
    let can_shrink = number(connection, "PRAGMA auto_vacuum")? != 0;
    let count = excess_bytes.min(STEP_BYTES) / page_bytes.max(1);
    Ok((can_shrink && count > 0).then_some(Work::Pages { count }))
}

fn delete(connection: &Connection, end: u64) -> Result<u64, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT sequence, length(payload) FROM journal_row WHERE sequence <= ?1 ORDER BY sequence")
        .map_err(unwritten)?;
    let mut rows = statement.query([signed(end).map_err(unwritten)?]).map_err(unwritten)?;
    let (mut last, mut bytes) = (0_i64, 0_u64);
    while let Some(row) = rows.next().map_err(unwritten)? {
        let with_this = bytes + u64::from(row.get::<_, u32>(1).map_err(unwritten)?);
        if with_this > STEP_BYTES && bytes > 0 {
            break;
        }
        (last, bytes) = (row.get(0).map_err(unwritten)?, with_this);
    }
    connection
        .prepare_cached("DELETE FROM journal_row WHERE sequence <= ?1")
        .and_then(|mut delete| delete.execute([last]))
        .map_err(unwritten)?;
    Ok(bytes)
}

/// A page off the end may hold a row: it is moved to a free one, and so is written.
fn cut(connection: &Connection, count: u64) -> Result<u64, JournalError> {
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({count})")).map_err(unwritten)?;
    let mut rows = vacuum.query([]).map_err(unwritten)?;
    while rows.next().map_err(unwritten)?.is_some() {}
    Ok(STEP_BYTES)
}

fn number(connection: &Connection, sql: &str) -> Result<u64, JournalError> {
    let number: i64 =
        connection.prepare_cached(sql).and_then(|mut ask| ask.query_row([], |row| row.get(0))).map_err(unwritten)?;
    Ok(u64::try_from(number).unwrap_or(0))
}
