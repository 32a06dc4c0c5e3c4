//! What is read back at start.

use annals_ledger::{Masking, OpenError, Options};
use annals_model::{Filter, Order, Reach, limits};

use super::ledger;
use crate::support::{Hands, Store, all, append, append_json, event, of, page, query, wait};

#[test]
fn a_ledger_that_is_opened_again_answers_alike() {
    let (ledger, store) = ledger();
    for round in 0..30 {
        store.clock.forward_us(1_000);
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
    let reopened = store.reopen().open();
    assert_eq!(queries.each_ref().map(|query| page(&reopened, query)), before);
    let again = append_json(&reopened, "acme", &[r#"{"action":"a0","id":"0-0"}"#]).expect("appended");
    assert!(again[0].repeated);
    assert_eq!(append_json(&reopened, "acme", &[r#"{"action":"z"}"#]).expect("appended")[0].index, 30 * 34);
}

#[test]
fn times_do_not_decrease_over_a_restart_with_a_clock_set_back() {
    let (ledger, store) = ledger();
    store.clock.forward_us(5_000_000);
    let last = append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended")[0].time_recorded;
    ledger.close();
    let reopened = Store { clock: Hands::new(), ..store.reopen() }.open();
    assert_eq!(append_json(&reopened, "acme", &[r#"{"action":"a"}"#]).expect("appended")[0].time_recorded, last);
}

#[test]
fn the_servers_name_is_fixed_at_the_first_start() {
    let (ledger, store) = ledger();
    assert_eq!(ledger.server_name(), "annals.example");
    ledger.close();
    let with = |name: Option<&str>| {
        let reopened = store.reopen();
        let server_name = name.map(str::to_owned);
        let options = Options { server_name, default_name: "other".into(), ..reopened.options.clone() };
        Store { options, ..reopened }.try_open()
    };
    assert_eq!(with(None).expect("opens").server_name(), "annals.example");
    assert_eq!(with(Some("annals.example")).expect("opens").server_name(), "annals.example");
    assert!(matches!(with(Some("other")), Err(OpenError::Name { .. })), "another name");
}

#[test]
fn a_name_that_cannot_stand_in_an_origin_is_refused() {
    for name in ["", "a b", "a+b", "a\n", &"x".repeat(limits::SERVER_NAME_BYTES_MAX + 1)] {
        let options = Options { server_name: Some(name.into()), ..Options::default() };
        let opened = Store { options, ..Store::new(super::SEAL_EVENTS) }.try_open();
        assert!(matches!(opened, Err(OpenError::BadName { .. })), "{name:?}");
    }
}

#[test]
fn a_closed_ledger_has_committed_what_waited_and_takes_no_more() {
    let (ledger, store) = ledger();
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
    assert_eq!(all(&store.reopen().open(), of("acme"), 100).len(), 20);
}
