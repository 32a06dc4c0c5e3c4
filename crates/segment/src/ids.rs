//! Which rows may carry an id: keyed hashes of ids, each with its row.
//!
//! Two sections, both in the order of hashes. A page of entries, version 1, is the hashes, 8 bytes each,
//! then the rows, 4 bytes each, little-endian, up to 4,096 of both; they ascend by hash, then row. Its key
//! is `hash << 24 | row >> 2` of the first one, so that keys ascend also where one hash fills several
//! pages. Pages of the [filter](filter) keep most ids that are not here from being looked for.
//!
//! **Invariant:** no row that carries an id is missed; one that carries another may be given.
//! **Invariant:** a lookup reads one page of the filter; if that lets it pass, one page of entries, or more
//! where many rows carry the same id.

mod filter;
mod time;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use time::time_of;

use crate::SegmentError;
use crate::error::number;
use crate::page::{Column, Form, PageRef, Sink, Source};
use crate::table::{Entry, Table, TableBuilder};
use filter::FilterWriter;

/// The bits of a hash: with them, a wrong row is given for one id in 100,000 that the filter lets pass.
const HASH_BITS: u32 = 40;
/// The bits of a page's key below its first hash.
const ROW_BITS: u32 = 24;
/// Entries of a page.
const PAGE_ENTRIES: usize = 4_096;
/// What an entry takes.
const ENTRY_BYTES: usize = 12;
/// How a page of entries is written.
const ENTRIES: Form<'static> = Form::Numbers(&[Column { width: 8, near: true }, Column { width: 4, near: false }]);

/// Where the ids of a segment are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdTables {
    /// How many there are.
    pub(crate) ids: u32,
    pub(crate) filter: Table,
    pub(crate) entries: Table,
}

/// The hash of an id, in [`HASH_BITS`].
pub(crate) fn hash(key: u64, id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), key) >> (64 - HASH_BITS)
}

/// Writes hashes with their rows, given in any order. `sections` are the names of the filter's and of the
/// entries' section.
///
/// # Errors
///
/// What the sink says.
pub(crate) fn write(
    mut entries: Vec<(u64, u32)>,
    sections: (&'static str, &'static str),
    sink: &mut dyn Sink,
) -> Result<IdTables, SegmentError> {
    entries.sort_unstable();
    let mut writer = Writer::new(sections, entries.len());
    for (hash, row) in entries {
        writer.push(sink, hash, row)?;
    }
    writer.finish(sink)
}

/// Merges tables; each comes with the new number of each of its rows, which ascend.
///
/// # Errors
///
/// What the sources and the sink say.
pub(crate) fn merge(
    sources: &[(&IdTables, &dyn Source, &[u32])],
    sections: (&'static str, &'static str),
    sink: &mut dyn Sink,
) -> Result<IdTables, SegmentError> {
    let mut writer = Writer::new(sections, sources.iter().map(|(tables, ..)| tables.ids as usize).sum());
    let (mut cursors, mut heap) = (Vec::new(), BinaryHeap::new());
    for (tables, source, moves) in sources {
        let mut cursor = Cursor::new(tables, *source, moves)?;
        if let Some((hash, row)) = cursor.next()? {
            heap.push(Reverse((hash, row, cursors.len())));
        }
        cursors.push(cursor);
    }
    while let Some(mut top) = heap.peek_mut() {
        let Reverse((hash, row, at)) = *top;
        writer.push(sink, hash, row)?;
        match cursors.get_mut(at).map(Cursor::next).transpose()?.flatten() {
            Some((hash, row)) => *top = Reverse((hash, row, at)),
            None => {
                PeekMut::pop(top);
            }
        }
    }
    writer.finish(sink)
}

