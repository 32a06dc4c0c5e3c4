//! A segment as its users see it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annals_model::{Filter, Time};

use crate::blocks::BlocksReader;
use crate::columns::{ColumnReader, to_time};
use crate::dictionary::Dictionary;
use crate::file::{Bytes, FileSource};
use crate::footer::{Footer, Indexed};
use crate::memory::MemoryPages;
use crate::page::{PageRef, Source};
use crate::runs::{Run, RunsReader};
use crate::search::search;
use crate::{Key, LogRange, Logs, Row, Rows, SegmentError, ids};

/// An immutable, indexed run of events. Rows are numbered from 0 by (log, index). A clone is the same
/// segment.
#[derive(Clone)]
pub struct Segment {
    pub(crate) footer: Arc<Footer>,
    pub(crate) source: Arc<dyn Source>,
    /// What it takes in memory besides the footer, where its pages lie there.
    memory_bytes: usize,
    /// The checksum of the footer as it was written, where the segment lies in a file.
    checksum: Option<u64>,
}

/// An event's id, to be looked for in many segments: the time that it carries rules most of them out.
#[derive(Clone, Copy, Debug)]
pub struct EventId<'i> {
    text: &'i str,
    carried_ms: Option<u64>,
}

impl<'i> EventId<'i> {
    /// An id, with the time that it carries if it is a UUIDv7 or a ULID.
    #[must_use]
    pub fn new(text: &'i str) -> EventId<'i> {
        EventId { text, carried_ms: ids::time_of(text) }
    }

    /// The id.
    #[must_use]
    pub fn text(&self) -> &'i str {
        self.text
    }

    /// Its hash with a segment's key, which is the order of a segment's table of ids.
    #[must_use]
    pub fn hash(&self, key: u64) -> u64 {
        ids::hash(key, self.text)
    }

    /// The time that it carries, in milliseconds since 1970.
    #[must_use]
    pub fn carried_ms(&self) -> Option<u64> {
        self.carried_ms
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("positions", &self.positions()).field("rows", &self.len()).finish()
    }
}

impl Segment {
    pub(crate) fn in_memory(footer: Footer, pages: Arc<MemoryPages>) -> Segment {
        let memory_bytes = pages.memory_bytes();
        Segment { footer: Arc::new(footer), source: pages, memory_bytes, checksum: None }
    }

