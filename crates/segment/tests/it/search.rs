//! Searches and pages, of built and of merged segments.

use std::ops::Range;

use annals_model::{Field, Filter, Order, Time, TimeRange};
use annals_segment::{LogRange, Logs, Segment};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::events::{self, Start};
use crate::model::{List, key};

/// What is asked of a segment.
#[derive(Clone, Debug)]
struct Question {
    logs: Logs,
    positions: Range<u64>,
    filter: Filter,
    order: Order,
    start: Start,
}

fn question<F: Strategy<Value = Filter>>(list: &List, filter: F) -> impl Strategy<Value = Question> + use<F> {
    let length = list.0.len() as u64;
    (events::logs(), events::positions(length), filter, events::order(), events::start(list))
        .prop_map(|(logs, positions, filter, order, start)| Question { logs, positions, filter, order, start })
}

fn check(segment: &Segment, list: &List, question: &Question) -> Result<(), TestCaseError> {
    let Question { logs, positions, filter, order, start } = question;
    let expect = list.page(*logs, positions, filter, order);
    let found = segment.search(*logs, positions.clone(), filter).expect("whole");
    prop_assert_eq!(found.len(), expect.len() as u64);
    prop_assert_eq!(found.is_empty(), expect.is_empty());
    let after = start.after.as_ref();
    let expect: Vec<_> =
        expect.into_iter().filter(|key| after.is_none_or(|after| key.compare(after, order).is_gt())).collect();
    prop_assert_eq!(found.count_after(segment, order, after).expect("whole"), expect.len() as u64);
    let rows = found.select(segment, order, after, start.skip, start.limit).expect("whole");
    let got = segment.keys(&rows).expect("whole");
    let skip = usize::try_from(start.skip).expect("small");
    let expect: Vec<_> = expect.into_iter().skip(skip).take(start.limit).collect();
    prop_assert_eq!(got, expect);
    Ok(())
}

fn small() -> impl Strategy<Value = (List, Vec<Question>)> {
    events::list(0..80).prop_flat_map(|list| {
        let questions = vec(question(&list, events::filter()), 12);
        (Just(list), questions)
    })
}

fn large() -> impl Strategy<Value = (List, Vec<Question>)> {
    events::list(2_500..3_500).prop_flat_map(|list| {
        let questions = vec(question(&list, events::loose_filter()), 24);
        (Just(list), questions)
    })
}

fn cuts() -> impl Strategy<Value = (Vec<usize>, usize)> {
    (vec(any::<usize>(), 0..6), 0..7_usize)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_built_segment_answers_as_the_list_does((list, questions) in small()) {
        let segment = list.build();
        for question in &questions {
            check(&segment, &list, question)?;
        }
    }

    #[test]
    fn a_merged_segment_answers_as_the_list_does((list, questions) in small(), (cuts, first) in cuts()) {
        let [built, filed, merged] = list.segments(&cuts, first);
        prop_assert_eq!(merged.positions(), built.positions());
        let logs = |segment: &Segment| {
            let without_bytes = |log: LogRange| LogRange { text_bytes: 0, ..log };
            segment.logs().expect("whole").into_iter().map(without_bytes).collect::<Vec<_>>()
        };
        prop_assert_eq!(logs(&merged), logs(&built));
        prop_assert_eq!(logs(&filed), logs(&built));
        for question in &questions {
            check(&merged, &list, question)?;
            check(&filed, &list, question)?;
        }
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn many_events_are_answered_like_few((list, questions) in large(), (cuts, first) in cuts()) {
        for segment in list.segments(&cuts, first) {
            for question in &questions {
                check(&segment, &list, question)?;
            }
        }
    }
}

#[test]
fn vocabularies_are_small_enough_for_filters_to_hit() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let list = events::list(2_000..2_001).new_tree(&mut runner).expect("a list").current();
    let filter = events::exact(Field::Action, "flag.update");
    let found = list.build().search(Logs::All, 0..u64::MAX, &filter).expect("whole");
    assert!((100..1_000).contains(&found.len()), "{}", found.len());
}

#[test]
fn a_span_of_time_is_half_open_at_both_ends_of_a_segment() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let list = events::list(100..101).new_tree(&mut runner).expect("a list").current();
    let segment = list.build();
    let times: Vec<Time> = list.0.iter().map(|(row, _)| row.time_recorded).collect();
    let (min, max) = (times.iter().min().copied(), times.iter().max().copied());
    let count = |from: Option<Time>, until: Option<Time>| {
        let filter = Filter { recorded: TimeRange { from, until }, ..Filter::default() };
        segment.search(Logs::All, 0..u64::MAX, &filter).expect("whole").len()
    };
    assert_eq!(count(min, max.map(|max| max.plus_us(1))), 100);
    assert_eq!(count(None, min), 0);
    assert_eq!(count(max.map(|max| max.plus_us(1)), None), 0);
    let last = times.iter().filter(|time| Some(**time) == max).count() as u64;
    assert_eq!(count(max, None), last);
    assert_eq!(count(None, max), 100 - last);
}

#[test]
fn an_unfiltered_page_takes_no_bitmap() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let list = events::list(300..301).new_tree(&mut runner).expect("a list").current();
    let segment = list.build();
    for logs in [Logs::All, Logs::One(list.0[0].0.log)] {
        assert_eq!(segment.search(logs, 0..u64::MAX, &Filter::default()).expect("whole").memory_bytes(), 0);
    }
    let all = segment.search(Logs::All, 0..u64::MAX, &Filter::default()).expect("whole");
    let newest = all.select(&segment, &Order::newest(), None, 0, 1).expect("whole");
    assert_eq!(segment.keys(&newest).expect("whole").first().copied(), list.0.last().map(key));
}
