//! What only shows from inside: the settings of each connection, failures, and the thread.

use super::checkpoint::{GROWTH_BYTES, RESTART_BYTES};
use super::*;

fn commit(sequence: u64, payload_bytes: usize) -> Commit {
    Commit {
        sequence,
        position: sequence,
        event_count: 1,
        time_recorded_us: 1,
        payload: vec![7; payload_bytes],
        changes: vec![Change::Put { kind: StateKind::Setting, key: "last".to_owned(), value: vec![0; 2] }],
        trim: None,
    }
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[track_caller]
fn check_unavailable<T: std::fmt::Debug>(result: Result<T, JournalError>, expect: Reason) {
    match result {
        Err(JournalError::Unavailable { reason, .. }) => assert_eq!(reason, expect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_connection_syncs_and_none_checkpoints_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let connections = Connections::open(folder.path()).unwrap();
    for connection in [&connections.writer, &connections.reader, &connections.checkpointer] {
        assert_eq!(number(connection, "PRAGMA synchronous"), 2, "FULL");
        assert_eq!(number(connection, "PRAGMA secure_delete"), 1);
        assert_eq!(number(connection, "PRAGMA wal_autocheckpoint"), 0);
        assert_eq!(number(connection, "PRAGMA fullfsync"), 1);
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
    let writer = &connections.writer;
    assert_eq!(number(writer, "PRAGMA application_id"), connection::APPLICATION_ID);
    assert_eq!(number(writer, "PRAGMA user_version"), connection::SCHEMA_VERSION);
}

#[test]
fn a_commit_that_finds_no_room_leaves_neither_row_nor_state_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let limit = |pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        number(lock(&journal.writer).as_ref().unwrap(), &sql);
    };
    limit(10);
    check_unavailable(journal.commit(&commit(1, 100_000)), Reason::FullDisk);
    assert_eq!(journal.last().unwrap(), 0);
    assert_eq!(journal.state(StateKind::Setting).unwrap(), []);
    limit(1_000);
    journal.commit(&commit(1, 100_000)).unwrap();
    assert_eq!(journal.last().unwrap(), 1);
}

#[test]
fn a_commit_behind_another_process_that_does_not_end_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let writer = lock(&journal.writer);
    writer.as_ref().unwrap().busy_timeout(std::time::Duration::ZERO).unwrap();
    drop(writer);
    let other = Connection::open(folder.path().join(connection::FILE_NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    check_unavailable(journal.commit(&commit(1, 1)), Reason::Busy);
    assert_eq!(journal.last().unwrap(), 0, "reads do not wait for it");
    other.execute_batch("ROLLBACK").unwrap();
    journal.commit(&commit(1, 1)).unwrap();
}

#[test]
fn an_unsettled_journal_answers_nothing_until_it_has_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    journal.unsettled.store(true, Ordering::SeqCst);
    check_unavailable(journal.commit(&commit(2, 1)), Reason::Unsettled);
    check_unavailable(journal.rows(0, 1), Reason::Unsettled);
    check_unavailable(journal.state(StateKind::Setting), Reason::Unsettled);
    check_unavailable(journal.last(), Reason::Unsettled);
    check_unavailable(journal.require_room(0), Reason::Unsettled);
    journal.recover().unwrap();
    assert_eq!(journal.last().unwrap(), 1);
    journal.commit(&commit(2, 1)).unwrap();
}

#[test]
fn a_recovery_that_cannot_copy_the_wal_leaves_the_journal_unsettled() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    // A reader in another process that stays at an old state.
    let other = Connection::open(folder.path().join(connection::FILE_NAME)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM journal_row").unwrap();
    journal.commit(&commit(2, 1)).unwrap();
    let writer = lock(&journal.writer);
    writer.as_ref().unwrap().busy_timeout(std::time::Duration::ZERO).unwrap();
    drop(writer);
    check_unavailable(journal.recover(), Reason::Busy);
    check_unavailable(journal.last(), Reason::Unsettled);
    check_unavailable(journal.commit(&commit(3, 1)), Reason::Unsettled);
    other.execute_batch("COMMIT").unwrap();
    journal.recover().unwrap();
    assert_eq!(journal.last().unwrap(), 2);
    journal.commit(&commit(3, 1)).unwrap();
}

#[test]
fn a_recovery_gives_up_a_transaction_that_was_left_open() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    lock(&journal.writer).as_ref().unwrap().execute_batch("BEGIN IMMEDIATE").unwrap();
    check_unavailable(journal.commit(&commit(1, 1)), Reason::Storage);
    check_unavailable(journal.commit(&commit(1, 1)), Reason::Unsettled);
    journal.recover().unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    assert_eq!(journal.last().unwrap(), 1);
}

#[test]
fn growth_wakes_the_thread_which_copies_the_wal() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let bytes = usize::try_from(GROWTH_BYTES).unwrap();
    journal.commit(&commit(1, bytes / 2)).unwrap();
    assert_eq!(journal.checkpoint_status(), CheckpointStatus::default());
    journal.commit(&commit(2, bytes / 2)).unwrap();
    let status = journal.progress.wait_for(1);
    assert_eq!((status.done_count, status.failed_count, status.failure), (1, 0, None));
    let file = folder.path().join(connection::FILE_NAME);
    assert!(std::fs::metadata(file).unwrap().len() > GROWTH_BYTES);
    // And again after a recovery, which starts another thread.
    journal.recover().unwrap();
    journal.commit(&commit(3, bytes)).unwrap();
    assert_eq!(journal.progress.wait_for(2).failed_count, 0);
}