    /// Opens a segment that was written to a file.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`], [`SegmentError::NewerVersion`], or [`SegmentError::Unreadable`].
    pub fn open<B: Bytes + 'static>(bytes: B, length: u64) -> Result<Segment, SegmentError> {
        let (source, footer) = FileSource::open(bytes, length)?;
        let checksum = Some(source.footer_checksum());
        let footer = Footer::of_bytes(&footer, PageRef { offset: length, stored_bytes: 0 })?;
        Ok(Segment { footer: Arc::new(footer), source: Arc::new(source), memory_bytes: 0, checksum })
    }

    /// The same segment read through another source, such as a cache before its own, or one that keeps a
    /// query's time.
    #[must_use]
    pub fn through(&self, wrap: impl FnOnce(Arc<dyn Source>) -> Arc<dyn Source>) -> Segment {
        Segment { source: wrap(Arc::clone(&self.source)), ..self.clone() }
    }

    /// Whether both are the same segment.
    #[must_use]
    pub fn is(&self, other: &Segment) -> bool {
        Arc::ptr_eq(&self.footer, &other.footer)
    }

    /// What [`Written::checksum`](crate::Written::checksum) told, if the segment lies in a file.
    #[must_use]
    pub fn checksum(&self) -> Option<u64> {
        self.checksum
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.footer.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first event's position up to the last one's, exclusive; `0..0` without events.
    #[must_use]
    pub fn positions(&self) -> Range<u64> {
        self.footer.positions.clone()
    }

    /// The least and the greatest time shown; of no events, the epoch.
    #[must_use]
    pub fn times_shown(&self) -> (Time, Time) {
        (self.footer.shown.min, self.footer.shown.max)
    }

    /// What there is of each log, in ascending order of the logs' numbers.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn logs(&self) -> Result<Vec<LogRange>, SegmentError> {
        Ok(self.runs().all()?.into_iter().map(LogRange::of).collect())
    }

    /// What there is of one log.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn log(&self, log: u32) -> Result<Option<LogRange>, SegmentError> {
        Ok(self.runs().of(log)?.map(LogRange::of))
    }

    /// The rows of some logs at `positions`, that pass a filter.
    ///
    /// # Errors
    ///
    /// As for all reading: [`SegmentError::Corrupt`], [`SegmentError::Unreadable`],
    /// [`SegmentError::Late`].
    pub fn search(&self, logs: Logs, positions: Range<u64>, filter: &Filter) -> Result<Rows, SegmentError> {
        search(self, logs, &positions, filter)
    }

    /// One event.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoRow`], or as for all reading.
    pub fn row(&self, row: u32) -> Result<Row, SegmentError> {
        let rows = self.rows(&[row])?;
        rows.into_iter().next().ok_or(SegmentError::NoRow { row, rows: self.len() })
    }

    /// Several events, in the order asked for. Each block is read once.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoRow`], or as for all reading.
    pub fn rows(&self, rows: &[u32]) -> Result<Vec<Row>, SegmentError> {
        let mut by_row: Vec<(u32, usize)> = rows.iter().copied().zip(0..).collect();
        by_row.sort_unstable();
        let mut reader = RowReader::new(self);
        let mut found: Vec<(usize, Row)> = Vec::with_capacity(rows.len());
        for (row, at) in by_row {
            found.push((at, reader.row(row)?));
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }

    /// The row of an event by its place in its log.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn find_index(&self, log: u32, index: u64) -> Result<Option<u32>, SegmentError> {
        let Some(run) = self.runs().of(log)? else { return Ok(None) };
        let row = index.checked_sub(run.index).and_then(|rows| u32::try_from(rows).ok());
        let row = row.and_then(|rows| run.rows.start.checked_add(rows));
        Ok(row.filter(|row| run.rows.contains(row)))
    }

    /// The rows that may carry an event id, in ascending order: all that do, and now and then one
    /// that doesn't, so the event itself has to be compared, and its log.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn find_id(&self, id: &EventId) -> Result<Vec<u32>, SegmentError> {
        if !self.may_hold_id(id) {
            return Ok(Vec::new());
        }
        ids::find(&self.footer.event_ids, &*self.source, id.hash(self.footer.hash_key))
    }

    /// The same of one log alone: what other logs' ids carry is of no account.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn find_id_of(&self, log: u32, id: &EventId) -> Result<Vec<u32>, SegmentError> {
        if !self.may_hold_id(id) {
            return Ok(Vec::new());
        }
        let run = self.runs().of(log)?.filter(|run| run.ids.may_hold(id.carried_ms));
        let Some(run) = run else { return Ok(Vec::new()) };
        let mut rows = self.find_id(id)?;
        rows.retain(|row| run.rows.contains(row));
        Ok(rows)
    }

    /// Whether an event could carry an id, told by the times that ids carry alone: nothing is read.
    #[must_use]
    pub fn may_hold_id(&self, id: &EventId) -> bool {
        self.footer.id_times.may_hold(id.carried_ms)
    }

    /// What some rows are ordered by.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn keys(&self, rows: &[u32]) -> Result<Vec<Key>, SegmentError> {
        let mut keys = Keys::new(self);
        rows.iter().map(|row| keys.key(*row)).collect()
    }

    /// About what it takes in memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Segment>() + self.footer.memory_bytes() + self.memory_bytes
    }

    /// The bytes that each section takes where the segment is stored, with its name.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn sections(&self) -> Result<Vec<(&'static str, u64)>, SegmentError> {
        let mut sections: Vec<(&'static str, u64)> = Vec::new();
        for (_, table) in self.footer.all_tables() {
            let pages = table.all(&*self.source)?;
            let bytes = pages.iter().chain(table.own_pages()).map(|entry| u64::from(entry.page.stored_bytes)).sum();
            match sections.iter_mut().find(|(name, _)| *name == table.section) {
                Some((_, have)) => *have += bytes,
                None => sections.push((table.section, bytes)),
            }
        }
        Ok(sections)
    }

    pub(crate) fn runs(&self) -> RunsReader<'_> {
        RunsReader::new(&self.footer.tables.runs, &*self.source)
    }

    pub(crate) fn dictionary(&self, of: Indexed) -> Option<Dictionary<'_>> {
        Some(Dictionary::new(self.footer.dictionary(of)?, &*self.source))
    }

    pub(crate) fn positions_column(&self) -> ColumnReader<'_> {
        ColumnReader::new(&self.footer.tables.position, &*self.source, POSITION_WIDTH)
    }

    pub(crate) fn recorded_column(&self) -> ColumnReader<'_> {
        ColumnReader::new(&self.footer.tables.recorded, &*self.source, TIME_WIDTH)
    }

    /// The times shown: those recorded, where they are the same.
    pub(crate) fn shown_column(&self) -> ColumnReader<'_> {
        let tables = &self.footer.tables;
        let table = if tables.shown.pages == 0 { &tables.recorded } else { &tables.shown };
        ColumnReader::new(table, &*self.source, TIME_WIDTH)
    }

    pub(crate) fn status_column(&self) -> ColumnReader<'_> {
        ColumnReader::new(&self.footer.tables.status, &*self.source, STATUS_WIDTH)
    }

    pub(crate) fn blocks(&self) -> BlocksReader<'_> {
        let tables = &self.footer.tables;
        BlocksReader::new(&tables.blocks, &tables.prefixes, &*self.source, self.footer.rows)
    }

    /// What ids and values are hashed with.
    #[must_use]
    pub fn hash_key(&self) -> u64 {
        self.footer.hash_key
    }

    /// Calls `each` with the hash of every event id that lies in one of `parts` equal parts of all hashes, its
    /// log, and its row, in the order of hashes. Segments with one key give one hash for one id.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn each_id_hash(&self, part: u16, parts: u16, each: &mut dyn FnMut(u64, u32, u32)) -> Result<(), SegmentError> {
        let runs = self.runs().all()?;
        let section = self.footer.event_ids.entries.section;
        let hashes = ids::part_of_hashes(part, parts);
        ids::each_within(&self.footer.event_ids, &*self.source, &hashes, |hash, row| {
            let run = runs.get(runs.partition_point(|run| run.rows.end <= row));
            let what = "an id has a row that isn't there";
            let run = run.ok_or_else(|| SegmentError::corrupt(section, PageRef::default(), what))?;
            each(hash, run.log, row);
            Ok(())
        })
    }
}

