//! Segments that state something else than their events say.

use std::sync::Arc;

use annals_model::{Access, Actor, Request, Target, Time, Value};

use super::*;
use crate::footer::Footer;
use crate::page::{Packed, Prefixes, Source};
use crate::table::Table;
use crate::{FileWriter, Segment};

const EVENTS: u64 = 90;

/// A file of events of three logs in turn, whose clients' clocks jump; some ids carry a time. Each has some
/// bytes of data.
fn file(data_bytes: usize) -> Vec<u8> {
    let event = |n: u64| {
        let text = |what: &str| Some(format!("{what}-{}", n % 17));
        let content = Content {
            id: if n.is_multiple_of(2) { format!("01900000-{n:04x}-7000-8000-000000000000") } else { format!("e{n}") },
            action: "a".into(),
            time_occurred: Some(Time::from_s(1_000 + (n * 37 % 50).cast_signed())),
            actor: Actor { id: text("usr"), name: text("name"), kind: text("kind"), email: text("mail") },
            targets: vec![Target { kind: text("kind"), id: text("flag"), name: text("Flag") }],
            accesses: vec![Access { action: "updateOn".into(), resource: format!("proj/web:flag/f{}", n % 4) }],
            request: Request {
                id: text("req"),
                method: text("PUT"),
                path: text("/flags"),
                status: Some(200),
                client_ip: text("203.0.113"),
                country: text("JP"),
                ..Request::default()
            },
            origin: text("cli"),
            workspace: text("ws"),
            description: text("Changed"),
            data: (data_bytes > 0)
                .then(|| Value::from(n.to_string().repeat(data_bytes).get(..data_bytes).unwrap_or_default())),
            ..Content::default()
        };
        let row = Row {
            log: u32::try_from(n % 3).expect("small"),
            index: n / 3,
            position: 100 + n,
            time_recorded: Time::from_s(2_000 + n.cast_signed()),
            canonical: content.canonical().text.into(),
            secret: Arc::from([]),
        };
        (row, content)
    };
    let segment = Segment::build((0..EVENTS).map(event), 7, |log| format!("log-{log}").into()).expect("in order");
    let mut bytes = Vec::new();
    let write = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    Segment::write(&[segment], FileWriter::new(write, 1).expect("memory")).expect("memory");
    bytes
}

fn open(bytes: &[u8]) -> Segment {
    Segment::open(Arc::<[u8]>::from(bytes), bytes.len() as u64).expect("whole")
}

fn built() -> Segment {
    open(&file(0))
}

fn wrong(segment: &Segment) -> Vec<String> {
    let mut wrong = Vec::new();
    segment.check(&mut |_, _| (), &mut |error| wrong.push(error.to_string()));
    wrong
}

/// The segment with another footer, as if that had been written.
fn bent(segment: &Segment, bend: impl FnOnce(&mut Footer)) -> Segment {
    let mut footer = (*segment.footer).clone();
    bend(&mut footer);
    let footer = Footer::of_bytes(&footer.to_bytes(), PageRef::default()).expect("a footer");
    let mut segment = segment.clone();
    segment.footer = Arc::new(footer);
    segment
}

#[track_caller]
fn check_footer(expect: &str, bend: impl FnOnce(&mut Footer)) {
    let segment = built();
    assert_eq!(wrong(&segment), Vec::<String>::new());
    let wrong = wrong(&bent(&segment, bend));
    assert!(!wrong.is_empty() && wrong.iter().all(|what| what.starts_with(expect)), "{expect}: {wrong:?}");
}

