//! What an error of SQLite means to a caller.
//!
//! **Invariant:** `Unavailable` is answered only where it is certain that nothing was written.
//!
//! # The argument
//!
//! A commit is `BEGIN IMMEDIATE`, statements, `COMMIT`. In WAL mode:
//!
//! - t0 `BEGIN` to the last statement: pages change in memory; where they outgrow it, some are
//!   appended to the WAL, as frames without the commit mark. Whoever opens a WAL ignores what follows
//!   the last frame with that mark. Nothing is written, whatever fails: `Unavailable`.
//! - t1 `COMMIT` begins. It could answer `SQLITE_BUSY`, «when COMMIT fails in this way, the
//!   transaction remains active»: nothing is written, it is rolled back: `Unavailable`.
//! - t2 `COMMIT` appends the remaining frames, the mark on the last one. `SQLITE_FULL`: «a write could
//!   not complete because the disk is full». A frame's checksum goes over that frame and all before,
//!   so a mark whose frame, or an earlier one, is cut short is no mark: `Unavailable`. That holds as
//!   the last frame is the last write: with `POWERSAFE_OVERWRITE`, the default, nothing is padded
//!   after it. (In a WAL that is written over from its beginning again the place of the missing bytes
//!   holds old ones, which would have to be equal, on a file system that needs space to overwrite.
//!   Should that happen, the next commit still overwrites them; after a crash before that one there
//!   would be a whole commit in its right place, as if its answer had been lost on the way.)
//! - t3 `SQLITE_IOERR_WRITE`: by the same argument nothing is written, but a disk that fails to write
//!   a frame is not one to trust about how much it wrote: `Unknown`.
//! - t4 `COMMIT` syncs the WAL. `SQLITE_IOERR_FSYNC`: the frames are whole in the operating system's
//!   cache, and may or may not be on disk, now or later: `Unknown`. File systems that find space only
//!   when they sync report a full disk here, too.
//! - t5 `COMMIT` enters the frames into the WAL index, a shared memory file that may have to grow.
//!   `SQLITE_IOERR_SHMSIZE`, `SQLITE_IOERR_SHMMAP`, `SQLITE_NOMEM`: the commit is on disk, but not in
//!   the index, and so not visible until the WAL is read anew: `Unknown`.
//!
//! Any other error of `COMMIT` could be one that nobody has thought of: `Unknown`.
//!
//! # Source
//! [Result codes](https://sqlite.org/rescode.html), [COMMIT and
//! BUSY](https://sqlite.org/lang_transaction.html), [the WAL's
//! format](https://sqlite.org/fileformat2.html#walformat), and `walFrames` in SQLite's `wal.c`.

use rusqlite::{Error, ErrorCode};

use crate::journal::{JournalError, PAYLOAD_BYTES_MAX, Reason};

/// An error before COMMIT was issued, or of a read or a checkpoint.
pub(super) fn unwritten(error: Error) -> JournalError {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => return corrupt(error),
        // Whether the sequence is free was asked just before, so the index contradicts the table.
        Some(ErrorCode::ConstraintViolation) => return corrupt(error),
        Some(ErrorCode::DiskFull) => Reason::FullDisk,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reason::Busy,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Reason::ReadOnly,
        Some(ErrorCode::TooBig) => Reason::TooLarge { what: "the commit's payload", max: PAYLOAD_BYTES_MAX as u64 },
        Some(_) => Reason::Storage,
        // Not SQLite's, but rusqlite's about what it was given to convert.
        None => match error {
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => return corrupt(error),
            _ => Reason::Storage,
        },
    };
    JournalError::Unavailable { reason, source: Some(error.into()) }
}

/// An error of COMMIT itself.
pub(super) fn at_commit(error: Error) -> JournalError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => {
            unwritten(error)
        }
        _ => JournalError::Unknown { source: Some(error.into()) },
    }
}

fn corrupt(error: Error) -> JournalError {
    JournalError::Corrupt { what: "SQLite cannot make sense of its file".to_owned(), source: Some(error.into()) }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Kind {
        Unavailable(Reason),
        Unknown,
        Corrupt,
    }

    #[track_caller]
    fn check(code: i32, before: Kind, at: Kind) {
        let error = || Error::SqliteFailure(ffi::Error::new(code), None);
        let kind = |error| match error {
            JournalError::Unavailable { reason, .. } => Kind::Unavailable(reason),
            JournalError::Unknown { .. } => Kind::Unknown,
            JournalError::Corrupt { .. } => Kind::Corrupt,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(unwritten(error())), before, "{code} before COMMIT");
        assert_eq!(kind(at_commit(error())), at, "{code} of COMMIT");
    }

    #[test]
    fn only_busy_and_full_are_known_not_to_have_committed() {
        use Kind::{Corrupt, Unavailable, Unknown};
        check(ffi::SQLITE_BUSY, Unavailable(Reason::Busy), Unavailable(Reason::Busy));
        check(ffi::SQLITE_FULL, Unavailable(Reason::FullDisk), Unavailable(Reason::FullDisk));
        check(ffi::SQLITE_IOERR_WRITE, Unavailable(Reason::Storage), Unknown);
        check(ffi::SQLITE_IOERR_FSYNC, Unavailable(Reason::Storage), Unknown);
        check(ffi::SQLITE_IOERR_SHMSIZE, Unavailable(Reason::Storage), Unknown);
        check(ffi::SQLITE_NOMEM, Unavailable(Reason::Storage), Unknown);
        check(ffi::SQLITE_ERROR, Unavailable(Reason::Storage), Unknown);
        check(ffi::SQLITE_READONLY, Unavailable(Reason::ReadOnly), Unknown);
        check(ffi::SQLITE_CORRUPT, Corrupt, Corrupt);
        check(ffi::SQLITE_NOTADB, Corrupt, Corrupt);
    }
}
