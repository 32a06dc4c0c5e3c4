//! Reads postings.

use std::ops::Range;
use std::sync::Arc;

use super::rice::{self, BLOCK_ROWS, Block, read_number};
use super::{BITMAP_BYTES, CHUNK_ROWS, FORM_BITMAP, FORM_BLOCKS, FORM_RUNS, KIND_LIST, MOVED, Marks, shared};
use crate::page::{PageRef, Source};
use crate::table::Table;
use crate::{ROWS_MAX, SegmentError};

/// Takes rows as they are read, in ascending order.
pub(crate) trait Take {
    /// Some rows.
    fn rows(&mut self, rows: &[u32]);
    /// All rows of a range.
    fn run(&mut self, rows: Range<u32>);
    /// The rows of a chunk from its first row on, in [`BITMAP_BYTES`].
    fn bitmap(&mut self, first: u32, bits: &[u8]);
}

/// What a reader of postings keeps from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The number of the page below; none is held while it is empty.
    number: u64,
    at: PageRef,
    page: Option<Arc<[u8]>>,
    chunks: Vec<Chunk>,
}

/// The rows of one value, to be read.
pub(crate) struct Rows<'r> {
    pub(crate) table: &'r Table,
    pub(crate) source: &'r dyn Source,
    pub(crate) held: &'r mut Held,
    /// Where the posting is, or the row if there is one only.
    pub(crate) place: u64,
    pub(crate) count: u32,
}

/// One chunk of a posting, as its table has it.
#[derive(Clone, Debug)]
struct Chunk {
    rows: Range<u32>,
    count: u32,
    place: u64,
    bytes: usize,
    form: u32,
}

/// Where a posting's rows are.
enum Kind {
    /// In blocks from this byte of the page on.
    Blocks(usize),
    /// In chunks, which the reader holds.
    Chunks,
}

impl Held {
    fn load(&mut self, table: &Table, source: &dyn Source, number: u64) -> Result<&[u8], SegmentError> {
        if self.page.is_none() || self.number != number {
            self.page = None;
            let entry = table.find(source, number)?.filter(|entry| entry.key == number);
            let at = entry.map(|entry| entry.page).unwrap_or_default();
            if entry.is_none() {
                return Err(SegmentError::corrupt(table.section, at, "a posting is in a page that isn't there"));
            }
            (self.number, self.at) = (number, at);
            self.page = Some(table.read(source, at)?);
        }
        Ok(self.page.as_deref().unwrap_or_default())
    }

    fn corrupt(&self, table: &Table, what: &'static str) -> SegmentError {
        SegmentError::corrupt(table.section, self.at, what)
    }
}