#[test]
fn a_large_wal_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let bytes = usize::try_from(RESTART_BYTES).unwrap();
    journal.commit(&commit(1, bytes)).unwrap();
    let status = journal.progress.wait_for(1);
    assert_eq!((status.wal_bytes, status.failed_count), (0, 0));
    let wal = folder.path().join("journal.sqlite-wal");
    let large = std::fs::metadata(&wal).unwrap().len();
    assert!(large > RESTART_BYTES);
    journal.commit(&commit(2, bytes / 2)).unwrap();
    assert_eq!(std::fs::metadata(&wal).unwrap().len(), large, "its old space is used again");
}

#[test]
fn a_reader_in_the_way_of_a_checkpoint_harms_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let bytes = usize::try_from(RESTART_BYTES).unwrap();
    let other = Connection::open(folder.path().join(connection::FILE_NAME)).unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM journal_row").unwrap();
    journal.commit(&commit(2, bytes)).unwrap();
    let status = journal.progress.wait_for(1);
    assert_eq!(status.failed_count, 0);
    assert!(status.wal_bytes > RESTART_BYTES, "the reader keeps it");
    journal.commit(&commit(3, bytes)).unwrap();
    journal.progress.wait_for(2);
    other.execute_batch("COMMIT").unwrap();
    journal.commit(&commit(4, bytes)).unwrap();
    assert_eq!(journal.progress.wait_for(3).wal_bytes, 0);
    assert_eq!(journal.last().unwrap(), 4);
}

/// How many rows are in the table, below the floor or not, as another process sees it.
fn stored_rows(folder: &Path) -> i64 {
    let other = Connection::open(folder.join(connection::FILE_NAME)).unwrap();
    number(&other, "SELECT count(*) FROM journal_row")
}

fn fill_and_trim(journal: &SqliteJournal, count: u64, payload_bytes: usize) {
    let last = journal.last().unwrap();
    for sequence in last + 1..=last + count {
        journal.commit(&commit(sequence, payload_bytes)).unwrap();
    }
    let sequence = last + count + 1;
    journal.commit(&Commit { trim: Some(sequence - 1), ..commit(sequence, 1) }).unwrap();
}

