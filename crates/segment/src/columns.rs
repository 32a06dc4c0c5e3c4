//! A column: one number of every row.
//!
//! A page holds the numbers of [`COLUMN_ROWS`] rows, little-endian, each in as many bytes as the column
//! is wide; the last page holds what remains. A page's key is its first row.
//!
//! **Invariant:** a column has a number for every row, or no page at all.

use std::ops::Range;
use std::sync::Arc;

use annals_model::Time;

use crate::SegmentError;
use crate::codec::widened;
use crate::page::{Column, Form, PageRef, Sink, Source};
use crate::table::{Root, Table, TableBuilder};

/// Rows of one page.
pub(crate) const COLUMN_ROWS: u32 = 8_192;
/// How many pages a reader remembers.
const REMEMBERED: usize = 4;

/// A column in the making.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    section: &'static str,
    column: Column,
    table: TableBuilder,
    rows: u32,
    open: Vec<u8>,
}

/// Reads a column.
pub(crate) struct ColumnReader<'s> {
    table: &'s Table,
    source: &'s dyn Source,
    width: u8,
    /// Pages by their number, each in the place of its lowest bits.
    remembered: [Option<Page>; REMEMBERED],
    root: Option<Root>,
}

/// A page, as it is remembered.
#[derive(Clone, Debug)]
struct Page {
    number: u32,
    at: PageRef,
    raw: Arc<[u8]>,
}

/// A time as a number in the same order.
pub(crate) fn from_time(time: Time) -> u64 {
    time.us().cast_unsigned() ^ 1 << 63
}

/// The time of such a number.
pub(crate) fn to_time(number: u64) -> Time {
    Time::from_us((number ^ 1 << 63).cast_signed())
}

impl ColumnBuilder {
    /// A column of numbers of so many bytes, 1, 2, 4 or 8; `near` where neighbours lie close together.
    pub(crate) fn new(section: &'static str, width: u8, near: bool) -> ColumnBuilder {
        let table = TableBuilder::new(section);
        ColumnBuilder { section, column: Column { width, near }, table, rows: 0, open: Vec::new() }
    }

    /// Adds the next row's number.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if the column is too narrow for it, or what the sink says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, value: u64) -> Result<(), SegmentError> {
        let bytes = value.to_le_bytes();
        let (kept, rest) = bytes.split_at(usize::from(self.column.width).min(bytes.len()));
        if rest.iter().any(|byte| *byte != 0) {
            return Err(SegmentError::TooLarge { what: self.section, max: (1 << (8 * kept.len())) - 1 });
        }
        self.open.extend_from_slice(kept);
        self.rows += 1;
        if self.rows.is_multiple_of(COLUMN_ROWS) { self.close(sink) } else { Ok(()) }
    }

    /// The column's pages.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        self.close(sink)?;
        self.table.finish(sink)
    }

    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let first = u64::from((self.rows - 1) / COLUMN_ROWS * COLUMN_ROWS);
        self.table.push(first, sink.page(&self.open, Form::Numbers(&[self.column]))?);
        self.open.clear();
        Ok(())
    }
}