impl Rows<'_> {
    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Appends every row.
    ///
    /// # Errors
    ///
    /// As for [`Rows::take`].
    pub(crate) fn append_to(&mut self, rows: &mut Vec<u32>) -> Result<(), SegmentError> {
        let before = rows.len();
        self.take(&(0..ROWS_MAX), rows)?;
        if rows.len() - before != self.count as usize {
            return Err(self.held.corrupt(self.table, "a value has another number of rows than it says"));
        }
        Ok(())
    }

    /// How many rows lie in a range.
    ///
    /// # Errors
    ///
    /// As for [`Rows::take`].
    pub(crate) fn count_within(&mut self, within: &Range<u32>) -> Result<u64, SegmentError> {
        let mut count = Count(0);
        if self.count <= 1 || !matches!(self.open()?, Kind::Chunks) {
            self.take(within, &mut count)?;
            return Ok(count.0);
        }
        let chunks = std::mem::take(&mut self.held.chunks);
        for chunk in chunks.iter().filter(|chunk| !shared(&chunk.rows, within).is_empty()) {
            if shared(&chunk.rows, within) == chunk.rows {
                count.0 += u64::from(chunk.count);
            } else {
                self.take_chunk(chunk, within, &mut count)?;
            }
        }
        self.held.chunks = chunks;
        Ok(count.0)
    }

    /// How many rows are marked.
    ///
    /// # Errors
    ///
    /// As for [`Rows::take`].
    pub(crate) fn count_marked(&mut self, marks: &Marks) -> Result<u64, SegmentError> {
        let mut marked = Marked { marks, count: 0 };
        self.take(marks.within(), &mut marked)?;
        Ok(marked.count)
    }

    /// Hands over the rows of a range; of chunks that lie outside nothing is read.
    ///
    /// # Errors
    ///
    /// What the source says, and [`SegmentError::Corrupt`] if there is no such posting.
    pub(crate) fn take(&mut self, within: &Range<u32>, to: &mut impl Take) -> Result<(), SegmentError> {
        if self.count <= 1 {
            if let Ok(row) = u32::try_from(self.place)
                && within.contains(&row)
            {
                to.rows(&[row]);
            }
            return Ok(());
        }
        match self.open()? {
            Kind::Blocks(at) => {
                let page = self.held.page.as_deref().unwrap_or_default();
                let bytes = page.get(at..).unwrap_or_default();
                let read = take_blocks(bytes, self.count, &(0..ROWS_MAX), within, to);
                read.ok_or_else(|| self.held.corrupt(self.table, "a list of rows is malformed"))
            }
            Kind::Chunks => {
                let chunks = std::mem::take(&mut self.held.chunks);
                for chunk in chunks.iter().filter(|chunk| !shared(&chunk.rows, within).is_empty()) {
                    self.take_chunk(chunk, within, to)?;
                }
                self.held.chunks = chunks;
                Ok(())
            }
        }
    }

    /// Loads the page where the posting begins, and reads its table if it has one.
    fn open(&mut self) -> Result<Kind, SegmentError> {
        let page = self.held.load(self.table, self.source, self.place >> 16)?;
        let at = usize::try_from(self.place & 0xffff).unwrap_or_default();
        if self.count as usize <= BLOCK_ROWS {
            return Ok(Kind::Blocks(at));
        }
        if page.get(at) == Some(&KIND_LIST) {
            return Ok(Kind::Blocks(at + 1));
        }
        let mut chunks = std::mem::take(&mut self.held.chunks);
        let page = self.held.page.as_deref().unwrap_or_default();
        let read = read_table(page, self.place, self.count, &mut chunks);
        self.held.chunks = chunks;
        match read {
            Some(()) => Ok(Kind::Chunks),
            None => Err(self.held.corrupt(self.table, "the chunks of a posting are malformed")),
        }
    }

    fn take_chunk(&mut self, chunk: &Chunk, within: &Range<u32>, to: &mut impl Take) -> Result<(), SegmentError> {
        let page = self.held.load(self.table, self.source, chunk.place >> 16)?;
        let at = usize::try_from(chunk.place & 0xffff).unwrap_or_default();
        let read = page.get(at..at + chunk.bytes).and_then(|bytes| match chunk.form {
            FORM_BLOCKS => take_blocks(bytes, chunk.count, &chunk.rows, within, to),
            FORM_BITMAP => take_bitmap(bytes, chunk, within, to),
            FORM_RUNS => take_runs(bytes, chunk, within, to),
            _ => None,
        });
        read.ok_or_else(|| self.held.corrupt(self.table, "a chunk of a posting is malformed"))
    }
}

/// The chunks of a posting, which begins with their table; `None` if it doesn't.
fn read_table(page: &[u8], place: u64, count: u32, chunks: &mut Vec<Chunk>) -> Option<()> {
    chunks.clear();
    let from = usize::try_from(place & 0xffff).ok()?;
    // The byte of the kind is the caller's; there is only one other kind.
    let (kind, rest) = page.get(from..)?.split_first()?;
    let (length, mut rest) = read_number(rest)?;
    if *kind != super::KIND_CHUNKS || length == 0 || length > ROWS_MAX / CHUNK_ROWS {
        return None;
    }
    let (mut next, mut sum) = (0_u32, 0_u32);
    for _ in 0..length {
        let (skipped, after) = read_number(rest)?;
        let (less, after) = read_number(after)?;
        let (how, after) = read_number(after)?;
        rest = after;
        let number = next.checked_add(skipped).filter(|number| *number < ROWS_MAX / CHUNK_ROWS)?;
        let count = less.checked_add(1).filter(|count| *count <= CHUNK_ROWS)?;
        let first = number * CHUNK_ROWS;
        let rows = first..first + CHUNK_ROWS;
        // Whether it is moved rides in the length until the places are known, below.
        chunks.push(Chunk { rows, count, place: 0, bytes: (how >> 2) as usize, form: how & (MOVED - 1) });
        sum = sum.checked_add(count)?;
        next = number + 1;
    }
    let mut at = (place >> 16 << 16) + (page.len() - rest.len()) as u64;
    for chunk in chunks {
        let moved = chunk.bytes & 1 == 1;
        chunk.bytes >>= 1;
        if moved {
            at = ((at >> 16) + 1) << 16;
        }
        chunk.place = at;
        at = Some(at + chunk.bytes as u64).filter(|end| end >> 16 == at >> 16)?;
    }
    (sum == count).then_some(())
}

