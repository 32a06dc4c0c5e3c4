//! Postings against the rows that went in.

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::read::Take;
use super::*;
use crate::ROWS_MAX;
use crate::memory::{MemoryBuilder, MemoryPages};
use crate::page::Source;

fn pages() -> MemoryBuilder {
    MemoryPages::building(false).expect("zstd")
}

/// Numbers that look random, the same in each run.
fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from(*state >> 33).expect("31 bits")
}

fn with_gap(rows: u32, mean: u32, state: &mut u64) -> Vec<u32> {
    let steps = std::iter::repeat_with(|| 1 + random(state) % (2 * mean - 1));
    let ascending = steps.scan(0, |row, step| {
        *row += step;
        Some(*row)
    });
    ascending.take_while(|row| *row < rows).collect()
}

fn check(all: &[Vec<u32>]) {
    let (mut sink, mut writer) = (pages(), PostingsWriter::new("postings"));
    let places: Vec<u64> = all.iter().map(|rows| writer.push(&mut sink, rows).expect("small")).collect();
    let table = writer.finish(&mut sink).expect("small");
    let source = sink.finish();
    let mut held = Held::default();
    for (rows, place) in all.iter().zip(places) {
        let count = u32::try_from(rows.len()).expect("few");
        let mut posting = Rows { table: &table, source: &*source, held: &mut held, place, count };
        let mut got = Vec::new();
        posting.append_to(&mut got).expect("sound");
        assert!(&got == rows, "{count} rows come back as {}", got.len());
        let last = rows[rows.len() - 1];
        for within in
            [0..last, 0..last + 1, last / 3..last / 2, rows[0] + 1..last, last / 2 + 65_536..ROWS_MAX, 70_000..70_000]
        {
            check_within(&mut posting, rows, &within);
        }
    }
}

fn check_within(posting: &mut Rows<'_>, rows: &[u32], within: &Range<u32>) {
    let expect: Vec<u32> = rows.iter().copied().filter(|row| within.contains(row)).collect();
    let mut got = Vec::new();
    posting.take(within, &mut got).expect("sound");
    assert!(got == expect, "{} of {} rows within {within:?} come as {}", expect.len(), rows.len(), got.len());
    assert_eq!(posting.count_within(within).expect("sound"), expect.len() as u64);
    let mut union = Union::default();
    posting.take(within, &mut union).expect("sound");
    assert!(union.finish() == expect.iter().copied().collect());
    if within.start < within.end {
        let set: RoaringBitmap = (within.start..within.end.min(within.start + 300_000)).step_by(3).collect();
        let marks = Marks::new(&set, within.start..within.end.min(within.start + 250_000));
        let marked = expect.iter().filter(|row| marks.within().contains(row) && set.contains(**row)).count();
        assert_eq!(posting.count_marked(&marks).expect("sound"), marked as u64);
    }
}

#[test]
fn rows_of_every_density_come_back() {
    let state = &mut 1;
    let mut all: Vec<Vec<u32>> = Vec::new();
    for mean in [1, 2, 3, 10, 180, 5_000] {
        all.push(with_gap(400_000, mean, state));
    }
    all.push((0..ROWS_MAX).step_by(65_536).collect());
    all.push(vec![0, ROWS_MAX - 1]);
    all.push((0..200_000).chain(300_000..300_010).chain(1_000_000..1_200_000).collect());
    all.push((0..500_000).filter(|row| row % 1_000 < 20).collect());
    all.push((0..500_000).filter(|row| row % 65_536 != 7).collect());
    for count in [2_u32, 127, 128, 129, 255, 256, 257, 5_000, 20_000] {
        all.push((0..count).map(|at| at * 37 + 5).collect());
    }
    check(&all);
}

