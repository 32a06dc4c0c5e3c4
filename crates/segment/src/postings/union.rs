//! Sets of rows, as they are put together from postings and as postings are tested against.

use std::collections::BTreeMap;
use std::ops::Range;

use roaring::RoaringBitmap;

use super::read::Take;
use super::{BITMAP_BYTES, CHUNK_ROWS};

/// With so many rows, or more than one in 64 of the range, bits are set instead of sorting them.
const SORTED_ROWS_MAX: usize = 1_024;

/// All rows of several postings.
#[derive(Debug, Default)]
pub(crate) struct Union {
    /// In the order in which they came.
    loose: Vec<u32>,
    runs: RoaringBitmap,
    /// By the number of their chunk.
    bitmaps: BTreeMap<u32, Box<[u8]>>,
}

/// Rows that are marked, one bit each.
#[derive(Debug)]
pub(crate) struct Marks {
    within: Range<u32>,
    /// The first word's first row; it begins a chunk.
    first: u32,
    words: Box<[u64]>,
}

impl Union {
    /// The rows.
    pub(crate) fn finish(self) -> RoaringBitmap {
        let mut rows = of_any(self.loose);
        rows |= self.runs;
        for (number, bits) in self.bitmaps {
            rows |= RoaringBitmap::from_lsb0_bytes(number * CHUNK_ROWS, &bits);
        }
        rows
    }
}

impl Take for Union {
    fn rows(&mut self, rows: &[u32]) {
        self.loose.extend_from_slice(rows);
    }

    fn run(&mut self, rows: Range<u32>) {
        self.runs.insert_range(rows);
    }

    fn bitmap(&mut self, first: u32, bits: &[u8]) {
        match self.bitmaps.entry(first / CHUNK_ROWS) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(bits.into());
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                for (to, from) in slot.get_mut().iter_mut().zip(bits) {
                    *to |= from;
                }
            }
        }
    }
}

impl Marks {
    /// Marks the rows of a set that lie in a range.
    pub(crate) fn new(set: &RoaringBitmap, within: Range<u32>) -> Marks {
        let first = within.start - within.start % CHUNK_ROWS;
        let span = within.end.saturating_sub(first) as usize;
        let mut words = vec![0_u64; span.div_ceil(CHUNK_ROWS as usize) * (BITMAP_BYTES / 8)];
        for row in set.range(within.clone()) {
            if let Some(word) = words.get_mut(((row - first) / 64) as usize) {
                *word |= 1 << (row % 64);
            }
        }
        Marks { within, first, words: words.into() }
    }

    pub(crate) fn within(&self) -> &Range<u32> {
        &self.within
    }

    /// 1 if a row is marked, and 0 if not.
    pub(super) fn has(&self, row: u32) -> u64 {
        let word = row.checked_sub(self.first).and_then(|at| self.words.get((at / 64) as usize));
        word.copied().unwrap_or_default() >> (row % 64) & 1
    }

    /// How many of a range are marked.
    pub(super) fn in_run(&self, rows: Range<u32>) -> u64 {
        let (start, end) = (rows.start.max(self.first) - self.first, rows.end.max(self.first) - self.first);
        let (from, until) = ((start / 64) as usize, (end / 64) as usize);
        let ones = |word: u64| u64::from(word.count_ones());
        let below = |at: usize, bit: u32| ones(self.words.get(at).copied().unwrap_or_default() & ((1 << bit) - 1));
        let whole: u64 = self.words.get(from..until).unwrap_or_default().iter().copied().map(ones).sum();
        whole + below(until, end % 64) - below(from, start % 64)
    }

    /// How many of a chunk's bitmap are marked.
    pub(super) fn in_bitmap(&self, first: u32, bits: &[u8]) -> u64 {
        let start = first.checked_sub(self.first).map(|at| (at / 64) as usize);
        let words = start.and_then(|at| self.words.get(at..)).unwrap_or_default();
        let both = words.iter().zip(bits.as_chunks().0);
        both.map(|(marks, bits)| u64::from((marks & u64::from_le_bytes(*bits)).count_ones())).sum()
    }
}

/// A bitmap of rows in any order, also repeated ones.
fn of_any(mut rows: Vec<u32>) -> RoaringBitmap {
    let (least, most) = rows.iter().fold((u32::MAX, 0), |(least, most), row| (least.min(*row), most.max(*row)));
    if rows.len() > SORTED_ROWS_MAX && rows.len() > (most - least) as usize / 64 && !rows.is_sorted_by(|a, b| a < b) {
        let first = least - least % CHUNK_ROWS;
        let mut bits = vec![0_u8; (most - first) as usize / 8 + 1];
        for row in rows {
            if let Some(byte) = bits.get_mut(((row - first) / 8) as usize) {
                *byte |= 1 << (row % 8);
            }
        }
        return RoaringBitmap::from_lsb0_bytes(first, &bits);
    }
    if !rows.is_sorted_by(|a, b| a < b) {
        rows.sort_unstable();
        rows.dedup();
    }
    RoaringBitmap::from_sorted_iter(rows.iter().copied()).unwrap_or_else(|_| rows.into_iter().collect())
}
