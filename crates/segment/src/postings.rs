//! Which rows hold each value: postings, one after the other in pages.
//!
//! A posting is the rows of one value, ascending and distinct, at least two of them; how many there are
//! and where the posting begins stands with the value. A place is `page << 16 | byte`: the number of the
//! page among those of the section, which is its key in the section's table, and the byte in it. Version 1:
//!
//! - Up to 128 rows: one [block](rice) that begins at row 0.
//! - More rows: a byte that says how. **0**, a list: blocks one right after the other, of 128 rows each
//!   but for the last, each of which begins after the last row of the one before. **1**, chunks: a table,
//!   then the chunks. A chunk holds the rows with the same number above their 16 lowest bits. The table is
//!   a LEB128 number, how many chunks there are, and for each, in ascending order, three more:
//!   1. the chunk's number; from the second on, how much it is above the one before, less 1;
//!   2. how many rows it holds, less 1;
//!   3. `bytes << 3 | moved << 2 | form`: what it takes, whether it begins the next page instead of
//!      following what is before it, and its form.
//!
//!   Forms of a chunk, of rows without what they have above the 16 lowest bits: **0**, blocks, as in a
//!   list; **1**, a bitmap of 8,192 bytes, the lowest row in the lowest bit of the first byte; **2**, runs
//!   of neighbours: per run two LEB128 numbers, how many rows lie between it and the run before, or the
//!   chunk's start, and its length less 1.
//!
//! **Invariant:** a list, a table of chunks and each chunk lies whole in one page, so that a reader who
//! wants a range of rows reads only the pages of chunks that overlap it.
//! **Invariant:** whatever the bytes are, reading them ends, with no more memory than a page's bytes can
//! stand for.

mod read;
mod rice;
mod union;

use std::ops::Range;

pub(crate) use read::{Held, Rows};
pub(crate) use union::{Marks, Union};

use crate::SegmentError;
use crate::page::{Form, Sink};
use crate::table::{Table, TableBuilder};
use rice::{BLOCK_ROWS, write_number};

/// The largest page of postings: whoever wants one posting reads all of its page.
const POSTINGS_PAGE_BYTES: usize = 32 * 1024;
/// The longest list: it is read as a whole, however few of its rows are wanted.
const LIST_BYTES_MAX: usize = 8 * 1024;
/// With more rows, no list is tried.
const LIST_ROWS_MAX: usize = 16 * 1024;
/// A run is shorter than the blocks of its rows where it has so many rows or more.
const RUN_ROWS_MIN: usize = 8;
/// Rows of a chunk.
const CHUNK_ROWS: u32 = 1 << 16;
/// A chunk with more rows is no smaller as blocks than as a bitmap, or as runs.
const CHUNK_BLOCKS_ROWS_MAX: usize = 40_000;
/// What a bitmap takes.
const BITMAP_BYTES: usize = CHUNK_ROWS as usize / 8;

/// What a posting of many rows begins with: …
const KIND_LIST: u8 = 0;
const KIND_CHUNKS: u8 = 1;
/// … and how the rows of a chunk are written.
const FORM_BLOCKS: u32 = 0;
const FORM_BITMAP: u32 = 1;
const FORM_RUNS: u32 = 2;
/// Set in a chunk's third number if it begins the next page.
const MOVED: u32 = 1 << 2;

/// A chunk that waits to be put in its place.
struct Chunk {
    number: u32,
    /// How many rows, less 1.
    rows: u32,
    bytes: u32,
    form: u32,
}

/// Postings in the making.
pub(crate) struct PostingsWriter {
    table: TableBuilder,
    page: Vec<u8>,
    /// A posting on its way, or its chunks, one after the other.
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
    /// A chunk on its way, in one of its forms.
    scratch: Vec<u8>,
}

impl PostingsWriter {
    pub(crate) fn new(section: &'static str) -> PostingsWriter {
        PostingsWriter {
            table: TableBuilder::new(section),
            page: Vec::new(),
            bytes: Vec::new(),
            chunks: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Writes a posting of two or more rows, which ascend, and gives its place.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, rows: &[u32]) -> Result<u64, SegmentError> {
        self.bytes.clear();
        if rows.len() <= BLOCK_ROWS {
            rice::write(rows, 0, &mut self.bytes);
            return self.put(sink);
        }
        if rows.len() <= LIST_ROWS_MAX && runs_of(rows) > rows.len() / RUN_ROWS_MIN {
            self.bytes.push(KIND_LIST);
            rice::write(rows, 0, &mut self.bytes);
            if self.bytes.len() <= LIST_BYTES_MAX {
                return self.put(sink);
            }
            self.bytes.clear();
        }
        self.chunks.clear();
        for rows in rows.chunk_by(|a, b| a / CHUNK_ROWS == b / CHUNK_ROWS) {
            self.chunk(rows);
        }
        self.put_chunks(sink)
    }

    /// Writes the last page.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        self.flush(sink)?;
        self.table.finish(sink)
    }

