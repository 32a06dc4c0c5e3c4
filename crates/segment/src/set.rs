//! A set of rows.
//!
//! **Invariant:** rows that lie together are kept as a range, never listed one by one.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::SegmentError;

/// Rows, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Set {
    Range(Range<u32>),
    Bitmap(RoaringBitmap),
}

impl Set {
    pub(crate) fn empty() -> Set {
        Set::Range(0..0)
    }

    /// All rows of some ranges, which ascend.
    pub(crate) fn of_ranges(ranges: impl IntoIterator<Item = Range<u32>>) -> Set {
        let mut joined: Vec<Range<u32>> = Vec::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match joined.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => joined.push(range),
            }
        }
        match joined.as_slice() {
            [] => Set::empty(),
            [one] => Set::Range(one.clone()),
            several => {
                let mut bitmap = RoaringBitmap::new();
                for range in several {
                    bitmap.insert_range(range.clone());
                }
                Set::Bitmap(bitmap)
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Set::Range(range) => range.is_empty(),
            Set::Bitmap(bitmap) => bitmap.is_empty(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Set::Range(range) => range.len() as u64,
            Set::Bitmap(bitmap) => bitmap.len(),
        }
    }

    pub(crate) fn contains(&self, row: u32) -> bool {
        match self {
            Set::Range(range) => range.contains(&row),
            Set::Bitmap(bitmap) => bitmap.contains(row),
        }
    }

    /// From the first row up to the last, exclusive.
    pub(crate) fn bounds(&self) -> Range<u32> {
        match self {
            Set::Range(range) => range.clone(),
            Set::Bitmap(bitmap) => {
                bitmap.min().unwrap_or_default()..bitmap.max().map_or(0, |last| last.saturating_add(1))
            }
        }
    }

    /// Keeps what is in `other` too.
    pub(crate) fn intersect(&mut self, other: RoaringBitmap) {
        match self {
            Set::Range(range) => {
                let inside =
                    other.min().is_none_or(|min| min >= range.start) && other.max().is_none_or(|max| max < range.end);
                let kept = if inside { other } else { other & bitmap_of_range(range) };
                *self = Set::Bitmap(kept);
            }
            Set::Bitmap(bitmap) => *bitmap &= other,
        }
    }

    /// Keeps what is not in `other`.
    pub(crate) fn subtract(&mut self, other: &RoaringBitmap) {
        match self {
            Set::Range(range) => {
                if other.range_cardinality(range.clone()) > 0 {
                    *self = Set::Bitmap(bitmap_of_range(range) - other);
                }
            }
            Set::Bitmap(bitmap) => *bitmap -= other,
        }
    }

    /// Keeps what passes a test.
    pub(crate) fn retain(
        &mut self,
        mut test: impl FnMut(u32) -> Result<bool, SegmentError>,
    ) -> Result<(), SegmentError> {
        let mut kept = Vec::new();
        self.each(|row| {
            if test(row)? {
                kept.push(row);
            }
            Ok(())
        })?;
        if kept.len() as u64 != self.len() {
            *self = Set::Bitmap(bitmap_of(&kept));
        }
        Ok(())
    }

    pub(crate) fn each(&self, mut each: impl FnMut(u32) -> Result<(), SegmentError>) -> Result<(), SegmentError> {
        match self {
            Set::Range(range) => range.clone().try_for_each(each),
            Set::Bitmap(bitmap) => bitmap.iter().try_for_each(&mut each),
        }
    }

    /// How many rows come before `row`.
    pub(crate) fn rank(&self, row: u32) -> u64 {
        match self {
            Set::Range(range) => u64::from(row.clamp(range.start, range.end.max(range.start)) - range.start),
            Set::Bitmap(bitmap) => row.checked_sub(1).map_or(0, |last| bitmap.rank(last)),
        }
    }

    /// Up to `limit` rows, from the one that has so many before it onwards.
    pub(crate) fn onward(&self, from: u64, limit: usize) -> Vec<u32> {
        let Ok(from) = u32::try_from(from) else { return Vec::new() };
        match self {
            Set::Range(range) => (range.start.saturating_add(from)..range.end).take(limit).collect(),
            Set::Bitmap(bitmap) => {
                bitmap.select(from).map(|first| bitmap.range(first..).take(limit).collect()).unwrap_or_default()
            }
        }
    }

    /// Up to `limit` rows, the last first, beginning before the one that has so many before it.
    pub(crate) fn backward(&self, until: u64, limit: usize) -> Vec<u32> {
        let last = until.min(self.len()).checked_sub(1).and_then(|last| u32::try_from(last).ok());
        let Some(last) = last else { return Vec::new() };
        match self {
            Set::Range(range) => (range.start..=range.start + last).rev().take(limit).collect(),
            Set::Bitmap(bitmap) => {
                bitmap.select(last).map(|last| bitmap.range(..=last).rev().take(limit).collect()).unwrap_or_default()
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Set::Range(_) => 0,
            Set::Bitmap(bitmap) => bitmap.serialized_size(),
        }
    }
}

/// A bitmap of ascending rows.
pub(crate) fn bitmap_of(rows: &[u32]) -> RoaringBitmap {
    RoaringBitmap::from_sorted_iter(rows.iter().copied()).unwrap_or_else(|_| rows.iter().copied().collect())
}

fn bitmap_of_range(range: &Range<u32>) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    bitmap.insert_range(range.clone());
    bitmap
}
