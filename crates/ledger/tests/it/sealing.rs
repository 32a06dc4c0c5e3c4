//! Each failure at each step of appending, sealing and merging, as if it had not happened and as if it
//! had: nothing that was acknowledged is lost or doubled, and all goes on.

use annals_ledger::Ledger;
use annals_model::{Appended, NewEvent};
use annals_store::{BlobFault, Fault};

use crate::disturb::{Disturbance, Disturbed, Failure, Of, Step, at_once};
use crate::model::{Dice, LOGS, Model, made};
use crate::support::{MERGE_FAN, NEVER, Store, append, append_json, create, event, ledger, until};

const JOURNAL: [Failure; 5] = [
    Failure::Journal(&[Fault::NotPersisted]),
    Failure::Journal(&[Fault::UnknownNotPersisted]),
    Failure::Journal(&[Fault::UnknownPersisted]),
    Failure::Journal(&[
        Fault::UnknownNotPersisted,
        Fault::RecoverFails,
        Fault::RecoverFails,
        Fault::RecoverFails,
        Fault::RecoverFails,
    ]),
    Failure::Journal(&[
        Fault::UnknownPersisted,
        Fault::RecoverFails,
        Fault::RecoverFails,
        Fault::RecoverFails,
        Fault::RecoverFails,
    ]),
];
const CREATE: [Failure; 1] = [Failure::Blob(BlobFault::CreateFails)];
const WRITE: [Failure; 1] = [Failure::Blob(BlobFault::WriteFails)];
const READ: [Failure; 1] = [Failure::Blob(BlobFault::ReadFails)];
const FINISH: [Failure; 3] = [
    Failure::Blob(BlobFault::FinishFails),
    Failure::Blob(BlobFault::FinishUnknownNotPersisted),
    Failure::Blob(BlobFault::FinishUnknownPersisted),
];
const DELETE: [Failure; 3] = [
    Failure::Blob(BlobFault::DeleteFails),
    Failure::Blob(BlobFault::DeleteUnknownNotPersisted),
    Failure::Blob(BlobFault::DeleteUnknownPersisted),
];

/// Events that are appended, one by one.
const EVENTS: u64 = 80;
/// After so many they are sealed: some more segments than are merged at once.
const SEAL_EVENTS: u64 = 4;

/// Each failure at each of some calls of a step.
fn table(step: Step, calls: &[usize], failures: &[Failure]) -> Vec<Disturbance> {
    let each = calls.iter().flat_map(|call| failures.iter().map(|failure| (*call, *failure)));
    each.map(|(call, failure)| Disturbance { step, at: call..call + 1, failure }).collect()
}

/// What a case is called.
fn name(case: &impl std::fmt::Debug) -> String {
    format!("{case:?}")
}

/// A named event.
fn named(number: u64) -> NewEvent {
    made(4 * number + 1 + number % 3)
}

/// Appends until it is acknowledged, as a client does.
fn insist(ledger: &Ledger, event: &NewEvent) -> Vec<Appended> {
    let mut appended = None;
    until("the event is taken", || {
        appended = append(ledger, vec![event.clone()]).ok();
        appended.is_some()
    });
    // The first attempt may have been stored after all.
    appended.into_iter().flatten().map(|appended| Appended { repeated: false, ..appended }).collect()
}

fn begin(seal_events: u64) -> (Disturbed, Ledger, Model) {
    let disturbed = Disturbed::new(Store::new(seal_events));
    let ledger = disturbed.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let model = Model::of(&ledger);
    (disturbed, ledger, model)
}