#[test]
fn chunks_are_read_as_they_were_frozen() {
    // Rows 2 to 101 as a run; then, moved to the next page, 25 pairs from row 5 of the chunk after the next.
    let first = [1, 2, 0, 99, 2 << 3 | 2, 1, 49, 11 << 3 | 4, 2, 99];
    let second = [0, 0b0110_0000, 0xdb, 0xb6, 0x6d, 0xdb, 0xb6, 0x6d, 0xdb, 0xb6, 0x6d];
    let (mut sink, mut table) = (pages(), TableBuilder::new("postings"));
    table.push(0, sink.page(&first, Form::Plain).expect("small"));
    table.push(1, sink.page(&second, Form::Plain).expect("small"));
    let table = table.finish(&mut sink).expect("small");
    let (source, mut held, mut got) = (sink.finish(), Held::default(), Vec::new());
    let mut posting = Rows { table: &table, source: &*source, held: &mut held, place: 0, count: 150 };
    posting.append_to(&mut got).expect("sound");
    let pairs = (0..25).flat_map(|pair| [131_077 + 3 * pair, 131_078 + 3 * pair]);
    assert_eq!(got, (2..102).chain(pairs).collect::<Vec<u32>>());
    // And they are written so, where the page has no room.
    let (mut sink, mut writer) = (pages(), PostingsWriter::new("postings"));
    writer.page = vec![0; POSTINGS_PAGE_BYTES - first.len()];
    assert_eq!(writer.put_as_chunks(&mut sink, &got), (POSTINGS_PAGE_BYTES - first.len()) as u64);
    let table = writer.finish(&mut sink).expect("small");
    let source = sink.finish();
    let page =
        |number: u64| source.page(table.find(&*source, number).expect("sound").expect("there").page).expect("sound");
    assert_eq!(page(0)[POSTINGS_PAGE_BYTES - first.len()..], first);
    assert_eq!(page(1)[..], second[..]);
}

impl PostingsWriter {
    fn put_as_chunks(&mut self, sink: &mut MemoryBuilder, rows: &[u32]) -> u64 {
        rows.chunk_by(|a, b| a / CHUNK_ROWS == b / CHUNK_ROWS).for_each(|rows| self.chunk(rows));
        self.put_chunks(sink).expect("small")
    }
}

#[test]
fn thousands_of_postings_share_pages() {
    let state = &mut 2;
    let all: Vec<Vec<u32>> = (0..1_000)
        .map(|number| with_gap(100_000, 10 + number % 700 * 60, state))
        .filter(|rows| rows.len() > 1)
        .collect();
    check(&all);
}

#[test]
fn a_union_of_many_is_that_of_the_sets() {
    let state = &mut 3;
    let (mut union, mut expect) = (Union::default(), RoaringBitmap::new());
    for mean in 2..40 {
        let rows = with_gap(150_000, mean, state);
        union.rows(&rows);
        expect.extend(rows);
    }
    union.run(149_000..180_000);
    expect.insert_range(149_000..180_000);
    let bits: Vec<u8> = (0..BITMAP_BYTES).map(|byte| u8::try_from(byte % 251).expect("small")).collect();
    for first in [65_536, 196_608, 65_536] {
        union.bitmap(first, &bits);
        expect |= RoaringBitmap::from_lsb0_bytes(first, &bits);
    }
    assert!(union.finish() == expect);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_come_back(
        runs in prop::collection::vec((prop_oneof![0_u32..3, 0_u32..300, 0_u32..90_000], prop_oneof![1_u32..3, 1_u32..3_000]), 2..80),
    ) {
        let mut rows = Vec::new();
        let mut next = 0;
        for (gap, length) in runs {
            rows.extend(next + gap..next + gap + length);
            next += gap + length;
        }
        check(&[rows]);
    }
}

proptest! {
    #[test]
    fn no_page_makes_a_reader_panic(
        mut raw in prop::collection::vec(any::<u8>(), 0..300),
        // What a table of chunks begins with, so that many cases get further.
        chunks in prop_oneof![Just(None), (1_u8..4, 0_u8..2, 0_u8..100, 0_u8..128, 0_u8..20).prop_map(Some)],
        count in 0_u32..1_000,
        within in (0_u32..200_000, 0_u32..200_000),
    ) {
        if let Some((length, number, rows, how, more)) = chunks {
            let mut head = vec![1, length];
            for _ in 0..length {
                head.extend([number, rows, how | 0x80, more]);
            }
            head.append(&mut raw);
            raw = head;
        }
        let count = if let Some((length, _, rows, ..)) = chunks { (u32::from(rows) + 1) * u32::from(length) } else { count };
        let (mut sink, mut table) = (pages(), TableBuilder::new("postings"));
        for number in 0..2 {
            table.push(number, sink.page(&raw, Form::Plain).expect("small"));
        }
        let table = table.finish(&mut sink).expect("small");
        let source = sink.finish();
        let mut held = Held::default();
        let mut posting = Rows { table: &table, source: &*source as &dyn Source, held: &mut held, place: 0, count };
        let mut got = Vec::new();
        let read = posting.append_to(&mut got);
        if read.is_ok() && count > 1 {
            prop_assert_eq!(got.len(), count as usize);
            prop_assert!(got.is_sorted_by(|a, b| a < b));
        }
        let _ = posting.count_within(&(within.0..within.1));
        let _ = posting.take(&(within.0..within.1), &mut Union::default());
    }
}
