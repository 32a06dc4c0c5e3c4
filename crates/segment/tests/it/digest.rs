//! The digest that rides along with events, and ids of one log among others'.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use annals_model::{Content, Time};
use annals_segment::{EventId, Packed, PageRef, Prefixes, Row, Segment, SegmentError, Source};

use crate::model::{KEY, in_file, organization};

fn row(log: u32, index: u64, position: u64, id: &str) -> (Row, Content) {
    let content = Content { id: id.to_owned(), action: "flag.update".to_owned(), ..Content::default() };
    let row = Row {
        log,
        index,
        position,
        time_recorded: Time::from_s(1_700_000_000),
        canonical: content.canonical().text.into(),
        secret: position.to_le_bytes().into(),
    };
    (row, content)
}

fn build(rows: Vec<(Row, Content)>) -> Segment {
    Segment::build(rows, KEY, organization).expect("in order")
}

/// Gives the secrets of one page with the last bit of the last one flipped.
struct Bent(Arc<dyn Source>);

impl Source for Bent {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.0.page(at)
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        let mut text = self.0.text(at, prefix)?.to_vec();
        text.last_mut().into_iter().for_each(|byte| *byte ^= 1);
        Ok(text.into())
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.0.packed(at)
    }
}

#[test]
fn a_merged_segment_that_holds_other_events_than_were_handed_in_is_found_out() {
    let rows = |range: std::ops::Range<u64>| range.map(|n| row(1, n, n, &format!("e-{n}"))).collect::<Vec<_>>();
    let (first, second) = (build(rows(0..200)), build(rows(200..300)));
    in_file(&[first.clone(), second.clone()]).verify().expect("whole");
    let bent = first.through(|inner| Arc::new(Bent(inner)));
    let error = in_file(&[bent, second]).verify().expect_err("a secret was changed on the way");
    assert_eq!(error.to_string(), "events is damaged at byte 0 (0 bytes): they are not those that were handed in");
}

/// Counts what is read.
struct Counting(Arc<dyn Source>, Arc<AtomicUsize>);

impl Source for Counting {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.page(at)
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.text(at, prefix)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.0.packed(at)
    }
}

#[test]
fn a_log_whose_ids_have_right_times_pays_nothing_for_anothers_wrong_clock() {
    // Log 1's ids are of 2023, and one of log 2's is of a time far ahead.
    let of_2023 = |n: u64| format!("018bcfe5-6800-7000-8000-{n:012x}");
    let mut rows: Vec<_> = (0..50).map(|n| row(1, n, n, &of_2023(n))).collect();
    rows.push(row(2, 0, 50, "0fffffff-ffff-7000-8000-000000000000"));
    let read = Arc::new(AtomicUsize::new(0));
    let segment = in_file(&[build(rows)]).through(|inner| Arc::new(Counting(inner, Arc::clone(&read))));
    let later = "01f00000-0000-7000-8000-000000000000";
    let later = EventId::new(later);
    assert!(segment.may_hold_id(&later), "between the two");
    let reads = |find: &dyn Fn() -> Vec<u32>| {
        let before = read.load(Ordering::Relaxed);
        (find(), read.load(Ordering::Relaxed) - before)
    };
    assert_eq!(reads(&|| segment.find_id_of(1, &later).expect("whole")), (vec![], 1), "only what there is of the log");
    assert_eq!(reads(&|| segment.find_id_of(3, &later).expect("whole")).0, Vec::<u32>::new());
    let known = of_2023(7);
    assert_eq!(segment.find_id_of(1, &EventId::new(&known)).expect("whole"), [7]);
    assert_eq!(segment.find_id_of(2, &EventId::new(&known)).expect("whole"), Vec::<u32>::new());
}
