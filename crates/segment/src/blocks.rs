//! The events' texts and secrets, some events to a compressed block.
//!
//! A block is a page. To the byte, all numbers little-endian:
//!
//! ```text
//! block = row count (4), lengths of texts, lengths of secrets, texts, secrets
//! ```
//!
//! A length has four bytes; they lie by their place in it: first the lowest byte of every row's, at last
//! the highest, as that compresses better. A block's key is its first row.
//!
//! **Invariant:** rows lie in blocks in ascending order without gaps; a block is of one log only.

use std::ops::Range;
use std::sync::Arc;

use crate::SegmentError;
use crate::codec::Codec;
use crate::error::number;
use crate::page::{Form, PAGE_BYTES_MAX, Packed, PageRef, Sink, Source};
use crate::prefix;
use crate::table::{Root, Table, TableBuilder};

/// Text of one block, in bytes, from which on it is closed.
pub(crate) const BLOCK_TEXT_BYTES: usize = 16 * 1024;
/// What the row count takes, in bytes.
const HEAD_BYTES: usize = 4;
/// What a length takes, in bytes.
const LENGTH_BYTES: usize = 4;
/// What the lengths of a row take, in bytes.
const ROW_BYTES: usize = 2 * LENGTH_BYTES;

/// Blocks in the making.
#[derive(Debug)]
pub(crate) struct BlocksBuilder {
    table: TableBuilder,
    rows: u32,
    /// The stored bytes of each run so far.
    run_bytes: Vec<u64>,
    /// The block that is open: lengths of texts and of secrets, texts, secrets.
    text_lengths: Vec<u32>,
    secret_lengths: Vec<u32>,
    texts: Vec<u8>,
    secrets: Vec<u8>,
    /// The block as it is written.
    raw: Vec<u8>,
}

/// The blocks as they were written.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    pub(crate) table: Table,
    /// The stored bytes of each run's blocks, in the order in which the runs were begun.
    pub(crate) run_bytes: Vec<u64>,
}

/// Reads blocks.
pub(crate) struct BlocksReader<'s> {
    table: &'s Table,
    prefixes: &'s Table,
    source: &'s dyn Source,
    rows: u32,
    last: Option<Decoded>,
    root: Option<Root>,
}

/// Where a block lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) rows: Range<u32>,
    pub(crate) page: PageRef,
}

/// A block, decompressed.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    rows: Range<u32>,
    raw: Arc<[u8]>,
    /// Where each row's text and secret lie.
    parts: Vec<(Range<usize>, Range<usize>)>,
}

impl BlocksBuilder {
    pub(crate) fn new() -> BlocksBuilder {
        BlocksBuilder {
            table: TableBuilder::new("events"),
            rows: 0,
            run_bytes: Vec::new(),
            text_lengths: Vec::new(),
            secret_lengths: Vec::new(),
            texts: Vec::new(),
            secrets: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Begins the rows of another log.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn begin_run(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        self.close(sink)?;
        self.run_bytes.push(0);
        Ok(())
    }

    /// Adds the next row.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if it is larger than any page, or what the sink says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, text: &[u8], secret: &[u8]) -> Result<(), SegmentError> {
        let added = ROW_BYTES + text.len() + secret.len();
        if self.open_bytes() + added > PAGE_BYTES_MAX {
            self.close(sink)?;
        }
        self.text_lengths.push(number(text.len(), "bytes of one event")?);
        self.secret_lengths.push(number(secret.len(), "bytes of one event")?);
        self.texts.extend_from_slice(text);
        self.secrets.extend_from_slice(secret);
        self.rows += 1;
        if self.texts.len() >= BLOCK_TEXT_BYTES { self.close(sink) } else { Ok(()) }
    }

    /// Takes over a block as it is, its rows becoming the next ones, unless it or the one that is open is
    /// so small that blocks would go to pieces, or it is not packed as the sink packs texts. The number of
    /// the first of its segment's prefixes is `begin` here.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn adopt(
        &mut self,
        sink: &mut dyn Sink,
        block: &Packed,
        begin: Option<u16>,
        rows: u32,
    ) -> Result<bool, SegmentError> {
        let is_small = |bytes: usize| bytes < BLOCK_TEXT_BYTES / 2;
        let open_is_small = !self.text_lengths.is_empty() && is_small(self.texts.len());
        if open_is_small || is_small(block.raw_bytes as usize) {
            return Ok(false);
        }
        let prefixed = begin.and_then(|begin| block.prefixed_from(begin));
        let unprefixed = (!sink.takes_prefixes() && block.codec == Codec::Text).then_some(block);
        let Some(block) = prefixed.as_ref().or(unprefixed) else { return Ok(false) };
        self.close(sink)?;
        let page = sink.adopt(block)?;
        self.put(self.rows, page);
        self.rows += rows;
        Ok(true)
    }