#[test]
fn trimmed_rows_are_deleted_in_steps_and_their_pages_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let pages = || number(lock(&journal.writer).as_ref().unwrap(), "PRAGMA page_count");
    fill_and_trim(&journal, 50, 110_000);
    let status = journal.progress.wait_for_trim();
    assert_eq!((status.trim_is_due, status.trim_failure, status.failure), (false, None, None));
    assert_eq!(stored_rows(folder.path()), 1);
    let before = pages();
    fill_and_trim(&journal, 50, 110_000);
    journal.progress.wait_for_trim();
    assert!(pages() <= before + 4, "{} pages after {before}", pages());
    assert_eq!(number(lock(&journal.writer).as_ref().unwrap(), "SELECT count(*) FROM pragma_integrity_check"), 1);
}

#[test]
fn a_step_deletes_no_more_than_its_bound_but_one_row_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    *lock(&journal.checkpointer) = None;
    let step_bytes = usize::try_from(trim::STEP_BYTES).unwrap();
    for (sequence, bytes) in (1..).zip([step_bytes / 2, step_bytes / 2, 1, step_bytes * 2, 1, 1]) {
        journal.commit(&commit(sequence, bytes)).unwrap();
    }
    journal.commit(&Commit { trim: Some(6), ..commit(7, 1) }).unwrap();
    for left in [5, 4, 3, 1] {
        let writer = lock(&journal.writer);
        assert!(trim::step(writer.as_ref().unwrap()).unwrap().is_some());
        drop(writer);
        assert_eq!(stored_rows(folder.path()), left);
        assert_eq!(journal.rows(0, usize::MAX).unwrap().len(), 1);
    }
    assert_eq!(trim::step(lock(&journal.writer).as_ref().unwrap()).unwrap(), None);
}

#[test]
fn a_trim_that_was_cut_short_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    *lock(&journal.checkpointer) = None;
    fill_and_trim(&journal, 40, 110_000);
    trim::step(lock(&journal.writer).as_ref().unwrap()).unwrap();
    assert!(stored_rows(folder.path()) > 20);
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!((journal.floor().unwrap(), journal.rows(0, usize::MAX).unwrap().len()), (40, 1));
    journal.progress.wait_for_trim();
    assert_eq!(stored_rows(folder.path()), 1);
}

#[test]
fn space_beyond_what_is_kept_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(connection::FILE_NAME);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    fill_and_trim(&journal, 8, usize::try_from(trim::FREE_BYTES_MAX / 5).unwrap());
    // A live row behind the free pages, which has to move.
    journal.progress.wait_for_trim();
    journal.recover().unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < trim::FREE_BYTES_MAX + 2 * trim::STEP_BYTES, "{bytes} bytes are left");
    assert!(bytes > trim::FREE_BYTES_MAX / 2, "{bytes} bytes are kept for the rows to come");
    assert_eq!(journal.rows(0, usize::MAX).unwrap(), [row_of(commit(9, 1))]);
}

fn row_of(commit: Commit) -> Row {
    let Commit { sequence, position, event_count, time_recorded_us, payload, .. } = commit;
    Row { sequence, position, event_count, time_recorded_us, payload }
}

#[test]
fn a_step_that_fails_is_told_and_harms_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    *lock(&journal.checkpointer) = None;
    fill_and_trim(&journal, 10, 10_000);
    // A trigger stands for whatever refuses the deletion.
    let other = Connection::open(folder.path().join(connection::FILE_NAME)).unwrap();
    other
        .execute_batch("CREATE TRIGGER refuse BEFORE DELETE ON journal_row BEGIN SELECT raise(ABORT, 'no'); END")
        .unwrap();
    let error = trim::step(lock(&journal.writer).as_ref().unwrap());
    journal.progress.record_trim(error);
    assert!(journal.warning().unwrap().contains("they cannot be deleted: no"), "{:?}", journal.warning());
    journal.commit(&commit(12, 1)).unwrap();
    assert_eq!((journal.floor().unwrap(), journal.rows(0, usize::MAX).unwrap().len()), (10, 2));
    other.execute_batch("DROP TRIGGER refuse").unwrap();
    journal.recover().unwrap();
    assert_eq!(journal.progress.wait_for_trim().trim_failure, None);
    assert_eq!(stored_rows(folder.path()), 2);
}

