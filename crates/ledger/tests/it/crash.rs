//! A crash at each named point: what is durable then is a whole ledger, with all that was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::disturb::at_once;
use crate::model::{LOGS, Model, made};
use crate::sealing::check_start;
use crate::support::{Store, append, create};

/// Where a crash is tried, in no order.
const POINTS: [&str; 8] = [
    "commit.begin",
    "commit.done",
    "blob.written",
    "seal.written",
    "seal.registered",
    "merge.written",
    "merge.registered",
    "merge.deleting",
];
/// Crashes at each of them.
const EACH: usize = 5;

#[test]
fn a_crash_at_any_named_point_loses_nothing_that_was_acknowledged() {
    let snapshots: Arc<Mutex<BTreeMap<&str, Vec<(usize, Store)>>>> = Arc::default();
    let (reached, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut store = Store::new(3);
    let durable = store.clone();
    store.options.reach = Some(Arc::new({
        let (snapshots, acknowledged) = (Arc::clone(&snapshots), Arc::clone(&acknowledged));
        move |point| {
            let mut snapshots = snapshots.lock().expect("no panic");
            let of_point = snapshots.entry(point).or_default();
            // The first ones, and then now and then.
            let nth = reached.fetch_add(1, SeqCst);
            if of_point.len() < 2 || (of_point.len() < EACH && nth.is_multiple_of(7)) {
                let before = acknowledged.load(SeqCst);
                of_point.push((before, durable.snapshot()));
            }
        }
    }));
    let ledger = store.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let mut model = Model::of(&ledger);
    for number in 0..110 {
        let events = [made(2 * number), made(2 * number + 1)];
        let appended = append(&ledger, events.to_vec()).expect("appended");
        model.follow(&events, &appended);
        acknowledged.store(model.entries.len(), SeqCst);
    }
    store.settle(&ledger);
    ledger.close();
    let snapshots = std::mem::take(&mut *snapshots.lock().expect("no panic"));
    let mut points: Vec<&str> = snapshots.keys().copied().collect();
    points.sort_unstable();
    let mut expect = POINTS.to_vec();
    expect.sort_unstable();
    assert_eq!(points, expect);
    let all: Vec<(usize, Store)> = snapshots.into_values().flatten().collect();
    at_once(&all, |(acknowledged, store)| {
        // The first crashes come before there is any log, even before the server has its name.
        let begun = LOGS.iter().all(|log| {
            use annals_store::{Journal, StateKind};
            let organizations = store.journal.state(StateKind::Organization).expect("readable");
            organizations.iter().any(|(id, _)| id == log)
        });
        if begun {
            check_start(store, &model, *acknowledged);
        } else {
            store.open().close();
        }
    });
}
