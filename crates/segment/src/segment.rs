//! A segment as its users see it.

use std::fmt;
use std::ops::Range;

use annals_model::Filter;

use crate::blocks::{Blocks, Decoded, Reader};
use crate::columns::{Columns, Run};
use crate::ids::IdTable;
use crate::index::Index;
use crate::search::search;
use crate::{Key, LogRange, Logs, Row, Rows, SegmentError};

/// An immutable, indexed run of events. Rows are numbered from 0 by (log, index).
pub struct Segment {
    pub(crate) columns: Columns,
    pub(crate) index: Index,
    pub(crate) ids: IdTable,
    pub(crate) blocks: Blocks,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("positions", &self.positions()).field("rows", &self.len()).finish()
    }
}

impl Segment {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.columns.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first event's position up to the last one's, exclusive; `0..0` without events.
    #[must_use]
    pub fn positions(&self) -> Range<u64> {
        self.columns.positions()
    }

    /// What there is of each log, in ascending order of the logs' numbers.
    pub fn logs(&self) -> impl ExactSizeIterator<Item = LogRange> + '_ {
        self.columns.runs().iter().map(|run| self.log_range(run))
    }

    /// What there is of one log.
    #[must_use]
    pub fn log(&self, log: u32) -> Option<LogRange> {
        self.columns.run_of(log).map(|run| self.log_range(run))
    }

    /// The rows of some logs at `positions`, that pass a filter.
    #[must_use]
    pub fn search(&self, logs: Logs, positions: Range<u64>, filter: &Filter) -> Rows {
        let set = search(&self.columns, &self.index, logs, &positions, filter);
        Rows::new(set, self.columns.span(logs))
    }

    /// One event.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoRow`], or [`SegmentError::Corrupt`] if its block is damaged.
    pub fn row(&self, row: u32) -> Result<Row, SegmentError> {
        let decoded = self.decode(row, &mut Reader::new()?)?;
        self.row_of(&decoded, row)
    }

    /// Several events, in the order asked for. Each block is decompressed once.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoRow`], or [`SegmentError::Corrupt`] if a block is damaged.
    pub fn rows(&self, rows: &[u32]) -> Result<Vec<Row>, SegmentError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = Reader::new()?;
        let mut by_row: Vec<(u32, usize)> = rows.iter().copied().zip(0..).collect();
        by_row.sort_unstable();
        let mut decoded: Option<Decoded> = None;
        let mut found: Vec<(usize, Row)> = Vec::with_capacity(rows.len());
        for (row, at) in by_row {
            let block = match decoded.take() {
                Some(block) if block.holds(row) => block,
                _ => self.decode(row, &mut reader)?,
            };
            found.push((at, self.row_of(&block, row)?));
            decoded = Some(block);
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }

    /// The row of an event by its place in its log.
    #[must_use]
    pub fn find_index(&self, log: u32, index: u64) -> Option<u32> {
        self.columns.find_index(self.columns.run_of(log)?, index)
    }

    /// The rows that may carry an event id, in ascending order: all that do, and now and then one
    /// that doesn't, so the event itself has to be compared.
    #[must_use]
    pub fn find_id(&self, log: u32, id: &str) -> Vec<u32> {
        self.ids.find(log, id)
    }

    /// What a row is ordered by. `row` is one that this segment gave; any other has a default key.
    #[must_use]
    pub fn key(&self, row: u32) -> Key {
        self.columns.key(row)
    }

    /// About what it takes in memory, in bytes. Blocks taken over from a merged segment count in
    /// both.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Segment>()
            + self.columns.memory_bytes()
            + self.index.memory_bytes()
            + self.ids.memory_bytes()
            + self.blocks.memory_bytes()
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    fn log_range(&self, run: &Run) -> LogRange {
        let (first, last) = (run.rows.start, run.rows.end.saturating_sub(1));
        LogRange {
            log: run.log,
            rows: run.rows.clone(),
            indexes: run.indexes.clone(),
            positions: self.columns.position(first)..self.columns.position(last).saturating_add(1),
            times_shown: run.shown.min..=run.shown.max,
            times_recorded: run.recorded.min..=run.recorded.max,
        }
    }

    fn decode(&self, row: u32, reader: &mut Reader) -> Result<Decoded, SegmentError> {
        let none = SegmentError::NoRow { row, rows: self.len() };
        if row >= self.len() {
            return Err(none);
        }
        self.blocks.decode(self.blocks.block_of(row).ok_or(none)?, reader)
    }

    fn row_of(&self, decoded: &Decoded, row: u32) -> Result<Row, SegmentError> {
        let none = SegmentError::NoRow { row, rows: self.len() };
        let run = self.columns.run_at(row).ok_or(none)?;
        let (canonical, secret) = decoded.row(row).ok_or(none)?;
        Ok(Row {
            log: run.log,
            index: self.columns.index(run, row),
            position: self.columns.position(row),
            time_recorded: self.columns.recorded(row),
            canonical: canonical.into(),
            secret: secret.into(),
        })
    }
}