/// Goes on while something fails once, then stops, and starts from what is durable.
fn check(disturbance: &Disturbance, event: impl Fn(u64) -> NewEvent, events: u64) {
    let (disturbed, ledger, mut model) = begin(if events == EVENTS { SEAL_EVENTS } else { 1 });
    disturbed.begin(disturbance.clone());
    for number in 0..events {
        let event = event(number);
        let appended = insist(&ledger, &event);
        model.follow(&[event], &appended);
        disturbed.acknowledge(model.entries.len());
    }
    disturbed.store.settle(&ledger);
    until("it failed", || disturbed.has_failed());
    until("all is well", || ledger.health().ready && ledger.health().detail == "ok");
    let snapshots = disturbed.snapshots();
    assert!(!snapshots.is_empty());
    disturbed.end();
    model.check_whole(&ledger);
    model.check_queries(&ledger, &mut Dice::new(events), 2);
    ledger.close();
    for (acknowledged, store) in snapshots.into_iter().chain([(model.entries.len(), disturbed.store.reopen())]) {
        check_start(&store, &model, acknowledged);
    }
}

/// Starts from what is durable, and goes on.
pub(crate) fn check_start(store: &Store, model: &Model, acknowledged: usize) {
    store.check();
    let ledger = store.open();
    model.check_begin(&ledger, acknowledged);
    let held = usize::try_from(ledger.health().events).expect("small");
    let mut model = model.begin(held);
    for number in 1_000..1_003 {
        let event = named(number);
        let appended = append(&ledger, vec![event.clone()]).expect("appended");
        model.follow(&[event], &appended);
    }
    store.settle(&ledger);
    until("no blob is left that nobody names", || store.is_tidy());
    model.check_whole(&ledger);
    ledger.close();
    store.check();
    let store = store.reopen();
    let ledger = store.open();
    model.check_whole(&ledger);
    ledger.close();
}

#[test]
fn a_failing_commit_of_an_append_a_seal_or_a_merge_loses_and_doubles_nothing() {
    let append = table(Step::CommitAppend, &[0, 1, 41], &JOURNAL);
    let seal = table(Step::CommitSeal, &[0, 1, 16], &JOURNAL);
    let merge = table(Step::CommitMerge, &[0], &JOURNAL);
    at_once(&[append, seal, merge].concat(), name, |disturbance| check(disturbance, named, EVENTS));
}

#[test]
fn a_blob_that_cannot_be_written_loses_and_doubles_nothing() {
    let create = [table(Step::Create(Of::Seal), &[0, 9], &CREATE), table(Step::Create(Of::Merge), &[0], &CREATE)];
    let write = [table(Step::Write(Of::Seal), &[0, 9], &WRITE), table(Step::Write(Of::Merge), &[0], &WRITE)];
    let finish = [table(Step::Finish(Of::Seal), &[0, 9], &FINISH), table(Step::Finish(Of::Merge), &[0], &FINISH)];
    let all = [create, write, finish].concat().concat();
    at_once(&all, name, |disturbance| check(disturbance, named, EVENTS));
}

