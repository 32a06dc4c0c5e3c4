//! The SQLite journal's file: crashes, strangers and other processes.

use std::path::Path;

use annals_store::{Change, Commit, Journal, JournalError, ReadOnlyJournal, Reason, SqliteJournal, StateKind};
use rusqlite::Connection;

use crate::support;

const FILE: &str = "journal.sqlite";
const WAL: &str = "journal.sqlite-wal";

fn commit(sequence: u64) -> Commit {
    support::commit(sequence, 3_000)
}

fn filled(folder: &Path, last: u64) -> SqliteJournal {
    support::filled(folder, last, commit)
}

/// The whole content is that of so many commits.
#[track_caller]
fn check_holds(journal: &dyn Journal, last: u64) {
    let rows = journal.rows(0, usize::MAX).unwrap();
    let expect: Vec<_> = (1..=last).map(|sequence| commit(sequence).payload).collect();
    let found: Vec<_> = rows.into_iter().map(|row| row.payload).collect();
    assert!(found == expect, "{} rows where there should be {last}", found.len());
    let state = journal.state(StateKind::Setting).unwrap();
    let expect: Vec<_> = (last > 0).then(|| ("last".to_owned(), last.to_string().into_bytes())).into_iter().collect();
    assert_eq!(state, expect);
}

#[track_caller]
fn check_refused(result: Result<SqliteJournal, JournalError>, expect: Reason) {
    match result {
        Err(JournalError::Unavailable { reason, .. }) => assert_eq!(reason, expect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_killed_process_leaves_shows_every_acknowledged_commit() {
    let (live, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(live.path(), 20);
    for name in [FILE, WAL] {
        std::fs::copy(live.path().join(name), crashed.path().join(name)).unwrap();
    }
    check_holds(&SqliteJournal::open(crashed.path()).unwrap(), 20);
    check_holds(&journal, 20);
}

#[test]
fn a_wal_that_is_cut_anywhere_shows_whole_commits_from_the_first() {
    let live = tempfile::tempdir().unwrap();
    let journal = filled(live.path(), 6);
    let file = std::fs::read(live.path().join(FILE)).unwrap();
    let wal = std::fs::read(live.path().join(WAL)).unwrap();
    drop(journal);
    let mut previous = 0;
    for bytes in (0..wal.len()).step_by(997).chain([wal.len()]) {
        let crashed = tempfile::tempdir().unwrap();
        std::fs::write(crashed.path().join(FILE), &file).unwrap();
        std::fs::write(crashed.path().join(WAL), &wal[..bytes]).unwrap();
        let journal = SqliteJournal::open(crashed.path()).unwrap();
        let last = journal.last().unwrap();
        check_holds(&journal, last);
        assert!(last >= previous, "{last} commits in {bytes} bytes, {previous} in fewer");
        previous = last;
    }
    assert_eq!(previous, 6);
}

#[test]
fn opening_leaves_nothing_in_the_wal() {
    let (live, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(live.path(), 5);
    for name in [FILE, WAL] {
        std::fs::copy(live.path().join(name), crashed.path().join(name)).unwrap();
    }
    drop(journal);
    let journal = SqliteJournal::open(crashed.path()).unwrap();
    assert_eq!(std::fs::metadata(crashed.path().join(WAL)).unwrap().len(), 0);
    check_holds(&journal, 5);
}

#[test]
fn a_file_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "").unwrap();
    check_holds(&filled(folder.path(), 1), 1);

    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
    drop(connection);
    check_holds(&filled(folder.path(), 1), 1);
}

#[test]
fn another_programs_file_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let check = |sql: &str| {
        std::fs::remove_file(&path).ok();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        check_refused(SqliteJournal::open(folder.path()), Reason::ForeignFile);
        assert!(std::fs::read(&path).unwrap() == before, "changed after {sql}");
    };
    check("CREATE TABLE theirs (number INTEGER)");
    check("PRAGMA user_version = 1");
    check("PRAGMA application_id = 7");
}

#[test]
fn a_newer_releases_file_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 2));
    let path = folder.path().join(FILE);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 4").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the journal is unavailable and nothing was written: it has format version 4 and this \
         annals knows up to 3; start the newer annals"
    );
    assert!(std::fs::read(&path).unwrap() == before, "the file has changed");
}

