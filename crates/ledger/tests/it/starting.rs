//! A start whose list or deletion of blobs fails: it is refused, loses nothing, and the next one goes on.

use annals_ledger::OpenError;
use annals_store::{BlobFault, Blobs};

use crate::disturb::{Disturbance, Disturbed, Failure, Step, at_once};
use crate::model::{LOGS, Model, made};
use crate::sealing::{DELETE, check_start};
use crate::support::{MERGE_FAN, Store, append, create, until};

const LIST: Failure = Failure::Blob(&[BlobFault::ListFails]);
const SEAL_EVENTS: u64 = 4;

/// A stopped ledger whose merged segments could not be deleted.
fn left() -> (Store, Model) {
    let disturbed = Disturbed::new(Store::new(SEAL_EVENTS));
    let ledger = disturbed.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let mut model = Model::of(&ledger);
    disturbed.begin(Disturbance { step: Step::Delete, at: 0..usize::MAX, failure: DELETE[0] });
    for number in 0..MERGE_FAN as u64 * SEAL_EVENTS {
        let event = made(number);
        let appended = append(&ledger, vec![event.clone()]).expect("appended");
        model.follow(&[event], &appended);
    }
    disturbed.store.settle(&ledger);
    until("a deletion failed", || disturbed.has_failed());
    ledger.close();
    let store = disturbed.store.reopen();
    assert_eq!(store.blobs.list().expect("listed").len() - store.segments().len(), MERGE_FAN);
    (store, model)
}

/// One start fails, and what it left, at any moment, is a whole ledger.
fn check((store, model): &(Store, Model), disturbance: &Disturbance) {
    let disturbed = Disturbed::new(store.snapshot());
    disturbed.begin(disturbance.clone());
    assert!(matches!(disturbed.try_open(), Err(OpenError::Blobs(_))), "{disturbance:?}");
    disturbed.end();
    let snapshots = disturbed.snapshots();
    assert_eq!(snapshots.len(), 2);
    for store in snapshots.into_iter().map(|(_, store)| store).chain([disturbed.store.reopen()]) {
        check_start(&store, model, model.entries.len());
    }
}

#[test]
fn a_start_that_cannot_list_or_delete_blobs_is_refused_and_the_next_one_goes_on() {
    let left = left();
    let delete = |at: usize| DELETE.map(|failure| Disturbance { step: Step::Delete, at: at..at + 1, failure });
    let list = Disturbance { step: Step::List, at: 0..1, failure: LIST };
    let all = [delete(0), delete(7), delete(MERGE_FAN - 1)].concat().into_iter().chain([list]);
    at_once(
        &all.collect::<Vec<_>>(),
        |disturbance| format!("{disturbance:?}"),
        |disturbance| check(&left, disturbance),
    );
}
