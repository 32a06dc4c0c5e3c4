//! Merging of segments whose pages are not what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use annals_model::{Filter, Order};
use annals_segment::{FileWriter, Logs, Packed, PageRef, Prefixes, Row, Segment, SegmentError, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::events;
use crate::model::{File, List, in_file, write};

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
    let list = some_list(300);
    let [first, second] = [0..150, 150..300].map(|range| List(list.0[range].to_vec()).build());
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

/// What the checksum of a block is made with besides its bytes: the file's seed, and this times its offset.
const SEED: u64 = 7;
const OFFSET_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// What comes before a block's payload: its codec and its content's bytes.
const HEAD_BYTES: usize = 5;
/// What a payload that is packed after a prefix begins with.
const NUMBER_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;

fn open(bytes: Vec<u8>) -> Segment {
    let length = bytes.len() as u64;
    Segment::open(File(Arc::new(Mutex::new(bytes))), length).expect("whole")
}

fn some_list(length: usize) -> List {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    events::list(length..length + 1).new_tree(&mut runner).expect("a list").current()
}

fn bytes_of(segments: &[Segment]) -> Vec<u8> {
    write(segments).0.lock().expect("no panic").clone()
}

/// Where a page lies in its file.
fn range(at: PageRef) -> std::ops::Range<usize> {
    let begin = usize::try_from(at.offset).expect("small");
    begin..begin + at.stored_bytes as usize
}

/// The file with one byte of a page changed, and a checksum that fits.
fn bent(bytes: &[u8], at: PageRef, byte: usize, mask: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let (block, checksum) = bytes[range(at)].split_at_mut(at.stored_bytes as usize - CHECKSUM_BYTES);
    block[byte % block.len()] ^= mask;
    let seed = SEED ^ at.offset.wrapping_mul(OFFSET_FACTOR);
    checksum.copy_from_slice(&xxhash_rust::xxh3::xxh3_64_with_seed(block, seed).to_le_bytes());
    bytes
}

/// Remembers which pages were asked for as they are written, or as events.
struct Packing {
    inner: Arc<dyn Source>,
    packed: Arc<Mutex<BTreeMap<u64, PageRef>>>,
}

impl Source for Packing {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.inner.page(at)
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.packed.lock().expect("no panic").insert(at.offset, at);
        self.inner.text(at, prefix)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.packed.lock().expect("no panic").insert(at.offset, at);
        self.inner.packed(at)
    }
}

/// The pages that `read` asks for as they are written, or as events.
fn packed(segment: &Segment, read: impl FnOnce(&Segment)) -> Vec<PageRef> {
    let packed = Arc::<Mutex<BTreeMap<u64, PageRef>>>::default();
    read(&segment.through(|inner| Arc::new(Packing { inner, packed: Arc::clone(&packed) })));
    packed.lock().expect("no panic").values().copied().collect()
}

#[test]
fn merging_files_whose_pages_lie_fails_or_is_found_out_or_changes_no_row() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut dice = move |below: usize| (0..below.max(1)).new_tree(&mut runner).expect("a number").current();
    let list = some_list(400);
    let [first, second] = [0..200, 200..400].map(|range| bytes_of(&[List(list.0[range].to_vec()).build()]));
    let second = open(second);
    let mut expect: Vec<Row> = list.0.iter().map(|(row, _)| row.clone()).collect();
    expect.sort_by_key(|row| (row.log, row.index));
    let merged = |bytes: Vec<u8>| {
        let file = write_if_sound(&[open(bytes), second.clone()])?;
        file.verify().map(|()| file)
    };
    let whole = open(first.clone());
    let blocks = packed(&whole, |whole| drop(in_file(std::slice::from_ref(whole))));
    let all = packed(&whole, |whole| whole.verify().expect("whole"));
    assert!(!blocks.is_empty() && blocks.iter().all(|block| all.contains(block)));
    let (mut found_out, mut unchanged) = (0, 0);
    for at in all {
        // The codec, the content's bytes, the number of the prefix; then any.
        let own = if blocks.contains(&at) {
            &[0, 1, 3, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + NUMBER_BYTES][..]
        } else {
            &[0]
        };
        for byte in own.iter().copied().chain([dice(1 << 16), dice(1 << 16), dice(1 << 16)]) {
            let mask = [1, 2, 0x80, 0xff][dice(4)];
            match merged(bent(&first, at, byte, mask)) {
                Err(_) => found_out += 1,
                Ok(merged) => {
                    let rows = (0..merged.len()).collect::<Vec<_>>();
                    assert_eq!(merged.rows(&rows).expect("whole"), expect, "byte {byte} of {at:?} by {mask}");
                    unchanged += 1;
                }
            }
        }
    }
    assert!(found_out > 0 && unchanged > 0, "{found_out} were found out, {unchanged} changed no row");
}

/// Segments merged into a file, unless that fails.
fn write_if_sound(segments: &[Segment]) -> Result<Segment, SegmentError> {
    let mut bytes = Vec::new();
    let add = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    Segment::write(segments, FileWriter::new(add, SEED)?)?;
    Ok(open(bytes))
}

#[test]
fn merged_files_take_over_each_others_prefixes_and_get_one_where_there_would_be_many() {
    let list = some_list(2_000);
    let prefixes = |segment: &Segment| {
        let sections = segment.sections().expect("whole");
        sections.iter().find(|(name, _)| *name == "prefixes of events").map_or(0, |(_, bytes)| *bytes)
    };
    for count in [2, 16, 17] {
        let piece = 2_000 / count;
        let bytes: Vec<Vec<u8>> =
            list.0.chunks(piece).take(count).map(|part| bytes_of(&[List(part.to_vec()).build()])).collect();
        let files: Vec<Segment> = bytes.iter().cloned().map(open).collect();
        let of_each: Vec<u64> = files.iter().map(prefixes).collect();
        assert!(of_each.iter().all(|bytes| *bytes > 0), "{of_each:?}");
        let written = bytes_of(&files);
        for (file, bytes) in files.iter().zip(&bytes) {
            // A block that is taken over comes to lie there as it is, but for the number of its prefix.
            let blocks = packed(file, |file| drop(in_file(std::slice::from_ref(file))));
            let is_taken_over = |block: &PageRef| {
                let payload = &bytes[range(*block)][HEAD_BYTES + NUMBER_BYTES..];
                memchr::memmem::find(&written, &payload[..payload.len() - CHECKSUM_BYTES]).is_some()
            };
            assert_eq!(blocks.into_iter().any(|block| is_taken_over(&block)), count <= 16, "of {count}");
        }
        let merged = open(written);
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
