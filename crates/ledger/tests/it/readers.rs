//! What readers see while others append, seal and merge: all of one moment, each event once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use annals_ledger::Ledger;
use annals_model::{Event, Export, FacetQuery, Field, Filter, HistogramQuery, Order, PageQuery, Pattern, Reach, Start};
use annals_store::Blobs;

use crate::disturb::{Disturbed, HELD};
use crate::model::{Dice, LOGS, Model, made};
use crate::support::{Store, all, append, append_json, create, event, ids, of, page, query, until};

#[test]
fn a_reader_of_segments_that_are_merged_meanwhile_gets_its_answer_and_only_then_they_are_deleted() {
    let mut store = Store::new(4);
    store.options.cache_bytes = 0;
    let disturbed = Disturbed::new(store.clone());
    let ledger = disturbed.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let mut model = Model::of(&ledger);
    for number in 0..10 {
        let events: Vec<_> = (0..4).map(|at| made(number * 4 + at)).collect();
        let appended = append(&ledger, events.clone()).expect("appended");
        model.follow(&events, &appended);
    }
    store.settle(&ledger);
    let mut before = store.segments();
    // The last one may be named by the journal before readers see it.
    before.pop();
    assert!(before.len() > 5);
    let asked = query(Reach::All, Filter::default(), Order::occurred(), 1_000);
    std::thread::scope(|scope| {
        let held = disturbed.hold();
        let reader = std::thread::Builder::new().name(HELD.into());
        let reader = reader.spawn_scoped(scope, || page(&ledger, &asked)).expect("a thread");
        until("the reader is in the midst", || disturbed.waiting() > 0);
        // Twice: what was merged first could have been deleted by the time of the second.
        for _ in 0..2 {
            let first = store.segments()[0].clone();
            until("what it reads is merged", || {
                append_json(&ledger, "acme", &[r#"{"action":"more"}"#; 4]).expect("appended");
                store.segments()[0] != first
            });
        }
        let listed: Vec<String> = store.blobs.list().expect("listed").into_iter().map(|blob| blob.name).collect();
        for (name, _) in &before {
            assert!(listed.contains(name), "{name} was deleted under its reader");
        }
        drop(held);
        let found = reader.join().expect("an answer");
        let expect = model.list(&Reach::All, &Filter::default(), &Order::occurred());
        assert_eq!(found.total, Some(expect.len() as u64));
        assert_eq!(
            found.events.iter().collect::<Vec<_>>(),
            expect.iter().map(|entry| &entry.event).collect::<Vec<_>>()
        );
    });
    until("what nobody reads any more is deleted", || {
        append_json(&ledger, "acme", &[r#"{"action":"more"}"#; 4]).expect("appended");
        store.settle(&ledger);
        store.is_tidy()
    });
    ledger.close();
}

/// How far the appends have come.
#[derive(Default)]
struct Done {
    /// Events that were handed in.
    sent: AtomicU64,
    /// Events that were acknowledged.
    acknowledged: AtomicU64,
    /// The next event's number.
    next: AtomicU64,
    writers: AtomicUsize,
}

const WRITERS: usize = 2;
const BATCHES: usize = 250;

impl Done {
    fn write(&self, ledger: &Ledger, seed: u64) {
        let mut dice = Dice::new(seed);
        for _ in 0..BATCHES {
            let count = 1 + dice.below(6) as u64;
            let from = self.next.fetch_add(count, SeqCst);
            let events = (from..from + count).map(|number| {
                let log = dice.pick(&LOGS);
                let ago = dice.below(100);
                event(log, &format!(
                    r#"{{"action":"a","id":"e{number}","time_occurred":"2023-10-14T00:{:02}:00Z","request":{{"status":{}}},"data":"some word{}"}}"#,
                    ago % 60, 200 + ago % 3, ago % 5
                ))
            });
            let events = events.collect();
            self.sent.fetch_add(count, SeqCst);
            append(ledger, events).expect("appended");
            self.acknowledged.fetch_add(count, SeqCst);
        }
        self.writers.fetch_add(1, SeqCst);
    }

    /// Asks for a count that has to lie between what was acknowledged before and what was sent by its end.
    fn count(&self, what: &str, ask: impl FnOnce() -> u64) -> u64 {
        let before = self.acknowledged.load(SeqCst);
        let count = ask();
        let after = self.sent.load(SeqCst);
        assert!((before..=after).contains(&count), "{what}: {count} is not within {before} to {after}");
        count
    }

    fn are_writing(&self) -> bool {
        self.writers.load(SeqCst) < WRITERS
    }
}

/// All events of a list, by cursors.
fn walk(ledger: &Ledger, mut asked: PageQuery) -> (Option<u64>, Vec<Event>) {
    let (mut total, mut events) = (None, Vec::new());
    loop {
        let found = page(ledger, &asked);
        total = total.or(found.total);
        events.extend(found.events);
        match found.next {
            Some(next) => asked.start = Start::Cursor(next),
            None => return (total, events),
        }
    }
}

fn each_once(events: &[Event]) -> u64 {
    let seen: HashSet<u64> = events.iter().map(|event| event.position).collect();
    assert_eq!(seen.len(), events.len(), "an event was there twice");
    seen.len() as u64
}

fn read(ledger: &Ledger, done: &Done, dice: &mut Dice) {
    let any = Filter::default;
    let words = || Filter { words: vec!["some".into()], ..Filter::default() };
    match dice.below(7) {
        0 => {
            let filter = if dice.once_in(2) { any() } else { words() };
            done.count("the total", || {
                page(ledger, &query(Reach::All, filter, Order::newest(), 3)).total.expect("asked for")
            });
        }
        1 => {
            let log = dice.pick(&LOGS);
            let events = all(ledger, of(log), 100);
            assert!(
                events.iter().enumerate().all(|(at, event)| event.index == at as u64),
                "a gap or a double in {log}"
            );
        }
        2 => {
            let order = dice.pick(&[Order::newest(), Order::occurred()]);
            done.count("a walk", || {
                let (total, events) = walk(ledger, query(Reach::All, words(), order, 1 + dice.below(200)));
                assert_eq!(total, Some(each_once(&events)));
                events.len() as u64
            });
        }
        3 => {
            done.count("the values of a field", || {
                let query = FacetQuery { reach: Reach::All, filter: any(), field: Field::Status, limit: 2 };
                let facet = ledger.facet(&query).expect("counted");
                facet.other + facet.values.iter().map(|(_, count)| count).sum::<u64>()
            });
        }
        4 => {
            done.count("a histogram", || {
                let histogram = ledger.histogram(&HistogramQuery { reach: Reach::All, filter: words(), buckets: 13 });
                histogram.expect("counted").buckets.iter().map(|(_, count)| count).sum()
            });
        }
        5 => {
            done.count("an export", || {
                let order = dice.pick(&[Order::oldest(), Order::newest()]);
                let mut reader = ledger.export(&Export { reach: Reach::All, filter: any(), order }).expect("begins");
                let batches =
                    std::iter::from_fn(|| Some(reader.next_batch().expect("read")).filter(|batch| !batch.is_empty()));
                each_once(&batches.flatten().collect::<Vec<_>>())
            });
        }
        _ => {
            // One of the first, which has been acknowledged: it is found by its id wherever it lies now.
            let acknowledged = usize::try_from(done.acknowledged.load(SeqCst)).expect("small");
            let Some(number) = acknowledged.checked_sub(20 * WRITERS).map(|before| dice.below(before.max(1))) else {
                return;
            };
            let id = format!("e{number}");
            let mut filter = any();
            filter.conditions.push(annals_model::Condition {
                field: Field::Id,
                any: vec![Pattern::Exact(id.clone())],
                none: Vec::new(),
            });
            let found = page(ledger, &query(Reach::All, filter, Order::newest(), 5));
            assert_eq!((ids(&found.events), found.total), (vec![id.clone()], Some(1)));
            let log = found.events[0].organization.to_string();
            assert_eq!(ledger.event(&log, &id).expect("there"), found.events[0]);
        }
    }
}

#[test]
fn queries_see_no_gap_and_no_double_while_others_append_seal_and_merge() {
    for seal_events in [3, 50] {
        let mut store = Store::new(seal_events);
        store.options.cache_bytes = 100_000;
        let ledger = store.open();
        LOGS.into_iter().for_each(|log| create(&ledger, log));
        let done = Done::default();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (done, ledger) = (&done, &ledger);
                scope.spawn(move || done.write(ledger, writer as u64));
            }
            for reader in 0..3 {
                let (done, ledger) = (&done, &ledger);
                scope.spawn(move || {
                    let mut dice = Dice::new(100 + reader);
                    while done.are_writing() {
                        read(ledger, done, &mut dice);
                    }
                });
            }
        });
        store.settle(&ledger);
        let mut dice = Dice::new(5);
        (0..30).for_each(|_| read(&ledger, &done, &mut dice));
        until("merged blobs are deleted", || store.is_tidy());
        ledger.close();
        store.check();
    }
}
