//! A crash at each named point: what is durable then is a whole ledger, with all that was acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use annals_ledger::POINTS;
use annals_store::{Journal, StateKind};

use crate::disturb::at_once;
use crate::model::{LOGS, Model, made};
use crate::sealing::check_start;
use crate::support::{Store, append, create};

/// Crashes at each of them.
const EACH: usize = 5;

/// What a crash left.
struct Left {
    point: &'static str,
    /// How many events were acknowledged before.
    acknowledged: usize,
    store: Store,
}

#[test]
fn a_crash_at_any_named_point_loses_nothing_that_was_acknowledged() {
    let left: Arc<Mutex<Vec<Left>>> = Arc::default();
    let (reached, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut store = Store::new(3);
    let durable = store.clone();
    store.options.reach = Some(Arc::new({
        let (left, acknowledged) = (Arc::clone(&left), Arc::clone(&acknowledged));
        move |point| {
            let mut left = left.lock().expect("no panic");
            let of_point = left.iter().filter(|left| left.point == point).count();
            // The first ones, and then now and then.
            let nth = reached.fetch_add(1, SeqCst);
            if of_point < 2 || (of_point < EACH && nth.is_multiple_of(7)) {
                let acknowledged = acknowledged.load(SeqCst);
                left.push(Left { point, acknowledged, store: durable.snapshot() });
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
    let left = std::mem::take(&mut *left.lock().expect("no panic"));
    let points: BTreeSet<&str> = left.iter().map(|left| left.point).collect();
    assert_eq!(points, BTreeSet::from(POINTS));
    let name = |left: &Left| format!("{} after {} events", left.point, left.acknowledged);
    at_once(&left, name, |Left { acknowledged, store, .. }| {
        let organizations = store.journal.state(StateKind::Organization).expect("readable");
        // The first crashes come before there is any log, even before the server has its name.
        if LOGS.iter().all(|log| organizations.iter().any(|(id, _)| id == log)) {
            check_start(store, &model, *acknowledged);
        } else {
            store.open().close();
        }
    });
}
