//! The small state, each entry with a checksum: nothing else would tell that a bit of an organization, a key or a
//! head has changed.
//!
//! The checksum is the 64 bits of XXH3 over kind, key and value, each with its length before it (8 bytes,
//! little-endian), kept as a signed number.
//!
//! **Invariant:** an entry and its checksum are written, and deleted, in the same transaction.
//! **Invariant:** an entry that was changed, added or lost otherwise is never answered: its kind is `Corrupt`.

use rusqlite::{Connection, params};
use xxhash_rust::xxh3::Xxh3;

use super::classify::unwritten;
use crate::journal::{JournalError, StateKind};

/// The entries of a kind, by key.
pub(super) fn entries(connection: &Connection, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
    let damaged = |key: &str| {
        JournalError::corrupt(format!(
            "the entry {} of its {}s is not what was written",
            key.escape_debug(),
            kind.name()
        ))
    };
    let mut statement = connection
        .prepare_cached(
            "SELECT key, value, checksum FROM journal_state LEFT JOIN journal_state_check USING (kind, key) \
             WHERE kind = ?1 ORDER BY key",
        )
        .map_err(unwritten)?;
    let mut rows = statement.query([kind.name()]).map_err(unwritten)?;
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    while let Some(row) = rows.next().map_err(unwritten)? {
        let (key, value): (String, Vec<u8>) = (row.get(0).map_err(unwritten)?, row.get(1).map_err(unwritten)?);
        if row.get::<_, Option<i64>>(2).map_err(unwritten)? != Some(checksum(kind.name(), &key, &value)) {
            return Err(damaged(&key));
        }
        entries.push((key, value));
    }
    // One whose kind or key has changed is missed under the old one.
    let mut statement = connection
        .prepare_cached(
            "SELECT key FROM journal_state_check AS kept WHERE kind = ?1 \
             AND NOT EXISTS (SELECT 1 FROM journal_state WHERE kind = kept.kind AND key = kept.key) LIMIT 1",
        )
        .map_err(unwritten)?;
    let mut lost = statement.query([kind.name()]).map_err(unwritten)?;
    match lost.next().map_err(unwritten)? {
        Some(row) => Err(damaged(&row.get::<_, String>(0).map_err(unwritten)?)),
        None => Ok(entries),
    }
}

pub(super) fn put(connection: &Connection, kind: StateKind, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO journal_state (kind, key, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![kind.name(), key, value])?;
    put_check(connection, kind.name(), key, value)
}

pub(super) fn delete(connection: &Connection, kind: StateKind, key: &str) -> rusqlite::Result<()> {
    for table in [
        "DELETE FROM journal_state WHERE kind = ?1 AND key = ?2",
        "DELETE FROM journal_state_check WHERE kind = ?1 AND key = ?2",
    ] {
        connection.prepare_cached(table)?.execute(params![kind.name(), key])?;
    }
    Ok(())
}

/// Makes the checksums of a release that kept none: of what is there.
pub(super) fn fill_checks(connection: &Connection) -> Result<(), JournalError> {
    let mut statement = connection.prepare("SELECT kind, key, value FROM journal_state").map_err(unwritten)?;
    let mut rows = statement.query([]).map_err(unwritten)?;
    while let Some(row) = rows.next().map_err(unwritten)? {
        let [kind, key] = [row.get::<_, String>(0), row.get(1)].map(|text| text.map_err(unwritten));
        let value: Vec<u8> = row.get(2).map_err(unwritten)?;
        put_check(connection, &kind?, &key?, &value).map_err(unwritten)?;
    }
    Ok(())
}

fn put_check(connection: &Connection, kind: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO journal_state_check (kind, key, checksum) VALUES (?1, ?2, ?3) \
             ON CONFLICT (kind, key) DO UPDATE SET checksum = excluded.checksum",
        )?
        .execute(params![kind, key, checksum(kind, key, value)])
        .map(drop)
}

fn checksum(kind: &str, key: &str, value: &[u8]) -> i64 {
    let mut hash = Xxh3::new();
    for part in [kind.as_bytes(), key.as_bytes(), value] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest().cast_signed()
}
