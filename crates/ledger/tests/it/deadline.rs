//! A query has its time.

use annals_ledger::Ledger;
use annals_model::{Export, FacetQuery, Fault, FaultKind, Field, Filter, HistogramQuery, Order, Reach, limits};

use crate::model::{Dice, LOGS, Model, made};
use crate::support::{NEVER, Store, append, create, of, page, query};

/// A ledger with some hundred events, sealed or frozen.
fn filled(seal_events: u64) -> (Ledger, Store, Model) {
    let mut store = Store::new(seal_events);
    // Nothing stays in the cache, so that each query reads pages.
    store.options.cache_bytes = 0;
    let ledger = store.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let mut model = Model::of(&ledger);
    for batch in 0..40 {
        let events: Vec<_> = (0..10).map(|at| made(batch * 10 + at)).collect();
        let appended = append(&ledger, events.clone()).expect("appended");
        model.follow(&events, &appended);
    }
    (ledger, store, model)
}

#[test]
fn a_query_that_takes_longer_than_it_may_says_so_and_the_next_one_has_its_own_time() {
    let (ledger, store, model) = filled(20);
    store.settle(&ledger);
    let mut filter = Filter::default();
    filter.add(Field::ActorName, "~ku").expect("short");
    let ask = |filter: &Filter| -> Vec<Result<(), Fault>> {
        let (reach, filter) = (of("acme"), filter.clone());
        let facet = FacetQuery { reach: reach.clone(), filter: filter.clone(), field: Field::Action, limit: 10 };
        let export = Export { reach: reach.clone(), filter: filter.clone(), order: Order::occurred() };
        vec![
            ledger.page(&query(reach.clone(), filter.clone(), Order::newest(), 10)).map(drop),
            ledger.page(&query(Reach::All, filter.clone(), Order::occurred(), 0)).map(drop),
            ledger.facet(&facet).map(drop),
            ledger.histogram(&HistogramQuery { reach, filter, buckets: 10 }).map(drop),
            ledger.export(&export).and_then(|mut reader| reader.next_batch()).map(drop),
        ]
    };
    for filter in [Filter::default(), filter] {
        let time_ms = i64::try_from(limits::QUERY_TIME_MS_MAX).expect("small");
        store.clock.step_us(time_ms * 1_000 + 1);
        for answer in ask(&filter) {
            let fault = answer.expect_err("too late");
            assert_eq!(fault.kind, FaultKind::Deadline, "{fault}");
            assert!(fault.message.contains(&(limits::QUERY_TIME_MS_MAX / 1_000).to_string()), "{fault}");
        }
        store.clock.step_us(0);
        assert!(ask(&filter).iter().all(Result::is_ok));
    }
    model.check_queries(&ledger, &mut Dice::new(6), 10);
    ledger.close();
}

#[test]
fn a_query_within_its_time_is_answered_however_often_the_clock_is_looked_at() {
    let (ledger, store, model) = filled(20);
    store.settle(&ledger);
    store.clock.step_us(1);
    model.check_queries(&ledger, &mut Dice::new(7), 20);
    ledger.close();
}

#[test]
fn time_that_passed_between_pages_is_nobodys() {
    for seal_events in [20, NEVER] {
        let (ledger, store, _) = filled(seal_events);
        let mut asked = query(of("acme"), Filter::default(), Order::newest(), 3);
        while let Some(cursor) = page(&ledger, &asked).next {
            store.clock.forward_us(i64::try_from(limits::QUERY_TIME_MS_MAX).expect("small") * 1_000);
            asked.start = annals_model::Start::Cursor(cursor);
        }
        ledger.close();
    }
}
