//! The rows by position: where the events of a segment lie in the order of their commits.
//!
//! Positions are contiguous, and each log's rows ascend with them. So a page tells for each of
//! [`PLACES_ROWS`] positions only whose row is next. To the byte, all numbers little-endian:
//!
//! ```text
//! page = run count (2), next row of each run that occurs in the page (4)…, the run's number for each position
//! ```
//!
//! Runs are numbered within the page, in the order in which they occur. A number takes one byte, or two
//! where there are more than 256 runs: all low bytes, then all high ones. A page's key is its first
//! position, less the segment's first.
//!
//! **Invariant:** without pages, rows lie by position as they are.

use std::ops::Range;

use crate::SegmentError;
use crate::page::{Form, PageRef, Sink, Source};
use crate::table::{Entry, Table, TableBuilder};

/// Positions of one page.
pub(crate) const PLACES_ROWS: u32 = 8_192;
/// Runs that one byte tells apart.
const RUNS_NARROW: usize = 256;

/// The rows by position, in the making.
#[derive(Debug)]
pub(crate) struct PlacesBuilder {
    table: TableBuilder,
    first_position: u64,
    /// For each run the row that has to come next, and the row past its last.
    next: Box<[Range<u32>]>,
    /// For each run its number in the open page, and in which page that holds.
    numbers: Box<[(u32, u16)]>,
    rows: u32,
    /// Whether all rows so far lie where their positions do.
    in_place: bool,
    /// The next rows and the runs' numbers, of the open page.
    firsts: Vec<u32>,
    open: Vec<u16>,
}

/// Reads the rows by position.
pub(crate) struct PlacesReader<'s> {
    table: &'s Table,
    source: &'s dyn Source,
    /// The number of the page that is remembered, and its rows.
    last: Option<(u32, Vec<u32>)>,
}

impl PlacesBuilder {
    /// The rows of these runs, which ascend and have no gaps, from a first position on.
    pub(crate) fn new(first_position: u64, runs: impl IntoIterator<Item = Range<u32>>) -> PlacesBuilder {
        let next: Box<[Range<u32>]> = runs.into_iter().collect();
        PlacesBuilder {
            table: TableBuilder::new("rows by position"),
            first_position,
            numbers: vec![(u32::MAX, 0); next.len()].into(),
            next,
            rows: 0,
            in_place: true,
            firsts: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Adds the row of the next position.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless it is the next one of its run, or what the sink says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, row: u32) -> Result<(), SegmentError> {
        if self.in_place {
            if row == self.rows {
                self.rows += 1;
                return Ok(());
            }
            // From here on every position counts, so those that were in place are made up for.
            self.in_place = false;
            for row in 0..std::mem::take(&mut self.rows) {
                self.add(sink, row)?;
            }
        }
        self.add(sink, row)
    }

    /// The pages; none if all rows lie where their positions do.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        self.close(sink)?;
        self.table.finish(sink)
    }

    fn add(&mut self, sink: &mut dyn Sink, row: u32) -> Result<(), SegmentError> {
        let late = SegmentError::OutOfOrder { position: self.first_position.saturating_add(self.rows.into()) };
        let run = self.next.partition_point(|run| run.end <= row);
        let page = self.rows / PLACES_ROWS;
        let (Some(next), Some(number)) = (self.next.get_mut(run), self.numbers.get_mut(run)) else { return Err(late) };
        if next.start != row {
            return Err(late);
        }
        next.start += 1;
        if number.0 != page {
            // A page has fewer positions than two bytes tell apart.
            *number = (page, u16::try_from(self.firsts.len()).unwrap_or(u16::MAX));
            self.firsts.push(row);
        }
        self.open.push(number.1);
        self.rows += 1;
        if self.rows.is_multiple_of(PLACES_ROWS) { self.close(sink) } else { Ok(()) }
    }

    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let runs = u16::try_from(self.firsts.len()).unwrap_or(u16::MAX);
        let mut raw = runs.to_le_bytes().to_vec();
        raw.extend(self.firsts.iter().flat_map(|first| first.to_le_bytes()));
        let [low, high] =
            [0, 1].map(|byte| self.open.iter().filter_map(move |number| number.to_le_bytes().get(byte).copied()));
        raw.extend(low);
        if self.firsts.len() > RUNS_NARROW {
            raw.extend(high);
        }
        let first = u64::from((self.rows - 1) / PLACES_ROWS * PLACES_ROWS);
        self.table.push(first, sink.page(&raw, Form::Index)?);
        self.firsts.clear();
        self.open.clear();
        Ok(())
    }
}

