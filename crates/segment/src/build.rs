//! Builds a segment from events.

use std::array;
use std::borrow::Borrow;
use std::sync::Arc;

use annals_model::{Content, Field, Time, each_access, each_term, each_word};

use crate::blocks::BlocksBuilder;
use crate::columns::{ColumnBuilder, from_time};
use crate::digest::digest_of;
use crate::error::number;
use crate::footer::{DICTIONARIES, Footer, Indexed, Tables};
use crate::gather::Gather;
use crate::memory::MemoryPages;
use crate::page::Sink;
use crate::places::PlacesBuilder;
use crate::runs::{Bounds, IdTimes, Run, RunsBuilder};
use crate::segment::{POSITION_WIDTH, STATUS_WIDTH, TIME_WIDTH};
use crate::{ROWS_MAX, Row, Segment, SegmentError, ids};

/// The bytes of a row's number in a column.
pub(crate) const ROW_WIDTH: u8 = 4;

impl Segment {
    /// Builds a segment in memory from events in the order of their commits, each with what its
    /// canonical text says. `organization` tells whose log a number is.
    ///
    /// `key` is what ids and values are hashed with, the same for all segments of a data folder; nobody
    /// who chooses them should know it.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless positions ascend, and within each log indexes by one;
    /// [`SegmentError::TooLarge`] beyond [`ROWS_MAX`](crate::ROWS_MAX) rows.
    pub fn build<C: Borrow<Content>>(
        events: impl IntoIterator<Item = (Row, C)>,
        key: u64,
        organization: impl Fn(u32) -> Arc<str>,
    ) -> Result<Segment, SegmentError> {
        let events: Vec<(Row, C)> = events.into_iter().collect();
        if events.len() > ROWS_MAX as usize {
            return Err(SegmentError::TooLarge { what: "rows", max: ROWS_MAX.into() });
        }
        for ((before, _), (row, _)) in events.iter().zip(events.iter().skip(1)) {
            if row.position <= before.position {
                return Err(SegmentError::OutOfOrder { position: row.position });
            }
        }
        let mut sorted: Vec<(usize, &(Row, C))> = events.iter().enumerate().collect();
        sorted.sort_by_key(|(_, (row, _))| row.log);
        let mut by_position = vec![0; events.len()];
        for (number, (commit, _)) in (0..).zip(&sorted) {
            if let Some(slot) = by_position.get_mut(*commit) {
                *slot = number;
            }
        }
        let rows = || sorted.iter().map(|(_, (row, content))| (row, content.borrow()));
        let mut sink = MemoryPages::building(false)?;
        let mut footer = Footer { hash_key: key, ..Footer::default() };
        let mut placed = Placed::new();
        for (row, content) in rows() {
            placed.push(&mut sink, row_entry(row, content), || organization(row.log))?;
        }
        placed.finish(&mut footer, by_position, &mut sink)?;
        blocks(rows().map(|(row, _)| row), &mut footer, &mut sink)?;
        index(rows().map(|(_, content)| content), &mut footer, &mut sink)?;
        Ok(Segment::in_memory(footer, sink.finish()))
    }
}

fn row_entry(row: &Row, content: &Content) -> Entry {
    Entry {
        log: row.log,
        index: row.index,
        position: row.position,
        recorded: row.time_recorded,
        shown: content.time_shown(row.time_recorded),
        status: content.request.status.unwrap_or_default(),
        id_time: Some(ids::time_of(&content.id)),
    }
}

/// A row as the columns take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) log: u32,
    pub(crate) index: u64,
    pub(crate) position: u64,
    pub(crate) recorded: Time,
    pub(crate) shown: Time,
    pub(crate) status: u16,
    /// What time the event's id carries; `None` if that is told for the whole run.
    pub(crate) id_time: Option<Option<u64>>,
}

/// The columns, runs and permutations of a segment in the making.
pub(crate) struct Placed {
    position: ColumnBuilder,
    recorded: ColumnBuilder,
    shown: ColumnBuilder,
    status: ColumnBuilder,
    runs: Vec<Run>,
    last: Option<Entry>,
    /// The times shown of the open run.
    times: Vec<u64>,
    /// For each run, its rows by time, if they don't lie so.
    by_time: Vec<Option<Vec<u32>>>,
    /// The times shown so far, as long as they are those recorded: then the column isn't needed.
    same: Option<Vec<u64>>,
    rows: u32,
}

