//! The rules of trimming.

use std::thread;

use super::{Place, check_conflict, commit, entry, open, payloads, put, rows_after, settings, with_changes};
use crate::journal::{Commit, Journal, JournalError, Reason};

pub(super) fn a_new_journal_is_trimmed_nowhere(place: &dyn Place) {
    let journal = open(place);
    assert_eq!(journal.floor().unwrap(), 0);
    journal.commit(&commit(1, "a")).unwrap();
    journal.commit(&with_trim(commit(2, "b"), 0)).unwrap();
    assert_eq!(journal.floor().unwrap(), 0);
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a", "b"]);
}

pub(super) fn a_trimmed_row_is_never_shown_again(place: &dyn Place) {
    let journal = open(place);
    for (sequence, payload) in (1..).zip(["a", "b", "c", "d"]) {
        journal.commit(&commit(sequence, payload)).unwrap();
    }
    let check = |journal: &dyn Journal, expect: &[&str]| {
        assert_eq!(journal.floor().unwrap(), 3);
        for after in 0..=3 {
            assert_eq!(payloads(&rows_after(journal, after)), expect, "after {after}");
        }
        assert_eq!(payloads(&rows_after(journal, 4)), expect[1..]);
        // The first row that is left, though the bound is below its size.
        assert_eq!(payloads(&journal.rows(0, 0).unwrap()), expect[..1]);
    };
    journal.commit(&with_trim(commit(5, "e"), 3)).unwrap();
    check(&*journal, &["d", "e"]);
    journal.recover().unwrap();
    check(&*journal, &["d", "e"]);
    drop(journal);
    let journal = open(place);
    check(&*journal, &["d", "e"]);
    journal.commit(&commit(6, "f")).unwrap();
    check(&*journal, &["d", "e", "f"]);
}

pub(super) fn the_last_sequence_outlives_a_trim(place: &dyn Place) {
    for sequence in 1..=10 {
        let journal = open(place);
        assert_eq!(journal.last().unwrap(), sequence - 1);
        let text = sequence.to_string();
        journal.commit(&with_trim(commit(sequence, &text), sequence - 1)).unwrap();
        assert_eq!((journal.last().unwrap(), journal.floor().unwrap()), (sequence, sequence - 1));
        assert_eq!(payloads(&rows_after(&*journal, 0)), [text]);
        check_conflict(&*journal, &commit(sequence, "x"), sequence);
    }
}

pub(super) fn a_trim_is_one_with_its_row_and_state(place: &dyn Place) {
    let journal = open(place);
    journal.commit(&with_changes(commit(1, "a"), [put("segment", "none")])).unwrap();
    let wrong = with_changes(commit(3, "x"), [put("segment", "one")]);
    check_conflict(&*journal, &with_trim(wrong, 1), 1);
    assert_eq!(journal.floor().unwrap(), 0);
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a"]);
    let sealed = with_changes(commit(2, ""), [put("segment", "one")]);
    journal.commit(&with_trim(sealed, 1)).unwrap();
    for journal in [journal, open(place)] {
        assert_eq!(journal.floor().unwrap(), 1);
        assert_eq!(payloads(&rows_after(&*journal, 0)), [""]);
        assert_eq!(settings(&*journal), [entry("segment", "one")]);
    }
}

pub(super) fn a_trim_below_an_earlier_one_changes_nothing(place: &dyn Place) {
    let journal = open(place);
    for sequence in 1..=4 {
        journal.commit(&commit(sequence, "x")).unwrap();
    }
    for (sequence, trim, floor) in [(5, 3, 3), (6, 1, 3), (7, 3, 3), (8, 0, 3), (9, 4, 4)] {
        journal.commit(&with_trim(commit(sequence, "x"), trim)).unwrap();
        assert_eq!(journal.floor().unwrap(), floor, "after trim {trim}");
        let found: Vec<_> = rows_after(&*journal, 0).iter().map(|row| row.sequence).collect();
        assert_eq!(found, (floor + 1..=sequence).collect::<Vec<_>>());
    }
}

pub(super) fn a_trim_that_reaches_its_own_commit_is_refused(place: &dyn Place) {
    let journal = open(place);
    journal.commit(&commit(1, "a")).unwrap();
    for trim in [2, 3, u64::MAX] {
        match journal.commit(&with_trim(commit(2, "x"), trim)) {
            Err(JournalError::Unavailable { reason, .. }) => {
                assert_eq!(reason, Reason::TrimTooFar { trim, sequence: 2 });
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    assert_eq!((journal.last().unwrap(), journal.floor().unwrap()), (1, 0));
}

pub(super) fn readers_see_no_gap_while_rows_are_trimmed(place: &dyn Place) {
    const LAST: u64 = 60;
    let journal = open(place);
    let payload = vec![7; 50_000];
    thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 1..=LAST {
                let trim = Some(sequence.saturating_sub(5));
                journal.commit(&Commit { payload: payload.clone(), trim, ..commit(sequence, "") }).unwrap();
            }
        });
        let mut seen = 0;
        while seen < LAST {
            let floor = journal.floor().unwrap();
            let rows = rows_after(&*journal, 0);
            let later_floor = journal.floor().unwrap();
            let Some(first) = rows.first().map(|row| row.sequence) else { continue };
            assert!((floor..=later_floor).contains(&(first - 1)), "{first} with floor {floor} to {later_floor}");
            let last = first + rows.len() as u64 - 1;
            assert!(rows.iter().map(|row| row.sequence).eq(first..=last), "a gap below {last}");
            assert!(last >= seen && first + 5 >= last, "rows {first} to {last} after {seen}");
            seen = last;
        }
    });
}

fn with_trim(commit: Commit, trim: u64) -> Commit {
    Commit { trim: Some(trim), ..commit }
}
