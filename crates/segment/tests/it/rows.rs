//! Events as they went in, and what is refused.

use std::sync::Arc;

use annals_model::{Content, Filter, Order, Time};
use annals_segment::{EventId, Logs, Row, Segment, SegmentError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::events;
use crate::model::{KEY, in_file, organization};

fn row(log: u32, index: u64, position: u64) -> (Row, Content) {
    let content = Content { id: position.to_string(), ..Content::default() };
    let canonical = content.canonical().text.into();
    let secret = Arc::from(&b"secret"[..]);
    (Row { log, index, position, time_recorded: Time::from_s(1), canonical, secret }, content)
}

fn build(rows: &[(u32, u64, u64)]) -> Result<Segment, SegmentError> {
    Segment::build(rows.iter().map(|(log, index, position)| row(*log, *index, *position)), KEY, organization)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back_as_they_went_in(
        list in events::list(1..200), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
        picks in vec(any::<u32>(), 0..40),
    ) {
        for segment in list.segments(&cuts, first) {
            let rows = segment.search(Logs::All, 0..u64::MAX, &Filter::default()).expect("whole");
            let rows = rows.select(&segment, &Order::oldest(), None, 0, usize::MAX).expect("whole");
            let got = segment.rows(&rows).expect("whole");
            let expect: Vec<&Row> = list.0.iter().map(|(row, _)| row).collect();
            prop_assert_eq!(got.iter().collect::<Vec<_>>(), expect);
            let picks: Vec<u32> = picks.iter().map(|pick| pick % segment.len()).collect();
            let several = segment.rows(&picks).expect("whole");
            let single: Vec<Row> = picks.iter().map(|pick| segment.row(*pick).expect("whole")).collect();
            prop_assert_eq!(several, single);
        }
    }
}

fn error<T>(result: Result<T, SegmentError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

fn late(position: u64) -> String {
    SegmentError::OutOfOrder { position }.to_string()
}

#[test]
fn a_row_that_is_not_there_is_an_error() {
    let segment = build(&[(1, 0, 0)]).expect("in order");
    assert_eq!(error(segment.row(1)), "there is no row 1: the segment has 1");
    assert_eq!(error(segment.rows(&[0, u32::MAX])), "there is no row 4294967295: the segment has 1");
}

#[test]
fn events_out_of_order_are_refused() {
    assert_eq!(error(build(&[(1, 0, 5), (1, 1, 5)])), late(5));
    assert_eq!(error(build(&[(1, 0, 5), (2, 0, 4)])), late(4));
    assert_eq!(error(build(&[(1, 1, 5), (1, 0, 6)])), late(6));
    assert_eq!(error(build(&[(1, 1, 5), (1, 1, 6)])), late(6));
    assert_eq!(error(build(&[(1, 1, 5), (1, 3, 6)])), late(6));
    assert!(build(&[(2, 0, 5), (1, 7, 9)]).is_ok());
}

#[test]
fn segments_out_of_order_are_refused() {
    let early = build(&[(1, 0, 0), (1, 1, 1)]).expect("in order");
    let next = build(&[(1, 2, 2)]).expect("in order");
    let wrong_index = build(&[(1, 1, 2)]).expect("in order");
    assert!(Segment::merge(&[early.clone(), next.clone()]).is_ok());
    assert_eq!(error(Segment::merge(&[next, early.clone()])), late(0));
    assert_eq!(error(Segment::merge(&[early, wrong_index])), late(2));
}

#[test]
fn a_segment_may_be_empty() {
    let none = build(&[]).expect("in order");
    let filed = in_file(&[]);
    for empty in [Segment::merge(&[]).expect("nothing"), none, filed] {
        assert!(empty.is_empty());
        assert_eq!(empty.positions(), 0..0);
        assert!(empty.logs().expect("whole").is_empty());
        assert!(empty.search(Logs::All, 0..u64::MAX, &Filter::default()).expect("whole").is_empty());
        assert!(empty.find_id(&EventId::new("x")).expect("whole").is_empty());
        assert!(empty.rows(&[]).expect("whole").is_empty());
    }
    let one = build(&[(1, 0, 3)]).expect("in order");
    let merged = Segment::merge(&[build(&[]).expect("in order"), one]).expect("neighbours");
    assert_eq!((merged.len(), merged.positions()), (1, 3..4));
}

#[test]
fn a_log_is_told_by_its_ranges() {
    let segment = build(&[(4, 7, 10), (2, 0, 11), (4, 8, 12)]).expect("in order");
    let logs = segment.logs().expect("whole").into_iter();
    let logs: Vec<_> = logs.map(|log| (log.log, log.rows, log.indexes, log.positions)).collect();
    assert_eq!(logs, [(2, 0..1, 0..1, 11..12), (4, 1..3, 7..9, 10..13)]);
    let log = segment.log(4).expect("whole").expect("there");
    assert_eq!((*log.times_shown.end(), &*log.organization), (Time::from_s(1), "organization-4"));
    assert_eq!(segment.log(3).expect("whole"), None);
}
