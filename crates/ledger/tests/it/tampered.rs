//! Rows that were changed or damaged are refused at start.

use std::sync::Arc;

use annals_ledger::OpenError;
use annals_store::row::{self, RowBody};
use annals_store::{Commit, Journal, MemoryJournal};

use crate::support::{NEVER, Store, append_json, ledger};

/// Copies a journal row by row, with one change to the body of one row.
fn tampered(journal: &MemoryJournal, sequence: u64, change: impl Fn(&mut RowBody)) -> MemoryJournal {
    let copy = MemoryJournal::new();
    for row in journal.rows(0, usize::MAX).expect("rows") {
        let mut body = row::decode(&row.payload).expect("a row");
        if row.sequence == sequence {
            change(&mut body);
        }
        let payload = row::encode(&body).expect("a row");
        let event_count = u32::try_from(body.events.len()).expect("few");
        let (sequence, position, time_recorded_us) = (row.sequence, row.position, row.time_recorded_us);
        copy.commit(&Commit {
            sequence,
            position,
            event_count,
            time_recorded_us,
            payload,
            changes: Vec::new(),
            trim: None,
        })
        .expect("committed");
    }
    copy
}

fn check(change: impl Fn(&mut RowBody), refused: bool) {
    let (ledger, store) = ledger(NEVER);
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"x"}"#, r#"{"action":"b","id":"y"}"#]).expect("appended");
    append_json(&ledger, "acme", &[r#"{"action":"c","id":"z"}"#]).expect("appended");
    ledger.close();
    let journal = Arc::new(tampered(&store.journal, 4, change));
    let opened = Store { journal, ..store }.try_open();
    match opened {
        Ok(_) => assert!(!refused, "was opened"),
        Err(error) => assert!(refused && matches!(error, OpenError::Changed { .. }), "{error:?}"),
    }
}

#[test]
fn a_row_whose_events_are_not_what_was_committed_is_refused() {
    check(|_| {}, false);
    check(|body| body.events.swap(0, 1), true);
    check(|body| body.events[0].canonical = br#"{"action":"A","id":"x"}"#.to_vec(), true);
    check(|body| body.events[0].secret = row::Secret::Seed([9; 16]), true);
    check(|body| body.heads[0].root = [9; 32], true);
    check(|body| body.heads[0].organization = "globex".into(), true);
    check(|body| body.heads[0].first_index = 1, true);
}

#[test]
fn a_wrong_key_of_state_is_named() {
    let (ledger, store) = ledger(NEVER);
    ledger.close();
    let journal = &store.journal;
    let last = journal.last().expect("a sequence");
    let position = journal.rows(last - 1, 0).expect("rows")[0].position + 1;
    let change =
        annals_store::Change::Put { kind: annals_store::StateKind::Key, key: "k1".into(), value: b"{".to_vec() };
    let payload = row::encode(&RowBody::default()).expect("a row");
    journal
        .commit(&Commit {
            sequence: last + 1,
            position,
            event_count: 0,
            time_recorded_us: 0,
            payload,
            changes: vec![change],
            trim: None,
        })
        .expect("committed");
    let error = store.reopen().try_open().map(|_| ()).expect_err("refused");
    assert!(matches!(&error, OpenError::State { entry } if entry == "k1"), "{error:?}");
}
