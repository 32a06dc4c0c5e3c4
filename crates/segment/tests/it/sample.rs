//! The stored segments, one of each version and one merged from files, which every later version reads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use annals_model::{Access, Actor, Content, Field, Filter, Order, Request, Target, Time, Value};
use annals_segment::{EventId, Logs, Row, Segment};

use crate::model::{File, KEY, in_file, organization, write};

const EVENTS: u64 = 700;
/// The version that is written.
const VERSION: u32 = 2;

/// So many events, those of the samples first: three logs, clocks of clients that jump, every section in use.
fn events(count: u64) -> Vec<(Row, Content)> {
    let mut indexes = [0_u64; 3];
    let event = |n: u64| {
        let log = usize::try_from(n * n % 3).expect("small");
        let text = |what: &str| Some(format!("{what}-{}", n % 17));
        let content = Content {
            id: if n.is_multiple_of(2) { format!("01900000-0000-7000-8000-{n:012x}") } else { format!("plain-{n}") },
            action: format!("flag.{}", ["create", "update", "delete"][usize::try_from(n % 3).expect("small")]),
            time_occurred: (!n.is_multiple_of(5))
                .then(|| Time::from_s(1_700_000_000 + i64::try_from(n * 37 % 900).expect("small"))),
            actor: Actor {
                id: text("usr"),
                name: Some(format!("Zoë {}", n % 11)),
                kind: text("kind"),
                email: text("mail"),
            },
            targets: vec![Target { kind: Some("flag".into()), id: text("flag"), name: text("Flag") }],
            accesses: vec![Access { action: "updateOn".into(), resource: format!("proj/web:flag/f{};b,a", n % 4) }],
            request: Request {
                id: Some(format!("req-{n}")),
                method: Some("PUT".into()),
                path: text("/flags"),
                status: (n % 4 != 3).then(|| 200 + u16::try_from(n % 3).expect("small")),
                client_ip: Some(format!("203.0.113.{}", n % 200)),
                country: Some("JP".into()),
                ..Request::default()
            },
            origin: text("cli"),
            workspace: text("ws"),
            description: Some(format!("Changed número {n} of the sample")),
            data: (n == 350).then(|| Value::from("large ".repeat(20_000))),
            ..Content::default()
        };
        indexes[log] += 1;
        let row = Row {
            log: u32::try_from(log).expect("small") * 5,
            index: indexes[log] - 1,
            position: 1_000 + n,
            time_recorded: Time::from_s(1_700_001_000 + i64::try_from(n / 10).expect("small")),
            canonical: content.canonical().text.into(),
            secret: n.to_le_bytes().repeat(2).into(),
        };
        (row, content)
    };
    (0..count).map(event).collect()
}

#[allow(clippy::disallowed_methods, reason = "asked by who runs the tests, not by the product")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_SAMPLES").is_some()
}

fn build(events: &[(Row, Content)]) -> Segment {
    Segment::build(events.to_vec(), KEY, organization).expect("in order")
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn open(name: &str) -> Segment {
    let bytes = std::fs::read(path(name)).expect("the sample");
    let length = bytes.len() as u64;
    Segment::open(File(Arc::new(Mutex::new(bytes))), length).expect("whole")
}

/// Writes a sample anew if that is asked for.
fn update(name: &str, segments: &[Segment]) {
    if is_update() {
        std::fs::write(path(name), &*write(segments).0.lock().expect("no panic")).expect("written");
    }
}

#[test]
fn a_segment_of_each_version_is_read_as_it_was_written() {
    let events = events(EVENTS);
    let (first, rest) = events.split_at(300);
    update(&format!("segment-v{VERSION}"), &[build(first), build(rest)]);
    (1..=VERSION).for_each(|version| check(&open(&format!("segment-v{version}")), &events));
}

#[test]
fn a_segment_merged_from_files_is_read_as_it_was_written() {
    let events = events(EVENTS);
    let (first, rest) = events.split_at(300);
    let name = format!("segment-v{VERSION}-merged");
    update(&name, &[in_file(&[build(first)]), in_file(&[build(rest)])]);
    check(&open(&name), &events);
}

#[test]
fn a_segment_of_an_older_version_is_merged_with_one_of_the_present() {
    let events = events(EVENTS + 400);
    let (_, rest) = events.split_at(usize::try_from(EVENTS).expect("small"));
    for version in 1..=VERSION {
        let sample = open(&format!("segment-v{version}"));
        for rest in [build(rest), in_file(&[build(rest)])] {
            let neighbours = [sample.clone(), rest];
            check(&in_file(&neighbours), &events);
            check(&Segment::merge(&neighbours).expect("neighbours"), &events);
        }
    }
}

/// Checks what a segment tells of some events.
fn check(segment: &Segment, events: &[(Row, Content)]) {
    segment.verify().expect("whole");
    let mut wrong = Vec::new();
    segment.check(&mut |_, _| {}, &mut |error| wrong.push(error.to_string()));
    assert_eq!(wrong, Vec::<String>::new());
    let all = segment.search(Logs::All, 0..u64::MAX, &Filter::default()).expect("whole");
    let rows = all.select(segment, &Order::oldest(), None, 0, usize::MAX).expect("whole");
    let expect: Vec<Row> = events.iter().map(|(row, _)| row.clone()).collect();
    assert_eq!(segment.rows(&rows).expect("whole"), expect);
    for (field, value) in [(Field::ActorName, "Zoë*"), (Field::RequestId, "req-77"), (Field::TargetId, "~FLAG-1")] {
        let mut filter = Filter { words: vec!["número".into()], ..Filter::default() };
        filter.add(field, value).expect("a pattern");
        let expect = events.iter().filter(|(row, content)| filter.matches(content, row.time_recorded)).count() as u64;
        assert!(expect > 0);
        assert_eq!(segment.search(Logs::All, 0..u64::MAX, &filter).expect("whole").len(), expect);
    }
    let found = segment.search(Logs::One(5), 0..u64::MAX, &Filter::default()).expect("whole");
    let by_time = found.select(segment, &Order::occurred(), None, 10, 50).expect("whole");
    let times: Vec<Time> = segment.keys(&by_time).expect("whole").into_iter().map(|key| key.time).collect();
    assert!(times.is_sorted_by(|a, b| a >= b) && times.len() == 50);
    for id in ["plain-77", "01900000-0000-7000-8000-00000000004c"] {
        assert_eq!(segment.find_id(&EventId::new(id)).expect("whole").len(), 1, "{id}");
    }
}
