//! Events as they went in, and what is refused.

use std::sync::Arc;

use annals_model::{Content, Filter, Order, Time};
use annals_segment::{Logs, Row, Segment, SegmentError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::events;
use crate::model::KEY;

fn row(log: u32, index: u64, position: u64) -> (Row, Content) {
    let content = Content { id: position.to_string(), ..Content::default() };
    let canonical = content.canonical().text.into();
    let secret = Arc::from(&b"secret"[..]);
    (Row { log, index, position, time_recorded: Time::from_s(1), canonical, secret }, content)
}

fn build(rows: &[(u32, u64, u64)]) -> Result<Segment, SegmentError> {
    Segment::build(rows.iter().map(|(log, index, position)| row(*log, *index, *position)), KEY)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back_as_they_went_in(
        list in events::list(1..200), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
        picks in vec(any::<u32>(), 0..40),
    ) {
        for segment in [list.build(), list.merged(&cuts, first)] {
            let rows = segment.search(Logs::All, 0..u64::MAX, &Filter::default());
            let rows = rows.select(&segment, &Order::oldest(), None, 0, usize::MAX);
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

#[test]
fn a_row_that_is_not_there_is_an_error() {
    let segment = build(&[(1, 0, 0)]).expect("in order");
    assert_eq!(segment.row(1).err(), Some(SegmentError::NoRow { row: 1, rows: 1 }));
    assert_eq!(segment.rows(&[0, u32::MAX]).err(), Some(SegmentError::NoRow { row: u32::MAX, rows: 1 }));
}

#[test]
fn events_out_of_order_are_refused() {
    let late = |position| Some(SegmentError::OutOfOrder { position });
    assert_eq!(build(&[(1, 0, 5), (1, 1, 5)]).err(), late(5));
    assert_eq!(build(&[(1, 0, 5), (2, 0, 4)]).err(), late(4));
    assert_eq!(build(&[(1, 1, 5), (1, 0, 6)]).err(), late(5));
    assert_eq!(build(&[(1, 1, 5), (1, 1, 6)]).err(), late(6));
    assert_eq!(build(&[(2, 0, 5), (1, 7, 9)]).err(), None);
}

#[test]
fn segments_out_of_order_are_refused() {
    let early = Arc::new(build(&[(1, 0, 0), (1, 1, 1)]).expect("in order"));
    let next = Arc::new(build(&[(1, 2, 2)]).expect("in order"));
    let wrong_index = Arc::new(build(&[(1, 1, 2)]).expect("in order"));
    assert!(Segment::merge(&[early.clone(), next.clone()]).is_ok());
    assert_eq!(Segment::merge(&[next, early.clone()]).err(), Some(SegmentError::OutOfOrder { position: 0 }));
    assert_eq!(Segment::merge(&[early, wrong_index]).err(), Some(SegmentError::OutOfOrder { position: 2 }));
}

#[test]
fn a_segment_may_be_empty() {
    let none = build(&[]).expect("in order");
    for empty in [Segment::merge(&[]).expect("nothing"), none] {
        assert!(empty.is_empty());
        assert_eq!(empty.positions(), 0..0);
        assert_eq!(empty.logs().len(), 0);
        assert!(empty.search(Logs::All, 0..u64::MAX, &Filter::default()).is_empty());
        assert!(empty.find_id(1, "x").is_empty());
        assert_eq!(empty.rows(&[]), Ok(Vec::new()));
    }
    let one = Arc::new(build(&[(1, 0, 3)]).expect("in order"));
    let merged = Segment::merge(&[Arc::new(build(&[]).expect("in order")), one]).expect("neighbours");
    assert_eq!((merged.len(), merged.positions()), (1, 3..4));
}

#[test]
fn a_log_is_told_by_its_ranges() {
    let segment = build(&[(4, 7, 10), (2, 0, 11), (4, 8, 12)]).expect("in order");
    let logs: Vec<_> = segment.logs().map(|log| (log.log, log.rows, log.indexes, log.positions)).collect();
    assert_eq!(logs, [(2, 0..1, 0..1, 11..12), (4, 1..3, 7..9, 10..13)]);
    assert_eq!(segment.log(4).map(|log| *log.times_shown.end()), Some(Time::from_s(1)));
    assert_eq!(segment.log(3), None);
}
