//! Whole data folders as they were stored once, one of each version of segments: a journal with rows that
//! were not sealed yet, a segment that was merged of sixteen, one that was not, and beside them the events
//! that were in all three. Every later version reads them.
//!
//! `UPDATE_SAMPLES=1` writes that of the present version anew; those before stay.

use std::path::Path;
use std::sync::Arc;

use annals_ledger::{Ledger, fsck};
use annals_model::{Content, FaultKind, Field, Filter, NewEvent, Order, Time};
use annals_store::{Blobs, Journal, ObjectBlobs, ReadOnlyJournal, SqliteJournal, StateKind};

use crate::sample::{clock, is_update};
use crate::support::{Hands, MERGE_FAN, NEVER, all, append, create, event, of, options, page, positions, query, until};

/// The version of segments that is written.
const VERSION: u32 = 2;
const EVENTS_FILE: &str = "events.ndjson";
const ORGANIZATIONS: [&str; 3] = ["acme", "globex", "initech"];
/// What the server recorded itself: its own first start, and each organization.
const OWN_EVENTS: u64 = 4;
const SEAL_EVENTS: u64 = 12;
/// What is merged, and once more as much as is sealed at once.
const SEALED_EVENTS: u64 = (MERGE_FAN as u64 + 1) * SEAL_EVENTS;
const UNSEALED_EVENTS: u64 = 7;

