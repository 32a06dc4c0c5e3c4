//! What was written once is read for ever: a journal of version 1, as it was stored by the first
//! release, with the answers that it gave then.
//!
//! `UPDATE_SAMPLES=1` writes the sample anew. That is for a new version's sample, beside the old
//! one: the one of a version that was ever released stays.

use std::path::Path;
use std::sync::Arc;

use annals_model::{Filter, Order, Reach};
use annals_store::{Journal, SqliteJournal, StateKind, row};

use crate::support::{Hands, NEVER, append, append_json, create, event, of, open_over, page, query};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/journal-v1");

/// The events that the sample holds: every member, and what was masked.
const EVENTS: [&str; 4] = [
    r#"{"action":"flag.update","id":"req-8f1c:0","actor":{"id":"usr_1","name":"Iku"}}"#,
    r#"{"action":"a"}"#,
    r#"{"id":"full","action":"flag.update","time_occurred":"2026-11-20T09:46:08.123456Z","actor":{"type":"user","id":"usr_1","name":"Iku","email":"iku@example.com"},"targets":[{"type":"flag","id":"new-checkout","name":"New checkout"},{"id":"t1"},{"id":"t2"},{"id":"t3"},{"id":"t4"},{"id":"t5"},{"id":"t6"},{"id":"t7"},{"id":"t8"},{"id":"t9"},{"id":"t10"}],"accesses":[{"action":"updateOn","resource":"proj/web:env/production:flag/new-checkout;payments"}],"request":{"id":"r","method":"PUT","path":"/flags/new-checkout","query":{"a":"b"},"headers":{"authorization":"Bearer abcdefghijk"},"body":{"on":true},"status":200,"client_ip":"203.0.113.1","user_agent":"curl/8","country":"JP","city":"Tokyo","latitude":"35.68","longitude":"139.69"},"origin":"cli","workspace":"payments","title":"t","description":"d","summary":"s","reason":"r","notes":"n","changes":{"before":{},"after":{"on":1.5e-7},"patch":[]},"time_expires":"2027-05-20T00:00:00Z","data":{"€":1,"😀":2,"דּ":3,"big":9007199254740991},"vendor":{"upstash":{"x":null}}}"#,
    r#"{"action":"é\u0000\"\\","id":"odd","data":[[],{},null,-0.0,1e-7,0.000001]}"#,
];

#[expect(clippy::disallowed_methods, reason = "a switch for whoever writes a new sample, not a setting")]
pub(crate) fn is_update() -> bool {
    std::env::var_os("UPDATE_SAMPLES").is_some()
}

fn write() {
    let folder = Path::new(FOLDER);
    for old in std::fs::read_dir(folder).expect("the folder").flatten() {
        std::fs::remove_file(old.path()).expect("removed");
    }
    let journal = Arc::new(SqliteJournal::open(folder).expect("a journal"));
    let ledger = open_over(Arc::clone(&journal) as Arc<dyn Journal>, clock(), NEVER);
    for id in ["acme", "globex"] {
        create(&ledger, id);
    }
    append_json(&ledger, "acme", &EVENTS[..2]).expect("appended");
    append(&ledger, EVENTS[2..].iter().map(|json| event("globex", json)).collect()).expect("appended");
    std::fs::write(folder.join("answers.txt"), answers(&ledger, &*journal)).expect("written");
    ledger.close();
    drop((ledger, journal));
    let _ = std::fs::remove_file(folder.join("journal.sqlite-wal"));
    let _ = std::fs::remove_file(folder.join("journal.sqlite-shm"));
}

/// When the sample was written.
pub(crate) fn clock() -> Arc<Hands> {
    let clock = Hands::new();
    clock.forward_us((1_800_000_000 - crate::support::START_S) * 1_000_000);
    clock
}

/// All that the ledger answers, and all heads that were committed.
fn answers(ledger: &annals_ledger::Ledger, journal: &dyn Journal) -> String {
    let mut out = Vec::new();
    for reach in [of("_system"), Reach::All] {
        for event in page(ledger, &query(reach, Filter::default(), Order::oldest(), 1_000)).events {
            event.write_native(&mut out);
            out.push(b'\n');
        }
    }
    let mut text = String::from_utf8(out).expect("UTF-8");
    for row in journal.rows(0, usize::MAX).expect("rows") {
        for head in row::decode(&row.payload).expect("a row").heads {
            let root: String = head.root.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("{} {} {} {root}\n", head.organization, head.first_index, head.count);
        }
    }
    for kind in StateKind::ALL {
        for (key, value) in journal.state(kind).expect("state") {
            text += &format!("{} {key:?} {}\n", kind.name(), String::from_utf8_lossy(&value));
        }
    }
    text
}

#[test]
fn a_journal_of_version_1_is_read_and_checked_and_answers_as_it_did() {
    if is_update() {
        write();
    }
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::copy(Path::new(FOLDER).join("journal.sqlite"), copy.path().join("journal.sqlite")).expect("copied");
    let journal = Arc::new(SqliteJournal::open(copy.path()).expect("opens"));
    let ledger = open_over(Arc::clone(&journal) as Arc<dyn Journal>, clock(), NEVER);
    let expect = std::fs::read_to_string(Path::new(FOLDER).join("answers.txt")).expect("the answers");
    assert_eq!(answers(&ledger, &*journal), expect);
    // What is handed in again is known by its commitments, made with the stored seeds.
    let again = append_json(&ledger, "acme", &EVENTS[..1]).expect("appended");
    assert!(again[0].repeated && again[0].index == 0);
    assert!(append_json(&ledger, "globex", &EVENTS[2..]).expect("appended").iter().all(|appended| appended.repeated));
}
