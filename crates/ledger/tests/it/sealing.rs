//! Each failure at each step of appending, sealing and merging, as if it had not happened and as if it
//! had: nothing that was acknowledged is lost or doubled, and all goes on.

use std::ops::Range;
use std::sync::Arc;

use annals_ledger::Ledger;
use annals_model::{Appended, NewEvent};
use annals_segment::{Bytes, Cause, Segment};
use annals_store::{BlobFault, Blobs, Fault, MemoryBlobs};

use crate::disturb::{Asked, Disturbance, Disturbed, Failure, Of, Step, at_once};
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
/// What would tell whether a commit was written fails; of one that was not, no row is asked for.
const UNSETTLED: [Failure; 3] = [
    Failure::Unsettled(Fault::UnknownNotPersisted, Asked::Last),
    Failure::Unsettled(Fault::UnknownPersisted, Asked::Last),
    Failure::Unsettled(Fault::UnknownPersisted, Asked::Rows),
];
const CREATE: [Failure; 1] = [Failure::Blob(&[BlobFault::CreateFails])];
const WRITE: [Failure; 1] = [Failure::Blob(&[BlobFault::WriteFails])];
const READ: [Failure; 1] = [Failure::Blob(&[BlobFault::ReadFails])];
const FINISH: [Failure; 3] = [
    Failure::Blob(&[BlobFault::FinishFails]),
    Failure::Blob(&[BlobFault::FinishUnknownNotPersisted]),
    Failure::Blob(&[BlobFault::FinishUnknownPersisted]),
];
pub(crate) const DELETE: [Failure; 3] = [
    Failure::Blob(&[BlobFault::DeleteFails]),
    Failure::Blob(&[BlobFault::DeleteUnknownNotPersisted]),
    Failure::Blob(&[BlobFault::DeleteUnknownPersisted]),
];
/// What was written is not kept, and can't be deleted either: there is something to delete only where the
/// blob is there.
const FINISH_AND_DELETE: [Failure; 5] = [
    Failure::Blob(&[BlobFault::FinishUnknownPersisted, BlobFault::DeleteFails]),
    Failure::Blob(&[BlobFault::FinishUnknownPersisted, BlobFault::DeleteUnknownNotPersisted]),
    Failure::Blob(&[BlobFault::FinishUnknownPersisted, BlobFault::DeleteUnknownPersisted]),
    Failure::Blob(&[BlobFault::FinishUnknownNotPersisted, BlobFault::DeleteFails]),
    Failure::Blob(&[BlobFault::FinishFails, BlobFault::DeleteFails]),
];
const READ_AND_DELETE: [Failure; 3] = [
    Failure::Blob(&[BlobFault::ReadFails, BlobFault::DeleteFails]),
    Failure::Blob(&[BlobFault::ReadFails, BlobFault::DeleteUnknownNotPersisted]),
    Failure::Blob(&[BlobFault::ReadFails, BlobFault::DeleteUnknownPersisted]),
];

/// Events that are appended, one by one.
const EVENTS: u64 = 80;
/// After so many they are sealed: some more segments than are merged at once.
const SEAL_EVENTS: u64 = 4;

/// What is appended while something fails.
struct Load {
    seal_events: u64,
    batches: Vec<Vec<NewEvent>>,
}

impl Load {
    /// Small events, one by one.
    fn small() -> Load {
        Load { seal_events: SEAL_EVENTS, batches: (0..EVENTS).map(|number| vec![named(number)]).collect() }
    }

