//! What is known of every row without reading its block: its log and index, position, times and
//! status.
//!
//! **Invariant:** every column has one entry per row; the runs of logs cover the rows without gaps,
//! in ascending order of logs.

use std::ops::Range;

use annals_model::Time;

use crate::error::number;
use crate::{Key, Logs, ROWS_MAX, SegmentError};

/// One row as the columns take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) log: u32,
    pub(crate) index: u64,
    pub(crate) position: u64,
    pub(crate) recorded: Time,
    pub(crate) shown: Time,
    pub(crate) status: u16,
}

/// The least and greatest of some times, and whether they never decrease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: Time,
    pub(crate) max: Time,
    pub(crate) ordered: bool,
}

/// The rows of one log.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) log: u32,
    pub(crate) rows: Range<u32>,
    pub(crate) indexes: Range<u64>,
    pub(crate) recorded: Bounds,
    pub(crate) shown: Bounds,
}

/// Rows that a search is restricted to, and how they lie.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) rows: Range<u32>,
    /// Whether positions ascend with the rows.
    pub(crate) by_place: bool,
    /// Whether, besides, the times shown never decrease with the rows.
    pub(crate) by_time: bool,
}

/// The columns of a segment.
#[derive(Debug)]
pub(crate) struct Columns {
    positions: Box<[u64]>,
    recorded: Box<[Time]>,
    /// `None` where every event shows the time recorded.
    shown: Option<Box<[Time]>>,
    status: Box<[u16]>,
    /// `None` where each log's indexes have no gaps.
    indexes: Option<Box<[u64]>>,
    /// The rows by position; `None` where they lie so.
    by_position: Option<Box<[u32]>>,
    runs: Box<[Run]>,
    /// Whether times shown never decrease over all rows.
    times_ordered: bool,
    bounds: Option<(Bounds, Bounds)>,
}

/// Columns in the making.
#[derive(Debug, Default)]
pub(crate) struct ColumnsBuilder {
    positions: Vec<u64>,
    recorded: Vec<Time>,
    shown: Vec<Time>,
    status: Vec<u16>,
    indexes: Vec<u64>,
    runs: Vec<Run>,
    same: bool,
    dense: bool,
    times_ordered: bool,
}

impl Bounds {
    fn one(time: Time) -> Bounds {
        Bounds { min: time, max: time, ordered: true }
    }

    fn add(&mut self, before: Time, time: Time) {
        self.ordered &= before <= time;
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    fn join(self, other: Bounds) -> Bounds {
        Bounds { min: self.min.min(other.min), max: self.max.max(other.max), ordered: false }
    }
}

impl ColumnsBuilder {
    pub(crate) fn new(rows: usize) -> ColumnsBuilder {
        ColumnsBuilder {
            positions: Vec::with_capacity(rows),
            recorded: Vec::with_capacity(rows),
            shown: Vec::with_capacity(rows),
            status: Vec::with_capacity(rows),
            indexes: Vec::with_capacity(rows),
            runs: Vec::new(),
            same: true,
            dense: true,
            times_ordered: true,
        }
    }

    /// Adds the next row.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless logs ascend, and indexes and positions within each.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), SegmentError> {
        let row = u32::try_from(self.positions.len()).ok().filter(|row| *row < ROWS_MAX);
        let row = row.ok_or(SegmentError::TooLarge { what: "rows", max: u64::from(ROWS_MAX) })?;
        let late = SegmentError::OutOfOrder { position: entry.position };
        let (position, recorded, shown) = (self.positions.last(), self.recorded.last(), self.shown.last());
        let open = self.runs.last_mut();
        self.times_ordered &= shown.is_none_or(|before| *before <= entry.shown);
        if let (Some(run), Some(position), Some(recorded), Some(shown)) = (open, position, recorded, shown)
            && run.log >= entry.log
        {
            if run.log > entry.log || entry.index < run.indexes.end || entry.position <= *position {
                return Err(late);
            }
            self.dense &= entry.index == run.indexes.end;
            run.rows.end = row + 1;
            run.indexes.end = entry.index.saturating_add(1);
            run.recorded.add(*recorded, entry.recorded);
            run.shown.add(*shown, entry.shown);
        } else {
            self.runs.push(Run {
                log: entry.log,
                rows: row..row + 1,
                indexes: entry.index..entry.index.saturating_add(1),
                recorded: Bounds::one(entry.recorded),
                shown: Bounds::one(entry.shown),
            });
        }
        self.same &= entry.shown == entry.recorded;
        self.positions.push(entry.position);
        self.recorded.push(entry.recorded);
        self.shown.push(entry.shown);
        self.status.push(entry.status);
        self.indexes.push(entry.index);
        Ok(())
    }

    /// The columns, given the rows by position.
    pub(crate) fn finish(self, by_position: Vec<u32>) -> Columns {
        let in_place = by_position.is_sorted();
        let both = self.runs.iter().map(|run| (run.recorded, run.shown));
        Columns {
            bounds: both.reduce(|(recorded, shown), run| (recorded.join(run.0), shown.join(run.1))),
            positions: self.positions.into(),
            recorded: self.recorded.into(),
            shown: (!self.same).then(|| self.shown.into()),
            status: self.status.into(),
            indexes: (!self.dense).then(|| self.indexes.into()),
            by_position: (!in_place).then(|| by_position.into()),
            runs: self.runs.into(),
            times_ordered: self.times_ordered,
        }
    }
}