/// The bytes of a position, relative to the segment's first.
pub(crate) const POSITION_WIDTH: u8 = 8;
/// The bytes of a time.
pub(crate) const TIME_WIDTH: u8 = 8;
/// The bytes of a status.
pub(crate) const STATUS_WIDTH: u8 = 2;

/// Reads what rows are ordered by.
pub(crate) struct Keys<'s> {
    position: ColumnReader<'s>,
    shown: ColumnReader<'s>,
    status: ColumnReader<'s>,
}

impl<'s> Keys<'s> {
    pub(crate) fn new(segment: &'s Segment) -> Keys<'s> {
        Keys { position: segment.positions_column(), shown: segment.shown_column(), status: segment.status_column() }
    }

    pub(crate) fn key(&mut self, row: u32) -> Result<Key, SegmentError> {
        Ok(Key {
            time: to_time(self.shown.get(row)?),
            status: u16::try_from(self.status.get(row)?).unwrap_or_default(),
            position: self.position.get(row)?,
        })
    }
}

/// Reads whole rows; cheapest in ascending order.
pub(crate) struct RowReader<'s> {
    segment: &'s Segment,
    position: ColumnReader<'s>,
    recorded: ColumnReader<'s>,
    blocks: BlocksReader<'s>,
    runs: RunsReader<'s>,
    run: Option<Run>,
}

impl<'s> RowReader<'s> {
    pub(crate) fn new(segment: &'s Segment) -> RowReader<'s> {
        RowReader {
            segment,
            position: segment.positions_column(),
            recorded: segment.recorded_column(),
            blocks: segment.blocks(),
            runs: segment.runs(),
            run: None,
        }
    }

    pub(crate) fn row(&mut self, row: u32) -> Result<Row, SegmentError> {
        if row >= self.segment.len() {
            return Err(SegmentError::NoRow { row, rows: self.segment.len() });
        }
        let run = match self.run.take() {
            Some(run) if run.rows.contains(&row) => run,
            _ => self.runs.at(row)?,
        };
        let position = self.position.get(row)?;
        let time_recorded = to_time(self.recorded.get(row)?);
        let decoded = self.blocks.decode(row)?;
        let (canonical, secret) = decoded.row(row).ok_or(SegmentError::NoRow { row, rows: self.segment.len() })?;
        let found = Row {
            log: run.log,
            index: run.index + u64::from(row - run.rows.start),
            position,
            time_recorded,
            canonical: canonical.into(),
            secret: secret.into(),
        };
        self.run = Some(run);
        Ok(found)
    }
}