impl Placed {
    pub(crate) fn new() -> Placed {
        let names = Tables::default();
        Placed {
            position: ColumnBuilder::new(names.position.section, POSITION_WIDTH, true),
            recorded: ColumnBuilder::new(names.recorded.section, TIME_WIDTH, true),
            shown: ColumnBuilder::new(names.shown.section, TIME_WIDTH, true),
            status: ColumnBuilder::new(names.status.section, STATUS_WIDTH, false),
            runs: Vec::new(),
            last: None,
            times: Vec::new(),
            by_time: Vec::new(),
            same: Some(Vec::new()),
            rows: 0,
        }
    }

    /// Adds the next row.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless logs ascend, and within each positions, and indexes by one;
    /// [`SegmentError::TooLarge`].
    pub(crate) fn push(
        &mut self,
        sink: &mut dyn Sink,
        entry: Entry,
        organization: impl FnOnce() -> Arc<str>,
    ) -> Result<(), SegmentError> {
        if self.rows >= ROWS_MAX {
            return Err(SegmentError::TooLarge { what: "rows", max: ROWS_MAX.into() });
        }
        match self.last {
            Some(last) if last.log == entry.log => {
                if last.position >= entry.position || last.index.checked_add(1) != Some(entry.index) {
                    return Err(SegmentError::OutOfOrder { position: entry.position });
                }
                self.extend(&entry);
            }
            Some(last) if last.log > entry.log => return Err(SegmentError::OutOfOrder { position: entry.position }),
            _ => {
                self.close_run();
                self.runs.push(Run {
                    log: entry.log,
                    organization: organization(),
                    rows: self.rows..self.rows + 1,
                    index: entry.index,
                    positions: (entry.position, entry.position),
                    recorded: Bounds::one(entry.recorded),
                    shown: Bounds::one(entry.shown),
                    ids: IdTimes::default(),
                    text_bytes: 0,
                });
            }
        }
        if let (Some(run), Some(time)) = (self.runs.last_mut(), entry.id_time) {
            run.ids.add(time);
        }
        let shown = from_time(entry.shown);
        self.times.push(shown);
        self.last = Some(entry);
        self.rows += 1;
        self.position.push(sink, entry.position)?;
        self.recorded.push(sink, from_time(entry.recorded))?;
        match &mut self.same {
            Some(times) if entry.shown == entry.recorded => times.push(shown),
            _ => {
                for time in self.same.take().unwrap_or_default() {
                    self.shown.push(sink, time)?;
                }
                self.shown.push(sink, shown)?;
            }
        }
        self.status.push(sink, entry.status.into())
    }

    fn extend(&mut self, entry: &Entry) {
        let (Some(run), Some(last)) = (self.runs.last_mut(), &self.last) else { return };
        run.rows.end = self.rows + 1;
        run.positions.1 = entry.position;
        run.recorded.add(last.recorded, entry.recorded);
        run.shown.add(last.shown, entry.shown);
    }

    /// Adds what is known of the ids of the open run.
    pub(crate) fn add_ids(&mut self, ids: IdTimes) {
        if let Some(run) = self.runs.last_mut() {
            run.ids = run.ids.join(ids);
        }
    }

    fn close_run(&mut self) {
        let Some(run) = self.runs.last() else { return };
        let by_time = (!run.shown.ordered).then(|| {
            let mut order: Vec<(u64, u32)> = self.times.iter().copied().zip(run.rows.clone()).collect();
            order.sort_unstable();
            order.into_iter().map(|(_, row)| row).collect()
        });
        self.by_time.push(by_time);
        self.times.clear();
    }

    /// Writes what is left to write, and fills the footer, given the rows in the order of positions.
    pub(crate) fn finish(
        mut self,
        footer: &mut Footer,
        by_position: Vec<u32>,
        sink: &mut dyn Sink,
    ) -> Result<(), SegmentError> {
        self.close_run();
        let tables = &mut footer.tables;
        tables.position = self.position.finish(sink)?;
        tables.recorded = self.recorded.finish(sink)?;
        tables.shown = self.shown.finish(sink)?;
        tables.status = self.status.finish(sink)?;
        let first = self.runs.iter().map(|run| run.positions.0).min().unwrap_or_default();
        let mut places = PlacesBuilder::new(first, self.runs.iter().map(|run| run.rows.clone()));
        for row in by_position {
            places.push(sink, row)?;
        }
        tables.places = places.finish(sink)?;
        if self.by_time.iter().any(Option::is_some) {
            let mut column = ColumnBuilder::new(tables.by_time.section, ROW_WIDTH, true);
            for (run, by_time) in self.runs.iter().zip(&self.by_time) {
                match by_time {
                    Some(rows) => rows.iter().try_for_each(|row| column.push(sink, u64::from(*row)))?,
                    None => run.rows.clone().try_for_each(|row| column.push(sink, row.into()))?,
                }
            }
            tables.by_time = column.finish(sink)?;
        }
        footer.rows = self.rows;
        footer.logs = number(self.runs.len(), "logs")?;
        summarize(footer, &self.runs);
        footer.runs = self.runs;
        Ok(())
    }
}