impl Columns {
    pub(crate) fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.rows.end)
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The run of a log.
    pub(crate) fn run_of(&self, log: u32) -> Option<&Run> {
        let at = self.runs.binary_search_by_key(&log, |run| run.log).ok()?;
        self.runs.get(at)
    }

    /// The run that a row lies in.
    pub(crate) fn run_at(&self, row: u32) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|run| run.rows.end <= row))
    }

    /// Where the rows of some logs lie.
    pub(crate) fn span(&self, logs: Logs) -> Span {
        match logs {
            Logs::One(log) => self.run_of(log).map_or(Span { rows: 0..0, by_place: true, by_time: true }, |run| Span {
                rows: run.rows.clone(),
                by_place: true,
                by_time: run.shown.ordered,
            }),
            Logs::All | Logs::AllBut(_) => {
                let by_place = self.by_position.is_none();
                Span { rows: 0..self.len(), by_place, by_time: by_place && self.times_ordered }
            }
        }
    }

    /// The bounds of the times recorded and of the times shown, over all rows.
    pub(crate) fn bounds(&self) -> Option<(Bounds, Bounds)> {
        self.bounds
    }

    /// The rows by position, where they don't lie so.
    pub(crate) fn by_position(&self) -> Option<&[u32]> {
        self.by_position.as_deref()
    }

    /// The rows by position, wherever they lie.
    pub(crate) fn rows_by_position(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match &self.by_position {
            Some(rows) => Box::new(rows.iter().copied()),
            None => Box::new(0..self.len()),
        }
    }

    /// From the first position up to the last, exclusive.
    pub(crate) fn positions(&self) -> Range<u64> {
        let (first, last) = match self.by_position.as_deref() {
            Some(rows) => (rows.first().copied(), rows.last().copied()),
            None => (Some(0), self.len().checked_sub(1)),
        };
        match (first, last) {
            (Some(first), Some(last)) => self.position(first)..self.position(last).saturating_add(1),
            _ => 0..0,
        }
    }

    // Rows come from this segment's own index, so the defaults below are never taken.

    pub(crate) fn position(&self, row: u32) -> u64 {
        self.positions.get(row as usize).copied().unwrap_or_default()
    }

    pub(crate) fn recorded(&self, row: u32) -> Time {
        self.recorded.get(row as usize).copied().unwrap_or_default()
    }

    pub(crate) fn shown(&self, row: u32) -> Time {
        self.shown.as_deref().unwrap_or(&self.recorded).get(row as usize).copied().unwrap_or_default()
    }

    pub(crate) fn key(&self, row: u32) -> Key {
        let status = self.status.get(row as usize).copied().unwrap_or_default();
        Key { time: self.shown(row), status, position: self.position(row) }
    }

    /// The index of a row in its run.
    pub(crate) fn index(&self, run: &Run, row: u32) -> u64 {
        match &self.indexes {
            Some(indexes) => indexes.get(row as usize).copied().unwrap_or_default(),
            None => run.indexes.start + u64::from(row.saturating_sub(run.rows.start)),
        }
    }

    /// The row of an index in a run.
    pub(crate) fn find_index(&self, run: &Run, index: u64) -> Option<u32> {
        let row = partition(&run.rows, |row| self.index(run, row) < index);
        (row < run.rows.end && self.index(run, row) == index).then_some(row)
    }

    /// One row as it was taken.
    pub(crate) fn entry(&self, run: &Run, row: u32) -> Entry {
        let Key { time, status, position } = self.key(row);
        Entry { log: run.log, index: self.index(run, row), position, recorded: self.recorded(row), shown: time, status }
    }

    /// The log of every row.
    pub(crate) fn log_of_rows(&self) -> Vec<u32> {
        self.runs.iter().flat_map(|run| std::iter::repeat_n(run.log, run.rows.len())).collect()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.positions)
            + size_of_val(&*self.recorded)
            + self.shown.as_deref().map_or(0, size_of_val)
            + size_of_val(&*self.status)
            + self.indexes.as_deref().map_or(0, size_of_val)
            + self.by_position.as_deref().map_or(0, size_of_val)
            + size_of_val(&*self.runs)
    }
}

/// The first of some rows that fails a test, which holds up to some row and not from there on.
pub(crate) fn partition(rows: &Range<u32>, test: impl Fn(u32) -> bool) -> u32 {
    let (mut from, mut until) = (rows.start, rows.end);
    while from < until {
        let middle = from + (until - from) / 2;
        if test(middle) {
            from = middle + 1;
        } else {
            until = middle;
        }
    }
    from
}

/// How many rows there are, as a row's number.
pub(crate) fn row_number(count: usize) -> Result<u32, SegmentError> {
    number(count, "rows")
}
