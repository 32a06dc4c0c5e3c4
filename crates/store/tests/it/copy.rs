//! Copies of journals, and journals that are only read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use annals_store::{Commit, Journal, JournalError, ReadOnlyJournal, Reason, SqliteJournal, StateKind, copy_journal};

use crate::support;

fn commit(sequence: u64) -> Commit {
    Commit { trim: sequence.checked_sub(30), ..support::commit(sequence, 20_000) }
}

fn filled(folder: &Path, last: u64) -> SqliteJournal {
    support::filled(folder, last, commit)
}

/// Of one moment: rows, state and floor agree.
#[track_caller]
fn check_whole(journal: &dyn Journal) -> u64 {
    let last = journal.last().unwrap();
    let floor = last.saturating_sub(30);
    assert_eq!(journal.floor().unwrap(), floor);
    let rows = journal.rows(0, usize::MAX).unwrap();
    assert!(rows.iter().map(|row| row.sequence).eq(floor + 1..=last));
    assert!(rows.iter().all(|row| row.payload == commit(row.sequence).payload));
    let state = journal.state(StateKind::Setting).unwrap();
    let expect = (last > 0).then(|| ("last".to_owned(), last.to_string().into_bytes()));
    assert_eq!(state, expect.into_iter().collect::<Vec<_>>());
    last
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

#[track_caller]
fn check_refused<T>(result: Result<T, JournalError>, expect: Reason) {
    match result.map(drop) {
        Err(JournalError::Unavailable { reason, .. }) => assert_eq!(reason, expect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copy_is_whole_and_can_be_used() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(from.path(), 50);
    let target = to.path().join("made");
    copy_journal(from.path(), &target).unwrap();
    assert_eq!(files(&target).into_keys().collect::<Vec<_>>(), ["journal.sqlite"]);
    assert_eq!(check_whole(&ReadOnlyJournal::open(&target).unwrap()), 50);
    let copied = SqliteJournal::open(&target).unwrap();
    copied.commit(&commit(51)).unwrap();
    assert_eq!(check_whole(&copied), 51);
    assert_eq!(check_whole(&journal), 50);
}

#[test]
fn copies_of_a_journal_in_use_are_each_of_one_moment() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(from.path(), 1);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 2.. {
                journal.commit(&commit(sequence)).unwrap();
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let mut seen = 0;
        for round in 0..10 {
            let target = to.path().join(round.to_string());
            copy_journal(from.path(), &target).unwrap();
            let last = check_whole(&ReadOnlyJournal::open(&target).unwrap());
            assert!(last >= seen, "{last} after {seen}");
            seen = last;
        }
        stop.store(true, Ordering::SeqCst);
    });
    check_whole(&journal);
}

#[test]
fn a_copy_does_not_change_the_journals_own_files() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(from.path(), 5);
    let mut before = files(from.path());
    copy_journal(from.path(), to.path()).unwrap();
    let mut after = files(from.path());
    // Shared memory, in which readers announce themselves.
    before.remove("journal.sqlite-shm");
    after.remove("journal.sqlite-shm");
    assert!(before == after, "a file has changed");
    assert_eq!(check_whole(&journal), 5);
}

#[test]
fn a_copy_of_what_a_crash_left_has_all_that_was_acknowledged() {
    let [live, crashed, to] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let journal = filled(live.path(), 20);
    for (name, bytes) in files(live.path()).into_iter().filter(|(name, _)| !name.ends_with("-shm")) {
        std::fs::write(crashed.path().join(name), bytes).unwrap();
    }
    drop(journal);
    check_refused(ReadOnlyJournal::open(crashed.path()), Reason::Unclean);
    copy_journal(crashed.path(), to.path()).unwrap();
    assert_eq!(check_whole(&ReadOnlyJournal::open(to.path()).unwrap()), 20);
    assert_eq!(check_whole(&SqliteJournal::open(crashed.path()).unwrap()), 20);
}

#[test]
fn a_copy_overwrites_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _journal = filled(from.path(), 2);
    std::fs::write(to.path().join("journal.sqlite"), "precious").unwrap();
    check_refused(copy_journal(from.path(), to.path()), Reason::Occupied);
    assert_eq!(files(to.path()), BTreeMap::from([("journal.sqlite".to_owned(), b"precious".to_vec())]));
}

#[test]
fn what_an_earlier_copy_left_is_replaced() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _journal = filled(from.path(), 2);
    std::fs::write(to.path().join("journal.sqlite.partial"), "half").unwrap();
    copy_journal(from.path(), to.path()).unwrap();
    assert_eq!(files(to.path()).into_keys().collect::<Vec<_>>(), ["journal.sqlite"]);
}

#[test]
fn where_there_is_no_journal_nothing_is_made() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = to.path().join("made");
    let is_not_found = |result: Result<(), _>| matches!(result, Err(JournalError::NotFound { .. }));
    assert!(is_not_found(copy_journal(from.path(), &target)));
    assert!(is_not_found(ReadOnlyJournal::open(from.path()).map(drop)));
    std::fs::write(from.path().join("journal.sqlite"), "").unwrap();
    assert!(is_not_found(copy_journal(from.path(), &target)));
    assert!(is_not_found(ReadOnlyJournal::open(from.path()).map(drop)));
    assert!(files(to.path()).is_empty());
}

#[test]
fn reading_a_stopped_servers_journal_changes_not_a_byte() {
    let folder = tempfile::Builder::new().prefix("a%41 b?c#d").tempdir().unwrap();
    drop(filled(folder.path(), 40));
    let before = files(folder.path());
    let journal = ReadOnlyJournal::open(folder.path()).unwrap();
    assert_eq!(check_whole(&journal), 40);
    check_refused(journal.commit(&commit(41)), Reason::ReadOnly);
    check_refused(journal.require_room(0), Reason::ReadOnly);
    journal.recover().unwrap();
    drop(journal);
    assert!(files(folder.path()) == before, "a file has changed");
}