    /// The blocks.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<Blocks, SegmentError> {
        self.close(sink)?;
        Ok(Blocks { table: self.table.finish(sink)?, run_bytes: self.run_bytes })
    }

    fn open_bytes(&self) -> usize {
        HEAD_BYTES + self.text_lengths.len() * ROW_BYTES + self.texts.len() + self.secrets.len()
    }

    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        let rows = number(self.text_lengths.len(), "rows")?;
        if rows == 0 {
            return Ok(());
        }
        let random_bytes = self.secrets.len();
        self.raw.clear();
        self.raw.extend_from_slice(&rows.to_le_bytes());
        put_lengths(&self.text_lengths, &mut self.raw);
        put_lengths(&self.secret_lengths, &mut self.raw);
        self.text_lengths.clear();
        self.secret_lengths.clear();
        self.raw.append(&mut self.texts);
        self.raw.append(&mut self.secrets);
        let page = sink.page(&self.raw, Form::Text { random_bytes })?;
        self.put(self.rows - rows, page);
        Ok(())
    }

    fn put(&mut self, first: u32, page: PageRef) {
        self.table.push(first.into(), page);
        if let Some(bytes) = self.run_bytes.last_mut() {
            *bytes += u64::from(page.stored_bytes);
        }
    }
}

impl<'s> BlocksReader<'s> {
    /// Reads the blocks of so many rows.
    pub(crate) fn new(table: &'s Table, prefixes: &'s Table, source: &'s dyn Source, rows: u32) -> BlocksReader<'s> {
        BlocksReader { table, prefixes, source, rows, last: None, root: None }
    }

    /// A block's content.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn read(&self, page: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        let read = self.source.text(page, &|number| prefix::read(self.prefixes, self.source, number));
        read.map_err(|error| error.in_section(self.table.section))
    }

    /// The block of a row, decompressed; the last one is remembered.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NoRow`], [`SegmentError::Corrupt`], or what the source says.
    pub(crate) fn decode(&mut self, row: u32) -> Result<&Decoded, SegmentError> {
        let missing = SegmentError::NoRow { row, rows: self.rows };
        let decoded = match self.last.take() {
            Some(decoded) if decoded.holds(row) => decoded,
            _ => {
                let entry = self.table.find_by(&mut self.root, self.source, row.into())?.filter(|_| row < self.rows);
                let entry = entry.ok_or(missing)?;
                let raw = self.read(entry.page)?;
                let decoded = self.decoded(u32::try_from(entry.key).unwrap_or(u32::MAX), entry.page, raw)?;
                let what = "it ends before a row that it should hold";
                let short = || SegmentError::corrupt(self.table.section, entry.page, what);
                Some(decoded).filter(|decoded| decoded.holds(row)).ok_or_else(short)?
            }
        };
        Ok(self.last.insert(decoded))
    }

    /// Where the blocks lie, in ascending order.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn all(&self) -> Result<Vec<Block>, SegmentError> {
        let entries = self.table.all(self.source)?;
        let first = |key: u64| u32::try_from(key).unwrap_or(u32::MAX).min(self.rows);
        let ends = entries.iter().skip(1).map(|entry| first(entry.key)).chain([self.rows]);
        let blocks = entries.iter().zip(ends);
        Ok(blocks.map(|(entry, end)| Block { rows: first(entry.key)..end, page: entry.page }).collect())
    }

    /// A block, decompressed.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if it holds other rows, or what the source says.
    pub(crate) fn block(&self, block: &Block) -> Result<Decoded, SegmentError> {
        let raw = self.read(block.page)?;
        let decoded = self.decoded(block.rows.start, block.page, raw)?;
        let what = "it holds more or fewer rows than lie up to the next block";
        let other = || SegmentError::corrupt(self.table.section, block.page, what);
        Some(decoded).filter(|decoded| decoded.rows == block.rows).ok_or_else(other)
    }

    /// A block as it is written, to be taken over.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn packed(&self, block: &Block) -> Result<Packed, SegmentError> {
        self.source.packed(block.page).map_err(|error| error.in_section(self.table.section))
    }

    fn decoded(&self, first: u32, page: PageRef, raw: Arc<[u8]>) -> Result<Decoded, SegmentError> {
        let damaged = || SegmentError::corrupt(self.table.section, page, "its rows do not fill it");
        let parts = parts_of(&raw).ok_or_else(damaged)?;
        let end = u32::try_from(parts.len()).ok().and_then(|rows| first.checked_add(rows));
        Ok(Decoded { rows: first..end.ok_or_else(damaged)?, raw, parts })
    }
}

