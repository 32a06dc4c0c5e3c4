//! What organizations take on disk.

use annals_ledger::Ledger;
use annals_store::Blobs;

use crate::model::Dice;
use crate::support::{MERGE_FAN, Store, append, create, event, until};

const SEAL_EVENTS: u64 = 50;
/// Characters of a large event's data that nothing can pack, and the bytes that they take at least.
const NOISE_CHARS: usize = 1_000;
const NOISE_BYTES: u64 = 700;

/// Appends event by event until all is sealed: acme's and globex' are alike, initech's are large.
fn fill(ledger: &Ledger) {
    let digits: Vec<char> = ('0'..='9').chain('a'..='z').chain('A'..='Z').collect();
    let mut number = 0;
    while number < (MERGE_FAN as u64 + 3) * SEAL_EVENTS || !ledger.health().events.is_multiple_of(SEAL_EVENTS) {
        let mut dice = Dice::new(number);
        let (log, data) = match number % 4 {
            0 | 2 => ("acme", "short".to_owned()),
            1 => ("globex", "short".to_owned()),
            _ => ("initech", (0..NOISE_CHARS).map(|_| dice.pick(&digits)).collect()),
        };
        let json = format!(r#"{{"action":"flag.update","id":"e{number}","data":"{data}"}}"#);
        append(ledger, vec![event(log, &json)]).expect("appended");
        number += 1;
    }
}

#[test]
fn what_all_organizations_take_adds_up_to_what_is_on_disk_and_each_has_its_share() {
    let store = Store::new(SEAL_EVENTS);
    let ledger = store.open();
    ["acme", "globex", "initech"].into_iter().for_each(|id| create(&ledger, id));
    fill(&ledger);
    store.settle(&ledger);
    until("merged segments are deleted", || store.is_tidy());
    let (segments, all) = (store.segments(), ledger.health().events);
    assert_eq!(segments.last().map(|(_, positions)| positions.end), Some(all), "all is sealed");
    assert!(segments.len() > 1 && segments[0].1.end >= MERGE_FAN as u64 * SEAL_EVENTS, "and some is merged");

    // When readers get what the journal names already can't be seen; a start tells.
    ledger.close();
    let ledger = store.reopen().open();
    let usage = ledger.usage().expect("told");
    let names: Vec<&str> = usage.iter().map(|usage| &*usage.organization).collect();
    assert_eq!(names, ["_system", "acme", "globex", "initech"]);
    assert_eq!(usage.iter().map(|usage| usage.events).sum::<u64>(), all);
    let stored: u64 = store.blobs.list().expect("listed").iter().map(|blob| blob.bytes).sum();
    let told: u64 = usage.iter().map(|usage| usage.bytes).sum();
    // Each share of each segment is rounded down.
    let rounded = (segments.len() * usage.len()) as u64;
    assert!(told <= stored && told + rounded >= stored, "{told} bytes are told of, and {stored} are stored");

    let [_, acme, globex, initech] = &usage[..] else { panic!("four organizations") };
    let each = |usage: &annals_ledger::Usage| usage.bytes / usage.events;
    assert!(acme.bytes > globex.bytes, "twice as many of the same events");
    assert!(each(acme).abs_diff(each(globex)) * 4 < each(acme), "{acme:?} {globex:?}");
    assert!(each(initech) > each(acme) + NOISE_BYTES, "{initech:?} {acme:?}");
    assert!(each(initech) < each(acme) + 2 * NOISE_CHARS as u64, "{initech:?} {acme:?}");
    assert!(each(acme) < NOISE_BYTES, "nobody pays for the noise of others: {acme:?}");
    ledger.close();
}