    fn chunk(&mut self, rows: &[u32]) {
        let Some(number) = rows.first().map(|row| row / CHUNK_ROWS) else { return };
        let start = self.bytes.len();
        let (mut form, mut least) = (FORM_BITMAP, BITMAP_BYTES);
        for (other, likely) in [
            // A run takes two bytes or more, its rows in blocks a bit each or more.
            (FORM_RUNS, runs_of(rows) * 3 <= rows.len()),
            (FORM_BLOCKS, rows.len() <= CHUNK_BLOCKS_ROWS_MAX && rows.len() / 8 < least),
        ] {
            if !likely {
                continue;
            }
            self.scratch.clear();
            match other {
                FORM_RUNS => write_runs(rows, number * CHUNK_ROWS, &mut self.scratch),
                _ => rice::write(rows, number * CHUNK_ROWS, &mut self.scratch),
            }
            if self.scratch.len() < least {
                (form, least) = (other, self.scratch.len());
                self.bytes.truncate(start);
                self.bytes.extend_from_slice(&self.scratch);
            }
        }
        if form == FORM_BITMAP {
            write_bitmap(rows, &mut self.bytes);
        }
        let number_of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (rows, bytes) = (number_of(rows.len() - 1), number_of(self.bytes.len() - start));
        self.chunks.push(Chunk { number, rows, bytes, form });
    }

    /// Puts what waits into the page, or the next one.
    fn put(&mut self, sink: &mut dyn Sink) -> Result<u64, SegmentError> {
        if self.page.len() + self.bytes.len() > POSTINGS_PAGE_BYTES {
            self.flush(sink)?;
        }
        let place = self.place();
        self.page.extend_from_slice(&self.bytes);
        Ok(place)
    }

    fn put_chunks(&mut self, sink: &mut dyn Sink) -> Result<u64, SegmentError> {
        let mut table = Vec::new();
        // Whether chunks are moved changes no number's length, so the table's is known at once.
        self.write_table(0, &mut table);
        if self.page.len() + table.len() > POSTINGS_PAGE_BYTES {
            self.flush(sink)?;
        }
        let place = self.place();
        let end = self.page.len() + table.len();
        table.clear();
        self.write_table(end, &mut table);
        self.page.extend_from_slice(&table);
        let (bytes, chunks) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.chunks));
        let mut rest = bytes.as_slice();
        for chunk in &chunks {
            let Some((of_chunk, others)) = rest.split_at_checked(chunk.bytes as usize) else { break };
            if self.page.len() + of_chunk.len() > POSTINGS_PAGE_BYTES {
                self.flush(sink)?;
            }
            self.page.extend_from_slice(of_chunk);
            rest = others;
        }
        (self.bytes, self.chunks) = (bytes, chunks);
        Ok(place)
    }

    /// The table of the chunks that wait, if it ends at this byte of a page.
    fn write_table(&self, mut end: usize, table: &mut Vec<u8>) {
        table.push(KIND_CHUNKS);
        write_number(u32::try_from(self.chunks.len()).unwrap_or(u32::MAX), table);
        let mut next = 0;
        for chunk in &self.chunks {
            end += chunk.bytes as usize;
            let mut moved = 0;
            if end > POSTINGS_PAGE_BYTES {
                (moved, end) = (MOVED, chunk.bytes as usize);
            }
            write_number(chunk.number - next, table);
            write_number(chunk.rows, table);
            write_number(chunk.bytes << 3 | moved | chunk.form, table);
            next = chunk.number + 1;
        }
    }

    fn place(&self) -> u64 {
        (self.table.len() as u64) << 16 | self.page.len() as u64
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if !self.page.is_empty() {
            // Nearly random already: compressing it would cost more than it saves.
            let page = sink.page(&self.page, Form::Plain)?;
            self.table.push(self.table.len() as u64, page);
            self.page.clear();
        }
        Ok(())
    }
}

/// How many runs of neighbours there are.
fn runs_of(rows: &[u32]) -> usize {
    let seams: u32 = rows.iter().zip(rows.iter().skip(1)).map(|(a, b)| u32::from(b.wrapping_sub(*a) != 1)).sum();
    seams as usize + 1
}

fn write_runs(rows: &[u32], from: u32, out: &mut Vec<u8>) {
    let mut next = from;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let Some(first) = run.first() else { continue };
        let length = u32::try_from(run.len()).unwrap_or(u32::MAX);
        write_number(first - next, out);
        write_number(length - 1, out);
        next = first + length;
    }
}

fn write_bitmap(rows: &[u32], out: &mut Vec<u8>) {
    let mut bits = vec![0_u8; BITMAP_BYTES];
    for row in rows {
        if let Some(byte) = bits.get_mut((row % CHUNK_ROWS / 8) as usize) {
            *byte |= 1 << (row % 8);
        }
    }
    out.extend_from_slice(&bits);
}

/// The rows that two ranges share.
fn shared(a: &Range<u32>, b: &Range<u32>) -> Range<u32> {
    a.start.max(b.start)..a.end.min(b.end)
}

#[cfg(test)]
mod tests;