impl Decoded {
    /// Whether a row lies in it.
    pub(crate) fn holds(&self, row: u32) -> bool {
        self.rows.contains(&row)
    }

    /// A row's text and secret.
    pub(crate) fn row(&self, row: u32) -> Option<(&[u8], &[u8])> {
        let (text, secret) = self.parts.get(row.checked_sub(self.rows.start)? as usize)?;
        Some((self.raw.get(text.clone())?, self.raw.get(secret.clone())?))
    }
}

/// Appends lengths, byte by byte of them.
fn put_lengths(lengths: &[u32], out: &mut Vec<u8>) {
    for place in 0..LENGTH_BYTES {
        out.extend(lengths.iter().filter_map(|length| length.to_le_bytes().get(place).copied()));
    }
}

/// The lengths of so many rows.
fn lengths_of(bytes: &[u8], rows: usize) -> Vec<usize> {
    let mut lengths = vec![0; rows];
    for (place, bytes) in bytes.chunks_exact(rows.max(1)).enumerate() {
        for (length, byte) in lengths.iter_mut().zip(bytes) {
            *length |= usize::from(*byte) << (8 * place);
        }
    }
    lengths
}

/// Where the text and secret of each row lie, if the rows fill the block exactly.
fn parts_of(raw: &[u8]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let (count, rest) = raw.split_first_chunk()?;
    let rows = u32::from_le_bytes(*count) as usize;
    let (text_lengths, rest) = rest.split_at_checked(rows.checked_mul(LENGTH_BYTES)?)?;
    let (secret_lengths, rest) = rest.split_at_checked(rows.checked_mul(LENGTH_BYTES)?)?;
    let (text_lengths, secret_lengths) = (lengths_of(text_lengths, rows), lengths_of(secret_lengths, rows));
    let mut text_at = raw.len() - rest.len();
    let mut secret_at = text_at + text_lengths.iter().sum::<usize>();
    let parts = text_lengths.iter().zip(secret_lengths).map(|(text, secret)| {
        let part = (text_at..text_at + text, secret_at..secret_at + secret);
        text_at += text;
        secret_at += secret;
        part
    });
    let parts = parts.collect();
    (secret_at == raw.len()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::file::testing::{Anything, everywhere};

    fn no_prefixes() -> &'static Table {
        static NONE: LazyLock<Table> = LazyLock::new(Table::default);
        &NONE
    }

    fn text(length: usize, salt: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at * 7 + salt) % 251).expect("below 251")).collect()
    }

    /// The texts of runs, each row's secret being its number in eight bytes, sometimes none.
    fn build(sink: &mut dyn Sink, runs: &[Vec<Vec<u8>>]) -> Blocks {
        let mut builder = BlocksBuilder::new();
        let mut row = 0_usize;
        for run in runs {
            builder.begin_run(sink).expect("memory");
            for text in run {
                builder.push(sink, text, &secret(row)).expect("small");
                row += 1;
            }
        }
        builder.finish(sink).expect("memory")
    }

    fn secret(row: usize) -> Vec<u8> {
        if row % 10 == 3 { Vec::new() } else { row.to_le_bytes().to_vec() }
    }

    fn rows(runs: &[Vec<Vec<u8>>]) -> u32 {
        u32::try_from(runs.iter().map(Vec::len).sum::<usize>()).expect("small")
    }

    fn runs() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let length = prop_oneof![9 => 0_usize..1_500, 1 => 0_usize..90_000];
        let text = (length, 0_usize..251).prop_map(|(length, salt)| text(length, salt));
        prop::collection::vec(prop::collection::vec(text, 1..60), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_row_comes_back_from_its_block(runs in runs(), asked in prop::collection::vec(any::<prop::sample::Index>(), 30)) {
            let naive: Vec<&Vec<u8>> = runs.iter().flatten().collect();
            for (blocks, source) in everywhere(|sink| build(sink, &runs)) {
                let mut reader = BlocksReader::new(&blocks.table, no_prefixes(), &*source, rows(&runs));
                for at in asked.iter().filter(|_| !naive.is_empty()) {
                    let at = at.index(naive.len());
                    let row = u32::try_from(at).expect("small");
                    let secret = secret(at);
                    let decoded = reader.decode(row).expect("there");
                    prop_assert_eq!(decoded.row(row), Some((naive[at].as_slice(), secret.as_slice())));
                }
                let mut at = 0;
                for block in reader.all().expect("there") {
                    let decoded = reader.block(&block).expect("whole");
                    for row in block.rows {
                        let secret = secret(at);
                        prop_assert_eq!(row as usize, at);
                        prop_assert_eq!(decoded.row(row), Some((naive[at].as_slice(), secret.as_slice())));
                        at += 1;
                    }
                }
                prop_assert_eq!(at, naive.len());
                let beyond = matches!(reader.decode(rows(&runs)), Err(SegmentError::NoRow { .. }));
                prop_assert!(beyond);
            }
        }

        #[test]
        fn a_block_is_of_one_log_and_none_is_large(runs in runs()) {
            for (blocks, source) in everywhere(|sink| build(sink, &runs)) {
                let reader = BlocksReader::new(&blocks.table, no_prefixes(), &*source, rows(&runs));
                let all = reader.all().expect("there");
                let mut begin = 0;
                for (run, bytes) in runs.iter().zip(&blocks.run_bytes) {
                    let end = begin + u32::try_from(run.len()).expect("small");
                    let within: Vec<&Block> = all.iter().filter(|block| block.rows.start >= begin && block.rows.start < end).collect();
                    prop_assert!(within.iter().all(|block| block.rows.end <= end));
                    prop_assert_eq!(within.iter().map(|block| u64::from(block.page.stored_bytes)).sum::<u64>(), *bytes);
                    begin = end;
                }
                prop_assert_eq!(runs.len(), blocks.run_bytes.len());
                for block in &all {
                    let raw = source.page(block.page).expect("there").len();
                    prop_assert!(raw <= PAGE_BYTES_MAX || block.rows.len() == 1);
                }
            }
        }

        #[test]
        fn blocks_taken_over_are_what_they_were(runs in runs(), few in 0_usize..80) {
            let before = text(300, 1);
            for (blocks, source) in everywhere(|sink| build(sink, &runs)) {
                let from = BlocksReader::new(&blocks.table, no_prefixes(), &*source, rows(&runs));
                let merge = |sink: &mut dyn Sink| {
                    let mut builder = BlocksBuilder::new();
                    builder.begin_run(sink).expect("memory");
                    (0..few).for_each(|_| builder.push(sink, &before, b"").expect("small"));
                    for block in from.all().expect("there") {
                        let count = u32::try_from(block.rows.len()).expect("small");
                        if !builder.adopt(sink, &from.packed(&block).expect("there"), None, count).expect("memory") {
                            let decoded = from.block(&block).expect("whole");
                            for row in block.rows {
                                let (text, secret) = decoded.row(row).expect("there");
                                builder.push(sink, text, secret).expect("small");
                            }
                        }
                    }
                    builder.finish(sink).expect("memory").table
                };
                for (merged, source) in everywhere(merge) {
                    let all = rows(&runs) + u32::try_from(few).expect("small");
                    let mut reader = BlocksReader::new(&merged, no_prefixes(), &*source, all);
                    for (at, text) in runs.iter().flatten().enumerate() {
                        let row = u32::try_from(at + few).expect("small");
                        let secret = secret(at);
                        let decoded = reader.decode(row).expect("there");
                        prop_assert_eq!(decoded.row(row), Some((text.as_slice(), secret.as_slice())));
                    }
                    let small = |block: &&Block| source.page(block.page).expect("there").len() < BLOCK_TEXT_BYTES / 2;
                    let blocks = reader.all().expect("there");
                    for pair in blocks.windows(2) {
                        prop_assert!(!pair.iter().all(|block| small(&block)), "{:?} could be one", pair);
                    }
                }
            }
        }

        #[test]
        fn a_page_of_any_bytes_never_panics(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..400),
            count in 0_u32..9,
        ) {
            let runs = [vec![text(100, 1); 20]];
            let (blocks, _) = everywhere(|sink| build(sink, &runs)).remove(0);
            for raw in [bytes.clone(), [count.to_le_bytes().as_slice(), &bytes].concat()] {
                let source = Anything(raw.into());
                let mut reader = BlocksReader::new(&blocks.table, no_prefixes(), &source, 20);
                if let Ok(decoded) = reader.decode(3) {
                    prop_assert!(decoded.rows.clone().all(|row| decoded.row(row).is_some()));
                }
                let first = reader.all().expect("there").remove(0);
                prop_assert!(reader.block(&first).is_err());
            }
        }
    }

    #[test]
    fn a_block_of_fewer_rows_than_lie_up_to_the_next_one_is_damage() {
        let (blocks, source) = everywhere(|sink| build(sink, &[vec![text(700, 1); 200]])).remove(2);
        let mut table = blocks.table.clone();
        let last = table.entries.last().expect("there").page;
        table.entries[0].page = last;
        let mut reader = BlocksReader::new(&table, no_prefixes(), &*source, 200);
        let first = reader.all().expect("there").remove(0);
        assert!(matches!(reader.block(&first), Err(SegmentError::Corrupt { section: "events", .. })));
        let row = first.rows.end - 1;
        assert!(
            matches!(reader.decode(row), Err(SegmentError::Corrupt { section: "events", page, .. }) if page == last)
        );
    }
}
