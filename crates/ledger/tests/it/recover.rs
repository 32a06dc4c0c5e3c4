//! What is read back at start.

use std::sync::Arc;

use annals_ledger::{Masking, OpenError};
use annals_model::{Filter, Order, Reach, limits};
use annals_store::row::{self, RowBody};
use annals_store::{Commit, Journal, MemoryJournal};

use crate::support::{Hands, all, append, append_json, event, ledger, of, open, page, query, try_open, wait};

#[test]
fn a_ledger_that_is_opened_again_answers_alike() {
    let (ledger, journal, clock) = ledger();
    for round in 0..30 {
        clock.forward_us(1_000);
        let events = (0..100).map(|at| {
            event(
                if at % 3 == 0 { "acme" } else { "globex" },
                &format!(r#"{{"action":"a{}","id":"{round}-{at}"}}"#, at % 7),
            )
        });
        append(&ledger, events.collect()).expect("appended");
    }
    let queries = [Order::newest(), Order::oldest(), Order::occurred()]
        .map(|order| query(Reach::All, Filter::default(), order, 1_000));
    let before = queries.each_ref().map(|query| page(&ledger, query));
    ledger.close();
    let reopened = open(Arc::new(journal.reopen()), clock);
    assert_eq!(queries.each_ref().map(|query| page(&reopened, query)), before);
    let again = append_json(&reopened, "acme", &[r#"{"action":"a0","id":"0-0"}"#]).expect("appended");
    assert!(again[0].repeated);
    assert_eq!(append_json(&reopened, "acme", &[r#"{"action":"z"}"#]).expect("appended")[0].index, 30 * 34);
}

#[test]
fn times_do_not_decrease_over_a_restart_with_a_clock_set_back() {
    let (ledger, journal, clock) = ledger();
    clock.forward_us(5_000_000);
    let last = append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended")[0].time_recorded;
    ledger.close();
    let reopened = open(Arc::new(journal.reopen()), Hands::new());
    assert_eq!(append_json(&reopened, "acme", &[r#"{"action":"a"}"#]).expect("appended")[0].time_recorded, last);
}

#[test]
fn the_servers_name_is_fixed_at_the_first_start() {
    let (ledger, journal, clock) = ledger();
    assert_eq!(ledger.server_name(), "annals.example");
    ledger.close();
    let with = |name: Option<&str>| {
        let options = annals_ledger::Options {
            server_name: name.map(str::to_owned),
            default_name: "other".into(),
            ..Default::default()
        };
        annals_ledger::Ledger::open(
            Arc::new(journal.reopen()),
            Arc::clone(&clock) as Arc<dyn annals_ledger::Clock>,
            options,
        )
    };
    assert_eq!(with(None).expect("opens").server_name(), "annals.example");
    assert_eq!(with(Some("annals.example")).expect("opens").server_name(), "annals.example");
    assert!(matches!(with(Some("other")), Err(OpenError::Name { .. })), "another name");
}

#[test]
fn a_name_that_cannot_stand_in_an_origin_is_refused() {
    for name in ["", "a b", "a+b", "a\n", &"x".repeat(limits::SERVER_NAME_BYTES_MAX + 1)] {
        let options = annals_ledger::Options { server_name: Some(name.into()), ..Default::default() };
        let opened = annals_ledger::Ledger::open(Arc::new(MemoryJournal::new()), Hands::new(), options);
        assert!(matches!(opened, Err(OpenError::BadName { .. })), "{name:?}");
    }
}

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
        copy.commit(&Commit { sequence, position, event_count, time_recorded_us, payload, changes: Vec::new() })
            .expect("committed");
    }
    copy
}

fn check(change: impl Fn(&mut RowBody), refused: bool) {
    let (ledger, journal, clock) = ledger();
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"x"}"#, r#"{"action":"b","id":"y"}"#]).expect("appended");
    append_json(&ledger, "acme", &[r#"{"action":"c","id":"z"}"#]).expect("appended");
    ledger.close();
    let opened = try_open(Arc::new(tampered(&journal, 4, change)), clock);
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
    let (ledger, journal, clock) = ledger();
    ledger.close();
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
        })
        .expect("committed");
    let error = try_open(Arc::new(journal.reopen()), clock).map(|_| ()).expect_err("refused");
    assert!(matches!(&error, OpenError::State { entry } if entry == "k1"), "{error:?}");
}

#[test]
fn a_closed_ledger_has_committed_what_waited_and_takes_no_more() {
    let (ledger, journal, clock) = ledger();
    let pending: Vec<_> = (0..20)
        .map(|at| {
            ledger
                .prepare(vec![event("acme", &format!(r#"{{"action":"a","id":"{at}"}}"#))], Masking::Apply)
                .expect("prepared")
        })
        .collect();
    wait(async {
        for prepared in pending {
            ledger.append(prepared).await.expect("appended");
        }
    });
    ledger.close();
    assert!(append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).is_err());
    assert!(!ledger.health().ready);
    assert_eq!(all(&open(Arc::new(journal.reopen()), clock), of("acme"), 100).len(), 20);
}