impl<'s> ColumnReader<'s> {
    /// Reads a column of numbers of so many bytes.
    pub(crate) fn new(table: &'s Table, source: &'s dyn Source, width: u8) -> ColumnReader<'s> {
        ColumnReader { table, source, width, remembered: [const { None }; REMEMBERED], root: None }
    }

    /// A row's number.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if the column has no such row, or what the source says.
    pub(crate) fn get(&mut self, row: u32) -> Result<u64, SegmentError> {
        let (width, section) = (usize::from(self.width), self.table.section);
        let page = self.page(row / COLUMN_ROWS)?;
        let begin = (row % COLUMN_ROWS) as usize * width;
        let bytes = page.raw.get(begin..begin + width);
        bytes.map(widened).ok_or_else(|| SegmentError::corrupt(section, page.at, "it ends before a row"))
    }

    /// The numbers of some rows, in order, each with its row.
    ///
    /// # Errors
    ///
    /// As for [`ColumnReader::get`].
    pub(crate) fn each(&mut self, rows: Range<u32>, mut f: impl FnMut(u32, u64)) -> Result<(), SegmentError> {
        let (width, section) = (usize::from(self.width), self.table.section);
        let mut row = rows.start;
        while row < rows.end {
            let number = row / COLUMN_ROWS;
            let until = rows.end.min((number + 1).saturating_mul(COLUMN_ROWS));
            let page = self.page(number)?;
            let within = |row: u32| (row - number * COLUMN_ROWS) as usize * width;
            let bytes = page.raw.get(within(row)..within(until));
            let bytes = bytes.ok_or_else(|| SegmentError::corrupt(section, page.at, "it ends before a row"))?;
            for (row, number) in (row..until).zip(bytes.chunks_exact(width)) {
                f(row, widened(number));
            }
            row = until;
        }
        Ok(())
    }

    /// The first of some rows whose number fails a test, which holds up to some row and not from there
    /// on.
    ///
    /// # Errors
    ///
    /// As for [`ColumnReader::get`].
    pub(crate) fn partition(
        &mut self,
        rows: &Range<u32>,
        mut test: impl FnMut(u64) -> bool,
    ) -> Result<u32, SegmentError> {
        if rows.is_empty() {
            return Ok(rows.start);
        }
        // First the pages, by their first rows, then the rows of the last page that begins before.
        let (mut from, mut until) = (rows.start / COLUMN_ROWS + 1, (rows.end - 1) / COLUMN_ROWS + 1);
        while from < until {
            let middle = from + (until - from) / 2;
            if test(self.get(middle * COLUMN_ROWS)?) { from = middle + 1 } else { until = middle }
        }
        let (mut from, mut until) =
            (rows.start.max((from - 1) * COLUMN_ROWS), rows.end.min(from.saturating_mul(COLUMN_ROWS)));
        while from < until {
            let middle = from + (until - from) / 2;
            if test(self.get(middle)?) { from = middle + 1 } else { until = middle }
        }
        Ok(from)
    }

    fn page(&mut self, number: u32) -> Result<&Page, SegmentError> {
        let ColumnReader { table, source, .. } = *self;
        let missing = SegmentError::corrupt(table.section, PageRef::default(), "there is no page for a row");
        let slot = self.remembered.get_mut(number as usize % REMEMBERED).ok_or(missing.clone())?;
        if slot.as_ref().is_none_or(|page| page.number != number) {
            let first = u64::from(number) * u64::from(COLUMN_ROWS);
            let entry = table
                .find_by(&mut self.root, source, first)?
                .filter(|entry| entry.key == first)
                .ok_or(missing.clone())?;
            let raw = table.read(source, entry.page)?;
            *slot = Some(Page { number, at: entry.page, raw });
        }
        slot.as_ref().ok_or(missing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::testing::{Anything, Counting, everywhere};

    fn build(sink: &mut dyn Sink, width: u8, near: bool, values: &[u64]) -> Table {
        let mut column = ColumnBuilder::new("numbers", width, near);
        values.iter().for_each(|value| column.push(sink, *value).expect("fits"));
        column.finish(sink).expect("memory")
    }

    fn row(at: usize) -> u32 {
        u32::try_from(at).expect("small")
    }

    /// Numbers that ascend where `step` is not too large, in so many bytes.
    fn values(rows: usize, width: u8, step: u64) -> Vec<u64> {
        let mask = u64::MAX >> (64 - 8 * u32::from(width));
        (0..rows as u64).map(|row| row.wrapping_mul(step) & mask).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_column_is_what_a_list_of_its_numbers_is(
            rows in prop_oneof![0_usize..40, 8_100_usize..8_300, 0_usize..100_000],
            width in prop::sample::select(vec![2_u8, 4, 8]),
            near in any::<bool>(),
            step in prop_oneof![0_u64..9, any::<u64>()],
            asked in prop::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let naive = values(rows, width, step);
            for (table, source) in everywhere(|sink| build(sink, width, near, &naive)) {
                let mut reader = ColumnReader::new(&table, &*source, width);
                if rows > 0 {
                    for at in &asked {
                        let at = at.index(rows);
                        prop_assert_eq!(reader.get(row(at)).expect("there"), naive[at]);
                    }
                }
                let (from, until) = (asked[0].index(rows + 1), asked[1].index(rows + 1));
                let mut seen = Vec::new();
                reader.each(row(from)..row(until), |row, value| seen.push((row, value))).expect("there");
                let part = naive.get(from..until).unwrap_or_default();
                let expected: Vec<(u32, u64)> = (row(from)..).zip(part.iter().copied()).collect();
                prop_assert_eq!(seen, expected);
                if naive.is_sorted() && from <= until {
                    for edge in [0, 1, step.wrapping_mul(asked[2].index(rows + 1) as u64), u64::MAX] {
                        let found = reader.partition(&(row(from)..row(until)), |value| value < edge).expect("there");
                        prop_assert_eq!(found, row(from + part.partition_point(|value| *value < edge)));
                    }
                }
                prop_assert!(reader.get(row(rows)).is_err());
            }
        }

        #[test]
        fn a_page_of_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), asked in 0_u32..20_000) {
            let (table, _) = everywhere(|sink| build(sink, 4, true, &values(20_000, 4, 1))).remove(0);
            let source = Anything(bytes.into());
            let mut reader = ColumnReader::new(&table, &source, 4);
            let there = reader.get(asked).is_ok();
            prop_assert_eq!(there, (asked as usize % 8_192 + 1) * 4 <= source.0.len());
            prop_assert!(reader.each(0..20_000, |_, _| ()).is_err());
            let _ = reader.partition(&(0..20_000), |value| value < 5);
        }
    }

    #[test]
    fn a_number_that_is_too_wide_is_refused() {
        everywhere(|sink| {
            let mut column = ColumnBuilder::new("statuses", 2, false);
            column.push(sink, 65_535).expect("fits");
            let error = column.push(sink, 65_536).expect_err("too wide");
            assert!(matches!(error, SegmentError::TooLarge { what: "statuses", max: 65_535 }), "{error}");
        });
    }

    #[test]
    fn times_keep_their_order_as_numbers() {
        let times = [Time::MIN, Time::from_us(-1), Time::from_us(0), Time::from_us(1), Time::MAX];
        assert!(times.map(from_time).is_sorted());
        assert_eq!(times.map(from_time).map(to_time), times);
    }

    #[test]
    fn rows_far_apart_are_found_with_one_reading_of_a_deep_table() {
        let naive = values(1_000_000, 4, 1);
        let (table, source) = everywhere(|sink| build(sink, 4, true, &naive)).remove(0);
        assert!(table.deep, "a table of {} pages", table.pages);
        let counting = Counting::new(source);
        let mut reader = ColumnReader::new(&table, &counting, 4);
        for row in (0..1_000_000).step_by(10_000) {
            assert_eq!(reader.get(row).expect("there"), u64::from(row));
        }
        assert_eq!(counting.pages(), 1 + 100);
    }

    #[test]
    fn a_span_of_a_large_column_is_found_in_few_pages() {
        let naive = values(500_000, 8, 3);
        let (table, source) = everywhere(|sink| build(sink, 8, true, &naive)).remove(0);
        let counting = Counting::new(source);
        let mut reader = ColumnReader::new(&table, &counting, 8);
        assert_eq!(reader.partition(&(0..500_000), |value| value < 999_999).expect("there"), 333_333);
        let pages = counting.pages();
        assert!(pages <= 7, "{pages} of 62");
    }
}