#[test]
fn what_was_trimmed_is_in_neither_file_once_both_are_at_rest() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let name = b"somebody's name, which is to be forgotten";
    let payload = name.repeat(1_000);
    journal.commit(&Commit { payload, ..commit(1, 0) }).unwrap();
    journal.commit(&Commit { trim: Some(1), ..commit(2, 1) }).unwrap();
    journal.progress.wait_for_trim();
    journal.recover().unwrap();
    for file in [connection::FILE_NAME, "journal.sqlite-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        assert!(!bytes.windows(name.len()).any(|window| window == name), "{file} holds it");
    }
}

#[test]
fn a_file_of_version_1_can_give_space_back_after_its_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(connection::FILE_NAME);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/journal-v1/journal.sqlite");
    std::fs::copy(sample, &path).unwrap();
    assert_eq!(number(&Connection::open(&path).unwrap(), "PRAGMA auto_vacuum"), 0);
    drop(SqliteJournal::open(folder.path()).unwrap());
    assert_eq!(number(&Connection::open(&path).unwrap(), "PRAGMA auto_vacuum"), 2, "INCREMENTAL");
}

#[test]
fn a_checkpoint_that_fails_is_told_and_harms_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let bytes = usize::try_from(GROWTH_BYTES).unwrap();
    // SQLite refuses one within a transaction.
    let failing = Connections::open(folder.path()).unwrap().checkpointer;
    failing.execute_batch("BEGIN; SELECT count(*) FROM journal_row").unwrap();
    let (writer, progress) = (Arc::clone(&journal.writer), Arc::clone(&journal.progress));
    *lock(&journal.checkpointer) = None;
    *lock(&journal.checkpointer) = Some(Checkpointer::start(failing, writer, progress).unwrap());

    journal.commit(&commit(1, bytes)).unwrap();
    let status = journal.progress.wait_for(1);
    assert_eq!((status.done_count, status.failed_count), (0, 1));
    let failure = status.failure.unwrap();
    assert!(failure.starts_with("database table is locked"), "{failure}");
    journal.commit(&commit(2, 1)).unwrap();
    assert_eq!(journal.last().unwrap(), 2);
}

#[test]
fn after_the_storage_has_failed_nothing_is_copied_until_all_of_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, wal) = (folder.path().join("journal.sqlite"), folder.path().join("journal.sqlite-wal"));
    let bytes = |path| std::fs::metadata(path).unwrap().len();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal.progress.record(Err(JournalError::unavailable(Reason::Storage)));
    let before = bytes(&file);
    for sequence in 1..=3 {
        journal.commit(&commit(sequence, usize::try_from(GROWTH_BYTES).unwrap())).unwrap();
    }
    drop(journal);
    assert_eq!(bytes(&file), before, "neither by the thread nor at the end");
    assert!(bytes(&wal) > 3 * GROWTH_BYTES);

    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert!(bytes(&file) > 3 * GROWTH_BYTES);
    assert_eq!((journal.last().unwrap(), bytes(&wal)), (3, 0));

    journal.commit(&commit(4, 1)).unwrap();
    journal.progress.record(Err(JournalError::unavailable(Reason::Storage)));
    journal.recover().unwrap();
    assert_eq!((journal.last().unwrap(), bytes(&wal)), (4, 0));
    journal.commit(&commit(5, usize::try_from(GROWTH_BYTES).unwrap())).unwrap();
    let status = journal.progress.wait_for(2);
    assert_eq!((status.done_count, status.failed_count, status.failure), (1, 1, None));
}