/// What the footer tells of all runs together.
fn summarize(footer: &mut Footer, runs: &[Run]) {
    let all = runs.iter().map(|run| (run.positions, run.recorded, run.shown, run.ids));
    let joined = all.reduce(|a, b| {
        ((a.0.0.min(b.0.0), a.0.1.max(b.0.1)), followed_by(a.1, b.1), followed_by(a.2, b.2), a.3.join(b.3))
    });
    let Some((positions, recorded, shown, ids)) = joined else { return };
    footer.positions = positions.0..positions.1.saturating_add(1);
    (footer.recorded, footer.shown, footer.id_times) = (recorded, shown, ids);
}

fn followed_by(before: Bounds, after: Bounds) -> Bounds {
    let ordered = before.ordered && after.ordered && before.max <= after.min;
    Bounds { ordered, ..before.join(after) }
}

fn blocks<'r>(
    rows: impl Iterator<Item = &'r Row>,
    footer: &mut Footer,
    sink: &mut dyn Sink,
) -> Result<(), SegmentError> {
    let mut blocks = BlocksBuilder::new();
    let (mut log, mut digest) = (None, 0_u64);
    for row in rows {
        if log != Some(row.log) {
            blocks.begin_run(sink)?;
            log = Some(row.log);
        }
        digest = digest.wrapping_add(digest_of(row));
        blocks.push(sink, &row.canonical, &row.secret)?;
    }
    footer.digest = Some(digest);
    finish_blocks(blocks, footer, sink)
}

/// Writes the last block, and the runs, which tell how much each takes.
pub(crate) fn finish_blocks(
    blocks: BlocksBuilder,
    footer: &mut Footer,
    sink: &mut dyn Sink,
) -> Result<(), SegmentError> {
    let blocks = blocks.finish(sink)?;
    footer.tables.blocks = blocks.table;
    let mut runs = RunsBuilder::new();
    for (mut run, bytes) in std::mem::take(&mut footer.runs).into_iter().zip(blocks.run_bytes) {
        run.text_bytes = bytes;
        footer.text_bytes += bytes;
        runs.push(sink, &run)?;
    }
    footer.tables.runs = runs.finish(sink)?;
    Ok(())
}

fn index<'c>(
    contents: impl Iterator<Item = &'c Content>,
    footer: &mut Footer,
    sink: &mut dyn Sink,
) -> Result<(), SegmentError> {
    let mut gathers: [Gather; DICTIONARIES.len()] = array::from_fn(|_| Gather::new(footer.hash_key));
    let place: [Option<usize>; Field::ALL.len()] = Field::ALL.map(|field| Indexed::Field(field).place());
    let (words, accesses) = (Indexed::Words.place(), Indexed::Accesses.place());
    let (mut event_ids, mut request_ids) = (Vec::new(), Vec::new());
    for (row, content) in (0_u32..).zip(contents) {
        let mut add = |place: Option<usize>, value: &str| {
            if let Some(gather) = place.and_then(|place| gathers.get_mut(place)) {
                gather.add(row, value);
            }
        };
        each_term(content, |field, value| add(place.get(field.number()).copied().flatten(), value));
        each_word(content, |word| add(words, word));
        each_access(content, |access| add(accesses, access));
        event_ids.push((ids::hash(footer.hash_key, &content.id), row));
        if let Some(id) = &content.request.id {
            request_ids.push((ids::hash(footer.hash_key, id), row));
        }
    }
    for ((gather, of), tables) in gathers.into_iter().zip(DICTIONARIES).zip(&mut footer.dictionaries) {
        *tables = gather.finish(of.name(), sink)?;
    }
    footer.event_ids = ids::write(event_ids, EVENT_IDS, sink)?;
    footer.request_ids = ids::write(request_ids, REQUEST_IDS, sink)?;
    Ok(())
}

/// The names of the sections of event ids, and of request ids.
pub(crate) const EVENT_IDS: (&str, &str) = ("event ids", "event ids");
pub(crate) const REQUEST_IDS: (&str, &str) = ("request ids", "request ids");