    /// As many events a seal as it takes to pack them after a prefix, and enough to fill blocks that merging
    /// takes over as they are.
    fn packed() -> Load {
        const SEAL_EVENTS: u64 = 100;
        const BATCH_EVENTS: u64 = 25;
        let pad = |number: u64| {
            let mut dice = Dice::new(number);
            let words = ["update", "of", "a", "flag", "in", "the", "project", "by", "its", "owner", "with", "rules"];
            (0..39).map(|_| dice.pick(&words)).collect::<Vec<_>>().join(" ")
        };
        let large = |number: u64| {
            let (log, pad) = (LOGS[usize::from(number.is_multiple_of(8))], pad(number));
            event(log, &format!(r#"{{"action":"flag.update","id":"packed{number}","description":"{pad} {number}"}}"#))
        };
        let seals = MERGE_FAN as u64 + 2;
        let batch = |batch: u64| (0..BATCH_EVENTS).map(|at| large(batch * BATCH_EVENTS + at)).collect();
        Load { seal_events: SEAL_EVENTS, batches: (0..seals * SEAL_EVENTS / BATCH_EVENTS).map(batch).collect() }
    }
}

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
fn insist(ledger: &Ledger, events: &[NewEvent]) -> Vec<Appended> {
    let mut appended = None;
    until("the events are taken", || {
        appended = append(ledger, events.to_vec()).ok();
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
fn check(disturbance: &Disturbance, load: &Load) {
    let (disturbed, ledger, mut model) = begin(load.seal_events);
    disturbed.begin(disturbance.clone());
    for batch in &load.batches {
        let appended = insist(&ledger, batch);
        model.follow(batch, &appended);
        disturbed.acknowledge(model.entries.len());
    }
    disturbed.store.settle(&ledger);
    until("it failed", || disturbed.has_failed() && disturbed.has_refused());
    until("all is well", || ledger.health().ready && ledger.health().detail == "ok");
    let snapshots = disturbed.snapshots();
    assert!(!snapshots.is_empty());
    disturbed.end();
    model.check_whole(&ledger);
    model.check_queries(&ledger, &mut Dice::new(load.seal_events), 2);
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
    at_once(&[append, seal, merge].concat(), name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn a_commit_of_which_it_cannot_be_told_at_once_whether_it_was_written_loses_and_doubles_nothing() {
    let append = table(Step::CommitAppend, &[0, 41], &UNSETTLED);
    let seal = table(Step::CommitSeal, &[0, 16], &UNSETTLED);
    let merge = table(Step::CommitMerge, &[0], &UNSETTLED);
    at_once(&[append, seal, merge].concat(), name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn a_blob_that_cannot_be_written_loses_and_doubles_nothing() {
    let create = [table(Step::Create(Of::Seal), &[0, 9], &CREATE), table(Step::Create(Of::Merge), &[0], &CREATE)];
    let write = [table(Step::Write(Of::Seal), &[0, 9], &WRITE), table(Step::Write(Of::Merge), &[0], &WRITE)];
    let finish = [table(Step::Finish(Of::Seal), &[0, 9], &FINISH), table(Step::Finish(Of::Merge), &[0], &FINISH)];
    let all = [create, write, finish].concat().concat();
    at_once(&all, name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn a_blob_of_many_writes_that_stops_at_any_of_them_leaves_nothing() {
    let large = |number: u64| {
        let mut dice = Dice::new(number);
        let digits: Vec<char> = ('0'..='9').chain('a'..='z').chain('A'..='Z').collect();
        let text: String = (0..255_000).map(|_| dice.pick(&digits)).collect();
        event("acme", &format!(r#"{{"action":"a","id":"large{number}","data":"{text}"}}"#))
    };
    let load = Load { seal_events: 1, batches: (0..MERGE_FAN as u64 + 1).map(|number| vec![large(number)]).collect() };
    let merge = table(Step::Write(Of::Merge), &[0, 1, 2], &WRITE);
    at_once(&merge, name, |disturbance| check(disturbance, &load));
}

#[test]
fn a_blob_that_cannot_be_read_back_or_merged_is_tried_again() {
    let seal = table(Step::Read(Of::Seal), &[0, 1, 2, 3, 40, 41, 42, 44, 50], &READ);
    let merge = table(Step::Read(Of::Merge), &[0, 1], &READ);
    at_once(&[seal, merge].concat(), name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn a_merged_blob_that_cannot_be_deleted_is_deleted_by_the_next_start() {
    at_once(&table(Step::Delete, &[0, 7, 15], &DELETE), name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn a_blob_that_is_not_to_be_kept_and_cannot_be_deleted_either_loses_and_doubles_nothing() {
    let finish = |of, calls: &[usize]| table(Step::Finish(of), calls, &FINISH_AND_DELETE);
    // The first read of a blob is of its footer, the next ones check its pages.
    let verify = |of, calls: &[usize]| table(Step::Read(of), calls, &READ_AND_DELETE);
    let all =
        [finish(Of::Seal, &[0, 9]), finish(Of::Merge, &[0]), verify(Of::Seal, &[0, 1]), verify(Of::Merge, &[0, 1])];
    at_once(&all.concat(), name, |disturbance| check(disturbance, &Load::small()));
}

#[test]
fn blocks_that_are_packed_after_a_prefix_and_taken_over_are_all_there_whatever_fails() {
    let load = Load::packed();
    let journal = [JOURNAL[0], JOURNAL[2]];
    let commit = [table(Step::CommitSeal, &[7], &journal), table(Step::CommitMerge, &[0], &journal)];
    let blob = [
        table(Step::Write(Of::Merge), &[0], &WRITE),
        table(Step::Finish(Of::Merge), &[0], &FINISH),
        table(Step::Read(Of::Seal), &[3], &READ),
        table(Step::Read(Of::Merge), &[0, 1], &READ),
        table(Step::Delete, &[3], &DELETE[..1]),
    ];
    at_once(&commit.into_iter().chain(blob).flatten().collect::<Vec<_>>(), name, |disturbance| {
        check(disturbance, &load)
    });
}

/// A blob in memory.
struct Blob(Arc<MemoryBlobs>, String);

impl Bytes for Blob {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Cause> {
        self.0.read(&self.1, range).map_err(|error| Arc::new(error) as Cause)
    }
}

#[test]
fn segments_of_some_events_and_what_is_merged_from_them_have_prefixes() {
    let load = Load::packed();
    let (disturbed, ledger, mut model) = begin(load.seal_events);
    for batch in &load.batches {
        model.follow(batch, &insist(&ledger, batch));
    }
    let store = &disturbed.store;
    store.settle(&ledger);
    until("merged segments are deleted", || store.is_tidy());
    let mut spans = Vec::new();
    for blob in store.blobs.list().expect("listed") {
        let segment = Segment::open(Blob(Arc::clone(&store.blobs), blob.name.clone()), blob.bytes).expect("opens");
        let sections = segment.sections().expect("readable");
        assert!(sections.iter().any(|(name, bytes)| name.contains("prefix") && *bytes > 0), "{sections:?}");
        spans.push(segment.positions().end - segment.positions().start);
    }
    assert!(spans[0] >= MERGE_FAN as u64 * load.seal_events && spans.len() > 1, "{spans:?}");
    model.check_whole(&ledger);
    ledger.close();
}

/// Whatever fails again and again: events are taken and read, the health says what is wrong, and all is
/// made up for afterwards.
fn check_for_long((step, failure, detail): &(Step, Failure, &str)) {
    let (disturbed, ledger, mut model) = begin(SEAL_EVENTS);
    disturbed.begin(Disturbance { step: *step, at: 0..usize::MAX, failure: *failure });
    let more = |model: &mut Model, numbers: Range<u64>| {
        for number in numbers {
            let batch = [named(number)];
            let appended = insist(&ledger, &batch);
            model.follow(&batch, &appended);
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
        let batch = [named(number)];
        let appended = insist(&ledger, &batch);
        model.follow(&batch, &appended);
    }
    disturbed.store.settle(&ledger);
    let rows = annals_store::Journal::rows(&*disturbed.store.journal, 0, usize::MAX).expect("rows");
    let events: u32 = rows.iter().map(|row| row.event_count).sum();
    assert!(events < 10, "{events} events are still in rows");
    ledger.close();
}
