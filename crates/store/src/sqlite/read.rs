//! What is asked of a connection, by the journal in use and by one that is only read.
//!
//! **Invariant:** the floor and the rows above it are of one snapshot: the trim is a sequence that every
//! reader heeds, and the rows below it are deleted only later, in steps.

use rusqlite::Connection;

use super::classify::unwritten;
use crate::journal::{JournalError, Row};

pub(super) fn last(connection: &Connection) -> Result<u64, JournalError> {
    connection
        .prepare_cached("SELECT max(sequence) FROM journal_row")
        .and_then(|mut max| max.query_row([], |row| row.get::<_, Option<i64>>(0)))
        .map_err(unwritten)
        .and_then(|last| last.map_or(Ok(0), unsigned))
}

pub(super) fn floor(connection: &Connection) -> Result<u64, JournalError> {
    connection
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM journal_floor")
        .and_then(|mut floor| floor.query_row([], |row| row.get(0)))
        .map_err(unwritten)
        .and_then(unsigned)
}

pub(super) fn rows(connection: &Connection, after_sequence: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError> {
    // No row has a sequence beyond the largest signed number.
    let after = i64::try_from(after_sequence).unwrap_or(i64::MAX);
    let mut statement = connection
        .prepare_cached(
            "WITH start (after) AS (SELECT max(?1, coalesce(max(sequence), 0)) FROM journal_floor) \
             SELECT sequence, position, event_count, time_recorded_us, length(payload), payload, \
             (SELECT after FROM start) \
             FROM journal_row WHERE sequence > (SELECT after FROM start) ORDER BY sequence",
        )
        .map_err(unwritten)?;
    let mut found = statement.query([after]).map_err(unwritten)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0_u64;
    while let Some(row) = found.next().map_err(unwritten)? {
        // The length alone, so that a payload that is one too many is not read from the disk.
        bytes += u64::from(row.get::<_, u32>(4).map_err(unwritten)?);
        if bytes > bytes_max as u64 && !rows.is_empty() {
            break;
        }
        let sequence = unsigned(row.get(0).map_err(unwritten)?)?;
        let previous = match rows.last() {
            Some(previous) => previous.sequence,
            None => unsigned(row.get(6).map_err(unwritten)?)?,
        };
        if previous + 1 != sequence {
            return Err(JournalError::corrupt(format!("sequence {sequence} follows {previous}")));
        }
        rows.push(Row {
            sequence,
            position: unsigned(row.get(1).map_err(unwritten)?)?,
            event_count: row.get(2).map_err(unwritten)?,
            time_recorded_us: unsigned(row.get(3).map_err(unwritten)?)?,
            payload: row.get(5).map_err(unwritten)?,
        });
    }
    Ok(rows)
}

fn unsigned(number: i64) -> Result<u64, JournalError> {
    u64::try_from(number).map_err(|_| JournalError::corrupt(format!("a negative number, {number}, in a row")))
}