#[test]
fn a_blob_of_many_writes_that_stops_at_any_of_them_leaves_nothing() {
    let large = |number: u64| {
        let mut dice = Dice::new(number);
        let digits: Vec<char> = ('0'..='9').chain('a'..='z').chain('A'..='Z').collect();
        let text: String = (0..255_000).map(|_| dice.pick(&digits)).collect();
        event("acme", &format!(r#"{{"action":"a","id":"large{number}","data":"{text}"}}"#))
    };
    let large: Vec<NewEvent> = (0..MERGE_FAN as u64 + 1).map(large).collect();
    let nth = |number: u64| large[usize::try_from(number).expect("small")].clone();
    let merge = table(Step::Write(Of::Merge), &[0, 1, 2], &WRITE);
    at_once(&merge, name, |disturbance| check(disturbance, nth, large.len() as u64));
}

#[test]
fn a_blob_that_cannot_be_read_back_or_merged_is_tried_again() {
    let seal = table(Step::Read(Of::Seal), &[0, 1, 2, 3, 40, 41, 42, 44, 50], &READ);
    let merge = table(Step::Read(Of::Merge), &[0, 1], &READ);
    at_once(&[seal, merge].concat(), name, |disturbance| check(disturbance, named, EVENTS));
}

#[test]
fn a_merged_blob_that_cannot_be_deleted_is_deleted_by_the_next_start() {
    at_once(&table(Step::Delete, &[0, 7, 15], &DELETE), name, |disturbance| check(disturbance, named, EVENTS));
}

/// Whatever fails again and again: events are taken and read, the health says what is wrong, and all is
/// made up for afterwards.
fn check_for_long((step, failure, detail): &(Step, Failure, &str)) {
    let (disturbed, ledger, mut model) = begin(SEAL_EVENTS);
    disturbed.begin(Disturbance { step: *step, at: 0..usize::MAX, failure: *failure });
    let more = |model: &mut Model, numbers: std::ops::Range<u64>| {
        for number in numbers {
            let event = named(number);
            let appended = insist(&ledger, &event);
            model.follow(&[event], &appended);
        }
    };
    more(&mut model, 0..100);
    until("the health says so", || ledger.health().detail.contains(detail));
    assert!(disturbed.has_failed());
    more(&mut model, 100..150);
    model.check_whole(&ledger);
    model.check_queries(&ledger, &mut Dice::new(8), 5);
    disturbed.end();
    disturbed.store.settle(&ledger);
    until("all is well", || ledger.health().ready && ledger.health().detail == "ok");
    more(&mut model, 150..170);
    model.check_whole(&ledger);
    model.check_queries(&ledger, &mut Dice::new(9), 5);
    ledger.close();
    check_start(&disturbed.store.reopen(), &model, model.entries.len());
}

#[test]
fn while_sealing_fails_events_are_taken_and_read_and_afterwards_all_is_sealed_without_a_restart() {
    let blob = |step: fn(Of) -> Step, failures: &[Failure]| {
        let each = failures.iter().map(|failure| (step(Of::Seal), *failure, "sealing fails"));
        each.collect::<Vec<_>>()
    };
    let blobs = [blob(Step::Create, &CREATE), blob(Step::Write, &WRITE), blob(Step::Finish, &FINISH)];
    let journal = JOURNAL[..2].iter().map(|failure| (Step::CommitSeal, *failure, "can't be registered"));
    at_once(&blobs.into_iter().flatten().chain(journal).collect::<Vec<_>>(), name, check_for_long);
}

#[test]
fn while_merging_fails_sealing_goes_on_and_afterwards_all_is_merged_without_a_restart() {
    let blobs =
        [(Step::Create(Of::Merge), CREATE[0]), (Step::Finish(Of::Merge), FINISH[0]), (Step::Read(Of::Merge), READ[0])];
    let blobs = blobs.into_iter().map(|(step, failure)| (step, failure, "merging fails"));
    let journal = (Step::CommitMerge, JOURNAL[0], "can't be registered");
    at_once(&blobs.chain([journal]).collect::<Vec<_>>(), name, check_for_long);
}

#[test]
fn few_events_are_sealed_when_they_have_waited_long() {
    let (ledger, store) = ledger(NEVER);
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    store.clock.forward_us(14 * 60 * 1_000_000);
    for _ in 0..2 {
        append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    }
    assert_eq!(store.segments(), []);
    let waiting = ledger.health().events;
    store.clock.forward_us(60 * 1_000_000);
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    until("all of them are sealed", || store.segments().last().is_some_and(|(_, positions)| positions.end >= waiting));
    // What comes from here on waits anew.
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    assert_eq!(store.segments().len(), 1);
    ledger.close();
}

#[test]
fn the_journal_holds_only_what_is_not_sealed() {
    let (disturbed, ledger, mut model) = begin(10);
    for number in 0..200 {
        let appended = insist(&ledger, &named(number));
        model.follow(&[named(number)], &appended);
    }
    disturbed.store.settle(&ledger);
    let rows = annals_store::Journal::rows(&*disturbed.store.journal, 0, usize::MAX).expect("rows");
    let events: u32 = rows.iter().map(|row| row.event_count).sum();
    assert!(events < 10, "{events} events are still in rows");
    ledger.close();
}