#[test]
fn what_the_footer_states_of_all_events_is_compared_with_them() {
    let later = Time::from_s(9_000);
    check_footer("the footer is damaged", |footer| footer.rows -= 1);
    check_footer("the footer is damaged", |footer| footer.rows += 1);
    check_footer("the footer is damaged", |footer| footer.logs += 1);
    check_footer("the footer is damaged", |footer| footer.positions.start += 1);
    check_footer("the footer is damaged", |footer| footer.positions.end -= 1);
    check_footer("the footer is damaged", |footer| footer.text_bytes += 1);
    check_footer("the footer is damaged", |footer| footer.digest = Some(1));
    check_footer("the footer is damaged", |footer| footer.recorded.min = later);
    check_footer("the footer is damaged", |footer| footer.recorded.max = later);
    check_footer("the footer is damaged", |footer| footer.recorded.ordered ^= true);
    check_footer("the footer is damaged", |footer| footer.shown.min = later);
    check_footer("the footer is damaged", |footer| footer.shown.max = later);
    check_footer("the footer is damaged", |footer| footer.shown.ordered ^= true);
    check_footer("the footer is damaged", |footer| footer.id_times.others = 0);
    check_footer("the footer is damaged", |footer| footer.id_times.carried = None);
    check_footer("the footer is damaged", |footer| footer.id_times.carried = Some((0, 1)));
}

#[test]
fn a_section_that_is_left_out_has_to_be_superfluous() {
    let none = |table: &mut Table| *table = Table { section: table.section, ..Table::default() };
    check_footer("rows by time is damaged", |footer| none(&mut footer.tables.by_time));
    check_footer("rows by position is damaged", |footer| none(&mut footer.tables.places));
    // What is ordered by times shown is then wrong too.
    let wrong = wrong(&bent(&built(), |footer| none(&mut footer.tables.shown)));
    assert!(wrong.iter().any(|what| what.starts_with("times shown is damaged")), "{wrong:?}");
}

#[test]
fn a_key_that_ids_were_not_hashed_with_is_found() {
    let wrong = wrong(&bent(&built(), |footer| footer.hash_key += 1));
    assert!(wrong.iter().any(|what| what.starts_with("event ids is damaged")), "{wrong:?}");
}

/// Gives a page with one byte changed.
struct Bent {
    inner: Arc<dyn Source>,
    page: PageRef,
    at: usize,
}

impl Source for Bent {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        let mut raw = self.inner.page(at)?.to_vec();
        if at == self.page {
            raw[self.at] ^= 1;
        }
        Ok(raw.into())
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.inner.text(at, prefix)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner.packed(at)
    }
}

#[test]
fn what_a_run_states_of_its_events_is_compared_with_them() {
    let segment = built();
    let page = segment.footer.tables.runs.entries.first().expect("a page").page;
    // The second of three, behind the count; see the module on runs.
    let run = 4 + 104;
    for (number, at) in [
        ("the first row", 4),
        ("the end of rows", 8),
        ("other ids", 12),
        ("the first position", 24),
        ("the last position", 32),
        ("recorded min", 40),
        ("recorded max", 48),
        ("shown min", 56),
        ("shown max", 64),
        ("ids min", 72),
        ("ids max", 80),
        ("text bytes", 88),
        ("flags", 100),
    ] {
        let bent = segment.through(|inner| Arc::new(Bent { inner, page, at: run + at }));
        let wrong = wrong(&bent);
        assert!(
            !wrong.is_empty() && wrong.iter().all(|what| what.starts_with("logs is damaged")),
            "{number}: {wrong:?}"
        );
    }
}

#[test]
fn damage_in_any_page_is_told_once_with_the_section_and_the_place() {
    // More blocks than the footer has room for.
    let bytes = file(17_000);
    let segment = open(&bytes);
    assert!(segment.footer.tables.blocks.deep);
    for (code, table) in segment.footer.all_tables() {
        let pages = table.all(&*segment.source).expect("whole");
        assert!(!pages.is_empty(), "section {code}, {}, has no page", table.section);
        for page in
            [pages.first(), pages.last(), table.own_pages().first()].into_iter().flatten().map(|entry| entry.page)
        {
            let mut damaged = bytes.clone();
            damaged[usize::try_from(page.offset).expect("small") + page.stored_bytes as usize / 2] ^= 1;
            let damaged = open(&damaged);
            let place = SegmentError::corrupt(table.section, page, "its checksum differs").to_string();
            assert_eq!(wrong(&damaged), [place.as_str()]);
            assert_eq!(damaged.verify().expect_err("damaged").to_string(), place);
        }
    }
}