impl<'s> PlacesReader<'s> {
    pub(crate) fn new(table: &'s Table, source: &'s dyn Source) -> PlacesReader<'s> {
        PlacesReader { table, source, last: None }
    }

    /// The rows of some positions, less the segment's first.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if there are no such positions, or what the source says.
    pub(crate) fn rows(&mut self, positions: Range<u32>) -> Result<Vec<u32>, SegmentError> {
        if self.table.pages == 0 {
            return Ok(positions.collect());
        }
        let mut rows = Vec::with_capacity(positions.len());
        let mut position = positions.start;
        while position < positions.end {
            let number = position / PLACES_ROWS;
            let until = positions.end.min((number + 1).saturating_mul(PLACES_ROWS));
            let section = self.table.section;
            let page = self.page(number)?;
            let within = |position: u32| (position - number * PLACES_ROWS) as usize;
            let part = page.get(within(position)..within(until));
            let missing = || SegmentError::corrupt(section, PageRef::default(), "there is no row for a position");
            rows.extend_from_slice(part.ok_or_else(missing)?);
            position = until;
        }
        Ok(rows)
    }

    fn page(&mut self, number: u32) -> Result<&[u32], SegmentError> {
        let rows = match self.last.take() {
            Some((last, rows)) if last == number => rows,
            _ => self.read(number)?,
        };
        let (_, rows) = self.last.insert((number, rows));
        Ok(rows)
    }

    fn read(&self, number: u32) -> Result<Vec<u32>, SegmentError> {
        let first = u64::from(number) * u64::from(PLACES_ROWS);
        let section = self.table.section;
        let missing = SegmentError::corrupt(section, PageRef::default(), "there is no page for a position");
        let entry = self.table.find(self.source, first)?.filter(|entry| entry.key == first);
        let Entry { page, .. } = entry.ok_or(missing)?;
        let raw = self.table.read(self.source, page)?;
        decode(&raw).ok_or(SegmentError::corrupt(section, page, "it has another form than such a page has"))
    }
}

