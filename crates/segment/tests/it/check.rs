//! What checking a segment finds.

use std::ops::Range;
use std::sync::Arc;

use annals_model::{Content, Filter, Order};
use annals_segment::{Logs, Row, Segment, SegmentError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::events;
use crate::model::{File, KEY, List, organization, write};

/// What is wrong, and how many events were seen.
fn check(segment: &Segment) -> (Vec<String>, usize) {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    segment.check(&mut |_, _| seen += 1, &mut |error| wrong.push(error.to_string()));
    (wrong, seen)
}

fn some_list(length: Range<usize>) -> List {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    events::list(length).new_tree(&mut runner).expect("a list").current()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_wrong_with_what_was_built_merged_or_written(
        list in events::list(0..120), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
    ) {
        for segment in list.segments(&cuts, first) {
            prop_assert_eq!(check(&segment), (Vec::new(), list.0.len()));
        }
    }
}

/// Builds a segment whose index was made of other contents than its events say.
fn lying(list: &List, change: impl Fn(&mut Content)) -> Segment {
    let events = list.0.iter().map(|(row, content)| {
        let mut content = content.clone();
        change(&mut content);
        (row.clone(), content)
    });
    Segment::build(events.collect::<Vec<(Row, Content)>>(), KEY, organization).expect("in order")
}

#[test]
fn an_index_that_says_something_else_than_the_events_is_found_and_named() {
    let list = some_list(50..51);
    let wrong = |change: fn(&mut Content)| check(&lying(&list, change)).0.join("; ");
    assert_eq!(wrong(|_| {}), "");
    assert!(wrong(|content| content.action.push('x')).starts_with("action is damaged"));
    assert!(wrong(|content| content.description = Some("other".into())).contains("words"));
    assert!(wrong(|content| content.id.push('x')).contains("event ids"));
    assert!(wrong(|content| content.request.id = Some("r".into())).contains("request ids"));
    assert!(wrong(|content| content.request.status = Some(500)).contains("a status is not the event's"));
    assert!(wrong(|content| content.time_occurred = None).contains("a time shown is not the event's"));
}

/// All that a segment answers: its events, and how many each of some searches finds.
fn answers(segment: &Segment) -> Result<(Vec<Row>, Vec<u64>), SegmentError> {
    let all = segment.search(Logs::All, 0..u64::MAX, &Filter::default())?;
    let rows = segment.rows(&all.select(segment, &Order::newest(), None, 0, usize::MAX)?)?;
    let mut filters = vec![Filter::default()];
    for (field, value) in [("action", "flag*"), ("actor_id", "~a"), ("request_id", "a"), ("target_name", "!flag")] {
        let mut filter = Filter::default();
        filter.add(annals_model::Field::of_name(field).expect("a field"), value).expect("a pattern");
        filters.push(filter);
    }
    filters.push(Filter { words: vec!["flag".into()], ..Filter::default() });
    let count = |filter: &Filter| Ok(segment.search(Logs::All, 0..u64::MAX, filter)?.len());
    let counts = filters.iter().map(count).collect::<Result<_, SegmentError>>()?;
    Ok((rows, counts))
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is_and_never_answered_as_data() {
    let list = some_list(400..401);
    let file = write(&[list.build()]);
    let good = file.0.lock().expect("no panic").clone();
    let open = |bytes: Vec<u8>| {
        let length = bytes.len() as u64;
        Segment::open(File(Arc::new(std::sync::Mutex::new(bytes))), length)
    };
    let expect = answers(&open(good.clone()).expect("whole")).expect("whole");
    let mut sections = std::collections::BTreeSet::new();
    for at in (0..good.len()).step_by(53) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(segment) = open(bytes) else { continue };
        let (wrong, _) = check(&segment);
        assert!(!wrong.is_empty(), "a flipped bit at {at} is not found");
        sections.extend(wrong.iter().filter_map(|what| Some(what.split_once(" is damaged at byte ")?.0.to_owned())));
        if let Ok(answers) = answers(&segment) {
            assert_eq!(answers, expect, "a flipped bit at {at} is answered as data");
        }
    }
    for section in [
        "events",
        "prefixes of events",
        "words",
        "action",
        "event ids",
        "positions",
        "times recorded",
        "times shown",
        "logs",
    ] {
        assert!(sections.contains(section), "{section} not among {sections:?}");
    }
}