#[test]
fn an_entry_of_the_small_state_that_was_changed_is_named_and_not_answered() {
    let damages = [
        "UPDATE journal_state SET value = x'00' WHERE key = 'acme'",
        "UPDATE journal_state SET key = 'acne' WHERE key = 'acme'",
        "UPDATE journal_state SET kind = 'key' WHERE key = 'acme'",
        "DELETE FROM journal_state WHERE key = 'acme'",
        "INSERT INTO journal_state VALUES ('organization', 'acme2', x'00')",
        "UPDATE journal_state_check SET checksum = checksum + 1 WHERE key = 'acme'",
        "DELETE FROM journal_state_check WHERE key = 'acme'",
    ];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path()).unwrap();
        let put = |kind, key: &str| Change::Put { kind, key: key.to_owned(), value: b"x".to_vec() };
        let mut commit = support::commit(1, 1);
        commit.changes = vec![put(StateKind::Organization, "acme"), put(StateKind::Head, "globex")];
        journal.commit(&commit).unwrap();
        drop(journal);
        Connection::open(folder.path().join(FILE)).unwrap().execute_batch(damage).unwrap();
        let read = [
            SqliteJournal::open(folder.path()).unwrap().state(StateKind::Organization),
            ReadOnlyJournal::open(folder.path()).unwrap().state(StateKind::Organization),
        ];
        for read in read {
            let error = read.expect_err(damage);
            assert!(matches!(error, JournalError::Corrupt { .. }), "{damage}: {error}");
            assert!(error.to_string().contains("the entry ac"), "{damage}: {error}");
        }
        let others = SqliteJournal::open(folder.path()).unwrap().state(StateKind::Head).unwrap();
        assert_eq!(others.len(), 1, "{damage}");
    }
}

#[test]
fn an_older_releases_state_is_given_checksums() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), 3));
    let path = folder.path().join(FILE);
    let older = "DROP TABLE journal_state_check; PRAGMA user_version = 2; VACUUM";
    Connection::open(&path).unwrap().execute_batch(older).unwrap();
    check_holds(&ReadOnlyJournal::open(folder.path()).unwrap(), 3);
    check_holds(&SqliteJournal::open(folder.path()).unwrap(), 3);
    let checks = "SELECT (SELECT count(*) FROM journal_state) = (SELECT count(*) FROM journal_state_check)";
    let connection = Connection::open(&path).unwrap();
    assert!(connection.query_row(checks, [], |row| row.get::<_, bool>(0)).unwrap());
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let check = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 2));
        change(&folder.path().join(FILE));
        match SqliteJournal::open(folder.path()) {
            Err(JournalError::Corrupt { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    check(&|path| std::fs::write(path, "not a database, but long enough ".repeat(300)).unwrap());
    check(&|path| {
        let sql = "DROP TABLE journal_state";
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    });
    check(&|path| {
        let sql = "ALTER TABLE journal_row ADD COLUMN more TEXT";
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    });
    check(&|path| {
        let sql = "PRAGMA user_version = 0";
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    });
}

#[test]
fn a_missing_row_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let journal = filled(folder.path(), 3);
    let sql = "DELETE FROM journal_row WHERE sequence = 2";
    Connection::open(folder.path().join(FILE)).unwrap().execute_batch(sql).unwrap();
    match journal.rows(0, usize::MAX) {
        Err(JournalError::Corrupt { what, .. }) => assert_eq!(what, "sequence 3 follows 1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_that_does_not_exist_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    match SqliteJournal::open(&absent) {
        Err(JournalError::NotFound { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(!absent.exists());
}

#[test]
fn what_was_deleted_is_not_in_the_file() {
    const NAME: &[u8] = b"somebody's name, which is to be forgotten";
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let key = || "erased".to_owned();
    let kind = StateKind::Setting;
    let changes = vec![Change::Put { kind, key: key(), value: NAME.to_vec() }];
    journal.commit(&Commit { changes, ..commit(1) }).unwrap();
    let is_there = |file: &[u8]| file.windows(NAME.len()).any(|window| window == NAME);
    journal.recover().unwrap();
    assert!(is_there(&std::fs::read(folder.path().join(FILE)).unwrap()));
    let changes = vec![Change::Delete { kind, key: key() }];
    journal.commit(&Commit { changes, ..commit(2) }).unwrap();
    drop(journal);
    assert!(!is_there(&std::fs::read(folder.path().join(FILE)).unwrap()));
    assert_eq!(std::fs::read(folder.path().join(WAL)).unwrap(), []);
}