/// The rows of a page.
fn decode(raw: &[u8]) -> Option<Vec<u32>> {
    let (runs, rest) = raw.split_first_chunk()?;
    let runs = usize::from(u16::from_le_bytes(*runs));
    let (firsts, numbers) = rest.split_at_checked(runs * 4)?;
    let (firsts, _) = firsts.as_chunks();
    let mut next: Vec<u32> = firsts.iter().map(|first| u32::from_le_bytes(*first)).collect();
    let mut take = |run: usize| {
        let next = next.get_mut(run)?;
        let row = *next;
        *next = row.checked_add(1)?;
        Some(row)
    };
    if runs <= RUNS_NARROW {
        return numbers.iter().map(|number| take(usize::from(*number))).collect();
    }
    if !numbers.len().is_multiple_of(2) {
        return None;
    }
    let (low, high) = numbers.split_at(numbers.len() / 2);
    low.iter().zip(high).map(|(low, high)| take(usize::from(u16::from_le_bytes([*low, *high])))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::testing::{Anything, everywhere};

    /// The rows by position of events of some logs, given each event's log, and the runs of the logs.
    fn laid_out(logs: &[u16]) -> (Vec<u32>, Vec<Range<u32>>) {
        let mut counts = std::collections::BTreeMap::new();
        logs.iter().for_each(|log| *counts.entry(*log).or_insert(0_u32) += 1);
        let mut end = 0;
        let mut next = std::collections::BTreeMap::new();
        let mut runs = Vec::new();
        for (log, count) in counts {
            next.insert(log, end);
            runs.push(end..end + count);
            end += count;
        }
        let rows = logs.iter().map(|log| {
            let next = next.get_mut(log).expect("counted");
            *next += 1;
            *next - 1
        });
        (rows.collect(), runs)
    }

    fn build(sink: &mut dyn Sink, rows: &[u32], runs: &[Range<u32>]) -> Result<Table, SegmentError> {
        let mut places = PlacesBuilder::new(1_000, runs.iter().cloned());
        for row in rows {
            places.push(sink, *row)?;
        }
        places.finish(sink)
    }

    fn logs() -> impl Strategy<Value = Vec<u16>> {
        let few = prop::collection::vec(0_u16..5, 0..200);
        // Runs of one log, then another's; many logs; more than one byte tells apart.
        let many =
            (0_u64..u64::MAX, 1_u16..2_000, 0_usize..60_000, 1_u64..600).prop_map(|(salt, logs, rows, commit)| {
                let log = |row: u64| (row / commit).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                (0..rows as u64).map(|row| u16::try_from(log(row) % u64::from(logs)).expect("small")).collect()
            });
        prop_oneof![few, many]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_position_has_its_row(logs in logs(), asked in prop::collection::vec(any::<prop::sample::Index>(), 20)) {
            let (rows, runs) = laid_out(&logs);
            for (table, source) in everywhere(|sink| build(sink, &rows, &runs).expect("in order")) {
                prop_assert_eq!(table.pages == 0, rows.is_sorted());
                let mut reader = PlacesReader::new(&table, &*source);
                let end = u32::try_from(rows.len()).expect("small");
                prop_assert_eq!(&reader.rows(0..end).expect("there"), &rows);
                for pair in asked.chunks(2) {
                    let (from, until) = (pair[0].index(rows.len() + 1), pair[1].index(rows.len() + 1));
                    let [start, end] = [from, until].map(|at| u32::try_from(at).expect("small"));
                    let part = rows.get(from..until).unwrap_or_default();
                    prop_assert_eq!(reader.rows(start..end).expect("there"), part);
                }
                prop_assert_eq!(reader.rows(end..end + 1).is_err(), table.pages > 0);
            }
        }

        #[test]
        fn a_page_of_any_bytes_never_panics(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(255), any::<u8>()], 0..300),
            runs in 0_u16..400,
        ) {
            let (rows, ranges) = laid_out(&[1, 0]);
            let (table, _) = everywhere(|sink| build(sink, &rows, &ranges).expect("in order")).remove(0);
            for raw in [bytes.clone(), [runs.to_le_bytes().as_slice(), &bytes].concat()] {
                let source = Anything(raw.into());
                let found = PlacesReader::new(&table, &source).rows(0..200);
                prop_assert!(found.is_err() || found.is_ok_and(|rows| rows.len() == 200));
            }
        }
    }

    #[test]
    fn rows_that_are_not_the_next_ones_of_their_log_are_refused() {
        let runs = [0..2, 2..4];
        for (rows, position) in
            [([0, 2, 2, 1].as_slice(), 1_002), (&[1], 1_000), (&[0, 2, 4], 1_002), (&[2, 3, 1], 1_002)]
        {
            everywhere(|sink| {
                let error = build(sink, rows, &runs).expect_err("out of order");
                assert!(matches!(error, SegmentError::OutOfOrder { position: at } if at == position), "{error}");
            });
        }
    }

    #[test]
    fn without_pages_rows_lie_by_position() {
        let (_, source) = everywhere(|_| ()).remove(0);
        let table = Table::default();
        assert_eq!(PlacesReader::new(&table, &*source).rows(3..6).expect("there"), [3, 4, 5]);
    }

    #[test]
    fn a_position_takes_about_a_byte() {
        let logs: Vec<u16> = (0_u64..40_000).map(|n| u16::try_from(n * n % 251 * n % 251).expect("small")).collect();
        let (rows, runs) = laid_out(&logs);
        let (table, _) = everywhere(|sink| build(sink, &rows, &runs).expect("in order")).remove(2);
        let bytes: u32 = table.entries.iter().map(|entry| entry.page.stored_bytes).sum();
        assert!(bytes < 46_000, "{bytes}");
    }
}
