//! What one question may cost, whatever is stored.

use annals_ledger::Masking;
use annals_model::{FaultKind, Filter, Order, OrderField, limits};

use crate::model::{LOGS, made};
use crate::support::{NEVER, Store, append, append_json, create, event, of, page, query};

/// How often the clock is looked at meanwhile: at least once for each page and each event that is read.
fn looks(store: &Store, ask: impl FnOnce()) -> i64 {
    let now = || annals_ledger::Clock::now(&*store.clock).us();
    store.clock.step_us(1);
    let before = now();
    ask();
    let looks = now() - before;
    store.clock.step_us(0);
    looks
}

#[test]
fn an_id_that_many_logs_use_is_found_as_fast_as_one_that_only_one_does() {
    const ORGANIZATIONS: usize = 200;
    let store = Store::new(ORGANIZATIONS as u64);
    let ledger = store.open();
    let name = |log: usize| format!("o{log}");
    (0..ORGANIZATIONS).for_each(|log| create(&ledger, &name(log)));
    let json = |log: usize| format!(r#"{{"action":"a","id":"1","data":{log}}}"#);
    append(&ledger, (0..ORGANIZATIONS).map(|log| event(&name(log), &json(log))).collect()).expect("appended");
    let own = |log: usize| event(&name(log), &format!(r#"{{"action":"a","id":"own{log}"}}"#));
    append(&ledger, (0..ORGANIZATIONS).map(own).collect()).expect("appended");
    store.settle(&ledger);
    for log in [0, ORGANIZATIONS / 2, ORGANIZATIONS - 1] {
        let shared = looks(&store, || {
            let found = ledger.event(&name(log), "1").expect("found");
            assert_eq!(&*found.organization, name(log));
            assert_eq!(found.content().expect("readable").data, Some(log_value(log)));
        });
        let own = looks(&store, || drop(ledger.event(&name(log), &format!("own{log}")).expect("found")));
        // Other threads look at the clock too, now and then.
        assert!(shared <= own + 20, "{shared} looks at the clock, and {own} for an id of its own");
        let again = ledger.prepare(vec![event(&name(log), &json(log))], Masking::Apply);
        assert_eq!(again.map(drop), Ok(()));
    }
    assert_eq!(ledger.event("_system", "1").expect_err("none").kind, FaultKind::NotFound);
    ledger.close();
}

fn log_value(log: usize) -> annals_model::Value {
    annals_model::Value::parse(log.to_string().as_bytes()).expect("a number")
}

#[test]
fn looking_ids_up_and_scanning_and_adding_up_have_a_querys_time() {
    for seal_events in [20, NEVER] {
        let store = Store::new(seal_events);
        let ledger = store.open();
        create(&ledger, "acme");
        let json = |number: usize| format!(r#"{{"action":"a","id":"e{number}"}}"#);
        for number in 0..100 {
            append_json(&ledger, "acme", &[&json(number)]).expect("appended");
        }
        if seal_events != NEVER {
            store.settle(&ledger);
        }
        let ask = || {
            let lists = [Order::newest(), Order::occurred()];
            let lists = lists.map(|order| ledger.page(&query(of("acme"), Filter::default(), order, 10)).map(drop));
            let sealed = [
                ledger.event("acme", "e3").map(drop),
                ledger.prepare(vec![event("acme", &json(3))], Masking::Apply).map(drop),
            ];
            let all = lists.into_iter().chain([ledger.usage().map(drop)]);
            // What is fresh is found without reading anything.
            all.chain(sealed.into_iter().filter(|_| seal_events != NEVER)).collect::<Vec<_>>()
        };
        store.clock.step_us(i64::try_from(limits::QUERY_TIME_MS_MAX).expect("small") * 1_000 + 1);
        for answer in ask() {
            assert_eq!(answer.expect_err("too late").kind, FaultKind::Deadline);
        }
        store.clock.step_us(0);
        assert!(ask().iter().all(Result::is_ok));
        ledger.close();
    }
}

#[test]
fn what_organizations_take_is_told_without_the_part_that_cannot_be_read() {
    let mut store = Store::new(20);
    store.options.cache_bytes = 0;
    let ledger = store.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    for batch in 0..8 {
        append(&ledger, (0..10).map(|at| made(batch * 10 + at)).collect()).expect("appended");
    }
    store.settle(&ledger);
    let events = || ledger.usage().expect("told").iter().map(|usage| usage.events).sum::<u64>();
    let whole = events();
    let (name, positions) = store.segments().remove(1);
    let bytes = store.blobs.snapshot();
    let length = annals_store::Blobs::list(&bytes).expect("listed").into_iter().find(|blob| blob.name == name);
    let mut left_out = 0;
    for offset in 0..usize::try_from(length.expect("there").bytes).expect("small") {
        store.blobs.flip(&name, offset);
        let told = events();
        if told != whole {
            assert_eq!(told, whole - (positions.end - positions.start));
            left_out += 1;
        }
        store.blobs.flip(&name, offset);
    }
    assert!(left_out > 0);
    assert_eq!(events(), whole);
    ledger.close();
}

#[test]
fn an_offset_behind_the_last_match_gives_an_empty_page_in_every_order() {
    for seal_events in [20, NEVER] {
        let store = Store::new(seal_events);
        let ledger = store.open();
        LOGS.into_iter().for_each(|log| create(&ledger, log));
        append(&ledger, (0..100).map(made).collect()).expect("appended");
        let of_status = Order(vec![(OrderField::Status, annals_model::Direction::Descending)]);
        for order in [Order::newest(), Order::oldest(), Order::occurred(), of_status] {
            let mut asked = query(annals_model::Reach::All, Filter::default(), order, 10);
            let total = page(&ledger, &asked).total.expect("asked for");
            for offset in [total, total + 1, u64::MAX] {
                asked.start = annals_model::Start::Offset(offset);
                let page = page(&ledger, &asked);
                assert_eq!((page.events.len(), page.total), (0, Some(total)), "{asked:?}");
            }
        }
        ledger.close();
    }
}