/// The rows that may carry an id of this hash, in ascending order.
///
/// # Errors
///
/// What the source says, and [`SegmentError::Corrupt`].
pub(crate) fn find(tables: &IdTables, source: &dyn Source, hash: u64) -> Result<Vec<u32>, SegmentError> {
    if !filter::may_hold(&tables.filter, source, hash)? {
        return Ok(Vec::new());
    }
    // The last page that begins with this hash or a smaller one; those before may hold it as well if it
    // begins with this one.
    let mut key = key_of(hash, u32::MAX);
    let mut rows = Vec::new();
    while let Some(entry) = tables.entries.find(source, key)? {
        let page = Page::read(&tables.entries, source, entry)?;
        let start = page.before(hash);
        let same = (start..page.length).map_while(|at| page.get(at)).take_while(|(have, _)| *have == hash);
        rows.extend(same.map(|(_, row)| row));
        match entry.key.checked_sub(1) {
            Some(before) if start == 0 && page.get(0).is_some_and(|(first, _)| first == hash) => key = before,
            _ => break,
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// Calls `each` with every hash and its row, in order; says so if they are out of order, or not all there.
///
/// # Errors
///
/// What the source and `each` say, and [`SegmentError::Corrupt`].
pub(crate) fn each(
    tables: &IdTables,
    source: &dyn Source,
    mut each: impl FnMut(u64, u32) -> Result<(), SegmentError>,
) -> Result<(), SegmentError> {
    let mut count = 0_u32;
    each_within(tables, source, &(0..u64::MAX), |hash, row| {
        count = count.saturating_add(1);
        each(hash, row)
    })?;
    let what = "there are not as many ids as it says";
    let missing = SegmentError::corrupt(tables.entries.section, PageRef::default(), what);
    if count == tables.ids { Ok(()) } else { Err(missing) }
}

/// The same of a range of hashes; only pages that can hold them are read.
///
/// # Errors
///
/// What the source and `each` say, and [`SegmentError::Corrupt`].
pub(crate) fn each_within(
    tables: &IdTables,
    source: &dyn Source,
    hashes: &Range<u64>,
    mut each: impl FnMut(u64, u32) -> Result<(), SegmentError>,
) -> Result<(), SegmentError> {
    let entries = tables.entries.all(source)?;
    let first_hash = |entry: &Entry| entry.key >> ROW_BITS;
    // A page may still hold the hash that the next one begins with.
    let from = entries.partition_point(|entry| first_hash(entry) < hashes.start).saturating_sub(1);
    let mut last = None;
    for entry in entries.iter().skip(from).take_while(|entry| first_hash(entry) < hashes.end) {
        let page = Page::read(&tables.entries, source, *entry)?;
        for (hash, row) in (0..page.length).map_while(|at| page.get(at)) {
            if last.is_some_and(|last| last >= (hash, row)) {
                let what = "hashes of ids are out of order";
                return Err(SegmentError::corrupt(tables.entries.section, entry.page, what));
            }
            last = Some((hash, row));
            if hashes.contains(&hash) {
                each(hash, row)?;
            }
        }
    }
    Ok(())
}

/// The hashes of one of so many equal parts of all.
pub(crate) fn part_of_hashes(part: u16, parts: u16) -> Range<u64> {
    let begin = |part: u64| (part << HASH_BITS) / u64::from(parts.max(1));
    begin(part.into())..begin(u64::from(part) + 1)
}

/// The key of a page that begins with this entry.
fn key_of(hash: u64, row: u32) -> u64 {
    hash << ROW_BITS | u64::from(row >> 2 & 0x00ff_ffff)
}

/// Entries on their way into pages.
struct Writer {
    ids: u32,
    entries: TableBuilder,
    key: u64,
    hashes: Vec<u8>,
    rows: Vec<u8>,
    filter: FilterWriter,
}

impl Writer {
    fn new(sections: (&'static str, &'static str), ids: usize) -> Writer {
        Writer {
            ids: 0,
            entries: TableBuilder::new(sections.1),
            key: 0,
            hashes: Vec::new(),
            rows: Vec::new(),
            filter: FilterWriter::new(sections.0, ids),
        }
    }

    fn push(&mut self, sink: &mut dyn Sink, hash: u64, row: u32) -> Result<(), SegmentError> {
        if self.rows.is_empty() {
            self.key = key_of(hash, row);
        }
        self.hashes.extend_from_slice(&hash.to_le_bytes());
        self.rows.extend_from_slice(&row.to_le_bytes());
        self.ids = number(self.ids as usize + 1, "ids")?;
        if self.rows.len() >= PAGE_ENTRIES * 4 {
            self.flush(sink)?;
        }
        self.filter.push(sink, hash)
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.hashes.append(&mut self.rows);
        self.entries.push(self.key, sink.page(&self.hashes, ENTRIES)?);
        self.hashes.clear();
        Ok(())
    }

    fn finish(mut self, sink: &mut dyn Sink) -> Result<IdTables, SegmentError> {
        self.flush(sink)?;
        let filter = self.filter.finish(sink)?;
        Ok(IdTables { ids: self.ids, filter, entries: self.entries.finish(sink)? })
    }
}

/// A page of entries.
struct Page {
    raw: Arc<[u8]>,
    length: usize,
}

impl Page {
    fn read(table: &Table, source: &dyn Source, entry: Entry) -> Result<Page, SegmentError> {
        let raw = table.read(source, entry.page)?;
        let length = raw.len() / ENTRY_BYTES;
        if length == 0 || raw.len() % ENTRY_BYTES != 0 {
            return Err(SegmentError::corrupt(table.section, entry.page, "a page of ids is malformed"));
        }
        Ok(Page { raw, length })
    }

    fn get(&self, at: usize) -> Option<(u64, u32)> {
        let (hashes, rows) = self.raw.split_at_checked(self.length * 8)?;
        let hash = hashes.get(at * 8..)?.first_chunk()?;
        let row = rows.get(at * 4..)?.first_chunk()?;
        Some((u64::from_le_bytes(*hash), u32::from_le_bytes(*row)))
    }

    /// How many entries have a smaller hash.
    fn before(&self, hash: u64) -> usize {
        let (mut from, mut until) = (0, self.length);
        while from < until {
            let middle = from + (until - from) / 2;
            if self.get(middle).is_some_and(|(have, _)| have < hash) { from = middle + 1 } else { until = middle }
        }
        from
    }
}

/// A source of a merge, at its next entry.
struct Cursor<'s> {
    table: &'s Table,
    source: &'s dyn Source,
    moves: &'s [u32],
    entries: std::vec::IntoIter<Entry>,
    page: Option<(Page, PageRef)>,
    at: usize,
    last: Option<(u64, u32)>,
}

impl<'s> Cursor<'s> {
    fn new(tables: &'s IdTables, source: &'s dyn Source, moves: &'s [u32]) -> Result<Cursor<'s>, SegmentError> {
        let entries = tables.entries.all(source)?.into_iter();
        Ok(Cursor { table: &tables.entries, source, moves, entries, page: None, at: 0, last: None })
    }

    /// The next hash with the new number of its row.
    fn next(&mut self) -> Result<Option<(u64, u32)>, SegmentError> {
        loop {
            if let Some((page, at)) = &self.page
                && let Some((hash, row)) = page.get(self.at)
            {
                self.at += 1;
                let Some(new) = self.moves.get(row as usize) else {
                    return Err(SegmentError::corrupt(self.table.section, *at, "an id has a row that isn't there"));
                };
                if self.last.replace((hash, row)).is_some_and(|last| last >= (hash, row)) {
                    return Err(SegmentError::corrupt(self.table.section, *at, "hashes of ids are out of order"));
                }
                return Ok(Some((hash, *new)));
            }
            let Some(entry) = self.entries.next() else { return Ok(None) };
            self.page = Some((Page::read(self.table, self.source, entry)?, entry.page));
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests;
