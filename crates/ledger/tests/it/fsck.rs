//! Journal and blobs that don't belong together, or of which something is gone: a start refuses and
//! changes nothing, and the check finds it.

use std::ops::Range;
use std::sync::Arc;

use annals_ledger::{OpenError, fsck};
use annals_model::Content;
use annals_segment::{Bytes, Cause, FileWriter, Row, Segment};
use annals_store::row::{self, RowBody};
use annals_store::{BlobFault, Blobs, Change, Commit, Journal, MemoryJournal, StateKind};

use crate::support::{NEVER, Store, all, append_json, create, ids, ledger, of};

/// A closed ledger's store: some segments of the logs acme, globex and the server's own, and some rows.
fn stored() -> Store {
    let (ledger, store) = ledger(10);
    for number in 0..52 {
        let organization = if number < 30 { "acme" } else { "globex" };
        append_json(&ledger, organization, &[r#"{"action":"a"}"#]).expect("appended");
    }
    store.settle(&ledger);
    ledger.close();
    assert_eq!(store.segments().last().map(|(_, positions)| positions.end), Some(50));
    store
}

/// The same with more committed, as a row of no events.
fn changed(store: &Store, changes: Vec<Change>) -> Store {
    let store = store.snapshot();
    let payload = row::encode(&RowBody::default()).expect("a row");
    commit(&store, payload, 0, changes);
    store
}

fn commit(store: &Store, payload: Vec<u8>, event_count: u32, changes: Vec<Change>) {
    let last = store.journal.last().expect("a sequence");
    let row = store.journal.rows(last - 1, 0).expect("rows").remove(0);
    let position = row.position + u64::from(row.event_count);
    let time_recorded_us = row.time_recorded_us;
    let commit = Commit { sequence: last + 1, position, event_count, time_recorded_us, payload, changes, trim: None };
    store.journal.commit(&commit).expect("committed");
}

fn findings(store: &Store) -> Vec<String> {
    let blobs: Arc<dyn Blobs> = store.blobs.clone();
    let mut found = Vec::new();
    let summary = fsck(&*store.journal, &blobs, &mut |finding| found.push(finding.what), &mut |_| {}).expect("checked");
    assert_eq!(summary.findings, found.len() as u64);
    found
}

fn blobs(store: &Store) -> Vec<String> {
    store.blobs.list().expect("listed").into_iter().map(|blob| blob.name).collect()
}

fn add_blob(store: &Store, name: &str) {
    let mut blob = store.blobs.create(name).expect("a blob");
    blob.write(b"half of it").expect("written");
    blob.finish().expect("finished");
}

/// A start refuses because of a blob, without deleting any, and the check finds it.
fn check_stray(store: &Store, name: Option<&str>) {
    let before = blobs(store);
    let error = store.try_open().map(|_| ()).expect_err("refused");
    let OpenError::Stray { name: stray, .. } = &error else { panic!("{error:?}") };
    assert!(name.is_none_or(|name| name == stray) && error.to_string().contains(stray.as_str()), "{error}");
    assert_eq!(blobs(store), before);
    let found = findings(store);
    assert!(found.iter().any(|what| what.contains(stray.as_str())), "{found:?}");
}

#[test]
fn a_start_on_a_new_journal_deletes_no_segment() {
    let store = stored();
    check_stray(&Store { journal: Arc::new(MemoryJournal::new()), ..store }, None);
}

#[test]
fn a_start_on_an_older_journal_deletes_no_segment() {
    let (ledger, store) = ledger(10);
    for _ in 0..13 {
        append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    }
    store.settle(&ledger);
    let older = Arc::new(store.journal.snapshot());
    for _ in 0..30 {
        append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect("appended");
    }
    store.settle(&ledger);
    ledger.close();
    check_stray(&Store { journal: older, ..store.clone() }, None);
    store.open().close();
}

#[test]
fn a_blob_that_no_crash_can_have_left_refuses_the_start_and_stays() {
    let end = stored_end();
    for name in [
        "notes.txt".to_owned(),
        "00000000000000000000-00000000000000000010".to_owned(),
        "00000000000000000000-00000000000000000010-0000000g".to_owned(),
        "0-10-00000001".to_owned(),
        format!("{:020}-{:020}-00000001", 10, 10),
        format!("{:020}-{:020}-00000001", 40, 51),
        format!("{:020}-{:020}-00000001", 50, end + 1),
        format!("{:020}-{:020}-00000001", end, end + 10),
    ] {
        let store = stored();
        // What a crash left stays too while it is not known whose the folder is.
        add_blob(&store, &format!("{:020}-{:020}-00000002", 0, 20));
        add_blob(&store, &name);
        check_stray(&store, Some(&name));
    }
}

/// Where the rows of the stored ledger end.
fn stored_end() -> u64 {
    let ledger = stored().open();
    let events = ledger.health().events;
    ledger.close();
    events
}

#[test]
fn what_a_crash_left_is_deleted_once_all_rows_were_checked() {
    let end = stored_end();
    for positions in [0..20, 10..50, 50..end, end - 1..end] {
        let store = stored();
        let before = blobs(&store);
        let name = format!("{:020}-{:020}-0badcafe", positions.start, positions.end);
        add_blob(&store, &name);
        assert_eq!(findings(&store), Vec::<String>::new());
        let damaged = store.snapshot();
        commit(&damaged, b"no row".to_vec(), 1, Vec::new());
        let error = damaged.try_open().map(|_| ()).expect_err("refused");
        assert!(matches!(error, OpenError::Row { .. }), "{error:?}");
        assert!(blobs(&damaged).contains(&name));
        store.open().close();
        assert!(!blobs(&store).contains(&name), "{name}");
        assert!(before.iter().all(|name| blobs(&store).contains(name)));
    }
}

/// The kept head of an organization's log.
fn head(store: &Store, organization: &str) -> Vec<u8> {
    let heads = store.journal.state(StateKind::Head).expect("readable");
    heads.into_iter().find(|(key, _)| key == organization).expect("a head").1
}

fn put(organization: &str, value: Vec<u8>) -> Change {
    Change::Put { kind: StateKind::Head, key: organization.into(), value }
}

/// A head under another number.
fn numbered(head: &[u8], number: u32) -> Vec<u8> {
    [&head[..1], &number.to_le_bytes(), &head[5..]].concat()
}

/// A start refuses with the organization's name, and the check finds it.
fn check_head(store: &Store, changes: Vec<Change>, organization: &str) {
    let store = changed(store, changes);
    let error = store.try_open().map(|_| ()).expect_err("refused");
    assert!(matches!(error, OpenError::Head { .. } | OpenError::State { .. }), "{error:?}");
    assert!(error.to_string().contains(organization), "{error}");
    let found = findings(&store);
    assert!(found.iter().any(|what| what.contains(organization)), "{found:?}");
}

#[test]
fn a_log_never_begins_anew_over_the_events_it_has() {
    let store = stored();
    assert_eq!(findings(&changed(&store, Vec::new())), Vec::<String>::new());
    for organization in ["acme", "globex", "_system"] {
        let kept = head(&store, organization);
        check_head(&store, vec![Change::Delete { kind: StateKind::Head, key: organization.into() }], organization);
        check_head(&store, vec![put(organization, numbered(&kept, 77))], organization);
        let empty = [&kept[..5], &[0; 8]].concat();
        check_head(&store, vec![put(organization, empty)], organization);
    }
}

#[test]
fn a_head_without_sealed_events_is_refused() {
    let store = stored();
    check_head(&store, vec![put("initech", numbered(&head(&store, "acme"), 77))], "initech");
}

#[test]
fn two_logs_with_one_number_are_refused() {
    let store = stored();
    let no_events = [&head(&store, "acme")[..5], &[0; 8]].concat();
    check_head(&store, vec![put("initech", no_events)], "initech");
}

#[test]
fn a_number_beyond_the_limit_takes_no_memory() {
    let store = stored();
    for number in [1 << 24, u32::MAX] {
        check_head(&store, vec![put("acme", numbered(&head(&store, "acme"), number))], "acme");
    }
    let no_events = [&head(&store, "acme")[..5], &[0; 8]].concat();
    let greatest = changed(&store, vec![put("initech", numbered(&no_events, (1 << 24) - 1))]);
    assert_eq!(findings(&greatest), Vec::<String>::new());
}

#[test]
fn what_can_not_be_read_now_is_told_from_what_is_wrong() {
    let check = |store: &Store, expect: (u64, u64)| {
        let blobs: Arc<dyn Blobs> = store.blobs.clone();
        let mut found = Vec::new();
        let summary = fsck(&*store.journal, &blobs, &mut |finding| found.push(finding), &mut |_| {}).expect("checked");
        assert_eq!((summary.findings, summary.unread), expect, "{found:?}");
        assert_eq!(found.iter().filter(|finding| finding.unread).count() as u64, expect.1, "{found:?}");
    };
    let store = stored();
    check(&store, (0, 0));
    // The first thing that is read is a segment.
    store.blobs.fail_next(BlobFault::ReadFails);
    check(&store, (0, 1));
    check(&store, (0, 0));
    let (name, _) = store.segments().remove(1);
    store.blobs.delete(&name).expect("deleted");
    check(&store, (1, 0));
    store.blobs.fail_next(BlobFault::ReadFails);
    check(&store, (1, 1));
}

#[test]
fn a_log_is_compared_though_a_segment_without_it_is_unreadable() {
    let store = stored();
    let (name, _) = store.segments().remove(1);
    let mut kept = head(&store, "globex");
    *kept.last_mut().expect("a node") ^= 1;
    let store = changed(&store, vec![put("globex", kept)]);
    store.blobs.delete(&name).expect("deleted");
    let found = findings(&store);
    assert!(found.iter().any(|what| what.contains(&name)), "{found:?}");
    assert!(found.iter().any(|what| what.contains("the log of globex")), "{found:?}");
    // Of this one not all could be read.
    assert!(!found.iter().any(|what| what.contains("acme")), "{found:?}");
}

#[test]
fn every_unreadable_entry_of_the_state_is_found() {
    let store = stored();
    let entries = [(StateKind::Organization, "acme"), (StateKind::Key, "k1"), (StateKind::Action, "a")];
    let entries = entries.map(|(kind, key)| Change::Put { kind, key: key.into(), value: b"{".to_vec() });
    let found = findings(&changed(&store, entries.into()));
    assert_eq!(found.len(), 3, "{found:?}");
    for name in ["server_name", "store", "hash_key"] {
        let change = Change::Delete { kind: StateKind::Setting, key: name.into() };
        let found = findings(&changed(&store, vec![change]));
        assert!(found.len() == 1 && found[0].contains(name), "{found:?}");
    }
    let change = Change::Put { kind: StateKind::Setting, key: "hash_key".into(), value: b"x".to_vec() };
    assert_eq!(findings(&changed(&store, vec![change])).len(), 1);
}

#[test]
fn an_id_that_is_twice_in_a_log_is_found() {
    let store = Store::new(NEVER);
    let ledger = store.open();
    ["acme", "globex"].into_iter().for_each(|id| create(&ledger, id));
    for organization in ["acme", "globex"] {
        append_json(&ledger, organization, &[r#"{"action":"a","id":"x"}"#]).expect("appended");
    }
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"y"}"#]).expect("appended");
    assert_eq!(all(&ledger, of("acme"), 10).len(), 2);
    ledger.close();
    let twice =
        |what: &String| what.contains("the id of event 1 occurs twice in the log of acme: it is that of event 0");
    assert!(!findings(&store).iter().any(twice));
    let copy = MemoryJournal::new();
    for row in store.journal.rows(0, usize::MAX).expect("rows") {
        let mut body = row::decode(&row.payload).expect("a row");
        for event in &mut body.events {
            let text = String::from_utf8(event.canonical.clone()).expect("UTF-8");
            event.canonical = text.replace(r#""id":"y""#, r#""id":"x""#).into_bytes();
        }
        let payload = row::encode(&body).expect("a row");
        let (sequence, position, event_count) = (row.sequence, row.position, row.event_count);
        let (time_recorded_us, changes, trim) = (row.time_recorded_us, Vec::new(), None);
        copy.commit(&Commit { sequence, position, event_count, time_recorded_us, payload, changes, trim })
            .expect("committed");
    }
    let found = findings(&Store { journal: Arc::new(copy), ..store });
    assert_eq!(found.iter().filter(|what| twice(what)).count(), 1, "{found:?}");
}

/// The same store with a sealed segment whose events have other contents, as if it had been sealed so.
fn resealed(store: &Store, name: &str, bend: impl Fn(&Row, &mut Content)) -> Store {
    let store = store.snapshot();
    let stored = store.blobs.list().expect("listed").into_iter().find(|blob| blob.name == name).expect("a blob");
    let bytes: Arc<[u8]> = store.blobs.read(name, 0..stored.bytes).expect("readable").into();
    let segment = Segment::open(Kept(bytes), stored.bytes).expect("whole");
    let mut events = Vec::new();
    segment.check(&mut |row, content| events.push((row.clone(), content.clone())), &mut |error| panic!("{error}"));
    events.sort_by_key(|(row, _)| row.position);
    for (row, content) in &mut events {
        bend(row, content);
        row.canonical = content.canonical().text.into();
    }
    let logs = segment.logs().expect("readable");
    let organization = |log| Arc::clone(&logs.iter().find(|range| range.log == log).expect("a log").organization);
    let bent = Segment::build(events, segment.hash_key(), organization).expect("in order");
    store.blobs.delete(name).expect("deleted");
    let mut blob = store.blobs.create(name).expect("a blob");
    let write = |part: &[u8]| blob.write(part).map_err(|error| Arc::new(error) as Cause);
    let written = FileWriter::new(write, 1).and_then(|file| Segment::write(&[bent], file)).expect("written");
    blob.finish().expect("finished");
    let Range { start, end } = segment.positions();
    let (bytes, footer, rows) = (written.bytes, written.checksum, segment.len());
    let value = format!(r#"{{"bytes":{bytes},"footer":"{footer:016x}","rows":{rows},"first":{start},"end":{end}}}"#);
    changed(&store, vec![Change::Put { kind: StateKind::Segment, key: name.into(), value: value.into() }])
}

/// A blob's bytes.
struct Kept(Arc<[u8]>);

impl Bytes for Kept {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Cause> {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).expect("small"));
        Ok(self.0[start..end].to_vec())
    }
}

#[test]
fn an_id_that_is_twice_in_a_log_is_found_wherever_its_events_lie() {
    let store = stored();
    let ledger = store.snapshot().open();
    let [acme, globex] = ["acme", "globex"].map(|log| ids(&all(&ledger, of(log), 100)));
    ledger.close();
    let segments = store.segments();
    let (name, _) = segments.last().expect("sealed");
    // Of globex it holds the events from index 7 up to 16; those from 17 on are rows.
    let twice = |id: &str| -> Vec<String> {
        let bent = resealed(&store, name, |row, content| {
            if row.index == 9 {
                content.id = id.to_owned();
            }
        });
        let found = findings(&bent);
        assert!(found.iter().all(|what| !what.contains(id)), "{found:?}");
        found.into_iter().filter(|what| what.contains("occurs twice")).collect()
    };
    for id in [&globex[9], &acme[0], "of-none-so-far"] {
        assert_eq!(twice(id), Vec::<String>::new());
    }
    let told = |index, first| {
        format!("the id of event {index} occurs twice in the log of globex: it is that of event {first}")
    };
    for first in [2, 8] {
        assert_eq!(twice(&globex[first]), [format!("segment {name}: {}", told(9, first))]);
    }
    assert_eq!(twice(&globex[12]), [format!("segment {name}: {}", told(12, 9))]);
    let found = twice(&globex[20]);
    assert!(found.len() == 1 && found[0].starts_with("row ") && found[0].ends_with(&told(20, 9)), "{found:?}");
}

#[test]
fn ids_are_hashed_with_the_key_that_is_set() {
    let store = stored();
    let change = Change::Put { kind: StateKind::Setting, key: "hash_key".into(), value: b"12345".to_vec() };
    let found = findings(&changed(&store, vec![change]));
    assert_eq!(found.len(), store.segments().len(), "{found:?}");
    for (name, _) in store.segments() {
        let of_segment = found.iter().find(|what| what.contains(&name)).expect("found");
        assert!(of_segment.contains("another key") && !of_segment.contains("12345"), "{of_segment}");
    }
}
