//! Merging of segments whose pages are not what was written.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use annals_model::{Filter, Order};
use annals_segment::{Logs, Packed, PageRef, Prefixes, Segment, SegmentError, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::events;
use crate::model::in_file;

/// Gives other bytes than were written, in one place.
struct Lying {
    inner: Arc<dyn Source>,
    lie: Option<Lie>,
    asked: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Clone, Copy, Debug)]
struct Lie {
    page: u64,
    byte: usize,
    mask: u8,
}

impl Lying {
    fn bent(&self, at: PageRef, page: &[u8]) -> Arc<[u8]> {
        let mut page = page.to_vec();
        if let Some(lie) = self.lie.filter(|lie| lie.page == at.offset) {
            let byte = lie.byte % page.len().max(1);
            page.iter_mut().skip(byte).take(1).for_each(|byte| *byte ^= lie.mask);
        }
        page.into()
    }
}

impl Source for Lying {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.asked.lock().expect("no panic").insert(at.offset);
        let page = self.inner.page(at)?;
        Ok(self.bent(at, &page))
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.asked.lock().expect("no panic").insert(at.offset);
        let page = self.inner.text(at, prefix)?;
        Ok(self.bent(at, &page))
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner.packed(at)
    }
}

fn lying(segment: &Segment, lie: Option<Lie>) -> (Segment, Arc<Mutex<BTreeSet<u64>>>) {
    let asked = Arc::default();
    (segment.through(|inner| Arc::new(Lying { inner, lie, asked: Arc::clone(&asked) })), asked)
}

/// How many different rows are listed and can be read.
fn rows(segment: &Segment) -> usize {
    let all = segment.search(Logs::All, 0..u64::MAX, &Filter::default()).expect("whole");
    let rows = all.select(segment, &Order::newest(), None, 0, usize::MAX).expect("whole");
    assert_eq!(segment.rows(&rows).expect("whole").len(), rows.len());
    rows.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn merging_bad_pages_fails_as_damage_or_loses_no_row() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut dice = move |below: usize| (0..below.max(1)).new_tree(&mut runner).expect("a number").current();
    let list = {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        events::list(300..301).new_tree(&mut runner).expect("a list").current()
    };
    let [first, second] = [0..150, 150..300].map(|range| crate::model::List(list.0[range].to_vec()).build());
    // The pages that tell what rows there are, and what they say.
    let (whole, asked) = lying(&first, None);
    assert_eq!(rows(&whole), 150);
    let pages: Vec<u64> = asked.lock().expect("no panic").iter().copied().collect();
    let mut damaged = BTreeSet::new();
    for page in pages {
        for _ in 0..24 {
            let lie = Lie { page, byte: dice(1 << 16), mask: [1, 2, 0x80, 0xff][dice(4)] };
            let (bad, _) = lying(&first, Some(lie));
            match Segment::merge(&[bad, second.clone()]) {
                Err(SegmentError::Corrupt { section, .. }) => {
                    damaged.insert(section);
                }
                // A log that has no gap itself, but seems to have one between the segments.
                Err(error) => assert!(matches!(error, SegmentError::OutOfOrder { .. }), "{lie:?}: {error}"),
                Ok(merged) => assert_eq!(rows(&merged), 300, "{lie:?}"),
            }
        }
    }
    for section in ["rows by position", "logs", "events"] {
        assert!(damaged.contains(section), "{section} not among {damaged:?}");
    }
}

#[test]
fn merged_files_take_over_each_others_prefixes_and_get_one_where_there_would_be_many() {
    let list = {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        events::list(2_000..2_001).new_tree(&mut runner).expect("a list").current()
    };
    let prefixes = |segment: &Segment| {
        let sections = segment.sections().expect("whole");
        sections.iter().find(|(name, _)| *name == "prefixes of events").map_or(0, |(_, bytes)| *bytes)
    };
    for count in [2, 16, 17] {
        let piece = 2_000 / count;
        let files: Vec<Segment> = list
            .0
            .chunks(piece)
            .take(count)
            .map(|part| in_file(&[crate::model::List(part.to_vec()).build()]))
            .collect();
        let of_each: Vec<u64> = files.iter().map(prefixes).collect();
        assert!(of_each.iter().all(|bytes| *bytes > 0), "{of_each:?}");
        let merged = in_file(&files);
        let all: u64 = of_each.iter().sum();
        assert!(if count <= 16 { prefixes(&merged) == all } else { prefixes(&merged) < all / 2 });
        let again = in_file(&[merged]);
        let mut wrong = Vec::new();
        let mut rows = Vec::new();
        again.check(&mut |row, _| rows.push(row.clone()), &mut |error| wrong.push(error.to_string()));
        assert_eq!(wrong, Vec::<String>::new());
        rows.sort_by_key(|row| row.position);
        assert!(rows.iter().eq(list.0.iter().take(piece * count).map(|(row, _)| row)));
    }
}