fn take_blocks(mut bytes: &[u8], count: u32, rows: &Range<u32>, within: &Range<u32>, to: &mut impl Take) -> Option<()> {
    let mut block: Block = [0; BLOCK_ROWS];
    let (mut left, mut from) = (count as usize, rows.start);
    while left > 0 && from < within.end {
        let of_block = left.min(BLOCK_ROWS);
        bytes = rice::read(bytes, of_block, from, &mut block)?;
        let read = block.get(..of_block)?;
        let last = *read.last()?;
        if last >= rows.end {
            return None;
        }
        if last >= within.start {
            let whole = read.first()? >= &within.start && last < within.end;
            to.rows(if whole { read } else { cut(read, within) });
        }
        from = last + 1;
        left -= of_block;
    }
    Some(())
}

fn cut<'b>(rows: &'b [u32], within: &Range<u32>) -> &'b [u32] {
    let start = rows.partition_point(|row| *row < within.start);
    let end = rows.partition_point(|row| *row < within.end);
    rows.get(start..end).unwrap_or_default()
}

fn take_bitmap(bits: &[u8], chunk: &Chunk, within: &Range<u32>, to: &mut impl Take) -> Option<()> {
    if bits.len() != BITMAP_BYTES {
        return None;
    }
    let wanted = shared(&chunk.rows, within);
    if wanted == chunk.rows {
        to.bitmap(chunk.rows.start, bits);
        return Some(());
    }
    let mut left = vec![0; BITMAP_BYTES];
    let first = chunk.rows.start;
    for (slot, (byte, start)) in left.iter_mut().zip(bits.iter().zip((first..).step_by(8))) {
        if start >= wanted.start && start + 8 <= wanted.end {
            *slot = *byte;
        } else if start < wanted.end && start + 8 > wanted.start {
            *slot = (0..8).filter(|bit| wanted.contains(&(start + bit))).fold(0, |kept, bit| kept | byte & 1 << bit);
        }
    }
    to.bitmap(first, &left);
    Some(())
}

fn take_runs(mut bytes: &[u8], chunk: &Chunk, within: &Range<u32>, to: &mut impl Take) -> Option<()> {
    let (mut next, mut sum) = (chunk.rows.start, 0_u32);
    while !bytes.is_empty() {
        let (skipped, rest) = read_number(bytes)?;
        let (less, rest) = read_number(rest)?;
        bytes = rest;
        let start = next.checked_add(skipped)?;
        let end = start.checked_add(less)?.checked_add(1).filter(|end| *end <= chunk.rows.end)?;
        let wanted = shared(&(start..end), within);
        if !wanted.is_empty() {
            to.run(wanted);
        }
        sum += end - start;
        next = end;
    }
    (sum == chunk.count).then_some(())
}

impl Take for Vec<u32> {
    fn rows(&mut self, rows: &[u32]) {
        self.extend_from_slice(rows);
    }

    fn run(&mut self, rows: Range<u32>) {
        self.extend(rows);
    }

    fn bitmap(&mut self, first: u32, bits: &[u8]) {
        each_bit(first, bits, |row| self.push(row));
    }
}

fn each_bit(first: u32, bits: &[u8], mut each: impl FnMut(u32)) {
    for (first, word) in (first..).step_by(64).zip(bits.as_chunks().0) {
        let mut word = u64::from_le_bytes(*word);
        while word != 0 {
            each(first + word.trailing_zeros());
            word &= word - 1;
        }
    }
}

/// Counts rows.
struct Count(u64);

impl Take for Count {
    fn rows(&mut self, rows: &[u32]) {
        self.0 += rows.len() as u64;
    }

    fn run(&mut self, rows: Range<u32>) {
        self.0 += rows.len() as u64;
    }

    fn bitmap(&mut self, _: u32, bits: &[u8]) {
        self.0 += bits.as_chunks().0.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum::<u64>();
    }
}

/// Counts marked rows.
struct Marked<'m> {
    marks: &'m Marks,
    count: u64,
}

impl Take for Marked<'_> {
    fn rows(&mut self, rows: &[u32]) {
        self.count += rows.iter().map(|row| self.marks.has(*row)).sum::<u64>();
    }

    fn run(&mut self, rows: Range<u32>) {
        self.count += self.marks.in_run(rows);
    }

    fn bitmap(&mut self, first: u32, bits: &[u8]) {
        self.count += self.marks.in_bitmap(first, bits);
    }
}
