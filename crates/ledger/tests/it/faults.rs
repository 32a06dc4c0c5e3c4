//! Each failure of the journal, twice: as if nothing had happened, and as if all had.

use std::collections::BTreeSet;

use annals_model::{Actor, FaultKind, NewOrganization};
use annals_store::{Fault as Failure, Journal};

use crate::support::{NEVER, all, append_json, ids, ledger, of, until, wait};

/// Fails the journal at each of three appends in turn, then starts anew from what is durable.
fn check(failures: &[Failure], expect_ok: bool) {
    for at in 0..3 {
        let (ledger, store) = ledger(NEVER);
        let mut acknowledged = BTreeSet::new();
        for round in 0..3 {
            if round == at {
                failures.iter().for_each(|failure| store.journal.fail_next(*failure));
            }
            let json = format!(r#"{{"action":"a","id":"e{round}"}}"#);
            let first = append_json(&ledger, "acme", &[&json]);
            assert_eq!(first.is_ok(), round != at || expect_ok, "{failures:?} at {at}: {first:?}");
            let appended = match first {
                Ok(appended) => appended,
                Err(fault) => {
                    assert_eq!(fault.kind, FaultKind::Unavailable);
                    // A result that was found out to be «not written» leaves nothing to wait for.
                    assert_eq!(ledger.health().ready, failures == [Failure::UnknownNotPersisted]);
                    // Once the failures are used up, the same append goes through.
                    let again = (0..5).find_map(|_| append_json(&ledger, "acme", &[&json]).ok());
                    again.expect("the journal works again")
                }
            };
            acknowledged.insert(format!("e{round}"));
            assert_eq!(appended[0].index, round, "{failures:?} at {at}");
            assert!(ledger.health().ready);
            let stored = ids(&all(&ledger, of("acme"), 2));
            assert_eq!(stored.iter().cloned().collect::<BTreeSet<_>>(), acknowledged, "{failures:?} at {at}");
            assert_eq!(stored.len(), acknowledged.len(), "each once");
        }
        let before = all(&ledger, of("acme"), 10);
        ledger.close();
        let reopened = store.reopen().open();
        assert_eq!(all(&reopened, of("acme"), 10), before, "{failures:?} at {at}");
    }
}

#[test]
fn a_commit_that_was_not_written_leaves_no_trace_and_can_be_repeated() {
    check(&[Failure::NotPersisted], false);
    check(&[Failure::UnknownNotPersisted], false);
}

#[test]
fn a_commit_that_was_written_after_all_is_answered_as_done() {
    check(&[Failure::UnknownPersisted], true);
}

#[test]
fn while_a_result_is_unknown_nothing_else_is_committed_and_then_it_is_found_out() {
    let unsettled = [Failure::RecoverFails, Failure::RecoverFails, Failure::RecoverFails, Failure::RecoverFails];
    check(&[&unsettled[..], &[Failure::UnknownPersisted]].concat(), false);
    check(&[&unsettled[..], &[Failure::UnknownNotPersisted]].concat(), false);
}

#[test]
fn the_server_finds_out_by_itself_that_the_journal_works_again() {
    let (ledger, store) = ledger(NEVER);
    store.journal.fail_next(Failure::NotPersisted);
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect_err("unavailable");
    assert!(!ledger.health().ready);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !ledger.health().ready {
        assert!(std::time::Instant::now() < deadline, "still {:?}", ledger.health());
        std::thread::yield_now();
    }
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
}

#[test]
fn on_a_full_disk_readiness_stays_away_until_there_is_room_for_what_was_refused() {
    const ROOM_BYTES: u64 = 20_000;
    let (ledger, store) = ledger(NEVER);
    let journal = &store.journal;
    // Each has a seed, which is random: together they cannot be packed into the room that is left.
    let large: Vec<_> = (0..2_000).map(|at| format!(r#"{{"action":"a","id":"large-{at}"}}"#)).collect();
    let large: Vec<_> = large.iter().map(String::as_str).collect();
    journal.leave_room(Some(ROOM_BYTES));
    append_json(&ledger, "acme", &large).expect_err("refused");
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"small"}"#]).expect("stored");
    let last = journal.last().expect("settled");
    // What is stored in the meantime changes nothing, and neither does time.
    let asked = journal.room_asked_count();
    assert!(asked > 0);
    until("the journal is asked twice more", || {
        let health = ledger.health();
        assert!(!health.ready && health.detail.contains("full"), "{health:?}");
        journal.room_asked_count() > asked + 1
    });
    assert_eq!(journal.last().expect("settled"), last, "nothing was committed to find that out");
    journal.leave_room(None);
    until("readiness comes back", || ledger.health().ready);
    append_json(&ledger, "acme", &large).expect("stored");
    assert!(ledger.health().ready);
}

#[test]
fn a_commit_as_large_as_what_was_refused_shows_that_the_journal_works() {
    let (ledger, store) = ledger(NEVER);
    store.journal.fail_next(Failure::NotPersisted);
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect_err("unavailable");
    let asked = store.journal.room_asked_count();
    let larger: Vec<_> = (0..100).map(|_| r#"{"action":"a"}"#).collect();
    append_json(&ledger, "acme", &larger).expect("stored");
    assert!(ledger.health().ready);
    assert_eq!(store.journal.room_asked_count(), asked);
}

#[test]
fn a_change_of_state_and_its_event_are_one() {
    for (failure, done) in
        [(Failure::NotPersisted, false), (Failure::UnknownNotPersisted, false), (Failure::UnknownPersisted, true)]
    {
        let (ledger, store) = ledger(NEVER);
        let recorded = all(&ledger, of("_system"), 10).len();
        store.journal.fail_next(failure);
        let new = NewOrganization { id: "initech".into(), ..NewOrganization::default() };
        assert_eq!(wait(ledger.create_organization(new, Actor::default())).is_ok(), done, "{failure:?}");
        for ledger in [ledger, store.reopen().open()] {
            assert_eq!(ledger.organization("initech").is_some(), done, "{failure:?}");
            assert_eq!(all(&ledger, of("_system"), 10).len(), recorded + usize::from(done), "{failure:?}");
        }
    }
}

#[test]
fn another_writer_stops_this_one_but_not_its_readers() {
    let (ledger, store) = ledger(NEVER);
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"mine"}"#]).expect("appended");
    append_json(&store.reopen().open(), "acme", &[r#"{"action":"a","id":"theirs"}"#]).expect("appended");
    for _ in 0..2 {
        let fault = append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect_err("conflict");
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
    assert!(!ledger.health().ready);
    assert_eq!(ids(&all(&ledger, of("acme"), 10)), ["mine"]);
}
