//! The failures of the journal in memory: each as «did not happen» and as «did».

use annals_store::{Change, Commit, Fault, Journal, JournalError, MemoryJournal, Reason, StateKind};

fn commit(sequence: u64) -> Commit {
    Commit {
        sequence,
        position: sequence,
        event_count: 1,
        time_recorded_us: 1,
        payload: vec![1],
        changes: vec![Change::Put { kind: StateKind::Key, key: sequence.to_string(), value: vec![1] }],
        trim: None,
    }
}

#[track_caller]
fn check_holds(journal: &dyn Journal, expect: u64) {
    assert_eq!(journal.last().unwrap(), expect);
    assert_eq!(journal.rows(0, usize::MAX).unwrap().len() as u64, expect);
    assert_eq!(journal.state(StateKind::Key).unwrap().len() as u64, expect);
}

#[track_caller]
fn check_unavailable<T: std::fmt::Debug>(result: Result<T, JournalError>, expect: Reason) {
    match result {
        Err(JournalError::Unavailable { reason, .. }) => assert_eq!(reason, expect),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_refuses_everything(journal: &dyn Journal) {
    check_unavailable(journal.commit(&commit(2)), Reason::Unsettled);
    check_unavailable(journal.rows(0, 1), Reason::Unsettled);
    check_unavailable(journal.state(StateKind::Key), Reason::Unsettled);
    check_unavailable(journal.last(), Reason::Unsettled);
    check_unavailable(journal.require_room(0), Reason::Unsettled);
}

#[track_caller]
fn check_unknown(fault: Fault, expect_last: u64) {
    for recover in [true, false] {
        let mut journal = MemoryJournal::new();
        journal.commit(&commit(1)).unwrap();
        journal.fail_next(fault);
        match journal.commit(&commit(2)) {
            Err(JournalError::Unknown { .. }) => {}
            other => panic!("{other:?}"),
        }
        check_refuses_everything(&journal);
        if recover {
            journal.recover().unwrap();
        } else {
            journal = journal.reopen();
        }
        check_holds(&journal, expect_last);
        journal.commit(&commit(expect_last + 1)).unwrap();
        check_holds(&journal, expect_last + 1);
    }
}

#[test]
fn an_unavailable_commit_was_not_written_and_can_be_tried_again() {
    let journal = MemoryJournal::new();
    journal.fail_next(Fault::NotPersisted);
    check_unavailable(journal.commit(&commit(1)), Reason::Storage);
    check_holds(&journal, 0);
    journal.commit(&commit(1)).unwrap();
    check_holds(&journal, 1);
}

#[test]
fn a_commit_beyond_the_room_that_is_left_is_refused() {
    let journal = MemoryJournal::new();
    let bytes = commit(1).bytes_max();
    journal.leave_room(Some(bytes - 1));
    check_unavailable(journal.require_room(bytes), Reason::FullDisk);
    check_unavailable(journal.commit(&commit(1)), Reason::FullDisk);
    check_holds(&journal, 0);
    journal.require_room(bytes - 1).unwrap();
    journal.leave_room(Some(bytes));
    journal.require_room(bytes).unwrap();
    journal.commit(&commit(1)).unwrap();
    journal.leave_room(None);
    journal.require_room(u64::MAX).unwrap();
    assert_eq!(journal.room_asked_count(), 4);
}

#[test]
fn an_unknown_commit_that_did_not_happen_is_gone_after_recovery() {
    check_unknown(Fault::UnknownNotPersisted, 1);
}

#[test]
fn an_unknown_commit_that_did_happen_is_there_after_recovery() {
    check_unknown(Fault::UnknownPersisted, 2);
}

#[test]
fn a_trim_shares_the_fate_of_its_commit() {
    for (fault, expect_floor) in [
        (None, 2),
        (Some(Fault::NotPersisted), 0),
        (Some(Fault::UnknownNotPersisted), 0),
        (Some(Fault::UnknownPersisted), 2),
    ] {
        let journal = MemoryJournal::new();
        journal.commit(&commit(1)).unwrap();
        journal.commit(&commit(2)).unwrap();
        fault.into_iter().for_each(|fault| journal.fail_next(fault));
        let outcome = journal.commit(&Commit { trim: Some(2), ..commit(3) });
        assert_eq!(outcome.is_ok(), fault.is_none());
        if fault.is_some_and(|fault| fault != Fault::NotPersisted) {
            check_unavailable(journal.floor(), Reason::Unsettled);
        }
        journal.recover().unwrap();
        assert_eq!(journal.floor().unwrap(), expect_floor, "{fault:?}");
        let rows: Vec<_> = journal.rows(0, usize::MAX).unwrap().iter().map(|row| row.sequence).collect();
        let expect = if expect_floor == 2 { vec![3] } else { vec![1, 2] };
        assert_eq!(rows, expect, "{fault:?}");
    }
}

#[test]
fn a_recovery_that_fails_leaves_the_journal_unsettled() {
    let journal = MemoryJournal::new();
    journal.commit(&commit(1)).unwrap();
    journal.fail_next(Fault::UnknownPersisted);
    journal.fail_next(Fault::RecoverFails);
    journal.commit(&commit(2)).unwrap_err();
    check_unavailable(journal.recover(), Reason::Storage);
    check_refuses_everything(&journal);
    journal.recover().unwrap();
    check_holds(&journal, 2);
}

#[test]
fn faults_come_in_their_order_and_once() {
    let journal = MemoryJournal::new();
    journal.fail_next(Fault::NotPersisted);
    journal.fail_next(Fault::UnknownPersisted);
    check_unavailable(journal.commit(&commit(1)), Reason::Storage);
    journal.commit(&commit(1)).unwrap_err();
    journal.recover().unwrap();
    journal.commit(&commit(2)).unwrap();
    check_holds(&journal, 2);
}

#[test]
fn a_conflict_uses_up_no_fault() {
    let journal = MemoryJournal::new();
    journal.fail_next(Fault::NotPersisted);
    match journal.commit(&commit(7)) {
        Err(JournalError::Conflict { refused: 7, last: 0 }) => {}
        other => panic!("{other:?}"),
    }
    check_unavailable(journal.commit(&commit(1)), Reason::Storage);
}

#[test]
#[should_panic(expected = "begins at position 1, but the row before ends at 2")]
fn positions_that_overlap_are_the_callers_mistake() {
    let journal = MemoryJournal::new();
    journal.commit(&commit(1)).unwrap();
    journal.commit(&Commit { position: 1, ..commit(2) }).ok();
}