/// An event of the sample: with and without an id, with clocks of clients that jump, with a masked member.
fn made(number: u64) -> NewEvent {
    let organization = ["acme", "acme", "globex", "initech"][usize::try_from(number % 4).expect("small")];
    let id = match number % 5 {
        4 => String::new(),
        0 => format!(r#""id":"019b0000-0000-7000-8000-{number:012x}","#),
        _ => format!(r#""id":"req-{number}","#),
    };
    let time = Time::from_s(1_799_990_000 + i64::try_from(number * 37 % 900).expect("small")).format();
    let time = if number.is_multiple_of(3) { String::new() } else { format!(r#""time_occurred":"{time}","#) };
    let (part, status) = (number % 7, 200 + number % 3);
    let actor = format!(r#"{{"id":"usr-{part}","name":"Zoë {part}"}}"#);
    let request =
        format!(r#"{{"id":"r-{number}","status":{status},"headers":{{"authorization":"Bearer abcdefghijk"}}}}"#);
    let json = format!(
        r#"{{{id}{time}"action":"flag.{part}","actor":{actor},"targets":[{{"id":"flag-{}"}},{{"name":"東京"}}],"request":{request},"accesses":[{{"action":"on","resource":"proj/web:flag/f{part}"}}],"description":"número {number}","data":{{"n":1.5e-7}}}}"#,
        number % 11
    );
    event(organization, &json)
}

fn open(folder: &Path, clock: Arc<Hands>, seal_events: u64) -> (Ledger, Arc<SqliteJournal>) {
    let journal = Arc::new(SqliteJournal::open(folder).expect("a journal"));
    let blobs: Arc<dyn Blobs> = Arc::new(ObjectBlobs::local(&folder.join("segments")).expect("a folder"));
    let ledger = Ledger::open(journal.clone(), blobs, clock, options(seal_events)).expect("opens");
    (ledger, journal)
}

/// The rows of the sealed segments, in the order of positions.
fn segments(journal: &dyn Journal) -> Vec<u64> {
    let named = journal.state(StateKind::Segment).expect("readable");
    let mut segments: Vec<_> = named.iter().map(|(name, _)| positions(name)).collect();
    segments.sort_by_key(|positions| positions.start);
    segments.into_iter().map(|positions| positions.end - positions.start).collect()
}

fn write(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("removed");
    }
    std::fs::create_dir(folder).expect("a folder");
    let clock = clock();
    let (ledger, journal) = open(folder, Arc::clone(&clock), SEAL_EVENTS);
    ORGANIZATIONS.into_iter().for_each(|id| create(&ledger, id));
    let numbers: Vec<u64> = (0..SEALED_EVENTS - OWN_EVENTS + UNSEALED_EVENTS).collect();
    // Four at once, as many as the server's own, so that a seal ends after as many as it is asked to.
    for commit in numbers.chunks(4) {
        clock.forward_us(700_000);
        append(&ledger, commit.iter().copied().map(made).collect()).expect("appended");
        until("all is sealed and merged", || {
            let segments = segments(&*journal);
            ledger.health().events - segments.iter().sum::<u64>() < SEAL_EVENTS && segments.len() < MERGE_FAN
        });
    }
    std::fs::write(folder.join(EVENTS_FILE), shown(&ledger)).expect("written");
    ledger.close();
    drop((ledger, journal));
    for left in ["journal.sqlite-wal", "journal.sqlite-shm"] {
        let _ = std::fs::remove_file(folder.join(left));
    }
}

/// All events of all logs, one a line.
fn shown(ledger: &Ledger) -> String {
    let mut out = Vec::new();
    for log in ["_system"].into_iter().chain(ORGANIZATIONS) {
        for event in all(ledger, of(log), 50) {
            event.write_native(&mut out);
            out.push(b'\n');
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

/// A copy of what is stored.
fn copied(sample: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(copy.path().join("segments")).expect("a folder");
    let segments = std::fs::read_dir(sample.join("segments")).expect("the segments");
    let segments = segments.map(|entry| Path::new("segments").join(entry.expect("an entry").file_name()));
    for file in segments.chain(["journal.sqlite".into()]) {
        std::fs::copy(sample.join(&file), copy.path().join(&file)).expect("copied");
    }
    copy
}

#[track_caller]
fn check_sound(folder: &Path, events: u64) {
    let journal = ReadOnlyJournal::open(folder).expect("opens");
    let blobs: Arc<dyn Blobs> = Arc::new(ObjectBlobs::local_read_only(&folder.join("segments")).expect("opens"));
    let mut findings = Vec::new();
    let summary = fsck(&journal, &blobs, &mut |finding| findings.push(finding), &mut |_| {}).expect("readable");
    assert_eq!((findings, summary.events), (Vec::new(), events));
}

#[test]
fn a_folder_with_segments_of_each_version_is_read_as_it_was_written() {
    (1..=VERSION).for_each(check);
}

fn check(version: u32) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/samples/sealed-v{version}"));
    if is_update() && version == VERSION {
        write(&sample);
    }
    let copy = copied(&sample);
    let stored_events = SEALED_EVENTS + UNSEALED_EVENTS;
    check_sound(copy.path(), stored_events);
    let (ledger, journal) = open(copy.path(), clock(), NEVER);
    assert_eq!(segments(&*journal), [MERGE_FAN as u64 * SEAL_EVENTS, SEAL_EVENTS]);
    let expect = std::fs::read_to_string(sample.join(EVENTS_FILE)).expect("the events");
    assert_eq!(expect.lines().count() as u64, stored_events);
    assert_eq!(shown(&ledger), expect);
    check_searches(&ledger, &expect);
    check_repeats(&ledger);
    ledger.close();
    drop((ledger, journal));
    check_sound(copy.path(), stored_events + 1);
}

/// Filters and times find what a look at every event finds.
fn check_searches(ledger: &Ledger, expect: &str) {
    for organization in ORGANIZATIONS {
        let lines = || expect.lines().filter(|line| line.contains(&format!(r#""organization":"{organization}""#)));
        for (field, value) in [(Field::Action, "flag.3"), (Field::TargetId, "flag-10"), (Field::ActorName, "Zoë 5")] {
            let mut filter = Filter { words: vec!["número".into()], ..Filter::default() };
            filter.add(field, value).expect("a pattern");
            let found = page(ledger, &query(of(organization), filter, Order::newest(), 1));
            let named = lines().filter(|line| line.contains(&format!(r#":"{value}""#))).count() as u64;
            assert!(named > 0 && found.total == Some(named), "{value}: {named}, {:?}", found.total);
        }
        let listed = page(ledger, &query(of(organization), Filter::default(), Order::occurred(), 1_000)).events;
        let times: Vec<_> =
            listed.iter().map(|event| event.content().expect("readable").time_shown(event.time_recorded)).collect();
        assert!(times.is_sorted_by(|a, b| a >= b) && times.len() == lines().count());
    }
}

/// The ids of what is stored are known, wherever it lies: merged, sealed, or in a row.
fn check_repeats(ledger: &Ledger) {
    let numbers = [0, 1, SEALED_EVENTS - OWN_EVENTS - 3, SEALED_EVENTS - OWN_EVENTS + 1];
    for number in numbers {
        let again = append(ledger, vec![made(number)]).expect("appended");
        assert!(again[0].repeated, "{number}");
        let other =
            NewEvent { content: Content { reason: Some("another".into()), ..made(number).content }, ..made(number) };
        assert_eq!(append(ledger, vec![other]).expect_err("a conflict").kind, FaultKind::Conflict, "{number}");
    }
    assert!(!append(ledger, vec![made(9_999)]).expect("appended")[0].repeated);
}
